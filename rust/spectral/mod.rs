//! Windows -> spectrograms, RGB images, LMM features.

pub mod batch;
mod codelets;
pub mod fft;
pub mod image;
pub mod image_stream;
pub mod lanes;
pub mod levels;
pub mod log;
pub mod magnitude;
pub mod magnitude_loss;
pub mod pictures;
pub mod power;
pub mod resize;
mod resize_lanes;
pub mod signals;
pub mod stft;
pub mod window;

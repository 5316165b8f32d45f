//! Windows -> spectrograms, RGB images, LMM features.

pub mod batch;
pub mod image;
pub mod lanes;
pub mod magnitude;
pub mod signals;
pub mod stft;
pub mod window;

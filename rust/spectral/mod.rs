//! Windows -> spectrograms, RGB images, LMM features.

pub mod frames;
pub mod image;
pub mod lanes;
pub mod magnitude;
mod memory;
pub mod stft;
mod tile;
pub mod window;

//! Vectors whose lanes are frames or signals, and what is computed on them: logarithms and transforms.

mod codelets;
pub mod fft;
#[allow(clippy::module_inception)] // the vectors themselves; the other files compute on them
mod lanes;
pub mod log;

pub use lanes::{Kernel, Lanes, Path, ROW_BYTES, Real, dispatch};

//! Vectors whose lanes are frames or signals, and what is computed on them: logarithms and transforms.

#[cfg(not(target_arch = "x86_64"))]
mod array;
mod codelets;
pub mod fft;
#[allow(clippy::module_inception)] // the vectors themselves; the other files compute on them
mod lanes;
pub mod log;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon;
pub mod rows;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use lanes::{Cpu, Kernel, Lanes, Path, ROW_BYTES, Real, dispatch};
#[cfg(target_arch = "x86_64")]
pub use x86::{F32x4, F32x8, F32x16, F64x2, F64x4, F64x8};

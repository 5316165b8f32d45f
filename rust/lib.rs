//! Native core of imuspec.
//!
//! Arrows go one way: `error <- arrays, cpu, threads <- device | signal <- preparation`, `signal <- spectral`, `threads <- store`, all
//! `<- python`, `spectral <- capi`.
//!
//! - [`arrays`]: many signals in memory of any layout, as kernels take them.
//! - [`cpu`]: the instruction sets that kernels are compiled for.
//! - `device`: bytes of a file -> samples in runs without gaps, each with its time (feature `device`, on by default).
//! - [`signal`]: samples -> samples: low-pass, resampling, calibration, wear.
//! - `preparation`: one streaming pass from a device file to calibrated wear (feature `device`).
//! - `store`: the stored acceleration of a recording (feature `python`).
//! - [`spectral`]: windows -> spectrograms, RGB images, LMM features.
//! - `capi`: the C interface of [`spectral`] (feature `capi`).
//! - `python`: the only folder that names pyo3 (feature `python`).

pub mod arrays;
#[cfg(any(test, feature = "capi"))]
pub mod capi;
pub mod cpu;
#[cfg(feature = "device")]
pub mod device;
pub mod error;
#[cfg(feature = "device")]
pub mod preparation;
pub mod signal;
pub mod spectral;
#[cfg(feature = "store")]
pub mod store;
pub mod threads;

#[cfg(feature = "python")]
mod python;

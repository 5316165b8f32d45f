//! A window to its LMM features: the log of the mean over time of the short-time magnitude spectrum.

use super::{
    IMUSPEC_ERROR_AXES, IMUSPEC_ERROR_CHOICE, IMUSPEC_ERROR_NFFT, IMUSPEC_ERROR_SAMPLES, IMUSPEC_ERROR_STRUCT_SIZE,
    IMUSPEC_MAX_SAMPLES, ensure, free, hand_out, output, put, run, samples, shared, unique,
};
use crate::arrays::Signals;
use crate::cpu::Path;
use crate::spectral::magnitude::features::{LogMagnitude, Moment, Resolution};

/// The settings of features: those of imuspec.log_mean_magnitude in Python. Fill it with imuspec_lmm_defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ImuspecLmmSettings {
    /// sizeof(ImuspecLmmSettings); later versions may append fields.
    pub struct_size: u32,
    /// 3, or 1. Default 3.
    pub n_axes: u32,
    /// Samples of a window on each axis. Default 300.
    pub n_samples: u32,
    /// Samples of a frame. Default 32.
    pub nfft: u32,
    /// Samples from one frame to the next. Default 16.
    pub hop: u32,
    /// 1: floor is the largest value instead, as the paper's equations print it. Default 0.
    pub cap: u32,
    /// The smallest mean before the logarithm. Default 0.1.
    pub floor: f64,
}

impl ImuspecLmmSettings {
    const DEFAULTS: Self = Self {
        struct_size: size_of::<Self>() as u32,
        n_axes: 3,
        n_samples: 300,
        nfft: 32,
        hop: 16,
        cap: 0,
        floor: 0.1,
    };
}

/// Features of windows of one length. One call at a time may use it; other handles may be in use meanwhile.
pub struct ImuspecLmm {
    features: LogMagnitude<f32>,
    n_axes: usize,
    n_samples: usize,
    path: Path,
}

/// Fills settings with the defaults of imuspec.log_mean_magnitude, for windows of 3 axes and 300 samples.
///
/// # Safety
/// `settings` is null or may be written for `struct_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imuspec_lmm_defaults(settings: *mut ImuspecLmmSettings, struct_size: u32) -> i32 {
    run(|| {
        ensure(struct_size == ImuspecLmmSettings::DEFAULTS.struct_size, IMUSPEC_ERROR_STRUCT_SIZE)?;
        // SAFETY: as large as the caller says.
        unsafe { put(settings, ImuspecLmmSettings::DEFAULTS) }
    })
}

/// Makes a handle that computes features by `settings`, with all memory that it will need. On an error `*lmm` is null.
///
/// # Safety
/// `settings` and `lmm` are null or point to such; `*lmm` may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imuspec_lmm_new(settings: *const ImuspecLmmSettings, lmm: *mut *mut ImuspecLmm) -> i32 {
    let make = || {
        // SAFETY: the caller's promise.
        let settings = unsafe { shared(settings) }?;
        let ImuspecLmmSettings { struct_size, n_axes, n_samples, nfft, hop, cap, floor } = *settings;
        ensure(struct_size == ImuspecLmmSettings::DEFAULTS.struct_size, IMUSPEC_ERROR_STRUCT_SIZE)?;
        ensure(n_axes == 1 || n_axes == 3, IMUSPEC_ERROR_AXES)?;
        ensure((1..=IMUSPEC_MAX_SAMPLES).contains(&n_samples), IMUSPEC_ERROR_SAMPLES)?;
        ensure(nfft <= IMUSPEC_MAX_SAMPLES, IMUSPEC_ERROR_NFFT)?;
        ensure(cap <= 1, IMUSPEC_ERROR_CHOICE)?;
        let resolution = Resolution { nfft: nfft as usize, hop: hop as usize, floor, cap: cap == 1 };
        let features = LogMagnitude::new(&resolution, Moment::Mean, n_samples as usize)?;
        Ok(ImuspecLmm { features, n_axes: n_axes as usize, n_samples: n_samples as usize, path: Path::best() })
    };
    // SAFETY: the caller's promise.
    unsafe { hand_out(lmm, make) }
}

/// Writes the number of bins, nfft / 2 + 1; a window has n_axes * bins features.
///
/// # Safety
/// Each pointer is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imuspec_lmm_bins(lmm: *const ImuspecLmm, bins: *mut usize) -> i32 {
    run(|| {
        // SAFETY: the caller's promise.
        unsafe { put(bins, shared(lmm)?.features.bins()) }
    })
}

/// Computes the features of a window: x is [n_axes][n_samples] of n values in g, out [n_axes][bins] of n_out values.
/// The features of an axis with NaN are NaN.
///
/// # Safety
/// `lmm` is null or a handle that no other call uses; `x` and `out` are null or hold `n` and `n_out` values, apart.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imuspec_lmm_f32(
    lmm: *mut ImuspecLmm,
    x: *const f32,
    n: usize,
    out: *mut f32,
    n_out: usize,
) -> i32 {
    run(|| {
        // SAFETY: the caller's promise.
        let lmm = unsafe { unique(lmm) }?;
        // SAFETY: the caller's promise.
        let x = unsafe { samples(x, n, lmm.n_axes * lmm.n_samples) }?;
        // SAFETY: the caller's promise.
        let out = unsafe { output(out, n_out, lmm.n_axes * lmm.features.bins()) }?;
        Ok(lmm.features.compute(&Signals::contiguous(x, lmm.n_samples)?, out, lmm.path)?)
    })
}

/// Frees a handle; null is left alone.
///
/// # Safety
/// `lmm` is null or a handle that was not freed; it must not be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imuspec_lmm_free(lmm: *mut ImuspecLmm) {
    // SAFETY: the caller's promise.
    unsafe { free(lmm) };
}

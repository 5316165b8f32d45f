//! The C interface: windows to pictures and features, and pictures of a stream, for programs without Python.
//!
//! `include/imuspec.h` is made from this folder by cbindgen; a test holds it to the code. Settings go into a handle, which has
//! all memory that its calls need: no call but those that make and free handles takes or gives back memory. Whatever goes
//! wrong is a code; no panic leaves a function.
//!
//! Pictures of NaN are refused before they are drawn, because the messages of [`Error`] would take memory.
#![allow(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Error;

pub mod lmm;
pub mod picture;
pub mod stream;

#[cfg(test)]
mod allocations;
#[cfg(test)]
mod tests;

/// The call did what it says.
pub const IMUSPEC_OK: i32 = 0;
/// A pointer is null, or not aligned for what it points to.
pub const IMUSPEC_ERROR_POINTER: i32 = 1;
/// struct_size is not the size of the settings: they were not filled by the function of defaults.
pub const IMUSPEC_ERROR_STRUCT_SIZE: i32 = 2;
/// n_axes is neither 1 nor 3.
pub const IMUSPEC_ERROR_AXES: i32 = 3;
/// n_samples is 0, above IMUSPEC_MAX_SAMPLES, or too small for the frames.
pub const IMUSPEC_ERROR_SAMPLES: i32 = 4;
/// nfft is too small, or above IMUSPEC_MAX_SAMPLES.
pub const IMUSPEC_ERROR_NFFT: i32 = 5;
/// noverlap is not below nfft.
pub const IMUSPEC_ERROR_NOVERLAP: i32 = 6;
/// hop is 0.
pub const IMUSPEC_ERROR_HOP: i32 = 7;
/// levels, norm, resize, precision, preset, missing or cap is none of its values.
pub const IMUSPEC_ERROR_CHOICE: i32 = 8;
/// height and width are not both 0 or both within 1 to IMUSPEC_MAX_PIXELS.
pub const IMUSPEC_ERROR_SIZE: i32 = 9;
/// range_low_db is not below range_high_db, or one of them is not finite.
pub const IMUSPEC_ERROR_RANGE: i32 = 10;
/// The floor is negative or not finite, or given with a norm that has one, or 0 for a feature.
pub const IMUSPEC_ERROR_FLOOR: i32 = 11;
/// preset is given with other levels, norm or resize than the defaults.
pub const IMUSPEC_ERROR_PRESET: i32 = 12;
/// The number of samples given is not n_axes times n_samples (of a stream: n_axes).
pub const IMUSPEC_ERROR_INPUT_LENGTH: i32 = 13;
/// The number of values that out has room for is not what the handle writes.
pub const IMUSPEC_ERROR_OUTPUT_LENGTH: i32 = 14;
/// A sample is NaN or infinity.
pub const IMUSPEC_ERROR_NOT_FINITE: i32 = 15;
/// The spectrogram of one axis would have more than 2^26 cells.
pub const IMUSPEC_ERROR_CELLS: i32 = 16;
/// A bug in imuspec: please report it.
pub const IMUSPEC_ERROR_INTERNAL: i32 = 17;

/// Most samples of a window, and of a frame.
pub const IMUSPEC_MAX_SAMPLES: u32 = 1 << 20;
/// Most rows, and columns, of a picture.
pub const IMUSPEC_MAX_PIXELS: u32 = 1 << 12;

/// The version of the library, as "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn imuspec_version() -> *const std::ffi::c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// What a code means, in English; of an unknown code "unknown code". Never null, and never to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn imuspec_error_message(code: i32) -> *const std::ffi::c_char {
    let text = match code {
        IMUSPEC_OK => c"no error",
        IMUSPEC_ERROR_POINTER => c"pointer: expected memory that is aligned, got null or a misaligned address",
        IMUSPEC_ERROR_STRUCT_SIZE => c"struct_size: expected settings that the function of defaults filled",
        IMUSPEC_ERROR_AXES => c"n_axes: expected 1 or 3",
        IMUSPEC_ERROR_SAMPLES => c"n_samples: expected 1 to 1048576, and enough for a frame of a stream or feature",
        IMUSPEC_ERROR_NFFT => c"nfft: expected 8 (of a feature 2) to 1048576",
        IMUSPEC_ERROR_NOVERLAP => c"noverlap: expected less than nfft",
        IMUSPEC_ERROR_HOP => c"hop: expected at least 1 sample",
        IMUSPEC_ERROR_CHOICE => c"levels, norm, resize, precision, preset, missing or cap: expected one of its values",
        IMUSPEC_ERROR_SIZE => c"height, width: expected 1 to 4096, or both 0 for the native grid",
        IMUSPEC_ERROR_RANGE => c"range_low_db, range_high_db: expected finite numbers that rise",
        IMUSPEC_ERROR_FLOOR => c"floor: expected a positive number (0 for none), and none with a fixed range",
        IMUSPEC_ERROR_PRESET => c"preset: expected the default levels, norm and resize with it",
        IMUSPEC_ERROR_INPUT_LENGTH => c"samples: expected n_axes times n_samples (of a stream n_axes)",
        IMUSPEC_ERROR_OUTPUT_LENGTH => c"out: expected the length that the handle states",
        IMUSPEC_ERROR_NOT_FINITE => c"samples: expected finite numbers, got NaN or infinity",
        IMUSPEC_ERROR_CELLS => c"n_samples, nfft, noverlap: expected at most 67108864 cells of a spectrogram",
        IMUSPEC_ERROR_INTERNAL => c"bug in imuspec, please report",
        _ => c"unknown code",
    };
    text.as_ptr()
}

/// An error code other than [`IMUSPEC_OK`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct Code(i32);

type Result<T> = std::result::Result<T, Code>;

impl From<Error> for Code {
    /// The code of the argument that an error names: what a setting may be is decided in one place.
    fn from(error: Error) -> Self {
        let text = error.to_string();
        Self(match text.split_once(':').map_or("", |(name, _)| name) {
            "n_axes" => IMUSPEC_ERROR_AXES,
            "x" | "window" => IMUSPEC_ERROR_SAMPLES,
            "nfft" => IMUSPEC_ERROR_NFFT,
            "noverlap" => IMUSPEC_ERROR_NOVERLAP,
            "hop" => IMUSPEC_ERROR_HOP,
            "size" => IMUSPEC_ERROR_SIZE,
            "range_db" => IMUSPEC_ERROR_RANGE,
            "floor" | "floor_db" => IMUSPEC_ERROR_FLOOR,
            _ => IMUSPEC_ERROR_INTERNAL,
        })
    }
}

/// The one door: the code of what `work` returns, and that of a bug where it panics.
fn run(work: impl FnOnce() -> Result<()>) -> i32 {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => IMUSPEC_OK,
        Ok(Err(Code(code))) => code,
        Err(_) => IMUSPEC_ERROR_INTERNAL,
    }
}

fn ensure(condition: bool, code: i32) -> Result<()> {
    if condition { Ok(()) } else { Err(Code(code)) }
}

/// What `pointer` points to.
///
/// # Safety
/// Null, misaligned, or readable for `'a` and written by nobody else meanwhile.
unsafe fn shared<'a, T>(pointer: *const T) -> Result<&'a T> {
    ensure(!pointer.is_null() && pointer.is_aligned(), IMUSPEC_ERROR_POINTER)?;
    // SAFETY: aligned and not null; the rest is the caller's promise.
    Ok(unsafe { &*pointer })
}

/// The handle at `pointer`.
///
/// # Safety
/// Null, misaligned, or a handle that nobody else uses for `'a`.
unsafe fn unique<'a, T>(pointer: *mut T) -> Result<&'a mut T> {
    ensure(!pointer.is_null() && pointer.is_aligned(), IMUSPEC_ERROR_POINTER)?;
    // SAFETY: aligned and not null; the rest is the caller's promise.
    Ok(unsafe { &mut *pointer })
}

/// The `n` samples at `pointer`, of which there must be `expected`.
///
/// # Safety
/// As [`shared`], for `n` samples.
unsafe fn samples<'a>(pointer: *const f32, n: usize, expected: usize) -> Result<&'a [f32]> {
    ensure(n == expected, IMUSPEC_ERROR_INPUT_LENGTH)?;
    ensure(!pointer.is_null() && pointer.is_aligned(), IMUSPEC_ERROR_POINTER)?;
    // SAFETY: aligned and not null; the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(pointer, n) })
}

/// Writes `value` to `pointer`.
///
/// # Safety
/// Null, misaligned, or writable.
unsafe fn put<T>(pointer: *mut T, value: T) -> Result<()> {
    ensure(!pointer.is_null() && pointer.is_aligned(), IMUSPEC_ERROR_POINTER)?;
    // SAFETY: aligned and not null; the rest is the caller's promise.
    unsafe { pointer.write(value) };
    Ok(())
}

/// Room for `n` values at `pointer`, which must be `expected`.
///
/// # Safety
/// Null, misaligned, or `n` values that nobody else uses for `'a`. Memory of a C program holds some bits, and any are a value.
unsafe fn output<'a, T>(pointer: *mut T, n: usize, expected: usize) -> Result<&'a mut [T]> {
    ensure(n == expected, IMUSPEC_ERROR_OUTPUT_LENGTH)?;
    ensure(!pointer.is_null() && pointer.is_aligned(), IMUSPEC_ERROR_POINTER)?;
    // SAFETY: aligned and not null; the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer, n) })
}

/// Writes a new handle to `out`, or null with the error of `make`.
///
/// # Safety
/// `out` is null, misaligned, or may be written.
unsafe fn hand_out<T>(out: *mut *mut T, make: impl FnOnce() -> Result<T>) -> i32 {
    run(|| {
        // SAFETY: the caller's promise.
        unsafe { put(out, std::ptr::null_mut()) }?;
        let handle = Box::into_raw(Box::new(make()?));
        // SAFETY: the caller's promise.
        unsafe { put(out, handle) }
    })
}

/// Frees a handle; null is left alone.
///
/// # Safety
/// `handle` is null, or came from [`hand_out`] and was not freed.
unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: the caller's promise.
        let handle = unsafe { Box::from_raw(handle) };
        let _ = catch_unwind(AssertUnwindSafe(|| drop(handle)));
    }
}

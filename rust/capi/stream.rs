//! Samples one after the other to pictures, each column of which is computed once.

use super::picture::ImuspecPictureSettings;
use super::{
    IMUSPEC_ERROR_HOP, IMUSPEC_ERROR_NOT_FINITE, Result, ensure, free, hand_out, output, put, run, samples, shared,
    unique,
};
use crate::spectral::image::pixel::Pixel;
use crate::spectral::image::stream::Stream;

/// Pictures of a stream. One call at a time may use it; other handles may be in use meanwhile.
pub struct ImuspecStream {
    stream: Stream,
    n_axes: usize,
}

impl ImuspecStream {
    /// # Safety
    /// As [`samples`] and [`output`].
    unsafe fn push<P: Pixel>(&mut self, x: *const f32, n: usize, out: *mut P, n_out: usize) -> Result<bool> {
        let length = 3 * self.stream.plan().size().iter().product::<usize>();
        // SAFETY: the caller's promise.
        let (x, out) = unsafe { (samples(x, n, self.n_axes)?, output(out, n_out, length)?) };
        let finite = self.stream.plan().recipe.mask || x.iter().all(|v| v.is_finite());
        ensure(finite, IMUSPEC_ERROR_NOT_FINITE)?;
        let mut sample = [0.0; 3];
        sample.iter_mut().zip(x).for_each(|(wide, &v)| *wide = f64::from(v));
        Ok(self.stream.push_sample(&sample[..self.n_axes], out)?)
    }
}

/// Makes a handle that draws a picture every `hop` samples, of the n_samples before, as imuspec.ImageStream in Python.
///
/// The pictures are those of IMUSPEC_PRECISION_FLOAT64, whatever the settings. Each column is computed once where hop is a
/// multiple of nfft - noverlap; for another hop all of a picture is computed when it is due. On an error `*stream` is null.
///
/// # Safety
/// `settings` and `stream` are null or point to such; `*stream` may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imuspec_stream_new(
    settings: *const ImuspecPictureSettings,
    hop: u32,
    stream: *mut *mut ImuspecStream,
) -> i32 {
    let make = || {
        // SAFETY: the caller's promise.
        let settings = unsafe { shared(settings) }?;
        ensure(hop > 0, IMUSPEC_ERROR_HOP)?;
        let (n_axes, recipe) = (settings.axes(), settings.recipe()?);
        let mut stream = Stream::new(recipe, settings.length(), hop as usize, n_axes)?;
        stream.reserve();
        Ok(ImuspecStream { stream, n_axes })
    };
    // SAFETY: the caller's promise.
    unsafe { hand_out(stream, make) }
}

/// Writes rows and columns of a picture; a picture has 3 * rows * columns values.
///
/// # Safety
/// Each pointer is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imuspec_stream_size(
    stream: *const ImuspecStream,
    height: *mut usize,
    width: *mut usize,
) -> i32 {
    run(|| {
        // SAFETY: the caller's promise.
        let [rows, columns] = unsafe { shared(stream) }?.stream.plan().size();
        // SAFETY: the caller's promise.
        unsafe { put(height, rows).and(put(width, columns)) }
    })
}

/// Takes one sample of each axis, x is [n_axes] of n values in g. Where it completes a picture, draws it into out, of
/// n_out values, and sets *n_pictures to 1; else out is left alone and *n_pictures is 0. On an error nothing is taken.
///
/// # Safety
/// `stream` is null or a handle that no other call uses; the others are null or hold as many values as stated, apart.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imuspec_stream_push_u8(
    stream: *mut ImuspecStream,
    x: *const f32,
    n: usize,
    out: *mut u8,
    n_out: usize,
    n_pictures: *mut i32,
) -> i32 {
    run(|| {
        // SAFETY: the caller's promise.
        let stream = unsafe { put(n_pictures, 0).and_then(|()| unique(stream)) }?;
        // SAFETY: the caller's promise.
        let drawn = unsafe { stream.push(x, n, out, n_out) }?;
        // SAFETY: the caller's promise.
        unsafe { put(n_pictures, i32::from(drawn)) }
    })
}

/// As imuspec_stream_push_u8, with pictures as of imuspec_picture_f32.
///
/// # Safety
/// As [`imuspec_stream_push_u8`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imuspec_stream_push_f32(
    stream: *mut ImuspecStream,
    x: *const f32,
    n: usize,
    out: *mut f32,
    n_out: usize,
    n_pictures: *mut i32,
) -> i32 {
    run(|| {
        // SAFETY: the caller's promise.
        let stream = unsafe { put(n_pictures, 0).and_then(|()| unique(stream)) }?;
        // SAFETY: the caller's promise.
        let drawn = unsafe { stream.push(x, n, out, n_out) }?;
        // SAFETY: the caller's promise.
        unsafe { put(n_pictures, i32::from(drawn)) }
    })
}

/// Frees a handle; null is left alone.
///
/// # Safety
/// `stream` is null or a handle that was not freed; it must not be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imuspec_stream_free(stream: *mut ImuspecStream) {
    // SAFETY: the caller's promise.
    unsafe { free(stream) };
}

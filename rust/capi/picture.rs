//! A window to a picture.

use super::{
    Code, IMUSPEC_ERROR_AXES, IMUSPEC_ERROR_CELLS, IMUSPEC_ERROR_CHOICE, IMUSPEC_ERROR_FLOOR, IMUSPEC_ERROR_NFFT,
    IMUSPEC_ERROR_NOT_FINITE, IMUSPEC_ERROR_PRESET, IMUSPEC_ERROR_SAMPLES, IMUSPEC_ERROR_SIZE,
    IMUSPEC_ERROR_STRUCT_SIZE, IMUSPEC_MAX_PIXELS, IMUSPEC_MAX_SAMPLES, Result, ensure, free, hand_out, output, put,
    run, samples, shared, unique,
};
use crate::arrays::Signals;
use crate::spectral::image::definition::{Norm, Precision, Recipe};
use crate::spectral::image::levels::Tone;
use crate::spectral::image::painter::{Painter, Scratch};
use crate::spectral::image::pixel::Pixel;
use crate::spectral::image::resize::Resize;

/// levels: the greys of matplotlib's Greys.
pub const IMUSPEC_LEVELS_GREYS: u32 = 0;
/// levels: floor(255 u + 1/2).
pub const IMUSPEC_LEVELS_LINEAR: u32 = 1;
/// norm: the least and largest cell of an axis are black and white.
pub const IMUSPEC_NORM_AXIS_WINDOW: u32 = 0;
/// norm: those of all axes of the window.
pub const IMUSPEC_NORM_JOINT_WINDOW: u32 = 1;
/// norm: range_low_db and range_high_db.
pub const IMUSPEC_NORM_FIXED: u32 = 2;
/// resize: to 480 x 640 by nearest neighbour, then down by the bilinear filter of Pillow.
pub const IMUSPEC_RESIZE_CANVAS: u32 = 0;
/// resize: the bilinear filter of Pillow.
pub const IMUSPEC_RESIZE_ANTIALIAS: u32 = 1;
/// resize: the two nearest lines at half-pixel centres, as OpenCV.
pub const IMUSPEC_RESIZE_BILINEAR: u32 = 2;
/// precision: float32 where its rounding cannot show, else float64.
pub const IMUSPEC_PRECISION_AUTO: u32 = 0;
/// precision: float64, the definition.
pub const IMUSPEC_PRECISION_FLOAT64: u32 = 1;
/// precision: float32.
pub const IMUSPEC_PRECISION_FLOAT32: u32 = 2;
/// preset: none.
pub const IMUSPEC_PRESET_NONE: u32 = 0;
/// preset: the picture of the IMG2IMU authors' app.
pub const IMUSPEC_PRESET_ANDROID: u32 = 1;
/// missing: NaN and infinity are an error.
pub const IMUSPEC_MISSING_RAISE: u32 = 0;
/// missing: frames with NaN or infinity are black.
pub const IMUSPEC_MISSING_MASK: u32 = 1;

/// The settings of a picture: those of imuspec.rgb_image in Python. Fill it with imuspec_picture_defaults, then change fields.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ImuspecPictureSettings {
    /// sizeof(ImuspecPictureSettings); later versions may append fields.
    pub struct_size: u32,
    /// 3, or 1, which is copied to the three channels. Default 3.
    pub n_axes: u32,
    /// Samples of a window on each axis. Default 500.
    pub n_samples: u32,
    /// Samples of a frame. Default 128.
    pub nfft: u32,
    /// Samples that neighbouring frames share. Default 120.
    pub noverlap: u32,
    /// IMUSPEC_LEVELS_... Default greys.
    pub levels: u32,
    /// IMUSPEC_NORM_... Default axis-window.
    pub norm: u32,
    /// IMUSPEC_RESIZE_... Default canvas.
    pub resize: u32,
    /// Rows; 0 with width 0: nfft / 2 + 1. Default 96.
    pub height: u32,
    /// Columns; 0 with height 0: a column for each frame. Default 128.
    pub width: u32,
    /// IMUSPEC_PRECISION_... Default auto.
    pub precision: u32,
    /// IMUSPEC_PRESET_... Default none.
    pub preset: u32,
    /// IMUSPEC_MISSING_... Default raise.
    pub missing: u32,
    /// 0.
    pub reserved: u32,
    /// Decibels of black and white with IMUSPEC_NORM_FIXED. Default -60 and 40.
    pub range_low_db: f64,
    /// See range_low_db.
    pub range_high_db: f64,
    /// Cells weaker than the largest less this are drawn as if they were that strong, dB; 0: none. Default 0.
    pub floor_db: f64,
}

impl ImuspecPictureSettings {
    const DEFAULTS: Self = Self {
        struct_size: size_of::<Self>() as u32,
        n_axes: 3,
        n_samples: 500,
        nfft: 128,
        noverlap: 120,
        levels: IMUSPEC_LEVELS_GREYS,
        norm: IMUSPEC_NORM_AXIS_WINDOW,
        resize: IMUSPEC_RESIZE_CANVAS,
        height: 96,
        width: 128,
        precision: IMUSPEC_PRECISION_AUTO,
        preset: IMUSPEC_PRESET_NONE,
        missing: IMUSPEC_MISSING_RAISE,
        reserved: 0,
        range_low_db: -60.0,
        range_high_db: 40.0,
        floor_db: 0.0,
    };

    pub(super) fn axes(&self) -> usize {
        self.n_axes as usize
    }

    pub(super) fn length(&self) -> usize {
        self.n_samples as usize
    }

    /// The recipe of the settings.
    pub(super) fn recipe(&self) -> Result<Recipe> {
        let choice = Code(IMUSPEC_ERROR_CHOICE);
        ensure(self.struct_size == Self::DEFAULTS.struct_size && self.reserved == 0, IMUSPEC_ERROR_STRUCT_SIZE)?;
        ensure(self.n_axes == 1 || self.n_axes == 3, IMUSPEC_ERROR_AXES)?;
        ensure((1..=IMUSPEC_MAX_SAMPLES).contains(&self.n_samples), IMUSPEC_ERROR_SAMPLES)?;
        ensure(self.nfft <= IMUSPEC_MAX_SAMPLES, IMUSPEC_ERROR_NFFT)?;
        ensure(self.height.max(self.width) <= IMUSPEC_MAX_PIXELS, IMUSPEC_ERROR_SIZE)?;
        let norm = match self.norm {
            IMUSPEC_NORM_AXIS_WINDOW => Norm::AxisWindow,
            IMUSPEC_NORM_JOINT_WINDOW => Norm::JointWindow,
            IMUSPEC_NORM_FIXED => Norm::Range(self.range_low_db, self.range_high_db),
            _ => return Err(choice),
        };
        let floor_db = (self.floor_db != 0.0).then_some(self.floor_db);
        ensure(floor_db.is_none() || self.norm != IMUSPEC_NORM_FIXED, IMUSPEC_ERROR_FLOOR)?;
        let recipe = Recipe {
            nfft: self.nfft as usize,
            noverlap: self.noverlap as usize,
            tone: match self.levels {
                IMUSPEC_LEVELS_GREYS => Tone::Greys,
                IMUSPEC_LEVELS_LINEAR => Tone::Linear,
                _ => return Err(choice),
            },
            norm,
            resize: match self.resize {
                IMUSPEC_RESIZE_CANVAS => Resize::Canvas,
                IMUSPEC_RESIZE_ANTIALIAS => Resize::Antialias,
                IMUSPEC_RESIZE_BILINEAR => Resize::Bilinear,
                _ => return Err(choice),
            },
            size: (self.height != 0 || self.width != 0).then_some([self.height as usize, self.width as usize]),
            floor_db,
            precision: match self.precision {
                IMUSPEC_PRECISION_AUTO => Precision::Auto,
                IMUSPEC_PRECISION_FLOAT64 => Precision::Float64,
                IMUSPEC_PRECISION_FLOAT32 => Precision::Float32,
                _ => return Err(choice),
            },
            one_sided: true,
            sunk: false,
            mask: match self.missing {
                IMUSPEC_MISSING_RAISE => false,
                IMUSPEC_MISSING_MASK => true,
                _ => return Err(choice),
            },
        };
        let recipe = match self.preset {
            IMUSPEC_PRESET_NONE => recipe,
            IMUSPEC_PRESET_ANDROID => recipe.android().ok_or(Code(IMUSPEC_ERROR_PRESET))?,
            _ => return Err(choice),
        };
        recipe.check()?;
        let frames = (self.length().max(recipe.nfft) - recipe.noverlap) / (recipe.nfft - recipe.noverlap);
        let native = recipe.size.is_none() && (recipe.nfft / 2 + 1).max(frames) > IMUSPEC_MAX_PIXELS as usize;
        ensure(!native, IMUSPEC_ERROR_SIZE)?;
        // The largest nfft and noverlap would ask for terabytes.
        let cells = (recipe.nfft / 2 + 1).checked_mul(frames);
        ensure(cells.is_some_and(|n| n <= MAX_CELLS), IMUSPEC_ERROR_CELLS)?;
        Ok(recipe)
    }
}

/// Most cells of a spectrogram: some gigabytes of a handle.
const MAX_CELLS: usize = 1 << 26;

/// Pictures of windows of one length. One call at a time may use it; other handles may be in use meanwhile.
pub struct ImuspecPicture {
    painter: Painter,
    scratch: Scratch,
    n_axes: usize,
    mask: bool,
}

impl ImuspecPicture {
    fn length(&self) -> usize {
        3 * self.painter.plan().size().iter().product::<usize>()
    }

    /// # Safety
    /// As [`samples`] and [`output`].
    unsafe fn draw<P: Pixel>(&mut self, x: *const f32, n: usize, out: *mut P, n_out: usize) -> Result<()> {
        // SAFETY: the caller's promise.
        let x = unsafe { samples(x, n, self.n_axes * self.painter.plan().length) }?;
        // SAFETY: the caller's promise.
        let out = unsafe { output(out, n_out, self.length()) }?;
        ensure(self.mask || x.iter().all(|v| v.is_finite()), IMUSPEC_ERROR_NOT_FINITE)?;
        let x = Signals::contiguous(x, self.painter.plan().length)?;
        self.painter.draw_one(&x, &mut self.scratch, out).map_err(|_| Code(IMUSPEC_ERROR_NOT_FINITE))
    }
}

/// Fills settings with the defaults of imuspec.rgb_image, for windows of 3 axes and 500 samples.
///
/// # Safety
/// `settings` is null or may be written for `struct_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imuspec_picture_defaults(settings: *mut ImuspecPictureSettings, struct_size: u32) -> i32 {
    run(|| {
        ensure(struct_size == ImuspecPictureSettings::DEFAULTS.struct_size, IMUSPEC_ERROR_STRUCT_SIZE)?;
        // SAFETY: as large as the caller says.
        unsafe { put(settings, ImuspecPictureSettings::DEFAULTS) }
    })
}

/// Makes a handle that draws windows by `settings`, with all memory that it will need. On an error `*picture` is null.
///
/// # Safety
/// `settings` and `picture` are null or point to such; `*picture` may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imuspec_picture_new(
    settings: *const ImuspecPictureSettings,
    picture: *mut *mut ImuspecPicture,
) -> i32 {
    let make = || {
        // SAFETY: the caller's promise.
        let settings = unsafe { shared(settings) }?;
        let painter = Painter::new(settings.recipe()?, settings.length())?;
        let (scratch, mask) = (painter.full_scratch(), painter.plan().recipe.mask);
        Ok(ImuspecPicture { painter, scratch, n_axes: settings.axes(), mask })
    };
    // SAFETY: the caller's promise.
    unsafe { hand_out(picture, make) }
}

/// Writes rows and columns of a picture; a picture has 3 * rows * columns values.
///
/// # Safety
/// Each pointer is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imuspec_picture_size(
    picture: *const ImuspecPicture,
    height: *mut usize,
    width: *mut usize,
) -> i32 {
    run(|| {
        // SAFETY: the caller's promise.
        let [rows, columns] = unsafe { shared(picture) }?.painter.plan().size();
        // SAFETY: the caller's promise.
        unsafe { put(height, rows).and(put(width, columns)) }
    })
}

/// Draws a window as levels: x is [n_axes][n_samples] of n values in g, out [3][rows][columns] of n_out values.
///
/// # Safety
/// `picture` is null or a handle that no other call uses; `x` and `out` are null or hold `n` and `n_out` values, apart.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imuspec_picture_u8(
    picture: *mut ImuspecPicture,
    x: *const f32,
    n: usize,
    out: *mut u8,
    n_out: usize,
) -> i32 {
    // SAFETY: the caller's promise.
    run(|| unsafe { unique(picture)?.draw(x, n, out, n_out) })
}

/// As imuspec_picture_u8, but (level / 255 - mean) / sd with the means and standard deviations of ImageNet.
///
/// # Safety
/// As [`imuspec_picture_u8`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imuspec_picture_f32(
    picture: *mut ImuspecPicture,
    x: *const f32,
    n: usize,
    out: *mut f32,
    n_out: usize,
) -> i32 {
    // SAFETY: the caller's promise.
    run(|| unsafe { unique(picture)?.draw(x, n, out, n_out) })
}

/// Frees a handle; null is left alone.
///
/// # Safety
/// `picture` is null or a handle that was not freed; it must not be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imuspec_picture_free(picture: *mut ImuspecPicture) {
    // SAFETY: the caller's promise.
    unsafe { free(picture) };
}

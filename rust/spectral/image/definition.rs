//! A window of motion becomes a picture: spectrogram, decibels, min-max, grey levels, 96 x 128.
//!
//! This file holds the recipe and its plain definition in float64, step by step as published; [`super::painter`] draws
//! the same picture without ever writing the spectrogram down.
//!
//! # Source
//! IMG2IMU (Yoon et al., IEEE TMC 2025) and the authors' published picture, which the default recipe gives value for value.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::extent::Extent;
use super::levels::Tone;
use super::resize::{CANVAS, Lines, Resize, mix};
use crate::error::{Error, Result};

/// Which cells share one minimum and maximum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Norm {
    /// Those of one axis of one window.
    AxisWindow,
    /// Those of all axes of a triad in one window.
    JointWindow,
    /// None: black and white lie at these decibels.
    Range(f64, f64),
}

/// In which arithmetic the spectrogram is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// float32 where its rounding noise cannot show, else float64.
    Auto,
    /// float64 throughout: the definition.
    Float64,
    /// float32 throughout.
    Float32,
}

/// Every choice of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Samples of a frame.
    pub nfft: usize,
    /// Samples that neighbouring frames share.
    pub noverlap: usize,
    /// Grey curve.
    pub tone: Tone,
    /// What min-max spans.
    pub norm: Norm,
    /// From the native grid to `size`.
    pub resize: Resize,
    /// Rows and columns; `None` keeps the native grid.
    pub size: Option<[usize; 2]>,
    /// Cells more than this below the maximum are drawn as the maximum less this.
    pub floor_db: Option<f64>,
    /// Arithmetic.
    pub precision: Precision,
    /// Count the power of all bins but 0 and nfft / 2 twice.
    pub one_sided: bool,
    /// The Android app's picture starts one row lower: its top row is black and bin 0 is not drawn.
    pub sunk: bool,
    /// Draw frames that hold NaN or infinity black instead of refusing them.
    pub mask: bool,
}

impl Recipe {
    /// The recipe with what the picture of the authors' Android app fixes; `None` where tone, norm or resize are not the
    /// published picture's.
    #[must_use]
    pub fn android(self) -> Option<Self> {
        let published = (self.tone, self.norm, self.resize) == (Tone::Greys, Norm::AxisWindow, Resize::Canvas);
        let app = Self { tone: Tone::Android, resize: Resize::Nearest, one_sided: false, sunk: true, ..self };
        published.then_some(app)
    }

    /// Refuses a recipe of which there are no pictures.
    ///
    /// # Errors
    /// [`Error::Value`] for an nfft below 8, a noverlap not below nfft, an empty size or range, or a floor that is not positive.
    pub fn check(&self) -> Result<()> {
        let Self { nfft, noverlap, .. } = *self;
        if nfft < 8 {
            return Err(Error::value("nfft", "at least 8 samples", nfft));
        }
        if noverlap >= nfft {
            return Err(Error::value("noverlap", format!("less than nfft = {nfft}"), noverlap));
        }
        if let Norm::Range(low, high) = self.norm
            && !(low.is_finite() && high.is_finite() && low < high)
        {
            return Err(Error::value("range_db", "(low, high) with low < high", format!("({low}, {high})")));
        }
        if let Some(floor) = self.floor_db
            && !(floor.is_finite() && floor > 0.0)
        {
            return Err(Error::value("floor_db", "a positive number of decibels", floor));
        }
        if let Some(size @ ([0, _] | [_, 0])) = self.size {
            return Err(Error::value("size", "(rows, columns) of at least 1", format!("{size:?}")));
        }
        Ok(())
    }
}

/// A recipe made ready for windows of one length.
pub struct Plan {
    /// The recipe.
    pub recipe: Recipe,
    /// Samples of a window.
    pub length: usize,
    /// Bins and frames of the native grid.
    pub grid: [usize; 2],
    /// The columns of the picture out of the frames.
    pub columns: Lines,
    /// The rows of the picture, highest frequency first, out of the bins.
    pub rows: Lines,
    /// Whether rows are resized before columns: Pillow's order for [`Resize::Antialias`] where the rows shrink the more.
    pub rows_first: bool,
    /// The symmetric Hann window.
    pub window: Vec<f64>,
    engine: Arc<dyn RealToComplex<f64>>,
}

/// The definition's working memory: taken with the first picture, kept for all later ones of the same plan.
#[derive(Default)]
pub struct Scratch {
    db: [Vec<f64>; 3],
    grid: Vec<u8>,
    stretched: Vec<u8>,
    column: Vec<f64>,
    frame: FrameScratch,
}

/// Working memory for one frame.
#[derive(Default)]
pub struct FrameScratch {
    samples: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    engine: Vec<Complex<f64>>,
}

impl Plan {
    /// Plans pictures of windows of `length` samples. A window shorter than nfft is padded with zeros to one frame.
    ///
    /// # Errors
    /// As [`Recipe::check`]; [`Error::Shape`] for an empty window.
    pub fn new(recipe: Recipe, length: usize) -> Result<Self> {
        recipe.check()?;
        if length == 0 {
            return Err(Error::shape("x", "at least one sample", "an empty time axis"));
        }
        let Recipe { nfft, noverlap, .. } = recipe;
        let frames = (length.max(nfft) - noverlap) / (nfft - noverlap);
        let bins = nfft / 2 + 1;
        let [height, width] = recipe.size.unwrap_or([bins, frames]);
        let (rows, columns) = match recipe.size {
            None => (Lines::identity(bins), Lines::identity(frames)),
            Some(_) => (
                Lines::new(recipe.resize, bins, height, CANVAS[0]),
                Lines::new(recipe.resize, frames, width, CANVAS[1]),
            ),
        };
        let rows = if recipe.sunk { rows.on_source_below(1) } else { rows };
        let step = 2.0 * std::f64::consts::PI / (nfft - 1) as f64;
        Ok(Self {
            recipe,
            length,
            grid: [bins, frames],
            columns,
            rows_first: recipe.resize == Resize::Antialias && bins > height && bins * width > frames * height,
            rows: rows.on_flipped(bins),
            window: (0..nfft).map(|k| 0.5 - 0.5 * (step * k as f64).cos()).collect(),
            engine: RealFftPlanner::new().plan_fft_forward(nfft),
        })
    }

    /// Rows and columns of a picture.
    pub fn size(&self) -> [usize; 2] {
        [self.rows.len(), self.columns.len()]
    }

    /// Samples from one frame to the next.
    pub fn hop(&self) -> usize {
        self.recipe.nfft - self.recipe.noverlap
    }

    /// Decibels of all cells of axis `k`, [bin, frame], into `scratch.db[k]`; a masked cell is -infinity.
    fn decibels(&self, axis: &[f64], k: usize, scratch: &mut Scratch) -> Extent {
        let Scratch { db, column, frame: memory, .. } = scratch;
        let ([bins, frames], out) = (self.grid, &mut db[k]);
        out.clear();
        out.resize(bins * frames, f64::NEG_INFINITY);
        let mut extent = Extent::NONE;
        for frame in 0..frames {
            let from = frame * self.hop();
            let samples = &axis[from.min(axis.len())..(from + self.recipe.nfft).min(axis.len())];
            extent = extent.union(self.column(samples, column, memory));
            column.iter().enumerate().for_each(|(bin, &db)| out[bin * frames + frame] = db);
        }
        extent
    }

    /// Decibels of the bins of one frame, which zeros fill up; a masked cell is -infinity.
    pub fn column(&self, samples: &[f64], out: &mut Vec<f64>, scratch: &mut FrameScratch) -> Extent {
        let mut extent = Extent::NONE;
        out.clear();
        out.resize(self.grid[0], f64::NEG_INFINITY);
        if samples.iter().any(|v| !v.is_finite()) {
            return extent;
        }
        let FrameScratch { samples: frame, spectrum, engine } = scratch;
        let scale = binary_scale(samples);
        frame.clear();
        frame.extend(samples.iter().zip(&self.window).map(|(v, w)| v * scale * w));
        frame.resize(self.recipe.nfft, 0.0);
        spectrum.resize(self.grid[0], Complex::default());
        engine.resize(self.engine.get_scratch_len(), Complex::default());
        if self.engine.process_with_scratch(frame, spectrum, engine).is_err() {
            unreachable!("buffers have the engine's lengths");
        }
        for (bin, (db, c)) in out.iter_mut().zip(&*spectrum).enumerate() {
            let power = c.norm_sqr() * self.bin_factor(bin);
            if power > 0.0 {
                *db = 10.0 * power.log10() - 20.0 * scale.log10();
                extent = extent.union(Extent { low: *db, high: *db });
            }
        }
        extent
    }

    /// The grey of a cell.
    pub fn grey(&self, db: f64, ends: Option<[f64; 2]>) -> u8 {
        match ends {
            Some([low, high]) if db > f64::NEG_INFINITY => self.recipe.tone.grey((db - low) / (high - low)),
            _ => 0,
        }
    }

    /// Real and imaginary parts of the transform of the window function.
    pub fn window_spectrum(&self) -> Vec<[f64; 2]> {
        let mut spectrum = self.engine.make_output_vec();
        if self.engine.process(&mut self.window.clone(), &mut spectrum).is_err() {
            unreachable!("buffers have the engine's lengths");
        }
        spectrum.iter().map(|c| [c.re, c.im]).collect()
    }

    /// 2 for the bins that stand for two.
    pub fn bin_factor(&self, bin: usize) -> f64 {
        if self.recipe.one_sided && bin > 0 && 2 * bin != self.recipe.nfft { 2.0 } else { 1.0 }
    }

    /// The decibels of black and white for cells that span `extent`; `None`: all is black.
    pub fn ends(&self, extent: Extent) -> Option<[f64; 2]> {
        let [low, high] = match self.recipe.norm {
            Norm::Range(low, high) => [low, high],
            _ => [extent.low, extent.high],
        };
        let low = self.recipe.floor_db.map_or(low, |floor| low.max(high - floor));
        (low < high).then_some([low, high])
    }

    /// The picture of one window, by definition: three planes of [`Plan::size`] in `out`.
    ///
    /// # Errors
    /// [`Error::Value`] naming the axis where it holds NaN or infinity and the recipe does not mask them.
    pub fn draw(&self, axes: [&[f64]; 3], scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
        let mut extents = [Extent::NONE; 3];
        for (k, axis) in axes.into_iter().enumerate() {
            if !self.recipe.mask && axis.iter().any(|v| !v.is_finite()) {
                return Err(not_finite(0, k));
            }
            extents[k] = self.decibels(axis, k, scratch);
        }
        if self.recipe.norm == Norm::JointWindow {
            extents = [extents.into_iter().fold(Extent::NONE, Extent::union); 3];
        }
        let plane = out.len() / 3;
        for (k, out) in out.chunks_exact_mut(plane).enumerate() {
            let ends = self.ends(extents[k]);
            scratch.grid.clear();
            scratch.grid.extend(scratch.db[k].iter().map(|&db| self.grey(db, ends)));
            self.resize(&scratch.grid, &mut scratch.stretched, out);
        }
        Ok(())
    }

    /// The picture of a grid [bin, frame], by definition.
    pub fn resize(&self, grid: &[u8], stretched: &mut Vec<u8>, out: &mut [u8]) {
        let ([bins, frames], [height, width]) = (self.grid, self.size());
        let (rows, columns) = (self.rows.iter(), self.columns.iter());
        stretched.clear();
        if self.rows_first {
            stretched.extend(rows.flat_map(|line| (0..frames).map(|t| mix(line, |i| grid[i * frames + t]))));
            for (row, out) in stretched.chunks_exact(frames).zip(out.chunks_exact_mut(width)) {
                out.iter_mut().zip(columns.clone()).for_each(|(out, line)| *out = mix(line, |i| row[i]));
            }
        } else {
            stretched
                .extend((0..bins).flat_map(|f| columns.clone().map(move |line| mix(line, |i| grid[f * frames + i]))));
            for (i, out) in rows.flat_map(|line| (0..width).map(move |c| (line, c))).zip(out) {
                *out = mix(i.0, |f| stretched[f * width + i.1]);
            }
        }
        debug_assert_eq!(stretched.len(), if self.rows_first { height * frames } else { bins * width });
    }
}

/// The error for a NaN or infinity.
pub fn not_finite(window: usize, axis: usize) -> Error {
    Error::value("x", "finite samples (or nan=\"mask\")", format!("NaN or infinity in window {window}, axis {axis}"))
}

/// The power of two that brings samples of extreme size, whose squares would leave float64, to a size of about one.
fn binary_scale(samples: &[f64]) -> f64 {
    let largest = samples.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    if largest > 0.0 && !(1e-100..1e100).contains(&largest) {
        2f64.powi(-(largest.log2().floor() as i32).max(-1000))
    } else {
        1.0
    }
}

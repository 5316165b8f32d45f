//! Batches of pictures: triads, pixel types, parallel over pictures. The spectrogram of a channel never leaves the cache:
//! power, greys and the two resizing passes of one axis follow each other in the memory of one thread.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::bytes::TILE;
use super::definition::{self, Norm, Plan, Precision, Recipe, not_finite};
use super::extent::Extent;
use super::greys::Greys;
use super::levels::BLOCK;
use super::pixel::Pixel;
use super::power::{self, Sample, Transforms};
use super::resize_lanes::{self, Draw};
use crate::arrays::{Signals, check_length};
use crate::error::{Error, Result};
use crate::spectral::lanes::{Path, dispatch};
use crate::spectral::memory::LARGE;
use crate::threads::{self, Lent, Spares};

/// A recipe made ready to draw batches, with the working memory of the threads that have drawn.
pub struct Painter {
    plan: Plan,
    transforms: Transforms,
    spares: Spares<Scratch>,
}

/// Working memory of one thread.
pub struct Scratch {
    power: power::Scratch,
    cells: Vec<f32>,
    greys: Vec<u8>,
    resize: resize_lanes::Scratch,
    image: definition::Scratch,
    samples: Vec<f64>,
    bytes: Vec<u8>,
    /// The pictures are those of a batch that no cache holds.
    past_cache: bool,
}

/// log2 of a power, per decibel.
const PER_DB: f64 = std::f64::consts::LOG2_10 / 10.0;

impl Painter {
    /// Plans pictures of windows of `length` samples.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn new(recipe: Recipe, length: usize) -> Result<Self> {
        let plan = Plan::new(recipe, length)?;
        Ok(Self { transforms: Transforms::new(&plan)?, plan, spares: Spares::default() })
    }

    /// What is drawn.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    fn lend(&self) -> Lent<'_, Scratch> {
        self.spares.lend(|| self.scratch())
    }

    /// Memory for one thread; what some windows alone need comes with the first of them.
    fn scratch(&self) -> Scratch {
        let [bins, frames] = self.plan.grid;
        Scratch {
            power: self.transforms.scratch(),
            cells: vec![0.0; 3 * self.transforms.cells()],
            greys: vec![0; bins.next_multiple_of(TILE) * frames.next_multiple_of(BLOCK)],
            resize: resize_lanes::Scratch::default(),
            image: definition::Scratch::default(),
            samples: Vec::new(),
            bytes: Vec::new(),
            past_cache: false,
        }
    }

    /// All memory that [`Painter::draw_one`] needs for any window.
    pub fn full_scratch(&self) -> Scratch {
        let mut scratch = self.scratch();
        let [height, width] = self.plan.size();
        let (silence, mut out) = (vec![0.0f32; self.plan.length], vec![0f32; 3 * height * width]);
        // Silence goes the fused path in both precisions, and can be drawn by definition. Floats need more than bytes.
        if let Ok(x) = Signals::contiguous(&silence, self.plan.length) {
            let _ = self.fused(&x, 0..1, &mut scratch, &mut out);
            let _ = self.defined(&x, 0..1, &mut scratch, &mut out);
        }
        scratch
    }

    /// Draws one window of one or three axes on the caller's thread. With a [`Painter::full_scratch`] it takes no memory,
    /// unless samples are not finite and the recipe does not mask them.
    ///
    /// # Errors
    /// The index of the first axis with NaN or infinity, unless masked.
    ///
    /// # Panics
    /// Where the window has no axes or another length than planned, or `out` is no picture.
    pub fn draw_one<T: Sample, P: Pixel>(
        &self,
        x: &Signals<'_, T>,
        scratch: &mut Scratch,
        out: &mut [P],
    ) -> std::result::Result<(), usize> {
        let [height, width] = self.plan.size();
        assert!(x.time() == self.plan.length && out.len() == 3 * height * width, "a window and a picture as planned");
        self.picture(x, 0..x.count(), scratch, out)
    }

    /// Draws every triad of channels of every window: `out` is [window, triad, 3, row, column]. A single channel is drawn
    /// once and copied to all three.
    ///
    /// # Shape
    /// `x`: [..., channels, time], channels 1 or a multiple of 3, time as planned.
    ///
    /// # Errors
    /// [`Error::Shape`] for other shapes; [`Error::Value`] naming window and axis of the first NaN or infinity, unless
    /// masked.
    pub fn draw<T: Sample, P: Pixel>(&self, x: &Signals<'_, T>, channels: usize, out: &mut [P]) -> Result<()> {
        let triads = if channels == 1 { 1 } else { channels / 3 };
        if triads == 0 || (channels != 1 && !channels.is_multiple_of(3)) || !x.count().is_multiple_of(channels) {
            return Err(Error::shape("x", "1 axis or triads of axes before time", format!("{channels} axes")));
        }
        if x.time() != self.plan.length {
            return Err(Error::shape("x", format!("{} samples, as planned", self.plan.length), x.time()));
        }
        let (n, [height, width]) = (x.count() / channels, self.plan.size());
        check_length("out", out.len(), &[n, triads, 3, height, width])?;
        let picture = 3 * height * width;
        let past_cache = size_of_val(out) >= LARGE;
        let worst: Mutex<Option<usize>> = Mutex::new(None);
        let items = out.chunks_exact_mut(picture).enumerate();
        let threads = threads::worth(self.nanoseconds() * (n * triads) as f64);
        threads::for_each(
            threads,
            items,
            || {
                let mut scratch = self.lend();
                scratch.past_cache = past_cache;
                scratch
            },
            |scratch, (i, out)| {
                let first = i / triads * channels + 3 * (i % triads);
                if let Err(signal) = self.picture(x, first..first + channels.min(3), scratch, out) {
                    let mut worst = worst.lock().unwrap_or_else(PoisonError::into_inner);
                    *worst = Some(worst.map_or(signal, |w| w.min(signal)));
                }
            },
        );
        match worst.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(signal) => Err(not_finite(signal / channels, signal % channels)),
            None => Ok(()),
        }
    }

    /// About what one picture costs.
    fn nanoseconds(&self) -> f64 {
        let [bins, frames] = self.plan.grid;
        let pixels: usize = self.plan.size().iter().product();
        3.0 * (2.0 * (bins * frames) as f64 + 0.2 * pixels as f64)
    }

    /// The picture of `axes`, one signal or three; the error is the signal that is not finite.
    fn picture<T: Sample, P: Pixel>(
        &self,
        x: &Signals<'_, T>,
        axes: Range<usize>,
        scratch: &mut Scratch,
        out: &mut [P],
    ) -> std::result::Result<(), usize> {
        let fast = self.plan.recipe.precision != Precision::Float64;
        if fast && self.fused(x, axes.clone(), scratch, out).is_some() {
            return Ok(());
        }
        self.defined(x, axes, scratch, out)
    }

    /// The picture by the definition.
    fn defined<T: Sample, P: Pixel>(
        &self,
        x: &Signals<'_, T>,
        axes: Range<usize>,
        scratch: &mut Scratch,
        out: &mut [P],
    ) -> std::result::Result<(), usize> {
        let (length, plane) = (x.time(), out.len() / 3);
        let Scratch { image, samples, bytes, .. } = scratch;
        samples.resize(3 * length, 0.0);
        bytes.resize(3 * plane, 0);
        let signal = |k: usize| (axes.start + k).min(axes.end - 1);
        for (k, samples) in samples.chunks_exact_mut(length).enumerate() {
            x.for_each(signal(k), |i, v| samples[i] = v.into());
        }
        let samples = [0, 1, 2].map(|k| &samples[k * length..][..length]);
        if self.plan.draw(samples, image, bytes).is_err() {
            let bad = samples.iter().position(|axis| axis.iter().any(|v| !v.is_finite()));
            return Err(signal(bad.unwrap_or(0)));
        }
        let planes = out.chunks_exact_mut(plane).zip(bytes.chunks_exact(plane));
        planes.enumerate().for_each(|(k, (out, bytes))| P::put(bytes, k, out));
        Ok(())
    }

    /// The picture by the fused path; `None` where that is not for this window.
    fn fused<T: Sample, P: Pixel>(
        &self,
        x: &Signals<'_, T>,
        axes: Range<usize>,
        scratch: &mut Scratch,
        out: &mut [P],
    ) -> Option<()> {
        let Scratch { power, cells, greys, resize, past_cache, .. } = scratch;
        let mut take = |axis, cells: &mut [f32]| self.transforms.power(x, axis, |e, s| self.faint(e, s), power, cells);
        // Of one range for all axes the powers come first; else each is taken just before it is drawn, while it is cached.
        let joint = self.plan.recipe.norm == Norm::JointWindow;
        let size = self.transforms.cells();
        let mut spans = [(Extent::NONE, 0.0); 3];
        if joint {
            for ((span, axis), cells) in spans.iter_mut().zip(axes.clone()).zip(cells.chunks_exact_mut(size)) {
                *span = take(axis, cells)?;
            }
            let all = spans.iter().fold(Extent::NONE, |all, (e, s)| all.union(e.raised(-s)));
            spans = spans.map(|(_, shift)| (all.raised(shift), shift));
        }
        let plane = out.len() / 3;
        for (k, out) in out.chunks_exact_mut(plane).enumerate() {
            if k < axes.len() {
                let cells = &mut cells[if joint { k * size } else { 0 }..][..size];
                let (extent, shift) = if joint { spans[k] } else { take(axes.start + k, cells)? };
                self.paint(cells, self.ends(extent, shift), greys);
            }
            dispatch(
                Path::best(),
                Draw { plan: &self.plan, greys, scratch: resize, channel: k, out, past_cache: *past_cache },
            );
        }
        Some(())
    }

    /// The log2 of the weakest power that shows, as [`Transforms::power`] asks for it.
    ///
    /// A floor hides no cell here: a true zero is left out of the range, its noise is not, and would stretch it to the floor.
    fn faint(&self, extent: Extent, shift: f64) -> Option<f64> {
        let recipe = &self.plan.recipe;
        let black = if let Norm::Range(..) = recipe.norm { self.ends(extent, shift)[0] } else { extent.low };
        (recipe.precision != Precision::Float32).then(|| black.max(extent.low))
    }

    /// The greys of the cells of one axis.
    fn paint(&self, cells: &[f32], ends: [f64; 2], greys: &mut [u8]) {
        if ends[0] < ends[1] {
            let (tone, bins) = (self.plan.recipe.tone, self.plan.grid[0]);
            dispatch(Path::best(), Greys { tone, cells, ends, bins, pitch: bins.next_multiple_of(TILE), out: greys });
        } else {
            greys.fill(0);
        }
    }

    /// log2 of the powers, 2^`shift` too large, that are black and white; as [`Plan::ends`].
    fn ends(&self, extent: Extent, shift: f64) -> [f64; 2] {
        let [low, high] = match self.plan.recipe.norm {
            Norm::Range(low, high) => [low * PER_DB + shift, high * PER_DB + shift],
            _ => [extent.low, extent.high],
        };
        [self.plan.recipe.floor_db.map_or(low, |floor| low.max(high - floor * PER_DB)), high]
    }
}

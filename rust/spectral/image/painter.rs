//! Batches of pictures: triads, pixel types, parallel over pictures. The spectrogram of a channel never leaves the cache:
//! power, greys and the two resizing passes of one axis follow each other in the memory of one thread.

use std::sync::{Mutex, PoisonError};

use super::definition::{self, Norm, Plan, Precision, Recipe, not_finite};
use super::extent::Extent;
use super::levels::{BLOCK, Greys, TILE};
use super::pixel::Pixel;
use super::power::{self, Sample, Transforms};
use super::resize_lanes::{self, Draw};
use crate::error::{Error, Result};
use crate::spectral::batch::Windows;
use crate::spectral::lanes::{Path, dispatch};
use crate::threads::{self, Lent, Spares};

/// A recipe made ready to draw batches, with the working memory of the threads that have drawn.
pub struct Painter {
    plan: Plan,
    transforms: Transforms,
    spares: Spares<Scratch>,
}

/// Working memory of one thread.
struct Scratch {
    power: power::Scratch,
    cells: Vec<f32>,
    greys: Vec<u8>,
    resize: resize_lanes::Scratch,
    image: definition::Scratch,
    axes: Vec<f64>,
    bytes: Vec<u8>,
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
        let [bins, frames] = self.plan.grid;
        self.spares.lend(|| Scratch {
            power: self.transforms.scratch(),
            cells: vec![0.0; 3 * self.transforms.cells()],
            greys: vec![0; bins.next_multiple_of(TILE) * frames.next_multiple_of(BLOCK)],
            resize: resize_lanes::Scratch::default(),
            image: definition::Scratch::default(),
            axes: Vec::new(),
            bytes: Vec::new(),
        })
    }

    /// Draws every triad of channels of every window: `out` is [window][triad][3][row][column]. A single channel is drawn
    /// once and copied to all three.
    ///
    /// # Shape
    /// `x`: [n, channels, time], channels 1 or a multiple of 3, time as planned.
    ///
    /// # Errors
    /// [`Error::Shape`] for other shapes; [`Error::Value`] naming window and axis of the first NaN or infinity, unless
    /// masked.
    pub fn draw<T: Sample, P: Pixel>(&self, x: Windows<'_, T>, out: &mut [P]) -> Result<()> {
        let [n, channels, length] = x.shape();
        let triads = if channels == 1 { 1 } else { channels / 3 };
        if triads == 0 || (channels != 1 && channels % 3 != 0) {
            return Err(Error::shape("x", "1 axis or triads of axes before time", format!("{channels} axes")));
        }
        let picture = 3 * self.plan.size().iter().product::<usize>();
        if length != self.plan.length || out.len() != n * triads * picture {
            return Err(Error::shape("out", format!("{} values", n * triads * picture), out.len()));
        }
        let worst: Mutex<Option<(usize, usize)>> = Mutex::new(None);
        let items = out.chunks_exact_mut(picture).enumerate();
        let threads = threads::worth(self.nanoseconds() * (n * triads) as f64);
        threads::for_each(
            threads,
            items,
            || self.lend(),
            |scratch, (i, out)| {
                let at = (i / triads, 3 * (i % triads));
                if let Err(axis) = self.picture(&x, at, scratch, out) {
                    let mut worst = worst.lock().unwrap_or_else(PoisonError::into_inner);
                    *worst = Some(worst.map_or((at.0, axis), |w| w.min((at.0, axis))));
                }
            },
        );
        match worst.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some((window, axis)) => Err(not_finite(window, axis)),
            None => Ok(()),
        }
    }

    /// About what one picture costs.
    fn nanoseconds(&self) -> f64 {
        let [bins, frames] = self.plan.grid;
        let pixels: usize = self.plan.size().iter().product();
        3.0 * (2.0 * (bins * frames) as f64 + 0.2 * pixels as f64)
    }

    /// One picture; the error is the axis that is not finite.
    fn picture<T: Sample, P: Pixel>(
        &self,
        x: &Windows<'_, T>,
        (window, first): (usize, usize),
        scratch: &mut Scratch,
        out: &mut [P],
    ) -> std::result::Result<(), usize> {
        if self.plan.recipe.precision == Precision::Float64 || !self.fused(x, (window, first), scratch, out) {
            return self.defined(x, (window, first), scratch, out);
        }
        Ok(())
    }

    /// The picture by the definition.
    fn defined<T: Sample, P: Pixel>(
        &self,
        x: &Windows<'_, T>,
        (window, first): (usize, usize),
        scratch: &mut Scratch,
        out: &mut [P],
    ) -> std::result::Result<(), usize> {
        let ([_, channels, length], plane) = (x.shape(), out.len() / 3);
        let Scratch { image, axes, bytes, .. } = scratch;
        axes.resize(3 * length, 0.0);
        bytes.resize(3 * plane, 0);
        for (k, axis) in axes.chunks_exact_mut(length).enumerate() {
            x.for_each(window, (first + k).min(channels - 1), |i, v| axis[i] = v.into());
        }
        let axes = [0, 1, 2].map(|k| &axes[k * length..][..length]);
        if self.plan.draw(axes, image, bytes).is_err() {
            let axis = axes.iter().position(|axis| axis.iter().any(|v| !v.is_finite())).unwrap_or(0);
            return Err((first + axis).min(channels - 1));
        }
        let planes = out.chunks_exact_mut(plane).zip(bytes.chunks_exact(plane));
        planes.enumerate().for_each(|(k, (out, bytes))| P::put(bytes, k, out));
        Ok(())
    }

    /// The picture by the fused path; false where that is not for this window.
    fn fused<T: Sample, P: Pixel>(
        &self,
        x: &Windows<'_, T>,
        (window, first): (usize, usize),
        scratch: &mut Scratch,
        out: &mut [P],
    ) -> bool {
        let (channels, plane, recipe) = (x.shape()[1], out.len() / 3, &self.plan.recipe);
        // A floor hides no cell here: a true zero is left out of the range, its noise is not, and would stretch it to the floor.
        let faint = |extent: Extent, shift: f64| {
            let black = if let Norm::Range(..) = recipe.norm { self.ends(extent, shift)[0] } else { extent.low };
            (recipe.precision != Precision::Float32).then(|| black.max(extent.low))
        };
        let joint = recipe.norm == Norm::JointWindow;
        let cells = self.transforms.cells();
        let mut spans = [(Extent::NONE, 0.0); 3];
        if joint {
            #[allow(clippy::needless_range_loop)] // three arrays go by the channel
            for k in 0..channels.min(3) {
                let out = &mut scratch.cells[k * cells..][..cells];
                let Some(span) = self.transforms.power(x, (window, first + k), faint, &mut scratch.power, out) else {
                    return false;
                };
                spans[k] = span;
            }
            let all =
                spans.iter().fold(Extent::NONE, |all, (e, s)| all.union(Extent { low: e.low - s, high: e.high - s }));
            spans = spans.map(|(_, s)| (Extent { low: all.low + s, high: all.high + s }, s));
        }
        for (k, out) in out.chunks_exact_mut(plane).enumerate() {
            let slot = if joint && k < channels { k * cells } else { 0 };
            let greys = &mut scratch.greys;
            if k < channels {
                let cells = &mut scratch.cells[slot..][..cells];
                if !joint {
                    let Some(span) = self.transforms.power(x, (window, first + k), faint, &mut scratch.power, cells)
                    else {
                        return false;
                    };
                    spans[k] = span;
                }
                let ends = self.ends(spans[k].0, spans[k].1);
                if ends[0] < ends[1] {
                    let bins = self.plan.grid[0];
                    let paint =
                        Greys { tone: recipe.tone, cells, ends, bins, pitch: bins.next_multiple_of(TILE), out: greys };
                    dispatch(Path::best(), paint);
                } else {
                    greys.fill(0);
                }
            }
            let draw = Draw { plan: &self.plan, greys, scratch: &mut scratch.resize, channel: k, out };
            dispatch(Path::best(), draw);
        }
        true
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

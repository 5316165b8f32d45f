//! Pictures of a stream: samples come in pieces of any size, a picture leaves every hop.
//!
//! The decibels of a frame depend on its samples alone, so each column is computed once and kept in a ring; the minimum and
//! maximum over the columns of a window come from monotonic queues. All of it is in float64, step by step as the definition,
//! so that a picture equals the one of [`super::definition::Plan::draw`] bit for bit. That needs every window to begin on a
//! column: a window hop that is a multiple of the frames'. For any other the columns are computed again for every picture.

use std::collections::VecDeque;

use super::definition::{FrameScratch, Norm, Plan, Recipe, Scratch};
use super::extent::Extent;
use super::pixel::Pixel;
use crate::arrays::{Signals, check_length};
use crate::error::{Error, Result};

/// The extent of a sliding window of columns.
#[derive(Default)]
struct Span {
    /// (column, weakest), weakest rising: the first is the window's minimum.
    low: VecDeque<(u64, f64)>,
    /// (column, strongest), falling.
    high: VecDeque<(u64, f64)>,
}

impl Span {
    fn push(&mut self, column: u64, extent: Extent) {
        while self.low.back().is_some_and(|&(_, v)| v >= extent.low) {
            self.low.pop_back();
        }
        while self.high.back().is_some_and(|&(_, v)| v <= extent.high) {
            self.high.pop_back();
        }
        self.low.push_back((column, extent.low));
        self.high.push_back((column, extent.high));
    }

    /// Drops the columns before `first`.
    fn forget(&mut self, first: u64) {
        while self.low.front().is_some_and(|&(column, _)| column < first) {
            self.low.pop_front();
        }
        while self.high.front().is_some_and(|&(column, _)| column < first) {
            self.high.pop_front();
        }
    }

    /// The extent from column `first` on.
    fn from(&mut self, first: u64) -> Extent {
        self.forget(first);
        match (self.low.front(), self.high.front()) {
            (Some(&(_, low)), Some(&(_, high))) => Extent { low, high },
            _ => Extent::NONE,
        }
    }
}

/// One axis: its latest samples and columns.
#[derive(Default)]
struct Axis {
    samples: VecDeque<f64>,
    columns: VecDeque<Vec<f64>>,
    /// Memory of columns that were dropped.
    spare: Vec<Vec<f64>>,
    span: Span,
    /// The window that is drawn, where its columns are not kept.
    window: Vec<f64>,
}

/// Memory for one picture.
#[derive(Default)]
struct Memory {
    image: Scratch,
    samples: Vec<f64>,
    frame: FrameScratch,
    grid: Vec<u8>,
    stretched: Vec<u8>,
    bytes: Vec<u8>,
}

/// Samples in, pictures out.
pub struct Stream {
    plan: Plan,
    hop: usize,
    axes: Vec<Axis>,
    /// Samples pushed.
    n: u64,
    /// Index of the first sample, and of the first column, that is kept.
    first_sample: u64,
    first_column: u64,
    memory: Memory,
}

impl Stream {
    /// Pictures of windows of `length` samples every `hop`, of `axes` axes: one or three.
    ///
    /// # Errors
    /// As [`Plan::new`]; [`Error::Value`] for a hop of zero or another number of axes.
    pub fn new(recipe: Recipe, length: usize, hop: usize, axes: usize) -> Result<Self> {
        if axes != 1 && axes != 3 {
            return Err(Error::value("n_axes", "1 or 3", axes));
        }
        if hop == 0 {
            return Err(Error::value("hop", "at least 1 sample", hop));
        }
        if length < recipe.nfft {
            return Err(Error::value("window", format!("at least nfft = {} samples", recipe.nfft), length));
        }
        let plan = Plan::new(recipe, length)?;
        let axes = (0..axes).map(|_| Axis::default()).collect();
        Ok(Self { plan, hop, axes, n: 0, first_sample: 0, first_column: 0, memory: Memory::default() })
    }

    /// Takes all memory that samples to come need, for [`Stream::push_sample`] to take none.
    pub fn reserve(&mut self) {
        let (aligned, [bins, frames], [height, width]) = (self.aligned(), self.plan.grid, self.plan.size());
        let Memory { image, samples, frame, grid, stretched, bytes } = &mut self.memory;
        bytes.resize(3 * height * width, 0);
        for axis in &mut self.axes {
            axis.samples.reserve(self.plan.length + 1);
            if aligned {
                axis.columns.reserve(frames + 1);
                axis.spare.resize_with(frames + 1, || Vec::with_capacity(bins));
                axis.span.low.reserve(frames + 1);
                axis.span.high.reserve(frames + 1);
            } else {
                axis.window.reserve(self.plan.length);
            }
        }
        if aligned {
            samples.resize(self.plan.recipe.nfft, 0.0);
            self.plan.column(samples, &mut Vec::new(), frame);
            grid.resize(bins * frames, 0);
            self.plan.resize(grid, stretched, &mut bytes[..height * width]);
        } else {
            let silence = vec![0.0; self.plan.length];
            let _ = self.plan.draw([&silence; 3], image, bytes);
        }
    }

    /// The plan of its pictures.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Pictures that `more` samples would complete.
    pub fn pictures(&self, more: usize) -> usize {
        let done = |n: u64| n.checked_sub(self.plan.length as u64).map_or(0, |rest| rest / self.hop as u64 + 1);
        (done(self.n + more as u64) - done(self.n)) as usize
    }

    /// Whether windows begin on columns, so that each column is computed once.
    pub fn aligned(&self) -> bool {
        self.hop.is_multiple_of(self.plan.hop())
    }

    /// Takes samples [axis, time], and draws the pictures that they complete into `out`, of so many pictures.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of axes or pictures, [`Error::Value`] for NaN or infinity that the recipe does not
    /// mask: nothing is taken then.
    pub fn push<P: Pixel>(&mut self, x: &Signals<'_, f64>, out: &mut [P]) -> Result<()> {
        x.check_dense("x")?;
        if x.count() != self.axes.len() {
            return Err(Error::shape("x", format!("[{}, samples]", self.axes.len()), x.count()));
        }
        let [height, width] = self.plan.size();
        check_length("out", out.len(), &[self.pictures(x.time()), 3, height, width])?;
        let bad = |axis: &usize| !self.plan.recipe.mask && x.get(*axis).iter().any(|v| !v.is_finite());
        if let Some(axis) = (0..x.count()).find(bad) {
            return Err(Error::value(
                "x",
                "finite samples (or nan=\"mask\")",
                format!("NaN or infinity in axis {axis}"),
            ));
        }
        let mut pictures = out.chunks_exact_mut(3 * height * width);
        for i in 0..x.time() {
            if let Some(start) = self.take(|axis| x.get(axis)[i])
                && let Some(out) = pictures.next()
            {
                self.draw(start, out)?;
            }
            self.forget();
        }
        Ok(())
    }

    /// Takes a sample of each axis, and draws the picture that it completes into `out`; says whether there is one. After
    /// [`Stream::reserve`] it takes no memory but for an error.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of axes or an `out` that is no picture, [`Error::Value`] for NaN or infinity that
    /// the recipe does not mask: nothing is taken then.
    pub fn push_sample<P: Pixel>(&mut self, sample: &[f64], out: &mut [P]) -> Result<bool> {
        let [height, width] = self.plan.size();
        check_length("x", sample.len(), &[self.axes.len()])?;
        check_length("out", out.len(), &[3, height, width])?;
        if !self.plan.recipe.mask && sample.iter().any(|v| !v.is_finite()) {
            return Err(Error::value("x", "finite samples (or nan=\"mask\")", "NaN or infinity"));
        }
        let start = self.take(|axis| sample[axis]);
        if let Some(start) = start {
            self.draw(start, out)?;
        }
        self.forget();
        Ok(start.is_some())
    }

    /// Takes a sample of each axis; the first sample of the window that it completes.
    fn take(&mut self, sample: impl Fn(usize) -> f64) -> Option<u64> {
        for (a, axis) in self.axes.iter_mut().enumerate() {
            axis.samples.push_back(sample(a));
        }
        self.n += 1;
        self.complete_column();
        self.n.checked_sub(self.plan.length as u64).filter(|start| start % self.hop as u64 == 0)
    }

    /// Computes the column that the latest sample completes, if windows begin on columns.
    fn complete_column(&mut self) {
        let (nfft, hop) = (self.plan.recipe.nfft as u64, self.plan.hop() as u64);
        let Some(start) = self.n.checked_sub(nfft).filter(|start| start % hop == 0 && self.aligned()) else { return };
        let Memory { samples, frame, .. } = &mut self.memory;
        for axis in &mut self.axes {
            samples.clear();
            samples.extend(axis.samples.range((start - self.first_sample) as usize..));
            let mut column = axis.spare.pop().unwrap_or_default();
            let extent = self.plan.column(samples, &mut column, frame);
            axis.columns.push_back(column);
            axis.span.push(start / hop, extent);
        }
    }

    /// Drops what no later window needs.
    fn forget(&mut self) {
        let Some(start) = self.n.checked_sub(self.plan.length as u64) else { return };
        let next = (start / self.hop as u64 + 1) * self.hop as u64;
        let samples = if self.aligned() { (self.n + 1).saturating_sub(self.plan.recipe.nfft as u64) } else { next };
        while self.first_sample < samples.min(self.n) {
            self.axes.iter_mut().for_each(|axis| {
                axis.samples.pop_front();
            });
            self.first_sample += 1;
        }
        let column = next / self.plan.hop() as u64;
        while self.aligned() && self.first_column < column && !self.axes[0].columns.is_empty() {
            self.axes.iter_mut().for_each(|axis| axis.spare.extend(axis.columns.pop_front()));
            self.first_column += 1;
        }
        self.axes.iter_mut().for_each(|axis| axis.span.forget(column));
    }

    /// The picture of the window that begins at sample `start`.
    fn draw<P: Pixel>(&mut self, start: u64, out: &mut [P]) -> Result<()> {
        self.memory.bytes.clear();
        self.memory.bytes.resize(out.len(), 0);
        if self.aligned() {
            self.draw_columns(start);
        } else {
            let from = (start - self.first_sample) as usize;
            for axis in &mut self.axes {
                axis.window.clear();
                axis.window.extend(axis.samples.range(from..));
            }
            let (axes, last) = (&self.axes, self.axes.len() - 1);
            let Memory { image, bytes, .. } = &mut self.memory;
            self.plan.draw([0, 1, 2].map(|k| axes[k.min(last)].window.as_slice()), image, bytes)?;
        }
        let plane = out.len() / 3;
        for (k, (out, bytes)) in out.chunks_exact_mut(plane).zip(self.memory.bytes.chunks_exact(plane)).enumerate() {
            P::put(bytes, k, out);
        }
        Ok(())
    }

    fn draw_columns(&mut self, start: u64) {
        let ([bins, frames], first) = (self.plan.grid, start / self.plan.hop() as u64);
        let mut extents = [Extent::NONE; 3];
        extents.iter_mut().zip(&mut self.axes).for_each(|(extent, axis)| *extent = axis.span.from(first));
        if self.plan.recipe.norm == Norm::JointWindow {
            let all = extents.iter().fold(Extent::NONE, |all, &e| all.union(e));
            extents.fill(all);
        }
        let from = (first - self.first_column) as usize;
        let Memory { grid, stretched, bytes, .. } = &mut self.memory;
        grid.resize(bins * frames, 0);
        let plane = bytes.len() / 3;
        for (k, out) in bytes.chunks_exact_mut(plane).enumerate() {
            if let Some(axis) = self.axes.get(k) {
                let ends = self.plan.ends(extents[k]);
                for (t, column) in axis.columns.range(from..from + frames).enumerate() {
                    column.iter().enumerate().for_each(|(f, &db)| grid[f * frames + t] = self.plan.grey(db, ends));
                }
            }
            self.plan.resize(grid, stretched, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_the_extent_of_its_window() {
        let values: Vec<f64> = (0..200).map(|i| f64::from(i * 7919 % 103)).collect();
        let mut span = Span::default();
        for (i, &v) in values.iter().enumerate() {
            span.push(i as u64, Extent { low: v, high: v + 1.0 });
            let first = i.saturating_sub(12);
            let window = &values[first..=i];
            let (low, high) =
                (window.iter().copied().fold(f64::MAX, f64::min), window.iter().copied().fold(0.0, f64::max));
            assert_eq!(span.from(first as u64), Extent { low, high: high + 1.0 });
        }
    }
}

//! Pictures of a stream: samples come in pieces of any size, a picture leaves every hop.
//!
//! The decibels of a frame depend on its samples alone, so each column is computed once and kept in a ring; the minimum and
//! maximum over the columns of a window come from monotonic queues. All of it is in float64, step by step as the definition,
//! so that a picture equals the one of [`super::definition::Plan::draw`] bit for bit. That needs every window to begin on a
//! column: a window hop that is a multiple of the frames'. For any other the columns are computed again for every picture.

use std::collections::VecDeque;

use super::definition::{Norm, Plan, Recipe, Scratch};
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

    /// The extent from column `first` on.
    fn from(&mut self, first: u64) -> Extent {
        while self.low.front().is_some_and(|&(column, _)| column < first) {
            self.low.pop_front();
        }
        while self.high.front().is_some_and(|&(column, _)| column < first) {
            self.high.pop_front();
        }
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
    span: Span,
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
    scratch: Scratch,
    frame: Vec<f64>,
    column: Vec<f64>,
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
        let (scratch, frame, column) = Default::default();
        Ok(Self { plan, hop, axes, n: 0, first_sample: 0, first_column: 0, scratch, frame, column })
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
            for (a, axis) in self.axes.iter_mut().enumerate() {
                axis.samples.push_back(x.get(a)[i]);
            }
            self.n += 1;
            self.complete_column();
            let Some(start) = self.n.checked_sub(self.plan.length as u64) else { continue };
            if start % self.hop as u64 == 0
                && let Some(out) = pictures.next()
            {
                self.draw(start, out)?;
            }
            self.forget(start);
        }
        Ok(())
    }

    /// Computes the column that the latest sample completes, if windows begin on columns.
    fn complete_column(&mut self) {
        let (nfft, hop) = (self.plan.recipe.nfft as u64, self.plan.hop() as u64);
        let Some(start) = self.n.checked_sub(nfft).filter(|start| start % hop == 0 && self.aligned()) else { return };
        for axis in &mut self.axes {
            self.frame.clear();
            self.frame.extend(axis.samples.range((start - self.first_sample) as usize..));
            let mut column = Vec::with_capacity(self.plan.grid[0]);
            let extent = self.plan.column(&self.frame, &mut column, &mut self.column);
            axis.columns.push_back(column);
            axis.span.push(start / hop, extent);
        }
    }

    /// Drops what no later window needs.
    fn forget(&mut self, start: u64) {
        let next = (start / self.hop as u64 + 1) * self.hop as u64;
        let samples = if self.aligned() { (self.n + 1).saturating_sub(self.plan.recipe.nfft as u64) } else { next };
        while self.first_sample < samples.min(self.n) {
            self.axes.iter_mut().for_each(|axis| {
                axis.samples.pop_front();
            });
            self.first_sample += 1;
        }
        while self.aligned() && self.first_column < next / self.plan.hop() as u64 && !self.axes[0].columns.is_empty() {
            self.axes.iter_mut().for_each(|axis| {
                axis.columns.pop_front();
            });
            self.first_column += 1;
        }
    }

    /// The picture of the window that begins at sample `start`.
    fn draw<P: Pixel>(&mut self, start: u64, out: &mut [P]) -> Result<()> {
        let mut bytes = vec![0; out.len()];
        if self.aligned() {
            self.draw_columns(start, &mut bytes);
        } else {
            let from = (start - self.first_sample) as usize;
            let window = |axis: &Axis| axis.samples.range(from..).copied().collect::<Vec<_>>();
            let axes: Vec<Vec<f64>> = self.axes.iter().map(window).collect();
            let last = axes.len() - 1;
            self.plan.draw([0, 1, 2].map(|k| axes[k.min(last)].as_slice()), &mut self.scratch, &mut bytes)?;
        }
        let plane = out.len() / 3;
        for (k, (out, bytes)) in out.chunks_exact_mut(plane).zip(bytes.chunks_exact(plane)).enumerate() {
            P::put(bytes, k, out);
        }
        Ok(())
    }

    fn draw_columns(&mut self, start: u64, out: &mut [u8]) {
        let ([bins, frames], first) = (self.plan.grid, start / self.plan.hop() as u64);
        let mut extents: Vec<Extent> = self.axes.iter_mut().map(|axis| axis.span.from(first)).collect();
        if self.plan.recipe.norm == Norm::JointWindow {
            let all = extents.iter().fold(Extent::NONE, |all, &e| all.union(e));
            extents.fill(all);
        }
        let from = (first - self.first_column) as usize;
        let mut grid = vec![0; bins * frames];
        let mut stretched = Vec::new();
        let plane = out.len() / 3;
        for (k, out) in out.chunks_exact_mut(plane).enumerate() {
            if let Some((axis, extent)) = self.axes.get(k).zip(extents.get(k)) {
                let ends = self.plan.ends(*extent);
                for (t, column) in axis.columns.range(from..from + frames).enumerate() {
                    column.iter().enumerate().for_each(|(f, &db)| grid[f * frames + t] = self.plan.grey(db, ends));
                }
            }
            self.plan.resize(&grid, &mut stretched, out);
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

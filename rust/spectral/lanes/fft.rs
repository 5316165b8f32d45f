//! The windowed real transform of many frames at once: a frame per lane.
//!
//! No FFT library gets near the machine at 32 to 256 points, because each vectorises inside one short transform. Here a
//! vector holds sample k of 4, 8 or 16 *frames*, so that every operation of the scalar algorithm is one vector operation
//! without a shuffle. Up to 64 points the transform is straight-line code (`codelets`); longer powers of two join
//! such pieces by loops; any other length goes through `realfft`, a lane at a time.
//!
//! A [`Plan`] is made once for a window, a length and a *source layout* (where sample k of the frame in lane 0 lies; lane l
//! reads the scalar l further on), and run by a [`Kernel`] on whichever vector it is given:
//!
//! ```
//! use imuspec::spectral::lanes::fft::{Plan, Scale, Scratch};
//! use imuspec::spectral::lanes::{Cpu, Kernel, Lanes, Path, Real, dispatch};
//! const LANES: usize = <f32 as Real>::LANES; // 16: a row of lanes is a cache line on every path
//!
//! /// The mean power of 16 signals, which lie in the lanes of `rows`: row t is sample t of each.
//! struct Mean<'a> { plan: &'a Plan<f32>, rows: &'a [f32], hop: usize, scratch: &'a mut Scratch<f32> }
//! impl Kernel<f32> for Mean<'_> {
//!     type Output = [f32; LANES];
//!     #[inline(always)]
//!     fn run<V: Lanes<T = f32>>(self, cpu: Cpu<V>) -> [f32; LANES] {
//!         let (mut total, Scratch { arena, out }) = ([0.0; LANES], self.scratch);
//!         for frame in self.rows.windows(self.plan.nfft() * LANES).step_by(self.hop * LANES) {
//!             self.plan.power(cpu, frame, LANES, arena, out); // out is [bin][LANES]
//!             out.chunks_exact(LANES).for_each(|bin| total.iter_mut().zip(bin).for_each(|(s, p)| *s += p));
//!         }
//!         total
//!     }
//! }
//! let plan = Plan::<f32>::new(&[1.0; 32], 32, |k| k * LANES, Scale { power: 1.0, double: false }).unwrap();
//! let mut scratch = plan.scratch();
//! let mean = Mean { plan: &plan, rows: &[1.0; 64 * LANES], hop: 16, scratch: &mut scratch };
//! assert_eq!(dispatch(Path::best(), mean)[0], 3.0 * 1024.0);
//! ```
#![allow(unsafe_code)]

use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};

use super::codelets::{
    PackedRows, Sink, Tap, Taps, join_at, join_edges, real8_into, real16_into, real32_into, real64_into,
};
use super::lanes::{Cpu, Kernel, Lanes, Real, outlined};
use super::rows::Rows;
use crate::error::{Error, Result};

/// What a thread needs to run a plan; made by [`Plan::scratch`], reused from frame to frame.
#[derive(Clone, Debug)]
pub struct Scratch<T> {
    /// For the plan's own intermediate steps.
    pub arena: Rows<T>,
    /// Room for one block of results: [bin, LANES] of power, or [bin, 2, LANES] of real and imaginary parts.
    pub out: Rows<T>,
}

/// Factors that a plan folds into its window, so that they cost nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The power is multiplied by this (a complex result by its root).
    pub power: f64,
    /// Also double the power of all bins but 0 and, for even lengths, nfft/2: the one-sided density.
    pub double: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The straight-line transform of `n` taps from `taps` on.
    Leaf { n: usize, taps: usize, to: usize },
    /// Joins packed half spectra that start at rows `e`, `z1`, `z3` of the arena.
    Join { n: usize, e: usize, z1: usize, z3: usize, twiddles: usize, to: usize },
}

/// A windowed real transform of one length from one source layout.
#[derive(Clone)]
pub struct Plan<T: Real> {
    nfft: usize,
    taps: Vec<Tap<T>>,
    /// In order of execution; the last one writes the result. Empty where `realfft` does the work.
    steps: Vec<Step>,
    twiddles: Vec<[T; 2]>,
    arena_rows: usize,
    /// One more than the largest offset of a tap.
    reach: usize,
    /// Factor of the power of bins 0 and nfft/2.
    edge: T,
    engine: Option<Arc<dyn RealToComplex<T>>>,
}

impl<T: Real> Plan<T> {
    /// Plans transforms of `nfft` >= `window.len()` points, the rest zero; sample k of lane 0 lies `offset(k)` scalars
    /// after the source's start.
    ///
    /// # Errors
    /// [`Error::Value`] for an empty window, a window longer than `nfft`, or offsets beyond 2^32.
    pub fn new(window: &[f64], nfft: usize, offset: impl Fn(usize) -> usize, scale: Scale) -> Result<Self> {
        if window.is_empty() || window.len() > nfft {
            return Err(Error::value("window", format!("1 to nfft = {nfft} samples"), window.len()));
        }
        let gain = (scale.power * if scale.double { 2.0 } else { 1.0 }).sqrt();
        let mut natural = Vec::with_capacity(nfft);
        for k in 0..nfft {
            let position = if k < window.len() { offset(k) } else { offset(0) };
            let offset =
                u32::try_from(position).map_err(|_| Error::value("nfft", "a source below 2^32 samples", nfft))?;
            natural.push(Tap { offset, weight: T::narrow(window.get(k).copied().unwrap_or(0.0) * gain) });
        }
        let mut plan = Self {
            nfft,
            taps: Vec::new(),
            steps: Vec::new(),
            twiddles: Vec::new(),
            arena_rows: 0,
            reach: natural.iter().map(|tap| tap.offset as usize + 1).max().unwrap_or(0),
            edge: T::narrow(if scale.double { 0.5 } else { 1.0 }),
            engine: None,
        };
        if nfft.is_power_of_two() && nfft >= 8 {
            plan.decompose(&natural);
        } else {
            natural.truncate(window.len());
            plan.taps = natural;
            plan.engine = Some(RealFftPlanner::new().plan_fft_forward(nfft));
        }
        Ok(plan)
    }

    /// Appends the steps that transform `taps`; returns the arena row where their packed half spectrum starts.
    fn decompose(&mut self, taps: &[Tap<T>]) -> usize {
        let n = taps.len();
        let step = if n <= 64 {
            self.taps.extend_from_slice(taps);
            Step::Leaf { n, taps: self.taps.len() - n, to: self.arena_rows }
        } else {
            let pick =
                |first: usize, step: usize| -> Vec<_> { (0..n / step).map(|j| taps[(first + step * j) % n]).collect() };
            let e = self.decompose(&pick(0, 2));
            let (z1, z3) = (self.decompose(&pick(1, 4)), self.decompose(&pick(n - 1, 4)));
            let twiddles = self.twiddles.len();
            self.twiddles.extend((1..n / 8).map(|k| {
                let angle = 2.0 * std::f64::consts::PI * k as f64 / n as f64;
                [T::narrow(angle.cos()), T::narrow(angle.tan())]
            }));
            Step::Join { n, e, z1, z3, twiddles, to: self.arena_rows }
        };
        self.steps.push(step);
        self.arena_rows += n;
        self.arena_rows - n
    }

    /// Points of the transform.
    pub fn nfft(&self) -> usize {
        self.nfft
    }

    /// Bins of the half spectrum: nfft / 2 + 1.
    pub fn bins(&self) -> usize {
        self.nfft / 2 + 1
    }

    /// Scratch for one thread.
    pub fn scratch(&self) -> Scratch<T> {
        let complex_buffers = (self.nfft + 2 * self.bins() + 2 * self.engine_scratch()).div_ceil(T::LANES);
        let arena = if self.engine.is_some() { complex_buffers } else { self.arena_rows };
        Scratch { arena: Rows::new(arena), out: Rows::new(2 * self.bins()) }
    }

    fn engine_scratch(&self) -> usize {
        self.engine.as_ref().map_or(0, |engine| engine.get_scratch_len())
    }

    /// The scaled power of `lanes` <= LANES frames: `out` is [bin, LANES]. Lane l of the frames reads the source l scalars
    /// on; the lanes of a last, partial vector are computed from whatever the source has there.
    ///
    /// # Panics
    /// Where source, arena or `out` is too short.
    #[inline(always)]
    pub fn power<V: Lanes<T = T>>(&self, cpu: Cpu<V>, source: &[T], lanes: usize, arena: &mut Rows<T>, out: &mut [T]) {
        self.check::<V>(source, lanes, out, 1);
        if self.engine.is_some() {
            return self.by_rows(source, lanes, arena, |bin, lane, re, im| {
                let edge = if bin == 0 || 2 * bin == self.nfft { self.edge } else { T::narrow(1.0) };
                out[bin * T::LANES + lane] = (re * re + im * im) * edge;
            });
        }
        outlined(cpu, PowerOf { plan: self, source, lanes, arena, out });
    }

    /// As [`Plan::power`], but the scaled complex bins: `out` is [bin, 2, LANES], real before imaginary parts.
    ///
    /// # Panics
    /// Where source, arena or `out` is too short.
    #[inline(always)]
    pub fn complex<V: Lanes<T = T>>(
        &self,
        cpu: Cpu<V>,
        source: &[T],
        lanes: usize,
        arena: &mut Rows<T>,
        out: &mut [T],
    ) {
        self.check::<V>(source, lanes, out, 2);
        if self.engine.is_some() {
            return self.by_rows(source, lanes, arena, |bin, lane, re, im| {
                out[2 * bin * T::LANES + lane] = re;
                out[(2 * bin + 1) * T::LANES + lane] = im;
            });
        }
        outlined(cpu, ComplexOf { plan: self, source, lanes, arena, out });
    }

    #[inline(always)]
    fn check<V: Lanes<T = T>>(&self, source: &[T], lanes: usize, out: &[T], parts: usize) {
        let read = lanes.next_multiple_of(V::N);
        assert!(lanes <= T::LANES && source.len() + 1 >= self.reach + read, "source of a transform too short");
        assert!(out.len() >= parts * self.bins() * T::LANES, "output of a transform too short");
    }

    /// All steps but the last, then the last into `sink`.
    ///
    /// # Safety
    /// `source` may be read for one vector at every tap's offset, and `sink` takes one of every bin.
    #[inline(always)]
    unsafe fn transform<V: Lanes<T = T>>(
        &self,
        cpu: Cpu<V>,
        source: *const T,
        arena: &mut Rows<T>,
        sink: &mut impl Sink<V>,
    ) {
        assert!(arena.len() >= self.arena_rows * T::LANES, "arena of another plan");
        let Some((last, inner)) = self.steps.split_last() else { return };
        let base = arena.as_mut_ptr();
        // SAFETY: `decompose` counted the rows of all steps, and gave each of them rows of its own.
        let rows = |first: usize| unsafe { PackedRows::new(cpu, base.add(first * V::N)) };
        let taps = |first: usize, n: usize| {
            // SAFETY: the caller's promise; a leaf of n points has n taps.
            unsafe { Taps::new(cpu, source, &self.taps[first..first + n]) }
        };
        for step in inner {
            match *step {
                Step::Leaf { n: 32, taps: first, to } => real32_into(&taps(first, 32), &mut rows(to)),
                Step::Leaf { n, taps: first, to } => {
                    debug_assert_eq!(n, 64);
                    real64_into(&taps(first, 64), &mut rows(to));
                }
                Step::Join { n, e, z1, z3, twiddles, to } => {
                    self.join(n, [e, z1, z3].map(&rows), twiddles, &mut rows(to));
                }
            }
        }
        match *last {
            Step::Leaf { n: 8, taps: first, .. } => real8_into(&taps(first, 8), sink),
            Step::Leaf { n: 16, taps: first, .. } => real16_into(&taps(first, 16), sink),
            Step::Leaf { n: 32, taps: first, .. } => real32_into(&taps(first, 32), sink),
            Step::Leaf { taps: first, .. } => real64_into(&taps(first, 64), sink),
            Step::Join { n, e, z1, z3, twiddles, .. } => self.join(n, [e, z1, z3].map(&rows), twiddles, sink),
        }
    }

    #[inline(always)]
    fn join<V: Lanes<T = T>>(&self, n: usize, rows: [PackedRows<V>; 3], twiddles: usize, out: &mut impl Sink<V>) {
        let [e, z1, z3] = rows;
        join_edges(n, &e, &z1, &z3, out);
        let twiddles = &self.twiddles[twiddles..twiddles + n / 8 - 1];
        for k in 1..n / 8 {
            join_at((n, k), twiddles[k - 1], &e, &z1, &z3, out);
        }
    }

    /// The plain way: a lane at a time through `realfft`.
    fn by_rows(&self, source: &[T], lanes: usize, arena: &mut Rows<T>, mut put: impl FnMut(usize, usize, T, T)) {
        let Some(engine) = &self.engine else { return };
        let (frame, rest) = arena.split_at_mut(self.nfft);
        let (half, rest) = rest.split_at_mut(2 * self.bins());
        let half = as_complex(half);
        let scratch = &mut as_complex(rest)[..engine.get_scratch_len()];
        for lane in 0..lanes {
            frame.fill(T::default());
            for (value, tap) in frame.iter_mut().zip(&self.taps) {
                *value = source[tap.offset as usize + lane] * tap.weight;
            }
            let outcome = engine.process_with_scratch(frame, half, scratch);
            debug_assert!(outcome.is_ok(), "buffers have the engine's lengths");
            half.iter().enumerate().for_each(|(bin, c)| put(bin, lane, c.re, c.im));
        }
    }
}

/// Pairs of scalars as complex numbers.
fn as_complex<T: Real>(pairs: &mut [T]) -> &mut [realfft::num_complex::Complex<T>] {
    // SAFETY: Complex is two scalars, repr(C).
    unsafe { std::slice::from_raw_parts_mut(pairs.as_mut_ptr().cast(), pairs.len() / 2) }
}

/// [`Plan::power`] by the lane transform.
struct PowerOf<'a, T: Real> {
    plan: &'a Plan<T>,
    source: &'a [T],
    lanes: usize,
    arena: &'a mut Rows<T>,
    out: &'a mut [T],
}
impl<T: Real> Kernel<T> for PowerOf<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) {
        let mut first = 0;
        while first < self.lanes {
            // SAFETY: `Plan::check` held source and output to all lanes.
            unsafe {
                let mut sink = PowerRows { out: self.out.as_mut_ptr().add(first), edge: cpu.splat(self.plan.edge) };
                self.plan.transform(cpu, self.source.as_ptr().add(first), self.arena, &mut sink);
            }
            first += V::N;
        }
    }
}

/// [`Plan::complex`] by the lane transform.
struct ComplexOf<'a, T: Real> {
    plan: &'a Plan<T>,
    source: &'a [T],
    lanes: usize,
    arena: &'a mut Rows<T>,
    out: &'a mut [T],
}
impl<T: Real> Kernel<T> for ComplexOf<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) {
        let mut first = 0;
        while first < self.lanes {
            // SAFETY: `Plan::check` held source and output to all lanes.
            unsafe {
                let mut sink = ComplexRows { out: self.out.as_mut_ptr().add(first), zero: cpu.constant(0.0) };
                self.plan.transform(cpu, self.source.as_ptr().add(first), self.arena, &mut sink);
            }
            first += V::N;
        }
    }
}

/// Power, a row of LANES a bin.
struct PowerRows<V: Lanes> {
    out: *mut V::T,
    edge: V,
}
impl<V: Lanes> Sink<V> for PowerRows<V> {
    #[inline(always)]
    fn first(&mut self, re: V) {
        self.nyquist(0, re);
    }
    #[inline(always)]
    fn nyquist(&mut self, k: usize, re: V) {
        // SAFETY: `check` held `out` to a row of LANES for every bin; the vector starts at a lane of which N are left.
        unsafe { re.mul(re).mul(self.edge).store(self.out.add(k * V::T::LANES)) }
    }
    #[inline(always)]
    fn bin(&mut self, k: usize, re: V, im: V) {
        // SAFETY: as in `nyquist`.
        unsafe { im.mul_add(im, re.mul(re)).store(self.out.add(k * V::T::LANES)) }
    }
}

/// Complex bins, a row of LANES for the real and one for the imaginary parts.
struct ComplexRows<V: Lanes> {
    out: *mut V::T,
    zero: V,
}
impl<V: Lanes> Sink<V> for ComplexRows<V> {
    #[inline(always)]
    fn first(&mut self, re: V) {
        self.bin(0, re, self.zero);
    }
    #[inline(always)]
    fn nyquist(&mut self, k: usize, re: V) {
        self.bin(k, re, self.zero);
    }
    #[inline(always)]
    fn bin(&mut self, k: usize, re: V, im: V) {
        // SAFETY: `check` held `out` to two rows of LANES for every bin; the vector starts at a lane of which N are left.
        unsafe {
            re.store(self.out.add(2 * k * V::T::LANES));
            im.store(self.out.add((2 * k + 1) * V::T::LANES));
        }
    }
}

#[cfg(test)]
#[path = "fft_tests.rs"]
mod tests;

//! Frames of a signal -> lanes.
//!
//! Neighbouring frames stand in neighbouring lanes. The signal is first laid out by its *phases*: row r holds samples r,
//! r + hop, r + 2 hop, ...; sample k of frames f, f+1, ... is then a plain unaligned vector at row k mod hop, column
//! f + k / hop, whatever the overlap. Results come as blocks of [bin, LANES], which is the order of the output
//! [bin, frame]: they are stored, or reduced, without a transposition and while they are in the first-level cache.
#![allow(unsafe_code)]

use std::ops::Range;

use super::lanes::fft::{Plan, Scale, Scratch};
#[cfg(target_arch = "aarch64")]
use super::lanes::neon::turn_four;
use super::lanes::rows::Rows;
use super::lanes::{Cpu, Lanes, Real};
#[cfg(target_arch = "aarch64")]
use crate::cpu::Path;
use crate::error::{Error, Result};

/// What is taken out of each frame before the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detrend {
    /// Its mean.
    Constant,
    /// Its least-squares line.
    Linear,
}

/// What is done with the blocks of a signal.
pub trait Block<T: Real> {
    /// Complex bins, [bin, 2, LANES], instead of power, [bin, LANES].
    const COMPLEX: bool = false;
    /// Frames `first..first + lanes` of the signal; the lanes from `lanes` on mean nothing. A frame may come twice. Mark it
    /// `#[inline(always)]`.
    fn rows<V: Lanes<T = T>>(&mut self, cpu: Cpu<V>, rows: &[T], first: usize, lanes: usize);
}

/// The windowed transforms of overlapping frames.
#[derive(Clone)]
pub struct Frames<T: Real> {
    plan: Plan<T>,
    length: usize,
    hop: usize,
    detrend: Option<Detrend>,
    /// Frames whose phases are laid out at a time; a multiple of LANES.
    chunk: usize,
    /// Scalars from one phase row to the next.
    stride: usize,
}

/// What a thread needs to run [`Frames`]; reused from signal to signal.
#[derive(Clone, Debug)]
pub struct FramesScratch<T> {
    phases: Rows<T>,
    detrended: Rows<T>,
    fft: Scratch<T>,
}

impl<T: Real> Frames<T> {
    /// Frames of `window.len()` samples every `hop`, padded with zeros to `nfft`.
    ///
    /// # Errors
    /// [`Error::Value`] for an empty window, `nfft` < `window.len()` or `hop` 0.
    pub fn new(window: &[f64], nfft: usize, hop: usize, detrend: Option<Detrend>, scale: Scale) -> Result<Self> {
        if hop == 0 {
            return Err(Error::value("hop", "at least 1 sample", hop));
        }
        let length = window.len();
        let chunk = (8192 / hop).clamp(T::LANES, 512).next_multiple_of(T::LANES);
        // One row more, so that the rows do not all fall on the same cache sets.
        let stride = (chunk + length.saturating_sub(1) / hop).next_multiple_of(T::LANES) + T::LANES;
        let plan = match detrend {
            None => Plan::new(window, nfft, |k| (k % hop) * stride + k / hop, scale)?,
            Some(_) => Plan::new(window, nfft, |k| k * T::LANES, scale)?,
        };
        Ok(Self { plan, length, hop, detrend, chunk, stride })
    }

    /// The transform.
    pub fn plan(&self) -> &Plan<T> {
        &self.plan
    }

    /// Frames that fit into a signal of `n` samples.
    pub fn count(&self, n: usize) -> usize {
        if n < self.length { 0 } else { (n - self.length) / self.hop + 1 }
    }

    /// Frames that are best worked on together: ask [`Frames::for_each`] for multiples of it.
    pub fn chunk(&self) -> usize {
        self.chunk
    }

    /// Scratch for one thread.
    pub fn scratch(&self) -> FramesScratch<T> {
        let detrended = if self.detrend.is_some() { self.length } else { 0 };
        FramesScratch {
            phases: Rows::new(self.length.min(self.hop) * self.stride / T::LANES),
            detrended: Rows::new(detrended),
            fft: self.plan.scratch(),
        }
    }

    /// Gives the blocks of `frames` of the signal `x` to `block`, in order.
    ///
    /// # Panics
    /// Where the frames do not fit into `x`.
    #[inline(always)]
    pub fn for_each<V: Lanes<T = T>>(
        &self,
        cpu: Cpu<V>,
        x: &[T],
        frames: Range<usize>,
        scratch: &mut FramesScratch<T>,
        block: &mut impl Block<T>,
    ) {
        assert!(frames.end <= self.count(x.len()), "frames beyond the signal");
        let FramesScratch { phases, detrended, fft: Scratch { arena, out } } = scratch;
        for start in frames.clone().step_by(self.chunk) {
            let count = self.chunk.min(frames.end - start);
            let from = start * self.hop;
            by_phases(cpu, &x[from..from + (count - 1) * self.hop + self.length], self.hop, self.stride, phases);
            let mut next = 0;
            while next < count {
                // Whole vectors if there are frames enough: the last block then does some of the one before again, alike.
                let lanes = T::LANES.min(count - next).next_multiple_of(V::N);
                let lanes = if count < V::N { count } else { lanes.min(count - count % V::N) };
                let first = next.min(count - lanes);
                next = first + lanes;
                let source = match self.detrend {
                    None => &phases[first..],
                    Some(kind) => {
                        self.take_out(kind, phases, first, detrended);
                        &detrended[..]
                    }
                };
                if block_is_complex(block) {
                    self.plan.complex(cpu, source, lanes, arena, out);
                } else {
                    self.plan.power(cpu, source, lanes, arena, out);
                }
                block.rows(cpu, out, start + first, lanes);
            }
        }
    }

    /// Writes the frames from column `first` on, less their trend, into rows of lanes. Sums are float64.
    fn take_out(&self, kind: Detrend, phases: &[T], first: usize, rows: &mut [T]) {
        let sample = |k: usize| &phases[(k % self.hop) * self.stride + k / self.hop + first..][..T::LANES];
        let n = self.length as f64;
        let middle = (n - 1.0) / 2.0;
        let (mut sum, mut moment) = ([0.0; 16], [0.0; 16]);
        for k in 0..self.length {
            for (lane, v) in sample(k).iter().enumerate() {
                sum[lane] += v.widen();
                moment[lane] += v.widen() * (k as f64 - middle);
            }
        }
        let squares = n * (n * n - 1.0) / 12.0;
        for (k, row) in rows.chunks_exact_mut(T::LANES).enumerate() {
            let position = k as f64 - middle;
            for (lane, (to, v)) in row.iter_mut().zip(sample(k)).enumerate() {
                let line =
                    if kind == Detrend::Linear && self.length > 1 { moment[lane] / squares * position } else { 0.0 };
                *to = T::narrow(v.widen() - (sum[lane] / n + line));
            }
        }
    }
}

#[inline(always)]
fn block_is_complex<T: Real, B: Block<T>>(_: &B) -> bool {
    B::COMPLEX
}

/// Writes `x` by its phases: row r, `stride` scalars after the one before, holds samples r, r + hop, r + 2 hop, ..; as many
/// rows as `out` has room for.
///
/// # Panics
/// Where a row is shorter than its samples.
#[inline(always)]
pub(super) fn by_phases<V: Lanes>(cpu: Cpu<V>, x: &[V::T], hop: usize, stride: usize, out: &mut [V::T]) {
    if hop == 1 {
        return out[..x.len()].copy_from_slice(x);
    }
    let (columns, rows) = (x.len() / hop, hop.min(out.len() / stride));
    assert!(x.len().div_ceil(hop) <= stride, "rows of phases too short");
    // Squares of 4 x 4 where they fit, the last ones over part of those before; then, or else, a scalar at a time.
    let square = if rows.is_multiple_of(4) && columns >= 4 { columns } else { 0 };
    for column in (0..square).step_by(4).map(|column| column.min(columns - 4)) {
        for row in (0..rows).step_by(4) {
            // SAFETY: the four groups from `column` on are whole, as are the rows, which `out` holds for `stride` scalars.
            unsafe {
                let to = out.as_mut_ptr().add(row * stride + column);
                turn_square(cpu, x.as_ptr().add(column * hop + row), hop, to, stride);
            }
        }
    }
    for (column, group) in x.chunks_exact(hop).enumerate().skip(square) {
        for (row, &v) in group[..rows].iter().enumerate() {
            // SAFETY: row < rows, column < columns <= stride.
            unsafe { *out.get_unchecked_mut(row * stride + column) = v };
        }
    }
    for (row, &v) in x[columns * hop..].iter().take(rows).enumerate() {
        out[row * stride + columns] = v;
    }
}

/// Turns 4 x 4 scalars whose rows lie `from_pitch` apart into ones whose rows lie `to_pitch` apart.
///
/// # Safety
/// All rows of both may be read and written for four scalars.
#[inline(always)]
unsafe fn turn_square<V: Lanes>(_: Cpu<V>, from: *const V::T, from_pitch: usize, to: *mut V::T, to_pitch: usize) {
    #[cfg(target_arch = "x86_64")]
    if size_of::<V::T>() == 4 {
        use std::arch::x86_64::*;
        // SAFETY: the caller's promise; of the sealed `Real` four bytes are an f32, and SSE2 is part of x86-64.
        unsafe {
            let load = |i: usize| _mm_loadu_ps(from.add(i * from_pitch).cast());
            let (a, b, c, d) = (load(0), load(1), load(2), load(3));
            let (ab, cd) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, d));
            let (ab_high, cd_high) = (_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, d));
            let store = |i: usize, v: __m128| _mm_storeu_ps(to.add(i * to_pitch).cast(), v);
            store(0, _mm_movelh_ps(ab, cd));
            store(1, _mm_movehl_ps(cd, ab));
            store(2, _mm_movelh_ps(ab_high, cd_high));
            store(3, _mm_movehl_ps(cd_high, ab_high));
        }
        return;
    }
    #[cfg(target_arch = "aarch64")]
    if V::PATH == Path::Neon && size_of::<V::T>() == 4 {
        // SAFETY: the caller's promise; of the sealed `Real` four bytes are an f32.
        return unsafe {
            let from = std::array::from_fn(|i| from.add(i * from_pitch).cast());
            turn_four(from, std::array::from_fn(|i| to.add(i * to_pitch).cast()))
        };
    }
    for i in 0..4 {
        for j in 0..4 {
            // SAFETY: the caller's promise, for i and j below four.
            unsafe { *to.add(j * to_pitch + i) = *from.add(i * from_pitch + j) };
        }
    }
}

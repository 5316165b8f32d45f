//! Frames of a signal -> lanes -> spectrograms.
//!
//! Neighbouring frames stand in neighbouring lanes. The signal is first laid out by its *phases*: row r holds samples r,
//! r + hop, r + 2 hop, ...; sample k of frames f, f+1, ... is then a plain unaligned vector at row k mod hop, column
//! f + k / hop, whatever the overlap. Results come as blocks of \[bin\]\[LANES\], which is the order of the output
//! \[bin\]\[frame\]: they are stored, or reduced, without a transposition and while they are in the first-level cache.
//!
//! [`Frames`] gives the blocks to any [`Block`]; [`Spectrogram`] is the one that writes them down.
#![allow(unsafe_code)]

use std::ops::Range;

use super::lanes::fft::{Plan, Rows, Scale, Scratch};
use super::lanes::log::{self, DECIBEL, Watch};
use super::lanes::{Cpu, Kernel, Lanes, Path, Real, dispatch};
use crate::arrays::{Signals, check_length, product};
use crate::error::{Error, Result};
use crate::threads::{self, Spares};

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
    /// Complex bins, \[bin\]\[2\]\[LANES\], instead of power, \[bin\]\[LANES\].
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
            by_phases(&x[from..from + (count - 1) * self.hop + self.length], self.hop, self.stride, phases);
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
            let at = k as f64 - middle;
            for (lane, (to, v)) in row.iter_mut().zip(sample(k)).enumerate() {
                let line = if kind == Detrend::Linear && self.length > 1 { moment[lane] / squares * at } else { 0.0 };
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
pub(super) fn by_phases<T: Real>(x: &[T], hop: usize, stride: usize, out: &mut [T]) {
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
                turn_square(x.as_ptr().add(column * hop + row), hop, to, stride);
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
unsafe fn turn_square<T: Real>(from: *const T, from_pitch: usize, to: *mut T, to_pitch: usize) {
    // SAFETY (both blocks): the caller's promise; of the sealed `Real` four bytes are an f32, and SSE2 is part of x86-64.
    #[cfg(target_arch = "x86_64")]
    if size_of::<T>() == 4 {
        use std::arch::x86_64::*;
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
    for i in 0..4 {
        for j in 0..4 {
            unsafe { *to.add(j * to_pitch + i) = *from.add(i * from_pitch + j) };
        }
    }
}

/// What a spectrogram holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Scaled power.
    Power,
    /// 10 log10 of it; -inf where it is zero.
    Decibel,
    /// Its root.
    Magnitude,
    /// The complex bins; two scalars each.
    Complex,
}

/// A batch of spectrograms: \[signal\]\[time\] -> \[signal\]\[bin\]\[frame\].
pub struct Spectrogram<T: Real> {
    frames: Frames<T>,
    mode: Mode,
    two_sided: bool,
    spares: Spares<FramesScratch<T>>,
}

impl<T: Real> Spectrogram<T> {
    /// `two_sided` appends the negative frequencies, the mirror image of the positive ones.
    pub fn new(frames: Frames<T>, mode: Mode, two_sided: bool) -> Self {
        Self { frames, mode, two_sided, spares: Spares::default() }
    }

    /// Rows of a spectrogram.
    pub fn bins(&self) -> usize {
        if self.two_sided { self.frames.plan.nfft() } else { self.frames.plan.bins() }
    }

    /// Scalars of the spectrogram of a signal of `n` samples; more than memory holds counts as all that can be counted.
    pub fn size(&self, n: usize) -> usize {
        let parts = if self.mode == Mode::Complex { 2 } else { 1 };
        product(&[parts, self.bins(), self.frames.count(n)]).unwrap_or(usize::MAX)
    }

    /// Writes the spectrogram of each signal into its share of `out`.
    ///
    /// # Shape
    /// `out` is \[signals\]\[bins\]\[frames\], for complex bins with two scalars a value.
    ///
    /// # Errors
    /// [`Error::Shape`] where `out` has another length or the signals are strided in time.
    pub fn run(&self, x: &Signals<'_, T>, out: &mut [T]) -> Result<()> {
        x.check_dense("x")?;
        let (n, signals) = (x.time(), x.count());
        let size = self.size(n);
        check_length("out", out.len(), &[signals, size])?;
        let count = self.frames.count(n);
        let chunk = self.frames.chunk();
        let chunks = count.div_ceil(chunk);
        // About what a frame costs with eight lanes; it only decides how the work is split.
        let frame_ns = 0.35 * self.frames.plan.nfft() as f64;
        let threads = threads::worth(frame_ns * (count * signals) as f64);
        // On one thread as well: a batch asks for Ctrl-C between its groups alone.
        let group = ((30e3 / frame_ns) as usize).div_ceil(count.clamp(1, chunk));
        let total = signals * chunks;
        let group = group.clamp(1, total.max(1));
        let target = Target(out.as_mut_ptr());
        let path = Path::best();
        let init = || self.spares.lend(|| self.frames.scratch());
        threads::for_each(threads, (0..total).step_by(group), init, |scratch, start| {
            for item in start..total.min(start + group) {
                let (row, part) = (item / chunks, item % chunks);
                let frames = part * chunk..count.min((part + 1) * chunk);
                // SAFETY: row < signals, so the row's share lies in `out`; items have rows or columns of their own.
                let out = unsafe { target.at(row * size) };
                let job = Job { of: self, x: x.get(row), frames, scratch, out, count };
                dispatch(path, job);
            }
        });
        Ok(())
    }
}

/// The output, of which each item of a batch writes its own part.
#[derive(Clone, Copy)]
struct Target<T>(*mut T);
// SAFETY: `run` gives no two items the same part, so each thread writes scalars of its own, which may be sent to it.
unsafe impl<T: Send> Sync for Target<T> {}
impl<T> Target<T> {
    unsafe fn at(&self, offset: usize) -> *mut T {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(offset) }
    }
}

/// Some frames of one signal.
struct Job<'a, T: Real> {
    of: &'a Spectrogram<T>,
    x: &'a [T],
    frames: Range<usize>,
    scratch: &'a mut FramesScratch<T>,
    out: *mut T,
    count: usize,
}
impl<T: Real> Kernel<T> for Job<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) {
        let Self { of, x, frames, scratch, out, count } = self;
        let place =
            Place { out, count, bins: of.frames.plan.bins(), nfft: of.frames.plan.nfft(), two_sided: of.two_sided };
        if of.mode == Mode::Complex {
            of.frames.for_each(cpu, x, frames, scratch, &mut Bins(place));
        } else {
            of.frames.for_each(cpu, x, frames, scratch, &mut Powers(place, of.mode));
        }
    }
}

/// What is written for a power. A trait, as closures would not be inlined and so not compiled for the path.
trait Value<V> {
    fn of(&mut self, power: V) -> V;
}
struct Same;
impl<V> Value<V> for Same {
    #[inline(always)]
    fn of(&mut self, power: V) -> V {
        power
    }
}
struct Root;
impl<V: Lanes> Value<V> for Root {
    #[inline(always)]
    fn of(&mut self, power: V) -> V {
        power.sqrt()
    }
}
/// Right for all powers.
struct Decibel;
impl<V: Lanes> Value<V> for Decibel {
    #[inline(always)]
    fn of(&mut self, power: V) -> V {
        log::scaled(power, DECIBEL)
    }
}
/// Right if its watch says so.
struct Watched<V>(Watch<V>);
impl<V: Lanes> Value<V> for Watched<V> {
    #[inline(always)]
    fn of(&mut self, power: V) -> V {
        self.0.see(power);
        log::scaled_normal(power, DECIBEL)
    }
}

/// Where a signal's spectrogram lies.
struct Place<T> {
    out: *mut T,
    count: usize,
    bins: usize,
    nfft: usize,
    two_sided: bool,
}

impl<T: Real> Place<T> {
    /// Row of the negative frequency of `bin`, where there is one to write.
    #[inline(always)]
    fn mirror(&self, bin: usize) -> Option<usize> {
        (self.two_sided && bin > 0 && 2 * bin < self.nfft).then(|| self.nfft - bin)
    }

    /// out\[bin\]\[first..first + lanes\] = value(rows\[bin\]).
    #[inline(always)]
    fn write<V: Lanes<T = T>>(
        &self,
        cpu: Cpu<V>,
        rows: &[T],
        (first, lanes): (usize, usize),
        value: &mut impl Value<V>,
    ) {
        assert!(lanes <= T::LANES && first + lanes <= self.count && rows.len() >= self.bins * T::LANES);
        let (from, to) = (rows.as_ptr(), self.out.wrapping_add(first));
        // Of the next signal's spectrogram, as much as is written here of this one's: it comes while this one is computed.
        let ahead = self.out.wrapping_add(self.bins * (self.count + first));
        for bin in 0..self.bins {
            prefetch_to_write(ahead.wrapping_add(bin * T::LANES));
        }
        // SAFETY (all loops): `rows` has all bins, `out` has `count` columns in each of its rows.
        if lanes == T::LANES {
            for bin in 0..self.bins {
                for column in 0..T::LANES / V::N {
                    let lane = column * V::N;
                    unsafe {
                        value.of(cpu.load(from.add(bin * T::LANES + lane))).store(to.add(bin * self.count + lane))
                    }
                }
            }
        } else {
            for bin in 0..self.bins {
                for lane in (0..lanes).step_by(V::N) {
                    unsafe {
                        let y = value.of(cpu.load(from.add(bin * T::LANES + lane)));
                        let to = to.add(bin * self.count + lane);
                        if lanes - lane < V::N { y.store_first(to, lanes - lane) } else { y.store(to) }
                    }
                }
            }
        }
        if self.two_sided {
            for bin in 0..self.bins {
                if let Some(row) = self.mirror(bin) {
                    // SAFETY: two different rows of `out`.
                    unsafe { to.add(row * self.count).copy_from_nonoverlapping(to.add(bin * self.count), lanes) }
                }
            }
        }
    }
}

/// Asks for the cache line at `address`, which need not exist, to be written soon.
#[inline(always)]
fn prefetch_to_write<T>(address: *const T) {
    // SAFETY: a hint that never faults; processors without it take it for no operation.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) address.addr(), options(nomem, nostack, preserves_flags));
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

/// Writes power, decibel or magnitude.
struct Powers<T>(Place<T>, Mode);
impl<T: Real> Block<T> for Powers<T> {
    #[inline(always)]
    fn rows<V: Lanes<T = T>>(&mut self, cpu: Cpu<V>, rows: &[T], first: usize, lanes: usize) {
        let Self(place, mode) = self;
        match mode {
            Mode::Decibel => {
                let mut watched = Watched(Watch::new(cpu));
                place.write(cpu, rows, (first, lanes), &mut watched);
                // Only a block of less than one vector has lanes that mean nothing.
                if !watched.0.all_normal(lanes.min(V::N)) {
                    place.write(cpu, rows, (first, lanes), &mut Decibel);
                }
            }
            Mode::Magnitude => place.write(cpu, rows, (first, lanes), &mut Root),
            Mode::Power | Mode::Complex => place.write(cpu, rows, (first, lanes), &mut Same),
        }
    }
}

/// Writes complex bins.
struct Bins<T>(Place<T>);
impl<T: Real> Block<T> for Bins<T> {
    const COMPLEX: bool = true;
    #[inline(always)]
    fn rows<V: Lanes<T = T>>(&mut self, _: Cpu<V>, rows: &[T], first: usize, lanes: usize) {
        let place = &self.0;
        assert!(first + lanes <= place.count);
        for (bin, parts) in rows.chunks_exact(2 * T::LANES).take(place.bins).enumerate() {
            let (re, im) = parts.split_at(T::LANES);
            let rows = [Some((bin, 1.0)), place.mirror(bin).map(|row| (row, -1.0))];
            for (row, sign) in rows.into_iter().flatten() {
                let sign = T::narrow(sign);
                for lane in 0..lanes {
                    // SAFETY: `out` has `count` pairs in every row.
                    unsafe {
                        let to = place.out.add(2 * (row * place.count + first + lane));
                        to.write(re[lane]);
                        to.add(1).write(sign * im[lane]);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "stft_tests.rs"]
mod tests;

//! Spectrograms, by the blocks of their [`Frames`].
#![allow(unsafe_code)]

use std::ops::Range;

use super::frames::{Block, Frames, FramesScratch};
use super::lanes::log::{self, DECIBEL, Watch};
use super::lanes::{Cpu, Kernel, Lanes, Path, Real, dispatch};
use super::memory::{LARGE, copy_past_cache, prefetch_to_write};
use crate::arrays::{Signals, check_length, product};
use crate::error::Result;
use crate::threads::{self, Spares};

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

/// A batch of spectrograms: [signal, time] -> [signal, bin, frame].
pub struct Spectrogram<T: Real> {
    frames: Frames<T>,
    mode: Mode,
    two_sided: bool,
    spares: Spares<Scratch<T>>,
}

/// Memory of one thread.
struct Scratch<T: Real> {
    frames: FramesScratch<T>,
    /// A signal's spectrogram, where it is copied out when it is done.
    staged: Vec<T>,
}

impl<T: Real> Spectrogram<T> {
    /// `two_sided` appends the negative frequencies, the mirror image of the positive ones.
    pub fn new(frames: Frames<T>, mode: Mode, two_sided: bool) -> Self {
        Self { frames, mode, two_sided, spares: Spares::default() }
    }

    /// Rows of a spectrogram.
    pub fn bins(&self) -> usize {
        if self.two_sided { self.frames.plan().nfft() } else { self.frames.plan().bins() }
    }

    /// Scalars of the spectrogram of a signal of `n` samples; more than memory holds counts as all that can be counted.
    pub fn size(&self, n: usize) -> usize {
        let parts = if self.mode == Mode::Complex { 2 } else { 1 };
        product(&[parts, self.bins(), self.frames.count(n)]).unwrap_or(usize::MAX)
    }

    /// Writes the spectrogram of each signal into its share of `out`.
    ///
    /// # Shape
    /// `out` is [signals, bins, frames], for complex bins with two scalars a value.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::error::Error::Shape) where `out` has another length or the signals are strided in time.
    pub fn run(&self, x: &Signals<'_, T>, out: &mut [T]) -> Result<()> {
        x.check_dense("x")?;
        let (n, signals) = (x.time(), x.count());
        let size = self.size(n);
        check_length("out", out.len(), &[signals, size])?;
        let count = self.frames.count(n);
        let chunk = self.frames.chunk();
        let chunks = count.div_ceil(chunk);
        // About what a frame costs with eight lanes; it only decides how the work is split.
        let frame_ns = 0.35 * self.frames.plan().nfft() as f64;
        let threads = threads::worth(frame_ns * (count * signals) as f64);
        // On one thread as well: a batch asks for Ctrl-C between its groups alone.
        let group = ((30e3 / frame_ns) as usize).div_ceil(count.clamp(1, chunk));
        let total = signals * chunks;
        let group = group.clamp(1, total.max(1));
        // Written past the cache where it would not stay there: what is written then need not be read first.
        let past_cache = chunks == 1 && size_of_val(out) >= LARGE && size * size_of::<T>() <= LARGE >> 6;
        let target = Target(out.as_mut_ptr());
        let path = Path::best();
        let init = || self.spares.lend(|| Scratch { frames: self.frames.scratch(), staged: Vec::new() });
        threads::for_each(threads, (0..total).step_by(group), init, |scratch, start| {
            for item in start..total.min(start + group) {
                let (row, part) = (item / chunks, item % chunks);
                let frames = part * chunk..count.min((part + 1) * chunk);
                // SAFETY: row < signals, so the row's share lies in `out`; items have rows or columns of their own.
                let out = unsafe { target.at(row * size) };
                let Scratch { frames: scratch, staged } = &mut **scratch;
                let mut job = Job { plan: self, x: x.get(row), frames, scratch, out, count, ahead: !past_cache };
                if past_cache {
                    staged.resize(size, T::default());
                    job.out = staged.as_mut_ptr();
                }
                dispatch(path, job);
                if past_cache {
                    // SAFETY: the row's share has `size` scalars.
                    copy_past_cache(staged, unsafe { std::slice::from_raw_parts_mut(out, size) });
                }
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
    plan: &'a Spectrogram<T>,
    x: &'a [T],
    frames: Range<usize>,
    scratch: &'a mut FramesScratch<T>,
    out: *mut T,
    count: usize,
    ahead: bool,
}
impl<T: Real> Kernel<T> for Job<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) {
        let Self { plan, x, frames, scratch, out, count, ahead } = self;
        let grid = Grid {
            out,
            count,
            bins: plan.frames.plan().bins(),
            nfft: plan.frames.plan().nfft(),
            two_sided: plan.two_sided,
            ahead,
        };
        if plan.mode == Mode::Complex {
            plan.frames.for_each(cpu, x, frames, scratch, &mut Bins(grid));
        } else {
            plan.frames.for_each(cpu, x, frames, scratch, &mut Powers(grid, plan.mode));
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

/// The memory of a signal's spectrogram.
struct Grid<T> {
    out: *mut T,
    count: usize,
    bins: usize,
    nfft: usize,
    two_sided: bool,
    /// The next signal's spectrogram follows.
    ahead: bool,
}

impl<T: Real> Grid<T> {
    /// Row of the negative frequency of `bin`, where there is one to write.
    #[inline(always)]
    fn mirror(&self, bin: usize) -> Option<usize> {
        (self.two_sided && bin > 0 && 2 * bin < self.nfft).then(|| self.nfft - bin)
    }

    /// `out[bin, first..first + lanes] = value(rows[bin])`.
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
        for bin in 0..if self.ahead { self.bins } else { 0 } {
            prefetch_to_write(ahead.wrapping_add(bin * T::LANES));
        }
        if lanes == T::LANES {
            for bin in 0..self.bins {
                for column in 0..T::LANES / V::N {
                    let lane = column * V::N;
                    // SAFETY: `rows` has LANES scalars for every bin, `out` a row of `count` columns; the lanes end by then.
                    unsafe {
                        value.of(cpu.load(from.add(bin * T::LANES + lane))).store(to.add(bin * self.count + lane))
                    }
                }
            }
        } else {
            for bin in 0..self.bins {
                for lane in (0..lanes).step_by(V::N) {
                    // SAFETY: as above; a last vector that would reach beyond the lanes is written in part.
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

/// Writes power, decibel or magnitude.
struct Powers<T>(Grid<T>, Mode);
impl<T: Real> Block<T> for Powers<T> {
    #[inline(always)]
    fn rows<V: Lanes<T = T>>(&mut self, cpu: Cpu<V>, rows: &[T], first: usize, lanes: usize) {
        let Self(grid, mode) = self;
        match mode {
            Mode::Decibel => {
                let mut watched = Watched(Watch::new(cpu));
                grid.write(cpu, rows, (first, lanes), &mut watched);
                // Only a block of less than one vector has lanes that mean nothing.
                if !watched.0.all_normal(lanes.min(V::N)) {
                    grid.write(cpu, rows, (first, lanes), &mut Decibel);
                }
            }
            Mode::Magnitude => grid.write(cpu, rows, (first, lanes), &mut Root),
            Mode::Power | Mode::Complex => grid.write(cpu, rows, (first, lanes), &mut Same),
        }
    }
}

/// Writes complex bins.
struct Bins<T>(Grid<T>);
impl<T: Real> Block<T> for Bins<T> {
    const COMPLEX: bool = true;
    #[inline(always)]
    fn rows<V: Lanes<T = T>>(&mut self, _: Cpu<V>, rows: &[T], first: usize, lanes: usize) {
        let grid = &self.0;
        assert!(first + lanes <= grid.count);
        for (bin, parts) in rows.chunks_exact(2 * T::LANES).take(grid.bins).enumerate() {
            let (re, im) = parts.split_at(T::LANES);
            let rows = [Some((bin, 1.0)), grid.mirror(bin).map(|row| (row, -1.0))];
            for (row, sign) in rows.into_iter().flatten() {
                let sign = T::narrow(sign);
                for lane in 0..lanes {
                    // SAFETY: `out` has `count` pairs in every row.
                    unsafe {
                        let to = grid.out.add(2 * (row * grid.count + first + lane));
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

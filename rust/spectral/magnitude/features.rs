//! Log of the mean (or the variance) over time of the short-time magnitude spectrum: the LMM and LMV features.
//!
//! |STFT| of a patch with hop N/2, a periodic Hann window and N/2 zeros on both sides, so that frame m is centred on sample
//! m * hop; mean over frames; natural log with a floor. The spectrogram is never in memory: a tile holds one *signal* per
//! lane, each frame of it goes through the lane transform, and its magnitudes are added up in a row per bin. No lane is
//! idle whatever the number of frames (19 for the paper's patch), no sum crosses lanes, and the logarithm is taken for 16
//! signals at a time. [`definition`] is the same in plain loops.

use std::f64::consts::LN_2;

use crate::arrays::{Signals, check_length};
use crate::error::{Error, Result};
use crate::spectral::lanes::fft::{Plan, Scale, Scratch};
use crate::spectral::lanes::rows::Rows;
use crate::spectral::lanes::{Cpu, Kernel, Lanes, Path, Real, dispatch, log};
use crate::spectral::{memory, tile, window};
use crate::threads;

/// One time-frequency resolution of a feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resolution {
    /// Length of a frame, at least 2.
    pub nfft: usize,
    /// Samples from a frame to the next.
    pub hop: usize,
    /// Smallest value before the logarithm (the largest where `cap`).
    pub floor: f64,
    /// Use `floor` as an upper limit: the paper's equations as printed.
    pub cap: bool,
}

impl Resolution {
    /// # Errors
    /// [`Error::Value`] for a frame below two samples, no hop, or a floor that is not positive.
    pub fn check(&self) -> Result<()> {
        if self.nfft < 2 {
            return Err(Error::value("nfft", "at least 2", self.nfft));
        }
        if self.hop == 0 {
            return Err(Error::value("hop", "at least 1", self.hop));
        }
        if !(self.floor > 0.0 && self.floor.is_finite()) {
            return Err(Error::value("floor", "a positive number", self.floor));
        }
        Ok(())
    }

    /// Bins of the one-sided spectrum.
    pub fn bins(&self) -> usize {
        self.nfft / 2 + 1
    }

    /// Frames of a signal with `nfft / 2` zeros on both sides; none of an empty one.
    pub fn frames(&self, time: usize) -> usize {
        if time == 0 {
            return 0;
        }
        time.saturating_add(self.nfft / 2 * 2).checked_sub(self.nfft).map_or(0, |rest| rest / self.hop + 1)
    }

    /// The transform of a frame in a tile, with the periodic Hann window or without a window.
    pub(super) fn plan<T: Real>(&self, windowed: bool) -> Result<Plan<T>> {
        let taps = window::by_name(if windowed { "hann" } else { "boxcar" }, self.nfft)?;
        Plan::new(&taps, self.nfft, |k| k * T::LANES, Scale { power: 1.0, double: false })
    }
}

/// What is taken over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// LMM.
    Mean,
    /// LMV, divided by the number of frames.
    Variance,
    /// LMV, divided by one less than the number of frames.
    UnbiasedVariance,
}

/// Log of the mean or variance over time of |STFT|, for every resolution: `out[r]` is [signal, bin].
///
/// # Shape
/// Signals [..., time] in, for resolution r `signals.count() * resolutions[r].bins()` values out. A NaN sample makes all
/// bins of its signal NaN.
///
/// # Errors
/// [`Error::Value`] for a bad resolution or too few frames, [`Error::Shape`] for an output of another length.
pub fn log_magnitudes<T: Real>(
    signals: &Signals<T>,
    resolutions: &[Resolution],
    moment: Moment,
    out: Vec<&mut [T]>,
    path: Path,
) -> Result<()> {
    signals.check_dense("x")?;
    let mut parts = Vec::with_capacity(resolutions.len());
    for resolution in resolutions {
        parts.push(Part::new(resolution, moment, signals.time())?);
    }
    if out.len() != parts.len() {
        return Err(Error::shape("out", format!("{} arrays, one for every nfft", parts.len()), out.len()));
    }
    for (out, part) in out.iter().zip(&parts) {
        check_length("out", out.len(), &[signals.count(), part.bins()])?;
    }
    let n = signals.count();
    let frames: usize = parts.iter().map(|p| p.frames * p.plan.nfft()).sum();
    let threads = threads::worth(0.6 * (n * frames) as f64);
    let share = n.div_ceil(threads * 16).next_multiple_of(T::LANES).min(64 * T::LANES).max(T::LANES);
    let mut rest: Vec<_> = out.into_iter().zip(&parts).map(|(o, p)| o.chunks_mut(share * p.bins())).collect();
    let items = (0..n).step_by(share).map(move |first| {
        (first, share.min(n - first), rest.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>())
    });
    let scratch = || FeatureScratch::new(&parts, signals.time());
    threads::for_each(threads, items, scratch, |scratch, (first, count, mut out)| {
        dispatch(path, Features { parts: &parts, signals, first, count, out: &mut out, scratch });
    });
    Ok(())
}

/// Features at one resolution, planned for signals of one length, with all memory that they need.
pub struct LogMagnitude<T: Real> {
    part: Part<T>,
    time: usize,
    scratch: FeatureScratch<T>,
}

impl<T: Real> LogMagnitude<T> {
    /// Plans features of signals of `time` samples.
    ///
    /// # Errors
    /// [`Error::Value`] for a bad resolution or too few frames.
    pub fn new(resolution: &Resolution, moment: Moment, time: usize) -> Result<Self> {
        let part = Part::new(resolution, moment, time)?;
        let scratch = FeatureScratch::new(std::slice::from_ref(&part), time);
        Ok(Self { part, time, scratch })
    }

    /// Bins of a feature.
    pub fn bins(&self) -> usize {
        self.part.bins()
    }

    /// The features [signal, bin] on the caller's thread, as [`log_magnitudes`]. Takes no memory but for an error.
    ///
    /// # Errors
    /// [`Error::Shape`] for signals that are not as planned and dense, or an output of another length.
    pub fn compute(&mut self, signals: &Signals<T>, out: &mut [T], path: Path) -> Result<()> {
        signals.check_dense("x")?;
        if signals.time() != self.time {
            return Err(Error::shape("x", format!("{} samples, as planned", self.time), signals.time()));
        }
        check_length("out", out.len(), &[signals.count(), self.bins()])?;
        let Self { part, scratch, .. } = self;
        let (parts, count) = (std::slice::from_ref(part), signals.count());
        dispatch(path, Features { parts, signals, first: 0, count, out: &mut [out], scratch });
        Ok(())
    }
}

/// A resolution, planned for a length of signal.
struct Part<T: Real> {
    plan: Plan<T>,
    resolution: Resolution,
    frames: usize,
    moment: Moment,
}

impl<T: Real> Part<T> {
    fn new(resolution: &Resolution, moment: Moment, time: usize) -> Result<Self> {
        resolution.check()?;
        let frames = resolution.frames(time);
        let needed = if moment == Moment::UnbiasedVariance { 2 } else { 1 };
        if frames < needed {
            let nfft = resolution.nfft;
            return Err(Error::value(
                "x",
                format!("{needed} or more frames of nfft = {nfft}"),
                format!("{time} samples"),
            ));
        }
        Ok(Self { plan: resolution.plan(true)?, resolution: *resolution, frames, moment })
    }

    fn bins(&self) -> usize {
        self.resolution.bins()
    }
}

/// Centres of frames that one tile of memory serves: with its margins it stays in the first two levels of cache.
const SEGMENT: usize = 512;

struct FeatureScratch<T: Real> {
    tile: Rows<T>,
    margin: usize,
    fft: Vec<Scratch<T>>,
    /// For each part [bin, LANES] of sums of magnitudes, or [bin, 2, LANES] of mean and squared deviations.
    sums: Vec<Rows<T>>,
}

impl<T: Real> FeatureScratch<T> {
    fn new(parts: &[Part<T>], time: usize) -> Self {
        let margin = parts.iter().map(|p| p.resolution.nfft.div_ceil(2)).max().unwrap_or(0);
        Self {
            tile: Rows::new((time + 1).min(SEGMENT) + 2 * margin),
            margin,
            fft: parts.iter().map(|p| p.plan.scratch()).collect(),
            sums: parts.iter().map(|p| Rows::new(p.bins() * if p.moment == Moment::Mean { 1 } else { 2 })).collect(),
        }
    }
}

/// The features of `count` signals from `first` on.
struct Features<'a, 'b, T: Real> {
    parts: &'a [Part<T>],
    signals: &'a Signals<'b, T>,
    first: usize,
    count: usize,
    out: &'a mut [&'b mut [T]],
    scratch: &'a mut FeatureScratch<T>,
}

impl<T: Real> Kernel<T> for Features<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) {
        let FeatureScratch { tile: rows, margin, fft, sums } = self.scratch;
        let centres = self.signals.time() + 1;
        for start in (0..self.count).step_by(T::LANES) {
            let lanes = T::LANES.min(self.count - start);
            sums.iter_mut().for_each(|rows| rows.fill(T::default()));
            for segment in (0..centres).step_by(SEGMENT) {
                let from = segment as isize - *margin as isize;
                tile::transpose(cpu, self.signals, (self.first + start, lanes), from, rows);
                for ((part, fft), sums) in self.parts.iter().zip(&mut *fft).zip(&mut *sums) {
                    let hop = part.resolution.hop;
                    let end = (segment + SEGMENT).min(centres).div_ceil(hop).min(part.frames);
                    for m in segment.div_ceil(hop)..end {
                        if m < T::LANES && start + T::LANES + m < self.count {
                            // A signal of the next tile with each frame of this one: it comes while this is computed.
                            memory::fetch(self.signals, self.first + start + T::LANES + m);
                        }
                        let row = m * hop - segment + *margin - part.resolution.nfft / 2;
                        part.plan.power(cpu, &rows[row * T::LANES..], lanes, &mut fft.arena, &mut fft.out);
                        add_frame(cpu, part, m, &fft.out, sums);
                    }
                }
            }
            for ((part, sums), out) in self.parts.iter().zip(&*sums).zip(&mut *self.out) {
                finish(cpu, part, sums, &mut out[start * part.bins()..][..lanes * part.bins()]);
            }
        }
    }
}

/// Adds the magnitudes of frame `m` to the sums; Welford's update where the variance is asked for.
#[inline(always)]
fn add_frame<V: Lanes>(cpu: Cpu<V>, part: &Part<V::T>, m: usize, power: &[V::T], sums: &mut [V::T]) {
    let mut index = 0;
    if part.moment == Moment::Mean {
        while index < sums.len() {
            cpu.read(sums, index).add(cpu.read(power, index).sqrt()).write(sums, index);
            index += V::N;
        }
        return;
    }
    let weight = cpu.constant(1.0 / (m + 1) as f64);
    while 2 * index < sums.len() {
        let row = index / V::T::LANES * V::T::LANES; // of the mean; its squares are a row further on
        let (to, squares) = (index + row, index + row + V::T::LANES);
        let (magnitude, mean) = (cpu.read(power, index).sqrt(), cpu.read(sums, to));
        let deviation = magnitude.sub(mean);
        let mean = deviation.mul_add(weight, mean);
        mean.write(sums, to);
        deviation.mul_add(magnitude.sub(mean), cpu.read(sums, squares)).write(sums, squares);
        index += V::N;
    }
}

/// Floors the moments and writes their logarithms, a signal after the other.
#[inline(always)]
fn finish<V: Lanes>(cpu: Cpu<V>, part: &Part<V::T>, sums: &[V::T], out: &mut [V::T]) {
    let bins = part.bins();
    let (width, skip, divisor) = match part.moment {
        Moment::Mean => (1, 0, part.frames),
        Moment::Variance => (2, 1, part.frames),
        Moment::UnbiasedVariance => (2, 1, part.frames - 1),
    };
    let scale = cpu.constant(1.0 / divisor as f64);
    let lanes = out.len() / bins;
    let mut logs = [V::T::default(); 16];
    for bin in 0..bins {
        let mut lane = 0;
        while lane < V::T::LANES {
            let value = cpu.read(sums, (width * bin + skip) * V::T::LANES + lane).mul(scale);
            log_limited(&part.resolution, value).write(&mut logs, lane);
            lane += V::N;
        }
        for lane in 0..lanes {
            out[lane * bins + bin] = logs[lane];
        }
    }
}

/// The natural logarithm of `value` after its floor or cap. NaN passes through both.
#[inline(always)]
pub(super) fn log_limited<V: Lanes>(resolution: &Resolution, value: V) -> V {
    let limit = value.cpu().constant(resolution.floor);
    // which argument comes second matters: it is the one that a NaN leaves through
    log::scaled(if resolution.cap { limit.min(value) } else { limit.max(value) }, LN_2)
}

/// [`log_magnitudes`] of one signal at one resolution, in plain loops.
pub fn definition(x: &[f64], resolution: &Resolution, moment: Moment) -> Vec<f64> {
    let Resolution { nfft, hop, floor, cap } = *resolution;
    let turn = 2.0 * std::f64::consts::PI / nfft as f64;
    let frames = resolution.frames(x.len());
    let magnitude = |m: usize, bin: usize| {
        let (mut re, mut im) = (0.0, 0.0);
        for k in 0..nfft {
            let sample = (m * hop + k).checked_sub(nfft / 2).and_then(|t| x.get(t)).copied().unwrap_or(0.0);
            let windowed = sample * (0.5 - 0.5 * (turn * k as f64).cos());
            let angle = turn * ((k * bin) % nfft) as f64;
            re += windowed * angle.cos();
            im -= windowed * angle.sin();
        }
        re.hypot(im)
    };
    let over_time = |bin: usize| {
        let s: Vec<f64> = (0..frames).map(|m| magnitude(m, bin)).collect();
        let mean = s.iter().sum::<f64>() / frames as f64;
        let squares = s.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        match moment {
            Moment::Mean => mean,
            Moment::Variance => squares / frames as f64,
            Moment::UnbiasedVariance => squares / (frames - 1) as f64,
        }
    };
    let limited = |v: f64| if cap { v.min(floor) } else { v.max(floor) };
    (0..resolution.bins()).map(|bin| limited(over_time(bin)).ln()).collect()
}

#[cfg(test)]
#[path = "features_tests.rs"]
mod tests;

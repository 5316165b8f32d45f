//! The spectral reconstruction loss of a masked auto-encoder and its gradient, in one pass.
//!
//! LMM is the squared difference of two log mean magnitudes (see [`super::features`]), LMV of two log variances, both mean
//! over bins; MSE is the mean over samples. The gradient of a row's loss with respect to the prediction depends on that row
//! alone, so it is computed beside the loss, while the row's spectra (some 60 KB for 16 signals) are still in cache; nothing
//! but the gradient itself is kept. With c the derivative of the loss by a frame's magnitude |X\[k\]|, that frame's share is
//! w\[n\] sum_k Re(c\[k\] X\[k\]/|X\[k\]| exp(i 2 pi k n / N)), zero where |X\[k\]| is; this inverse transform is the forward one
//! of the real sequence A + B, where A is the even extension of the real and B the odd extension of the imaginary parts.

use super::features::{Resolution, log_limited};
use crate::arrays::{Signals, check_length};
use crate::error::{Error, Result};
use crate::spectral::lanes::fft::{Plan, Rows, Scratch};
use crate::spectral::lanes::{Cpu, Kernel, Lanes, Path, Real, dispatch};
use crate::spectral::{tile, window};
use crate::threads;

/// Which terms the loss has. `None`: not computed; zero: computed, without a share in loss and gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weights {
    /// Weight of LMM, summed over resolutions.
    pub lmm: Option<f64>,
    /// Weight of LMV, summed over resolutions.
    pub lmv: Option<f64>,
    /// Divide the variance by one less than the number of frames.
    pub unbiased: bool,
    /// Weight of the mean squared error.
    pub mse: Option<f64>,
}

/// Terms of the loss, in the order of the columns of `terms`: LMM, LMV, MSE.
pub const N_TERMS: usize = 3;

/// Where [`loss`] writes.
pub struct LossOut<'a, T> {
    /// The terms without their weights, [signal][term]; zero where not computed.
    pub terms: &'a mut [T],
    /// The gradient of the weighted sum of terms by the prediction, [signal][time], if wanted.
    pub gradient: Option<&'a mut [T]>,
}

/// The terms of the loss of every signal, and the gradient of their weighted sum by the prediction.
///
/// # Shape
/// `prediction` and `target` [..., time] alike.
///
/// # Errors
/// [`Error::Shape`] for arrays that do not fit each other, [`Error::Value`] for a bad resolution or too few frames.
///
/// # Source
/// Lorenzen et al., arXiv 2502.17477 v1, equations 1 to 7.
pub fn loss<T: Real>(
    prediction: &Signals<T>,
    target: &Signals<T>,
    resolutions: &[Resolution],
    weights: Weights,
    out: LossOut<T>,
    path: Path,
) -> Result<()> {
    let (n, time) = (target.count(), target.time());
    if prediction.count() != n || prediction.time() != time {
        let got = format!("{} of {} samples", prediction.count(), prediction.time());
        return Err(Error::shape("prediction", format!("{n} signals of {time} samples"), got));
    }
    prediction.check_dense("prediction")?;
    target.check_dense("target")?;
    check_length("terms", out.terms.len(), &[n, N_TERMS])?;
    if let Some(gradient) = &out.gradient {
        check_length("gradient", gradient.len(), &[n, time])?;
    }
    let parts = resolutions.iter().map(|r| Part::new(r, &weights, time)).collect::<Result<Vec<_>>>()?;
    let frames: usize = parts.iter().map(|p| p.frames * p.resolution.nfft).sum();
    let threads = threads::worth(2.0 * (n * (frames + time)) as f64);
    let lanes = T::LANES;
    let wanted = out.gradient.is_some();
    let mut gradients = out.gradient.unwrap_or_default().chunks_mut(lanes * time);
    let items = (0..n)
        .step_by(lanes)
        .zip(out.terms.chunks_mut(lanes * N_TERMS))
        .map(move |(first, terms)| (first, terms, gradients.next().unwrap_or_default()));
    let job = Job { parts: &parts, weights, prediction, target, wanted };
    threads::for_each(
        threads,
        items,
        || LossScratch::new(&job),
        |scratch, (first, terms, gradient)| {
            share(&job, path, first, (terms, gradient), scratch);
        },
    );
    Ok(())
}

/// A resolution, planned for a length of signal.
struct Part<T: Real> {
    resolution: Resolution,
    forward: Plan<T>,
    /// Without the window, for the inverse.
    inverse: Plan<T>,
    window: Vec<T>,
    frames: usize,
    /// The variance's divisor, if there is such a term.
    divisor: Option<f64>,
}

impl<T: Real> Part<T> {
    fn new(resolution: &Resolution, weights: &Weights, time: usize) -> Result<Self> {
        resolution.check()?;
        let nfft = resolution.nfft;
        let frames = resolution.frames(time);
        let needed = if weights.unbiased && weights.lmv.is_some() { 2 } else { 1 };
        if frames < needed {
            return Err(Error::value(
                "target",
                format!("{needed} or more frames of nfft = {nfft}"),
                format!("{time} samples"),
            ));
        }
        Ok(Self {
            resolution: *resolution,
            forward: resolution.plan(true)?,
            inverse: resolution.plan(false)?,
            window: window::by_name("hann", nfft)?.into_iter().map(T::narrow).collect(),
            frames,
            divisor: weights.lmv.map(|_| (frames - usize::from(weights.unbiased)) as f64),
        })
    }

    fn bins(&self) -> usize {
        self.resolution.bins()
    }
}

struct Job<'a, T: Real> {
    parts: &'a [Part<T>],
    weights: Weights,
    prediction: &'a Signals<'a, T>,
    target: &'a Signals<'a, T>,
    wanted: bool,
}

struct LossScratch<T: Real> {
    margin: usize,
    target: Rows<T>,
    prediction: Rows<T>,
    gradient: Rows<T>,
    parts: Vec<PartScratch<T>>,
    terms: Rows<T>,
}

struct PartScratch<T: Real> {
    forward: Scratch<T>,
    inverse: Scratch<T>,
    /// [frame][bin][2][LANES]
    spectra: Rows<T>,
    /// [frame][bin][LANES]
    magnitudes: Rows<T>,
    /// [bin][2][LANES]: mean and variance; of the target its logs, of the prediction later the slope and offset of the
    /// derivative by a magnitude.
    target: Rows<T>,
    prediction: Rows<T>,
    /// The sequences for the inverse transforms, [frame][nfft][LANES].
    folded: Rows<T>,
}

impl<T: Real> LossScratch<T> {
    fn new(job: &Job<T>) -> Self {
        let margin = job.parts.iter().map(|p| p.resolution.nfft.div_ceil(2)).max().unwrap_or(0);
        let rows = job.target.time() + 2 * margin;
        let part = |p: &Part<T>| PartScratch {
            forward: p.forward.scratch(),
            inverse: p.inverse.scratch(),
            spectra: Rows::new(p.frames * p.bins() * 2),
            magnitudes: Rows::new(p.frames * p.bins()),
            target: Rows::new(p.bins() * 2),
            prediction: Rows::new(p.bins() * 2),
            folded: Rows::new(p.frames * p.resolution.nfft),
        };
        Self {
            margin,
            target: Rows::new(rows),
            prediction: Rows::new(rows),
            gradient: Rows::new(if job.wanted { rows } else { 0 }),
            parts: job.parts.iter().map(part).collect(),
            terms: Rows::new(N_TERMS),
        }
    }
}

/// Loss and gradient of the signals from `first` on that `terms` has room for.
fn share<T: Real>(
    job: &Job<T>,
    path: Path,
    first: usize,
    (terms, gradient): (&mut [T], &mut [T]),
    scratch: &mut LossScratch<T>,
) {
    let lanes = terms.len() / N_TERMS;
    let time = job.target.time();
    dispatch(path, Load { job, first, lanes, scratch });
    for (part, own) in job.parts.iter().zip(&mut scratch.parts) {
        let base = (scratch.margin - part.resolution.nfft / 2) * T::LANES;
        let hop = part.resolution.hop * T::LANES;
        for (tile, is_prediction) in [(&scratch.target, false), (&scratch.prediction, true)] {
            let (plan, fft) = (&part.forward, &mut own.forward);
            dispatch(
                path,
                Transforms { plan, fft, source: &tile[base..], hop, out: &mut own.spectra, frames: part.frames },
            );
            dispatch(path, Moments { part, own, is_prediction });
        }
        dispatch(path, Compare { part, job, own, terms: &mut scratch.terms });
        if job.wanted {
            dispatch(path, Fold { part, own });
            let (plan, fft) = (&part.inverse, &mut own.inverse);
            let hop = part.resolution.nfft * T::LANES;
            dispatch(
                path,
                Transforms { plan, fft, source: &own.folded, hop, out: &mut own.spectra, frames: part.frames },
            );
            dispatch(path, OverlapAdd { part, spectra: &own.spectra, gradient: &mut scratch.gradient[base..] });
        }
    }
    if job.weights.mse.is_some() {
        dispatch(path, SquaredError { job, scratch });
    }
    for lane in 0..lanes {
        for term in 0..N_TERMS {
            terms[lane * N_TERMS + term] = scratch.terms[term * T::LANES + lane];
        }
    }
    if job.wanted {
        let rows = &scratch.gradient[scratch.margin * T::LANES..][..time * T::LANES];
        gather(rows, gradient, time);
    }
}

/// Brings target and prediction into lanes and clears the sums.
struct Load<'a, 'b, T: Real> {
    job: &'a Job<'b, T>,
    first: usize,
    lanes: usize,
    scratch: &'a mut LossScratch<T>,
}

impl<T: Real> Kernel<T> for Load<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) {
        let Self { job, first, lanes, scratch } = self;
        let from = -(scratch.margin as isize);
        tile::transpose(cpu, job.target, (first, lanes), from, &mut scratch.target);
        tile::transpose(cpu, job.prediction, (first, lanes), from, &mut scratch.prediction);
        scratch.terms.fill(T::default());
        scratch.gradient.fill(T::default());
    }
}

/// The complex spectra of all frames of a tile. The transform is compiled once, for both directions.
struct Transforms<'a, T: Real> {
    plan: &'a Plan<T>,
    fft: &'a mut Scratch<T>,
    source: &'a [T],
    hop: usize,
    out: &'a mut [T],
    frames: usize,
}

impl<T: Real> Kernel<T> for Transforms<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) {
        let size = 2 * self.plan.bins() * T::LANES;
        for m in 0..self.frames {
            let out = &mut self.out[m * size..(m + 1) * size];
            self.plan.complex(cpu, &self.source[m * self.hop..], T::LANES, &mut self.fft.arena, out);
        }
    }
}

/// Adds a resolution's LMM and LMV to `terms`; leaves offset and slope of the derivative by a magnitude in
/// `own.prediction`.
struct Compare<'a, 'b, T: Real> {
    part: &'a Part<T>,
    job: &'a Job<'b, T>,
    own: &'a mut PartScratch<T>,
    terms: &'a mut [T],
}

impl<T: Real> Kernel<T> for Compare<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) {
        let Self { part, job, own, terms } = self;
        let width = T::LANES;
        let share = 1.0 / part.bins() as f64;
        let mut at = 0;
        while at < part.bins() * width {
            let (mean, variance) = (at / width * width + at, at / width * width + at + width);
            let lane = at % width;
            let mut offset = cpu.constant(0.0);
            let mut slope = cpu.constant(0.0);
            if let Some(weight) = job.weights.lmm {
                let (term, by) = compare(cpu, part, &own.target, &own.prediction, mean);
                term.mul_add(cpu.constant(share), cpu.read(terms, lane)).write(terms, lane);
                if weight != 0.0 {
                    offset = by.mul(cpu.constant(weight * share / part.frames as f64));
                }
            }
            if let (Some(weight), Some(divisor)) = (job.weights.lmv, part.divisor) {
                let (term, by) = compare(cpu, part, &own.target, &own.prediction, variance);
                term.mul_add(cpu.constant(share), cpu.read(terms, width + lane)).write(terms, width + lane);
                if weight != 0.0 {
                    slope = by.mul(cpu.constant(2.0 * weight * share / divisor));
                    offset = slope.neg_mul_add(cpu.read(&own.prediction, mean), offset);
                }
            }
            offset.write(&mut own.prediction, mean);
            slope.write(&mut own.prediction, variance);
            at += V::N;
        }
    }
}

/// The squared difference of the logs of two moments, and its derivative by the prediction's moment.
#[inline(always)]
fn compare<V: Lanes>(cpu: Cpu<V>, part: &Part<V::T>, target: &[V::T], prediction: &[V::T], at: usize) -> (V, V) {
    let moment = cpu.read(prediction, at);
    let log_target = log_limited(&part.resolution, cpu.read(target, at));
    let difference = log_limited(&part.resolution, moment).sub(log_target);
    let slope = difference.add(difference).div(moment);
    let (limit, zero) = (cpu.constant(part.resolution.floor), cpu.constant(0.0));
    let slope = if part.resolution.cap {
        limit.select_less(moment, zero, slope)
    } else {
        moment.select_less(limit, zero, slope)
    };
    (difference.mul(difference), slope)
}

/// Magnitudes of all frames; their mean and, where there is an LMV term, variance over frames.
struct Moments<'a, T: Real> {
    part: &'a Part<T>,
    own: &'a mut PartScratch<T>,
    is_prediction: bool,
}

impl<T: Real> Kernel<T> for Moments<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) {
        let Self { part, own, is_prediction } = self;
        let (spectra, magnitudes): (&[T], &mut [T]) = (&own.spectra, &mut own.magnitudes);
        let moments: &mut [T] = if is_prediction { &mut own.prediction } else { &mut own.target };
        let width = T::LANES;
        let size = part.bins() * width;
        let mut at = 0;
        while at < size {
            let to = at / width * width + at;
            let mut sum = cpu.constant(0.0);
            for m in 0..part.frames {
                let (re, im) = (cpu.read(spectra, 2 * m * size + to), cpu.read(spectra, 2 * m * size + to + width));
                let magnitude = im.mul_add(im, re.mul(re)).sqrt();
                magnitude.write(magnitudes, m * size + at);
                sum = sum.add(magnitude);
            }
            let mean = sum.mul(cpu.constant(1.0 / part.frames as f64));
            mean.write(moments, to);
            if let Some(divisor) = part.divisor {
                let mut squares = cpu.constant(0.0);
                for m in 0..part.frames {
                    let deviation = cpu.read(magnitudes, m * size + at).sub(mean);
                    squares = deviation.mul_add(deviation, squares);
                }
                squares.mul(cpu.constant(1.0 / divisor)).write(moments, to + width);
            }
            at += V::N;
        }
    }
}

/// Adds every frame's inverse transform, windowed, to the samples it covers.
struct OverlapAdd<'a, T: Real> {
    part: &'a Part<T>,
    spectra: &'a [T],
    gradient: &'a mut [T],
}

impl<T: Real> Kernel<T> for OverlapAdd<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) {
        let Self { part, spectra, gradient } = self;
        let (width, nfft) = (T::LANES, part.resolution.nfft);
        let size = part.bins() * width;
        for m in 0..part.frames {
            let result = &spectra[2 * m * size..2 * (m + 1) * size];
            let frame = &mut gradient[m * part.resolution.hop * width..][..nfft * width];
            let mut at = 0;
            while at < size {
                let (bin, lane) = (at / width, at % width);
                let from = 2 * bin * width + lane;
                let (re, im) = (cpu.read(result, from), cpu.read(result, from + width));
                add_weighted(frame, at, re.add(im), part.window[bin % nfft]);
                if bin > 0 && 2 * bin != nfft {
                    add_weighted(frame, (nfft - bin) * width + lane, re.sub(im), part.window[nfft - bin]);
                }
                at += V::N;
            }
        }
    }
}

#[inline(always)]
fn add_weighted<V: Lanes>(frame: &mut [V::T], at: usize, value: V, weight: V::T) {
    let cpu = value.cpu();
    value.mul_add(cpu.splat(weight), cpu.read(frame, at)).write(frame, at);
}

/// The sequences whose real transforms hold the inverses of all frames' gradients by their bins.
struct Fold<'a, T: Real> {
    part: &'a Part<T>,
    own: &'a mut PartScratch<T>,
}

impl<T: Real> Kernel<T> for Fold<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) {
        let Self { part, own } = self;
        let (width, nfft) = (T::LANES, part.resolution.nfft);
        let size = part.bins() * width;
        for m in 0..part.frames {
            let (spectrum, magnitude) = (&own.spectra[2 * m * size..][..2 * size], &own.magnitudes[m * size..][..size]);
            let folded = &mut own.folded[m * nfft * width..][..nfft * width];
            let mut at = 0;
            while at < size {
                let (bin, lane) = (at / width, at % width);
                let place = 2 * bin * width + lane;
                let (offset, slope) = (cpu.read(&own.prediction, place), cpu.read(&own.prediction, place + width));
                let magnitude = cpu.read(magnitude, at);
                let factor = quotient_or_zero(magnitude.mul_add(slope, offset), magnitude);
                let re = cpu.read(spectrum, place).mul(factor);
                if bin == 0 || 2 * bin == nfft {
                    re.write(folded, at);
                } else {
                    let half = cpu.constant(0.5);
                    let (re, im) = (re.mul(half), cpu.read(spectrum, place + width).mul(factor).mul(half));
                    re.add(im).write(folded, at);
                    re.sub(im).write(folded, (nfft - bin) * width + lane);
                }
                at += V::N;
            }
        }
    }
}

/// a / b for b >= 0, and 0 where b is: there the magnitude has no direction, and the gradient none.
#[inline(always)]
fn quotient_or_zero<V: Lanes>(a: V, b: V) -> V {
    let cpu = a.cpu();
    let zero = cpu.constant(0.0);
    let quotient = a.div(b);
    zero.select_less(b, quotient, b.select_less(cpu.constant(f64::INFINITY), zero, quotient))
}

/// The mean squared error and its gradient.
struct SquaredError<'a, 'b, T: Real> {
    job: &'a Job<'b, T>,
    scratch: &'a mut LossScratch<T>,
}

impl<T: Real> Kernel<T> for SquaredError<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) {
        let Self { job, scratch } = self;
        let (width, time) = (T::LANES, job.target.time());
        let weight = job.weights.mse.unwrap_or(0.0);
        let factor = cpu.constant(2.0 * weight / time as f64);
        let mut lane = 0;
        while lane < width {
            let mut sum = cpu.constant(0.0);
            for t in 0..time {
                let at = (scratch.margin + t) * width + lane;
                let difference = cpu.read(&scratch.prediction, at).sub(cpu.read(&scratch.target, at));
                sum = difference.mul_add(difference, sum);
                if job.wanted && weight != 0.0 {
                    let gradient = cpu.read(&scratch.gradient, at);
                    difference.mul_add(factor, gradient).write(&mut scratch.gradient, at);
                }
            }
            sum.mul(cpu.constant(1.0 / time as f64)).write(&mut scratch.terms, 2 * width + lane);
            lane += V::N;
        }
    }
}

/// Rows of lanes back to one signal after the other.
#[inline(always)]
fn gather<T: Real>(rows: &[T], signals: &mut [T], time: usize) {
    for lane in 0..signals.len() / time {
        let signal = &mut signals[lane * time..(lane + 1) * time];
        let mut t = 0;
        while t < time {
            signal[t] = rows[t * T::LANES + lane];
            t += 1;
        }
    }
}

#[cfg(test)]
#[path = "loss_tests.rs"]
mod tests;

//! The steps of the loss, each a kernel over rows of lanes; [`super::loss`] has their order.

use super::features::{Resolution, log_limited};
use crate::arrays::Signals;
use crate::error::{Error, Result};
use crate::spectral::lanes::fft::{Plan, Scratch};
use crate::spectral::lanes::rows::Rows;
use crate::spectral::lanes::{Cpu, Kernel, Lanes, Real};
use crate::spectral::memory::Ahead;
use crate::spectral::{tile, window};

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

/// A resolution, planned for a length of signal.
pub(super) struct Part<T: Real> {
    pub(super) resolution: Resolution,
    pub(super) forward: Plan<T>,
    /// Without the window, for the inverse.
    pub(super) inverse: Plan<T>,
    pub(super) window: Vec<T>,
    pub(super) frames: usize,
    /// The variance's divisor, if there is such a term.
    pub(super) divisor: Option<f64>,
}

impl<T: Real> Part<T> {
    pub(super) fn new(resolution: &Resolution, weights: &Weights, time: usize) -> Result<Self> {
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

    pub(super) fn bins(&self) -> usize {
        self.resolution.bins()
    }
}

pub(super) struct Job<'a, T: Real> {
    pub(super) parts: &'a [Part<T>],
    pub(super) weights: Weights,
    pub(super) prediction: &'a Signals<'a, T>,
    pub(super) target: &'a Signals<'a, T>,
    pub(super) with_gradient: bool,
}

pub(super) struct LossScratch<T: Real> {
    pub(super) margin: usize,
    pub(super) target: Rows<T>,
    pub(super) prediction: Rows<T>,
    pub(super) gradient: Rows<T>,
    pub(super) parts: Vec<PartScratch<T>>,
    pub(super) terms: Rows<T>,
}

pub(super) struct PartScratch<T: Real> {
    pub(super) forward: Scratch<T>,
    pub(super) inverse: Scratch<T>,
    /// [frame, bin, 2, LANES]
    pub(super) spectra: Rows<T>,
    /// [frame, bin, LANES]
    pub(super) magnitudes: Rows<T>,
    /// [bin, 2, LANES]: mean and variance; of the target its logs, of the prediction later the slope and offset of the
    /// derivative by a magnitude.
    pub(super) target: Rows<T>,
    pub(super) prediction: Rows<T>,
    /// The sequences for the inverse transforms, [frame, nfft, LANES].
    pub(super) folded: Rows<T>,
}

impl<T: Real> LossScratch<T> {
    pub(super) fn new(job: &Job<T>) -> Self {
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
            gradient: Rows::new(if job.with_gradient { rows } else { 0 }),
            parts: job.parts.iter().map(part).collect(),
            terms: Rows::new(N_TERMS),
        }
    }
}

/// Brings target and prediction into lanes and clears the sums.
pub(super) struct Load<'a, 'b, T: Real> {
    pub(super) job: &'a Job<'b, T>,
    pub(super) first: usize,
    pub(super) lanes: usize,
    pub(super) scratch: &'a mut LossScratch<T>,
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
pub(super) struct Transforms<'a, T: Real> {
    pub(super) plan: &'a Plan<T>,
    pub(super) fft: &'a mut Scratch<T>,
    pub(super) source: &'a [T],
    pub(super) hop: usize,
    pub(super) out: &'a mut [T],
    pub(super) frames: usize,
    /// Memory that is needed soon: a signal of each with every frame.
    pub(super) ahead: Ahead<'a, T>,
}

impl<T: Real> Kernel<T> for Transforms<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) {
        let size = 2 * self.plan.bins() * T::LANES;
        for m in 0..self.frames {
            self.ahead.fetch(m);
            let out = &mut self.out[m * size..(m + 1) * size];
            self.plan.complex(cpu, &self.source[m * self.hop..], T::LANES, &mut self.fft.arena, out);
        }
    }
}

/// Adds a resolution's LMM and LMV to `terms`; leaves offset and slope of the derivative by a magnitude in
/// `own.prediction`.
pub(super) struct Compare<'a, 'b, T: Real> {
    pub(super) part: &'a Part<T>,
    pub(super) job: &'a Job<'b, T>,
    pub(super) own: &'a mut PartScratch<T>,
    pub(super) terms: &'a mut [T],
}

impl<T: Real> Kernel<T> for Compare<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) {
        let Self { part, job, own, terms } = self;
        let width = T::LANES;
        let share = 1.0 / part.bins() as f64;
        let mut index = 0;
        while index < part.bins() * width {
            let (mean, variance) = (index / width * width + index, index / width * width + index + width);
            let lane = index % width;
            let mut offset = cpu.constant(0.0);
            let mut slope = cpu.constant(0.0);
            if let Some(weight) = job.weights.lmm {
                let (term, slope_of_term) = compare(cpu, part, &own.target, &own.prediction, mean);
                term.mul_add(cpu.constant(share), cpu.read(terms, lane)).write(terms, lane);
                if weight != 0.0 {
                    offset = slope_of_term.mul(cpu.constant(weight * share / part.frames as f64));
                }
            }
            if let (Some(weight), Some(divisor)) = (job.weights.lmv, part.divisor) {
                let (term, slope_of_term) = compare(cpu, part, &own.target, &own.prediction, variance);
                term.mul_add(cpu.constant(share), cpu.read(terms, width + lane)).write(terms, width + lane);
                if weight != 0.0 {
                    slope = slope_of_term.mul(cpu.constant(2.0 * weight * share / divisor));
                    offset = slope.neg_mul_add(cpu.read(&own.prediction, mean), offset);
                }
            }
            offset.write(&mut own.prediction, mean);
            slope.write(&mut own.prediction, variance);
            index += V::N;
        }
    }
}

/// The squared difference of the logs of two moments, and its derivative by the prediction's moment.
#[inline(always)]
fn compare<V: Lanes>(cpu: Cpu<V>, part: &Part<V::T>, target: &[V::T], prediction: &[V::T], index: usize) -> (V, V) {
    let moment = cpu.read(prediction, index);
    let log_target = log_limited(&part.resolution, cpu.read(target, index));
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
pub(super) struct Moments<'a, T: Real> {
    pub(super) part: &'a Part<T>,
    pub(super) own: &'a mut PartScratch<T>,
    pub(super) is_prediction: bool,
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
        let mut index = 0;
        while index < size {
            let to = index / width * width + index;
            let mut sum = cpu.constant(0.0);
            for m in 0..part.frames {
                let (re, im) = (cpu.read(spectra, 2 * m * size + to), cpu.read(spectra, 2 * m * size + to + width));
                let magnitude = im.mul_add(im, re.mul(re)).sqrt();
                magnitude.write(magnitudes, m * size + index);
                sum = sum.add(magnitude);
            }
            let mean = sum.mul(cpu.constant(1.0 / part.frames as f64));
            mean.write(moments, to);
            if let Some(divisor) = part.divisor {
                let mut squares = cpu.constant(0.0);
                for m in 0..part.frames {
                    let deviation = cpu.read(magnitudes, m * size + index).sub(mean);
                    squares = deviation.mul_add(deviation, squares);
                }
                squares.mul(cpu.constant(1.0 / divisor)).write(moments, to + width);
            }
            index += V::N;
        }
    }
}

/// Adds every frame's inverse transform, windowed, to the samples it covers.
pub(super) struct OverlapAdd<'a, T: Real> {
    pub(super) part: &'a Part<T>,
    pub(super) spectra: &'a [T],
    pub(super) gradient: &'a mut [T],
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
            let mut index = 0;
            while index < size {
                let (bin, lane) = (index / width, index % width);
                let from = 2 * bin * width + lane;
                let (re, im) = (cpu.read(result, from), cpu.read(result, from + width));
                add_weighted(frame, index, re.add(im), part.window[bin % nfft]);
                if bin > 0 && 2 * bin != nfft {
                    add_weighted(frame, (nfft - bin) * width + lane, re.sub(im), part.window[nfft - bin]);
                }
                index += V::N;
            }
        }
    }
}

#[inline(always)]
fn add_weighted<V: Lanes>(frame: &mut [V::T], index: usize, value: V, weight: V::T) {
    let cpu = value.cpu();
    value.mul_add(cpu.splat(weight), cpu.read(frame, index)).write(frame, index);
}

/// The sequences whose real transforms hold the inverses of all frames' gradients by their bins.
pub(super) struct Fold<'a, T: Real> {
    pub(super) part: &'a Part<T>,
    pub(super) own: &'a mut PartScratch<T>,
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
            let mut index = 0;
            while index < size {
                let (bin, lane) = (index / width, index % width);
                let source = 2 * bin * width + lane;
                let (offset, slope) = (cpu.read(&own.prediction, source), cpu.read(&own.prediction, source + width));
                let magnitude = cpu.read(magnitude, index);
                let factor = quotient_or_zero(magnitude.mul_add(slope, offset), magnitude);
                let re = cpu.read(spectrum, source).mul(factor);
                if bin == 0 || 2 * bin == nfft {
                    re.write(folded, index);
                } else {
                    let half = cpu.constant(0.5);
                    let (re, im) = (re.mul(half), cpu.read(spectrum, source + width).mul(factor).mul(half));
                    re.add(im).write(folded, index);
                    re.sub(im).write(folded, (nfft - bin) * width + lane);
                }
                index += V::N;
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
pub(super) struct SquaredError<'a, 'b, T: Real> {
    pub(super) job: &'a Job<'b, T>,
    pub(super) scratch: &'a mut LossScratch<T>,
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
                let index = (scratch.margin + t) * width + lane;
                let difference = cpu.read(&scratch.prediction, index).sub(cpu.read(&scratch.target, index));
                sum = difference.mul_add(difference, sum);
                if job.with_gradient && weight != 0.0 {
                    let gradient = cpu.read(&scratch.gradient, index);
                    difference.mul_add(factor, gradient).write(&mut scratch.gradient, index);
                }
            }
            sum.mul(cpu.constant(1.0 / time as f64)).write(&mut scratch.terms, 2 * width + lane);
            lane += V::N;
        }
    }
}

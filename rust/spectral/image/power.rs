//! The power of every cell of one axis, lanes across frames, and what the cells span.
//!
//! A picture hangs on its weakest cell, and gravity's rounding noise would fill it in float32. So a window's mean m is taken
//! out before the transform, and its known spectrum m W(k), W the transform of the window function, put back in every bin.
//! What is left is the noise of the motion itself, some 140 dB below it: [`Transforms::noise`] says where it begins, and a
//! channel with a cell near it is taken again in float64.
#![allow(unsafe_code)]

use super::definition::Plan;
use super::extent::Extent;
use super::levels::BLOCK;
use crate::arrays::Signals;
use crate::error::Result;
use crate::spectral::frames::by_phases;
use crate::spectral::lanes::fft::{self, Scale};
use crate::spectral::lanes::{Cpu, Kernel, Lanes, Path, Real, dispatch};

/// A cell this many times stronger than the mean rounding noise of float32 keeps its level.
const SAFE: f32 = 1e5;
/// Samples outside this range are left to the definition, whose float64 has room for their squares.
const SIZES: std::ops::Range<f32> = 1e-30..1e30;

/// The transforms of a plan's frames, and how their samples lie.
///
/// Sample k of frame t is sample hop (t + k / hop) + k % hop of the window. With the window laid out as `hop` rows of every
/// hop-th sample, the same k of neighbouring frames are neighbours in memory and load as one vector.
pub struct Transforms {
    single: fft::Plan<f32>,
    double: fft::Plan<f64>,
    /// Spectrum of the window function, with the same doubling as the frames'.
    leak: Vec<[f32; 2]>,
    hop: usize,
    pitch: usize,
    bins: usize,
    frames: usize,
    nfft: usize,
    one_sided: bool,
}

/// Working memory of one thread.
pub struct Scratch {
    single: fft::Scratch<f32>,
    double: fft::Scratch<f64>,
    flat: Vec<f32>,
    rows: Vec<f32>,
    rows_double: Vec<f64>,
}

/// One axis, staged for the float32 transform.
#[derive(Clone, Copy, Debug)]
struct Axis {
    mean: f32,
    /// The power of two that brings the largest deviation from the mean to [1/2, 1).
    scale: f32,
    constant: bool,
}

/// Scalars that windows come in.
pub trait Sample: Copy + Into<f64> + Sync + Send + 'static {
    /// `self - mean` in the type's own precision, as float32.
    fn less(self, mean: f32) -> f32;
}
impl Sample for f32 {
    #[inline(always)]
    fn less(self, mean: f32) -> f32 {
        self - mean
    }
}
impl Sample for f64 {
    #[inline(always)]
    fn less(self, mean: f32) -> f32 {
        (self - f64::from(mean)) as f32
    }
}

impl Transforms {
    /// Plans the transforms of `plan`'s frames.
    ///
    /// # Errors
    /// As [`fft::Plan::new`].
    pub fn new(plan: &Plan) -> Result<Self> {
        let (nfft, hop, [bins, frames]) = (plan.recipe.nfft, plan.hop(), plan.grid);
        let rows = (nfft - 1) / hop + frames.next_multiple_of(BLOCK);
        // An odd number of cache lines, so that rows do not share cache sets.
        let pitch = (rows.div_ceil(16) | 1) * 16;
        let offset = |k: usize| (k % hop) * pitch + k / hop;
        let scale = Scale { power: 1.0, double: plan.recipe.one_sided };
        let gain = if plan.recipe.one_sided { std::f64::consts::SQRT_2 } else { 1.0 };
        let leak = plan.window_spectrum().iter().map(|[re, im]| [(re * gain) as f32, (im * gain) as f32]).collect();
        Ok(Self {
            single: fft::Plan::new(&plan.window, nfft, offset, scale)?,
            double: fft::Plan::new(&plan.window, nfft, offset, scale)?,
            leak,
            hop,
            pitch,
            bins,
            frames,
            nfft,
            one_sided: plan.recipe.one_sided,
        })
    }

    /// Scratch for one thread.
    pub fn scratch(&self) -> Scratch {
        Scratch {
            single: self.single.scratch(),
            double: self.double.scratch(),
            flat: Vec::new(),
            rows: vec![0.0; self.hop * self.pitch],
            rows_double: Vec::new(),
        }
    }

    /// Scalars of the power of one axis: [block, bin, `BLOCK`].
    pub fn cells(&self) -> usize {
        self.frames.div_ceil(BLOCK) * self.bins * BLOCK
    }

    /// The power in float32 of one axis times the square of a power of two, its extent and that square's log2; `None` where
    /// the axis is not finite or of extreme size.
    ///
    /// `faint`: given both, the log2 of the weakest power that the picture can tell from a weaker one; `None` where it is
    /// to be drawn from float32 in any case.
    pub fn power<T: Sample>(
        &self,
        x: &Signals<'_, T>,
        channel: usize,
        faint: impl Fn(Extent, f64) -> Option<f64>,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Option<(Extent, f64)> {
        let axis = dispatch(Path::best(), Stage { plan: self, x, channel, scratch })?;
        let shift = 2.0 * f64::from(axis.scale.log2());
        let Scratch { single, rows, .. } = scratch;
        let ends =
            dispatch(Path::best(), Single { plan: self, rows, mean: axis.mean * axis.scale, scratch: single, out });
        let extent = Extent { low: f64::from(ends[0]).log2(), high: f64::from(ends[1]).log2() };
        let noise = if axis.constant { 0.0 } else { self.noise(f32::EPSILON) };
        if ends[0] > f32::MIN_POSITIVE && faint(extent, shift).is_none_or(|weakest| weakest > f64::from(noise).log2()) {
            return Some((extent, shift));
        }
        let (least, extent, shift) = self.power_double(x, channel, scratch, out);
        // What is rounding noise even in float64 is left to the definition, whose noise it then is.
        let visible = least.max(faint(extent, shift).unwrap_or(f64::NEG_INFINITY));
        let silent = extent == Extent::NONE;
        (silent || visible > f64::from(self.noise(f64::EPSILON as f32)).log2()).then_some((extent, shift))
    }

    /// [`Transforms::power`] in float64 of the samples as they are: no mean is taken out, true zeros come out as zeros.
    /// Before the extent, which leaves zeros out, the log2 of the least power, zeros included.
    fn power_double<T: Sample>(
        &self,
        x: &Signals<'_, T>,
        channel: usize,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> (f64, Extent, f64) {
        let mut largest = 0.0f64;
        x.for_each(channel, |_, v| largest = largest.max(v.into().abs()));
        let scale = 2f64.powi(-(largest.max(f64::from(SIZES.start)).log2().floor() as i32));
        let rows = &mut scratch.rows_double;
        rows.resize(self.hop * self.pitch, 0.0);
        let mut put = |i: usize, v: f64| rows[(i % self.hop) * self.pitch + i / self.hop] = v;
        x.for_each(channel, |i, v| put(i, v.into() * scale));
        (x.time()..self.nfft).for_each(|i| put(i, 0.0));
        let [least, low, high] = dispatch(Path::best(), Double { plan: self, rows, scratch: &mut scratch.double, out });
        (least.log2(), Extent { low: low.log2(), high: high.log2() }, 2.0 * scale.log2())
    }

    /// Below this power a cell of a staged axis may be rounding noise.
    ///
    /// The transform of frames of at most 1 errs by about epsilon times the root of the frame's energy in every bin.
    fn noise(&self, epsilon: f32) -> f32 {
        SAFE * (epsilon / 2.0).powi(2) * self.nfft as f32
    }
}

/// Lays one axis less its mean out in `scratch.rows`; `None` where it is not finite or of extreme size.
struct Stage<'a, 'w, T> {
    plan: &'a Transforms,
    x: &'a Signals<'w, T>,
    channel: usize,
    scratch: &'a mut Scratch,
}

impl<T: Sample> Kernel<f32> for Stage<'_, '_, T> {
    type Output = Option<Axis>;

    /// Plain loops, for the compiler to make the path's vectors of.
    #[inline(always)]
    fn run<V: Lanes<T = f32>>(self, cpu: Cpu<V>) -> Option<Axis> {
        let Self { plan, x, channel, scratch: Scratch { flat, rows, .. } } = self;
        let length = x.time();
        flat.resize(length, 0.0);
        less(x, channel, 0.0, flat);
        // A window shorter than a frame is padded with true zeros: its mean stays.
        let mut mean = 0.0f32;
        if length >= plan.nfft {
            let mut sum = [0.0f32; 16];
            let (whole, rest) = flat.as_chunks::<16>();
            for chunk in whole {
                for i in 0..16 {
                    sum[i] += chunk[i];
                }
            }
            for i in 0..rest.len() {
                sum[i] += rest[i];
            }
            // A short mean: subtracting it from samples of the same size is exact.
            mean = f32::from_bits((sum.iter().sum::<f32>() / length as f32).to_bits() & !0xfff);
            less(x, channel, mean, flat);
        }
        let mut peak = 0u32;
        for v in &flat[..] {
            peak = peak.max(v.to_bits() & 0x7fff_ffff);
        }
        let peak = f32::from_bits(peak);
        let constant = peak == 0.0;
        if !(constant || SIZES.contains(&peak)) || !(mean == 0.0 || SIZES.contains(&mean.abs())) {
            return None;
        }
        let scale = if constant { 1.0 } else { f32::from_bits((253 << 23) - (peak.to_bits() & 0x7f80_0000)) };
        for v in &mut flat[..] {
            *v *= scale;
        }
        let needed = (plan.frames - 1) * plan.hop + plan.nfft; // the rest fills no frame
        by_phases(cpu, &flat[..needed.min(length)], plan.hop, plan.pitch, rows);
        Some(Axis { mean, scale, constant })
    }
}

/// out = one axis less `mean`.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // a closure would not be compiled for the path
fn less<T: Sample>(x: &Signals<'_, T>, channel: usize, mean: f32, out: &mut [f32]) {
    match x.slice(channel) {
        Some(slice) => {
            let slice = &slice[..out.len()];
            for i in 0..out.len() {
                out[i] = slice[i].less(mean);
            }
        }
        None => x.for_each(channel, |i, v| out[i] = v.less(mean)),
    }
}

/// The least and the largest of the lanes that count, of a block's running extremes.
#[inline(always)]
fn fold(ends: &mut [f64; 2], least: &[f32; BLOCK], largest: &[f32; BLOCK], lanes: usize) {
    for lane in 0..lanes {
        ends[0] = ends[0].min(f64::from(least[lane]));
        ends[1] = ends[1].max(f64::from(largest[lane]));
    }
}

struct Single<'a> {
    plan: &'a Transforms,
    rows: &'a [f32],
    mean: f32,
    scratch: &'a mut fft::Scratch<f32>,
    out: &'a mut [f32],
}

impl Kernel<f32> for Single<'_> {
    type Output = [f32; 2];

    #[inline(always)]
    fn run<V: Lanes<T = f32>>(self, cpu: Cpu<V>) -> [f32; 2] {
        let Self { plan, rows, mean, scratch, out } = self;
        let fft::Scratch { arena, out: spectrum } = scratch;
        let mut ends = [f64::INFINITY, f64::NEG_INFINITY];
        let blocks = out.chunks_exact_mut(plan.bins * BLOCK);
        for (block, out) in blocks.enumerate() {
            let lanes = BLOCK.min(plan.frames - block * BLOCK);
            plan.single.complex(cpu, &rows[block * BLOCK..], lanes, arena, spectrum);
            let (mut least, mut largest) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);
            for first in (0..lanes).step_by(V::N) {
                // SAFETY: spectrum, out and the two arrays hold whole rows of BLOCK lanes, N divides BLOCK.
                unsafe {
                    let from = spectrum.as_ptr().add(first);
                    let to = out.as_mut_ptr().add(first);
                    let half = cpu.splat(if plan.one_sided { 0.5 } else { 1.0 });
                    let edge = cell(cpu, from, plan.leak[0], mean).mul(half);
                    edge.store(to);
                    let last = plan.bins - 1;
                    let mut end = cell(cpu, from.add(2 * last * BLOCK), plan.leak[last], mean);
                    if plan.nfft % 2 == 0 {
                        end = end.mul(half);
                    }
                    end.store(to.add(last * BLOCK));
                    let (mut low, mut high) = (edge.min(end), edge.max(end));
                    for bin in 1..last {
                        let power = cell(cpu, from.add(2 * bin * BLOCK), plan.leak[bin], mean);
                        power.store(to.add(bin * BLOCK));
                        low = low.min(power);
                        high = high.max(power);
                    }
                    low.store(least.as_mut_ptr().add(first));
                    high.store(largest.as_mut_ptr().add(first));
                }
            }
            fold(&mut ends, &least, &largest, lanes);
        }
        [ends[0] as f32, ends[1] as f32]
    }
}

/// The power of one bin of one vector of frames, its real parts at `from`, with the mean's leak put back.
///
/// # Safety
/// Two rows from `from` on may be read.
#[inline(always)]
unsafe fn cell<V: Lanes<T = f32>>(cpu: Cpu<V>, from: *const f32, leak: [f32; 2], mean: f32) -> V {
    // SAFETY: the caller's promise.
    let (re, im) = unsafe { (cpu.load(from), cpu.load(from.add(BLOCK))) };
    let (re, im) = (re.add(cpu.splat(leak[0] * mean)), im.add(cpu.splat(leak[1] * mean)));
    im.mul_add(im, re.mul(re))
}

struct Double<'a> {
    plan: &'a Transforms,
    rows: &'a [f64],
    scratch: &'a mut fft::Scratch<f64>,
    out: &'a mut [f32],
}

impl Kernel<f64> for Double<'_> {
    type Output = [f64; 3];

    /// The least power, the least but that of silent frames, and the largest.
    #[inline(always)]
    fn run<V: Lanes<T = f64>>(self, cpu: Cpu<V>) -> [f64; 3] {
        const HALF: usize = <f64 as Real>::LANES;
        let Self { plan, rows, scratch, out } = self;
        let fft::Scratch { arena, out: power } = scratch;
        let mut ends = [f64::INFINITY, f64::INFINITY, 0.0];
        for first in (0..plan.frames).step_by(HALF) {
            let lanes = HALF.min(plan.frames - first);
            plan.double.power(cpu, &rows[first..], lanes, arena, power);
            let mut least = [f64::INFINITY; HALF];
            let (mut low, mut high) = (least, [0.0f64; HALF]);
            let out = &mut out[first / BLOCK * plan.bins * BLOCK + first % BLOCK..];
            for bin in 0..plan.bins {
                let (power, out) = (&power[bin * HALF..][..HALF], &mut out[bin * BLOCK..][..HALF]);
                for lane in 0..HALF {
                    let p = power[lane];
                    out[lane] = p as f32;
                    least[lane] = least[lane].min(p);
                    low[lane] = low[lane].min(if p > 0.0 { p } else { f64::INFINITY });
                    high[lane] = high[lane].max(p);
                }
            }
            for lane in 0..lanes {
                if least[lane] == 0.0 && high[lane] > 0.0 {
                    // A zero beside power is a sum that came out even: in another order it is noise.
                    low[lane] = f64::MIN_POSITIVE;
                }
                ends = [ends[0].min(least[lane]), ends[1].min(low[lane]), ends[2].max(high[lane])];
            }
        }
        ends
    }
}

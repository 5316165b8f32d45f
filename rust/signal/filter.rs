//! Zero-phase low-pass: a cascade run forward and then backward over a run of samples.
//!
//! A recursive filter forgets: past [`Butterworth::memory`] samples nothing of an older input is left. So a long run is cut
//! into stretches that are filtered independently, each with that many neighbours on either side, and the four lanes of a
//! vector hold four stretches (or four series). The ends of a run are continued by reflection through their last sample and
//! the state starts as if the first sample had always been there, both as in `scipy.signal.sosfiltfilt`.
//!
//! A missing sample (NaN) counts as 0 in the filter and is missing in the result, as in actipy.

use super::butterworth::Butterworth;
use crate::arrays::{Signals, check_length};
use crate::cpu::Path;
use crate::error::{Error, Result};
use crate::threads;

/// Float64 numbers that go through the same operations: one vector's.
#[derive(Clone, Copy)]
struct Lanes<const L: usize>([f64; L]);
/// Series that are filtered together: as many as the widest vector has lanes.
const LANES: usize = 8;
/// A sample of each of them, in one cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Row([f64; LANES]);

/// Share of the largest sample by which a stretch's result may differ from the whole run's.
const TOLERANCE: f64 = 1e-10;
/// Neighbours that a stretch may need at most.
const MEMORY_LIMIT: usize = 1 << 20;
/// Kept samples of a stretch at least: short enough for the second-level cache, long enough to pay for its neighbours.
const STRETCH: usize = 2048;

impl<const L: usize> Lanes<L> {
    #[inline(always)]
    fn splat(value: f64) -> Self {
        Self([value; L])
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
    #[inline(always)]
    fn scaled(self, factor: f64) -> Self {
        Self(self.0.map(|v| v * factor))
    }
    /// `self - a b`, rounded once where `FMA`.
    #[inline(always)]
    fn minus_product<const FMA: bool>(self, a: Self, b: Self) -> Self {
        let (x, a, b) = (self.0, a.0, b.0);
        let one = |i: usize| if FMA { (-a[i]).mul_add(b[i], x[i]) } else { x[i] - a[i] * b[i] };
        Self(std::array::from_fn(one))
    }
}

/// `N` sections without their gain, in direct form II: `w = x - a1 w' - a2 w''`, `u = w + w'`, `y = u + u'`.
///
/// The sections work on different samples at the same time, each on the one that the section before it has just left, so
/// that none waits for another within a step; a sample comes out `N - 1` steps after it went in.
struct Cascade<const N: usize, const L: usize> {
    a: [[Lanes<L>; 2]; N],
    w: [[Lanes<L>; 2]; N],
    u: [Lanes<L>; N],
    /// What each section takes next; the first entry is not used.
    next: [Lanes<L>; N],
}

impl<const N: usize, const L: usize> Cascade<N, L> {
    /// State of a cascade whose input has been `x` for ever.
    #[inline(always)]
    fn settled(sections: &[[f64; 2]], x: [f64; L]) -> Self {
        let (zero, mut x) = (Lanes::splat(0.0), Lanes(x));
        let mut cascade = Self { a: [[zero; 2]; N], w: [[zero; 2]; N], u: [zero; N], next: [zero; N] };
        for (s, &[a1, a2]) in sections.iter().enumerate().take(N) {
            let w = x.scaled(1.0 / (1.0 + a1 + a2));
            cascade.a[s] = [Lanes::splat(a1), Lanes::splat(a2)];
            cascade.w[s] = [w, w];
            cascade.u[s] = w.plus(w);
            cascade.next[s] = x;
            x = w.scaled(4.0);
        }
        cascade
    }

    #[inline(always)]
    fn step<const FMA: bool>(&mut self, x: [f64; L]) -> [f64; L] {
        let mut out = Lanes(x);
        self.next[0] = out;
        for s in (0..N).rev() {
            let [w1, w2] = self.w[s];
            let w = self.next[s].minus_product::<FMA>(self.a[s][1], w2).minus_product::<FMA>(self.a[s][0], w1);
            let u = w.plus(w1);
            let y = u.plus(self.u[s]);
            self.u[s] = u;
            self.w[s] = [w, w1];
            if s + 1 < N {
                self.next[s + 1] = y;
            } else {
                out = y;
            }
        }
        out.0
    }
}

impl Row {
    #[inline(always)]
    fn lanes<const L: usize>(&self, group: usize) -> [f64; L] {
        self.0.as_chunks().0[group]
    }
    #[inline(always)]
    fn set<const L: usize>(&mut self, group: usize, lanes: [f64; L]) {
        self.0.as_chunks_mut().0[group] = lanes;
    }
}

/// One pass of `N` sections over the `L` lanes of a group.
#[inline(always)]
fn pass<const N: usize, const L: usize, const FMA: bool>(
    sections: &[[f64; 2]],
    samples: &mut [Row],
    group: usize,
    backward: bool,
) {
    let n = samples.len();
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return };
    let (first, last) = (first.lanes::<L>(group), last.lanes::<L>(group));
    let lag = N - 1;
    // What goes in after the last sample only pushes the ones before it out.
    if backward {
        let mut cascade = Cascade::<N, L>::settled(sections, last);
        for i in 0..lag {
            cascade.step::<FMA>(samples[n.saturating_sub(1 + i)].lanes(group));
        }
        for i in (lag..n).rev() {
            let y = cascade.step::<FMA>(samples[i - lag].lanes(group));
            samples[i].set(group, y);
        }
        for i in (0..lag.min(n)).rev() {
            samples[i].set(group, cascade.step::<FMA>(first));
        }
    } else {
        let mut cascade = Cascade::<N, L>::settled(sections, first);
        for i in 0..lag {
            cascade.step::<FMA>(samples[i.min(n - 1)].lanes(group));
        }
        for i in 0..n.saturating_sub(lag) {
            let y = cascade.step::<FMA>(samples[i + lag].lanes(group));
            samples[i].set(group, y);
        }
        for x in &mut samples[n.saturating_sub(lag)..] {
            x.set(group, cascade.step::<FMA>(last));
        }
    }
}

#[inline(always)]
fn pass_first_order<const L: usize, const FMA: bool>(a1: f64, samples: &mut [Row], group: usize, backward: bool) {
    let Some(start) = (if backward { samples.last() } else { samples.first() }) else { return };
    let a = Lanes::splat(a1);
    let mut w1 = Lanes(start.lanes::<L>(group)).scaled(1.0 / (1.0 + a1));
    let mut step = |x: &mut Row| {
        let w = Lanes(x.lanes(group)).minus_product::<FMA>(a, w1);
        x.set(group, w.plus(w1).0);
        w1 = w;
    };
    if backward { samples.iter_mut().rev().for_each(&mut step) } else { samples.iter_mut().for_each(&mut step) }
}

/// Both passes without their gains, `L` lanes and `TOGETHER` sections at a time.
#[inline(always)]
fn both_passes<const L: usize, const TOGETHER: usize, const FMA: bool>(
    filter: &Butterworth,
    samples: &mut [Row],
    group: usize,
) {
    for backward in [false, true] {
        if let Some(a1) = filter.first_order {
            pass_first_order::<L, FMA>(a1, samples, group, backward);
        }
        for sections in filter.sections.chunks(TOGETHER) {
            match sections.len() {
                4 => pass::<4, L, FMA>(sections, samples, group, backward),
                3 => pass::<3, L, FMA>(sections, samples, group, backward),
                2 => pass::<2, L, FMA>(sections, samples, group, backward),
                _ => pass::<1, L, FMA>(sections, samples, group, backward),
            }
        }
    }
}

/// Filters the first `used` series, in place.
#[inline(always)]
fn filter_lanes<const L: usize, const TOGETHER: usize, const FMA: bool>(
    filter: &Butterworth,
    planar: &mut [f32],
    samples: &mut [Row],
    used: usize,
    transpose: impl Fn(&Square) -> Square,
) {
    let n = samples.len();
    let (squares, rest) = samples.as_chunks_mut::<LANES>();
    let before_rest = squares.len() * LANES;
    // The gain of one pass here and of the other below, so that neither leaves float64's range.
    for (s, square) in squares.iter_mut().enumerate() {
        let values = transpose(&std::array::from_fn(|lane| planar[lane * n + s * LANES..].as_chunks().0[0]));
        *square = values.map(|x| Row(x.map(|v| f64::from(v) * filter.gain)));
    }
    for (i, x) in rest.iter_mut().enumerate() {
        *x = Row(std::array::from_fn(|lane| f64::from(planar[lane * n + before_rest + i]) * filter.gain));
    }
    for group in 0..used.div_ceil(L) {
        both_passes::<L, TOGETHER, FMA>(filter, samples, group);
    }
    let (squares, rest) = samples.as_chunks::<LANES>();
    for (s, square) in squares.iter().enumerate() {
        let values = transpose(&square.map(|x| x.0.map(|v| (v * filter.gain) as f32)));
        for (lane, values) in values.iter().enumerate() {
            planar[lane * n + s * LANES..][..LANES].copy_from_slice(values);
        }
    }
    for (i, x) in rest.iter().enumerate() {
        for (lane, v) in x.0.iter().enumerate() {
            planar[lane * n + before_rest + i] = (v * filter.gain) as f32;
        }
    }
}

type Square = [[f32; LANES]; LANES];

/// Rows and columns of a square exchanged.
#[inline(always)]
fn transposed(square: &Square) -> Square {
    std::array::from_fn(|to| std::array::from_fn(|from| square[from][to]))
}

/// [`transposed`] by 24 shuffles, where the compiler makes 64 loads.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
#[inline]
fn transposed_avx(square: &Square) -> Square {
    use std::arch::x86_64::*;
    #[allow(unsafe_code)]
    // SAFETY: a row is eight f32, and so is a vector; neither load nor store asks for alignment.
    let (load, store) = (
        |row: &[f32; LANES]| unsafe { _mm256_loadu_ps(row.as_ptr()) },
        |v: __m256| {
            let mut row = [0.0; LANES];
            unsafe { _mm256_storeu_ps(row.as_mut_ptr(), v) };
            row
        },
    );
    let rows = square.each_ref().map(load);
    let pairs = |a, b| (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    let fours = |a, b| (_mm256_shuffle_ps::<0x44>(a, b), _mm256_shuffle_ps::<0xee>(a, b));
    let half = |i: usize| {
        let ((a, b), (c, d)) = (pairs(rows[i], rows[i + 1]), pairs(rows[i + 2], rows[i + 3]));
        let ((w, x), (y, z)) = (fours(a, c), fours(b, d));
        [w, x, y, z]
    };
    let (top, bottom) = (half(0), half(4));
    std::array::from_fn(|to| {
        let (a, b) = (top[to % 4], bottom[to % 4]);
        store(if to < 4 { _mm256_permute2f128_ps::<0x20>(a, b) } else { _mm256_permute2f128_ps::<0x31>(a, b) })
    })
}

// As many sections at a time as have their state in the registers: two of four lanes on AVX2 (four sections or eight lanes
// are 1.2 times slower), all of order 8 on AVX-512, which takes half of AVX2's time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn filter_lanes_avx2(filter: &Butterworth, planar: &mut [f32], samples: &mut [Row], used: usize) {
    filter_lanes::<4, 2, true>(filter, planar, samples, used, |square| transposed_avx(square));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,fma")]
fn filter_lanes_avx512(filter: &Butterworth, planar: &mut [f32], samples: &mut [Row], used: usize) {
    filter_lanes::<8, 4, true>(filter, planar, samples, used, |square| transposed_avx(square));
}

/// Filters `used` of [`LANES`] series of equal length, one after another in `planar`, in place.
fn filter_lanes_on(path: Path, filter: &Butterworth, planar: &mut [f32], samples: &mut [Row], used: usize) {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    match path {
        // SAFETY (both): just asked; what the function enables is part of what the path has.
        Path::Avx512 if path.is_available() => return unsafe { filter_lanes_avx512(filter, planar, samples, used) },
        Path::Avx2 if path.is_available() => return unsafe { filter_lanes_avx2(filter, planar, samples, used) },
        _ => {}
    }
    let _ = path;
    filter_lanes::<4, 2, { cfg!(target_arch = "aarch64") }>(filter, planar, samples, used, transposed);
}

/// A stretch to filter: `from..to` of a run goes through the filter, `keep` of it into `out`.
struct Stretch<'a> {
    /// Known samples of the run; the first is sample `base`.
    known: &'a [f32],
    base: usize,
    /// Below 0 and above the run's end: the reflected continuation.
    from: isize,
    to: isize,
    keep: usize,
    out: &'a mut [f32],
}

impl Stretch<'_> {
    fn len(&self) -> usize {
        (self.to - self.from) as usize
    }

    /// Writes the stretch to the end of `lane`; what is left in front repeats its first sample, which keeps a settled
    /// filter settled. Returns whether a sample was missing.
    fn fill(&self, lane: &mut [f32]) -> bool {
        let (front, lane) = lane.split_at_mut(lane.len() - self.len());
        let end = (self.base + self.known.len()) as isize;
        let present = |v: f32| if v.is_nan() { 0.0 } else { v };
        let before = (-self.from).max(0) as usize;
        let after = (self.to - end).max(0) as usize;
        let inner = lane.len() - after;
        let first = (self.from.max(0) as usize) - self.base;
        let known = &self.known[first..first + inner - before];
        lane[before..inner].copy_from_slice(known);
        let missing = known.iter().fold(false, |any, v| any | v.is_nan());
        if missing {
            lane.iter_mut().for_each(|v| *v = present(*v));
        }
        for i in 1..=before {
            lane[before - i] = 2.0 * present(self.known[0]) - present(self.known[i]);
        }
        let last = self.known.len() - 1;
        for i in 1..=after {
            lane[inner + i - 1] = 2.0 * present(self.known[last]) - present(self.known[last - i]);
        }
        front.fill(lane[0]);
        missing
    }

    fn take(&mut self, lane: &[f32], missing: bool) {
        let start = lane.len() - self.len() + (self.keep as isize - self.from) as usize;
        self.out.copy_from_slice(&lane[start..start + self.out.len()]);
        if missing {
            let known = &self.known[self.keep - self.base..];
            for (y, x) in self.out.iter_mut().zip(known).filter(|(_, x)| x.is_nan()) {
                *y = *x;
            }
        }
    }
}

/// Buffers of one thread.
#[derive(Default)]
pub struct Scratch {
    planar: Vec<f32>,
    samples: Vec<Row>,
}

fn filter_group(filter: &Butterworth, scratch: &mut Scratch, group: &mut [Stretch<'_>]) {
    debug_assert!(group.len() <= LANES);
    let n = group.iter().map(Stretch::len).max().unwrap_or(0);
    scratch.planar.resize(LANES * n, 0.0);
    scratch.samples.resize(n, Row([0.0; LANES]));
    let mut missing = [false; LANES];
    for ((stretch, lane), missing) in group.iter().zip(scratch.planar.chunks_exact_mut(n)).zip(&mut missing) {
        *missing = stretch.fill(lane);
    }
    scratch.planar[group.len() * n..].fill(0.0);
    filter_lanes_on(Path::best(), filter, &mut scratch.planar, &mut scratch.samples, group.len());
    for ((stretch, lane), missing) in group.iter_mut().zip(scratch.planar.chunks_exact(n)).zip(missing) {
        stretch.take(lane, missing);
    }
}

/// How a run is cut into stretches.
#[derive(Debug, Clone)]
struct Plan {
    filter: Butterworth,
    /// Neighbours a stretch needs on either side; None: too many, filter runs whole.
    memory: Option<usize>,
    stretch: usize,
}

impl Plan {
    fn new(filter: Butterworth) -> Self {
        let memory = filter.memory(TOLERANCE, MEMORY_LIMIT);
        Self { stretch: STRETCH.max(8 * memory.unwrap_or(0)), filter, memory }
    }

    /// The stretch that keeps `keep..keep + out.len()`; `end` is the run's length where it is known.
    fn stretch<'a>(
        &self,
        known: &'a [f32],
        base: usize,
        keep: usize,
        out: &'a mut [f32],
        end: Option<usize>,
    ) -> Stretch<'a> {
        let memory = self.memory.unwrap_or(usize::MAX);
        // A run shorter than SciPy asks for has fewer samples to reflect: it takes those it has.
        let padding = self.filter.padding().min(end.unwrap_or(usize::MAX).saturating_sub(1)) as isize;
        let from = if keep <= memory { -padding } else { (keep - memory) as isize };
        let stop = (keep + out.len()).saturating_add(memory);
        let to = match end {
            Some(n) if stop >= n => n as isize + padding,
            _ => stop as isize,
        };
        Stretch { known, base, from, to, keep, out }
    }
}

/// Zero-phase low-pass of signals into `out` `[..., time]`.
///
/// # Errors
/// [`Error::Shape`] if the signals are strided in time or `out` does not fit.
///
/// # Source
/// Gustafsson 1996 for the idea; ends and start as in `scipy.signal.sosfiltfilt` (odd padding).
pub fn lowpass(x: &Signals<'_, f32>, out: &mut [f32], filter: &Butterworth) -> Result<()> {
    x.check_dense("x")?;
    let n = x.time();
    check_length("out", out.len(), &[x.count(), n])?;
    if n == 0 {
        return Ok(());
    }
    let plan = Plan::new(filter.clone());
    let whole = plan.memory.is_none() || n <= 2 * plan.stretch;
    let rows = out.chunks_mut(n).enumerate().map(|(i, out)| (x.get(i), out));
    let mut groups: Vec<Vec<Stretch<'_>>> = Vec::new();
    if whole {
        let mut stretches = rows.map(|(row, out)| plan.stretch(row, 0, 0, out, Some(n)));
        for _ in (0..x.count()).step_by(LANES) {
            groups.push(stretches.by_ref().take(LANES).collect());
        }
    } else {
        for (row, out) in rows {
            for (g, out) in out.chunks_mut(LANES * plan.stretch).enumerate() {
                let start = g * LANES * plan.stretch;
                let stretches = out.chunks_mut(plan.stretch).enumerate();
                groups.push(
                    stretches.map(|(i, out)| plan.stretch(row, 0, start + i * plan.stretch, out, Some(n))).collect(),
                );
            }
        }
    }
    let threads = threads::worth((x.count() * n) as f64 * 0.3 * filter.order() as f64);
    threads::for_each(threads, groups.into_iter(), Scratch::default, |scratch, mut group| {
        filter_group(&plan.filter, scratch, &mut group);
    });
    Ok(())
}

/// Zero-phase low-pass of a run whose three axes arrive in chunks.
///
/// The result does not depend on how the chunks fall and differs from [`lowpass`] of the whole run by less than 1e-9 of its
/// largest sample. It comes [`ZeroPhase::delay`] samples late at most.
pub struct ZeroPhase {
    plan: Plan,
    memory: usize,
    /// Samples that later output still needs; the first is sample `base` of the run.
    held: [Vec<f32>; 3],
    base: usize,
    done: usize,
    scratch: Scratch,
}

impl ZeroPhase {
    /// A filter at the start of a run.
    ///
    /// # Errors
    /// [`Error::Value`] if the filter forgets so slowly that a stretch would need over a million neighbours.
    pub fn new(filter: Butterworth) -> Result<Self> {
        let plan = Plan::new(filter);
        let Some(memory) = plan.memory else {
            return Err(Error::value(
                "cutoff",
                format!("a response shorter than {MEMORY_LIMIT} samples"),
                "a lower one",
            ));
        };
        Ok(Self { plan, memory, held: Default::default(), base: 0, done: 0, scratch: Scratch::default() })
    }

    /// Samples by which output lags input at most, until [`ZeroPhase::finish`].
    pub fn delay(&self) -> usize {
        LANES * self.plan.stretch + self.memory
    }

    /// Takes the next samples of the run, appends to `out` those that are ready. Returns how many.
    pub fn push(&mut self, chunk: [&[f32]; 3], out: &mut [Vec<f32>; 3]) -> usize {
        let before = self.done;
        let block = LANES * self.plan.stretch;
        let n = chunk[0].len();
        assert!(chunk.iter().all(|axis| axis.len() == n), "the three axes have one length");
        let mut taken = 0;
        while taken < n {
            let wanted = self.done + block + self.memory - (self.base + self.held[0].len());
            let step = wanted.min(n - taken);
            for (held, axis) in self.held.iter_mut().zip(chunk) {
                held.extend_from_slice(&axis[taken..taken + step]);
            }
            taken += step;
            if step == wanted {
                self.filter(block, None, out);
                self.forget();
            }
        }
        self.done - before
    }

    /// Ends the run: appends what is left to `out` and starts a new run. Returns how many samples it appended.
    pub fn finish(&mut self, out: &mut [Vec<f32>; 3]) -> usize {
        let end = self.base + self.held[0].len();
        let left = end - self.done;
        if left > 0 {
            self.filter(left, Some(end), out);
        }
        self.held.iter_mut().for_each(Vec::clear);
        self.base = 0;
        self.done = 0;
        left
    }

    fn filter(&mut self, count: usize, end: Option<usize>, out: &mut [Vec<f32>; 3]) {
        let (plan, base, done) = (&self.plan, self.base, self.done);
        for (known, out) in self.held.iter().zip(out) {
            let start = out.len();
            out.resize(start + count, 0.0);
            let mut pieces = out[start..].chunks_mut(plan.stretch).enumerate().peekable();
            while pieces.peek().is_some() {
                let mut group: Vec<Stretch<'_>> = (&mut pieces)
                    .take(LANES)
                    .map(|(i, out)| plan.stretch(known, base, done + i * plan.stretch, out, end))
                    .collect();
                filter_group(&plan.filter, &mut self.scratch, &mut group);
            }
        }
        self.done += count;
    }

    /// Drops samples that no later output needs.
    fn forget(&mut self) {
        let keep_from = self.done.saturating_sub(self.memory);
        // One sample more than the padding reaches back, so that a run's end can still be reflected.
        let keep_from = keep_from.min(self.done.saturating_sub(self.plan.filter.padding() + 1));
        let drop = keep_from - self.base;
        self.held.iter_mut().for_each(|held| drop_front(held, drop));
        self.base = keep_from;
    }
}

fn drop_front(held: &mut Vec<f32>, n: usize) {
    held.copy_within(n.., 0);
    held.truncate(held.len() - n);
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;

//! The cascade of a low-pass over several series at once: direct form II, sections in a pipeline, lanes for series.
//!
//! [`filter_lanes`] is written once for vectors of any width; [`filter_on`] picks the width and the number of sections whose
//! state fits the registers of a processor. The tests hold all of them to a loop over one series and one section.

use super::butterworth::Butterworth;
use crate::cpu::Path;

/// Float64 numbers that go through the same operations: one vector's.
#[derive(Clone, Copy)]
struct Lanes<const L: usize>([f64; L]);
/// Series that are filtered together: as many as the widest vector has lanes.
pub(super) const LANES: usize = 8;
/// A sample of each of them, in one cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Row([f64; LANES]);

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
    /// No sample.
    pub(super) const ZERO: Self = Self([0.0; LANES]);

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
    let load = |row: &[f32; LANES]| {
        // SAFETY: a row is the eight f32 that are read; the load asks for no alignment. This function enables AVX.
        unsafe { _mm256_loadu_ps(row.as_ptr()) }
    };
    #[allow(unsafe_code)]
    let store = |v: __m256| {
        let mut row = [0.0; LANES];
        // SAFETY: a row has room for the eight f32 that are written; the store asks for no alignment. AVX as above.
        unsafe { _mm256_storeu_ps(row.as_mut_ptr(), v) };
        row
    };
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
pub(super) fn filter_on(path: Path, filter: &Butterworth, planar: &mut [f32], samples: &mut [Row], used: usize) {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    match path {
        // SAFETY: just asked; what the function enables is part of what the path has (AVX-512F, VL, DQ and FMA).
        Path::Avx512 if path.is_available() => return unsafe { filter_lanes_avx512(filter, planar, samples, used) },
        // SAFETY: just asked; the path has AVX2 and FMA.
        Path::Avx2 if path.is_available() => return unsafe { filter_lanes_avx2(filter, planar, samples, used) },
        _ => {}
    }
    let _ = path;
    filter_lanes::<4, 2, { cfg!(target_arch = "aarch64") }>(filter, planar, samples, used, transposed);
}

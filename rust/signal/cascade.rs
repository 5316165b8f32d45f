//! The cascade of a low-pass over several series at once: direct form II, sections in a pipeline, lanes for series.
//!
//! [`filter_lanes`] is written once for vectors of any width; [`filter_on`] picks the width, and the number of vectors and
//! sections at a time whose state fits the registers of a processor. The tests hold all of them to a loop over one series and
//! one section.

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
/// A sample waits for the one before it as long as a multiply-add takes, so `G` vectors go through a section side by side. The
/// sections work on different samples at the same time, each on the one that the section before it has just left, so that
/// none waits for another within a step; a sample comes out `N - 1` steps after it went in.
struct Cascade<const N: usize, const L: usize, const G: usize> {
    a: [[Lanes<L>; 2]; N],
    w: [[[Lanes<L>; 2]; G]; N],
    u: [[Lanes<L>; G]; N],
    /// What each section takes next; the first entry is not used.
    next: [[Lanes<L>; G]; N],
}

impl<const N: usize, const L: usize, const G: usize> Cascade<N, L, G> {
    /// State of a cascade whose input has been `x` for ever.
    #[inline(always)]
    fn settled(sections: &[[f64; 2]], mut x: [Lanes<L>; G]) -> Self {
        let zero = Lanes::splat(0.0);
        let (w, zeros) = ([[[zero; 2]; G]; N], [[zero; G]; N]);
        let mut cascade = Self { a: [[zero; 2]; N], w, u: zeros, next: zeros };
        for (s, &[a1, a2]) in sections.iter().enumerate().take(N) {
            let w = x.map(|x| x.scaled(1.0 / (1.0 + a1 + a2)));
            cascade.a[s] = [Lanes::splat(a1), Lanes::splat(a2)];
            cascade.w[s] = w.map(|w| [w, w]);
            cascade.u[s] = w.map(|w| w.plus(w));
            cascade.next[s] = x;
            x = w.map(|w| w.scaled(4.0));
        }
        cascade
    }

    #[inline(always)]
    fn step<const FMA: bool>(&mut self, x: [Lanes<L>; G]) -> [Lanes<L>; G] {
        let mut out = x;
        self.next[0] = x;
        for s in (0..N).rev() {
            for (g, out) in out.iter_mut().enumerate() {
                let [w1, w2] = self.w[s][g];
                let w = self.next[s][g].minus_product::<FMA>(self.a[s][1], w2).minus_product::<FMA>(self.a[s][0], w1);
                let u = w.plus(w1);
                let y = u.plus(self.u[s][g]);
                self.u[s][g] = u;
                self.w[s][g] = [w, w1];
                if s + 1 < N {
                    self.next[s + 1][g] = y;
                } else {
                    *out = y;
                }
            }
        }
        out
    }

    /// Takes sample `from`, and writes what comes out as sample `to`.
    #[inline(always)]
    fn shift<const FMA: bool>(&mut self, samples: &mut [Row], vector: usize, from: usize, to: usize) {
        let y = self.step::<FMA>(samples[from].lanes(vector));
        samples[to].set(vector, y);
    }
}

impl Row {
    /// No sample.
    pub(super) const ZERO: Self = Self([0.0; LANES]);

    /// `G` vectors, the first of them number `vector`.
    #[inline(always)]
    fn lanes<const L: usize, const G: usize>(&self, vector: usize) -> [Lanes<L>; G] {
        let vectors = self.0.as_chunks().0;
        std::array::from_fn(|g| Lanes(vectors[vector + g]))
    }
    #[inline(always)]
    fn set<const L: usize, const G: usize>(&mut self, vector: usize, lanes: [Lanes<L>; G]) {
        let vectors = self.0.as_chunks_mut().0;
        for (g, lanes) in lanes.iter().enumerate() {
            vectors[vector + g] = lanes.0;
        }
    }
}

/// One pass of `N` sections over `G` vectors of `L` lanes.
#[inline(always)]
fn pass<const N: usize, const L: usize, const G: usize, const FMA: bool>(
    sections: &[[f64; 2]],
    samples: &mut [Row],
    vector: usize,
    backward: bool,
) {
    let n = samples.len();
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return };
    let (first, last) = (first.lanes::<L, G>(vector), last.lanes::<L, G>(vector));
    let lag = N - 1;
    // Two samples in a round: `w'` of one is `w''` of the next, without a move. What goes in after the last sample only pushes
    // the ones before it out.
    if backward {
        let mut cascade = Cascade::<N, L, G>::settled(sections, last);
        for i in 0..lag {
            cascade.step::<FMA>(samples[n.saturating_sub(1 + i)].lanes(vector));
        }
        let mut end = n;
        while end >= lag + 2 {
            cascade.shift::<FMA>(samples, vector, end - 1 - lag, end - 1);
            cascade.shift::<FMA>(samples, vector, end - 2 - lag, end - 2);
            end -= 2;
        }
        for i in (lag..end).rev() {
            cascade.shift::<FMA>(samples, vector, i - lag, i);
        }
        for i in (0..lag.min(n)).rev() {
            samples[i].set(vector, cascade.step::<FMA>(first));
        }
    } else {
        let mut cascade = Cascade::<N, L, G>::settled(sections, first);
        for i in 0..lag {
            cascade.step::<FMA>(samples[i.min(n - 1)].lanes(vector));
        }
        let mut start = 0;
        while start + lag + 2 <= n {
            cascade.shift::<FMA>(samples, vector, start + lag, start);
            cascade.shift::<FMA>(samples, vector, start + lag + 1, start + 1);
            start += 2;
        }
        for i in start..n.saturating_sub(lag) {
            cascade.shift::<FMA>(samples, vector, i + lag, i);
        }
        for x in &mut samples[n.saturating_sub(lag)..] {
            x.set(vector, cascade.step::<FMA>(last));
        }
    }
}

#[inline(always)]
fn pass_first_order<const L: usize, const G: usize, const FMA: bool>(
    a1: f64,
    samples: &mut [Row],
    vector: usize,
    backward: bool,
) {
    let Some(start) = (if backward { samples.last() } else { samples.first() }) else { return };
    let a = Lanes::splat(a1);
    let mut w1: [Lanes<L>; G] = start.lanes(vector).map(|x: Lanes<L>| x.scaled(1.0 / (1.0 + a1)));
    let mut step = |x: &mut Row| {
        let mut y = x.lanes::<L, G>(vector);
        for (y, w1) in y.iter_mut().zip(&mut w1) {
            let w = y.minus_product::<FMA>(a, *w1);
            *y = w.plus(*w1);
            *w1 = w;
        }
        x.set(vector, y);
    };
    if backward { samples.iter_mut().rev().for_each(&mut step) } else { samples.iter_mut().for_each(&mut step) }
}

/// Both passes without their gains, `G` vectors of `L` lanes and `TOGETHER` sections at a time; the backward one ends at `keep`.
#[inline(always)]
fn both_passes<const L: usize, const G: usize, const TOGETHER: usize, const FMA: bool>(
    filter: &Butterworth,
    samples: &mut [Row],
    keep: usize,
    vector: usize,
) {
    for backward in [false, true] {
        let samples = if backward { &mut samples[keep..] } else { &mut samples[..] };
        if let Some(a1) = filter.first_order {
            pass_first_order::<L, G, FMA>(a1, samples, vector, backward);
        }
        for sections in filter.sections.chunks(TOGETHER) {
            match sections.len() {
                4 => pass::<4, L, G, FMA>(sections, samples, vector, backward),
                3 => pass::<3, L, G, FMA>(sections, samples, vector, backward),
                2 => pass::<2, L, G, FMA>(sections, samples, vector, backward),
                _ => pass::<1, L, G, FMA>(sections, samples, vector, backward),
            }
        }
    }
}

/// Series of equal length, one after another in `planar`.
pub(super) struct Batch<'a> {
    pub(super) planar: &'a mut [f32],
    /// Scratch, a row for each sample of a series.
    pub(super) samples: &'a mut [Row],
    /// How many of the [`LANES`] series hold data.
    pub(super) used: usize,
    /// The first sample whose result is needed; what comes before it is left as it falls.
    pub(super) keep: usize,
}

/// Filters a batch in place.
#[inline(always)]
fn filter_lanes<const L: usize, const G: usize, const TOGETHER: usize, const FMA: bool>(
    filter: &Butterworth,
    batch: Batch<'_>,
    transpose: impl Fn(&Square) -> Square,
) {
    let Batch { planar, samples, used, keep } = batch;
    let n = samples.len();
    // A local with the alignment of a cache line makes the compiler align the vectors that it moves to the stack. Where some
    // lie across two lines, a pass takes twice as long, at random from process to process.
    let aligned = Row::ZERO;
    std::hint::black_box(&aligned);
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
    for first in (0..used).step_by(L * G) {
        if used - first > L {
            both_passes::<L, G, TOGETHER, FMA>(filter, samples, keep, first / L);
        } else {
            both_passes::<L, 1, TOGETHER, FMA>(filter, samples, keep, first / L);
        }
    }
    let (squares, rest) = samples.as_chunks::<LANES>();
    for (s, square) in squares.iter().enumerate().skip(keep / LANES) {
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

/// [`transposed`] by four squares of four rows.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
#[inline]
fn transposed_neon(square: &Square) -> Square {
    use std::arch::aarch64::*;
    let mut turned = [[0.0; LANES]; LANES];
    let pairs = |a, b| [vzip1q_f32(a, b), vzip2q_f32(a, b)].map(|v| vreinterpretq_f64_f32(v));
    for (row, column) in [(0, 0), (0, 4), (4, 0), (4, 4)] {
        #[allow(unsafe_code)]
        let load = |i: usize| {
            // SAFETY: the four f32 from `column` on of a row of eight.
            unsafe { vld1q_f32(square[row + i][column..column + 4].as_ptr()) }
        };
        let ([a, b], [c, d]) = (pairs(load(0), load(1)), pairs(load(2), load(3)));
        let columns = [vzip1q_f64(a, c), vzip2q_f64(a, c), vzip1q_f64(b, d), vzip2q_f64(b, d)];
        for (i, values) in columns.into_iter().enumerate() {
            let to = turned[column + i][row..row + 4].as_mut_ptr();
            #[allow(unsafe_code)]
            // SAFETY: four f32 of a row of eight.
            unsafe {
                vst1q_f32(to, vreinterpretq_f32_f64(values));
            }
        }
    }
    turned
}

// As many vectors and sections at a time as have their state in the registers: two of each on AVX2 (one vector takes 1.5 times
// as long, four sections 2.5 times), one vector and all sections of order 8 on AVX-512, which takes 0.6 of AVX2's time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn filter_lanes_avx2(filter: &Butterworth, batch: Batch<'_>) {
    filter_lanes::<4, 2, 2, true>(filter, batch, |square| transposed_avx(square));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,fma")]
fn filter_lanes_avx512(filter: &Butterworth, batch: Batch<'_>) {
    filter_lanes::<8, 1, 4, true>(filter, batch, |square| transposed_avx(square));
}

/// Filters a batch in place.
pub(super) fn filter_on(path: Path, filter: &Butterworth, batch: Batch<'_>) {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    match path {
        // SAFETY: just asked; what the function enables is part of what the path has (AVX-512F, VL, DQ and FMA).
        Path::Avx512 if path.is_available() => return unsafe { filter_lanes_avx512(filter, batch) },
        // SAFETY: just asked; the path has AVX2 and FMA.
        Path::Avx2 if path.is_available() => return unsafe { filter_lanes_avx2(filter, batch) },
        _ => {}
    }
    #[cfg(target_arch = "aarch64")]
    if path == Path::Neon {
        // SAFETY: NEON is part of 64-bit ARM.
        #[allow(unsafe_code)]
        return filter_lanes::<4, 1, 2, true>(filter, batch, |square| unsafe { transposed_neon(square) });
    }
    let _ = path;
    filter_lanes::<4, 1, 2, false>(filter, batch, transposed);
}

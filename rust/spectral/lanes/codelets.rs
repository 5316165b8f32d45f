//! Straight-line real transforms of 8 to 64 points on lanes, and the step that joins shorter ones into a longer one.
//!
//! Conjugate-pair split radix, decimated in time. With E the transform of the even samples (length n/2), Z1 that of samples
//! 4j+1 and Z3 that of samples 4j-1 (length n/4), w = exp(-2 pi i / n), P = w^k Z1\[k\] + w^-k Z3\[k\] and
//! Q = w^k Z1\[k\] - w^-k Z3\[k\], the half spectrum for k in 0..=n/8 is
//! X\[k\] = E\[k\] + P, X\[n/2-k\] = conj(E\[k\] - P), X\[n/4+k\] = conj(E\[n/4-k\]) - iQ, X\[n/4-k\] = E\[n/4-k\] - i conj(Q).
//! P and Q are formed as cos * (.. + tan * ..), so that all but four of the sixteen operations fuse.
//!
//! A half spectrum is *packed* in n rows: row 0 is bin 0, row 1 bin n/2 (both real), rows 2k and 2k+1 bin k.
#![allow(unsafe_code)]

use super::lanes::{Cpu, Lanes, Real};

/// Rows that a step reads.
pub(super) trait Input<V> {
    fn cpu(&self) -> Cpu<V>;
    fn at(&self, k: usize) -> V;
}

/// Where a step puts the bins of its half spectrum.
pub(super) trait Sink<V> {
    /// Bin 0.
    fn first(&mut self, re: V);
    /// Bin `k` = n/2.
    fn nyquist(&mut self, k: usize, re: V);
    /// Bin `k` in between.
    fn bin(&mut self, k: usize, re: V, im: V);
}

/// A sample's place in the source, relative to the frame, and its window value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap<T> {
    pub offset: u32,
    pub weight: T,
}

/// Windowed samples, straight from the source.
pub(super) struct Taps<'a, V: Lanes> {
    cpu: Cpu<V>,
    source: *const V::T,
    taps: &'a [Tap<V::T>],
}

impl<'a, V: Lanes> Taps<'a, V> {
    /// # Safety
    /// A vector may be read at every tap's offset from `source`, for `'a`; no codelet of more points than `taps` runs on it.
    #[inline(always)]
    pub(super) unsafe fn new(cpu: Cpu<V>, source: *const V::T, taps: &'a [Tap<V::T>]) -> Self {
        Self { cpu, source, taps }
    }
}

impl<V: Lanes> Input<V> for Taps<'_, V> {
    #[inline(always)]
    fn cpu(&self) -> Cpu<V> {
        self.cpu
    }
    #[inline(always)]
    fn at(&self, k: usize) -> V {
        debug_assert!(k < self.taps.len());
        // SAFETY: both are promised to `new`.
        unsafe {
            let tap = self.taps.get_unchecked(k);
            self.cpu.load(self.source.add(tap.offset as usize)).mul(self.cpu.splat(tap.weight))
        }
    }
}

/// Every `step`-th of another input's rows from `first` on, cyclically over `mask + 1`.
struct Every<'a, I> {
    input: &'a I,
    first: usize,
    step: usize,
    mask: usize,
}
impl<V, I: Input<V>> Input<V> for Every<'_, I> {
    #[inline(always)]
    fn cpu(&self) -> Cpu<V> {
        self.input.cpu()
    }
    #[inline(always)]
    fn at(&self, k: usize) -> V {
        self.input.at((self.first + self.step * k) & self.mask)
    }
}

/// The three subsequences of a split-radix step of `n` points.
#[inline(always)]
fn split<I>(n: usize, input: &I) -> [Every<'_, I>; 3] {
    let mask = n - 1;
    [
        Every { input, first: 0, step: 2, mask },
        Every { input, first: 1, step: 4, mask },
        Every { input, first: mask, step: 4, mask },
    ]
}

impl<V: Lanes, const N: usize> Input<V> for [V; N] {
    #[inline(always)]
    fn cpu(&self) -> Cpu<V> {
        self[0].cpu()
    }
    #[inline(always)]
    fn at(&self, k: usize) -> V {
        self[k]
    }
}
/// Packed, in registers.
struct Packed<V, const N: usize>([V; N]);
impl<V: Copy, const N: usize> Sink<V> for Packed<V, N> {
    #[inline(always)]
    fn first(&mut self, re: V) {
        self.0[0] = re;
    }
    #[inline(always)]
    fn nyquist(&mut self, _: usize, re: V) {
        self.0[1] = re;
    }
    #[inline(always)]
    fn bin(&mut self, k: usize, re: V, im: V) {
        self.0[2 * k] = re;
        self.0[2 * k + 1] = im;
    }
}

/// Packed, in memory: rows of one vector each.
pub(super) struct PackedRows<V: Lanes> {
    cpu: Cpu<V>,
    rows: *mut V::T,
}
impl<V: Lanes> PackedRows<V> {
    /// # Safety
    /// From `rows` on, as many vectors may be read or written as there are points in the step that reads or writes them.
    #[inline(always)]
    pub(super) unsafe fn new(cpu: Cpu<V>, rows: *mut V::T) -> Self {
        Self { cpu, rows }
    }
    /// Writes row `k`.
    #[inline(always)]
    fn set(&mut self, k: usize, v: V) {
        // SAFETY: promised to `new`.
        unsafe { v.store(self.rows.add(k * V::N)) }
    }
}
impl<V: Lanes> Input<V> for PackedRows<V> {
    #[inline(always)]
    fn cpu(&self) -> Cpu<V> {
        self.cpu
    }
    #[inline(always)]
    fn at(&self, k: usize) -> V {
        // SAFETY: promised to `new`.
        unsafe { self.cpu.load(self.rows.add(k * V::N)) }
    }
}
impl<V: Lanes> Sink<V> for PackedRows<V> {
    #[inline(always)]
    fn first(&mut self, re: V) {
        self.set(0, re);
    }
    #[inline(always)]
    fn nyquist(&mut self, _: usize, re: V) {
        self.set(1, re);
    }
    #[inline(always)]
    fn bin(&mut self, k: usize, re: V, im: V) {
        self.set(2 * k, re);
        self.set(2 * k + 1, im);
    }
}

/// Bins 0, n/8, n/4, 3n/8 and n/2 of a join of `n` points, whose twiddles are trivial.
#[inline(always)]
pub(super) fn join_edges<V: Lanes>(
    n: usize,
    e: &impl Input<V>,
    z1: &impl Input<V>,
    z3: &impl Input<V>,
    out: &mut impl Sink<V>,
) {
    let (a, b, even) = (z1.at(0), z3.at(0), e.at(0));
    let sum = a.add(b);
    out.first(even.add(sum));
    out.nyquist(n / 2, even.sub(sum));
    out.bin(n / 4, e.at(1), b.sub(a));
    let half_root = e.cpu().constant(std::f64::consts::FRAC_1_SQRT_2);
    let (a, b) = (z1.at(1), z3.at(1));
    let (sum, difference) = (a.add(b), b.sub(a));
    let (re, im) = (e.at(n / 4), e.at(n / 4 + 1));
    out.bin(n / 8, sum.mul_add(half_root, re), difference.mul_add(half_root, im));
    out.bin(3 * n / 8, sum.neg_mul_add(half_root, re), difference.mul_add(half_root, im.negate()));
}

/// Bins k, n/4-k, n/4+k and n/2-k of a join of `n` points, 0 < k < n/8; `twiddle` is cos and tan of 2 pi k / n.
#[inline(always)]
pub(super) fn join_at<V: Lanes>(
    (n, k): (usize, usize),
    twiddle: [V::T; 2],
    e: &impl Input<V>,
    z1: &impl Input<V>,
    z3: &impl Input<V>,
    out: &mut impl Sink<V>,
) {
    let (cos, tan) = (e.cpu().splat(twiddle[0]), e.cpu().splat(twiddle[1]));
    let (a_re, a_im, b_re, b_im) = (z1.at(2 * k), z1.at(2 * k + 1), z3.at(2 * k), z3.at(2 * k + 1));
    let (sum_re, sum_im) = (a_re.add(b_re), a_im.add(b_im));
    let (diff_re, diff_im) = (a_re.sub(b_re), a_im.sub(b_im));
    let p_re = diff_im.mul_add(tan, sum_re);
    let p_im = diff_re.neg_mul_add(tan, sum_im);
    let q_re = sum_im.mul_add(tan, diff_re);
    let q_im = sum_re.neg_mul_add(tan, diff_im);
    let (re, im) = (e.at(2 * k), e.at(2 * k + 1));
    out.bin(k, p_re.mul_add(cos, re), p_im.mul_add(cos, im));
    out.bin(n / 2 - k, p_re.neg_mul_add(cos, re), p_im.mul_add(cos, im.negate()));
    let j = n / 4 - k;
    let (re, im) = (e.at(2 * j), e.at(2 * j + 1));
    // -iQ = (q_im, -q_re); -i conj(Q) = (-q_im, -q_re)
    out.bin(n / 4 + k, q_im.mul_add(cos, re), q_re.mul_add(cos, im).negate());
    out.bin(j, q_im.neg_mul_add(cos, re), q_re.neg_mul_add(cos, im));
}

/// cos and tan of 2 pi k / 64, k = 1..8: the twiddles of 16, 32 and 64 points.
const TWIDDLES: [[f64; 2]; 7] = [
    [0.995_184_726_672_196_9, 0.098_491_403_357_164_25],
    [0.980_785_280_403_230_4, 0.198_912_367_379_658],
    [0.956_940_335_732_208_8, 0.303_346_683_607_342_4],
    [0.923_879_532_511_286_7, 0.414_213_562_373_095_05],
    [0.881_921_264_348_355, 0.534_511_135_950_791_6],
    [0.831_469_612_302_545_2, 0.668_178_637_919_298_9],
    [0.773_010_453_362_737, 0.820_678_790_828_660_2],
];

#[inline(always)]
fn narrow<T: Real>(twiddle: [f64; 2]) -> [T; 2] {
    [T::narrow(twiddle[0]), T::narrow(twiddle[1])]
}

#[inline(always)]
fn real4<V: Lanes>(x: &impl Input<V>) -> [V; 4] {
    let (a, b, c, d) = (x.at(0), x.at(1), x.at(2), x.at(3));
    let (even, odd) = (a.add(c), b.add(d));
    [even.add(odd), even.sub(odd), a.sub(c), d.sub(b)]
}

#[inline(always)]
fn real2<V: Lanes>(x: &impl Input<V>) -> [V; 2] {
    let (a, b) = (x.at(0), x.at(1));
    [a.add(b), a.sub(b)]
}

/// The straight-line transform of `$n` points into a sink, and into registers for the next larger one.
macro_rules! codelet {
    ($n:literal, $into:ident, $name:ident, $even:ident, $odd:ident, [$($k:literal)*]) => {
        #[inline(always)]
        pub(super) fn $into<V: Lanes>(x: &impl Input<V>, out: &mut impl Sink<V>) {
            let [even, odd, odd_back] = split($n, x);
            let (e, z1, z3) = ($even(&even), $odd(&odd), $odd(&odd_back));
            join_edges($n, &e, &z1, &z3, out);
            $(join_at(($n, $k), narrow(TWIDDLES[$k * 64 / $n - 1]), &e, &z1, &z3, out);)*
        }
        #[inline(always)]
        #[allow(dead_code)] // the longest is no part of another
        fn $name<V: Lanes>(x: &impl Input<V>) -> [V; $n] {
            let mut out = Packed([x.cpu().constant(0.0); $n]); // all of it is written
            $into(x, &mut out);
            out.0
        }
    };
}
codelet!(8, real8_into, real8, real4, real2, []);
codelet!(16, real16_into, real16, real8, real4, [1]);
codelet!(32, real32_into, real32, real16, real8, [1 2 3]);
codelet!(64, real64_into, real64, real32, real16, [1 2 3 4 5 6 7]);

#[cfg(test)]
mod tests {
    use super::TWIDDLES;

    #[test]
    fn twiddle_constants_are_the_cosines_and_tangents_they_claim() {
        for (i, [cos, tan]) in TWIDDLES.iter().enumerate() {
            let angle = 2.0 * std::f64::consts::PI * (i + 1) as f64 / 64.0;
            assert!((cos - angle.cos()).abs() < 2e-16 && (tan - angle.tan()).abs() < 2e-16, "{i}");
        }
    }
}

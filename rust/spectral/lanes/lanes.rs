//! Vectors whose lanes are frames (or signals), and the one choice of instruction set.
//!
//! A kernel is written once, generic over [`Lanes`], as the `run` of a [`Kernel`]; [`dispatch`] instantiates it for every
//! [`Path`] and calls the widest that this CPU has. All that `run` calls and that touches lanes must be
//! `#[inline(always)]`, so that it is compiled with the instructions of the path. `IMUSPEC_CPU=plain|avx2|avx512` forces a
//! lower path, for measuring and for tests.
//!
//! ```
//! use imuspec::spectral::lanes::{Kernel, Lanes, Path, dispatch};
//! struct Sum<'a>(&'a [f32]);
//! impl Kernel<f32> for Sum<'_> {
//!     type Output = f32;
//!     #[inline(always)]
//!     fn run<V: Lanes<T = f32>>(self) -> f32 {
//!         // SAFETY: `dispatch` runs this only where the CPU has V; chunks_exact gives V::N values.
//!         let zero = unsafe { V::splat(0.0) };
//!         let total = self.0.chunks_exact(V::N).fold(zero, |s, c| s.add(unsafe { V::load(c.as_ptr()) }));
//!         total.to_array()[..V::N].iter().sum()
//!     }
//! }
//! assert_eq!(dispatch(Path::best(), Sum(&[1.0; 64])), 64.0);
//! ```
#![allow(unsafe_code)]

use std::fmt::Debug;
use std::ops::{Add, Mul, Sub};
use std::sync::OnceLock;

/// Bytes in a row of lanes, on every path: one cache line, 16 f32 or 8 f64.
pub const ROW_BYTES: usize = 64;

/// A scalar of the kernels: f32 or f64.
pub trait Real:
    Copy
    + Default
    + Debug
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + realfft::FftNum
{
    /// Lanes in a row of [`ROW_BYTES`].
    const LANES: usize = ROW_BYTES / size_of::<Self>();
    /// The vector of the plain path.
    type Plain: Lanes<T = Self>;
    /// The vector of the AVX2 path.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Lanes<T = Self>;
    /// The vector of the AVX-512 path.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Lanes<T = Self>;
    /// Nearest value of the type.
    fn narrow(v: f64) -> Self;
    /// The value, widened.
    fn widen(self) -> f64;
    /// Square root.
    fn root(self) -> Self;
    /// The least normal positive value.
    const MIN_NORMAL: f64;
    /// Bits of the significand, the hidden one included.
    const DIGITS: u32;
}

/// A vector of [`Lanes::N`] scalars. Whoever holds a value of the type runs on a CPU that has its instructions: the two
/// ways to make one, [`Lanes::load`] and [`Lanes::splat`], are unsafe, the arithmetic on it is not.
pub trait Lanes: Copy {
    /// The scalar.
    type T: Real;
    /// How many of them; divides [`Real::LANES`].
    const N: usize;
    /// The path that it belongs to.
    const PATH: Path;
    /// # Safety
    /// The CPU has the path's instructions and `from` may be read for [`Lanes::N`] scalars, at any alignment.
    unsafe fn load(from: *const Self::T) -> Self;
    /// # Safety
    /// `to` may be written for [`Lanes::N`] scalars, at any alignment.
    unsafe fn store(self, to: *mut Self::T);
    /// # Safety
    /// The CPU has the path's instructions.
    unsafe fn splat(v: Self::T) -> Self;
    /// Sum.
    fn add(self, b: Self) -> Self;
    /// Difference.
    fn sub(self, b: Self) -> Self;
    /// Product.
    fn mul(self, b: Self) -> Self;
    /// Quotient.
    fn div(self, b: Self) -> Self;
    /// Where `self < b` the lane of `yes`, else (also for NaN) that of `no`.
    fn select_less(self, b: Self, yes: Self, no: Self) -> Self;
    /// Lane-wise smaller.
    fn min(self, b: Self) -> Self;
    /// Lane-wise larger.
    fn max(self, b: Self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// The opposite; folds into a fused multiply-add that uses it.
    #[inline(always)]
    fn negate(self) -> Self {
        // SAFETY: `self` is proof that the CPU has the path's instructions.
        unsafe { Self::splat(Self::T::narrow(-0.0)) }.sub(self)
    }
    /// `self * m + a`, in one rounding where the path has it.
    fn mul_add(self, m: Self, a: Self) -> Self;
    /// `a - self * m`, in one rounding where the path has it.
    fn neg_mul_add(self, m: Self, a: Self) -> Self;
    /// For normal positive lanes: (m, e) with value = m * 2^e and sqrt(1/2) <= m < sqrt(2).
    fn split_exponent(self) -> (Self, Self);
    /// Writes the first `n` <= [`Lanes::N`] lanes.
    ///
    /// # Safety
    /// `to` may be written for `n` scalars, at any alignment.
    #[inline(always)]
    unsafe fn store_first(self, to: *mut Self::T, n: usize) {
        for (i, &v) in self.to_array().iter().enumerate().take(n) {
            // SAFETY: the caller's promise.
            unsafe { to.add(i).write(v) };
        }
    }
    /// The lanes as an array; those from [`Lanes::N`] on are zero.
    #[inline(always)]
    fn to_array(self) -> [Self::T; 16] {
        let mut out = [Self::T::default(); 16];
        // SAFETY: N <= 16.
        unsafe { self.store(out.as_mut_ptr()) };
        out
    }
}

/// An array as a vector: the path of processors without a vector type of their own here, and the definition in tests.
#[cfg_attr(target_arch = "x86_64", allow(dead_code))]
#[derive(Clone, Copy, Debug)]
pub struct Array<T, const N: usize>([T; N]);

/// The vector's scalar operations that only the plain array needs.
macro_rules! array_lanes {
    ($t:ty, $n:literal, $bits:ty, $half_root:literal, $mantissa_bits:literal) => {
        impl Lanes for Array<$t, $n> {
            type T = $t;
            const N: usize = $n;
            const PATH: Path = Path::Plain;
            #[inline(always)]
            unsafe fn load(from: *const $t) -> Self {
                // SAFETY: the caller's promise.
                unsafe { Self(from.cast::<[$t; $n]>().read_unaligned()) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $t) {
                // SAFETY: the caller's promise.
                unsafe { to.cast::<[$t; $n]>().write_unaligned(self.0) }
            }
            #[inline(always)]
            unsafe fn splat(v: $t) -> Self {
                Self([v; $n])
            }
            #[inline(always)]
            fn add(self, b: Self) -> Self {
                Self(std::array::from_fn(|i| self.0[i] + b.0[i]))
            }
            #[inline(always)]
            fn sub(self, b: Self) -> Self {
                Self(std::array::from_fn(|i| self.0[i] - b.0[i]))
            }
            #[inline(always)]
            fn mul(self, b: Self) -> Self {
                Self(std::array::from_fn(|i| self.0[i] * b.0[i]))
            }
            #[inline(always)]
            fn div(self, b: Self) -> Self {
                Self(std::array::from_fn(|i| self.0[i] / b.0[i]))
            }
            #[inline(always)]
            fn select_less(self, b: Self, yes: Self, no: Self) -> Self {
                Self(std::array::from_fn(|i| if self.0[i] < b.0[i] { yes.0[i] } else { no.0[i] }))
            }
            #[inline(always)]
            fn min(self, b: Self) -> Self {
                Self(std::array::from_fn(|i| if self.0[i] < b.0[i] { self.0[i] } else { b.0[i] }))
            }
            #[inline(always)]
            fn max(self, b: Self) -> Self {
                Self(std::array::from_fn(|i| if self.0[i] > b.0[i] { self.0[i] } else { b.0[i] }))
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                Self(self.0.map(|v| v.sqrt()))
            }
            #[inline(always)]
            fn mul_add(self, m: Self, a: Self) -> Self {
                self.mul(m).add(a)
            }
            #[inline(always)]
            fn neg_mul_add(self, m: Self, a: Self) -> Self {
                a.sub(self.mul(m))
            }
            #[inline(always)]
            fn split_exponent(self) -> (Self, Self) {
                let exponent = self.0.map(|v| (v.to_bits() as $bits - $half_root) >> $mantissa_bits);
                let mantissa = std::array::from_fn(|i| {
                    <$t>::from_bits((self.0[i].to_bits() as $bits - (exponent[i] << $mantissa_bits)) as _)
                });
                (Self(mantissa), Self(exponent.map(|e| e as $t)))
            }
        }
    };
}
array_lanes!(f32, 4, i32, 0x3f35_04f3, 23);
array_lanes!(f64, 2, i64, 0x3fe6_a09e_667f_3bcd, 52);

/// One vector type of the processor: names of its instructions after `_mm...`.
#[cfg(target_arch = "x86_64")]
macro_rules! x86_lanes {
    ($v:ty, $path:ident, $t:ty, $n:literal, $load:ident $store:ident $splat:ident $add:ident $sub:ident $mul:ident $div:ident $min:ident
     $max:ident $sqrt:ident, |$a:ident, $m:ident, $b:ident, $no:ident| $fma:expr, $fnma:expr, $less:expr, |$x:ident| $split:expr
     $(, $masked:ident $mask:ty)?) => {
        // SAFETY (all blocks below): a value of the type exists, or the caller of `load` and `splat` promised, that the
        // CPU has the type's instructions; memory is the caller's promise.
        impl Lanes for $v {
            type T = $t;
            const N: usize = $n;
            const PATH: Path = Path::$path;
            #[inline(always)]
            unsafe fn load(from: *const $t) -> Self {
                unsafe { $load(from) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $t) {
                unsafe { $store(to, self) }
            }
            #[inline(always)]
            unsafe fn splat(v: $t) -> Self {
                unsafe { $splat(v) }
            }
            #[inline(always)]
            fn add(self, b: Self) -> Self {
                unsafe { $add(self, b) }
            }
            #[inline(always)]
            fn sub(self, b: Self) -> Self {
                unsafe { $sub(self, b) }
            }
            #[inline(always)]
            fn mul(self, b: Self) -> Self {
                unsafe { $mul(self, b) }
            }
            #[inline(always)]
            fn div(self, b: Self) -> Self {
                unsafe { $div(self, b) }
            }
            #[inline(always)]
            fn select_less(self, $b: Self, $m: Self, $no: Self) -> Self {
                let $a = self;
                unsafe { $less }
            }
            #[inline(always)]
            fn min(self, b: Self) -> Self {
                unsafe { $min(self, b) }
            }
            #[inline(always)]
            fn max(self, b: Self) -> Self {
                unsafe { $max(self, b) }
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                unsafe { $sqrt(self) }
            }
            #[inline(always)]
            fn mul_add(self, $m: Self, $b: Self) -> Self {
                let $a = self;
                unsafe { $fma }
            }
            #[inline(always)]
            fn neg_mul_add(self, $m: Self, $b: Self) -> Self {
                let $a = self;
                unsafe { $fnma }
            }
            #[inline(always)]
            fn split_exponent(self) -> (Self, Self) {
                let $x = self;
                unsafe { $split }
            }
            $(
                #[inline(always)]
                unsafe fn store_first(self, to: *mut $t, n: usize) {
                    unsafe { $masked(to, ((1u32 << n) - 1) as $mask, self) }
                }
            )?
        }
    };
}

/// The vector types of x86-64: SSE2 is part of it, AVX2 and AVX-512 are asked for at run time.
#[cfg(target_arch = "x86_64")]
#[allow(unused_unsafe)] // part of the SSE2 instructions are safe calls, as the target always has them
mod x86 {
    use super::{Lanes, Path, Real};
    use std::arch::x86_64::*;

    x86_lanes!(__m128, Plain, f32, 4, _mm_loadu_ps _mm_storeu_ps _mm_set1_ps _mm_add_ps _mm_sub_ps _mm_mul_ps _mm_div_ps _mm_min_ps
        _mm_max_ps _mm_sqrt_ps, |a, m, b, no| _mm_add_ps(_mm_mul_ps(a, m), b), _mm_sub_ps(b, _mm_mul_ps(a, m)), _mm_or_ps(_mm_and_ps(_mm_cmplt_ps(a, b), m), _mm_andnot_ps(_mm_cmplt_ps(a, b), no)), |x| {
        let bits = _mm_castps_si128(x);
        let e = _mm_srai_epi32::<23>(_mm_sub_epi32(bits, _mm_set1_epi32(0x3f35_04f3)));
        (_mm_castsi128_ps(_mm_sub_epi32(bits, _mm_slli_epi32::<23>(e))), _mm_cvtepi32_ps(e))
    });
    x86_lanes!(__m256, Avx2, f32, 8, _mm256_loadu_ps _mm256_storeu_ps _mm256_set1_ps _mm256_add_ps _mm256_sub_ps
        _mm256_mul_ps _mm256_div_ps _mm256_min_ps _mm256_max_ps _mm256_sqrt_ps,
        |a, m, b, no| _mm256_fmadd_ps(a, m, b), _mm256_fnmadd_ps(a, m, b), _mm256_blendv_ps(no, m, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b)), |x| {
        let bits = _mm256_castps_si256(x);
        let e = _mm256_srai_epi32::<23>(_mm256_sub_epi32(bits, _mm256_set1_epi32(0x3f35_04f3)));
        (_mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32::<23>(e))), _mm256_cvtepi32_ps(e))
    });
    x86_lanes!(__m512, Avx512, f32, 16, _mm512_loadu_ps _mm512_storeu_ps _mm512_set1_ps _mm512_add_ps _mm512_sub_ps
        _mm512_mul_ps _mm512_div_ps _mm512_min_ps _mm512_max_ps _mm512_sqrt_ps,
        |a, m, b, no| _mm512_fmadd_ps(a, m, b), _mm512_fnmadd_ps(a, m, b), _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), no, m), |x| {
        let bits = _mm512_castps_si512(x);
        let e = _mm512_srai_epi32::<23>(_mm512_sub_epi32(bits, _mm512_set1_epi32(0x3f35_04f3)));
        (_mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32::<23>(e))), _mm512_cvtepi32_ps(e))
    }, _mm512_mask_storeu_ps __mmask16);
    // float64: the exponent's offset is added as 2^52 + 2^51, which turns a small integer in the low bits into a double.
    x86_lanes!(__m128d, Plain, f64, 2, _mm_loadu_pd _mm_storeu_pd _mm_set1_pd _mm_add_pd _mm_sub_pd _mm_mul_pd _mm_div_pd _mm_min_pd
        _mm_max_pd _mm_sqrt_pd, |a, m, b, no| _mm_add_pd(_mm_mul_pd(a, m), b), _mm_sub_pd(b, _mm_mul_pd(a, m)), _mm_or_pd(_mm_and_pd(_mm_cmplt_pd(a, b), m), _mm_andnot_pd(_mm_cmplt_pd(a, b), no)), |x| {
        let bits = _mm_castpd_si128(x);
        let up = _mm_add_epi64(bits, _mm_set1_epi64x(ONE_LESS_HALF_ROOT));
        let e = _mm_srli_epi64::<52>(up);
        let rest = _mm_sub_epi64(bits, _mm_slli_epi64::<52>(_mm_sub_epi64(e, _mm_set1_epi64x(1023))));
        let e = _mm_castsi128_pd(_mm_or_si128(e, _mm_set1_epi64x(MAGIC.to_bits() as i64)));
        (_mm_castsi128_pd(rest), _mm_sub_pd(e, _mm_set1_pd(MAGIC + 1023.0)))
    });
    x86_lanes!(__m256d, Avx2, f64, 4, _mm256_loadu_pd _mm256_storeu_pd _mm256_set1_pd _mm256_add_pd _mm256_sub_pd
        _mm256_mul_pd _mm256_div_pd _mm256_min_pd _mm256_max_pd _mm256_sqrt_pd,
        |a, m, b, no| _mm256_fmadd_pd(a, m, b), _mm256_fnmadd_pd(a, m, b), _mm256_blendv_pd(no, m, _mm256_cmp_pd::<_CMP_LT_OQ>(a, b)), |x| {
        let bits = _mm256_castpd_si256(x);
        let up = _mm256_add_epi64(bits, _mm256_set1_epi64x(ONE_LESS_HALF_ROOT));
        let e = _mm256_srli_epi64::<52>(up);
        let rest = _mm256_sub_epi64(bits, _mm256_slli_epi64::<52>(_mm256_sub_epi64(e, _mm256_set1_epi64x(1023))));
        let e = _mm256_castsi256_pd(_mm256_or_si256(e, _mm256_set1_epi64x(MAGIC.to_bits() as i64)));
        (_mm256_castsi256_pd(rest), _mm256_sub_pd(e, _mm256_set1_pd(MAGIC + 1023.0)))
    });
    x86_lanes!(__m512d, Avx512, f64, 8, _mm512_loadu_pd _mm512_storeu_pd _mm512_set1_pd _mm512_add_pd _mm512_sub_pd
        _mm512_mul_pd _mm512_div_pd _mm512_min_pd _mm512_max_pd _mm512_sqrt_pd,
        |a, m, b, no| _mm512_fmadd_pd(a, m, b), _mm512_fnmadd_pd(a, m, b), _mm512_mask_blend_pd(_mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b), no, m), |x| {
        let bits = _mm512_castpd_si512(x);
        let up = _mm512_add_epi64(bits, _mm512_set1_epi64(ONE_LESS_HALF_ROOT));
        let e = _mm512_srli_epi64::<52>(up);
        let rest = _mm512_sub_epi64(bits, _mm512_slli_epi64::<52>(_mm512_sub_epi64(e, _mm512_set1_epi64(1023))));
        let e = _mm512_castsi512_pd(_mm512_or_si512(e, _mm512_set1_epi64(MAGIC.to_bits() as i64)));
        (_mm512_castsi512_pd(rest), _mm512_sub_pd(e, _mm512_set1_pd(MAGIC + 1023.0)))
    }, _mm512_mask_storeu_pd __mmask8);
    /// Bits of 1 less bits of sqrt(1/2): added, it carries into the exponent from sqrt(1/2) on.
    const ONE_LESS_HALF_ROOT: i64 = 0x3ff0_0000_0000_0000 - 0x3fe6_a09e_667f_3bcd;
    const MAGIC: f64 = 4_503_599_627_370_496.0; // 2^52

    impl Real for f32 {
        type Plain = __m128;
        type Avx2 = __m256;
        type Avx512 = __m512;
        #[inline(always)]
        fn narrow(v: f64) -> Self {
            v as f32
        }
        #[inline(always)]
        fn widen(self) -> f64 {
            f64::from(self)
        }
        #[inline(always)]
        fn root(self) -> Self {
            self.sqrt()
        }
        #[allow(clippy::unnecessary_cast)] // of f32, where it is one
        const MIN_NORMAL: f64 = Self::MIN_POSITIVE as f64;
        const DIGITS: u32 = Self::MANTISSA_DIGITS;
    }
    impl Real for f64 {
        type Plain = __m128d;
        type Avx2 = __m256d;
        type Avx512 = __m512d;
        #[inline(always)]
        fn narrow(v: f64) -> Self {
            v
        }
        #[inline(always)]
        fn widen(self) -> f64 {
            self
        }
        #[inline(always)]
        fn root(self) -> Self {
            self.sqrt()
        }
        #[allow(clippy::unnecessary_cast)] // of f32, where it is one
        const MIN_NORMAL: f64 = Self::MIN_POSITIVE as f64;
        const DIGITS: u32 = Self::MANTISSA_DIGITS;
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod other {
    use super::{Array, Lanes, Real};

    impl Real for f32 {
        type Plain = Array<f32, 4>;
        #[inline(always)]
        fn narrow(v: f64) -> Self {
            v as f32
        }
        #[inline(always)]
        fn widen(self) -> f64 {
            f64::from(self)
        }
        #[inline(always)]
        fn root(self) -> Self {
            self.sqrt()
        }
        #[allow(clippy::unnecessary_cast)] // of f32, where it is one
        const MIN_NORMAL: f64 = Self::MIN_POSITIVE as f64;
        const DIGITS: u32 = Self::MANTISSA_DIGITS;
    }
    impl Real for f64 {
        type Plain = Array<f64, 2>;
        #[inline(always)]
        fn narrow(v: f64) -> Self {
            v
        }
        #[inline(always)]
        fn widen(self) -> f64 {
            self
        }
        #[inline(always)]
        fn root(self) -> Self {
            self.sqrt()
        }
        #[allow(clippy::unnecessary_cast)] // of f32, where it is one
        const MIN_NORMAL: f64 = Self::MIN_POSITIVE as f64;
        const DIGITS: u32 = Self::MANTISSA_DIGITS;
    }
}

/// An instruction set that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// What every CPU of the architecture has.
    Plain,
    /// 256-bit vectors and fused multiply-add.
    Avx2,
    /// 512-bit vectors, of bytes and words too.
    Avx512,
}

impl Path {
    /// The paths that this CPU can run, the plain one first.
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut)]
        let mut paths = vec![Self::Plain];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                paths.push(Self::Avx2);
                if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
                    paths.push(Self::Avx512);
                }
            }
        }
        paths
    }

    /// The widest path of this CPU, or the one below that `IMUSPEC_CPU` names; read once.
    pub fn best() -> Self {
        static BEST: OnceLock<Path> = OnceLock::new();
        *BEST.get_or_init(|| {
            let limit = match std::env::var("IMUSPEC_CPU").as_deref() {
                Ok("plain") => Self::Plain,
                Ok("avx2") => Self::Avx2,
                _ => Self::Avx512,
            };
            Self::available().into_iter().rfind(|&p| p <= limit).unwrap_or(Self::Plain)
        })
    }

    /// The name that `IMUSPEC_CPU` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

/// Work written once for all paths; see the module's example. Mark `run` and all it calls `#[inline(always)]`.
pub trait Kernel<T: Real> {
    /// What it returns.
    type Output;
    /// The work, for vectors of type `V`.
    fn run<V: Lanes<T = T>>(self) -> Self::Output;
}

/// Runs `kernel` compiled for `path`; a path that this CPU does not have falls back to the plain one.
#[inline]
pub fn dispatch<T: Real, K: Kernel<T>>(path: Path, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        // Detection is cached by std: a load and a test.
        if path == Path::Avx512
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx2")
        {
            // SAFETY: just detected.
            return unsafe { run_avx512(kernel) };
        }
        if path >= Path::Avx2 && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: just detected.
            return unsafe { run_avx2(kernel) };
        }
    }
    let _ = path;
    run_plain(kernel)
}

/// Runs `kernel` as a function of its own, compiled once for the path of `V`: what several kernels call should not be
/// compiled into each of them.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn outlined<V: Lanes, K: Kernel<V::T>>(kernel: K) -> K::Output {
    // SAFETY: the caller's promise.
    match V::PATH {
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => unsafe { run_avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => unsafe { run_avx2(kernel) },
        _ => run_plain(kernel),
    }
}

#[inline(never)]
fn run_plain<T: Real, K: Kernel<T>>(kernel: K) -> K::Output {
    kernel.run::<T::Plain>()
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<T: Real, K: Kernel<T>>(kernel: K) -> K::Output {
    kernel.run::<T::Avx2>()
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx2,fma")]
fn run_avx512<T: Real, K: Kernel<T>>(kernel: K) -> K::Output {
    kernel.run::<T::Avx512>()
}

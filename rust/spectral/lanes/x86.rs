//! The vectors of x86-64: SSE2 is part of it, AVX2 and AVX-512 are asked for at run time.
#![allow(unsafe_code)]
#![allow(unused_unsafe)] // part of the SSE2 instructions are safe calls, as the target always has them

use std::arch::x86_64::*;

use super::lanes::sealed::Sealed;
use super::lanes::{Lanes, Path, Real, real};

/// One vector type of the processor: names of its instructions after `_mm...`.
macro_rules! x86_lanes {
    ($name:ident = $v:ty, $path:ident, $t:ty, $n:literal, $load:ident $store:ident $splat:ident $add:ident $sub:ident $mul:ident $div:ident $min:ident
     $max:ident $sqrt:ident, |$a:ident, $m:ident, $b:ident, $no:ident| $fma:expr, $fnma:expr, $less:expr, |$x:ident| $split:expr
     $(, $masked:ident $mask:ty)?) => {
        #[doc = concat!("[`", stringify!($v), "`], which exists only on a CPU that has its path's instructions.")]
        #[derive(Clone, Copy, Debug)]
        #[repr(transparent)]
        pub struct $name($v);
        impl Sealed for $name {}
        // SAFETY (all blocks below): a value of the type exists, or the caller of `load` and `splat` promised that the CPU
        // has the type's instructions; memory is the caller's promise.
        #[allow(clippy::undocumented_unsafe_blocks)]
        impl Lanes for $name {
            type T = $t;
            const N: usize = $n;
            const PATH: Path = Path::$path;
            #[inline(always)]
            unsafe fn load(from: *const $t) -> Self {
                Self(unsafe { $load(from) })
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $t) {
                unsafe { $store(to, self.0) }
            }
            #[inline(always)]
            unsafe fn splat(v: $t) -> Self {
                Self(unsafe { $splat(v) })
            }
            #[inline(always)]
            fn add(self, b: Self) -> Self {
                Self(unsafe { $add(self.0, b.0) })
            }
            #[inline(always)]
            fn sub(self, b: Self) -> Self {
                Self(unsafe { $sub(self.0, b.0) })
            }
            #[inline(always)]
            fn mul(self, b: Self) -> Self {
                Self(unsafe { $mul(self.0, b.0) })
            }
            #[inline(always)]
            fn div(self, b: Self) -> Self {
                Self(unsafe { $div(self.0, b.0) })
            }
            #[inline(always)]
            fn select_less(self, b: Self, yes: Self, no: Self) -> Self {
                let ($a, $b, $m, $no) = (self.0, b.0, yes.0, no.0);
                Self(unsafe { $less })
            }
            #[inline(always)]
            fn min(self, b: Self) -> Self {
                Self(unsafe { $min(self.0, b.0) })
            }
            #[inline(always)]
            fn max(self, b: Self) -> Self {
                Self(unsafe { $max(self.0, b.0) })
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                Self(unsafe { $sqrt(self.0) })
            }
            #[inline(always)]
            fn mul_add(self, m: Self, a: Self) -> Self {
                let ($a, $m, $b) = (self.0, m.0, a.0);
                Self(unsafe { $fma })
            }
            #[inline(always)]
            fn neg_mul_add(self, m: Self, a: Self) -> Self {
                let ($a, $m, $b) = (self.0, m.0, a.0);
                Self(unsafe { $fnma })
            }
            #[inline(always)]
            fn split_exponent(self) -> (Self, Self) {
                let $x = self.0;
                let (mantissa, exponent) = unsafe { $split };
                (Self(mantissa), Self(exponent))
            }
            $(
                #[inline(always)]
                unsafe fn store_first(self, to: *mut $t, n: usize) {
                    unsafe { $masked(to, ((1u32 << n) - 1) as $mask, self.0) }
                }
            )?
        }
    };
}

x86_lanes!(F32x4 = __m128, Plain, f32, 4, _mm_loadu_ps _mm_storeu_ps _mm_set1_ps _mm_add_ps _mm_sub_ps _mm_mul_ps _mm_div_ps _mm_min_ps
    _mm_max_ps _mm_sqrt_ps, |a, m, b, no| _mm_add_ps(_mm_mul_ps(a, m), b), _mm_sub_ps(b, _mm_mul_ps(a, m)), _mm_or_ps(_mm_and_ps(_mm_cmplt_ps(a, b), m), _mm_andnot_ps(_mm_cmplt_ps(a, b), no)), |x| {
    let bits = _mm_castps_si128(x);
    let e = _mm_srai_epi32::<23>(_mm_sub_epi32(bits, _mm_set1_epi32(0x3f35_04f3)));
    (_mm_castsi128_ps(_mm_sub_epi32(bits, _mm_slli_epi32::<23>(e))), _mm_cvtepi32_ps(e))
});
x86_lanes!(F32x8 = __m256, Avx2, f32, 8, _mm256_loadu_ps _mm256_storeu_ps _mm256_set1_ps _mm256_add_ps _mm256_sub_ps
    _mm256_mul_ps _mm256_div_ps _mm256_min_ps _mm256_max_ps _mm256_sqrt_ps,
    |a, m, b, no| _mm256_fmadd_ps(a, m, b), _mm256_fnmadd_ps(a, m, b), _mm256_blendv_ps(no, m, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b)), |x| {
    let bits = _mm256_castps_si256(x);
    let e = _mm256_srai_epi32::<23>(_mm256_sub_epi32(bits, _mm256_set1_epi32(0x3f35_04f3)));
    (_mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32::<23>(e))), _mm256_cvtepi32_ps(e))
});
x86_lanes!(F32x16 = __m512, Avx512, f32, 16, _mm512_loadu_ps _mm512_storeu_ps _mm512_set1_ps _mm512_add_ps _mm512_sub_ps
    _mm512_mul_ps _mm512_div_ps _mm512_min_ps _mm512_max_ps _mm512_sqrt_ps,
    |a, m, b, no| _mm512_fmadd_ps(a, m, b), _mm512_fnmadd_ps(a, m, b), _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), no, m), |x| {
    let bits = _mm512_castps_si512(x);
    let e = _mm512_srai_epi32::<23>(_mm512_sub_epi32(bits, _mm512_set1_epi32(0x3f35_04f3)));
    (_mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32::<23>(e))), _mm512_cvtepi32_ps(e))
}, _mm512_mask_storeu_ps __mmask16);
// float64: the exponent's offset is added as 2^52 + 2^51, which turns a small integer in the low bits into a double.
x86_lanes!(F64x2 = __m128d, Plain, f64, 2, _mm_loadu_pd _mm_storeu_pd _mm_set1_pd _mm_add_pd _mm_sub_pd _mm_mul_pd _mm_div_pd _mm_min_pd
    _mm_max_pd _mm_sqrt_pd, |a, m, b, no| _mm_add_pd(_mm_mul_pd(a, m), b), _mm_sub_pd(b, _mm_mul_pd(a, m)), _mm_or_pd(_mm_and_pd(_mm_cmplt_pd(a, b), m), _mm_andnot_pd(_mm_cmplt_pd(a, b), no)), |x| {
    let bits = _mm_castpd_si128(x);
    let up = _mm_add_epi64(bits, _mm_set1_epi64x(ONE_LESS_HALF_ROOT));
    let e = _mm_srli_epi64::<52>(up);
    let rest = _mm_sub_epi64(bits, _mm_slli_epi64::<52>(_mm_sub_epi64(e, _mm_set1_epi64x(1023))));
    let e = _mm_castsi128_pd(_mm_or_si128(e, _mm_set1_epi64x(MAGIC.to_bits() as i64)));
    (_mm_castsi128_pd(rest), _mm_sub_pd(e, _mm_set1_pd(MAGIC + 1023.0)))
});
x86_lanes!(F64x4 = __m256d, Avx2, f64, 4, _mm256_loadu_pd _mm256_storeu_pd _mm256_set1_pd _mm256_add_pd _mm256_sub_pd
    _mm256_mul_pd _mm256_div_pd _mm256_min_pd _mm256_max_pd _mm256_sqrt_pd,
    |a, m, b, no| _mm256_fmadd_pd(a, m, b), _mm256_fnmadd_pd(a, m, b), _mm256_blendv_pd(no, m, _mm256_cmp_pd::<_CMP_LT_OQ>(a, b)), |x| {
    let bits = _mm256_castpd_si256(x);
    let up = _mm256_add_epi64(bits, _mm256_set1_epi64x(ONE_LESS_HALF_ROOT));
    let e = _mm256_srli_epi64::<52>(up);
    let rest = _mm256_sub_epi64(bits, _mm256_slli_epi64::<52>(_mm256_sub_epi64(e, _mm256_set1_epi64x(1023))));
    let e = _mm256_castsi256_pd(_mm256_or_si256(e, _mm256_set1_epi64x(MAGIC.to_bits() as i64)));
    (_mm256_castsi256_pd(rest), _mm256_sub_pd(e, _mm256_set1_pd(MAGIC + 1023.0)))
});
x86_lanes!(F64x8 = __m512d, Avx512, f64, 8, _mm512_loadu_pd _mm512_storeu_pd _mm512_set1_pd _mm512_add_pd _mm512_sub_pd
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

real!(f32, Plain = F32x4, Avx2 = F32x8, Avx512 = F32x16);
real!(f64, Plain = F64x2, Avx2 = F64x4, Avx512 = F64x8);

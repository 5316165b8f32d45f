//! The vectors of 64-bit ARM, of which NEON with fused multiply-add is part.
#![allow(unsafe_code)]

use std::arch::aarch64::*;

use super::array::Array;
use super::lanes::sealed::Sealed;
use super::lanes::{Lanes, Path, Real, real};

/// One vector type: names of its instructions.
macro_rules! neon_lanes {
    ($name:ident = $v:ty, $t:ty, $n:literal, $load:ident $store:ident $splat:ident $add:ident $sub:ident $mul:ident $div:ident
     $min:ident $max:ident $sqrt:ident $fma:ident $fms:ident $less:ident $select:ident, |$x:ident| $split:expr) => {
        #[doc = concat!("[`", stringify!($v), "`].")]
        #[derive(Clone, Copy, Debug)]
        #[repr(transparent)]
        pub struct $name(pub(in crate::spectral) $v);
        impl Sealed for $name {}
        // SAFETY (all blocks below): NEON is part of 64-bit ARM; memory is the caller's promise.
        #[allow(clippy::undocumented_unsafe_blocks)]
        impl Lanes for $name {
            type T = $t;
            const N: usize = $n;
            const PATH: Path = Path::Neon;
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
                Self(unsafe { $select($less(self.0, b.0), yes.0, no.0) })
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
                Self(unsafe { $fma(a.0, self.0, m.0) })
            }
            #[inline(always)]
            fn neg_mul_add(self, m: Self, a: Self) -> Self {
                Self(unsafe { $fms(a.0, self.0, m.0) })
            }
            #[inline(always)]
            fn split_exponent(self) -> (Self, Self) {
                let $x = self.0;
                let (mantissa, exponent) = unsafe { $split };
                (Self(mantissa), Self(exponent))
            }
        }
    };
}

neon_lanes!(F32x4 = float32x4_t, f32, 4, vld1q_f32 vst1q_f32 vdupq_n_f32 vaddq_f32 vsubq_f32 vmulq_f32 vdivq_f32
    vminq_f32 vmaxq_f32 vsqrtq_f32 vfmaq_f32 vfmsq_f32 vcltq_f32 vbslq_f32, |x| {
    let bits = vreinterpretq_s32_f32(x);
    let e = vshrq_n_s32::<23>(vsubq_s32(bits, vdupq_n_s32(0x3f35_04f3)));
    (vreinterpretq_f32_s32(vsubq_s32(bits, vshlq_n_s32::<23>(e))), vcvtq_f32_s32(e))
});
neon_lanes!(F64x2 = float64x2_t, f64, 2, vld1q_f64 vst1q_f64 vdupq_n_f64 vaddq_f64 vsubq_f64 vmulq_f64 vdivq_f64
    vminq_f64 vmaxq_f64 vsqrtq_f64 vfmaq_f64 vfmsq_f64 vcltq_f64 vbslq_f64, |x| {
    let bits = vreinterpretq_s64_f64(x);
    let e = vshrq_n_s64::<52>(vsubq_s64(bits, vdupq_n_s64(0x3fe6_a09e_667f_3bcd)));
    (vreinterpretq_f64_s64(vsubq_s64(bits, vshlq_n_s64::<52>(e))), vcvtq_f64_s64(e))
});

real!(f32, Plain = Array<f32, 4>, Neon = F32x4);
real!(f64, Plain = Array<f64, 2>, Neon = F64x2);

/// Turns four rows of four scalars into columns.
///
/// # Safety
/// All of `from` may be read, and all of `to` written, for four scalars.
#[target_feature(enable = "neon")]
#[inline]
pub(in crate::spectral) unsafe fn turn_four(from: [*const f32; 4], to: [*mut f32; 4]) {
    // SAFETY: the caller's promise.
    let [a, b, c, d] = from.map(|row| unsafe { vld1q_f32(row) });
    let fours = |ab, cd| {
        let (ab, cd) = (vreinterpretq_f64_f32(ab), vreinterpretq_f64_f32(cd));
        [vzip1q_f64(ab, cd), vzip2q_f64(ab, cd)].map(|row| vreinterpretq_f32_f64(row))
    };
    let [w, x] = fours(vzip1q_f32(a, b), vzip1q_f32(c, d));
    let [y, z] = fours(vzip2q_f32(a, b), vzip2q_f32(c, d));
    for (to, row) in to.into_iter().zip([w, x, y, z]) {
        // SAFETY: the caller's promise.
        unsafe { vst1q_f32(to, row) };
    }
}

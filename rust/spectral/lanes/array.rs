//! The plain path of all processors but x86-64: arrays, which the compiler may turn into vectors.
#![allow(unsafe_code)]

use super::lanes::sealed::Sealed;
use super::lanes::{Lanes, Path};
#[cfg(not(target_arch = "aarch64"))]
use super::lanes::{Real, real};

/// An array as a vector.
#[derive(Clone, Copy, Debug)]
pub struct Array<T, const N: usize>([T; N]);

macro_rules! array_lanes {
    ($t:ty, $n:literal, $bits:ty, $half_root:literal, $mantissa_bits:literal) => {
        impl Sealed for Array<$t, $n> {}
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
                let exponent = self.0.map(|v| (v.to_bits() as $bits).wrapping_sub($half_root) >> $mantissa_bits);
                let mantissa = std::array::from_fn(|i| {
                    <$t>::from_bits((self.0[i].to_bits() as $bits).wrapping_sub(exponent[i] << $mantissa_bits) as _)
                });
                (Self(mantissa), Self(exponent.map(|e| e as $t)))
            }
        }
    };
}
array_lanes!(f32, 4, i32, 0x3f35_04f3, 23);
array_lanes!(f64, 2, i64, 0x3fe6_a09e_667f_3bcd, 52);

#[cfg(not(target_arch = "aarch64"))]
real!(f32, Plain = Array<f32, 4>);
#[cfg(not(target_arch = "aarch64"))]
real!(f64, Plain = Array<f64, 2>);

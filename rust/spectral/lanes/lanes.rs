//! Vectors whose lanes are frames (or signals), and the one choice of instruction set.
//!
//! A kernel is written once, generic over [`Lanes`], as the `run` of a [`Kernel`]; [`dispatch`] instantiates it for every
//! [`Path`] and calls the one asked for. All that `run` calls and that touches lanes must be `#[inline(always)]`, so that it
//! is compiled with the instructions of the path.
//!
//! A vector can be made only with a [`Cpu`], and a `Cpu` only by `dispatch`, after it has seen that the CPU has the
//! instructions: so whoever holds either may run them, and arithmetic on vectors is safe.
//!
//! ```
//! use imuspec::spectral::lanes::{Cpu, Kernel, Lanes, Path, dispatch};
//! struct Sum<'a>(&'a [f32]);
//! impl Kernel<f32> for Sum<'_> {
//!     type Output = f32;
//!     #[inline(always)]
//!     fn run<V: Lanes<T = f32>>(self, cpu: Cpu<V>) -> f32 {
//!         let total = self.0.chunks_exact(V::N).fold(cpu.constant(0.0), |sum, part| sum.add(cpu.read(part, 0)));
//!         total.to_array()[..V::N].iter().sum()
//!     }
//! }
//! assert_eq!(dispatch(Path::best(), Sum(&[1.0; 64])), 64.0);
//! ```
#![allow(unsafe_code)]

use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::{Add, Mul, Sub};

pub use crate::cpu::Path;

/// Bytes in a row of lanes, on every path: one cache line, 16 f32 or 8 f64.
pub const ROW_BYTES: usize = 64;

/// Keeps [`Real`] and [`Lanes`] to the types of this file, whose sizes and paths its unsafe code relies on.
pub(super) mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}
use sealed::Sealed;

/// A scalar of the kernels: f32 or f64.
pub trait Real:
    Sealed
    + Copy
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
    /// The vector of the NEON path.
    #[cfg(target_arch = "aarch64")]
    type Neon: Lanes<T = Self>;
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

/// Proof that this CPU has the instructions of `V`'s path: only [`dispatch`] makes one, after it has asked the CPU.
#[derive(Debug)]
pub struct Cpu<V>(PhantomData<V>);

impl<V> Clone for Cpu<V> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}
impl<V> Copy for Cpu<V> {}

impl<V: Lanes> Cpu<V> {
    /// # Safety
    /// The CPU has the instructions of `V`'s path.
    #[inline(always)]
    const unsafe fn assume() -> Self {
        Self(PhantomData)
    }

    /// `v` in every lane.
    #[inline(always)]
    pub fn splat(self, v: V::T) -> V {
        // SAFETY: `self` is proof of the instructions.
        unsafe { V::splat(v) }
    }

    /// `v`, as near as the scalar comes, in every lane.
    #[inline(always)]
    pub fn constant(self, v: f64) -> V {
        self.splat(V::T::narrow(v))
    }

    /// The vector of `values` that starts at scalar `start`.
    ///
    /// # Panics
    /// Where it ends beyond them.
    #[inline(always)]
    pub fn read(self, values: &[V::T], start: usize) -> V {
        // SAFETY: in bounds by the slicing.
        unsafe { self.load(values[start..start + V::N].as_ptr()) }
    }

    /// The vector at `from`.
    ///
    /// # Safety
    /// `from` may be read for [`Lanes::N`] scalars, at any alignment.
    #[inline(always)]
    pub unsafe fn load(self, from: *const V::T) -> V {
        // SAFETY: `self` is proof of the instructions; the memory is the caller's promise.
        unsafe { V::load(from) }
    }
}

/// A vector of [`Lanes::N`] scalars. Whoever holds one runs on a CPU that has the instructions of its path, as the safe
/// ways to make one need a [`Cpu`].
pub trait Lanes: Sealed + Copy {
    /// The scalar.
    type T: Real;
    /// How many of them; divides [`Real::LANES`].
    const N: usize;
    /// The path that it belongs to.
    const PATH: Path;
    /// # Safety
    /// The CPU has the path's instructions and `from` may be read for [`Lanes::N`] scalars, at any alignment.
    #[doc(hidden)]
    unsafe fn load(from: *const Self::T) -> Self;
    /// # Safety
    /// `to` may be written for [`Lanes::N`] scalars, at any alignment.
    unsafe fn store(self, to: *mut Self::T);
    /// # Safety
    /// The CPU has the path's instructions.
    #[doc(hidden)]
    unsafe fn splat(v: Self::T) -> Self;
    /// The proof that the vector is.
    #[inline(always)]
    fn cpu(self) -> Cpu<Self> {
        // SAFETY: a vector exists, so its maker had the proof.
        unsafe { Cpu::assume() }
    }
    /// Writes the vector to `values` from scalar `start` on.
    ///
    /// # Panics
    /// Where it ends beyond them.
    #[inline(always)]
    fn write(self, values: &mut [Self::T], start: usize) {
        // SAFETY: in bounds by the slicing.
        unsafe { self.store(values[start..start + Self::N].as_mut_ptr()) }
    }
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
    /// Lane-wise smaller; NaN where `b` is NaN.
    fn min(self, b: Self) -> Self;
    /// Lane-wise larger; NaN where `b` is NaN.
    fn max(self, b: Self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// The opposite; folds into a fused multiply-add that uses it.
    #[inline(always)]
    fn negate(self) -> Self {
        self.cpu().constant(-0.0).sub(self)
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
        self.write(&mut out, 0);
        out
    }
}

/// [`Real`] of one scalar type, with the vectors of its paths.
macro_rules! real {
    ($t:ident $(, $path:ident = $vector:ty)+) => {
        impl Real for $t {
            $(type $path = $vector;)+
            const DIGITS: u32 = Self::MANTISSA_DIGITS;
            #[allow(clippy::unnecessary_cast)] // of f32, where it is one
            const MIN_NORMAL: f64 = Self::MIN_POSITIVE as f64;
            #[inline(always)]
            fn narrow(v: f64) -> Self {
                v as $t
            }
            #[inline(always)]
            fn widen(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn root(self) -> Self {
                self.sqrt()
            }
        }
    };
}
pub(super) use real;

/// Work written once for all paths; see the module's example. Mark `run` and all it calls `#[inline(always)]`.
pub trait Kernel<T: Real> {
    /// What it returns.
    type Output;
    /// The work, for vectors of type `V`.
    fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) -> Self::Output;
}

/// Runs `kernel` compiled for `path`; a path that this CPU does not have falls back to the plain one.
#[inline]
pub fn dispatch<T: Real, K: Kernel<T>>(path: Path, kernel: K) -> K::Output {
    if path.is_available() {
        // SAFETY: just asked.
        return unsafe { run_on(path, kernel) };
    }
    run_plain(kernel)
}

/// # Safety
/// The CPU has the instructions of `path`.
#[inline(always)]
unsafe fn run_on<T: Real, K: Kernel<T>>(path: Path, kernel: K) -> K::Output {
    match path {
        // SAFETY: the caller's promise; `Path::is_available` asks for all that `run_avx512` enables.
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => unsafe { run_avx512(kernel) },
        // SAFETY: the caller's promise; `Path::is_available` asks for all that `run_avx2` enables.
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => unsafe { run_avx2(kernel) },
        #[cfg(target_arch = "aarch64")]
        Path::Neon => run_neon(kernel),
        _ => run_plain(kernel),
    }
}

/// Runs `kernel` as a function of its own, compiled once for the path of `V`: what several kernels call should not be
/// compiled into each of them.
#[inline(always)]
pub(super) fn outlined<V: Lanes, K: Kernel<V::T>>(_: Cpu<V>, kernel: K) -> K::Output {
    // SAFETY: the argument is proof that the CPU has the instructions of V::PATH.
    unsafe { run_on(V::PATH, kernel) }
}

#[inline(never)]
fn run_plain<T: Real, K: Kernel<T>>(kernel: K) -> K::Output {
    // SAFETY: every CPU of the architecture has the plain path's instructions.
    kernel.run::<T::Plain>(unsafe { Cpu::assume() })
}

#[cfg(target_arch = "aarch64")]
#[inline(never)]
fn run_neon<T: Real, K: Kernel<T>>(kernel: K) -> K::Output {
    // SAFETY: NEON is part of 64-bit ARM.
    kernel.run::<T::Neon>(unsafe { Cpu::assume() })
}

// The two below enable what `Path::is_available` asks for, or less.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<T: Real, K: Kernel<T>>(kernel: K) -> K::Output {
    // SAFETY: this function runs, so the CPU has the instructions that it enables.
    kernel.run::<T::Avx2>(unsafe { Cpu::assume() })
}

#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx2,fma")]
fn run_avx512<T: Real, K: Kernel<T>>(kernel: K) -> K::Output {
    // SAFETY: as in `run_avx2`.
    kernel.run::<T::Avx512>(unsafe { Cpu::assume() })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ends;
    impl<T: Real> Kernel<T> for Ends {
        type Output = [[T; 16]; 2];
        #[inline(always)]
        fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) -> Self::Output {
            let (number, nan) = (cpu.constant(1.0), cpu.constant(f64::NAN));
            [number.min(nan).to_array(), number.max(nan).to_array()]
        }
    }

    #[test]
    fn the_smaller_and_the_larger_of_a_number_and_nan_are_nan_on_every_path() {
        for path in Path::available() {
            assert!(dispatch::<f32, _>(path, Ends).iter().all(|ends| ends[0].is_nan()), "{path:?}");
            assert!(dispatch::<f64, _>(path, Ends).iter().all(|ends| ends[0].is_nan()), "{path:?}");
        }
    }
}

//! Logarithms on lanes.
//!
//! x = m 2^e with sqrt(1/2) <= m < sqrt(2); log x = e log 2 + log m. In float32 log2(m) = f P(f), f = m - 1, with P of
//! degree 7 fitted to the least largest relative error: the result is within 3.3e-7 of itself near 1 and half a unit in the
//! last place of e log 2 elsewhere (1e-5 dB at 100 dB). In float64 log m = 2 artanh(s), s = (m - 1) / (m + 1), by its
//! series to s^21, within 4e-16. The definition is [`scalar`].
//!
//! Zero gives -inf, +inf itself, NaN and negative values NaN (-inf for -0).
use std::f64::consts::{LOG2_E, LOG10_2};

use super::lanes::{Cpu, Lanes, Real};

/// Of [`scaled`]: log2.
pub const OCTAVE: f64 = 1.0;
/// Of [`scaled`]: 10 log10, the decibel of a power.
pub const DECIBEL: f64 = 10.0 * LOG10_2;

/// The definition: log2(x) in `unit`s.
pub fn scalar<T: Real>(x: T, unit: f64) -> T {
    T::narrow(x.widen().log2() * unit)
}

/// log2(1 + f) = f P(f) for sqrt(1/2) <= 1 + f < sqrt(2), highest power first.
const P: [f64; 8] =
    [-0.145_811_68, 0.234_042_44, -0.248_876_9, 0.287_098_7, -0.360_239_62, 0.480_923_24, -0.721_352_8, 1.442_694_9];

/// log2(m) `unit`, plus `more`, in float32; see the module.
#[inline(always)]
fn mantissa_f32<V: Lanes>(m: V, unit: f64, more: V) -> V {
    let cpu = m.cpu();
    let f = m.sub(cpu.constant(1.0));
    let mut p = cpu.constant(P[0] * unit);
    for c in &P[1..] {
        p = p.mul_add(f, cpu.constant(c * unit));
    }
    p.mul_add(f, more)
}

/// log2(m) `unit`, plus `more`, in float64; see the module.
#[inline(always)]
fn mantissa_f64<V: Lanes>(m: V, unit: f64, more: V) -> V {
    let cpu = m.cpu();
    let one = cpu.constant(1.0);
    let s = m.sub(one).div(m.add(one));
    let square = s.mul(s);
    let mut p = cpu.constant(2.0 * LOG2_E * unit / 21.0);
    for odd in [19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        p = p.mul_add(square, cpu.constant(2.0 * LOG2_E * unit / odd));
    }
    p.mul_add(s, more)
}

/// log2(x) in `unit`s for normal, positive, finite lanes.
#[inline(always)]
pub fn scaled_normal<V: Lanes>(x: V, unit: f64) -> V {
    let (m, e) = x.split_exponent();
    let more = e.mul(x.cpu().constant(unit));
    if V::T::DIGITS == f32::MANTISSA_DIGITS { mantissa_f32(m, unit, more) } else { mantissa_f64(m, unit, more) }
}

/// log2(x) in `unit`s, for any lanes.
#[inline(always)]
pub fn scaled<V: Lanes>(x: V, unit: f64) -> V {
    let cpu = x.cpu();
    let (zero, infinity, least) = (cpu.constant(0.0), cpu.constant(f64::INFINITY), cpu.constant(V::T::MIN_NORMAL));
    let lifted = x.select_less(least, x.mul(cpu.constant(2f64.powi(60))), x);
    let shift = x.select_less(least, cpu.constant(-60.0 * unit), zero);
    let y = scaled_normal(lifted, unit).add(shift);
    let y = zero.select_less(x, y, cpu.constant(f64::NEG_INFINITY)); // zero; NaN and negative numbers follow below
    let y = x.select_less(zero, cpu.constant(f64::NAN), y);
    x.select_less(infinity, y, x.add(x))
}

/// Watches lanes pass by, and tells afterwards whether [`scaled_normal`] was right for all of them.
#[derive(Clone, Copy)]
pub struct Watch<V> {
    least: V,
    /// Zero, or NaN after an infinite or NaN lane.
    finite: V,
}

impl<V: Lanes> Watch<V> {
    /// Before the first lane.
    #[inline(always)]
    pub fn new(cpu: Cpu<V>) -> Self {
        Self { least: cpu.constant(1.0), finite: cpu.constant(0.0) }
    }

    /// Sees `x`.
    #[inline(always)]
    pub fn see(&mut self, x: V) {
        self.least = self.least.min(x);
        self.finite = x.mul_add(x.cpu().constant(0.0), self.finite);
    }

    /// Whether the first `lanes` lanes were normal, positive and finite all the time.
    #[inline(always)]
    pub fn all_normal(self, lanes: usize) -> bool {
        let (least, finite) = (self.least.to_array(), self.finite.to_array());
        let zero = V::T::default();
        let normal = V::T::narrow(V::T::MIN_NORMAL);
        least.iter().zip(&finite).take(lanes.min(V::N)).all(|(&l, &f)| l >= normal && f == zero)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spectral::lanes::{Kernel, Path, dispatch};

    struct Log<'a, T>(&'a [T], f64, bool);
    impl<T: Real> Kernel<T> for Log<'_, T> {
        type Output = Vec<T>;
        #[inline(always)]
        fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) -> Vec<T> {
            let Self(x, unit, normal) = self;
            let mut out = vec![T::default(); x.len()];
            for (x, y) in x.chunks_exact(V::N).zip(out.chunks_exact_mut(V::N)) {
                let x = cpu.read(x, 0);
                if normal { scaled_normal(x, unit) } else { scaled(x, unit) }.write(y, 0);
            }
            out
        }
    }

    fn agrees<T: Real>(x: &[T], relative: f64, ulp: f64) {
        for path in Path::available() {
            for unit in [OCTAVE, LOG10_2, DECIBEL] {
                for normal in [true, false] {
                    for (x, y) in x.iter().zip(dispatch(path, Log(x, unit, normal))) {
                        let truth = x.widen().log2() * unit;
                        let error = (y.widen() - truth).abs();
                        assert!(error <= relative * truth.abs() + ulp * truth.abs(), "{path:?} {unit} {x:?}: {error}");
                    }
                }
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "hours under Miri")]
    fn float32_agrees_with_the_definition() {
        let near_one: Vec<f32> = (0..4096).map(|i| 0.5 + i as f32 / 2048.0).collect();
        let everywhere: Vec<f32> = (0..4096).map(|i| 1.2e-38 * 1.043_f32.powi(i)).filter(|v| v.is_finite()).collect();
        agrees(&near_one, 3.3e-7, f64::from(f32::EPSILON));
        agrees(&everywhere[..everywhere.len() / 16 * 16], 3.3e-7, f64::from(f32::EPSILON));
    }

    #[test]
    fn float64_agrees_with_the_definition() {
        let near_one: Vec<f64> = (0..4096).map(|i| 0.5 + f64::from(i) / 2048.0).collect();
        let everywhere: Vec<f64> = (0..4096).map(|i| 2.3e-308 * 1.41_f64.powi(i)).filter(|v| v.is_finite()).collect();
        agrees(&near_one, 8e-16, f64::EPSILON);
        agrees(&everywhere[..everywhere.len() / 16 * 16], 4e-16, f64::EPSILON);
    }

    #[test]
    fn special_values_have_the_answers_of_the_definition() {
        let x: [f32; 16] = [
            0.0,
            1e-45,
            1e-40,
            1.0,
            2.0,
            1e30,
            f32::MAX,
            f32::INFINITY,
            f32::NAN,
            -1.0,
            -1e-40,
            f32::NEG_INFINITY,
            4.0,
            0.5,
            -0.0,
            f32::MIN_POSITIVE,
        ];
        for path in Path::available() {
            let wide = x.map(f64::from);
            for (i, x) in x.iter().enumerate() {
                let truth = if x.is_nan() || *x < 0.0 { f64::NAN } else { wide[i].log2() };
                let same = |y: f64, tolerance: f64| {
                    y == truth || (y.is_nan() && truth.is_nan()) || (y - truth).abs() <= tolerance
                };
                let narrow = dispatch(path, Log(&[*x; 16], OCTAVE, false))[5];
                assert!(same(f64::from(narrow), 3e-5), "{path:?} {x} {narrow} {truth}");
                let wide = dispatch(path, Log(&[wide[i]; 16], OCTAVE, false))[5];
                assert!(same(wide, 3e-13), "{path:?} {x} {wide} {truth}");
            }
        }
    }

    struct Saw([f32; 16]);
    impl Kernel<f32> for Saw {
        type Output = bool;
        #[inline(always)]
        fn run<V: Lanes<T = f32>>(self, cpu: Cpu<V>) -> bool {
            let mut watch = Watch::new(cpu);
            watch.see(cpu.read(&self.0, 0));
            watch.see(cpu.constant(3.0));
            watch.all_normal(V::N - 1)
        }
    }

    #[test]
    fn a_watch_notices_what_the_fast_logarithm_cannot_do_in_the_lanes_that_count() {
        for path in Path::available() {
            assert!(dispatch(path, Saw([7.0; 16])));
            for bad in [0.0, 1e-40, f32::INFINITY, f32::NAN, -1.0] {
                let mut x = [7.0; 16];
                x[1] = bad;
                assert!(!dispatch(path, Saw(x)), "{path:?} {bad}");
                let width = match path {
                    Path::Plain | Path::Neon => 4,
                    Path::Avx2 => 8,
                    Path::Avx512 => 16,
                };
                let mut x = [7.0; 16];
                x[width - 1] = bad;
                assert!(dispatch(path, Saw(x)), "{path:?} {bad} in a lane that does not count");
            }
        }
    }
}

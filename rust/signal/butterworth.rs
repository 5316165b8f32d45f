//! Butterworth low-pass as second-order sections.
//!
//! The analogue prototype's poles lie on the unit circle's left half; the bilinear transform with pre-warped cutoff takes
//! them to the z-plane and all zeros to z = -1. So every section is `(1 + z^-1)^2 / (1 + a1 z^-1 + a2 z^-2)`, an odd order
//! adds `(1 + z^-1) / (1 + a1 z^-1)`, and one gain makes the response 1 at frequency 0.

use std::f64::consts::PI;

use crate::error::{Error, Result};

/// A Butterworth low-pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Butterworth {
    /// `a1` of the first-order section that an odd order has.
    pub first_order: Option<f64>,
    /// `[a1, a2]` of each second-order section, poles nearest the unit circle last.
    pub sections: Vec<[f64; 2]>,
    /// Factor of the whole cascade, all of whose numerators begin with 1.
    pub gain: f64,
}

impl Butterworth {
    /// Designs a low-pass of `order` with -3 dB at `cutoff` (Hz).
    ///
    /// # Errors
    /// [`Error::Value`] for order 0, a rate or cutoff that is not finite and positive, a cutoff at or above half the rate,
    /// and a cutoff so low for the order that the gain leaves float64's range.
    ///
    /// # Source
    /// Oppenheim and Schafer, Discrete-Time Signal Processing, 7.2; `scipy.signal.butter`.
    pub fn lowpass(order: usize, cutoff: f64, sample_rate: f64) -> Result<Self> {
        if order == 0 {
            return Err(Error::value("order", "at least 1", order));
        }
        if !(sample_rate.is_finite() && sample_rate > 0.0) {
            return Err(Error::value("sample_rate", "a positive number of Hz", sample_rate));
        }
        if !(cutoff > 0.0 && cutoff < sample_rate / 2.0) {
            let expected = format!("above 0 and below half the sample rate ({} Hz)", sample_rate / 2.0);
            return Err(Error::value("cutoff", expected, cutoff));
        }
        let warped = 4.0 * (PI * cutoff / sample_rate).tan();
        let mut gain = 1.0;
        let mut sections = Vec::with_capacity(order / 2);
        // Angles from the negative real axis: m pi / 2N for m = N-1, N-3, ...: the largest is nearest the imaginary axis.
        for m in (1..order).filter(|m| (order - m) % 2 == 1) {
            let angle = PI * m as f64 / (2.0 * order as f64);
            let (re, im) = (-warped * angle.cos(), warped * angle.sin());
            let scale = (4.0 - re).powi(2) + im * im;
            let z_re = ((4.0 + re) * (4.0 - re) - im * im) / scale;
            let norm = ((4.0 + re).powi(2) + im * im) / scale;
            sections.push([-2.0 * z_re, norm]);
            gain *= warped * warped / scale;
        }
        let first_order = (order % 2 == 1).then(|| {
            gain *= warped / (4.0 + warped);
            -(4.0 - warped) / (4.0 + warped)
        });
        if gain < f64::MIN_POSITIVE {
            return Err(Error::value("cutoff", format!("one high enough for order {order} in float64"), cutoff));
        }
        Ok(Self { first_order, sections, gain })
    }

    /// Order of the filter.
    pub fn order(&self) -> usize {
        2 * self.sections.len() + usize::from(self.first_order.is_some())
    }

    /// Samples that SciPy's `sosfiltfilt` appends to either end of a run: three for each tap of the direct form.
    pub fn padding(&self) -> usize {
        3 * (self.order() + 1)
    }

    /// Rows `[b0, b1, b2, 1, a1, a2]`, ordered and paired as `scipy.signal.butter(output="sos")` does.
    ///
    /// An odd order's extra zero and pole at 0 are paired as there: from the last section to the first, each takes the
    /// zeros nearest its pole.
    pub fn sos(&self) -> Vec<[f64; 6]> {
        let mut zero_at_0 = self.first_order.is_some();
        let mut rows: Vec<[f64; 6]> = Vec::new();
        for &[a1, a2] in self.sections.iter().rev() {
            // |p| < |p + 1| for p = -a1/2 +- i sqrt(a2 - a1^2/4), so 0 is the nearer zero.
            let takes_0 = zero_at_0 && a1 < 1.0;
            zero_at_0 &= !takes_0;
            rows.push(if takes_0 { [1.0, 1.0, 0.0, 1.0, a1, a2] } else { [1.0, 2.0, 1.0, 1.0, a1, a2] });
        }
        if let Some(a1) = self.first_order {
            rows.push(if zero_at_0 { [1.0, 1.0, 0.0, 1.0, a1, 0.0] } else { [1.0, 2.0, 1.0, 1.0, a1, 0.0] });
        }
        rows.reverse();
        if let Some(first) = rows.first_mut() {
            first[..3].iter_mut().for_each(|b| *b *= self.gain);
        }
        rows
    }

    /// The least n for which `sum over m >= n of |h[m]|` is at most `tolerance`, h being the impulse response: what lies
    /// n or more samples back moves the output by no more than `tolerance` times its size. None beyond `limit` samples.
    pub fn memory(&self, tolerance: f64, limit: usize) -> Option<usize> {
        let mut poles: Vec<[f64; 2]> = self.sections.clone();
        poles.extend(self.first_order.map(|a1| [a1, 0.0]));
        let slowest = poles.iter().map(|&[a1, a2]| if a2 > 0.0 { a2.sqrt() } else { a1.abs() }).fold(0.0, f64::max);
        let mut state = vec![[0.0f64; 2]; self.sections.len()];
        let mut first = 0.0;
        let mut tail = Vec::new();
        // Long after the response has fallen below the tolerance over its time constant, the rest cannot add up to it.
        let small = tolerance * (1.0 - slowest) * 1e-3;
        let mut quiet = 0usize;
        let span = (4.0 / (1.0 - slowest)).min(1e9) as usize + self.order();
        while quiet < span {
            if tail.len() > limit {
                return None;
            }
            let mut x = if tail.is_empty() { self.gain } else { 0.0 };
            if let Some(a1) = self.first_order {
                let y = x + first;
                first = x - a1 * y;
                x = y;
            }
            for (z, &[a1, a2]) in state.iter_mut().zip(&self.sections) {
                let y = x + z[0];
                *z = [2.0 * x - a1 * y + z[1], x - a2 * y];
                x = y;
            }
            quiet = if x.abs() < small { quiet + 1 } else { 0 };
            tail.push(x.abs());
        }
        let mut sum = 0.0;
        for (n, h) in tail.iter().enumerate().rev() {
            sum += h;
            if sum > tolerance {
                return Some(n + 1);
            }
        }
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_response_is_one_at_0_and_3_db_down_at_the_cutoff() {
        for order in 1..=12 {
            let filter = Butterworth::lowpass(order, 15.0, 100.0).unwrap();
            assert_eq!(filter.order(), order);
            let sos = filter.sos();
            let gain = |w: f64| {
                sos.iter().fold(1.0, |product, s| {
                    let square = |c: &[f64]| {
                        let re = c[0] + c[1] * w.cos() + c[2] * (2.0 * w).cos();
                        let im = c[1] * w.sin() + c[2] * (2.0 * w).sin();
                        re * re + im * im
                    };
                    product * square(&s[..3]) / square(&s[3..])
                })
            };
            assert!((gain(0.0) - 1.0).abs() < 1e-12, "order {order}: {}", gain(0.0));
            assert!((gain(2.0 * PI * 0.15) - 0.5).abs() < 1e-12);
        }
    }

    #[test]
    fn the_memory_bounds_the_tail_of_the_impulse_response() {
        let filter = Butterworth::lowpass(8, 15.0, 100.0).unwrap();
        let n = filter.memory(1e-10, 1 << 20).unwrap();
        assert!((100..300).contains(&n), "{n}");
        assert!(filter.memory(1e-6, 1 << 20).unwrap() < n);
        assert_eq!(Butterworth::lowpass(8, 1e-3, 100.0).unwrap().memory(1e-10, 1000), None);
    }

    #[test]
    fn impossible_designs_are_refused() {
        for (order, cutoff, rate) in [
            (0, 1.0, 10.0),
            (8, 5.0, 10.0),
            (8, 0.0, 10.0),
            (8, f64::NAN, 10.0),
            (8, 1.0, f64::NAN),
            (300, 1e-3, 100.0),
        ] {
            assert!(Butterworth::lowpass(order, cutoff, rate).is_err(), "{order} {cutoff} {rate}");
        }
        let error = Butterworth::lowpass(8, 1.0, 0.0).unwrap_err().to_string();
        assert_eq!(error, "sample_rate: expected a positive number of Hz, got 0");
    }
}

//! Uniform samples -> uniform samples at a rational ratio of rates, with the low-pass that such a step needs.
//!
//! `y[m] = sum_k h[m down + half - k up] x[k]`, `h` a Kaiser-windowed sinc of cutoff `1 / max(up, down)`: only one of `up`
//! taps meets a sample, hence the name. Beyond its ends the series goes on along the straight line through its first and last
//! sample, so that gravity does not fall to 0 there. Equal to `scipy.signal.resample_poly(x, up, down, padtype="line")`.

use std::f64::consts::PI;

use crate::arrays::{Signals, check_length};
use crate::error::{Error, Result};
use crate::threads;

/// Shape of the Kaiser window.
const BETA: f64 = 5.0;
/// Taps on either side of the middle, for each unit of `max(up, down)`.
const HALF: usize = 10;

/// Outputs of a row after which Ctrl-C is asked for.
const ASK_EVERY: usize = 1 << 16;
/// A resampler by `up / down`.
#[derive(Debug, Clone)]
pub struct Polyphase {
    up: usize,
    down: usize,
    half: usize,
    taps: Vec<f64>,
}

fn bessel_i0(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    let mut k = 1.0;
    while term > 1e-17 * sum {
        term *= (x / (2.0 * k)).powi(2);
        sum += term;
        k += 1.0;
    }
    sum
}

impl Polyphase {
    /// # Errors
    /// [`Error::Value`] if `up` or `down` is 0 or above 10 000: the ratio is then better served by interpolation.
    pub fn new(up: usize, down: usize) -> Result<Self> {
        for (name, value) in [("up", up), ("down", down)] {
            if !(1..=10_000).contains(&value) {
                return Err(Error::value(name, "1 to 10000", value));
            }
        }
        let largest = up.max(down);
        let half = HALF * largest;
        let cutoff = 1.0 / largest as f64;
        let mut taps: Vec<f64> = (0..=2 * half)
            .map(|i| {
                let t = i as f64 - half as f64;
                let sinc = if t == 0.0 { cutoff } else { (PI * cutoff * t).sin() / (PI * t) };
                let edge = t / half as f64;
                sinc * bessel_i0(BETA * (1.0 - edge * edge).max(0.0).sqrt())
            })
            .collect();
        let sum: f64 = taps.iter().sum();
        taps.iter_mut().for_each(|tap| *tap *= up as f64 / sum);
        Ok(Self { up, down, half, taps })
    }

    /// Samples that come out for `n` that go in: `ceil(n up / down)`.
    pub fn count(&self, n: usize) -> usize {
        (n * self.up).div_ceil(self.down)
    }

    fn row(&self, x: &[f32], out: &mut [f32]) {
        let (Some(&first), Some(&last)) = (x.first(), x.last()) else { return };
        let (first, last) = (f64::from(first), f64::from(last));
        let slope = (last - first) / (x.len().max(2) - 1) as f64;
        let n = x.len() as isize;
        for (m, out) in out.iter_mut().enumerate() {
            if m % ASK_EVERY == ASK_EVERY - 1 {
                threads::ask();
            }
            let middle = m * self.down + self.half;
            // The samples that a tap meets: those from -(a few) to the one at or before the last tap.
            let to = (middle / self.up) as isize;
            let from = to - ((2 * self.half - middle % self.up) / self.up) as isize;
            let mut sum = 0.0;
            for k in from..=to {
                let value = if (0..n).contains(&k) { f64::from(x[k as usize]) } else { first + slope * k as f64 };
                sum += self.taps[(middle as isize - k * self.up as isize) as usize] * value;
            }
            *out = sum as f32;
        }
    }

    /// Resamples signals into `out` `[..., count]`. A missing sample makes every output within ten samples of it (of the
    /// slower rate) missing.
    ///
    /// # Errors
    /// [`Error::Shape`] where the signals are strided in time or `out` does not fit.
    pub fn resample(&self, x: &Signals<'_, f32>, out: &mut [f32]) -> Result<()> {
        x.check_dense("x")?;
        let count = self.count(x.time());
        check_length("out", out.len(), &[x.count(), count])?;
        if count == 0 {
            return Ok(());
        }
        let threads = threads::worth((out.len() * (2 * HALF * self.up.max(self.down)).div_ceil(self.up)) as f64);
        threads::for_each(threads, out.chunks_mut(count).enumerate(), || (), |(), (i, out)| self.row(x.get(i), out));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_stays_a_constant_to_the_filters_ripple() {
        for (up, down) in [(1, 1), (3, 10), (10, 3), (1, 4)] {
            let resampler = Polyphase::new(up, down).unwrap();
            let mut out = vec![0.0; resampler.count(100)];
            resampler.resample(&Signals::contiguous(&[0.8; 100], 100).unwrap(), &mut out).unwrap();
            assert!(out.iter().all(|y| (y - 0.8).abs() < 1e-3), "{up}/{down}");
        }
        let counts = [(3, 10, 101, 31), (10, 3, 100, 334), (1, 1, 7, 7), (3, 10, 0, 0)];
        assert!(counts.iter().all(|&(up, down, n, count)| Polyphase::new(up, down).unwrap().count(n) == count));
        assert!(Polyphase::new(0, 1).is_err() && Polyphase::new(1, 10_001).is_err());
        let three = Signals::contiguous(&[0.0; 3], 3).unwrap();
        assert!(Polyphase::new(1, 1).unwrap().resample(&three, &mut [0.0; 2]).is_err());
    }
}

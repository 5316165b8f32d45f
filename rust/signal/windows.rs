//! Statistics of windows of fixed length in time: the input of calibration and wear detection.
//!
//! Window `k` holds the samples from `origin + k length` to before `origin + (k + 1) length`; a window without samples is
//! not in the table. Sums are float64, taken from the window's first sample so that a still axis has a deviation of
//! exactly 0.

use crate::error::{Error, Result};

/// Statistics of one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Time at which the window begins, ns.
    pub start: i64,
    /// Samples in it.
    pub n: u32,
    /// Mean of each axis, g.
    pub mean: [f64; 3],
    /// Sample standard deviation (n - 1) of each axis, g; NaN for a single sample.
    pub sd: [f64; 3],
    /// Mean temperature, degrees Celsius; NaN if missing.
    pub temperature: f64,
}

/// Whether a missing sample is left out or takes the last value before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// A sample with any axis missing is not counted: calibration.
    Skip,
    /// Each axis keeps its last value, so missing samples look still: wear, as actipy. Before the first value: skipped.
    Fill,
}

/// Gathers windows from a recording that arrives in chunks; the answer does not depend on how they fall.
#[derive(Debug, Clone)]
pub struct WindowStatistics {
    length: i64,
    missing: Missing,
    origin: Option<i64>,
    /// Start of the window that is being filled.
    start: i64,
    last_time: i64,
    n: u32,
    reference: [f64; 3],
    sums: [Sums; 3],
    temperature: (f64, u32),
    last: [f32; 3],
    filled: [Vec<f32>; 3],
    /// The windows that are complete.
    pub windows: Vec<Window>,
}

impl WindowStatistics {
    /// Windows of `length` ns from `origin`, or from the first sample's time where that is None.
    ///
    /// # Errors
    /// [`Error::Value`] unless the length is positive.
    pub fn new(length: i64, origin: Option<i64>, missing: Missing) -> Result<Self> {
        if length <= 0 {
            return Err(Error::value("window_s", "a positive number of seconds", length as f64 / 1e9));
        }
        Ok(Self {
            length,
            missing,
            origin,
            start: i64::MIN,
            last_time: i64::MIN,
            n: 0,
            reference: [0.0; 3],
            sums: [Sums::default(); 3],
            temperature: (0.0, 0),
            last: [f32::NAN; 3],
            filled: Default::default(),
            windows: Vec::new(),
        })
    }

    /// Takes the next samples with their times. `temperature` is empty or has one value a sample.
    ///
    /// Times rise, but where a clock was set back: there a new window begins, even one of a time that has been before.
    pub fn push(&mut self, time: &[i64], values: [&[f32]; 3], temperature: &[f32]) {
        for part in rising(time) {
            if self.last_time >= time[part.start] {
                self.close();
                self.start = i64::MIN;
            }
            self.last_time = time[part.end - 1];
            let values = values.map(|axis| &axis[part.clone()]);
            self.push_rising(&time[part.clone()], values, temperature.get(part).unwrap_or(&[]));
        }
    }

    fn push_rising(&mut self, time: &[i64], values: [&[f32]; 3], temperature: &[f32]) {
        let origin = match (self.origin, time.first()) {
            (Some(origin), _) => origin,
            (None, Some(&first)) => *self.origin.insert(first),
            (None, None) => return,
        };
        let mut from = 0;
        while from < time.len() {
            let start = origin + (time[from] - origin).div_euclid(self.length) * self.length;
            if start != self.start {
                self.close();
                self.start = start;
            }
            let end = start.saturating_add(self.length);
            let to = from + first_at_or_after(&time[from..], end);
            self.add(values.map(|axis| &axis[from..to]));
            if let Some(part) = temperature.get(from..to) {
                for &t in part.iter().filter(|t| !t.is_nan()) {
                    self.temperature.0 += f64::from(t);
                    self.temperature.1 += 1;
                }
            }
            from = to;
        }
    }

    /// Ends the recording: the last window is complete.
    pub fn finish(mut self) -> Vec<Window> {
        self.close();
        self.windows
    }

    fn add(&mut self, values: [&[f32]; 3]) {
        let missing = values.iter().any(|axis| axis.iter().fold(false, |any, v| any | v.is_nan()));
        if !missing {
            if let Some(n) = values[0].len().checked_sub(1) {
                self.last = values.map(|axis| axis[n]);
            }
            return self.add_present(values);
        }
        let mut filled = std::mem::take(&mut self.filled);
        filled.iter_mut().for_each(Vec::clear);
        for i in 0..values[0].len() {
            let row = values.map(|axis| axis[i]);
            let row = match self.missing {
                Missing::Skip => row,
                Missing::Fill => {
                    for (last, v) in self.last.iter_mut().zip(row) {
                        *last = if v.is_nan() { *last } else { v };
                    }
                    self.last
                }
            };
            if row.iter().all(|v| !v.is_nan()) {
                filled.iter_mut().zip(row).for_each(|(filled, v)| filled.push(v));
            }
        }
        self.add_present([&filled[0], &filled[1], &filled[2]]);
        self.filled = filled;
    }

    fn add_present(&mut self, values: [&[f32]; 3]) {
        if values[0].is_empty() {
            return;
        }
        if self.n == 0 {
            self.reference = values.map(|axis| f64::from(axis[0]));
        }
        for ((sums, values), reference) in self.sums.iter_mut().zip(values).zip(self.reference) {
            sums.add(values, reference, self.n as usize);
        }
        self.n += values[0].len() as u32;
    }

    fn close(&mut self) {
        if self.n > 0 {
            let n = f64::from(self.n);
            let totals = self.sums.map(|sums| sums.totals());
            let mean = std::array::from_fn(|k| self.reference[k] + totals[k].0 / n);
            let sd = std::array::from_fn(|k| {
                let squares = (totals[k].1 - totals[k].0 * totals[k].0 / n).max(0.0);
                if self.n > 1 { (squares / (n - 1.0)).sqrt() } else { f64::NAN }
            });
            let temperature = self.temperature.0 / f64::from(self.temperature.1);
            self.windows.push(Window { start: self.start, n: self.n, mean, sd, temperature });
        }
        self.n = 0;
        self.sums = [Sums::default(); 3];
        self.temperature = (0.0, 0);
    }
}

/// Four sums of deviations and of their squares; sample `i` of a window goes to sum `i % 4`, so that the order of addition
/// does not depend on how chunks fall.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    sum: [f64; 4],
    square: [f64; 4],
}

impl Sums {
    /// Adds samples of which the first is number `position` of its window.
    fn add(&mut self, x: &[f32], reference: f64, position: usize) {
        let head = (position.wrapping_neg() % 4).min(x.len());
        let (head, rest) = x.split_at(head);
        let (body, tail) = rest.split_at(rest.len() - rest.len() % 4);
        for (i, &v) in head.iter().enumerate() {
            self.one((position + i) % 4, v, reference);
        }
        let Self { mut sum, mut square } = *self;
        for four in body.chunks_exact(4) {
            for lane in 0..4 {
                let d = f64::from(four[lane]) - reference;
                sum[lane] += d;
                square[lane] += d * d;
            }
        }
        *self = Self { sum, square };
        for (lane, &v) in tail.iter().enumerate() {
            self.one(lane, v, reference);
        }
    }

    fn one(&mut self, lane: usize, v: f32, reference: f64) {
        let d = f64::from(v) - reference;
        self.sum[lane] += d;
        self.square[lane] += d * d;
    }

    fn totals(&self) -> (f64, f64) {
        let total = |s: [f64; 4]| (s[0] + s[1]) + (s[2] + s[3]);
        (total(self.sum), total(self.square))
    }
}

/// Stretches of a chunk inside which times rise.
fn rising(time: &[i64]) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut start = 0;
    time.chunk_by(|a, b| a < b).map(move |part| {
        let range = start..start + part.len();
        start = range.end;
        range
    })
}

/// How many leading times lie before `end`: doubling steps, then halving, as a window holds few of a chunk's samples.
fn first_at_or_after(time: &[i64], end: i64) -> usize {
    let mut reach = 64;
    while reach < time.len() && time[reach] < end {
        reach *= 2;
    }
    let low = reach / 2;
    let high = (reach + 1).min(time.len());
    let low = low.min(high);
    let low = if low > 0 && time[low - 1] >= end { 0 } else { low };
    low + time[low..high].partition_point(|&t| t < end)
}

/// Windows of `width` neighbours each, one for every start: a sliding window over a table of shorter ones. Those that would
/// cross a place where the table has no window are left out.
pub fn slide(parts: &[Window], length: i64, width: usize) -> Vec<Window> {
    let unbroken = |group: &&[Window]| group[width - 1].start - group[0].start == length * (width as i64 - 1);
    parts.windows(width.max(1)).filter(unbroken).map(merge).collect()
}

/// One window out of neighbours that follow each other.
fn merge(parts: &[Window]) -> Window {
    let n: f64 = parts.iter().map(|w| f64::from(w.n)).sum();
    let weighted = |value: &dyn Fn(&Window) -> f64| parts.iter().map(|w| f64::from(w.n) * value(w)).sum::<f64>() / n;
    let mean: [f64; 3] = std::array::from_fn(|k| weighted(&|w| w.mean[k]));
    let sd = std::array::from_fn(|k| {
        let squares: f64 = parts
            .iter()
            .map(|w| {
                let inside = if w.n > 1 { w.sd[k] * w.sd[k] * f64::from(w.n - 1) } else { 0.0 };
                inside + f64::from(w.n) * (w.mean[k] - mean[k]).powi(2)
            })
            .sum();
        if n > 1.0 { (squares / (n - 1.0)).sqrt() } else { f64::NAN }
    });
    let start = parts.first().map_or(0, |w| w.start);
    Window { start, n: n as u32, mean, sd, temperature: weighted(&|w| w.temperature) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> (Vec<i64>, Vec<f32>, Vec<f32>) {
        let time: Vec<i64> = (0..4000).map(|i| 77 + i * 10 + if i > 2500 { 3333 } else { 0 }).collect();
        let mut x: Vec<f32> = (0..4000).map(|i| (i as f32 * 0.7).sin() + 1.0).collect();
        x[1234..1240].fill(f32::NAN);
        let temperature = (0..4000).map(|i| 20.0 + i as f32 * 0.001).collect();
        (time, x, temperature)
    }

    fn table(size: usize, length: i64, missing: Missing) -> Vec<Window> {
        let (time, x, temperature) = recording();
        let mut statistics = WindowStatistics::new(length, None, missing).unwrap();
        for start in (0..time.len()).step_by(size) {
            let part = start..(start + size).min(time.len());
            let x = &x[part.clone()];
            statistics.push(&time[part.clone()], [x, x, x], &temperature[part]);
        }
        statistics.finish()
    }

    #[test]
    fn a_temperature_is_the_mean_of_its_window() {
        let windows = table(4000, 1000, Missing::Skip);
        for (i, window) in windows[..20].iter().enumerate() {
            let mean = 20.0 + (100.0 * i as f64 + 49.5) * 0.001;
            assert!((window.temperature - mean).abs() < 1e-5, "{i}: {}", window.temperature);
        }
    }

    #[test]
    fn the_first_time_at_or_after_another_is_found_however_far_it_is() {
        let time: Vec<i64> = (0..1000).map(|i| 3 * i).collect();
        for end in [-1, 0, 1, 3, 189, 192, 195, 1500, 2997, 2998] {
            assert_eq!(first_at_or_after(&time, end), time.iter().filter(|&&t| t < end).count(), "{end}");
        }
        assert_eq!(first_at_or_after(&[], 5), 0);
    }

    #[test]
    fn tables_are_the_same_bits_however_chunks_fall() {
        for missing in [Missing::Skip, Missing::Fill] {
            let whole = table(4000, 1000, missing);
            assert_eq!(whole.iter().map(|w| w.n).sum::<u32>(), if missing == Missing::Skip { 3994 } else { 4000 });
            for size in [1, 3, 64, 1001] {
                // As text, since a single sample's deviation is NaN, which equals nothing.
                assert_eq!(format!("{:?}", table(size, 1000, missing)), format!("{whole:?}"));
            }
        }
    }

    #[test]
    fn sliding_windows_equal_windows_of_that_length() {
        let parts = table(4000, 500, Missing::Skip);
        let slid = slide(&parts, 500, 2);
        for window in table(4000, 1000, Missing::Skip) {
            let Some(same) = slid.iter().find(|w| w.start == window.start) else {
                continue; // at the gap one half has no samples
            };
            assert_eq!(same.n, window.n);
            for k in 0..3 {
                assert!((same.mean[k] - window.mean[k]).abs() < 1e-12);
                assert!(window.n == 1 || (same.sd[k] - window.sd[k]).abs() < 1e-12);
            }
            // A skipped sample's temperature counts in its window but has no weight in the sliding one.
            assert!(window.n < 100 || (same.temperature - window.temperature).abs() < 1e-9);
        }
        assert!(slid.len() + 3 >= parts.len());
        assert!(WindowStatistics::new(0, None, Missing::Skip).is_err());
    }
}

//! Regular grids of times.
//!
//! Grid point `i` lies at `origin + floor(i 1e9 / rate)` ns, as in actipy.

use std::sync::Arc;

use crate::error::{Error, Result};

const SECOND: i64 = 1_000_000_000;

/// What a grid point between two samples gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The straight line between its neighbours, where they are no farther apart than the longest gap; else missing.
    Linear,
    /// The nearer neighbour, the later one of two equally near; missing where it is farther than the longest gap, and
    /// everywhere but at the first grid point after a sample and the last one before the next. That is pandas' `reindex`
    /// with `method="nearest", limit=1`, which actipy calls.
    Nearest,
}

/// A regular grid of times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Time of grid point 0, ns.
    pub origin: i64,
    /// Grid points a second.
    pub rate: f64,
    /// Number of points, where the times are rounded as actipy rounds them, which depends on it.
    as_actipy: Option<u64>,
}

/// Points that actipy makes at a time; each such stretch is a `numpy.linspace` of whole nanoseconds.
const ACTIPY_STRETCH: u64 = 1_000_000;

impl Grid {
    /// # Errors
    /// [`Error::Value`] unless the rate is positive and its period at least 1 ns.
    pub fn new(origin: i64, rate: f64) -> Result<Self> {
        if rate > 0.0 && rate <= 1e9 {
            Ok(Self { origin, rate, as_actipy: None })
        } else {
            Err(Error::value("rate", "a positive number of Hz", rate))
        }
    }

    /// The grid of `count` points with actipy's rounding: a time may be 1 ns early, which decides between two samples that
    /// are equally near.
    #[must_use]
    pub fn as_actipy(self, count: u64) -> Self {
        Self { as_actipy: Some(count), ..self }
    }

    /// Time of grid point `i`, ns.
    pub fn time(&self, i: u64) -> i64 {
        if let Some(count) = self.as_actipy {
            let first = i / ACTIPY_STRETCH * ACTIPY_STRETCH;
            let last = (first + ACTIPY_STRETCH).min(count.max(i + 1)) - 1;
            let (start, end) = (self.seconds(first), self.seconds(last));
            let step = if last > first { (end - start) as f64 / (last - first) as f64 } else { 0.0 };
            return self.origin + if i == last { end } else { start + ((i - first) as f64 * step) as i64 };
        }
        match self.whole_rate() {
            Some(rate) => (((i / rate) as i64).saturating_mul(SECOND))
                .saturating_add(self.within_second(i % rate))
                .saturating_add(self.origin),
            None => self.origin.saturating_add((i as f64 * (1e9 / self.rate)) as i64),
        }
    }

    /// `i / rate` seconds as pandas' `Timedelta` has it, ns: fraction of a second to nine digits.
    fn seconds(&self, i: u64) -> i64 {
        let seconds = i as f64 / self.rate;
        seconds as i64 * SECOND + (seconds.fract() * 1e9).round() as i64
    }

    /// A whole number of points a second comes back to the whole second exactly, however long the grid.
    fn whole_rate(&self) -> Option<u64> {
        (self.rate.fract() == 0.0 && self.as_actipy.is_none()).then_some(self.rate as u64)
    }

    #[inline(always)]
    fn within_second(&self, i: u64) -> i64 {
        (i as f64 * 1e9 / self.rate) as i64
    }

    /// The first grid point at or after `time`.
    pub fn at_or_after(&self, time: i64) -> u64 {
        if time <= self.origin {
            return 0;
        }
        let mut i = (time.saturating_sub(self.origin) as f64 * self.rate / 1e9).floor() as u64;
        i = i.saturating_sub(1);
        while self.time(i) < time {
            i += 1;
        }
        i
    }

    /// Grid points that `method` gives for samples from the origin to `last`: linear stays between the samples, nearest
    /// rounds the span (half to even), as actipy does.
    pub fn count(&self, last: i64, method: Method) -> u64 {
        match method {
            Method::Linear => self.at_or_after(last.saturating_add(1)),
            Method::Nearest => {
                (last.saturating_sub(self.origin) as f64 * self.rate / 1e9).round_ties_even().max(0.0) as u64 + 1
            }
        }
    }
}

/// The times of a grid's points, one after another.
#[derive(Debug, Clone)]
pub struct GridTimes {
    grid: Grid,
    /// Places of the points within a second, ns, for a whole number of points a second; empty for any other rate.
    within: Arc<[i64]>,
    second: i64,
    position: usize,
    /// The present point.
    pub point: u64,
    /// Its time, ns.
    pub time: i64,
}

impl GridTimes {
    /// Starts at point 0.
    pub fn new(grid: Grid) -> Self {
        let rate = grid.whole_rate().filter(|rate| *rate <= 1 << 16).unwrap_or(0);
        let within = (0..rate).map(|i| grid.within_second(i)).collect();
        Self { grid, within, second: grid.origin, position: 0, point: 0, time: grid.time(0) }
    }

    /// Goes to the next point.
    #[inline(always)]
    pub fn advance(&mut self) {
        self.point += 1;
        self.position += 1;
        if self.position == self.within.len() {
            self.position = 0;
            self.second = self.second.saturating_add(SECOND);
        }
        self.time = match self.within.get(self.position) {
            Some(within) => self.second.saturating_add(*within),
            None => self.grid.time(self.point),
        };
    }

    /// Writes the times of the next points, as many as `times` has room for, without going to them.
    pub fn ahead(&self, times: &mut [i64]) {
        if self.within.is_empty() {
            times.iter_mut().zip(self.point..).for_each(|(time, point)| *time = self.grid.time(point));
            return;
        }
        let (mut second, mut position, mut rest) = (self.second, self.position, times);
        while !rest.is_empty() {
            let within = &self.within[position..];
            let (now, later) = rest.split_at_mut(within.len().min(rest.len()));
            now.iter_mut().zip(within).for_each(|(time, within)| *time = second.saturating_add(*within));
            (second, position, rest) = (second.saturating_add(SECOND), 0, later);
        }
    }

    /// Goes `n` points on.
    pub fn skip(&mut self, n: usize) {
        self.point += n as u64;
        if let Some(seconds) = (self.position + n).checked_div(self.within.len()) {
            self.second = self.second.saturating_add((seconds as i64).saturating_mul(SECOND));
            self.position = (self.position + n) % self.within.len();
            self.time = self.second.saturating_add(self.within[self.position]);
        } else {
            self.time = self.grid.time(self.point);
        }
    }
}

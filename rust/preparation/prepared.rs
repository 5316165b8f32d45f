//! The result of a pass.

use crate::device::{Event, OLDEST, Summary};
use crate::signal::calibrate::Calibration;

use super::points::Points;

/// What a pass gives.
#[derive(Debug, Default)]
pub struct Prepared {
    /// Calibrated acceleration on the grid, g; NaN where nothing was measured.
    pub acceleration: Points,
    /// Grid points.
    pub n: usize,
    /// Time of grid point 0, ns, device clock.
    pub start: i64,
    /// (grid point, ns): from this point on the grid is so much ahead of the device's clock.
    pub shifts: Vec<(usize, i64)>,
    /// Kept wear, as ranges of grid points.
    pub segments: Vec<(usize, usize)>,
    /// Non-wear, as ranges of grid points.
    pub nonwear: Vec<(usize, usize)>,
    /// The fit; `None` where the recipe has none.
    pub calibration: Option<Calibration>,
    /// Means of the still windows before calibration, g.
    pub still: Vec<[f64; 3]>,
    /// Gaps between runs that are bridged.
    pub bridged: u64,
    /// Grid points without data.
    pub missing: usize,
    /// Longest stretch of wear, s.
    pub longest_wear_s: f64,
    /// Samples read.
    pub samples: u64,
    /// Samples put in for idle sleep.
    pub filled: u64,
    /// Runs whose rate was too low for the filter's cutoff.
    pub lowpass_skipped: u64,
    /// Runs slower than twice the cutoff or than the grid, and the slowest rate among them, Hz.
    pub slow: (u64, f64),
    /// Samples with a date that no recording has.
    pub impossible: u64,
    /// Grid point at which a clock that was not set at the start was set, and its time then, ns.
    pub clock_set: Option<(usize, i64)>,
    /// Grid points at which a segment ends because the clock fell.
    pub breaks: Vec<usize>,
    /// Header, quality and measured rate.
    pub summary: Summary,
}

impl Prepared {
    /// Dates a recording by the clock that was set after its start: what lies before is dated as the grid's time goes back.
    pub(super) fn begin_when_set(&mut self, rate: f64) {
        let oldest = OLDEST * 1_000_000_000;
        let clock = |(point, ahead): &(usize, i64)| {
            self.start.saturating_add((*point as f64 / rate * 1e9) as i64).saturating_sub(*ahead)
        };
        let set = self.shifts.iter().position(|shift| clock(shift) >= oldest).filter(|_| self.start < oldest);
        let Some((point, ahead)) = set.and_then(|index| self.shifts.get(index).copied()) else { return };
        self.clock_set = Some((point, clock(&(point, ahead))));
        self.start = self.start.saturating_sub(ahead);
        self.shifts.retain(|shift| shift.0 > point);
        self.shifts.iter_mut().for_each(|shift| shift.1 = shift.1.saturating_sub(ahead));
    }

    /// Events of the pass itself, to stand beside those of the reader.
    pub fn events(&self) -> Vec<Event> {
        let shift = |(point, ns): &(usize, i64)| Event {
            value: *ns as f64 / 1e9,
            ..Event::at("timeline_shift", 0, *point as u64)
        };
        let slow = Event { count: self.slow.0, value: self.slow.1, ..Event::at("slow_source", 0, 0) };
        let impossible = Event { count: self.impossible, ..Event::at("impossible_time", 0, 0) };
        let counted = [slow, impossible].into_iter().filter(|event| event.count > 0);
        let set =
            self.clock_set.map(|(point, time)| Event { time: Some(time), ..Event::at("clock_set", 0, point as u64) });
        self.shifts.iter().map(shift).chain(set).chain(counted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_after_the_start_dates_what_lies_before_it() {
        let second = 1_000_000_000;
        let (unset, set, later) = (0, 1_583_402_400 * second, 1_583_402_500 * second);
        // 30 points, the clock is set, 30 points, and it goes back by a second
        let shifts = vec![(30, second - set), (60, 2 * second - (later - second))];
        let mut out = Prepared { start: unset, shifts, ..Prepared::default() };
        out.begin_when_set(30.0);
        assert_eq!((out.start, out.clock_set), (set - second, Some((30, set))));
        assert_eq!(out.shifts, [(60, 2 * second - (later - second) - (second - set))]);
        let mut out = Prepared { start: set, shifts: vec![(30, -later)], ..Prepared::default() };
        out.begin_when_set(30.0);
        assert_eq!((out.start, out.shifts.len(), out.clock_set), (set, 1, None));
    }
}

//! What a pass gives.

use crate::device::columns::Planar;
use crate::device::{Event, Summary};
use crate::signal::calibrate::Calibration;

/// What a pass gives.
#[derive(Debug, Default)]
pub struct Prepared {
    /// Calibrated acceleration on the grid, g; NaN where nothing was measured.
    pub acceleration: Planar,
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
    /// Points of the grid that bridge a gap between runs, and such gaps.
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
    /// Grid points at which a segment ends because the clock fell.
    pub breaks: Vec<usize>,
    /// Header, quality and measured rate.
    pub summary: Summary,
}

impl Prepared {
    /// Events of the pass itself, to stand beside those of the reader.
    pub fn events(&self) -> Vec<Event> {
        let shift = |(point, ns): &(usize, i64)| Event {
            value: *ns as f64 / 1e9,
            ..Event::at("timeline_shift", 0, *point as u64)
        };
        let slow = Event { count: self.slow.0, value: self.slow.1, ..Event::at("slow_source", 0, 0) };
        let impossible = Event { count: self.impossible, ..Event::at("impossible_time", 0, 0) };
        let counted = [slow, impossible].into_iter().filter(|event| event.count > 0);
        self.shifts.iter().map(shift).chain(counted).collect()
    }
}

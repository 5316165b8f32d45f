//! The start of each run on the grid.

use super::settings::Order;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;
/// Longest gap that the grid shows as it is, ns. After a longer one a new piece of grid begins, [`HOLE`] later.
const LONGEST_GAP: i64 = DAY;
/// The same for actipy's order, whose grid runs through.
const LONGEST_GAP_ACTIPY: i64 = 14 * DAY;
/// Gaps shown as they are may together be so much longer than all that was recorded, ns, on a grid of 30 Hz and less.
const FREE_GAPS: i64 = 4 * DAY;
/// Sleep that is filled may together last so much longer than all that was recorded, ns, on a grid of 30 Hz and less.
const FREE_SLEEP: i64 = 7 * DAY;
/// Between two pieces of grid, ns.
const HOLE: i64 = 60 * SECOND;
/// A run that begins so much before the end of the one before it was misjudged by the extrapolation, not by the clock, ns.
const OVERLAP: i64 = SECOND;
/// A clock that falls by more than this was set: who wore the device in between is not known, so wear ends, ns.
const FELL: i64 = 5 * SECOND;
/// Times that are no date of a recording: before 1843 and after 2096. Differences of others fit 64 bits.
const IMPOSSIBLE: i64 = 4_000_000_000_000_000_000;

/// The grid's clock against the device's.
pub struct Timeline {
    longest_gap: i64,
    free_gaps: i64,
    free_sleep: i64,
    hole: i64,
    /// Added to device times, in this run and beyond it.
    pub shift: i64,
    clock_shift: i64,
    /// Time of the last sample on the grid's clock.
    pub last: Option<i64>,
    /// Recorded, slept and missing time on the grid, ns.
    recorded: i64,
    slept: i64,
    missing: i64,
}

/// The beginning of a run.
pub struct Place {
    /// First sample's time on the grid's clock, ns.
    pub begins: i64,
    /// Where the run before it ended.
    pub last: i64,
    /// Until when the device slept, to be filled, on the grid's clock, ns.
    pub woke: Option<i64>,
    /// The shift is another than before.
    pub shifted: bool,
    /// The clock fell: no segment goes on.
    pub fell: bool,
}

/// Whether a time can be that of a sample.
pub fn is_possible(time: i64) -> bool {
    (-IMPOSSIBLE..=IMPOSSIBLE).contains(&time)
}

impl Timeline {
    /// `rate` of the grid in Hz; longer gaps than `max_gap` ns end a segment.
    pub fn new(order: Order, rate: f64, max_gap: i64) -> Self {
        let longest_gap = if order == Order::Actipy { LONGEST_GAP_ACTIPY } else { LONGEST_GAP };
        let scale = |free: i64| (free as f64 * (30.0 / rate).min(1.0)) as i64;
        let (free_gaps, free_sleep) = (scale(FREE_GAPS), scale(FREE_SLEEP));
        let hole = HOLE.max(max_gap.saturating_mul(2));
        let (shift, clock_shift, last, recorded, slept, missing) = Default::default();
        Self { longest_gap, free_gaps, free_sleep, hole, shift, clock_shift, last, recorded, slept, missing }
    }

    /// Notes samples of the present run on the grid's clock.
    pub fn note(&mut self, time: &[i64]) {
        if let (Some(first), Some(last)) = (time.first(), time.last()) {
            self.recorded += last - first;
            self.last = Some(*last);
        }
    }

    /// Places a run whose first sample the device's clock dates `first`; `period` of the run before it, ns; `woke`: the end
    /// of a sleep between the two by the device's clock.
    pub fn place_run(&mut self, first: i64, period: i64, woke: Option<i64>) -> Option<Place> {
        let last = self.last?;
        let placed = first.saturating_add(self.clock_shift);
        let apart = placed.saturating_sub(last);
        let slept = woke.map_or(0, |woke| woke.saturating_add(self.clock_shift).min(placed).saturating_sub(last));
        let fits = slept > 0 && slept <= self.free_sleep.saturating_add(self.recorded - self.slept);
        let slept = if fits { slept } else { 0 };
        let gap = apart.saturating_sub(slept);
        let left = self.free_gaps.saturating_add(self.recorded - self.missing);
        let long = gap > self.longest_gap.min(left).max(self.hole);
        let begins = match apart {
            ..=0 => last + period,
            _ if long => last + slept + self.hole,
            _ => placed,
        };
        self.slept += slept;
        if apart > 0 && !long {
            self.missing += gap;
        }
        let shift = begins.saturating_sub(first);
        if apart < -OVERLAP || long {
            self.clock_shift = shift; // it stays: the clock was set
        }
        let shifted = shift != self.shift;
        self.shift = shift;
        Some(Place { begins, last, woke: fits.then_some(last + slept), shifted, fell: apart < -FELL })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(order: Order, starts: &[i64]) -> (Timeline, Vec<i64>) {
        let mut line = Timeline::new(order, 30.0, SECOND);
        line.note(&[0, 100 * SECOND]);
        let mut begins = Vec::new();
        for &first in starts {
            let placed = line.place_run(first, SECOND / 100, None).unwrap();
            line.note(&[placed.begins, placed.begins + 100 * SECOND]);
            begins.push(placed.begins / SECOND);
        }
        (line, begins)
    }

    #[test]
    fn gaps_of_a_day_are_whole_and_longer_ones_a_minute_on_the_grid() {
        assert_eq!(run(Order::Paper, &[200 * SECOND, 100 * SECOND + DAY]).1, [200, 100 + 86_400]);
        assert_eq!(run(Order::Paper, &[101 * SECOND + DAY]).1, [160]);
        assert_eq!(run(Order::Actipy, &[101 * SECOND + DAY]).1, [101 + 86_400]);
    }

    #[test]
    fn gaps_together_are_bounded_by_what_was_recorded() {
        let starts: Vec<i64> = (1..400).map(|k| k * DAY / 2).collect();
        let (line, begins) = run(Order::Paper, &starts);
        assert_eq!(begins[..3], [43_200, 86_400, 129_600]);
        assert!(line.missing <= FREE_GAPS + line.recorded);
        assert_eq!(begins[398] - begins[397], 160);
    }

    #[test]
    fn sleep_is_filled_until_its_own_wake_and_what_follows_is_a_gap() {
        let placed_at = |first: i64, woke: i64| {
            let mut line = Timeline::new(Order::Paper, 30.0, SECOND);
            line.note(&[0, 100 * SECOND]);
            let placed = line.place_run(first * SECOND, SECOND / 100, Some(woke * SECOND)).unwrap();
            (placed.begins / SECOND, placed.woke.map(|woke| woke / SECOND))
        };
        assert_eq!(placed_at(200, 200), (200, Some(200)));
        assert_eq!(placed_at(200, 110), (200, Some(110)));
        assert_eq!(placed_at(110 + 3 * 86_400, 110), (170, Some(110)));
        assert_eq!(placed_at(100 + 6 * 86_400, 100 + 6 * 86_400), (100 + 6 * 86_400, Some(100 + 6 * 86_400)));
        assert_eq!(placed_at(100 + 8 * 86_400, 100 + 8 * 86_400), (160, None));
    }

    #[test]
    fn clocks_at_the_ends_of_64_bits_are_placed_without_overflow() {
        let (line, begins) = run(Order::Paper, &[IMPOSSIBLE, -IMPOSSIBLE, IMPOSSIBLE, i64::MAX, i64::MIN]);
        assert_eq!(begins[0], 160);
        assert!(line.last.unwrap() < 1000 * SECOND);
    }

    #[test]
    fn a_clock_that_falls_by_more_than_five_seconds_ends_wear() {
        for (back, fell) in [(1, false), (5, false), (6, true)] {
            let mut line = Timeline::new(Order::Paper, 30.0, SECOND);
            line.note(&[0, 100 * SECOND]);
            let placed = line.place_run((100 - back) * SECOND, 10, None).unwrap();
            assert_eq!((placed.fell, placed.begins), (fell, 100 * SECOND + 10));
        }
    }
}

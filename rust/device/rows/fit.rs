//! Times of rows whose stamps are rounded, bundled or jittered: a line through the stamps, second by second.
//!
//! A stamp is a measurement with an error. Rows that share a stamp began with the first of them, so that only the first row
//! of each stamp is a measurement of its time. The means of row and time over a stretch of them lie on the line of that
//! stretch; between two such knots time is linear. No error adds up, and no row is put in front of the one before.

/// Stamps, and ns, that a knot is the mean of at least.
const STAMPS: u32 = 16;
const SPAN: f64 = 1e9;

/// The line of the run that is being timed.
#[derive(Debug, Clone)]
pub struct Fit {
    /// Time 0 of the knots.
    origin: i64,
    period: f64,
    /// (row, ns behind the origin).
    knots: Vec<(f64, f64)>,
    /// Stamps of the knot that is being gathered: how many, and the sums of their rows and times.
    gathered: (u32, f64, f64),
    since: f64,
    stamp: i64,
}

impl Fit {
    /// For a run whose first row has this stamp. `fixed`: the row lies exactly there.
    pub fn new(row: u64, stamp: i64, period: f64, fixed: bool, coarse: bool) -> Self {
        let knots = if fixed { vec![(row as f64, 0.0)] } else { Vec::new() };
        let mut fit =
            Self { origin: stamp, period: period.max(1.0), knots, gathered: (0, 0.0, 0.0), since: 0.0, stamp };
        // rows of a coarse first stamp may have begun anywhere inside its step
        if !fixed && !coarse {
            fit.gathered = (1, row as f64, 0.0);
        }
        fit
    }

    /// The next row's stamp.
    pub fn push(&mut self, row: u64, stamp: i64) {
        if stamp == self.stamp {
            return;
        }
        self.stamp = stamp;
        let time = stamp.saturating_sub(self.origin) as f64;
        let (n, rows, times) = &mut self.gathered;
        if *n == 0 {
            self.since = time;
        }
        *n += 1;
        *rows += row as f64;
        *times += time;
        if *n >= STAMPS && time - self.since >= SPAN {
            self.close_knot();
        }
    }

    /// A row that lies exactly at its stamp, or the end of the run's measurements.
    pub fn close(&mut self, exact: Option<(u64, i64)>) {
        if let Some((row, stamp)) = exact {
            self.gathered.0 = 0;
            self.add((row as f64, stamp.saturating_sub(self.origin) as f64));
        } else if self.gathered.0 >= STAMPS || self.knots.len() < 2 {
            self.close_knot();
        }
    }

    fn close_knot(&mut self) {
        let (n, rows, times) = std::mem::take(&mut self.gathered);
        if n > 0 {
            self.add((rows / f64::from(n), times / f64::from(n)));
        }
    }

    fn add(&mut self, knot: (f64, f64)) {
        // a row is at least a nanosecond behind the one before
        if self.knots.last().is_none_or(|last| knot.0 > last.0 && knot.1 - last.1 >= knot.0 - last.0) {
            self.knots.push(knot);
        }
    }

    /// Rows before this one have their times.
    pub fn timed_to(&self) -> u64 {
        if self.knots.len() < 2 { 0 } else { self.knots.last().map_or(0, |knot| knot.0.floor() as u64) }
    }

    /// Time of a row.
    fn time(&self, row: f64) -> f64 {
        let index =
            self.knots.partition_point(|knot| knot.0 <= row).clamp(1, self.knots.len().saturating_sub(1).max(1));
        match (self.knots.get(index - 1), self.knots.get(index)) {
            (Some(a), Some(b)) => a.1 + (row - a.0) * (b.1 - a.1) / (b.0 - a.0),
            (Some(a), None) => a.1 + (row - a.0) * self.period,
            _ => 0.0,
        }
    }

    /// Replaces the stamps of the rows from `first` on by their times, and forgets what no later row needs. Returns the
    /// longest way of a stamp from its line, ns.
    pub fn fill(&mut self, first: u64, times: &mut [i64]) -> u64 {
        if self.knots.is_empty() {
            // one stamp in all: it is the first row's
            self.knots.push((first as f64, 0.0));
        }
        let mut farthest = 0;
        for (time, row) in times.iter_mut().zip(first..) {
            let fitted = self.origin.saturating_add(self.time(row as f64).round() as i64);
            farthest = fitted.abs_diff(*time).max(farthest);
            *time = fitted;
        }
        let next = (first + times.len() as u64) as f64;
        let passed = self.knots.partition_point(|knot| knot.0 <= next).saturating_sub(2);
        self.knots.drain(..passed.min(self.knots.len().saturating_sub(2)));
        farthest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(stamps: &[i64], period: f64, coarse: bool) -> Vec<i64> {
        let mut fit = Fit::new(0, stamps.first().copied().unwrap_or(0), period, false, coarse);
        for (row, stamp) in stamps.iter().enumerate().skip(1) {
            fit.push(row as u64, *stamp);
        }
        fit.close(None);
        let mut times = vec![0; stamps.len()];
        fit.fill(0, &mut times);
        times
    }

    #[test]
    fn rounded_stamps_give_times_of_the_right_length_without_an_error_that_adds_up() {
        for (rate, unit) in [(1600.0, 1_000_000), (101.0, 10_000_000), (100.0, 1_000_000_000)] {
            let truth: Vec<i64> = (0..30_000).map(|i| (f64::from(i) / rate * 1e9).round() as i64).collect();
            let stamps: Vec<i64> = truth.iter().map(|t| t / unit * unit).collect();
            let times = fitted(&stamps, 1e9 / rate, unit as f64 > 2e9 / rate);
            let worst = times.iter().zip(&truth).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
            assert!(worst as f64 <= 1.01e9 / rate, "{rate}: {worst}");
            assert!(times.windows(2).all(|w| w.first() < w.last()), "{rate}");
        }
    }

    #[test]
    fn a_single_stamp_is_the_first_rows_time() {
        assert_eq!(fitted(&[7, 7, 7], 10.0, true), [7, 17, 27]);
    }
}

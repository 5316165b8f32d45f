//! How fast rows follow each other, from their stamps: rows over span, not the step that is met most often.

/// Rows that an estimate looks at.
pub const ROWS: usize = 1024;
/// Fewest rows that can tell a rate.
const FEWEST: usize = 32;
/// Rates that devices are set to.
const USUAL: [f64; 23] = [
    6.25, 10.0, 12.5, 20.0, 25.0, 30.0, 31.25, 32.0, 40.0, 50.0, 60.0, 62.5, 64.0, 80.0, 90.0, 100.0, 128.0, 200.0,
    256.0, 400.0, 800.0, 1600.0, 3200.0,
];
/// Bundles that tell a rate, and the rate that no device outside of laboratories has, Hz.
const BUNDLES: usize = 5;
const FASTEST: f64 = 500.0;
/// Share of a step forward that rows advance by at least, on average.
const LEAST: f64 = 1e-3;
/// Steps that jitter may add to the longest step that is no gap.
const NOISIEST: f64 = 1e3;
/// The shortest step of even rows, in periods.
const SHORT: f64 = 0.6;
/// Share by which a rate may differ from a usual one and still be it.
const NEAR: f64 = 0.002;

/// The pace of some rows, in the unit of their stamps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// From row to row.
    pub period: f64,
    /// Middle of the steps forward: the period, or what the stamps are rounded to.
    pub step: f64,
    /// A longer step is a gap.
    pub gap: f64,
    /// More than half of the stamps repeat the one before.
    pub coarse: bool,
}

impl Pace {
    /// The pace of rows with these stamps, the first `ROWS` of them at most and only as long as it stays the same; `None`
    /// where no stamp is later than the one before.
    pub fn of(stamps: &[f64]) -> Option<Self> {
        let mut rows = stamps.get(..ROWS).unwrap_or(stamps);
        let mut pace = Self::of_all(rows)?;
        while rows.len() >= 2 * FEWEST && !pace.coarse {
            let (a, b) = rows.split_at(rows.len() / 2);
            let (Some(first), Some(second)) = (Self::of_all(a), Self::of_all(b)) else { break };
            let noise = 0.15f64.max((first.gap / first.period - 2.5) / (a.len() as f64).sqrt());
            if (first.period / second.period).ln().abs() < noise {
                break;
            }
            (rows, pace) = (a, first);
        }
        Some(pace)
    }

    fn of_all(stamps: &[f64]) -> Option<Self> {
        let steps: Vec<f64> = stamps.windows(2).filter_map(|w| Some(w.last()? - w.first()?)).collect();
        let mut forward: Vec<f64> = steps.iter().copied().filter(|s| *s > 0.0).collect();
        let step = quantile(&mut forward, 0.5)?;
        let repeats = steps.iter().filter(|s| **s == 0.0).count();
        if repeats * 2 > steps.len() {
            return Some(Self::of_groups(&steps, step));
        }
        if let Some(pace) = Self::of_bundles(&steps, step) {
            return Some(pace);
        }
        // the longest hundredth may be gaps, the shortest steps back
        let mut inner = steps.clone();
        inner.sort_unstable_by(f64::total_cmp);
        let cut = inner.len().div_ceil(100).min(inner.len() / 4);
        let inner = inner.get(cut..inner.len() - cut).unwrap_or_default();
        let all: f64 = inner.iter().sum();
        let near: Vec<f64> = steps.iter().copied().filter(|s| (0.5 * step..=1.5 * step).contains(s)).collect();
        let covered: f64 = inner.iter().filter(|s| (0.5 * step..=1.5 * step).contains(*s)).sum();
        let short = steps.iter().filter(|s| **s < 0.5 * step).count();
        if short * 500 <= steps.len() && 2.0 * covered >= all {
            let period = near.iter().sum::<f64>() / near.len().max(1) as f64;
            return Some(Self { period, step, gap: 2.5 * period, coarse: false });
        }
        let rough = (all / inner.len().max(1) as f64).max(f64::MIN_POSITIVE);
        let mut off: Vec<f64> = steps.iter().map(|s| (s - rough).abs()).collect();
        let long = rough.max(step);
        let gap = 2.5 * long + (8.0 * quantile(&mut off, 0.9).unwrap_or(0.0)).min(NOISIEST * long);
        let inside = steps.iter().filter(|s| s.abs() <= gap);
        let (sum, n) = inside.fold((0.0, 0.0), |(sum, n), s| (sum + s, n + 1.0));
        // rows that go back as far as forth tell no more than how far one step forward is
        let period = if sum > n * step * LEAST { sum / n } else { step };
        Some(Self { period, step, gap, coarse: false })
    }

    /// Rows that a phone hands over in bundles, each stamped as it comes: as many rows in each, and as long from each to the
    /// next. That the rows of a bundle seem to be faster than devices are tells it from a device that rests in between.
    fn of_bundles(steps: &[f64], step: f64) -> Option<Self> {
        let begins: Vec<usize> = steps.iter().enumerate().filter(|(_, s)| **s > 8.0 * step).map(|(i, _)| i).collect();
        let (first, last) = (*begins.first()?, *begins.last()?);
        let n = (begins.len() - 1) as f64;
        if begins.len() < BUNDLES || 1e9 / step < FASTEST {
            return None;
        }
        let long = steps.get(first + 1..=last)?.iter().sum::<f64>() / n;
        let rows = (last - first) as f64 / n;
        let near = |value: f64, mean: f64| (0.75 * mean..=1.25 * mean).contains(&value);
        let even = begins.windows(2).filter_map(|w| w.last().zip(w.first())).filter(|(b, a)| {
            let span = steps.get(*a + 1..=**b).map_or(0.0, |inside| inside.iter().sum::<f64>());
            near((*b - *a) as f64, rows) && near(span, long)
        });
        let (period, even) = (long / rows, even.count());
        let slow = 1e9 / period < FASTEST;
        (slow && even * 4 >= 3 * (begins.len() - 1)).then_some(Self { period, step, gap: 2.5 * long, coarse: false })
    }

    /// Stamps that tell the second and not the row: rows between the first and the last change over as many steps.
    fn of_groups(steps: &[f64], step: f64) -> Self {
        let changed = |s: &f64| *s > 0.0;
        let first = steps.iter().position(changed).unwrap_or(0);
        let last = steps.iter().rposition(changed).unwrap_or(0);
        let changes = steps.iter().filter(|s| changed(s)).count() - 1;
        let period =
            if changes > 0 { step * changes as f64 / (last - first) as f64 } else { step / (first + 1) as f64 };
        Self { period, step, gap: 1.5 * step, coarse: true }
    }

    /// The shortest step of even rows, ns; never 0, which is no step.
    pub fn least(&self) -> i64 {
        ((SHORT * self.period) as i64).max(1)
    }

    /// Rows a second of stamps in ns; one within 0.2 % of a usual rate is that rate.
    pub fn rate(&self) -> f64 {
        usual(1e9 / self.period)
    }
}

/// Whether stamps fall from row to row: the newest comes first.
pub fn descends(stamps: &[f64]) -> bool {
    let falls = stamps.windows(2).filter(|w| w.first() > w.last()).count();
    let rises = stamps.windows(2).filter(|w| w.first() < w.last()).count();
    falls > 4 * rises.max(1)
}

/// Whether stamps rise from row to row but for one step in ten. Rows in no order have no period.
pub fn rises(stamps: &[f64]) -> bool {
    let falls = stamps.windows(2).filter(|w| w.first() > w.last()).count();
    falls * 10 < stamps.len()
}

/// The usual rate, or whole number of Hz, within 0.2 % of this one, or itself.
pub fn usual(rate: f64) -> f64 {
    let near = |other: &f64| (rate - other).abs() <= NEAR * rate;
    USUAL.into_iter().find(near).or(Some(rate.round()).filter(near)).unwrap_or(rate)
}

/// The value below which this share of the values lies.
fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let index = (last as f64 * share).round() as usize;
    Some(*values.select_nth_unstable_by(index, f64::total_cmp).1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rate(stamps: impl Iterator<Item = f64>) -> f64 {
        Pace::of(&stamps.map(|s| s * 1e9).collect::<Vec<_>>()).unwrap().rate()
    }

    #[test]
    fn the_rate_is_rows_over_span_however_the_stamps_are_rounded_or_bundled() {
        let i = || (0..2000).map(f64::from);
        assert_eq!(rate(i().map(|i| i / 100.0)), 100.0);
        assert_eq!(rate(i().map(|i| (i / 30.0 * 1e9).round() / 1e9)), 30.0);
        assert_eq!(rate(i().map(|i| (i / 1600.0 * 1e3).floor() / 1e3)), 1600.0);
        assert_eq!(rate(i().map(|i| (i / 101.0 * 100.0).round() / 100.0)), 101.0);
        assert_eq!(rate(i().map(|i| (i / 50.0).floor())), 50.0);
        let bundled = rate(i().map(|i| (i / 5.0).floor() * 0.05 + (i % 5.0) * 0.001));
        assert!((bundled - 100.0).abs() < 1.0, "{bundled}");
        assert_eq!(rate(i().map(|i| i / 12.5)), 12.5);
        let bursts = rate(i().map(|i| (i / 64.0).floor() * 0.64 + (i % 64.0) * 0.001));
        assert!((bursts - 100.0).abs() < 0.1, "{bursts}");
        // a device that measures at 100 Hz for a second of ten is no phone
        assert_eq!(rate(i().map(|i| (i / 100.0).floor() * 10.0 + (i % 100.0) * 0.01)), 100.0);
    }

    #[test]
    fn a_gap_lost_rows_and_a_later_rate_do_not_change_the_rate_of_the_first_rows() {
        let i = || (0..2000).map(f64::from);
        assert_eq!(rate(i().map(|i| i / 100.0 + if i > 300.0 { 3600.0 } else { 0.0 })), 100.0);
        assert_eq!(rate(i().filter(|i| i % 10.0 != 3.0).map(|i| i / 100.0)), 100.0);
        assert_eq!(rate(i().map(|i| if i < 200.0 { i / 25.0 } else { 8.0 + (i - 200.0) / 100.0 })), 25.0);
    }

    #[test]
    fn rows_that_go_back_further_than_forth_have_the_pace_of_their_steps_forward() {
        assert_eq!(Pace::of(&[0.0, 33e6, 66e6, -3e16]).unwrap().period, 33e6);
        assert_eq!(Pace::of(&[0.0, 4e7, 2e7, 1e7, 1.0]).unwrap().period, 4e7);
    }

    #[test]
    fn months_back_and_forth_among_a_few_rows_are_a_gap() {
        let month = 2.6e15;
        let pace = Pace::of(&[0.0, 33e6, 66e6, 100e6 - month, 133e6, 166e6, 200e6]).unwrap();
        assert!(pace.gap < 1e12, "{pace:?}");
    }

    #[test]
    fn stamps_that_never_rise_have_no_pace() {
        assert_eq!(Pace::of(&[5.0; 100]), None);
        assert_eq!(Pace::of(&[5.0]), None);
    }
}

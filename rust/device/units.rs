//! The unit of times that are numbers, and of acceleration.
//!
//! A time's unit is settled by its name, its size and the steps from row to row together: a unit fits where it makes the
//! rate that of an accelerometer and the date one from 1980 to 2100, or the time since a start at most 400 days.

use super::number::nanoseconds;
use super::rows::pace::{self, Pace};

/// Standard gravity, m/s2.
const GRAVITY: f32 = 9.806_65;
/// Rates that most recordings have, and rates that some have, Hz.
const USUAL: (f64, f64) = (5.0, 500.0);
const POSSIBLE: (f64, f64) = (1.0 / EPOCH, 10_000.0);
/// 1980 and 2100, s since 1970.
const DATES: (f64, f64) = (315_532_800.0, 4_102_444_800.0);
/// A time since a start, s: 400 days.
const LONGEST: f64 = 400.0 * DAY;
const DAY: f64 = 86_400.0;
/// Stamps that stay the same for longer give no row a time, s.
const COARSEST: f64 = 2.0;
/// Rows so far apart are summaries of epochs, s: the shortest in use have 5 s.
pub(super) const EPOCH: f64 = 4.9;
/// Longest epoch of whole seconds, and of whole minutes, s.
const LONGEST_EPOCH: (f64, f64) = (300.0, 3600.0);

/// Units of acceleration that files use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unit {
    /// Standard gravity.
    G,
    /// Metres a second squared.
    MetresPerSecond2,
    /// Hundredths of it.
    CentimetresPerSecond2,
    /// Thousandths of g.
    Milli,
    /// So many counts are 1 g.
    Counts(f32),
}

impl Unit {
    /// The units that a norm can show.
    const ALL: [Unit; 3] = [Unit::G, Unit::MetresPerSecond2, Unit::Milli];

    /// g a unit.
    pub fn scale(self) -> f32 {
        match self {
            Unit::G => 1.0,
            Unit::MetresPerSecond2 => 1.0 / GRAVITY,
            Unit::CentimetresPerSecond2 => 0.01 / GRAVITY,
            Unit::Milli => 1e-3,
            Unit::Counts(one_g) => 1.0 / one_g,
        }
    }

    /// Its name in messages.
    pub fn name(self) -> String {
        match self {
            Unit::G => "g".into(),
            Unit::MetresPerSecond2 => "m/s2".into(),
            Unit::CentimetresPerSecond2 => "cm/s2".into(),
            Unit::Milli => "mg".into(),
            Unit::Counts(one_g) => format!("counts of 1/{one_g} g"),
        }
    }

    /// Whether gravity may have this norm in this unit, within a factor of two.
    pub fn fits(self, norm: f32) -> bool {
        (norm * self.scale()).ln().abs() < 2f32.ln()
    }

    /// The unit in which a norm is that of gravity.
    pub fn of_norm(norm: f32) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.fits(norm))
    }
}

/// A unit of time and where it counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeUnit {
    /// Its name in messages.
    pub name: &'static str,
    /// Decimals of a value that are kept.
    exponent: u32,
    /// 1970, in units of the last decimal.
    origin: i64,
    /// ns of the last decimal, as a fraction.
    factor: (i64, i64),
}

impl TimeUnit {
    /// Seconds, and those they are divided into.
    pub const S: Self = Self::since_1970("s", 9);
    const MS: Self = Self::since_1970("ms", 6);
    const US: Self = Self::since_1970("us", 3);
    const NS: Self = Self::since_1970("ns", 0);
    const TICKS: Self = Self { name: ".NET ticks", exponent: 0, origin: 621_355_968_000_000_000, factor: (100, 1) };
    const FILETIME: Self =
        Self { name: "Windows file time", exponent: 0, origin: 116_444_736_000_000_000, factor: (100, 1) };
    const EXCEL: Self = Self::days("Excel days", 25_569);
    const MATLAB: Self = Self::days("MATLAB days", 719_529);
    const SECONDS: [Self; 4] = [Self::S, Self::MS, Self::US, Self::NS];
    const ALL: [Self; 8] =
        [Self::S, Self::MS, Self::US, Self::NS, Self::TICKS, Self::FILETIME, Self::EXCEL, Self::MATLAB];

    const fn since_1970(name: &'static str, exponent: u32) -> Self {
        Self { name, exponent, origin: 0, factor: (1, 1) }
    }

    const fn days(name: &'static str, origin: i64) -> Self {
        Self { name, exponent: 12, origin: origin * 1_000_000_000_000, factor: (864, 10) }
    }

    /// The unit with this many decimals to the ns.
    pub(super) fn of_exponent(exponent: u32) -> Option<Self> {
        Self::SECONDS.into_iter().find(|unit| unit.exponent == exponent)
    }

    /// Whether only size and steps can tell it.
    pub fn is_rare(self) -> bool {
        self.origin != 0
    }

    /// Whether a number is a date from 1980 to 2100.
    pub(super) fn is_date(&self, value: f64) -> bool {
        let last = 10f64.powi(self.exponent as i32);
        let seconds = (value - self.origin as f64 / last) * self.seconds();
        (DATES.0..=DATES.1).contains(&seconds)
    }

    /// s a unit.
    fn seconds(self) -> f64 {
        10f64.powi(self.exponent as i32) * self.factor.0 as f64 / self.factor.1 as f64 / 1e9
    }

    fn since(self, last_decimals: i64) -> Option<i64> {
        if self.factor == (1, 1) {
            return Some(last_decimals);
        }
        let since = i128::from(last_decimals) - i128::from(self.origin);
        i64::try_from(since * i128::from(self.factor.0) / i128::from(self.factor.1)).ok()
    }

    /// ns since 1970 (or the start) of a number.
    #[inline]
    pub fn ns(self, text: &[u8]) -> Option<i64> {
        self.since(nanoseconds(text, self.exponent)?)
    }

    /// The same of a whole number.
    pub fn ns_of_whole(self, value: i64) -> Option<i64> {
        self.since(value.checked_mul(10i64.checked_pow(self.exponent)?)?)
    }

    /// The same of a number with a fraction.
    pub fn ns_of_real(self, value: f64) -> Option<i64> {
        let whole = value.floor();
        let scale = 10f64.powi(self.exponent as i32);
        let inside = value.is_finite() && (whole * scale).abs() < 9.2e18;
        inside.then_some(())?;
        self.since((whole as i64).checked_mul(scale as i64)?.checked_add(((value - whole) * scale).round() as i64)?)
    }

    /// Settles the unit of some rows' times; the error is the reason why no unit fits.
    ///
    /// `named` is the unit in the column's name.
    ///
    /// # Errors
    /// A message with the expected times and the numbers.
    pub fn settle(values: &[f64], named: Option<Self>) -> Result<Self, String> {
        let first = values.first().copied().unwrap_or_default();
        let mut since: Vec<f64> = values.iter().map(|v| v - first).collect();
        if pace::descends(&since) {
            since.iter_mut().for_each(|v| *v = -*v);
        }
        let Some(pace) = Pace::of(&since) else {
            let still = since.iter().take_while(|v| **v == 0.0).count();
            let rows = if still == since.len() { "all of" } else { "the first" };
            return Err(format!("expected times that differ from row to row, got {first} in {rows} {still} rows"));
        };
        let rate = |unit: &Self| 1.0 / (pace.period * unit.seconds());
        let inside = |(low, high): (f64, f64), value: f64| (low..=high).contains(&value);
        if pace.coarse && Self::ALL.iter().all(|u| !u.is_date(first) || pace.step * u.seconds() > COARSEST) {
            return Err(format!(
                "expected times that tell rows apart, got numbers that stay the same for {} rows and then rise by {}",
                (pace.step / pace.period).round(),
                pace.step
            ));
        }
        if let Some(unit) = named {
            return if inside(POSSIBLE, rate(&unit)) {
                Ok(unit)
            } else {
                let other = Self::ALL.iter().find(|u| u.is_date(first) && inside(USUAL, rate(u)));
                let other = other.map_or(String::new(), |u| format!(" (as {} it would be {:.6} Hz)", u.name, rate(u)));
                Err(format!(
                    "expected {} in time, as its name says, got {:.6} rows a second{other}",
                    unit.name,
                    rate(&unit)
                ))
            };
        }
        let is_counter = values.iter().all(|v| v.fract() == 0.0)
            && since.windows(2).filter(|w| w.last().zip(w.first()).is_some_and(|(b, a)| b - a == 1.0)).count() * 20
                >= since.len() * 19 - 20;
        let dated: Vec<Self> = Self::ALL.into_iter().filter(|u| u.is_date(first)).collect();
        let relative: Vec<Self> =
            Self::SECONDS.into_iter().filter(|u| !is_counter && (first * u.seconds()).abs() < LONGEST).collect();
        let epoch = dated.iter().find(|u| {
            matches!(u.name, "s" | "ms") && {
                let seconds = pace.period * u.seconds();
                let whole = seconds <= LONGEST_EPOCH.0 && seconds.fract() == 0.0;
                seconds > EPOCH && (whole || seconds <= LONGEST_EPOCH.1 && seconds % 60.0 == 0.0)
            }
        });
        if let Some(unit) = epoch.filter(|_| pace::rises(&since)) {
            return Err(epochs(pace.period * unit.seconds()));
        }
        let slow = dated.iter().find(|u| (POSSIBLE.0..USUAL.0).contains(&rate(u)));
        let fast = relative.iter().find(|u| inside(USUAL, rate(u)));
        if let (Some(slow), Some(fast)) = (slow, fast) {
            return Err(format!(
                "expected times of one meaning, got {first}, rising by {}: {} since 1970 at {:.6} Hz, or {} since a start \
                 at {:.6} Hz; name the unit in the column's title, as in time ({}), or give dates",
                pace.period,
                slow.name,
                rate(slow),
                fast.name,
                rate(fast),
                slow.name
            ));
        }
        let soon: Vec<Self> = relative.iter().copied().filter(|u| (first * u.seconds()).abs() < DAY).collect();
        for (bounds, units) in [(USUAL, &dated), (USUAL, &relative), (POSSIBLE, &dated), (POSSIBLE, &soon)] {
            let fitting: Vec<&Self> = units.iter().filter(|u| inside(bounds, rate(u))).collect();
            if let [unit] = fitting.as_slice() {
                return Ok(**unit);
            }
        }
        if let Some(unit) = dated.iter().find(|u| pace.period * u.seconds() > EPOCH) {
            return Err(if pace::rises(&since) {
                epochs(pace.period * unit.seconds())
            } else {
                format!("expected rows in order of time, got steps back among {} rows", since.len())
            });
        }
        let seen = if is_counter {
            "row numbers (give their rate)".to_owned()
        } else {
            format!("{first}, rising by {} from row to row", pace.period)
        };
        Err(format!("expected times in s, ms, us, ns, .NET ticks, file time or days, got {seen}"))
    }
}

/// Why rows so many seconds apart are refused.
pub(super) fn epochs(seconds: f64) -> String {
    format!("expected raw acceleration, got a row every {seconds:.1} s: epochs, such as counts or ENMO")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn settled(from: f64, step: f64) -> Result<&'static str, String> {
        let values: Vec<f64> = (0..1000).map(|i| from + step * f64::from(i)).collect();
        TimeUnit::settle(&values, None).map(|unit| unit.name)
    }

    #[test]
    fn size_and_steps_together_tell_the_unit() {
        for (from, step, name) in [
            (1_583_402_400.0, 0.01, "s"),
            (1_583_402_400.0, 1.0, "s"),
            (1_583_402_400_000.0, 10.0, "ms"),
            (1_583_402_400_000.0, 1.0, "ms"),
            (1_583_402_400_000_000.0, 10_000.0, "us"),
            (1_583_402_400_000_000_000.0, 1e7, "ns"),
            (637_190_028_000_000_000.0, 1e5, ".NET ticks"),
            (132_278_760_000_000_000.0, 1e5, "Windows file time"),
            (43_895.416_666_666_7, 0.01 / 86_400.0, "Excel days"),
            (737_855.416_666_666_7, 0.01 / 86_400.0, "MATLAB days"),
            (319_798_710_000.0, 1e7, "ns"),
            (1_583_402_400.0, 1250.0, "us"),
            (1_583_402_400.0, 7200.0, "us"),
            (1_000_000.0, 4.0, "ms"),
            (0.0, 0.01, "s"),
            (0.0, 20.0, "ms"),
            (0.0, 1.0 / 1600.0, "s"),
        ] {
            assert_eq!(settled(from, step), Ok(name), "{from} {step}");
        }
    }

    #[test]
    fn counters_epochs_and_numbers_without_resolution_are_refused_in_words() {
        for (from, step, word) in [
            (0.0, 1.0, "row numbers"),
            (100_000.0, 1.0, "row numbers"),
            (1_583_402_400.0, 5.0, "every 5.0 s"),
            (1_583_402_400.0, 60.0, "every 60.0 s"),
            (1_583_402_400.0, 300.0, "every 300.0 s"),
            (1_583_402_400_000.0, 900_000.0, "every 900.0 s"),
            (1_583_402_400.0, 3600.0, "every 3600.0 s"),
            (1_583_402_400.0, 4.0, "s since 1970 at 0.250000 Hz, or ms since a start at 250.000000 Hz"),
            (1_583_402_400_000.0, 2500.0, "ms since 1970 at 0.400000 Hz, or us since a start at 400.000000 Hz"),
            (1_733_940_000.0, 0.0, "in all of 1000 rows"),
        ] {
            let reason = settled(from, step).unwrap_err();
            assert!(reason.contains(word), "{reason}");
        }
        let coarse: Vec<f64> = (0..1000).map(|i| 1.733_9e9 + 1e4 * f64::from(i / 300)).collect();
        assert!(TimeUnit::settle(&coarse, None).unwrap_err().contains("tell rows apart"));
        let still: Vec<f64> = (0..3000).map(|i| 1.733_9e12 + 10.0 * f64::from((i - 1499).max(0))).collect();
        assert!(TimeUnit::settle(&still, None).unwrap_err().contains("in the first 1500 rows"));
    }

    #[test]
    fn whole_numbers_are_a_counter_only_where_nearly_all_rise_by_one() {
        let steps = (0..1000).map(|i| if i % 10 == 0 { 1.0 } else { 20.0 });
        let values: Vec<f64> = steps.scan(0.0, |time, step| Some(std::mem::replace(time, *time + step))).collect();
        assert_eq!(TimeUnit::settle(&values, None).map(|unit| unit.name), Ok("ms"));
    }

    #[test]
    fn a_named_unit_is_held_against_the_rate() {
        let seconds: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(TimeUnit::settle(&seconds, Some(TimeUnit::S)), Ok(TimeUnit::S));
        let micro: Vec<f64> = (0..100).map(|i| 1.583e15 + 1e4 * f64::from(i)).collect();
        let reason = TimeUnit::settle(&micro, Some(TimeUnit::MS)).unwrap_err();
        assert!(reason.contains("as its name says") && reason.contains("us it would be 100"), "{reason}");
    }

    #[test]
    fn times_of_every_unit_become_ns_since_1970() {
        let march = Some(1_583_402_400_000_000_000);
        assert_eq!(TimeUnit::TICKS.ns(b"637189992000000000"), march);
        assert_eq!(TimeUnit::FILETIME.ns(b"132278760000000000"), march);
        assert_eq!(TimeUnit::EXCEL.ns(b"43895.416666666667"), march.map(|t| t + 28));
        assert_eq!(TimeUnit::S.ns_of_real(1_583_402_400.25), march.map(|t| t + 250_000_000));
        assert_eq!(TimeUnit::MS.ns_of_whole(1_583_402_400_000), march);
        assert_eq!(TimeUnit::S.ns_of_whole(i64::MAX), None);
        assert_eq!(TimeUnit::S.ns_of_real(f64::NAN), None);
    }
}

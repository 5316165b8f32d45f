//! Facts that the names of a table leave open, from some of its rows: unit and order of times, rate, unit of acceleration.

use super::super::calendar::{self, Order};
use super::super::fields::{Row, Time, refuse};
use super::super::heading::Epoch;
use super::super::number::float;
use super::super::rows::pace::{self, Pace};
use super::super::sentinels::Sentinels;
use super::super::units::{self, TimeUnit, Unit};
use super::{Layout, MIDNIGHT, norm, number};
use crate::error::{Error, Result};

/// Share by which the rate that a caller states may differ from that of the times.
const RATE_DISAGREES: f64 = 0.02;

impl Layout {
    /// Decides what the names leave open by the first rows.
    pub(super) fn settle(&mut self, first: &[u8]) -> Result<()> {
        let rows = self.rows(first);
        let bytes: usize = rows.iter().map(|l| l.len() + 1).sum();
        self.bytes_per_row = (bytes / rows.len().max(1)).max(1) as u64;
        let texts = self.times(&rows);
        self.settle_time(&texts, false)?;
        let norms = self.norms(&rows);
        self.settle_units(norms, false);
        self.refuse_counts(&rows)
    }

    /// Fields of date and time in some rows; the first is empty where one field holds both.
    pub(in super::super) fn times<'a>(&self, rows: &[&'a [u8]]) -> Vec<[&'a [u8]; 2]> {
        let (day, time) = match self.time {
            Time::Counted { .. } => return Vec::new(),
            Time::Split { day, time, .. } => (Some(day), time),
            Time::Numeric { column, .. } | Time::Written { column, .. } => (None, column),
        };
        let mut row = Row::new(self.separator);
        let mut texts = Vec::with_capacity(rows.len());
        for text in rows {
            if row.split(text) > day.unwrap_or(0).max(time) {
                texts.push([day.map_or(&b""[..], |day| row.field(text, day)), row.field(text, time)]);
            }
        }
        texts
    }

    /// Settles the unit or the order of the times, and the rate, by some rows. `all`: no more rows can be looked at.
    pub(in super::super) fn settle_time(&mut self, texts: &[[&[u8]; 2]], all: bool) -> Result<()> {
        let stamps: Vec<f64> = match self.time {
            Time::Counted { .. } => return Ok(()),
            Time::Split { day, time, .. } => {
                let order = self.order(texts, |[d, t], order| calendar::date_and_time(d, t, order));
                self.time = Time::Split { day, time, order };
                texts.iter().filter_map(|[d, t]| calendar::date_and_time(d, t, order)).map(|t| t as f64).collect()
            }
            Time::Numeric { column, .. } | Time::Written { column, .. } => {
                let values: Vec<f64> = texts.iter().filter_map(|[_, t]| number(t)).collect();
                if 2 * values.len() > texts.len() {
                    let unit = match TimeUnit::settle(&values, self.hints.time) {
                        Ok(unit) => unit,
                        Err(_) if !all => {
                            self.open.time = true;
                            return Ok(());
                        }
                        Err(reason) => return Err(Error::malformed("csv", 0, format!("time: {reason}"))),
                    };
                    self.time = Time::Numeric { column, unit };
                    let first = values.first().copied().unwrap_or_default();
                    self.say_time_unit(unit, first)
                        .map_err(|reason| Error::malformed("csv", 0, format!("time: {reason}")))?;
                    texts.iter().filter_map(|[_, t]| unit.ns(t)).map(|t| t as f64).collect()
                } else {
                    let order = self.order(texts, |[_, t], order| calendar::date_time(t, order));
                    self.time = Time::Written { column, order };
                    let zoned = |t: &[u8]| {
                        let written = calendar::written(t, order)?;
                        Some((written.time - written.zone.unwrap_or(0)) as f64)
                    };
                    texts.iter().filter_map(|[_, t]| zoned(t)).collect()
                }
            }
        };
        self.settle_rate(&stamps, texts, all)
    }

    /// Says the unit of numbers as time, the first of which is this, and what of it nothing in the file tells.
    ///
    /// # Errors
    /// Why it cannot be known where they count from.
    fn say_time_unit(&mut self, unit: TimeUnit, first: f64) -> std::result::Result<(), String> {
        if unit.is_rare() {
            self.note("time_unit_derived", f64::NAN);
        } else if self.hints.epoch == Epoch::Slow {
            return Err("expected times in s, ms, us or ns, or dates, got a column that names another unit".into());
        } else if unit.is_date(first) {
            match self.hints.epoch {
                Epoch::Unix | Epoch::Slow => {}
                Epoch::Unnamed => self.note("assumed_epoch", f64::NAN),
                Epoch::Gps => {
                    return Err(format!(
                        "expected numbers since 1970, or dates, got {first} in a column named after GPS, whose clock counts \
                         from 1980 and without leap seconds: convert the times, and rename the column"
                    ));
                }
            }
        }
        let source = if self.hints.time.is_some() { "named in the header" } else { "by size and steps" };
        self.say("time_unit", format!("{} ({source})", unit.name));
        Ok(())
    }

    /// The unit of the numbers of a column: by the first, and where those do not tell it, by many, which are read only then.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the reason why none fits; those of reading.
    pub(in super::super) fn unit_of_numbers(
        &mut self,
        first: &[f64],
        many: impl FnOnce() -> Result<Vec<f64>>,
    ) -> Result<TimeUnit> {
        let refused = |reason: String| Error::malformed("columns", 0, format!("time: {reason}"));
        let unit = match TimeUnit::settle(first, self.hints.time) {
            Ok(unit) => unit,
            Err(_) => TimeUnit::settle(&many()?, self.hints.time).map_err(refused)?,
        };
        self.say_time_unit(unit, first.first().copied().unwrap_or_default()).map_err(refused)?;
        Ok(unit)
    }

    fn settle_rate(&mut self, stamps: &[f64], texts: &[[&[u8]; 2]], all: bool) -> Result<()> {
        let Some(&first) = stamps.first() else { return Err(refuse_times(texts)) };
        let since: Vec<f64> = stamps.iter().map(|t| t - first).collect();
        if !all && Pace::of(&since).is_none() && since.iter().all(|t| *t == 0.0) {
            self.open.time = true;
            return Ok(());
        }
        self.open.time = false;
        self.settle_rate_of(&since)
    }

    /// The rate, by the ns of some rows behind the first.
    ///
    /// # Errors
    /// [`Error::Malformed`] where times do not differ, [`Error::Unsupported`] for epochs.
    pub(in super::super) fn settle_rate_of(&mut self, since: &[f64]) -> Result<()> {
        let refused = |reason: &str| Err(Error::malformed(self.format, 0, format!("time: {reason}")));
        self.descending = pace::descends(since);
        let mirrored: Vec<f64> = since.iter().map(|t| if self.descending { -t } else { *t }).collect();
        let Some(pace) = Pace::of(&mirrored) else {
            let still = since.iter().take_while(|t| **t == 0.0).count();
            return refused(&format!("expected times that differ from row to row, got the same in {still} rows"));
        };
        if pace.period >= units::EPOCH * 1e9 && pace::rises(&mirrored) {
            return Err(Error::Unsupported(units::epochs(pace.period / 1e9)));
        }
        if pace.coarse && pace.step > 2.5e9 {
            return refused(&format!("expected times to the second in every row, got steps of {} s", pace.step / 1e9));
        }
        (self.coarse, self.rate) = (pace.coarse, pace.rate());
        if pace.coarse {
            let text = format!("stamps repeat: rows are spread evenly over each, {:.1} a second", self.rate);
            self.say("time_resolution", text);
        }
        Ok(())
    }

    /// Order of written dates: named by the title, by a leading year, by the separator, by a number above 12; else open.
    fn order(&mut self, texts: &[[&[u8]; 2]], time: impl Fn([&[u8]; 2], Order) -> Option<i64>) -> Order {
        let valid = |order| {
            let sound = texts.iter().filter(|t| time(**t, order).is_some()).count();
            sound > 0 && 20 * sound >= 19 * texts.len()
        };
        self.open.order = false;
        if let Some(order) = self.hints.order.filter(|order| valid(*order)) {
            return order;
        }
        let [day, both] = texts.first().copied().unwrap_or_default();
        let first = if day.is_empty() { both } else { day };
        let lead = first.iter().take_while(|b| b.is_ascii_digit()).count();
        if lead >= 4 || lead == 0 {
            return Order::YearMonthDay;
        }
        if first.get(lead) == Some(&b'.') {
            return Order::DayMonthYear;
        }
        match (valid(Order::MonthDayYear), valid(Order::DayMonthYear)) {
            (true, true) => {
                self.open.order = true;
                Order::MonthDayYear
            }
            (false, true) => Order::DayMonthYear,
            _ => Order::MonthDayYear,
        }
    }

    /// Takes the order that later rows, or the caller, decided, and the reason; without one the month comes first.
    pub(in super::super) fn choose_order(&mut self, decided: Option<Order>, reason: &'static str) {
        let order = decided.unwrap_or(Order::MonthDayYear);
        match &mut self.time {
            Time::Written { order: o, .. } | Time::Split { order: o, .. } => *o = order,
            Time::Counted { start, .. } if order == Order::DayMonthYear => {
                *start = self.day_first_start.unwrap_or(*start)
            }
            Time::Numeric { .. } | Time::Counted { .. } => {}
        }
        if decided.is_none() {
            self.note("assumed_date_order", f64::NAN);
        } else if reason == MIDNIGHT {
            self.note("date_order_derived", f64::NAN);
        }
        let name = if order == Order::DayMonthYear { "day first" } else { "month first" };
        let reason = if decided.is_none() { "assumed: both orders are possible" } else { reason };
        self.say("date_order", format!("{name} ({reason})"));
    }

    /// Unit of the acceleration: as the caller states it, else named, else by the median norm.
    pub(in super::super) fn settle_units(&mut self, mut norms: Vec<f32>, all: bool) {
        let middle = norms.len() / 2;
        let norm = (!norms.is_empty()).then(|| *norms.select_nth_unstable_by(middle, f32::total_cmp).1);
        let stated = self.stated_unit.map(|unit| (unit, "as the caller says"));
        let named = stated.or(self.hints.unit.map(|unit| (unit, "named in the header")));
        self.open.unit = norm.is_none() && !all && named.is_none();
        if self.open.unit {
            return;
        }
        let (unit, source) = match (named, norm) {
            (Some((unit, source)), norm) => {
                if let Some(n) = norm.filter(|n| !unit.fits(*n)) {
                    self.note("unit_disagrees", f64::from(n * unit.scale()));
                }
                (unit, source.to_owned())
            }
            (None, Some(n)) => match Unit::of_norm(n) {
                Some(unit) => {
                    if unit != Unit::G {
                        self.note("unit_derived", f64::from(n));
                    }
                    (unit, format!("median norm {n:.3}"))
                }
                None => {
                    self.note("assumed_unit", f64::from(n));
                    (Unit::G, format!("assumed: no unit fits, median norm {n:.3}"))
                }
            },
            (None, None) => {
                self.note("assumed_unit", 0.0);
                (Unit::G, "assumed: no value but zero".to_owned())
            }
        };
        self.scale = unit.scale();
        self.sentinels = Sentinels::of(norm.unwrap_or(0.0), self.scale);
        self.say("acceleration_unit", format!("{} ({source})", unit.name()));
        if let [_, _, _, Some(_), ..] = self.channels {
            let radians = self.hints.radians;
            self.gyro_scale = if radians { 180.0 / std::f32::consts::PI } else { 1.0 };
            self.say("gyroscope_unit", if radians { "rad/s (named in the header)" } else { "degrees/s (assumed)" });
        }
    }

    /// Counts of epochs at a row a second: whole numbers, none below zero.
    fn refuse_counts(&self, rows: &[&[u8]]) -> Result<()> {
        let values: Vec<f32> = self.triples(rows, 0).into_iter().flatten().collect();
        let whole = values.iter().all(|v| *v >= 0.0 && v.fract() == 0.0);
        if whole && self.rate > 0.0 && self.rate < 1.5 && values.iter().any(|v| *v > 2.0) {
            return Err(Error::Unsupported("counts by epoch: raw acceleration is needed".into()));
        }
        Ok(())
    }

    /// Norms of the acceleration in some rows, in the file's unit; zeros are left out.
    pub(in super::super) fn norms(&self, rows: &[&[u8]]) -> Vec<f32> {
        let exchanged = self.exchanged.map_or(0, |(rows, _)| rows as usize);
        let triples = self.triples(rows, 0).into_iter().skip(if exchanged < rows.len() { exchanged } else { 0 });
        let scale = if exchanged >= rows.len() { self.exchanged.map(|(_, g)| g) } else { None };
        let triples: Vec<[f32; 3]> = if scale.is_some() { self.triples(rows, 3) } else { triples.collect() };
        let norms = triples.iter().map(|v| norm(v) * scale.unwrap_or(1.0));
        norms.filter(|n| n.is_finite() && *n > 0.0).collect()
    }

    /// The three channels from `first` on in some rows; NaN where there is no number.
    pub(super) fn triples(&self, rows: &[&[u8]], first: usize) -> Vec<[f32; 3]> {
        let columns: Vec<usize> = self.channels.iter().skip(first).take(3).flatten().copied().collect();
        let [x, y, z] = columns.as_slice() else { return Vec::new() };
        let mut row = Row::new(self.separator);
        let mut triples = Vec::new();
        for text in rows {
            if row.split(text) > *x.max(y).max(z) {
                triples.push([x, y, z].map(|i| float(row.field(text, *i)).unwrap_or(f32::NAN)));
            }
        }
        triples
    }

    /// Holds the rate that the caller states against that of the times, which is kept.
    pub(in super::super) fn hold_against(&mut self, stated: Option<f64>) {
        let timeless = matches!(self.time, Time::Counted { .. });
        if let Some(stated) = stated.filter(|rate| !timeless && (self.rate / rate - 1.0).abs() > RATE_DISAGREES) {
            self.note("stated_rate_disagrees", stated);
        }
    }
}

/// Why some fields are no times.
fn refuse_times(texts: &[[&[u8]; 2]]) -> Error {
    let [day, time] = texts.first().copied().unwrap_or_default();
    let seen = [day, time].join(&b' ');
    let colons = time.iter().filter(|b| **b == b':').count();
    let form = match (colons, time.contains(&b'.')) {
        (1, true) => " (minutes and seconds without date and hour do not do)",
        (1, false) => " (minutes alone do not do)",
        _ => "",
    };
    refuse(&format!("a time in every row, as a number or as date and time to the second{form}"), seen.trim_ascii())
}

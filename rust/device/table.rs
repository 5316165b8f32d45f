//! Which column of a text file is what.
//!
//! Layouts: the exports of OmGui and cwa-convert (no header; time, then x, y, z, then the gyroscope's three or light,
//! temperature and battery), ActiLife's (a heading, perhaps no times), and a header that names time, x, y and z: Capture-24,
//! NHANES and everyone's own. What the file leaves open (unit of acceleration, unit of time, order of a date) is decided by
//! the values: by the first rows, and where those do not tell, by those behind them ([`super::survey`]).

use super::calendar::{self, Order};
use super::fields::{Row, Time, fields, lines, refuse};
use super::heading::{self, ActiLife, Columns, Hints};
use super::number::float;
use super::rows::pace::{self, Pace};
use super::units::{self, TimeUnit, Unit};
use super::{Event, Header};
use crate::error::{Error, Result};

/// Rows that the decisions look at first.
pub(super) const SAMPLE: usize = 2000;
/// Comment lines before the table.
const MAX_COMMENTS: usize = 100;
/// Why an order of dates was decided that one midnight tells.
pub(super) const MIDNIGHT: &str = "by the step at midnight";
/// Rows of a recording in which old firmware of an AX6 exchanged the sensors: to V53, and in V54 and V55.
const EXCHANGED_ROWS: [usize; 2] = [128, 1024];

/// What the first rows of a file do not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Open {
    /// Times do not rise.
    pub(super) time: bool,
    /// Day and month of the date may be either.
    pub(super) order: bool,
    /// No acceleration but zeros.
    pub(super) unit: bool,
}

/// The layout of a file.
#[derive(Debug, Clone)]
pub struct Layout {
    /// `csv` or `nhanes`.
    pub format: &'static str,
    /// Between fields.
    pub separator: u8,
    /// Lines before the first row.
    pub skip: usize,
    /// Fields that a row must have.
    pub columns: usize,
    /// The time.
    pub time: Time,
    /// Fields of x, y, z, the gyroscope's three, temperature, light.
    pub channels: [Option<usize>; 8],
    /// Field of the annotation.
    pub annotation: Option<usize>,
    /// g a unit.
    pub scale: f32,
    /// Degrees a second a unit.
    pub gyro_scale: f32,
    /// Rows a second, as the first rows show or the header states.
    pub rate: f64,
    /// More than half of the stamps repeat the one before: they tell the second, not the row.
    pub coarse: bool,
    /// The newest row comes first.
    pub descending: bool,
    /// First rows whose acceleration stands in the gyroscope's columns, and g a unit there.
    pub exchanged: Option<(u64, f32)>,
    /// Mean length of the first rows.
    pub bytes_per_row: u64,
    /// What was derived or assumed, or does not fit.
    pub events: Vec<Event>,
    /// What the first rows leave open.
    pub(super) open: Open,
    /// Unit of the acceleration, where the caller states it.
    stated_unit: Option<Unit>,
    /// Start of rows without times if its date is read with the day first, where that is another one.
    day_first_start: Option<i64>,
    hints: Hints,
    device: String,
    device_id: String,
    metadata: Vec<(String, String)>,
}

fn is_time(text: &[u8]) -> bool {
    float(text).is_some()
        || [Order::YearMonthDay, Order::MonthDayYear, Order::DayMonthYear]
            .iter()
            .any(|order| calendar::date_time(text, *order).is_some())
}

fn number(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.replace(',', ".").parse().ok()
}

/// Why text is none that can be read.
fn refuse_encoding(first: &[u8]) -> Result<()> {
    if first.starts_with(b"\xff\xfe") || first.starts_with(b"\xfe\xff") {
        return Err(Error::Unsupported("text in UTF-16: expected UTF-8, as 'CSV UTF-8' saves it".into()));
    }
    if first.get(..512).unwrap_or(first).contains(&0) {
        return Err(refuse("text", first.get(..16).unwrap_or(first)));
    }
    if !first.contains(&b'\n') && first.iter().filter(|b| **b == b'\r').count() > 1 {
        return Err(Error::Unsupported("lines that end with a carriage return alone: expected line feeds".into()));
    }
    Ok(())
}

/// Columns by name, or that these are the names of something else.
fn named_columns(parts: &[&[u8]], head: &[u8]) -> Result<Columns> {
    const SUMMARIES: [&str; 6] = ["enmo", "counts", "axis1", "vector magnitude", "vm", "mad"];
    heading::columns(parts, head).map_err(|error| {
        let names = parts.iter().map(|part| String::from_utf8_lossy(part).to_lowercase());
        let summary = names.into_iter().find(|name| SUMMARIES.iter().any(|word| name.starts_with(word)));
        summary.map_or(error, |name| {
            Error::Unsupported(format!("a summary of epochs (column '{name}'): raw acceleration is needed"))
        })
    })
}

impl Layout {
    /// Finds the layout in the first bytes of a file, whose acceleration the caller may state to be in `unit`.
    ///
    /// # Errors
    /// [`Error::Malformed`] with what is missing, [`Error::Unsupported`] for what is no raw acceleration.
    pub fn find(first: &[u8], unit: Option<Unit>) -> Result<Self> {
        refuse_encoding(first)?;
        let first = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
        let title = lines(first).next().unwrap_or_default();
        if title.windows(12).any(|w| w.eq_ignore_ascii_case(b"By ActiGraph")) {
            return Self::acti_life(first, heading::acti_life(first)?, unit);
        }
        let comment = |l: &&[u8]| {
            let line = l.trim_ascii();
            line.is_empty() || [&b"#"[..], b"%", b"sep=", b"\"sep="].iter().any(|mark| line.starts_with(mark))
        };
        let skip = lines(first).take_while(comment).take(MAX_COMMENTS).count();
        let head = lines(first).nth(skip).unwrap_or_default();
        let separator = [b';', b'\t', b','].into_iter().find(|s| fields(head, *s).len() >= 4);
        let Some(separator) = separator else {
            return Err(refuse("a header or a row with time, x, y and z between ',', ';' or tabs", head));
        };
        let parts = fields(head, separator);
        let mut layout = Self::blank(separator, skip);
        let numbers = parts.iter().skip(1).take_while(|p| float(p).is_some()).count();
        if parts.first().is_some_and(|t| is_time(t)) && numbers >= 3 {
            let rows = layout.rows(first);
            layout.unnamed(&rows, &parts, numbers);
        } else {
            let columns = named_columns(&parts, head)?;
            layout.skip += 1;
            layout.named(&columns);
            if head.trim_ascii().to_ascii_uppercase().starts_with(b"HEADER_TIMESTAMP") {
                layout.device = "ActiGraph GT3X+".into();
                layout.hints.unit = Some(Unit::G);
            }
            layout.refuse_more_fields(first, parts.len())?;
        }
        layout.stated_unit = unit;
        layout.settle(first)?;
        Ok(layout)
    }

    fn named(&mut self, columns: &Columns) {
        self.time = columns.time;
        self.channels = columns.channels;
        self.annotation = columns.annotation;
        self.columns = columns.count;
        self.hints = columns.hints;
    }

    fn acti_life(first: &[u8], heading: ActiLife, unit: Option<Unit>) -> Result<Self> {
        let mut layout = Self::blank(heading.separator, heading.skip);
        layout.device = heading.device;
        layout.device_id = heading.device_id;
        layout.metadata = heading.metadata;
        let names = heading.columns.as_ref().map_or(3, |columns| columns.count);
        if let Some(columns) = heading.columns {
            layout.named(&columns);
        }
        layout.hints.order = heading.order;
        if let Some((start, period)) = heading.counted {
            layout.time = Time::Counted { start, period };
            layout.channels = [Some(0), Some(1), Some(2), None, None, None, None, None];
            layout.columns = 3;
            layout.rate = 1e9 / period;
            layout.day_first_start = heading.day_first_start;
            layout.open.order = heading.day_first_start.is_some();
            layout.refuse_more_fields(first, names)?;
        }
        layout.hints.unit = Some(Unit::G);
        layout.stated_unit = unit;
        layout.settle(first)?;
        Ok(layout)
    }

    /// Rows that mostly have more fields than there are names: which of them is meant cannot be known.
    fn refuse_more_fields(&self, first: &[u8], names: usize) -> Result<()> {
        let rows = self.rows(first);
        let more = |row: &&&[u8]| {
            let parts = fields(row, self.separator);
            parts.len() > names + usize::from(parts.last().is_some_and(|last| last.is_empty()))
        };
        match rows.iter().find(more) {
            Some(row) if 2 * rows.iter().filter(more).count() > rows.len() => {
                let n = fields(row, self.separator).len();
                Err(refuse(&format!("{names} fields in a row, as there are names, not {n} (decimal commas?)"), row))
            }
            _ => Ok(()),
        }
    }

    /// The layout of columns that are in memory: what their names and values say of times and units.
    pub(super) fn of_columns(format: &'static str, hints: Hints, unit: Option<Unit>) -> Self {
        Self { format, hints, stated_unit: unit, ..Self::blank(b',', 0) }
    }

    fn blank(separator: u8, skip: usize) -> Self {
        Self {
            format: "csv",
            separator,
            skip,
            columns: 0,
            time: Time::Numeric { column: 0, unit: TimeUnit::S },
            channels: [None; 8],
            annotation: None,
            scale: 1.0,
            gyro_scale: 1.0,
            rate: 0.0,
            coarse: false,
            descending: false,
            exchanged: None,
            bytes_per_row: 40,
            events: Vec::new(),
            open: Open::default(),
            stated_unit: None,
            day_first_start: None,
            hints: Hints::default(),
            device: String::new(),
            device_id: String::new(),
            metadata: Vec::new(),
        }
    }

    /// The header as far as the layout tells it.
    pub fn header(&self) -> Header {
        Header {
            format: self.format,
            device: self.device.clone(),
            device_id: self.device_id.clone(),
            nominal_rate: self.rate,
            metadata: self.metadata.clone(),
            ..Header::default()
        }
    }

    pub(super) fn say(&mut self, name: &str, value: impl Into<String>) {
        self.metadata.push((name.to_owned(), value.into()));
    }

    pub(super) fn note(&mut self, kind: &'static str, value: f64) {
        self.events.push(Event { value, ..Event::at(kind, 0, 0) });
    }

    /// The first rows; the last line of a peek may be cut, so that it does not count.
    fn rows<'a>(&self, first: &'a [u8]) -> Vec<&'a [u8]> {
        let mut rows: Vec<&[u8]> = lines(first).skip(self.skip).filter(|l| !l.is_empty()).take(SAMPLE).collect();
        if rows.len() > 1 {
            rows.pop();
        }
        rows
    }

    /// Decides what the names leave open by the first rows.
    fn settle(&mut self, first: &[u8]) -> Result<()> {
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
    pub(super) fn times<'a>(&self, rows: &[&'a [u8]]) -> Vec<[&'a [u8]; 2]> {
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
    pub(super) fn settle_time(&mut self, texts: &[[&[u8]; 2]], all: bool) -> Result<()> {
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
                    self.say_time_unit(unit);
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

    fn say_time_unit(&mut self, unit: TimeUnit) {
        if unit.is_rare() {
            self.note("time_unit_derived", f64::NAN);
        }
        let source = if self.hints.time.is_some() { "named in the header" } else { "by size and steps" };
        self.say("time_unit", format!("{} ({source})", unit.name));
    }

    /// The unit of numbers in memory: by the first, and where those do not tell it, by all.
    ///
    /// # Errors
    /// Why none fits.
    pub(super) fn unit_of_numbers(
        &mut self,
        first: Vec<f64>,
        all: impl FnOnce() -> Vec<f64>,
    ) -> std::result::Result<TimeUnit, String> {
        let unit = TimeUnit::settle(&first, self.hints.time).or_else(|_| TimeUnit::settle(&all(), self.hints.time))?;
        self.say_time_unit(unit);
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
    pub(super) fn settle_rate_of(&mut self, since: &[f64]) -> Result<()> {
        let refused = |reason: &str| Err(Error::malformed(self.format, 0, format!("time: {reason}")));
        self.descending = pace::descends(since);
        let mirrored: Vec<f64> = since.iter().map(|t| if self.descending { -t } else { *t }).collect();
        let Some(pace) = Pace::of(&mirrored) else {
            return refused(&format!(
                "expected times that differ from row to row, got the same in {} rows",
                since.len()
            ));
        };
        if pace.period > units::EPOCH * 1e9 {
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

    /// Takes the order that later rows, or the caller, decided, and `why`; without one the month comes first.
    pub(super) fn choose_order(&mut self, decided: Option<Order>, why: &'static str) {
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
        } else if why == MIDNIGHT {
            self.note("date_order_derived", f64::NAN);
        }
        let name = if order == Order::DayMonthYear { "day first" } else { "month first" };
        let why = if decided.is_none() { "assumed: both orders are possible" } else { why };
        self.say("date_order", format!("{name} ({why})"));
    }

    /// Unit of the acceleration: as the caller states it, else named, else by the median norm.
    pub(super) fn settle_units(&mut self, mut norms: Vec<f32>, all: bool) {
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
    pub(super) fn norms(&self, rows: &[&[u8]]) -> Vec<f32> {
        let exchanged = self.exchanged.map_or(0, |(rows, _)| rows as usize);
        let triples = self.triples(rows, 0).into_iter().skip(if exchanged < rows.len() { exchanged } else { 0 });
        let scale = if exchanged >= rows.len() { self.exchanged.map(|(_, g)| g) } else { None };
        let triples: Vec<[f32; 3]> = if scale.is_some() { self.triples(rows, 3) } else { triples.collect() };
        let norms = triples.iter().map(|v| norm(v) * scale.unwrap_or(1.0));
        norms.filter(|n| n.is_finite() && *n > 0.0).collect()
    }

    /// The three channels from `first` on in some rows; NaN where there is no number.
    fn triples(&self, rows: &[&[u8]], first: usize) -> Vec<[f32; 3]> {
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
}

fn norm(v: &[f32; 3]) -> f32 {
    v.iter().map(|v| v * v).sum::<f32>().sqrt()
}

/// Rows without names.
impl Layout {
    /// Time, then x, y, z, then the gyroscope's three or light, temperature and battery; a word behind them annotates.
    fn unnamed(&mut self, rows: &[&[u8]], parts: &[&[u8]], numbers: usize) {
        let column = |column: usize| -> Vec<f64> {
            rows.iter().filter_map(|row| number(fields(row, self.separator).get(column)?)).collect()
        };
        let time = usize::from(numbers >= 4 && is_dated(&column(1)) && !is_dated(&column(0)));
        let numbers = numbers - time;
        // what hardly changes and is never below zero is no angular rate
        let slow = |values: Vec<f64>| {
            let steps = values.windows(2).filter(|w| w.first() != w.last()).count();
            values.iter().all(|v| *v >= 0.0) && 5 * steps < values.len()
        };
        let gyroscope = numbers >= 6 && !(4..7).all(|i| slow(column(time + i)));
        for (i, channel) in self.channels.iter_mut().enumerate().take(if gyroscope { 6 } else { 3 }) {
            *channel = Some(time + 1 + i);
        }
        self.columns = time + 1 + if gyroscope { 6 } else { 3 };
        let mut layout = "no header: time, acceleration".to_owned();
        layout += if gyroscope { ", gyroscope" } else { "" };
        layout += if numbers > 3 && !gyroscope || numbers > 6 { ", others left out" } else { "" };
        self.say("layout", layout);
        let behind = time + 1 + numbers;
        self.annotation = parts.get(behind).filter(|p| !p.is_empty() && numbers == 3).map(|_| behind);
        self.time = Time::Numeric { column: time, unit: TimeUnit::S };
        if time > 0 {
            self.note("columns_derived", f64::NAN);
        }
        if gyroscope {
            self.find_exchanged(rows);
        }
    }

    /// Old firmware of an AX6 exchanges its sensors in the first rows of a recording, and an export gives them each other's
    /// scale: there gravity stands among the angular rates, at one of the ratios that ranges and scales can have.
    fn find_exchanged(&mut self, rows: &[&[u8]]) {
        let median = |first: usize, from: usize, to: usize| -> Option<f32> {
            let triples = self.triples(rows.get(from..to.min(rows.len()))?, first);
            let mut norms: Vec<f32> = triples.iter().map(norm).filter(|n| n.is_finite()).collect();
            let middle = norms.len() / 2;
            (!norms.is_empty()).then(|| *norms.select_nth_unstable_by(middle, f32::total_cmp).1)
        };
        let ratio = |from: usize, to: usize| {
            let (acceleration, rate) = (median(0, from, to)?, median(3, from, to)?);
            let scale = (0..7).map(|k| 0.128 / f32::from(1u16 << k)).find(|scale| (rate * scale - 1.0).abs() < 0.15)?;
            (!(0.7..1.4).contains(&acceleration)).then_some(scale)
        };
        let [short, long] = EXCHANGED_ROWS;
        let Some(scale) = ratio(0, short.min(rows.len())) else { return };
        let goes_on = rows.len() > short && ratio(short, long) == Some(scale);
        let n = if goes_on { long } else { short };
        self.exchanged = Some((n as u64, scale));
        self.events.push(Event { count: n as u64, value: f64::from(scale), ..Event::at("exchanged_sensors", 0, 0) });
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

/// Whether numbers are times of our days that rise.
fn is_dated(values: &[f64]) -> bool {
    let rising = values.windows(2).filter(|w| w.first() < w.last()).count();
    2 * rising > values.len() / 50 && TimeUnit::settle(values, None).is_ok() && values.iter().all(|v| *v > 3e8)
}

//! Which column of a text file is what: found in its first rows, once.
//!
//! Layouts: OmGui's export (no header; time, then x, y, z or gyroscope and x, y, z), ActiLife's (ten header lines, no
//! times), and a header that names time, x, y and z: Capture-24, NHANES and everyone's own. What the file leaves open (unit
//! of acceleration, unit of time, order of a date) is decided by the values, and the header's metadata say so.

use super::calendar::{self, Order};
use super::fields::{Row, Time, fields, lines, refuse};
use super::heading::{self, ActiLife, Columns, Hints, Unit};
use super::number::{float, nanoseconds};
use super::{Event, Header};
use crate::error::Result;

/// Rows that the decisions look at.
const SAMPLE: usize = 2000;
/// Comment lines before the table.
const MAX_COMMENTS: usize = 100;
/// OmGui may write AX6 gyroscope counts over 2048 and acceleration counts * 250 / 32768: the two scales exchanged.
const EXCHANGED: f32 = 15.625;

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
    /// Stamps repeat: they tell the second, not the row.
    pub coarse: bool,
    /// Mean length of the first rows.
    pub bytes_per_row: u64,
    /// Something about the values that a reader of the file should know.
    pub doubt: Option<Event>,
    device: String,
    device_id: String,
    metadata: Vec<(String, String)>,
}

fn is_time(text: &[u8]) -> bool {
    nanoseconds(text, 0).is_some()
        || [Order::YearMonthDay, Order::MonthDayYear, Order::DayMonthYear]
            .iter()
            .any(|order| calendar::date_time(text, *order).is_some())
}

impl Layout {
    /// Finds the layout in the first bytes of a file.
    ///
    /// # Errors
    /// [`Error::Malformed`] with what is missing.
    pub fn find(first: &[u8]) -> Result<Self> {
        let first = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
        if first.get(..512).unwrap_or(first).contains(&0) {
            return Err(refuse("text", first.get(..16).unwrap_or(first)));
        }
        if lines(first).next().is_some_and(|l| l.windows(12).any(|w| w == b"By ActiGraph")) {
            return Self::acti_life(first, heading::acti_life(first)?);
        }
        let comment = |l: &&[u8]| {
            l.trim_ascii().is_empty() || l.starts_with(b"#") || l.starts_with(b"%") || l.starts_with(b"sep=")
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
        let mut hints = Hints::default();
        if parts.first().is_some_and(|t| is_time(t)) && numbers >= 3 {
            layout.omgui(&parts, numbers);
        } else {
            let columns = heading::columns(&parts, head)?;
            layout.skip += 1;
            hints = layout.named(&columns);
            if head.trim_ascii().to_ascii_uppercase().starts_with(b"HEADER_TIMESTAMP") {
                layout.device = "ActiGraph GT3X+".into();
                hints.unit = Some(Unit::G);
            }
        }
        layout.settle(first, &hints)?;
        Ok(layout)
    }

    fn named(&mut self, columns: &Columns) -> Hints {
        self.time = columns.time;
        self.channels = columns.channels;
        self.annotation = columns.annotation;
        self.columns = columns.count;
        columns.hints
    }

    fn acti_life(first: &[u8], heading: ActiLife) -> Result<Self> {
        let mut layout = Self::blank(heading.separator, heading.skip);
        layout.device = heading.device;
        layout.device_id = heading.device_id;
        layout.metadata = heading.metadata;
        let mut hints = heading.columns.map_or_else(Hints::default, |columns| layout.named(&columns));
        if let Some((start, period)) = heading.counted {
            layout.time = Time::Counted { start, period };
            layout.channels = [Some(0), Some(1), Some(2), None, None, None, None, None];
            layout.columns = 3;
            layout.rate = 1e9 / period;
        }
        hints.unit = Some(Unit::G);
        layout.settle(first, &hints)?;
        Ok(layout)
    }

    fn blank(separator: u8, skip: usize) -> Self {
        Self {
            format: "csv",
            separator,
            skip,
            columns: 0,
            time: Time::Numeric { column: 0, exponent: 9 },
            channels: [None; 8],
            annotation: None,
            scale: 1.0,
            gyro_scale: 1.0,
            rate: 0.0,
            coarse: false,
            bytes_per_row: 40,
            doubt: None,
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

    fn say(&mut self, name: &str, value: impl Into<String>) {
        self.metadata.push((name.to_owned(), value.into()));
    }

    /// No header: time, then x, y, z, or the gyroscope's three and then x, y, z; a word behind them is an annotation.
    fn omgui(&mut self, parts: &[&[u8]], numbers: usize) {
        let gyro = numbers >= 6;
        for (i, channel) in self.channels.iter_mut().enumerate().take(if gyro { 6 } else { 3 }) {
            *channel = Some(if gyro { 1 + (i + 3) % 6 } else { 1 + i });
        }
        self.columns = 1 + if gyro { 6 } else { 3 };
        self.say(
            "layout",
            if gyro { "no header: time, gyroscope, acceleration" } else { "no header: time, acceleration" },
        );
        let behind = 1 + numbers;
        self.annotation = parts.get(behind).filter(|p| !p.is_empty() && numbers == 3).map(|_| behind);
        if parts.first().is_some_and(|t| nanoseconds(t, 0).is_none()) {
            self.time = Time::Written { column: 0, order: Order::YearMonthDay };
        }
    }

    /// Decides what the names leave open by the first rows.
    fn settle(&mut self, first: &[u8], hints: &Hints) -> Result<()> {
        let rows: Vec<&[u8]> = lines(first).skip(self.skip).filter(|l| !l.is_empty()).take(SAMPLE).collect();
        // the last line of a peek may be cut
        let whole = if rows.len() > 1 { rows.get(..rows.len() - 1).unwrap_or(&rows) } else { &rows };
        let bytes: usize = whole.iter().map(|l| l.len() + 1).sum();
        self.bytes_per_row = (bytes / whole.len().max(1)).max(1) as u64;
        self.settle_time(whole, hints)?;
        self.settle_units(whole, hints);
        Ok(())
    }

    fn column<'a>(&self, rows: &[&'a [u8]], column: usize) -> Vec<&'a [u8]> {
        let mut row = Row::new(self.separator);
        let mut found = Vec::with_capacity(rows.len());
        for text in rows {
            if row.split(text) > column {
                found.push(row.field(text, column));
            }
        }
        found
    }

    fn settle_time(&mut self, rows: &[&[u8]], hints: &Hints) -> Result<()> {
        let times: Vec<i64> = match self.time {
            Time::Counted { .. } => return Ok(()),
            Time::Split { day, time, .. } => {
                let order = self.order(&self.column(rows, day));
                self.time = Time::Split { day, time, order };
                let days = self.column(rows, day);
                days.iter()
                    .zip(self.column(rows, time))
                    .filter_map(|(d, t)| calendar::date_and_time(d, t, order))
                    .collect()
            }
            Time::Numeric { column, .. } | Time::Written { column, .. } => {
                let texts = self.column(rows, column);
                let numeric = texts.iter().find_map(|t| nanoseconds(t, 0)).is_some()
                    && texts.first().is_none_or(|t| nanoseconds(t, 0).is_some() || !is_time(t));
                if numeric {
                    let exponent = self.exponent(&texts, hints);
                    self.time = Time::Numeric { column, exponent };
                    texts.iter().filter_map(|t| nanoseconds(t, exponent)).collect()
                } else {
                    let order = self.order(&texts);
                    self.time = Time::Written { column, order };
                    texts.iter().filter_map(|t| calendar::date_time(t, order)).collect()
                }
            }
        };
        if times.is_empty() {
            let got = rows.first().copied().unwrap_or_default();
            return Err(refuse("a time in every row, as a number or as date and time", got));
        }
        self.settle_rate(&times);
        Ok(())
    }

    fn settle_rate(&mut self, times: &[i64]) {
        let mut steps: Vec<i64> = times.windows(2).filter_map(|w| w.last()?.checked_sub(*w.first()?)).collect();
        let zeros = steps.iter().filter(|s| **s == 0).count();
        self.coarse = zeros * 2 > steps.len();
        steps.retain(|s| *s > 0);
        steps.sort_unstable();
        let Some(median) = steps.get(steps.len() / 2).copied().map(|s| s as f64) else {
            self.rate = 1.0;
            return;
        };
        let rate = if self.coarse {
            // rows between the first and the last change of the stamp
            let change = |w: &[i64]| w.first() != w.last();
            let from = times.windows(2).position(change).map_or(0, |i| i + 1);
            let to = times.windows(2).rposition(change).map_or(0, |i| i + 1);
            match (times.get(from), times.get(to)) {
                (Some(a), Some(b)) if b > a => (to - from) as f64 / (b - a) as f64 * 1e9,
                _ => from.max(1) as f64 / median * 1e9,
            }
        } else {
            let near: Vec<f64> =
                steps.iter().map(|s| *s as f64).filter(|s| (0.5 * median..=1.5 * median).contains(s)).collect();
            1e9 / (near.iter().sum::<f64>() / near.len().max(1) as f64)
        };
        let even = rate.round();
        self.rate = if (rate - even).abs() < 0.002 * rate { even } else { rate };
        if self.coarse {
            self.say(
                "time_resolution",
                format!("stamps repeat: rows are spread evenly over each, {:.1} a second", rate),
            );
        }
    }

    /// Unit of numeric times: named, else by the size of a time since 1970, else by the step.
    fn exponent(&mut self, texts: &[&[u8]], hints: &Hints) -> u32 {
        const UNITS: [(u32, &str); 4] = [(9, "s"), (6, "ms"), (3, "us"), (0, "ns")];
        if let Some(exponent) = hints.time {
            return exponent;
        }
        let value = |t: &[u8]| std::str::from_utf8(t).ok()?.replace(',', ".").parse::<f64>().ok();
        let values: Vec<f64> = texts.iter().filter_map(|t| value(t)).collect();
        let size = values.first().copied().unwrap_or(0.0).abs();
        let (exponent, why) = if size >= 1e8 {
            let exponent = if size >= 1e17 {
                0
            } else if size >= 1e14 {
                3
            } else if size >= 1e11 {
                6
            } else {
                9
            };
            (exponent, "by the size of the first")
        } else {
            let mut steps: Vec<f64> =
                values.windows(2).filter_map(|w| Some(w.last()? - w.first()?)).filter(|s| *s > 0.0).collect();
            steps.sort_unstable_by(f64::total_cmp);
            let step = steps.get(steps.len() / 2).copied().unwrap_or(0.0);
            let exponent = if step < 1.0 {
                9
            } else if step < 1e3 {
                6
            } else if step < 1e6 {
                3
            } else {
                0
            };
            (exponent, "by the step between rows")
        };
        let unit = UNITS.iter().find(|(e, _)| *e == exponent).map_or("s", |(_, name)| name);
        self.say("time_unit", format!("{unit} ({why})"));
        exponent
    }

    /// Order of written dates: by a leading year, by the separator, by a number above 12; else month first, and said.
    fn order(&mut self, texts: &[&[u8]]) -> Order {
        let first = texts.first().copied().unwrap_or_default();
        let lead = first.iter().take_while(|b| b.is_ascii_digit()).count();
        if lead >= 4 || lead == 0 {
            return Order::YearMonthDay;
        }
        if first.get(lead) == Some(&b'.') {
            return Order::DayMonthYear;
        }
        let valid = |order| {
            texts.iter().all(|t| {
                calendar::date_time(t, order).is_some() || calendar::date_and_time(t, b"0:00:00", order).is_some()
            })
        };
        match (valid(Order::MonthDayYear), valid(Order::DayMonthYear)) {
            (true, true) => {
                self.say("date_order", "month first (assumed: both orders are possible)");
                Order::MonthDayYear
            }
            (false, true) => Order::DayMonthYear,
            _ => Order::MonthDayYear,
        }
    }

    /// Unit of the acceleration: named, else by the median norm.
    fn settle_units(&mut self, rows: &[&[u8]], hints: &Hints) {
        let norm = self.median_norm(rows);
        let omgui_gyro = self.skip == 0 && self.channels.first() == Some(&Some(4));
        let (scale, unit) = match (hints.unit, norm) {
            (Some(unit), _) => (unit.scale(), format!("{} (named in the header)", unit.name())),
            (None, Some(n)) => {
                let near = |v: f32| (n / v).ln().abs();
                if omgui_gyro && near(EXCHANGED) < 1.1f32.ln() {
                    self.gyro_scale = EXCHANGED;
                    self.doubt = Some(Event { value: f64::from(n), ..Event::at("exchanged_scales", 0, 0) });
                    let unit = "g / 0.064: the exporter exchanged the scales of gyroscope and acceleration";
                    (1.0 / EXCHANGED, format!("{unit} (median norm {n:.3})"))
                } else {
                    let unit = Unit::ALL.into_iter().find(|u| near(1.0 / u.scale()) < 2f32.ln());
                    if unit.is_none() {
                        self.doubt = Some(Event { value: f64::from(n), ..Event::at("unusual_norm", 0, 0) });
                    }
                    let name = unit.map_or("g (assumed: no unit fits", |u| u.name());
                    let end = if unit.is_none() { ", " } else { " (" };
                    (unit.map_or(1.0, Unit::scale), format!("{name}{end}median norm {n:.3})"))
                }
            }
            (None, None) => (1.0, "g (assumed: no value in the first rows)".to_owned()),
        };
        self.scale = scale;
        self.say("acceleration_unit", unit);
        if let [_, _, _, Some(_), ..] = self.channels {
            self.gyro_scale *= if hints.radians { 180.0 / std::f32::consts::PI } else { 1.0 };
            let unit = if hints.radians { "rad/s (named in the header)" } else { "degrees/s (assumed)" };
            self.say("gyroscope_unit", unit);
        }
    }

    fn median_norm(&self, rows: &[&[u8]]) -> Option<f32> {
        let [Some(x), Some(y), Some(z), ..] = self.channels else { return None };
        let mut row = Row::new(self.separator);
        let mut norms = Vec::new();
        for text in rows {
            if row.split(text) > x.max(y).max(z) {
                let [a, b, c] = [x, y, z].map(|i| float(row.field(text, i)).unwrap_or(f32::NAN));
                norms.push((a * a + b * b + c * c).sqrt());
            }
        }
        norms.retain(|n| n.is_finite() && *n > 0.0);
        norms.sort_unstable_by(f32::total_cmp);
        norms.get(norms.len() / 2).copied()
    }
}

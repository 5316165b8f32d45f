//! The meaning of each column of a text file.
//!
//! Layouts: the exports of OmGui and cwa-convert (no header; time, then x, y, z, then the gyroscope's three or light,
//! temperature and battery), ActiLife's (a heading, perhaps no times), and a header that names time, x, y and z: Capture-24,
//! NHANES and everyone's own. What the file leaves open (unit of acceleration, unit of time, order of a date) is decided by
//! the values: by the first rows, and where those do not tell, by those behind them ([`super::survey`]).

use super::calendar::{self, Order};
use super::fields::{Time, fields, lines, refuse};
use super::heading::{self, ActiLife, Columns, Hints};
use super::number::float;
use super::sentinels::Sentinels;
use super::units::{TimeUnit, Unit};
use super::{Event, Header, Reading};
use crate::error::{Error, Result};

/// Rows that the decisions look at first.
pub(super) const SAMPLE: usize = 2000;
/// Comment lines before the table.
const MAX_COMMENTS: usize = 100;
/// Why an order of dates was decided that one midnight tells.
pub(super) const MIDNIGHT: &str = "by the step at midnight";
/// Rows of a recording in which old firmware of an AX6 exchanged the sensors: to V53, and in V54 and V55.
const EXCHANGED_ROWS: [usize; 2] = [128, 1024];

mod settle;
mod unnamed;

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
    /// Fields that name the recording: a subject, a device.
    pub owners: Vec<usize>,
    /// g a unit.
    pub scale: f32,
    /// Numbers that are no values of the acceleration.
    pub(super) sentinels: Sentinels,
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

/// The reason why a text cannot be read.
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

/// The first line that is no comment, and how many are before it.
fn head(first: &[u8]) -> (usize, &[u8]) {
    let comment = |l: &&[u8]| {
        let line = l.trim_ascii();
        line.is_empty() || [&b"#"[..], b"%", b"sep=", b"\"sep="].iter().any(|mark| line.starts_with(mark))
    };
    let skip = lines(first).take_while(comment).take(MAX_COMMENTS).count();
    (skip, lines(first).nth(skip).unwrap_or_default())
}

/// Columns by name, or that these are the names of something else.
fn named_columns(parts: &[&[u8]], head: &[u8]) -> Result<Columns> {
    const SUMMARIES: [&str; 6] = ["enmo", "counts", "axis1", "vector magnitude", "vm", "mad"];
    heading::columns(parts, head, false).map_err(|error| {
        let names = parts.iter().map(|part| String::from_utf8_lossy(part).to_lowercase());
        let summary = names.into_iter().find(|name| SUMMARIES.iter().any(|word| name.starts_with(word)));
        summary.map_or(error, |name| {
            Error::Unsupported(format!("a summary of epochs (column '{name}'): raw acceleration is needed"))
        })
    })
}

impl Layout {
    /// Finds the layout in the first bytes of a file, of which the caller may state the unit and the rate.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the missing part, [`Error::Unsupported`] if the table is no raw acceleration.
    pub fn find(first: &[u8], reading: &Reading) -> Result<Self> {
        refuse_encoding(first)?;
        match (Self::timed(first, reading.unit), reading.rate) {
            (Err(Error::Malformed { .. }), Some(rate)) => Self::timeless(first, rate, reading.unit),
            (best, _) => best,
        }
    }

    /// The layout of rows that tell their time.
    fn timed(first: &[u8], unit: Option<Unit>) -> Result<Self> {
        let first = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
        let title = lines(first).next().unwrap_or_default();
        if title.windows(12).any(|w| w.eq_ignore_ascii_case(b"By ActiGraph")) {
            return Self::acti_life(first, heading::acti_life(first)?, unit);
        }
        let (skip, head) = head(first);
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
        self.owners.clone_from(&columns.owners);
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
            owners: Vec::new(),
            scale: 1.0,
            sentinels: Sentinels::default(),
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
}

fn norm(v: &[f32; 3]) -> f32 {
    v.iter().map(|v| v * v).sum::<f32>().sqrt()
}

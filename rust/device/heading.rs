//! What a text file's heading says: the names of its columns with their units, and ActiLife's ten lines.

use super::calendar::{self, Order, SECOND};
use super::number::float;
use super::table::{Layout, Time, fields, lines, refuse};
use crate::error::{Error, Result};

/// Standard gravity, m/s2.
const GRAVITY: f32 = 9.806_65;
/// Lines before ActiLife's rows.
const ACTILIFE: usize = 10;

/// Units of acceleration that files use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    G,
    MetresPerSecond2,
    Milli,
}

impl Unit {
    pub(super) const ALL: [Unit; 3] = [Unit::G, Unit::MetresPerSecond2, Unit::Milli];

    pub(super) fn scale(self) -> f32 {
        match self {
            Unit::G => 1.0,
            Unit::MetresPerSecond2 => 1.0 / GRAVITY,
            Unit::Milli => 1e-3,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Unit::G => "g",
            Unit::MetresPerSecond2 => "m/s2",
            Unit::Milli => "mg",
        }
    }
}

/// What the names of the columns say of their units.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hints {
    pub(super) time: Option<u32>,
    pub(super) unit: Option<Unit>,
    pub(super) radians: bool,
}

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    /// How sure the name makes it: 0 is surest.
    Time(u8),
    Day,
    Acceleration(usize),
    Gyroscope(usize),
    Temperature,
    Light,
    Annotation,
}

/// A name in lower case without its unit, and the unit: what stands in brackets, or a last word that is one.
fn parts(name: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(name).to_lowercase();
    let (text, bracket) = match text.split_once(['(', '[', '{']) {
        Some((before, unit)) => (before.to_owned(), unit.trim_end_matches([')', ']', '}', ' ']).to_owned()),
        None => (text, String::new()),
    };
    let mut words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let mut unit = bracket;
    let units = ["g", "mg", "ms2", "mps2", "s", "ms", "us", "ns", "dps", "rads", "degs", "c", "lux"];
    if unit.is_empty()
        && words.len() > 1
        && let Some(last) = words.last().filter(|w| units.contains(w))
    {
        unit = (*last).to_owned();
        words.pop();
    }
    (words.concat(), unit.replace([' ', '^', '*', '.'], ""))
}

/// Reads a column's name.
fn column(name: &str) -> Option<Column> {
    let bare = name.strip_suffix("axis").unwrap_or(name);
    let (stem, axis) = match (bare.chars().last(), bare.chars().next()) {
        (Some(c @ 'x'..='z'), _) => (bare.get(..bare.len() - 1).unwrap_or_default(), Some(c)),
        (_, Some(c @ 'x'..='z')) => (bare.get(1..).unwrap_or_default(), Some(c)),
        _ => (bare, None),
    };
    if let Some(axis) = axis.map(|c| c as usize - 'x' as usize) {
        match stem {
            "" | "a" | "acc" | "accel" | "accelerometer" | "acceleration" | "accelerations" | "rawacc" | "accraw" => {
                return Some(Column::Acceleration(axis));
            }
            "g" | "w" | "gyr" | "gyro" | "gyroscope" | "angularvelocity" | "rotationrate" | "omega" => {
                return Some(Column::Gyroscope(axis));
            }
            _ => {}
        }
    }
    Some(match name {
        "time" | "timestamp" | "datetime" | "headertimestamp" => Column::Time(0),
        "date" | "day" => Column::Day,
        "t" | "ts" | "epoch" | "unixtime" | "localtime" | "secondselapsed" | "elapsed" | "seconds" => Column::Time(1),
        "annotation" | "annotations" | "label" | "labels" | "activity" | "class" => Column::Annotation,
        "temp" | "temperature" | "bodysurfacetemperature" => Column::Temperature,
        "light" | "lux" => Column::Light,
        _ if name.contains("time") => Column::Time(2),
        _ => return None,
    })
}

fn unit_of_time(unit: &str) -> Option<u32> {
    Some(match unit {
        "s" | "sec" | "seconds" => 9,
        "ms" | "msec" | "milliseconds" => 6,
        "us" | "\u{b5}s" | "\u{3bc}s" | "microseconds" => 3,
        "ns" | "nanoseconds" => 0,
        _ => return None,
    })
}

fn unit_of_acceleration(unit: &str) -> Option<Unit> {
    Some(match unit {
        "g" | "gs" => Unit::G,
        "mg" => Unit::Milli,
        "m/s2" | "m/s\u{b2}" | "m/s/s" | "ms2" | "ms-2" | "mps2" => Unit::MetresPerSecond2,
        _ => return None,
    })
}

impl Layout {
    /// Columns by the names of a header line.
    ///
    /// # Errors
    /// [`Error::Malformed`] without a time or one of the axes.
    pub(super) fn named(&mut self, names: &[&[u8]], head: &[u8]) -> Result<Hints> {
        let mut hints = Hints::default();
        let (mut time, mut day) = (None::<(u8, usize)>, None);
        for (i, name) in names.iter().enumerate() {
            let (name, unit) = parts(name);
            let mut set = |slot: usize| {
                self.channels.iter_mut().skip(slot).take(1).filter(|c| c.is_none()).for_each(|c| *c = Some(i));
            };
            match column(&name) {
                Some(Column::Time(rank)) if time.is_none_or(|(best, _)| rank < best) => {
                    time = Some((rank, i));
                    hints.time = unit_of_time(&unit);
                }
                Some(Column::Day) => day = day.or(Some(i)),
                Some(Column::Acceleration(axis)) => {
                    set(axis);
                    hints.unit = hints.unit.or(unit_of_acceleration(&unit));
                }
                Some(Column::Gyroscope(axis)) => {
                    set(3 + axis);
                    hints.radians |= unit.starts_with("rad");
                }
                Some(Column::Temperature) => set(6),
                Some(Column::Light) => set(7),
                Some(Column::Annotation) => self.annotation = self.annotation.or(Some(i)),
                Some(Column::Time(_)) | None => {}
            }
        }
        let [Some(x), Some(y), Some(z), g @ .., _, _] = self.channels else {
            return Err(refuse("columns named x, y and z", head));
        };
        if g.iter().any(Option::is_none) {
            self.channels.iter_mut().skip(3).take(3).for_each(|c| *c = None);
        }
        self.time = match (time, day) {
            (Some((_, time)), Some(day)) => Time::Split { day, time, order: Order::YearMonthDay },
            (Some((_, column)), None) | (None, Some(column)) => Time::Numeric { column, exponent: 9 },
            (None, None) => return Err(refuse("a column named time", head)),
        };
        let last = match self.time {
            Time::Split { day, time, .. } => day.max(time),
            Time::Numeric { column, .. } | Time::Written { column, .. } => column,
            Time::Counted { .. } => 0,
        };
        let others = self.channels.iter().flatten().copied().max().unwrap_or(0);
        self.columns = 1 + last.max(x).max(y).max(z).max(others);
        if head.trim_ascii().to_ascii_uppercase().starts_with(b"HEADER_TIMESTAMP") {
            self.device = "ActiGraph GT3X+".into();
            hints.unit = Some(Unit::G);
        }
        Ok(hints)
    }

    /// ActiLife's export: ten lines, perhaps names, rows with or without times.
    ///
    /// # Errors
    /// [`Error::Malformed`] without start or rate, [`Error::Unsupported`] for counts.
    pub(super) fn acti_life(first: &[u8]) -> Result<Self> {
        let mut layout = Self::blank(b',', ACTILIFE);
        let head: Vec<String> =
            lines(first).take(ACTILIFE).map(|l| String::from_utf8_lossy(l).trim().to_owned()).collect();
        let title = head.first().map(String::as_str).unwrap_or_default();
        let order = date_order(title);
        let rate = title
            .split_once(" at ")
            .and_then(|(_, rest)| rest.split_whitespace().next())
            .and_then(|rate| rate.replace(',', ".").parse::<f64>().ok())
            .filter(|r| (0.1..=10_000.0).contains(r));
        let value = |name: &str| {
            head.iter().find_map(|line| line.strip_prefix(name)).map(|v| v.trim_matches([':', ' ', ',', ';']))
        };
        layout.device_id = value("Serial Number").unwrap_or_default().to_owned();
        layout.device = format!("ActiGraph {}", after(title, "By ActiGraph").unwrap_or_default()).trim().to_owned();
        if value("Epoch Period (hh:mm:ss)").is_some_and(|v| v.bytes().any(|b| matches!(b, b'1'..=b'9'))) {
            return Err(Error::Unsupported("ActiLife counts by epoch: raw acceleration is needed".into()));
        }
        for (name, key) in
            [("Start Time", "start_time"), ("Start Date", "start_date"), ("Download Date", "download_date")]
        {
            layout.say(key, value(name).unwrap_or_default());
        }
        let row = lines(first).nth(ACTILIFE).unwrap_or_default();
        let separator = [b';', b'\t', b','].into_iter().find(|s| fields(row, *s).len() >= 3);
        layout.separator = separator.ok_or_else(|| refuse("rows of x, y, z behind ActiLife's ten lines", row))?;
        let mut names = fields(row, layout.separator);
        let named = names.first().is_some_and(|n| n.first().is_some_and(u8::is_ascii_alphabetic));
        if named {
            layout.skip += 1;
        }
        let timed = if named { names.len() >= 4 } else { names.first().is_some_and(|n| float(n).is_none()) };
        let mut hints = Hints::default();
        if timed {
            if !named {
                names = vec![b"timestamp", b"x", b"y", b"z"];
            }
            hints = layout.named(&names, row)?;
        } else {
            let start = value("Start Date")
                .zip(value("Start Time"))
                .and_then(|(day, time)| calendar::date_and_time(day.as_bytes(), time.as_bytes(), order));
            let start =
                start.ok_or_else(|| refuse("Start Date and Start Time in ActiLife's ten lines", title.as_bytes()))?;
            let rate = rate.ok_or_else(|| refuse("'at ... Hz' in ActiLife's first line", title.as_bytes()))?;
            layout.time = Time::Counted { start, period: SECOND as f64 / rate };
            layout.channels = [Some(0), Some(1), Some(2), None, None, None, None, None];
            layout.columns = 3;
            layout.rate = rate;
        }
        hints.unit = Some(Unit::G);
        layout.settle(first, &hints)?;
        Ok(layout)
    }
}

/// The word behind `mark`.
fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark)?.1.split_whitespace().next()
}

/// Order of ActiLife's dates by its title, `date format M/d/yyyy`.
fn date_order(title: &str) -> Order {
    let format = after(title, "date format").unwrap_or("M/d/yyyy");
    match format.chars().next() {
        Some('y' | 'Y') => Order::YearMonthDay,
        Some('d' | 'D') => Order::DayMonthYear,
        _ => Order::MonthDayYear,
    }
}

//! A row of text: its fields, and the column of its time.

use super::calendar::Order;
use super::units::TimeUnit;
use crate::error::Error;

/// Fields of a row that are looked at.
const MAX_FIELDS: usize = 64;

/// Where a row's time comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Time {
    /// A number.
    Numeric {
        /// Field.
        column: usize,
        /// What it counts.
        unit: TimeUnit,
    },
    /// Date and time in one field.
    Written {
        /// Field.
        column: usize,
        /// Of the date.
        order: Order,
    },
    /// Date and time in two fields.
    Split {
        /// Field of the date.
        day: usize,
        /// Field of the clock time.
        time: usize,
        /// Of the date.
        order: Order,
    },
    /// The header states a start and a rate.
    Counted {
        /// ns since 1970.
        start: i64,
        /// ns a row.
        period: f64,
    },
}

/// An empty value, or a word for one.
pub fn is_missing(text: &[u8]) -> bool {
    text.is_empty()
        || [&b"nan"[..], b"na", b"null", b"none", b"n/a", b"inf", b"-inf"].iter().any(|w| text.eq_ignore_ascii_case(w))
}

/// Splits rows at a separator outside of quotes.
#[derive(Debug, Clone)]
pub struct Row {
    separator: u8,
    ends: [(u32, u32); MAX_FIELDS],
}

impl Row {
    /// For rows with this separator.
    pub fn new(separator: u8) -> Self {
        Self { separator, ends: [(0, 0); MAX_FIELDS] }
    }

    /// Finds the fields of a row; how many there are, [`MAX_FIELDS`] at most.
    pub fn split(&mut self, text: &[u8]) -> usize {
        let mut n = 0;
        let mut from = 0;
        let mut quoted = false;
        for i in memchr::memchr2_iter(self.separator, b'"', text) {
            if text.get(i) == Some(&b'"') {
                quoted = !quoted;
            } else if !quoted {
                let Some(end) = self.ends.get_mut(n) else { return n };
                *end = (from, i as u32);
                from = i as u32 + 1;
                n += 1;
            }
        }
        let Some(end) = self.ends.get_mut(n) else { return n };
        *end = (from, text.len() as u32);
        n + 1
    }

    /// A field of the row that was split last, without blanks and quotes around it.
    pub fn field<'a>(&self, text: &'a [u8], index: usize) -> &'a [u8] {
        let (from, to) = self.ends.get(index).copied().unwrap_or_default();
        let field = text.get(from as usize..to as usize).unwrap_or_default().trim_ascii();
        field.strip_prefix(b"\"").and_then(|f| f.strip_suffix(b"\"")).map_or(field, |f| f.trim_ascii())
    }
}

/// The fields of a row, as a list.
pub(super) fn fields(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let mut row = Row::new(separator);
    let n = row.split(text);
    (0..n).map(|i| row.field(text, i)).collect()
}

/// Complete lines of the first bytes.
pub(super) fn lines(first: &[u8]) -> impl Iterator<Item = &[u8]> {
    first.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Words that name columns, units or parts of dates. A line with any other word may hold a person's name.
const PLAIN_WORDS: [&str; 75] = [
    "a",
    "acc",
    "accel",
    "acceleration",
    "accelerometer",
    "activity",
    "am",
    "annotation",
    "apr",
    "aug",
    "axis",
    "axis1",
    "axis2",
    "axis3",
    "battery",
    "date",
    "datetime",
    "dec",
    "deg",
    "elapsed",
    "enmo",
    "epoch",
    "feb",
    "g",
    "gmt",
    "gyr",
    "gyro",
    "gyroscope",
    "header",
    "hour",
    "hours",
    "hr",
    "index",
    "jan",
    "jul",
    "jun",
    "label",
    "light",
    "lux",
    "m",
    "mag",
    "mar",
    "may",
    "mg",
    "minute",
    "minutes",
    "ms",
    "ms2",
    "n",
    "nan",
    "nov",
    "ns",
    "oct",
    "p",
    "pm",
    "row",
    "s",
    "sample",
    "sec",
    "second",
    "seconds",
    "sep",
    "step",
    "steps",
    "t",
    "temp",
    "temperature",
    "time",
    "timestamp",
    "unix",
    "us",
    "utc",
    "x",
    "y",
    "z",
];

/// The refusal of a text: what was expected and the line that came, unless it has words that may name a person.
pub(super) fn refuse(expected: &str, got: &[u8]) -> Error {
    let text = String::from_utf8_lossy(got.get(..80).unwrap_or(got));
    let mut words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().any(char::is_alphabetic));
    let plain = |word: &str| PLAIN_WORDS.contains(&word.to_lowercase().trim_matches(|c: char| c.is_ascii_digit()));
    let got = if words.all(|word| plain(word) || PLAIN_WORDS.contains(&word.to_lowercase().as_str())) {
        format!("'{}'", text.escape_debug())
    } else {
        format!("a line of {} characters with other words", String::from_utf8_lossy(got).chars().count())
    };
    Error::malformed("csv", 0, format!("expected {expected}, got {got}"))
}

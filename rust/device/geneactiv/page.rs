//! A page of 300 samples: the lines of its head and its hexadecimal digits.

use super::super::calendar::{Order, date_time};
use super::super::copies::{sum_of, sum_of_ends};
use super::super::{Batch, DateOrder};
use super::pace::RATES;

/// Samples of a whole page.
pub(super) const PAGE: usize = 300;
/// Hexadecimal digits of a sample.
pub(super) const DIGITS: usize = 12;
/// Letters of a serial number that are kept.
const MAX_SERIAL: usize = 64;
const NO_DIGIT: u8 = 0xff;

/// Value of each hexadecimal digit.
#[allow(clippy::indexing_slicing)] // evaluated by the compiler, and no byte of a file is an index
const NIBBLES: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = match b as u8 {
            d @ b'0'..=b'9' => d - b'0',
            d @ b'A'..=b'F' => d - b'A' + 10,
            d @ b'a'..=b'f' => d - b'a' + 10,
            _ => NO_DIGIT,
        };
        b += 1;
    }
    table
};

/// Value of a line `name:value` of this name.
pub(super) fn value<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    Some(line.strip_prefix(name.as_bytes())?.strip_prefix(b":")?.trim_ascii())
}

pub(super) fn number(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let first = text.split_ascii_whitespace().next()?;
    // written where the decimal sign is a comma
    let first = if first.matches([',', '.']).count() == 1 { first.replace(',', ".") } else { first.to_owned() };
    first.parse().ok().filter(|v: &f64| v.is_finite())
}

/// What the lines of a page before its samples say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Page {
    pub offset: u64,
    pub serial: String,
    pub sequence: Option<u64>,
    pub time: Option<i64>,
    pub temperature: f32,
    pub battery: f32,
    pub rate: Option<f64>,
    pub lines: u32,
    /// Its date does not begin with the year.
    pub assumed_order: bool,
    /// What could not be read.
    pub unread: Option<String>,
}

impl Page {
    /// One whose mark stands at `offset`.
    pub fn at(offset: u64) -> Self {
        Self { offset, temperature: f32::NAN, battery: f32::NAN, ..Self::default() }
    }

    /// Takes what a line of the page's head says.
    pub fn learn(&mut self, line: &[u8], date_order: DateOrder) {
        if let Some(text) = value(line, "Device Unique Serial Code") {
            self.serial = String::from_utf8_lossy(text.get(..MAX_SERIAL).unwrap_or(text)).into_owned();
        } else if let Some(text) = value(line, "Sequence Number") {
            self.sequence = std::str::from_utf8(text).ok().and_then(|t| t.parse().ok());
        } else if let Some(text) = value(line, "Page Time") {
            self.time = date_time(text, Order::YearMonthDay);
            match date_order {
                _ if self.time.is_some() => {}
                DateOrder::Given(order) => self.time = date_time(text, order),
                DateOrder::Auto => {
                    let day_first = date_time(text, Order::DayMonthYear);
                    self.time = day_first.or_else(|| date_time(text, Order::MonthDayYear));
                    self.assumed_order = self.time.is_some();
                }
            }
            self.miss(self.time.is_none(), line);
        } else if let Some(text) = value(line, "Temperature") {
            self.temperature = number(text).map_or(f32::NAN, |v| v as f32);
        } else if let Some(text) = value(line, "Battery voltage") {
            self.battery = number(text).map_or(f32::NAN, |v| v as f32);
        } else if let Some(text) = value(line, "Measurement Frequency") {
            self.rate = number(text).filter(|r| RATES.contains(r));
            self.miss(self.rate.is_none(), line);
        }
    }

    fn miss(&mut self, missed: bool, line: &[u8]) {
        if missed && self.unread.is_none() {
            self.unread = Some(String::from_utf8_lossy(line.get(..80).unwrap_or(line)).trim().to_owned());
        }
    }
}

/// Whether the sequence of the pages starts again.
pub(super) fn began_anew(before: Option<u64>, now: Option<u64>) -> bool {
    now == Some(0) && before.is_some_and(|before| before != 0)
}

/// A page that waits for its turn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    pub page: Page,
    pub digits: Vec<u8>,
    pub index: u64,
    pub rate: f64,
    pub time: i64,
    /// Something before it was left out.
    pub broken: bool,
}

impl Held {
    pub fn n(&self) -> usize {
        (self.digits.len() / DIGITS).min(PAGE)
    }

    pub fn sum(&self) -> u64 {
        sum_of([self.page.sequence.unwrap_or(u64::MAX), self.time as u64, sum_of_ends(&self.digits)])
    }
}

/// Whether a line holds hexadecimal digits alone.
pub(super) fn is_hexadecimal(digits: &[u8]) -> bool {
    digits.iter().all(|b| NIBBLES.get(usize::from(*b)).is_some_and(|d| *d != NO_DIGIT))
}

/// Appends `n` samples of hexadecimal digits; a sample with anything else in it is missing. Returns how many are.
pub(super) fn decode(digits: &[u8], n: usize, grams: &[Vec<f32>; 3], lux: f32, batch: &mut Batch) -> u64 {
    let from = batch.len();
    batch.light.resize(from, f32::NAN);
    let mut bad = 0;
    for sample in digits.as_chunks::<DIGITS>().0.iter().take(n) {
        let field = |start: usize| {
            let nibble = |i: usize| {
                let b = sample.get(start + i).copied().unwrap_or(0);
                NIBBLES.get(usize::from(b)).copied().unwrap_or(NO_DIGIT)
            };
            let (a, b, c) = (nibble(0), nibble(1), nibble(2));
            let raw = usize::from(a & 15) << 8 | usize::from(b & 15) << 4 | usize::from(c & 15);
            (a | b | c <= 15).then_some(raw)
        };
        let raw = (field(0), field(3), field(6), field(9));
        let (Some(x), Some(y), Some(z), Some(last)) = raw else {
            bad += 1;
            batch.xyz.iter_mut().for_each(|channel| channel.push(f32::NAN));
            batch.light.push(f32::NAN);
            continue;
        };
        for ((channel, table), raw) in batch.xyz.iter_mut().zip(grams).zip([x, y, z]) {
            channel.push(table.get(raw).copied().unwrap_or(f32::NAN));
        }
        batch.light.push((last >> 2) as f32 * lux);
    }
    bad
}

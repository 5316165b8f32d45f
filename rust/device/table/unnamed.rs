//! Tables whose columns lack names: rows without a header, and rows without a time.

use super::super::Event;
use super::super::fields::{Time, fields, refuse};
use super::super::heading;
use super::super::number::float;
use super::super::units::{TimeUnit, Unit};
use super::{EXCHANGED_ROWS, Layout, head, norm, number};
use crate::error::Result;

/// Rows without names.
impl Layout {
    /// Time, then x, y, z, then the gyroscope's three or light, temperature and battery; a word behind them annotates.
    pub(super) fn unnamed(&mut self, rows: &[&[u8]], parts: &[&[u8]], numbers: usize) {
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

    /// The layout of rows that tell no time, so many a second: the first is at 1970. A first field without a name, in front of
    /// three others, is their number.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::error::Error::Malformed) without three axes.
    pub(in super::super) fn timeless(first: &[u8], rate: f64, unit: Option<Unit>) -> Result<Self> {
        let first = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
        let (skip, head) = head(first);
        let separator = [b';', b'\t', b','].into_iter().find(|s| fields(head, *s).len() >= 3);
        let separator =
            separator.ok_or_else(|| refuse("a header or a row with x, y and z between ',', ';' or tabs", head))?;
        let parts = fields(head, separator);
        let mut layout = Self::blank(separator, skip);
        let numbers = parts.iter().take_while(|p| float(p).is_some()).count();
        if numbers >= 3 {
            let from = usize::from(numbers > 3);
            layout.channels.iter_mut().zip(from..).take(3).for_each(|(channel, column)| *channel = Some(column));
            layout.columns = from + 3;
            layout.say("layout", "no header: acceleration");
        } else {
            layout.named(&heading::columns(&parts, head, true)?);
            layout.skip += 1;
        }
        layout.time = Time::Counted { start: 0, period: 1e9 / rate };
        (layout.rate, layout.stated_unit) = (rate, unit);
        layout.settle(first)?;
        Ok(layout)
    }
}

/// Whether numbers are times of our days that rise.
fn is_dated(values: &[f64]) -> bool {
    let rising = values.windows(2).filter(|w| w.first() < w.last()).count();
    2 * rising > values.len() / 50 && TimeUnit::settle(values, None).is_ok() && values.iter().all(|v| *v > 3e8)
}

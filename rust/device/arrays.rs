//! Samples that are in memory already, as a [`Reader`]: what Parquet and NPZ files hold, or any array.

use std::path::Path;

use super::calendar::Order;
use super::clocks::{Cached, LocalClock};
use super::column::{Column, Texts};
use super::fields::Time;
use super::heading;
use super::rows::RowClock;
use super::sentinels::Sentinels;
use super::stored::Stored;
use super::survey::{DateOrder, Dates, date_of, settle_order};
use super::table::{Layout, SAMPLE};
use super::{Batch, Event, Header, Quality, Reader, Reading, Timestamps};
use crate::error::{Error, Result};

/// Rows handed out in one call.
const BATCH: usize = 8192;
/// Times that settle their unit if the first rows do not.
const MANY: usize = 1 << 22;

/// Times of rows as a file holds them.
#[derive(Debug)]
pub enum Times {
    /// ns since 1970, local device clock; [`i64::MIN`] if missing.
    Ns(Column<i64>),
    /// Whole numbers of a unit that is to be settled; [`i64::MIN`] if missing.
    Whole(Column<i64>),
    /// Numbers with fractions of a unit that is to be settled.
    Real(Column<f64>),
    /// Dates and times as text.
    Text(Texts),
}

impl Default for Times {
    fn default() -> Self {
        Self::Ns(Column::default())
    }
}

impl Times {
    /// These times if they are of the kind `name` (`time`, `time_whole`, `time_real`, `time_text`); those without rows become it.
    ///
    /// # Errors
    /// [`Error::Value`] for another name, or after times of another kind.
    pub fn as_kind(&mut self, name: &str) -> Result<&mut Self> {
        let empty = self.len() == 0;
        match (name, &*self) {
            ("time", Self::Ns(_)) | ("time_whole", Self::Whole(_)) => {}
            ("time_real", Self::Real(_)) | ("time_text", Self::Text(_)) => {}
            ("time_whole" | "time_real" | "time_text", Self::Ns(first)) if empty => {
                let folder = first.folder();
                *self = match name {
                    "time_whole" => Self::Whole(Column::new(folder)),
                    "time_real" => Self::Real(Column::new(folder)),
                    _ => Self::Text(Texts::new(folder)),
                };
            }
            _ => return Err(Error::value("column", "a known one, and times of one kind", name)),
        }
        Ok(self)
    }

    fn len(&self) -> usize {
        match self {
            Self::Ns(time) | Self::Whole(time) => time.len(),
            Self::Real(time) => time.len(),
            Self::Text(time) => time.len(),
        }
    }
}

/// Columns of a recording. Those that it does not have stay empty; the others are as long as `time`.
#[derive(Debug, Default)]
pub struct Arrays {
    /// Times of the rows.
    pub time: Times,
    /// Names of the columns of time and of x.
    pub names: [String; 2],
    /// Acceleration in the unit that its name or its norm tells, and the other columns; no times.
    pub values: Stored,
}

impl Arrays {
    /// No rows; folder as for [`Column::new`].
    pub fn new(folder: Option<&Path>) -> Self {
        Self { time: Times::Ns(Column::new(folder)), values: Stored::new(folder), ..Self::default() }
    }
}

/// A reader over [`Arrays`].
pub struct ArrayReader {
    header: Header,
    rows: Stored,
    newest_first: bool,
    scale: f32,
    sentinels: Sentinels,
    only_count: bool,
    clock: RowClock,
    next: usize,
    events: Vec<Event>,
}

impl ArrayReader {
    /// Takes columns and their known units, and settles the other units as for text.
    ///
    /// # Errors
    /// [`Error::Shape`] where columns differ in length; [`Error::Malformed`] without a sample or a unit of the times.
    pub fn new(mut header: Header, columns: Arrays, reading: &Reading) -> Result<Self> {
        let timestamps = reading.timestamps;
        let Arrays { time, names: [name, of_x], values: mut rows } = columns;
        let n = time.len();
        let full = rows.xyz.iter().map(Column::len);
        let others = rows.gyro.iter().chain([&rows.light, &rows.temperature]).map(Column::len);
        let others = others.chain([rows.annotation.len()]).filter(|len| *len > 0);
        if let Some(got) = full.chain(others).find(|len| *len != n) {
            return Err(Error::shape("columns", format!("{n} values, as many as times"), got));
        }
        if n == 0 {
            return Err(Error::malformed("arrays", 0, "expected at least one sample, got none"));
        }
        if header.format.is_empty() {
            header.format = "arrays";
        }
        let mut layout = Layout::of_columns(header.format, heading::hints(&name, &of_x), reading.unit);
        let mut events = Vec::new();
        rows.time = match (nanoseconds(time, &mut layout, reading.date_order, &mut events), reading.rate) {
            (Err(Error::Malformed { .. }), Some(rate)) => {
                layout.time = Time::Counted { start: 0, period: 1e9 / rate };
                layout.rate = rate;
                counted(n, rate, rows.xyz[0].folder())?
            }
            (time, _) => time?,
        };
        layout.hold_against(reading.rate);
        layout.settle_units(norms(&mut rows.xyz)?, true);
        let newest_first = layout.descending && timestamps == Timestamps::Device;
        if newest_first {
            events.push(Event { count: n as u64, ..Event::at("rows_reversed", 0, 0) });
        }
        events.append(&mut layout.events);
        header.metadata.extend(layout.header().metadata);
        if header.nominal_rate <= 0.0 {
            header.nominal_rate = layout.rate;
        }
        let plain = timestamps == Timestamps::Actipy && !layout.coarse;
        let clock = if plain { RowClock::plain(header.nominal_rate) } else { RowClock::default() };
        let only_count = timestamps == Timestamps::Actipy;
        let Layout { scale, sentinels, .. } = layout;
        Ok(Self { header, rows, newest_first, scale, sentinels, only_count, clock, next: 0, events })
    }
}

/// Times of rows at a stated rate from 1970 on.
fn counted(n: usize, rate: f64, folder: Option<&Path>) -> Result<Column<i64>> {
    let mut time = Column::new(folder);
    for start in (0..n).step_by(BATCH) {
        let rows = start..n.min(start + BATCH);
        time.append(&rows.map(|row| (row as f64 * 1e9 / rate).round() as i64).collect::<Vec<_>>())?;
    }
    Ok(time)
}

/// ns since 1970 of the rows, and what the layout says of them.
fn nanoseconds(time: Times, layout: &mut Layout, order: DateOrder, events: &mut Vec<Event>) -> Result<Column<i64>> {
    let refused = |reason: String| Error::malformed("columns", 0, format!("time: {reason}"));
    let mut ns = match time {
        Times::Ns(time) => time,
        Times::Whole(mut time) => {
            let known = |value: i64| (value != i64::MIN).then_some(value as f64);
            let unit = layout.unit_of_numbers(&time.first(SAMPLE, known)?, || time.first(MANY, known))?;
            time.map(|value| unit.ns_of_whole(value).unwrap_or(i64::MIN))?
        }
        Times::Real(mut time) => {
            let known = |value: f64| value.is_finite().then_some(value);
            let unit = layout.unit_of_numbers(&time.first(SAMPLE, known)?, || time.first(MANY, known))?;
            time.map(|value| unit.ns_of_real(value).unwrap_or(i64::MIN))?
        }
        Times::Text(mut texts) => {
            layout.time = Time::Written { column: 0, order: Order::YearMonthDay };
            let mut first: Vec<Vec<u8>> = Vec::new();
            texts.for_each(|text| {
                first.push(text.to_vec());
                Ok(first.len() < SAMPLE)
            })?;
            let pairs: Vec<[&[u8]; 2]> = first.iter().map(|text| [&b""[..], text]).collect();
            layout.settle_time(&pairs, true)?;
            let mut dates = Dates::default();
            if layout.open.order {
                texts.for_each(|text| {
                    dates.look(date_of(text));
                    Ok(true)
                })?;
            }
            settle_order(layout, dates.order(), order);
            match layout.time {
                Time::Numeric { unit, .. } => texts.map(|text| unit.ns(text).unwrap_or(i64::MIN))?,
                Time::Written { order, .. } => written(texts, order, events)?,
                Time::Split { .. } | Time::Counted { .. } => Column::default(),
            }
        }
    };
    let known = ns.first(SAMPLE, |time| (time != i64::MIN).then_some(time))?;
    let first = *known.first().ok_or_else(|| refused("expected a time in some row, got none".into()))?;
    layout.settle_rate_of(&known.iter().map(|t| t.saturating_sub(first) as f64).collect::<Vec<_>>())?;
    Ok(ns)
}

/// Written times on the clock of the first.
fn written(texts: Texts, order: Order, events: &mut Vec<Event>) -> Result<Column<i64>> {
    let (mut cached, mut clock, mut row) = (Cached::default(), LocalClock::default(), 0);
    texts.map(|text| {
        let time = cached.written(text, order).and_then(|written| clock.time(written));
        row += 1;
        let Some((time, change)) = time else { return i64::MIN };
        if change != 0 {
            let event = Event::at("zone_changes", 0, row - 1);
            events.push(Event { time: Some(time), value: change as f64 / 1e9, ..event });
        }
        time
    })
}

/// Norms of the first rows that are not zero.
fn norms([x, y, z]: &mut [Column<f32>; 3]) -> Result<Vec<f32>> {
    let mut norms = Vec::new();
    for start in (0..x.len()).step_by(BATCH) {
        let part = start..start + BATCH;
        let (x, y, z) = (x.piece(part.clone())?, y.piece(part.clone())?, z.piece(part)?);
        let some = x.iter().zip(&y).zip(&z).map(|((x, y), z)| (x * x + y * y + z * z).sqrt());
        norms.extend(some.filter(|n| n.is_finite() && *n > 0.0).take(SAMPLE - norms.len()));
        if norms.len() == SAMPLE {
            break;
        }
    }
    Ok(norms)
}

impl Reader for ArrayReader {
    fn header(&self) -> &Header {
        &self.header
    }

    fn size_hint(&self) -> Option<u64> {
        Some(self.rows.len() as u64)
    }

    fn read(&mut self, batch: &mut Batch, quality: &mut Quality) -> Result<bool> {
        self.events.drain(..).for_each(|event| quality.note(event));
        let n = self.rows.len();
        let part = self.next..(self.next + BATCH).min(n);
        self.clock.mark(0, part.start as u64);
        let mut piece =
            if self.newest_first { self.rows.piece_from_end(part.clone()) } else { self.rows.piece(part.clone()) }?;
        for row in self.sentinels.clear(&mut piece.xyz, self.only_count) {
            let time = piece.time.get(row).copied();
            quality.note(Event { time, ..Event::at("sentinel_value", 0, (part.start + row) as u64) });
        }
        piece.xyz.iter_mut().flatten().for_each(|v| *v *= self.scale);
        let keep: Vec<bool> = piece.time.iter().map(|time| *time != i64::MIN).collect();
        let untimed = keep.iter().filter(|k| !**k).count();
        if untimed > 0 {
            piece.retain(&keep);
            quality.note(Event { count: untimed as u64, ..Event::at("bad_row", 0, part.start as u64) });
        }
        let [x, y, z] = &piece.xyz;
        let missing = x.iter().zip(y).zip(z).filter(|((x, y), z)| !(x.is_finite() && y.is_finite() && z.is_finite()));
        let missing = missing.count() as u64;
        if missing > 0 {
            let time = piece.time.first().copied();
            quality.note(Event { time, count: missing, ..Event::at("missing_values", 0, part.start as u64) });
        }
        self.clock.rows().append(&mut piece)?;
        self.next = part.end;
        let more = self.next < n;
        self.clock.advance(!more, batch, quality)?;
        self.header.nominal_rate = self.clock.rate().unwrap_or(self.header.nominal_rate);
        Ok(more)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::super::column::Value;
    use super::super::columns::collect;
    use super::super::{Stream, Timestamps};
    use super::*;

    fn reader(arrays: Arrays) -> Result<ArrayReader> {
        ArrayReader::new(Header::default(), arrays, &Timestamps::Device.into())
    }

    fn column<T: Value>(values: &[T]) -> Column<T> {
        let mut column = Column::default();
        column.append(values).unwrap();
        column
    }

    fn arrays(time: Vec<i64>) -> Arrays {
        let n = time.len();
        Arrays {
            time: Times::Ns(column(&time)),
            values: Stored { xyz: [0.0, 0.5, 1.0].map(|v| column(&vec![v; n])), ..Stored::default() },
            ..Arrays::default()
        }
    }

    #[test]
    fn arrays_come_out_as_they_went_in_and_a_hole_ends_the_run() {
        let mut time: Vec<i64> = (0..40_000).map(|i| i * 10_000_000).collect();
        time.iter_mut().skip(30_000).for_each(|t| *t += 5_000_000_000);
        let reader = reader(arrays(time.clone())).unwrap();
        let all = collect(Stream::new(Box::new(reader), Timestamps::Device)).unwrap();
        assert_eq!(all.len, 40_000);
        assert_eq!(&all.time[..40_000], &time[..]);
        assert_eq!(all.run_starts, vec![0, 30_000]);
        assert_eq!(all.summary.quality.count("gap"), 1);
        assert!((all.summary.sample_rate - 100.0).abs() < 1e-9, "{}", all.summary.sample_rate);
        assert_eq!(all.xyz.values[all.xyz.capacity], 0.5);
    }

    #[test]
    fn rows_with_the_newest_first_come_out_with_the_oldest_first() {
        let n = 2 * BATCH + 100;
        let mut given = arrays((0..n as i64).rev().map(|i| i * 10_000_000).collect());
        given.values.xyz[1] = column(&(0..n).map(|row| 0.5 + row as f32 * 1e-5).collect::<Vec<_>>());
        let all = collect(Stream::new(Box::new(reader(given).unwrap()), Timestamps::Device)).unwrap();
        assert_eq!(all.summary.quality.count("rows_reversed"), n as u64);
        assert_eq!(all.time[..n], (0..n as i64).map(|i| i * 10_000_000).collect::<Vec<_>>()[..]);
        let y = &all.xyz.values[all.xyz.capacity..][..n];
        assert!((0..n).all(|row| y[row] == 0.5 + (n - 1 - row) as f32 * 1e-5));
    }

    #[test]
    fn columns_of_different_lengths_and_no_samples_are_refused() {
        let mut wrong = arrays(vec![0, 10]);
        wrong.values.light = column(&[1.0]);
        assert!(matches!(reader(wrong), Err(Error::Shape(_))));
        assert!(matches!(reader(arrays(Vec::new())), Err(Error::Malformed { .. })));
    }

    #[test]
    fn rows_of_zeros_and_without_a_number_have_no_norm() {
        let mut xyz = [[3.0, 0.0, f32::NAN, 0.0], [4.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 2.0]].map(|axis| column(&axis));
        assert_eq!(norms(&mut xyz).unwrap(), [5.0, 2.0]);
    }
}

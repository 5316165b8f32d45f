//! Samples that are in memory already, as a [`Reader`]: what Parquet and NPZ files hold, or any array.

use super::calendar::Order;
use super::clocks::{Cached, LocalClock};
use super::fields::Time;
use super::heading;
use super::rows::RowClock;
use super::sentinels::Sentinels;
use super::survey::{DateOrder, Dates, date_of, settle_order};
use super::table::{Layout, SAMPLE};
use super::{Batch, Event, Header, Quality, Reader, Reading, Timestamps};
use crate::error::{Error, Result};

/// Rows handed out in one call.
const BATCH: usize = 8192;

/// Times of rows as a file holds them.
#[derive(Debug, Clone)]
pub enum Times {
    /// ns since 1970, local device clock; [`i64::MIN`] if missing.
    Ns(Vec<i64>),
    /// Whole numbers of a unit that is to be settled.
    Whole(Vec<i64>),
    /// Numbers with fractions of a unit that is to be settled.
    Real(Vec<f64>),
    /// Dates and times as text.
    Text(Vec<String>),
}

impl Default for Times {
    fn default() -> Self {
        Self::Ns(Vec::new())
    }
}

impl Times {
    fn len(&self) -> usize {
        match self {
            Self::Ns(time) | Self::Whole(time) => time.len(),
            Self::Real(time) => time.len(),
            Self::Text(time) => time.len(),
        }
    }
}

/// Columns of a recording. Those that it does not have stay empty; the others are as long as `time`.
#[derive(Debug, Clone, Default)]
pub struct Arrays {
    /// Times of the rows.
    pub time: Times,
    /// Names of the columns of time and of x.
    pub names: [String; 2],
    /// Acceleration, in the unit that its name or its norm tells.
    pub xyz: [Vec<f32>; 3],
    /// Angular rate, degrees a second.
    pub gyro: [Vec<f32>; 3],
    /// Lux.
    pub light: Vec<f32>,
    /// Degrees Celsius.
    pub temperature: Vec<f32>,
    /// Index into [`Header::labels`], -1 without a label.
    pub annotation: Vec<i32>,
}

/// A reader over [`Arrays`].
pub struct ArrayReader {
    header: Header,
    rows: Batch,
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
    pub fn new(mut header: Header, arrays: Arrays, reading: Reading) -> Result<Self> {
        let timestamps = reading.timestamps;
        let Arrays { time, names: [name, of_x], xyz, gyro, light, temperature, annotation } = arrays;
        let n = time.len();
        let full = xyz.iter().map(Vec::len);
        let others = gyro.iter().map(Vec::len).chain([light.len(), temperature.len(), annotation.len()]);
        if let Some(got) = full.chain(others.filter(|len| *len > 0)).find(|len| *len != n) {
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
        let time = match (nanoseconds(time, &mut layout, reading.date_order, &mut events), reading.rate) {
            (Err(Error::Malformed { .. }), Some(rate)) => {
                layout.time = Time::Counted { start: 0, period: 1e9 / rate };
                layout.rate = rate;
                (0..n).map(|row| (row as f64 * 1e9 / rate).round() as i64).collect()
            }
            (time, _) => time?,
        };
        layout.hold_against(reading.rate);
        let mut rows = Batch { xyz, gyro, time, light, temperature, annotation, ..Batch::default() };
        layout.settle_units(norms(&rows.xyz), true);
        if layout.descending && timestamps == Timestamps::Device {
            rows.reverse();
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
        Ok(Self { header, rows, scale, sentinels, only_count, clock, next: 0, events })
    }
}

/// ns since 1970 of the rows, and what the layout says of them.
fn nanoseconds(time: Times, layout: &mut Layout, order: DateOrder, events: &mut Vec<Event>) -> Result<Vec<i64>> {
    let refused = |reason: String| Error::malformed("columns", 0, format!("time: {reason}"));
    let ns = match time {
        Times::Ns(time) => time,
        Times::Whole(time) => {
            let values: Vec<f64> = time.iter().take(SAMPLE).map(|t| *t as f64).collect();
            let all = || time.iter().map(|t| *t as f64).collect();
            let unit = layout.unit_of_numbers(values, all).map_err(refused)?;
            time.iter().map(|t| unit.ns_of_whole(*t).unwrap_or(i64::MIN)).collect()
        }
        Times::Real(time) => {
            let finite = || time.iter().copied().filter(|t| t.is_finite());
            let unit =
                layout.unit_of_numbers(finite().take(SAMPLE).collect(), || finite().collect()).map_err(refused)?;
            time.iter().map(|t| unit.ns_of_real(*t).unwrap_or(i64::MIN)).collect()
        }
        Times::Text(texts) => {
            layout.time = Time::Written { column: 0, order: Order::YearMonthDay };
            let first: Vec<[&[u8]; 2]> = texts.iter().take(SAMPLE).map(|t| [&b""[..], t.as_bytes()]).collect();
            layout.settle_time(&first, true)?;
            let mut dates = Dates::default();
            if layout.open.order {
                texts.iter().for_each(|text| dates.look(date_of(text.as_bytes())));
            }
            settle_order(layout, dates.order(), order);
            match layout.time {
                Time::Numeric { unit, .. } => {
                    texts.iter().map(|text| unit.ns(text.trim().as_bytes()).unwrap_or(i64::MIN)).collect()
                }
                Time::Written { order, .. } => written(&texts, order, events),
                Time::Split { .. } | Time::Counted { .. } => Vec::new(),
            }
        }
    };
    let known = ns.iter().copied().filter(|t| *t != i64::MIN);
    let first = known.clone().next().ok_or_else(|| refused("expected a time in some row, got none".into()))?;
    layout.settle_rate_of(&known.take(SAMPLE).map(|t| t.saturating_sub(first) as f64).collect::<Vec<_>>())?;
    Ok(ns)
}

/// Written times on the clock of the first.
fn written(texts: &[String], order: Order, events: &mut Vec<Event>) -> Vec<i64> {
    let (mut cached, mut clock) = (Cached::default(), LocalClock::default());
    let row = |(index, text): (usize, &String)| {
        let (time, change) = clock.time(cached.written(text.trim().as_bytes(), order)?)?;
        if change != 0 {
            let event = Event::at("zone_changes", 0, index as u64);
            events.push(Event { time: Some(time), value: change as f64 / 1e9, ..event });
        }
        Some(time)
    };
    texts.iter().enumerate().map(row).map(|time| time.unwrap_or(i64::MIN)).collect()
}

/// Norms of the first rows that are not zero.
fn norms(xyz: &[Vec<f32>; 3]) -> Vec<f32> {
    let [x, y, z] = xyz;
    let norms = x.iter().zip(y).zip(z).map(|((x, y), z)| (x * x + y * y + z * z).sqrt());
    norms.filter(|n| n.is_finite() && *n > 0.0).take(SAMPLE).collect()
}

impl Reader for ArrayReader {
    fn header(&self) -> &Header {
        &self.header
    }

    fn size_hint(&self) -> Option<u64> {
        Some(self.rows.time.len() as u64)
    }

    fn read(&mut self, batch: &mut Batch, quality: &mut Quality) -> Result<bool> {
        self.events.drain(..).for_each(|event| quality.note(event));
        let part = self.next..(self.next + BATCH).min(self.rows.len());
        self.clock.mark(0, part.start as u64);
        let mut piece = self.rows.piece(part.clone());
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
        let more = self.next < self.rows.len();
        self.clock.advance(!more, batch, quality)?;
        self.header.nominal_rate = self.clock.rate().unwrap_or(self.header.nominal_rate);
        Ok(more)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::super::columns::collect;
    use super::super::{Stream, Timestamps};
    use super::*;

    fn reader(arrays: Arrays) -> Result<ArrayReader> {
        ArrayReader::new(Header::default(), arrays, Timestamps::Device.into())
    }

    fn arrays(time: Vec<i64>) -> Arrays {
        let n = time.len();
        Arrays { time: Times::Ns(time), xyz: [0.0, 0.5, 1.0].map(|v| vec![v; n]), ..Arrays::default() }
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
    fn columns_of_different_lengths_and_no_samples_are_refused() {
        let mut wrong = arrays(vec![0, 10]);
        wrong.light = vec![1.0];
        assert!(matches!(reader(wrong), Err(Error::Shape(_))));
        assert!(matches!(reader(arrays(Vec::new())), Err(Error::Malformed { .. })));
    }

    #[test]
    fn rows_of_zeros_and_without_a_number_have_no_norm() {
        let xyz = [vec![3.0, 0.0, f32::NAN, 0.0], vec![4.0, 0.0, 1.0, 0.0], vec![0.0, 0.0, 1.0, 2.0]];
        assert_eq!(norms(&xyz), [5.0, 2.0]);
    }
}

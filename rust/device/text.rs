//! Rows of text: OmGui, ActiLife, Capture-24, NHANES, and any table whose header names time, x, y and z.
//!
//! [`super::table`] finds the layout; this file decodes row after row and gives them to a [`RowClock`], which settles order,
//! runs and times. A row that does not fit is left out and counted with its offset; a value that is empty or `nan` is
//! missing. A zone that is written behind the times is honoured: the local clock of the first row goes on.

use std::collections::HashMap;

use super::calendar;
use super::clocks::{Cached, LocalClock};
use super::fields::{self, Row, Time};
use super::lines::Lines;
use super::number::float;
use super::owners::Owner;
use super::rows::RowClock;
use super::source::Source;
use super::stored::Stored;
use super::survey;
use super::table::Layout;
use super::{Batch, Event, Header, Quality, Reader, Reading, Timestamps};
use crate::error::{Error, Result};

/// Rows decoded in one call.
const BATCH: usize = 8192;
/// Labels, and bytes of all labels, that a file may have.
const MAX_LABELS: usize = 1 << 16;
const MAX_LABEL_BYTES: usize = 16 << 20;
/// Rows of a file whose newest row comes first: they are held until the last is read.
const MAX_REVERSED: u64 = 100_000_000;

/// True where the first bytes are rows of a known layout.
pub fn sniff(first: &[u8]) -> bool {
    Layout::find(first, &Timestamps::Device.into()).is_ok()
}

/// Why the first bytes are no rows: one answer for bytes of no known format, the layout's own for text.
pub(super) fn refusal(first: &[u8], reading: &Reading) -> Option<Error> {
    let printable = |b: &u8| b.is_ascii_graphic() || matches!(b, b' ' | b'\t' | b'\r' | b'\n') || *b >= 0x80;
    match Layout::find(first, reading) {
        Err(Error::Malformed { .. }) if !first.iter().take(512).all(printable) => {
            Some(Error::malformed("file", 0, "expected a recording, got bytes of no known format"))
        }
        Err(other) => Some(other),
        Ok(_) => None,
    }
}

/// A file of rows.
pub struct Text {
    lines: Lines,
    layout: Layout,
    header: Header,
    decoder: Rows,
    clock: RowClock,
    /// All rows of a file whose newest row comes first, those on their way there, and how many were handed out.
    reversed: Stored,
    decoded: Batch,
    handed: usize,
    index: u64,
    good: u64,
    missing: Option<Event>,
    decimals: usize,
}

impl Text {
    /// Finds the layout.
    ///
    /// # Errors
    /// [`Error::Malformed`] without one; the file system's.
    pub fn new(source: Source, reading: &Reading) -> Result<Self> {
        let mut layout = Layout::find(source.peek(), reading)?;
        match (survey::complete(&mut layout, &source, reading.date_order), reading.rate) {
            (Err(Error::Malformed { .. }), Some(rate)) => layout = Layout::timeless(source.peek(), rate, reading.unit)?,
            (settled, _) => settled?,
        }
        layout.hold_against(reading.rate);
        let header = layout.header();
        let plain = reading.timestamps == Timestamps::Actipy && !layout.coarse;
        layout.descending &= !plain;
        let decoder = Rows::new(&layout, !plain);
        let mut lines = Lines::new(source);
        for _ in 0..layout.skip {
            lines.next()?;
        }
        Ok(Self {
            lines,
            header,
            decoder,
            clock: if plain { RowClock::plain(layout.rate) } else { RowClock::default() },
            layout,
            reversed: Stored::new(reading.temporary.as_deref()),
            decoded: Batch::default(),
            handed: 0,
            index: 0,
            good: 0,
            missing: None,
            decimals: 0,
        })
    }

    /// Bytes taken so far.
    pub(super) fn position(&self) -> u64 {
        self.lines.position()
    }

    /// Rows seen so far.
    pub(super) fn rows(&self) -> u64 {
        self.index
    }

    fn end(&mut self, quality: &mut Quality) -> Result<()> {
        if let Some(event) = self.missing.take() {
            quality.note(event);
        }
        self.layout.events.drain(..).for_each(|event| quality.note(event));
        self.lines.source().note_damage(self.index, quality);
        if self.good == 0 {
            let rows = self.index;
            let reason = format!("expected at least one row of time, x, y, z, got none among {rows}");
            return Err(Error::malformed(self.layout.format, self.lines.position(), reason));
        }
        Ok(())
    }

    /// Decodes a line.
    fn line(&mut self, quality: &mut Quality) -> Result<bool> {
        let Some(line) = self.lines.next()? else { return Ok(false) };
        let index = self.index;
        self.index += 1;
        let text = self.lines.bytes(&line);
        if text.is_empty() && !line.long {
            self.index = index;
            return Ok(true);
        }
        let event = |kind| Event::at(kind, line.offset, index);
        if line.long {
            quality.note(event("long_row"));
            return Ok(true);
        }
        let text = if line.offset == 0 { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text) } else { text };
        let decoded = self.decoder.decode(text, &self.layout, index, &mut self.header.labels);
        if let Some(column) = self.decoder.several {
            let reason = format!(
                "expected rows of one recording, got several subjects or devices in column {}; rename it if it names neither",
                column + 1
            );
            return Err(Error::malformed(self.layout.format, line.offset, reason));
        }
        let Some((time, missing)) = decoded else {
            quality.note(event("bad_row"));
            return Ok(true);
        };
        // the last row without a line end, its last number shorter than the one above: it was cut
        let decimals = text.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        if !line.ended && decimals < self.decimals {
            quality.note(Event { time: Some(time), ..event("cut_row") });
        }
        self.decimals = decimals;
        if missing {
            let first = self.missing.get_or_insert(Event { time: Some(time), count: 0, ..event("missing_values") });
            first.count += 1;
        } else if let Some(event) = self.missing.take() {
            quality.note(event);
        }
        if self.decoder.sentinel {
            quality.note(Event { time: Some(time), ..event("sentinel_value") });
        }
        if let Some(change) = self.decoder.zone_change.take() {
            quality.note(Event { time: Some(time), value: change as f64 / 1e9, ..event("zone_changes") });
        }
        let rows = if self.layout.descending { &mut self.decoded } else { self.clock.rows() };
        self.decoder.append(&self.layout, time, index, rows);
        self.good += 1;
        Ok(true)
    }

    /// Hands out the rows of a file whose newest row comes first, once all are there.
    fn read_reversed(&mut self, batch: &mut Batch, quality: &mut Quality) -> Result<bool> {
        while self.line(quality)? {
            if self.decoded.len() == BATCH {
                self.reversed.append(&mut self.decoded)?;
            }
            if self.good >= MAX_REVERSED {
                return Err(Error::Limit { name: "rows of a file whose newest row comes first", max: MAX_REVERSED });
            }
        }
        self.reversed.append(&mut self.decoded)?;
        if self.reversed.is_empty() {
            self.end(quality)?;
        } else if self.clock.is_fresh() {
            quality.note(Event { count: self.good, ..Event::at("rows_reversed", 0, 0) });
        }
        let end = (self.handed + BATCH).min(self.reversed.len());
        self.clock.rows().append(&mut self.reversed.piece_from_end(self.handed..end)?)?;
        self.handed = end;
        let more = end < self.reversed.len();
        self.advance(more, batch, quality)
    }

    fn advance(&mut self, more: bool, batch: &mut Batch, quality: &mut Quality) -> Result<bool> {
        self.clock.advance(!more, batch, quality)?;
        if let (Some(rate), false) = (self.clock.rate(), matches!(self.layout.time, Time::Counted { .. })) {
            self.header.nominal_rate = rate;
        }
        if !more {
            self.end(quality)?;
        }
        Ok(more)
    }
}

impl Reader for Text {
    fn header(&self) -> &Header {
        &self.header
    }

    fn size_hint(&self) -> Option<u64> {
        self.lines.source().size_hint().map(|bytes| bytes * 21 / 20 / self.layout.bytes_per_row.max(1) + 64)
    }

    fn read(&mut self, batch: &mut Batch, quality: &mut Quality) -> Result<bool> {
        if self.layout.descending {
            return self.read_reversed(batch, quality);
        }
        self.clock.mark(self.lines.position(), self.index);
        self.clock.rows().make_room(BATCH)?;
        let mut more = true;
        for _ in 0..BATCH {
            more = self.line(quality)?;
            if !more {
                break;
            }
        }
        self.advance(more, batch, quality)
    }
}

/// Decodes rows of one layout.
struct Rows {
    row: Row,
    clock: Cached,
    values: [f32; 8],
    label: i32,
    last_label: Vec<u8>,
    codes: HashMap<Vec<u8>, i32>,
    label_bytes: usize,
    owners: Vec<Owner>,
    /// Field that names several subjects or devices.
    several: Option<usize>,
    /// Zones are honoured, and numbers that stand for no value are taken out.
    corrects: bool,
    /// The row holds such a number.
    sentinel: bool,
    local: LocalClock,
    /// ns by which the row's zone differs from the one before.
    zone_change: Option<i64>,
}

impl Rows {
    fn new(layout: &Layout, corrects: bool) -> Self {
        Self {
            row: Row::new(layout.separator),
            clock: Cached::default(),
            values: [f32::NAN; 8],
            label: -1,
            last_label: Vec::new(),
            codes: HashMap::new(),
            label_bytes: 0,
            owners: layout.owners.iter().map(|_| Owner::default()).collect(),
            several: None,
            corrects,
            sentinel: false,
            local: LocalClock::default(),
            zone_change: None,
        }
    }

    /// Time of a row and whether a value of its acceleration is missing; the values stay in `self`.
    fn decode(&mut self, text: &[u8], layout: &Layout, index: u64, labels: &mut Vec<String>) -> Option<(i64, bool)> {
        if self.row.split(text) < layout.columns {
            return None;
        }
        let time = match layout.time {
            Time::Numeric { column, unit } => unit.ns(self.row.field(text, column))?,
            Time::Written { column, order } => {
                let written = self.clock.written(self.row.field(text, column), order)?;
                if self.corrects {
                    let (time, change) = self.local.time(written)?;
                    self.zone_change = (change != 0).then_some(change);
                    time
                } else {
                    written.time
                }
            }
            Time::Split { day, time, order } => {
                calendar::date_and_time(self.row.field(text, day), self.row.field(text, time), order)?
            }
            Time::Counted { start, period } => start.checked_add((index as f64 * period).round() as i64)?,
        };
        let mut missing = false;
        for (i, (value, column)) in self.values.iter_mut().zip(layout.channels).enumerate() {
            *value = f32::NAN;
            let Some(column) = column else { continue };
            let text = self.row.field(text, column);
            match float(text) {
                Some(v) => *value = v,
                None if fields::is_missing(text) => missing |= i < 3,
                None => return None,
            }
        }
        missing |= self.take_out_sentinels(layout);
        if !layout.owners.is_empty() {
            self.look_at_owners(text, layout);
        }
        if let Some(column) = layout.annotation {
            let text = self.row.field(text, column);
            if text != self.last_label.as_slice() {
                let label = text.to_vec();
                self.label = self.code(&label, labels);
                self.last_label = label;
            }
        }
        Some((time, missing))
    }

    /// Marks a row with numbers that stand for no value, and takes them out; true where one is missing then.
    #[inline]
    fn take_out_sentinels(&mut self, layout: &Layout) -> bool {
        let [x, y, z, ..] = self.values;
        let missing = layout.sentinels.find([x, y, z]);
        self.sentinel = missing != [false; 3] && layout.exchanged.is_none();
        if !self.sentinel || !self.corrects {
            return false;
        }
        self.values.iter_mut().zip(missing).filter(|(_, absent)| *absent).for_each(|(value, _)| *value = f32::NAN);
        true
    }

    // Out of line: few tables have such columns, and within the loop over rows this cost all others a tenth of their time.
    #[cold]
    #[inline(never)]
    fn look_at_owners(&mut self, text: &[u8], layout: &Layout) {
        for (column, owner) in layout.owners.iter().zip(&mut self.owners) {
            if owner.look(self.row.field(text, *column)) {
                self.several = self.several.or(Some(*column));
            }
        }
    }

    fn code(&mut self, label: &[u8], labels: &mut Vec<String>) -> i32 {
        if label.is_empty() {
            return -1;
        }
        if let Some(code) = self.codes.get(label) {
            return *code;
        }
        if labels.len() >= MAX_LABELS || self.label_bytes + label.len() > MAX_LABEL_BYTES {
            return -1;
        }
        let code = labels.len() as i32;
        self.label_bytes += label.len();
        labels.push(String::from_utf8_lossy(label).into_owned());
        self.codes.insert(label.to_vec(), code);
        code
    }

    /// Appends the decoded row, the file's `index`th.
    fn append(&self, layout: &Layout, time: i64, index: u64, batch: &mut Batch) {
        let from = batch.len();
        let [mut x, mut y, mut z, mut gx, mut gy, mut gz, temperature, light] = self.values;
        if let Some((_, scale)) = layout.exchanged.filter(|(rows, _)| index < *rows) {
            [x, y, z, gx, gy, gz] = [gx * scale, gy * scale, gz * scale, x / scale, y / scale, z / scale];
        }
        let [to_x, to_y, to_z] = &mut batch.xyz;
        let scale = layout.scale;
        to_x.push(x * scale);
        to_y.push(y * scale);
        to_z.push(z * scale);
        batch.time.push(time);
        let [.., t, l] = layout.channels;
        if let [_, _, _, Some(_), ..] = layout.channels {
            for (channel, value) in batch.gyro.iter_mut().zip([gx, gy, gz]) {
                channel.resize(from, f32::NAN);
                channel.push(value * layout.gyro_scale);
            }
        }
        for (channel, value, column) in [(&mut batch.temperature, temperature, t), (&mut batch.light, light, l)] {
            if column.is_some() {
                channel.resize(from, f32::NAN);
                channel.push(value);
            }
        }
        if layout.annotation.is_some() {
            batch.annotation.resize(from, -1);
            batch.annotation.push(self.label);
        }
    }
}

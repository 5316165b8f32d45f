//! Rows of text: OmGui, ActiLife, Capture-24, NHANES, and any table whose header names time, x, y and z.
//!
//! [`super::table`] finds the layout in the first rows; this file decodes row after row. A row that does not fit is left out
//! and counted with its offset; a value that is empty or `nan` is missing.

use std::collections::HashMap;

use super::calendar::{self, Cached};
use super::fields::{self, Row, Time};
use super::lines::Lines;
use super::number::{float, nanoseconds};
use super::source::Source;
use super::table::Layout;
use super::{Batch, Block, Event, Header, Quality, Reader, Stamp};
use crate::error::{Error, Result};

/// Rows decoded in one call.
const BATCH: usize = 8192;
/// Labels, and bytes of all labels, that a file may have.
const MAX_LABELS: usize = 1 << 16;
const MAX_LABEL_BYTES: usize = 16 << 20;

/// True where the first bytes are rows of a known layout.
pub fn sniff(first: &[u8]) -> bool {
    Layout::find(first).is_ok()
}

/// Why the first bytes are no rows: one answer for bytes of no known format, the layout's own for text.
pub(super) fn refusal(first: &[u8]) -> Option<Error> {
    let printable = |b: &u8| b.is_ascii_graphic() || matches!(b, b' ' | b'\t' | b'\r' | b'\n') || *b >= 0x80;
    match Layout::find(first) {
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
    /// The group of equal stamps that is not closed yet.
    group: Group,
    index: u64,
    good: u64,
    /// Rows added and not yet covered by a block, and where the first of them stands.
    open: u32,
    open_at: (u64, u64),
    missing: Option<Event>,
    decimals: usize,
}

/// Stamps too coarse to tell rows apart: (time, rows) of the group that is filling, and the first group's.
#[derive(Debug, Default)]
struct Group {
    time: Option<i64>,
    rows: u32,
    first: Option<u32>,
}

impl Text {
    /// Finds the layout.
    ///
    /// # Errors
    /// [`Error::Malformed`] without one; the file system's.
    pub fn new(source: Source) -> Result<Self> {
        let layout = Layout::find(source.peek())?;
        let mut header = layout.header();
        header.nominal_rate = layout.rate;
        let decoder = Rows::new(&layout);
        let mut lines = Lines::new(source);
        for _ in 0..layout.skip {
            lines.next()?;
        }
        Ok(Self {
            lines,
            layout,
            header,
            decoder,
            group: Group::default(),
            index: 0,
            good: 0,
            open: 0,
            open_at: (0, 0),
            missing: None,
            decimals: 0,
        })
    }

    /// Rows a second, known from elsewhere.
    pub(super) fn set_rate(&mut self, rate: f64) {
        self.layout.rate = rate;
    }

    /// Bytes taken so far.
    pub(super) fn position(&self) -> u64 {
        self.lines.position()
    }

    /// Rows seen so far.
    pub(super) fn rows(&self) -> u64 {
        self.index
    }

    fn close(&mut self, stamp: Stamp, batch: &mut Batch) {
        if self.open == 0 {
            return;
        }
        batch.blocks.push(Block {
            n: self.open,
            offset: self.open_at.0,
            index: self.open_at.1,
            rate: self.layout.rate,
            stamp,
            new_run: false,
            temperature: f32::NAN,
            light: f32::NAN,
            battery: f32::NAN,
        });
        self.open = 0;
    }

    /// Closes the group of equal stamps. The first group may have begun anywhere inside its step, so that its rows are
    /// timed back from the second.
    fn close_group(&mut self, batch: &mut Batch) {
        let Some(time) = self.group.time else { return };
        if self.group.first.is_none() {
            self.group.first = Some(self.group.rows);
        } else {
            let at = i64::from(self.open - self.group.rows);
            self.close(Stamp::At { at, time }, batch);
        }
        self.group.rows = 0;
    }

    fn end(&mut self, batch: &mut Batch, quality: &mut Quality) -> Result<()> {
        if let (Some(time), true) = (self.group.time, self.layout.coarse) {
            self.close(Stamp::At { at: i64::from(self.open - self.group.rows), time }, batch);
        }
        if let Some(event) = self.missing.take() {
            quality.note(event);
        }
        if let Some(event) = self.layout.doubt.take() {
            quality.note(event);
        }
        self.lines.source().note_damage(self.index, quality);
        if self.good == 0 {
            let rows = self.index;
            let reason = format!("expected at least one row of time, x, y, z, got none among {rows}");
            return Err(Error::malformed(self.layout.format, self.lines.position(), reason));
        }
        Ok(())
    }

    /// Decodes a line into the batch.
    fn line(&mut self, batch: &mut Batch, quality: &mut Quality) -> Result<bool> {
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
        if self.layout.coarse && self.group.time != Some(time) {
            self.close_group(batch);
            self.group.time = Some(time);
        }
        if self.open == 0 {
            self.open_at = (line.offset, index);
        }
        self.decoder.append(&self.layout, time, batch);
        self.group.rows += 1;
        self.open += 1;
        self.good += 1;
        Ok(true)
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
        for _ in 0..BATCH {
            if !self.line(batch, quality)? {
                if !self.layout.coarse {
                    self.close(Stamp::Each, batch);
                }
                self.end(batch, quality)?;
                return Ok(false);
            }
        }
        if !self.layout.coarse {
            self.close(Stamp::Each, batch);
        }
        Ok(true)
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
}

impl Rows {
    fn new(layout: &Layout) -> Self {
        Self {
            row: Row::new(layout.separator),
            clock: Cached::default(),
            values: [f32::NAN; 8],
            label: -1,
            last_label: Vec::new(),
            codes: HashMap::new(),
            label_bytes: 0,
        }
    }

    /// Time of a row and whether a value of its acceleration is missing; the values stay in `self`.
    fn decode(&mut self, text: &[u8], layout: &Layout, index: u64, labels: &mut Vec<String>) -> Option<(i64, bool)> {
        if self.row.split(text) < layout.columns {
            return None;
        }
        let field = |i: usize| self.row.field(text, i);
        let time = match layout.time {
            Time::Numeric { column, exponent } => nanoseconds(field(column), exponent)?,
            Time::Written { column, order: calendar::Order::YearMonthDay } => self.clock.date_time(field(column))?,
            Time::Written { column, order } => calendar::date_time(field(column), order)?,
            Time::Split { day, time, order } => calendar::date_and_time(field(day), field(time), order)?,
            Time::Counted { start, period } => start.checked_add((index as f64 * period).round() as i64)?,
        };
        let mut missing = false;
        for (i, (value, column)) in self.values.iter_mut().zip(layout.channels).enumerate() {
            *value = f32::NAN;
            let Some(column) = column else { continue };
            let text = field(column);
            match float(text) {
                Some(v) => *value = v,
                None if fields::is_missing(text) => missing |= i < 3,
                None => return None,
            }
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

    /// Appends the decoded row.
    fn append(&self, layout: &Layout, time: i64, batch: &mut Batch) {
        let from = batch.len();
        let [x, y, z, gx, gy, gz, temperature, light] = self.values;
        let [to_x, to_y, to_z] = &mut batch.xyz;
        let scale = layout.scale;
        to_x.push(x * scale);
        to_y.push(y * scale);
        to_z.push(z * scale);
        batch.time.push(if layout.coarse { 0 } else { time });
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

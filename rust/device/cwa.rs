//! Axivity CWA: AX3 and AX6, packed and unpacked, every firmware's stamps.
//!
//! A 1024-byte header, then blocks of 512 bytes: a 30-byte head (sequence number, packed local time, light, temperature,
//! events, battery, rate code), 480 bytes of samples and a check sum that makes the 256 words add up to zero. The stamp is
//! the time of the last drain of the sensor's queue: whole second and, since firmware 23, a fraction, with the sample at
//! which it holds (openmovement, `Docs/ax3/cwa.h`, `ax3-technical.md`, `Logger.c`). That sample may lie in another block.
//!
//! What is left out is counted: bad check sums, blank blocks, impossible dates, rates or layouts, and blocks of another
//! session or device than the recording's. A block out of sequence begins a new run, so that nothing is ever stretched over
//! a lost one. Where the clock lost the time but the sequence goes on, the blocks are timed by their neighbours.
//!
//! Firmware before 56 of an AX6 exchanges acceleration and gyroscope at the start of a recording: in the first 1,024 samples
//! (54, 55), in the first 128 before (openmovement, `Downloads/AX3/AX3-Firmware.md`). They are put back where the numbers
//! agree. By actipy's rule all this is counted and nothing of it done.

use std::collections::VecDeque;

use super::copies::{Copies, sum_of};
use super::source::Source;
use super::steps;
use super::{Batch, Block, Event, Header, OLDEST, Quality, Reader, Stamp, Timestamps};
use crate::error::{Error, Result};
use block::{Bytes, Head, Layout, decode, head};
use bytes::{BLOCK, HEADER_MAGIC, MAGIC, u16_at};
use start::Start;

mod block;
mod bytes;
mod checks;
#[cfg(test)]
mod exhaustive;
mod header;
mod start;

/// Blocks decoded in one call: 7,680 packed samples, which stay in the second-level cache.
const BATCH: usize = 64;
/// Blocks looked ahead for one that was written out of order.
const AHEAD: usize = 8;

/// True where the first bytes are a CWA header or hold a data block at a multiple of 512.
pub fn sniff(first: &[u8]) -> bool {
    first.starts_with(&HEADER_MAGIC) || first.chunks(BLOCK).any(|block| block.starts_with(&MAGIC))
}

/// A CWA file.
pub struct Cwa {
    source: Source,
    timestamps: Timestamps,
    header: Header,
    start: Start,
    /// Room for bytes, of which the first `filled` were read and are not yet used up; the file offset of the first.
    buffer: Vec<u8>,
    filled: usize,
    offset: u64,
    /// Blocks at the front of `buffer` that were already used, out of order.
    used: VecDeque<bool>,
    index: u64,
    last: Option<Head>,
    copies: Copies,
    skipped: u32,
    sound: u64,
    span_end: Option<f64>,
    /// The last block whose stamp can be trusted, while the clock has lost the time.
    trusted: Option<Head>,
    /// The last block's clock had lost the time.
    lost: bool,
    /// Another file's header has come: what follows is not of this recording.
    foreign: bool,
    /// Whether the samples at the start are exchanged, once it is known.
    exchanged: Option<bool>,
    drained: bool,
}

impl Cwa {
    /// Reads the header.
    ///
    /// # Errors
    /// The file system's.
    pub fn new(mut source: Source, timestamps: Timestamps) -> Result<Self> {
        let first = source.peek();
        let header = header::describe(first);
        let start = Start::of(first);
        // the sectors of the header that are there: none, one or both
        let sectors = (0..2).take_while(|sector| !first.get(sector * BLOCK..).is_some_and(|b| b.starts_with(&MAGIC)));
        let mut skip = vec![0u8; BLOCK * sectors.count()];
        let offset = source.fill(&mut skip)? as u64;
        Ok(Self {
            source,
            timestamps,
            header,
            start,
            buffer: vec![0; (BATCH + AHEAD) * BLOCK],
            filled: 0,
            offset,
            used: VecDeque::new(),
            index: 0,
            last: None,
            copies: Copies::default(),
            skipped: 0,
            sound: 0,
            span_end: None,
            trusted: None,
            lost: false,
            foreign: false,
            exchanged: None,
            drained: false,
        })
    }

    fn refill(&mut self) -> Result<()> {
        let rest = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let room = rest.len();
        let got = self.source.fill(rest)?;
        self.filled += got;
        self.drained = got < room;
        Ok(())
    }

    /// The bytes that have been read and not yet used.
    fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }

    fn block(&self, position: usize) -> Option<&Bytes> {
        self.bytes().get(position..position + BLOCK)?.try_into().ok()
    }

    /// A block among the next ones that holds the sequence number that should come now, if `next` is ahead of it.
    fn earlier(&self, position: usize, next: &Head) -> Option<(usize, Head)> {
        let last = self.last.as_ref()?;
        let due = last.sequence.wrapping_add(1);
        if self.timestamps == Timestamps::Actipy
            || next.session != last.session
            || next.sequence <= due
            || next.sequence - due > AHEAD as u32
        {
            return None;
        }
        steps::count(AHEAD * BLOCK);
        (1..=AHEAD).find_map(|k| {
            let candidate = self.block(position + k * BLOCK).and_then(|bytes| head(bytes).ok())?;
            (candidate.sequence == due && candidate.session == last.session).then_some((k, candidate))
        })
    }

    /// Distance in bytes to the next sound block that is not at a multiple of 512, if the bytes at `position` are no block.
    fn misaligned(&self, position: usize) -> Option<usize> {
        let rest = self.bytes().get(position..)?;
        if self.timestamps == Timestamps::Actipy || rest.get(BLOCK..BLOCK + 4) == Some(&MAGIC) {
            return None;
        }
        rest.windows(BLOCK)
            .take(2 * BLOCK)
            .inspect(|window| steps::count(if window.starts_with(&MAGIC) { BLOCK } else { 1 }))
            .position(|window| window.starts_with(&MAGIC) && window.try_into().is_ok_and(|b| head(b).is_ok()))
            .filter(|&step| step % BLOCK != 0)
    }

    /// Reads the block at `position`; returns the bytes to the next one.
    fn step(&mut self, position: usize, batch: &mut Batch, quality: &mut Quality) -> usize {
        let mut step = BLOCK;
        steps::count(BLOCK);
        if !self.used.front().copied().unwrap_or(false) {
            match self.block(position).map(head) {
                Some(Ok(next)) => {
                    while let Some((ahead, first)) = self.earlier(position, &next) {
                        self.used.resize(self.used.len().max(ahead + 1), false);
                        if let Some(flag) = self.used.get_mut(ahead) {
                            *flag = true;
                        }
                        let (offset, index) = self.place(position, ahead);
                        quality.note(Event { time: Some(first.time()), ..Event::at("out_of_order", offset, index) });
                        self.take(position, ahead, first, batch, quality);
                    }
                    self.take(position, 0, next, batch, quality);
                }
                Some(Err(kind)) => step = self.leave_out(position, kind, quality),
                None => {}
            }
        }
        if step == BLOCK {
            self.used.pop_front();
        } else {
            self.used.clear();
        }
        self.index += 1;
        step
    }

    /// File offset and number of the block `ahead` places behind the one at `position` of the buffer.
    fn place(&self, position: usize, ahead: usize) -> (u64, u64) {
        (self.offset + (position + ahead * BLOCK) as u64, self.index + ahead as u64)
    }

    /// Notes a block that cannot be used; returns the bytes to the next one that may be.
    fn leave_out(&mut self, position: usize, kind: &'static str, quality: &mut Quality) -> usize {
        let (offset, index) = self.place(position, 0);
        if self.block(position).is_some_and(|bytes| bytes.starts_with(&HEADER_MAGIC)) {
            self.foreign = true;
            quality.note(Event::at("other_session", offset, index));
            return BLOCK;
        }
        let step = if kind == "unknown_block" { self.misaligned(position) } else { None };
        quality.note(Event { time: self.last.map(|h| h.time()), ..Event::at(kind, offset, index) });
        self.skipped += 1;
        if let Some(step) = step {
            quality.note(Event { value: step as f64, ..Event::at("misaligned", offset, index) });
        }
        step.unwrap_or(BLOCK)
    }

    /// Whether a block begins a new run, by its sequence number.
    fn follows(&self, next: &Head, (offset, index): (u64, u64), quality: &mut Quality) -> bool {
        let Some(last) = &self.last else { return true };
        let mut note =
            |kind, count| quality.note(Event { time: Some(next.time()), count, ..Event::at(kind, offset, index) });
        if next.events & 0x30 != 0 {
            note("queue_overrun", 1);
        }
        if next.rate != last.rate {
            note("rate_change", 1);
        }
        if next.layout != last.layout {
            note("layout_change", 1);
        }
        if next.session != last.session {
            note("session_change", 1);
            return true;
        }
        let step = i64::from(next.sequence) - i64::from(last.sequence);
        let missing = step - 1 - i64::from(self.skipped);
        if next.began_anew(last) {
            note("restart", 1);
        } else if step > 1 && missing > 0 {
            note("lost_blocks", missing as u64);
        } else if step < 1 {
            note("out_of_order", 1);
        }
        step != 1 || self.skipped > 0 || next.layout != last.layout
    }

    /// Adds a sound block, `ahead` places behind the one that is due when it was written out of order.
    fn take(&mut self, position: usize, ahead: usize, head: Head, batch: &mut Batch, quality: &mut Quality) {
        let location = self.place(position, ahead);
        let Some(bytes) = self.block(position + ahead * BLOCK).copied() else { return };
        let event = |kind| Event { time: Some(head.time()), ..Event::at(kind, location.0, location.1) };
        let device = self.timestamps == Timestamps::Device;
        if std::mem::take(&mut self.start.without_header) {
            quality.note(Event::at("missing_header", 0, 0));
        }
        if std::mem::take(&mut self.start.session_differs) {
            quality.note(event("session_differs"));
        }
        let session = *self.start.session.get_or_insert(head.session);
        if self.foreign || head.session != session {
            quality.note(event("other_session"));
            if device {
                return;
            }
        }
        let back = self.last.is_some_and(|last| head.sequence <= last.sequence);
        if self.copies.repeats(sum_of(head.key(u16_at(&bytes, BLOCK - 2))), back) {
            quality.note(event("repeated_block"));
            if device {
                return;
            }
        }
        if usize::from(head.stated) > head.count {
            quality.note(Event { value: f64::from(head.stated), ..event("bad_count") });
        }
        let restart = self.last.is_some_and(|last| head.began_anew(&last));
        let new_run = self.follows(&head, location, quality);
        let lost = self.lost_clock(position, &head);
        if lost {
            quality.note(event("clock_lost"));
        }
        let stamp = match self.timestamps {
            Timestamps::Device if lost => Stamp::Follows,
            Timestamps::Device => head.stamp(),
            Timestamps::Actipy => head.span(&mut self.span_end),
        };
        let exchanged = self.exchanged(&head, &bytes);
        if exchanged > 0 {
            quality.note(Event { count: exchanged as u64, ..event("exchanged_sensors") });
        }
        self.learn(&head, lost);
        if head.count == 0 {
            quality.note(event("empty_block"));
            return;
        }
        batch.blocks.push(Block {
            n: head.count as u32,
            offset: location.0,
            index: location.1,
            rate: head.rate,
            stamp,
            new_run,
            restart,
            temperature: head.celsius(),
            light: head.lux(),
            battery: head.volts(),
        });
        decode(&bytes, &head, if device { exchanged } else { 0 }, batch);
    }

    /// Stores a block as the last one, and fills a missing header from it.
    fn learn(&mut self, head: &Head, lost: bool) {
        if lost && !self.lost {
            self.trusted = self.last;
        }
        self.lost = lost;
        self.last = Some(*head);
        self.skipped = 0;
        self.sound += 1;
        if self.header.metadata.is_empty() {
            self.header.metadata.push(("session_id".into(), head.session.to_string()));
        }
        if self.header.nominal_rate == 0.0 {
            self.header.nominal_rate = head.rate;
        }
        if self.header.unit_s == 0.0 {
            self.header.unit_s = head.layout.capacity() as f64 / head.rate;
        }
        if self.header.device.is_empty() {
            let name = if matches!(head.layout, Layout::Words(6 | 9)) { "Axivity AX6" } else { "Axivity AX3" };
            self.header.device = name.into();
        }
    }

    fn end(&mut self, quality: &mut Quality) -> Result<()> {
        let rest = self.filled;
        if rest > 0 {
            quality.note(Event { value: rest as f64, ..Event::at("partial_block", self.offset, self.index) });
        }
        self.source.note_damage(self.index, quality);
        if self.sound == 0 {
            let blocks = self.index;
            return Err(Error::malformed(
                "cwa",
                self.offset,
                format!("expected at least one sound data block, got none among {blocks}"),
            ));
        }
        Ok(())
    }
}

impl Reader for Cwa {
    fn header(&self) -> &Header {
        &self.header
    }

    fn size_hint(&self) -> Option<u64> {
        self.source.size_hint().map(|bytes| bytes / BLOCK as u64 * 120)
    }

    fn read(&mut self, batch: &mut Batch, quality: &mut Quality) -> Result<bool> {
        self.refill()?;
        let end = if self.drained { self.filled } else { BATCH * BLOCK };
        let mut position = 0;
        while position + BLOCK <= end {
            position += self.step(position, batch, quality);
        }
        self.buffer.copy_within(position..self.filled, 0);
        self.filled -= position;
        self.offset += position as u64;
        if self.drained {
            self.end(quality)?;
        }
        Ok(!self.drained)
    }
}

//! Quality events of a recording: every skipped, blank, repeated or corrupt block, gap, restart and clock jump.

use std::collections::BTreeMap;

/// Events kept with their place. Beyond it only the counts go on, so that no file can fill the memory.
pub const MAX_EVENTS: usize = 100_000;

/// One thing that was wrong, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What: `bad_checksum`, `gap`, ... (see the constants of each reader).
    pub kind: &'static str,
    /// Byte offset in the uncompressed file.
    pub offset: u64,
    /// Position of the block (page, packet, row) in the file, from 0.
    pub block: u64,
    /// Device time in ns since 1970, where known.
    pub time: Option<i64>,
    /// How many (blocks, samples): the kind says of what.
    pub count: u64,
    /// A size, seconds for gaps and clock jumps; NaN for other kinds.
    pub value: f64,
}

impl Event {
    /// One of `kind` at a place, without time or size.
    pub fn at(kind: &'static str, offset: u64, block: u64) -> Self {
        Self { kind, offset, block, time: None, count: 1, value: f64::NAN }
    }
}

/// Kinds of which neighbouring blocks are one event.
const JOINED: [&str; 5] = ["blank_block", "clock_lost", "exchanged_sensors", "other_session", "sentinel_value"];
/// Kinds that count blocks, pages, records or rows that could not be read.
const LOST: [&str; 13] = [
    "bad_axes",
    "bad_checksum",
    "bad_date",
    "bad_page",
    "bad_rate",
    "bad_row",
    "bad_samples",
    "long_row",
    "lost_blocks",
    "lost_pages",
    "missing_pages",
    "partial_block",
    "unknown_block",
];
/// Kinds that count members of an archive that could not be read.
const LOST_MEMBERS: [&str; 2] = ["bad_member", "missing_member"];

/// Counts of every kind, exact, and the events themselves.
#[derive(Debug, Clone, Default)]
pub struct Quality {
    /// Kind -> how many in all.
    pub counts: BTreeMap<&'static str, u64>,
    /// The events, in file order as they were found.
    pub events: Vec<Event>,
    /// Bytes of the file, uncompressed, as far as blocks were found.
    pub bytes: u64,
    /// Members of an archive that were read, where the format has members.
    pub members: u64,
    /// Kind and block behind the last event, if it may be joined.
    open: Option<(&'static str, u64)>,
}

impl Quality {
    /// Counts an event and keeps it. Events of the same kind in neighbouring blocks are joined where the kind allows it.
    pub fn note(&mut self, event: Event) {
        // counts of pages and blocks are differences of numbers that a file states
        let count = self.counts.entry(event.kind).or_default();
        *count = count.saturating_add(event.count);
        let joins = self.open == Some((event.kind, event.block));
        self.open = JOINED.contains(&event.kind).then(|| (event.kind, event.block.saturating_add(1)));
        if let (true, Some(last)) = (joins, self.events.last_mut()) {
            last.count = last.count.saturating_add(event.count);
        } else if self.events.len() < MAX_EVENTS {
            self.events.push(event);
        } else {
            self.open = None;
            *self.counts.entry("events_not_listed").or_default() += 1;
        }
    }

    /// Share of the file, 0 to 1, that could not be read, when `sound` blocks (rows, where the format has no blocks) were.
    ///
    /// It is the largest of four: blocks left out or lost among all blocks, the same of an archive's members; bytes that belong to no record among all
    /// bytes; and what a damaged compression kept back, which is the value of that event, or everything where nothing in
    /// the file says how much is missing.
    pub fn damaged_share(&self, sound: u64) -> f64 {
        let lost = |kinds: &[&str]| kinds.iter().map(|kind| self.count(kind) as f64).sum::<f64>();
        let share = |lost: f64, sound: u64| if lost > 0.0 { lost / (lost + sound as f64) } else { 0.0 };
        let blocks = share(lost(&LOST), sound).max(share(lost(&LOST_MEMBERS), self.members));
        let (mut unknown, mut end, mut cut) = (0.0, 0.0f64, 0.0f64);
        for event in &self.events {
            let size = if event.kind == "unknown_bytes" && event.value > 0.0 { event.value } else { 0.0 };
            unknown += size;
            end = end.max(event.offset as f64 + size);
            if event.kind == "damaged_compression" {
                cut = cut.max(if event.value.is_nan() { 1.0 } else { event.value });
            }
        }
        let bytes = if unknown > 0.0 { unknown / end.max(self.bytes as f64) } else { 0.0 };
        blocks.max(bytes).max(cut).clamp(0.0, 1.0)
    }

    /// Takes back the events listed from the `from`-th on.
    pub fn forget(&mut self, from: usize) {
        for event in self.events.drain(from.min(self.events.len())..) {
            if let Some(count) = self.counts.get_mut(event.kind) {
                *count = count.saturating_sub(event.count);
            }
        }
        self.counts.retain(|_, count| *count > 0);
        self.open = None;
    }

    /// How many of a kind.
    pub fn count(&self, kind: &str) -> u64 {
        self.counts.get(kind).copied().unwrap_or(0)
    }
}

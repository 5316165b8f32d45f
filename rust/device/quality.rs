//! What was wrong with a recording: every skipped, blank, repeated or corrupt block, gap, restart and clock jump.

use std::collections::BTreeMap;

/// Events kept with their place. Beyond it only the counts go on, so that no file can fill the memory.
pub const MAX_EVENTS: usize = 1_000_000;

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
    /// A size, seconds for gaps and clock jumps; NaN where there is none.
    pub value: f64,
}

impl Event {
    /// One of `kind` at a place, without time or size.
    pub fn at(kind: &'static str, offset: u64, block: u64) -> Self {
        Self { kind, offset, block, time: None, count: 1, value: f64::NAN }
    }
}

/// Counts of every kind, exact, and the events themselves.
#[derive(Debug, Clone, Default)]
pub struct Quality {
    /// Kind -> how many in all.
    pub counts: BTreeMap<&'static str, u64>,
    /// The events, in file order as they were found.
    pub events: Vec<Event>,
}

impl Quality {
    /// Counts an event and keeps it. Neighbouring blank blocks are one event.
    pub fn note(&mut self, event: Event) {
        *self.counts.entry(event.kind).or_default() += event.count;
        if let Some(last) = self.events.last_mut()
            && last.kind == "blank_block"
            && event.kind == last.kind
            && last.block + last.count == event.block
        {
            last.count += event.count;
        } else if self.events.len() < MAX_EVENTS {
            self.events.push(event);
        } else {
            *self.counts.entry("events_not_listed").or_default() += 1;
        }
    }

    /// How many of a kind.
    pub fn count(&self, kind: &str) -> u64 {
        self.counts.get(kind).copied().unwrap_or(0)
    }
}

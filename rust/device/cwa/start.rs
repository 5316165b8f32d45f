//! What the first 64 KiB tell before the first block is used.

use super::block::{Head, head};
use super::{BLOCK, HEADER_MAGIC, OLDEST, u8_at, u32_at};

/// What the first bytes tell of the recording behind them.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// The recording's session, where the header states one that its blocks have.
    pub session: Option<u32>,
    /// Blocks of a lower sequence number were written before the clock was set.
    pub set_at: u32,
    /// Samples at the start in which the firmware exchanges acceleration and gyroscope.
    pub exchanged: u32,
}

impl Start {
    pub fn of(first: &[u8]) -> Self {
        let blocks = first.as_chunks::<BLOCK>().0;
        let heads: Vec<Head> = blocks.iter().filter_map(|block| head(block).ok()).collect();
        let mut start = Self::default();
        if first.starts_with(&HEADER_MAGIC) {
            let session = u32_at(first, 7);
            start.session = heads.iter().any(|head| head.session == session).then_some(session);
            start.exchanged = match u8_at(first, 41) {
                54 | 55 => 1024,
                0..54 => 128,
                _ => 0,
            };
        }
        if let Some(begin) = heads.first().filter(|head| head.seconds < OLDEST) {
            let goes_on = |(i, head): &(usize, &Head)| {
                head.session == begin.session && head.sequence == begin.sequence.wrapping_add(*i as u32)
            };
            let one = heads.iter().enumerate().take_while(goes_on);
            let set = one.map(|(_, head)| head).find(|head| head.seconds >= OLDEST);
            start.set_at = set.map_or(0, |head| head.sequence);
        }
        start
    }
}

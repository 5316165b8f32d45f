//! Facts from the first 64 KiB, before the first block is used.

use super::super::OLDEST;
use super::block::{Head, head};
use super::bytes::{BLOCK, WILD, u8_at, u32_at};
use super::header::is_header;

/// Facts of the recording from its first bytes.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// The recording's session, where the header states one that its blocks have.
    pub session: Option<u32>,
    /// The header is missing or empty: device, session and annotation are unknown.
    pub without_header: bool,
    /// The header states a session that no block has.
    pub session_differs: bool,
    /// Blocks of a lower sequence number were written before the clock was set.
    pub set_at: u32,
    /// Second of a first block that is a day and more from those behind it.
    pub wild: i64,
    /// Samples at the start in which the firmware exchanges acceleration and gyroscope.
    pub exchanged: u32,
}

impl Start {
    pub fn of(first: &[u8]) -> Self {
        let blocks = first.as_chunks::<BLOCK>().0;
        let heads: Vec<Head> = blocks.iter().filter_map(|block| head(block).ok()).collect();
        let mut start = Self { without_header: !is_header(first), ..Self::default() };
        if !start.without_header {
            let session = u32_at(first, 7);
            start.session = heads.iter().any(|head| head.session == session).then_some(session);
            start.session_differs = start.session.is_none() && !heads.is_empty();
            start.exchanged = match u8_at(first, 41) {
                54 | 55 => 1024,
                0..54 => 128,
                _ => 0,
            };
        }
        let day = WILD / 1_000_000_000;
        if let [first, second, third, ..] = heads.as_slice()
            && [first, second, third].map(|head| head.sequence.wrapping_sub(first.sequence)) == [0, 1, 2]
            && first.seconds.abs_diff(second.seconds) > day
            && second.seconds.abs_diff(third.seconds) < day
            && second.events & 1 == 0
        {
            (start.wild, start.set_at) = (first.seconds, second.sequence);
        }
        if let Some(begin) = heads.first().filter(|head| head.seconds < OLDEST) {
            let goes_on = |(i, head): &(usize, &Head)| {
                head.session == begin.session && head.sequence == begin.sequence.wrapping_add(*i as u32)
            };
            let one = heads.iter().enumerate().take_while(goes_on);
            let set = one.map(|(_, head)| head).find(|head| head.seconds >= OLDEST);
            start.set_at = set.map_or(start.set_at, |head| head.sequence);
        }
        start
    }
}

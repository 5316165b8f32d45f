//! The joints between one hour's member and the next.

use super::super::calendar::SECOND;
use super::super::{Block, Event, Quality, Stamp};

pub const HOUR: i64 = 3600 * SECOND;

/// Whether the first block of a member continues the one before it.
pub fn join(block: &mut Block, first: i64, before: Option<i64>, quality: &mut Quality) {
    let Some(before) = before else { return };
    let step = first.saturating_sub(before);
    block.new_run = block.stamp == Stamp::Settled && (step <= 0 || step as f64 > 2.5e9 / block.rate);
    if block.new_run {
        let kind = if step <= 0 { "clock_jump" } else { "gap" };
        let event = Event { value: step as f64 / 1e9, ..Event::at(kind, block.offset, block.index) };
        quality.note(Event { time: Some(first), ..event });
    }
}

/// The whole hour behind a time.
pub fn next_hour(time: i64) -> i64 {
    (time.div_euclid(HOUR) + 1).saturating_mul(HOUR)
}

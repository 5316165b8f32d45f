//! Checks of a block against its neighbours and its firmware.

use super::block::{Bytes, Head, Layout, head};
use super::bytes::{BLOCK, WILD};
use super::{AHEAD, Cwa, OLDEST};

impl Cwa {
    /// Whether a block's stamp is of a clock that lost the time: a day and more from where the sequence puts it, and either
    /// from before there were such devices, or of a few blocks only.
    pub(super) fn lost_clock(&self, position: usize, next: &Head) -> bool {
        if next.sequence < self.start.set_at && (next.seconds < OLDEST || next.seconds == self.start.wild) {
            return true;
        }
        let Some(last) = self.last else { return false };
        if !self.lost && next.seconds.abs_diff(last.seconds) < 3600 {
            return false; // what nearly every block is
        }
        let Some(trusted) = (if self.lost { self.trusted } else { Some(last) }) else { return false };
        let block_s = trusted.layout.capacity() as f64 / trusted.rate;
        let is_wild = |head: &Head| {
            let since = f64::from(head.sequence.saturating_sub(trusted.sequence)) * block_s * 1e9;
            head.begins().abs_diff(trusted.begins().saturating_add(since as i64)) > WILD
        };
        let goes_on =
            |head: &Head| head.session == last.session && head.sequence > last.sequence && head.events & 1 == 0;
        if !goes_on(next) || !is_wild(next) {
            return false;
        }
        let returns = || {
            let ahead = (1..=AHEAD).filter_map(|k| self.block(position + k * BLOCK).and_then(|bytes| head(bytes).ok()));
            let ahead: Vec<Head> = ahead.collect();
            // no block follows the file's last one, so its clock cannot be confirmed
            ahead.iter().any(|other| goes_on(other) && !is_wild(other)) || (ahead.is_empty() && self.drained)
        };
        next.seconds < OLDEST || returns()
    }

    /// How many samples at a block's start have acceleration and gyroscope exchanged by the firmware.
    pub(super) fn exchanged(&mut self, head: &Head, bytes: &Bytes) -> usize {
        let before = u64::from(head.sequence) * head.layout.capacity() as u64;
        let n = u64::from(self.start.exchanged).saturating_sub(before).min(head.count as u64) as usize;
        if n == 0 || head.layout != Layout::Words(6) {
            return 0;
        }
        if head.sequence == 0 {
            self.exchanged = None;
        }
        let exchanged = *self.exchanged.get_or_insert_with(|| head.looks_exchanged(bytes, n));
        if exchanged { n } else { 0 }
    }
}

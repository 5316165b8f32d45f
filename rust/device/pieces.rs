//! Parts of a recording that stand in the wrong order.
//!
//! Rows and records that are a few places off are put in order by their readers. Parts that are larger than those look ahead,
//! the halves of a file or its days, are refused. A clock that was set back tells itself from them: its times overlap with
//! those before, or leaves a gap; parts in the wrong order fit together without one.

use std::collections::BTreeMap;

use super::{Chunk, OLDEST};
use crate::error::{Error, Result};

/// Times go back by more than this between parts, ns; parts that follow each other are no farther apart than [`NEAR`].
const BACK: i64 = 500_000_000;
const NEAR: i64 = 1_000_000_000;
/// Samples of parts that fit together.
const FEWEST: u64 = 16;

/// Samples without a gap.
#[derive(Debug, Clone, Copy)]
struct Piece {
    first: i64,
    last: i64,
    samples: u64,
}

/// The runs of a recording in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    all: Vec<Piece>,
    /// Some run begins before the one in front of it ends.
    goes_back: bool,
}

impl Pieces {
    /// The samples that come next.
    pub fn push(&mut self, chunk: &Chunk) {
        let time = chunk.data.time.as_slice();
        let starts = chunk.run_starts.iter().copied();
        for (from, to) in std::iter::once(0).chain(starts.clone()).zip(starts.clone().chain([time.len()])) {
            let Some(part @ [first, .., last] | part @ [first @ last]) = time.get(from..to) else { continue };
            let begins = chunk.run_starts.binary_search(&from).is_ok();
            let samples = part.len() as u64;
            match self.all.last_mut() {
                Some(piece) if !begins => (piece.last, piece.samples) = (*last, piece.samples + samples),
                before => {
                    self.goes_back |= before.is_some_and(|before| first.saturating_sub(before.last) < -BACK);
                    self.all.push(Piece { first: *first, last: *last, samples });
                }
            }
        }
    }

    /// Refuses parts in the wrong order. `dated`: times before 2007 are those of a clock that was never set.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the sizes of two such parts.
    pub fn check(&self, format: &'static str, dated: bool) -> Result<()> {
        let known = |piece: &&Piece| !dated || piece.first.div_euclid(1_000_000_000) >= OLDEST;
        let pieces: Vec<Piece> = self.all.iter().filter(known).copied().collect();
        if !self.goes_back || overlap(&pieces) {
            return Ok(());
        }
        let mut before = BTreeMap::new();
        for piece in pieces {
            let near = before.range(piece.last..=piece.last.saturating_add(NEAR)).next().map(|(_, other)| *other);
            let near = near.filter(|other: &Piece| other.samples.min(piece.samples) >= FEWEST);
            if let Some(other) = near {
                let apart = other.first.saturating_sub(piece.last) as f64 / 1e9;
                let reason = format!(
                    "time: expected samples in order of time, got {} samples that end {apart:.3} s before {} samples in front of \
                     them begin: parts of the file are in the wrong order",
                    piece.samples, other.samples
                );
                return Err(Error::malformed(format, 0, reason));
            }
            before.insert(piece.first, piece);
        }
        Ok(())
    }
}

/// Whether some pieces share a time.
fn overlap(pieces: &[Piece]) -> bool {
    let mut sorted = pieces.to_vec();
    sorted.sort_unstable_by_key(|piece| piece.first);
    sorted.windows(2).any(|pair| matches!(pair, [a, b] if a.last > b.first))
}

#[cfg(test)]
mod tests {
    use super::super::Batch;
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// Whether runs of these (first second, seconds) at 100 Hz are refused, `at_once` or in chunks of a run each.
    fn refused(runs: &[(i64, i64)]) -> bool {
        let mut pieces = Pieces::default();
        for (first, seconds) in runs {
            let time: Vec<i64> = (0..100 * seconds).map(|i| (OLDEST + first) * SECOND + i * 10_000_000).collect();
            for (i, part) in time.chunks(1000).enumerate() {
                let data = Batch { time: part.to_vec(), ..Batch::default() };
                let run_starts = if i == 0 { vec![0] } else { Vec::new() };
                pieces.push(&Chunk { data, run_starts, ..Chunk::default() });
            }
        }
        pieces.check("csv", true).is_err()
    }

    #[test]
    fn parts_that_fit_together_in_another_order_are_refused() {
        assert!(refused(&[(60, 60), (0, 60)]));
        assert!(refused(&[(60, 60), (0, 60), (120, 60)]));
        assert!(refused(&[(0, 60), (120, 60), (60, 60)]));
    }

    #[test]
    fn clocks_that_were_set_and_gaps_are_not() {
        assert!(!refused(&[(0, 60), (100, 60)]));
        // set back by half a minute, and by an hour in a recording of two
        assert!(!refused(&[(0, 60), (30, 60)]));
        assert!(!refused(&[(3600, 3600), (3600, 7200)]));
        // set back by an hour after ten minutes
        assert!(!refused(&[(3600, 600), (600, 600)]));
        // ahead by a day for a while
        assert!(!refused(&[(0, 600), (86_400, 600), (1200, 600)]));
        // set back after some seconds, or by a month, or to a date before such devices
        assert!(!refused(&[(86_400, 20), (0, 600)]));
        assert!(!refused(&[(30 * 86_400, 600), (0, 600)]));
        assert!(!refused(&[(0, 600), (-86_400, 600)]));
    }
}

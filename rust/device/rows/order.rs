//! Repeated rows, rows in the wrong order, and stamps far from all others.

use std::ops::Range;

use super::RowClock;
use super::pace::Pace;
use super::repeats::{Bits, COMPARED, WINDOW, bits};
use crate::device::{Event, Quality, steps};
use crate::error::{Error, Result};

/// Rows with a stamp far from their neighbours that are left out together.
const WILD: usize = 8;
/// A file's first or last rows this far from the others are left out, ns: a fortnight.
const FAR: i64 = 14 * 86_400 * 1_000_000_000;
/// Steps back without an order that a file may have, in all and per row.
const JUMPS: u64 = 50;
const ROWS_A_JUMP: u64 = 20;

impl RowClock {
    /// Puts the rows up to `decided` in order, and leaves out what comes twice or has a stamp far from all others.
    ///
    /// # Errors
    /// [`Error::Malformed`] where rows stand in no order.
    pub(super) fn order(&mut self, last: bool, quality: &mut Quality) -> Result<()> {
        loop {
            let n = self.held.len();
            let decided = if last { n } else { n.saturating_sub(WINDOW) };
            // the rows before a copy are noted first
            if self.clean >= decided || !self.order_to(decided, last, quality)? {
                return Ok(());
            }
        }
    }

    /// The same for the rows held now; true where it ended early, as a copy begins there.
    fn order_to(&mut self, decided: usize, last: bool, quality: &mut Quality) -> Result<bool> {
        self.judge_doubles();
        let mut keep = vec![true; self.held.len()];
        steps::count(self.held.len());
        let mut before = self.time_before(self.clean);
        let limits = self.limits(self.clean);
        let mut previous = self.clean.checked_sub(1);
        let mut row = self.clean;
        let mut copy_begins = false;
        while row < decided {
            copy_begins = row > self.clean && before.is_some_and(|before| self.begins_copy(row, before, limits.1));
            if copy_begins {
                break;
            }
            let skip = self.not_a_row(row, (before, previous), limits, last, quality);
            if skip > 0 {
                keep.iter_mut().skip(row).take(skip).for_each(|k| *k = false);
                row += skip;
                continue;
            }
            let (gap, slack, period) = limits;
            let step = before.map_or(0, |before| self.time(row).saturating_sub(before));
            if step as f64 > gap || step < 0 {
                if let Some(range) = self.misplaced(row, before, period) {
                    self.put_in_order(range.clone(), &mut keep, quality);
                    row = row.max(range.start);
                } else if (step as f64) < -slack {
                    self.jumps += 1;
                    let rows = self.base + row as u64;
                    if self.jumps > JUMPS && self.jumps * ROWS_A_JUMP > rows {
                        let event = self.event("", row);
                        let reason = format!(
                            "expected rows in order of time, or {WINDOW} rows out of position at most, got {} steps back \
                             among {rows} rows",
                            self.jumps
                        );
                        return Err(Error::malformed("rows", event.offset, reason));
                    }
                }
            }
            before = Some(self.time(row));
            previous = Some(row);
            row += 1;
        }
        let from = self.clean;
        let reached = row.min(self.held.len());
        self.clean = keep.iter().take(reached).filter(|k| **k).count();
        if keep.iter().any(|k| !k) {
            self.held.retain(&keep);
            let mut now = Vec::with_capacity(keep.len() + 1);
            now.push(0);
            for k in &keep {
                now.push(now.last().copied().unwrap_or(0) + usize::from(*k));
            }
            self.move_places(|row| now.get(row).or(now.last()).copied().unwrap_or(0));
        }
        self.repeats.note_rows(&self.held, from, self.clean);
        Ok(copy_begins)
    }

    /// Whether earlier rows of the file come once more from this one on: then the next row repeats the one found.
    fn begins_copy(&mut self, row: usize, before: i64, slack: f64) -> bool {
        let back = before.saturating_sub(self.time(row)) as f64;
        if self.repeats.in_copy() || back <= slack.min(f64::MAX) || back <= 0.0 {
            return false;
        }
        self.repeats.copy = self.repeats.find(&self.held, row);
        self.repeats.in_copy()
    }

    /// Longest step without a gap, how far stamps may go back, and the period, near a row.
    fn limits(&self, row: usize) -> (f64, f64, f64) {
        let run = self.run.as_ref().map(|run| (run.pace.gap, run.slack, run.pace.period));
        run.or_else(|| {
            let Pace { gap, period, .. } = self.pace_from(row)?;
            Some((gap, 3.0 * period, period))
        })
        .unwrap_or((f64::INFINITY, f64::INFINITY, 1.0))
    }

    /// Whether equal stamps mean that a row comes twice: far more of them have equal values than other neighbours have.
    fn judge_doubles(&mut self) {
        let (mut equal, mut same_stamp, mut still, mut others) = (0u64, 0u64, 0u64, 0u64);
        for row in self.clean.max(1)..self.held.len() {
            let is_equal = bits(&self.held.xyz, row) == bits(&self.held.xyz, row - 1);
            if self.time(row) == self.time(row - 1) {
                same_stamp += 1;
                equal += u64::from(is_equal);
            } else {
                others += 1;
                still += u64::from(is_equal);
            }
        }
        if equal > 0 && others > 0 && 2 * still < others {
            let by_chance = same_stamp as f64 * still as f64 / others as f64;
            self.repeats.doubled = equal as f64 > 3.0 * by_chance + 0.5 && 2 * equal > same_stamp;
        }
    }

    /// Rows from this one on that are left out: rows that come twice, and stamps far from all others.
    fn not_a_row(
        &mut self,
        row: usize,
        (before, previous): (Option<i64>, Option<usize>),
        (gap, slack, _): (f64, f64, f64),
        last: bool,
        quality: &mut Quality,
    ) -> usize {
        let Some(before) = before else {
            let wild = self.wild_at_start(row);
            self.leave_out("wild_row", row, wild, quality);
            return wild;
        };
        let step = self.time(row).saturating_sub(before);
        if let Some(number) = self.repeats.copy {
            return self.copied(row, number, last, quality);
        }
        if step == 0 && self.repeats.doubled && self.bits_before(previous) == Some(bits(&self.held.xyz, row)) {
            self.leave_out("repeated_row", row, 1, quality);
            return 1;
        }
        if step >= 0 && step as f64 <= gap {
            return 0;
        }
        if step < 0 {
            if self.begins_copy(row, before, slack)
                && let Some(number) = self.repeats.copy
            {
                return self.copied(row, number, last, quality);
            }
            let again = self.rows_again(row);
            if again > 0 {
                self.leave_out("repeated_row", row, again, quality);
                return again;
            }
            if step as f64 >= -slack {
                return 0;
            }
        }
        let wild = self.wild(row, before, gap);
        self.leave_out("wild_row", row, wild, quality);
        wild
    }

    /// Values of the row before, which may have been handed out.
    fn bits_before(&self, previous: Option<usize>) -> Option<Bits> {
        match previous {
            Some(row) => Some(bits(&self.held.xyz, row)),
            None => self.repeats.time.len().checked_sub(1).map(|row| bits(&self.repeats.xyz, row)),
        }
    }

    fn leave_out(&self, kind: &'static str, row: usize, count: usize, quality: &mut Quality) {
        if count == 0 {
            return;
        }
        let event = Event { count: count as u64, ..self.event(kind, row) };
        match quality.events.last_mut() {
            // neighbours are one event
            Some(last) if last.kind == kind && last.block + 2 * last.count >= event.block => {
                last.count += event.count;
                *quality.counts.entry(kind).or_default() += event.count;
            }
            _ => quality.note(event),
        }
    }

    /// Rows of a copy of the file, and whether it goes on.
    fn copied(&mut self, row: usize, number: u64, last: bool, quality: &mut Quality) -> usize {
        let n = self.held.len();
        let differs = |i: usize| self.repeats.repeats(&self.held, row + i, number + i as u64) == Some(false);
        let length = (self.repeats.rows - number).min((n - row) as u64) as usize;
        let same = (0..length).find(|i| differs(*i)).unwrap_or(length);
        let ends = same < n - row;
        // of a stretch that is not compared to its end nothing is known
        let same = if ends && same < length { same - same % COMPARED as usize } else { same };
        self.leave_out("repeated_row", row, same, quality);
        self.repeats.copy = (!ends && !last).then_some(number + same as u64);
        same
    }

    /// Rows from this one on that have come before, among the last ones.
    fn rows_again(&self, row: usize) -> usize {
        let held = |row: usize| (self.held.time.get(row).copied(), bits(&self.held.xyz, row));
        let tail = self.repeats.time.len();
        let earlier = |place: usize| match place.checked_sub(tail) {
            Some(row) => held(row),
            None => (self.repeats.time.get(place).copied(), bits(&self.repeats.xyz, place)),
        };
        let same = held(row);
        steps::count(tail + row);
        let Some(first) = (0..tail + row).rev().find(|place| earlier(*place) == same) else { return 0 };
        (0..self.held.len() - row).take_while(|i| first + i < tail + row && earlier(first + i) == held(row + i)).count()
    }

    /// Rows at the start of the file that are far from what follows.
    fn wild_at_start(&self, row: usize) -> usize {
        let far = |i: &usize| self.time(row + i).abs_diff(self.time(row + i - 1)) > FAR as u64;
        let most = WILD.min((self.held.len() - row).saturating_sub(2));
        (1..=most).rev().find(|i| far(i) && !far(&(i + 1))).unwrap_or(0)
    }

    /// Rows from this one on whose stamps lead away from the row before, which a later row continues.
    fn wild(&self, row: usize, before: i64, gap: f64) -> usize {
        let n = self.held.len();
        let continues = |i: usize| {
            let step = self.time(row + i).saturating_sub(before) as f64;
            step > 0.0 && step <= gap * (i + 2) as f64
        };
        let most = WILD.min(n - row - 1);
        let joined = (1..=most).find(|i| continues(*i));
        let far = self.time(row).abs_diff(before) > FAR as u64;
        match joined {
            // a row that belongs somewhere among those ahead is put there
            Some(i) if far || self.time(row) > self.time(n - 1) || self.time(row) < before => i,
            None if far && n - row <= WILD => n - row,
            _ => 0,
        }
    }

    /// The rows that are in order once they are sorted, where this one is out of its place or skips some that come later.
    fn misplaced(&self, row: usize, before: Option<i64>, period: f64) -> Option<Range<usize>> {
        let before = before?;
        let time = self.time(row);
        let most = self.held.len().min(row + WINDOW);
        steps::count(most - row);
        let (from, to) = if time > before {
            let to = (row + 1..most).rev().find(|r| (before + 1..time).contains(&self.time(*r)))? + 1;
            (row, to)
        } else {
            let to = (row..most).rev().find(|r| self.time(*r) < before)? + 1;
            let least = (row..to).map(|r| self.time(r)).min()?;
            let from = (0..row).rev().take_while(|r| self.time(*r) > least).last()?;
            if self.time_before(from).is_some_and(|t| t > least) {
                return None;
            }
            (from, to)
        };
        let mut sorted: Vec<i64> = (from..to).map(|r| self.time(r)).collect();
        sorted.sort_unstable();
        let before = self.time_before(from);
        let all: Vec<i64> = before.into_iter().chain(sorted).chain(self.held.time.get(to).copied()).collect();
        let steps = |all: &[i64], low: f64, high: f64| {
            let inside = |w: &[i64]| {
                let step = w.last().zip(w.first()).map_or(0, |(b, a)| b.saturating_sub(*a)) as f64;
                (low * period..=high * period).contains(&step)
            };
            all.windows(2).filter(|w| inside(w)).count()
        };
        let apart = |w: &[i64]| w.last().zip(w.first()).map_or(0, |(b, a)| b.saturating_sub(*a)) as f64;
        if all.windows(2).any(|w| apart(w) > WINDOW as f64 * period.max(1.0)) {
            return None; // so far away are rows of a clock that was lost
        }
        // in order they follow each other as rows do: those of a clock that was set would fall between others
        let even = steps(&all, 0.6, 1.6);
        (even * 20 >= (all.len() - 1) * 19).then_some(from..to)
    }

    fn put_in_order(&mut self, range: Range<usize>, keep: &mut [bool], quality: &mut Quality) {
        let mut order: Vec<usize> = range.clone().collect();
        order.sort_by_key(|row| self.time(*row));
        let moved = order.iter().zip(range.clone()).filter(|(a, b)| **a != *b).count();
        quality.note(Event { count: moved as u64, ..self.event("row_out_of_order", range.start) });
        let flags: Vec<bool> = order.iter().map(|row| keep.get(*row).copied().unwrap_or(true)).collect();
        keep.iter_mut().skip(range.start).zip(flags).for_each(|(k, flag)| *k = flag);
        self.held.rearrange(range.start, &order);
    }
}

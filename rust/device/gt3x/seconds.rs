//! The seconds of `log.bin` in the order in which they were sampled.
//!
//! Records of a second are held back until [`AHEAD`] more have come. A record that is there twice is dropped, records that
//! changed places go back to theirs, and one whose time is far from all others gets the place that its neighbours leave
//! for it. By actipy's rule nothing is held back; repeats are counted there, but not dropped.

use std::collections::VecDeque;

use super::super::calendar::SECOND;
use super::super::copies::{Copies, sum_of, sum_of_ends};
use super::super::{Event, Idle, Quality, steps};

/// Records held back.
const AHEAD: usize = 8;
/// A time farther from its neighbours' is wild, s: a day.
const WILD: u64 = 86_400;
/// Seconds between a wake event and the next sample, or a sample and sleep, that are sleep still.
const SLACK: i64 = 1;

/// What the events since the last second of samples say of idle sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sleep {
    /// Nothing.
    Awake,
    /// It began and has not ended.
    Asleep,
    /// It ended in this second.
    Woke(i64),
}

/// A record of a second of samples.
#[derive(Debug, Clone)]
pub struct Second {
    /// Type of the record.
    pub kind: u8,
    /// Unix second of the local clock.
    pub second: i64,
    /// Its samples.
    pub payload: Vec<u8>,
    /// Byte offset in `log.bin`.
    pub offset: u64,
    /// Position among the records.
    pub index: u64,
    /// What the events before it say.
    pub sleep: Sleep,
    /// Something before it was left out.
    pub broken: bool,
    /// Temperature, light and battery at that time.
    pub slow: [f32; 3],
}

impl Second {
    /// Samples that it holds.
    pub fn samples(&self) -> usize {
        let n = self.payload.len();
        if self.kind == 26 { n / 6 } else { n / 9 * 2 + usize::from(n % 9 >= 5) }
    }

    /// It ends with a sample.
    pub fn is_whole(&self) -> bool {
        let n = self.payload.len();
        if self.kind == 26 { n.is_multiple_of(6) } else { matches!(n % 9, 0 | 5) }
    }

    /// The sleep between the second `expected` and this one: it ends with its own wake event.
    pub fn slept(&self, expected: i64) -> Option<Idle> {
        let until = match self.sleep {
            Sleep::Awake => return None,
            Sleep::Asleep => self.second,
            Sleep::Woke(woke) if (0..=SLACK).contains(&self.second.saturating_sub(woke)) => self.second,
            Sleep::Woke(woke) => woke.min(self.second),
        };
        let ns = |second: i64| second.saturating_mul(SECOND);
        (until > expected).then(|| Idle { sample: 0, from: ns(expected), until: ns(until) })
    }
}

/// A record in its turn.
#[derive(Debug)]
pub struct Due {
    /// The record, its second put right.
    pub second: Second,
    /// The second that should have come.
    pub expected: Option<i64>,
    /// The event that says what was put right.
    pub moved: Option<&'static str>,
}

/// Records held back.
#[derive(Debug)]
pub struct Seconds {
    reorders: bool,
    waiting: VecDeque<Second>,
    copies: Copies,
    /// Latest second that has come.
    latest: Option<i64>,
    next: Option<i64>,
}

impl Seconds {
    /// `reorders`: whether records are put in order, rather than taken as they come.
    pub fn new(reorders: bool) -> Self {
        let (waiting, copies) = Default::default();
        Self { reorders, waiting, copies, latest: None, next: None }
    }

    /// The second after the last record taken.
    pub fn next(&self) -> Option<i64> {
        self.next
    }

    /// Whether all records at hand hold `n` samples, `least` of them at least.
    pub fn all_hold(&self, n: usize, least: usize) -> bool {
        self.waiting.len() >= least && self.waiting.iter().all(|second| second.samples() == n)
    }

    /// Adds a record, unless it is there already.
    pub fn push(&mut self, second: Second, quality: &mut Quality) {
        let sum = sum_of([second.second as u64, sum_of_ends(&second.payload)]);
        let back = self.latest.is_some_and(|latest| second.second <= latest);
        self.latest = self.latest.max(Some(second.second));
        if self.copies.repeats(sum, back) {
            let time = Some(second.second.saturating_mul(SECOND));
            quality.note(Event { time, ..Event::at("repeated_record", second.offset, second.index) });
            if self.reorders {
                return;
            }
        }
        self.waiting.push_back(second);
    }

    /// The record whose turn it is, once enough have come or `all` have.
    pub fn pop(&mut self, all: bool) -> Option<Due> {
        if self.waiting.is_empty() || (self.reorders && !all && self.waiting.len() <= AHEAD) {
            return None;
        }
        let expected = self.next;
        let (position, moved) = if self.reorders { self.turn() } else { (0, None) };
        let mut second = self.waiting.remove(position)?;
        let moved = match moved {
            Some(stamp) => {
                second.second = stamp;
                Some("wild_stamp")
            }
            None => (position > 0).then_some("out_of_order"),
        };
        self.next = Some(second.second.saturating_add(1));
        Some(Due { second, expected, moved })
    }

    /// Counts the records that would be put elsewhere, of those whose turn it is.
    pub fn count(&mut self, all: bool, quality: &mut Quality) {
        while let Some(Due { second, moved, .. }) = self.pop(all) {
            if let Some(kind) = moved {
                let time = Some(second.second.saturating_mul(SECOND));
                quality.note(Event { time, ..Event::at(kind, second.offset, second.index) });
            }
        }
    }

    /// Which of the waiting records comes next, and its second where its own is wild.
    fn turn(&self) -> (usize, Option<i64>) {
        steps::count(self.waiting.len());
        let second_of = |i: usize| self.waiting.get(i).map(|second| second.second);
        let Some(first) = second_of(0) else { return (0, None) };
        if let Some(due) = self.next
            && let Some(position) = self.waiting.iter().position(|second| second.second == due)
        {
            return (position, None);
        }
        // the first record that stands where the count of those before it leaves room for them
        let reference =
            self.next.or_else(|| (1..AHEAD).find_map(|i| second_of(i).filter(|s| second_of(i + 1) == Some(s + 1))));
        if let Some(reference) = reference
            && first.abs_diff(reference) > WILD
        {
            let follower =
                (1..self.waiting.len()).find(|i| second_of(*i).is_some_and(|s| s.abs_diff(reference) <= WILD));
            // no record follows the file's last one, so its clock cannot be confirmed
            let due = self.next.filter(|_| self.waiting.len() == 1);
            let position = follower.and_then(|i| second_of(i)?.checked_sub(i as i64)).or(due);
            if let Some(position) = position.filter(|position| self.next.is_none_or(|due| *position >= due)) {
                return (0, Some(position));
            }
        }
        let after = |s: i64| self.next.is_none_or(|due| s >= due) && s < first && first - s <= AHEAD as i64;
        let earlier = self.waiting.iter().enumerate().filter(|(_, other)| after(other.second));
        (earlier.min_by_key(|(_, other)| other.second).map_or(0, |(i, _)| i), None)
    }
}

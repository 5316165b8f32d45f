//! Rows that state their own time, as text, Parquet and NPZ hold them -> rows in order, in runs, each with its rate.
//!
//! Rows that follow each other evenly pass at once. Where they do not, [`WINDOW`] rows are looked ahead at: rows that come
//! twice are left out ([`order`]), so are single stamps far from their neighbours, and rows in the wrong place are put in
//! order. A run ends at a gap, where the clock was set back, and where the rate changes; its rate is rows over span
//! ([`pace`]). Stamps that are rounded or jittered are replaced by the line through them ([`fit`]).

mod devices;
mod fit;
mod order;
pub mod pace;
mod repeats;

use super::{Batch, Block, Event, Quality, Stamp, steps};
use crate::error::{Error, Result};
use devices::Devices;
use fit::Fit;
use pace::Pace;
use repeats::{Repeats, WINDOW};

/// Rows over which a rate is held against the run's.
const RATE_ROWS: usize = 256;
/// Fewest rows that can tell another rate.
const FEWEST: usize = 16;
/// Share by which the rate over them must differ.
const RATE_CHANGE: f64 = 0.06;
/// The longest step of even rows, in periods.
const LONG: f64 = 1.6;
/// A stamp this far from the line through its run lies on none, ns: a day. Whole minutes and bundles are within seconds of it.
const OFF_LINE: u64 = 86_400 * 1_000_000_000;
/// Rows that may wait for a time that differs from theirs: five hours at 100 Hz.
const MAX_HELD: usize = 1 << 21;

/// The run that the rows belong to.
#[derive(Debug, Clone)]
struct Run {
    pace: Pace,
    /// Stamps may go back by so much without a jump of the clock, ns.
    slack: f64,
    /// Not yet begun in a block.
    new: bool,
    fit: Option<Fit>,
}

impl Run {
    fn new(pace: Pace) -> Self {
        let slack = if pace.coarse { 0.0 } else { 1.01 * (3.0 * pace.period).max(pace.step) };
        Self { pace, slack, new: true, fit: None }
    }
}

/// A position in the file: held row, byte offset, number of the row.
type Mark = (usize, u64, u64);

/// Rows between their decoder and a [`Batch`].
#[derive(Debug, Default)]
pub struct RowClock {
    /// Rows not handed out, with the stamps that the file gives them.
    held: Batch,
    marks: Vec<Mark>,
    /// Held rows that are in order, and of these the ones that belong to the present run.
    clean: usize,
    assigned: usize,
    /// Number of the first held row among those handed out.
    base: u64,
    /// Stamp of the row before the first held one.
    before: Option<i64>,
    run: Option<Run>,
    rate: Option<f64>,
    repeats: Repeats,
    devices: Devices,
    /// Steps back that no order explains.
    jumps: u64,
    /// The longest way of a stamp from the line through its run, ns.
    farthest: u64,
    /// Stamps stay as they are: actipy's rules follow.
    plain: Option<f64>,
    spare: Batch,
}

impl RowClock {
    /// Rows whose stamps are left alone, in blocks of this rate.
    pub fn plain(rate: f64) -> Self {
        Self { plain: Some(rate), ..Self::default() }
    }

    /// Rows a second of the first run, once some of its rows were handed out.
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// The rows that wait: a decoder adds to them, at most some thousand between two calls of [`RowClock::advance`].
    pub fn rows(&mut self) -> &mut Batch {
        &mut self.held
    }

    /// No row was handed out yet.
    pub fn is_fresh(&self) -> bool {
        self.base == 0 && self.held.is_empty()
    }

    /// Notes the file offset and number of the next row to be added.
    pub fn mark(&mut self, offset: u64, index: u64) {
        self.marks.push((self.held.len(), offset, index));
    }

    /// Hands out the rows whose times are settled.
    ///
    /// # Errors
    /// [`crate::error::Error::Malformed`] where rows stand in no order.
    pub fn advance(&mut self, last: bool, out: &mut Batch, quality: &mut Quality) -> Result<()> {
        self.held.pad();
        if let Some(rate) = self.plain {
            let n = self.held.len();
            return self.hand_out(n, rate, Stamp::Each, false, out);
        }
        if self.is_even() {
            let n = self.held.len();
            self.repeats.note_rows(&self.held, 0, n);
            (self.clean, self.assigned) = (n, n);
            self.hand_out_run(n, out)?;
        } else {
            self.order(last, quality)?;
            self.split(last, out, quality)?;
            if self.held.len() > MAX_HELD {
                let reason =
                    format!("time: expected times that differ from row to row, got the same in {MAX_HELD} rows");
                return Err(Error::malformed("rows", self.place(0).1, reason));
            }
        }
        if last {
            self.close_run(self.assigned, out, quality)?;
        }
        if self.farthest > OFF_LINE {
            let days = self.farthest / OFF_LINE;
            let reason = format!("time: expected times of rows that follow each other, got one {days} days off");
            return Err(Error::malformed("rows", self.place(0).1, reason));
        }
        if last {
            let (_, offset, _) = self.place(0);
            let doubts = self.devices.judge(offset)?;
            if doubts.alternating {
                quality.note(self.event("alternating_rows", 0));
            }
            if let Some(n) = doubts.held {
                quality.note(Event { value: n as f64, ..self.event("held_values", 0) });
            }
        }
        Ok(())
    }

    fn time(&self, row: usize) -> i64 {
        self.held.time.get(row).copied().unwrap_or_default()
    }

    /// Stamp of the row before a held one.
    fn time_before(&self, row: usize) -> Option<i64> {
        if row == 0 { self.before } else { self.held.time.get(row - 1).copied() }
    }

    /// Where a held row stands in the file, as far as it is known: the offset is that of a row shortly before.
    fn place(&self, row: usize) -> Mark {
        let index = self.marks.partition_point(|mark| mark.0 <= row).saturating_sub(1);
        let (first, offset, number) = self.marks.get(index).copied().unwrap_or_default();
        (row, offset, number + row.saturating_sub(first) as u64)
    }

    fn event(&self, kind: &'static str, row: usize) -> Event {
        let (_, offset, number) = self.place(row);
        Event { time: Some(self.time(row)), ..Event::at(kind, offset, number) }
    }

    /// Whether all that is held continues the present run, row after row.
    fn is_even(&self) -> bool {
        let (Some(run), Some(before)) = (&self.run, self.before) else { return false };
        if self.clean > 0 || run.fit.is_some() || run.pace.coarse || self.repeats.in_copy() {
            return false;
        }
        let (least, most) = (run.pace.least(), (LONG * run.pace.period) as i64);
        let mut last = before;
        let mut even = true;
        for &time in &self.held.time {
            let step = time.wrapping_sub(last);
            even &= step >= least && step <= most;
            last = time;
        }
        let expected = self.held.len() as f64 * run.pace.period;
        even && (last.wrapping_sub(before) as f64 - expected).abs() <= 0.03 * expected + 2.0 * run.pace.period
    }

    /// Seconds of stamps from a held row on, in ns from the first, for an estimate.
    fn pace_from(&self, row: usize) -> Option<Pace> {
        let stamps = self.held.time.get(row..).unwrap_or_default();
        steps::count(stamps.len().min(WINDOW));
        let first = *stamps.first()?;
        if stamps.len() < FEWEST
            && let Some(run) = &self.run
        {
            return Some(run.pace);
        }
        let many = if self.run.as_ref().is_none_or(|run| run.pace.coarse) { WINDOW } else { pace::ROWS };
        let times: Vec<f64> = stamps.iter().take(many).map(|t| t.saturating_sub(first) as f64).collect();
        Pace::of(&times).or_else(|| self.run.as_ref().map(|run| run.pace))
    }

    /// Divides the clean rows into runs and hands out those whose times are known.
    fn split(&mut self, last: bool, out: &mut Batch, quality: &mut Quality) -> Result<()> {
        while self.assigned < self.clean {
            if self.run.is_none() {
                let alone = Pace { period: 1e9, step: 1e9, gap: f64::INFINITY, coarse: false };
                self.run = Some(Run::new(self.pace_from(self.assigned).unwrap_or(alone)));
            }
            let (end, next) = self.end_of_run();
            let end = self.assign(end, out, quality)?;
            let Some((kind, pace)) = next else { break };
            let step = self.time(end).saturating_sub(self.time_before(end).unwrap_or_default());
            let event = Event { value: step as f64 / 1e9, ..self.event(kind, end) };
            let old = self.run.as_ref().map_or(pace, |run| run.pace);
            let changed = (pace.period / old.period).ln().abs() > RATE_CHANGE;
            if kind != "rate_change" {
                quality.note(event);
            }
            if changed {
                quality.note(Event { value: pace.rate(), ..self.event("rate_change", end) });
            }
            self.close_run(end, out, quality)?;
            self.run = Some(Run::new(if changed { pace } else { old }));
        }
        let n = match self.run.as_ref().and_then(|run| run.fit.as_ref()) {
            Some(_) if last => 0,
            Some(fit) => (fit.timed_to().saturating_sub(self.base) as usize).min(self.assigned),
            None => self.assigned,
        };
        self.hand_out_run(n, out)
    }

    /// The clean row behind the run's last, and why another run begins there, with its pace.
    fn end_of_run(&self) -> (usize, Option<(&'static str, Pace)>) {
        let Some(run) = &self.run else { return (self.clean, None) };
        let mut window = self.assigned;
        for row in self.assigned..self.clean {
            let Some(before) = self.time_before(row) else { continue };
            let step = self.time(row).saturating_sub(before) as f64;
            let begins = row == self.assigned && run.new;
            if !begins && (step > run.pace.gap || step < -run.slack) {
                let pace = self.pace_from(row).unwrap_or(run.pace);
                let kind = match (step < 0.0, step <= pace.gap) {
                    (true, _) => "clock_jump",
                    (_, true) => "rate_change",
                    _ => "gap",
                };
                return (row, Some((kind, pace)));
            }
            if row + 1 >= window + RATE_ROWS {
                if let Some((start, pace)) = self.new_rate(run, window, row) {
                    return (start, Some(("rate_change", pace)));
                }
                window = row + 1;
            }
        }
        (self.clean, None)
    }

    /// The row of a window at which another rate begins, if one does.
    fn new_rate(&self, run: &Run, from: usize, to: usize) -> Option<(usize, Pace)> {
        let old = run.pace;
        let mean = self.time(to).saturating_sub(self.time(from)) as f64 / (to - from) as f64;
        let rounding = 2.0 * old.step / ((to - from) as f64 * old.period);
        let noise = (old.gap / old.period - 2.5).max(0.0) / 8.0 * 5.0 / ((to - from) as f64).sqrt();
        if mean <= 0.0 || (mean / old.period).ln().abs() < RATE_CHANGE.max(rounding).max(noise) {
            return None;
        }
        // the first row whose steps are mostly nearer to the rate of what follows
        let behind = self.pace_from(to.saturating_sub(RATE_ROWS / 8)).filter(|pace| !pace.coarse)?;
        if (behind.period / old.period).ln().abs() < RATE_CHANGE {
            return None;
        }
        let middle = (behind.period * old.period).sqrt();
        let is_new = |w: &&[i64]| {
            let step = w.last().zip(w.first()).map_or(0, |(b, a)| b.saturating_sub(*a)) as f64;
            (step < middle) == (behind.period < old.period)
        };
        let steps = |row: usize| self.held.time.get(row..).unwrap_or_default().windows(2).take(8);
        let begins = |row: &usize| steps(*row).take(1).any(|w| is_new(&w)) && steps(*row).filter(is_new).count() >= 7;
        let start = (from..to).find(begins)?;
        Some((start.max(self.assigned + 1), behind))
    }

    /// Adds the clean rows up to `to` to the run: their stamps to its line, where they are not even. Returns `to`, as rows
    /// that were handed out have moved it.
    fn assign(&mut self, to: usize, out: &mut Batch, quality: &mut Quality) -> Result<usize> {
        let from = self.assigned;
        let before = self.time_before(from);
        let Some(run) = &mut self.run else { return Ok(to) };
        let times = self.held.time.get(from..to).unwrap_or_default();
        let (Some(&first), begins) = (times.first(), run.new && self.assigned == 0) else { return Ok(to) };
        let least = run.pace.least();
        let inner =
            times.windows(2).any(|w| w.last().zip(w.first()).is_some_and(|(b, a)| b.saturating_sub(*a) < least));
        let joined = !begins && before.is_some_and(|before| first.saturating_sub(before) < least);
        let number = self.base + from as u64;
        if run.pace.coarse || inner || joined {
            let fit = run.fit.get_or_insert_with(|| match before.filter(|_| !begins) {
                Some(before) => Fit::new(number.saturating_sub(1), before, run.pace.period, true, false),
                None => Fit::new(number, first, run.pace.period, false, run.pace.coarse),
            });
            times.iter().zip(number..).for_each(|(time, row)| fit.push(row, *time));
        } else if let Some(fit) = &mut run.fit {
            fit.close(Some((number, first)));
            self.note_fitted(quality);
            self.hand_out_run(from, out)?;
            if let Some(run) = &mut self.run {
                run.fit = None;
            }
            self.assigned = to - from;
            return Ok(to - from);
        }
        self.assigned = to;
        Ok(to)
    }

    /// Hands out the rows of the run before held row `end`, and ends it.
    fn close_run(&mut self, end: usize, out: &mut Batch, quality: &mut Quality) -> Result<()> {
        if let Some(fit) = self.run.as_mut().and_then(|run| run.fit.as_mut()) {
            fit.close(None);
            self.note_fitted(quality);
        }
        self.hand_out_run(end, out)
    }

    fn note_fitted(&self, quality: &mut Quality) {
        quality.note(self.event("stamps_fitted", 0));
    }

    fn hand_out_run(&mut self, n: usize, out: &mut Batch) -> Result<()> {
        let Some(run) = &mut self.run else { return Ok(()) };
        if n == 0 {
            return Ok(());
        }
        let new = std::mem::take(&mut run.new);
        let rate = run.pace.rate();
        self.rate.get_or_insert(rate);
        let raw_last = self.held.time.get(n - 1).copied();
        self.repeats.note_tail(&self.held, n);
        self.devices.push(&self.held, n);
        if let (Some(run), Some(times)) = (&mut self.run, self.held.time.get_mut(..n))
            && let Some(fit) = &mut run.fit
        {
            self.farthest = fit.fill(self.base, times).max(self.farthest);
        }
        self.hand_out(n, rate, Stamp::Settled, new, out)?;
        self.before = raw_last.or(self.before);
        Ok(())
    }

    fn hand_out(&mut self, n: usize, rate: f64, stamp: Stamp, new_run: bool, out: &mut Batch) -> Result<()> {
        let event = self.event("", 0);
        self.held.split_off(n, &mut self.spare)?;
        std::mem::swap(&mut self.held, &mut self.spare);
        if n > 0 {
            out.append(&mut self.spare)?;
            out.blocks.push(Block {
                n: n as u32,
                offset: event.offset,
                index: event.block,
                rate,
                stamp,
                new_run,
                restart: false,
                temperature: f32::NAN,
                light: f32::NAN,
                battery: f32::NAN,
            });
        }
        self.base += n as u64;
        self.clean = self.clean.saturating_sub(n);
        self.assigned = self.assigned.saturating_sub(n);
        let next = self.place(n);
        self.marks.retain(|mark| mark.0 > n);
        self.marks.insert(0, next);
        self.marks.iter_mut().for_each(|mark| mark.0 -= n);
        Ok(())
    }

    /// Moves the marks with their rows; of several at one row the last counts.
    fn move_places(&mut self, moved: impl Fn(usize) -> usize) {
        let mut marks: Vec<Mark> = Vec::with_capacity(self.marks.len());
        for &(row, offset, index) in &self.marks {
            let now = moved(row);
            if marks.last().is_some_and(|mark| mark.0 == now) {
                marks.pop();
            }
            marks.push((now, offset, index));
        }
        self.marks = marks;
    }
}

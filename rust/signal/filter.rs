//! Zero-phase low-pass: a cascade run forward and then backward over a run of samples.
//!
//! A recursive filter forgets: past [`Butterworth::memory`] samples nothing of an older input is left. So a long run is cut
//! into stretches that are filtered independently, each with that many neighbours on either side, and the four lanes of a
//! vector hold four stretches (or four series). The ends of a run are continued by reflection through their last sample and
//! the state starts as if the first sample had always been there, both as in `scipy.signal.sosfiltfilt`.
//!
//! A missing sample (NaN) counts as 0 in the filter and is missing in the result, as in actipy.

use super::butterworth::Butterworth;
use super::cascade::{Batch, LANES, Row, filter_on};
use crate::arrays::{Signals, check_length};
use crate::cpu::Path;
use crate::error::{Error, Result};
use crate::threads;

/// Share of the largest sample by which a stretch's result may differ from the whole run's.
const TOLERANCE: f64 = 1e-10;
/// Neighbours that a stretch may need at most.
const MEMORY_LIMIT: usize = 1 << 20;
/// Kept samples of a stretch at least: short enough for the second-level cache, long enough to pay for its neighbours.
const STRETCH: usize = 2048;

/// A stretch to filter: `from..to` of a run goes through the filter, `keep` of it into `out`.
struct Stretch<'a> {
    /// Known samples of the run; the first is sample `base`.
    known: &'a [f32],
    base: usize,
    /// Below 0 and above the run's end: the reflected continuation.
    from: isize,
    to: isize,
    keep: usize,
    out: &'a mut [f32],
}

impl Stretch<'_> {
    fn len(&self) -> usize {
        (self.to - self.from) as usize
    }

    /// Writes the stretch to the end of `lane`; what is left in front repeats its first sample, which keeps a settled
    /// filter settled. Returns whether a sample was missing.
    fn fill(&self, lane: &mut [f32]) -> bool {
        let (front, lane) = lane.split_at_mut(lane.len() - self.len());
        let end = (self.base + self.known.len()) as isize;
        let present = |v: f32| if v.is_nan() { 0.0 } else { v };
        let before = (-self.from).max(0) as usize;
        let after = (self.to - end).max(0) as usize;
        let inner = lane.len() - after;
        let first = (self.from.max(0) as usize) - self.base;
        let known = &self.known[first..first + inner - before];
        lane[before..inner].copy_from_slice(known);
        let missing = known.iter().fold(false, |any, v| any | v.is_nan());
        if missing {
            lane.iter_mut().for_each(|v| *v = present(*v));
        }
        for i in 1..=before {
            lane[before - i] = 2.0 * present(self.known[0]) - present(self.known[i]);
        }
        let last = self.known.len() - 1;
        for i in 1..=after {
            lane[inner + i - 1] = 2.0 * present(self.known[last]) - present(self.known[last - i]);
        }
        front.fill(lane[0]);
        missing
    }

    /// Samples before the first of `out` in a lane of `n`.
    fn start(&self, n: usize) -> usize {
        n - self.len() + (self.keep as isize - self.from) as usize
    }

    fn take(&mut self, lane: &[f32], missing: bool) {
        let start = self.start(lane.len());
        self.out.copy_from_slice(&lane[start..start + self.out.len()]);
        if missing {
            let known = &self.known[self.keep - self.base..];
            for (y, x) in self.out.iter_mut().zip(known).filter(|(_, x)| x.is_nan()) {
                *y = *x;
            }
        }
    }
}

/// Buffers of one thread.
#[derive(Default)]
pub struct Scratch {
    planar: Vec<f32>,
    samples: Vec<Row>,
}

fn filter_group(filter: &Butterworth, scratch: &mut Scratch, group: &mut [Stretch<'_>]) {
    debug_assert!(group.len() <= LANES);
    let n = group.iter().map(Stretch::len).max().unwrap_or(0);
    scratch.planar.resize(LANES * n, 0.0);
    scratch.samples.resize(n, Row::ZERO);
    let mut missing = [false; LANES];
    for ((stretch, lane), missing) in group.iter().zip(scratch.planar.chunks_exact_mut(n)).zip(&mut missing) {
        *missing = stretch.fill(lane);
    }
    scratch.planar[group.len() * n..].fill(0.0);
    let keep = group.iter().map(|stretch| stretch.start(n)).min().unwrap_or(0);
    let Scratch { planar, samples } = scratch;
    filter_on(Path::best(), filter, Batch { planar, samples, used: group.len(), keep });
    for ((stretch, lane), missing) in group.iter_mut().zip(scratch.planar.chunks_exact(n)).zip(missing) {
        stretch.take(lane, missing);
    }
}

/// How a run is cut into stretches.
#[derive(Debug, Clone)]
struct Plan {
    filter: Butterworth,
    /// Neighbours a stretch needs on either side; None: too many, filter runs whole.
    memory: Option<usize>,
    stretch: usize,
}

impl Plan {
    fn new(filter: Butterworth) -> Self {
        let memory = filter.memory(TOLERANCE, MEMORY_LIMIT);
        Self { stretch: STRETCH.max(8 * memory.unwrap_or(0)), filter, memory }
    }

    /// The stretch that keeps `keep..keep + out.len()`; `end` is the run's length where it is known.
    fn stretch<'a>(
        &self,
        known: &'a [f32],
        base: usize,
        keep: usize,
        out: &'a mut [f32],
        end: Option<usize>,
    ) -> Stretch<'a> {
        let memory = self.memory.unwrap_or(usize::MAX);
        // A run shorter than SciPy asks for has fewer samples to reflect: it takes those it has.
        let padding = self.filter.padding().min(end.unwrap_or(usize::MAX).saturating_sub(1)) as isize;
        let from = if keep <= memory { -padding } else { (keep - memory) as isize };
        let stop = (keep + out.len()).saturating_add(memory);
        let to = match end {
            Some(n) if stop >= n => n as isize + padding,
            _ => stop as isize,
        };
        Stretch { known, base, from, to, keep, out }
    }
}

/// Zero-phase low-pass of signals into `out` `[..., time]`.
///
/// # Errors
/// [`Error::Shape`] if the signals are strided in time or `out` does not fit.
///
/// # Source
/// Gustafsson 1996 for the idea; ends and start as in `scipy.signal.sosfiltfilt` (odd padding).
pub fn lowpass(x: &Signals<'_, f32>, out: &mut [f32], filter: &Butterworth) -> Result<()> {
    x.check_dense("x")?;
    let n = x.time();
    check_length("out", out.len(), &[x.count(), n])?;
    if n == 0 {
        return Ok(());
    }
    let plan = Plan::new(filter.clone());
    let whole = plan.memory.is_none() || n <= 2 * plan.stretch;
    let rows = out.chunks_mut(n).enumerate().map(|(i, out)| (x.get(i), out));
    let mut groups: Vec<Vec<Stretch<'_>>> = Vec::new();
    if whole {
        let mut stretches = rows.map(|(row, out)| plan.stretch(row, 0, 0, out, Some(n)));
        for _ in (0..x.count()).step_by(LANES) {
            groups.push(stretches.by_ref().take(LANES).collect());
        }
    } else {
        for (row, out) in rows {
            for (g, out) in out.chunks_mut(LANES * plan.stretch).enumerate() {
                let start = g * LANES * plan.stretch;
                let stretches = out.chunks_mut(plan.stretch).enumerate();
                groups.push(
                    stretches.map(|(i, out)| plan.stretch(row, 0, start + i * plan.stretch, out, Some(n))).collect(),
                );
            }
        }
    }
    let threads = threads::worth((x.count() * n) as f64 * 0.3 * filter.order() as f64);
    threads::for_each(threads, groups.into_iter(), Scratch::default, |scratch, mut group| {
        filter_group(&plan.filter, scratch, &mut group);
    });
    Ok(())
}

/// Zero-phase low-pass of a run whose three axes arrive in chunks.
///
/// The result does not depend on how the chunks fall and differs from [`lowpass`] of the whole run by less than 1e-9 of its
/// largest sample. It comes at most eight stretches and the filter's memory late.
pub struct ZeroPhase {
    plan: Plan,
    memory: usize,
    /// Samples that later output still needs; the first is sample `base` of the run.
    held: [Vec<f32>; 3],
    base: usize,
    done: usize,
    scratch: Scratch,
}

impl ZeroPhase {
    /// A filter at the start of a run.
    ///
    /// # Errors
    /// [`Error::Value`] if the filter forgets so slowly that a stretch would need over a million neighbours.
    pub fn new(filter: Butterworth) -> Result<Self> {
        let plan = Plan::new(filter);
        let Some(memory) = plan.memory else {
            return Err(Error::value(
                "cutoff",
                format!("a response shorter than {MEMORY_LIMIT} samples"),
                "a lower one",
            ));
        };
        Ok(Self { plan, memory, held: Default::default(), base: 0, done: 0, scratch: Scratch::default() })
    }

    /// Takes the next samples of the run, appends to `out` those that are ready. Returns how many.
    pub fn push(&mut self, chunk: [&[f32]; 3], out: &mut [Vec<f32>; 3]) -> usize {
        let before = self.done;
        let block = LANES * self.plan.stretch;
        let n = chunk[0].len();
        assert!(chunk.iter().all(|axis| axis.len() == n), "the three axes have one length");
        let mut taken = 0;
        while taken < n {
            let missing = self.done + block + self.memory - (self.base + self.held[0].len());
            let step = missing.min(n - taken);
            for (held, axis) in self.held.iter_mut().zip(chunk) {
                held.extend_from_slice(&axis[taken..taken + step]);
            }
            taken += step;
            if step == missing {
                self.filter(block, None, out);
                self.forget();
            }
        }
        self.done - before
    }

    /// Ends the run: appends the rest to `out` and starts a new run. Returns how many samples it appended.
    pub fn finish(&mut self, out: &mut [Vec<f32>; 3]) -> usize {
        let end = self.base + self.held[0].len();
        let left = end - self.done;
        if left > 0 {
            self.filter(left, Some(end), out);
        }
        self.held.iter_mut().for_each(Vec::clear);
        self.base = 0;
        self.done = 0;
        left
    }

    fn filter(&mut self, count: usize, end: Option<usize>, out: &mut [Vec<f32>; 3]) {
        let (plan, base, done) = (&self.plan, self.base, self.done);
        for (known, out) in self.held.iter().zip(out) {
            let start = out.len();
            out.resize(start + count, 0.0);
            let mut pieces = out[start..].chunks_mut(plan.stretch).enumerate().peekable();
            while pieces.peek().is_some() {
                let mut group: Vec<Stretch<'_>> = (&mut pieces)
                    .take(LANES)
                    .map(|(i, out)| plan.stretch(known, base, done + i * plan.stretch, out, end))
                    .collect();
                filter_group(&plan.filter, &mut self.scratch, &mut group);
            }
        }
        self.done += count;
    }

    /// Drops samples that no later output needs.
    fn forget(&mut self) {
        let keep_from = self.done.saturating_sub(self.memory);
        // One sample more than the padding reaches back, so that a run's end can still be reflected.
        let keep_from = keep_from.min(self.done.saturating_sub(self.plan.filter.padding() + 1));
        let drop = keep_from - self.base;
        self.held.iter_mut().for_each(|held| drop_front(held, drop));
        self.base = keep_from;
    }
}

fn drop_front(held: &mut Vec<f32>, n: usize) {
    held.copy_within(n.., 0);
    held.truncate(held.len() - n);
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;

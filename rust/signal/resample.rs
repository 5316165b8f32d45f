//! Samples at uneven times -> samples on a regular grid, linear or nearest.
//!
//! Finding the sample before a point of a [`Grid`] is the same for every series and for both methods, so the work is split: a plan of up to `PLAN` grid points says which samples and which
//! weight, and is then applied to each axis. Both forms below, whole and streaming, go through the same plan.

use super::grid::{Grid, GridTimes, Method};
use crate::arrays::{Signals, check_length};
use crate::error::{Error, Result};
use crate::threads;

/// Grid points planned at a time: the plan stays in the first-level cache.
const PLAN: usize = 512;
/// A gap of more than this many sample periods is counted, though it is filled while it is short enough.
const GAP_PERIODS: f64 = 1.5;

/// Where grid points get their values: on the line from sample `left - 1` of a chunk to sample `left`, sample -1 being the
/// last one before the chunk. A weight of NaN is a missing point.
struct Plan {
    left: [u32; PLAN],
    weight: [f32; PLAN],
    n: usize,
}

impl Plan {
    #[inline(always)]
    fn add(&mut self, left: u32, weight: f32, emit: &mut dyn FnMut(&Self)) {
        self.left[self.n] = left;
        self.weight[self.n] = weight;
        self.n += 1;
        if self.n == PLAN {
            emit(self);
            self.n = 0;
        }
    }

    /// Adds points of the linear method that lie between the first and the last of `time`, of which the first is sample
    /// `from`; false, and nothing added, where two samples are farther apart than `longest` or too unevenly spaced.
    fn add_stretch(&mut self, points: &[i64], time: &[i64], from: u32, longest: i64) -> bool {
        const CHAINS: usize = 4;
        let n = points.len();
        // Samples from one point to the next: `least`, or one or two more. Four places in the stretch advance in turn, so
        // that none waits for another's comparison.
        let least = ((time.len() - 2) as f64 / n.max(2) as f64 * 0.98) as usize;
        let after = |i: usize| time.get(i + 1).copied().unwrap_or(i64::MAX);
        let advance = |i: usize, point: i64| {
            let i = i + least;
            let i = i + usize::from(after(i) <= point);
            i + usize::from(after(i) <= point)
        };
        let part = n / CHAINS;
        let lefts = &mut self.left[self.n..][..n];
        let mut rows = [0; CHAINS];
        for (c, row) in rows.iter_mut().enumerate() {
            *row = time.partition_point(|&t| t <= points[c * part]).saturating_sub(1);
            lefts[c * part] = *row as u32;
        }
        for j in 1..part {
            for (c, row) in rows.iter_mut().enumerate() {
                *row = advance(*row, points[c * part + j]);
                lefts[c * part + j] = *row as u32;
            }
        }
        for j in (CHAINS * part).max(1)..n {
            rows[CHAINS - 1] = advance(rows[CHAINS - 1], points[j]);
            lefts[j] = rows[CHAINS - 1] as u32;
        }
        let mut sound = true;
        let (mut since, mut gaps) = ([0i32; PLAN], [0i32; PLAN]);
        for (((&point, left), since), gap) in points.iter().zip(lefts).zip(&mut since).zip(&mut gaps) {
            let i = *left as usize;
            let Some(&[a, b]) = time.get(i..).and_then(|rest| rest.first_chunk()) else { return false };
            let gap_ns = b.saturating_sub(a);
            sound &= (a <= point) & (point < b) & (gap_ns <= longest);
            *left += from + 1;
            (*since, *gap) = (point.wrapping_sub(a) as i32, gap_ns as i32);
        }
        for ((weight, since), gap) in self.weight[self.n..].iter_mut().zip(since).zip(gaps) {
            *weight = since as f32 * (1.0 / gap as f32);
        }
        if sound {
            self.n += points.len();
        }
        sound
    }
}

/// Resamples a recording that arrives in chunks of times and values.
///
/// The answer does not depend on how the chunks fall. Times must rise; one that does not is an error.
#[derive(Debug, Clone)]
pub struct Resampler {
    method: Method,
    max_gap: i64,
    counted_gap: i64,
    /// Next grid point to be written, and its time.
    next: GridTimes,
    previous: Option<i64>,
    held: [f32; 3],
    /// Gaps of more than 1.5 sample periods that were bridged.
    pub n_bridged: u64,
}

impl Resampler {
    /// A resampler that writes grid points from `grid.origin` on. `sample_rate` says which gaps are counted as bridged.
    ///
    /// # Errors
    /// [`Error::Value`] if `max_gap_s` is not a positive number of seconds or the rate not positive.
    pub fn new(grid: Grid, method: Method, max_gap_s: f64, sample_rate: f64) -> Result<Self> {
        if !(max_gap_s > 0.0 && max_gap_s < 9e9) {
            return Err(Error::value("max_gap_s", "a positive number of seconds", max_gap_s));
        }
        if !(sample_rate > 0.0 && sample_rate.is_finite()) {
            return Err(Error::value("sample_rate", "a positive number of Hz", sample_rate));
        }
        Ok(Self {
            method,
            max_gap: (max_gap_s * 1e9).round() as i64,
            counted_gap: (GAP_PERIODS * 1e9 / sample_rate) as i64,
            next: GridTimes::new(grid),
            previous: None,
            held: [f32::NAN; 3],
            n_bridged: 0,
        })
    }

    /// Grid points written so far.
    pub fn written(&self) -> u64 {
        self.next.point
    }

    /// Takes the next samples, appends to `out` the grid points before the last of them. Returns how many.
    ///
    /// # Errors
    /// [`Error::Value`] where a time is not later than the one before.
    pub fn push(&mut self, time: &[i64], values: [&[f32]; 3], out: &mut [Vec<f32>; 3]) -> Result<usize> {
        let before = self.next.point;
        let held = self.held;
        self.plan_chunk(time, &mut |plan| {
            for ((out, values), held) in out.iter_mut().zip(values).zip(held) {
                append(plan, held, values, out);
            }
        })?;
        if let Some(last) = time.len().checked_sub(1) {
            self.held = std::array::from_fn(|axis| values[axis][last]);
        }
        Ok((self.next.point - before) as usize)
    }

    /// Appends the grid points that the last sample alone decides, and missing ones, until `count` points are written.
    pub fn finish(&mut self, count: u64, out: &mut [Vec<f32>; 3]) -> usize {
        let before = self.next.point;
        let mut first = true;
        while self.next.point < count {
            let reaches = self.previous.is_some_and(|last| {
                let after = self.method == Method::Nearest && first && self.next.time - last <= self.max_gap;
                self.next.time == last || after
            });
            first &= self.previous == Some(self.next.time);
            for (out, &held) in out.iter_mut().zip(&self.held) {
                out.push(if reaches { held } else { f32::NAN });
            }
            self.next.advance();
        }
        (self.next.point - before) as usize
    }

    /// Plans every grid point before the last of `time`, `PLAN` at a time.
    fn plan_chunk(&mut self, time: &[i64], emit: &mut dyn FnMut(&Plan)) -> Result<()> {
        let mut plan = Plan { left: [0; PLAN], weight: [0.0; PLAN], n: 0 };
        // Before the first sample nothing is known: as if one at the same place had been missing for ever.
        let before = self.previous.unwrap_or(i64::MIN);
        check_rising(before, time)?;
        if let Some(&first) = time.first()
            && self.next.time < first
        {
            self.plan_gap(before, first, 0, &mut plan, emit);
        }
        if let Some(&last) = time.last() {
            match self.method {
                Method::Linear => self.plan_stretches(time, last, &mut plan, emit),
                Method::Nearest => self.plan_gaps(time, 0, last, &mut plan, emit),
            }
        }
        self.previous = time.last().copied().or(self.previous);
        if plan.n > 0 {
            emit(&plan);
        }
        Ok(())
    }

    /// Plans the grid points before `until`, one gap between samples after another; the first of them is not before sample
    /// `from`.
    fn plan_gaps(&mut self, time: &[i64], from: usize, until: i64, plan: &mut Plan, emit: &mut dyn FnMut(&Plan)) {
        let mut position = from;
        while self.next.time < until {
            // From one grid point to the next there are few samples: steps beat a search.
            let point = self.next.time;
            position += time[position..].iter().take_while(|&&right| right <= point).count();
            let Some(&right) = time.get(position) else { break };
            self.plan_gap(time[position - 1], right, position as u32, plan, emit);
        }
    }

    /// [`Self::plan_gaps`] up to the last sample, a third as long: many grid points at a time, as long as no gap is among
    /// their samples.
    fn plan_stretches(&mut self, time: &[i64], last: i64, plan: &mut Plan, emit: &mut dyn FnMut(&Plan)) {
        let mut points = [0; PLAN];
        let mut from = 0;
        while self.next.time < last {
            let points = &mut points[..PLAN - plan.n];
            self.next.ahead(points);
            let points = &points[..points.partition_point(|&point| point < last)];
            let (Some(&first), Some(&end)) = (points.first(), points.last()) else { break };
            // Samples `from` and `to` are the last ones not after the first and the last of these points.
            from += time[from..].partition_point(|&t| t <= first) - 1;
            let to = from + time[from..].partition_point(|&t| t <= end) - 1;
            let longest = self.max_gap.min(self.counted_gap).min(i64::from(i32::MAX));
            if plan.add_stretch(points, &time[from..to + 2], from as u32, longest) {
                self.next.skip(points.len());
                if plan.n == PLAN {
                    emit(plan);
                    plan.n = 0;
                }
            } else {
                self.plan_gaps(time, from, end + 1, plan, emit);
            }
        }
    }

    /// Plans the grid points from `left` to before `right`.
    #[inline(always)]
    fn plan_gap(&mut self, left: i64, right: i64, position: u32, plan: &mut Plan, emit: &mut dyn FnMut(&Plan)) {
        let gap = right.saturating_sub(left);
        let near = gap <= self.max_gap;
        self.n_bridged += u64::from(near && gap > self.counted_gap && self.method == Method::Linear);
        let scale = 1.0 / gap as f32;
        let mut first = true;
        while self.next.time < right {
            let time = self.next.time;
            self.next.advance();
            let weight = match self.method {
                // A point on a sample takes it, and is not one of those between samples.
                _ if time == left => {
                    plan.add(position, 0.0, emit);
                    continue;
                }
                Method::Linear if near => time.saturating_sub(left) as f32 * scale,
                Method::Linear => f32::NAN,
                Method::Nearest => {
                    let last = self.next.time >= right;
                    nearest(time.saturating_sub(left), right.saturating_sub(time), first, last, self.max_gap)
                }
            };
            first = false;
            plan.add(position, weight, emit);
        }
    }
}

/// Negative where `a < b`: by the operations that every processor does on vectors of int64.
#[inline(always)]
fn less(a: i64, b: i64) -> i64 {
    (a & !b) | (!(a ^ b) & a.wrapping_sub(b))
}

/// Times must rise from `before` on.
fn check_rising(mut before: i64, time: &[i64]) -> Result<()> {
    let first = time.first().is_none_or(|&first| first > before);
    // Without leaving early, so that it is done many at a time.
    if first && time.windows(2).fold(-1, |rise, pair| rise & less(pair[0], pair[1])) < 0 {
        return Ok(());
    }
    for &t in time {
        if t <= before {
            return Err(Error::value("time", format!("later than the sample before ({before})"), t));
        }
        before = t;
    }
    Ok(())
}

/// Weight of the right neighbour: 0, 1 or missing.
fn nearest(from_left: i64, to_right: i64, first: bool, last: bool, limit: i64) -> f32 {
    let left = first && from_left <= limit;
    let right = last && to_right <= limit;
    match (left, right) {
        (true, true) => f32::from(u8::from(to_right <= from_left)),
        (true, false) => 0.0,
        (false, true) => 1.0,
        (false, false) => f32::NAN,
    }
}

fn append(plan: &Plan, held: f32, values: &[f32], out: &mut Vec<f32>) {
    let (lefts, weights) = (&plan.left[..plan.n], &plan.weight[..plan.n]);
    // The points before the chunk's first sample come first.
    let early = lefts.iter().take_while(|&&left| left == 0).count();
    out.extend(weights[..early].iter().map(|&weight| blend(held, values[0], weight)));
    out.extend(lefts[early..].iter().zip(&weights[early..]).map(|(&left, &weight)| {
        let pair = &values[left as usize - 1..][..2];
        blend(pair[0], pair[1], weight)
    }));
}

/// The line from `a` to `b`. A weight of 0 or 1 takes the sample itself, so that a missing neighbour does not reach it.
#[inline(always)]
fn blend(a: f32, b: f32, weight: f32) -> f32 {
    let line = a + weight * (b - a);
    let line = if weight == 0.0 { a } else { line };
    if weight == 1.0 { b } else { line }
}

/// Series that one thread resamples before it asks for more.
const ROWS: usize = 8;

/// Resamples signals at the same times to the first `count` points of a grid, into `out` `[..., count]`.
///
/// # Errors
/// [`Error::Shape`] where lengths disagree or the signals are strided in time, [`Error::Value`] where times do not rise.
pub fn resample(
    x: &Signals<'_, f32>,
    time: &[i64],
    resampler: &Resampler,
    count: usize,
    out: &mut [f32],
) -> Result<()> {
    x.check_dense("x")?;
    if x.time() != time.len() {
        return Err(Error::shape("x", format!("{} samples, one for each time", time.len()), x.time()));
    }
    check_length("out", out.len(), &[x.count(), count])?;
    check_rising(resampler.previous.unwrap_or(i64::MIN), time)?; // before threads start
    if count == 0 || time.is_empty() {
        out.fill(f32::NAN);
        return Ok(());
    }
    let threads = threads::worth(x.count() as f64 * (count + time.len()) as f64);
    let groups = out.chunks_mut(ROWS * count).enumerate();
    threads::for_each(threads, groups, Vec::new, |buffer, (group, out)| {
        let rows = out.chunks_mut(count).enumerate().map(|(i, out)| (x.get(group * ROWS + i), out));
        resample_rows(&mut rows.collect::<Vec<_>>(), time, resampler.clone(), buffer);
    });
    Ok(())
}

/// Points after which Ctrl-C is asked for.
const ASK_EVERY: usize = 1 << 18;

/// Resamples some signals, each into the slice beside it.
fn resample_rows(rows: &mut [(&[f32], &mut [f32])], time: &[i64], mut resampler: Resampler, buffer: &mut Vec<f32>) {
    let mut start = 0;
    // The times rise: they have been checked.
    let _ = resampler.plan_chunk(time, &mut |plan| {
        if start % ASK_EVERY + plan.n >= ASK_EVERY {
            threads::ask();
        }
        for (row, out) in rows.iter_mut() {
            buffer.clear();
            append(plan, f32::NAN, row, buffer);
            let rest = out.get_mut(start..).unwrap_or_default();
            let n = buffer.len().min(rest.len());
            rest[..n].copy_from_slice(&buffer[..n]);
        }
        start += plan.n;
    });
    for (row, out) in rows {
        let mut end = resampler.clone();
        end.held = [row[row.len() - 1]; 3];
        let mut points = [Vec::new(), Vec::new(), Vec::new()];
        end.finish(out.len() as u64, &mut points);
        let rest = out.get_mut(start..).unwrap_or_default();
        rest.copy_from_slice(&points[0][..rest.len()]);
    }
}

#[cfg(test)]
#[path = "resample_tests.rs"]
mod tests;

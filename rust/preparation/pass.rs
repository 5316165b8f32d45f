//! One pass over a recording: low-pass, grid, windows, and the judgement at the end.

use std::thread::Scope;

use super::edges::edge_point;
use super::filtering::Filtering;
use super::gridded::{Gridded, SecondHalf};
use super::prepared::Prepared;
use super::segments::segment;
use super::settings::{Order, Settings};
use super::timeline::{Timeline, is_possible};
use super::warmth::{apply, warm};
use crate::device::{Block, Chunk, Stream, Summary};
use crate::error::{Error, Result};
use crate::signal::calibrate;
use crate::signal::grid::Grid;
use crate::signal::resample::Resampler;
use crate::signal::wear;
use crate::signal::windows::{Window, slide};

/// Fewest samples a second: rows further apart would take memory by the time between them, not by their number.
const SLOWEST: f64 = 1.0 / 60.0;
/// Most samples a second: three times the fastest sensors of vibration.
const FASTEST: f64 = 100_000.0;
/// A longer step within a run is a gap, ns, unless it is three periods.
const LONGEST_STEP: i64 = 60_000_000_000;
/// A limit of gaps this close below one lost record of the format is lifted to it.
const JUST_UNDER: f64 = 1.5;

/// The stages, and their results up to now.
pub struct Pass<'scope, 'a> {
    settings: &'a Settings,
    /// Longest gap within a segment, s.
    max_gap_s: f64,
    filter: Filtering<'a>,
    timeline: Timeline,
    grid: Grid,
    second: SecondHalf<'scope, 'a>,
    temperature: Vec<(i64, f32)>,
    /// Stretches of idle sleep that were filled: nothing was measured there, so nothing is calibrated by them.
    idle: Vec<(i64, i64)>,
    /// The block of the last sample.
    block: Option<Block>,
    /// The present run has an impossible date.
    skipping: bool,
    last_values: [f32; 3],
    out: Prepared,
}

impl<'scope, 'a: 'scope> Pass<'scope, 'a> {
    /// A pass that begins with this chunk. With a scope the second half runs on a thread in it.
    pub fn new(
        settings: &'a Settings,
        stream: &Stream,
        chunk: &Chunk,
        points: Option<u64>,
        scope: Option<&'scope Scope<'scope, '_>>,
    ) -> Result<Self> {
        let time = &chunk.data.time;
        let first = time.iter().copied().find(|time| is_possible(*time)).unwrap_or(0);
        let rate = run_rate(stream, chunk.blocks.first().map(|(_, block)| block), time)?;
        let grid = Grid::new(first, settings.rate)?;
        let grid = points.map_or(grid, |count| grid.as_actipy(count));
        let max_gap_s = longest_gap(settings.max_gap_s, stream.header().unit_s, rate);
        let samples = stream.size_hint().unwrap_or(0) as f64;
        let room = (samples / rate.max(1.0) * settings.rate * 1.07) as u64 + 4096;
        let resampler = Resampler::new(grid, settings.method, max_gap_s, rate.max(1e-3))?;
        let second = SecondHalf::begin(Gridded::new(settings, grid, resampler, first, room)?, scope);
        let (temperature, idle) = Default::default();
        let mut pass = Self {
            settings,
            max_gap_s,
            filter: Filtering::new(settings),
            timeline: Timeline::new(settings.order, settings.rate, (max_gap_s * 1e9) as i64),
            grid,
            second,
            temperature,
            idle,
            block: None,
            skipping: !time.first().copied().is_some_and(is_possible),
            last_values: [f32::NAN; 3],
            out: Prepared { start: first, ..Prepared::default() },
        };
        pass.filter.begin(rate)?;
        Ok(pass)
    }

    pub fn push(&mut self, chunk: &Chunk, stream: &Stream) -> Result<()> {
        let before = self.out.samples;
        self.out.samples += chunk.data.len() as u64;
        let mut starts = chunk.run_starts.iter().copied().peekable();
        let mut from = 0;
        let n = chunk.data.len();
        while from < n {
            let begins = starts.next_if_eq(&from).is_some();
            let to = starts.peek().copied().unwrap_or(n);
            if begins {
                self.skipping = !is_possible(chunk.data.time[from]);
                if !self.skipping {
                    let row = before + from as u64;
                    let known = chunk.blocks.iter().rev().find(|(first, _)| *first <= row).map(|(_, block)| *block);
                    let rate = run_rate(stream, known.or(self.block).as_ref(), &chunk.data.time[from..to])?;
                    let restart = known.is_some_and(|block| block.restart);
                    self.new_run(chunk, from, rate, restart)?;
                }
            }
            if self.skipping {
                self.out.impossible += (to - from) as u64;
            } else {
                self.push_run(chunk, from, to)?;
            }
            from = to;
        }
        self.block = chunk.blocks.last().map(|(_, block)| *block).or(self.block);
        if self.settings.calibration.as_ref().is_some_and(|(_, fit)| fit.temperature) {
            self.note_temperature(chunk);
        }
        Ok(())
    }

    /// Ends the run before, and decides where on the grid the next one begins.
    fn new_run(&mut self, chunk: &Chunk, start: usize, rate: f64, restart: bool) -> Result<()> {
        let first = chunk.data.time[start];
        let period = self.filter.period();
        let idle = chunk.idle.iter().find(|idle| idle.sample == start && self.settings.fill_idle_sleep);
        let Some(placed) = self.timeline.place_run(first, period, idle.map(|idle| idle.until)) else { return Ok(()) };
        let point = self.grid.at_or_after(placed.begins) as usize;
        if placed.shifted {
            self.out.shifts.push((point, self.timeline.shift));
        }
        if placed.fell || restart {
            self.out.breaks.push(point);
        }
        if let Some(woke) = placed.woke {
            self.fill_idle(placed.last, woke, period)?;
        }
        // one run goes on through a sleep that lasted until the next sample
        let asleep = placed.woke.is_some_and(|woke| woke >= placed.begins - 2 * period);
        if !self.settings.across_gaps && (!asleep || rate != self.filter.rate) {
            self.end_run()?;
            self.filter.begin(rate)?;
        }
        if placed.begins - self.timeline.last.unwrap_or(placed.last) <= (self.max_gap_s * 1e9) as i64 {
            self.out.bridged += 1;
        }
        Ok(())
    }

    /// Puts the last value at the device's rate into the time that it slept.
    fn fill_idle(&mut self, last: i64, until: i64, period: i64) -> Result<()> {
        self.idle.push((last, until));
        let mut time = last;
        let mut run: [Vec<f32>; 3] = Default::default();
        let mut times = Vec::new();
        while time + period + period / 2 <= until {
            time += period;
            times.push(time);
            run.iter_mut().zip(self.last_values).for_each(|(axis, value)| axis.push(value));
            if times.len() == 8192 || time + period + period / 2 > until {
                self.out.filled += times.len() as u64;
                self.feed([&run[0], &run[1], &run[2]], &times)?;
                run.iter_mut().for_each(Vec::clear);
                times.clear();
            }
        }
        Ok(())
    }

    /// Samples of a run; what lies behind a step that no run has is a run of its own.
    fn push_run(&mut self, chunk: &Chunk, mut from: usize, to: usize) -> Result<()> {
        let time = &chunk.data.time[from..to];
        let period = self.filter.period();
        let span = time.last().zip(time.first()).map_or(0, |(last, first)| last.saturating_sub(*first));
        let longest = LONGEST_STEP.max(period.saturating_mul(3));
        if span > longest && span as f64 > 1.02 * period as f64 * time.len() as f64 {
            let steps = time.windows(2).enumerate().filter(|(_, w)| w[1].saturating_sub(w[0]) > longest);
            for (before, _) in steps {
                let row = to - time.len() + before + 1;
                self.push_samples(chunk, from, row)?;
                self.new_run(chunk, row, self.filter.rate, false)?;
                from = row;
            }
        }
        self.push_samples(chunk, from, to)
    }

    fn push_samples(&mut self, chunk: &Chunk, from: usize, to: usize) -> Result<()> {
        let [x, y, z] = &chunk.data.xyz;
        let values = [&x[from..to], &y[from..to], &z[from..to]];
        let shift = self.timeline.shift;
        if shift == 0 {
            self.timeline.note(&chunk.data.time[from..to]);
            return self.feed(values, &chunk.data.time[from..to]);
        }
        let shifted: Vec<i64> = chunk.data.time[from..to].iter().map(|t| t.saturating_add(shift)).collect();
        self.timeline.note(&shifted);
        self.feed(values, &shifted)
    }

    /// Samples of the present run, in the grid's time.
    fn feed(&mut self, values: [&[f32]; 3], time: &[i64]) -> Result<()> {
        let Some(last) = time.len().checked_sub(1) else { return Ok(()) };
        self.timeline.last = Some(time[last]);
        self.last_values = values.map(|axis| axis[last]);
        self.filter.push(values, time);
        self.second.take(&mut self.filter)
    }

    fn end_run(&mut self) -> Result<()> {
        self.filter.finish();
        self.second.take(&mut self.filter)
    }

    fn note_temperature(&mut self, chunk: &Chunk) {
        let shift = self.timeline.shift;
        let temperature = &mut self.temperature;
        if chunk.data.temperature.is_empty() {
            // a block's first sample lies in this chunk, so its time does
            let from = self.out.samples - chunk.data.len() as u64;
            for (first, block) in &chunk.blocks {
                if let Some(time) = chunk.data.time.get(first.saturating_sub(from) as usize) {
                    temperature.push((time.saturating_add(shift), block.temperature));
                }
            }
        } else {
            let each = chunk.data.time.iter().zip(&chunk.data.temperature).step_by(self.filter.rate.max(1.0) as usize);
            temperature.extend(each.map(|(time, t)| (time.saturating_add(shift), *t)));
        }
    }

    pub fn finish(mut self, summary: Summary) -> Result<Prepared> {
        self.end_run()?;
        let Some(last) = self.timeline.last else {
            let reason = "time: expected dates between 1843 and 2096, got none";
            return Err(Error::malformed(summary.header.format, 0, reason));
        };
        let Self { settings, max_gap_s, filter, grid, second, temperature, idle, mut out, .. } = self;
        let Gridded { windows, acceleration, n, .. } = second.finish(grid.count(last, settings.method))?;
        (out.acceleration, out.n) = (acceleration, n);
        (out.summary, out.lowpass_skipped, out.slow) = (summary, filter.skipped, filter.slow);
        let mut still_windows = windows.nonwear.finish();
        if let (Some((length, fit)), Some(statistics)) = (&settings.calibration, windows.calibration) {
            let mut table = statistics.finish();
            let slept = |w: &Window| idle.iter().any(|(from, to)| w.start < *to && w.start + length > *from);
            table.retain(|w| !slept(w));
            warm(&mut table, &temperature, *length);
            let calibration = calibrate::calibrate(&table, fit)?;
            let is_still = |w: &&Window| w.sd.iter().all(|sd| *sd < fit.tolerance_g);
            out.still = table.iter().filter(is_still).map(|w| w.mean).collect();
            if calibration.ok {
                apply(&mut out, &calibration, &grid, &temperature)?;
                calibration.apply_to_windows(&mut still_windows);
            }
            out.calibration = Some(calibration);
        }
        let width = (settings.nonwear.window / settings.nonwear.step.max(1)).max(1) as usize;
        if width > 1 {
            still_windows = slide(&still_windows, settings.nonwear.step, width);
        }
        let episodes = wear::nonwear(&still_windows, &settings.nonwear)?;
        let point = |time: i64| match settings.order {
            Order::Paper => grid.at_or_after(time) as usize,
            Order::Actipy => edge_point(&windows.edges, &grid, time),
        };
        out.nonwear = episodes.iter().map(|e| (point(e.start).min(out.n), point(e.end).min(out.n))).collect();
        segment(&mut out, settings, max_gap_s, filter.rate)?;
        out.begin_when_set(settings.rate);
        Ok(out)
    }
}

/// The rate of a run: the header's, unless the block's differs by more than a device's clock could; where neither says
/// one, that of the run's own times.
fn run_rate(stream: &Stream, block: Option<&Block>, time: &[i64]) -> Result<f64> {
    let header = stream.header().nominal_rate;
    let stated = match block.map(|block| block.rate) {
        Some(rate) if rate > 0.0 && (header <= 0.0 || (rate - header).abs() > 0.1 * header) => rate,
        _ => header,
    };
    let rate = match (time.first(), time.last()) {
        _ if stated > 0.0 => stated,
        (Some(first), Some(last)) if last > first => (time.len() - 1) as f64 * 1e9 / last.abs_diff(*first) as f64,
        _ => 1.0,
    };
    enough(rate, stream.header().format)
}

/// The rate, unless it is so low that the grid between the samples is what takes the memory, or no accelerometer's.
fn enough(rate: f64, format: &'static str) -> Result<f64> {
    if rate < SLOWEST {
        let reason = format!("rate: expected at least a sample a minute, got one every {:.0} s", 1.0 / rate);
        return Err(Error::malformed(format, 0, reason));
    }
    if rate > FASTEST {
        return Err(Error::malformed(format, 0, format!("rate: expected at most {FASTEST} Hz, got {rate} Hz")));
    }
    Ok(rate)
}

/// The longest gap within a segment, s: the recipe's, lifted to one lost record where it lies just under that.
fn longest_gap(max_gap_s: f64, unit_s: f64, rate: f64) -> f64 {
    let lost = unit_s + 2.0 / rate.max(1e-3);
    if unit_s > 0.0 && lost < JUST_UNDER * max_gap_s { max_gap_s.max(lost) } else { max_gap_s }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_that_no_accelerometer_has_are_refused() {
        assert_eq!(enough(1.0 / 59.0, "csv").ok(), Some(1.0 / 59.0));
        let reason = enough(1.0 / 90.0, "csv").err().map(|error| error.to_string()).unwrap_or_default();
        assert!(reason.contains("rate: expected at least a sample a minute, got one every 90 s"), "{reason}");
        assert_eq!(enough(FASTEST, "csv").ok(), Some(FASTEST));
        let reason = enough(1e9, "csv").err().map(|error| error.to_string()).unwrap_or_default();
        assert!(reason.contains("rate: expected at most 100000 Hz, got 1000000000 Hz"), "{reason}");
    }

    #[test]
    fn the_longest_gap_is_not_just_under_one_lost_record() {
        assert_eq!(longest_gap(1.0, 1.0, 30.0), 1.0 + 2.0 / 30.0);
        assert_eq!(longest_gap(1.0, 0.0, 30.0), 1.0);
        assert_eq!(longest_gap(0.1, 1.0, 30.0), 0.1);
        assert_eq!(longest_gap(5.0, 1.0, 30.0), 5.0);
    }
}

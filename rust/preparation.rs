//! A device file to calibrated wear in one pass.
//!
//! What is kept of 100 Hz is nothing: chunks of a few thousand samples go through the low-pass and onto the grid while they
//! are in the cache, and what outlives them are the samples of the grid and one row of statistics a window. Calibration is
//! affine and the steps before it are linear, so it is fitted to the table and applied to the grid at the end; so is
//! non-wear, since a window's standard deviation scales with the gain.
//!
//! **Time.** The grid begins at the first sample and runs on the device's clock. Where that clock goes back, or stands still
//! for a fortnight and more, the samples that follow are shifted so that the grid goes on (a sample later, or a fortnight
//! later), and [`Prepared::shifts`] says by how much; nothing is written over and no gap can fill the memory.
//!
//! **Gaps.** Each run is filtered by itself, unless the recipe filters across gaps as actipy does. Between runs no farther
//! apart than `max_gap_s` the linear grid is interpolated and counted; longer ones stay missing and end a segment.

use std::path::Path;

use crate::device::columns::Planar;
use crate::device::{self, Block, Chunk, Event, Stream, Summary, Timestamps};
use crate::error::{Error, Result};
use crate::signal::butterworth::Butterworth;
use crate::signal::calibrate::{self, Calibration};
use crate::signal::filter::ZeroPhase;
use crate::signal::resample::{Grid, GridTimes, Method, Resampler};
use crate::signal::wear::{self, Episode};
use crate::signal::windows::{Missing, Window, WindowStatistics, slide};

/// Longest gap that the grid shows as it is, ns: a fortnight.
const LONGEST_GAP: i64 = 14 * 86_400 * SECOND;
/// Points that a grid may have: 100 days at 30 Hz.
const MAX_POINTS: u64 = 100 * 86_400 * 30;
const SECOND: i64 = 1_000_000_000;
/// A run that begins so much before the end of the one before it was misjudged by the extrapolation, not by the clock, ns.
const OVERLAP: i64 = SECOND;

/// Where the windows of calibration and non-wear are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Low-pass, resample, calibrate, non-wear: on the grid.
    Paper,
    /// Low-pass, calibrate, non-wear, resample: on the filtered samples.
    Actipy,
}

/// Every number of a pass.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How sample times are made.
    pub timestamps: Timestamps,
    /// Order of the steps.
    pub order: Order,
    /// Cutoff in Hz and order of the low-pass, or none.
    pub lowpass: Option<(f64, usize)>,
    /// Whether the filter takes rows on both sides of a gap as neighbours.
    pub across_gaps: bool,
    /// Hz of the grid.
    pub rate: f64,
    /// How the grid gets its values.
    pub method: Method,
    /// Length of a calibration window, ns, and the fit; or none.
    pub calibration: Option<(i64, calibrate::Options)>,
    /// Non-wear.
    pub nonwear: wear::Options,
    /// Shorter segments are dropped, s.
    pub min_wear_s: f64,
    /// Longer gaps end a segment, s.
    pub max_gap_s: f64,
    /// Whether a device's idle sleep is filled with the last value.
    pub fill_idle_sleep: bool,
}

/// What a pass gives.
#[derive(Debug, Default)]
pub struct Prepared {
    /// Calibrated acceleration on the grid, g; NaN where nothing was measured.
    pub acceleration: Planar,
    /// Grid points.
    pub n: usize,
    /// Time of grid point 0, ns, device clock.
    pub start: i64,
    /// (grid point, ns): from this point on the grid is so much ahead of the device's clock.
    pub shifts: Vec<(usize, i64)>,
    /// Kept wear, as ranges of grid points.
    pub segments: Vec<(usize, usize)>,
    /// Non-wear, as ranges of grid points.
    pub nonwear: Vec<(usize, usize)>,
    /// The fit; `None` where the recipe has none.
    pub calibration: Option<Calibration>,
    /// Means of the still windows before calibration, g.
    pub still: Vec<[f64; 3]>,
    /// Points of the grid that bridge a gap between runs, and such gaps.
    pub bridged: u64,
    /// Grid points without data.
    pub missing: usize,
    /// Longest stretch of wear, s.
    pub longest_wear_s: f64,
    /// Samples read.
    pub samples: u64,
    /// Samples put in for idle sleep.
    pub filled: u64,
    /// Whether some run's rate was too low for the filter's cutoff.
    pub lowpass_skipped: u64,
    /// Header, quality and measured rate.
    pub summary: Summary,
}

/// Prepares a file.
///
/// # Errors
/// Those of [`device::open`] and [`Stream::next`], settings outside their domain, and [`Error::Limit`] for a grid of more
/// than [`MAX_POINTS`] points.
pub fn prepare(path: &Path, settings: &Settings) -> Result<Prepared> {
    let points = match settings.timestamps {
        // actipy's rounding of the grid's times depends on how many there are, so its recipe reads the file twice
        Timestamps::Actipy if settings.method == Method::Nearest => {
            let (first, last) = span(device::open(path, settings.timestamps)?)?;
            Some(Grid::new(first, settings.rate)?.count(last, settings.method))
        }
        _ => None,
    };
    follow(device::open(path, settings.timestamps)?, settings, points)
}

/// First and last time of a recording.
fn span(mut stream: Stream) -> Result<(i64, i64)> {
    let mut chunk = Chunk::default();
    let (mut first, mut last) = (None, 0);
    while stream.next(&mut chunk)? {
        first = first.or(chunk.data.time.first().copied());
        last = chunk.data.time.last().copied().unwrap_or(last);
    }
    Ok((first.unwrap_or(last), last))
}

/// Prepares a recording from any reader.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_stream(stream: Stream, settings: &Settings) -> Result<Prepared> {
    follow(stream, settings, None)
}

fn follow(mut stream: Stream, settings: &Settings, points: Option<u64>) -> Result<Prepared> {
    let mut chunk = Chunk::default();
    let mut pass: Option<Pass> = None;
    while stream.next(&mut chunk)? {
        let pass = match &mut pass {
            Some(pass) => pass,
            none => none.insert(Pass::new(settings, &stream, &chunk, points)?),
        };
        pass.push(&chunk, &stream)?;
    }
    match pass {
        Some(pass) => pass.finish(stream.finish()),
        None => {
            let kinds = stream.finish();
            Err(Error::malformed(kinds.header.format, 0, "expected samples, got a recording without any"))
        }
    }
}

/// The rows around a window's start: last before it, first at or after it, and the one after that, ns.
type Edge = (i64, [i64; 3]);

struct Pass<'a> {
    settings: &'a Settings,
    grid: Grid,
    filter: Option<ZeroPhase>,
    rate: f64,
    /// Filtered samples and the times of those that the filter still holds.
    filtered: [Vec<f32>; 3],
    time: Vec<i64>,
    /// Added to device times, in this run and beyond it.
    shift: i64,
    clock_shift: i64,
    last: Option<i64>,
    resampler: Resampler,
    points: [Vec<f32>; 3],
    point_time: Vec<i64>,
    points_timed: GridTimes,
    calibration: Option<WindowStatistics>,
    nonwear: WindowStatistics,
    edges: Vec<Edge>,
    row_before: i64,
    temperature: Vec<(i64, f32)>,
    /// Stretches of idle sleep that were filled: nothing was measured there, so nothing is calibrated by them.
    idle: Vec<(i64, i64)>,
    last_values: [f32; 3],
    out: Prepared,
}

impl<'a> Pass<'a> {
    fn new(settings: &'a Settings, stream: &Stream, chunk: &Chunk, points: Option<u64>) -> Result<Self> {
        let first = chunk.data.time.first().copied().unwrap_or(0);
        let rate = nominal_rate(stream, chunk.blocks.first().map(|(_, block)| block));
        let grid = Grid::new(first, settings.rate)?;
        let grid = points.map_or(grid, |count| grid.as_actipy(count));
        let window = settings.nonwear.step;
        let statistics = |length, missing| WindowStatistics::new(length, Some(first), missing);
        let calibration = match &settings.calibration {
            Some((length, _)) => Some(statistics(*length, Missing::Skip)?),
            None => None,
        };
        // Room for what the file can hold at most; pages that are never touched cost nothing.
        let samples = stream.size_hint().unwrap_or(0) as f64;
        let points = (samples / rate.max(1.0) * settings.rate * 1.07) as u64 + 4096;
        let mut pass = Self {
            settings,
            grid,
            filter: None,
            rate: 0.0,
            filtered: Default::default(),
            time: Vec::new(),
            shift: 0,
            clock_shift: 0,
            last: None,
            resampler: Resampler::new(grid, settings.method, settings.max_gap_s, rate.max(1e-3))?,
            points: Default::default(),
            point_time: Vec::new(),
            points_timed: GridTimes::new(grid),
            calibration,
            nonwear: statistics(window, Missing::Fill)?,
            edges: Vec::new(),
            row_before: i64::MIN,
            temperature: Vec::new(),
            idle: Vec::new(),
            last_values: [f32::NAN; 3],
            out: Prepared { start: first, ..Prepared::default() },
        };
        pass.out.acceleration = Planar::with_capacity(points.min(MAX_POINTS) as usize)?;
        pass.begin_run(rate)?;
        Ok(pass)
    }

    /// A filter for a run of this rate.
    fn begin_run(&mut self, rate: f64) -> Result<()> {
        if rate == self.rate {
            return Ok(());
        }
        self.rate = rate;
        self.filter = match self.settings.lowpass {
            Some((cutoff, order)) if cutoff < rate / 2.0 => {
                Some(ZeroPhase::new(Butterworth::lowpass(order, cutoff, rate)?)?)
            }
            Some(_) => {
                self.out.lowpass_skipped += 1;
                None
            }
            None => None,
        };
        Ok(())
    }

    fn push(&mut self, chunk: &Chunk, stream: &Stream) -> Result<()> {
        self.out.samples += chunk.data.len() as u64;
        let mut starts = chunk.run_starts.iter().copied().peekable();
        let mut from = 0;
        let n = chunk.data.len();
        while from < n {
            if starts.next_if_eq(&from).is_some() && self.last.is_some() {
                self.new_run(chunk, from, stream)?;
            }
            let to = starts.peek().copied().unwrap_or(n);
            self.push_samples(chunk, from, to)?;
            from = to;
        }
        if self.settings.calibration.as_ref().is_some_and(|(_, fit)| fit.temperature) {
            self.note_temperature(chunk);
        }
        Ok(())
    }

    /// Ends the run before, and decides where on the grid the next one begins.
    fn new_run(&mut self, chunk: &Chunk, at: usize, stream: &Stream) -> Result<()> {
        let first = chunk.data.time[at];
        let (Some(last), period) = (self.last, (1e9 / self.rate.max(1e-3)) as i64) else { return Ok(()) };
        let rate = nominal_rate(stream, block_at(chunk, at));
        let placed = first.saturating_add(self.clock_shift);
        let idle = chunk.idle.iter().find(|idle| idle.at == at && self.settings.fill_idle_sleep);
        let awake = idle.is_some_and(|idle| idle.until < first.saturating_sub(2 * period));
        let begins = match placed - last {
            apart if apart <= 0 => last + period.max(1),
            apart if apart > LONGEST_GAP => last + LONGEST_GAP,
            _ => placed,
        };
        let shift = begins - first;
        if (placed - last) < -OVERLAP || placed - last > LONGEST_GAP {
            self.clock_shift = shift; // for good: the clock was set
        }
        if shift != self.shift {
            self.shift = shift;
            self.out.shifts.push((self.grid.at_or_after(begins) as usize, shift));
        }
        if let Some(idle) = idle
            && begins == placed
        {
            self.fill_idle(last, idle.until.saturating_add(self.clock_shift).min(placed), period)?;
        }
        if !self.settings.across_gaps && (idle.is_none() || awake) {
            self.end_run()?;
            self.begin_run(rate)?;
        }
        let gap = first.saturating_add(self.shift) - last;
        if gap <= (self.settings.max_gap_s * 1e9) as i64 {
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

    fn push_samples(&mut self, chunk: &Chunk, from: usize, to: usize) -> Result<()> {
        let [x, y, z] = &chunk.data.xyz;
        let values = [&x[from..to], &y[from..to], &z[from..to]];
        if self.shift == 0 {
            return self.feed(values, &chunk.data.time[from..to]);
        }
        let shifted: Vec<i64> = chunk.data.time[from..to].iter().map(|t| t.saturating_add(self.shift)).collect();
        self.feed(values, &shifted)
    }

    /// Samples of the present run, in the grid's time.
    fn feed(&mut self, values: [&[f32]; 3], time: &[i64]) -> Result<()> {
        let Some(last) = time.len().checked_sub(1) else { return Ok(()) };
        self.last = Some(time[last]);
        self.last_values = values.map(|axis| axis[last]);
        self.time.extend_from_slice(time);
        match &mut self.filter {
            Some(filter) => {
                filter.push(values, &mut self.filtered);
            }
            None => self.filtered.iter_mut().zip(values).for_each(|(held, axis)| held.extend_from_slice(axis)),
        }
        self.drain()
    }

    fn end_run(&mut self) -> Result<()> {
        if let Some(filter) = &mut self.filter {
            filter.finish(&mut self.filtered);
        }
        self.drain()
    }

    /// Takes what the filter has given onto the grid and into the windows.
    fn drain(&mut self) -> Result<()> {
        let n = self.filtered[0].len();
        if n == 0 {
            return Ok(());
        }
        let [x, y, z] = &self.filtered;
        let values = [x.as_slice(), y.as_slice(), z.as_slice()];
        if self.settings.order == Order::Actipy {
            note_edges(
                &mut self.edges,
                &mut self.row_before,
                self.out.start,
                self.settings.nonwear.step,
                &self.time[..n],
            );
            if let Some(windows) = &mut self.calibration {
                windows.push(&self.time[..n], values, &[]);
            }
            self.nonwear.push(&self.time[..n], values, &[]);
        }
        self.resampler.push(&self.time[..n], values, &mut self.points)?;
        self.time.drain(..n);
        self.filtered.iter_mut().for_each(Vec::clear);
        self.keep_points()
    }

    fn keep_points(&mut self) -> Result<()> {
        let n = self.points[0].len();
        if (self.out.n + n) as u64 > MAX_POINTS {
            return Err(Error::Limit { what: "points on the grid of one recording", max: MAX_POINTS });
        }
        if self.settings.order == Order::Paper {
            self.point_time.resize(n, 0);
            self.points_timed.ahead(&mut self.point_time);
            self.points_timed.skip(n);
            let [x, y, z] = &self.points;
            let values = [x.as_slice(), y.as_slice(), z.as_slice()];
            if let Some(windows) = &mut self.calibration {
                windows.push(&self.point_time, values, &[]);
            }
            self.nonwear.push(&self.point_time, values, &[]);
        }
        self.out.acceleration.append(self.out.n, &self.points)?;
        self.out.n += n;
        self.points.iter_mut().for_each(Vec::clear);
        Ok(())
    }

    fn note_temperature(&mut self, chunk: &Chunk) {
        if chunk.data.temperature.is_empty() {
            // a block's first sample lies in this chunk, so its time does
            let from = self.out.samples - chunk.data.len() as u64;
            for (first, block) in &chunk.blocks {
                if let Some(time) = chunk.data.time.get((*first - from) as usize) {
                    self.temperature.push((time.saturating_add(self.shift), block.temperature));
                }
            }
        } else {
            let each = chunk.data.time.iter().zip(&chunk.data.temperature).step_by(self.rate.max(1.0) as usize);
            self.temperature.extend(each.map(|(time, t)| (time.saturating_add(self.shift), *t)));
        }
    }

    fn finish(mut self, summary: Summary) -> Result<Prepared> {
        self.end_run()?;
        let last = self.last.unwrap_or(self.out.start);
        self.resampler.finish(self.grid.count(last, self.settings.method), &mut self.points);
        self.keep_points()?;
        self.out.summary = summary;
        let Self { settings, grid, calibration, nonwear, edges, temperature, idle, mut out, .. } = self;
        let mut still_windows = nonwear.finish();
        if let (Some((length, fit)), Some(statistics)) = (&settings.calibration, calibration) {
            let mut windows = statistics.finish();
            windows.retain(|w| !idle.iter().any(|(from, to)| w.start < *to && w.start + length > *from));
            warm(&mut windows, &temperature, *length);
            let found = calibrate::calibrate(&windows, fit)?;
            let is_still = |w: &&Window| w.sd.iter().all(|sd| *sd < fit.tolerance_g);
            out.still = windows.iter().filter(is_still).map(|w| w.mean).collect();
            if found.ok {
                apply(&mut out, &found, &grid, &temperature);
                found.apply_to_windows(&mut still_windows);
            }
            out.calibration = Some(found);
        }
        let width = (settings.nonwear.window / settings.nonwear.step.max(1)).max(1) as usize;
        if width > 1 {
            still_windows = slide(&still_windows, settings.nonwear.step, width);
        }
        let episodes = wear::nonwear(&still_windows, &settings.nonwear)?;
        let point = |time: i64| match settings.order {
            Order::Paper => grid.at_or_after(time) as usize,
            Order::Actipy => edge_point(&edges, &grid, time),
        };
        out.nonwear = episodes.iter().map(|e| (point(e.start).min(out.n), point(e.end).min(out.n))).collect();
        segment(&mut out, settings);
        Ok(out)
    }
}

/// The rate that a filter is designed for: the header's, unless the block's differs by more than a device's clock could.
fn nominal_rate(stream: &Stream, block: Option<&Block>) -> f64 {
    let header = stream.header().nominal_rate;
    match block.map(|block| block.rate) {
        Some(rate) if header <= 0.0 || (rate - header).abs() > 0.1 * header => rate,
        _ => header,
    }
}

/// The block that begins at a sample of the chunk.
fn block_at(chunk: &Chunk, at: usize) -> Option<&Block> {
    let first = chunk.blocks.first()?.0;
    chunk.blocks.iter().find(|(start, _)| (*start - first) as usize >= at).map(|(_, block)| block)
}

/// For every window's start among `time`: the rows around it.
fn note_edges(edges: &mut Vec<Edge>, before: &mut i64, origin: i64, step: i64, time: &[i64]) {
    let mut wanted = match edges.last() {
        Some((edge, _)) => edge + step,
        None => origin,
    };
    for (i, &t) in time.iter().enumerate() {
        if let Some((_, rows)) = edges.last_mut()
            && rows[2] == i64::MIN
        {
            rows[2] = t;
        }
        if t >= wanted {
            let start = origin + (t - origin).div_euclid(step) * step;
            edges.push((start, [*before, t, time.get(i + 1).copied().unwrap_or(i64::MIN)]));
            wanted = start + step;
        }
        *before = t;
    }
}

/// The first grid point whose nearest row is not before `time`, a window's start or a nanosecond after it.
fn edge_point(edges: &[Edge], grid: &Grid, time: i64) -> usize {
    let Some((start, [before, first, second])) =
        edges.get(edges.partition_point(|(start, _)| *start < time - 1)).copied()
    else {
        return usize::MAX;
    };
    let (left, right) = if start < time && first < time { (first, second) } else { (before, first) };
    if left == i64::MIN {
        return 0;
    }
    // the later of two equally near rows is taken
    grid.at_or_after(left + (right - left + 1).div_euclid(2)) as usize
}

/// Mean temperature of each window from the blocks that begin in it; one without takes its predecessor's.
fn warm(windows: &mut [Window], temperature: &[(i64, f32)], length: i64) {
    let mut at = 0;
    let mut last = temperature.first().map_or(f64::NAN, |t| f64::from(t.1));
    for window in windows {
        let (mut sum, mut n) = (0.0, 0u32);
        while let Some((_, t)) = temperature.get(at).filter(|(time, _)| *time < window.start + length) {
            sum += f64::from(*t);
            n += 1;
            at += 1;
        }
        if n > 0 {
            last = sum / f64::from(n);
        }
        window.temperature = last;
    }
}

/// Calibrates the grid in place.
fn apply(out: &mut Prepared, found: &Calibration, grid: &Grid, temperature: &[(i64, f32)]) {
    let n = out.n;
    let mut warmth = Vec::new();
    if found.temperature_slope != [0.0; 3] && !temperature.is_empty() {
        let mut at = 0;
        warmth.extend((0..n as u64).map(|i| {
            let time = grid.time(i);
            while temperature.get(at + 1).is_some_and(|(next, _)| *next <= time) {
                at += 1;
            }
            temperature[at].1
        }));
    }
    for (axis, row) in out.acceleration.rows(n).enumerate() {
        found.apply_in_place(axis, row, &warmth);
    }
}

/// Wear is what is neither missing for longer than the longest gap nor non-wear; what is long enough is kept.
fn segment(out: &mut Prepared, settings: &Settings) {
    let points = |seconds: f64| seconds * settings.rate;
    let longest_hole = points(settings.max_gap_s);
    let n = out.n;
    let mut runs: Vec<Episode> = Vec::new();
    let mut present = |from: usize, to: usize| match runs.last_mut() {
        Some(run) if (from as i64 + 1 - run.end) as f64 <= longest_hole => run.end = to as i64,
        _ => runs.push(Episode { start: from as i64, end: to as i64 }),
    };
    let mut missing = 0;
    if let Some(x) = out.acceleration.rows(n).next() {
        const PART: usize = 4096; // mostly without a hole, which takes one look
        for (part, from) in x.chunks(PART).zip((0..).step_by(PART)) {
            match part.iter().filter(|v| v.is_nan()).count() {
                0 => present(from, from + part.len()),
                holes => {
                    missing += holes;
                    let points = part.iter().zip(from..).filter(|(v, _)| !v.is_nan());
                    points.for_each(|(_, i)| present(i, i + 1));
                }
            }
        }
    }
    out.missing = missing;
    let off: Vec<Episode> = out.nonwear.iter().map(|(a, b)| Episode { start: *a as i64, end: *b as i64 }).collect();
    let worn = wear::segments(&runs, &off);
    let longest = worn.iter().map(Episode::length).max().unwrap_or(0);
    out.longest_wear_s = longest as f64 / settings.rate;
    let needed = points(settings.min_wear_s).max(1.0);
    out.segments =
        worn.iter().filter(|e| e.length() as f64 >= needed).map(|e| (e.start as usize, e.end as usize)).collect();
}

impl Prepared {
    /// Events of the pass itself, to stand beside those of the reader.
    pub fn events(&self) -> Vec<Event> {
        let shift = |(point, ns): &(usize, i64)| Event {
            value: *ns as f64 / 1e9,
            ..Event::at("timeline_shift", 0, *point as u64)
        };
        self.shifts.iter().map(shift).collect()
    }
}

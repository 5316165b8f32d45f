//! Blocks of any reader -> chunks of samples, each with its time.

use std::collections::VecDeque;

use super::clock::{Break, Clock, Line};
use super::pieces::Pieces;
use super::plausible::{self, Norms};
use super::{
    Batch, Block, Chunk, Event, Header, Idle, LATEST, OLDEST, Quality, Reader, Stamp, Summary, Timestamps, privacy,
};
use crate::error::{Error, Result};
use crate::threads;

/// Jumps of the clock that any file may have, and seconds of samples that there must be for each of more.
const JUMPS: u64 = 10;
const SECONDS_A_JUMP: f64 = 60.0;
/// Samples that may wait for a stamp: eleven hours at 100 Hz. Beyond it the stamps before them are all that times them.
const MAX_PENDING: usize = 1 << 22;
/// Times so near to 1970 count from some start, s: 400 days.
const SINCE_START: u64 = 400 * 86_400;

/// A recording as a stream of chunks.
pub struct Stream {
    reader: Box<dyn Reader>,
    timestamps: Timestamps,
    quality: Quality,
    clock: Clock,
    pending: Batch,
    spare: Batch,
    blocks: Vec<(u64, Block)>,
    /// Samples handed out, and samples read.
    emitted: i64,
    read: i64,
    /// Samples at which runs begin, not yet handed out.
    run_starts: Vec<i64>,
    line: Option<Line>,
    last_time: Option<i64>,
    period: f64,
    ended: bool,
    dropped: u64,
    steps_back: u64,
    last_row: Option<i64>,
    /// Sleeps of the device not yet handed out, with the sample of the recording that comes next.
    idle: VecDeque<(i64, Idle)>,
    norms: Norms,
    pieces: Pieces,
    n_blocks: u64,
    inflates: bool,
}

impl Stream {
    /// A stream over any reader.
    pub fn new(reader: Box<dyn Reader>, timestamps: Timestamps) -> Self {
        Self {
            reader,
            timestamps,
            quality: Quality::default(),
            clock: Clock::default(),
            pending: Batch::default(),
            spare: Batch::default(),
            blocks: Vec::new(),
            emitted: 0,
            read: 0,
            run_starts: Vec::new(),
            line: None,
            last_time: None,
            period: 0.0,
            ended: false,
            dropped: 0,
            steps_back: 0,
            last_row: None,
            idle: VecDeque::new(),
            norms: Norms::default(),
            pieces: Pieces::default(),
            n_blocks: 0,
            inflates: false,
        }
    }

    /// The header as known so far.
    pub fn header(&self) -> &Header {
        self.reader.header()
    }

    /// Whether the bytes come out of a compression, which may run on a thread of its own.
    pub fn inflates(&self) -> bool {
        self.inflates
    }

    /// The same stream, whose bytes come out of a compression or not.
    pub(super) fn with_inflates(self, inflates: bool) -> Self {
        Self { inflates, ..self }
    }

    /// Samples that may come at most.
    pub fn size_hint(&self) -> Option<u64> {
        self.reader.size_hint()
    }

    /// Replaces `chunk` by the next samples; `false` (and an empty chunk) when there are no more.
    ///
    /// # Errors
    /// The file system's, [`Error::Limit`], [`Error::Interrupted`]; damage is noted, not raised.
    pub fn next(&mut self, chunk: &mut Chunk) -> Result<bool> {
        loop {
            chunk.run_starts.clear();
            chunk.blocks.clear();
            chunk.idle.clear();
            if !self.ended {
                threads::check_interrupt()?;
                self.ended = !self.reader.read(&mut self.pending, &mut self.quality)?;
                self.pending.pad();
                let emitted = self.emitted;
                self.idle.extend(self.pending.idle.drain(..).map(|idle| (emitted + idle.sample as i64, idle)));
                self.stamp_blocks();
                self.refuse_disorder()?;
                if self.pending.len() > MAX_PENDING {
                    self.clock.finish(self.read);
                    self.run_starts.push(self.read);
                }
            }
            let ready = self.ready();
            if ready == 0 && !self.ended {
                continue;
            }
            std::mem::swap(&mut chunk.data, &mut self.pending);
            self.pending.blocks.clear();
            chunk.data.split_off(ready, &mut self.spare)?;
            std::mem::swap(&mut self.pending, &mut self.spare);
            let begins = self.last_time.is_none();
            self.fill_times(chunk, ready);
            if begins {
                self.doubt_date(chunk);
            }
            self.emitted += ready as i64;
            if !chunk.data.is_empty() {
                self.norms.push(&chunk.data, 1e9 / self.period);
                self.pieces.push(chunk);
                return Ok(true);
            }
            if self.ended && self.pending.is_empty() {
                if self.timestamps == Timestamps::Device {
                    let format = self.reader.header().format;
                    self.pieces.check(format, format != "nhanes")?;
                }
                return Ok(false);
            }
        }
    }

    /// Blocks or rows whose times jump all the time stand in no order, or have another rate than the file states.
    fn refuse_disorder(&self) -> Result<()> {
        let (jumps, seconds) = (self.quality.count("clock_jump"), self.read as f64 * self.period / 1e9);
        if self.timestamps == Timestamps::Actipy || jumps <= JUMPS || jumps as f64 * SECONDS_A_JUMP < seconds {
            return Ok(());
        }
        let reason = format!(
            "time: expected a clock that goes on, got {jumps} jumps in {seconds:.0} s of samples: they stand in no order, or \
             their rate is not the one stated"
        );
        Err(Error::malformed(self.reader.header().format, self.quality.bytes, reason))
    }

    /// Notes times without a date, and dates before there were such devices. NHANES dates all its recordings to 2000.
    fn doubt_date(&mut self, chunk: &Chunk) {
        let Some(&time) = chunk.data.time.first() else { return };
        let seconds = time.div_euclid(1_000_000_000);
        let kind = match seconds {
            _ if self.reader.header().format == "nhanes" || (OLDEST..LATEST).contains(&seconds) => return,
            _ if seconds.unsigned_abs() <= SINCE_START => "no_date",
            _ => "unlikely_date",
        };
        self.quality.note(Event { time: Some(time), ..Event::at(kind, 0, 0) });
    }

    /// Header, quality and measured rate; call it after the last chunk.
    pub fn finish(mut self) -> Summary {
        if self.dropped > 0 {
            self.quality.counts.insert("rows_not_later", self.dropped);
            self.quality.counts.insert("steps_back", self.steps_back);
        }
        let mut header = self.reader.header().clone();
        privacy::split(&mut header);
        if header.device_id.is_empty() && matches!(header.format, "geneactiv" | "gt3x") {
            self.quality.note(Event::at("missing_serial", 0, 0));
        }
        let (samples, ns) = self.clock.measured;
        let sample_rate = if ns > 0.0 { samples / ns * 1e9 } else { f64::NAN };
        plausible::check_rate(header.format, header.nominal_rate, sample_rate, &mut self.quality);
        let still_norm = plausible::check_values(self.norms, &mut self.quality);
        let sound = if header.unit_s > 0.0 { self.n_blocks } else { self.read as u64 };
        Summary {
            damaged_share: self.quality.damaged_share(sound),
            header,
            quality: self.quality,
            sample_rate,
            worst_stamp_residual_ms: self.clock.worst_residual / 1e6,
            still_norm,
        }
    }

    /// Passes every new block of the reader to the clock.
    fn stamp_blocks(&mut self) {
        let mut start = self.read;
        for block in std::mem::take(&mut self.pending.blocks) {
            match block.stamp {
                Stamp::At { sample, time } => {
                    let outcome =
                        self.clock.stamp(start, start.saturating_add(sample), time, block.rate, block.new_run);
                    self.note_break(outcome, &block, start, time);
                }
                Stamp::Follows => {
                    let begins = self.clock.follow(start, block.rate, block.new_run);
                    if begins && self.run_starts.last() != Some(&start) {
                        self.run_starts.push(start);
                    }
                }
                Stamp::Span { .. } | Stamp::Each | Stamp::Settled => {
                    if start == 0 || block.new_run {
                        self.run_starts.push(start);
                    }
                }
            }
            self.period = 1e9 / block.rate;
            self.blocks.push((start as u64, block));
            self.n_blocks += 1;
            self.quality.bytes = self.quality.bytes.max(block.offset);
            start += i64::from(block.n);
        }
        self.read = start;
        if self.ended {
            self.clock.finish(start);
        }
        for (sample, time) in std::mem::take(&mut self.clock.snapped) {
            let event = Event { time: Some(time), ..Event::at("stamp_snapped", 0, 0) };
            let block = self.blocks.iter().rev().find(|(first, _)| *first as i64 <= sample).or(self.blocks.first());
            self.quality.note(match block {
                Some((_, block)) => Event { offset: block.offset, block: block.index, ..event },
                None => event,
            });
        }
    }

    fn note_break(&mut self, outcome: Break, block: &Block, start: i64, time: i64) {
        if start == 0 || outcome != Break::None {
            self.run_starts.push(start);
        }
        let event =
            |kind, seconds| Event { time: Some(time), value: seconds, ..Event::at(kind, block.offset, block.index) };
        match outcome {
            Break::None => {}
            Break::Run(seconds) if seconds < -0.5 => self.quality.note(event("clock_jump", seconds)),
            Break::Run(seconds) => self.quality.note(event("gap", seconds)),
            Break::Jump(seconds) => self.quality.note(event("clock_jump", seconds)),
        }
    }

    /// Samples of `pending` whose times are known.
    fn ready(&self) -> usize {
        let spanned = self.blocks.last().is_none_or(|(_, b)| states_each(b));
        let upto = if self.ended || spanned { self.read } else { self.clock.timed_to().min(self.read) };
        (upto - self.emitted).clamp(0, self.pending.len() as i64) as usize
    }

    fn fill_times(&mut self, chunk: &mut Chunk, ready: usize) {
        let (from, to) = (self.emitted, self.emitted + ready as i64);
        let done = self.blocks.partition_point(|(first, _)| (*first as i64) < to);
        if self.timestamps == Timestamps::Actipy && chunk.data.time.is_empty() {
            chunk.data.time.resize(ready, 0);
        }
        for (first, block) in self.blocks.drain(..done) {
            if let Stamp::Span { start, end } = block.stamp {
                let (span, n) = (end - start, f64::from(block.n));
                let row = (first as i64 - from) as usize;
                for (i, t) in chunk.data.time.iter_mut().skip(row).take(block.n as usize).enumerate() {
                    *t = ((start + i as f64 * span / n) * 1000.0) as i64 * 1_000_000;
                }
            }
            chunk.blocks.push((first, block));
        }
        self.fill_lines(&mut chunk.data.time, from, to);
        let starts = self.run_starts.partition_point(|&s| s < to);
        chunk.run_starts.extend(self.run_starts.drain(..starts).map(|s| (s - from) as usize));
        while let Some((sample, idle)) = self.idle.front().copied().filter(|(sample, _)| *sample < to) {
            self.idle.pop_front();
            chunk.idle.push(Idle { sample: (sample - from).max(0) as usize, ..idle });
        }
        if self.timestamps == Timestamps::Actipy {
            self.drop_not_later(chunk, from);
        }
        let each = chunk.blocks.first().is_some_and(|(_, b)| states_each(b));
        if each || self.timestamps == Timestamps::Actipy {
            self.split_by_time(chunk);
        }
        self.last_time = chunk.data.time.last().copied().or(self.last_time);
    }

    /// Writes times of samples `from..to` along the clock's lines, over the times that are there or behind them.
    fn fill_lines(&mut self, time: &mut Vec<i64>, from: i64, to: i64) {
        let mut done = from;
        while done < to {
            while let Some(next) = self.clock.lines.front().copied().filter(|l| l.from <= done) {
                self.line = Some(next);
                self.clock.lines.pop_front();
            }
            let until = self.clock.lines.front().map_or(to, |l| l.from.min(to));
            let Some(line) = self.line else { break };
            let n = (until - done) as usize;
            let mut times = line.times(done, n);
            match time.get_mut((done - from) as usize..(until - from) as usize) {
                Some(part) => times.fill(part),
                None => times.append(n, time),
            }
            done = until;
        }
        time.resize((to - from) as usize, 0);
    }

    /// actipy's quality control: only rows later than all before them stay. `from`: the chunk's first row before that.
    fn drop_not_later(&mut self, chunk: &mut Chunk, from: i64) {
        let mut latest = self.last_time.unwrap_or(i64::MIN);
        let mut before = self.last_row.unwrap_or(i64::MIN);
        for &t in &chunk.data.time {
            self.steps_back += u64::from(t <= before);
            before = t;
        }
        self.last_row = chunk.data.time.last().copied().or(self.last_row);
        let keep: Vec<bool> = chunk
            .data
            .time
            .iter()
            .map(|&t| {
                let later = t > latest;
                latest = latest.max(t);
                later
            })
            .collect();
        let dropped = keep.iter().filter(|k| !**k).count();
        for (first, _) in &mut chunk.blocks {
            let before = keep.iter().take((*first as i64 - from) as usize).filter(|k| !**k).count();
            *first -= self.dropped + before as u64;
        }
        if dropped == 0 {
            return;
        }
        self.dropped += dropped as u64;
        let stored_before = |row: usize| keep.iter().take(row).filter(|k| **k).count();
        chunk.run_starts.iter_mut().for_each(|start| *start = stored_before(*start));
        chunk.idle.iter_mut().for_each(|idle| idle.sample = stored_before(idle.sample));
        chunk.data.retain(&keep);
        let n = chunk.data.len();
        chunk.run_starts.retain(|s| *s < n);
        chunk.run_starts.dedup();
        chunk.idle.retain(|idle| idle.sample < n);
    }

    /// Formats that state every time, and actipy's rule: a run ends where the step is negative, zero or over two periods
    /// (over a second by actipy's rule).
    fn split_by_time(&mut self, chunk: &mut Chunk) {
        let each = chunk.blocks.iter().any(|(_, b)| states_each(b));
        let settled =
            self.timestamps == Timestamps::Device && chunk.blocks.iter().any(|(_, b)| b.stamp == Stamp::Settled);
        let longest = match self.timestamps {
            Timestamps::Device => (2.0 * self.period).round() as i64,
            Timestamps::Actipy => 1_000_000_000,
        };
        let known = std::mem::take(&mut chunk.run_starts);
        let mut starts = known.clone();
        let mut last = self.last_time;
        for (i, &t) in chunk.data.time.iter().enumerate() {
            let Some(before) = last.replace(t) else { continue };
            let step = t.saturating_sub(before);
            if settled && known.binary_search(&i).is_ok() {
                continue;
            }
            if settled || (step > 0 && step <= longest) {
                if each {
                    self.clock.measured.0 += 1.0;
                    self.clock.measured.1 += step as f64;
                }
                continue;
            }
            if known.binary_search(&i).is_err() {
                starts.push(i);
                let kind = if t <= before { "clock_jump" } else { "gap" };
                let block = chunk.blocks.last().map_or((0, 0), |(_, b)| (b.offset, b.index));
                let event = Event::at(kind, block.0, block.1);
                self.quality.note(Event { time: Some(t), value: step as f64 / 1e9, ..event });
            }
        }
        starts.sort_unstable();
        chunk.run_starts = starts;
    }
}

/// Whether a block gives the time of every sample, rather than a stamp for the clock.
fn states_each(block: &Block) -> bool {
    matches!(block.stamp, Stamp::Span { .. } | Stamp::Each | Stamp::Settled)
}

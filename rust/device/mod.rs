//! Bytes of a device file -> samples in runs without gaps, each with its time.
//!
//! A format is a [`Reader`]: it decodes blocks (pages, packets, rows) into a [`Batch`], each with the [`Stamp`] that the
//! file gives it, and notes in [`Quality`] all that it had to leave out. [`Stream`] joins stamps to times ([`clock`]), splits
//! runs, and hands out [`Chunk`]s that fit in a cache. Nothing here knows what the samples are for.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use crate::error::{Error, Result};
use crate::threads;

pub mod arrays;
pub mod calendar;
pub mod clock;
pub mod columns;
pub mod cwa;
mod fields;
pub mod geneactiv;
pub mod gt3x;
mod heading;
mod lines;
pub mod matrix;
pub mod nhanes;
mod number;
pub mod quality;
pub mod source;
pub mod table;
mod tar;
#[cfg(test)]
mod tests;
pub mod text;

pub use quality::{Event, Quality};

use clock::{Break, Clock, Line};

/// How sample times are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamps {
    /// From the device's own stamps with their fraction, piecewise linear inside a run; never across a lost block.
    Device,
    /// Times and rows as actipy 3.8.3 gives them, to its whole milliseconds.
    Actipy,
}

/// What the file says of itself.
#[derive(Debug, Clone, Default)]
pub struct Header {
    /// Short name of the format: `cwa`, `geneactiv`, `gt3x`, `matrix`, `csv`, `nhanes`.
    pub format: &'static str,
    /// The device, as a user would name it.
    pub device: String,
    /// Its serial number or id; empty where the file has none.
    pub device_id: String,
    /// Samples a second that the device was told to take; 0 where the file does not say.
    pub nominal_rate: f64,
    /// Everything else that the header holds, name and value.
    pub metadata: Vec<(String, String)>,
    /// Names of the codes in [`Batch::annotation`].
    pub labels: Vec<String>,
}

/// What a block says of the time of its samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stamp {
    /// The clock showed `time` (ns) at sample `at` of the block, which may lie outside of it.
    At {
        /// Sample of the block, from 0.
        at: i64,
        /// ns since 1970, local device clock.
        time: i64,
    },
    /// Sample i is at `start + i * (end - start) / n` seconds, cut to whole ms: actipy's rule.
    Span {
        /// Seconds since 1970.
        start: f64,
        /// Seconds since 1970.
        end: f64,
    },
    /// Each sample has its own entry in [`Batch::time`].
    Each,
}

/// Some consecutive samples of a file and where they came from.
#[derive(Debug, Clone, Copy)]
pub struct Block {
    /// Samples.
    pub n: u32,
    /// Byte offset in the uncompressed file.
    pub offset: u64,
    /// Position in the file, skipped blocks counted.
    pub index: u64,
    /// Samples a second that this block states.
    pub rate: f64,
    /// Its time.
    pub stamp: Stamp,
    /// It does not continue the block before it (sequence break, restart, something skipped in between).
    pub new_run: bool,
    /// Degrees Celsius, NaN where there is none.
    pub temperature: f32,
    /// Lux, NaN where there is none.
    pub light: f32,
    /// Volts, NaN where there is none.
    pub battery: f32,
}

/// Samples as a reader appends them, planar. Channels that a file does not have stay empty; the others are as long as `xyz`.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Acceleration, g.
    pub xyz: [Vec<f32>; 3],
    /// Angular rate, degrees a second; NaN where a block has none.
    pub gyro: [Vec<f32>; 3],
    /// ns since 1970, of [`Stamp::Each`] blocks; 0 elsewhere.
    pub time: Vec<i64>,
    /// Light of each sample, lux.
    pub light: Vec<f32>,
    /// Temperature of each sample, degrees Celsius.
    pub temperature: Vec<f32>,
    /// Index into [`Header::labels`], -1 where there is none.
    pub annotation: Vec<i32>,
    /// The blocks, in order.
    pub blocks: Vec<Block>,
}

impl Batch {
    /// Samples.
    pub fn len(&self) -> usize {
        self.xyz[0].len()
    }

    /// No sample yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes every channel in use as long as `xyz`: what a block did not fill is missing.
    pub fn pad(&mut self) {
        let n = self.len();
        for gyro in &mut self.gyro {
            if !gyro.is_empty() {
                gyro.resize(n, f32::NAN);
            }
        }
        for channel in [&mut self.light, &mut self.temperature] {
            if !channel.is_empty() {
                channel.resize(n, f32::NAN);
            }
        }
        if !self.annotation.is_empty() {
            self.annotation.resize(n, -1);
        }
        self.time.resize(n, 0);
    }

    /// Moves samples from `at` on to the front of `rest`, which is emptied before. Blocks stay.
    fn split_off(&mut self, at: usize, rest: &mut Batch) {
        fn cut<T: Copy>(from: &mut Vec<T>, at: usize, to: &mut Vec<T>) {
            to.clear();
            if from.len() > at {
                to.extend_from_slice(from.get(at..).unwrap_or_default());
                from.truncate(at);
            }
        }
        let planar = self.xyz.iter_mut().chain(&mut self.gyro);
        planar.zip(rest.xyz.iter_mut().chain(&mut rest.gyro)).for_each(|(from, to)| cut(from, at, to));
        cut(&mut self.time, at, &mut rest.time);
        cut(&mut self.light, at, &mut rest.light);
        cut(&mut self.temperature, at, &mut rest.temperature);
        cut(&mut self.annotation, at, &mut rest.annotation);
    }

    /// Keeps the samples for which `keep` is true.
    fn retain(&mut self, keep: &[bool]) {
        fn only<T>(channel: &mut Vec<T>, keep: &[bool]) {
            if !channel.is_empty() {
                let mut flags = keep.iter();
                channel.retain(|_| flags.next().copied().unwrap_or(true));
            }
        }
        self.xyz.iter_mut().chain(&mut self.gyro).for_each(|channel| only(channel, keep));
        only(&mut self.time, keep);
        only(&mut self.light, keep);
        only(&mut self.temperature, keep);
        only(&mut self.annotation, keep);
    }
}

/// A format.
pub trait Reader: Send {
    /// What the file says of itself; what only its blocks tell is filled in by the end.
    fn header(&self) -> &Header;
    /// Appends some more blocks (about 64 KiB to 1 MiB of the file) to `batch`; `false` when there are no more.
    fn read(&mut self, batch: &mut Batch, quality: &mut Quality) -> Result<bool>;
    /// Samples that the whole file can hold at most, as far as its size tells.
    fn size_hint(&self) -> Option<u64>;
}

/// A stretch of samples with their times.
#[derive(Debug, Clone, Default)]
pub struct Chunk {
    /// The samples; `data.time` is always filled; `data.blocks` stays empty.
    pub data: Batch,
    /// Positions in this chunk at which a new run begins.
    pub run_starts: Vec<usize>,
    /// Blocks that begin in this chunk or before it, once each: (first sample of the recording, block, its sample's time).
    pub blocks: Vec<(u64, Block)>,
}

/// What only the whole file tells.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// The file's header.
    pub header: Header,
    /// What was wrong.
    pub quality: Quality,
    /// Samples a second as the stamps show; NaN where there are too few.
    pub sample_rate: f64,
    /// Largest distance of a stamp from the line of its neighbours, ms.
    pub worst_stamp_residual_ms: f64,
}

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
}

/// Opens a recording of any format. Content decides, not the name.
///
/// # Errors
/// [`Error::Malformed`] for bytes of no known format, [`Error::Unsupported`] for known ones that are not read here.
pub fn open(path: &Path, timestamps: Timestamps) -> Result<Stream> {
    Ok(Stream::new(reader(path, timestamps)?, timestamps))
}

/// Reads bytes in memory to their end, whatever they are: for fuzzing. Returns how many samples came out of them.
///
/// # Errors
/// Those of [`open`] and [`Stream::next`].
pub fn fuzz(data: &[u8], timestamps: Timestamps) -> Result<u64> {
    let mut stream = Stream::new(opened(source::from_memory(data.into())?, timestamps)?, timestamps);
    let mut chunk = Chunk::default();
    let mut n = 0;
    while stream.next(&mut chunk)? {
        n += chunk.data.len() as u64;
    }
    stream.finish();
    Ok(n)
}

fn reader(path: &Path, timestamps: Timestamps) -> Result<Box<dyn Reader>> {
    if path.is_dir() {
        return Ok(Box::new(nhanes::Nhanes::folder(path)?));
    }
    opened(source::open(path)?, timestamps)
}

/// The format of what was opened. Content decides.
fn opened(opened: source::Opened, timestamps: Timestamps) -> Result<Box<dyn Reader>> {
    match opened {
        source::Opened::Stream(source) => stream_reader(source, timestamps),
        source::Opened::Archive(archive) if gt3x::sniff(&archive) => {
            Ok(Box::new(gt3x::Gt3x::new(&archive, timestamps)?))
        }
        source::Opened::Archive(archive) if nhanes::sniff(&archive) => Ok(Box::new(nhanes::Nhanes::zip(archive)?)),
        source::Opened::Archive(archive) => {
            let mut found = None;
            for member in archive.members.iter().filter(|m| !is_clutter(&m.name)).take(MAX_MEMBERS) {
                if let Ok(source::Opened::Stream(source)) = source::unwrap(archive.source(member)?, 2)
                    && is_recording(source.peek())
                    && found.replace(source).is_some()
                {
                    return Err(Error::malformed("zip", 0, "expected one recording in the archive, got several"));
                }
            }
            let none = || Error::malformed("zip", 0, "expected a recording, got an archive without one");
            stream_reader(found.ok_or_else(none)?, timestamps)
        }
    }
}

/// Members of an archive that are tried.
const MAX_MEMBERS: usize = 64;

/// What packers leave beside the files.
fn is_clutter(name: &str) -> bool {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    last.is_empty() || last.starts_with('.') || name.starts_with("__MACOSX")
}

fn is_recording(first: &[u8]) -> bool {
    cwa::sniff(first) || geneactiv::sniff(first) || matrix::sniff(first) || text::sniff(first)
}

fn stream_reader(source: source::Source, timestamps: Timestamps) -> Result<Box<dyn Reader>> {
    let first = source.peek();
    Ok(if cwa::sniff(first) {
        Box::new(cwa::Cwa::new(source, timestamps)?)
    } else if matrix::sniff(first) {
        Box::new(matrix::Matrix::new(source, timestamps)?)
    } else if geneactiv::sniff(first) {
        Box::new(geneactiv::GeneActiv::new(source, timestamps)?)
    } else if tar::sniff(first) {
        Box::new(nhanes::Nhanes::tar(source))
    } else {
        text::refusal(first).map_or(Ok(()), Err)?;
        Box::new(text::Text::new(source)?)
    })
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
        }
    }

    /// The header as known so far.
    pub fn header(&self) -> &Header {
        self.reader.header()
    }

    /// Whether the samples from `time` on follow a sleep that the device took on purpose.
    pub fn is_idle_sleep(&self, time: i64) -> bool {
        let near = |e: &&Event| {
            let end = e.time.unwrap_or(i64::MIN).saturating_add((e.value * 1e9) as i64);
            e.kind == "idle_sleep" && end.abs_diff(time) < 2_000_000_000
        };
        self.quality.events.iter().rev().take(64).find(near).is_some()
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
            if !self.ended {
                threads::check_interrupt()?;
                self.ended = !self.reader.read(&mut self.pending, &mut self.quality)?;
                self.pending.pad();
                self.stamp_blocks();
            }
            let ready = self.ready();
            std::mem::swap(&mut chunk.data, &mut self.pending);
            self.pending.blocks.clear();
            chunk.data.split_off(ready, &mut self.spare);
            std::mem::swap(&mut self.pending, &mut self.spare);
            self.fill_times(chunk, ready);
            self.emitted += ready as i64;
            if !chunk.data.is_empty() {
                return Ok(true);
            }
            if self.ended && self.pending.is_empty() {
                return Ok(false);
            }
        }
    }

    /// Header, quality and measured rate; call it after the last chunk.
    pub fn finish(mut self) -> Summary {
        if self.dropped > 0 {
            self.quality.counts.insert("rows_not_later", self.dropped);
            self.quality.counts.insert("steps_back", self.steps_back);
        }
        let (samples, ns) = self.clock.measured;
        Summary {
            header: self.reader.header().clone(),
            quality: self.quality,
            sample_rate: if ns > 0.0 { samples / ns * 1e9 } else { f64::NAN },
            worst_stamp_residual_ms: self.clock.worst_residual / 1e6,
        }
    }

    /// Shows the clock every block that the reader has just added.
    fn stamp_blocks(&mut self) {
        let mut start = self.read;
        for block in std::mem::take(&mut self.pending.blocks) {
            match block.stamp {
                Stamp::At { at, time } => {
                    let found = self.clock.stamp(start, start + at, time, block.rate, block.new_run);
                    self.note_break(found, &block, start, time);
                }
                Stamp::Span { .. } | Stamp::Each => {
                    if start == 0 || block.new_run {
                        self.run_starts.push(start);
                    }
                }
            }
            self.period = 1e9 / block.rate;
            self.blocks.push((start as u64, block));
            start += i64::from(block.n);
        }
        self.read = start;
        if self.ended {
            self.clock.finish(start);
        }
        for (sample, time) in std::mem::take(&mut self.clock.snapped) {
            let event = Event { time: Some(time), ..Event::at("stamp_snapped", 0, 0) };
            let place = self.blocks.iter().rev().find(|(first, _)| *first as i64 <= sample).or(self.blocks.first());
            self.quality.note(match place {
                Some((_, block)) => Event { offset: block.offset, block: block.index, ..event },
                None => event,
            });
        }
    }

    fn note_break(&mut self, found: Break, block: &Block, start: i64, time: i64) {
        if start == 0 || found != Break::None {
            self.run_starts.push(start);
        }
        let event =
            |kind, seconds| Event { time: Some(time), value: seconds, ..Event::at(kind, block.offset, block.index) };
        match found {
            Break::None => {}
            Break::Run(seconds) if seconds < -0.5 => self.quality.note(event("clock_jump", seconds)),
            Break::Run(seconds) => self.quality.note(event("gap", seconds)),
            Break::Jump(seconds) => self.quality.note(event("clock_jump", seconds)),
        }
    }

    /// Samples of `pending` whose times are known.
    fn ready(&self) -> usize {
        let spanned = self.blocks.last().is_none_or(|(_, b)| !matches!(b.stamp, Stamp::At { .. }));
        let upto = if self.ended || spanned { self.read } else { self.clock.timed_to().min(self.read) };
        (upto - self.emitted).clamp(0, self.pending.len() as i64) as usize
    }

    fn fill_times(&mut self, chunk: &mut Chunk, ready: usize) {
        let (from, to) = (self.emitted, self.emitted + ready as i64);
        let done = self.blocks.partition_point(|(first, _)| (*first as i64) < to);
        for (first, block) in self.blocks.drain(..done) {
            if let Stamp::Span { start, end } = block.stamp {
                let (span, n) = (end - start, f64::from(block.n));
                let at = (first as i64 - from) as usize;
                for (i, t) in chunk.data.time.iter_mut().skip(at).take(block.n as usize).enumerate() {
                    *t = ((start + i as f64 * span / n) * 1000.0) as i64 * 1_000_000;
                }
            }
            chunk.blocks.push((first, block));
        }
        self.fill_lines(&mut chunk.data.time, from, to);
        let starts = self.run_starts.partition_point(|&s| s < to);
        chunk.run_starts.extend(self.run_starts.drain(..starts).map(|s| (s - from) as usize));
        if self.timestamps == Timestamps::Actipy {
            self.drop_not_later(chunk, from);
        }
        let each = chunk.blocks.first().is_some_and(|(_, b)| !matches!(b.stamp, Stamp::At { .. }));
        if each || self.timestamps == Timestamps::Actipy {
            self.split_by_time(chunk);
        }
        self.last_time = chunk.data.time.last().copied().or(self.last_time);
    }

    /// Writes times of samples `from..to` along the clock's lines.
    fn fill_lines(&mut self, time: &mut [i64], from: i64, to: i64) {
        let mut at = from;
        while at < to {
            while let Some(next) = self.clock.lines.front().copied().filter(|l| l.from <= at) {
                self.line = Some(next);
                self.clock.lines.pop_front();
            }
            let until = self.clock.lines.front().map_or(to, |l| l.from.min(to));
            let Some(line) = self.line else { break };
            if let Some(part) = time.get_mut((at - from) as usize..(until - from) as usize) {
                line.fill(at, part);
            }
            at = until;
        }
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
        for start in &mut chunk.run_starts {
            *start = keep.iter().take(*start).filter(|k| **k).count();
        }
        chunk.data.retain(&keep);
        let n = chunk.data.len();
        chunk.run_starts.retain(|s| *s < n);
        chunk.run_starts.dedup();
    }

    /// Formats that state every time, and actipy's rule: a run ends where the step is negative, zero or over two periods
    /// (over a second by actipy's rule).
    fn split_by_time(&mut self, chunk: &mut Chunk) {
        let each = chunk.blocks.iter().any(|(_, b)| !matches!(b.stamp, Stamp::At { .. }));
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
            if step > 0 && step <= longest {
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

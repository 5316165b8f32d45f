//! Bytes of a device file -> samples in runs without gaps, each with its time.
//!
//! A format is a [`Reader`]: it decodes blocks (pages, packets, rows) into a [`Batch`], each with the [`Stamp`] that the
//! file gives it, and notes in [`Quality`] all that it had to leave out. [`Stream`] joins stamps to times ([`clock`]), splits
//! runs, checks that the numbers can be acceleration at all, and hands out [`Chunk`]s that fit in a cache. Nothing here
//! knows what the samples are for.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use crate::error::Result;

pub mod arrays;
pub mod calendar;
pub mod clock;
mod clocks;
pub mod column;
pub mod columns;
mod copies;
pub mod cwa;
mod fields;
pub mod geneactiv;
pub mod gt3x;
mod heading;
mod lines;
pub mod matrix;
pub mod nhanes;
mod number;
mod opening;
mod owners;
mod pieces;
mod plausible;
mod privacy;
pub mod quality;
mod room;
pub mod rows;
mod sentinels;
pub mod source;
mod steps;
pub mod stored;
mod stream;
pub mod survey;
pub mod table;
mod tar;
#[cfg(test)]
mod tests;
pub mod text;
pub mod units;

pub use opening::{open, open_bytes};
pub use quality::{Event, Quality};
pub use stream::Stream;
pub use survey::DateOrder;
pub use units::Unit;

/// Seconds since 1970 of 1 January 2007, before which the clock of no such device was right.
pub(crate) const OLDEST: i64 = 1_167_609_600;
/// Seconds since 1970 of 1 January 2064, which the clocks of such devices do not reach.
const LATEST: i64 = 2_966_371_200;

/// How sample times are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamps {
    /// From the device's own stamps with their fraction, piecewise linear inside a run; never across a lost block.
    Device,
    /// Times and rows as actipy 3.8.3 gives them, to its whole milliseconds.
    Actipy,
}

/// How a file is read, where it leaves a choice.
#[derive(Debug, Clone)]
pub struct Reading {
    /// How sample times are made.
    pub timestamps: Timestamps,
    /// The order of dates that may be read in two.
    pub date_order: DateOrder,
    /// Unit of the acceleration in a table, or none: as the table tells it.
    pub unit: Option<Unit>,
    /// Rows a second of a table whose rows tell no time, Hz.
    pub rate: Option<f64>,
    /// Folder of nameless temporary files for what memory shall not hold; none: memory holds all.
    pub temporary: Option<PathBuf>,
}

impl From<Timestamps> for Reading {
    /// As the file tells it.
    fn from(timestamps: Timestamps) -> Self {
        Self { timestamps, date_order: DateOrder::Auto, unit: None, rate: None, temporary: None }
    }
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
    /// Samples a second that the device was set to take; 0 where the file does not say.
    pub nominal_rate: f64,
    /// Seconds of samples that the format writes at once: what one lost record, block or page takes with it. 0 where
    /// every row stands alone.
    pub unit_s: f64,
    /// Everything else that the header holds, name and value.
    pub metadata: Vec<(String, String)>,
    /// The part of it that identifies a person, split off by [`Stream::finish`]: names, dates of birth, sex, notes.
    pub identifying: Vec<(String, String)>,
    /// Names of the codes in [`Batch::annotation`].
    pub labels: Vec<String>,
}

/// The time of a block's samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stamp {
    /// The clock showed `time` (ns) at this sample of the block, which may lie outside of it.
    At {
        /// Sample of the block, from 0.
        sample: i64,
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
    /// The block continues the one before it and its own stamp tells nothing.
    Follows,
    /// The same, and the reader says where runs begin.
    Settled,
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
    /// The device started again with it, or the session changed.
    pub restart: bool,
    /// Degrees Celsius, NaN if missing.
    pub temperature: f32,
    /// Lux, NaN if missing.
    pub light: f32,
    /// Volts, NaN if missing.
    pub battery: f32,
}

/// Samples as a reader appends them, planar. Channels that a file does not have stay empty; the others are as long as `xyz`.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Acceleration, g.
    pub xyz: [Vec<f32>; 3],
    /// Angular rate, degrees a second; NaN where a block has none.
    pub gyro: [Vec<f32>; 3],
    /// ns since 1970, of [`Stamp::Each`] blocks; 0 elsewhere. Empty where no block states the time of each sample.
    pub time: Vec<i64>,
    /// Light of each sample, lux.
    pub light: Vec<f32>,
    /// Temperature of each sample, degrees Celsius.
    pub temperature: Vec<f32>,
    /// Index into [`Header::labels`], -1 without a label.
    pub annotation: Vec<i32>,
    /// The blocks, in order.
    pub blocks: Vec<Block>,
    /// Sleeps of the device; `at` counts the samples of this batch.
    pub idle: Vec<Idle>,
}

/// A stretch in which the device slept on purpose and took no samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idle {
    /// The sample that comes next; a run begins there.
    pub sample: usize,
    /// First time without a sample, ns since 1970.
    pub from: i64,
    /// When the device woke, ns since 1970. The time from then to the next sample is missing, not sleep.
    pub until: i64,
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
        if !self.time.is_empty() {
            self.time.resize(n, 0);
        }
    }

    /// Makes room for `more` samples behind those that are there, in the channels in use.
    ///
    /// # Errors
    /// [`crate::error::Error::Limit`] where the machine has no room for them.
    fn make_room(&mut self, more: usize) -> Result<()> {
        self.xyz.iter_mut().try_for_each(|axis| room::make_room(axis, more))?;
        room::make_room(&mut self.time, more)?;
        let floats = self.gyro.iter_mut().chain([&mut self.light, &mut self.temperature]);
        floats.filter(|channel| !channel.is_empty()).try_for_each(|channel| room::make_room(channel, more))?;
        if self.annotation.is_empty() { Ok(()) } else { room::make_room(&mut self.annotation, more) }
    }

    /// Takes back what was added behind so many samples and blocks.
    fn truncate(&mut self, samples: usize, blocks: usize) {
        self.xyz.iter_mut().chain(&mut self.gyro).for_each(|channel| channel.truncate(samples));
        self.time.truncate(samples);
        self.light.truncate(samples);
        self.temperature.truncate(samples);
        self.annotation.truncate(samples);
        self.blocks.truncate(blocks);
        self.idle.retain(|idle| idle.sample < samples);
    }

    /// Moves samples from `n` on to the front of `rest`, which is emptied before. Blocks stay.
    ///
    /// # Errors
    /// [`crate::error::Error::Limit`] where the machine has no room for them.
    fn split_off(&mut self, n: usize, rest: &mut Batch) -> Result<()> {
        steps::count(self.len().saturating_sub(n));
        fn cut<T: Copy>(from: &mut Vec<T>, n: usize, to: &mut Vec<T>) -> Result<()> {
            to.clear();
            if from.len() > n {
                room::join(to, from.get(n..).unwrap_or_default())?;
                from.truncate(n);
            }
            Ok(())
        }
        let planar = self.xyz.iter_mut().chain(&mut self.gyro);
        planar.zip(rest.xyz.iter_mut().chain(&mut rest.gyro)).try_for_each(|(from, to)| cut(from, n, to))?;
        cut(&mut self.time, n, &mut rest.time)?;
        cut(&mut self.light, n, &mut rest.light)?;
        cut(&mut self.temperature, n, &mut rest.temperature)?;
        cut(&mut self.annotation, n, &mut rest.annotation)
    }

    /// Moves all samples of `from` behind these. Blocks stay.
    ///
    /// # Errors
    /// [`crate::error::Error::Limit`] where the machine has no room for them.
    fn append(&mut self, from: &mut Batch) -> Result<()> {
        steps::count(from.len());
        fn join<T: Copy>(to: &mut Vec<T>, n: usize, from: &mut Vec<T>, missing: T) -> Result<()> {
            if !from.is_empty() {
                room::make_room(to, n.saturating_sub(to.len()).saturating_add(from.len()))?;
                to.resize(n, missing);
                to.append(from);
            }
            Ok(())
        }
        let n = self.len();
        join(&mut self.time, n, &mut from.time, 0)?;
        join(&mut self.light, n, &mut from.light, f32::NAN)?;
        join(&mut self.temperature, n, &mut from.temperature, f32::NAN)?;
        join(&mut self.annotation, n, &mut from.annotation, -1)?;
        let planar = self.xyz.iter_mut().chain(&mut self.gyro);
        planar.zip(from.xyz.iter_mut().chain(&mut from.gyro)).try_for_each(|(to, from)| join(to, n, from, f32::NAN))
    }

    /// Puts the samples in the opposite order.
    fn reverse(&mut self) {
        self.xyz.iter_mut().chain(&mut self.gyro).for_each(|channel| channel.reverse());
        self.time.reverse();
        self.light.reverse();
        self.temperature.reverse();
        self.annotation.reverse();
    }

    /// Puts the samples from `first` on in another order, which names them by their present places.
    fn rearrange(&mut self, first: usize, order: &[usize]) {
        steps::count(order.len());
        fn moved<T: Copy>(channel: &mut [T], first: usize, order: &[usize]) {
            let now: Vec<T> = order.iter().filter_map(|row| channel.get(*row).copied()).collect();
            channel.iter_mut().skip(first).zip(now).for_each(|(to, from)| *to = from);
        }
        self.xyz.iter_mut().chain(&mut self.gyro).for_each(|channel| moved(channel, first, order));
        moved(&mut self.time, first, order);
        moved(&mut self.light, first, order);
        moved(&mut self.temperature, first, order);
        moved(&mut self.annotation, first, order);
    }

    /// Keeps the samples for which `keep` is true.
    fn retain(&mut self, keep: &[bool]) {
        steps::count(keep.len());
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
    /// Blocks that begin in this chunk or before it, once each: (first sample of the recording, block).
    pub blocks: Vec<(u64, Block)>,
    /// Sleeps of the device that end before a sample of this chunk; `at` counts the samples of the chunk.
    pub idle: Vec<Idle>,
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
    /// Median norm of the still seconds, g; without a still second, the median length of the mean vectors of all seconds.
    /// NaN where not even a second was sampled.
    pub still_norm: f64,
    /// Share of the file, 0 to 1, that could not be read: see [`Quality::damaged_share`].
    pub damaged_share: f64,
}

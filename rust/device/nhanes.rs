//! NHANES 2011-2014: one participant, a CSV of calibrated samples for every hour.
//!
//! A folder, a `SEQN.tar.bz2` or a zip of members `GT3XPLUS-AccelerationCalibrated-<firmware>.<serial>.<yyyy-mm-dd-hh-mm-ss-
//! mmm>-P0000.sensor.csv`, some packed again by gzip; local times, dates moved to the year 2000 (CDC, PAX80_G, PAX80_H).
//! Members are read in the order of the times in their names. Beside them lies a log of quality flags, which become events
//! `quality_flag`. Rows that idle sleep left out are events `idle_sleep`, each with its first missing time and its length.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::calendar::{Order, SECOND, date_and_time, days};
use super::fields::{Row, fields};
use super::source::{self, Archive, Member, Opened, Source};
use super::tar::{Entry, Tar};
use super::text::Text;
use super::{Batch, Event, Header, Quality, Reader};
use crate::error::{Error, Result};

/// Bytes of members held back because an earlier one is still to come.
const MAX_HELD: usize = 128 << 20;
/// Bytes of a log, and files of a folder, that are looked at.
const MAX_LOG: usize = 16 << 20;
const MAX_FILES: usize = 100_000;
const HOUR: i64 = 3600 * SECOND;

/// Time in the name of an hourly member, ns since 1970.
fn hour(name: &str) -> Option<i64> {
    let name = name.rsplit(['/', '\\']).next()?.to_ascii_lowercase();
    let stem = name.strip_suffix(".gz").unwrap_or(&name).strip_suffix(".sensor.csv")?;
    let stem = stem.strip_prefix("gt3xplus-accelerationcalibrated-")?;
    let mut parts = stem.rsplit('.').next()?.split('-').map(|p| p.parse::<i64>().ok());
    let mut part = || parts.next().flatten();
    let day = days(part()?, part()?, part()?)?;
    let (hour, minute, second, ms) = (part()?, part()?, part()?, part()?);
    let sound =
        (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second) && (0..1000).contains(&ms);
    sound.then_some(day * 86_400 * SECOND + (hour * 3600 + minute * 60 + second) * SECOND + ms * 1_000_000)
}

fn is_log(name: &str) -> bool {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    name.contains("_log") && name.ends_with(".csv")
}

/// Members still to come.
enum Members {
    Files(Vec<PathBuf>),
    Zip(Archive, Vec<Member>),
    Tar(Box<Tar>, BTreeMap<i64, Vec<u8>>),
}

/// A participant.
pub struct Nhanes {
    members: Members,
    header: Header,
    current: Option<Text>,
    rate: f64,
    /// Hour that comes next, and the first one's day.
    expected: Option<i64>,
    first_day: Option<i64>,
    logs: Vec<Vec<u8>>,
    last_time: Option<i64>,
    /// Bytes and rows of the members before the current one.
    base: (u64, u64),
    good: u64,
    damaged: bool,
}

/// True where an archive's members are hours.
pub fn sniff(archive: &Archive) -> bool {
    archive.members.iter().any(|m| hour(&m.name).is_some())
}

impl Nhanes {
    /// A folder of hours.
    ///
    /// # Errors
    /// [`Error::Malformed`] without an hour in it; the file system's.
    pub fn folder(path: &Path) -> Result<Self> {
        let mut hours = Vec::new();
        let mut logs = Vec::new();
        for entry in std::fs::read_dir(path)?.take(MAX_FILES) {
            let file = entry?.path();
            let Some(name) = file.file_name().map(|n| n.to_string_lossy().into_owned()) else { continue };
            if let Some(time) = hour(&name) {
                hours.push((time, name, file));
            } else if is_log(&name) {
                logs.push(read_log(&file)?);
            }
        }
        if hours.is_empty() {
            let reason = "folder: expected hourly files GT3XPLUS-AccelerationCalibrated-*.sensor.csv, got none";
            return Err(Error::malformed("nhanes", 0, reason));
        }
        hours.sort();
        let first = hours.first().map(|(time, ..)| *time);
        let files = hours.into_iter().rev().map(|(.., file)| file).collect();
        Ok(Self::new(Members::Files(files), path, first, logs))
    }

    /// A zip of hours.
    ///
    /// # Errors
    /// The file system's.
    pub fn zip(archive: Archive) -> Result<Self> {
        let mut hours: Vec<(i64, Member)> =
            archive.members.iter().filter_map(|m| Some((hour(&m.name)?, m.clone()))).collect();
        hours.sort_by(|a, b| (b.0, &b.1.name).cmp(&(a.0, &a.1.name)));
        let mut logs = Vec::new();
        for member in archive.members.iter().filter(|m| is_log(&m.name)) {
            logs.push(head_of(archive.source(member)?)?);
        }
        let first = hours.last().map(|(time, _)| *time);
        let path = archive.path().to_owned();
        let members = hours.into_iter().map(|(_, member)| member).collect();
        Ok(Self::new(Members::Zip(archive, members), &path, first, logs))
    }

    /// A tar of hours, from a stream.
    pub fn tar(source: Source) -> Self {
        let path = source.path().to_owned();
        Self::new(Members::Tar(Box::new(Tar::new(source)), BTreeMap::new()), &path, None, Vec::new())
    }

    fn new(members: Members, path: &Path, first: Option<i64>, logs: Vec<Vec<u8>>) -> Self {
        let id: String = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let id = id.split('.').next().unwrap_or_default().to_owned();
        let mut header = Header { format: "nhanes", device: "ActiGraph GT3X+".into(), ..Header::default() };
        header.metadata.push(("participant".into(), id));
        header.metadata.push(("acceleration_unit".into(), "g (calibrated by the study)".into()));
        Self {
            members,
            header,
            current: None,
            rate: 0.0,
            expected: None,
            first_day: first.map(|t| t.div_euclid(24 * HOUR)),
            logs,
            last_time: None,
            base: (0, 0),
            good: 0,
            damaged: false,
        }
    }

    /// The next member as rows; `None` when there are no more.
    fn open_next(&mut self, quality: &mut Quality) -> Result<Option<Text>> {
        loop {
            let opened = match &mut self.members {
                Members::Files(files) => match files.pop() {
                    Some(file) => source::open(&file),
                    None => return Ok(None),
                },
                Members::Zip(archive, members) => match members.pop() {
                    Some(member) => archive.source(&member).and_then(|s| source::unwrap(s, 2)),
                    None => return Ok(None),
                },
                Members::Tar(..) => match self.next_of_tar(quality)? {
                    Some(bytes) => source::from_memory(bytes.into()),
                    None => return Ok(None),
                },
            };
            let text = opened.and_then(|opened| match opened {
                Opened::Stream(source) => Text::new(source),
                Opened::Archive(_) => Err(Error::malformed("nhanes", 0, "expected rows, got an archive")),
            });
            match text {
                Ok(text) => return Ok(Some(text)),
                Err(Error::Malformed { .. } | Error::Unsupported(_)) => self.bad_member(quality),
                Err(other) => return Err(other),
            }
        }
    }

    fn bad_member(&mut self, quality: &mut Quality) {
        quality.note(Event { time: self.last_time, ..Event::at("bad_member", self.base.0, self.base.1) });
        self.damaged = true;
    }

    /// Bytes of the next hour of a tar. An hour that comes before its turn waits, as long as there is room.
    fn next_of_tar(&mut self, quality: &mut Quality) -> Result<Option<Vec<u8>>> {
        let Members::Tar(tar, held) = &mut self.members else { return Ok(None) };
        loop {
            let size: usize = held.values().map(Vec::len).sum();
            let turn = held.first_key_value().map(|(time, _)| *time);
            let due = turn.is_some_and(|t| self.expected.is_some_and(|e| t <= e) || size > MAX_HELD);
            if due && let Some((time, bytes)) = held.pop_first() {
                self.expected = Some(next_hour(time));
                return Ok(Some(bytes));
            }
            let entry: Option<Entry> = tar.next()?;
            let Some(entry) = entry else {
                if tar.source().damage().is_some() && !self.damaged {
                    let at = tar.source().position();
                    quality.note(Event { time: self.last_time, ..Event::at("damaged_compression", at, self.base.1) });
                    self.damaged = true;
                }
                let Some((time, bytes)) = held.pop_first() else { return Ok(None) };
                self.expected = Some(next_hour(time));
                return Ok(Some(bytes));
            };
            if !entry.file {
                continue;
            }
            if is_log(&entry.name) && entry.size <= MAX_LOG as u64 {
                self.logs.push(tar.read(&entry)?);
            } else if let Some(time) = hour(&entry.name) {
                let bytes = tar.read(&entry)?;
                self.first_day.get_or_insert(time.div_euclid(24 * HOUR));
                self.expected.get_or_insert(time);
                // two parts of one hour: behind each other
                let mut at = time;
                while held.contains_key(&at) {
                    at += 1;
                }
                held.insert(at, bytes);
            }
        }
    }

    /// Steps of more than a second among the rows added since `from`.
    fn note_idle_sleep(&mut self, batch: &Batch, from: usize, quality: &mut Quality) {
        let period = (1e9 / self.rate) as i64;
        for &time in batch.time.get(from..).unwrap_or_default() {
            if let Some(before) = self.last_time.replace(time)
                && time.saturating_sub(before) > SECOND + period / 2
                && !self.damaged
            {
                let event = Event::at("idle_sleep", self.base.0, self.base.1);
                let value = (time - before - period) as f64 / 1e9;
                quality.note(Event { time: Some(before + period), value, ..event });
            }
        }
    }

    /// The logs' flags: `DAY_OF_DATA,START_TIME,END_TIME,DATA_QUALITY_FLAG_CODE,DATA_QUALITY_FLAG_VALUE`.
    fn note_flags(&mut self, quality: &mut Quality) {
        let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
        for log in std::mem::take(&mut self.logs) {
            let mut rows = log.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
            let names: Vec<String> = fields(rows.next().unwrap_or_default(), b',')
                .iter()
                .map(|n| String::from_utf8_lossy(n).to_lowercase())
                .collect();
            let column = |what: &str| names.iter().position(|n| n.contains(what));
            let (Some(day), Some(start), Some(end), Some(code)) =
                (column("day"), column("start"), column("end"), column("code"))
            else {
                continue;
            };
            let mut row = Row::new(b',');
            for (i, text) in rows.enumerate().filter(|(_, text)| !text.is_empty()) {
                row.split(text);
                let field = |i: usize| row.field(text, i);
                let clock = |text: &[u8]| date_and_time(b"1970-01-01", text, Order::YearMonthDay);
                let number = std::str::from_utf8(field(day)).ok().and_then(|t| t.parse::<i64>().ok());
                let (from, to) = (clock(field(start)), clock(field(end)));
                let time = from.zip(number).zip(self.first_day).and_then(|((from, number), first)| {
                    let day = first.checked_add(number)?.checked_sub(1)?;
                    day.checked_mul(24 * HOUR)?.checked_add(from)
                });
                let value = from.zip(to).map_or(f64::NAN, |(from, to)| (to - from) as f64 / 1e9);
                quality.note(Event { time, value, ..Event::at("quality_flag", 0, i as u64) });
                if kinds.len() < 1000 {
                    *kinds.entry(String::from_utf8_lossy(field(code)).into_owned()).or_default() += 1;
                }
            }
        }
        if !kinds.is_empty() {
            let all: Vec<String> = kinds.iter().map(|(code, n)| format!("{code} {n}")).collect();
            self.header.metadata.push(("quality_flags".into(), all.join(", ")));
        }
    }

    fn end(&mut self, quality: &mut Quality) -> Result<()> {
        self.note_flags(quality);
        if self.good == 0 {
            let reason =
                "expected at least one row of an hourly file GT3XPLUS-AccelerationCalibrated-*.sensor.csv, got none";
            return Err(Error::malformed("nhanes", self.base.0, reason));
        }
        Ok(())
    }
}

/// The whole hour behind a time.
fn next_hour(time: i64) -> i64 {
    (time.div_euclid(HOUR) + 1) * HOUR
}

fn read_log(file: &Path) -> Result<Vec<u8>> {
    match source::open(file) {
        Ok(Opened::Stream(source)) => head_of(source),
        Ok(Opened::Archive(_)) | Err(Error::Malformed { .. }) => Ok(Vec::new()),
        Err(other) => Err(other),
    }
}

/// The first bytes of a log.
fn head_of(mut source: Source) -> Result<Vec<u8>> {
    let mut bytes = vec![0; MAX_LOG];
    let n = source.fill(&mut bytes)?;
    bytes.truncate(n);
    Ok(bytes)
}

impl Reader for Nhanes {
    fn header(&self) -> &Header {
        &self.header
    }

    fn size_hint(&self) -> Option<u64> {
        // nine days at 80 Hz
        Some(9 * 86_400 * 80)
    }

    fn read(&mut self, batch: &mut Batch, quality: &mut Quality) -> Result<bool> {
        let Some(text) = &mut self.current else {
            let Some(mut text) = self.open_next(quality)? else {
                self.end(quality)?;
                return Ok(false);
            };
            if self.rate == 0.0 {
                self.rate = text.header().nominal_rate;
                self.header.nominal_rate = self.rate;
            }
            text.set_rate(self.rate);
            self.current = Some(text);
            return Ok(true);
        };
        let (rows, blocks, events) = (batch.len(), batch.blocks.len(), quality.events.len());
        batch.time.resize(rows, 0);
        let more = match text.read(batch, quality) {
            Ok(more) => more,
            Err(Error::Malformed { .. }) => {
                self.current = None;
                self.bad_member(quality);
                return Ok(true);
            }
            Err(other) => return Err(other),
        };
        let (bytes, read) = (text.position(), text.rows());
        for block in batch.blocks.iter_mut().skip(blocks) {
            block.offset += self.base.0;
            block.index += self.base.1;
        }
        for event in quality.events.iter_mut().skip(events) {
            event.offset += self.base.0;
            event.block += self.base.1;
            self.damaged |= !matches!(event.kind, "missing_values" | "unusual_norm");
        }
        self.good += (batch.len() - rows) as u64;
        self.note_idle_sleep(batch, rows, quality);
        self.damaged &= batch.len() == rows;
        if !more {
            self.base = (self.base.0 + bytes, self.base.1 + read);
            self.current = None;
        }
        Ok(true)
    }
}

//! NHANES 2011-2014: one participant, a CSV of calibrated samples for every hour.
//!
//! A folder, a `SEQN.tar.bz2` or a zip of members `GT3XPLUS-AccelerationCalibrated-<firmware>.<serial>.<yyyy-mm-dd-hh-mm-ss-
//! mmm>-P0000.sensor.csv`, some packed again by gzip; local times, dates moved to the year 2000 (CDC, PAX80_G, PAX80_H).
//! Members are read in the order of the times in their names. Beside them lies a log of quality flags, which become events
//! `quality_flag`. Rows that idle sleep left out inside the hours that are there are events `idle_sleep`, each with its
//! first missing time and its length. An hour without a member is lost, not slept through: `missing_member`.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::calendar::SECOND;
use super::copies::sum_of;
use super::source::{self, Archive, Member, Opened};
use super::steps;
use super::tar::{Entry, Tar};
use super::text::Text;
use super::{Batch, Event, Header, Idle, Quality, Reader, Timestamps};
use crate::error::{Error, Result};
use joints::{HOUR, join, next_hour};
use logs::{Logs, MAX_LOG, head_of, note_flags, read_log};
use members::{Held, Members};
pub use names::is_member;
use names::{Hour, is_log};

mod joints;
pub(super) mod logs;
mod members;
mod names;

/// Bytes of members held back because an earlier one is still to come.
const MAX_HELD: usize = 128 << 20;
/// Members of a folder or an archive that are looked at.
const MAX_MEMBERS: usize = 100_000;

/// A participant.
pub struct Nhanes {
    members: Members,
    header: Header,
    current: Option<Text>,
    timestamps: Timestamps,
    rate: f64,
    /// Hour that comes next, and the first one's day.
    expected: Option<i64>,
    first_day: Option<i64>,
    logs: Logs,
    last_time: Option<i64>,
    /// Hour of the current member, and of the one before it.
    hour: Option<i64>,
    previous: Option<i64>,
    /// Names of the members so far, and sums of the rows that they begin with.
    names: HashSet<String>,
    heads: HashSet<u64>,
    begins: bool,
    /// Bytes and rows of the members before the current one.
    base: (u64, u64),
    good: u64,
    damaged: bool,
}

/// True where an archive's members are hours.
pub fn sniff(archive: &Archive) -> bool {
    archive.members.iter().any(|m| Hour::of(&m.name).is_some())
}

impl Nhanes {
    /// A folder of hours.
    ///
    /// # Errors
    /// [`Error::Malformed`] without an hour in it; the file system's.
    pub fn folder(path: &Path) -> Result<Self> {
        let mut hours = Vec::new();
        let mut logs = Logs::default();
        for entry in std::fs::read_dir(path)?.take(MAX_MEMBERS) {
            let file = entry?.path();
            let Some(name) = file.file_name().map(|n| n.to_string_lossy().into_owned()) else { continue };
            if let Some(hour) = Hour::of(&name) {
                hours.push((hour, name, file));
            } else if is_log(&name) {
                logs.add(read_log(&file)?)?;
            }
        }
        if hours.is_empty() {
            let reason = "folder: expected hourly files GT3XPLUS-AccelerationCalibrated-*.sensor.csv, got none";
            return Err(Error::malformed("nhanes", 0, reason));
        }
        hours.sort_by(|a, b| (b.0.time, &b.1).cmp(&(a.0.time, &a.1)));
        let mut all = Self::new(path, logs);
        for (hour, ..) in hours.iter().rev() {
            all.meet(hour)?;
        }
        all.members = Members::Files(hours.into_iter().map(|(hour, _, file)| (hour.time, file)).collect());
        Ok(all)
    }

    /// A zip of hours.
    ///
    /// # Errors
    /// [`Error::Malformed`] for members of two devices; the file system's.
    pub fn zip(archive: Archive) -> Result<Self> {
        let hourly = archive.members.iter().take(MAX_MEMBERS).filter_map(|m| Some((Hour::of(&m.name)?, m.clone())));
        let mut hours: Vec<(Hour, Member)> = hourly.collect();
        hours.sort_by(|a, b| (b.0.time, &b.1.name).cmp(&(a.0.time, &a.1.name)));
        let mut logs = Logs::default();
        for member in archive.members.iter().take(MAX_MEMBERS).filter(|m| is_log(&m.name)) {
            logs.add(head_of(archive.source(member)?)?)?;
        }
        let mut all = Self::new(archive.path(), logs);
        for (hour, _) in hours.iter().rev() {
            all.meet(hour)?;
        }
        all.members = Members::Zip(archive, hours.into_iter().map(|(hour, member)| (hour.time, member)).collect());
        Ok(all)
    }

    /// A tar of hours, from a stream; `first` is the member found last.
    pub fn tar(tar: Tar, first: Entry) -> Self {
        let mut all = Self::new(tar.source().path(), Logs::default());
        let waiting = BTreeMap::new();
        let held = Held { tar, first: Some(first), waiting, bytes: 0, seen: 0, ended: false };
        all.members = Members::Tar(Box::new(held));
        all
    }

    /// The same, with times by this rule.
    pub fn timed(self, timestamps: Timestamps) -> Self {
        Self { timestamps, ..self }
    }

    fn new(path: &Path, logs: Logs) -> Self {
        let id: String = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let id = id.split('.').next().unwrap_or_default().to_owned();
        let mut header = Header { format: "nhanes", device: "ActiGraph GT3X+".into(), ..Header::default() };
        header.metadata.push(("participant".into(), id));
        header.metadata.push(("acceleration_unit".into(), "g (calibrated by the study)".into()));
        Self {
            members: Members::Files(Vec::new()),
            header,
            current: None,
            timestamps: Timestamps::Device,
            rate: 0.0,
            expected: None,
            first_day: None,
            logs,
            last_time: None,
            hour: None,
            previous: None,
            names: HashSet::new(),
            heads: HashSet::new(),
            begins: false,
            base: (0, 0),
            good: 0,
            damaged: false,
        }
    }

    /// A member of another device is another person's, or the same one's other recording.
    fn meet(&mut self, hour: &Hour) -> Result<()> {
        self.first_day.get_or_insert(hour.time.div_euclid(24 * HOUR));
        if self.header.device_id.is_empty() {
            self.header.device_id = hour.serial.to_ascii_uppercase();
        } else if !self.header.device_id.eq_ignore_ascii_case(&hour.serial) {
            let (one, other) = (&self.header.device_id, hour.serial.to_ascii_uppercase());
            let reason = format!("members: expected one device's, got serial numbers {one} and {other}");
            return Err(Error::malformed("nhanes", self.base.0, reason));
        }
        Ok(())
    }

    /// The next member as rows; `None` when there are no more.
    fn open_next(&mut self, quality: &mut Quality) -> Result<Option<Text>> {
        loop {
            let (time, opened) = match &mut self.members {
                Members::Files(files) => match files.pop() {
                    Some((time, file)) => (time, source::open(&file)),
                    None => return Ok(None),
                },
                Members::Zip(archive, members) => match members.pop() {
                    Some((time, member)) => (time, archive.source(&member).and_then(|s| source::unwrap(s, 2))),
                    None => return Ok(None),
                },
                Members::Tar(..) => match self.next_of_tar(quality)? {
                    Some((time, bytes)) => (time, source::from_memory(bytes.into())),
                    None => return Ok(None),
                },
            };
            let text = opened.and_then(|opened| match opened {
                Opened::Stream(source) => Text::new(source, &self.timestamps.into()),
                Opened::Archive(_) => Err(Error::malformed("nhanes", 0, "expected rows, got an archive")),
            });
            match text {
                Ok(text) => {
                    quality.members += 1;
                    self.note_missing(time, quality);
                    self.begins = true;
                    return Ok(Some(text));
                }
                Err(Error::Malformed { .. } | Error::Unsupported(_)) => {
                    self.note_missing(time, quality);
                    self.bad_member(quality);
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Hours between the last member's and this one's have none.
    fn note_missing(&mut self, time: i64, quality: &mut Quality) {
        self.previous = self.hour.replace(time);
        let Some(before) = self.previous else { return };
        let missing = time.div_euclid(HOUR) - before.div_euclid(HOUR) - 1;
        if missing > 0 {
            let event = Event::at("missing_member", self.base.0, self.base.1);
            quality.note(Event { time: Some(next_hour(before)), count: missing as u64, ..event });
        }
    }

    fn bad_member(&mut self, quality: &mut Quality) {
        quality.note(Event { time: self.last_time, ..Event::at("bad_member", self.base.0, self.base.1) });
        self.damaged = true;
    }

    fn repeated_member(&self, quality: &mut Quality) {
        quality.note(Event { time: self.last_time, ..Event::at("repeated_member", self.base.0, self.base.1) });
    }

    /// Bytes of the next hour of a tar. An hour that comes before its turn waits, as long as there is room.
    fn next_of_tar(&mut self, quality: &mut Quality) -> Result<Option<(i64, Vec<u8>)>> {
        loop {
            steps::count(1);
            let Members::Tar(held) = &mut self.members else { return Ok(None) };
            let turn = held.waiting.first_key_value().map(|((time, _), _)| *time);
            let due = turn.is_some_and(|t| self.expected.is_some_and(|e| t <= e));
            if (due || held.ended || held.bytes > MAX_HELD)
                && let Some(((time, _), bytes)) = held.waiting.pop_first()
            {
                held.bytes -= bytes.len();
                self.expected = Some(next_hour(time));
                return Ok(Some((time, bytes)));
            }
            if held.ended {
                return Ok(None);
            }
            let entry = match held.first.take() {
                Some(entry) => Some(entry),
                None => held.tar.next()?,
            };
            let Some(entry) = entry else {
                held.ended = true;
                held.tar.source().note_damage(self.base.1, quality);
                self.damaged |= held.tar.source().damage().is_some();
                continue;
            };
            held.seen += 1;
            if held.seen > MAX_MEMBERS as u64 {
                return Err(Error::Limit { name: "members of one participant's archive", max: MAX_MEMBERS as u64 });
            }
            if !entry.file {
                continue;
            }
            if is_log(&entry.name) && entry.size <= MAX_LOG as u64 {
                self.logs.add(held.tar.read(&entry)?)?;
            } else if let Some(hour) = Hour::of(&entry.name) {
                let bytes = held.tar.read(&entry)?;
                if self.names.insert(entry.name.clone()) {
                    self.expected.get_or_insert(hour.time);
                    held.bytes += bytes.len();
                    held.waiting.insert((hour.time, held.seen), bytes);
                    self.meet(&hour)?;
                } else {
                    self.repeated_member(quality);
                }
            }
        }
    }

    /// Whether the rows from `from` on begin as those of a member before them: the same hour once more.
    fn repeats(&mut self, batch: &Batch, from: usize) -> bool {
        if !std::mem::take(&mut self.begins) {
            return false;
        }
        let Some(first) = batch.time.get(from).copied() else { return false };
        let [x, y, z] = batch.xyz.each_ref().map(|axis| axis.get(from..).unwrap_or_default());
        let rows = x.iter().zip(y).zip(z).take(64).flat_map(|((x, y), z)| [x, y, z]);
        !self.heads.insert(sum_of([first as u64].into_iter().chain(rows.map(|v| u64::from(v.to_bits())))))
    }

    /// Steps of more than a second among the rows added since `from`.
    fn note_idle_sleep(&mut self, batch: &mut Batch, from: usize, quality: &mut Quality) {
        let period = (1e9 / self.rate) as i64;
        let mut slept = Vec::new();
        for (sample, &time) in batch.time.iter().enumerate().skip(from) {
            if let Some(before) = self.last_time.replace(time)
                && time.saturating_sub(before) > SECOND + period / 2
                && !self.damaged
            {
                let event = Event::at("idle_sleep", self.base.0, self.base.1);
                // sleep ends with the hour where the next one's member is not there
                let lost = self
                    .previous
                    .is_some_and(|hour| before < next_hour(hour) && time.div_euclid(HOUR) > hour.div_euclid(HOUR) + 1);
                let (from, until) = (before.saturating_add(period), if lost { next_hour(before) } else { time });
                let length = until.saturating_sub(from);
                if length > SECOND {
                    let value = length as f64 / 1e9;
                    quality.note(Event { time: Some(from), value, ..event });
                    slept.push(Idle { sample, from, until });
                }
            }
        }
        batch.idle.extend(slept);
    }

    fn end(&mut self, quality: &mut Quality) -> Result<()> {
        let logs = std::mem::take(&mut self.logs);
        note_flags(logs, self.first_day, &mut self.header, quality);
        if self.good == 0 {
            let reason =
                "expected at least one row of an hourly file GT3XPLUS-AccelerationCalibrated-*.sensor.csv, got none";
            return Err(Error::malformed("nhanes", self.base.0, reason));
        }
        Ok(())
    }
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
            let Some(text) = self.open_next(quality)? else {
                self.end(quality)?;
                return Ok(false);
            };
            if self.rate == 0.0 {
                self.rate = text.header().nominal_rate;
                self.header.nominal_rate = self.rate;
            }
            self.current = Some(text);
            return Ok(true);
        };
        let (rows, blocks, events) = (batch.len(), batch.blocks.len(), quality.events.len());
        batch.time.resize(rows, 0);
        let begins = text.rows() == 0;
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
        if begins && let (Some(block), Some(&first)) = (batch.blocks.get_mut(blocks), batch.time.get(rows)) {
            join(block, first, self.last_time, quality);
        }
        let mut bad = false;
        for block in batch.blocks.iter_mut().skip(blocks) {
            block.offset += self.base.0;
            block.index += self.base.1;
        }
        for event in quality.events.iter_mut().skip(events) {
            event.offset += self.base.0;
            event.block += self.base.1;
            if event.kind == "damaged_compression" {
                event.value = 0.0; // of this member: it counts as a bad one
                bad = true;
            }
            self.damaged |= !matches!(event.kind, "missing_values" | "unusual_norm" | "gap");
        }
        if bad {
            self.bad_member(quality);
        }
        if self.repeats(batch, rows) {
            quality.members -= 1;
            quality.forget(events);
            batch.truncate(rows, blocks);
            self.repeated_member(quality);
            self.current = None;
            return Ok(true);
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

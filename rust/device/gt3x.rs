//! ActiGraph `.gt3x`: a zip archive with `info.txt` and the samples.
//!
//! Version 1 (GT3X+ and ActiSleep+ before firmware 3): `activity.bin`, 12-bit y, x, z without times from `Start Date` on,
//! and `lux.bin`, one 16-bit value a second. Version 2: `log.bin`, records of separator 0x1E, type, Unix second of the local
//! clock, size, payload, check sum (complement of the exclusive or of all bytes before). Zeros between records are legal.
//! A second of samples is a record: type 0 packs 12-bit y, x, z, type 27 12-bit x, y, z, type 26 holds int16 x, y, z. g is
//! the raw value over the scale of the parameter record, else of `info.txt`, else of the serial number, to three decimals.
//! (github.com/actigraph/GT3X-File-Format, NHANES-GT3X-File-Format.)
//!
//! In idle sleep mode the device writes no samples. Those stretches are runs' ends and events `idle_sleep`, each with its
//! first missing second and its length up to the wake event: the samples are not made up here. [`seconds`] puts the seconds
//! in order.

use super::calendar::SECOND;
use super::source::{Archive, Source};
use super::steps;
use super::{Batch, Block, Event, Header, Idle, Quality, Reader, Stamp, Timestamps};
use crate::error::{Error, Result};
use bytes::{PIECE, u16_at};
use info::{Info, Scale, no_scale};
use records::{HEAD, Next, Record, SEPARATOR, read_lux, record, unpack};
use seconds::{Due, Second, Seconds, Sleep};

mod bytes;
mod info;
mod packed;
mod parameters;
mod records;
mod seconds;

/// Samples of one block of version 1.
const PART: usize = 1800;
/// Records that must agree on another rate within a recording.
const CHANGED: usize = 4;

/// True where an archive holds a recording of this kind, or a part of one.
pub fn sniff(archive: &Archive) -> bool {
    archive.member("info.txt").is_some()
}

/// Where the samples come from.
enum Samples {
    Packed(Source),
    Log(Source),
}

/// A `.gt3x` file.
pub struct Gt3x {
    samples: Samples,
    timestamps: Timestamps,
    header: Header,
    info: Info,
    scale: Option<Scale>,
    /// Raw light of each second, version 1.
    lux: Vec<u16>,
    buffer: Vec<u8>,
    offset: u64,
    drained: bool,
    index: u64,
    count: u64,
    seconds: Seconds,
    /// By actipy's rule: the order that is counted, while the records stay as they are.
    in_order: Option<Box<Seconds>>,
    /// Second of the last record of any kind.
    last_second: i64,
    sleep: Sleep,
    broken: bool,
    /// Samples a second as the records show.
    records_rate: f64,
    light: f32,
    battery: f32,
    temperature: f32,
}

impl Gt3x {
    /// Reads `info.txt`.
    ///
    /// # Errors
    /// [`Error::Malformed`] without a sample rate, a start (version 1) or a scale; the file system's.
    pub fn new(archive: &Archive, timestamps: Timestamps) -> Result<Self> {
        let n = archive.count("info.txt");
        if n > 1 {
            return Err(Error::malformed("gt3x", 0, format!("expected one recording in the archive, got {n}")));
        }
        let mut header = Header { format: "gt3x", device: "ActiGraph".into(), ..Header::default() };
        let lost = |file: &str| Error::malformed("gt3x", 0, format!("{file}: expected in the archive, got none"));
        let member = archive.member("info.txt").ok_or_else(|| lost("info.txt"))?;
        let info = Info::read(archive.source(member)?, &mut header)?;
        let (samples, lux) = match (archive.member("log.bin"), archive.member("activity.bin")) {
            (_, Some(packed)) if archive.member("lux.bin").is_some() || archive.member("log.bin").is_none() => {
                let lux = archive.member("lux.bin").map(|m| archive.source(m)).transpose()?;
                (Samples::Packed(archive.source(packed)?), lux.map(read_lux).transpose()?.unwrap_or_default())
            }
            (Some(log), _) => (Samples::Log(archive.source(log)?), Vec::new()),
            _ => return Err(lost("log.bin or activity.bin")),
        };
        let packed = matches!(samples, Samples::Packed(_));
        header.unit_s = if packed { 0.0 } else { 1.0 };
        if packed && info.start.is_none() {
            return Err(Error::malformed("gt3x", 0, "Start Date in info.txt: expected .NET ticks, got none"));
        }
        let records_rate = info.rate;
        let scale = info.per_g().map(|per_g| Scale::new(per_g, !packed));
        if packed && scale.is_none() {
            return Err(no_scale(0, &info.serial));
        }
        if info.rotated() {
            header.metadata.push(("axes".into(), "turned back by 90 degrees about z (firmware 1.6.0)".into()));
        }
        Ok(Self {
            samples,
            timestamps,
            header,
            info,
            scale,
            lux,
            buffer: Vec::new(),
            offset: 0,
            drained: false,
            index: 0,
            count: 0,
            seconds: Seconds::new(timestamps == Timestamps::Device),
            in_order: (timestamps == Timestamps::Actipy).then(|| Box::new(Seconds::new(true))),
            last_second: 0,
            sleep: Sleep::Awake,
            broken: false,
            records_rate,
            light: f32::NAN,
            battery: f32::NAN,
            temperature: f32::NAN,
        })
    }

    fn source(&self) -> &Source {
        match &self.samples {
            Samples::Packed(source) | Samples::Log(source) => source,
        }
    }

    fn refill(&mut self) -> Result<()> {
        let have = self.buffer.len();
        steps::count(have);
        self.buffer.resize(have + PIECE, 0);
        let room = self.buffer.get_mut(have..).unwrap_or_default();
        let got = match &mut self.samples {
            Samples::Packed(source) | Samples::Log(source) => source.fill(room)?,
        };
        self.buffer.truncate(have + got);
        self.drained = got < PIECE;
        Ok(())
    }

    /// Puts a block over the samples added since `from`, the first of them at `time` (ns), at a place (offset, index).
    fn block(&mut self, from: usize, time: i64, (offset, index): (u64, u64), new_run: bool, batch: &mut Batch) {
        let n = batch.len() - from;
        if self.info.rotated() {
            let [x, y, _] = &mut batch.xyz;
            for (x, y) in x.iter_mut().zip(y).skip(from) {
                (*x, *y) = (*y, -*x);
            }
        }
        let rate = self.info.rate;
        let stamp = match self.timestamps {
            Timestamps::Device => Stamp::At { sample: 0, time },
            Timestamps::Actipy => {
                // whole ms from the second (version 2) or from the start of the recording (version 1)
                let (base, first) = match self.samples {
                    Samples::Log(_) => (time, 0),
                    Samples::Packed(_) => (self.info.start.unwrap_or(0) / 1_000_000 * 1_000_000, self.count),
                };
                let ms = |i: u64| (1000.0 * i as f64 / rate + 0.5).floor() as i64 * 1_000_000;
                batch.time.resize(from, 0);
                batch.time.extend((0..n as u64).map(|i| base.saturating_add(ms(first + i))));
                Stamp::Each
            }
        };
        self.count += n as u64;
        batch.blocks.push(Block {
            n: n as u32,
            offset,
            index,
            rate,
            stamp,
            new_run,
            restart: false,
            temperature: self.temperature,
            light: self.light,
            battery: self.battery,
        });
    }

    /// Records of `log.bin` in the buffer.
    fn log(&mut self, batch: &mut Batch, quality: &mut Quality) -> Result<()> {
        let mut position = 0;
        while position < self.buffer.len() {
            let offset = self.offset + position as u64;
            match record(self.buffer.get(position..).unwrap_or_default()) {
                Next::Short if !self.drained => break,
                Next::Short => {
                    // the size itself may be damaged: the bytes behind may still hold records
                    let rest = self.buffer.get(position + 1..).unwrap_or_default();
                    let skip = rest.iter().position(|b| *b == SEPARATOR).map_or(rest.len(), |skip| skip) + 1;
                    steps::count(skip);
                    quality.note(Event { value: skip as f64, ..Event::at("partial_block", offset, self.index) });
                    self.broken = true;
                    position += skip;
                }
                Next::Skip(skip, kind) => {
                    if let Some(kind) = kind {
                        let time = self.seconds.next().map(|s| s.saturating_mul(SECOND));
                        quality.note(Event { time, value: skip as f64, ..Event::at(kind, offset, self.index) });
                        self.broken = true;
                        self.index += u64::from(kind == "bad_checksum");
                    }
                    position += skip.max(1);
                }
                Next::Record(record) => {
                    let from = position + HEAD;
                    let payload = self.buffer.get(from..from + record.size).unwrap_or_default().to_vec();
                    self.take(record, &payload, offset, batch, quality)?;
                    self.index += 1;
                    position = from + record.size + 1;
                }
            }
        }
        self.buffer.drain(..position.min(self.buffer.len()));
        self.offset += position as u64;
        Ok(())
    }

    fn take(
        &mut self,
        record: Record,
        payload: &[u8],
        offset: u64,
        batch: &mut Batch,
        quality: &mut Quality,
    ) -> Result<()> {
        self.last_second = record.second;
        match record.kind {
            0 | 26 | 27 if payload.len() > 1 => {
                let second = Second {
                    kind: record.kind,
                    second: record.second,
                    payload: payload.to_vec(),
                    offset,
                    index: self.index,
                    sleep: std::mem::replace(&mut self.sleep, Sleep::Awake),
                    broken: std::mem::take(&mut self.broken),
                    slow: [self.temperature, self.light, self.battery],
                };
                if let Some(seconds) = &mut self.in_order {
                    seconds.push(second.clone(), &mut Quality::default());
                    seconds.count(false, quality);
                }
                self.seconds.push(second, quality);
                while let Some(due) = self.seconds.pop(false) {
                    self.activity(due, batch, quality)?;
                }
            }
            2 if payload.len() >= 2 => self.battery = f32::from(u16_at(payload, 0)) / 1000.0,
            3 if payload == [0x08] => self.sleep = Sleep::Asleep,
            3 if payload == [0x09] => self.sleep = Sleep::Woke(record.second),
            5 if payload.len() >= 2 => self.light = f32::from(u16_at(payload, 0)),
            6 => self.describe(payload),
            21 => self.parameters(payload, offset, quality),
            // MCU then accelerometer, in hundredths of a degree
            30 if payload.len() >= 4 => self.temperature = f32::from(u16_at(payload, 0) as i16) / 100.0,
            _ => {}
        }
        Ok(())
    }

    /// A second of samples, in its turn.
    fn activity(&mut self, due: Due, batch: &mut Batch, quality: &mut Quality) -> Result<()> {
        let Due { second, expected, moved } = due;
        let time = second.second.saturating_mul(SECOND);
        let event = |kind| Event { time: Some(time), ..Event::at(kind, second.offset, second.index) };
        if let Some(kind) = moved {
            quality.note(event(kind));
        }
        let Some(scale) = self.scale.take() else { return Err(no_scale(second.offset, &self.info.serial)) };
        let from = batch.len();
        match second.kind {
            0 => unpack(&second.payload, [1, 0, 2], &scale, batch),
            27 => unpack(&second.payload, [0, 1, 2], &scale, batch),
            _ => {
                for row in second.payload.as_chunks::<6>().0 {
                    for (axis, channel) in batch.xyz.iter_mut().enumerate() {
                        channel.push(scale.g(i32::from(u16_at(row, 2 * axis) as i16)));
                    }
                }
            }
        }
        self.scale = Some(scale);
        if !second.is_whole() {
            quality.note(event("short_page"));
        }
        if batch.len() == from {
            return Ok(());
        }
        if self.count == 0
            && second.sleep == Sleep::Awake
            && let Some(late) = self.info.start_differs(second.second)
        {
            quality.note(Event { value: late, ..event("start_differs") });
        }
        let changed = self.settle_rate(second.samples(), &event, quality);
        let new_run = expected.is_some_and(|expected| expected != second.second) || second.broken || changed;
        if let Some(idle) = expected.and_then(|expected| second.slept(expected)) {
            let value = (idle.until - idle.from) as f64 / SECOND as f64;
            quality.note(Event { time: Some(idle.from), value, ..event("idle_sleep") });
            batch.idle.push(Idle { sample: from, ..idle });
        }
        let slow = [self.temperature, self.light, self.battery];
        [self.temperature, self.light, self.battery] = second.slow;
        self.block(from, time, (second.offset, second.index), new_run && expected.is_some(), batch);
        [self.temperature, self.light, self.battery] = slow;
        Ok(())
    }

    /// The records decide how many samples a second has, where `info.txt` or those before state another number than all that
    /// are at hand. Returns whether it changes within the recording.
    fn settle_rate(&mut self, n: usize, event: &dyn Fn(&'static str) -> Event, quality: &mut Quality) -> bool {
        let (rate, begins) = (n as f64, self.count == 0);
        let least = if begins { 0 } else { CHANGED };
        if (rate / self.records_rate - 1.0).abs() <= 0.1 || !self.seconds.all_hold(n, least) {
            return false;
        }
        self.records_rate = rate;
        quality.note(Event { value: rate, ..event(if begins { "rate_differs" } else { "rate_change" }) });
        if self.timestamps == Timestamps::Actipy {
            return false;
        }
        self.info.rate = rate;
        if begins {
            self.header.nominal_rate = rate;
        }
        !begins
    }

    fn end(&mut self, quality: &mut Quality) -> Result<()> {
        if let Some(seconds) = &mut self.in_order {
            seconds.count(true, quality);
        }
        if let Some(damage) = self.source().damage().map(str::to_owned) {
            self.source().note_damage(self.index, quality);
            self.header.metadata.push(("archive_damage".into(), damage));
        }
        if let (Sleep::Asleep, Some(expected)) = (self.sleep, self.seconds.next()) {
            let event = Event::at("idle_sleep", self.offset, self.index);
            let missing = self.last_second.saturating_sub(expected).max(0) as f64;
            quality.note(Event { time: Some(expected.saturating_mul(SECOND)), value: missing, ..event });
        }
        if self.count == 0 {
            let records = self.index;
            let reason = format!("expected at least one record of samples, got none among {records}");
            return Err(Error::malformed("gt3x", self.offset, reason));
        }
        Ok(())
    }
}

impl Reader for Gt3x {
    fn header(&self) -> &Header {
        &self.header
    }

    fn size_hint(&self) -> Option<u64> {
        let bytes = self.source().size_hint()?;
        Some(match self.samples {
            Samples::Packed(_) => bytes / 9 * 2 + 2,
            Samples::Log(_) => bytes / 4,
        })
    }

    fn read(&mut self, batch: &mut Batch, quality: &mut Quality) -> Result<bool> {
        self.refill()?;
        match self.samples {
            Samples::Packed(_) => self.packed(batch, quality),
            Samples::Log(_) => self.log(batch, quality)?,
        }
        if self.drained {
            while let Some(due) = self.seconds.pop(true) {
                self.activity(due, batch, quality)?;
            }
            self.end(quality)?;
        }
        Ok(!self.drained)
    }
}

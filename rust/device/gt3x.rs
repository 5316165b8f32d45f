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
//! first missing second and its length: the samples are not made up here.

use super::source::{Archive, Source};
use super::{Batch, Block, Event, Header, Quality, Reader, Stamp, Timestamps};
use crate::error::{Error, Result};

const SEPARATOR: u8 = 0x1e;
const HEAD: usize = 8;
/// Bytes of `log.bin` or `activity.bin` read at once.
const PIECE: usize = 64 << 10;
/// Samples of one block of version 1.
const PART: usize = 1800;
/// Bytes that `info.txt` may have.
const MAX_INFO: u64 = 1 << 20;
/// Seconds of light that `lux.bin` may have: four years.
const MAX_LUX: usize = 1 << 27;
const SECOND: i64 = 1_000_000_000;

fn u8_at(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from(u8_at(bytes, at)) | u16::from(u8_at(bytes, at + 1)) << 8
}
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

/// True where an archive holds a recording of this kind.
pub fn sniff(archive: &Archive) -> bool {
    archive.member("info.txt").is_some()
        && (archive.member("log.bin").is_some() || archive.member("activity.bin").is_some())
}

/// ns since 1970 of .NET ticks (100 ns since the year 1).
fn ticks(text: &str) -> Option<i64> {
    let ticks: i64 = text.trim().parse().ok()?;
    (ticks > 0).then_some(())?;
    ticks.checked_sub(621_355_968_000_000_000)?.checked_mul(100)
}

/// A sample of 12-bit values to g.
#[derive(Debug, Clone)]
struct Scale {
    per_g: f64,
    /// Rounded to 0.001 g, as the format asks of version 2.
    rounded: bool,
    /// g of the 4096 values, from -2048 on.
    table: Vec<f32>,
}

impl Scale {
    fn new(per_g: f64, rounded: bool) -> Self {
        let mut scale = Self { per_g, rounded, table: Vec::new() };
        scale.table = (-2048..2048).map(|raw| scale.g(raw)).collect();
        scale
    }

    fn g(&self, raw: i32) -> f32 {
        let g = f64::from(raw) / self.per_g;
        if self.rounded { ((g * 1000.0 + 0.5).floor() / 1000.0) as f32 } else { g as f32 }
    }

    fn of_12_bit(&self, raw: u16) -> f32 {
        self.table.get(usize::from(raw ^ 0x800)).copied().unwrap_or(f32::NAN)
    }
}

/// Scales outside of these bounds are damage.
fn scale_is_sound(per_g: f64) -> bool {
    (16.0..=32_768.0).contains(&per_g)
}

/// What `info.txt` says.
#[derive(Debug, Clone, Default)]
struct Info {
    rate: f64,
    start: Option<i64>,
    serial: String,
    firmware: String,
    scale: Option<f64>,
    range: (Option<f64>, Option<f64>),
}

impl Info {
    fn read(source: Source, header: &mut Header) -> Result<Self> {
        let mut info = Self::default();
        let mut bytes = Vec::new();
        let mut source = source;
        let mut piece = vec![0; PIECE];
        loop {
            let n = source.fill(&mut piece)?;
            bytes.extend_from_slice(piece.get(..n).unwrap_or_default());
            if bytes.len() as u64 > MAX_INFO {
                return Err(Error::Limit { what: "bytes of info.txt", max: MAX_INFO });
            }
            if n < piece.len() {
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            info.learn(name.trim_start_matches('\u{feff}').trim(), value.trim(), header);
        }
        if !(0.1..=10_000.0).contains(&info.rate) {
            let got = info.rate;
            let reason = format!("Sample Rate in info.txt: expected samples a second above 0, got {got}");
            return Err(Error::malformed("gt3x", 0, reason));
        }
        header.nominal_rate = info.rate;
        Ok(info)
    }

    fn learn(&mut self, name: &str, value: &str, header: &mut Header) {
        let number = value.replace(',', ".").parse::<f64>().ok().filter(|v| v.is_finite());
        match name {
            "Sample Rate" => self.rate = number.unwrap_or(0.0),
            "Start Date" => self.start = ticks(value),
            "Serial Number" => {
                self.serial = value.to_owned();
                header.device_id = value.to_owned();
            }
            "Device Type" => header.device = format!("ActiGraph {value}"),
            "Firmware" => self.firmware = value.to_owned(),
            "Acceleration Scale" => self.scale = number,
            "Acceleration Min" => self.range.0 = number,
            "Acceleration Max" => self.range.1 = number,
            _ => {}
        }
        if header.metadata.len() < 1000 {
            header.metadata.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Raw units a g: stated and in keeping with the stated range, else that of the device.
    fn per_g(&self) -> Option<f64> {
        let fits = |scale: f64| match self.range {
            (Some(low), Some(high)) => {
                low < 0.0 && high > 0.0 && (1024.0..=32_768.0).contains(&(scale * high.max(-low)))
            }
            _ => true,
        };
        let stated = self.scale.filter(|s| scale_is_sound(*s) && fits(*s));
        stated.or(match self.serial.get(..3)? {
            "NEO" | "CLE" | "MRA" => Some(341.0),
            "MOS" | "TAS" => Some(256.0),
            _ => None,
        })
    }

    /// Firmware 1.6.0 of the wGT3X-BT turns the axes by 90 degrees about z (GT3X-File-Format, `LogRecords/Activity.md`).
    fn rotated(&self) -> bool {
        self.serial.starts_with("MOS") && self.firmware == "1.6.0"
    }

    /// Lux of a raw value: scale and greatest value by device (NHANES-GT3X-File-Format, `lux.bin.md`).
    fn lux(&self, raw: u16) -> f32 {
        let (scale, most) = if self.serial.starts_with("MRA") { (3.25, 6000.0) } else { (1.25, 2500.0) };
        if raw < 20 || raw == u16::MAX { 0.0 } else { (f32::from(raw) * scale).min(most) }
    }
}

/// A record of `log.bin`, its payload aside.
#[derive(Debug, Clone, Copy)]
struct Record {
    kind: u8,
    second: i64,
    size: usize,
}

/// What comes next in `log.bin`.
enum Next {
    /// A sound record.
    Record(Record),
    /// Bytes that are none, so many.
    Skip(usize, Option<&'static str>),
    /// Fewer bytes than the record states.
    Short,
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
    /// Second after the last record of samples.
    next_second: Option<i64>,
    /// Second of the last record of any kind.
    last_second: i64,
    /// Idle sleep began.
    asleep: Option<i64>,
    idle: bool,
    broken: bool,
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
        let mut header = Header { format: "gt3x", device: "ActiGraph".into(), ..Header::default() };
        let lost = |what: &str| Error::malformed("gt3x", 0, format!("{what}: expected in the archive, got none"));
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
        if packed && info.start.is_none() {
            return Err(Error::malformed("gt3x", 0, "Start Date in info.txt: expected .NET ticks, got none"));
        }
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
            next_second: None,
            last_second: 0,
            asleep: None,
            idle: false,
            broken: false,
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
        self.buffer.resize(have + PIECE, 0);
        let room = self.buffer.get_mut(have..).unwrap_or_default();
        let got = match &mut self.samples {
            Samples::Packed(source) | Samples::Log(source) => source.fill(room)?,
        };
        self.buffer.truncate(have + got);
        self.drained = got < PIECE;
        Ok(())
    }

    /// Puts a block over the samples added since `from`, the first of them at `time` (ns).
    fn block(&mut self, from: usize, time: i64, offset: u64, new_run: bool, batch: &mut Batch) {
        let n = batch.len() - from;
        if self.info.rotated() {
            let [x, y, _] = &mut batch.xyz;
            for (x, y) in x.iter_mut().zip(y).skip(from) {
                (*x, *y) = (*y, -*x);
            }
        }
        let rate = self.info.rate;
        let stamp = match self.timestamps {
            Timestamps::Device => Stamp::At { at: 0, time },
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
            index: self.index,
            rate,
            stamp,
            new_run,
            temperature: self.temperature,
            light: self.light,
            battery: self.battery,
        });
    }

    /// 12-bit samples of version 1 up to the end of the buffer.
    fn packed(&mut self, batch: &mut Batch, quality: &mut Quality) {
        let Some(scale) = self.scale.take() else { return };
        let whole = self.buffer.len() / 9 * 9;
        let buffer = std::mem::take(&mut self.buffer);
        for (i, part) in buffer.get(..whole).unwrap_or_default().chunks(PART / 2 * 9).enumerate() {
            let offset = self.offset + (i * (PART / 2 * 9)) as u64;
            self.packed_part(part, offset, &scale, batch);
        }
        let mut used = whole;
        if self.drained {
            let rest = buffer.get(whole..).unwrap_or_default();
            if rest.len() >= 5 {
                self.packed_part(rest.get(..5).unwrap_or_default(), self.offset + whole as u64, &scale, batch);
            }
            if !matches!(rest.len(), 0 | 5) {
                quality.note(Event::at("partial_block", self.offset + whole as u64, self.index));
            }
            used = buffer.len();
        }
        self.offset += used as u64;
        self.buffer = buffer.get(used..).unwrap_or_default().to_vec();
        self.scale = Some(scale);
    }

    fn packed_part(&mut self, part: &[u8], offset: u64, scale: &Scale, batch: &mut Batch) {
        let ns = |i: u64| (i as f64 * 1e9 / self.info.rate).round() as i64;
        let time = self.info.start.unwrap_or(0).saturating_add(ns(self.count));
        let second = (self.count as f64 / self.info.rate) as usize;
        self.light = self.lux.get(second).map_or(f32::NAN, |raw| self.info.lux(*raw));
        let from = batch.len();
        unpack(part, [1, 0, 2], scale, batch);
        self.block(from, time, offset, false, batch);
        self.index += 1;
    }

    /// The bytes at `at` of the buffer as a record.
    fn record(&self, at: usize) -> Next {
        let bytes = self.buffer.get(at..).unwrap_or_default();
        if u8_at(bytes, 0) != SEPARATOR {
            let zeros = bytes.iter().take_while(|b| **b == 0).count();
            if zeros > 0 {
                return Next::Skip(zeros, None);
            }
            let by = bytes.iter().position(|b| *b == SEPARATOR).unwrap_or(bytes.len());
            return Next::Skip(by, Some("unknown_bytes"));
        }
        let size = usize::from(u16_at(bytes, 6));
        let Some(body) = bytes.get(..HEAD + size).filter(|_| bytes.len() > HEAD + size) else { return Next::Short };
        let sum = body.iter().fold(0u8, |sum, b| sum ^ b);
        if !sum != u8_at(bytes, HEAD + size) {
            return Next::Skip(self.bad(bytes, size), Some("bad_checksum"));
        }
        Next::Record(Record { kind: u8_at(bytes, 1), second: i64::from(u32_at(bytes, 2)), size })
    }

    /// How far to go from a record whose check sum does not hold: to its stated end if a record stands there, else to the
    /// next separator, for the size itself may be what is damaged.
    fn bad(&self, bytes: &[u8], size: usize) -> usize {
        let end = HEAD + size + 1;
        if matches!(bytes.get(end), None | Some(&SEPARATOR)) && bytes.len() >= end {
            return end;
        }
        bytes.iter().skip(1).position(|b| *b == SEPARATOR).map_or(bytes.len(), |by| by + 1)
    }

    /// Records of `log.bin` in the buffer.
    fn log(&mut self, batch: &mut Batch, quality: &mut Quality) -> Result<()> {
        let mut at = 0;
        while at < self.buffer.len() {
            let offset = self.offset + at as u64;
            match self.record(at) {
                Next::Short if !self.drained => break,
                Next::Short => {
                    // the size may be what is damaged: what follows may still hold records
                    let rest = self.buffer.get(at + 1..).unwrap_or_default();
                    let by = rest.iter().position(|b| *b == SEPARATOR).map_or(rest.len(), |by| by) + 1;
                    quality.note(Event { value: by as f64, ..Event::at("partial_block", offset, self.index) });
                    self.broken = true;
                    at += by;
                }
                Next::Skip(by, kind) => {
                    if let Some(kind) = kind {
                        let time = self.next_second.map(|s| s * SECOND);
                        quality.note(Event { time, value: by as f64, ..Event::at(kind, offset, self.index) });
                        self.broken = true;
                        self.index += u64::from(kind == "bad_checksum");
                    }
                    at += by.max(1);
                }
                Next::Record(record) => {
                    let from = at + HEAD;
                    let payload = self.buffer.get(from..from + record.size).unwrap_or_default().to_vec();
                    self.take(record, &payload, offset, batch, quality)?;
                    self.index += 1;
                    at = from + record.size + 1;
                }
            }
        }
        self.buffer.drain(..at.min(self.buffer.len()));
        self.offset += at as u64;
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
            0 | 26 | 27 if payload.len() > 1 => return self.activity(record, payload, offset, batch, quality),
            2 if payload.len() >= 2 => self.battery = f32::from(u16_at(payload, 0)) / 1000.0,
            3 if payload == [0x08] => {
                self.asleep = Some(record.second);
                self.idle = true;
            }
            3 if payload == [0x09] => {
                self.asleep = None;
                self.idle = true;
            }
            5 if payload.len() >= 2 => self.light = f32::from(u16_at(payload, 0)),
            6 => self.describe(payload),
            21 => self.parameters(payload, offset, quality),
            // MCU then accelerometer, in hundredths of a degree
            30 if payload.len() >= 4 => self.temperature = f32::from(u16_at(payload, 0) as i16) / 100.0,
            _ => {}
        }
        Ok(())
    }

    /// A second of samples.
    fn activity(
        &mut self,
        record: Record,
        payload: &[u8],
        offset: u64,
        batch: &mut Batch,
        quality: &mut Quality,
    ) -> Result<()> {
        let time = record.second * SECOND;
        let Some(scale) = self.scale.take() else { return Err(no_scale(offset, &self.info.serial)) };
        let from = batch.len();
        match record.kind {
            0 => unpack(payload, [1, 0, 2], &scale, batch),
            27 => unpack(payload, [0, 1, 2], &scale, batch),
            _ => {
                for row in payload.as_chunks::<6>().0 {
                    for (axis, channel) in batch.xyz.iter_mut().enumerate() {
                        channel.push(scale.g(i32::from(u16_at(row, 2 * axis) as i16)));
                    }
                }
            }
        }
        self.scale = Some(scale);
        let whole =
            if record.kind == 26 { payload.len().is_multiple_of(6) } else { matches!(payload.len() % 9, 0 | 5) };
        let n = batch.len() - from;
        if !whole {
            quality.note(Event { time: Some(time), ..Event::at("short_page", offset, self.index) });
        }
        if n == 0 {
            return Ok(());
        }
        let new_run = self.follows(record.second, offset, quality);
        self.next_second = Some(record.second + 1);
        self.block(from, time, offset, new_run, batch);
        Ok(())
    }

    /// Does this second begin a new run? Missing ones between idle sleep's events are idle sleep.
    fn follows(&mut self, second: i64, offset: u64, quality: &mut Quality) -> bool {
        let idle = std::mem::take(&mut self.idle);
        self.asleep = None;
        let broken = std::mem::take(&mut self.broken);
        let Some(expected) = self.next_second else { return false };
        if idle && second > expected {
            let missing = (second - expected) as f64;
            let event = Event::at("idle_sleep", offset, self.index);
            quality.note(Event { time: Some(expected * SECOND), value: missing, ..event });
        }
        second != expected || broken
    }

    fn describe(&mut self, payload: &[u8]) {
        let text = String::from_utf8_lossy(payload);
        let text = text.trim_matches('\0').trim();
        if !text.is_empty() && self.header.metadata.len() < 1000 {
            let n = self.header.metadata.iter().filter(|(name, _)| name.starts_with("metadata_")).count();
            self.header.metadata.push((format!("metadata_{n}"), text.to_owned()));
        }
    }

    /// Pairs of address and key with a value; address 0, key 55 is the scale.
    fn parameters(&mut self, payload: &[u8], offset: u64, quality: &mut Quality) {
        if !payload.len().is_multiple_of(8) {
            quality.note(Event::at("short_page", offset, self.index));
        }
        for pair in payload.as_chunks::<8>().0 {
            if u16_at(pair, 0) == 0 && u16_at(pair, 2) == 55 {
                let per_g = parameter(u32_at(pair, 4));
                if scale_is_sound(per_g) && self.scale.as_ref().is_none_or(|s| s.per_g != per_g) {
                    self.scale = Some(Scale::new(per_g, true));
                }
            }
        }
    }

    fn end(&mut self, quality: &mut Quality) -> Result<()> {
        if let Some(why) = self.source().damage().map(str::to_owned) {
            quality.note(Event::at("damaged_compression", self.offset, self.index));
            self.header.metadata.push(("archive_damage".into(), why));
        }
        if let (Some(_), Some(expected)) = (self.asleep, self.next_second) {
            let event = Event::at("idle_sleep", self.offset, self.index);
            let missing = (self.last_second - expected).max(0) as f64;
            quality.note(Event { time: Some(expected * SECOND), value: missing, ..event });
        }
        if self.count == 0 {
            let records = self.index;
            let reason = format!("expected at least one record of samples, got none among {records}");
            return Err(Error::malformed("gt3x", self.offset, reason));
        }
        Ok(())
    }
}

fn no_scale(offset: u64, serial: &str) -> Error {
    let reason = format!("Acceleration Scale: expected in info.txt or by the serial number, got none for '{serial}'");
    Error::malformed("gt3x", offset, reason)
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
            self.end(quality)?;
        }
        Ok(!self.drained)
    }
}

/// Appends 12-bit samples, two in nine bytes (one in five at the end); `axes` says which axis comes first, second, third.
fn unpack(bytes: &[u8], axes: [usize; 3], scale: &Scale, batch: &mut Batch) {
    let high = |a: u8, b: u8| u16::from(a) << 4 | u16::from(b) >> 4;
    let low = |a: u8, b: u8| u16::from(a & 15) << 8 | u16::from(b);
    let mut push = |sample: [u16; 3]| {
        for (axis, raw) in axes.into_iter().zip(sample) {
            if let Some(channel) = batch.xyz.get_mut(axis) {
                channel.push(scale.of_12_bit(raw));
            }
        }
    };
    let (pairs, rest) = bytes.as_chunks::<9>();
    for &[a, b, c, d, e, f, g, h, i] in pairs {
        push([high(a, b), low(b, c), high(d, e)]);
        push([low(e, f), high(g, h), low(h, i)]);
    }
    if let Some(&[a, b, c, d, e]) = rest.first_chunk::<5>() {
        push([high(a, b), low(b, c), high(d, e)]);
    }
}

/// A parameter's value: signed 24-bit fraction of 2^23 and, above it, a signed exponent of two.
fn parameter(encoded: u32) -> f64 {
    let fraction = f64::from(((encoded << 8) as i32) >> 8) / 8_388_608.0;
    fraction * 2f64.powi(i32::from((encoded >> 24) as u8 as i8))
}

/// Light of version 1, a 16-bit value a second.
fn read_lux(mut source: Source) -> Result<Vec<u16>> {
    let mut all = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        let n = source.fill(&mut piece)?;
        let got = piece.get(..n).unwrap_or_default();
        all.extend(got.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)));
        if n < piece.len() {
            return Ok(all);
        }
        if all.len() > MAX_LUX {
            return Err(Error::Limit { what: "values of lux.bin", max: MAX_LUX as u64 });
        }
    }
}

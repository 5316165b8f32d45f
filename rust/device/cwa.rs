//! Axivity CWA: AX3 and AX6, packed and unpacked, every firmware's stamps.
//!
//! A 1024-byte header, then blocks of 512 bytes: a 30-byte head (sequence number, packed local time, light, temperature,
//! events, battery, rate code), 480 bytes of samples and a check sum that makes the 256 words add up to zero. The stamp is
//! the time of the last drain of the sensor's queue: whole second and, since firmware 23, a fraction, with the sample at
//! which it holds (openmovement, `Docs/ax3/cwa.h`, `ax3-technical.md`, `Logger.c`). That sample may lie in another block.
//!
//! What is left out is counted: bad check sums, blank blocks, impossible dates, rates or layouts. A block out of sequence
//! begins a new run, so that nothing is ever stretched over a lost one.

use std::collections::VecDeque;

use super::calendar::days;
use super::source::Source;
use super::{Batch, Block, Event, Header, Quality, Reader, Stamp, Timestamps};
use crate::error::{Error, Result};

const BLOCK: usize = 512;
/// Blocks decoded in one call: 7,680 packed samples, which stay in the second-level cache.
const BATCH: usize = 64;
/// Blocks looked ahead for one that was written out of order.
const AHEAD: usize = 8;
const MAGIC: [u8; 4] = [b'A', b'X', 0xfc, 0x01];

type Bytes = [u8; BLOCK];

/// True where the first bytes are a CWA header or hold a data block at a multiple of 512.
pub fn sniff(first: &[u8]) -> bool {
    first.starts_with(&[b'M', b'D', 0xfc, 0x03]) || first.chunks(BLOCK).any(|block| block.starts_with(&MAGIC))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}
fn u8_at(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// Seconds since 1970 of a packed time: year - 2000 in 6 bits, month 4, day 5, hour 5, minute 6, second 6.
fn seconds(packed: u32) -> Option<i64> {
    let field = |shift: u32, bits: u32| i64::from(packed >> shift & ((1 << bits) - 1));
    let (hour, minute, second) = (field(12, 5), field(6, 6), field(0, 6));
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(days(2000 + field(26, 6), field(22, 4), field(17, 5))? * 86_400 + hour * 3600 + minute * 60 + second)
}

/// How the samples of a block are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Three 10-bit values and an exponent in 32 bits.
    Packed,
    /// int16, so many axes: 3 acceleration; 6 gyroscope, acceleration; 9 and magnetometer.
    Words(usize),
}

impl Layout {
    fn capacity(self) -> usize {
        match self {
            Layout::Packed => 120,
            Layout::Words(axes) => 480 / (2 * axes),
        }
    }
}

/// The head of a sound block.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Head {
    session: u32,
    sequence: u32,
    seconds: i64,
    fraction: Option<u32>,
    offset: i64,
    rate: f64,
    layout: Layout,
    count: usize,
    stated: u16,
    light: u16,
    temperature: u16,
    events: u8,
    battery: u8,
}

/// Reads the head of a block, or says why the block cannot be used.
fn head(bytes: &Bytes) -> std::result::Result<Head, &'static str> {
    if !bytes.starts_with(&MAGIC) {
        return Err(match bytes {
            [b'G' | b'M', b'X', ..] => "other_sensor_block",
            [first, rest @ ..] if rest.iter().all(|b| b == first) => "blank_block",
            _ => "unknown_block",
        });
    }
    let code = u8_at(bytes, 24);
    if code != 0 && checksum(bytes) != 0 {
        return Err("bad_checksum");
    }
    let last = u16_at(bytes, 26) as i16;
    let (rate, offset) = match code {
        0 if last <= 0 => return Err("bad_rate"),
        0 => (f64::from(last), 0),
        _ => (3200.0 / f64::from(1u32 << (15 - (code & 15))), i64::from(last)),
    };
    let seconds = seconds(u32_at(bytes, 14)).ok_or("bad_date")?;
    let layout = match (u8_at(bytes, 25) >> 4, u8_at(bytes, 25) & 15) {
        (3, 0) => Layout::Packed,
        (axes @ (3 | 6 | 9), 2) => Layout::Words(usize::from(axes)),
        _ => return Err("bad_axes"),
    };
    let device = u16_at(bytes, 4);
    let stated = u16_at(bytes, 28);
    Ok(Head {
        session: u32_at(bytes, 6),
        sequence: u32_at(bytes, 10),
        seconds,
        fraction: (device & 0x8000 != 0).then_some(u32::from(device & 0x7fff) << 1),
        offset,
        rate,
        layout,
        count: usize::from(stated).min(layout.capacity()),
        stated,
        light: u16_at(bytes, 18),
        temperature: u16_at(bytes, 20),
        events: u8_at(bytes, 22),
        battery: u8_at(bytes, 23),
    })
}

/// 16-bit sum of the 256 words: 0 for a sound block.
fn checksum(bytes: &Bytes) -> u16 {
    bytes.as_chunks::<2>().0.iter().fold(0u16, |sum, pair| sum.wrapping_add(u16::from_le_bytes(*pair)))
}

impl Head {
    /// The device's stamp: at sample `offset` plus what the fraction had counted, the clock showed second and fraction.
    fn stamp(&self) -> Stamp {
        let fraction = i64::from(self.fraction.unwrap_or(0));
        let at = self.offset + ((fraction * self.rate as i64) >> 16);
        Stamp::At { at, time: self.seconds * 1_000_000_000 + ((fraction * 1_000_000_000) >> 16) }
    }

    /// actipy's span: the fraction is ignored, and a block that begins less than a second after the nominal end of the one
    /// before it, or before that, begins there instead. `end` carries the nominal end from block to block.
    fn span(&self, end: &mut Option<f64>) -> Stamp {
        let rate = self.rate as f32;
        // whole seconds are carried apart, so that only the rest is rounded to float32
        let offset = f64::from(-(self.offset as f32) / rate);
        let begins = self.seconds as f64 + offset.floor() + f64::from((offset - offset.floor()) as f32);
        let ends = begins + f64::from(self.count as f32 / rate);
        let start = match *end {
            Some(last) if begins - last < 1.0 => last,
            _ => begins,
        };
        *end = Some(ends);
        Stamp::Span { start, end: ends }
    }

    /// Lux: 10^((raw + 512) * 6 / 1024), of AX6 ten times the raw value (openmovement, cwa.h).
    fn lux(&self) -> f32 {
        let raw = f64::from(self.light & 0x3ff) * if self.layout == Layout::Words(6) { 10.0 } else { 1.0 };
        10f64.powf((raw + 512.0) * 6.0 / 1024.0) as f32
    }

    /// Degrees Celsius: raw * 75 / 256 - 50 (openmovement, cwa.h).
    fn celsius(&self) -> f32 {
        f32::from(self.temperature & 0x3ff) * 75.0 / 256.0 - 50.0
    }

    /// Volts: (raw + 512) * 6 / 1024 (openmovement, cwa.h).
    fn volts(&self) -> f32 {
        (f32::from(self.battery) + 512.0) * 6.0 / 1024.0
    }
}

/// A CWA file.
pub struct Cwa {
    source: Source,
    timestamps: Timestamps,
    header: Header,
    /// Bytes read and not yet used up, and the file offset of the first.
    buffer: Vec<u8>,
    offset: u64,
    /// Blocks at the front of `buffer` that were already used, out of order.
    used: VecDeque<bool>,
    index: u64,
    last: Option<Head>,
    skipped: u32,
    sound: u64,
    span_end: Option<f64>,
    drained: bool,
}

impl Cwa {
    /// Reads the header.
    ///
    /// # Errors
    /// The file system's.
    pub fn new(mut source: Source, timestamps: Timestamps) -> Result<Self> {
        let first = source.peek();
        let has_header = !first.starts_with(&MAGIC);
        let header =
            if first.starts_with(b"MD") { describe(first) } else { Header { format: "cwa", ..Header::default() } };
        let mut offset = 0;
        if has_header {
            let mut skip = [0u8; 1024];
            offset = source.fill(&mut skip)? as u64;
        }
        Ok(Self {
            source,
            timestamps,
            header,
            buffer: Vec::with_capacity((BATCH + AHEAD + 1) * BLOCK),
            offset,
            used: VecDeque::new(),
            index: 0,
            last: None,
            skipped: 0,
            sound: 0,
            span_end: None,
            drained: false,
        })
    }

    fn refill(&mut self) -> Result<()> {
        let have = self.buffer.len();
        self.buffer.resize((BATCH + AHEAD) * BLOCK, 0);
        let got = self.source.fill(self.buffer.get_mut(have..).unwrap_or_default())?;
        self.buffer.truncate(have + got);
        self.drained = self.buffer.len() < (BATCH + AHEAD) * BLOCK;
        Ok(())
    }

    fn block(&self, at: usize) -> Option<&Bytes> {
        self.buffer.get(at..at + BLOCK)?.try_into().ok()
    }

    /// A block among the next ones that holds the sequence number that should come now, if `next` is ahead of it.
    fn earlier(&self, at: usize, next: &Head) -> Option<usize> {
        let last = self.last.as_ref()?;
        let wanted = last.sequence.wrapping_add(1);
        if self.timestamps == Timestamps::Actipy
            || next.session != last.session
            || next.sequence <= wanted
            || next.sequence - wanted > AHEAD as u32
        {
            return None;
        }
        (1..=AHEAD).map(|k| at + k * BLOCK).find(|&other| {
            self.block(other)
                .and_then(|bytes| head(bytes).ok())
                .is_some_and(|h| h.sequence == wanted && h.session == last.session)
        })
    }

    /// Distance in bytes to the next sound block that is not at a multiple of 512, when the bytes at `at` are none.
    fn misaligned(&self, at: usize) -> Option<usize> {
        let rest = self.buffer.get(at..)?;
        if self.timestamps == Timestamps::Actipy || rest.get(BLOCK..BLOCK + 4) == Some(&MAGIC) {
            return None;
        }
        rest.windows(BLOCK)
            .take(2 * BLOCK)
            .position(|window| window.starts_with(&MAGIC) && window.try_into().is_ok_and(|b| head(b).is_ok()))
            .filter(|&by| by % BLOCK != 0)
    }

    fn leave_out(&mut self, kind: &'static str, offset: u64, quality: &mut Quality) {
        let event = Event::at(kind, offset, self.index);
        let time = self.last.map(|h| h.seconds * 1_000_000_000);
        quality.note(Event { time, ..event });
        self.skipped += 1;
    }

    /// What the sequence says about a block: does it begin a new run?
    fn follows(&self, next: &Head, offset: u64, index: u64, quality: &mut Quality) -> bool {
        let Some(last) = &self.last else { return true };
        let mut note = |kind, count| {
            let time = Some(next.seconds * 1_000_000_000);
            quality.note(Event { time, count, ..Event::at(kind, offset, index) });
        };
        if next.events & 0x30 != 0 {
            note("queue_overrun", 1);
        }
        if next.rate != last.rate {
            note("rate_change", 1);
        }
        if next.layout != last.layout {
            note("layout_change", 1);
        }
        if next.session != last.session {
            note("session_change", 1);
            return true;
        }
        let step = i64::from(next.sequence) - i64::from(last.sequence);
        let missing = step - 1 - i64::from(self.skipped);
        if next.sequence == 0 && last.sequence != 0 {
            note("restart", 1);
        } else if step > 1 && missing > 0 {
            note("lost_blocks", missing as u64);
        } else if step < 1 {
            note("out_of_order", 1);
        }
        step != 1 || self.skipped > 0 || next.layout != last.layout
    }

    /// Adds a sound block, `ahead` places behind the one that is due when it was written out of order.
    fn take(&mut self, at: usize, ahead: u64, head: Head, batch: &mut Batch, quality: &mut Quality) {
        let (offset, index) = (self.offset + at as u64, self.index + ahead);
        let Some(bytes) = self.block(at).copied() else { return };
        if self.timestamps == Timestamps::Device && self.last == Some(head) {
            let time = Some(head.seconds * 1_000_000_000);
            quality.note(Event { time, ..Event::at("repeated_block", offset, index) });
            return;
        }
        if usize::from(head.stated) > head.count {
            let time = Some(head.seconds * 1_000_000_000);
            quality.note(Event { time, value: f64::from(head.stated), ..Event::at("bad_count", offset, index) });
        }
        let new_run = self.follows(&head, offset, index, quality);
        let stamp = match self.timestamps {
            Timestamps::Device => head.stamp(),
            Timestamps::Actipy => head.span(&mut self.span_end),
        };
        self.learn(&head);
        self.last = Some(head);
        self.skipped = 0;
        self.sound += 1;
        if head.count == 0 {
            let time = Some(head.seconds * 1_000_000_000);
            quality.note(Event { time, ..Event::at("empty_block", offset, index) });
            return;
        }
        batch.blocks.push(Block {
            n: head.count as u32,
            offset,
            index,
            rate: head.rate,
            stamp,
            new_run,
            temperature: head.celsius(),
            light: head.lux(),
            battery: head.volts(),
        });
        decode(&bytes, &head, batch);
    }

    /// What a header-less file tells by its blocks.
    fn learn(&mut self, head: &Head) {
        if self.header.nominal_rate == 0.0 {
            self.header.nominal_rate = head.rate;
        }
        if self.header.device.is_empty() {
            self.header.device =
                if matches!(head.layout, Layout::Words(6 | 9)) { "Axivity AX6" } else { "Axivity AX3" }.into();
        }
    }
}

impl Reader for Cwa {
    fn header(&self) -> &Header {
        &self.header
    }

    fn size_hint(&self) -> Option<u64> {
        self.source.size_hint().map(|bytes| bytes / BLOCK as u64 * 120)
    }

    fn read(&mut self, batch: &mut Batch, quality: &mut Quality) -> Result<bool> {
        self.refill()?;
        let end = if self.drained { self.buffer.len() } else { BATCH * BLOCK };
        let mut at = 0;
        while at + BLOCK <= end {
            let number = at / BLOCK;
            if self.used.front().copied().unwrap_or(false) {
                self.used.pop_front();
                at += BLOCK;
                self.index += 1;
                continue;
            }
            match self.block(at).map(head) {
                Some(Ok(next)) => match self.earlier(at, &next) {
                    Some(other) => {
                        if let Some(Ok(first)) = self.block(other).map(head) {
                            let place = (other / BLOCK) - number;
                            self.used.resize(self.used.len().max(place + 1), false);
                            if let Some(flag) = self.used.get_mut(place) {
                                *flag = true;
                            }
                            let event =
                                Event::at("out_of_order", self.offset + other as u64, self.index + place as u64);
                            quality.note(Event { time: Some(first.seconds * 1_000_000_000), ..event });
                            self.take(other, place as u64, first, batch, quality);
                        }
                        continue;
                    }
                    None => self.take(at, 0, next, batch, quality),
                },
                Some(Err(kind)) => {
                    let by = if kind == "unknown_block" { self.misaligned(at) } else { None };
                    self.leave_out(kind, self.offset + at as u64, quality);
                    if let Some(by) = by {
                        quality.note(Event {
                            value: by as f64,
                            ..Event::at("misaligned", self.offset + at as u64, self.index)
                        });
                        self.used.clear();
                        at += by;
                        self.index += 1;
                        continue;
                    }
                }
                None => {}
            }
            self.used.pop_front();
            at += BLOCK;
            self.index += 1;
        }
        self.buffer.drain(..at);
        self.offset += at as u64;
        if self.drained {
            self.end(quality)?;
        }
        Ok(!self.drained)
    }
}

impl Cwa {
    fn end(&mut self, quality: &mut Quality) -> Result<()> {
        let rest = self.buffer.len();
        if rest > 0 {
            quality.note(Event { value: rest as f64, ..Event::at("partial_block", self.offset, self.index) });
        }
        self.source.note_damage(self.index, quality);
        if self.sound == 0 {
            let blocks = self.index;
            return Err(Error::malformed(
                "cwa",
                self.offset,
                format!("expected at least one sound data block, got none among {blocks}"),
            ));
        }
        Ok(())
    }
}

/// Appends the samples of a block, g and degrees a second.
fn decode(bytes: &Bytes, head: &Head, batch: &mut Batch) {
    fn room(channel: &mut Vec<f32>, from: usize, n: usize, fill: f32) -> &mut [f32] {
        channel.resize(from, fill);
        channel.resize(from + n, 0.0);
        channel.get_mut(from..).unwrap_or_default()
    }
    let (from, n) = (batch.len(), head.count);
    let unit = 1.0 / f32::from(256u16 << (head.light >> 13));
    let data = bytes.get(30..510).unwrap_or_default();
    let [x, y, z] = &mut batch.xyz;
    let xyz = [room(x, from, n, 0.0), room(y, from, n, 0.0), room(z, from, n, 0.0)];
    match head.layout {
        Layout::Packed => unpack(data, unit, xyz),
        Layout::Words(3) => words::<6>(data, 0, unit, xyz),
        Layout::Words(axes) => {
            let code = head.light >> 10 & 7;
            let range = if code == 0 { 2000.0 } else { f32::from(8000u16 >> code) };
            let [gx, gy, gz] = &mut batch.gyro;
            let gyro = [room(gx, from, n, f32::NAN), room(gy, from, n, f32::NAN), room(gz, from, n, f32::NAN)];
            if axes == 6 {
                words::<12>(data, 0, range / 32768.0, gyro);
                words::<12>(data, 6, unit, xyz);
            } else {
                words::<18>(data, 0, range / 32768.0, gyro);
                words::<18>(data, 6, unit, xyz);
            }
        }
    }
}

/// int16 triples, `STRIDE` bytes apart.
fn words<const STRIDE: usize>(data: &[u8], at: usize, unit: f32, [x, y, z]: [&mut [f32]; 3]) {
    let rows = data.as_chunks::<STRIDE>().0;
    for (((row, x), y), z) in rows.iter().zip(x).zip(y).zip(z) {
        *x = f32::from(u16_at(row, at) as i16) * unit;
        *y = f32::from(u16_at(row, at + 2) as i16) * unit;
        *z = f32::from(u16_at(row, at + 4) as i16) * unit;
    }
}

/// 10-10-10-2: three signed values, each to be shifted left by the exponent on top.
fn unpack(data: &[u8], unit: f32, xyz: [&mut [f32]; 3]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[target_feature(enable = "avx2")]
        fn fast(data: &[u8], unit: f32, xyz: [&mut [f32]; 3]) {
            unpack_plain(data, unit, xyz);
        }
        #[allow(unsafe_code)]
        // SAFETY: the CPU has AVX2.
        return unsafe { fast(data, unit, xyz) };
    }
    unpack_plain(data, unit, xyz);
}

#[inline(always)]
fn unpack_plain(data: &[u8], unit: f32, [x, y, z]: [&mut [f32]; 3]) {
    let rows = data.as_chunks::<4>().0;
    for (((row, x), y), z) in rows.iter().zip(x).zip(y).zip(z) {
        let word = u32::from_le_bytes(*row);
        let scale = f32::from_bits((127 + (word >> 30)) << 23) * unit; // 2^exponent * unit, exact
        let value = |shift: u32| ((word << shift) as i32 >> 22) as f32 * scale;
        *x = value(22);
        *y = value(12);
        *z = value(2);
    }
}

/// The 1024-byte header.
fn describe(first: &[u8]) -> Header {
    let hardware = match u8_at(first, 4) {
        0x64 => "Axivity AX6",
        _ => "Axivity AX3",
    };
    let high = u16_at(first, 11);
    let id = u32::from(u16_at(first, 5)) | if high == 0xffff { 0 } else { u32::from(high) << 16 };
    let code = u8_at(first, 36);
    let mut metadata = vec![
        ("session_id".to_owned(), u32_at(first, 7).to_string()),
        ("firmware".to_owned(), u8_at(first, 41).to_string()),
    ];
    for (name, at) in [("logging_start", 13), ("logging_stop", 17), ("last_change", 37)] {
        if let Some(time) = seconds(u32_at(first, at)) {
            metadata.push((name.to_owned(), time.to_string()));
        }
    }
    if code & 15 != 0 {
        metadata.push(("range_g".to_owned(), (16 >> (code >> 6)).to_string()));
    }
    if let n @ 1..=0xfe = u8_at(first, 35) {
        metadata.push(("gyroscope_range_dps".to_owned(), (8000u32 >> (n & 15)).to_string()));
    }
    metadata.extend(annotations(first.get(64..512).unwrap_or_default()));
    let nominal_rate = if code == 0 { 0.0 } else { 3200.0 / f64::from(1u32 << (15 - (code & 15))) };
    Header {
        format: "cwa",
        device: hardware.into(),
        device_id: id.to_string(),
        nominal_rate,
        metadata,
        ..Header::default()
    }
}

/// `key=value&...`, url-encoded, padded with spaces, zeros or 0xff.
fn annotations(bytes: &[u8]) -> Vec<(String, String)> {
    let end = bytes.iter().position(|b| matches!(b, 0 | 0xff)).unwrap_or(bytes.len());
    let text = bytes.get(..end).unwrap_or_default();
    text.split(|b| *b == b'&')
        .filter_map(|pair| {
            let mut halves = pair.splitn(2, |b| *b == b'=');
            let (key, value) = (decode_url(halves.next()?), decode_url(halves.next()?));
            (!key.is_empty()).then_some((key, value))
        })
        .collect()
}

fn decode_url(text: &[u8]) -> String {
    let digit = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16)).map(|d| d as u8);
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (first, digit(tail.first()), digit(tail.get(1))) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'+', ..) => out.push(b' '),
            _ => out.push(*first),
        }
    }
    String::from_utf8_lossy(&out).trim().to_owned()
}

//! Matrix `.bin`: 512 bytes of remarks, a 12-byte header, and packets of some minutes.
//!
//! Header: `MDTC`, number of packets, range of acceleration (g) and of the gyroscope (degrees/s). A packet: `MDTCPACK`, CRC-32
//! of all that follows in it, first and last second, counts of acceleration, gyroscope, temperature and heart rate, then
//! their int16 values. A value v stands for v * range / 32767, or / 32768 where it is not positive, given to six decimals
//! (three of the gyroscope): the device's own export writes so. The samples of a packet are spread evenly over its seconds.
//!
//! A channel of lower rate than the rows has its values at the rows that it names and is missing between them. By actipy's
//! rule the rows are those of the fastest channel, else those of the acceleration. A packet whose CRC does not hold is left
//! out and counted.

use std::cell::OnceCell;
use std::collections::VecDeque;

use super::source::Source;
use super::steps;
use super::{Batch, Block, Event, Header, Quality, Reader, Stamp, Timestamps};
use crate::error::{Error, Result};

const REMARKS: usize = 512;
const HEAD: usize = 36;
const MARK: &[u8; 8] = b"MDTCPACK";
const FIRST_PIECE: usize = 8 << 10;
const PIECE: usize = 256 << 10;
/// Bytes that a packet may have: two hours of everything.
const MAX_PACKET: usize = 16 << 20;
const SECOND: f64 = 1e9;
/// Lowest rate of a packet, Hz: one whose two dates are years apart would take memory for the time between its samples.
const SLOWEST: f64 = 0.1;
/// Packets remembered, to know one that is there twice.
const REMEMBERED: usize = 8;

fn u16_at(bytes: &[u8], position: usize) -> u16 {
    bytes.get(position..position + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}
fn u32_at(bytes: &[u8], position: usize) -> u32 {
    bytes.get(position..position + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// True where the first bytes are a Matrix header.
pub fn sniff(first: &[u8]) -> bool {
    first.get(REMARKS..REMARKS + 4) == Some(b"MDTC")
}

/// The head of a packet.
#[derive(Debug, Clone, Copy)]
struct Head {
    crc: u32,
    start: u32,
    end: u32,
    /// Of acceleration, gyroscope, temperature, heart rate.
    counts: [usize; 4],
}

impl Head {
    fn of(bytes: &[u8]) -> Option<Self> {
        let counts = [20, 24, 28, 32].map(|position| u32_at(bytes, position) as usize);
        let head = Self { crc: u32_at(bytes, 8), start: u32_at(bytes, 12), end: u32_at(bytes, 16), counts };
        (bytes.len() >= HEAD && counts.iter().all(|n| *n < MAX_PACKET)).then_some(head)
    }

    /// Bytes of the whole packet.
    fn size(&self) -> usize {
        let [acceleration, gyro, temperature, heart] = self.counts;
        HEAD + 6 * (acceleration + gyro) + 4 * (temperature + heart)
    }
}

/// What stands at a place of the buffer.
enum Next {
    Packet(Head),
    /// Not yet known: more bytes are needed.
    More,
    /// Bytes to pass over, and why.
    Skip(usize, &'static str),
}

/// A Matrix file.
pub struct Matrix {
    source: Source,
    timestamps: Timestamps,
    header: Header,
    range: f64,
    /// g of all raw values, once there are so many that it pays.
    table: OnceCell<Vec<f32>>,
    gyro_range: f64,
    stated: u64,
    buffer: Vec<u8>,
    offset: u64,
    drained: bool,
    index: u64,
    sound: u64,
    last_end: Option<u32>,
    /// Sum and seconds of the last packets.
    recent: VecDeque<(u32, u32, u32)>,
    broken: bool,
}

/// A raw value in its unit, as the device's export writes it.
fn value(raw: i16, range: f64, decimals: f64) -> f32 {
    let full = if raw > 0 { 32767.0 } else { 32768.0 };
    ((f64::from(raw) * (range / full) * decimals).round_ties_even() / decimals) as f32
}

impl Matrix {
    /// Reads remarks and header.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a header cut short; the file system's.
    pub fn new(mut source: Source, timestamps: Timestamps) -> Result<Self> {
        let mut first = [0u8; REMARKS + 12];
        let n = source.fill(&mut first)?;
        if n < first.len() {
            return Err(Error::malformed("matrix", n as u64, format!("header: expected 524 bytes, got {n}")));
        }
        let (range, gyro_range) = (u16_at(&first, 520), u16_at(&first, 522));
        let mut header = Header { format: "matrix", device: "Matrix".into(), ..Header::default() };
        let remarks = first.get(..REMARKS).unwrap_or_default();
        let remarks = remarks.split(|b| *b == 0).next().unwrap_or_default();
        let remarks = String::from_utf8_lossy(remarks).trim().to_owned();
        for (name, value) in [
            ("remarks", remarks),
            ("range_g", range.to_string()),
            ("gyroscope_range_dps", gyro_range.to_string()),
            ("packets", u32_at(&first, 516).to_string()),
        ] {
            header.metadata.push((name.to_owned(), value));
        }
        Ok(Self {
            source,
            timestamps,
            header,
            range: f64::from(range),
            table: OnceCell::new(),
            gyro_range: f64::from(gyro_range),
            stated: u64::from(u32_at(&first, 516)),
            buffer: Vec::new(),
            offset: first.len() as u64,
            drained: false,
            index: 0,
            sound: 0,
            last_end: None,
            recent: VecDeque::new(),
            broken: false,
        })
    }

    fn refill(&mut self) -> Result<()> {
        let have = self.buffer.len();
        steps::count(have);
        // twice as much each time, since a packet is read again from its start
        let least = if self.offset + (have as u64) < PIECE as u64 { FIRST_PIECE } else { PIECE };
        let room = least.max(have);
        self.buffer.resize(have + room, 0);
        let got = self.source.fill(self.buffer.get_mut(have..).unwrap_or_default())?;
        self.buffer.truncate(have + got);
        self.drained = got < room;
        Ok(())
    }

    /// Distance to the next packet's mark behind `position`, or to the last place where one may still begin.
    fn to_mark(&self, position: usize) -> usize {
        let rest = self.buffer.get(position + 1..).unwrap_or_default();
        let mark = rest.windows(MARK.len()).position(|w| w == MARK);
        steps::count(mark.unwrap_or(rest.len()));
        let overlap = if self.drained { 0 } else { MARK.len() - 1 };
        1 + mark.unwrap_or(rest.len().saturating_sub(overlap))
    }

    fn next(&self, position: usize) -> Next {
        let bytes = self.buffer.get(position..).unwrap_or_default();
        if bytes.len() < HEAD && !self.drained {
            return Next::More;
        }
        if !bytes.starts_with(MARK) {
            return Next::Skip(self.to_mark(position), "unknown_bytes");
        }
        let Some(head) = Head::of(bytes) else {
            return Next::Skip(self.to_mark(position), if bytes.len() < HEAD { "partial_block" } else { "bad_count" });
        };
        if head.size() > MAX_PACKET {
            return Next::Skip(self.to_mark(position), "bad_count");
        }
        let Some(body) = bytes.get(12..head.size()) else {
            // the counts may be damaged: another mark before the stated end shows it
            let skip = self.to_mark(position);
            let other = self.buffer.get(position + skip..position + skip + MARK.len()) == Some(MARK);
            return match (other, self.drained) {
                (true, _) => Next::Skip(skip, "bad_checksum"),
                (false, true) => Next::Skip(bytes.len(), "partial_block"),
                (false, false) => Next::More,
            };
        };
        // a packet behind a bad one, with another mark inside of it: summing up all that such heads state would take the
        // square of the time
        if self.broken && self.to_mark(position) < head.size() {
            return Next::Skip(self.to_mark(position), "bad_checksum");
        }
        steps::count(body.len());
        let mut crc = flate2::Crc::new();
        crc.update(body);
        if crc.sum() != head.crc {
            return Next::Skip(self.to_mark(position), "bad_checksum");
        }
        Next::Packet(head)
    }

    fn take(&mut self, head: Head, position: usize, batch: &mut Batch, quality: &mut Quality) {
        let offset = self.offset + position as u64;
        let [n_acceleration, n_gyro, n_temperature, n_heart] = head.counts;
        let n = match self.timestamps {
            Timestamps::Actipy => n_acceleration.max(n_gyro).max(n_temperature).max(n_heart),
            Timestamps::Device => n_acceleration,
        };
        let event =
            |kind| Event { time: Some(i64::from(head.start) * 1_000_000_000), ..Event::at(kind, offset, self.index) };
        let key = (head.crc, head.start, head.end);
        if self.recent.contains(&key) {
            quality.note(event("repeated_block"));
            if self.timestamps == Timestamps::Device {
                return;
            }
        }
        self.recent.push_back(key);
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
        }
        // a packet that begins a second after the last one ended continues it: the seconds are whole
        let start = match self.last_end {
            Some(end) if head.start.checked_sub(end) == Some(1) && end != 0 => head.start - 1,
            _ => head.start,
        };
        self.last_end = Some(head.end);
        self.sound += 1;
        if n == 0 {
            quality.note(event("empty_block"));
            return;
        }
        let seconds = f64::from(head.end) - f64::from(start);
        if seconds <= 0.0 || (n as f64) < SLOWEST * seconds {
            quality.note(event("bad_date"));
            if self.timestamps == Timestamps::Device {
                self.broken = true;
                return;
            }
        }
        let from = batch.len();
        self.decode(position, &head, n, batch);
        batch.time.resize(from, 0);
        let times = (0..n).map(|i| match self.timestamps {
            Timestamps::Device => {
                i64::from(start) * 1_000_000_000 + (i as f64 * (seconds * SECOND / n as f64)).round() as i64
            }
            Timestamps::Actipy => (1000.0 * (f64::from(start) + i as f64 * (seconds / n as f64))) as i64 * 1_000_000,
        });
        batch.time.extend(times);
        let rate = if seconds > 0.0 { n as f64 / seconds } else { self.header.nominal_rate.max(1.0) };
        if self.header.nominal_rate == 0.0 {
            self.header.nominal_rate = nominal(rate);
            self.header.unit_s = seconds;
        }
        batch.blocks.push(Block {
            n: n as u32,
            offset,
            index: self.index,
            rate,
            stamp: Stamp::Each,
            new_run: std::mem::take(&mut self.broken),
            restart: false,
            temperature: self.temperature(position, &head),
            light: f32::NAN,
            battery: f32::NAN,
        });
    }

    /// Appends `n` rows; a channel of fewer values has its i-th at row i * n / count.
    fn decode(&self, position: usize, head: &Head, n: usize, batch: &mut Batch) {
        let [n_acceleration, n_gyro, ..] = head.counts;
        let from = batch.len();
        let data = self.buffer.get(position + HEAD..).unwrap_or_default();
        let all = || (0..=u16::MAX).map(|raw| value(raw as i16, self.range, 1e6)).collect();
        let few = self.sound < 64 && 3 * n_acceleration < usize::from(u16::MAX);
        let table: &[f32] = if few { &[] } else { self.table.get_or_init(all) };
        let row = |i: usize, count: usize| (i as f64 * (n as f64 / count as f64)) as usize;
        for (axis, channel) in batch.xyz.iter_mut().enumerate() {
            channel.resize(from + n, f32::NAN);
            let to = channel.get_mut(from..).unwrap_or_default();
            for i in 0..n_acceleration {
                let raw = u16_at(data, 6 * i + 2 * axis);
                if let Some(to) = to.get_mut(row(i, n_acceleration)) {
                    let known = table.get(usize::from(raw)).copied();
                    *to = known.unwrap_or_else(|| value(raw as i16, self.range, 1e6));
                }
            }
        }
        if n_gyro == 0 {
            return;
        }
        let data = data.get(6 * n_acceleration..).unwrap_or_default();
        for (axis, channel) in batch.gyro.iter_mut().enumerate() {
            channel.resize(from, f32::NAN);
            channel.resize(from + n, f32::NAN);
            let to = channel.get_mut(from..).unwrap_or_default();
            for i in 0..n_gyro {
                if let Some(to) = to.get_mut(row(i, n_gyro)) {
                    *to = value(u16_at(data, 6 * i + 2 * axis) as i16, self.gyro_range, 1e3);
                }
            }
        }
    }

    /// Mean temperature of the body's surface in a packet, degrees Celsius.
    fn temperature(&self, position: usize, head: &Head) -> f32 {
        let [n_acceleration, n_gyro, n, _] = head.counts;
        let first = position + HEAD + 6 * (n_acceleration + n_gyro);
        let sum: f64 = (0..n).map(|i| f64::from(u16_at(&self.buffer, first + 4 * i) as i16) * 0.1).sum();
        if n == 0 { f32::NAN } else { (sum / n as f64) as f32 }
    }

    fn end(&mut self, quality: &mut Quality) -> Result<()> {
        self.source.note_damage(self.index, quality);
        if self.stated > self.index {
            let event = Event::at("missing_pages", self.offset, self.index);
            quality.note(Event { count: self.stated - self.index, ..event });
        }
        if self.sound == 0 {
            let packets = self.index;
            let reason = format!("expected at least one sound packet, got none among {packets}");
            return Err(Error::malformed("matrix", self.offset, reason));
        }
        Ok(())
    }
}

/// The device's rate nearest to a measured one, where there is one within 10 %.
fn nominal(rate: f64) -> f64 {
    let near = [12.5, 25.0, 50.0, 100.0].into_iter().find(|n| (rate / n - 1.0).abs() < 0.1);
    near.unwrap_or(rate)
}

impl Reader for Matrix {
    fn header(&self) -> &Header {
        &self.header
    }

    fn size_hint(&self) -> Option<u64> {
        self.source.size_hint().map(|bytes| bytes / 6)
    }

    fn read(&mut self, batch: &mut Batch, quality: &mut Quality) -> Result<bool> {
        self.refill()?;
        let mut position = 0;
        while position < self.buffer.len() {
            match self.next(position) {
                Next::More => break,
                Next::Skip(skip, kind) => {
                    let event = Event::at(kind, self.offset + position as u64, self.index);
                    quality.note(Event { value: skip as f64, ..event });
                    self.broken = true;
                    self.index += u64::from(kind != "unknown_bytes");
                    position += skip.max(1);
                }
                Next::Packet(head) => {
                    self.take(head, position, batch, quality);
                    self.index += 1;
                    position += head.size();
                }
            }
        }
        self.buffer.drain(..position.min(self.buffer.len()));
        self.offset += position as u64;
        if self.drained {
            self.end(quality)?;
        }
        Ok(!self.drained)
    }
}

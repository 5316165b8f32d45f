//! A block of 512 bytes: its head, its stamp and its samples.

use std::sync::LazyLock;

use super::super::calendar::days;
use super::super::{Batch, Stamp};
use super::bytes::{BLOCK, MAGIC, u8_at, u16_at, u32_at};
use crate::cpu::Path;

pub(super) type Bytes = [u8; BLOCK];

/// Seconds since 1970 of a packed time: year - 2000 in 6 bits, month 4, day 5, hour 5, minute 6, second 6.
pub(super) fn seconds(packed: u32) -> Option<i64> {
    let field = |shift: u32, bits: u32| i64::from(packed >> shift & ((1 << bits) - 1));
    let (hour, minute, second) = (field(12, 5), field(6, 6), field(0, 6));
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(days(2000 + field(26, 6), field(22, 4), field(17, 5))? * 86_400 + hour * 3600 + minute * 60 + second)
}

/// How the samples of a block are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Three 10-bit values and an exponent in 32 bits.
    Packed,
    /// int16, so many axes: 3 acceleration; 6 gyroscope, acceleration; 9 and magnetometer.
    Words(usize),
}

impl Layout {
    pub fn capacity(self) -> usize {
        match self {
            Layout::Packed => 120,
            Layout::Words(axes) => 480 / (2 * axes),
        }
    }
}

/// The head of a sound block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Head {
    pub session: u32,
    pub sequence: u32,
    pub seconds: i64,
    fraction: Option<u32>,
    pub offset: i64,
    pub rate: f64,
    pub layout: Layout,
    pub count: usize,
    pub stated: u16,
    pub light: u16,
    temperature: u16,
    pub events: u8,
    battery: u8,
}

/// Reads the head of a block; the error is the kind of event of a block that cannot be used.
pub(super) fn head(bytes: &Bytes) -> std::result::Result<Head, &'static str> {
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
#[inline]
fn checksum(bytes: &Bytes) -> u16 {
    bytes.as_chunks::<2>().0.iter().fold(0u16, |sum, pair| sum.wrapping_add(u16::from_le_bytes(*pair)))
}

/// Lux of every raw value of the light sensor, of AX3 and of AX6.
static LUX: LazyLock<[[f32; 1024]; 2]> = LazyLock::new(|| {
    [1.0, 10.0].map(|factor| std::array::from_fn(|raw| 10f64.powf((raw as f64 * factor + 512.0) * 6.0 / 1024.0) as f32))
});

impl Head {
    /// The device's stamp: at sample `offset` plus what the fraction had counted, the clock showed second and fraction.
    pub fn stamp(&self) -> Stamp {
        let fraction = i64::from(self.fraction.unwrap_or(0));
        let sample = self.offset + ((fraction * self.rate as i64) >> 16);
        Stamp::At { sample, time: self.seconds * 1_000_000_000 + ((fraction * 1_000_000_000) >> 16) }
    }

    /// actipy's span: the fraction is ignored, and a block that begins less than a second after the nominal end of the one
    /// before it, or before that, begins there instead. `end` carries the nominal end from block to block.
    pub fn span(&self, end: &mut Option<f64>) -> Stamp {
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

    /// ns since 1970 at which the block's first sample was taken, by its own stamp and the nominal rate.
    pub fn begins(&self) -> i64 {
        let Stamp::At { sample, time } = self.stamp() else { return 0 };
        time - (sample as f64 * 1e9 / self.rate) as i64
    }

    /// Whether the device started again with this block, or the session changed.
    pub fn began_anew(&self, before: &Self) -> bool {
        self.session != before.session || (self.sequence == 0 && before.sequence != 0)
    }

    /// Numbers that identify the block.
    pub fn key(&self, check: u16) -> [u64; 3] {
        let sequence = u64::from(self.session) << 32 | u64::from(self.sequence);
        let fraction = self.fraction.map_or(u64::MAX >> 16, u64::from);
        [sequence, self.seconds as u64, fraction << 16 | u64::from(check)]
    }

    /// ns since 1970 of the whole second.
    pub fn time(&self) -> i64 {
        self.seconds * 1_000_000_000
    }

    /// g of one step of an acceleration.
    fn unit(&self) -> f32 {
        1.0 / f32::from(256u16 << (self.light >> 13))
    }

    /// Degrees a second of a gyroscope's full scale.
    fn gyroscope_range(&self) -> f32 {
        let code = self.light >> 10 & 7;
        if code == 0 { 2000.0 } else { f32::from(8000u16 >> code) }
    }

    /// Whether the first `n` samples of a block of six axes look like gravity in the gyroscope's place rather than their own.
    pub fn looks_exchanged(&self, bytes: &Bytes, n: usize) -> bool {
        let rows = bytes.get(30..510).unwrap_or_default().as_chunks::<12>().0;
        let norm = |offset: usize| {
            let square = |row: &[u8; 12], axis: usize| f64::from(u16_at(row, offset + 2 * axis) as i16).powi(2);
            let norms = rows.iter().take(n).map(|row| (0..3).map(|axis| square(row, axis)).sum::<f64>().sqrt());
            norms.sum::<f64>() / n.max(1) as f64 * f64::from(self.unit())
        };
        let off = |norm: f64| norm.max(1e-6).ln().abs();
        let (exchanged, own) = (norm(0), norm(6));
        (0.5..=2.0).contains(&exchanged) && off(exchanged) < off(own)
    }

    /// Lux: 10^((raw + 512) * 6 / 1024), of AX6 ten times the raw value (openmovement, cwa.h).
    pub fn lux(&self) -> f32 {
        let [ax3, ax6] = &*LUX;
        let lux = if self.layout == Layout::Words(6) { ax6 } else { ax3 };
        lux.get(usize::from(self.light & 0x3ff)).copied().unwrap_or(f32::NAN)
    }

    /// Degrees Celsius: raw * 75 / 256 - 50 (openmovement, cwa.h).
    pub fn celsius(&self) -> f32 {
        f32::from(self.temperature & 0x3ff) * 75.0 / 256.0 - 50.0
    }

    /// Volts: (raw + 512) * 6 / 1024 (openmovement, cwa.h).
    pub fn volts(&self) -> f32 {
        (f32::from(self.battery) + 512.0) * 6.0 / 1024.0
    }
}

/// Appends the samples of a block, g and degrees a second. In the first `exchanged` of a block of six axes acceleration and
/// gyroscope stand in each other's place.
pub(super) fn decode(bytes: &Bytes, head: &Head, exchanged: usize, batch: &mut Batch) {
    fn room(channel: &mut Vec<f32>, from: usize, n: usize, fill: f32) -> &mut [f32] {
        channel.resize(from, fill);
        channel.resize(from + n, 0.0);
        channel.get_mut(from..).unwrap_or_default()
    }
    let (from, n) = (batch.len(), head.count);
    let unit = head.unit();
    let data = bytes.get(30..510).unwrap_or_default();
    let [x, y, z] = &mut batch.xyz;
    let xyz = [room(x, from, n, 0.0), room(y, from, n, 0.0), room(z, from, n, 0.0)];
    match head.layout {
        Layout::Packed => unpack_on(Path::best(), data, unit, xyz),
        Layout::Words(3) => words::<6>(data, 0, unit, xyz),
        Layout::Words(axes) => {
            let range = head.gyroscope_range();
            let [gx, gy, gz] = &mut batch.gyro;
            let gyro = [room(gx, from, n, f32::NAN), room(gy, from, n, f32::NAN), room(gz, from, n, f32::NAN)];
            if axes == 6 {
                let (first, rest) = data.split_at_checked(12 * exchanged.min(n)).unwrap_or((&[], data));
                let [(x0, x1), (y0, y1), (z0, z1)] = xyz.map(|axis| axis.split_at_mut(exchanged.min(n)));
                let [(gx0, gx1), (gy0, gy1), (gz0, gz1)] = gyro.map(|axis| axis.split_at_mut(exchanged.min(n)));
                words::<12>(first, 0, unit, [x0, y0, z0]);
                words::<12>(first, 6, range / 32768.0, [gx0, gy0, gz0]);
                words::<12>(rest, 0, range / 32768.0, [gx1, gy1, gz1]);
                words::<12>(rest, 6, unit, [x1, y1, z1]);
            } else {
                words::<18>(data, 0, range / 32768.0, gyro);
                words::<18>(data, 6, unit, xyz);
            }
        }
    }
}

/// int16 triples, `STRIDE` bytes apart.
fn words<const STRIDE: usize>(data: &[u8], offset: usize, unit: f32, [x, y, z]: [&mut [f32]; 3]) {
    let rows = data.as_chunks::<STRIDE>().0;
    for (((row, x), y), z) in rows.iter().zip(x).zip(y).zip(z) {
        *x = f32::from(u16_at(row, offset) as i16) * unit;
        *y = f32::from(u16_at(row, offset + 2) as i16) * unit;
        *z = f32::from(u16_at(row, offset + 4) as i16) * unit;
    }
}

/// 10-10-10-2: three signed values, each to be shifted left by the exponent on top.
pub(super) fn unpack_on(path: Path, data: &[u8], unit: f32, xyz: [&mut [f32]; 3]) {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    match path {
        // SAFETY: just asked; both paths have AVX2.
        Path::Avx2 | Path::Avx512 if path.is_available() => return unsafe { unpack_avx2(data, unit, xyz) },
        _ => {}
    }
    let _ = path;
    unpack(data, unit, xyz);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn unpack_avx2(data: &[u8], unit: f32, xyz: [&mut [f32]; 3]) {
    unpack(data, unit, xyz);
}

#[inline(always)]
fn unpack(data: &[u8], unit: f32, [x, y, z]: [&mut [f32]; 3]) {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn at(seconds: i64, fraction: Option<u32>, offset: i64) -> Head {
        Head {
            session: 1,
            sequence: 0,
            seconds,
            fraction,
            offset,
            rate: 100.0,
            layout: Layout::Words(6),
            count: 40,
            stated: 40,
            light: 3 << 13,
            temperature: 0,
            events: 0,
            battery: 0,
        }
    }

    #[test]
    fn the_fraction_of_a_second_is_later_than_its_second_and_names_a_later_sample() {
        let half = at(1000, Some(0x8000), 10);
        assert_eq!(half.stamp(), Stamp::At { sample: 60, time: 1_000_500_000_000 });
        assert_eq!(at(1000, None, 10).stamp(), Stamp::At { sample: 10, time: 1_000_000_000_000 });
        assert_eq!(half.begins(), 999_900_000_000);
        let mut bytes = [0u8; BLOCK];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&0xc000u16.to_le_bytes()); // top bit set, 0x4000 / 0x8000 of a second
        bytes[14..18].copy_from_slice(&(20u32 << 26 | 3 << 22 | 5 << 17 | 6).to_le_bytes());
        bytes[24..26].copy_from_slice(&[0x4a, 0x30]);
        bytes[26..28].copy_from_slice(&10i16.to_le_bytes());
        let sum = checksum(&bytes);
        bytes[510..].copy_from_slice(&sum.wrapping_neg().to_le_bytes());
        assert_eq!(head(&bytes).unwrap().stamp(), Stamp::At { sample: 60, time: 1_583_366_406_500_000_000 });
    }

    #[test]
    fn packed_times_battery_and_temperature_are_read_by_their_formulas() {
        let packed =
            |hour: u32, minute: u32, second: u32| 20 << 26 | 3 << 22 | 5 << 17 | hour << 12 | minute << 6 | second;
        assert_eq!(seconds(packed(6, 7, 8)), Some(1_583_366_400 + 6 * 3600 + 7 * 60 + 8));
        for (hour, minute, second) in [(24, 0, 0), (0, 60, 0), (0, 0, 60)] {
            assert_eq!(seconds(packed(hour, minute, second)), None);
        }
        assert_eq!(Head { battery: 171, ..at(0, None, 0) }.volts(), 683.0 * 6.0 / 1024.0);
        assert_eq!(Head { temperature: 0xfc00 | 512, ..at(0, None, 0) }.celsius(), 100.0); // 10 bits count
    }

    #[test]
    fn exchanged_samples_are_put_back_and_the_rest_stays() {
        let mut bytes = [0u8; BLOCK];
        for row in 0..40 {
            let words: [i16; 6] = if row < 24 { [0, 0, 2048, 16, 0, 0] } else { [16, 0, 0, 0, 0, 2048] };
            for (i, word) in words.into_iter().enumerate() {
                let to = 30 + 12 * row + 2 * i;
                bytes[to..to + 2].copy_from_slice(&word.to_le_bytes());
            }
        }
        let head = at(0, None, 0);
        assert!(head.looks_exchanged(&bytes, 24));
        let mut batch = Batch::default();
        decode(&bytes, &head, 24, &mut batch);
        assert!(batch.xyz[2].iter().all(|z| *z == 1.0) && batch.xyz[0].iter().all(|x| *x == 0.0));
        assert!(batch.gyro[0].iter().all(|x| (*x - 16.0 * 2000.0 / 32768.0).abs() < 1e-6));
        let mut raw = Batch::default();
        decode(&bytes, &head, 0, &mut raw);
        assert_eq!(raw.xyz[0][0], 16.0 / 2048.0);
    }
}

//! `info.txt`: the device of a `.gt3x`, and the scale of its values.

use super::super::Header;
use super::super::calendar::SECOND;
use super::super::source::Source;
use super::bytes::PIECE;
use crate::error::{Error, Result};

/// Bytes that `info.txt` may have.
const MAX_INFO: u64 = 1 << 20;

/// ns since 1970 of .NET ticks (100 ns since the year 1).
fn ticks(text: &str) -> Option<i64> {
    let ticks: i64 = text.trim().parse().ok()?;
    (ticks > 0).then_some(())?;
    ticks.checked_sub(621_355_968_000_000_000)?.checked_mul(100)
}

/// A sample of 12-bit values to g.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    pub per_g: f64,
    /// Rounded to 0.001 g, as the format asks of version 2.
    rounded: bool,
    /// g of the 4096 values, from -2048 on.
    table: Vec<f32>,
}

impl Scale {
    pub fn new(per_g: f64, rounded: bool) -> Self {
        let mut scale = Self { per_g, rounded, table: Vec::new() };
        scale.table = (-2048..2048).map(|raw| scale.g(raw)).collect();
        scale
    }

    pub fn g(&self, raw: i32) -> f32 {
        let g = f64::from(raw) / self.per_g;
        if self.rounded { ((g * 1000.0 + 0.5).floor() / 1000.0) as f32 } else { g as f32 }
    }

    pub fn of_12_bit(&self, raw: u16) -> f32 {
        self.table.get(usize::from(raw ^ 0x800)).copied().unwrap_or(f32::NAN)
    }
}

/// Scales outside of these bounds are damage.
pub(super) fn scale_is_sound(per_g: f64) -> bool {
    (16.0..=32_768.0).contains(&per_g)
}

/// The first samples may be this far from `Start Date`, s.
const START_TOLERANCE: i64 = 60;

/// What `info.txt` says.
#[derive(Debug, Clone, Default)]
pub(super) struct Info {
    pub rate: f64,
    pub start: Option<i64>,
    pub serial: String,
    firmware: String,
    scale: Option<f64>,
    range: (Option<f64>, Option<f64>),
}

impl Info {
    pub fn read(source: Source, header: &mut Header) -> Result<Self> {
        let mut info = Self::default();
        let mut bytes = Vec::new();
        let mut source = source;
        let mut piece = vec![0; PIECE];
        loop {
            let n = source.fill(&mut piece)?;
            bytes.extend_from_slice(piece.get(..n).unwrap_or_default());
            if bytes.len() as u64 > MAX_INFO {
                return Err(Error::Limit { name: "bytes of info.txt", max: MAX_INFO });
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

    /// Seconds from `Start Date` to the first second of samples, where they are too many.
    pub fn start_differs(&self, first: i64) -> Option<f64> {
        let start = self.start?.div_euclid(SECOND);
        let late = first.saturating_sub(start);
        (late.unsigned_abs() > START_TOLERANCE.unsigned_abs()).then_some(late as f64)
    }

    /// Raw units a g: stated and in keeping with the stated range, else that of the device.
    pub fn per_g(&self) -> Option<f64> {
        let fits = |scale: f64| match self.range {
            (Some(low), Some(high)) => {
                low < 0.0 && high > 0.0 && (1024.0..=32_768.0).contains(&(scale * high.max(-low)))
            }
            _ => true,
        };
        let stated = self.scale.filter(|s| scale_is_sound(*s) && fits(*s));
        stated.or(match self.serial.get(..3).unwrap_or_default() {
            "NEO" | "CLE" | "MRA" => Some(341.0),
            "MOS" | "TAS" => Some(256.0),
            _ => None,
        })
    }

    /// Firmware 1.6.0 of the wGT3X-BT turns the axes by 90 degrees about z (GT3X-File-Format, `LogRecords/Activity.md`).
    pub fn rotated(&self) -> bool {
        self.serial.starts_with("MOS") && self.firmware == "1.6.0"
    }

    /// Lux of a raw value: scale and greatest value by device (NHANES-GT3X-File-Format, `lux.bin.md`).
    pub fn lux(&self, raw: u16) -> f32 {
        let (scale, most) = if self.serial.starts_with("MRA") { (3.25, 6000.0) } else { (1.25, 2500.0) };
        if raw < 20 || raw == u16::MAX { 0.0 } else { (f32::from(raw) * scale).min(most) }
    }
}

/// The refusal of a recording whose scale is not known.
pub fn no_scale(offset: u64, serial: &str) -> Error {
    let reason = format!("Acceleration Scale: expected in info.txt or by the serial number, got none for '{serial}'");
    Error::malformed("gt3x", offset, reason)
}

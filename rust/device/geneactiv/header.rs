//! The header: lines `name:value`, and the calibration among them.

use super::super::Header;
use super::pace::RATES;
use super::page::number;
use crate::error::{Error, Result};

/// Characters that a value may have.
const MAX_VALUE: usize = 1 << 10;

/// What the header says.
#[derive(Debug, Default)]
pub(super) struct HeaderFields {
    calibration: bool,
    gain: [Option<f64>; 3],
    offset: [Option<f64>; 3],
    pub volts: Option<f64>,
    pub lux: Option<f64>,
    pub pages: Option<u64>,
}

impl HeaderFields {
    pub fn learn(&mut self, line: &[u8], header: &mut Header) {
        if line.trim_ascii() == b"Calibration Data" {
            self.calibration = true;
            return;
        }
        let clean: Vec<u8> = line.iter().copied().filter(|b| *b != 0).take(MAX_VALUE).collect();
        let text = String::from_utf8_lossy(&clean);
        let Some((name, value)) = text.split_once(':').map(|(n, v)| (n.trim(), v.trim())) else { return };
        if value.is_empty() {
            return;
        }
        let numeric = number(value.as_bytes());
        if self.calibration {
            for (axis, letter) in ["x", "y", "z"].into_iter().enumerate() {
                if name.strip_prefix(letter) == Some(" gain") {
                    self.gain.iter_mut().skip(axis).take(1).for_each(|g| *g = numeric);
                } else if name.strip_prefix(letter) == Some(" offset") {
                    self.offset.iter_mut().skip(axis).take(1).for_each(|o| *o = numeric);
                }
            }
        }
        match name {
            "Volts" => self.volts = numeric,
            "Lux" => self.lux = numeric,
            "Number of Pages" => self.pages = value.parse().ok(),
            "Device Unique Serial Code" => header.device_id = value.to_owned(),
            "Measurement Frequency" => header.nominal_rate = numeric.filter(|r| RATES.contains(r)).unwrap_or(0.0),
            _ => {}
        }
        header.metadata.push((name.to_owned(), value.to_owned()));
    }

    pub fn axes(&self, offset: u64) -> Result<([f64; 3], [f64; 3])> {
        let missing = |field: &str| Error::malformed("geneactiv", offset, format!("{field}, got none in the header"));
        let whole = |of: [Option<f64>; 3]| match of {
            [Some(x), Some(y), Some(z)] => Some([x, y, z]),
            _ => None,
        };
        let gain = whole(self.gain).filter(|g| g.iter().all(|v| *v > 0.0));
        let gain = gain.ok_or_else(|| missing("gain of every axis: expected a positive number"))?;
        Ok((gain, whole(self.offset).ok_or_else(|| missing("offset of every axis: expected a number"))?))
    }
}

/// g of each 12-bit value of one axis.
pub fn table(gain: f64, offset: f64) -> Vec<f32> {
    let signed = |raw: i32| if raw >= 2048 { raw - 4096 } else { raw };
    (0..4096).map(|raw| ((f64::from(signed(raw)) * 100.0 - offset) / gain) as f32).collect()
}

//! Records that describe the recording: text, and parameters of the device.

use super::super::{Event, Quality};
use super::Gt3x;
use super::bytes::{u16_at, u32_at};
use super::info::{Scale, scale_is_sound};
use super::records::parameter;

impl Gt3x {
    /// Keeps a record of text.
    pub(super) fn describe(&mut self, payload: &[u8]) {
        let text = String::from_utf8_lossy(payload);
        let text = text.trim_matches('\0').trim();
        if !text.is_empty() && self.header.metadata.len() < 1000 {
            let n = self.header.metadata.iter().filter(|(name, _)| name.starts_with("metadata_")).count();
            self.header.metadata.push((format!("metadata_{n}"), text.to_owned()));
        }
    }

    /// Pairs of address and key with a value; address 0, key 55 is the scale.
    pub(super) fn parameters(&mut self, payload: &[u8], offset: u64, quality: &mut Quality) {
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
}

//! `activity.bin` of version 1.

use super::super::{Batch, Event, Quality};
use super::info::Scale;
use super::records::unpack;
use super::{Gt3x, PART};

impl Gt3x {
    /// 12-bit samples of version 1 up to the end of the buffer.
    pub(super) fn packed(&mut self, batch: &mut Batch, quality: &mut Quality) {
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
        self.block(from, time, (offset, self.index), false, batch);
        self.index += 1;
    }
}

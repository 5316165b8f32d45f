//! Records of `log.bin`, and 12-bit samples.

use super::super::source::Source;
use super::super::{Batch, room, steps};
use super::bytes::{PIECE, u8_at, u16_at, u32_at};
use super::info::Scale;
use crate::error::{Error, Result};

/// The first byte of a record, and bytes before its payload.
pub(super) const SEPARATOR: u8 = 0x1e;
pub(super) const HEAD: usize = 8;
/// Seconds of light that `lux.bin` may have: a year.
const MAX_LUX: usize = 1 << 25;

/// A record of `log.bin`, its payload aside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub kind: u8,
    pub second: i64,
    pub size: usize,
}

/// What comes next in `log.bin`.
pub(super) enum Next {
    /// A sound record.
    Record(Record),
    /// This many bytes that are no record.
    Skip(usize, Option<&'static str>),
    /// Fewer bytes than the record states.
    Short,
}

/// The first bytes as a record.
pub(super) fn record(bytes: &[u8]) -> Next {
    if u8_at(bytes, 0) != SEPARATOR {
        let zeros = bytes.iter().take_while(|b| **b == 0).count();
        steps::count(zeros);
        if zeros > 0 {
            return Next::Skip(zeros, None);
        }
        let skip = bytes.iter().position(|b| *b == SEPARATOR).unwrap_or(bytes.len());
        steps::count(skip);
        return Next::Skip(skip, Some("unknown_bytes"));
    }
    let size = usize::from(u16_at(bytes, 6));
    let Some(body) = bytes.get(..HEAD + size).filter(|_| bytes.len() > HEAD + size) else { return Next::Short };
    steps::count(body.len());
    let sum = body.iter().fold(0u8, |sum, b| sum ^ b);
    if !sum != u8_at(bytes, HEAD + size) {
        return Next::Skip(behind_bad(bytes, size), Some("bad_checksum"));
    }
    Next::Record(Record { kind: u8_at(bytes, 1), second: i64::from(u32_at(bytes, 2)), size })
}

/// How far to go from a record whose check sum does not hold: to its stated end if a record stands there, else to the
/// next separator, because the size itself may be damaged.
fn behind_bad(bytes: &[u8], size: usize) -> usize {
    let end = HEAD + size + 1;
    if matches!(bytes.get(end), None | Some(&SEPARATOR)) && bytes.len() >= end {
        return end;
    }
    let skip = bytes.iter().skip(1).position(|b| *b == SEPARATOR).map_or(bytes.len(), |skip| skip + 1);
    steps::count(skip);
    skip
}

/// Appends 12-bit samples, two in nine bytes (one in five at the end); `axes` says which axis comes first, second, third.
pub(super) fn unpack(bytes: &[u8], axes: [usize; 3], scale: &Scale, batch: &mut Batch) {
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
pub(super) fn parameter(encoded: u32) -> f64 {
    let fraction = f64::from(((encoded << 8) as i32) >> 8) / 8_388_608.0;
    fraction * 2f64.powi(i32::from((encoded >> 24) as u8 as i8))
}

/// Light of version 1, a 16-bit value a second.
pub(super) fn read_lux(mut source: Source) -> Result<Vec<u16>> {
    let mut all = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        let n = source.fill(&mut piece)?;
        let got = piece.get(..n).unwrap_or_default();
        room::make_room(&mut all, n / 2)?;
        all.extend(got.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)));
        if n < piece.len() {
            return Ok(all);
        }
        if all.len() > MAX_LUX {
            return Err(Error::Limit { name: "values of lux.bin", max: MAX_LUX as u64 });
        }
    }
}

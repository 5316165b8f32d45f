//! The header of 1024 bytes.

use super::super::Header;
use super::super::privacy::identifies;
use super::block::seconds;
use super::bytes::{HEADER_MAGIC, u8_at, u16_at, u32_at};

/// Whether the first bytes are a header with contents: its fields are not one byte repeated.
pub(super) fn is_header(first: &[u8]) -> bool {
    let fields = first.get(4..64).unwrap_or_default();
    first.starts_with(&HEADER_MAGIC) && fields.iter().any(|byte| Some(byte) != fields.first())
}

/// The 1024-byte header; without one, only the format.
pub(super) fn describe(first: &[u8]) -> Header {
    if !is_header(first) {
        return Header { format: "cwa", ..Header::default() };
    }
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
    for (name, offset) in [("logging_start", 13), ("logging_stop", 17), ("last_change", 37)] {
        if let Some(time) = seconds(u32_at(first, offset)) {
            metadata.push((name.to_owned(), time.to_string()));
        }
    }
    if code & 15 != 0 {
        metadata.push(("range_g".to_owned(), (16 >> (code >> 6)).to_string()));
    }
    if let n @ 1..=0xfe = u8_at(first, 35) {
        metadata.push(("gyroscope_range_dps".to_owned(), (8000u32 >> (n & 15)).to_string()));
    }
    metadata.extend(annotations(first.get(64..512).unwrap_or_default()).into_iter().map(|(key, value)| {
        // an annotation with the name of a field of the header is still free text
        let borrowed = !key.starts_with('_') && !identifies("cwa", &key);
        (if borrowed { format!("annotation_{key}") } else { key }, value)
    }));
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

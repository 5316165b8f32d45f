//! Check sums made right: without them hardly a changed byte gets past the first test of a reader.

use std::io::{Cursor, Write};

use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

fn crc(bytes: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum()
}

/// Blocks of an Axivity recording: 16-bit words that add up to 0.
pub fn cwa(bytes: &mut [u8]) {
    for block in bytes.as_chunks_mut::<512>().0.iter_mut().skip(2) {
        let sum =
            block[..510].as_chunks::<2>().0.iter().fold(0u16, |sum, pair| sum.wrapping_add(u16::from_le_bytes(*pair)));
        block[510..].copy_from_slice(&sum.wrapping_neg().to_le_bytes());
    }
}

/// Packets of a Matrix recording: CRC-32 of all that their counts state.
pub fn matrix(bytes: &mut [u8]) {
    let mut position = 524;
    while let Some(head) = bytes.get(position..position + 36).and_then(|head| head.first_chunk::<36>()) {
        let count = |i: usize| u32::from_le_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]) as usize;
        let size = 36 + 6 * (count(20) + count(24)) + 4 * (count(28) + count(32));
        let Some(packet) = bytes.get_mut(position..position + size) else { return };
        let sum = crc(&packet[12..]);
        packet[8..12].copy_from_slice(&sum.to_le_bytes());
        position += size;
    }
}

/// Records behind the first zero byte of a `.gt3x` as its target takes it: complement of the exclusive or.
pub fn log(bytes: &mut [u8]) {
    let Some(end) = bytes.iter().position(|byte| *byte == 0) else { return };
    let mut position = end + 1;
    while let Some(head) = bytes.get(position..position + 8) {
        if head[0] != 0x1e {
            position += 1;
            continue;
        }
        let size = usize::from(u16::from_le_bytes([head[6], head[7]]));
        let Some(record) = bytes.get_mut(position..position + 9 + size) else { return };
        let (body, sum) = record.split_at_mut(8 + size);
        sum[0] = !body.iter().fold(0, |sum, byte| sum ^ byte);
        position += 9 + size;
    }
}

/// Heads of the members of a tar.
pub fn tar(bytes: &mut [u8]) {
    let mut position = 0;
    while let Some(head) = bytes.get_mut(position..position + 512) {
        head[148..156].fill(b' ');
        let sum: u64 = head.iter().map(|byte| u64::from(*byte)).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let text = std::str::from_utf8(&head[124..136]).unwrap_or_default();
        let size = usize::from_str_radix(text.trim_matches([' ', '\0']), 8).unwrap_or(0);
        position = position.saturating_add(512).saturating_add(size.div_ceil(512).saturating_mul(512));
    }
}

/// Those of the format that the bytes begin as.
pub fn any(bytes: &mut [u8]) {
    if bytes.starts_with(b"MD") {
        cwa(bytes);
    } else if bytes.get(512..516) == Some(b"MDTC") {
        matrix(bytes);
    } else if bytes.starts_with(b"GT3XPLUS") {
        tar(bytes);
    }
}

/// A zip archive without compression: `info.txt` up to the first zero byte, and the samples behind it.
///
/// # Panics
/// Never: memory takes what is written.
pub fn archive(bytes: &[u8], packed: bool) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (info, samples) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    let members: &[(&str, &[u8])] = if packed {
        &[("info.txt", info), ("activity.bin", samples), ("lux.bin", &samples[..samples.len().min(32)])]
    } else {
        &[("info.txt", info), ("log.bin", samples)]
    };
    let mut zip = ZipWriter::new(Cursor::new(Vec::with_capacity(bytes.len() + 1024)));
    for (name, content) in members {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(*name, options).expect("a member");
        zip.write_all(content).expect("room in memory");
    }
    zip.finish().expect("a directory").into_inner()
}

//! Every format from bytes made by hand, read from memory as the fuzz targets read them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::{Chunk, Timestamps, open_bytes};
use crate::error::{Error, Result};

mod blocks;
mod bounds;
mod rows;

const RULES: [Timestamps; 2] = [Timestamps::Device, Timestamps::Actipy];

/// Samples that come out of these bytes.
fn count(data: &[u8], timestamps: Timestamps) -> Result<u64> {
    let mut stream = open_bytes(data.into(), &timestamps.into())?;
    let mut chunk = Chunk::default();
    let mut n = 0;
    while stream.next(&mut chunk)? {
        n += chunk.data.len() as u64;
    }
    stream.finish();
    Ok(n)
}

fn matrix(packets: u32) -> Vec<u8> {
    let mut out = vec![0; 512];
    out.extend(b"MDTC");
    out.extend(packets.to_le_bytes());
    out.extend([8, 0, 0xd0, 7]);
    for i in 0..packets {
        let mut body = Vec::new();
        for word in [1000 + 10 * i, 1010 + 10 * i, 500, 0, 0, 0] {
            body.extend(word.to_le_bytes());
        }
        body.extend([0, 16].repeat(1500));
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        out.extend(b"MDTCPACK");
        out.extend(crc.sum().to_le_bytes());
        out.extend(body);
    }
    out
}

fn geneactiv(pages: usize) -> Vec<u8> {
    let mut out =
        b"Device Identity\r\nCalibration Data\r\nx gain:25600\r\nx offset:0\r\ny gain:25600\r\ny offset:0\r\n\
        z gain:25600\r\nz offset:0\r\nVolts:300\r\nLux:800\r\n"
            .to_vec();
    for page in 0..pages {
        let head = format!(
            "Recorded Data\r\nDevice Unique Serial Code:1\r\nSequence Number:{page}\r\nPage Time:2013-05-30 10:12:{:02}:000\r\n\
             Unassigned:\r\nTemperature:21.5\r\nBattery voltage:4.1\r\nDevice Status:Recording\r\n\
             Measurement Frequency:100.0\r\n",
            page * 3
        );
        out.extend(head.bytes());
        out.extend(b"0C4FFDF3D004".repeat(300));
        out.extend(b"\r\n");
    }
    out
}

fn rows(n: usize) -> Vec<u8> {
    let row = |i: usize| format!("2020-01-01 00:00:{:02}.{:02}0,0.1,0.2,0.9\n", i / 100, i % 100);
    std::iter::once("time,x,y,z\n".to_owned()).chain((0..n).map(row)).collect::<String>().into_bytes()
}

#[test]
fn each_format_gives_every_sample_by_both_rules() {
    for rule in RULES {
        assert_eq!(count(&matrix(3), rule).unwrap(), 1500);
        assert_eq!(count(&geneactiv(4), rule).unwrap(), 1200);
        assert_eq!(count(&rows(300), rule).unwrap(), 300);
    }
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn every_prefix_is_fewer_samples_or_malformed() {
    for whole in [matrix(2), geneactiv(2), rows(50)] {
        let all = count(&whole, Timestamps::Device).unwrap();
        for n in (0..whole.len()).step_by(37) {
            match count(&whole[..n], Timestamps::Device) {
                Ok(some) => assert!(some > 0 && some <= all, "{n}"),
                Err(error) => assert!(matches!(error, Error::Malformed { .. }), "{n}: {error}"),
            }
        }
    }
}

#[test]
fn bytes_of_no_format_are_malformed_not_unsupported() {
    for bytes in [&b""[..], b"x", b"\x1f\x8b", b"BZh9", b"PK\x03\x04", &[0; 600], &[0xff; 5000]] {
        assert!(matches!(count(bytes, Timestamps::Device), Err(Error::Malformed { .. })), "{bytes:?}");
    }
}

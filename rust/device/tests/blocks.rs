//! Files of blocks, pages and records made by hand: their samples are read back, and their faults are counted.

use super::super::columns::{Columns, Planar, collect};
use super::super::source::{Opened, from_memory};
use super::super::{
    Batch, Reader, Stream, Timestamps, cwa::Cwa, geneactiv::GeneActiv, gt3x, gt3x::Gt3x, matrix::Matrix,
};
use super::super::{lines, source::Source};
use super::{geneactiv, matrix};
use crate::error::Result;

pub(super) const SECOND: i64 = 1_000_000_000;

pub(super) fn source(bytes: &[u8]) -> Source {
    let Opened::Stream(source) = from_memory(bytes.into()).unwrap() else { unreachable!("an archive") };
    source
}

/// All that a reader gives; its hint has room for it.
pub(super) fn read<R: Reader + 'static>(reader: Result<R>, rule: Timestamps) -> Columns {
    let reader = reader.unwrap();
    let hint = reader.size_hint().unwrap();
    let all = collect(Stream::new(Box::new(reader), rule)).unwrap();
    assert!(all.len > 0 && hint >= all.len as u64, "{hint} samples of room for {}", all.len);
    all
}

pub(super) fn axes(all: &Columns) -> [&[f32]; 3] {
    [0, 1, 2].map(|axis| &all.xyz.values[axis * all.xyz.capacity..][..all.len])
}

fn counts(all: &Columns) -> Vec<(&'static str, u64)> {
    all.summary.quality.counts.iter().map(|(kind, n)| (*kind, *n)).collect()
}

/// A block of 100 packed samples at 100 Hz, 1 g along z, from this second of 2020 on.
pub(super) fn cwa(session: u32, sequence: u32, second: u32, events: u8) -> [u8; 512] {
    let mut block = [0u8; 512];
    block[..4].copy_from_slice(b"AX\xfc\x01");
    block[6..10].copy_from_slice(&session.to_le_bytes());
    block[10..14].copy_from_slice(&sequence.to_le_bytes());
    block[14..18].copy_from_slice(&(20u32 << 26 | 3 << 22 | 5 << 17 | 6 << 12 | second).to_le_bytes());
    block[22] = events;
    block[24..26].copy_from_slice(&[0x4a, 0x30]);
    block[28..30].copy_from_slice(&100u16.to_le_bytes());
    for word in block[30..430].as_chunks_mut::<4>().0 {
        *word = (256u32 << 20).to_le_bytes();
    }
    sealed(block)
}

/// A block with the check sum of its other bytes.
fn sealed(mut block: [u8; 512]) -> [u8; 512] {
    let words = block[..510].as_chunks::<2>().0;
    let sum = words.iter().fold(0u16, |sum, pair| sum.wrapping_add(u16::from_le_bytes(*pair)));
    block[510..].copy_from_slice(&sum.wrapping_neg().to_le_bytes());
    block
}

/// The same block with the code of half the rate.
fn at_50_hz(mut block: [u8; 512]) -> [u8; 512] {
    block[24] -= 1;
    sealed(block)
}

/// Block `i` of an AX6: 40 rows of these words at 100 Hz.
fn ax6(i: u32, words: impl Fn(u32) -> [i16; 6]) -> [u8; 512] {
    let second = (2 * i).div_ceil(5); // the first whole second from the block's start on, `i` times 0.4 s
    let mut block = cwa(7, i, second, 0);
    block[18..20].copy_from_slice(&(3u16 << 13).to_le_bytes()); // 2048 steps a g
    block[25] = 0x62;
    block[26..28].copy_from_slice(&(100 * second as i16 - 40 * i as i16).to_le_bytes());
    block[28..30].copy_from_slice(&40u16.to_le_bytes());
    for (row, bytes) in (40 * i..).zip(block[30..510].as_chunks_mut::<12>().0) {
        *bytes = std::array::from_fn(|k| words(row)[k / 2].to_le_bytes()[k % 2]);
    }
    sealed(block)
}

#[test]
fn blocks_of_axivity_are_one_run_and_only_what_they_state_is_counted() {
    let whole: Vec<u8> = (0..10).flat_map(|i| cwa(7, i, i, 0)).collect();
    let all = read(Cwa::new(source(&whole), Timestamps::Device), Timestamps::Device);
    assert_eq!((all.len, all.run_starts.clone()), (1000, vec![0]));
    assert_eq!(counts(&all), [("missing_header", 1)]);
    assert_eq!(all.time[999] - all.time[0], 9_990_000_000);
    assert!(axes(&all)[2].iter().all(|z| *z == 1.0) && axes(&all)[0].iter().all(|x| *x == 0.0));
    assert_eq!(all.blocks.iter().map(|(first, block)| (*first, block.offset)).collect::<Vec<_>>(), {
        (0..10).map(|i| (100 * i, 512 * i)).collect::<Vec<_>>()
    });
    // more blocks than a chunk holds
    let long: Vec<u8> = (0..200).flat_map(|i| cwa(7, i, (i / 60) << 6 | (i % 60), 0)).collect();
    let all = read(Cwa::new(source(&long), Timestamps::Actipy), Timestamps::Actipy);
    assert_eq!(all.len, 20_000);
    assert!(all.time[..20_000].windows(2).all(|w| w[1] - w[0] == 10_000_000), "whole milliseconds of 100 Hz");
    let half: Vec<u8> = (0..10).flat_map(|i| at_50_hz(cwa(7, i, 2 * i, 0))).collect();
    let all = read(Cwa::new(source(&half), Timestamps::Actipy), Timestamps::Actipy);
    assert!(all.time[..1000].windows(2).all(|w| w[1] - w[0] == 20_000_000), "whole milliseconds of 50 Hz");
    let overrun: Vec<u8> = (0..10).flat_map(|i| cwa(7, i, i, if i == 4 { 0x10 } else { 0x01 })).collect();
    let all = read(Cwa::new(source(&overrun), Timestamps::Device), Timestamps::Device);
    assert_eq!(counts(&all), [("missing_header", 1), ("queue_overrun", 1)]);
    let foreign: Vec<u8> = (0..10).flat_map(|i| cwa(if i < 8 { 7 } else { 8 }, i, i, 0)).collect();
    let all = read(Cwa::new(source(&foreign), Timestamps::Device), Timestamps::Device);
    assert_eq!((all.len, counts(&all)), (800, vec![("missing_header", 1), ("other_session", 2)]));
}

#[test]
fn a_clock_that_jumps_over_lost_blocks_is_compared_with_the_time_that_they_took() {
    const TWO_DAYS: u32 = 2 << 17; // the 5th of March becomes the 7th
    for lost in [16, 8640] {
        let before = (0..5).map(|i| cwa(7, i, i, 0));
        let wrong = (0..3).map(|i| cwa(7, 5 + lost + i, (20 + i) | TWO_DAYS, 0));
        let right = (3..8).map(|i| cwa(7, 5 + lost + i, 20 + i, 0));
        let file: Vec<u8> = before.chain(wrong).chain(right).flatten().collect();
        let all = read(Cwa::new(source(&file), Timestamps::Device), Timestamps::Device);
        assert_eq!(counts(&all), [("clock_lost", 3), ("lost_blocks", u64::from(lost)), ("missing_header", 1)]);
    }
}

#[test]
fn an_ax6_has_the_rate_of_its_header_and_its_first_1024_rows_exchanged() {
    let mut header = [0u8; 1024];
    header[..4].copy_from_slice(b"MD\xfc\x03");
    (header[4], header[7], header[36], header[41]) = (0x64, 7, 0x49, 54); // AX6, session 7, 50 Hz, firmware 54
    let words = |row| if row < 1024 { [0, 0, 2048, 16, 0, 0] } else { [16, 0, 0, 0, 0, 2048] };
    let file: Vec<u8> = header.into_iter().chain((0..30).flat_map(|i| ax6(i, words))).collect();
    let all = read(Cwa::new(source(&file), Timestamps::Device), Timestamps::Device);
    assert_eq!((all.len, counts(&all)), (1200, vec![("exchanged_sensors", 1024), ("rate_differs", 1)]));
    assert_eq!(all.summary.header.nominal_rate, 50.0);
    assert!(axes(&all)[2].iter().all(|z| *z == 1.0) && axes(&all)[0].iter().all(|x| *x == 0.0));
    assert!(all.gyro.values[..1200].iter().all(|x| (x - 16.0 * 2000.0 / 32768.0).abs() < 1e-6));
}

#[test]
fn blocks_of_axivity_that_changed_places_go_back_to_theirs() {
    let order = [0, 1, 2, 4, 3, 5, 6, 7];
    let swapped: Vec<u8> = order.iter().flat_map(|i| cwa(7, *i, *i, 0)).collect();
    let all = read(Cwa::new(source(&swapped), Timestamps::Device), Timestamps::Device);
    assert_eq!((all.len, all.run_starts.clone()), (800, vec![0]));
    assert_eq!(counts(&all), [("missing_header", 1), ("out_of_order", 1)]);
    assert!(all.time[..800].is_sorted_by(|a, b| a < b));
}

#[test]
fn pages_of_geneactiv_are_one_run_and_one_that_is_cut_is_named_with_its_time() {
    let rule = Timestamps::Device;
    let all = read(GeneActiv::new(source(&geneactiv(20)), &rule.into()), rule);
    assert_eq!((all.len, all.run_starts.clone(), counts(&all)), (6000, vec![0], vec![]));
    assert_eq!(all.time[5999] - all.time[0], 59_990_000_000);
    let text = String::from_utf8(geneactiv(4)).unwrap();
    let (before, after) = text.split_at(text.rfind("Recorded Data").unwrap());
    let cut = format!("{}\r\n{after}", &before[..before.len() - 26]); // two samples less in the third page
    let all = read(GeneActiv::new(source(cut.as_bytes()), &rule.into()), rule);
    assert_eq!(all.len, 1198);
    let short = all.summary.quality.events.iter().find(|event| event.kind == "short_page").unwrap();
    assert_eq!((short.time, short.value), (Some(all.time[600]), 298.0));
}

/// A packet of Matrix from these seconds on: so many rows of acceleration and gyroscope, all different.
pub(super) fn packet(start: u32, end: u32, n: usize, n_gyro: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for word in [start, end, n as u32, n_gyro as u32, 0, 0] {
        body.extend(word.to_le_bytes());
    }
    body.extend((0..3 * (n + n_gyro)).flat_map(|i| (i as i16).to_le_bytes()));
    let mut crc = flate2::Crc::new();
    crc.update(&body);
    [b"MDTCPACK".as_slice(), &crc.sum().to_le_bytes(), &body].concat()
}

#[test]
fn packets_of_matrix_hold_both_sensors_row_by_row() {
    let mut file = matrix(0);
    file.extend(packet(1000, 1010, 502, 502));
    file.extend(b"MDT and some bytes that are none");
    file.extend(packet(1010, 1020, 502, 502));
    let all = read(Matrix::new(source(&file), Timestamps::Device), Timestamps::Device);
    assert_eq!((all.len, all.summary.header.nominal_rate), (1004, 50.0));
    assert_eq!(all.summary.quality.count("unknown_bytes"), 1);
    let events = &all.summary.quality.events;
    let unknown = events.iter().find(|event| event.kind == "unknown_bytes").unwrap();
    let size = 36 + 12 * 502;
    assert_eq!((unknown.offset, unknown.value), (524 + size, 32.0));
    let offsets: Vec<u64> = all.blocks.iter().map(|(_, block)| block.offset).collect();
    assert_eq!(offsets, [524, 524 + size + 32]);
    for row in 0..502 {
        for axis in 0..3 {
            let raw = |from: usize| f64::from(u16::try_from(from + 3 * row + axis).unwrap());
            let g = axes(&all)[axis][row];
            assert!((f64::from(g) - raw(0) * 8.0 / 32767.0).abs() < 1e-6, "{row} {axis}: {g}");
            let gyro = all.gyro.values[axis * all.gyro.capacity + row];
            assert!((f64::from(gyro) - raw(3 * 502) * 2000.0 / 32767.0).abs() < 1e-3, "{row} {axis}: {gyro}");
        }
    }
}

#[test]
fn packets_of_matrix_end_behind_temperatures_and_heart_rates() {
    let mut file = matrix(0);
    for start in [1000u32, 1010] {
        let mut body = Vec::new();
        for word in [start, start + 10, 500, 0, 3, 2] {
            body.extend(word.to_le_bytes());
        }
        body.extend([0, 16].repeat(1500));
        body.extend([300i16, 0, 310, 0, 320, 0, 70, 0, 72, 0].iter().flat_map(|word| word.to_le_bytes()));
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        file.extend([b"MDTCPACK".as_slice(), &crc.sum().to_le_bytes(), &body].concat());
    }
    let all = read(Matrix::new(source(&file), Timestamps::Device), Timestamps::Device);
    assert_eq!((all.len, all.run_starts.clone()), (1000, vec![0]));
    assert!(all.blocks.iter().all(|(_, block)| (block.temperature - 31.0).abs() < 1e-5));
}

/// A record of `log.bin`.
fn record(kind: u8, second: u32, payload: &[u8]) -> Vec<u8> {
    let mut all = vec![0x1e, kind];
    all.extend(second.to_le_bytes());
    all.extend((payload.len() as u16).to_le_bytes());
    all.extend(payload);
    all.push(!all.iter().fold(0, |sum, byte| sum ^ byte));
    all
}

/// The archive of an ActiGraph with these members besides `info.txt`.
fn actigraph(members: &[(&str, &[u8])]) -> Vec<u8> {
    let info = "Serial Number: MOS2A00000001\r\nSample Rate: 30\r\nStart Date: 635000000000000000\r\nAcceleration Scale: 256\r\n";
    archive(&[&[("info.txt", info.as_bytes())], members].concat())
}

/// A zip of stored members.
pub(super) fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in members {
        zip.start_file(*name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn gt3x(bytes: &[u8], rule: Timestamps) -> Columns {
    let Opened::Archive(archive) = from_memory(bytes.into()).unwrap() else { unreachable!("a stream") };
    assert!(gt3x::sniff(&archive));
    read(Gt3x::new(&archive, rule), rule)
}

#[test]
fn records_of_actigraph_are_seconds_and_sleep_ends_with_the_wake_event() {
    const FIRST: u32 = 1_400_000_000;
    let second = |i: u32, n: usize| record(26, FIRST + i, &[0, 0, 0, 0, 0, 1].repeat(n));
    let mut log: Vec<u8> = (0..20).flat_map(|i| second(i, 30)).collect();
    log.extend(record(3, FIRST + 19, &[0x08]));
    log.extend(record(3, FIRST + 50, &[0x09]));
    log.extend((60..80).flat_map(|i| second(i, 30)));
    let all = gt3x(&actigraph(&[("log.bin", &log)]), Timestamps::Device);
    assert_eq!((all.len, all.run_starts.clone()), (1200, vec![0, 600]));
    let slept = all.summary.quality.events.iter().find(|event| event.kind == "idle_sleep").unwrap();
    assert_eq!((slept.time, slept.value), (Some(i64::from(FIRST + 20) * SECOND), 30.0));
    assert!(axes(&all)[2].iter().all(|z| *z == 1.0));
    // records of 40 samples where 30 are stated
    let other: Vec<u8> = (0..20).flat_map(|i| second(i, 40)).collect();
    let all = gt3x(&actigraph(&[("log.bin", &other)]), Timestamps::Device);
    assert_eq!(
        (all.len, all.summary.header.nominal_rate, counts(&all)),
        (800, 40.0, vec![("rate_differs", 1), ("start_differs", 1)])
    );
    let all = gt3x(&actigraph(&[("log.bin", &other)]), Timestamps::Actipy);
    assert_eq!(all.summary.header.nominal_rate, 30.0);
}

#[test]
fn bytes_between_records_are_counted_once_and_the_records_behind_them_are_read() {
    let second = |i: u32| record(26, 1_400_000_000 + i, &[0, 0, 0, 0, 0, 1].repeat(30));
    let mut log: Vec<u8> = (0..10).flat_map(second).collect();
    log.extend([7; 11]);
    log.extend((10..20).flat_map(second));
    let all = gt3x(&actigraph(&[("log.bin", &log)]), Timestamps::Device);
    assert_eq!((all.len, counts(&all)), (600, vec![("gap", 1), ("start_differs", 1), ("unknown_bytes", 1)]));
}

#[test]
fn packed_samples_of_actigraph_have_actipys_whole_milliseconds() {
    let packed = actigraph(&[("activity.bin", &[0x10; 900]), ("lux.bin", &[1, 0].repeat(8))]);
    let all = gt3x(&packed, Timestamps::Actipy);
    assert_eq!(all.len, 200);
    let start = all.time[0];
    assert_eq!(start, (635_000_000_000_000_000 - 621_355_968_000_000_000) * 100);
    for i in [1, 7, 100, 199] {
        let ms = (1000.0 * i as f64 / 30.0 + 0.5).floor() as i64;
        assert_eq!(all.time[i] - start, ms * 1_000_000, "{i}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn lines_beyond_the_limit_are_passed_over_and_the_next_one_is_whole() {
    let long = "x".repeat(3 * lines::MAX_LINE);
    let text = format!("a,b\r\n{long}\nnext\nlast");
    let mut all = lines::Lines::new(source(text.as_bytes()));
    let mut seen = Vec::new();
    while let Some(line) = all.next().unwrap() {
        seen.push((line.offset, String::from_utf8(all.bytes(&line).to_vec()).unwrap(), line.long, line.ended));
    }
    let n = long.len() as u64;
    let expected =
        [(0, "a,b", false, true), (5, "", true, true), (n + 6, "next", false, true), (n + 11, "last", false, false)];
    assert_eq!(seen, expected.map(|(offset, text, long, ended)| (offset, text.to_owned(), long, ended)));
}

#[test]
fn rows_grow_with_what_is_put_behind_them() {
    let mut rows = Planar::with_capacity(4).unwrap();
    rows.append(0, &[0.0, 10.0, 20.0].map(|v| vec![v, v + 1.0, v + 2.0])).unwrap();
    rows.append(3, &[0.0, 10.0, 20.0].map(|v| vec![v + 3.0, v + 4.0])).unwrap();
    let got: Vec<Vec<f32>> = rows.rows(5).map(|row| row.to_vec()).collect();
    assert_eq!(got, [0.0, 10.0, 20.0].map(|v| (0..5).map(|i| v + i as f32).collect::<Vec<_>>()));
}

#[test]
fn every_channel_of_a_batch_keeps_the_same_samples() {
    let mut batch = Batch {
        xyz: [0.0, 1.0, 2.0].map(|v| vec![v, v + 10.0, v + 20.0]),
        time: vec![5, 6, 7],
        light: vec![0.5, 1.5, 2.5],
        temperature: vec![20.0, 21.0, 22.0],
        annotation: vec![-1, 0, 1],
        ..Batch::default()
    };
    batch.retain(&[true, false, true]);
    assert_eq!(batch.xyz, [0.0, 1.0, 2.0].map(|v| vec![v, v + 20.0]));
    assert_eq!((batch.time, batch.annotation), (vec![5, 7], vec![-1, 1]));
    assert_eq!((batch.light, batch.temperature), (vec![0.5, 2.5], vec![20.0, 22.0]));
    assert!(batch.gyro.iter().all(Vec::is_empty));
}

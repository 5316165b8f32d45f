//! Tables, hours of NHANES and archives made by hand: their rows, times, runs and refusals.

use super::super::columns::{Columns, Planar};
use super::super::tar::Tar;
use super::super::text::Text;
use super::super::{Quality, Reader, Timestamps, matrix::Matrix, source as sources};
use super::blocks::{SECOND, archive, packet, read, source};
use super::{count, matrix};
use crate::error::Error;

fn table(text: &str) -> Columns {
    read(Text::new(source(text.as_bytes()), &Timestamps::Device.into()), Timestamps::Device)
}

/// Rows of a table whose times, seconds of the afternoon of 26 August 2020, are these.
fn rows(times: impl IntoIterator<Item = f64>) -> String {
    let row = |(i, t): (usize, f64)| {
        let (hour, minute, second) = (12 + t as u32 / 3600, t as u32 / 60 % 60, t % 60.0);
        format!("2020-08-26 {hour:02}:{minute:02}:{second:07.4},{:.3},0.1,0.99\n", 0.001 * (i % 100) as f64)
    };
    std::iter::once("time,x,y,z\n".to_owned()).chain(times.into_iter().enumerate().map(row)).collect()
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn a_rate_that_changes_begins_a_run_at_its_row() {
    for (before, after) in [(0.01, 0.02), (0.02, 0.01)] {
        let turn = 2000.0 * before;
        let all = table(&rows((0..4000).map(|i| match i {
            0..2000 => f64::from(i) * before,
            _ => turn + f64::from(i - 2000) * after,
        })));
        assert_eq!((all.len, all.summary.quality.count("rate_change")), (4000, 1), "{before} {after}");
        let [0, second] = all.run_starts[..] else { unreachable!("{:?}", all.run_starts) };
        assert!(second.abs_diff(2000) <= 8, "{second}");
    }
}

#[test]
fn a_gap_between_rows_and_between_packets_is_named_with_its_time() {
    let all = table(&rows((0..2000).map(|i| f64::from(i) * 0.01 + if i < 1000 { 0.0 } else { 7.0 })));
    assert_eq!(all.run_starts, [0, 1000]);
    let gap = all.summary.quality.events.iter().find(|event| event.kind == "gap").unwrap();
    assert_eq!((gap.time, gap.value), (Some(all.time[1000]), 7.01));
    let file = [matrix(0), packet(1000, 1010, 500, 0), packet(1100, 1110, 500, 0)].concat();
    let all = read(Matrix::new(source(&file), Timestamps::Device), Timestamps::Device);
    let gap = all.summary.quality.events.iter().find(|event| event.kind == "gap").unwrap();
    assert_eq!((gap.time, all.run_starts.clone()), (Some(1100 * SECOND), vec![0, 500]));
    assert_eq!(all.summary.quality.count("no_date"), 1);
    let all = table(&rows((0..300).map(|i| f64::from(i) * 0.01)).replace("2020-08-26", "1999-08-26"));
    assert_eq!((all.summary.quality.count("no_date"), all.summary.quality.count("unlikely_date")), (0, 1));
}

#[test]
fn rows_that_are_not_later_are_dropped_by_actipys_rule_and_blocks_keep_their_first_sample() {
    let file = [matrix(0), packet(1000, 1010, 500, 0), packet(1000, 1010, 500, 0), packet(1010, 1020, 500, 0)].concat();
    let all = read(Matrix::new(source(&file), Timestamps::Actipy), Timestamps::Actipy);
    assert_eq!((all.len, all.summary.quality.count("rows_not_later")), (1000, 500));
    assert_eq!(all.summary.quality.count("steps_back"), 1);
    assert_eq!(all.blocks.iter().map(|(first, _)| *first).collect::<Vec<_>>(), [0, 500, 500]);
    assert!(all.time[..1000].is_sorted_by(|a, b| a < b));
}

#[test]
fn line_ends_of_both_systems_are_read_and_carriage_returns_alone_are_refused() {
    let text = rows((0..300).map(|i| f64::from(i) * 0.01));
    let windows = table(&text.replace('\n', "\r\n"));
    assert_eq!((windows.len, windows.time[299] - windows.time[0]), (300, 2_990_000_000));
    let old = text.replace('\n', "\r");
    assert!(matches!(Text::new(source(old.as_bytes()), &Timestamps::Device.into()), Err(Error::Unsupported(_))));
}

#[test]
fn a_table_most_rows_of_which_have_more_fields_than_names_is_refused() {
    let text = |more: usize| {
        let plain = rows((0..11).map(|i| f64::from(i) * 0.01));
        let lines = plain.lines().enumerate().map(|(i, line)| match i {
            0 => format!("{line}\n"),
            _ if i <= more => format!("{line},5\n"),
            _ => format!("{line}\n"),
        });
        lines.collect::<String>()
    };
    let opened = |more| Text::new(source(text(more).as_bytes()), &Timestamps::Device.into()).map(|_| ());
    assert!(opened(0).is_ok() && opened(5).is_ok());
    assert!(matches!(opened(6), Err(Error::Malformed { .. })));
}

#[test]
fn the_room_that_a_compressed_file_takes_is_what_it_holds() {
    use std::io::Write;
    let path = std::env::temp_dir().join(format!("imuspec-test-{}.csv.gz", std::process::id()));
    let text = rows((0..300).map(|i| f64::from(i) * 0.01));
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    zip.write_all(text.as_bytes()).unwrap();
    std::fs::write(&path, zip.finish().unwrap()).unwrap();
    let opened = sources::open(&path);
    std::fs::remove_file(&path).unwrap();
    let Ok(sources::Opened::Stream(source)) = opened else { unreachable!("an archive") };
    assert_eq!(source.size_hint(), Some(text.len() as u64));
}

/// An hourly member of NHANES: its name, and rows at 80 Hz from this second of the day on.
fn hour(hour: u32, seconds: impl IntoIterator<Item = f64>) -> (String, String) {
    let name =
        format!("GT3XPLUS-AccelerationCalibrated-1x1x0.NEO1C15110135.2000-01-07-{hour:02}-00-00-000-P0000.sensor.csv");
    let table = rows(seconds).replace("time,x,y,z", "HEADER_TIMESTAMP,X,Y,Z").replace("2020-08-26", "2000-01-07");
    (name, table)
}

/// An archive of members as `tar` writes it.
fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut all = Vec::new();
    for (name, bytes) in members {
        let mut head = [0u8; 512];
        head[..name.len()].copy_from_slice(name.as_bytes());
        head[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
        head[148..156].fill(b' ');
        head[156] = b'0';
        let sum: u32 = head.iter().map(|b| u32::from(*b)).sum();
        head[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        all.extend(head);
        all.extend_from_slice(bytes);
        all.resize(all.len().next_multiple_of(512), 0);
    }
    all.resize(all.len() + 1024, 0);
    all
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn hours_of_nhanes_are_read_from_a_zip_and_from_a_tar_in_the_order_of_their_names() {
    let hours = [0, 1, 2].map(|i| hour(12 + i, (0..1600).map(|k| 3600.0 * f64::from(i) + f64::from(k) * 0.0125)));
    let members = |order: [usize; 3]| order.map(|i| (hours[i].0.as_str(), hours[i].1.as_bytes()));
    assert_eq!(count(&archive(&members([2, 0, 1])), Timestamps::Device).unwrap(), 4800);
    assert_eq!(count(&tar(&members([0, 2, 1])), Timestamps::Device).unwrap(), 4800);
    let all = read(nhanes(&members([2, 0, 1])), Timestamps::Device);
    assert_eq!((all.len, all.run_starts.clone()), (4800, vec![0, 1600, 3200]));
    let steps: Vec<i64> = [1, 1600, 3200].map(|i| all.time[i] - all.time[i - 1]).to_vec();
    assert_eq!(steps, [12_500_000, 3580 * SECOND + 12_500_000, 3580 * SECOND + 12_500_000]);
}

fn nhanes(members: &[(&str, &[u8])]) -> crate::error::Result<super::super::nhanes::Nhanes> {
    let sources::Opened::Archive(archive) = sources::from_memory(archive(members).into())? else {
        unreachable!("a stream")
    };
    super::super::nhanes::Nhanes::zip(archive)
}

#[test]
fn seconds_that_nhanes_left_out_are_sleep_from_the_first_missing_time_on() {
    let (name, text) = hour(12, (0..1600).map(|i| f64::from(i) * 0.0125 + if i < 800 { 0.0 } else { 5.0 }));
    let (next, after) = hour(13, (0..1600).map(|i| 3600.0 + f64::from(i) * 0.0125));
    let members = [(name.as_str(), text.as_bytes()), (next.as_str(), after.as_bytes())];
    assert!(nhanes(&members).unwrap().size_hint() >= Some(9 * 24 * 3600 * 80), "room for nine days at 80 Hz");
    let all = read(nhanes(&members), Timestamps::Device);
    let slept = all.summary.quality.events.iter().find(|event| event.kind == "idle_sleep").unwrap();
    assert_eq!((slept.time, slept.value), (Some(all.time[0] + 10 * SECOND), 5.0));
}

#[test]
fn members_of_a_tar_are_read_to_their_end_and_no_further() {
    let large: Vec<u8> = (0..200_000u32).map(|i| i.to_le_bytes()[0] ^ i.to_le_bytes()[1]).collect();
    let bytes = tar(&[("a/large", &large), ("small", b"and this")]);
    let mut archive = Tar::new(source(&[b"\0".as_slice(), &bytes].concat()));
    assert!(archive.next().unwrap().is_none(), "no head at the first byte");
    let mut archive = Tar::new(sources::Source::of_bytes(std::path::Path::new(""), bytes.into()).unwrap());
    for (name, content) in [("a/large", large.as_slice()), ("small", b"and this")] {
        let entry = archive.next().unwrap().unwrap();
        assert_eq!((entry.name.as_str(), entry.file), (name, true));
        assert!(archive.read(&entry).unwrap() == content, "{name}");
    }
    assert!(archive.next().unwrap().is_none());
}

#[test]
fn a_share_of_damage_is_what_is_lost_of_all() {
    let mut quality = Quality::default();
    assert_eq!(quality.damaged_share(3), 0.0);
    quality.note(super::super::Event::at("bad_checksum", 0, 0));
    assert_eq!(quality.damaged_share(3), 0.25);
}

#[test]
fn rows_whose_newest_comes_first_are_turned_and_counted() {
    let all = table(&rows((0..3000).map(|i| 30.0 - f64::from(i) * 0.01)));
    assert_eq!((all.len, all.run_starts.clone(), all.summary.quality.count("rows_reversed")), (3000, vec![0], 3000));
    assert!(all.time[..3000].is_sorted_by(|a, b| a < b));
    assert!((all.xyz.values[0] - 0.099).abs() < 1e-6, "{}", all.xyz.values[0]);
}

#[test]
fn values_are_in_g_and_degrees_a_second_and_only_acceleration_can_be_missing() {
    let mut text = "time,ax (m/s2),ay (m/s2),az (m/s2),gx (rad/s),gy (rad/s),gz (rad/s)\n".to_owned();
    for i in 0..300 {
        let turn = if i % 10 == 0 { "" } else { "1.0" };
        let x = if i == 50 { "" } else { "0.980665" };
        text += &format!("2020-08-26 12:00:{:05.2},{x},0.0,9.80665,{turn},0.0,-1.0\n", f64::from(i) * 0.01);
    }
    let all = table(&text);
    assert_eq!((all.len, all.summary.quality.count("missing_values")), (300, 1));
    let near = |value: f32, expected: f64| (f64::from(value) - expected).abs() < 1e-5;
    let rows = |planar: &Planar, axis: usize| planar.values[axis * planar.capacity..][..300].to_vec();
    assert!(rows(&all.xyz, 0).iter().enumerate().all(|(i, x)| near(*x, 0.1) || (i == 50 && x.is_nan())));
    assert!(rows(&all.xyz, 2).iter().all(|z| near(*z, 1.0)));
    assert!(rows(&all.gyro, 0).iter().enumerate().all(|(i, x)| near(*x, 57.29578) || (i % 10 == 0 && x.is_nan())));
    assert!(rows(&all.gyro, 2).iter().all(|z| near(*z, -57.29578)));
}

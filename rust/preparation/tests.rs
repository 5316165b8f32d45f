//! The steps of a preparation, and a whole one of a short table.

use super::edges::{edge_point, note_edges};
use super::points::Points;
use super::prepared::Prepared;
use super::segments::segment;
use super::settings::{Order, Settings};
use super::{prepare, warmth};
use crate::device::Timestamps;
use crate::device::columns::Planar;
use crate::signal::calibrate::Calibration;
use crate::signal::grid::{Grid, Method};
use crate::signal::wear::{LengthRule, Options};
use crate::signal::windows::Window;

const SECOND: i64 = 1_000_000_000;

pub(super) fn settings() -> Settings {
    let nonwear = Options {
        tolerance_g: 0.013,
        window: 10 * SECOND,
        step: 10 * SECOND,
        patience: 30 * SECOND,
        rule: LengthRule::Plain,
    };
    Settings {
        reading: Timestamps::Device.into(),
        order: Order::Paper,
        lowpass: Some((10.0, 4)),
        across_gaps: false,
        rate: 30.0,
        method: Method::Linear,
        calibration: None,
        nonwear,
        min_wear_s: 20.0,
        max_gap_s: 1.0,
        fill_idle_sleep: false,
    }
}

/// Points on the grid, NaN within these ranges.
fn points(n: usize, holes: &[(usize, usize)]) -> Prepared {
    let mut x = vec![1.0; n];
    holes.iter().for_each(|(from, to)| x[*from..*to].fill(f32::NAN));
    Prepared { acceleration: Points::Array(Planar { values: x.repeat(3), capacity: n }, n), n, ..Prepared::default() }
}

/// Its values, axis after axis.
fn values(out: &mut Prepared) -> Vec<f32> {
    let mut all = Vec::new();
    let add = |_, axes: [&mut [f32]; 3]| {
        axes.iter().for_each(|axis| all.extend_from_slice(axis));
        false
    };
    out.acceleration.for_each(add).unwrap();
    all
}

#[test]
fn the_rows_around_each_start_of_a_window_are_the_same_in_chunks_of_any_size() {
    let rows = [95, 98, 103, 107, 110, 131, 132];
    let expected = [(100, [98, 103, 107]), (110, [107, 110, 131]), (130, [110, 131, 132])];
    for size in 1..=rows.len() {
        let (mut edges, mut before) = (Vec::new(), i64::MIN);
        rows.chunks(size).for_each(|rows| note_edges(&mut edges, &mut before, 100, 10, rows));
        assert_eq!((edges.as_slice(), before), (expected.as_slice(), 132), "{size}");
    }
}

#[test]
fn a_window_starts_at_the_first_point_that_is_not_nearer_to_the_row_before_it() {
    let edges = [(100, [98, 103, 107]), (110, [107, 110, 131]), (130, [110, 131, 132])];
    let grid = Grid::new(0, 1e9).unwrap();
    for (time, point) in [(100, 101), (101, 101), (110, 109), (111, 121), (130, 121), (131, 121), (140, usize::MAX)] {
        assert_eq!(edge_point(&edges, &grid, time), point, "{time}");
    }
    assert_eq!(edge_point(&[(7, [i64::MIN, 8, 9])], &grid, 7), 0);
}

#[test]
fn a_window_has_the_mean_temperature_of_its_blocks_or_that_of_the_window_before() {
    let window = |start| Window { start, n: 1, mean: [0.0; 3], sd: [0.0; 3], temperature: f64::NAN };
    let mut windows: Vec<Window> = (0..5).map(|i| window(10 * i)).collect();
    warmth::warm(&mut windows, &[(12, 20.0), (15, 23.0), (20, 30.0), (41, 40.0)], 10);
    let temperatures: Vec<f64> = windows.iter().map(|window| window.temperature).collect();
    assert_eq!(temperatures, [20.0, 21.5, 30.0, 30.0, 40.0]);
}

#[test]
fn a_point_is_calibrated_with_the_temperature_of_the_last_block_before_it() {
    let slope = [0.5, 0.0, 0.0];
    let warm = Calibration { temperature_slope: slope, reference_temperature: 20.0, ..Calibration::identity() };
    let grid = Grid::new(0, 1.0).unwrap();
    let temperature = [(0, 20.0), (2 * SECOND, 22.0), (3 * SECOND, 24.0)];
    let mut out = points(5, &[]);
    warmth::apply(&mut out, &warm, &grid, &temperature).unwrap();
    assert_eq!(values(&mut out), [[1.0, 1.0, 2.0, 3.0, 3.0], [1.0; 5], [1.0; 5]].concat());
    warmth::apply(&mut out, &Calibration { offset: [1.0; 3], ..Calibration::identity() }, &grid, &[]).unwrap();
    assert_eq!(values(&mut out), [[2.0, 2.0, 3.0, 4.0, 4.0], [2.0; 5], [2.0; 5]].concat());
}

#[test]
fn wear_ends_at_long_holes_at_non_wear_and_where_the_clock_fell() {
    // 30 Hz: across a hole of 29 points it is 1 s from point to point, the longest gap
    let mut out = points(10_000, &[(100, 129), (1000, 1030), (4090, 4100)]);
    out.nonwear = vec![(2000, 3000)];
    out.breaks = vec![5000];
    segment(&mut out, &settings(), 1.0, 30.0).unwrap();
    assert_eq!(out.segments, [(0, 1000), (1030, 2000), (3000, 5000), (5000, 10_000)]);
    assert_eq!((out.missing, out.longest_wear_s), (69, 5000.0 / 30.0));
    // a stretch of 599 points and one sample of 30 Hz is as long as 20 s, one of 598 is not
    let mut out = points(2000, &[(599, 700), (1298, 2000)]);
    segment(&mut out, &settings(), 1.0, 30.0).unwrap();
    assert_eq!(out.segments, [(0, 599)]);
    segment(&mut out, &settings(), 1.0, 0.0).unwrap();
    assert_eq!(out.segments, []);
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn a_table_is_prepared_to_wear_between_non_wear_and_a_gap() {
    // 100 Hz: a minute of a swing of 1 Hz, 100 s still, 5 s without rows, a minute of the swing
    let moving = |t: f64| !(60.0..165.0).contains(&t);
    let rows = (0..22_500).map(|i| f64::from(i) / 100.0).filter(|t| !(160.0..165.0).contains(t));
    let row = |t: f64| {
        let x = if moving(t) { 0.3 * (std::f64::consts::TAU * t).sin() } else { 0.0 };
        format!("2020-03-05 00:{:02}:{:05.2},{x:.6},0,1\n", t as u32 / 60, t - 60.0 * f64::from(t as u32 / 60))
    };
    let text: String = std::iter::once("time,x,y,z\n".to_owned()).chain(rows.map(row)).collect();
    let path = std::env::temp_dir().join(format!("imuspec-preparation-{}.csv", std::process::id()));
    std::fs::write(&path, text).unwrap();
    let out = prepare(&path, &settings());
    std::fs::remove_file(&path).unwrap();
    let mut out = out.unwrap();
    let near = |point: usize, seconds: usize| point.abs_diff(30 * seconds) <= 2;
    assert_eq!((out.samples, out.filled, out.bridged, out.slow.0), (22_000, 0, 0, 0));
    assert_eq!(out.start, 1_583_366_400 * SECOND);
    assert!(near(out.n, 225) && out.missing.abs_diff(150) <= 3, "{} points, {} missing", out.n, out.missing);
    assert_eq!(out.nonwear.len(), 1);
    assert!(near(out.nonwear[0].0, 60) && near(out.nonwear[0].1, 160), "{:?}", out.nonwear);
    assert_eq!(out.segments.len(), 2);
    let [(a, b), (c, d)] = [out.segments[0], out.segments[1]];
    assert!(near(a, 0) && near(b, 60) && near(c, 165) && near(d, 225), "{:?}", out.segments);
    let values = values(&mut out);
    let rows: Vec<&[f32]> = values.chunks_exact(out.n).collect();
    for point in [300, 308, 5400, 5423] {
        let expected = 0.3 * (std::f64::consts::TAU * point as f64 / 30.0).sin();
        assert!((f64::from(rows[0][point]) - expected).abs() < 0.01, "{point}: {}", rows[0][point]);
        assert!(rows[1][point].abs() < 1e-6 && (rows[2][point] - 1.0).abs() < 1e-5, "{point}");
    }
}

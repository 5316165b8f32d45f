use super::*;

const SECOND: i64 = 1_000_000_000;

/// Times with jitter and gaps, in ns.
fn times(n: usize) -> Vec<i64> {
    let mut t = 1_000_000_007;
    let step = |i: usize| match i % 97 {
        13 => 410_000_000,
        50 if i.is_multiple_of(5) => 2_400_000_000,
        71 => 40_000_000,
        _ => 9_000_000 + (i as i64 * 7919 % 3) * 1_000_000,
    };
    (0..n)
        .map(|i| {
            t += step(i);
            t
        })
        .collect()
}

/// Times of a steady clock, 0.03 % slow and up to half a period late, in ns.
fn steady_times(n: usize) -> Vec<i64> {
    (0..n as i64).map(|i| 1_000_000_007 + i * 10_003_000 + i * 7919 % 50 * 100_000).collect()
}

fn values(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.37).sin() + i as f32 * 0.01).collect()
}

/// The definition, one grid point at a time.
fn definition(x: &[f32], time: &[i64], grid: &Grid, count: u64, method: Method, max_gap: i64) -> Vec<f32> {
    let at = |i: u64| {
        let t = grid.time(i);
        let after = time.partition_point(|&s| s < t);
        if after < time.len() && time[after] == t {
            return x[after];
        }
        let (left, right) = (after.checked_sub(1), (after < time.len()).then_some(after));
        match (method, left, right) {
            (Method::Linear, Some(l), Some(r)) if time[r] - time[l] <= max_gap => {
                x[l] + (t - time[l]) as f32 / (time[r] - time[l]) as f32 * (x[r] - x[l])
            }
            (Method::Linear, ..) => f32::NAN,
            (Method::Nearest, ..) => {
                let first = |l: usize| i == 0 || grid.time(i - 1) <= time[l];
                let last = |r: usize| grid.time(i + 1) >= time[r];
                let left = left.filter(|&l| first(l) && t - time[l] <= max_gap);
                let right = right.filter(|&r| last(r) && time[r] - t <= max_gap);
                match (left, right) {
                    (Some(l), Some(r)) if t - time[l] < time[r] - t => x[l],
                    (_, Some(r)) => x[r],
                    (Some(l), None) => x[l],
                    (None, None) => f32::NAN,
                }
            }
        }
    };
    (0..count).map(at).collect()
}

fn same(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4 || (a.is_nan() && b.is_nan()))
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn whole_and_streamed_equal_the_definition_for_any_chunks() {
    let n = 5000;
    let x = values(n);
    for (time, method) in [times(n), steady_times(n)].iter().flat_map(|t| [(t, Method::Linear), (t, Method::Nearest)]) {
        for rate in [30.0, 25.0, 7.3, 250.0] {
            let grid = Grid::new(time[0], rate).unwrap();
            let count = grid.count(time[n - 1], method);
            let resampler = Resampler::new(grid, method, 1.0, 100.0).unwrap();
            let mut whole = vec![0.0; count as usize];
            resample(&Signals::contiguous(&x, n).unwrap(), time, &resampler, count as usize, &mut whole).unwrap();
            let truth = definition(&x, time, &grid, count, method, SECOND);
            assert!(same(&whole, &truth), "{method:?} {rate}");
            for size in [1, 13, 1000, n] {
                let mut stream = resampler.clone();
                let mut out: [Vec<f32>; 3] = Default::default();
                for (t, x) in time.chunks(size).zip(x.chunks(size)) {
                    stream.push(t, [x, x, x], &mut out).unwrap();
                }
                stream.finish(count, &mut out);
                for axis in &out {
                    let equal = axis.iter().zip(&whole).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(equal && axis.len() == whole.len(), "{method:?} {rate} by {size}");
                }
            }
        }
    }
}

#[test]
fn whole_rates_meet_whole_seconds_exactly() {
    let grid = Grid::new(5, 30.0).unwrap();
    assert_eq!(grid.time(30 * 3600 * 24 * 14), 5 + 14 * 86_400 * SECOND);
    assert_eq!((grid.time(1), grid.time(2)), (33_333_338, 66_666_671));
    assert_eq!(grid.at_or_after(33_333_338), 1);
    assert_eq!(grid.at_or_after(33_333_339), 2);
    assert_eq!(grid.as_actipy(5).time(3), 99_999_999 + 5);
}

#[test]
fn times_that_do_not_rise_and_numbers_out_of_range_are_refused() {
    let grid = Grid::new(0, 10.0).unwrap();
    let mut resampler = Resampler::new(grid, Method::Linear, 1.0, 10.0).unwrap();
    let mut out: [Vec<f32>; 3] = Default::default();
    assert!(resampler.push(&[5, 5], [&[0.0; 2]; 3], &mut out).is_err());
    assert!(check_rising(i64::MIN, &[i64::MIN + 1, -1, 0, i64::MAX]).is_ok());
    assert!(check_rising(i64::MIN, &[i64::MIN + 1, i64::MAX, i64::MIN + 2]).is_err());
    assert!(Grid::new(0, 0.0).is_err() && Grid::new(0, f64::NAN).is_err());
    assert!(Resampler::new(grid, Method::Linear, 0.0, 10.0).is_err());
    assert!(Resampler::new(grid, Method::Linear, 1.0, f64::INFINITY).is_err());
    let one = Signals::contiguous(&[0.0], 1).unwrap();
    assert!(resample(&one, &[1, 2], &resampler, 1, &mut [0.0]).is_err());
}

#[test]
fn a_gap_counts_from_one_period_and_a_half() {
    let n_bridged = |step: i64| {
        let mut resampler = Resampler::new(Grid::new(0, 100.0).unwrap(), Method::Linear, 1.0, 100.0).unwrap();
        let time = [0, 10_000_000, 10_000_000 + step];
        resampler.push(&time, [&[0.0; 3]; 3], &mut Default::default()).unwrap();
        resampler.n_bridged
    };
    assert_eq!([14_999_999, 15_000_000, 15_000_001, 18_000_000].map(n_bridged), [0, 0, 1, 1]);
}

#[test]
fn bridged_gaps_are_counted_and_longer_ones_are_missing() {
    let time: Vec<i64> = [0, 10, 20, 60, 70, 5000, 5010].iter().map(|ms| ms * 1_000_000).collect();
    let grid = Grid::new(0, 100.0).unwrap();
    let mut resampler = Resampler::new(grid, Method::Linear, 1.0, 100.0).unwrap();
    let mut out: [Vec<f32>; 3] = Default::default();
    let x = values(time.len());
    resampler.push(&time, [&x, &x, &x], &mut out).unwrap();
    resampler.finish(grid.count(time[6], Method::Linear), &mut out);
    assert_eq!(resampler.n_bridged, 1);
    assert_eq!(out[0].len(), 502);
    assert_eq!(out[0].iter().filter(|v| v.is_nan()).count(), 492);
}

/// `cargo test --release -- --ignored --nocapture timing_of_resampling`
#[test]
#[ignore = "a measurement"]
fn timing_of_resampling() {
    let n = 12_000usize;
    let x = values(n);
    let grid = Grid::new(0, 30.0).unwrap();
    let mut resampler = Resampler::new(grid, Method::Linear, 1.0, 100.0).unwrap();
    let mut time: Vec<i64> = (0..n as i64).map(|i| i * 10_000_000).collect();
    let mut out: [Vec<f32>; 3] = Default::default();
    let start = std::time::Instant::now();
    for _ in 0..5000 {
        resampler.push(&time, [&x, &x, &x], &mut out).unwrap();
        time.iter_mut().for_each(|t| *t += 120 * SECOND);
        out.iter_mut().for_each(Vec::clear);
    }
    println!("linear, 60 M to 18 M x 3: {:.3} s", start.elapsed().as_secs_f64());
}

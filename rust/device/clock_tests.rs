#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

/// Times of samples 0..n after blocks of 100 samples at 100 Hz, the stamps of which are given or missing.
fn times(stamps: &[Option<(i64, i64)>], breaks: &[usize]) -> Vec<i64> {
    let mut clock = Clock::default();
    for (i, stamp) in stamps.iter().enumerate() {
        let (start, new_run) = (100 * i as i64, breaks.contains(&i));
        match stamp {
            Some((sample, time)) => {
                clock.stamp(start, start + sample, *time, 100.0, new_run);
            }
            None => {
                clock.follow(start, 100.0, new_run);
            }
        }
    }
    let n = 100 * stamps.len() as i64;
    clock.finish(n);
    let mut out = vec![0; n as usize];
    let lines: Vec<Line> = clock.lines.iter().copied().collect();
    for (i, line) in lines.iter().enumerate() {
        let to = lines.get(i + 1).map_or(n, |next| next.from);
        let part = &mut out[line.from as usize..to as usize];
        line.times(line.from, part.len()).fill(part);
    }
    out
}

const S: i64 = 1_000_000_000;

#[test]
fn times_lie_on_their_line_whichever_way_it_goes() {
    for period in [10_000_000.0, 9_999_876.543_21, 312_500.25, 1e9, 0.0, -1_250_000.75] {
        let line = Line { from: 5, sample: 17, time: 1_700_000_000 * S, period };
        let mut times = Vec::new();
        line.times(5, 20_000).append(20_000, &mut times);
        assert_eq!(times.len(), 20_000);
        for (i, time) in (5..).zip(times) {
            let since = (f64::from(i - 17) * period).round() as i64;
            assert!(time.abs_diff(line.time + since) <= 1, "{period} {i}: {time}");
        }
    }
}

#[test]
fn blocks_without_a_stamp_are_timed_by_those_around_them() {
    let whole: Vec<_> = (0..40).map(|i| Some((0, i * S))).collect();
    let expected = times(&whole, &[]);
    assert_eq!(expected[150], 1_500_000_000);
    for lost in [0..3, 10..20, 37..40] {
        let some: Vec<_> = whole.iter().enumerate().map(|(i, s)| s.filter(|_| !lost.contains(&i))).collect();
        let got = times(&some, &[]);
        assert!(got.iter().zip(&expected).all(|(a, b)| a.abs_diff(*b) < 2), "{lost:?}");
    }
}

#[test]
fn a_run_without_any_stamp_goes_on_from_the_last_time() {
    let mut stamps: Vec<_> = (0..20).map(|i| Some((0, i * S))).collect();
    stamps.extend([None, None]);
    let got = times(&stamps, &[20]);
    assert!(got[2199].abs_diff(21_990_000_000) < 1000, "{}", got[2199]);
}

#[test]
fn a_clock_of_whole_seconds_may_name_one_sample_twice() {
    let mut clock = Clock::default();
    for i in 0..40 {
        // two blocks share each second, and both name the sample at which it began
        let (start, second) = (100 * i, i / 2);
        let outcome = clock.stamp(start, 200 * second, second * S, 200.0, false);
        assert_eq!(outcome, Break::None, "{i}");
    }
}

#[test]
fn a_stamp_that_names_the_neighbouring_sample_is_put_back_wherever_it_stands() {
    for wrong in [0, 1, 20, 38, 39] {
        let off = |i: i64| if i == wrong { 10_000_000 } else { 0 };
        let stamps: Vec<_> = (0..40).map(|i| Some((0, i * S + off(i)))).collect();
        for (i, time) in (0..).zip(times(&stamps, &[])) {
            assert!(time.abs_diff(i * 10_000_000) < 1000, "{wrong}: {i} {time}");
        }
    }
}

#[test]
fn a_new_run_begins_as_far_behind_the_old_one_as_both_clocks_say() {
    let mut clock = Clock::default();
    let slow = |start: i64| start * 10_100_000; // 100 Hz by name, one percent slower by the stamps
    for i in 0..10 {
        assert_eq!(clock.stamp(100 * i, 100 * i, slow(100 * i), 100.0, false), Break::None);
    }
    for (start, seconds) in [(1000, 2), (2000, 5)] {
        let later = slow(start) + if start > 1000 { 2 * S } else { 0 } + seconds * S;
        // the first run's own rate is not known before it ends: its stamp is at the block's first sample
        let sample = if start > 1000 { 50 } else { 0 };
        let Break::Run(gap) = clock.stamp(start, start + sample, later + slow(sample), 100.0, true) else {
            unreachable!("no run")
        };
        assert!((gap - seconds as f64).abs() < 1e-6, "{start}: {gap}");
        for i in 1..10 {
            let sample = start + 100 * i;
            assert_eq!(clock.stamp(sample, sample, later + slow(100 * i), 100.0, false), Break::None);
        }
    }
}

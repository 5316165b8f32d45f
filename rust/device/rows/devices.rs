//! Whether rows come from several devices in turn, which no column tells apart.
//!
//! The rows of one device that share a stamp, or follow each other, hardly differ more from each other than from the next
//! ones, whether it lies still (then all differ by noise) or moves (then values change with time). Rows of several devices in
//! turn differ from each other, and each is like the one that stands a turn later. How many rows are a turn follows from the
//! stamps: as many share each, or their steps repeat. A single device could be taken for several only if it vibrated all the
//! time at that very share of its rate; so stamps and values must agree through half of the file.

use crate::device::Batch;
use crate::error::{Error, Result};

/// Rows that are looked at together, from one stretch to the next, and fewest of them.
const WINDOW: usize = 256;
const EVERY: u64 = 8192;
const FEWEST: usize = 64;
/// Most rows in turn, and most that are surely devices: a motor shakes a wrist at a fifth of its rate rather than at a half.
const MOST: usize = 8;
const MOST_SURE: usize = 4;
/// So much larger are the differences inside a turn than those from turn to turn.
const RATIO: f64 = 10.0;

/// Rows of some stretches of a file.
#[derive(Debug, Default)]
pub(super) struct Devices {
    rows: u64,
    time: Vec<i64>,
    xyz: Vec<[f32; 3]>,
    windows: u64,
    /// Windows of so many devices in turn, by stamps and values.
    in_turn: [u64; MOST + 1],
    /// Windows in which values alone change from row to row and back.
    alternating: u64,
    /// Windows in which every value stays for so many rows, whose stamps differ.
    held: [u64; MOST + 1],
}

/// What is noted about rows of one device.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Doubts {
    /// Values alternate: devices in turn, or a vibration.
    pub(super) alternating: bool,
    /// Rows through which each value stays.
    pub(super) held: Option<usize>,
}

impl Devices {
    /// Looks at rows in order, with the stamps of the file.
    pub(super) fn push(&mut self, held: &Batch, n: usize) {
        let [x, y, z] = &held.xyz;
        let mut row = 0;
        while row < n {
            let phase = (self.rows % EVERY) as usize;
            let looked_at = phase < WINDOW;
            let to = n.min(row + if looked_at { WINDOW } else { EVERY as usize } - phase);
            if looked_at {
                let rows = held.time.iter().zip(x.iter().zip(y).zip(z)).skip(row).take(to - row);
                for (time, ((x, y), z)) in rows {
                    self.time.push(*time);
                    self.xyz.push([*x, *y, *z]);
                }
                if self.time.len() == WINDOW {
                    self.judge_window();
                }
            }
            self.rows += (to - row) as u64;
            row = to;
        }
    }

    fn judge_window(&mut self) {
        self.windows += 1;
        let shared = groups(&self.time);
        if let (None, Some((_, n))) = (shared, groups(&self.xyz)) {
            self.held.get_mut(n).into_iter().for_each(|windows| *windows += 1);
        }
        let stamped = shared.or_else(|| by_steps(&self.time));
        let (first, n) = stamped.unwrap_or((0, 2));
        if turns_differ(self.xyz.get(first..).unwrap_or_default(), n) {
            let windows = if stamped.is_some() { self.in_turn.get_mut(n) } else { Some(&mut self.alternating) };
            windows.into_iter().for_each(|windows| *windows += 1);
        }
        self.time.clear();
        self.xyz.clear();
    }

    /// What there is to say of the rows; call it after the last one.
    ///
    /// # Errors
    /// [`Error::Malformed`] where there are several devices.
    pub(super) fn judge(&mut self, offset: u64) -> Result<Doubts> {
        if self.time.len() >= FEWEST && self.windows == 0 {
            self.judge_window();
        }
        let most = |windows: u64| windows > 0 && 2 * windows >= self.windows;
        if let Some(n) = (2..=MOST_SURE).find(|n| self.in_turn.get(*n).is_some_and(|windows| most(*windows))) {
            let reason = format!(
                "expected rows of one device, got {n} rows in turn that differ from each other and not from those {n} rows on: \
                 the file seems to hold {n} devices; give each a file, or name a column of them 'device'"
            );
            return Err(Error::malformed("rows", offset, reason));
        }
        let alternating = most(self.alternating) || self.in_turn.iter().skip(MOST_SURE + 1).any(|n| most(*n));
        Ok(Doubts { alternating, held: self.held.iter().position(|windows| most(*windows)) })
    }
}

/// First row of a group and rows of each, where nearly all groups of equal stamps or values have as many.
fn groups<T: PartialEq>(rows: &[T]) -> Option<(usize, usize)> {
    let begins: Vec<usize> = (1..rows.len()).filter(|row| rows.get(*row) != rows.get(row - 1)).collect();
    let sizes: Vec<usize> = begins.windows(2).filter_map(|w| Some(w.last()? - w.first()?)).collect();
    let n = *sizes.get(sizes.len() / 2)?;
    let same = sizes.iter().filter(|size| **size == n).count();
    let all = sizes.len() >= 8 && 10 * same >= 9 * sizes.len() && (2..=MOST).contains(&n);
    all.then_some((*begins.first()?, n))
}

/// The same where the steps from row to row repeat, but are not even.
fn by_steps(time: &[i64]) -> Option<(usize, usize)> {
    let steps: Vec<f64> = time.windows(2).filter_map(|w| Some(w.last()?.saturating_sub(*w.first()?) as f64)).collect();
    let mean = steps.iter().sum::<f64>() / steps.len().max(1) as f64;
    let repeats = |n: &usize| {
        let lanes: Vec<(f64, f64)> = (0..*n).map(|lane| middle(steps.iter().skip(lane).step_by(*n))).collect();
        let (low, high) = lanes.iter().fold((f64::MAX, f64::MIN), |(low, high), (v, _)| (low.min(*v), high.max(*v)));
        high - low > 0.3 * mean && lanes.iter().all(|(_, off)| *off < 0.1 * mean)
    };
    (2..=MOST_SURE).find(repeats).map(|n| (0, n))
}

/// Mean, and mean distance from it.
fn middle<'a>(values: impl Iterator<Item = &'a f64> + Clone) -> (f64, f64) {
    let n = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / n;
    (mean, values.map(|v| (v - mean).abs()).sum::<f64>() / n)
}

/// Whether rows differ far more from those of their turn than turns do, in any order of the rows within a turn.
fn turns_differ(rows: &[[f32; 3]], n: usize) -> bool {
    let (mut inside, mut between) = (0f64, 0f64);
    for axis in 0..3 {
        let value = |row: &[f32; 3]| f64::from(row.get(axis).copied().unwrap_or(f32::NAN));
        let mut before: Option<Vec<f64>> = None;
        for turn in rows.chunks_exact(n) {
            let mut values: Vec<f64> = turn.iter().map(value).collect();
            if values.iter().any(|v| !v.is_finite()) {
                before = None;
                continue;
            }
            values.sort_unstable_by(f64::total_cmp);
            let mean = values.iter().sum::<f64>() / n as f64;
            if let Some(before) = before {
                inside += values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>();
                between += values.iter().zip(before).map(|(a, b)| (a - b) * (a - b) / 2.0).sum::<f64>();
            }
            before = Some(values);
        }
    }
    inside > 0.0 && inside > RATIO * between
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number between -1 and 1 that looks like chance.
    fn noise(i: usize) -> f32 {
        let mut x = (i as u32).wrapping_mul(0x9e37_79b9) ^ 0x85eb_ca6b;
        x = (x ^ (x >> 15)).wrapping_mul(0x2c1b_3c6d);
        x = (x ^ (x >> 12)).wrapping_mul(0x297a_2d39);
        (x ^ (x >> 15)) as f32 / u32::MAX as f32 * 2.0 - 1.0
    }

    fn judged(rows: usize, time: impl Fn(usize) -> i64, value: impl Fn(usize) -> [f32; 3]) -> Option<bool> {
        let xyz = [0, 1, 2].map(|axis: usize| {
            (0..rows).map(|i| value(i).get(axis).copied().unwrap_or(0.0) + 0.003 * noise(3 * i + axis)).collect()
        });
        let held = Batch { time: (0..rows).map(time).collect(), xyz, ..Batch::default() };
        let mut devices = Devices::default();
        devices.push(&held, rows);
        devices.judge(0).ok().map(|doubts| doubts.alternating)
    }

    #[test]
    fn values_that_stay_for_some_rows_are_noted_unless_stamps_stay_too() {
        let turns_seen = |n: usize, step: usize| {
            let xyz = [1.0, 2.0, 3.0].map(|k: f32| (0..10_000).map(|i| (k * (i / n) as f32 / 7.0).sin()).collect());
            let time = (0..10_000).map(|i| (i / step * step) as i64).collect();
            let mut devices = Devices::default();
            devices.push(&Batch { time, xyz, ..Batch::default() }, 10_000);
            devices.judge(0).unwrap_or_default().held
        };
        assert_eq!(
            [turns_seen(1, 1), turns_seen(2, 1), turns_seen(4, 1), turns_seen(4, 4)],
            [None, Some(2), Some(4), None]
        );
    }

    const POSES: [[f32; 3]; 4] = [[0.0, 0.0, 1.0], [0.0, 0.1, 0.99], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]];

    fn pose(i: usize) -> [f32; 3] {
        POSES.get(i).copied().unwrap_or_default()
    }

    #[test]
    fn devices_in_turn_are_refused_whether_they_share_stamps_or_follow_each_other() {
        for n in 2..=4 {
            assert_eq!(judged(10_000, |i| (i / n * 10) as i64, |i| pose(i % n)), None, "{n}");
            // in another order each time
            assert_eq!(judged(10_000, |i| (i / n * 10) as i64, |i| pose((i + i / n * (i / n % 3)) % n)), None, "{n}");
            assert_eq!(judged(10_000, |i| (i / n * 10 + i % n) as i64, |i| pose(i % n)), None, "{n}");
        }
        assert_eq!(judged(100, |i| (i / 2 * 10) as i64, |i| pose(i % 2)), None);
    }

    #[test]
    fn rows_that_alternate_evenly_are_noted_but_may_be_a_device_that_vibrates() {
        assert_eq!(judged(10_000, |i| (i * 5) as i64, |i| pose(i % 2)), Some(true));
    }

    #[test]
    #[cfg_attr(miri, ignore = "hours under Miri")]
    fn packets_of_one_device_still_moving_or_shaking_are_read() {
        for n in 1..=8 {
            let time = |i: usize| (i / n * 10) as i64;
            assert_eq!(judged(10_000, time, |_| pose(0)), Some(false), "still, {n}");
            for hz in [0.2f32, 1.0, 3.0, 8.0, 21.0, 43.0] {
                let sine = |i: usize| [(i as f32 * hz / 100.0 * std::f32::consts::TAU).sin(), 0.0, 1.0];
                let marked = judged(10_000, time, sine);
                // nearly fifths of 100 Hz may be marked, and are read
                assert!(marked == Some(false) || (marked.is_some() && n > 4 && hz > 20.0), "{hz} Hz, {n}");
            }
        }
        // steps that alternate, as those of a phone do
        let uneven = |i: usize| (i / 2 * 10 + i % 2 * 3) as i64;
        assert_eq!(judged(10_000, uneven, |i| [(i as f32 / 20.0).sin(), 0.0, 1.0]), Some(false));
        assert_eq!(judged(10_000, uneven, |_| pose(0)), Some(false));
    }
}

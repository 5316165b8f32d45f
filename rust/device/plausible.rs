//! Whether the values can be acceleration in g at all, judged over the whole stream.
//!
//! A still device shows gravity. A second counts as still where the standard deviation of every axis is below
//! [`STILL`] of the second's norm, so that the judgement does not depend on the unit. Where no second is still, the length
//! of the mean vector decides, by wider bounds: movement averages out over a second, while headers that name the wrong unit
//! are off by factors such as 9.8, 64 or 1000. Seconds of nothing but zeros were not measured and do not count.
//!
//! Where a device turns, all three of its axes change. An axis that keeps one value while the mean of another changes by
//! [`TURN`] is stuck where the length of the mean vector changes by [`BEND`], as that of gravity does not; where the value is
//! zero it is made up if both others change so, or one of them while it keeps the value for [`LONG_CONSTANT`] seconds.
//! Vibration alone does not decide: an axis of few bits may sleep through it.
//!
//! Seconds are looked at in even steps that double as the stream goes on, so that no more than [`KEPT`] norms are kept.

use super::{Batch, Event, Quality};

/// Largest standard deviation of a still second's axes, as a share of its norm.
const STILL: f32 = 0.02;
/// Norms kept at most.
const KEPT: usize = 512;
/// Still seconds that decide; of a short stream one in so many does.
const ENOUGH: usize = 5;
/// Norm of a still second, g.
const STILL_BOUNDS: (f64, f64) = (0.8, 1.2);
/// Length of the mean vector of a second in motion, g.
const MOVING_BOUNDS: (f64, f64) = (0.4, 2.0);
/// Change of an axis' mean by which a device has turned, as a share of the norm.
const TURN: f32 = 0.25;
/// Change of the length of the mean vector, as a share of it, that no turn of a device brings about.
const BEND: f32 = 0.2;
/// Seconds through which an axis must keep its value to be noted, and their share of all.
const FEWEST_CONSTANT: u64 = 10;
const CONSTANT_SHARE: f64 = 0.1;
/// Seconds of zeros on one axis through which the turn of one other axis is enough.
const LONG_CONSTANT: u64 = 60;
/// Share of the seconds through which two axes must be zero to be noted.
const FLAT_SHARE: f64 = 0.5;
/// Norms that no still second of a device in g has, and the share of them that is noted.
const OFF_BOUNDS: (f32, f32) = (0.5, 2.0);
const OFF_SHARE: f64 = 0.1;
/// Rates of accelerometers, Hz.
const RATES: (f64, f64) = (5.0, 10_000.0);
/// Share by which the measured rate of a device with its own oscillator in the sensor may differ from the nominal one.
const FREE_OSCILLATOR: f64 = 0.06;
/// The same for a rate that a quartz makes.
const QUARTZ: f64 = 0.02;

/// Norms of some seconds of a stream.
#[derive(Debug, Default)]
pub struct Norms {
    still: Vec<f32>,
    moving: Vec<f32>,
    /// Seconds of nothing but zeros, and all that were looked at.
    zeros: u64,
    seconds: u64,
    constant: [Constant; 3],
    /// Seconds in which two axes have the same values, and in which two are zero while the third is not even.
    equal: u64,
    flat: u64,
    /// Seconds from one that is looked at to the next.
    stride: usize,
    /// Samples to pass over before the next second is looked at.
    wait: usize,
}

/// Seconds through which an axis keeps one value.
#[derive(Debug, Default)]
struct Constant {
    value: f32,
    /// Seconds of the present stretch, and the bounds in it of the norm and of the other axes' means.
    seconds: u64,
    bounds: [(f32, f32); 3],
    /// Seconds of all stretches in which the axis was stuck.
    stuck: u64,
}

impl Constant {
    fn push(&mut self, (value, sd): (f32, f32), seen: [f32; 3]) {
        if sd != 0.0 || value != self.value {
            self.close();
        }
        if sd != 0.0 {
            return;
        }
        if self.seconds == 0 {
            (self.value, self.bounds) = (value, seen.map(|seen| (seen, seen)));
        }
        self.seconds += 1;
        for (bounds, seen) in self.bounds.iter_mut().zip(seen) {
            *bounds = (bounds.0.min(seen), bounds.1.max(seen));
        }
    }

    fn close(&mut self) {
        let [norm, ..] = self.bounds;
        let [bend, one, other] = self.bounds.map(|(low, high)| (high - low) / norm.1);
        let made_up = self.value == 0.0 && (one.min(other) >= TURN || self.seconds >= LONG_CONSTANT);
        if self.seconds >= FEWEST_CONSTANT && one.max(other) >= TURN && (made_up || bend >= BEND) {
            self.stuck += self.seconds;
        }
        self.seconds = 0;
    }
}

impl Norms {
    /// Looks at some of the seconds of a chunk; `rate` in Hz.
    pub fn push(&mut self, batch: &Batch, rate: f64) {
        let n = if rate.is_finite() { (rate.round() as usize).clamp(8, 4096) } else { 100 };
        self.stride = self.stride.max(1);
        let mut position = self.wait;
        while position + n <= batch.len() {
            let second = batch.xyz.each_ref().map(|axis| axis.get(position..position + n).unwrap_or_default());
            self.second(second);
            if self.still.len() + self.moving.len() >= KEPT {
                self.thin();
            }
            position += n * self.stride;
        }
        // a second that the chunk's end would cut begins with the next chunk
        self.wait = position.saturating_sub(batch.len());
    }

    fn second(&mut self, axes: [&[f32]; 3]) {
        let [(x, sd_x), (y, sd_y), (z, sd_z)] = axes.map(mean_and_deviation);
        let norm = (x * x + y * y + z * z).sqrt();
        let sd = sd_x.max(sd_y).max(sd_z);
        self.seconds += 1;
        if norm == 0.0 && sd == 0.0 {
            self.zeros += 1;
        }
        if !norm.is_finite() || !sd.is_finite() || (norm == 0.0 && sd == 0.0) {
            return;
        }
        let [along_x, along_y, along_z] = axes;
        let varied = [sd_x, sd_y, sd_z].map(|sd| sd > 0.0);
        self.equal += u64::from(match varied {
            [true, true, _] if along_x == along_y => true,
            [true, _, true] if along_x == along_z => true,
            [_, true, true] => along_y == along_z,
            _ => false,
        });
        let zeros = [(x, sd_x), (y, sd_y), (z, sd_z)].iter().filter(|axis| **axis == (0.0, 0.0)).count();
        self.flat += u64::from(zeros == 2 && sd > 0.0);
        let [on_x, on_y, on_z] = &mut self.constant;
        on_x.push((x, sd_x), [norm, y, z]);
        on_y.push((y, sd_y), [norm, z, x]);
        on_z.push((z, sd_z), [norm, x, y]);
        if sd <= STILL * norm { self.still.push(norm) } else { self.moving.push(norm) }
    }

    /// Keeps every second one of what there is, and looks half as often from now on.
    fn thin(&mut self) {
        for norms in [&mut self.still, &mut self.moving] {
            let mut keep = false;
            norms.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.stride *= 2;
    }

    /// The norm that decides, g, and whether it can be gravity; NaN and true if unknown.
    pub fn judge(mut self) -> (f64, bool) {
        let enough = self.still.len() >= ENOUGH || self.still.len() * ENOUGH >= self.moving.len();
        let (norms, (low, high)) = if enough && !self.still.is_empty() {
            (&mut self.still, STILL_BOUNDS)
        } else {
            (&mut self.moving, MOVING_BOUNDS)
        };
        let middle = norms.len() / 2;
        if norms.is_empty() {
            return if self.zeros > 0 { (0.0, false) } else { (f64::NAN, true) };
        }
        let median = f64::from(*norms.select_nth_unstable_by(middle, f32::total_cmp).1);
        (median, (low..=high).contains(&median))
    }
}

/// Mean and standard deviation of the finite values; NaN where fewer than half are.
fn mean_and_deviation(values: &[f32]) -> (f32, f32) {
    const LANES: usize = 8;
    // about the first value, so that the square of a large offset does not swallow the deviation
    let origin = values.iter().copied().find(|v| v.is_finite()).unwrap_or(f32::NAN);
    let (mut sum, mut square, mut n) = ([0f32; LANES], [0f32; LANES], values.len() as f32);
    for row in values.chunks(LANES) {
        for ((value, sum), square) in row.iter().zip(&mut sum).zip(&mut square) {
            let off = value - origin;
            *sum += off;
            *square += off * off;
        }
    }
    let [mut sum, mut square] = [sum, square].map(|lanes| lanes.iter().sum::<f32>());
    if !square.is_finite() {
        let offs = values.iter().map(|value| value - origin).filter(|off| off.is_finite());
        (sum, square, n) = offs.fold((0.0, 0.0, 0.0), |(sum, square, n), off| (sum + off, square + off * off, n + 1.0));
    }
    if 2.0 * n < values.len() as f32 {
        return (f32::NAN, f32::NAN);
    }
    let mean = sum / n;
    (origin + mean, (square / n - mean * mean).max(0.0).sqrt())
}

/// Notes seconds of zeros, axes that never change or are the same, norms that only a part of the stream has, and a norm that cannot be gravity, unless the reader has. Returns the norm.
pub fn check_values(mut norms: Norms, quality: &mut Quality) -> f64 {
    if norms.zeros > 0 {
        let share = norms.zeros as f64 / norms.seconds as f64;
        quality.note(Event { value: share, ..Event::at("zero_values", 0, 0) });
    }
    for axis in &mut norms.constant {
        axis.close();
        let share = axis.stuck as f64 / norms.seconds.max(1) as f64;
        if share >= CONSTANT_SHARE {
            quality.note(Event { value: share, ..Event::at("constant_axis", 0, 0) });
        }
    }
    let share = |seconds: u64| seconds as f64 / norms.seconds.max(1) as f64;
    for (kind, share, least) in
        [("equal_axes", share(norms.equal), CONSTANT_SHARE), ("constant_axis", share(norms.flat), FLAT_SHARE)]
    {
        if share >= least {
            quality.note(Event { value: share, ..Event::at(kind, 0, 0) });
        }
    }
    let off = norms.still.iter().filter(|norm| !(OFF_BOUNDS.0..=OFF_BOUNDS.1).contains(*norm)).count();
    let off = off as f64 / norms.still.len().max(ENOUGH) as f64;
    let (norm, likely) = norms.judge();
    if likely && off >= OFF_SHARE {
        quality.note(Event { value: off, ..Event::at("norm_changes", 0, 0) });
    }
    if !likely && quality.count("unusual_norm") == 0 {
        quality.note(Event { value: norm, ..Event::at("unusual_norm", 0, 0) });
    }
    norm
}

/// Notes a rate that no accelerometer has, and one that is not the nominal one. Both in Hz, 0 or NaN where unknown.
pub fn check_rate(format: &str, nominal: f64, measured: f64, quality: &mut Quality) {
    let known = if measured.is_finite() && measured > 0.0 { measured } else { nominal };
    if known > 0.0 && !(RATES.0..=RATES.1).contains(&known) {
        quality.note(Event { value: known, ..Event::at("unusual_rate", 0, 0) });
    }
    let tolerance = if matches!(format, "cwa" | "matrix") { FREE_OSCILLATOR } else { QUARTZ };
    let changes = quality.count("rate_change") > 0;
    if nominal > 0.0 && !changes && measured.is_finite() && (measured / nominal - 1.0).abs() > tolerance {
        quality.note(Event { value: measured, ..Event::at("rate_differs", 0, 0) });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// Seconds of 100 samples along z, with a triangle of this height on x.
    fn batch(seconds: usize, z: f32, height: f32) -> Batch {
        let n = 100 * seconds;
        let x = (0..n).map(|i| height * ((i % 10) as f32 / 5.0 - 0.9)).collect();
        Batch { xyz: [x, vec![0.0; n], vec![z; n]], ..Batch::default() }
    }

    fn judged(batches: &[Batch]) -> (f64, bool) {
        let mut norms = Norms::default();
        batches.iter().for_each(|batch| norms.push(batch, 100.0));
        norms.judge()
    }

    #[test]
    fn still_seconds_of_any_unit_are_judged_by_their_norm() {
        for (z, likely) in [(1.0, true), (0.85, true), (9.81, false), (0.0156, false), (1000.0, false), (0.102, false)]
        {
            let (norm, stuck) = judged(&[batch(60, z, 0.001 * z)]);
            assert_eq!(stuck, likely, "{z}");
            assert!((norm - f64::from(z)).abs() < 1e-3 * f64::from(z), "{z}: {norm}");
        }
    }

    #[test]
    fn motion_alone_is_judged_by_wider_bounds_and_not_at_all_where_seconds_are_still() {
        assert!(judged(&[batch(60, 1.6, 1.0)]).1);
        assert!(!judged(&[batch(60, 9.8, 5.0)]).1);
        assert!(!judged(&[batch(60, 1.6, 1.0), batch(6, 1.6, 0.0)]).1);
    }

    #[test]
    fn zeros_and_missing_values_do_not_count() {
        assert_eq!(judged(&[batch(60, 0.0, 0.0)]), (0.0, false));
        let (norm, likely) = judged(&[batch(600, 0.0, 0.0), batch(30, 9.8, 0.01)]);
        assert!(!likely && (norm - 9.8).abs() < 0.01);
        assert!(judged(&[batch(60, f32::NAN, 0.0)]).0.is_nan());
        let mut half = batch(60, 1.0, 0.0);
        half.xyz[2].iter_mut().step_by(3).for_each(|v| *v = f32::NAN);
        assert_eq!(judged(&[half]), (1.0, true));
    }

    #[test]
    fn seconds_of_zeros_are_noted_with_their_share() {
        let mut norms = Norms::default();
        norms.push(&batch(45, 1.0, 0.01), 100.0);
        norms.push(&batch(15, 0.0, 0.0), 100.0);
        let mut quality = Quality::default();
        check_values(norms, &mut quality);
        let [event] = &quality.events[..] else { unreachable!("{:?}", quality.events) };
        assert_eq!((event.kind, event.value), ("zero_values", 0.25));
    }

    #[test]
    fn an_axis_that_keeps_its_value_while_the_device_turns_is_noted_with_its_share() {
        /// A minute, in which x and y turn by so much; z changes in these seconds.
        fn noted(turns: [f32; 2], z: f32, changes: std::ops::Range<usize>) -> Vec<f64> {
            let mut norms = Norms::default();
            for second in 0..60 {
                let mut batch = batch(1, z, 0.2);
                let position = second as f32 / 59.0;
                let [x, y, z] = &mut batch.xyz;
                x.iter_mut().for_each(|x| *x += turns[0] * position);
                y.iter_mut().zip(x).for_each(|(y, x)| *y = *x + (turns[1] - turns[0]) * position);
                if changes.contains(&second) {
                    z.iter_mut().step_by(7).for_each(|z| *z += 0.02);
                }
                norms.push(&batch, 100.0);
            }
            let mut quality = Quality::default();
            check_values(norms, &mut quality);
            quality.events.iter().filter(|event| event.kind == "constant_axis").map(|event| event.value).collect()
        }
        assert_eq!(noted([0.9, 0.9], 1.0, 0..0), [1.0]);
        assert_eq!(noted([0.3, 0.3], 0.0, 0..0), [1.0]);
        assert_eq!(noted([-1.8, 1.8], 1.0, 30..60), [0.5]);
        assert!(noted([0.9, 0.9], 1.0, 8..60).is_empty());
        // one axis alone changes: gravity cannot
        assert_eq!(noted([0.9, 0.0], 1.0, 0..0), [1.0]);
        // a small turn that leaves gravity its length, and a device that vibrates where it lies
        assert!(noted([0.3, 0.3], 1.0, 0..0).is_empty());
        assert!(noted([0.0, 0.0], 1.0, 0..0).is_empty());
    }

    #[test]
    #[cfg_attr(miri, ignore = "hours under Miri")]
    fn a_long_stream_is_seen_to_its_end_with_few_seconds_kept() {
        let mut norms = Norms::default();
        for i in 0..40 {
            norms.push(&batch(1000, if i < 10 { 1.0 } else { 4.0 }, 0.0), 100.0);
        }
        assert!(norms.still.len() < KEPT && norms.still.len() > KEPT / 4);
        assert!(norms.stride > 2 && norms.stride.is_power_of_two(), "one in {}", norms.stride);
        assert_eq!(norms.judge(), (4.0, false));
    }

    #[test]
    fn rates_beyond_accelerometers_and_off_the_nominal_one_are_noted() {
        let noted = |nominal, measured, kind: &str| {
            let mut quality = Quality::default();
            check_rate("gt3x", nominal, measured, &mut quality);
            quality.count(kind) == 1
        };
        assert!(noted(0.0, 1.0, "unusual_rate") && noted(20_000.0, f64::NAN, "unusual_rate"));
        assert!(!noted(100.0, 100.0, "unusual_rate") && !noted(0.0, f64::NAN, "unusual_rate"));
        assert!(noted(30.0, 100.0, "rate_differs") && !noted(30.0, 30.2, "rate_differs"));
        let mut quality = Quality::default();
        check_rate("cwa", 100.0, 97.5, &mut quality);
        assert!(quality.counts.is_empty());
    }
}

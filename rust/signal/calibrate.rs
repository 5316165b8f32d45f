//! Autocalibration with gravity: while a device lies still its acceleration has length 1 g, whatever its posture.
//!
//! The means of still windows lie near a sphere that the sensor's offsets and gains have shifted and stretched. Each round
//! takes every mean's nearest point on the unit sphere as its target, fits a straight line per axis from means to targets,
//! and composes it with what was found before (van Hees et al. 2014). With temperature the line has a term in it.
//!
//! Fitting the axes one by one to targets that move with them converges by a constant factor a round. With temperature,
//! which goes along with posture and with the offsets, that factor is near 1: actipy then needs hundreds of rounds, or reaches
//! 1000 and throws the fit away although its error is a fraction of a milligravity. So a fit with temperature takes
//! Gauss-Newton steps on `|v| - 1` for the three axes together, with the same weights, stopping rule and stationary points,
//! and is there in some ten rounds. The number of rounds never makes a fit invalid.

use super::windows::Window;
use crate::arrays::{Signals, check_length};
use crate::error::{Error, Result};
use crate::threads;

/// A mean error that is as good as none, g.
const EXACT_G: f64 = 1e-9;
/// A round's relative gain below which actipy's rule stops.
const RELATIVE_GAIN: f64 = 1e-4;
/// Windows of which a mean this short is taken for a dead sensor, g.
const DEAD_G: f64 = 1e-8;
/// Windows that actipy's rule looks at.
const MAX_WINDOWS: usize = 100_000;
const HOUR: i64 = 3_600_000_000_000;

/// Whose weights and stopping rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Weights fall linearly to 0 at the 99.5th percentile of the errors; stops at a relative gain below 1e-4; keeps the best.
    Actipy,
    /// Weights are one over the error, 100 at most; stops when the weighted mean square changes by less than 1e-10; uses the
    /// first 168 hours and 12 more at a time until the fit is good. GGIR's `g.calibrate`.
    VanHees,
}

/// Numbers of a fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Whose rule.
    pub method: Method,
    /// Whether the lines have a term in temperature.
    pub temperature: bool,
    /// Standard deviation of each axis below which a window is still, g.
    pub tolerance_g: f64,
    /// Still windows needed.
    pub min_windows: usize,
    /// Each axis needs a mean at or beyond this on either side of 0, g.
    pub cube_g: f64,
    /// Rounds at most.
    pub max_iterations: usize,
    /// Mean error below which a recording counts as calibrated, g.
    pub max_error_g: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            method: Method::Actipy,
            temperature: false,
            tolerance_g: 0.013,
            min_windows: 50,
            cube_g: 0.3,
            max_iterations: 1000,
            max_error_g: 0.010,
        }
    }
}

/// `calibrated = offset + gain x + temperature_slope (T - reference_temperature)` and how it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// g.
    pub offset: [f64; 3],
    /// Dimensionless.
    pub gain: [f64; 3],
    /// g per degree Celsius; 0 without temperature.
    pub temperature_slope: [f64; 3],
    /// Mean temperature of the still windows, degrees Celsius; NaN without temperature.
    pub reference_temperature: f64,
    /// Whether the recording counts as calibrated.
    pub ok: bool,
    /// Why, in words.
    pub reason: String,
    /// Mean distance of the still windows to the unit sphere before, g; NaN without any.
    pub error_before_g: f64,
    /// The same after.
    pub error_after_g: f64,
    /// Still windows used.
    pub n_windows: usize,
    /// Rounds done.
    pub n_iterations: usize,
}

impl Calibration {
    /// The calibration that changes nothing.
    pub fn identity() -> Self {
        Self {
            offset: [0.0; 3],
            gain: [1.0; 3],
            temperature_slope: [0.0; 3],
            reference_temperature: f64::NAN,
            ok: false,
            reason: String::new(),
            error_before_g: f64::NAN,
            error_after_g: f64::NAN,
            n_windows: 0,
            n_iterations: 0,
        }
    }

    fn of(mut self, ok: bool, reason: impl Into<String>) -> Self {
        self.ok = ok;
        self.reason = reason.into();
        self
    }

    /// Calibrates the samples of one axis where they lie. `temperature` has one value a sample; where no slope was fitted it
    /// is not read.
    ///
    /// Rounded to float32 before the temperature's share is added, and after.
    pub fn apply_in_place<T: Copy + Into<f64>>(&self, axis: usize, x: &mut [f32], temperature: &[T]) {
        let (offset, gain, slope) = (self.offset[axis], self.gain[axis], self.temperature_slope[axis]);
        for v in x.iter_mut() {
            *v = (offset + gain * f64::from(*v)) as f32;
        }
        if slope != 0.0 {
            for (v, &t) in x.iter_mut().zip(temperature) {
                *v += (slope * (t.into() - self.reference_temperature)) as f32;
            }
        }
    }

    /// Calibrates signals [..., 3, time] into `out`; `temperature` [..., time] where a slope was fitted.
    ///
    /// # Errors
    /// [`Error::Shape`] where the three do not fit each other or samples do not lie side by side.
    pub fn apply(&self, x: &Signals<'_, f32>, temperature: Option<&Signals<'_, f64>>, out: &mut [f32]) -> Result<()> {
        x.check_dense("x")?;
        check_length("out", out.len(), &[x.count() / 3, 3, x.time()])?;
        if let Some(temperature) = temperature {
            temperature.check_dense("temperature")?;
            if (temperature.count(), temperature.time()) != (x.count() / 3, x.time()) {
                let expected = format!("{} signals of {} samples", x.count() / 3, x.time());
                return Err(Error::shape(
                    "temperature",
                    expected,
                    format!("{} of {}", temperature.count(), temperature.time()),
                ));
            }
        } else if self.temperature_slope != [0.0; 3] {
            return Err(Error::shape("temperature", "one for each sample, as this calibration has a slope", "None"));
        }
        let signals = out.chunks_mut(x.time().max(1)).enumerate();
        threads::for_each(
            threads::worth(x.count() as f64 * x.time() as f64),
            signals,
            || (),
            |(), (i, out)| {
                out.copy_from_slice(x.get(i));
                self.apply_in_place(i % 3, out, temperature.map_or(&[], |temperature| temperature.get(i / 3)));
            },
        );
        Ok(())
    }

    /// The table that calibrated samples would have given, temperature taken as constant inside a window.
    pub fn apply_to_windows(&self, windows: &mut [Window]) {
        for window in windows {
            let t = window.temperature - self.reference_temperature;
            for k in 0..3 {
                let term = if self.temperature_slope[k] == 0.0 { 0.0 } else { self.temperature_slope[k] * t };
                window.mean[k] = self.offset[k] + self.gain[k] * window.mean[k] + term;
                window.sd[k] *= self.gain[k].abs();
            }
        }
    }
}

/// Still points: means, temperatures off their mean, and when each was.
struct Points {
    mean: Vec<[f64; 3]>,
    temperature: Vec<f64>,
    start: Vec<i64>,
}

impl Points {
    fn first(&self, n: usize) -> Self {
        Self {
            mean: self.mean[..n].to_vec(),
            temperature: self.temperature[..n].to_vec(),
            start: self.start[..n].to_vec(),
        }
    }
}

/// Fits offset, gain and, where asked for, temperature slope to the still ones of `windows`.
///
/// A recording that cannot be calibrated is an answer, not an error: `ok` is false and `reason` says why.
///
/// # Errors
/// [`Error::Value`] for options outside their domain.
///
/// # Source
/// van Hees et al. 2014, J Appl Physiol 117:738, doi:10.1152/japplphysiol.00421.2014.
pub fn calibrate(windows: &[Window], options: &Options) -> Result<Calibration> {
    check(options)?;
    let points = still(windows, options);
    let mut found = Calibration { n_windows: points.mean.len(), ..Calibration::identity() };
    if options.temperature && !windows.is_empty() && windows.iter().all(|w| w.temperature.is_nan()) {
        return Ok(found.of(false, "temperature was to be fitted, and the recording has none"));
    }
    if !points.mean.is_empty() {
        found.error_before_g = mean_error(&points.mean);
        found.error_after_g = found.error_before_g;
    }
    if found.n_windows < options.min_windows.max(1) {
        let reason = format!("too few still windows: {} of at least {}", found.n_windows, options.min_windows.max(1));
        return Ok(found.of(false, reason));
    }
    if let Some(reason) = narrow(&points.mean, options.cube_g) {
        return Ok(found.of(false, reason));
    }
    if found.error_before_g < options.max_error_g && options.method == Method::Actipy {
        let reason = format!("already within {} mg before calibration: left unchanged", options.max_error_g * 1e3);
        return Ok(found.of(true, reason));
    }
    Ok(match options.method {
        Method::Actipy => finish(fit(&points, options, &mut ActipyRule::new(points.mean.len())), options),
        Method::VanHees => van_hees(&points, options),
    })
}

fn check(options: &Options) -> Result<()> {
    for (name, value) in [("tolerance_g", options.tolerance_g), ("max_error_mg", options.max_error_g * 1e3)] {
        if value.is_nan() || value <= 0.0 {
            return Err(Error::value(name, "a positive number", value));
        }
    }
    if !(options.cube_g >= 0.0 && options.cube_g < 1.0) {
        return Err(Error::value("cube_g", "from 0 to below 1 g", options.cube_g));
    }
    if options.max_iterations == 0 {
        return Err(Error::value("max_iterations", "at least 1", 0));
    }
    Ok(())
}

fn still(windows: &[Window], options: &Options) -> Points {
    let van_hees = options.method == Method::VanHees;
    let mut points = Points { mean: Vec::new(), temperature: Vec::new(), start: Vec::new() };
    // GGIR drops the first window, and one that repeats the window before it.
    let mut previous: Option<&Window> = None;
    for window in windows.iter().skip(usize::from(van_hees)) {
        let length = norm(&window.mean);
        let repeats = van_hees && previous.is_some_and(|p| p.mean == window.mean && p.sd == window.sd);
        previous = Some(window);
        let calm = window.sd.iter().all(|&sd| sd < options.tolerance_g);
        let far = van_hees && window.mean.iter().any(|m| m.abs() >= 2.0);
        let warm = !options.temperature || !window.temperature.is_nan();
        if calm && length > DEAD_G && warm && !repeats && !far {
            points.mean.push(window.mean);
            points.temperature.push(window.temperature);
            points.start.push(window.start);
        }
    }
    if !van_hees {
        points.mean.truncate(MAX_WINDOWS);
        points.temperature.truncate(MAX_WINDOWS);
        points.start.truncate(MAX_WINDOWS);
    }
    points
}

/// Why the points cover too little of the sphere, if they do.
fn narrow(points: &[[f64; 3]], cube: f64) -> Option<String> {
    for (k, name) in ["x", "y", "z"].iter().enumerate() {
        let low = points.iter().map(|p| p[k]).fold(f64::INFINITY, f64::min);
        let high = points.iter().map(|p| p[k]).fold(f64::NEG_INFINITY, f64::max);
        if high < cube || low > -cube {
            let wanted =
                if cube > 0.0 { format!("beyond -{cube} and {cube} g") } else { "on both sides of 0 g".into() };
            return Some(format!("too few postures: still {name} goes from {low:.2} to {high:.2} g, not {wanted}"));
        }
    }
    None
}

fn norm(v: &[f64; 3]) -> f64 {
    (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]).sqrt()
}

fn mean_error(points: &[[f64; 3]]) -> f64 {
    points.iter().map(|p| (norm(p) - 1.0).abs()).sum::<f64>() / points.len() as f64
}

fn finish(mut found: Calibration, options: &Options) -> Calibration {
    let error = found.error_after_g * 1e3;
    found.ok = found.error_after_g < options.max_error_g;
    found.reason = if found.ok {
        format!("calibrated: {:.3} mg before, {error:.3} mg after", found.error_before_g * 1e3)
    } else {
        format!("error after calibration is {error:.1} mg, not below {} mg", options.max_error_g * 1e3)
    };
    found
}

/// Weights and stopping rule of a fit.
trait Rule {
    /// Weights of a round from the errors before it.
    fn weigh(&mut self, errors: &[f64], weights: &mut [f64]);
    /// Told the errors after a round, whether to stop.
    fn stop(&mut self, errors: &[f64], weights: &[f64], best: f64) -> bool;
    /// Whether the best round counts, not the last.
    const BEST: bool;
}

struct ActipyRule {
    sorted: Vec<f64>,
}

impl ActipyRule {
    fn new(n: usize) -> Self {
        Self { sorted: Vec::with_capacity(n) }
    }
}

impl Rule for ActipyRule {
    const BEST: bool = true;

    fn weigh(&mut self, errors: &[f64], weights: &mut [f64]) {
        self.sorted.clear();
        self.sorted.extend_from_slice(errors);
        let largest = quantile(&mut self.sorted, 0.995);
        for (weight, error) in weights.iter_mut().zip(errors) {
            // All errors 0: every point is as good as any other.
            *weight = if largest > 0.0 { (1.0 - error / largest).max(0.0) } else { 1.0 };
        }
    }

    fn stop(&mut self, errors: &[f64], _weights: &[f64], best: f64) -> bool {
        let error = mean(errors);
        // The first round has nothing to compare with.
        error < EXACT_G || (best.is_finite() && best - error < RELATIVE_GAIN * best)
    }
}

struct VanHeesRule {
    square: f64,
}

impl Rule for VanHeesRule {
    const BEST: bool = false;

    fn weigh(&mut self, errors: &[f64], weights: &mut [f64]) {
        for (weight, error) in weights.iter_mut().zip(errors) {
            // The first round has no errors yet: weights 1.
            *weight = if self.square.is_finite() { (1.0 / error).min(100.0) } else { 1.0 };
        }
    }

    fn stop(&mut self, errors: &[f64], weights: &[f64], _best: f64) -> bool {
        let total: f64 = weights.iter().sum();
        let square = errors.iter().zip(weights).map(|(e, w)| w * e * e).sum::<f64>() / total;
        let stop = (square - self.square).abs() < 1e-10;
        self.square = square;
        stop
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Linear between order statistics, as NumPy's default.
fn quantile(values: &mut [f64], q: f64) -> f64 {
    let position = (values.len() - 1) as f64 * q;
    let (_, &mut low, above) = values.select_nth_unstable_by(position as usize, f64::total_cmp);
    let high = above.iter().copied().fold(f64::INFINITY, f64::min);
    if above.is_empty() { low } else { low + (high - low) * position.fract() }
}

/// The rounds.
fn fit<R: Rule>(points: &Points, options: &Options, rule: &mut R) -> Calibration {
    let n = points.mean.len();
    let mut found = Calibration { n_windows: n, error_before_g: mean_error(&points.mean), ..Calibration::identity() };
    let mut temperature = Vec::new();
    if options.temperature {
        found.reference_temperature = mean(&points.temperature);
        temperature.extend(points.temperature.iter().map(|t| t - found.reference_temperature));
    }
    let mut best = Calibration { error_after_g: f64::INFINITY, ..found.clone() };
    let mut current = points.mean.clone();
    let mut errors: Vec<f64> = current.iter().map(|p| (norm(p) - 1.0).abs()).collect();
    let mut weights = vec![1.0; n];
    for round in 1..=options.max_iterations {
        rule.weigh(&errors, &mut weights);
        let joint = if R::BEST && options.temperature { newton(&current, &temperature, &weights) } else { None };
        for k in 0..3 {
            let [a, b, c] = joint.map_or_else(|| line(&current, &temperature, &weights, k), |lines| lines[k]);
            found.offset[k] = a + found.offset[k] * b;
            found.gain[k] *= b;
            found.temperature_slope[k] = c + found.temperature_slope[k] * b;
        }
        for (i, (current, point)) in current.iter_mut().zip(&points.mean).enumerate() {
            let t = temperature.get(i).copied().unwrap_or(0.0);
            for k in 0..3 {
                current[k] = found.offset[k] + found.gain[k] * point[k] + found.temperature_slope[k] * t;
            }
        }
        for (error, point) in errors.iter_mut().zip(&current) {
            *error = (norm(point) - 1.0).abs();
        }
        found.error_after_g = mean(&errors);
        let stop = rule.stop(&errors, &weights, best.error_after_g);
        if found.error_after_g < best.error_after_g || !R::BEST {
            best = found.clone();
        }
        best.n_iterations = round;
        if stop {
            break;
        }
    }
    best
}

/// Weighted least squares of the nearest points on the sphere on `1, current, temperature` for one axis.
fn line(current: &[[f64; 3]], temperature: &[f64], weights: &[f64], k: usize) -> [f64; 3] {
    let (mut w1, mut wx, mut wy, mut wxx, mut wxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let (mut wt, mut wtt, mut wtx, mut wty) = (0.0, 0.0, 0.0, 0.0);
    for (i, (point, &w)) in current.iter().zip(weights).enumerate() {
        let x = point[k];
        let y = x / norm(point);
        w1 += w;
        wx += w * x;
        wy += w * y;
        wxx += w * x * x;
        wxy += w * x * y;
        if let Some(&t) = temperature.get(i) {
            wt += w * t;
            wtt += w * t * t;
            wtx += w * t * x;
            wty += w * t * y;
        }
    }
    let (mx, my, mt) = (wx / w1, wy / w1, wt / w1);
    let (sxx, sxy) = (wxx - wx * mx, wxy - wx * my);
    let (stt, stx, sty) = (wtt - wt * mt, wtx - wt * mx, wty - wt * my);
    // A temperature that does not vary, or only as the axis does, says nothing of its own.
    let determinant = sxx * stt - stx * stx;
    let (b, c) = if determinant > 1e-12 * sxx * stt {
        ((sxy * stt - sty * stx) / determinant, (sty * sxx - sxy * stx) / determinant)
    } else if sxx > 0.0 {
        (sxy / sxx, 0.0)
    } else {
        (1.0, 0.0)
    };
    [my - b * mx - c * mt, b, c]
}

/// One Gauss-Newton step of `sum w (|v| - 1)^2` in all nine numbers: lines `[a, b, c]` of the three axes. None where the
/// points do not determine it.
fn newton(current: &[[f64; 3]], temperature: &[f64], weights: &[f64]) -> Option<[[f64; 3]; 3]> {
    let mut normal = [[0.0; 10]; 9];
    for ((v, &t), &w) in current.iter().zip(temperature).zip(weights).filter(|(_, w)| **w > 0.0) {
        let length = norm(v);
        let mut row = [0.0; 10];
        for k in 0..3 {
            let along = v[k] / length;
            [row[3 * k], row[3 * k + 1], row[3 * k + 2]] = [along, along * v[k], along * t];
        }
        row[9] = 1.0 - length;
        for (i, equation) in normal.iter_mut().enumerate() {
            for (sum, value) in equation.iter_mut().zip(row) {
                *sum += w * row[i] * value;
            }
        }
    }
    let step = solve(normal)?;
    Some(std::array::from_fn(|k| [step[3 * k], 1.0 + step[3 * k + 1], step[3 * k + 2]]))
}

/// Solves nine symmetric equations, their right sides in the last column; None where one depends on the others.
fn solve(mut m: [[f64; 10]; 9]) -> Option<[f64; 9]> {
    let diagonal: [f64; 9] = std::array::from_fn(|i| m[i][i]);
    for i in 0..9 {
        // Without exchange of rows: the matrix is positive definite, or there is no answer.
        if m[i][i] <= 1e-10 * diagonal[i] || diagonal[i] <= 0.0 {
            return None;
        }
        let pivot = m[i];
        for row in &mut m[i + 1..] {
            let factor = row[i] / pivot[i];
            for (value, pivot) in row.iter_mut().zip(pivot).skip(i) {
                *value -= factor * pivot;
            }
        }
    }
    let mut x = [0.0; 9];
    for i in (0..9).rev() {
        let known: f64 = (i + 1..9).map(|j| m[i][j] * x[j]).sum();
        x[i] = (m[i][9] - known) / m[i][i];
    }
    Some(x)
}

/// GGIR's order of trials: the first 168 hours, then 12 more at a time until the fit is good or nothing is left.
fn van_hees(points: &Points, options: &Options) -> Calibration {
    let n = points.mean.len();
    let origin = points.start[0];
    let mut hours = 168;
    loop {
        let used = points.start.partition_point(|&start| start < origin.saturating_add(hours * HOUR));
        let part = points.first(used);
        let enough = used >= options.min_windows.max(1) && narrow(&part.mean, options.cube_g).is_none();
        if enough || used == n {
            let found = finish(fit(&part, options, &mut VanHeesRule { square: f64::INFINITY }), options);
            let better = found.error_after_g < found.error_before_g;
            if (found.ok && better) || used == n {
                let reason = "the fit did not lessen the error";
                return if found.ok && !better { found.of(false, reason) } else { found };
            }
        }
        hours += 12;
    }
}

#[cfg(test)]
#[path = "calibrate_tests.rs"]
mod tests;

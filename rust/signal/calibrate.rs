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

use super::fit::{ActipyRule, Rule, VanHeesRule, fit, mean, mean_error, norm};
use super::windows::Window;
use crate::arrays::{Signals, check_length};
use crate::error::{Error, Result};
use crate::threads;

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

    fn judged(mut self, ok: bool, reason: impl Into<String>) -> Self {
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
    let mut calibration = Calibration { n_windows: points.mean.len(), ..Calibration::identity() };
    if options.temperature && !windows.is_empty() && windows.iter().all(|w| w.temperature.is_nan()) {
        return Ok(calibration.judged(false, "temperature was to be fitted, and the recording has none"));
    }
    if !points.mean.is_empty() {
        calibration.error_before_g = mean_error(&points.mean);
        calibration.error_after_g = calibration.error_before_g;
    }
    if calibration.n_windows < options.min_windows.max(1) {
        let reason =
            format!("too few still windows: {} of at least {}", calibration.n_windows, options.min_windows.max(1));
        return Ok(calibration.judged(false, reason));
    }
    if let Some(reason) = narrow(&points.mean, options.cube_g) {
        return Ok(calibration.judged(false, reason));
    }
    if calibration.error_before_g < options.max_error_g && options.method == Method::Actipy {
        let reason = format!("already within {} mg before calibration: left unchanged", options.max_error_g * 1e3);
        return Ok(calibration.judged(true, reason));
    }
    Ok(match options.method {
        Method::Actipy => fitted(&points, options, &mut ActipyRule::new(points.mean.len())),
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
            let limit = if cube > 0.0 { format!("beyond -{cube} and {cube} g") } else { "on both sides of 0 g".into() };
            return Some(format!("too few postures: still {name} goes from {low:.2} to {high:.2} g, not {limit}"));
        }
    }
    None
}

/// The rounds of a rule over the points.
fn fitted<R: Rule>(points: &Points, options: &Options, rule: &mut R) -> Calibration {
    let reference = if options.temperature { mean(&points.temperature) } else { f64::NAN };
    let temperature: Vec<f64> =
        if options.temperature { points.temperature.iter().map(|t| t - reference).collect() } else { Vec::new() };
    let lines = fit(&points.mean, &temperature, options.max_iterations, rule);
    let mut calibration = Calibration {
        offset: lines.offset,
        gain: lines.gain,
        temperature_slope: lines.slope,
        reference_temperature: reference,
        error_before_g: mean_error(&points.mean),
        error_after_g: lines.error,
        n_windows: points.mean.len(),
        n_iterations: lines.rounds,
        ..Calibration::identity()
    };
    let error = calibration.error_after_g * 1e3;
    calibration.ok = calibration.error_after_g < options.max_error_g;
    calibration.reason = if calibration.ok {
        format!("calibrated: {:.3} mg before, {error:.3} mg after", calibration.error_before_g * 1e3)
    } else {
        format!("error after calibration is {error:.1} mg, not below {} mg", options.max_error_g * 1e3)
    };
    calibration
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
            let calibration = fitted(&part, options, &mut VanHeesRule::new());
            let better = calibration.error_after_g < calibration.error_before_g;
            if (calibration.ok && better) || used == n {
                let reason = "the fit did not lessen the error";
                return if calibration.ok && !better { calibration.judged(false, reason) } else { calibration };
            }
        }
        hours += 12;
    }
}

#[cfg(test)]
#[path = "calibrate_tests.rs"]
mod tests;

use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::arrays::{items, read, signals, slice, strides, write};
use super::run;
use super::words::Word;
use crate::error::{Error, Result};
use crate::signal::butterworth::Butterworth;
use crate::signal::calibrate::{self, Calibration};
use crate::signal::filter;
use crate::signal::grid::{Grid, Method};
use crate::signal::polyphase::Polyphase;
use crate::signal::resample::{self, Resampler};
use crate::signal::wear::{self, Episode, LengthRule};
use crate::signal::windows::{Missing, Window, WindowStatistics, slide};

type Columns<'py> = (
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray1<f64>>,
);

#[pyfunction]
fn lowpass(
    py: Python<'_>,
    x: &Bound<'_, PyUntypedArray>,
    out: &Bound<'_, PyUntypedArray>,
    sample_rate: f64,
    cutoff: f64,
    order: usize,
) -> PyResult<()> {
    let (x, mut out) = (read("x", x)?, write("out", out)?);
    let (x, out) = (signals("x", &x), items("out", &mut out)?);
    run(py, || filter::lowpass(&x?, out, &Butterworth::lowpass(order, cutoff, sample_rate)?))
}

#[pyfunction]
fn butterworth_sos(py: Python<'_>, sample_rate: f64, cutoff: f64, order: usize) -> PyResult<Bound<'_, PyArray2<f64>>> {
    let sos = run(py, || Ok(Butterworth::lowpass(order, cutoff, sample_rate)?.sos()))?;
    let rows: Vec<Vec<f64>> = sos.iter().map(|row| row.to_vec()).collect();
    Ok(PyArray2::from_vec2(py, &rows)?)
}

/// Number of grid points and their times.
#[pyfunction]
fn resample_grid(
    py: Python<'_>,
    first: i64,
    last: i64,
    rate: f64,
    method: Word<Method>,
) -> PyResult<Py<PyArray1<i64>>> {
    let times = run(py, || {
        let method = method.0;
        let grid = Grid::new(first, rate)?;
        let count = grid.count(last, method);
        let grid = if method == Method::Nearest { grid.as_actipy(count) } else { grid };
        Ok((0..count).map(|i| grid.time(i)).collect::<Vec<i64>>())
    })?;
    Ok(times.into_pyarray(py).unbind())
}

#[pyfunction]
#[pyo3(signature = (x, time, out, *, count, rate, method, max_gap_s, sample_rate))]
#[allow(clippy::too_many_arguments)] // the Python wrapper groups and checks them
fn resample_rows(
    py: Python<'_>,
    x: &Bound<'_, PyUntypedArray>,
    time: PyReadonlyArray1<'_, i64>,
    out: &Bound<'_, PyUntypedArray>,
    count: usize,
    rate: f64,
    method: Word<Method>,
    max_gap_s: f64,
    sample_rate: f64,
) -> PyResult<()> {
    let (x, mut out) = (read("x", x)?, write("out", out)?);
    let (x, out, time) = (signals("x", &x), items("out", &mut out)?, slice("time", &time));
    run(py, || {
        let time = time?;
        let method = method.0;
        let grid = Grid::new(time.first().copied().unwrap_or(0), rate)?;
        let grid = if method == Method::Nearest { grid.as_actipy(count as u64) } else { grid };
        let resampler = Resampler::new(grid, method, max_gap_s, sample_rate)?;
        resample::resample(&x?, time, &resampler, count, out)
    })
}

#[pyfunction]
fn resample_polyphase(
    py: Python<'_>,
    x: &Bound<'_, PyUntypedArray>,
    out: &Bound<'_, PyUntypedArray>,
    up: usize,
    down: usize,
) -> PyResult<()> {
    let (x, mut out) = (read("x", x)?, write("out", out)?);
    let (x, out) = (signals("x", &x), items("out", &mut out)?);
    run(py, || Polyphase::new(up, down)?.resample(&x?, out))
}

/// Window table of a recording: starts, counts, means, deviations, temperatures. `slide` > 1 merges that many neighbours
/// from every start.
#[pyfunction]
#[pyo3(signature = (x, time, temperature, *, length_ns, fill, slide_by))]
fn window_statistics<'py>(
    py: Python<'py>,
    x: PyReadonlyArray2<'py, f32>,
    time: PyReadonlyArray1<'py, i64>,
    temperature: Option<PyReadonlyArray1<'py, f32>>,
    length_ns: i64,
    fill: bool,
    slide_by: usize,
) -> PyResult<Columns<'py>> {
    let x = signals("x", &x);
    let time = slice("time", &time);
    let temperature = temperature.as_ref().map_or(Ok(&[][..]), |t| slice("temperature", t));
    let windows = run(py, || {
        let (x, time, temperature) = (x?, time?, temperature?);
        x.check_dense("x")?;
        if x.count() != 3 {
            return Err(Error::shape("x", "three axes", x.count()));
        }
        if x.time() != time.len() || !(temperature.is_empty() || temperature.len() == time.len()) {
            return Err(Error::shape("time", format!("{} times, one a sample", x.time()), time.len()));
        }
        let missing = if fill { Missing::Fill } else { Missing::Skip };
        let mut statistics = WindowStatistics::new(length_ns, None, missing)?;
        statistics.push(time, [0, 1, 2].map(|axis| x.get(axis)), temperature);
        let windows = statistics.finish();
        Ok(if slide_by > 1 { slide(&windows, length_ns, slide_by) } else { windows })
    })?;
    columns(py, &windows)
}

fn columns<'py>(py: Python<'py>, windows: &[Window]) -> PyResult<Columns<'py>> {
    let axes = |value: fn(&Window) -> [f64; 3]| {
        let flat: Vec<f64> = windows.iter().flat_map(value).collect();
        flat.into_pyarray(py).reshape([windows.len(), 3])
    };
    Ok((
        windows.iter().map(|w| w.start).collect::<Vec<_>>().into_pyarray(py),
        windows.iter().map(|w| w.n).collect::<Vec<_>>().into_pyarray(py),
        axes(|w| w.mean)?,
        axes(|w| w.sd)?,
        windows.iter().map(|w| w.temperature).collect::<Vec<_>>().into_pyarray(py),
    ))
}

fn table(
    start: &PyReadonlyArray1<'_, i64>,
    mean: &PyReadonlyArray2<'_, f64>,
    sd: &PyReadonlyArray2<'_, f64>,
    temperature: Option<&PyReadonlyArray1<'_, f64>>,
) -> Result<Vec<Window>> {
    let start = slice("start", start)?;
    let n = start.len();
    let temperature = temperature.map(|t| slice("temperature", t)).transpose()?;
    if mean.shape() != [n, 3] || sd.shape() != [n, 3] || temperature.is_some_and(|t| t.len() != n) {
        return Err(Error::shape("windows", format!("columns of {n} rows"), format!("means of {:?}", mean.shape())));
    }
    strides("mean", mean)?;
    strides("sd", sd)?;
    let (mean, sd) = (mean.as_array(), sd.as_array());
    let row = |array: &numpy::ndarray::ArrayView2<'_, f64>, i: usize| [array[[i, 0]], array[[i, 1]], array[[i, 2]]];
    Ok((0..n)
        .map(|i| Window {
            start: start[i],
            n: 0,
            mean: row(&mean, i),
            sd: row(&sd, i),
            temperature: temperature.map_or(f64::NAN, |t| t[i]),
        })
        .collect())
}

/// How a calibration is fitted, by the names of a recipe's section `calibration`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(super) struct FitOptions {
    method: Word<calibrate::Method>,
    temperature: bool,
    stationary_g: f64,
    min_windows: usize,
    cube_g: f64,
    max_iterations: usize,
    max_error_mg: f64,
}

impl FitOptions {
    pub(super) fn options(&self) -> calibrate::Options {
        calibrate::Options {
            method: self.method.0,
            temperature: self.temperature,
            tolerance_g: self.stationary_g,
            min_windows: self.min_windows,
            cube_g: self.cube_g,
            max_iterations: self.max_iterations,
            max_error_g: self.max_error_mg / 1e3,
        }
    }
}

/// A fitted calibration, as a dict of these names.
#[derive(IntoPyObject)]
pub(super) struct CalibrationFit {
    offset: [f64; 3],
    gain: [f64; 3],
    temperature_slope: [f64; 3],
    reference_temperature: f64,
    ok: bool,
    reason: String,
    error_before_mg: f64,
    error_after_mg: f64,
    n_windows: usize,
    n_iterations: usize,
}

impl From<Calibration> for CalibrationFit {
    fn from(fit: Calibration) -> Self {
        Self {
            offset: fit.offset,
            gain: fit.gain,
            temperature_slope: fit.temperature_slope,
            reference_temperature: fit.reference_temperature,
            ok: fit.ok,
            reason: fit.reason,
            error_before_mg: fit.error_before_g * 1e3,
            error_after_mg: fit.error_after_g * 1e3,
            n_windows: fit.n_windows,
            n_iterations: fit.n_iterations,
        }
    }
}

/// The numbers of an `imuspec.Calibration` that change samples.
#[derive(FromPyObject)]
struct Fitted {
    offset: [f64; 3],
    gain: [f64; 3],
    temperature_slope: [f64; 3],
    reference_temperature: f64,
}

/// Calibrates `x` [..., 3, time] into `out`; `temperature` float64 [..., time] where a slope was fitted.
#[pyfunction]
fn apply_calibration(
    py: Python<'_>,
    fitted: Fitted,
    x: &Bound<'_, PyUntypedArray>,
    temperature: Option<&Bound<'_, PyUntypedArray>>,
    out: &Bound<'_, PyUntypedArray>,
) -> PyResult<()> {
    let Fitted { offset, gain, temperature_slope, reference_temperature } = fitted;
    let calibration = Calibration { offset, gain, temperature_slope, reference_temperature, ..Calibration::identity() };
    let (x, mut out) = (read("x", x)?, write("out", out)?);
    let temperature = temperature.map(|array| read("temperature", array)).transpose()?;
    let (x, out) = (signals("x", &x), items("out", &mut out)?);
    let temperature = temperature.as_ref().map(|array| signals("temperature", array));
    run(py, || calibration.apply(&x?, temperature.transpose()?.as_ref(), out))
}

/// Fits gain, offset and temperature slope to a window table.
#[pyfunction]
fn fit_calibration(
    py: Python<'_>,
    start: PyReadonlyArray1<'_, i64>,
    mean: PyReadonlyArray2<'_, f64>,
    sd: PyReadonlyArray2<'_, f64>,
    temperature: Option<PyReadonlyArray1<'_, f64>>,
    options: FitOptions,
) -> PyResult<CalibrationFit> {
    let windows = table(&start, &mean, &sd, temperature.as_ref());
    run(py, || calibrate::calibrate(&windows?, &options.options())).map(CalibrationFit::from)
}

fn episodes(array: &PyReadonlyArray2<'_, i64>) -> Result<Vec<Episode>> {
    if array.shape().get(1) != Some(&2) {
        return Err(Error::shape("runs", "[k, 2]", format!("{:?}", array.shape())));
    }
    strides("runs", array)?;
    Ok(array.as_array().rows().into_iter().map(|row| Episode { start: row[0], end: row[1] }).collect())
}

type Pairs<'py> = Bound<'py, PyArray2<i64>>;

fn pairs<'py>(py: Python<'py>, episodes: &[Episode]) -> PyResult<Pairs<'py>> {
    let flat: Vec<i64> = episodes.iter().flat_map(|e| [e.start, e.end]).collect();
    flat.into_pyarray(py).reshape([episodes.len(), 2])
}

/// The settings of [`wear_episodes`].
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct WearOptions {
    tolerance_g: f64,
    window_ns: i64,
    step_ns: i64,
    patience_ns: i64,
    rule: Word<LengthRule>,
}

/// Non-wear `[m, 2]` of a window table and wear `[k, 2]` of runs `[r, 2]`, all [start, end) ns.
#[pyfunction]
fn wear_episodes<'py>(
    py: Python<'py>,
    start: PyReadonlyArray1<'py, i64>,
    mean: PyReadonlyArray2<'py, f64>,
    sd: PyReadonlyArray2<'py, f64>,
    runs: PyReadonlyArray2<'py, i64>,
    options: WearOptions,
) -> PyResult<(Pairs<'py>, Pairs<'py>)> {
    let (windows, runs) = (table(&start, &mean, &sd, None), episodes(&runs));
    let (nonwear, segments) = run(py, || {
        let WearOptions { tolerance_g, window_ns, step_ns, patience_ns, rule } = options;
        let options =
            wear::Options { tolerance_g, window: window_ns, step: step_ns, patience: patience_ns, rule: rule.0 };
        let nonwear = wear::nonwear(&windows?, &options)?;
        let segments = wear::segments(&runs?, &nonwear);
        Ok((nonwear, segments))
    })?;
    Ok((pairs(py, &nonwear)?, pairs(py, &segments)?))
}

pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(lowpass, m)?)?;
    m.add_function(wrap_pyfunction!(butterworth_sos, m)?)?;
    m.add_function(wrap_pyfunction!(resample_grid, m)?)?;
    m.add_function(wrap_pyfunction!(resample_rows, m)?)?;
    m.add_function(wrap_pyfunction!(resample_polyphase, m)?)?;
    m.add_function(wrap_pyfunction!(window_statistics, m)?)?;
    m.add_function(wrap_pyfunction!(apply_calibration, m)?)?;
    m.add_function(wrap_pyfunction!(fit_calibration, m)?)?;
    m.add_function(wrap_pyfunction!(wear_episodes, m)?)
}

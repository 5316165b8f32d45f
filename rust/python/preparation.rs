//! `prepare`: a file and a recipe to calibrated wear.

use std::path::Path;

use numpy::{IntoPyArray, PyArrayMethods};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::device::{arrays, events, header, timestamps};
use super::run_on;
use crate::device::Stream;
use crate::device::arrays::ArrayReader;
use crate::device::survey::DateOrder;
use crate::error::{Error, Result};
use crate::preparation::{Order, Prepared, Settings, prepare as prepare_file, prepare_stream};
use crate::signal::calibrate::{self, Calibration};
use crate::signal::resample::Method;
use crate::signal::wear;

pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(prepare, m)?)?;
    m.add_function(wrap_pyfunction!(prepare_arrays, m)?)
}

/// Prepares a file by a recipe's flat settings.
#[pyfunction]
fn prepare<'py>(py: Python<'py>, path: &str, settings: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
    let settings = read_settings(settings)?;
    let prepared = run_on(py, path, || prepare_file(Path::new(path), &settings))?;
    tables(py, prepared, settings.rate)
}

/// The same for the columns of a table, as [`super::device::arrays`] takes them.
#[pyfunction]
fn prepare_arrays<'py>(
    py: Python<'py>,
    path: &str,
    columns: &Bound<'py, PyDict>,
    labels: Vec<String>,
    header: Vec<(String, String)>,
    settings: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyDict>> {
    let settings = read_settings(settings)?;
    let (header, arrays) = arrays(columns, labels, header)?;
    let prepared = run_on(py, path, || {
        let reader = Box::new(ArrayReader::new(header, arrays, settings.timestamps, DateOrder::Auto)?);
        prepare_stream(Stream::new(reader, settings.timestamps), &settings)
    })?;
    tables(py, prepared, settings.rate)
}

struct Flat<'a, 'py>(&'a Bound<'py, PyDict>);

impl<'py> Flat<'_, 'py> {
    fn get<T: for<'a> FromPyObject<'a, 'py>>(&self, key: &str) -> PyResult<T> {
        let value = self.0.get_item(key)?.ok_or_else(|| PyKeyError::new_err(format!("settings: {key} is missing")))?;
        value.extract().map_err(|_| PyValueError::new_err(format!("settings: {key}: got {value}")))
    }

    fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> PyResult<T> {
        let text: String = self.get(key)?;
        words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            PyValueError::new_err(format!("settings: {key}: expected one of {}, got {text}", known.join(", ")))
        })
    }
}

fn nanoseconds(what: &str, seconds: f64) -> Result<i64> {
    if seconds > 0.0 && seconds < 1e9 {
        Ok((seconds * 1e9).round() as i64)
    } else {
        Err(Error::value(what, "a positive number of seconds", seconds))
    }
}

fn read_settings(settings: &Bound<'_, PyDict>) -> PyResult<Settings> {
    let flat = Flat(settings);
    let value = |e: Error| PyValueError::new_err(e.to_string());
    let fit = calibrate::Options {
        method: flat.word(
            "calibration_method",
            &[("actipy", calibrate::Method::Actipy), ("vanhees", calibrate::Method::VanHees)],
        )?,
        temperature: flat.get("calibration_temperature")?,
        tolerance_g: flat.get("calibration_stationary_g")?,
        min_windows: flat.get("calibration_min_windows")?,
        cube_g: flat.get("calibration_cube_g")?,
        max_iterations: flat.get("calibration_max_iterations")?,
        max_error_g: flat.get::<f64>("calibration_max_error_mg")? / 1e3,
    };
    let window = nanoseconds("calibration.window_s", flat.get("calibration_window_s")?).map_err(value)?;
    let nonwear_window = nanoseconds("nonwear.window_s", flat.get("nonwear_window_s")?).map_err(value)?;
    let sliding: bool = flat.get("nonwear_sliding")?;
    let lowpass = (flat.get("lowpass_cutoff_hz")?, flat.get("lowpass_order")?);
    Ok(Settings {
        timestamps: timestamps(&flat.get::<String>("reading_timestamps")?).map_err(value)?,
        order: flat.word("order", &[("paper", Order::Paper), ("actipy", Order::Actipy)])?,
        lowpass: flat.get::<bool>("lowpass_enabled")?.then_some(lowpass),
        across_gaps: flat.get("lowpass_across_gaps")?,
        rate: flat.get("resample_rate_hz")?,
        method: flat.word("resample_method", &[("linear", Method::Linear), ("nearest", Method::Nearest)])?,
        calibration: flat.get::<bool>("calibration_enabled")?.then_some((window, fit)),
        nonwear: wear::Options {
            tolerance_g: flat.get("nonwear_tolerance_g")?,
            window: nonwear_window,
            step: if sliding { (nonwear_window / 10).max(1) } else { nonwear_window },
            patience: (flat.get::<f64>("nonwear_min_minutes")? * 60e9).round() as i64,
            rule: flat
                .word("nonwear_rule", &[("whole", wear::LengthRule::Plain), ("actipy", wear::LengthRule::Actipy)])?,
        },
        min_wear_s: flat.get::<f64>("segments_min_wear_h")? * 3600.0,
        max_gap_s: flat.get("segments_max_gap_s")?,
        fill_idle_sleep: flat.word("reading_idle_sleep", &[("fill", true), ("gap", false)])?,
    })
}

fn tables(py: Python<'_>, mut prepared: Prepared, rate: f64) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    let extra = prepared.events();
    for event in extra {
        prepared.summary.quality.note(event);
    }
    let described = header(py, &prepared.summary.header)?;
    described.set_item("sample_rate", prepared.summary.sample_rate)?;
    described.set_item("worst_stamp_residual_ms", prepared.summary.worst_stamp_residual_ms)?;
    out.set_item("header", described)?;
    out.set_item("quality_counts", prepared.summary.quality.counts.clone())?;
    out.set_item("quality_events", events(py, &prepared.summary.quality)?)?;
    out.set_item("start_time", prepared.start)?;
    out.set_item("rate", rate)?;
    out.set_item("shifts", prepared.shifts)?;
    out.set_item("segments", prepared.segments)?;
    out.set_item("nonwear", prepared.nonwear)?;
    out.set_item("calibration", prepared.calibration.as_ref().map(|c| calibration(py, c)).transpose()?)?;
    out.set_item("still", prepared.still)?;
    let figures = PyDict::new(py);
    figures.set_item("n_samples_read", prepared.samples)?;
    figures.set_item("longest_wear_h", prepared.longest_wear_s / 3600.0)?;
    figures.set_item("n_missing", prepared.missing)?;
    figures.set_item("n_gaps_bridged", prepared.bridged)?;
    figures.set_item("n_idle_filled", prepared.filled)?;
    figures.set_item("n_lowpass_skipped", prepared.lowpass_skipped)?;
    out.set_item("figures", figures)?;
    let capacity = prepared.acceleration.capacity;
    out.set_item("acceleration", prepared.acceleration.values.into_pyarray(py).reshape([3, capacity])?)?;
    out.set_item("n", prepared.n)?;
    Ok(out)
}

fn calibration<'py>(py: Python<'py>, found: &Calibration) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("offset", found.offset)?;
    out.set_item("gain", found.gain)?;
    out.set_item("temperature_slope", found.temperature_slope)?;
    out.set_item("reference_temperature", found.reference_temperature)?;
    out.set_item("ok", found.ok)?;
    out.set_item("reason", &found.reason)?;
    out.set_item("error_before_mg", found.error_before_g * 1e3)?;
    out.set_item("error_after_mg", found.error_after_g * 1e3)?;
    out.set_item("n_windows", found.n_windows)?;
    out.set_item("n_iterations", found.n_iterations)?;
    Ok(out)
}

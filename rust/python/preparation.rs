//! `prepare`: a file and a recipe to calibrated wear.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use numpy::{IntoPyArray, PyArray2, PyArrayMethods};
use pyo3::prelude::*;

use super::device::{EventRow, HeaderFields, Metadata, Table, events};
use super::run_on;
use super::signal::{CalibrationFit, FitOptions};
use super::words::{IdleSleep, Word};
use crate::device::arrays::ArrayReader;
use crate::device::{self, DateOrder, Stream, Timestamps, Unit};
use crate::error::{Error, Result};
use crate::preparation::{Order, Pieces, Points, Prepared, Settings, prepare as prepare_file, prepare_stream};
use crate::signal::grid::Method;
use crate::signal::wear;
use crate::store::writer::{Layout, write_from};

pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<GridPieces>()?;
    m.add_function(wrap_pyfunction!(prepare, m)?)?;
    m.add_function(wrap_pyfunction!(prepare_table, m)?)
}

/// Prepares a file by a recipe, given as its sections.
#[pyfunction]
#[pyo3(signature = (path, recipe, pieces_in=None))]
fn prepare<'py>(py: Python<'py>, path: &str, recipe: Sections, pieces_in: Option<PathBuf>) -> PyResult<Outcome<'py>> {
    let (prepared, rate) = run_on(py, path, || {
        let settings = recipe.settings(pieces_in)?;
        Ok((prepare_file(Path::new(path), &settings)?, settings.rate))
    })?;
    Outcome::new(py, prepared, rate)
}

/// The same for a table, as [`super::device::read_table`] takes it.
#[pyfunction]
#[pyo3(signature = (path, table, names, labels, recipe, pieces_in=None))]
fn prepare_table<'py>(
    py: Python<'py>,
    path: &str,
    table: &Table,
    names: [String; 2],
    labels: Vec<String>,
    recipe: Sections,
    pieces_in: Option<PathBuf>,
) -> PyResult<Outcome<'py>> {
    let (header, arrays) = table.take(names, labels);
    let (prepared, rate) = run_on(py, path, || {
        let settings = recipe.settings(pieces_in)?;
        let reader = Box::new(ArrayReader::new(header, arrays, &settings.reading)?);
        Ok((prepare_stream(Stream::new(reader, settings.reading.timestamps), &settings)?, settings.rate))
    })?;
    Outcome::new(py, prepared, rate)
}

/// The grid of a recording in pieces, until it is written.
#[pyclass(frozen, module = "imuspec._core")]
struct GridPieces(Mutex<Pieces>);

#[pymethods]
impl GridPieces {
    /// Writes the samples as [`super::store::write_shard`] does an array.
    #[pyo3(signature = (path, *, chunk, step_g, level))]
    fn write_shard(&self, py: Python<'_>, path: PathBuf, chunk: usize, step_g: f64, level: u8) -> PyResult<(u64, u64)> {
        let name = path.to_string_lossy().into_owned();
        let written = run_on(py, &name, || {
            let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let n = pieces.len();
            write_from(&path, n, Layout { chunk, step_g, level }, &mut |first, rows| pieces.copy(first, rows))
        })?;
        Ok((written.n_bytes, written.n_clipped))
    }
}

/// A recipe as `imuspec.Recipe` spells it, section by section; what a pass does not need is not read.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Sections {
    order: Word<Order>,
    reading: Reading,
    lowpass: Lowpass,
    resample: Resample,
    calibration: Calibration,
    #[pyo3(item("calibration"))]
    fit: FitOptions,
    nonwear: Nonwear,
    segments: Segments,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Reading {
    timestamps: Word<Timestamps>,
    date_order: Word<DateOrder>,
    unit: Word<Option<Unit>>,
    rate_hz: f64,
    idle_sleep: Word<IdleSleep>,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Lowpass {
    enabled: bool,
    cutoff_hz: f64,
    order: usize,
    across_gaps: bool,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Resample {
    rate_hz: f64,
    method: Word<Method>,
}

/// The windows of the section `calibration`, whose other numbers are [`FitOptions`].
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Calibration {
    enabled: bool,
    window_s: f64,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Nonwear {
    window_s: f64,
    tolerance_g: f64,
    min_minutes: f64,
    sliding: bool,
    rule: Word<wear::LengthRule>,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Segments {
    min_wear_h: f64,
    max_gap_s: f64,
}

impl Sections {
    fn settings(&self, temporary: Option<PathBuf>) -> Result<Settings> {
        let Self { order, reading, lowpass, resample, calibration, fit, nonwear, segments } = self;
        let window = nanoseconds("nonwear.window_s", nonwear.window_s)?;
        let calibration_window = nanoseconds("calibration.window_s", calibration.window_s)?;
        Ok(Settings {
            reading: device::Reading {
                timestamps: reading.timestamps.0,
                date_order: reading.date_order.0,
                unit: reading.unit.0,
                rate: (reading.rate_hz > 0.0).then_some(reading.rate_hz),
                temporary,
            },
            order: order.0,
            lowpass: lowpass.enabled.then_some((lowpass.cutoff_hz, lowpass.order)),
            across_gaps: lowpass.across_gaps,
            rate: resample.rate_hz,
            method: resample.method.0,
            calibration: calibration.enabled.then(|| (calibration_window, fit.options())),
            nonwear: wear::Options {
                tolerance_g: nonwear.tolerance_g,
                window,
                step: if nonwear.sliding { (window / 10).max(1) } else { window },
                patience: (nonwear.min_minutes * 60e9).round() as i64,
                rule: nonwear.rule.0,
            },
            min_wear_s: segments.min_wear_h * 3600.0,
            max_gap_s: segments.max_gap_s,
            fill_idle_sleep: reading.idle_sleep.0 == IdleSleep::Fill,
        })
    }
}

fn nanoseconds(name: &str, seconds: f64) -> Result<i64> {
    if seconds > 0.0 && seconds < 1e9 {
        Ok((seconds * 1e9).round() as i64)
    } else {
        Err(Error::value(name, "a positive number of seconds below 1e9", seconds))
    }
}

/// A prepared recording, as a dict of these names.
#[derive(IntoPyObject)]
struct Outcome<'py> {
    header: PreparedHeader,
    quality_counts: BTreeMap<&'static str, u64>,
    quality_events: Vec<EventRow>,
    start_time: i64,
    rate: f64,
    shifts: Vec<(usize, i64)>,
    segments: Vec<(usize, usize)>,
    nonwear: Vec<(usize, usize)>,
    calibration: Option<CalibrationFit>,
    still: Vec<[f64; 3]>,
    figures: Figures,
    /// Or the pieces of the grid, if there is no array.
    acceleration: Option<Bound<'py, PyArray2<f32>>>,
    pieces: Option<Bound<'py, GridPieces>>,
    n: usize,
}

/// What a file's header says, and what the pass measured.
#[derive(IntoPyObject)]
struct PreparedHeader {
    format: &'static str,
    device: String,
    device_id: String,
    nominal_rate: f64,
    labels: Vec<String>,
    metadata: Metadata,
    identifying: Metadata,
    sample_rate: f64,
    worst_stamp_residual_ms: f64,
    still_norm: f64,
    damaged_share: f64,
}

/// Counts and lengths of a pass.
#[derive(IntoPyObject)]
struct Figures {
    n_samples_read: u64,
    longest_wear_h: f64,
    n_missing: usize,
    n_gaps_bridged: u64,
    n_idle_filled: u64,
    n_lowpass_skipped: u64,
}

impl<'py> Outcome<'py> {
    fn new(py: Python<'py>, mut prepared: Prepared, rate: f64) -> PyResult<Self> {
        for event in prepared.events() {
            prepared.summary.quality.note(event);
        }
        let Prepared { summary, acceleration, .. } = prepared;
        let (acceleration, pieces) = match acceleration {
            Points::Array(planar, _) => (Some(planar.values.into_pyarray(py).reshape([3, planar.capacity])?), None),
            Points::Pieces(pieces) => (None, Some(Bound::new(py, GridPieces(Mutex::new(pieces)))?)),
        };
        let HeaderFields { format, device, device_id, nominal_rate, labels, metadata, identifying } =
            summary.header.into();
        let (sample_rate, worst_stamp_residual_ms) = (summary.sample_rate, summary.worst_stamp_residual_ms);
        Ok(Self {
            header: PreparedHeader {
                format,
                device,
                device_id,
                nominal_rate,
                labels,
                metadata,
                identifying,
                sample_rate,
                worst_stamp_residual_ms,
                still_norm: summary.still_norm,
                damaged_share: summary.damaged_share,
            },
            quality_events: events(&summary.quality),
            quality_counts: summary.quality.counts,
            start_time: prepared.start,
            rate,
            shifts: prepared.shifts,
            segments: prepared.segments,
            nonwear: prepared.nonwear,
            calibration: prepared.calibration.map(CalibrationFit::from),
            still: prepared.still,
            figures: Figures {
                n_samples_read: prepared.samples,
                longest_wear_h: prepared.longest_wear_s / 3600.0,
                n_missing: prepared.missing,
                n_gaps_bridged: prepared.bridged,
                n_idle_filled: prepared.filled,
                n_lowpass_skipped: prepared.lowpass_skipped,
            },
            acceleration,
            pieces,
            n: prepared.n,
        })
    }
}

//! `read`: a file to arrays.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::words::Word;
use super::{exception, run_on};
use crate::device::arrays::{ArrayReader, Arrays, Times};
use crate::device::column::{Column, Value};
use crate::device::columns::{Columns, collect};
use crate::device::stored::Stored;
use crate::device::{self, Block, DateOrder, Header, Quality, Reading, Timestamps, Unit};

pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(read, m)?)?;
    m.add_class::<Table>()?;
    m.add_function(wrap_pyfunction!(read_table, m)?)?;
    m.add_function(wrap_pyfunction!(stream_length, m)?)
}

/// Every column of a recording. Planar columns come flat with their row length, to be reshaped and cut to `n`.
#[pyfunction]
fn read<'py>(
    py: Python<'py>,
    path: &str,
    timestamps: Word<Timestamps>,
    date_order: Word<DateOrder>,
    unit: Word<Option<Unit>>,
    rate: Option<f64>,
) -> PyResult<Bound<'py, PyDict>> {
    let reading = Reading { timestamps: timestamps.0, date_order: date_order.0, unit: unit.0, rate, temporary: None };
    let all = run_on(py, path, || collect(device::open(Path::new(path), &reading)?))?;
    columns(py, all)
}

/// The columns of a table, appended piece by piece; beyond 8 MB each, in nameless temporary files of the folder.
#[pyclass(frozen, module = "imuspec._core")]
pub(super) struct Table {
    path: String,
    arrays: Mutex<Arrays>,
}

#[pymethods]
impl Table {
    #[new]
    #[pyo3(signature = (path, folder=None))]
    fn new(path: String, folder: Option<PathBuf>) -> Self {
        Self { path, arrays: Mutex::new(Arrays::new(folder.as_deref())) }
    }

    /// Appends to `time` (int64 ns, the least int64 if missing), or as the file holds it `time_whole` (int64) or `time_real`
    /// (float64); to `x`, `y`, `z`, `gyro_x`..., `temperature` or `light` (float32); to `annotation` (int32).
    fn append(&self, name: &str, values: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut arrays = self.arrays();
        let Arrays { time, values: rows, .. } = &mut *arrays;
        let Stored { xyz: [x, y, z], gyro: [gyro_x, gyro_y, gyro_z], light, temperature, annotation, .. } = rows;
        let column = match name {
            "x" => x,
            "y" => y,
            "z" => z,
            "gyro_x" => gyro_x,
            "gyro_y" => gyro_y,
            "gyro_z" => gyro_z,
            "light" => light,
            "temperature" => temperature,
            "annotation" => return self.append_to(annotation, values),
            _ => {
                return match time.as_kind(name).map_err(|error| exception(values.py(), &self.path, error))? {
                    Times::Ns(time) | Times::Whole(time) => self.append_to(time, values),
                    Times::Real(time) => self.append_to(time, values),
                    Times::Text(_) => Err(PyTypeError::new_err("time_text: expected texts by append_texts")),
                };
            }
        };
        self.append_to(column, values)
    }

    /// Appends times as texts.
    fn append_texts(&self, py: Python<'_>, texts: Vec<String>) -> PyResult<()> {
        let mut arrays = self.arrays();
        let appended = arrays.time.as_kind("time_text").and_then(|time| match time {
            Times::Text(times) => times.append(texts.iter().map(String::as_str)),
            _ => Ok(()),
        });
        appended.map_err(|error| exception(py, &self.path, error))
    }

    /// Exchanges each code of the annotations; -1 stays.
    fn recode(&self, py: Python<'_>, codes: Vec<i32>) -> PyResult<()> {
        let mut arrays = self.arrays();
        let new = |code: i32| usize::try_from(code).ok().and_then(|code| codes.get(code)).copied().unwrap_or(-1);
        let recoded = std::mem::take(&mut arrays.values.annotation).map(new);
        arrays.values.annotation = recoded.map_err(|error| exception(py, &self.path, error))?;
        Ok(())
    }
}

impl Table {
    fn arrays(&self) -> MutexGuard<'_, Arrays> {
        self.arrays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append_to<T: numpy::Element + Value>(&self, column: &mut Column<T>, values: &Bound<'_, PyAny>) -> PyResult<()> {
        let read = values.extract::<PyReadonlyArray1<'_, T>>()?;
        column.append(read.as_slice()?).map_err(|error| exception(values.py(), &self.path, error))
    }

    /// Takes the columns out, as [`ArrayReader`] takes them, with a header of what the file says of itself.
    pub(super) fn take(&self, names: [String; 2], labels: Vec<String>) -> (Header, Arrays) {
        let arrays = Arrays { names, ..std::mem::take(&mut *self.arrays()) };
        (Header { format: "table", labels, ..Header::default() }, arrays)
    }
}

/// [`read`] for a table, whose columns are taken out of it. `names` are those of its columns of time and x.
#[pyfunction]
#[pyo3(signature = (path, table, names, labels, *, timestamps, date_order, unit, rate))]
#[allow(clippy::too_many_arguments)] // a file's columns and how they are read
fn read_table<'py>(
    py: Python<'py>,
    path: &str,
    table: &Table,
    names: [String; 2],
    labels: Vec<String>,
    timestamps: Word<Timestamps>,
    date_order: Word<DateOrder>,
    unit: Word<Option<Unit>>,
    rate: Option<f64>,
) -> PyResult<Bound<'py, PyDict>> {
    let (header, arrays) = table.take(names, labels);
    let reading = Reading { timestamps: timestamps.0, date_order: date_order.0, unit: unit.0, rate, temporary: None };
    let all = run_on(py, path, || {
        collect(device::Stream::new(Box::new(ArrayReader::new(header, arrays, &reading)?), reading.timestamps))
    })?;
    columns(py, all)
}

/// Samples of a recording, decoded, timed and counted chunk by chunk, nothing kept: what a single pass costs.
#[pyfunction]
fn stream_length(py: Python<'_>, path: &str, timestamps: Word<Timestamps>) -> PyResult<u64> {
    run_on(py, path, || {
        let mut stream = device::open(Path::new(path), &timestamps.0.into())?;
        let mut chunk = device::Chunk::default();
        let mut n = 0;
        while stream.next(&mut chunk)? {
            n += chunk.data.len() as u64;
        }
        Ok(n)
    })
}

fn columns(py: Python<'_>, all: Columns) -> PyResult<Bound<'_, PyDict>> {
    let recording = Recording {
        n: all.len,
        capacity: all.xyz.capacity,
        xyz: all.xyz.values.into_pyarray(py),
        time: all.time.into_pyarray(py),
        run_starts: all.run_starts.into_pyarray(py),
        blocks: Blocks::new(py, &all.blocks),
        counts: all.summary.quality.counts.clone(),
        events: events(&all.summary.quality),
        header: all.summary.header.into(),
        sample_rate: all.summary.sample_rate,
        still_norm: all.summary.still_norm,
        damaged_share: all.summary.damaged_share,
        worst_stamp_residual_ms: all.summary.worst_stamp_residual_ms,
    };
    let out = recording.into_pyobject(py)?;
    // a channel that the device lacks has no key
    if all.gyro.capacity > 0 {
        out.set_item("gyro", all.gyro.values.into_pyarray(py))?;
    }
    for (name, channel) in [("light", all.light), ("temperature", all.temperature)] {
        if !channel.is_empty() {
            out.set_item(name, channel.into_pyarray(py))?;
        }
    }
    if !all.annotation.is_empty() {
        out.set_item("annotation", all.annotation.into_pyarray(py))?;
    }
    Ok(out)
}

/// What every recording has, as a dict of these names.
#[derive(IntoPyObject)]
struct Recording<'py> {
    n: usize,
    capacity: usize,
    xyz: Bound<'py, PyArray1<f32>>,
    time: Bound<'py, PyArray1<i64>>,
    run_starts: Bound<'py, PyArray1<u64>>,
    blocks: Blocks<'py>,
    header: HeaderFields,
    counts: BTreeMap<&'static str, u64>,
    events: Vec<EventRow>,
    sample_rate: f64,
    still_norm: f64,
    damaged_share: f64,
    worst_stamp_residual_ms: f64,
}

/// One row per block of a file.
#[derive(IntoPyObject)]
struct Blocks<'py> {
    first: Bound<'py, PyArray1<u64>>,
    offset: Bound<'py, PyArray1<u64>>,
    index: Bound<'py, PyArray1<u64>>,
    temperature: Bound<'py, PyArray1<f32>>,
    light: Bound<'py, PyArray1<f32>>,
    battery: Bound<'py, PyArray1<f32>>,
}

impl<'py> Blocks<'py> {
    fn new(py: Python<'py>, blocks: &[(u64, Block)]) -> Self {
        let column = |f: fn(&Block) -> f32| PyArray1::from_iter(py, blocks.iter().map(|(_, b)| f(b)));
        Self {
            first: PyArray1::from_iter(py, blocks.iter().map(|(first, _)| *first)),
            offset: PyArray1::from_iter(py, blocks.iter().map(|(_, b)| b.offset)),
            index: PyArray1::from_iter(py, blocks.iter().map(|(_, b)| b.index)),
            temperature: column(|b| b.temperature),
            light: column(|b| b.light),
            battery: column(|b| b.battery),
        }
    }
}

/// The header of a recording.
#[derive(IntoPyObject)]
pub(super) struct HeaderFields {
    pub(super) format: &'static str,
    pub(super) device: String,
    pub(super) device_id: String,
    pub(super) nominal_rate: f64,
    pub(super) labels: Vec<String>,
    pub(super) metadata: Metadata,
    pub(super) identifying: Metadata,
}

/// Names and values of a header in the file's order; the last of equal names counts.
pub(super) struct Metadata(Vec<(String, String)>);

impl<'py> IntoPyObject<'py> for Metadata {
    type Target = PyDict;
    type Output = Bound<'py, PyDict>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let out = PyDict::new(py);
        self.0.into_iter().try_for_each(|(name, value)| out.set_item(name, value))?;
        Ok(out)
    }
}

impl From<Header> for HeaderFields {
    fn from(header: Header) -> Self {
        let Header { format, device, device_id, nominal_rate, labels, metadata, identifying, .. } = header;
        let (metadata, identifying) = (Metadata(metadata), Metadata(identifying));
        Self { format, device, device_id, nominal_rate, labels, metadata, identifying }
    }
}

/// kind, offset, block, time, count, value.
pub(super) type EventRow = (&'static str, u64, u64, Option<i64>, u64, f64);

/// Rows of the quality table.
pub(super) fn events(quality: &Quality) -> Vec<EventRow> {
    quality.events.iter().map(|e| (e.kind, e.offset, e.block, e.time, e.count, e.value)).collect()
}

//! `read`: a file to arrays.

use std::collections::BTreeMap;
use std::path::Path;

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::run_on;
use super::words::Word;
use crate::device::arrays::{ArrayReader, Arrays, Times};
use crate::device::columns::{Columns, collect};
use crate::device::{self, Block, DateOrder, Header, Quality, Reading, Timestamps, Unit};

pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(read, m)?)?;
    m.add_function(wrap_pyfunction!(read_arrays, m)?)?;
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
    let reading = Reading { timestamps: timestamps.0, date_order: date_order.0, unit: unit.0, rate };
    let all = run_on(py, path, || collect(device::open(Path::new(path), reading)?))?;
    columns(py, all)
}

/// [`read`] for samples in memory: `columns` holds `time` (int64 ns, the least int64 if missing), or as the file
/// holds it `time_whole` (int64), `time_real` (float64) or `time_text` (strings), `x`, `y`, `z` and perhaps `gyro_x`...,
/// `temperature`, `light` (float32), `annotation` (int32, codes of `labels`) and `names` (of the columns of time and x);
/// `header` is pairs of name and value.
#[pyfunction]
#[pyo3(signature = (path, columns, labels, header, *, timestamps, date_order, unit, rate))]
#[allow(clippy::too_many_arguments)] // a file's columns and how they are read
fn read_arrays<'py>(
    py: Python<'py>,
    path: &str,
    columns: &Bound<'py, PyDict>,
    labels: Vec<String>,
    header: Vec<(String, String)>,
    timestamps: Word<Timestamps>,
    date_order: Word<DateOrder>,
    unit: Word<Option<Unit>>,
    rate: Option<f64>,
) -> PyResult<Bound<'py, PyDict>> {
    let (header, arrays) = arrays(columns, labels, header)?;
    let reading = Reading { timestamps: timestamps.0, date_order: date_order.0, unit: unit.0, rate };
    let all = run_on(py, path, || {
        collect(device::Stream::new(Box::new(ArrayReader::new(header, arrays, reading)?), reading.timestamps))
    })?;
    self::columns(py, all)
}

/// A table's columns and what its file says of itself, as [`ArrayReader`] takes them.
pub(super) fn arrays(
    columns: &Bound<'_, PyDict>,
    labels: Vec<String>,
    metadata: Vec<(String, String)>,
) -> PyResult<(Header, Arrays)> {
    fn column<T: numpy::Element + Copy>(columns: &Bound<'_, PyDict>, name: &str) -> PyResult<Vec<T>> {
        match columns.get_item(name)? {
            Some(array) => Ok(array.extract::<PyReadonlyArray1<'_, T>>()?.as_array().to_vec()),
            None => Ok(Vec::new()),
        }
    }
    let f32s = |name: &str| column::<f32>(columns, name);
    let time = match columns.get_item("time_text")? {
        Some(texts) => Times::Text(texts.extract()?),
        None if columns.contains("time_whole")? => Times::Whole(column(columns, "time_whole")?),
        None if columns.contains("time_real")? => Times::Real(column(columns, "time_real")?),
        None => Times::Ns(column(columns, "time")?),
    };
    let arrays = Arrays {
        time,
        names: columns.get_item("names")?.map_or(Ok(Default::default()), |names| names.extract())?,
        xyz: [f32s("x")?, f32s("y")?, f32s("z")?],
        gyro: [f32s("gyro_x")?, f32s("gyro_y")?, f32s("gyro_z")?],
        light: f32s("light")?,
        temperature: f32s("temperature")?,
        annotation: column(columns, "annotation")?,
    };
    Ok((Header { format: "table", labels, metadata, ..Header::default() }, arrays))
}

/// Samples of a recording, decoded, timed and counted chunk by chunk, nothing kept: what a single pass costs.
#[pyfunction]
fn stream_length(py: Python<'_>, path: &str, timestamps: Word<Timestamps>) -> PyResult<u64> {
    run_on(py, path, || {
        let mut stream = device::open(Path::new(path), timestamps.0.into())?;
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

//! `read`: a file to arrays.

use std::path::Path;

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::run_on;
use crate::device::arrays::{ArrayReader, Arrays, Times};
use crate::device::columns::{Columns, collect};
use crate::device::survey::DateOrder;
use crate::device::{self, Block, Event, Header, Quality, Summary, Timestamps};
use crate::error::{Error, Result};

pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(read, m)?)?;
    m.add_function(wrap_pyfunction!(read_arrays, m)?)?;
    m.add_function(wrap_pyfunction!(stream_length, m)?)
}

pub(super) fn timestamps(name: &str) -> Result<Timestamps> {
    match name {
        "device" => Ok(Timestamps::Device),
        "actipy" => Ok(Timestamps::Actipy),
        other => Err(Error::value("timestamps", "'device' or 'actipy'", format!("'{other}'"))),
    }
}

/// Every column of a recording. Planar columns come flat with their row length, to be reshaped and cut to `n`.
#[pyfunction]
fn read<'py>(py: Python<'py>, path: &str, timestamps: &str) -> PyResult<Bound<'py, PyDict>> {
    let rule = self::timestamps(timestamps);
    let all = run_on(py, path, || collect(device::open(Path::new(path), rule?)?))?;
    columns(py, all)
}

/// [`read`] for samples in memory: `columns` holds `time` (int64 ns, the least int64 where there is none), or as the file
/// holds it `time_whole` (int64), `time_real` (float64) or `time_text` (strings), `x`, `y`, `z` and perhaps `gyro_x`...,
/// `temperature`, `light` (float32), `annotation` (int32, codes of `labels`) and `names` (of the columns of time and x);
/// `header` is pairs of name and value.
#[pyfunction]
#[pyo3(signature = (path, columns, labels, header, timestamps))]
fn read_arrays<'py>(
    py: Python<'py>,
    path: &str,
    columns: &Bound<'py, PyDict>,
    labels: Vec<String>,
    header: Vec<(String, String)>,
    timestamps: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let (header, arrays) = arrays(columns, labels, header)?;
    let rule = self::timestamps(timestamps);
    let all = run_on(py, path, || {
        let rule = rule?;
        collect(device::Stream::new(Box::new(ArrayReader::new(header, arrays, rule, DateOrder::Auto)?), rule))
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
fn stream_length(py: Python<'_>, path: &str, timestamps: &str) -> PyResult<u64> {
    let rule = self::timestamps(timestamps);
    run_on(py, path, || {
        let mut stream = device::open(Path::new(path), rule?)?;
        let mut chunk = device::Chunk::default();
        let mut n = 0;
        while stream.next(&mut chunk)? {
            n += chunk.data.len() as u64;
        }
        Ok(n)
    })
}

fn columns(py: Python<'_>, all: Columns) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("n", all.len)?;
    out.set_item("capacity", all.xyz.capacity)?;
    out.set_item("xyz", all.xyz.values.into_pyarray(py))?;
    out.set_item("time", all.time.into_pyarray(py))?;
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
    out.set_item("run_starts", all.run_starts.into_pyarray(py))?;
    out.set_item("blocks", blocks(py, &all.blocks)?)?;
    summary(py, &all.summary, &out)?;
    Ok(out)
}

fn blocks<'py>(py: Python<'py>, blocks: &[(u64, Block)]) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    let of = |f: fn(&Block) -> f32| PyArray1::from_iter(py, blocks.iter().map(|(_, b)| f(b)));
    out.set_item("first", PyArray1::from_iter(py, blocks.iter().map(|(first, _)| *first)))?;
    out.set_item("offset", PyArray1::from_iter(py, blocks.iter().map(|(_, b)| b.offset)))?;
    out.set_item("index", PyArray1::from_iter(py, blocks.iter().map(|(_, b)| b.index)))?;
    out.set_item("temperature", of(|b| b.temperature))?;
    out.set_item("light", of(|b| b.light))?;
    out.set_item("battery", of(|b| b.battery))?;
    Ok(out)
}

/// Puts header, quality and measured rate of a recording into `out`.
fn summary(py: Python<'_>, summary: &Summary, out: &Bound<'_, PyDict>) -> PyResult<()> {
    out.set_item("header", header(py, &summary.header)?)?;
    out.set_item("counts", summary.quality.counts.clone())?;
    out.set_item("events", events(py, &summary.quality)?)?;
    out.set_item("sample_rate", summary.sample_rate)?;
    out.set_item("still_norm", summary.still_norm)?;
    out.set_item("damaged_share", summary.damaged_share)?;
    out.set_item("worst_stamp_residual_ms", summary.worst_stamp_residual_ms)
}

/// The header of a recording.
pub(super) fn header<'py>(py: Python<'py>, header: &Header) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("format", header.format)?;
    out.set_item("device", &header.device)?;
    out.set_item("device_id", &header.device_id)?;
    out.set_item("nominal_rate", header.nominal_rate)?;
    out.set_item("labels", &header.labels)?;
    for (name, pairs) in [("metadata", &header.metadata), ("identifying", &header.identifying)] {
        let fields = PyDict::new(py);
        for (name, value) in pairs {
            fields.set_item(name, value)?;
        }
        out.set_item(name, fields)?;
    }
    Ok(out)
}

/// Rows of the quality table.
pub(super) fn events<'py>(py: Python<'py>, quality: &Quality) -> PyResult<Bound<'py, PyList>> {
    let row = |e: &Event| (e.kind, e.offset, e.block, e.time, e.count, e.value);
    PyList::new(py, quality.events.iter().map(row))
}

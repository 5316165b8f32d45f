//! Door of the store: samples of a shard into an array of int16 or float32.

use std::path::PathBuf;

use numpy::{PyReadonlyArray2, PyUntypedArray};
use pyo3::prelude::*;

use super::arrays::{dispatch_by_item, items, signals, write};
use super::run_on;
use crate::store::shard;
use crate::store::writer::{self, Layout};

#[pyfunction]
#[pyo3(signature = (path, out, *, n_chunks, chunk, first, stop, step))]
#[allow(clippy::too_many_arguments)] // the Python wrapper groups and checks them
fn read_shard(
    py: Python<'_>,
    path: PathBuf,
    out: &Bound<'_, PyUntypedArray>,
    n_chunks: usize,
    chunk: usize,
    first: usize,
    stop: usize,
    step: f32,
) -> PyResult<()> {
    dispatch_by_item!("out", out, T in [i16, f32] => {
        let mut out = write::<T>("out", out)?;
        let out = items("out", &mut out)?;
        let name = path.to_string_lossy().into_owned();
        run_on(py, &name, || shard::read(&path, (n_chunks, chunk), first..stop, step, out))
    })
}

/// Bytes of the file, and values that were clipped.
#[pyfunction]
#[pyo3(signature = (path, x, *, chunk, step_g, level))]
fn write_shard(
    py: Python<'_>,
    path: PathBuf,
    x: PyReadonlyArray2<'_, f32>,
    chunk: usize,
    step_g: f64,
    level: u8,
) -> PyResult<(u64, u64)> {
    let x = signals("x", &x);
    let name = path.to_string_lossy().into_owned();
    let written = run_on(py, &name, || writer::write(&path, &x?, Layout { chunk, step_g, level }))?;
    Ok((written.n_bytes, written.n_clipped))
}

pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(write_shard, m)?)?;
    m.add_function(wrap_pyfunction!(read_shard, m)?)
}

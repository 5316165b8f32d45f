//! The extension module `imuspec._core`: argument checks, one door into the native code, error mapping.
//!
//! Arrays are borrowed in (read-only, no copy) and owned out (the vector moves into NumPy). Coercion happens once, in
//! Python, where a message can name the argument; here wrong shapes are still refused.

use std::panic::AssertUnwindSafe;

use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::cpu::Path;
use crate::error::{Error, Result};
use crate::threads;

mod arrays;
mod device;
mod image;
mod magnitude;
mod preparation;
mod signal;
mod spectral;
mod store;
mod words;

/// The one door: releases the interpreter while `work` runs and turns its error into the exception that fits.
///
/// Malformed recordings become `imuspec.RecordingError(path, offset, reason)`, a caller's mistake `ValueError`, a file
/// system's refusal the `OSError` subclass of its errno. A panic here is a bug and becomes `RuntimeError`.
pub(crate) fn run<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    run_on(py, "", work)
}

/// [`run`] for work on a file, whose path the exception names.
pub(crate) fn run_on<T: Send>(py: Python<'_>, path: &str, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    let outcome = py.detach(|| std::panic::catch_unwind(AssertUnwindSafe(work)));
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(exception(py, path, error)),
        Err(payload) if payload.is::<threads::Interrupted>() => Err(exception(py, path, Error::Interrupted)),
        Err(payload) => {
            let text = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .unwrap_or("unknown");
            Err(PyRuntimeError::new_err(format!("bug in imuspec's native core, please report: {text}")))
        }
    }
}

fn exception(py: Python<'_>, path: &str, error: Error) -> PyErr {
    match error {
        Error::Shape(text) | Error::Value(text) => PyValueError::new_err(text),
        Error::Interrupted => PyErr::take(py).unwrap_or_else(|| PyKeyboardInterrupt::new_err(())),
        Error::Io(error) => match error.raw_os_error() {
            Some(errno) => PyOSError::new_err((errno, strip_errno(&error.to_string()).to_owned(), path.to_owned())),
            None => PyOSError::new_err(error.to_string()),
        },
        Error::Malformed { format, offset, reason } => {
            recording_error(py, path, Some(offset), format!("{format}: {reason}"))
        }
        Error::Unsupported(_) | Error::Limit { .. } => recording_error(py, path, None, error.to_string()),
    }
}

fn strip_errno(text: &str) -> &str {
    text.rsplit_once(" (os error").map_or(text, |(head, _)| head)
}

fn recording_error(py: Python<'_>, path: &str, offset: Option<u64>, reason: String) -> PyErr {
    let made = py
        .import("imuspec.errors")
        .and_then(|module| module.getattr("RecordingError"))
        .and_then(|class| class.call1((path, offset, reason)));
    match made {
        Ok(value) => PyErr::from_value(value),
        Err(error) => error,
    }
}

/// Threads that native batches may use from now on; 0 returns to `IMUSPEC_THREADS` or the number of cores.
#[pyfunction]
fn set_threads(n: usize) {
    threads::set_count(n);
}

/// Threads that native batches use.
#[pyfunction]
fn get_threads() -> usize {
    threads::count()
}

/// For `os.register_at_fork`: the child has no helper threads.
#[pyfunction]
fn after_fork() {
    threads::after_fork();
}

#[pymodule(gil_used = false)]
fn _core(m: &Bound<'_, PyModule>) -> PyResult<()> {
    Path::from_environment().map_err(|error| PyValueError::new_err(error.to_string()))?;
    threads::set_interrupt_hook(|| {
        Python::attach(|py| match py.check_signals() {
            Ok(()) => false,
            Err(error) => {
                error.restore(py);
                true
            }
        })
    });
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    m.add_function(wrap_pyfunction!(set_threads, m)?)?;
    m.add_function(wrap_pyfunction!(get_threads, m)?)?;
    m.add_function(wrap_pyfunction!(after_fork, m)?)?;
    device::register(m)?;
    signal::register(m)?;
    preparation::register(m)?;
    spectral::register(m)?;
    store::register(m)?;
    image::register(m)?;
    magnitude::register(m)
}

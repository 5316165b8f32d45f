//! The one door for arrays: what a kernel reads is aligned and lies at whole items, or is refused.
#![allow(unsafe_code)]

use numpy::{Element, PyArrayDyn, PyReadonlyArrayDyn, PyReadwriteArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use numpy::{PyArrayMethods, PyReadonlyArray};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::error::{Error, Result};
use crate::spectral::lanes::Real;
use crate::spectral::signals::Signals;

/// Checks that the items of an array lie aligned and at whole strides; returns the strides in items.
pub(super) fn strides<T: Element, D: numpy::ndarray::Dimension>(
    name: &str,
    array: &PyReadonlyArray<'_, T, D>,
) -> Result<Vec<isize>> {
    let item = size_of::<T>() as isize;
    let (shape, bytes) = (array.shape(), array.strides());
    let empty = shape.contains(&0); // of whatever strides, as is an axis of one item
    let torn = shape.iter().zip(bytes).any(|(&n, stride)| n > 1 && stride % item != 0);
    if !empty && (torn || array.data().addr() % align_of::<T>() != 0) {
        return Err(Error::value(name, "aligned items at whole strides", format!("strides of {bytes:?} bytes")));
    }
    Ok(bytes.iter().map(|stride| stride / item).collect())
}

/// The signals of a borrowed array [..., time], contiguous in time, of any strides in the leading axes.
pub(super) fn signals<'a, T: Real + Element, D: numpy::ndarray::Dimension>(
    name: &str,
    array: &'a PyReadonlyArray<'_, T, D>,
) -> Result<Signals<'a, T>> {
    let strides = strides(name, array)?;
    // SAFETY: NumPy keeps every item of `shape` at these strides readable; `strides` has seen that they are whole and
    // aligned, and the read-only borrow excludes writers through this library for its lifetime.
    unsafe { Signals::from_raw(array.data(), array.shape(), &strides) }
}

/// An array borrowed for reading, if its items are `T`.
pub(super) fn read<'py, T: Element>(
    name: &str,
    array: &Bound<'py, PyUntypedArray>,
) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
    let array = array.cast::<PyArrayDyn<T>>().map_err(|_| wrong::<T>(name, array))?;
    array.try_readonly().map_err(|error| PyValueError::new_err(format!("{name}: {error}")))
}

/// An array borrowed for writing, if its items are `T`.
pub(super) fn write<'py, T: Element>(
    name: &str,
    array: &Bound<'py, PyUntypedArray>,
) -> PyResult<PyReadwriteArrayDyn<'py, T>> {
    let array = array.cast::<PyArrayDyn<T>>().map_err(|_| wrong::<T>(name, array))?;
    array.try_readwrite().map_err(|error| PyValueError::new_err(format!("{name}: {error}")))
}

/// The items of an array borrowed for writing, which lie side by side.
pub(super) fn items<'a, T: Element>(name: &str, array: &'a mut PyReadwriteArrayDyn<'_, T>) -> PyResult<&'a mut [T]> {
    if array.data().addr() % align_of::<T>() != 0 {
        return Err(PyValueError::new_err(format!("{name}: expected an aligned array, got a misaligned one")));
    }
    array.as_slice_mut().map_err(|_| PyValueError::new_err(format!("{name}: expected C order, got other strides")))
}

fn wrong<T: Element>(name: &str, array: &Bound<'_, PyUntypedArray>) -> PyErr {
    let expected = T::get_dtype(array.py());
    PyTypeError::new_err(format!("{name}: expected {expected}, got {}", array.dtype()))
}

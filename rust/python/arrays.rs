//! The one door for arrays: what a kernel reads is aligned and lies at whole items, or is refused.
#![allow(unsafe_code)]

use numpy::{Element, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArray, PyReadonlyArrayDyn};
use numpy::{PyReadwriteArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::arrays::Signals;
use crate::error::{Error, Result};

/// An array of items of some type; a kernel's dispatch finds out which.
pub(super) type Array<'a, 'py> = &'a Bound<'py, PyUntypedArray>;

/// Whether the items of an array are `T`, in native byte order.
pub(super) fn holds<T: Element>(array: Array<'_, '_>) -> bool {
    array.dtype().is_equiv_to(&T::get_dtype(array.py()))
}

/// Runs `$work` with `$T` as the one of the types that `$array` holds: the one dispatch by item type.
macro_rules! dispatch_by_item {
    ($name:literal, $array:expr, $T:ident in [$($type:ty),+] => $work:expr) => {{
        let array: $crate::python::arrays::Array<'_, '_> = $array;
        $(if $crate::python::arrays::holds::<$type>(array) {
            type $T = $type;
            return $work;
        })+
        Err($crate::python::arrays::unexpected($name, &[$(stringify!($type)),+], array))
    }};
}
pub(super) use dispatch_by_item;

/// The error for an array whose items have another type.
pub(super) fn unexpected(name: &str, types: &[&str], array: Array<'_, '_>) -> PyErr {
    let names: Vec<String> = types.iter().map(|name| name.replace('f', "float").replace('u', "uint")).collect();
    PyTypeError::new_err(format!("{name}: expected {}, got {}", names.join(" or "), array.dtype()))
}

/// Checks that the items of an array lie aligned and at whole strides; returns the strides in items.
pub(super) fn strides<T: Element, D: numpy::ndarray::Dimension>(
    name: &str,
    array: &PyReadonlyArray<'_, T, D>,
) -> Result<Vec<isize>> {
    let item = size_of::<T>() as isize;
    let (shape, bytes) = (array.shape(), array.strides());
    let empty = shape.contains(&0); // strides do not matter here, nor those of an axis of one item
    let torn = shape.iter().zip(bytes).any(|(&n, stride)| n > 1 && stride % item != 0);
    if !empty && (torn || array.data().addr() % align_of::<T>() != 0) {
        return Err(Error::value(name, "aligned items at whole strides", format!("strides of {bytes:?} bytes")));
    }
    Ok(bytes.iter().map(|stride| stride / item).collect())
}

/// The signals of a borrowed array [..., time], of any strides.
pub(super) fn signals<'a, T: Copy + Element, D: numpy::ndarray::Dimension>(
    name: &str,
    array: &'a PyReadonlyArray<'_, T, D>,
) -> Result<Signals<'a, T>> {
    let strides = strides(name, array)?;
    // SAFETY: NumPy keeps every item of `shape` at these strides readable; `strides` has seen that they are whole and
    // aligned, and the read-only borrow excludes writers through this library for its lifetime. That no other code writes
    // meanwhile is asked of the caller in Python, as by every library that releases the interpreter.
    unsafe { Signals::from_raw(array.data(), array.shape(), &strides) }
}

/// An array borrowed for reading, if its items are `T`.
pub(super) fn read<'py, T: Element>(name: &str, array: Array<'_, 'py>) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
    let array = array.cast::<PyArrayDyn<T>>().map_err(|_| wrong::<T>(name, array))?;
    array.try_readonly().map_err(|error| PyValueError::new_err(format!("{name}: {error}")))
}

/// An array borrowed for writing, if its items are `T`.
pub(super) fn write<'py, T: Element>(name: &str, array: Array<'_, 'py>) -> PyResult<PyReadwriteArrayDyn<'py, T>> {
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

/// The items of a one-dimensional array borrowed for reading, which lie side by side.
pub(super) fn slice<'a, T: Element>(name: &str, array: &'a numpy::PyReadonlyArray1<'_, T>) -> Result<&'a [T]> {
    strides(name, array)?;
    array.as_slice().map_err(|_| Error::shape(name, "a contiguous array", "a strided one"))
}

fn wrong<T: Element>(name: &str, array: Array<'_, '_>) -> PyErr {
    let expected = T::get_dtype(array.py());
    PyTypeError::new_err(format!("{name}: expected {expected}, got {}", array.dtype()))
}

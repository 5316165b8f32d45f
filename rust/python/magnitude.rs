//! LMM and LMV features and losses.

use numpy::{
    Element, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use super::run;
use crate::error::{Error, Result};
use crate::spectral::lanes::{Path, Real};
use crate::spectral::magnitude::features::{Moment, Resolution, log_magnitudes};
use crate::spectral::magnitude::loss::{LossOut, Weights, loss};
use crate::spectral::signals::Signals;

/// (nfft, hop, floor) from Python.
type Triple = (usize, usize, f64);

fn resolutions(triples: &[Triple], cap: bool) -> Vec<Resolution> {
    triples.iter().map(|&(nfft, hop, floor)| Resolution { nfft, hop, floor, cap }).collect()
}

fn moment(name: &str) -> Result<Moment> {
    match name {
        "mean" => Ok(Moment::Mean),
        "variance" => Ok(Moment::Variance),
        "unbiased-variance" => Ok(Moment::UnbiasedVariance),
        other => Err(Error::value("moment", "mean, variance or unbiased-variance", other)),
    }
}

/// The signals of a borrowed array, of any strides in the leading axes.
#[allow(unsafe_code)]
fn signals<'a, T: Real + Element>(x: &'a PyReadonlyArrayDyn<'_, T>) -> Result<Signals<'a, T>> {
    let (shape, bytes) = (x.shape(), x.strides());
    let strides: Vec<isize> = bytes.iter().map(|b| b / size_of::<T>() as isize).collect();
    if bytes.iter().any(|b| b % size_of::<T>() as isize != 0) {
        return Err(Error::shape("x", "strides that are whole scalars", format!("{bytes:?} bytes")));
    }
    if shape.contains(&0) {
        return Signals::new(&[], 0, shape, &strides);
    }
    let reach = |sign: isize| -> isize {
        let reaches = shape.iter().zip(&strides).map(|(&n, &s)| (n as isize - 1) * s);
        reaches.filter(|&r| r * sign > 0).sum()
    };
    let (before, after) = (reach(-1).unsigned_abs(), reach(1).unsigned_abs());
    // SAFETY: the scalars from the lowest to the highest address of the array lie in one allocation that the array keeps,
    // NumPy's strides reach no further; the read-only borrow excludes writers through this library for its lifetime.
    let data = unsafe { std::slice::from_raw_parts(x.data().sub(before), before + after + 1) };
    Signals::new(data, before, shape, &strides)
}

/// The log of the mean or variance over time of |STFT|: into `out[r]`, contiguous [..., nfft // 2 + 1].
#[pyfunction]
fn log_magnitudes_into<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyUntypedArray>,
    triples: Vec<Triple>,
    literal_min: bool,
    moment_name: &str,
    out: Vec<Bound<'py, PyUntypedArray>>,
) -> PyResult<()> {
    if x.dtype().is_equiv_to(&numpy::dtype::<f32>(py)) {
        features::<f32>(py, x, &triples, literal_min, moment_name, &out)
    } else {
        features::<f64>(py, x, &triples, literal_min, moment_name, &out)
    }
}

fn features<'py, T: Real + Element>(
    py: Python<'py>,
    x: &Bound<'py, PyUntypedArray>,
    triples: &[Triple],
    cap: bool,
    moment_name: &str,
    out: &[Bound<'py, PyUntypedArray>],
) -> PyResult<()> {
    let x = typed::<T>(x, "x")?.try_readonly()?;
    let mut out =
        out.iter().map(|array| Ok(typed::<T>(array, "out")?.try_readwrite()?)).collect::<PyResult<Vec<_>>>()?;
    let slices = out.iter_mut().map(|array| Ok(array.as_slice_mut()?)).collect::<PyResult<Vec<_>>>()?;
    let resolutions = resolutions(triples, cap);
    let signals = signals(&x);
    run(py, || log_magnitudes(&signals?, &resolutions, moment(moment_name)?, slices, Path::best()))
}

fn typed<'a, 'py, T: Element>(
    array: &'a Bound<'py, PyUntypedArray>,
    what: &str,
) -> PyResult<&'a Bound<'py, PyArrayDyn<T>>> {
    array
        .cast::<PyArrayDyn<T>>()
        .map_err(|_| PyTypeError::new_err(format!("{what}: expected arrays of one float type")))
}

/// The terms of the spectral loss into `terms` [..., 3], the gradient of their weighted sum into `gradient` if given.
///
/// `weights`: of LMM, LMV and MSE; None leaves a term out.
#[pyfunction]
#[pyo3(signature = (prediction, target, triples, literal_min, weights, unbiased, terms, gradient=None))]
#[allow(clippy::too_many_arguments)] // one call, from one place, with everything a kernel writes to
fn lmm_loss_into<'py>(
    py: Python<'py>,
    prediction: &Bound<'py, PyUntypedArray>,
    target: &Bound<'py, PyUntypedArray>,
    triples: Vec<Triple>,
    literal_min: bool,
    weights: [Option<f64>; 3],
    unbiased: bool,
    terms: &Bound<'py, PyUntypedArray>,
    gradient: Option<&Bound<'py, PyUntypedArray>>,
) -> PyResult<()> {
    let [lmm, lmv, mse] = weights;
    let weights = Weights { lmm, lmv, mse, unbiased };
    let resolutions = resolutions(&triples, literal_min);
    if prediction.dtype().is_equiv_to(&numpy::dtype::<f32>(py)) {
        spectral_loss::<f32>(py, [prediction, target], (&resolutions, weights), (terms, gradient))
    } else {
        spectral_loss::<f64>(py, [prediction, target], (&resolutions, weights), (terms, gradient))
    }
}

fn spectral_loss<'py, T: Real + Element>(
    py: Python<'py>,
    [prediction, target]: [&Bound<'py, PyUntypedArray>; 2],
    (resolutions, weights): (&[Resolution], Weights),
    (terms, gradient): (&Bound<'py, PyUntypedArray>, Option<&Bound<'py, PyUntypedArray>>),
) -> PyResult<()> {
    let prediction = typed::<T>(prediction, "prediction")?.try_readonly()?;
    let target = typed::<T>(target, "target")?.try_readonly()?;
    let mut terms = typed::<T>(terms, "terms")?.try_readwrite()?;
    let mut gradient =
        gradient.map(|array| Ok::<_, PyErr>(typed::<T>(array, "gradient")?.try_readwrite()?)).transpose()?;
    let gradient = gradient.as_mut().map(|array| array.as_slice_mut()).transpose()?;
    let out = LossOut { terms: terms.as_slice_mut()?, gradient };
    let (prediction, target) = (signals(&prediction), signals(&target));
    run(py, || loss(&prediction?, &target?, resolutions, weights, out, Path::best()))
}

pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(log_magnitudes_into, m)?)?;
    m.add_function(wrap_pyfunction!(lmm_loss_into, m)?)
}

//! LMM and LMV features and losses.

use numpy::{Element, PyUntypedArray};
use pyo3::prelude::*;

use super::arrays::{dispatch_by_item, items, read, signals, write};
use super::run;
use super::words::Word;
use crate::spectral::lanes::{Path, Real};
use crate::spectral::magnitude::features::{Moment, Resolution, log_magnitudes};
use crate::spectral::magnitude::loss::{LossOut, loss};
use crate::spectral::magnitude::steps::Weights;

/// (nfft, hop, floor) from Python.
type Triple = (usize, usize, f64);

fn resolutions(triples: &[Triple], cap: bool) -> Vec<Resolution> {
    triples.iter().map(|&(nfft, hop, floor)| Resolution { nfft, hop, floor, cap }).collect()
}

/// The log of the mean or variance over time of |STFT|: into `out[r]`, contiguous [..., nfft // 2 + 1].
#[pyfunction]
fn log_magnitudes_into<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyUntypedArray>,
    triples: Vec<Triple>,
    literal_min: bool,
    moment: Word<Moment>,
    out: Vec<Bound<'py, PyUntypedArray>>,
) -> PyResult<()> {
    dispatch_by_item!("x", x, T in [f32, f64] => features::<T>(py, x, &triples, literal_min, moment.0, &out))
}

fn features<'py, T: Real + Element>(
    py: Python<'py>,
    x: &Bound<'py, PyUntypedArray>,
    triples: &[Triple],
    cap: bool,
    moment: Moment,
    out: &[Bound<'py, PyUntypedArray>],
) -> PyResult<()> {
    let x = read::<T>("x", x)?;
    let mut out = out.iter().map(|array| write::<T>("out", array)).collect::<PyResult<Vec<_>>>()?;
    let slices = out.iter_mut().map(|array| items("out", array)).collect::<PyResult<Vec<_>>>()?;
    let resolutions = resolutions(triples, cap);
    let signals = signals("x", &x);
    run(py, || log_magnitudes(&signals?, &resolutions, moment, slices, Path::best()))
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
    dispatch_by_item!("prediction", prediction, T in [f32, f64] => {
        spectral_loss::<T>(py, [prediction, target], (&resolutions, weights), (terms, gradient))
    })
}

fn spectral_loss<'py, T: Real + Element>(
    py: Python<'py>,
    [prediction, target]: [&Bound<'py, PyUntypedArray>; 2],
    (resolutions, weights): (&[Resolution], Weights),
    (terms, gradient): (&Bound<'py, PyUntypedArray>, Option<&Bound<'py, PyUntypedArray>>),
) -> PyResult<()> {
    let (prediction, target) = (read::<T>("prediction", prediction)?, read::<T>("target", target)?);
    let mut terms = write::<T>("terms", terms)?;
    let mut gradient = gradient.map(|array| write::<T>("gradient", array)).transpose()?;
    let gradient = gradient.as_mut().map(|array| items("gradient", array)).transpose()?;
    let out = LossOut { terms: items("terms", &mut terms)?, gradient };
    let (prediction, target) = (signals("prediction", &prediction), signals("target", &target));
    run(py, || loss(&prediction?, &target?, resolutions, weights, out, Path::best()))
}

pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(log_magnitudes_into, m)?)?;
    m.add_function(wrap_pyfunction!(lmm_loss_into, m)?)
}

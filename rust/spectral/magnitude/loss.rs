//! The spectral reconstruction loss of a masked auto-encoder and its gradient, in one pass.
//!
//! LMM is the squared difference of two log mean magnitudes (see [`super::features`]), LMV of two log variances, both mean
//! over bins; MSE is the mean over samples. The gradient of a row's loss with respect to the prediction depends on that row
//! alone, so it is computed beside the loss, while the row's spectra (some 60 KB for 16 signals) are still in cache; nothing
//! but the gradient itself is kept. With c the derivative of the loss by a frame's magnitude |X\[k\]|, that frame's share is
//! w\[n\] sum_k Re(c\[k\] X\[k\]/|X\[k\]| exp(i 2 pi k n / N)), zero where |X\[k\]| is; this inverse transform is the forward one
//! of the real sequence A + B, where A is the even extension of the real and B the odd extension of the imaginary parts.

use super::features::Resolution;
use super::steps::{
    Compare, Fold, Job, Load, LossScratch, Moments, N_TERMS, OverlapAdd, Part, SquaredError, Transforms, Weights,
};
use crate::arrays::{Signals, check_length};
use crate::error::{Error, Result};
use crate::spectral::lanes::{Path, Real, dispatch};
use crate::spectral::memory::Ahead;
use crate::spectral::tile::Gather;
use crate::threads;

/// Where [`loss`] writes.
pub struct LossOut<'a, T> {
    /// The terms without their weights, [signal, term]; zero where not computed.
    pub terms: &'a mut [T],
    /// The gradient of the weighted sum of terms by the prediction, [signal, time], if required.
    pub gradient: Option<&'a mut [T]>,
}

/// The terms of the loss of every signal, and the gradient of their weighted sum by the prediction.
///
/// # Shape
/// `prediction` and `target` [..., time] alike.
///
/// # Errors
/// [`Error::Shape`] for arrays that do not fit each other, [`Error::Value`] for a bad resolution or too few frames.
///
/// # Source
/// Lorenzen et al., arXiv 2502.17477 v1, equations 1 to 7.
pub fn loss<T: Real>(
    prediction: &Signals<T>,
    target: &Signals<T>,
    resolutions: &[Resolution],
    weights: Weights,
    out: LossOut<T>,
    path: Path,
) -> Result<()> {
    let (n, time) = (target.count(), target.time());
    if prediction.count() != n || prediction.time() != time {
        let got = format!("{} of {} samples", prediction.count(), prediction.time());
        return Err(Error::shape("prediction", format!("{n} signals of {time} samples"), got));
    }
    prediction.check_dense("prediction")?;
    target.check_dense("target")?;
    check_length("terms", out.terms.len(), &[n, N_TERMS])?;
    if let Some(gradient) = &out.gradient {
        check_length("gradient", gradient.len(), &[n, time])?;
    }
    let parts = resolutions.iter().map(|r| Part::new(r, &weights, time)).collect::<Result<Vec<_>>>()?;
    let frames: usize = parts.iter().map(|p| p.frames * p.resolution.nfft).sum();
    let threads = threads::worth(2.0 * (n * (frames + time)) as f64);
    // Several tiles in a row: a thread then knows the signals that it needs next.
    let item = n.div_ceil(16 * threads).next_multiple_of(T::LANES).min(16 * T::LANES);
    let with_gradient = out.gradient.is_some();
    let mut gradients = out.gradient.unwrap_or_default().chunks_mut(item * time);
    let items = (0..n)
        .step_by(item)
        .zip(out.terms.chunks_mut(item * N_TERMS))
        .map(move |(first, terms)| (first, terms, gradients.next().unwrap_or_default()));
    let job = Job { parts: &parts, weights, prediction, target, with_gradient };
    threads::for_each(
        threads,
        items,
        || LossScratch::new(&job),
        |scratch, (first, terms, gradient)| {
            let mut gradients = gradient.chunks_mut(T::LANES * time);
            for (i, terms) in terms.chunks_mut(T::LANES * N_TERMS).enumerate() {
                let gradient = gradients.next().unwrap_or_default();
                share(&job, path, first + i * T::LANES, (terms, gradient), scratch);
            }
        },
    );
    Ok(())
}

/// Loss and gradient of the signals from `first` on that `terms` has room for.
fn share<T: Real>(
    job: &Job<T>,
    path: Path,
    first: usize,
    (terms, gradient): (&mut [T], &mut [T]),
    scratch: &mut LossScratch<T>,
) {
    let lanes = terms.len() / N_TERMS;
    let time = job.target.time();
    dispatch(path, Load { job, first, lanes, scratch });
    for (part, own) in job.parts.iter().zip(&mut scratch.parts) {
        let base = (scratch.margin - part.resolution.nfft / 2) * T::LANES;
        let hop = part.resolution.hop * T::LANES;
        for (tile, is_prediction) in [(&scratch.target, false), (&scratch.prediction, true)] {
            let (plan, fft, frames) = (&part.forward, &mut own.forward, part.frames);
            let ahead = Ahead::Read(if is_prediction { job.prediction } else { job.target }, first + T::LANES);
            let source = &tile[base..];
            dispatch(path, Transforms { plan, fft, source, hop, out: &mut own.spectra, frames, ahead });
            dispatch(path, Moments { part, own, is_prediction });
        }
        dispatch(path, Compare { part, job, own, terms: &mut scratch.terms });
        if job.with_gradient {
            dispatch(path, Fold { part, own });
            let (plan, fft, frames) = (&part.inverse, &mut own.inverse, part.frames);
            let hop = part.resolution.nfft * T::LANES;
            let ahead = Ahead::Write(gradient, time);
            let source = &own.folded;
            dispatch(path, Transforms { plan, fft, source, hop, out: &mut own.spectra, frames, ahead });
            dispatch(path, OverlapAdd { part, spectra: &own.spectra, gradient: &mut scratch.gradient[base..] });
        }
    }
    if job.weights.mse.is_some() {
        dispatch(path, SquaredError { job, scratch });
    }
    for lane in 0..lanes {
        for term in 0..N_TERMS {
            terms[lane * N_TERMS + term] = scratch.terms[term * T::LANES + lane];
        }
    }
    if job.with_gradient {
        let rows = &scratch.gradient[scratch.margin * T::LANES..][..time * T::LANES];
        dispatch(path, Gather { rows, signals: gradient, time });
    }
}

#[cfg(test)]
#[path = "loss_tests.rs"]
mod tests;

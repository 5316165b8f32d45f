//! Spectrograms for `imuspec.spectral.spectrogram`.

use numpy::{Element, PyReadonlyArray1, PyUntypedArray};
use pyo3::prelude::*;

use super::arrays::{items, read, signals, write};
use super::run;
use super::words::Word;
use crate::spectral::frames::{Detrend, Frames};
use crate::spectral::lanes::fft::Scale;
use crate::spectral::lanes::{Path, Real};
use crate::spectral::stft::{Mode, Spectrogram};
use crate::spectral::window;

/// A planned spectrogram of one element type; `run(x, out)` fills `out`.
#[pyclass(frozen, module = "imuspec._core")]
struct SpectrogramPlan {
    kind: Kind,
}
enum Kind {
    Single(Spectrogram<f32>, bool),
    Double(Spectrogram<f64>, bool),
}

#[pymethods]
impl SpectrogramPlan {
    /// `window` float64 [nperseg]; `power` multiplies |X|^2, `double` doubles the paired bins; `mode` psd, decibel,
    /// magnitude or complex.
    #[new]
    #[pyo3(signature = (window, nfft, hop, *, single, power, double, two_sided, detrend, mode))]
    #[allow(clippy::too_many_arguments)] // one constructor, called in one place with names
    fn new(
        py: Python<'_>,
        window: PyReadonlyArray1<'_, f64>,
        nfft: usize,
        hop: usize,
        single: bool,
        power: f64,
        double: bool,
        two_sided: bool,
        detrend: Option<Word<Detrend>>,
        mode: Word<Mode>,
    ) -> PyResult<Self> {
        let window = window.as_slice()?;
        let (detrend, mode, scale) = (detrend.map(|word| word.0), mode.0, Scale { power, double });
        let complex = mode == Mode::Complex;
        let kind = run(py, || {
            Ok(if single {
                let frames = Frames::new(window, nfft, hop, detrend, scale)?;
                Kind::Single(Spectrogram::new(frames, mode, two_sided), complex)
            } else {
                let frames = Frames::new(window, nfft, hop, detrend, scale)?;
                Kind::Double(Spectrogram::new(frames, mode, two_sided), complex)
            })
        })?;
        Ok(Self { kind })
    }

    /// Fills `out` [..., bin, frame], C-contiguous, from `x` [..., time], contiguous along time.
    fn run(&self, py: Python<'_>, x: &Bound<'_, PyUntypedArray>, out: &Bound<'_, PyUntypedArray>) -> PyResult<()> {
        match &self.kind {
            Kind::Single(plan, false) => fill::<f32, f32>(py, plan, x, out),
            Kind::Single(plan, true) => fill::<f32, numpy::Complex32>(py, plan, x, out),
            Kind::Double(plan, false) => fill::<f64, f64>(py, plan, x, out),
            Kind::Double(plan, true) => fill::<f64, numpy::Complex64>(py, plan, x, out),
        }
    }
}

/// `E` is the element of `out`: `T`, or two of it.
fn fill<T: Real + Element, E: Element>(
    py: Python<'_>,
    plan: &Spectrogram<T>,
    x: &Bound<'_, PyUntypedArray>,
    out: &Bound<'_, PyUntypedArray>,
) -> PyResult<()> {
    let (x, mut out) = (read::<T>("x", x)?, write::<E>("out", out)?);
    let signals = signals("x", &x);
    let parts = size_of::<E>() / size_of::<T>();
    let target = items("out", &mut out)?;
    #[allow(unsafe_code)]
    // SAFETY: E is one T, or a complex number of two, repr(C).
    let target = unsafe { std::slice::from_raw_parts_mut(target.as_mut_ptr().cast::<T>(), target.len() * parts) };
    run(py, move || plan.run(&signals?, target))
}

/// The window of `n` samples by its name, in float64.
#[pyfunction]
fn window_by_name(py: Python<'_>, name: &str, n: usize) -> PyResult<Vec<f64>> {
    run(py, || window::by_name(name, n))
}

/// The instruction set that the kernels run on: plain, neon, avx2 or avx512.
#[pyfunction]
fn cpu_path() -> &'static str {
    Path::best().name()
}

pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<SpectrogramPlan>()?;
    m.add_function(wrap_pyfunction!(window_by_name, m)?)?;
    m.add_function(wrap_pyfunction!(cpu_path, m)?)
}

//! Spectrograms for `imuspec.spectral.spectrogram`.

use numpy::{Element, PyArrayDyn, PyArrayMethods, PyReadonlyArray1, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use super::run;
use crate::error::Error;
use crate::spectral::lanes::fft::Scale;
use crate::spectral::lanes::{Path, Real};
use crate::spectral::stft::{Detrend, Frames, Mode, Spectrogram};
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
        window: PyReadonlyArray1<'_, f64>,
        nfft: usize,
        hop: usize,
        single: bool,
        power: f64,
        double: bool,
        two_sided: bool,
        detrend: Option<&str>,
        mode: &str,
    ) -> PyResult<Self> {
        let detrend = match detrend {
            None => None,
            Some("constant") => Some(Detrend::Constant),
            Some("linear") => Some(Detrend::Linear),
            Some(other) => return Err(unknown("detrend", "constant or linear", other)),
        };
        let mode = match mode {
            "psd" => Mode::Power,
            "decibel" => Mode::Decibel,
            "magnitude" => Mode::Magnitude,
            "complex" => Mode::Complex,
            other => return Err(unknown("mode", "psd, decibel, magnitude or complex", other)),
        };
        let (window, scale) = (window.as_slice()?, Scale { power, double });
        let complex = mode == Mode::Complex;
        let kind = if single {
            let frames = Frames::new(window, nfft, hop, detrend, scale).map_err(refused)?;
            Kind::Single(Spectrogram::new(frames, mode, two_sided), complex)
        } else {
            let frames = Frames::new(window, nfft, hop, detrend, scale).map_err(refused)?;
            Kind::Double(Spectrogram::new(frames, mode, two_sided), complex)
        };
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

fn unknown(what: &str, expected: &str, got: &str) -> PyErr {
    refused(Error::value(what, expected, format!("{got:?}")))
}

fn refused(error: Error) -> PyErr {
    pyo3::exceptions::PyValueError::new_err(error.to_string())
}

/// `E` is the element of `out`: `T`, or two of it.
fn fill<T: Real + Element, E: Element>(
    py: Python<'_>,
    plan: &Spectrogram<T>,
    x: &Bound<'_, PyUntypedArray>,
    out: &Bound<'_, PyUntypedArray>,
) -> PyResult<()> {
    let x = x.cast::<PyArrayDyn<T>>().map_err(|_| PyTypeError::new_err("x: expected the plan's element type"))?;
    let out = out.cast::<PyArrayDyn<E>>().map_err(|_| PyTypeError::new_err("out: expected the plan's element type"))?;
    let x = x.try_readonly().map_err(|e| refused(Error::Value(format!("x: {e}"))))?;
    let mut out = out.try_readwrite().map_err(|e| refused(Error::Value(format!("out: {e}"))))?;
    let lines = Lines::new(&x).map_err(refused)?;
    let parts = size_of::<E>() / size_of::<T>();
    let target = out.as_slice_mut()?;
    #[allow(unsafe_code)]
    // SAFETY: E is one T, or a complex number of two, repr(C).
    let target = unsafe { std::slice::from_raw_parts_mut(target.as_mut_ptr().cast::<T>(), target.len() * parts) };
    run(py, move || plan.run(lines.length, lines.count, |i| lines.get(i), target))
}

/// The signals of an array [..., time] whatever the strides of its leading axes.
struct Lines<'a, T> {
    first: *const T,
    length: usize,
    count: usize,
    shape: &'a [usize],
    /// In bytes.
    strides: &'a [isize],
}
#[allow(unsafe_code)]
// SAFETY: as a shared slice of T, which the array's read-only borrow makes it.
unsafe impl<T: Sync> Sync for Lines<'_, T> {}
#[allow(unsafe_code)]
// SAFETY: as above.
unsafe impl<T: Sync> Send for Lines<'_, T> {}

impl<'a, T: Element> Lines<'a, T> {
    fn new(x: &'a numpy::PyReadonlyArrayDyn<'_, T>) -> crate::error::Result<Self> {
        let (shape, strides) = (x.shape(), x.strides());
        let (Some((&length, shape)), Some((&step, strides))) = (shape.split_last(), strides.split_last()) else {
            return Err(Error::shape("x", "at least one axis", "a scalar"));
        };
        let empty = shape.contains(&0); // of whatever strides
        let whole = empty || strides.iter().all(|s| s.unsigned_abs() % align_of::<T>() == 0);
        let step = if empty { size_of::<T>() as isize } else { step };
        if !whole || (length > 1 && step != size_of::<T>() as isize) || x.data().addr() % align_of::<T>() != 0 {
            return Err(Error::value("x", "aligned samples, contiguous along time", format!("strides {strides:?}")));
        }
        Ok(Self { first: x.data(), length, count: shape.iter().product(), shape, strides })
    }

    fn get(&self, index: usize) -> &'a [T] {
        let mut rest = index;
        let mut offset = 0;
        for (&n, &stride) in self.shape.iter().zip(self.strides).rev() {
            offset += (rest % n) as isize * stride;
            rest /= n;
        }
        #[allow(unsafe_code)]
        // SAFETY: an index within the array's shape, along its strides; `new` checked contiguity and alignment.
        unsafe {
            std::slice::from_raw_parts(self.first.byte_offset(offset), self.length)
        }
    }
}

/// The window of `n` samples by its name, in float64.
#[pyfunction]
fn window_by_name(name: &str, n: usize) -> PyResult<Vec<f64>> {
    window::by_name(name, n).map_err(refused)
}

/// The instruction set that the kernels run on: plain, avx2 or avx512.
#[pyfunction]
fn cpu_path() -> &'static str {
    Path::best().name()
}

pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<SpectrogramPlan>()?;
    m.add_function(wrap_pyfunction!(window_by_name, m)?)?;
    m.add_function(wrap_pyfunction!(cpu_path, m)?)
}

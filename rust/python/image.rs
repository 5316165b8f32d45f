//! Windows -> pictures.

use numpy::{Element, PyReadonlyArray2, PyReadonlyArray3, PyReadwriteArray1};
use pyo3::prelude::*;

use super::arrays::strides;
use super::run;
use super::words::{self, Word};
use crate::spectral::batch::Windows;
use crate::spectral::image::definition::{Norm, Precision, Recipe};
use crate::spectral::image::levels::Tone;
use crate::spectral::image::painter::Painter;
use crate::spectral::image::pixel::Pixel;
use crate::spectral::image::power::Sample;
use crate::spectral::image::resize::Resize;
use crate::spectral::image::stream::Stream;

/// A recipe made ready for windows of one length; `imuspec.spectral.image` keeps one for each setting.
#[pyclass(frozen)]
struct ImagePlan(Painter);

#[pymethods]
impl ImagePlan {
    #[new]
    #[pyo3(signature = (length, *, nfft, noverlap, levels, norm, range_db, resize, size, floor_db, precision, android, mask))]
    #[allow(clippy::too_many_arguments)] // every choice of a recipe, by name
    fn new(
        py: Python<'_>,
        length: usize,
        nfft: usize,
        noverlap: usize,
        levels: Word<Tone>,
        norm: Word<words::Norm>,
        range_db: (f64, f64),
        resize: Word<Resize>,
        size: Option<[usize; 2]>,
        floor_db: Option<f64>,
        precision: Word<Precision>,
        android: bool,
        mask: bool,
    ) -> PyResult<Self> {
        let norm = match norm.0 {
            words::Norm::AxisWindow => Norm::AxisWindow,
            words::Norm::JointWindow => Norm::JointWindow,
            words::Norm::Range => Norm::Range(range_db.0, range_db.1),
        };
        let recipe = Recipe {
            nfft,
            noverlap,
            tone: levels.0,
            norm,
            resize: resize.0,
            size,
            floor_db,
            precision: precision.0,
            one_sided: !android,
            sunk: android,
            mask,
        };
        let app = Recipe { tone: Tone::Android, resize: Resize::Nearest, ..recipe };
        run(py, || Painter::new(if android { app } else { recipe }, length)).map(Self)
    }

    /// Rows and columns of a picture.
    #[getter]
    fn size(&self) -> [usize; 2] {
        self.0.plan().size()
    }

    /// Frames of the native grid.
    #[getter]
    fn frames(&self) -> usize {
        self.0.plan().grid[1]
    }

    /// Draws uint8 pictures of float32 windows [n, channels, time] into flat `out`.
    fn draw_u8_f32(
        &self,
        py: Python<'_>,
        x: PyReadonlyArray3<'_, f32>,
        out: PyReadwriteArray1<'_, u8>,
    ) -> PyResult<()> {
        self.draw(py, &x, out)
    }

    /// Draws uint8 pictures of float64 windows.
    fn draw_u8_f64(
        &self,
        py: Python<'_>,
        x: PyReadonlyArray3<'_, f64>,
        out: PyReadwriteArray1<'_, u8>,
    ) -> PyResult<()> {
        self.draw(py, &x, out)
    }

    /// Draws normalised float32 pictures of float32 windows.
    fn draw_f32_f32(
        &self,
        py: Python<'_>,
        x: PyReadonlyArray3<'_, f32>,
        out: PyReadwriteArray1<'_, f32>,
    ) -> PyResult<()> {
        self.draw(py, &x, out)
    }

    /// Draws normalised float32 pictures of float64 windows.
    fn draw_f32_f64(
        &self,
        py: Python<'_>,
        x: PyReadonlyArray3<'_, f64>,
        out: PyReadwriteArray1<'_, f32>,
    ) -> PyResult<()> {
        self.draw(py, &x, out)
    }
}

/// Samples in, pictures out; `imuspec.ImageStream` says what it does.
#[pyclass]
struct ImageStreamCore(Stream);

#[pymethods]
impl ImageStreamCore {
    /// The stream of a plan's pictures.
    #[new]
    fn new(py: Python<'_>, plan: &ImagePlan, hop: usize, n_axes: usize) -> PyResult<Self> {
        let plan = plan.0.plan();
        run(py, || Stream::new(plan.recipe, plan.length, hop, n_axes)).map(Self)
    }

    /// Whether windows begin on columns.
    #[getter]
    fn aligned(&self) -> bool {
        self.0.aligned()
    }

    /// Pictures that `more` samples would complete.
    fn pictures(&self, more: usize) -> usize {
        self.0.pictures(more)
    }

    /// Takes [axes, k] samples and draws uint8 pictures into flat `out`.
    fn push_u8(
        &mut self,
        py: Python<'_>,
        x: PyReadonlyArray2<'_, f64>,
        mut out: PyReadwriteArray1<'_, u8>,
    ) -> PyResult<()> {
        let (k, x, out) =
            (x.as_array().shape()[1], contiguous(x.as_slice().ok())?, contiguous(out.as_slice_mut().ok())?);
        run(py, || self.0.push(x, k, out))
    }

    /// Takes [axes, k] samples and draws normalised float32 pictures into flat `out`.
    fn push_f32(
        &mut self,
        py: Python<'_>,
        x: PyReadonlyArray2<'_, f64>,
        mut out: PyReadwriteArray1<'_, f32>,
    ) -> PyResult<()> {
        let (k, x, out) =
            (x.as_array().shape()[1], contiguous(x.as_slice().ok())?, contiguous(out.as_slice_mut().ok())?);
        run(py, || self.0.push(x, k, out))
    }
}

fn contiguous<T>(slice: Option<T>) -> PyResult<T> {
    slice.ok_or_else(|| pyo3::exceptions::PyValueError::new_err("array: expected C order, got strides"))
}

impl ImagePlan {
    fn draw<T, P>(&self, py: Python<'_>, x: &PyReadonlyArray3<'_, T>, mut out: PyReadwriteArray1<'_, P>) -> PyResult<()>
    where
        T: Element + Sample,
        P: Element + Pixel + Send,
    {
        let view = x.as_array();
        let shape = [view.shape()[0], view.shape()[1], view.shape()[2]];
        let strides = strides("x", x);
        let strides = run(py, || strides)?;
        let strides = [strides[0], strides[1], strides[2]];
        // SAFETY: NumPy keeps every item readable, aligned and at whole strides, as has been checked; the read-only borrow
        // `x` outlives the call.
        #[allow(unsafe_code)]
        let windows = unsafe { Windows::from_raw(view.as_ptr(), shape, strides) };
        let out = contiguous(out.as_slice_mut().ok())?;
        run(py, || self.0.draw(windows, out))
    }
}

pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<ImagePlan>()?;
    m.add_class::<ImageStreamCore>()
}

//! Windows -> pictures.

use numpy::{Element, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::arrays::{Array, dispatch_by_item, items, read, signals, write};
use super::run;
use super::words::{self, Fields, Missing, Preset, Word};
use crate::error::{Error, Result};
use crate::spectral::image::definition::{Norm, Precision, Recipe};
use crate::spectral::image::levels::Tone;
use crate::spectral::image::painter::Painter;
use crate::spectral::image::pixel::Pixel;
use crate::spectral::image::power::Sample;
use crate::spectral::image::resize::Resize;
use crate::spectral::image::stream::Stream;

/// Decibels of black and white with the norm "fixed".
const FIXED_RANGE_DB: (f64, f64) = (-60.0, 40.0);

/// An `imuspec.spectral.settings.ImageSettings`.
#[derive(FromPyObject)]
struct ImageSettings {
    nfft: usize,
    #[pyo3(attribute("overlap"))]
    noverlap: usize,
    levels: Word<Tone>,
    norm: Word<words::Norm>,
    range_db: Option<(f64, f64)>,
    resize: Word<Resize>,
    size: Option<[usize; 2]>,
    floor_db: Option<f64>,
    precision: Word<Precision>,
    preset: Option<Word<Preset>>,
    nan: Word<Missing>,
}

impl ImageSettings {
    fn recipe(&self) -> Result<Recipe> {
        let recipe = Recipe {
            nfft: self.nfft,
            noverlap: self.noverlap,
            tone: self.levels.0,
            norm: self.span()?,
            resize: self.resize.0,
            size: self.size,
            floor_db: self.floor_db,
            precision: self.precision.0,
            one_sided: true,
            sunk: false,
            mask: self.nan.0 == Missing::Mask,
        };
        let recipe = match self.preset {
            None => recipe,
            Some(Word(Preset::Android)) => {
                let expected = "levels, norm and resize left alone, as the preset fixes them";
                recipe.android().ok_or_else(|| Error::value("preset", expected, "others"))?
            }
        };
        recipe.check()?;
        Ok(recipe)
    }

    /// What black and white span.
    fn span(&self) -> Result<Norm> {
        let norm = self.norm.0;
        let (low, high) = match (norm, self.range_db) {
            (words::Norm::AxisWindow, None) => return Ok(Norm::AxisWindow),
            (words::Norm::JointWindow, None) => return Ok(Norm::JointWindow),
            (words::Norm::AxisWindow | words::Norm::JointWindow, Some(range)) => {
                let expected = format!("None with norm=\"{}\"", words::name(norm));
                return Err(Error::value("range_db", expected, format!("{range:?}")));
            }
            (words::Norm::Dataset, None) => {
                let expected = "the data set's (low, high), as training_range gives, with norm=\"dataset\"";
                return Err(Error::value("range_db", expected, "None"));
            }
            (words::Norm::Fixed, None) => FIXED_RANGE_DB,
            (words::Norm::Fixed | words::Norm::Dataset, Some(range)) => range,
        };
        if let Some(floor) = self.floor_db {
            let expected = format!("None with norm=\"{}\", which has a floor", words::name(norm));
            return Err(Error::value("floor_db", expected, floor));
        }
        Ok(Norm::Range(low, high))
    }
}

/// Refuses settings of pictures that no picture has.
#[pyfunction]
fn check_image_settings(py: Python<'_>, settings: Fields<ImageSettings>) -> PyResult<()> {
    run(py, || settings.0.recipe().map(|_| ()))
}

/// Settings made ready for windows of one length; `imuspec.spectral.settings` keeps one for each.
#[pyclass(frozen)]
struct ImagePlan(Painter);

#[pymethods]
impl ImagePlan {
    #[new]
    fn new(py: Python<'_>, length: usize, settings: Fields<ImageSettings>) -> PyResult<Self> {
        run(py, || Painter::new(settings.0.recipe()?, length)).map(Self)
    }

    /// Rows and columns of a picture.
    #[getter]
    fn size(&self) -> [usize; 2] {
        self.0.plan().size()
    }

    /// Draws windows [..., axes, time], float32 or float64, into `out`, uint8 or normalised float32.
    fn draw(&self, py: Python<'_>, x: &Bound<'_, PyUntypedArray>, out: &Bound<'_, PyUntypedArray>) -> PyResult<()> {
        dispatch_by_item!("x", x, T in [f32, f64] => dispatch_by_item!("out", out, P in [u8, f32] => {
            self.draw_as::<T, P>(py, x, out)
        }))
    }
}

impl ImagePlan {
    fn draw_as<T: Element + Sample, P: Element + Pixel>(
        &self,
        py: Python<'_>,
        x: Array<'_, '_>,
        out: Array<'_, '_>,
    ) -> PyResult<()> {
        let (x, mut out) = (read::<T>("x", x)?, write::<P>("out", out)?);
        let (signals, out) = (signals("x", &x), items("out", &mut out)?);
        let axes = x.shape().iter().rev().nth(1).copied().unwrap_or(1);
        run(py, || self.0.draw(&signals?, axes, out))
    }
}

/// Samples in, pictures out; see `imuspec.ImageStream`.
#[pyclass]
struct ImageStreamCore(Stream);

#[pymethods]
impl ImageStreamCore {
    /// The stream of pictures of windows of `length` samples every `hop`.
    #[new]
    fn new(
        py: Python<'_>,
        length: usize,
        settings: Fields<ImageSettings>,
        hop: usize,
        n_axes: usize,
    ) -> PyResult<Self> {
        run(py, || Stream::new(settings.0.recipe()?, length, hop, n_axes)).map(Self)
    }

    /// Rows and columns of a picture.
    #[getter]
    fn size(&self) -> [usize; 2] {
        self.0.plan().size()
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

    /// Takes samples [axes, k] of float64 and draws pictures into `out`, uint8 or normalised float32.
    fn push(&mut self, py: Python<'_>, x: &Bound<'_, PyUntypedArray>, out: &Bound<'_, PyUntypedArray>) -> PyResult<()> {
        dispatch_by_item!("out", out, P in [u8, f32] => {
            let (x, mut out) = (read::<f64>("x", x)?, write::<P>("out", out)?);
            let (signals, out) = (signals("x", &x), items("out", &mut out)?);
            run(py, || self.0.push(&signals?, out))
        })
    }
}

pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<ImagePlan>()?;
    m.add_class::<ImageStreamCore>()?;
    m.add_function(wrap_pyfunction!(check_image_settings, m)?)
}

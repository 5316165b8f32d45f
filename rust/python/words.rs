//! Words of a recipe and the Rust values that they mean.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::device::calendar;
use crate::device::{DateOrder, Timestamps, Unit};
use crate::preparation::Order;
use crate::signal::calibrate;
use crate::signal::grid::Method;
use crate::signal::wear::LengthRule;
use crate::spectral::frames::Detrend;
use crate::spectral::image::definition::Precision;
use crate::spectral::image::levels::Tone;
use crate::spectral::image::resize::Resize;
use crate::spectral::magnitude::features::Moment;
use crate::spectral::stft::Mode;

/// A choice that Python spells as a word.
pub(super) trait Words: Copy + 'static {
    /// What is chosen, as the argument is called in Python.
    const NAME: &'static str;
    /// Each word with its value.
    const WORDS: &'static [(&'static str, Self)];
}

/// An argument that is one of a choice's words.
#[derive(Clone, Copy)]
pub(super) struct Word<T>(pub(super) T);

impl<T: Words> FromPyObject<'_, '_> for Word<T> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        let word = object.extract::<String>().ok();
        let chosen = word.and_then(|word| T::WORDS.iter().find(|(known, _)| *known == word));
        chosen.map(|&(_, value)| Self(value)).ok_or_else(|| {
            let known: Vec<String> = T::WORDS.iter().map(|(known, _)| format!("'{known}'")).collect();
            let got = object.repr().map_or_else(|_| "another object".to_owned(), |repr| repr.to_string());
            PyValueError::new_err(format!("{}: expected one of {}, got {got}", T::NAME, known.join(", ")))
        })
    }
}

/// The word of a value.
pub(super) fn name<T: Words + PartialEq>(value: T) -> &'static str {
    T::WORDS.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

/// An argument whose fields are read by name; the error of a field is its own, not PyO3's "failed to extract field".
pub(super) struct Fields<S>(pub(super) S);

impl<'a, 'py, S: FromPyObject<'a, 'py, Error = PyErr>> FromPyObject<'a, 'py> for Fields<S> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let py = object.py();
        S::extract(object).map(Self).map_err(|error| error.cause(py).unwrap_or(error))
    }
}

macro_rules! words {
    ($($type:ty, $name:literal: $($word:literal => $value:expr),+;)+) => {$(
        impl Words for $type {
            const NAME: &'static str = $name;
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, $value)),+];
        }
    )+};
}

words! {
    Timestamps, "timestamps": "device" => Timestamps::Device, "actipy" => Timestamps::Actipy;
    DateOrder, "date_order": "auto" => DateOrder::Auto,
        "day_first" => DateOrder::Given(calendar::Order::DayMonthYear),
        "month_first" => DateOrder::Given(calendar::Order::MonthDayYear);
    Option<Unit>, "unit": "auto" => None, "g" => Some(Unit::G), "mg" => Some(Unit::Milli),
        "m/s2" => Some(Unit::MetresPerSecond2);
    Order, "order": "paper" => Order::Paper, "actipy" => Order::Actipy;
    Method, "method": "linear" => Method::Linear, "nearest" => Method::Nearest;
    calibrate::Method, "method": "actipy" => calibrate::Method::Actipy, "vanhees" => calibrate::Method::VanHees;
    LengthRule, "rule": "whole" => LengthRule::Plain, "actipy" => LengthRule::Actipy;
    Tone, "levels": "greys" => Tone::Greys, "linear" => Tone::Linear;
    Resize, "resize":
        "canvas" => Resize::Canvas, "antialias" => Resize::Antialias, "bilinear" => Resize::Bilinear;
    Precision, "precision":
        "auto" => Precision::Auto, "float64" => Precision::Float64, "float32" => Precision::Float32;
    Moment, "moment":
        "mean" => Moment::Mean, "variance" => Moment::Variance, "unbiased-variance" => Moment::UnbiasedVariance;
    Detrend, "detrend": "constant" => Detrend::Constant, "linear" => Detrend::Linear;
    Mode, "mode":
        "psd" => Mode::Power, "decibel" => Mode::Decibel, "magnitude" => Mode::Magnitude, "complex" => Mode::Complex;
    Norm, "norm": "axis-window" => Norm::AxisWindow, "joint-window" => Norm::JointWindow, "fixed" => Norm::Fixed,
        "dataset" => Norm::Dataset;
    Preset, "preset": "android" => Preset::Android;
    Missing, "nan": "raise" => Missing::Raise, "mask" => Missing::Mask;
    IdleSleep, "idle_sleep": "fill" => IdleSleep::Fill, "gap" => IdleSleep::Gap;
}

/// What black and white of a picture span; a range comes beside the last two words.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Norm {
    AxisWindow,
    JointWindow,
    Fixed,
    Dataset,
}

/// A picture that another program draws.
#[derive(Clone, Copy)]
pub(super) enum Preset {
    Android,
}

/// What is done with samples that are missing.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Missing {
    Raise,
    Mask,
}

/// What stands where a device slept.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum IdleSleep {
    Fill,
    Gap,
}

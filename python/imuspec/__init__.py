"""Wearable motion sensors: from device files to calibrated wear, spectrogram images and features, on a native core.

The public names load on first use: ``import imuspec`` imports neither torch, zarr nor matplotlib.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from imuspec import _core
from imuspec._core import __version__

if TYPE_CHECKING:
    from imuspec.cohort.cohort import Cohort as Cohort
    from imuspec.errors import RecordingError as RecordingError
    from imuspec.prediction.model import Model as Model
    from imuspec.prediction.model import load as load
    from imuspec.prediction.predicting import predict as predict
    from imuspec.preparation import Prepared as Prepared
    from imuspec.preparation import prepare as prepare
    from imuspec.pretraining.pretraining import pretrain as pretrain
    from imuspec.recipe import PretrainRecipe as PretrainRecipe
    from imuspec.recipe import Recipe as Recipe
    from imuspec.recording.reading import read as read
    from imuspec.recording.recording import Recording as Recording
    from imuspec.report.drawing import plot as plot
    from imuspec.run.run import Run as Run
    from imuspec.signal import Calibration as Calibration
    from imuspec.signal import calibrate as calibrate
    from imuspec.signal import lowpass as lowpass
    from imuspec.signal import resample as resample
    from imuspec.signal import wear_segments as wear_segments
    from imuspec.signal import windows as windows
    from imuspec.spectral.frame_length import choose_nfft as choose_nfft
    from imuspec.spectral.image import rgb_image as rgb_image
    from imuspec.spectral.magnitude import log_magnitude_variance as log_magnitude_variance
    from imuspec.spectral.magnitude import log_mean_magnitude as log_mean_magnitude
    from imuspec.spectral.spectrogram import spectrogram as spectrogram
    from imuspec.spectral.stream import ImageStream as ImageStream

_HOME = {
    "calibrate": "signal",
    "Calibration": "signal",
    "choose_nfft": "spectral.frame_length",
    "Cohort": "cohort.cohort",
    "ImageStream": "spectral.stream",
    "load": "prediction.model",
    "log_magnitude_variance": "spectral.magnitude",
    "log_mean_magnitude": "spectral.magnitude",
    "lowpass": "signal",
    "Model": "prediction.model",
    "plot": "report.drawing",
    "predict": "prediction.predicting",
    "prepare": "preparation",
    "Prepared": "preparation",
    "pretrain": "pretraining.pretraining",
    "PretrainRecipe": "recipe",
    "read": "recording.reading",
    "Recipe": "recipe",
    "Recording": "recording.recording",
    "RecordingError": "errors",
    "resample": "signal",
    "rgb_image": "spectral.image",
    "Run": "run.run",
    "spectrogram": "spectral.spectrogram",
    "wear_segments": "signal",
    "windows": "signal",
}

__all__ = ["__version__", *_HOME]  # noqa: PLE0604  (names are resolved by __getattr__)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_core.after_fork)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'imuspec' has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(f"imuspec.{_HOME[name]}"), name)
    except ModuleNotFoundError as error:
        from imuspec.errors import EXTRAS, require

        if error.name in EXTRAS:
            require(f"imuspec.{name}", error.name)
        raise
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})

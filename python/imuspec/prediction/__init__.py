"""From labelled people to a classifier, and from a device file to what its wearer did.

`fit_windows` and `fit_patches` make a `Model`, `load` reads one from its folder, `predict` applies it to a device file.
"""

from __future__ import annotations

from imuspec.prediction.activities import Activities
from imuspec.prediction.fitting import fit_windows
from imuspec.prediction.model import Model, load
from imuspec.prediction.patch_fitting import fit_patches
from imuspec.prediction.predicting import LabelledPrediction, predict, predict_labelled
from imuspec.prediction.smoothing import Smoother

__all__ = [
    "Activities",
    "LabelledPrediction",
    "Model",
    "Smoother",
    "fit_patches",
    "fit_windows",
    "load",
    "predict",
    "predict_labelled",
]

"""From a device file to what its wearer did: a class for each ten seconds, minutes of each day, a picture of the week."""

from __future__ import annotations

from imuspec.prediction.activities import Activities
from imuspec.prediction.model import ActivityModel, fit_activity_model, predict
from imuspec.prediction.smoothing import Smoother

__all__ = ["Activities", "ActivityModel", "Smoother", "fit_activity_model", "predict"]

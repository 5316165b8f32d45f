"""Pictures, features and encoders as scikit-learn estimators.

They take windows ``X [n, 3, time]`` in g, as `imuspec.datasets.Windows.x`. Transformers return one row of features for each
window, with names. They work in a ``Pipeline``, with ``GridSearchCV`` and ``GroupKFold`` by subject, with
``set_output(transform="pandas")``, and can be cloned and pickled. scikit-learn is in the extra ``train``.
"""

from __future__ import annotations

from imuspec.errors import require

require("imuspec.sklearn", "sklearn")

from imuspec.sklearn.classifier import MotionClassifier  # noqa: E402  (the check for scikit-learn is before its import)
from imuspec.sklearn.transformers import (  # noqa: E402  (as above)
    Embedding,
    LogMeanMagnitude,
    RgbImage,
    Spectrogram,
    WindowStatistics,
)

__all__ = ["Embedding", "LogMeanMagnitude", "MotionClassifier", "RgbImage", "Spectrogram", "WindowStatistics"]

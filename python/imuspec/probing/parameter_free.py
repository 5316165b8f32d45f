"""Features without parameters, which every table shows: statistics of the window, six numbers, means of the picture's rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imuspec.spectral.statistics import window_features

__all__ = ["MomentsSource", "RowMeans", "StatisticsSource", "moments"]

Choice = dict[str, Any]
_SENSOR_G = 1e-3  # below this sensors differ, not subjects


class _Plain:
    """A source with a single kind of features and no setting to choose."""

    layers: tuple[str, ...] = ("statistics",)

    def choices(self, n_samples: int) -> list[Choice]:  # noqa: ARG002  (no setting, whatever the length)
        """Return the single choice, which sets nothing."""
        return [{}]


class StatisticsSource(_Plain):
    """Statistics of the raw window.

    Parameters
    ----------
    rate : float
        Sample rate, Hz.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate

    def features(self, x: NDArray[np.float32], choice: Choice) -> dict[str, NDArray[np.float32]]:  # noqa: ARG002  (no choice)
        """Return `imuspec.spectral.statistics.window_features` of each window."""
        return {"statistics": window_features(x, self._rate)[0]}


class MomentsSource(_Plain):
    """Six numbers of the raw window: the mean of each axis with its sign, and the log of its standard deviation."""

    def features(self, x: NDArray[np.float32], choice: Choice) -> dict[str, NDArray[np.float32]]:  # noqa: ARG002  (no choice)
        """Return `moments` of each window."""
        return {"statistics": moments(x)}


def moments(x: NDArray[Any]) -> NDArray[np.float32]:
    """Return the mean of each axis (g) and the natural logarithm of its standard deviation (g).

    The deviation levels off at 1 mg, below which sensors differ, not subjects.

    Parameters
    ----------
    x : array [..., axes, time]
        Windows, g.

    Returns
    -------
    array of float32 [..., 2 axes]
        Means of the axes, then log deviations.

    Examples
    --------
    >>> import numpy as np
    >>> moments(np.array([[1.0, 1.0], [0.0, 2.0], [-1.0, -1.0]])).round(2).tolist()
    [1.0, 1.0, -1.0, -6.91, 0.0, -6.91]
    """
    mean, deviation = np.mean(x, -1, dtype=np.float64), np.std(x, -1, dtype=np.float64)
    return np.concatenate([mean, np.log(np.hypot(deviation, _SENSOR_G))], -1).astype(np.float32)


class RowMeans(nn.Module):
    """An encoder of pictures without parameters: the mean over time of each row and channel."""

    kind = "image"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures [B, 3, rows, columns] -> [B, 3 rows]."""
        return x.mean(-1).flatten(1)

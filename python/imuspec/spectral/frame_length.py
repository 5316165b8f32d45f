"""The choice of a spectrogram's frame length without labels."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from imuspec.arrays import as_signals, check_axes
from imuspec.spectral.spectrogram import spectrogram

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["choose_nfft"]

_AT_ONCE = 256  # windows


def choose_nfft(
    x: ArrayLike,
    *,
    candidates: Sequence[int] = (32, 64, 128, 256),
    hop: int = 4,
    per: Literal["dataset", "window"] = "dataset",
) -> int | NDArray[np.int64]:
    """Choose the frame length without labels: the one whose spectrograms have the least Renyi entropy of order 3.

    ``H = -1/2 log2(sum p**3 / (hop / nfft)**2)``, p the power of each cell (no window mean, symmetric Hann) divided by the
    sum over the window's axes and cells, hop / nfft the area of a cell, without which grids of different density could not be
    compared. Few strong cells, little entropy: the picture is as sharp as it can be in time and frequency together.

    Parameters
    ----------
    x : array [..., axes, time] or [time]
        Windows in any unit.
    candidates : sequence of int
        Frame lengths to choose from, each at least 8; those longer than a window are left out.
    hop : int
        Samples from frame to frame, the same for all candidates.
    per : {"dataset", "window"}
        One choice by the mean entropy over all windows, or one for each window.

    Returns
    -------
    int or int64 array [...]
        The frame length, of the shape of the leading axes for "window". Windows without motion or with NaN have no say,
        and are given what the others chose (or the shortest, if there are none).

    Raises
    ------
    ValueError
        For candidates or a hop outside their domain, or none that fits a window.

    Notes
    -----
    Gravity would decide by itself (its energy is a line along time, sharpest for the longest frame), so each window's mean
    is taken out first.

    References
    ----------
    Baraniuk, Flandrin, Janssen, Michel, Measuring time-frequency information content using the Renyi entropies, IEEE
    Transactions on Information Theory 2001.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(500)
    >>> choose_nfft(np.sin(t * 0.5) + np.sin(t * 0.56)), choose_nfft((t % 125 == 60).astype(float))
    (256, 32)
    """
    if per not in ("dataset", "window"):
        raise ValueError(f'per: expected "dataset" or "window", got {per!r}')
    if not candidates or any(operator.index(n) < 8 for n in candidates) or operator.index(hop) < 1:
        raise ValueError(
            f"candidates, hop: expected frame lengths of at least 8 and a hop of 1, got {candidates}, {hop}"
        )
    array = as_signals(x, contiguous=False)
    check_axes(array)
    leading = array.shape[:-2]
    windows: NDArray[Any] = array.reshape(-1, *array.shape[-2:]) if array.ndim > 1 else array[None, None]
    fitting = sorted({int(n) for n in candidates if n <= windows.shape[-1]})
    if not fitting:
        raise ValueError(
            f"candidates: expected one of at most the window's {windows.shape[-1]} samples, got {candidates}"
        )
    entropy = np.full((len(windows), len(fitting)), np.nan)
    for first in range(0, len(windows), _AT_ONCE):
        piece = slice(first, first + _AT_ONCE)
        part = windows[piece].astype(np.float64)
        centred = part - part.mean(-1, keepdims=True)
        loudest = np.abs(centred).max((-2, -1), keepdims=True)
        valid = loudest[:, 0, 0] > 1e-9 * np.abs(part).max((-2, -1))
        centred = centred[valid] / loudest[valid]
        if valid.any():
            entropy[piece][valid] = np.stack([_entropy(centred, n, hop) for n in fitting], -1)
    known = np.isfinite(entropy).all(-1)
    overall = fitting[int(entropy[known].mean(0).argmin())] if known.any() else fitting[0]
    if per == "dataset":
        return overall
    chosen = np.full(len(windows), overall)
    chosen[known] = np.array(fitting)[entropy[known].argmin(-1)]
    return chosen.reshape(leading)


def _entropy(centred: NDArray[np.float64], nfft: int, hop: int) -> NDArray[np.float64]:
    noverlap = max(0, nfft - hop)
    power = spectrogram(centred, window="hann_symmetric", nperseg=nfft, noverlap=noverlap, scaling="spectrum")[2]
    total = power.sum((-3, -2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        cubes = (power**3).sum((-3, -2, -1)) / total**3
        entropy: NDArray[np.float64] = -0.5 * np.log2(cubes) + np.log2((nfft - noverlap) / nfft)
    return entropy

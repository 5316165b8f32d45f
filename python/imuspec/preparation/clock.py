"""The device's local clock at the samples of a uniform grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["grid_times"]


def grid_times(
    indices: NDArray[np.int64],
    *,
    start_time: int,
    rate: float,
    shifts: NDArray[np.int64],
    shifted_as: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return the device's clock at some samples, int64 [n] ns since 1970 of its local time.

    Parameters
    ----------
    indices : int64 [n]
        Indices of samples of the grid.
    start_time : int
        Clock of sample 0, ns.
    rate : float
        Of the grid, Hz.
    shifts : int64 [k, 2]
        From this sample on, the grid is so many ns ahead of the clock.
    shifted_as : int64 [n], optional
        Samples whose shift counts, by default `indices`: the end of a sample has the shift of that sample, not of the next.
    """
    known = np.searchsorted(shifts[:, 0], indices if shifted_as is None else shifted_as, side="right")
    ahead = np.concatenate([[0], shifts[:, 1]]).astype(np.int64)[known]
    times: NDArray[np.int64] = start_time + np.rint(indices * 1_000_000_000 / rate).astype(np.int64) - ahead
    return times

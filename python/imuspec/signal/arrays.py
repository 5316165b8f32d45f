"""Checked arrays of the signal chain: float32 in g, and int64 nanoseconds."""

from __future__ import annotations

import math
from typing import Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imuspec.arrays import as_array, as_real, as_signals

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@runtime_checkable
class Recorded(Protocol):
    """The attributes of a recording that the signal chain needs; ``temperature`` is optional."""

    @property
    def acceleration(self) -> Float32:
        """Acceleration [3, n], g."""

    @property
    def time(self) -> Int64:
        """Times [n], ns since 1970."""


def as_series(x: ArrayLike, name: str = "x") -> Float32:
    """Return float32 with a contiguous last axis; a view of windows stays a view."""
    return cast(Float32, as_signals(x, name, double="never"))


def as_three_axes(x: ArrayLike, name: str = "acceleration") -> Float32:
    """Return float32 [3, time]."""
    array = as_series(x, name)
    if array.ndim != 2 or array.shape[0] != 3:
        raise ValueError(f"{name}: expected shape [3, time], got {list(array.shape)}")
    return array


def as_times(time: ArrayLike, n: int) -> Int64:
    """Return int64 [n], ns, from nanoseconds or datetimes."""
    array = as_array(time, "time")
    if array.dtype.kind == "M":
        array = array.astype("datetime64[ns]").view(np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"time: expected int64 nanoseconds, got dtype {array.dtype}")
    if array.shape != (n,):
        raise ValueError(f"time: expected shape [{n}], one time a sample, got {list(array.shape)}")
    return np.ascontiguousarray(as_real(array, "time"), np.int64)


def as_nanoseconds(name: str, value: float, unit_s: float = 1.0) -> int:
    """Return a length in whole ns; it must be at least 0 and below 285 years."""
    if not (math.isfinite(value) and 0 <= value * unit_s < 9e9):
        raise ValueError(f"{name}: expected a number of at least 0, got {value}")
    return round(value * unit_s * 1e9)

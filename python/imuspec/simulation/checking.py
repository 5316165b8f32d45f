"""Checks of the samples that writers get."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["checked", "rate_of", "wall_clock"]


def checked(acceleration: ArrayLike, time: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return acceleration as float32 [3, n] and time as int64 [n]; raise a ValueError that names a wrong argument."""
    values = np.asarray(acceleration, dtype=np.float32)
    stamps = np.asarray(time, dtype=np.int64)
    if values.ndim != 2 or values.shape[0] != 3:
        raise ValueError(f"acceleration: expected shape [3, n], got {list(values.shape)}")
    if stamps.shape != values.shape[1:]:
        raise ValueError(f"time: expected shape [{values.shape[1]}], got {list(stamps.shape)}")
    if len(stamps) < 2 or not (np.diff(stamps) > 0).all():
        raise ValueError("time: expected two or more increasing times")
    return values, stamps


def rate_of(time: NDArray[np.int64]) -> float:
    """Return the median sample rate in Hz, to a millihertz."""
    return round(1e9 / float(np.median(np.diff(time))), 3)


def wall_clock(time: NDArray[np.int64], unit: str = "ms") -> list[str]:
    """Return local times as ``2023-05-15 10:00:00.000``, rounded down to the unit."""
    stamps = np.datetime_as_string(time.astype("M8[ns]").astype(f"M8[{unit}]"))
    return [text.replace("T", " ") for text in stamps.tolist()]

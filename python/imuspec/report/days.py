"""One row per calendar day: hours recorded and worn, and the mean acceleration."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imuspec.report import spans
from imuspec.report.minutes import DAY_NS, Minutes, Track

__all__ = ["VALID_DAY_H", "Day", "daily", "mean_enmo"]

VALID_DAY_H = 16.0  # GGIR's includedaycrit


class Day(NamedTuple):
    """One day of the device's local clock.

    Attributes
    ----------
    date : str
        The day, as ``Tue 4 Nov``.
    recorded_h, worn_h : float
        Hours with samples, and hours of these in which the device was worn (NaN if wear is unknown).
    enmo_mg : float
        Mean of max(|a| - 1 g, 0) over the time worn, or recorded if wear is unknown; NaN if there is no such time.
    """

    date: str
    recorded_h: float
    worn_h: float
    enmo_mg: float

    @property
    def valid(self) -> bool:
        """Whether the device was worn for `VALID_DAY_H` or longer."""
        return self.worn_h >= VALID_DAY_H


def daily(signal: Track, reduced: Minutes) -> list[Day]:
    """Return one row per day of the local clock, from the first to the last day of a recording.

    Parameters
    ----------
    signal : Track
        The recording.
    reduced : Minutes
        The recording minute by minute.
    """
    recorded, worn = _shares(signal, reduced)
    enmo = np.nan_to_num(reduced.enmo.ravel().astype(np.float64))
    start = reduced.origin + np.arange(recorded.size, dtype=np.int64) * reduced.step_ns
    date, hours = start // DAY_NS, reduced.step_ns / 3.6e12
    rows = []
    for day in range(int(date[0]), int(date[-1]) + 1):
        on_day = date == day
        time = float(worn[on_day].sum())
        rows.append(
            Day(
                spans.day_label(day * DAY_NS),
                float(recorded[on_day].sum()) * hours,
                time * hours if signal.nonwear is not None else math.nan,
                float((enmo[on_day] * worn[on_day]).sum()) / time if time else math.nan,
            )
        )
    return rows


def mean_enmo(signal: Track, reduced: Minutes) -> float:
    """Return the mean of max(|a| - 1 g, 0) in mg over the time worn, or over all time if wear is unknown; NaN if none."""
    _, worn = _shares(signal, reduced)
    total = float(worn.sum())
    return float((np.nan_to_num(reduced.enmo.ravel().astype(np.float64)) * worn).sum()) / total if total else math.nan


def _shares(signal: Track, reduced: Minutes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of every step that was recorded, and the share that was also worn, [n]."""
    recorded = reduced.covered.ravel().astype(np.float64)
    edges = np.arange(recorded.size + 1, dtype=np.int64) * reduced.step_ns
    order = signal.not_worn[np.argsort(signal.not_worn[:, 0], kind="stable")] - reduced.origin
    passed = np.zeros(edges.size)
    end = np.iinfo(np.int64).min
    for start, stop in order.tolist():  # stretches overlap if the clock was set back; each time counts once
        first, end = max(start, end), max(stop, end)
        passed += np.clip(edges - first, 0, max(end - first, 0))
    nonwear = np.diff(passed) / reduced.step_ns
    return recorded, np.clip(recorded - nonwear, 0, 1)

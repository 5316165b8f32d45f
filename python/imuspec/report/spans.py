"""Stretches of time in a recording (gaps, non-wear, selected wear) on the local clock, cut at midnight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imuspec.report.minutes import DAY_NS, Minutes, Track

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["by_row", "date_axis", "day_label", "duration", "gaps", "hour_axis", "stamp"]

_HOUR_NS = DAY_NS / 24
Spans = NDArray[np.int64]


def gaps(source: Track, *, min_s: float = 0.0) -> Spans:
    """Return the gaps longer than `min_s`, int64 [k, 2], ns. A clock that was set back leaves no gap."""
    order = np.argsort(source.starts, kind="stable")
    starts, stops = source.starts[order][1:], np.maximum.accumulate(source.stops[order])[:-1]
    wide = starts - stops > min_s * 1e9
    return np.stack([stops[wide], starts[wide]], axis=1)


def by_row(spans: Spans, rows: Minutes) -> Iterator[tuple[int, float, float]]:
    """Yield row, start and end of every piece, cut at the ends of rows; in hours from the start of the row."""
    for start, stop in spans:
        time = int(start)
        while time < stop:
            row = (time - rows.origin) // rows.row_ns
            begin = rows.origin + row * rows.row_ns
            end = min(int(stop), begin + rows.row_ns)
            yield int(row), (time - begin) / _HOUR_NS, (end - begin) / _HOUR_NS
            time = end


def hour_axis(axes: Axes, rows: Minutes, *, narrow: bool = False) -> None:
    """Label the hours of the day, or the times of a short recording; a narrow figure has fewer labels."""
    width = rows.row_ns / _HOUR_NS
    if rows.daily:
        ticks = np.arange(0.0, 25.0, 6.0 if narrow else 3.0)
    else:
        choices = np.array([5 / 60, 10 / 60, 0.5, 1, 2, 5, 10, 15, 30, 60, 120])
        ideal = width * 60 / (4 if narrow else 8)
        step = float(choices[min(int(np.searchsorted(choices, ideal)), len(choices) - 1)]) / 60
        first = rows.origin % DAY_NS / _HOUR_NS
        ticks = np.arange(np.ceil(first / step) * step, first + width + 1e-9, step) - first
    axes.set(xlim=(0, width), xticks=ticks)
    seconds = np.round(ticks * 3600 + (0 if rows.daily else rows.origin % DAY_NS / 1e9)).astype(np.int64)
    fine = bool((seconds % 60).any())
    axes.set_xticklabels(
        [
            f"{s // 3600 % 24 if not rows.daily else s // 3600:02d}:{s // 60 % 60:02d}{f':{s % 60:02d}' * fine}"
            for s in seconds
        ]
    )


def date_axis(axes: Axes, *, narrow: bool = False) -> None:
    """Label a datetime64 axis with dates and times."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator: Any = AutoDateLocator(minticks=2 if narrow else 4, maxticks=5 if narrow else 10)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))


def day_label(ns: int) -> str:
    """Return a day as ``Tue 4 Nov``."""
    day = np.datetime64(int(ns), "ns").astype("datetime64[D]").item()
    return f"{day:%a} {day.day} {day:%b}"


def stamp(ns: int) -> str:
    """Return a time (ns) as ``2026-11-04 14:32:10``."""
    return str(np.datetime64(int(ns), "ns").astype("datetime64[s]")).replace("T", " ")


def duration(seconds: float) -> str:
    """Return a length of time in words: ``6 d 23 h``, ``3 h 05 min``, ``42.5 s``."""
    if not np.isfinite(seconds):
        return "unknown"
    if seconds < 60:
        return f"{seconds:.3g} s"
    total = round(seconds / 60)
    days, hours, left = total // 1440, total // 60 % 24, total % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {left:02d} min" if hours else f"{left} min"

"""A recording reduced to minutes: mean acceleration and spectral energy of every minute of every local day.

A recording of a few hours is a single row of shorter steps instead.

A week at 100 Hz has 60 million samples on three axes; a page shows ten thousand minutes. The reduction goes hour by hour, so
that memory does not grow with the length of the recording.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imuspec.spectral.spectrogram import spectrogram

__all__ = ["DAY_NS", "MINUTE_NS", "Minutes", "Track", "minutes", "track"]

MINUTE_NS = 60_000_000_000
DAY_NS = 1440 * MINUTE_NS
_FRAME_S = 2.0  # half a hertz per row
_HIGHEST_HZ = 15.0  # the cutoff of the low-pass in the papers


@dataclass(frozen=True)
class Track:
    """Acceleration in stretches without a gap, from a `Recording` or a `Prepared`.

    Attributes
    ----------
    acceleration : float32 [3, n]
        Acceleration, g.
    rate : float
        Sampling rate, Hz.
    runs : int64 [k, 2]
        First and one-past-last sample of each stretch.
    starts, stops : int64 [k]
        Start and end of each stretch, ns of the local clock.
    nonwear : int64 [j, 2] or None
        Times at which the device was not worn, ns; None if unknown.
    selected : int64 [m, 2]
        The segments of wear that a recipe selects, ns.
    """

    acceleration: NDArray[np.float32]
    rate: float
    runs: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    nonwear: NDArray[np.int64] | None = None
    selected: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))

    @property
    def not_worn(self) -> NDArray[np.int64]:
        """Times at which the device was not worn, int64 [j, 2], ns; empty if unknown."""
        return np.empty((0, 2), dtype=np.int64) if self.nonwear is None else self.nonwear


def track(source: Any) -> Track:
    """Return a `Recording` or a `Prepared` as a `Track`.

    Parameters
    ----------
    source : Recording or Prepared
        The recording. Only a prepared one has known non-wear.

    Returns
    -------
    Track
        The stretches; none of them is empty.

    Raises
    ------
    TypeError
        If `source` is not a recording.
    """
    if hasattr(source, "sample_rate") and hasattr(source, "runs"):
        return _from_recording(source)
    if hasattr(source, "start_time") and hasattr(source, "rate"):
        return _from_uniform(source)
    raise TypeError(f"source: expected a Recording or a Prepared, got {type(source).__name__}")


def _from_recording(recording: Any) -> Track:
    x = np.asarray(recording.acceleration)
    runs = np.asarray(recording.runs, dtype=np.int64).reshape(-1, 2)
    runs = runs[runs[:, 1] > runs[:, 0]]
    rate = float(recording.sample_rate)
    if not np.isfinite(rate) or rate <= 0:
        rate = float(recording.nominal_rate)
    time = recording.time
    starts = np.array([time[a] for a, _ in runs], dtype=np.int64)
    lasts = np.array([time[b - 1] for _, b in runs], dtype=np.int64)
    stops = lasts + round(1e9 / rate)
    return Track(x, rate, runs, starts, stops)


def _from_uniform(prepared: Any) -> Track:
    x = prepared.acceleration
    x = np.empty((3, 0), dtype=np.float32) if x is None else np.asarray(x)
    rate = float(prepared.rate)
    known = np.isfinite(x[0]).view(np.int8)
    edges = np.flatnonzero(np.diff(known, prepend=np.int8(0), append=np.int8(0)))
    runs = edges.reshape(-1, 2).astype(np.int64)

    # a stretch ends one period after its last sample, which may be before a jump of the clock
    def times(stretches: NDArray[np.int64]) -> NDArray[np.int64]:
        spans = [prepared.clock_span(first, stop) for first, stop in stretches.tolist()]
        return np.asarray(spans, dtype=np.int64).reshape(-1, 2)

    jumps = np.asarray(prepared.shifts, dtype=np.int64).reshape(-1, 2)[:, 0]
    runs = _cut(runs, jumps)
    bounds = times(runs)
    selected = prepared.segments if prepared.status == "ok" else np.empty((0, 2), dtype=np.int64)
    nonwear = _cut(np.asarray(prepared.nonwear), jumps)
    return Track(x, rate, runs, bounds[:, 0], bounds[:, 1], times(nonwear), times(_cut(np.asarray(selected), jumps)))


def _cut(stretches: NDArray[np.int64], jumps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut stretches of samples where the clock jumps, so that time is uniform inside each."""
    pieces: list[tuple[int, int]] = []
    for first, stop in stretches.tolist():
        inside = jumps[(jumps > first) & (jumps < stop)].tolist()
        pieces += itertools.pairwise([first, *inside, stop])
    return np.asarray(pieces, dtype=np.int64).reshape(-1, 2)


@dataclass(frozen=True)
class Minutes:
    """Mean acceleration and power of every step (a minute) of every row (a local day); of a short recording, one row.

    Attributes
    ----------
    origin : int
        Start of the first row, ns of the local clock.
    row_ns, step_ns : int
        Length of a row and of a step, ns.
    covered : float32 [n_rows, n_steps]
        Share of the step that has samples.
    enmo : float32 [n_rows, n_steps]
        Mean of max(|a| - 1 g, 0), mg; NaN without samples.
    power : float32 [n_rows, n_steps, 3, n_frequencies]
        Mean power spectral density, g^2/Hz; NaN without a frame.
    frequency : float64 [n_frequencies]
        Frequencies without 0, Hz.
    """

    origin: int
    row_ns: int
    step_ns: int
    covered: NDArray[np.float32]
    enmo: NDArray[np.float32]
    power: NDArray[np.float32]
    frequency: NDArray[np.float64]

    @property
    def n_rows(self) -> int:
        """Number of rows: local calendar days from the first to the last, or one."""
        return len(self.enmo)

    @property
    def daily(self) -> bool:
        """Whether rows are days."""
        return self.row_ns == DAY_NS


def minutes(source: Track) -> Minutes:
    """Reduce a track to minutes of local days; a track of up to six hours becomes one row of about 700 steps.

    ENMO is max(|a| - 1 g, 0) averaged over the step's samples (van Hees et al. 2013). Power is the mean periodogram
    (Hann, no overlap, mean removed) of the 2 s frames whose centre is in the step.

    Parameters
    ----------
    source : Track
        The acceleration.

    Returns
    -------
    Minutes
        The reduced recording.
    """
    origin, row_ns, step_ns, n_rows = _grid(source)
    n = n_rows * (row_ns // step_ns)
    per_frame = max(8, 8 * round(_FRAME_S * source.rate / 8))  # lengths with small factors
    frequency = np.fft.rfftfreq(per_frame, 1 / source.rate).astype(np.float64)
    keep = (frequency > 0) & (frequency <= _HIGHEST_HZ)
    count, enmo = np.zeros(n), np.zeros(n)
    frames, power = np.zeros(n), np.zeros((n, 3, int(keep.sum())), dtype=np.float32)
    for x, start in _hours(source, per_frame):
        begins, steps = _split(x.shape[1], start - origin, 1e9 / source.rate, step_ns)
        count[steps] += np.diff(begins, append=x.shape[1])
        enmo[steps] += np.add.reduceat(_enmo(x), begins)
        if x.shape[1] >= per_frame:
            density = spectrogram(x, source.rate, nperseg=per_frame, noverlap=0, detrend="constant")[2][:, keep]
            half = per_frame / 2 / source.rate * 1e9
            begins, steps = _split(density.shape[2], start - origin + half, per_frame / source.rate * 1e9, step_ns)
            frames[steps] += np.diff(begins, append=density.shape[2])
            power[steps] += np.moveaxis(np.add.reduceat(density, begins, axis=2), 2, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_enmo = (enmo / count * 1000).astype(np.float32)
        power /= frames[:, None, None].astype(np.float32)
    return Minutes(
        origin=origin,
        row_ns=row_ns,
        step_ns=step_ns,
        covered=np.minimum(count / (step_ns / 1e9 * source.rate), 1).astype(np.float32).reshape(n_rows, -1),
        enmo=mean_enmo.reshape(n_rows, -1),
        power=power.reshape(n_rows, -1, 3, int(keep.sum())),
        frequency=frequency[keep],
    )


def _grid(source: Track) -> tuple[int, int, int, int]:
    """Return origin, length of a row, length of a step (ns), and number of rows."""
    if not len(source.starts):
        return 0, DAY_NS, MINUTE_NS, 1
    first, last = int(source.starts.min()), int(source.stops.max())
    if last - first <= 6 * 60 * MINUTE_NS:
        step = max(2_000_000_000, -(-(last - first) // 700 // 1_000_000_000) * 1_000_000_000)
        origin = first // 1_000_000_000 * 1_000_000_000
        return origin, -(-(last - origin) // step) * step, step, 1
    origin = first // DAY_NS * DAY_NS
    return origin, DAY_NS, MINUTE_NS, -(-(last - origin) // DAY_NS)


def _hours(source: Track, per_frame: int) -> Iterator[tuple[NDArray[np.float32], float]]:
    """Yield stretches of at most an hour with their start, ns; an error of the rate does not add up over them."""
    step = max(1, round(3600 * source.rate / per_frame)) * per_frame
    for (a, b), start, stop in zip(source.runs, source.starts, source.stops, strict=True):
        for first in range(int(a), int(b), step):
            share = (first - int(a)) / (int(b) - int(a))
            yield source.acceleration[:, first : min(first + step, int(b))], float(start) + share * float(stop - start)


def _split(n: int, start: float, period: float, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first point of each step among `n` points `period` ns apart, and the indices of these steps."""
    low, high = int(start // step), int((start + (n - 1) * period) // step)
    steps = np.arange(low, high + 1, dtype=np.int64)
    begins = np.ceil((steps * float(step) - start) / period).astype(np.int64)
    begins[0] = 0
    filled = begins < np.append(begins[1:], n)
    return begins[filled], steps[filled]


def _enmo(x: NDArray[np.float32]) -> NDArray[np.float32]:
    norm: NDArray[np.float32] = x[0] * x[0]
    norm += x[1] * x[1]
    norm += x[2] * x[2]
    np.sqrt(norm, out=norm)
    norm -= 1
    np.maximum(norm, 0, out=norm)
    return norm

"""A recording minute by minute: mean acceleration and spectral energy of every minute of every local day.

A recording of a few hours is one row of shorter steps instead.

A week at 100 Hz is 60 million samples on three axes; a page shows ten thousand minutes. One pass over hours reduces one
to the other, so that memory does not grow with the recording.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAY_NS", "MINUTE_NS", "Minutes", "Track", "minutes", "track"]

MINUTE_NS = 60_000_000_000
DAY_NS = 1440 * MINUTE_NS
_FRAME_S = 2.0  # half a hertz a row
_HIGHEST_HZ = 15.0  # what is left of human movement after the papers' low-pass


@dataclass(frozen=True)
class Track:
    """Acceleration in stretches without a gap, whatever it came from.

    Attributes
    ----------
    acceleration : float32 [3, n]
        g.
    rate : float
        Hz.
    runs : int64 [k, 2]
        First and one-past-last sample of each stretch.
    starts, stops : int64 [k]
        Where each stretch begins and ends, ns of the local clock.
    nonwear : int64 [j, 2] or None
        When the device was not worn, ns; None where that is not known.
    kept : int64 [m, 2]
        The segments that a recipe keeps, ns.
    """

    acceleration: NDArray[np.float32]
    rate: float
    runs: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    nonwear: NDArray[np.int64] | None = None
    kept: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))

    @property
    def not_worn(self) -> NDArray[np.int64]:
        """When the device is known not to have been worn, int64 [j, 2], ns."""
        return np.empty((0, 2), dtype=np.int64) if self.nonwear is None else self.nonwear


def track(source: Any) -> Track:
    """Return what a `Recording` or a `Prepared` holds as a `Track`.

    Parameters
    ----------
    source : Recording or Prepared
        A recording as it was read does not say when it was worn.

    Returns
    -------
    Track
        Its stretches; none of them is empty.

    Raises
    ------
    TypeError
        If `source` is neither.
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
    there = np.isfinite(x[0]).view(np.int8)
    edges = np.flatnonzero(np.diff(there, prepend=np.int8(0), append=np.int8(0)))
    runs = edges.reshape(-1, 2).astype(np.int64)

    # a stretch goes on until one sample after its last, which may stand before a jump of the clock
    def times(stretches: NDArray[np.int64]) -> NDArray[np.int64]:
        spans = [prepared.clock_span(first, past) for first, past in stretches.tolist()]
        return np.asarray(spans, dtype=np.int64).reshape(-1, 2)

    jumps = np.asarray(prepared.shifts, dtype=np.int64).reshape(-1, 2)[:, 0]
    runs = _cut(runs, jumps)
    bounds = times(runs)
    kept = prepared.segments if prepared.status == "ok" else np.empty((0, 2), dtype=np.int64)
    nonwear = _cut(np.asarray(prepared.nonwear), jumps)
    return Track(x, rate, runs, bounds[:, 0], bounds[:, 1], times(nonwear), times(_cut(np.asarray(kept), jumps)))


def _cut(stretches: NDArray[np.int64], jumps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut stretches of samples where the clock jumps, so that time is even inside each."""
    pieces: list[tuple[int, int]] = []
    for first, past in stretches.tolist():
        inside = jumps[(jumps > first) & (jumps < past)].tolist()
        pieces += itertools.pairwise([first, *inside, past])
    return np.asarray(pieces, dtype=np.int64).reshape(-1, 2)


@dataclass(frozen=True)
class Minutes:
    """Every step (a minute, if the recording is long) of every row (a local day).

    Attributes
    ----------
    origin : int
        Where the first row begins, ns of the local clock.
    row_ns, step_ns : int
        Length of a row and of a step, ns.
    covered : float32 [n_rows, n_steps]
        Share of the step that has samples.
    enmo : float32 [n_rows, n_steps]
        Mean of max(|a| - 1 g, 0) in mg; NaN without samples.
    power : float32 [n_rows, n_steps, 3, n_frequencies]
        g^2/Hz; NaN where no frame lies.
    frequency : float64 [n_frequencies]
        Hz, without 0.
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
        """Number of rows: local calendar days that the recording touches, or one."""
        return len(self.enmo)

    @property
    def daily(self) -> bool:
        """Whether rows are days."""
        return self.row_ns == DAY_NS


def minutes(source: Track) -> Minutes:
    """Reduce a track to minutes of local days; one of less than six hours to a single row of some 700 steps.

    ENMO is max(|a| - 1 g, 0) averaged over the step's samples (van Hees et al. 2013). Power is the mean periodogram
    (Hann, no overlap, mean removed) of the 2 s frames whose centre lies in the step.

    Parameters
    ----------
    source : Track
        What was measured.

    Returns
    -------
    Minutes
        Whole rows.
    """
    origin, row_ns, step_ns, n_rows = _grid(source)
    n = n_rows * (row_ns // step_ns)
    per_frame = max(8, 8 * round(_FRAME_S * source.rate / 8))  # lengths with small factors
    frequency = np.fft.rfftfreq(per_frame, 1 / source.rate).astype(np.float64)
    keep = (frequency > 0) & (frequency <= _HIGHEST_HZ)
    count, enmo = np.zeros(n), np.zeros(n)
    frames, power = np.zeros(n), np.zeros((n, 3, int(keep.sum())), dtype=np.float32)
    for x, start in _hours(source, per_frame):
        begins, which = _split(x.shape[1], start - origin, 1e9 / source.rate, step_ns)
        count[which] += np.diff(begins, append=x.shape[1])
        enmo[which] += np.add.reduceat(_enmo(x), begins)
        if x.shape[1] >= per_frame:
            density = _density(x, source.rate, per_frame)[:, keep]
            half = per_frame / 2 / source.rate * 1e9
            begins, which = _split(density.shape[2], start - origin + half, per_frame / source.rate * 1e9, step_ns)
            frames[which] += np.diff(begins, append=density.shape[2])
            power[which] += np.moveaxis(np.add.reduceat(density, begins, axis=2), 2, 0)
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
    """Origin, length of a row, length of a step (ns), number of rows."""
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
    """Stretches of at most an hour, each with its time: time is taken afresh, so that a rate error does not add up."""
    step = max(1, round(3600 * source.rate / per_frame)) * per_frame
    for (a, b), start, stop in zip(source.runs, source.starts, source.stops, strict=True):
        for at in range(int(a), int(b), step):
            share = (at - int(a)) / (int(b) - int(a))
            yield source.acceleration[:, at : min(at + step, int(b))], float(start) + share * float(stop - start)


def _split(n: int, start: float, period: float, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where steps begin among ``n`` points ``period`` ns apart, and which steps they are."""
    low, high = int(start // step), int((start + (n - 1) * period) // step)
    which = np.arange(low, high + 1, dtype=np.int64)
    begins = np.ceil((which * float(step) - start) / period).astype(np.int64)
    begins[0] = 0
    filled = begins < np.append(begins[1:], n)
    return begins[filled], which[filled]


def _enmo(x: NDArray[np.float32]) -> NDArray[np.float32]:
    norm: NDArray[np.float32] = x[0] * x[0]
    norm += x[1] * x[1]
    norm += x[2] * x[2]
    np.sqrt(norm, out=norm)
    norm -= 1
    np.maximum(norm, 0, out=norm)
    return norm


def _density(x: NDArray[np.float32], rate: float, per_frame: int) -> NDArray[np.float32]:
    from imuspec.spectral.spectrogram import spectrogram

    _, _, density = spectrogram(x, rate, nperseg=per_frame, noverlap=0, detrend="constant")
    return np.asarray(density, dtype=np.float32)

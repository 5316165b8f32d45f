"""From labelled recordings to windows: stretches without gaps, one rate, overlapping windows, majority labels."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.recordings import MAX_GAP_PERIODS, LabelledRecording
from imuspec.datasets.windows import Windows
from imuspec.signal import lowpass, resample, windows

__all__ = ["Resampling", "Stretch", "cut", "stretches"]

Resampling = Literal["auto", "linear", "polyphase", "none"]
_CUTOFF = 0.4  # of a lower rate: passes most of what it can hold, 48 dB down at twice the rate's half
_COLUMNS = ("label", "start_s", "subject", "recording", "sensor")
_SHORT = "stretch shorter than a window"
_LEFT_OVER = "after the last window of a stretch"
_MIXED = "window below min_agreement"


class Stretch(NamedTuple):
    """A resampled stretch of a recording, without gaps and unlabelled samples.

    Attributes
    ----------
    x : float32 array [3, n]
        Acceleration, g.
    label : int64 array [n]
        Index of the class.
    start_s : float
        Start after the first sample of the recording, s.
    rows : float64 array
        Times of the original samples, s from the first.
    """

    x: NDArray[np.float32]
    label: NDArray[np.int64]
    start_s: float
    rows: NDArray[np.float64]


def stretches(
    recording: LabelledRecording, *, rate: float, resampling: Resampling = "auto", lowpass_hz: float | None = None
) -> Iterator[Stretch]:
    """Yield each stretch of a recording without gaps and without unlabelled samples, at one rate.

    Parameters
    ----------
    recording : LabelledRecording
        Recording, as a reader gives it.
    rate : float
        Sample rate of the result, Hz.
    resampling : {"auto", "linear", "polyphase", "none"}, default "auto"
        auto: linear to the same or a higher rate; to a lower one polyphase, or, where samples come unevenly, linear after a
        low-pass at 0.4 of the rate. linear: the straight line between neighbouring samples at the times of the file, as the
        papers have it; the last sample is held for its period. To a lower rate it aliases: a tone above half of the new rate
        appears at a lower frequency. polyphase: with the low-pass that a change of rate needs, for samples that come evenly.
        none: unchanged, for samples that have the rate already.
    lowpass_hz : float, optional
        Cut-off of a zero-phase low-pass applied before, Hz; auto is then linear.

    Yields
    ------
    Stretch

    Raises
    ------
    ValueError
        If samples are uneven for polyphase, the rate differs for none, or the cut-off is at least half the sample rate.
    """
    if resampling not in ("auto", "linear", "polyphase", "none"):
        raise ValueError(f"resampling: expected auto, linear, polyphase or none, got {resampling!r}")
    for first, end in recording.segments().tolist():
        times = recording.time[first:end]
        x = recording.acceleration[:, first:end]
        method, cutoff = _method(recording, times, rate, resampling, lowpass_hz)
        if cutoff is not None:
            x = lowpass(x, sample_rate=recording.rate, cutoff=cutoff)
        values, grid, times = _at_rate(x, times, recording, rate, method)
        # The label of the nearer sample, the earlier of two equally near.
        middle = times[:-1] + (times[1:] - times[:-1]) / 2
        label = recording.label[first:end][np.searchsorted(middle, grid)]
        yield Stretch(values, label, int(times[0]) / 1e9 if recording.timed else math.nan, (times - times[0]) / 1e9)


def falls(recording: LabelledRecording, rate: float) -> bool:
    """Whether a recording has a higher rate than this one, Hz."""
    return recording.rate > rate * 1.001


def _method(
    recording: LabelledRecording,
    times: NDArray[np.int64],
    rate: float,
    resampling: Resampling,
    lowpass_hz: float | None,
) -> tuple[Resampling, float | None]:
    """The method that `resampling` comes to for a stretch, and the cut-off of the low-pass before it, Hz."""
    if resampling != "auto":
        return resampling, lowpass_hz
    if lowpass_hz is not None or not falls(recording, rate):
        return "linear", lowpass_hz
    ratio = Fraction(rate / recording.rate).limit_denominator(1000)
    is_even = _stray(times, recording.rate)[1] <= _most_stray(times) and not _has_holes(times, recording.rate)
    if abs(float(ratio) * recording.rate / rate - 1) < 1e-9 and is_even:
        return "polyphase", None
    return "linear", _CUTOFF * rate


def _stray(times: NDArray[np.int64], rate: float) -> tuple[NDArray[np.int64], float]:
    """Even times from the first on, and by how many samples the times are off at most."""
    even = times[0] + np.round(np.arange(times.size) * (1e9 / rate)).astype(np.int64)
    return even, float(np.abs(times - even).max() * rate / 1e9)


def _most_stray(times: NDArray[np.int64]) -> float:
    """Samples that times may be off: half a percent of clock error is a device's, more is another rate."""
    return max(1.0, 0.005 * times.size)


def _has_holes(times: NDArray[np.int64], rate: float) -> bool:
    """Whether a step would be closed if samples were taken as even: a recording may allow steps of any length."""
    return int(np.diff(times).max(initial=0)) * rate / 1e9 > MAX_GAP_PERIODS + 1


def _at_rate(
    x: NDArray[np.float32], times: NDArray[np.int64], recording: LabelledRecording, rate: float, method: Resampling
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Return values ``[3, grid]``, the times of the grid, and the times of the samples."""
    if method == "linear":
        values, grid = resample(x, times, rate=rate, method="linear", max_gap_s=1.001 * recording.longest_step_s)
        lasts_s = int(times[-1] - times[0]) / 1e9 + 1 / recording.rate
        n = max(math.ceil(lasts_s * rate - 1e-6), grid.size)
        values = np.concatenate((values, np.repeat(x[:, -1:], n - grid.size, axis=1)), axis=1)
        return values, times[0] + (np.arange(n) * (1e9 / rate)).astype(np.int64), times
    if _has_holes(times, recording.rate):
        raise ValueError(
            f"{recording.source}: expected samples at an even {recording.rate:g} Hz for {method}, got holes of up to "
            f"max_gap_s={recording.max_gap_s:g}: use resampling='linear' or a smaller max_gap_s"
        )
    if method == "none":
        if abs(recording.rate / rate - 1) > 1e-6:
            raise ValueError(
                f"resampling: expected {rate:g} Hz for none, got {recording.rate:g} Hz in {recording.source}"
            )
        return x, times, times
    even, stray = _stray(times, recording.rate)
    if stray > _most_stray(times):
        raise ValueError(
            f"{recording.source}: expected samples at an even {recording.rate:g} Hz for polyphase, got one {stray:.1f} "
            "samples off: use resampling='linear'"
        )
    values, grid = resample(x, even, rate=rate, method="polyphase", sample_rate=recording.rate)
    return values, grid, even


def cut(
    recordings: Iterable[LabelledRecording],
    *,
    window_s: float,
    rate: float = 50.0,
    overlap: float = 0.5,
    resampling: Resampling = "auto",
    lowpass_hz: float | None = None,
    min_agreement: float = 0.0,
    name: str = "",
) -> Windows:
    """Cut labelled recordings into windows.

    A gap above two sample periods, a time that does not rise, or a sample without a class ends a stretch. Windows start at
    the first sample of a stretch and lie inside it. A window takes the most frequent label of its samples; of equally
    frequent labels, the lower index.

    Parameters
    ----------
    recordings : iterable of LabelledRecording
        The recordings; one is in memory at a time.
    window_s : float
        Length of a window, s.
    rate : float, default 50.0
        Sample rate, Hz.
    overlap : float, default 0.5
        Overlap of neighbouring windows as a share of a window, from 0 to below 1.
    resampling : {"auto", "linear", "polyphase", "none"}, default "auto"
        As in `stretches`.
    lowpass_hz : float, optional
        As in `stretches`.
    min_agreement : float, default 0.0
        Share of a window's samples that must have its label.
    name : str, default ""
        Name of the set.

    Returns
    -------
    Windows

    Raises
    ------
    ValueError
        If a setting is out of range, recordings have unlike classes, or there is no window.

    Warns
    -----
    UserWarning
        If linear resampling to a lower rate without a low-pass aliases.
    """
    length, shared = _length(window_s, rate, overlap)
    if not 0 <= min_agreement <= 1:
        raise ValueError(f"min_agreement: expected 0 to 1, got {min_agreement}")
    x: list[NDArray[np.float32]] = []
    columns: dict[str, list[NDArray[Any]]] = {key: [] for key in _COLUMNS}
    counts: Counter[str] = Counter()
    classes: tuple[str, ...] | None = None
    n_rows = 0
    aliased: set[float] = set()
    for recording in recordings:
        if classes not in (None, recording.class_names):
            raise ValueError(
                f"{recording.source}: expected the classes {', '.join(classes or ())}, got {', '.join(recording.class_names)}"
            )
        classes = recording.class_names
        n_rows += recording.n_rows or len(recording)
        if resampling == "linear" and lowpass_hz is None and falls(recording, rate):
            aliased.add(recording.rate)
        counts.update(recording.counts)
        counts.update(recording.unlabelled)
        before = len(x)
        for stretch in stretches(recording, rate=rate, resampling=resampling, lowpass_hz=lowpass_hz):
            label, used = _labels(stretch.label, length, shared, len(classes), min_agreement)
            counts.update(_lost(stretch, used, length=length, hop=length - shared, rate=rate))
            x.append(windows(stretch.x, length=length, overlap=shared)[used])
            columns["label"].append(label[used])
            columns["start_s"].append(stretch.start_s + np.flatnonzero(used) * ((length - shared) / rate))
        n = sum(len(part) for part in x[before:])
        for key in ("subject", "recording", "sensor"):
            columns[key].append(np.repeat(np.array([getattr(recording, key)]), n))
    if aliased:
        warnings.warn(
            f"{name or 'recordings'}: resampling='linear' from {max(aliased):g} to {rate:g} Hz without lowpass_hz aliases: "
            f"motion above {rate / 2:g} Hz appears at lower frequencies; resampling='auto' removes it first",
            stacklevel=2,
        )
    if classes is None:
        raise ValueError(f"{name or 'recordings'}: expected at least one recording, got none")
    if not sum(len(part) for part in x):
        reasons = ", ".join(f"{n} rows {reason}" for reason, n in counts.items() if n)
        raise ValueError(f"{name or 'recordings'}: no window of {window_s:g} s ({reasons})")
    joined = {key: np.concatenate(parts) for key, parts in columns.items()}
    return Windows(
        x=np.concatenate(x),
        label=joined["label"],
        subject=joined["subject"],
        recording=joined["recording"],
        start_s=joined["start_s"],
        sensor=joined["sensor"],
        rate=float(rate),
        class_names=classes,
        name=name,
        counts={reason: n for reason, n in counts.items() if n},
        n_rows=n_rows,
        settings={
            "window_s": float(window_s),
            "rate": float(rate),
            "overlap": float(overlap),
            "resampling": resampling,
            "lowpass_hz": lowpass_hz,
            "min_agreement": float(min_agreement),
        },
    )


def _length(window_s: float, rate: float, overlap: float) -> tuple[int, int]:
    """Return the samples of a window, and the samples that it shares with the next."""
    for name, value in (("window_s", window_s), ("rate", rate)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name}: expected a positive number, got {value}")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap: expected a part of a window from 0 to below 1, got {overlap}")
    length = round(window_s * rate)
    if length < 2:
        raise ValueError(f"window_s: expected at least two samples at {rate:g} Hz, got {window_s} s")
    return length, min(round(length * overlap), length - 1)


def _labels(
    label: NDArray[np.int64], length: int, shared: int, n_classes: int, min_agreement: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the most frequent label of each window of a stretch, and whether enough samples have it."""
    if label.size < length:
        return np.empty(0, np.int64), np.empty(0, np.bool_)
    if (label == label[0]).all():
        n = (label.size - length) // (length - shared) + 1
        return np.full(n, label[0]), np.ones(n, np.bool_)
    each = windows(label[None], length=length, overlap=shared)[:, 0]
    number = np.stack([(each == index).sum(axis=1) for index in range(n_classes)], axis=1)
    return number.argmax(axis=1), number.max(axis=1) >= min_agreement * length


def _lost(stretch: Stretch, used: NDArray[np.bool_], *, length: int, hop: int, rate: float) -> dict[str, int]:
    """Return counts of the rows of a stretch that are in no window, by reason."""
    if used.size == 0:
        return {_SHORT: stretch.rows.size}
    end_s = ((used.size - 1) * hop + length - 0.5) / rate
    if stretch.rows[-1] < end_s and used.all():
        return {}
    inside = _covered(stretch.rows, np.arange(used.size), length, hop, rate)
    taken = _covered(stretch.rows, np.flatnonzero(used), length, hop, rate)
    return {_LEFT_OVER: int((~inside).sum()), _MIXED: int((inside & ~taken).sum())}


def _covered(
    rows: NDArray[np.float64], index: NDArray[np.int64], length: int, hop: int, rate: float
) -> NDArray[np.bool_]:
    """Return whether each row lies in a window: from half a sample before its first to half a sample before its end."""
    edge = np.zeros(rows.size + 1, np.int64)
    np.add.at(edge, np.searchsorted(rows, (index * hop - 0.5) / rate), 1)
    np.add.at(edge, np.searchsorted(rows, (index * hop + length - 0.5) / rate), -1)
    return np.cumsum(edge[:-1]) > 0

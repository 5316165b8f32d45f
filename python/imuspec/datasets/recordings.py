"""A labelled recording: what one sensor measured on one subject, in g, with a class for each sample.

The form between a public set's files and windows of it; for whoever wants the continuous signal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imuspec.errors import RecordingError

__all__ = [
    "DROPPED",
    "UNITS",
    "LabelledRecording",
    "count_times",
    "in_g",
    "label_intervals",
    "runs_of",
    "sound",
    "sound_stamps",
]

GRAVITY = 9.80665
UNITS: Mapping[str, float] = {"g": 1.0, "m/s2": GRAVITY, "mg": 1000.0}
DROPPED = -1  # the label of a sample without one of the classes
MAX_GAP_PERIODS = 2.0
_SLACK = 0.05  # of a period: stamps are rounded to milliseconds


@dataclass(frozen=True, eq=False, repr=False)
class LabelledRecording:
    """What one sensor measured on one subject, with its labels.

    Attributes
    ----------
    subject : int or str
        Who wore it: a whole number where the set numbers its subjects, else a name.
    recording : str
        What was recorded at one time: sensors worn together share it.
    sensor : str
        Which of them.
    rate : float
        Nominal samples a second, Hz.
    acceleration : float32 array
        float32 ``[3, n]``, g.
    time : int64 array
        int64 ``[n]``, ns from the recording's begin, the same for its sensors. Rises inside a run.
    runs : int64 array
        int64 ``[k, 2]``: first and one-past-last sample of each stretch without a gap.
    label : int64 array
        int64 ``[n]``, index into `class_names`; -1 where there is none of them.
    class_names : tuple of str
        The classes, in the order of their labels.
    source : str
        The file.
    counts : mapping of str to int
        Rows of the file that are not here, by reason.
    n_rows : int
        Rows of the file.
    unlabelled : mapping of str to int
        Why samples have no class: how many of them for which reason.
    timed : bool
        Whether the times of two runs can be compared; False where the set has lost their order.
    """

    subject: int | str
    recording: str
    sensor: str
    rate: float
    acceleration: NDArray[np.float32]
    time: NDArray[np.int64]
    runs: NDArray[np.int64]
    label: NDArray[np.int64]
    class_names: tuple[str, ...]
    source: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    n_rows: int = 0
    unlabelled: Mapping[str, int] = field(default_factory=dict)
    timed: bool = True

    def __post_init__(self) -> None:
        n = self.time.shape[0]
        if self.acceleration.shape != (3, n) or self.label.shape != (n,):
            raise ValueError(
                f"{self.source or self.recording}: expected acceleration [3, {n}] and label [{n}] for {n} times, "
                f"got {list(self.acceleration.shape)} and {list(self.label.shape)}"
            )
        if n and not (self.label.min() >= -1 and self.label.max() < len(self.class_names)):
            raise ValueError(
                f"{self.source or self.recording}: expected labels from -1 to {len(self.class_names) - 1}, "
                f"got {self.label.min()} to {self.label.max()}"
            )

    def __len__(self) -> int:
        return int(self.time.shape[0])

    def segments(self) -> NDArray[np.int64]:
        """First and one-past-last sample ``[k, 2]`` of each stretch that has no gap and no sample without a class."""
        found = []
        for first, end in self.runs.tolist():
            valid = np.concatenate(([False], self.label[first:end] >= 0, [False]))
            edges = np.flatnonzero(valid[1:] != valid[:-1]) + first
            found.append(edges.reshape(-1, 2))
        return np.concatenate(found) if found else np.empty((0, 2), np.int64)

    def __repr__(self) -> str:
        present = [name for index, name in enumerate(self.class_names) if np.any(self.label == index)]
        return (
            f"LabelledRecording({self.recording} of subject {self.subject}, {self.sensor}, {len(self):,} samples at "
            f"{self.rate:g} Hz in {len(self.runs)} runs: {', '.join(present) or 'no class'})"
        )


def in_g(values: ArrayLike, *, unit: str, declared: str | None, source: str) -> NDArray[np.float32]:
    """Samples in g, their unit checked by the median norm: about 1 in g, 9.8 in m/s2, 1000 in mg.

    Parameters
    ----------
    values : array_like
        ``[3, n]`` in the file's unit.
    unit : str
        What the set's files are in.
    declared : str or None
        What the caller says they are in, which is believed; None: the set's unit, if the norm agrees.
    source : str
        What the file is called in messages.

    Returns
    -------
    float32 ``[3, n]``, g.

    Raises
    ------
    ValueError
        A unit that is not g, m/s2 or mg; or a median norm (zeros left out: a sensor that is off) farther than a factor
        of two from what the unit lets expect.
    """
    if declared is not None and declared not in UNITS:
        raise ValueError(f"unit: expected g, m/s2 or mg, got {declared!r}")
    array = np.asarray(values, np.float64)
    if declared is None:
        norm = np.sqrt(np.einsum("an,an->n", array, array))
        norm = norm[norm > 0]
        median = float(np.median(norm)) if norm.size else UNITS[unit]
        if not 0.5 <= median / UNITS[unit] <= 2:
            like = [name for name, one in UNITS.items() if 0.5 <= median / one <= 2]
            looks = f"which is like {like[0]}" if like else "which is like none of g, m/s2 and mg"
            raise ValueError(
                f"{source}: expected {unit}, a median norm near {UNITS[unit]:g}, got {median:.4g}, {looks}: say which "
                "unit it is by unit="
            )
    return (array / UNITS[declared or unit]).astype(np.float32)


def sound(values: ArrayLike) -> NDArray[np.bool_]:
    """Whether each number can be a sensor's in any unit: finite and below a million."""
    found: NDArray[np.bool_] = np.abs(np.asarray(values, np.float64)) < 1e6
    return found


def sound_stamps(stamps: ArrayLike, unit_ns: float) -> NDArray[np.bool_]:
    """Whether each time stamp is finite and, in nanoseconds, a 64-bit number."""
    found: NDArray[np.bool_] = np.abs(np.asarray(stamps, np.float64)) < 4e18 / unit_ns
    return found


def runs_of(time: NDArray[np.int64], rate: float, *, breaks: ArrayLike = ()) -> NDArray[np.int64]:
    """Stretches ``[k, 2]`` without a gap: a step that is not forward, or above two sample periods, ends one.

    Parameters
    ----------
    time : int64 array
        int64 ``[n]``, ns.
    rate : float
        Hz.
    breaks : array_like, default ()
        Samples that begin a stretch in any case.
    """
    n = time.shape[0]
    if n == 0:
        return np.empty((0, 2), np.int64)
    step = np.diff(time)
    ends = np.flatnonzero((step <= 0) | (step > (MAX_GAP_PERIODS + _SLACK) * 1e9 / rate)) + 1
    start = np.unique(np.concatenate(([0], ends, np.asarray(breaks, np.int64).ravel()))).astype(np.int64)
    return np.stack((start, np.append(start[1:], n)), axis=1).astype(np.int64)


def count_times(n: int, rate: float) -> NDArray[np.int64]:
    """Times ``[n]`` of samples that come at a steady rate, ns from the first."""
    return np.round(np.arange(n) * (1e9 / rate)).astype(np.int64)


def label_intervals(
    n: int, intervals: Iterable[tuple[int, int, int]], source: str, *, names: Sequence[str] = ()
) -> NDArray[np.int64]:
    """Label ``[n]`` of each sample from intervals ``(first, end, label)``, end left out; -1 where none reaches.

    Raises
    ------
    RecordingError
        An interval beyond the recording's end or of no length, or two that overlap with unlike labels.
    """
    label = np.full(n, DROPPED, np.int64)
    seen = np.zeros(n, np.bool_)

    def called(index: int) -> Any:
        return names[index] if 0 <= index < len(names) else index

    for first, end, what in intervals:
        if not 0 <= first < end <= n:
            raise RecordingError(source, None, f"expected labels within its {n} samples, got {first} to {end}")
        before = label[first:end][seen[first:end]]
        if np.any(before != what):
            raise RecordingError(
                source,
                None,
                f"expected one label a sample, got {called(what)} at {first} over {called(int(before[0]))}",
            )
        label[first:end] = what
        seen[first:end] = True
    return label

"""A labelled recording: the samples of one sensor on one subject in g, with a class for each sample.

Readers of public sets return labelled recordings, which are then cut into windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    """The samples of one sensor on one subject, with their labels.

    Attributes
    ----------
    subject : int or str
        The wearer: the number in the set, or a name.
    recording : str
        Name of the recording. Sensors that were worn together share it.
    sensor : str
        Name of the sensor.
    rate : float
        Nominal sample rate, Hz.
    acceleration : float32 array [3, n]
        Acceleration, g.
    time : int64 array [n]
        ns from the start of the recording, which all its sensors share. It increases inside a run.
    runs : int64 array [k, 2]
        First and one-past-last sample of each stretch without a gap. A stated run with a step above `max_gap_s`, or one that
        does not rise, is split there.
    label : int64 array [n]
        Index into `class_names`; -1 without a class.
    class_names : tuple of str
        The classes, in the order of their labels.
    source : str
        The file.
    counts : mapping of str to int
        Number of rows of the file that were dropped, by reason.
    n_rows : int
        Number of rows of the file.
    unlabelled : mapping of str to int
        Number of samples without a class, by reason.
    timed : bool
        Whether the times of two runs can be compared; false if the set has lost their order.
    max_gap_s : float, optional
        Longest step inside a run, s. The default is two sample periods.
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
    max_gap_s: float | None = None

    @classmethod
    def from_arrays(
        cls,
        x: ArrayLike,
        label: ArrayLike,
        subject: int | str,
        *,
        rate: float,
        class_names: Sequence[str],
        recording: str = "",
        unit: str | None = None,
        sensor: str = "",
    ) -> LabelledRecording:
        """Return a recording of evenly sampled arrays, for `imuspec.datasets.cut`.

        Parameters
        ----------
        x : array [3, n]
            Acceleration.
        label : int, str or array [n]
            Class of the recording or of each sample: a name in `class_names`, or its index; -1 has no class.
        subject : int or str
            The wearer.
        rate : float
            Sample rate, Hz.
        class_names : sequence of str
            The classes, the same for all recordings of a set.
        recording : str, default ""
            Name of the recording; by default the subject.
        unit : {"g", "m/s2", "mg"}, optional
            Unit of `x`. The default is g, which the median norm must confirm; a given unit is not checked.
        sensor : str, default ""
            Name of the sensor.

        Raises
        ------
        ValueError
            If shapes do not fit, the unit contradicts the norm, or a label is not a class.

        Examples
        --------
        >>> import numpy as np
        >>> from imuspec.datasets import LabelledRecording, cut
        >>> x = np.zeros((500, 3)) + [0, 0, 1]
        >>> cut([LabelledRecording.from_arrays(x.T, "sit", 1, rate=50, class_names=["sit", "walk"])], window_s=4)
        Windows(4 of 4 s at 50 Hz, 1 subjects, 4 sit, 0 walk)
        """
        array = np.asarray(x)
        if array.ndim != 2 or array.shape[0] != 3:
            advice = ": transpose it" if array.ndim == 2 and array.shape[1] == 3 else ""
            raise ValueError(f"x: expected shape [3, n], got {list(array.shape)}{advice}")
        names = list(class_names)
        values = np.broadcast_to(np.asarray(label), array.shape[1:])
        if values.dtype.kind in "UO":
            unknown = sorted({str(value) for value in values.tolist()} - set(names))
            if unknown:
                raise ValueError(f"label: expected some of {', '.join(names)}, got {', '.join(unknown)}")
            values = np.array([names.index(value) for value in values.tolist()], np.int64)
        time = count_times(array.shape[1], rate)
        return cls(
            subject=subject,
            recording=recording or str(subject),
            sensor=sensor,
            rate=float(rate),
            acceleration=in_g(array, unit=unit or "g", declared=unit, source=recording or f"subject {subject}"),
            time=time,
            runs=runs_of(time, rate),
            label=values.astype(np.int64),
            class_names=tuple(names),
            source=recording,
        )

    def __post_init__(self) -> None:
        for name in ("acceleration", "time", "runs", "label"):
            value = getattr(self, name)
            kinds, words = ("f", "floats") if name == "acceleration" else ("iu", "integers")
            if not isinstance(value, np.ndarray) or value.dtype.kind not in kinds:
                got = f"dtype {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
                raise TypeError(
                    f"{name}: expected an array of {words}, got {got}; LabelledRecording.from_arrays takes lists"
                )
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
        object.__setattr__(self, "runs", self._split_runs())

    def _split_runs(self) -> NDArray[np.int64]:
        """Return the stated runs, split at each gap."""
        n, stated = self.time.shape[0], self.runs.astype(np.int64, copy=False)
        if stated.ndim != 2 or stated.shape[1] != 2 or not (np.diff(stated, prepend=0, append=n) >= 0).all():
            raise ValueError(
                f"{self.source or self.recording}: expected runs [k, 2] within {n} samples, got {list(stated.shape)}"
                + (f" from {stated.min()} to {stated.max()}" if stated.size else "")
            )
        starts = runs_of(self.time, self.rate, max_gap_s=self.max_gap_s)[:, 0]
        before, after = np.searchsorted(starts, stated[:, 0], "right"), np.searchsorted(starts, stated[:, 1], "left")
        if (before >= after).all():
            return stated
        edges = [
            np.concatenate(([first], starts[low:high], [end]))
            for (first, end), low, high in zip(stated.tolist(), before.tolist(), after.tolist(), strict=True)
        ]
        return np.concatenate([np.stack((edge[:-1], edge[1:]), axis=1) for edge in edges])

    def __len__(self) -> int:
        return int(self.time.shape[0])

    @property
    def longest_step_s(self) -> float:
        """Longest step inside a run, s: `max_gap_s`, or two sample periods."""
        return (MAX_GAP_PERIODS + _SLACK) / self.rate if self.max_gap_s is None else self.max_gap_s

    def without_labels(self) -> LabelledRecording:
        """Return the same recording with the class ``any`` for each sample, also for those without a class."""
        return replace(self, label=np.zeros_like(self.label), class_names=("any",), unlabelled={})

    def segments(self) -> NDArray[np.int64]:
        """Return first and one-past-last sample ``[k, 2]`` of each stretch without gaps and unlabelled samples."""
        result = []
        for first, end in self.runs.tolist():
            valid = np.concatenate(([False], self.label[first:end] >= 0, [False]))
            edges = np.flatnonzero(valid[1:] != valid[:-1]) + first
            result.append(edges.reshape(-1, 2))
        return np.concatenate(result) if result else np.empty((0, 2), np.int64)

    def __repr__(self) -> str:
        present = [name for index, name in enumerate(self.class_names) if np.any(self.label == index)]
        return (
            f"LabelledRecording({self.recording} of subject {self.subject}, {self.sensor}, {len(self):,} samples at "
            f"{self.rate:g} Hz in {len(self.runs)} runs: {', '.join(present) or 'no class'})"
        )


def in_g(values: ArrayLike, *, unit: str, declared: str | None, source: str) -> NDArray[np.float32]:
    """Return samples in g. The median norm checks their unit: it is about 1 in g, 9.8 in m/s2, and 1000 in mg.

    Parameters
    ----------
    values : array_like [3, n]
        Samples in the unit of the file.
    unit : str
        Unit of the set.
    declared : str or None
        Unit that the caller states; it is not checked. None: the unit of the set, which is checked.
    source : str
        Name of the file in messages.

    Returns
    -------
    float32 array [3, n]
        Acceleration, g.

    Raises
    ------
    ValueError
        If the unit is not g, m/s2 or mg; or the median norm (without zeros, as of a sensor that is off) differs from the
        expected one by more than a factor of two.
    """
    if declared is not None and declared not in UNITS:
        raise ValueError(f"unit: expected g, m/s2 or mg, got {declared!r}")
    array = np.asarray(values, np.float64)
    if declared is None:
        norm = np.sqrt(np.einsum("an,an->n", array, array))
        norm = norm[norm > 0]
        median = float(np.median(norm)) if norm.size else UNITS[unit]
        if not 0.5 <= median / UNITS[unit] <= 2:
            candidates = [name for name, one in UNITS.items() if 0.5 <= median / one <= 2]
            hint = f"which fits {candidates[0]}" if candidates else "which fits none of g, m/s2 and mg"
            raise ValueError(
                f"{source}: expected {unit}, a median norm near {UNITS[unit]:g}, got {median:.4g}, {hint}: state the unit "
                "with unit="
            )
    return (array / UNITS[declared or unit]).astype(np.float32)


def sound(values: ArrayLike) -> NDArray[np.bool_]:
    """Return whether each value is a plausible sample in any unit: finite and below a million."""
    result: NDArray[np.bool_] = np.abs(np.asarray(values, np.float64)) < 1e6
    return result


def sound_stamps(stamps: ArrayLike, unit_ns: float) -> NDArray[np.bool_]:
    """Return whether each time stamp is finite and fits 64 bits in nanoseconds."""
    result: NDArray[np.bool_] = np.abs(np.asarray(stamps, np.float64)) < 4e18 / unit_ns
    return result


def runs_of(
    time: NDArray[np.int64], rate: float, *, breaks: ArrayLike = (), max_gap_s: float | None = None
) -> NDArray[np.int64]:
    """Return stretches ``[k, 2]`` without a gap. A step that is not positive, or too long, ends a stretch.

    Parameters
    ----------
    time : int64 array [n]
        Times, ns.
    rate : float
        Nominal rate, Hz.
    breaks : array_like, default ()
        Further samples that start a stretch.
    max_gap_s : float, optional
        Longest step inside a stretch, s. The default is two sample periods.

    Raises
    ------
    ValueError
        If `max_gap_s` is not positive.
    """
    if max_gap_s is not None and not 0 < max_gap_s < float("inf"):
        raise ValueError(f"max_gap_s: expected a positive number of seconds, got {max_gap_s}")
    longest = (MAX_GAP_PERIODS + _SLACK) / rate if max_gap_s is None else max_gap_s
    n = time.shape[0]
    if n == 0:
        return np.empty((0, 2), np.int64)
    step = np.diff(time)
    ends = np.flatnonzero((step <= 0) | (step > longest * 1e9)) + 1
    start = np.unique(np.concatenate(([0], ends, np.asarray(breaks, np.int64).ravel()))).astype(np.int64)
    return np.stack((start, np.append(start[1:], n)), axis=1).astype(np.int64)


def count_times(n: int, rate: float) -> NDArray[np.int64]:
    """Return the times ``[n]`` of samples at a constant rate, ns from the first."""
    return np.round(np.arange(n) * (1e9 / rate)).astype(np.int64)


def label_intervals(
    n: int, intervals: Iterable[tuple[int, int, int]], source: str, *, names: Sequence[str] = ()
) -> NDArray[np.int64]:
    """Return the label ``[n]`` of each sample; -1 outside all intervals.

    Parameters
    ----------
    n : int
        Number of samples.
    intervals : iterable of (int, int, int)
        First sample, one-past-last sample, and label of each interval.
    source : str
        Name of the file in messages.
    names : sequence of str, default ()
        Names of the labels in messages.

    Raises
    ------
    RecordingError
        If an interval is empty or outside the recording, or overlapping intervals have different labels.
    """
    label = np.full(n, DROPPED, np.int64)
    labelled = np.zeros(n, np.bool_)

    def name_of(index: int) -> Any:
        return names[index] if 0 <= index < len(names) else index

    for first, end, code in intervals:
        if not 0 <= first < end <= n:
            raise RecordingError(source, None, f"expected labels within its {n} samples, got {first} to {end}")
        before = label[first:end][labelled[first:end]]
        if np.any(before != code):
            raise RecordingError(
                source,
                None,
                f"expected one label a sample, got {name_of(code)} at {first} over {name_of(int(before[0]))}",
            )
        label[first:end] = code
        labelled[first:end] = True
    return label

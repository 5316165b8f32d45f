"""Labelled windows of one set, the input of every method."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imuspec.datasets.recordings import in_g

__all__ = ["Windows", "concatenate"]


@dataclass(frozen=True, eq=False, repr=False)
class Windows:
    """Windows of equal length with class, subject and origin.

    Attributes
    ----------
    x : float32 array [N, 3, time]
        Acceleration, g.
    label : int64 array [N]
        Index into `class_names`.
    subject : int64 or str array [N]
        Number in the set, or name.
    recording : str array [N]
        Name of the recording, unique in the set. Windows of one recording that overlap in time show the same motion, even if
        their sensors differ.
    start_s : float64 array [N]
        Start after the first sample of the recording, s. NaN if not known; then the window counts as overlapping all others
        of its recording.
    rate : float
        Sample rate, Hz.
    class_names : tuple of str
        The classes, in the order of their labels.
    name : str
        Name of the set.
    counts : mapping of str to int
        Number of rows of the files that are in no window, by reason.
    n_rows : int
        Number of rows of the files.
    sensor : str array [N] or None
        Name of the sensor.
    settings : mapping of str to object
        Settings that the windows were cut with.
    split_by : {"subject", "recording"}
        Unit that a split assigns by default: recordings if subjects are not independent.
    split_missing : {"redraw", "keep"}
        Default for a split in which a part lacks a class: discard it, or use it.
    people : tuple of str, default the name
        Identities of the people. Two sets with a common identity have the same people (`imuspec.datasets.people_of`).

    Raises
    ------
    ValueError
        If array lengths differ, a label has no class, or samples are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from imuspec.datasets import Windows
    >>> windows = Windows(x=np.zeros((4, 3, 100)), label=[0, 0, 1, 1], subject=[1, 2, 1, 2],
    ...                   recording=["a", "b", "a", "b"], start_s=[0, 0, 2, 2], rate=50, class_names=("sit", "walk"))
    >>> windows
    Windows(4 of 2 s at 50 Hz, 2 subjects, 2 sit, 2 walk)
    >>> windows.select(windows.label == 1).subject.tolist()
    [1, 2]
    """

    x: NDArray[np.float32]
    label: NDArray[np.int64]
    subject: NDArray[Any]
    recording: NDArray[np.str_]
    start_s: NDArray[np.float64]
    rate: float
    class_names: tuple[str, ...]
    name: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    n_rows: int = 0
    sensor: NDArray[np.str_] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    split_by: Literal["subject", "recording"] = "subject"
    split_missing: Literal["redraw", "keep"] = "redraw"
    people: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        x = np.asarray(self.x, np.float32)
        if x.ndim != 3 or x.shape[1] != 3:
            raise ValueError(f"x: expected shape [N, 3, time], got {list(x.shape)}")
        subject = np.asarray(self.subject)
        sensor = np.full(len(x), "") if self.sensor is None else np.asarray(self.sensor, np.str_)
        columns = {
            "label": np.asarray(self.label, np.int64),
            "subject": subject.astype(np.int64 if subject.dtype.kind in "iu" else np.str_),
            "recording": np.asarray(self.recording, np.str_),
            "start_s": np.asarray(self.start_s, np.float64),
            "sensor": sensor,
        }
        for name, column in columns.items():
            if column.shape != (len(x),):
                raise ValueError(f"{name}: expected shape [{len(x)}], one a window, got {list(column.shape)}")
            object.__setattr__(self, name, column)
        label = columns["label"]
        if len(label) and not 0 <= label.min() <= label.max() < len(self.class_names):
            raise ValueError(
                f"label: expected 0 to {len(self.class_names) - 1}, got {label.min()} to {label.max()} for the classes "
                f"{', '.join(self.class_names)}"
            )
        if not np.isfinite(x).all():
            wrong = int((~np.isfinite(x).all(axis=(1, 2))).sum())
            raise ValueError(f"x: expected finite samples, got {wrong} windows with NaN or infinity")
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "class_names", tuple(self.class_names))
        object.__setattr__(self, "people", tuple(self.people) or ((self.name,) if self.name else ()))

    @classmethod
    def from_arrays(
        cls,
        x: ArrayLike,
        label: ArrayLike,
        subject: ArrayLike,
        *,
        rate: float,
        class_names: Sequence[str] | Mapping[Any, str] | None = None,
        unit: str | None = None,
        axes_last: bool = False,
        recording: ArrayLike | None = None,
        start_s: ArrayLike | None = None,
        name: str = "",
    ) -> Windows:
        """Return the windows of arrays.

        Parameters
        ----------
        x : array [N, 3, time]
            Acceleration.
        label : array [N]
            Class of each window: names, or numbers of at least 0; others with `class_names` as a mapping.
        subject : array [N]
            Subject of each window: numbers or names.
        rate : float
            Sample rate, Hz.
        class_names : sequence of str or mapping, optional
            Names of the classes 0, 1, ...; or the name of each label, as ``{1: "walking", 2: "sitting"}``. The default is
            the labels, sorted.
        unit : {"g", "m/s2", "mg"}, optional
            Unit of `x`. The default is g, which the median norm must confirm; a given unit is not checked.
        axes_last : bool, default False
            Whether `x` is ``[N, time, 3]``.
        recording : array [N], optional
            Recording of each window. The default is one for each subject.
        start_s : array [N], optional
            Start of each window in its recording, s. The default is not known: windows of one recording then count as
            overlapping, and cannot be on two sides of a split.
        name : str, default ""
            Name of the set; sets with one name have the same people.

        Raises
        ------
        ValueError
            If shapes do not fit, the unit contradicts the norm, a label or subject is missing, or a label has no name.

        Examples
        --------
        >>> import numpy as np
        >>> from imuspec.datasets import Windows
        >>> x = np.zeros((4, 100, 3)) + [0, 0, 9.81]
        >>> Windows.from_arrays(x, ["sit", "walk"] * 2, [1, 1, 2, 2], rate=50, unit="m/s2", axes_last=True)
        Windows(4 of 2 s at 50 Hz, 2 subjects, 2 sit, 2 walk)
        """
        original = np.asarray(x)
        array = np.swapaxes(original, 1, 2) if axes_last and original.ndim == 3 else original
        if array.ndim != 3 or array.shape[1] != 3 or not array.size:
            advice = f", axes_last={not axes_last}?" if array.ndim == 3 and array.shape[2] == 3 else ""
            expected = "[N, time, 3]" if axes_last else "[N, 3, time]"
            raise ValueError(f"x: expected shape {expected}, got {list(original.shape)}{advice}")
        if not isinstance(rate, Real) or not (np.isfinite(rate) and rate > 0):
            raise ValueError(f"rate: expected a positive number of Hz, got {rate!r}")
        _expect_known("label", label)
        _expect_known("subject", subject)
        flat = np.moveaxis(array, 1, 0).reshape(3, -1)
        values = in_g(flat, unit=unit or "g", declared=unit, source="x")
        labels, names = _named(np.asarray(label), class_names)
        subject = np.asarray(subject)
        return cls(
            x=np.ascontiguousarray(np.moveaxis(values.reshape(3, len(array), -1), 0, 1)),
            label=labels,
            subject=subject,
            recording=np.asarray(subject if recording is None else recording, np.str_),
            start_s=np.full(len(array), np.nan) if start_s is None else np.asarray(start_s, np.float64),
            rate=float(rate),
            class_names=names,
            name=name,
        )

    def __len__(self) -> int:
        return int(self.x.shape[0])

    @property
    def n_samples(self) -> int:
        """Samples per window."""
        return int(self.x.shape[2])

    @property
    def window_s(self) -> float:
        """Length of a window, s."""
        return self.n_samples / self.rate

    @property
    def n_classes(self) -> int:
        """Number of classes, including those without a window."""
        return len(self.class_names)

    @property
    def subjects(self) -> NDArray[Any]:
        """The distinct subjects, sorted."""
        return np.unique(self.subject)

    def select(self, index: ArrayLike) -> Windows:
        """Select windows, in the order of the index.

        Parameters
        ----------
        index : array_like or slice
            Whole numbers, a bool mask ``[N]``, or a slice.

        Returns
        -------
        Windows
            `counts` and `n_rows` are not changed.
        """
        chosen: Any = index if isinstance(index, slice) else np.asarray(index)
        if isinstance(chosen, np.ndarray):
            if chosen.dtype.kind == "b" and chosen.shape != (len(self),):
                raise ValueError(f"index: expected a mask of shape [{len(self)}], got {list(chosen.shape)}")
            chosen = chosen.astype(np.int64) if chosen.size == 0 and chosen.dtype.kind != "b" else chosen
        assert self.sensor is not None
        return replace(
            self,
            x=self.x[chosen],
            label=self.label[chosen],
            subject=self.subject[chosen],
            recording=self.recording[chosen],
            start_s=self.start_s[chosen],
            sensor=self.sensor[chosen],
        )

    def of_classes(self, names: Sequence[str]) -> Windows:
        """Select the windows of some classes, and renumber their labels.

        Parameters
        ----------
        names : sequence of str
            Names of the classes, in the order of the new labels.

        Raises
        ------
        ValueError
            If a name is not a class.
        """
        unknown = [name for name in names if name not in self.class_names]
        if unknown:
            raise ValueError(f"names: expected some of {', '.join(self.class_names)}, got {', '.join(unknown)}")
        new = np.full(self.n_classes, -1, np.int64)
        new[[self.class_names.index(name) for name in names]] = np.arange(len(names))
        selected = self.select(new[self.label] >= 0)
        return replace(selected, label=new[selected.label], class_names=tuple(names))

    def per_class(self) -> dict[str, int]:
        """Return the number of windows of each class."""
        number = np.bincount(self.label, minlength=self.n_classes)
        return {name: int(n) for name, n in zip(self.class_names, number, strict=True)}

    def table(self) -> NDArray[np.int64]:
        """Return the number of windows ``[subject, class]``, in the order of `subjects` and `class_names`."""
        row = np.searchsorted(self.subjects, self.subject)
        number = np.zeros((len(self.subjects), self.n_classes), np.int64)
        np.add.at(number, (row, self.label), 1)
        return number

    def __repr__(self) -> str:
        classes = ", ".join(f"{n:,} {name}" for name, n in self.per_class().items())
        return (
            f"Windows({self.name + ': ' if self.name else ''}{len(self):,} of {self.window_s:g} s at {self.rate:g} Hz, "
            f"{len(self.subjects)} subjects, {classes})"
        )

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in ("subject", *self.class_names))
        rows = "".join(
            f"<tr><td>{html.escape(str(subject))}</td>" + "".join(f"<td>{n}</td>" for n in line) + "</tr>"
            for subject, line in zip(self.subjects, self.table().tolist(), strict=True)
        )
        lost = "".join(f"<li>{n:,} rows: {html.escape(reason)}</li>" for reason, n in self.counts.items())
        return f"<p>{html.escape(repr(self))}</p><table><tr>{head}</tr>{rows}</table><ul>{lost}</ul>"


def _expect_known(field: str, values: ArrayLike) -> None:
    """Raise ValueError for None, NaN or an empty text among the labels or subjects of windows."""
    items = np.ravel(np.asarray(values)).tolist()
    unknown = sum(item in (None, "") or (isinstance(item, float) and np.isnan(item)) for item in items)
    if unknown:
        raise ValueError(
            f"{field}: expected one for each window, got {unknown} None, NaN or empty: leave these windows out"
        )


def _named(
    label: NDArray[Any], class_names: Sequence[str] | Mapping[Any, str] | None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the index of each label, and the names of the classes."""
    present, index = np.unique(label, return_inverse=True)
    if class_names is None:
        if present.dtype.kind == "i" and present.min() < 0:
            raise ValueError(
                f"label: expected names or numbers of at least 0, got {int((label < 0).sum())} below 0, which often mark windows "
                f'without a label: leave them out, or name each label, as class_names={{{present.min()}: "rest", ...}}'
            )
        return index.astype(np.int64), tuple(str(value) for value in present.tolist())
    if not isinstance(class_names, Mapping):
        keys = list(range(len(class_names))) if label.dtype.kind in "iu" else list(class_names)
        class_names = dict(zip(keys, class_names, strict=True))
    missing = [value for value in present.tolist() if value not in class_names]
    if missing:
        known = ", ".join(map(str, class_names))
        raise ValueError(
            f"class_names: expected a name for each of {known}, got the labels {', '.join(map(str, missing))}: give a mapping, "
            'as {1: "walking"}'
        )
    names = list(dict.fromkeys(class_names.values()))
    code = np.array([names.index(class_names[value]) for value in present.tolist()], np.int64)
    return code[index], tuple(names)


def concatenate(parts: Iterable[Windows], *, name: str | None = None) -> Windows:
    """Concatenate the windows of several sets.

    If the names of the sets differ, they are put before the names of subjects and recordings, so that subjects 1 of two sets
    stay distinct.

    Parameters
    ----------
    parts : iterable of Windows
        Windows of the same length, rate and classes.
    name : str, optional
        Name of the result. The default is the names of the parts, joined with ``+``.

    Returns
    -------
    Windows
        `counts` and `n_rows` are summed.

    Raises
    ------
    ValueError
        If there is no part, or parts differ in length, rate or classes.
    """
    all_parts = list(parts)
    if not all_parts:
        raise ValueError("parts: expected at least one part, got an empty sequence")
    first = all_parts[0]
    for part in all_parts[1:]:
        for shared in ("n_samples", "rate", "class_names"):
            if getattr(part, shared) != getattr(first, shared):
                raise ValueError(
                    f"parts: expected one {shared} for all, got {getattr(first, shared)} of {first.name} and "
                    f"{getattr(part, shared)} of {part.name}"
                )
    names = list(dict.fromkeys(part.name for part in all_parts))
    unlike = len(names) > 1

    def column(key: str) -> NDArray[Any]:
        columns = [getattr(part, key) for part in all_parts]
        if unlike and key in ("subject", "recording"):
            columns = [np.array([f"{p.name} {v}" for v in c], np.str_) for p, c in zip(all_parts, columns, strict=True)]
        return np.concatenate(columns)

    counts: Counter[str] = Counter()
    for part in all_parts:
        counts.update(part.counts)
    return Windows(
        x=column("x"),
        label=column("label"),
        subject=column("subject"),
        recording=column("recording"),
        start_s=column("start_s"),
        rate=first.rate,
        class_names=first.class_names,
        name="+".join(names) if name is None else name,
        counts=dict(counts),
        n_rows=sum(part.n_rows for part in all_parts),
        sensor=column("sensor"),
        settings=first.settings,
        split_by="recording" if any(part.split_by == "recording" for part in all_parts) else "subject",
        split_missing="keep" if any(part.split_missing == "keep" for part in all_parts) else "redraw",
        people=tuple(dict.fromkeys(identity for part in all_parts for identity in part.people)),
    )

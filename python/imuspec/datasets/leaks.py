"""The parts of a split, and a check that no subject, recording or stretch of time is in two of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.windows import Windows

__all__ = ["PARTS", "Split", "Unit", "check_leaks", "groups_of", "some_of"]

Unit = Literal["subject", "recording"]
PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Three parts of a set's windows.

    Attributes
    ----------
    train, validation, test : int64 array [k]
        Indices of windows, in increasing order.
    split_by : {"subject", "recording"}
        Unit that was assigned to the parts. With recordings a subject may be in two parts.
    seed : int or None
        Seed of the draw; None if all parts were given.
    n_redraws : int
        Number of draws, or of enumerated splits, that were discarded because a part lacked a class.
    members : dict of str to tuple
        Subjects or recordings of each part.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    split_by: Unit = "subject"
    seed: int | None = None
    n_redraws: int = 0
    members: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def parts(self) -> dict[str, NDArray[np.int64]]:
        """Return the three arrays of indices by name."""
        return {name: getattr(self, name) for name in PARTS}

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(self.members.get(name, ()))} {name} ({len(i):,})" for name, i in self.parts().items())
        again = f", drawn {self.n_redraws + 1} times" if self.n_redraws else ""
        return f"Split(by {self.split_by}: {sizes} windows; seed {self.seed}{again})"


def check_leaks(windows: Windows, split: Split, *, allow: Collection[str] = ()) -> None:
    """Raise an error if a subject, a recording or a stretch of time is in two parts of a split.

    Parameters
    ----------
    windows : Windows
        Windows that were split.
    split : Split
        The parts.
    allow : collection of {"subject", "recording"}, default ()
        Kinds of overlap that are intended: subject (a split by recordings), recording (a split in time). A window in two
        parts, and windows of one recording that overlap in time, are never allowed.

    Raises
    ------
    ValueError
        If there is a leak; the message names every kind, the number, and examples.
    """
    unknown = set(allow) - {"subject", "recording"}
    if unknown:
        raise ValueError(f"allow: expected subject and recording, got {', '.join(sorted(unknown))}")
    problems = []
    for (first, index_a), (second, index_b) in combinations(split.parts().items(), 2):
        twice = np.intersect1d(index_a, index_b)
        if twice.size:
            problems.append(f"{twice.size} windows are in both {first} and {second}")
        for kind in ("subject", "recording"):
            if kind in allow:
                continue
            shared = np.intersect1d(groups_of(windows, kind)[index_a], groups_of(windows, kind)[index_b])
            if shared.size:
                problems.append(f"{kind}s {some_of(shared)} are in both {first} and {second}")
        overlapping = _overlaps(windows, index_a, index_b)
        if overlapping:
            problems.append(f"{overlapping} windows of {first} overlap one of {second} in time")
    if problems:
        raise ValueError(f"split: expected no leak, got {'; '.join(problems)}")


def _overlaps(windows: Windows, index_a: NDArray[np.int64], index_b: NDArray[np.int64]) -> int:
    """Return the number of windows of `index_a` that overlap in time with one of `index_b` in the same recording."""
    number = 0
    recording = groups_of(windows, "recording")
    for name in np.intersect1d(recording[index_a], recording[index_b]):
        a = windows.start_s[index_a[recording[index_a] == name]]
        b = np.sort(windows.start_s[index_b[recording[index_b] == name]])
        if np.isnan(a).any() or np.isnan(b).any():
            number += a.size  # times unknown: nothing shows that they are apart
            continue
        length = windows.window_s - 0.5 / windows.rate  # windows that touch do not overlap
        number += int((np.searchsorted(b, a + length) > np.searchsorted(b, a - length, side="right")).sum())
    return number


def groups_of(windows: Windows, split_by: str) -> NDArray[Any]:
    """Return the subject or the recording of each window."""
    if split_by == "subject":
        return windows.subject
    if split_by == "recording":
        return windows.recording
    raise ValueError(f"split_by: expected subject or recording, got {split_by!r}")


def some_of(names: NDArray[Any], limit: int = 5) -> str:
    """Return the first names in words, and the number of the others."""
    return ", ".join(map(str, names[:limit].tolist())) + (
        f" and {len(names) - limit} more" if len(names) > limit else ""
    )

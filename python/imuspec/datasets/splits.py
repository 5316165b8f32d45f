"""Who is trained on and who is tested: splits by subject, few labels a class, and a check that nothing leaks."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imuspec.datasets.windows import Windows

__all__ = ["SHOTS", "Split", "check_leaks", "explicit_split", "n_shot", "subject_split"]

SHOTS = (1, 2, 5, 10, 20, 50)
Unit = Literal["subject", "recording"]
_MAX_DRAWS = 1000
_PARTS = ("train", "validation", "test")
_log = logging.getLogger("imuspec.datasets")


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Three parts of a set's windows.

    Attributes
    ----------
    train, validation, test
        int64 ``[k]``: places in the windows, rising.
    by
        What was shuffled: subjects, or recordings (then a subject may be on two sides).
    seed
        Of the draw; None where it was told.
    n_redraws
        How many draws were thrown away, because a part lacked a class.
    members
        The subjects or recordings of each part.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    by: Unit = "subject"
    seed: int | None = None
    n_redraws: int = 0
    members: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def parts(self) -> dict[str, NDArray[np.int64]]:
        """The three index arrays by name."""
        return {name: getattr(self, name) for name in _PARTS}

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(self.members.get(name, ()))} {name} ({len(i):,})" for name, i in self.parts().items())
        again = f", drawn {self.n_redraws + 1} times" if self.n_redraws else ""
        return f"Split(by {self.by}: {sizes} windows; seed {self.seed}{again})"


def subject_split(
    windows: Windows,
    seed: int,
    *,
    by: Unit | None = None,
    fraction: float = 0.2,
    missing: Literal["redraw", "keep"] | None = None,
) -> Split:
    """Subjects shuffled and dealt 6:2:2 to train, validation and test.

    ``n_test = n_validation = max(1, round(fraction S))`` of ``S`` subjects, the rest trains. Where a part lacks one of
    the classes that have windows, the next sub-seed draws again, which is logged and counted.

    Parameters
    ----------
    windows
        Of one set.
    seed
        The draw.
    by
        subject: no one is on two sides. recording: recordings are dealt, which a set of three drivers needs for 6:2:2
        (PVS: 5/2/2 of its drives against 1/1/1 of its drivers); the same subject is then trained and tested on, so say
        so beside every number. Default: what the set asks for (``windows.split_by``).
    fraction
        Part of the subjects that test, and that validate.
    missing : {"redraw", "keep"}, optional
        redraw: see above; keep: use the first draw as it is. Default: that of the windows (``windows.split_missing``).

    Returns
    -------
    Split; `check_leaks` has been passed.

    Raises
    ------
    ValueError
        Fewer than three subjects; a class that fewer than three have, or one that no draw brought into every part.

    Examples
    --------
    >>> import numpy as np
    >>> from imuspec.datasets import Windows, subject_split
    >>> who = np.repeat(np.arange(10), 4)
    >>> windows = Windows(x=np.zeros((40, 3, 8)), label=np.arange(40) % 2, subject=who, recording=who, start_s=np.zeros(40),
    ...                   rate=50, class_names=("a", "b"))
    >>> subject_split(windows, seed=0)
    Split(by subject: 6 train (24), 2 validation (8), 2 test (8) windows; seed 0)
    """
    by = windows.split_by if by is None else by
    missing = windows.split_missing if missing is None else missing
    groups = _groups(windows, by)
    members, place = np.unique(groups, return_inverse=True)
    _at_least_three(members, windows, by)
    if not 0 < fraction < 0.5:
        raise ValueError(f"fraction: expected more than 0 and less than half, got {fraction}")
    if missing not in ("redraw", "keep"):
        raise ValueError(f"missing: expected redraw or keep, got {missing!r}")
    has = _has(windows, place, len(members))
    if missing == "redraw":
        _three_have_each(has, windows, by)
    n_test = max(1, round(fraction * len(members)))
    for attempt in range(_MAX_DRAWS):
        order = np.random.default_rng([seed, attempt]).permutation(len(members))
        test, validation, train = np.split(order, [n_test, 2 * n_test])
        lacking = _lacking(has, {"train": train, "validation": validation, "test": test}, windows)
        if not lacking or missing == "keep":
            parts = {"train": train, "validation": validation, "test": test}
            split = _split(place, members, parts, by=by, seed=seed, n_redraws=attempt)
            check_leaks(windows, split, allow=() if by == "subject" else ("subject",))
            return split
        _log.info("%s: draw %d of seed %d thrown away: %s", windows.name or "split", attempt, seed, lacking)
    raise ValueError(
        f"seed: expected a draw with every class in every part, got none in {_MAX_DRAWS} ({lacking}): "
        "use missing='keep', fewer classes, or a split of your own by explicit_split"
    )


def explicit_split(
    windows: Windows,
    *,
    test: Collection[Any],
    validation: Collection[Any] | None = None,
    seed: int | None = None,
    by: Unit | None = None,
    n_validation: int | None = None,
) -> Split:
    """A split whose test subjects are told, as UCI HAR's nine.

    Parameters
    ----------
    windows
        Of one set.
    test
        The subjects (or recordings) to test on.
    validation
        Those to validate on; None: drawn from the others by `seed`.
    seed
        Draws the validation part where it is not told.
    by
        As for `subject_split`.
    n_validation
        How many to draw; default: a fifth of all, at least 1.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        A subject that the windows do not have, one in two lists, or nobody left to train.
    """
    by = windows.split_by if by is None else by
    groups = _groups(windows, by)
    members, place = np.unique(groups, return_inverse=True)
    known = {value: index for index, value in enumerate(members.tolist())}

    def places(what: str, names: Iterable[Any]) -> NDArray[np.int64]:
        absent = [name for name in names if name not in known]
        if absent:
            raise ValueError(f"{what}: expected {by}s that have windows, got {', '.join(map(str, absent))}")
        return np.array(sorted({known[name] for name in names}), np.int64)

    tested = places("test", list(test))
    rest = np.setdiff1d(np.arange(len(members)), tested)
    if validation is not None:
        validated = places("validation", list(validation))
        both = np.intersect1d(tested, validated)
        if both.size:
            raise ValueError(f"validation: expected none of the test {by}s, got {', '.join(map(str, members[both]))}")
    else:
        number = max(1, round(0.2 * len(members))) if n_validation is None else n_validation
        if seed is None and number:
            raise ValueError("seed: expected a number where validation is not told, got None")
        validated = np.sort(np.random.default_rng(seed).permutation(rest)[:number])
    train = np.setdiff1d(rest, validated)
    if not (train.size and tested.size):
        raise ValueError(f"test: expected {by}s to train on and to test on, got {train.size} and {tested.size}")
    parts = {"train": train, "validation": validated, "test": tested}
    split = _split(place, members, parts, by=by, seed=seed, n_redraws=0)
    check_leaks(windows, split, allow=() if by == "subject" else ("subject",))
    return split


def n_shot(windows: Windows, train_index: ArrayLike, n: int, seed: int) -> NDArray[np.int64]:
    """At most `n` windows of each class from the training part, drawn without replacement.

    Draws are nested: those of a smaller `n` with the same seed are in those of a larger one, so curves are paired.

    Parameters
    ----------
    windows
        Of one set.
    train_index
        ``[k]``: the training part.
    n
        Windows a class.
    seed
        The draw.

    Returns
    -------
    int64 ``[n n_classes]``: places in `windows`, rising.

    Raises
    ------
    ValueError
        A number below 1, or no training window.

    Warns
    -----
    UserWarning
        A class with fewer than `n` windows: all are taken.
    """
    index = np.unique(np.asarray(train_index, np.int64))
    if int(n) != n or n < 1:
        raise ValueError(f"n: expected a whole number of at least 1, got {n}")
    if not index.size:
        raise ValueError("train_index: expected training windows, got none")
    drawn, short = [], []
    for label in np.unique(windows.label).tolist():
        mine = index[windows.label[index] == label]
        if mine.size < n:
            short.append(f"{mine.size} of {windows.class_names[label]}")
        drawn.append(np.random.default_rng([seed, label]).permutation(mine)[: int(n)])
    if short:
        warnings.warn(f"n: expected {n} training windows a class, got {', '.join(short)}: all are taken", stacklevel=2)
    return np.sort(np.concatenate(drawn))


def check_leaks(windows: Windows, split: Split, *, allow: Collection[str] = ()) -> None:
    """See that no subject, no recording and no stretch of time is in two parts of a split.

    Parameters
    ----------
    windows
        What was split.
    split
        The parts.
    allow
        Kinds of overlap that are meant: subject (a split by recordings), recording (a split in time). A window in two
        parts, and windows of one recording that overlap in time, are never allowed.

    Raises
    ------
    ValueError
        A leak: the message names every kind, how many, and examples.
    """
    unknown = set(allow) - {"subject", "recording"}
    if unknown:
        raise ValueError(f"allow: expected subject and recording, got {', '.join(sorted(unknown))}")
    problems = []
    parts = list(split.parts().items())
    for at, (one, mine) in enumerate(parts):
        for other, theirs in parts[at + 1 :]:
            twice = np.intersect1d(mine, theirs)
            if twice.size:
                problems.append(f"{twice.size} windows are in both {one} and {other}")
            for kind in ("subject", "recording"):
                if kind in allow:
                    continue
                shared = np.intersect1d(_groups(windows, kind)[mine], _groups(windows, kind)[theirs])
                if shared.size:
                    problems.append(f"{kind}s {_some(shared)} are in both {one} and {other}")
            overlapping = _overlaps(windows, mine, theirs)
            if overlapping:
                problems.append(f"{overlapping} windows of {one} overlap one of {other} in time")
    if problems:
        raise ValueError(f"split: expected no leak, got {'; '.join(problems)}")


def _overlaps(windows: Windows, mine: NDArray[np.int64], theirs: NDArray[np.int64]) -> int:
    """How many of `mine` share time with one of `theirs` in the same recording."""
    number = 0
    recording = _groups(windows, "recording")
    for name in np.intersect1d(recording[mine], recording[theirs]):
        a = windows.start_s[mine[recording[mine] == name]]
        b = np.sort(windows.start_s[theirs[recording[theirs] == name]])
        if np.isnan(a).any() or np.isnan(b).any():
            number += a.size  # times unknown: nothing shows that they are apart
            continue
        length = windows.window_s - 0.5 / windows.rate  # windows that touch do not overlap
        number += int((np.searchsorted(b, a + length) > np.searchsorted(b, a - length, side="right")).sum())
    return number


def _groups(windows: Windows, by: str) -> NDArray[Any]:
    if by == "subject":
        return windows.subject
    if by == "recording":
        return windows.recording
    raise ValueError(f"by: expected subject or recording, got {by!r}")


def _at_least_three(members: NDArray[Any], windows: Windows, by: str) -> None:
    if len(members) < 3:
        raise ValueError(
            f"{windows.name or 'windows'}: expected at least three {by}s for train, validation and test, got "
            f"{len(members)} ({_some(members)})" + (": by='recording' may do" if by == "subject" else "")
        )


def _has(windows: Windows, place: NDArray[np.int64], n: int) -> NDArray[np.bool_]:
    """Whether each member has each class ``[member, class]``."""
    has = np.zeros((n, windows.n_classes), np.bool_)
    has[place, windows.label] = True
    return has


def _three_have_each(has: NDArray[np.bool_], windows: Windows, by: str) -> None:
    number = has.sum(axis=0)
    few = [f"{name} ({k})" for name, k in zip(windows.class_names, number.tolist(), strict=True) if 0 < k < 3]
    if few:
        raise ValueError(
            f"{windows.name or 'windows'}: expected at least three {by}s with each class, got fewer for "
            f"{', '.join(few)}: use missing='keep' or leave the class out by of_classes"
        )


def _lacking(has: NDArray[np.bool_], parts: dict[str, NDArray[np.int64]], windows: Windows) -> str:
    present = has.any(axis=0)
    said = []
    for name, members in parts.items():
        absent = np.flatnonzero(present & ~has[members].any(axis=0))
        if absent.size:
            said.append(f"{name} lacks {', '.join(windows.class_names[i] for i in absent)}")
    return "; ".join(said)


def _split(
    place: NDArray[np.int64],
    members: NDArray[Any],
    parts: dict[str, NDArray[np.int64]],
    *,
    by: Unit,
    seed: int | None,
    n_redraws: int,
) -> Split:
    index = {name: np.flatnonzero(np.isin(place, which)) for name, which in parts.items()}
    named = {name: tuple(members[np.sort(which)].tolist()) for name, which in parts.items()}
    return Split(**index, by=by, seed=seed, n_redraws=n_redraws, members=named)


def _some(names: NDArray[Any], most: int = 5) -> str:
    return ", ".join(map(str, names[:most].tolist())) + (f" and {len(names) - most} more" if len(names) > most else "")

"""Splits by subject into training, validation and test, and draws of few labels per class."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Collection, Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imuspec.datasets.draws import FEW, Draw, all_draws, distinct_draw, ordered_choices
from imuspec.datasets.leaks import PARTS, Split, Unit, check_leaks, groups_of, some_of
from imuspec.datasets.windows import Windows

__all__ = ["SHOTS", "explicit_split", "n_shot", "subject_split"]

SHOTS = (1, 2, 5, 10, 20, 50)
_log = logging.getLogger("imuspec.datasets")


def subject_split(
    windows: Windows,
    seed: int,
    *,
    split_by: Unit | None = None,
    fraction: float = 0.2,
    missing: Literal["redraw", "keep"] | None = None,
) -> Split:
    """Split subjects 6:2:2 into training, validation and test.

    Of ``S`` subjects ``max(1, round(fraction S))`` test, as many validate, and the rest trains. Ten or more subjects are
    shuffled. With fewer, all splits are enumerated (leave one out, or leave two out), and the seed is the index: the first
    seeds test every subject that can be tested, and each seed gives another split, as long as there are any. A split in which
    a part lacks a class is discarded, logged and counted, and the next one of the same test subjects is taken.

    Parameters
    ----------
    windows : Windows
        Windows of one set.
    seed : int
        Seed of the draw, 0 or more. Two seeds up to 100 give the same split only where there are no further ones.
    split_by : {"subject", "recording"}, optional
        "subject": no subject is in two parts. "recording": recordings are assigned, as a set of three drivers needs for
        6:2:2 (PVS: 5/2/2 of its drives, 1/1/1 of its drivers). Then a subject both trains and tests; report it with every
        score. The default is ``windows.split_by``.
    fraction : float, default 0.2
        Share of the subjects that test, and that validate.
    missing : {"redraw", "keep"}, optional
        "redraw": discard a split in which a part lacks a class. "keep": use it. The default is ``windows.split_missing``.

    Returns
    -------
    Split
        It has passed `check_leaks`.

    Raises
    ------
    ValueError
        If there are fewer than three subjects, fewer than three have a class, or no split has every class in every part.

    Examples
    --------
    >>> import numpy as np
    >>> from imuspec.datasets import Windows, subject_split
    >>> subject = np.repeat(np.arange(10), 4)
    >>> windows = Windows(x=np.zeros((40, 3, 8)), label=np.arange(40) % 2, subject=subject, recording=subject,
    ...                   start_s=np.zeros(40), rate=50, class_names=("a", "b"))
    >>> subject_split(windows, seed=0)
    Split(by subject: 6 train (24), 2 validation (8), 2 test (8) windows; seed 0)
    """
    split_by = windows.split_by if split_by is None else split_by
    missing = windows.split_missing if missing is None else missing
    groups = groups_of(windows, split_by)
    members, member_index = np.unique(groups, return_inverse=True)
    _at_least_three(members, windows, split_by)
    if int(seed) != seed or seed < 0:
        raise ValueError(f"seed: expected a whole number of at least 0, got {seed}")
    if not 0 < fraction < 0.5:
        raise ValueError(f"fraction: expected more than 0 and less than half, got {fraction}")
    if missing not in ("redraw", "keep"):
        raise ValueError(f"missing: expected redraw or keep, got {missing!r}")
    has = np.zeros((len(members), windows.n_classes), np.bool_)  # which member has which class
    has[member_index, windows.label] = True
    if missing == "redraw":
        _three_have_each(has, windows, split_by)
    draw, n_redraws = _drawn(has, windows, seed, max(1, round(fraction * len(members))), keep=missing == "keep")
    parts = dict(zip(PARTS, draw, strict=True))
    split = _split(member_index, members, parts, split_by=split_by, seed=seed, n_redraws=n_redraws)
    check_leaks(windows, split, allow=() if split_by == "subject" else ("subject",))
    return split


def _drawn(has: NDArray[np.bool_], windows: Windows, seed: int, n_test: int, *, keep: bool) -> tuple[Draw, int]:
    """Return the split of a seed, and the number of splits that were discarded because a part lacks a class."""
    name = windows.name or "split"
    reasons: list[str] = []

    def lacking(draw: Draw) -> str:
        return _lacking(has, dict(zip(PARTS, draw, strict=True)), windows)

    def reject(draw: Draw, description: str) -> None:
        reasons.append(lacking(draw))
        _log.info("%s: %s discarded: %s", name, description, reasons[-1])

    def accepts(draw: Draw) -> bool:
        return keep or not lacking(draw)

    if len(has) < FEW:
        accepted: list[Draw] = []
        by_test: dict[bytes, list[Draw]] = {}
        for draw in all_draws(len(has), n_test):
            by_test.setdefault(draw[2].tobytes(), []).append(draw)
        # in turns of the test members, so that a discarded split does not put an untested member behind a tested one
        while any(by_test.values()):
            for draws in by_test.values():
                while draws and not accepts(draws[0]):
                    reject(draws.pop(0), f"a split for seed {seed}")
                accepted += [draws.pop(0)] if draws else []
                if len(accepted) > seed:
                    return accepted[seed], len(reasons)
        if accepted:
            return accepted[seed % len(accepted)], len(reasons)
    else:
        result = distinct_draw(
            len(has), n_test, seed, accepts, lambda attempt, draw: reject(draw, f"draw {attempt} of seed {seed}")
        )
        if result is not None:
            return result
    raise ValueError(
        f"seed: none of {len(reasons)} splits has every class in every part ({reasons[-1]}): "
        "use missing='keep', fewer classes, or a split of your own by explicit_split"
    )


def explicit_split(
    windows: Windows,
    *,
    test: Collection[Any],
    validation: Collection[Any] | None = None,
    seed: int | None = None,
    split_by: Unit | None = None,
    n_validation: int | None = None,
) -> Split:
    """Return a split with given test subjects, such as the nine of UCI HAR.

    Parameters
    ----------
    windows : Windows
        Windows of one set.
    test : collection
        Subjects (or recordings) that test.
    validation : collection, optional
        Subjects (or recordings) that validate. By default they are drawn from the others.
    seed : int, optional
        Seed of the draw; required without `validation`.
    split_by : {"subject", "recording"}, optional
        As in `subject_split`.
    n_validation : int, optional
        Number of members to draw. The default is a fifth of all, at least 1.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If a subject has no windows or is in two lists, or if no subject remains to train.
    """
    split_by = windows.split_by if split_by is None else split_by
    groups = groups_of(windows, split_by)
    members, member_index = np.unique(groups, return_inverse=True)
    known = {value: index for index, value in enumerate(members.tolist())}

    def indices(argument: str, names: Iterable[Any]) -> NDArray[np.int64]:
        absent = [name for name in names if name not in known]
        if absent:
            raise ValueError(f"{argument}: expected {split_by}s that have windows, got {', '.join(map(str, absent))}")
        return np.array(sorted({known[name] for name in names}), np.int64)

    tested = indices("test", list(test))
    rest = np.setdiff1d(np.arange(len(members)), tested)
    if validation is not None:
        validated = indices("validation", list(validation))
        both = np.intersect1d(tested, validated)
        if both.size:
            raise ValueError(
                f"validation: expected none of the test {split_by}s, got {', '.join(map(str, members[both]))}"
            )
    else:
        number = max(1, round(0.2 * len(members))) if n_validation is None else n_validation
        if seed is None and number:
            raise ValueError("seed: expected a number if validation is not given, got None")
        validated = _validating(rest, number, seed or 0)
    train = np.setdiff1d(rest, validated)
    if not (train.size and tested.size):
        raise ValueError(f"test: expected {split_by}s to train on and to test on, got {train.size} and {tested.size}")
    parts = {"train": train, "validation": validated, "test": tested}
    split = _split(member_index, members, parts, split_by=split_by, seed=seed, n_redraws=0)
    check_leaks(windows, split, allow=() if split_by == "subject" else ("subject",))
    return split


def _validating(rest: NDArray[np.int64], number: int, seed: int) -> NDArray[np.int64]:
    """Return the members that validate: an enumerated choice of few, or a draw of many."""
    if number < len(rest) < FEW:
        choices = ordered_choices(len(rest), number)
        return rest[list(choices[seed % len(choices)])]
    return np.sort(np.random.default_rng(seed).permutation(rest)[:number])


def n_shot(windows: Windows, train_index: ArrayLike, n: int, seed: int) -> NDArray[np.int64]:
    """Draw at most `n` windows of each class from the training part, without replacement.

    Draws are nested: with the same seed, the windows of a smaller `n` are among those of a larger `n`. So the points of a
    curve over `n` are paired.

    Parameters
    ----------
    windows : Windows
        Windows of one set.
    train_index : int array [k]
        Indices of the training part.
    n : int
        Windows of each class.
    seed : int
        Seed of the draw.

    Returns
    -------
    int64 array [<= n classes]
        Indices of windows, in increasing order.

    Raises
    ------
    ValueError
        If `n` is below 1, or there is no training window.

    Warns
    -----
    UserWarning
        If a class has fewer than `n` windows: all are taken.
    """
    index = np.unique(np.asarray(train_index, np.int64))
    if int(n) != n or n < 1:
        raise ValueError(f"n: expected a whole number of at least 1, got {n}")
    if not index.size:
        raise ValueError("train_index: expected at least one window, got an empty array")
    drawn, short = [], []
    for label in np.unique(windows.label).tolist():
        of_class = index[windows.label[index] == label]
        if of_class.size < n:
            short.append(f"{of_class.size} of {windows.class_names[label]}")
        drawn.append(np.random.default_rng([seed, label]).permutation(of_class)[: int(n)])
    if short:
        warnings.warn(f"n: expected {n} training windows a class, got {', '.join(short)}: all are taken", stacklevel=2)
    return np.sort(np.concatenate(drawn))


def _at_least_three(members: NDArray[Any], windows: Windows, split_by: str) -> None:
    if len(members) < 3:
        raise ValueError(
            f"{windows.name or 'windows'}: expected at least three {split_by}s for train, validation and test, got "
            f"{len(members)} ({some_of(members)})"
            + (": use split_by='recording' if that will do" if split_by == "subject" else "")
        )


def _three_have_each(has: NDArray[np.bool_], windows: Windows, split_by: str) -> None:
    number = has.sum(axis=0)
    few = [f"{name} ({k})" for name, k in zip(windows.class_names, number.tolist(), strict=True) if 0 < k < 3]
    if few:
        raise ValueError(
            f"{windows.name or 'windows'}: expected at least three {split_by}s with each class, got fewer for "
            f"{', '.join(few)}: use missing='keep' or leave the class out by of_classes"
        )


def _lacking(has: NDArray[np.bool_], parts: dict[str, NDArray[np.int64]], windows: Windows) -> str:
    present = has.any(axis=0)
    reasons = []
    for name, members in parts.items():
        absent = np.flatnonzero(present & ~has[members].any(axis=0))
        if absent.size:
            reasons.append(f"{name} lacks {', '.join(windows.class_names[i] for i in absent)}")
    return "; ".join(reasons)


def _split(
    member_index: NDArray[np.int64],
    members: NDArray[Any],
    parts: dict[str, NDArray[np.int64]],
    *,
    split_by: Unit,
    seed: int | None,
    n_redraws: int,
) -> Split:
    index = {name: np.flatnonzero(np.isin(member_index, part)) for name, part in parts.items()}
    named = {name: tuple(members[np.sort(part)].tolist()) for name, part in parts.items()}
    return Split(**index, split_by=split_by, seed=seed, n_redraws=n_redraws, members=named)

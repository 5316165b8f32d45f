"""Groups of people that are left out in turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fold", "folds_of", "group_folds"]


@dataclass(frozen=True, eq=False)
class Fold:
    """Indices of the windows that train, validate and test while one group of people is left out."""

    number: int
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def group_folds(groups: NDArray[np.int64], folds: int, seed: int, *, least: int = 3) -> NDArray[np.int64]:
    """Return the fold of each group of people.

    Parameters
    ----------
    groups : array of int64 [G]
        The distinct groups.
    folds : int
        Number of folds, at least 3; fewer where there are fewer groups.
    seed : int
        Seed of the draw.
    least : int, default 3
        Least number of groups; two where none validates.

    Raises
    ------
    ValueError
        If there are fewer groups.
    """
    n = len(groups)
    if n < least:
        parts = "to train, validate and score" if least > 2 else "to train and score"
        raise ValueError(f"data: expected at least {least} people {parts}, got {n}")
    fold = np.empty(n, np.int64)
    fold[np.random.default_rng(seed).permutation(n)] = np.arange(n) % min(folds, n)
    return fold


def folds_of(fold: NDArray[np.int64]) -> Iterator[Fold]:
    """Yield the folds: each tests once, the next one validates, and the others train."""
    total = int(fold.max()) + 1
    for number in range(total):
        validates = (number + 1) % total
        test, validation = fold == number, fold == validates
        yield Fold(number, *(np.flatnonzero(part) for part in (~test & ~validation, validation, test)))

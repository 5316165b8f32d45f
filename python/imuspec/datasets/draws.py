"""Draws of members for training, validation and test: all splits of few members in a fixed order, random ones of many."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEW", "Draw", "all_draws", "distinct_draw", "distinct_part", "expect_distinct", "ordered_choices"]

FEW = 10
"""With fewer members the splits are enumerated: leave one out, or leave two out."""

_MAX_DRAWS = 1000
_MOST_SEEDS = 100  # up to this seed a draw is compared with those of all smaller seeds

Draw = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Indices of the members that train, validate and test, each rising."""


def ordered_choices(n: int, size: int) -> list[tuple[int, ...]]:
    """Return every choice of `size` of `n` members, ordered so that all members appear early and equally often.

    Parameters
    ----------
    n : int
        Number of members.
    size : int
        Number of members in a choice.

    Examples
    --------
    >>> sorted(member for choice in ordered_choices(8, 2)[:4] for member in choice)
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    shuffled = np.random.default_rng(0).permutation(n).tolist()
    left = [tuple(sorted(shuffled[i] for i in choice)) for choice in combinations(range(n), size)]
    used, order = [0] * n, []
    while left:
        choice = min(left, key=lambda each: (max(used[i] for i in each), sum(used[i] for i in each)))
        left.remove(choice)
        order.append(choice)
        for i in choice:
            used[i] += 1
    return order


@lru_cache(maxsize=16)
def all_draws(n: int, n_test: int) -> tuple[Draw, ...]:
    """Return every split of `n` members; consecutive splits have other test members, as long as there are any.

    Parameters
    ----------
    n : int
        Number of members.
    n_test : int
        Number of members that test, and that validate.

    Returns
    -------
    tuple of Draw
    """
    by_test = []
    for test in ordered_choices(n, n_test):
        rest = [i for i in range(n) if i not in test]
        # The rest is rotated by the first test member, so that all members validate about equally often.
        turned = [*rest[test[0] % len(rest) :], *rest[: test[0] % len(rest)]]
        by_test.append([_draw(n, test, [turned[i] for i in choice]) for choice in ordered_choices(len(rest), n_test)])
    return tuple(draw for draws in zip(*by_test, strict=True) for draw in draws)


def distinct_draw(
    n: int, n_test: int, seed: int, accepts: Callable[[Draw], bool], reject: Callable[[int, Draw], None]
) -> tuple[Draw, int] | None:
    """Return a split of ten or more members that no smaller seed gives, and how many were discarded; None without any.

    Parameters
    ----------
    n : int
        Number of members.
    n_test : int
        Number of members that test, and that validate.
    seed : int
        Seed of the draw. Up to 100 it is compared with all smaller seeds.
    accepts : callable
        Whether a split may be used.
    reject : callable
        Called with the number of each discarded draw of this seed, and the draw.
    """
    taken: set[bytes] = set()
    for number in range(seed + 1) if seed <= _MOST_SEEDS else (seed,):
        draws = ((attempt, _shuffled(n, n_test, number, attempt)) for attempt in range(_MAX_DRAWS))
        first: tuple[int, Draw] | None = None
        for attempt, draw in draws:
            if accepts(draw):
                first = first or (attempt, draw)
                if _key(draw) not in taken:
                    first = (attempt, draw)
                    break
            elif number == seed:
                reject(attempt, draw)
        if first is None:
            return None
        taken.add(_key(first[1]))
    assert first is not None
    return first[1], first[0]


def distinct_part(names: Sequence[str], size: int, seed: int) -> frozenset[str]:
    """Return members that are drawn at random and in this choice by no smaller seed.

    Parameters
    ----------
    names : sequence of str
        The members.
    size : int
        Number of members in the part.
    seed : int
        Seed of the draw. Up to 100 the part is compared with those of all smaller seeds.
    """
    taken: set[frozenset[str]] = set()
    part: frozenset[str] = frozenset()
    for number in range(seed + 1) if seed <= _MOST_SEEDS else (seed,):
        for attempt in range(_MAX_DRAWS):
            order = np.random.default_rng([number, attempt] if attempt else number).permutation(names).tolist()
            part = frozenset(order[len(order) - size :])
            if part not in taken:
                break
        taken.add(part)
    return part


def expect_distinct(members: Mapping[int, Mapping[str, Sequence[Hashable]]]) -> None:
    """Raise an error if two seeds gave the same split, since their scores would be copies.

    Parameters
    ----------
    members : mapping of int to mapping
        Seed -> members of each part, as in `Split.members`.

    Raises
    ------
    ValueError
        If two seeds share a split; the message has the number of distinct splits.
    """
    seeds: dict[tuple[tuple[str, frozenset[Hashable]], ...], int] = {}
    copies = []
    for seed, parts in members.items():
        first = seeds.setdefault(tuple(sorted((name, frozenset(part)) for name, part in parts.items())), seed)
        if first != seed:
            copies.append(f"{first} and {seed}")
    if copies:
        shown = ", ".join(islice(copies, 3))
        raise ValueError(
            f"seeds: expected seeds that give distinct splits, got {len(seeds)} distinct of {len(members)} "
            f"(alike: {shown}): a mean ± sd over copies means nothing, use at most {len(seeds)} seeds"
        )


def _draw(n: int, test: Sequence[int], validation: Sequence[int]) -> Draw:
    train = np.setdiff1d(np.arange(n), [*test, *validation])
    return train, np.sort(np.array(validation, np.int64)), np.sort(np.array(test, np.int64))


def _shuffled(n: int, n_test: int, seed: int, attempt: int) -> Draw:
    test, validation, train = np.split(np.random.default_rng([seed, attempt]).permutation(n), [n_test, 2 * n_test])
    return np.sort(train), np.sort(validation), np.sort(test)


def _key(draw: Draw) -> bytes:
    return b"/".join(part.tobytes() for part in draw)

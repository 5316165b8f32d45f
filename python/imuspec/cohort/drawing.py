"""Random stretches of a recording, for training."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Literal

__all__ = ["draw_stretch"]


def draw_stretch(
    stretches: Sequence[tuple[int, int]], length: int, key: tuple[int, int, str], shorter: Literal["skip", "whole"]
) -> tuple[int, int] | None:
    """Return the first and the one-past-last sample of a random stretch of `length` samples inside one of `stretches`.

    Parameters
    ----------
    stretches : sequence of (int, int)
        First and one-past-last sample of each.
    length : int
        Samples of the result.
    key : (int, int, str)
        Seed, epoch and id of the recording: the draw depends on nothing else.
    shorter : {"skip", "whole"}
        If all stretches are shorter: return None, or the longest stretch.
    """
    counts = [max(0, stop - first - length + 1) for first, stop in stretches]
    if not sum(counts):
        if shorter == "skip" or not stretches:
            return None
        return max(stretches, key=lambda stretch: (stretch[1] - stretch[0], -stretch[0]))
    digest = hashlib.sha256(repr(key).encode()).digest()
    position = math.floor(int.from_bytes(digest[:8], "big") / 2**64 * sum(counts))
    for (first, _), count in zip(stretches, counts, strict=True):
        if position < count:
            return first + position, first + position + length
        position -= count
    raise AssertionError("the counts of all stretches add up to their sum")

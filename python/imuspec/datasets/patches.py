"""Ten-second patches and the windows of fifty minutes that a network sees them in: where windows start, what is scored.

All numbers are patches: a window is 300 of them, a day 8,640.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["group_labels", "hide_patches", "patch_labels", "scored_windows", "spread_starts", "stride_starts"]

WINDOW, OVERLAP, STRIDE = 300, 30, 30


def spread_starts(
    n_patches: int, *, window: int = WINDOW, overlap: int = OVERLAP, strict: bool = False
) -> NDArray[np.int64]:
    """Starts of windows that cover a stretch, spread evenly on the grid of patches.

    ``n = 1 + ceil((n_patches - window) / (window - overlap))`` windows, start i at ``round(i (n_patches - window) / (n - 1))``:
    32 windows of 50 min for a day, overlapping by 300 to 310 s, the last ending with the day. The paper's 32 windows of
    exactly 5 min overlap would need 1,445 minutes.

    Parameters
    ----------
    n_patches : int
        Patches of the stretch; with fewer than a window there is one start, 0.
    window : int, default WINDOW
        Length of a window, and what two share at least.
    overlap : int, default OVERLAP
        Length of a window, and what two share at least.
    strict : bool, default False
        Overlap by exactly `overlap` and leave out what remains: 31 windows for a day.

    Examples
    --------
    >>> spread_starts(8640)[[0, 1, 2, 31]].tolist(), len(spread_starts(8640, strict=True))
    ([0, 269, 538, 8340], 31)
    """
    if n_patches < 1 or not 0 <= overlap < window:
        raise ValueError(
            f"n_patches, overlap: expected a patch or more and 0 <= overlap < window, got {n_patches}, {overlap}, {window}"
        )
    step, room = window - overlap, max(n_patches - window, 0)
    if strict:
        return np.arange(0, room + 1, step, dtype=np.int64)
    n = -(-room // step) + 1
    starts: NDArray[np.int64] = np.rint(np.arange(n) * (room / max(n - 1, 1))).astype(np.int64)
    return starts


def stride_starts(n_patches: int, *, window: int = WINDOW, stride: int = STRIDE) -> NDArray[np.int64]:
    """Starts of the windows of fine-tuning, every 5 min: 279 a day.

    Examples
    --------
    >>> len(stride_starts(8640))
    279
    """
    return np.arange(0, max(n_patches - window, 0) + 1, stride, dtype=np.int64)


def scored_windows(n_patches: int, *, window: int = WINDOW) -> list[tuple[int, int, int]]:
    """Windows of an evaluation as (start, first scored, end): each patch is scored once.

    Windows follow one another without overlap; the last one ends with the stretch, and of it only those patches count
    that no window before has scored.

    Examples
    --------
    >>> scored_windows(750)
    [(0, 0, 300), (300, 300, 600), (450, 600, 750)]
    """
    found = [(start, start, start + window) for start in range(0, n_patches - window + 1, window)]
    done = found[-1][2] if found else 0
    if done < n_patches:
        found.append((max(n_patches - window, 0), done, n_patches))
    return found


def patch_labels(label: ArrayLike, patch: int) -> NDArray[np.int64]:
    """Label of each whole patch: the most frequent of its samples' labels, of equals the one that comes first in time.

    Parameters
    ----------
    label : array_like
        Whole numbers [time]; negative where there is no label. These do not count while there is any label in the patch.
    patch : int
        Samples of a patch.

    Returns
    -------
    int64 [patches], -1 for a patch without a label.

    Examples
    --------
    >>> patch_labels([2, 1, 1, 2, -1, -1, -1, 0, -1, -1, -1, -1], 4).tolist()
    [2, 0, -1]
    """
    values = np.asarray(label, np.int64)
    n = len(values) // patch
    return group_labels(values[: n * patch], np.repeat(np.arange(n), patch), n)


def group_labels(label: ArrayLike, group: ArrayLike, n_groups: int) -> NDArray[np.int64]:
    """Label of each group of samples, as `patch_labels` of each patch; samples of a group below 0 or beyond do not count.

    Parameters
    ----------
    label : array_like
        Whole numbers [time], in the order of time; negative where there is no label.
    group : array_like
        Whole numbers [time].
    n_groups : int
        How many groups there are.

    Examples
    --------
    >>> group_labels([1, 1, 0, 2], [0, 0, 2, 2], 3).tolist()
    [1, -1, 0]
    """
    labels, groups = np.asarray(label, np.int64), np.asarray(group, np.int64)
    counted = (labels >= 0) & (groups >= 0) & (groups < n_groups)
    labels, groups = labels[counted], groups[counted]
    if not labels.size:
        return np.full(n_groups, -1, np.int64)
    n_classes = int(labels.max()) + 1
    pair, first, number = np.unique(groups * n_classes + labels, return_index=True, return_counts=True)
    # Within a group the largest number last, of equals the earliest in time.
    order = np.lexsort((-first, number, pair // n_classes))
    found = np.full(n_groups, -1, np.int64)
    found[pair[order] // n_classes] = pair[order] % n_classes
    return found


def hide_patches(missing: NDArray[np.bool_], ratio: float, random: np.random.Generator) -> NDArray[np.bool_]:
    """Draw the patches to hide: of each window's measured ones exactly ``round(ratio n)``, without replacement.

    Parameters
    ----------
    missing : bool array
        Bool [windows, patches].
    ratio : float
        Part to hide, from 0 to 1.
    random : numpy.random.Generator
        The draw.
    """
    score = random.random(missing.shape)
    score[missing] = np.inf
    rank = np.empty(missing.shape, np.int64)
    np.put_along_axis(rank, score.argsort(1), np.arange(missing.shape[1])[None], 1)
    n = np.floor(ratio * (~missing).sum(1) + 0.5)
    hidden: NDArray[np.bool_] = rank < n[:, None]
    return hidden

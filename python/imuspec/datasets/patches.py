"""Ten-second patches and windows of fifty minutes: where windows start, which patches are scored, and their labels.

All numbers are patches: a window has 300, a day 8,640.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["group_labels", "hide_patches", "patch_labels", "scored_windows", "spread_starts", "stride_starts"]

WINDOW, OVERLAP, STRIDE = 300, 30, 30


def spread_starts(
    n_patches: int, *, window: int = WINDOW, overlap: int = OVERLAP, strict: bool = False
) -> NDArray[np.int64]:
    """Return starts of windows that cover a stretch, spread evenly on the grid of patches.

    There are ``n = 1 + ceil((n_patches - window) / (window - overlap))`` windows; window i starts at
    ``round(i (n_patches - window) / (n - 1))``. A day has 32 windows of 50 min that overlap by 300 to 310 s; the last one ends
    with the day. The 32 windows of the paper, with an overlap of exactly 5 min, would need 1,445 minutes.

    Parameters
    ----------
    n_patches : int
        Length of the stretch, patches. If it is shorter than a window, the only start is 0.
    window : int, default WINDOW
        Length of a window, patches.
    overlap : int, default OVERLAP
        Smallest overlap of neighbouring windows, patches.
    strict : bool, default False
        Whether all windows overlap by exactly `overlap`, and the rest is left out: 31 windows for a day.

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
    """Return starts of the windows of fine-tuning, every 5 min: 279 for a day.

    Parameters
    ----------
    n_patches : int
        Length of the stretch, patches.
    window : int, default WINDOW
        Length of a window, patches.
    stride : int, default STRIDE
        Distance of neighbouring starts, patches.

    Examples
    --------
    >>> len(stride_starts(8640))
    279
    """
    return np.arange(0, max(n_patches - window, 0) + 1, stride, dtype=np.int64)


def scored_windows(n_patches: int, *, window: int = WINDOW) -> list[tuple[int, int, int]]:
    """Return windows of an evaluation as (start, first scored, end); each patch is scored once.

    Windows do not overlap, except the last one, which ends with the stretch. Patches that an earlier window has scored are
    not scored again.

    Parameters
    ----------
    n_patches : int
        Length of the stretch, patches.
    window : int, default WINDOW
        Length of a window, patches.

    Examples
    --------
    >>> scored_windows(750)
    [(0, 0, 300), (300, 300, 600), (450, 600, 750)]
    """
    result = [(start, start, start + window) for start in range(0, n_patches - window + 1, window)]
    scored = result[-1][2] if result else 0
    if scored < n_patches:
        result.append((max(n_patches - window, 0), scored, n_patches))
    return result


def patch_labels(label: ArrayLike, patch: int) -> NDArray[np.int64]:
    """Return the label of each whole patch: the most frequent label of its samples; of equals, the first in time.

    Parameters
    ----------
    label : array_like [time]
        Whole numbers; negative without a label. Unlabelled samples count only in patches without any label.
    patch : int
        Samples per patch.

    Returns
    -------
    int64 array [patches]
        -1 for a patch without a label.

    Examples
    --------
    >>> patch_labels([2, 1, 1, 2, -1, -1, -1, 0, -1, -1, -1, -1], 4).tolist()
    [2, 0, -1]
    """
    values = np.asarray(label, np.int64)
    n = len(values) // patch
    return group_labels(values[: n * patch], np.repeat(np.arange(n), patch), n)


def group_labels(label: ArrayLike, group: ArrayLike, n_groups: int) -> NDArray[np.int64]:
    """Return the label of each group of samples, by the rule of `patch_labels`.

    Parameters
    ----------
    label : array_like [time]
        Whole numbers in the order of time; negative without a label.
    group : array_like [time]
        Index of each sample's group; samples with other values are ignored.
    n_groups : int
        Number of groups.

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
    # The last of a group has the largest number; of equals, the earliest time.
    order = np.lexsort((-first, number, pair // n_classes))
    result = np.full(n_groups, -1, np.int64)
    result[pair[order] // n_classes] = pair[order] % n_classes
    return result


def hide_patches(missing: NDArray[np.bool_], ratio: float, random: np.random.Generator) -> NDArray[np.bool_]:
    """Draw the patches to hide: ``round(ratio n)`` of the n measured patches of each window, without replacement.

    Parameters
    ----------
    missing : bool array [windows, patches]
        Patches that were not measured.
    ratio : float
        Share of the patches to hide, from 0 to 1.
    random : numpy.random.Generator
        Random generator.

    Returns
    -------
    bool array [windows, patches]
    """
    score = random.random(missing.shape)
    score[missing] = np.inf
    rank = np.empty(missing.shape, np.int64)
    np.put_along_axis(rank, score.argsort(1), np.arange(missing.shape[1])[None], 1)
    n = np.floor(ratio * (~missing).sum(1) + 0.5)
    hidden: NDArray[np.bool_] = rank < n[:, None]
    return hidden

"""Altered test sets: what a sensor worn late, loosely, turned or noisily would have given.

The four of IMG2IMU's Table I (time-shifted, masked, rotated, noised) act on the raw window in g before any picture is
made. The paper gives no magnitudes; the defaults are ours, after Um et al. 2017, and each has alternatives. A draw is
made once for each window, from a seed alone: the same windows and seed give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imuspec.datasets.cutting import Resampling, stretches
from imuspec.datasets.recordings import LabelledRecording
from imuspec.datasets.windows import Windows
from imuspec.errors import unknown_name

__all__ = [
    "ALTERATIONS",
    "altered_sets",
    "axes_permuted",
    "masked",
    "noised",
    "permuted",
    "rewindowed",
    "rotated",
    "time_shifted",
]

Float32 = NDArray[np.float32]


def time_shifted(x: ArrayLike, seed: int, *, fraction: float = 0.45, fill: Literal["zero", "edge"] = "zero") -> Float32:
    """Each window moved along time by ``s ~ U(-fraction n, fraction n)`` samples.

    Parameters
    ----------
    x : array_like
        ``[N, 3, time]``, g.
    seed : int
        Of the draws.
    fraction : float, default 0.45
        Largest shift, as a part of the window; below 1.
    fill : {"zero", "edge"}, default "zero"
        What stands in the samples left empty: zero, or the nearest sample that is there (edge).

    Returns
    -------
    float32 ``[N, 3, time]``, g.

    Examples
    --------
    >>> import numpy as np
    >>> from imuspec.datasets.alterations import time_shifted
    >>> time_shifted(np.ones((1, 3, 10)), seed=2, fraction=0.3)[0, 0].tolist()
    [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    array, rng = _checked(x), np.random.default_rng(seed)
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction: expected 0 to below 1, got {fraction}")
    if fill not in ("zero", "edge"):
        raise ValueError(f"fill: expected zero or edge, got {fill!r}")
    n = array.shape[2]
    shift = np.rint(rng.uniform(-fraction * n, fraction * n, len(array))).astype(np.int64)
    origin = np.arange(n) - shift[:, None]
    out = np.take_along_axis(array, np.clip(origin, 0, n - 1)[:, None], axis=2)
    if fill == "zero":
        out *= ((origin >= 0) & (origin < n))[:, None]
    return out


def masked(x: ArrayLike, seed: int, *, n_stretches: int = 4, fraction: float = 0.125) -> Float32:
    """Stretches that do not overlap set to 0 on all axes, every placement of them as likely as any other.

    Parameters
    ----------
    x : array_like
        ``[N, 3, time]``, g.
    seed : int
        Of the draws.
    n_stretches : int, default 4
        How many.
    fraction : float, default 0.125
        Length of each, as a part of the window; together they must fit.
    """
    array, rng = _checked(x), np.random.default_rng(seed)
    n = array.shape[2]
    length = round(fraction * n)
    if n_stretches < 1 or length < 1 or n_stretches * length > n:
        raise ValueError(
            f"fraction: expected {n_stretches} stretches that fit into {n} samples, got {length} samples each"
        )
    # Choosing k of the slots that remain when each stretch shrinks to one is a uniform choice of placements.
    slots = n - n_stretches * (length - 1)
    drawn = np.argpartition(rng.random((len(array), slots)), n_stretches - 1, axis=1)[:, :n_stretches]
    start = np.sort(drawn, axis=1) + np.arange(n_stretches) * (length - 1)
    out = array.copy()
    for index in range(n_stretches):
        place = start[:, index, None] + np.arange(length)
        np.put_along_axis(out, np.broadcast_to(place[:, None], (len(array), 3, length)), 0, axis=2)
    return out


def permuted(x: ArrayLike, seed: int, *, n_segments: int = 4, min_samples: int = 10) -> Float32:
    """Windows cut into segments that are put together in another order (Um et al. 2017): the alternative to `masked`.

    Parameters
    ----------
    x : array_like
        ``[N, 3, time]``, g.
    seed : int
        Of the draws.
    n_segments : int, default 4
        How many.
    min_samples : int, default 10
        The shortest that a segment may be.
    """
    array, rng = _checked(x), np.random.default_rng(seed)
    n = array.shape[2]
    if n_segments < 1 or min_samples < 1 or n_segments * min_samples > n:
        raise ValueError(
            f"min_samples: expected {n_segments} segments that fit into {n} samples, got {min_samples} each"
        )
    out = np.empty_like(array)
    for row, window in enumerate(array):
        free = n - n_segments * min_samples
        cuts = np.sort(rng.integers(0, free + 1, n_segments - 1)) + np.arange(1, n_segments) * min_samples
        pieces = np.split(window, cuts, axis=1)
        out[row] = np.concatenate([pieces[k] for k in rng.permutation(n_segments)], axis=1)
    return out


def rotated(x: ArrayLike, seed: int) -> Float32:
    """One rotation for each window: axis ``U(-1, 1)^3``, angle ``U(-pi, pi)`` (Um et al. 2017).

    Parameters
    ----------
    x : array_like
        ``[N, 3, time]``, g.
    seed : int
        Of the draws.
    """
    array, rng = _checked(x), np.random.default_rng(seed)
    axis = rng.uniform(-1, 1, (len(array), 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    angle = rng.uniform(-np.pi, np.pi, len(array))[:, None, None]
    # Rodrigues: R = I + sin(a) K + (1 - cos(a)) K^2, K the cross product with the axis.
    cross = np.zeros((len(array), 3, 3))
    for row, column, of, sign in ((0, 1, 2, -1), (0, 2, 1, 1), (1, 2, 0, -1)):
        cross[:, row, column] = sign * axis[:, of]
        cross[:, column, row] = -sign * axis[:, of]
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    turned: Float32 = np.matmul(turn.astype(np.float32), array)
    return turned


def axes_permuted(x: ArrayLike, seed: int) -> Float32:
    """Axes in another order and with other signs, one of the 48 ways for each window: the alternative to `rotated`.

    Parameters
    ----------
    x : array_like
        ``[N, 3, time]``, g.
    seed : int
        Of the draws.
    """
    array, rng = _checked(x), np.random.default_rng(seed)
    order = np.argsort(rng.random((len(array), 3)), axis=1)
    sign = rng.choice(np.array([-1, 1], np.float32), (len(array), 3, 1))
    turned: Float32 = np.take_along_axis(array, order[..., None], axis=1) * sign
    return turned


def noised(x: ArrayLike, seed: int, *, amplitude_g: float = 0.0866) -> Float32:
    """Samples plus ``U(-a, a)``, each its own; the default has a standard deviation of 0.05 g.

    Parameters
    ----------
    x : array_like
        ``[N, 3, time]``, g.
    seed : int
        Of the draws.
    amplitude_g : float, default 0.0866
        ``a``, g; a sweep of 0.02, 0.05, 0.1, 0.2 shows where a method gives way.
    """
    array, rng = _checked(x), np.random.default_rng(seed)
    if not amplitude_g >= 0:
        raise ValueError(f"amplitude_g: expected at least 0, got {amplitude_g}")
    noise = rng.random(array.shape, np.float32)
    return array + (2 * noise - 1) * np.float32(amplitude_g)


#: The names of Table I and what makes each; the alternatives beside them.
ALTERATIONS: Mapping[str, Callable[..., Float32]] = {
    "time-shifted": time_shifted,
    "masked": masked,
    "rotated": rotated,
    "noised": noised,
    "permuted": permuted,
    "axes-permuted": axes_permuted,
}
TABLE_1 = ("time-shifted", "masked", "rotated", "noised")


def altered_sets(
    windows: Windows, seed: int = 0, *, settings: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Windows]:
    """The four altered test sets of Table I.

    Parameters
    ----------
    windows : Windows
        The test windows, or all of them, so that a window is altered alike whatever is tested.
    seed : int, default 0
        Of all draws.
    settings : mapping of str to mapping of str to object, optional
        Settings of an alteration by its name, as ``{"noised": {"amplitude_g": 0.2}}``; a name of `ALTERATIONS` beyond
        the four adds its set.

    Returns
    -------
    Windows by name, with everything but `x` as it was.

    Raises
    ------
    ValueError
        A name that is none of them, or a setting out of range.

    Examples
    --------
    >>> from imuspec.datasets import altered_sets
    >>> for name, altered in altered_sets(windows, seed=0).items():  # doctest: +SKIP
    ...     print(name, score(altered.x, altered.label))
    """
    chosen: dict[str, Mapping[str, Any]] = {name: {} for name in TABLE_1}
    chosen.update(settings or {})
    unknown = [name for name in chosen if name not in ALTERATIONS]
    if unknown:
        raise ValueError(unknown_name("settings", unknown[0], ALTERATIONS))
    return {
        name: replace(
            windows,
            x=ALTERATIONS[name](windows.x, seed, **how),
            settings={**windows.settings, "alteration": name, "alteration_seed": seed, **how},
        )
        for name, how in chosen.items()
    }


def rewindowed(
    windows: Windows, recordings: Iterable[LabelledRecording], seed: int, *, fraction: float = 0.45
) -> Windows:
    """Windows shifted in the recording itself: the true form of `time_shifted`, with nothing left empty.

    Each window begins ``s ~ U(-fraction n, fraction n)`` samples elsewhere in its stretch, as far as the stretch goes;
    its label stays what it was.

    Parameters
    ----------
    windows : Windows
        Of a set whose times are known.
    recordings : iterable of LabelledRecording
        The recordings that they were cut from, as ``labelled_recordings`` gives them with the same settings.
    seed : int
        Of the draws.
    fraction : float, default 0.45
        Largest shift, as a part of the window; below 1.

    Returns
    -------
    Windows with other `x` and `start_s`.

    Raises
    ------
    ValueError
        Times that are not known, or a window that none of the recordings holds.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction: expected 0 to below 1, got {fraction}")
    if np.isnan(windows.start_s).any():
        raise ValueError(f"windows: expected a set whose times are known, got {windows.name or 'one without'}")
    how: Resampling = windows.settings.get("resampling", "linear")
    n, sensor = windows.n_samples, windows.sensor
    assert sensor is not None
    shift = np.rint(np.random.default_rng(seed).uniform(-fraction * n, fraction * n, len(windows))).astype(np.int64)
    x, start_s = windows.x.copy(), windows.start_s.copy()
    found = np.zeros(len(windows), np.bool_)
    for recording in recordings:
        of_it = (windows.recording == recording.recording) & (sensor == recording.sensor)
        if not of_it.any():
            continue
        for stretch in stretches(
            recording, rate=windows.rate, resampling=how, lowpass_hz=windows.settings.get("lowpass_hz")
        ):
            length = stretch.x.shape[1]
            first = np.rint((windows.start_s - stretch.start_s) * windows.rate).astype(np.int64)
            for index in np.flatnonzero(of_it & ~found & (first >= 0) & (first + n <= length)).tolist():
                moved = int(np.clip(first[index] + shift[index], 0, length - n))
                x[index] = stretch.x[:, moved : moved + n]
                start_s[index] = stretch.start_s + moved / windows.rate
                found[index] = True
    if not found.all():
        raise ValueError(f"recordings: expected those that hold every window, got none for {int((~found).sum())}")
    return replace(windows, x=x, start_s=start_s)


def _checked(x: ArrayLike) -> Float32:
    array = np.asarray(x, np.float32)
    if array.ndim != 3 or array.shape[1] != 3:
        raise ValueError(f"x: expected shape [N, 3, time], got {list(array.shape)}")
    return array

"""Altered test sets: windows as if the sensor had been worn late, loosely, turned or with noise.

The four alterations of IMG2IMU's Table I (time-shifted, masked, rotated, noised) act on the raw window in g, before an image
is drawn. The paper does not state magnitudes; the defaults follow Um et al. 2017, and each alteration has an alternative.
The same windows and seed give the same bits.
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
    """Shift each window in time by ``s ~ U(-fraction n, fraction n)`` samples.

    Parameters
    ----------
    x : array_like
        ``[N, 3, time]``, g.
    seed : int
        Seed of the draws.
    fraction : float, default 0.45
        Largest shift as a share of the window; below 1.
    fill : {"zero", "edge"}, default "zero"
        Value of the empty samples: zero, or the nearest sample.

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
    """Set stretches that do not overlap to 0 on all axes; every placement of them has the same probability.

    Parameters
    ----------
    x : array_like
        ``[N, 3, time]``, g.
    seed : int
        Seed of the draws.
    n_stretches : int, default 4
        Number of stretches.
    fraction : float, default 0.125
        Length of each stretch as a share of the window.
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
        positions = start[:, index, None] + np.arange(length)
        np.put_along_axis(out, np.broadcast_to(positions[:, None], (len(array), 3, length)), 0, axis=2)
    return out


def permuted(x: ArrayLike, seed: int, *, n_segments: int = 4, min_samples: int = 10) -> Float32:
    """Cut windows into segments and join these in another order (Um et al. 2017): the alternative to `masked`.

    Parameters
    ----------
    x : array_like
        ``[N, 3, time]``, g.
    seed : int
        Seed of the draws.
    n_segments : int, default 4
        Number of segments.
    min_samples : int, default 10
        Shortest segment, samples.
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
    """Rotate each window about an axis ``U(-1, 1)^3`` by an angle ``U(-pi, pi)`` (Um et al. 2017).

    Parameters
    ----------
    x : array_like
        ``[N, 3, time]``, g.
    seed : int
        Seed of the draws.
    """
    array, rng = _checked(x), np.random.default_rng(seed)
    axis = rng.uniform(-1, 1, (len(array), 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    angle = rng.uniform(-np.pi, np.pi, len(array))[:, None, None]
    # Rodrigues: R = I + sin(a) K + (1 - cos(a)) K^2, K the cross product with the axis.
    cross = np.zeros((len(array), 3, 3))
    for row, column, third, sign in ((0, 1, 2, -1), (0, 2, 1, 1), (1, 2, 0, -1)):
        cross[:, row, column] = sign * axis[:, third]
        cross[:, column, row] = -sign * axis[:, third]
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    turned: Float32 = np.matmul(turn.astype(np.float32), array)
    return turned


def axes_permuted(x: ArrayLike, seed: int) -> Float32:
    """Permute and negate the axes of each window, in one of the 48 ways: the alternative to `rotated`.

    Parameters
    ----------
    x : array_like
        ``[N, 3, time]``, g.
    seed : int
        Seed of the draws.
    """
    array, rng = _checked(x), np.random.default_rng(seed)
    order = np.argsort(rng.random((len(array), 3)), axis=1)
    sign = rng.choice(np.array([-1, 1], np.float32), (len(array), 3, 1))
    turned: Float32 = np.take_along_axis(array, order[..., None], axis=1) * sign
    return turned


def noised(x: ArrayLike, seed: int, *, amplitude_g: float = 0.0866) -> Float32:
    """Add independent noise ``U(-a, a)`` to each sample; the default has a standard deviation of 0.05 g.

    Parameters
    ----------
    x : array_like
        ``[N, 3, time]``, g.
    seed : int
        Seed of the draws.
    amplitude_g : float, default 0.0866
        ``a``, g; a sweep of 0.02, 0.05, 0.1, 0.2 shows where a method fails.
    """
    array, rng = _checked(x), np.random.default_rng(seed)
    if not amplitude_g >= 0:
        raise ValueError(f"amplitude_g: expected at least 0, got {amplitude_g}")
    noise = rng.random(array.shape, np.float32)
    return array + (2 * noise - 1) * np.float32(amplitude_g)


#: The alterations of Table I by name, and their alternatives.
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
    """Return the four altered test sets of Table I.

    Parameters
    ----------
    windows : Windows
        All windows, or those of the test part. With all windows the alteration of a window does not depend on the split.
    seed : int, default 0
        Seed of all draws.
    settings : mapping of str to mapping of str to object, optional
        Settings of an alteration by its name, as ``{"noised": {"amplitude_g": 0.2}}``. Another name of `ALTERATIONS` adds its
        set.

    Returns
    -------
    dict of str to Windows
        Name -> windows with altered `x`.

    Raises
    ------
    ValueError
        If a name is unknown, or a setting is out of range.

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
            x=ALTERATIONS[name](windows.x, seed, **options),
            settings={**windows.settings, "alteration": name, "alteration_seed": seed, **options},
        )
        for name, options in chosen.items()
    }


def rewindowed(
    windows: Windows, recordings: Iterable[LabelledRecording], seed: int, *, fraction: float = 0.45
) -> Windows:
    """Shift windows inside their recording: `time_shifted` with real samples in place of empty ones.

    The start of each window moves by ``s ~ U(-fraction n, fraction n)`` samples, within its stretch. Labels stay the same.

    Parameters
    ----------
    windows : Windows
        Windows with known times.
    recordings : iterable of LabelledRecording
        Recordings of the windows, from ``labelled_recordings`` with the same settings.
    seed : int
        Seed of the draws.
    fraction : float, default 0.45
        Largest shift as a share of the window; below 1.

    Returns
    -------
    Windows
        Windows with other `x` and `start_s`.

    Raises
    ------
    ValueError
        If the times are not known, or no recording contains a window.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction: expected 0 to below 1, got {fraction}")
    if np.isnan(windows.start_s).any():
        raise ValueError(f"windows: expected a set with times, got {windows.name or 'one without times'}")
    method: Resampling = windows.settings.get("resampling", "auto")
    n, sensor = windows.n_samples, windows.sensor
    assert sensor is not None
    shift = np.rint(np.random.default_rng(seed).uniform(-fraction * n, fraction * n, len(windows))).astype(np.int64)
    x, start_s = windows.x.copy(), windows.start_s.copy()
    is_done = np.zeros(len(windows), np.bool_)
    for recording in recordings:
        candidates = (windows.recording == recording.recording) & (sensor == recording.sensor)
        if not candidates.any():
            continue
        for stretch in stretches(
            recording, rate=windows.rate, resampling=method, lowpass_hz=windows.settings.get("lowpass_hz")
        ):
            length = stretch.x.shape[1]
            first = np.rint((windows.start_s - stretch.start_s) * windows.rate).astype(np.int64)
            for index in np.flatnonzero(candidates & ~is_done & (first >= 0) & (first + n <= length)).tolist():
                first_shifted = int(np.clip(first[index] + shift[index], 0, length - n))
                x[index] = stretch.x[:, first_shifted : first_shifted + n]
                start_s[index] = stretch.start_s + first_shifted / windows.rate
                is_done[index] = True
    if not is_done.all():
        raise ValueError(f"recordings: {int((~is_done).sum())} windows are in none of them")
    return replace(windows, x=x, start_s=start_s)


def _checked(x: ArrayLike) -> Float32:
    array = np.asarray(x, np.float32)
    if array.ndim != 3 or array.shape[1] != 3:
        raise ValueError(f"x: expected shape [N, 3, time], got {list(array.shape)}")
    return array

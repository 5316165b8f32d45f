"""Other pictures of a window than the spectrogram, with the parameters of `rgb_image`.

Each function draws windows [..., axes, time] as pictures [..., 3, rows, columns] with a channel for each axis, uint8 or
float32 normalised as for ImageNet. `ENCODINGS` lists all of them and the spectrogram, with the operations that fit each.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from imuspec.arrays import as_output
from imuspec.spectral.image import new_pictures, rgb_image, windows_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["ENCODINGS", "Encoding", "gramian_angular_field", "recurrence_plot", "scalogram"]

Missing = Literal["raise", "mask"]
_AT_ONCE = 8  # windows that are drawn together; the cells of more do not fit into the cache
_MEAN = np.array([0.485, 0.456, 0.406])[:, None, None]
_SD = np.array([0.229, 0.224, 0.225])[:, None, None]


class Encoding(NamedTuple):
    """A function that draws windows, and the operations of views that fit its pictures.

    An operation fits if its result is again a picture of a possible motion.
    """

    draw: Callable[..., NDArray[Any]]
    operations: frozenset[str]


def gramian_angular_field(
    x: ArrayLike,
    *,
    kind: Literal["sum", "difference"] = "sum",
    size: tuple[int, int] | None = (96, 128),
    dtype: Literal["uint8", "float32"] = "uint8",
    out: NDArray[Any] | None = None,
    nan: Missing = "raise",
) -> NDArray[Any]:
    """Draw each axis of a window as its Gramian angular field, which has a cell for each pair of times.

    The axis is averaged over equal stretches and scaled to ``z`` in -1 .. 1. With ``phi = arccos z`` the field is
    ``G[i, j] = cos(phi_i + phi_j)`` for "sum" or ``sin(phi_i - phi_j)`` for "difference". The level is
    ``floor(255 (G + 1) / 2 + 1/2)``.

    Parameters
    ----------
    x : array [..., axes, time] or [time]
        As in :func:`imuspec.rgb_image`: one axis is copied to three channels, 3 k axes are k pictures.
    kind : {"sum", "difference"}, default "sum"
        Kind of the field.
    size : (int, int) or None, default (96, 128)
        Rows and columns: numbers of stretches. None gives a cell for each pair of samples.
    dtype : {"uint8", "float32"}, default "uint8"
        As in :func:`imuspec.rgb_image`.
    out : array, optional
        As in :func:`imuspec.rgb_image`.
    nan : {"raise", "mask"}, default "raise"
        "raise": NaN and infinity are an error. "mask": cells of stretches that contain one are black.

    Returns
    -------
    array [..., 3, rows, columns], [..., k, 3, rows, columns] for k > 1 triads
        A constant axis is black. Rows and columns are both time, from the top and from the left.

    Raises
    ------
    ValueError, TypeError
        As :func:`imuspec.rgb_image`.

    References
    ----------
    Wang and Oates, Imaging time-series to improve classification and imputation, IJCAI 2015, sections 2.1 and 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> gramian_angular_field(np.sin(np.arange(300) / 9), size=(64, 64)).shape
    (3, 64, 64)
    """
    if kind not in ("sum", "difference"):
        raise ValueError(f'kind: expected "sum" or "difference", got {kind!r}')

    def draw(windows: NDArray[np.float64]) -> NDArray[np.float64]:
        n = windows.shape[-1]
        rows, columns = (n, n) if size is None else size
        down = _product(windows[..., None], _stretches(n, rows))
        across = _product(windows[..., None, :], None, _stretches(n, columns))
        low = np.fmin(_least(down, (-2, -1)), _least(across, (-2, -1)))
        high = np.fmax(_largest(down, (-2, -1)), _largest(across, (-2, -1)))
        flat = high - low <= 1e-12 * np.maximum(np.abs(high), np.abs(low))  # a constant, whose means differ by rounding
        # cos(arccos a + arccos b) = a b - sqrt(1 - a^2) sqrt(1 - b^2), sin(arccos a - arccos b) likewise
        down, across = ((2 * v - low - high) / np.where(flat, np.nan, high - low) for v in (down, across))
        sine_down, sine_across = (np.sqrt(np.maximum(0, 1 - v * v)) for v in (down, across))
        field = down * across - sine_down * sine_across if kind == "sum" else sine_down * across - down * sine_across
        return 255 * (field + 1) / 2

    return _drawn(x, draw, lambda n: (n, n) if size is None else size, dtype, out, nan)


def recurrence_plot(
    x: ArrayLike,
    *,
    dimension: int = 1,
    delay: int = 1,
    threshold: float | None = None,
    size: tuple[int, int] | None = (96, 128),
    dtype: Literal["uint8", "float32"] = "uint8",
    out: NDArray[Any] | None = None,
    nan: Missing = "raise",
) -> NDArray[Any]:
    """Draw each axis of a window as its recurrence plot, which shows the distance of the states at each pair of times.

    The state at i is ``s_i = (x[i], x[i + delay], .., x[i + (dimension - 1) delay])``, and ``d[i, j] = |s_i - s_j|``. The
    level is ``255 (1 - d / max d)``, so similar states are bright.

    Parameters
    ----------
    x : array [..., axes, time] or [time]
        As in :func:`imuspec.rgb_image`: one axis is copied to three channels, 3 k axes are k pictures.
    dimension, delay : int, default 1
        Number of samples in a state, and distance between them, samples.
    threshold : float, optional
        If given, cells with a distance up to this share of max d are white, all others black.
    size : (int, int) or None, default (96, 128)
        Rows and columns after resizing by Pillow's bilinear filter. None gives a cell for each pair of states.
    dtype : {"uint8", "float32"}, default "uint8"
        As in :func:`imuspec.rgb_image`.
    out : array, optional
        As in :func:`imuspec.rgb_image`.
    nan : {"raise", "mask"}, default "raise"
        "raise": NaN and infinity are an error. "mask": cells of states that contain one are black.

    Returns
    -------
    array [..., 3, rows, columns], [..., k, 3, rows, columns] for k > 1 triads
        A constant axis is black. Rows and columns are both time, from the top and from the left.

    Raises
    ------
    ValueError, TypeError
        As :func:`imuspec.rgb_image`, and for a window shorter than a state.

    References
    ----------
    Eckmann, Oliffson Kamphorst, Ruelle, Recurrence plots of dynamical systems, Europhysics Letters 1987; without a
    threshold as Hatami, Gavet, Debayle, Classification of time-series images using deep convolutional networks, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> recurrence_plot(np.sin(np.arange(300) / 9), dimension=2, delay=5, size=None).shape
    (3, 295, 295)
    """
    if min(operator.index(dimension), operator.index(delay)) < 1:
        raise ValueError(f"dimension, delay: expected at least 1, got {dimension}, {delay}")
    if threshold is not None and not 0 < threshold < 1:
        raise ValueError(f"threshold: expected a share of the largest distance between 0 and 1, got {threshold}")
    span = (dimension - 1) * delay

    def shape(n: int) -> tuple[int, int]:
        if n <= span:
            raise ValueError(f"x: expected more than {span} samples, the span of a state, got {n}")
        return (n - span, n - span) if size is None else size

    def draw(windows: NDArray[np.float64]) -> NDArray[np.float64]:
        n = windows.shape[-1] - span
        square = np.zeros((*windows.shape[:-1], n, n))
        for k in range(dimension):
            part = windows[..., k * delay : k * delay + n]
            square += (part[..., :, None] - part[..., None, :]) ** 2
        distance = np.sqrt(square, out=square)
        top = _largest(distance, (-2, -1))
        share = distance / np.where(top > 0, top, np.nan)
        near = 1 - share if threshold is None else np.where(np.isnan(share), np.nan, share <= threshold)
        if size is None:
            return 255 * near
        return 255 * _product(near, _triangles(n, size[0]), _triangles(n, size[1]))

    return _drawn(x, draw, shape, dtype, out, nan)


def scalogram(
    x: ArrayLike,
    *,
    frequencies: tuple[float, float] | None = None,
    floor_db: float | None = 60.0,
    size: tuple[int, int] | None = (96, 128),
    dtype: Literal["uint8", "float32"] = "uint8",
    out: NDArray[Any] | None = None,
    nan: Missing = "raise",
) -> NDArray[Any]:
    """Draw each axis of a window as its scalogram: a continuous wavelet transform at log-spaced frequencies, in dB.

    ``W[s, t] = sum_w X[w] conj(psi(s w)) exp(i w t)`` with the analytic Morlet wavelet ``psi(v) = 2 exp(-(v - 6)^2 / 2)``.
    X is the Fourier transform of the window without its mean, padded with zeros. A sinusoid of amplitude a has ``|W| = a`` at
    its frequency. ``D = 20 log10 |W|`` is drawn from black at ``max D - floor_db`` to white at max D.

    Parameters
    ----------
    x : array [..., axes, time] or [time]
        As in :func:`imuspec.rgb_image`: one axis is copied to three channels, 3 k axes are k pictures.
    frequencies : (float, float), optional
        Frequencies of the lowest and the highest row, cycles per sample (Hz divided by the sample rate); by default two
        periods per window, and 0.4.
    floor_db : float or None, default 60
        Range from black to white, dB. With None the weakest cell is black.
    size : (int, int) or None, default (96, 128)
        Rows and columns. Rows are frequencies, the lowest last. Columns are resized by Pillow's bilinear filter in dB. None
        gives 96 rows and a column for each sample.
    dtype : {"uint8", "float32"}, default "uint8"
        As in :func:`imuspec.rgb_image`.
    out : array, optional
        As in :func:`imuspec.rgb_image`.
    nan : {"raise", "mask"}, default "raise"
        "raise": NaN and infinity are an error. "mask": the window's mean replaces them, and their columns are black.

    Returns
    -------
    array [..., 3, rows, columns], [..., k, 3, rows, columns] for k > 1 triads
        A constant axis is black.

    Raises
    ------
    ValueError, TypeError
        As :func:`imuspec.rgb_image`.

    References
    ----------
    Torrence and Compo, A practical guide to wavelet analysis, Bulletin of the American Meteorological Society 1998,
    section 3, with the scale's power corrected as Liu, Liang, Weisberg, Rectification of the bias in the wavelet power
    spectrum, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> scalogram(np.sin(np.arange(300) / 9)).shape
    (3, 96, 128)
    """
    if floor_db is not None and not floor_db > 0:
        raise ValueError(f"floor_db: expected a positive number of dB or None, got {floor_db}")
    if frequencies is not None and not 0 < frequencies[0] < frequencies[1] <= 0.5:
        raise ValueError(f"frequencies: expected 0 < lowest < highest <= 0.5 cycles a sample, got {frequencies}")

    def draw(windows: NDArray[np.float64]) -> NDArray[np.float64]:
        n = windows.shape[-1]
        missing = np.isnan(windows)
        mean = np.where(missing, 0, windows).sum(-1) / np.maximum((~missing).sum(-1), 1)
        centred = np.where(missing, 0, windows - mean[..., None])
        scale = np.abs(centred).max(-1)
        flat = scale <= 1e-12 * np.abs(mean)  # a constant, whose remainder is rounding
        length, psi = _wavelets(n, 96 if size is None else size[0], frequencies)
        spectrum = np.fft.fft(centred / np.where(flat, 1, scale)[..., None], length)
        modulus = np.abs(np.fft.ifft(spectrum[..., None, :] * psi))[..., :n]
        modulus[flat] = np.nan
        decibels = 20 * np.log10(np.where(missing[..., None, :] | (modulus == 0), np.nan, modulus))
        high = _largest(decibels, (-2, -1))
        low = _least(decibels, (-2, -1)) if floor_db is None else high - floor_db
        u = np.maximum(decibels - low, 0) / (high - low)
        return 255 * (u if size is None else _product(u, None, _triangles(n, size[1])))

    return _drawn(x, draw, lambda n: (96, n) if size is None else size, dtype, out, nan)


# TranslateX and PermuteX move columns, so only columns may be time. Hue mixes channels as a rotation of the sensor mixes
# their energies, so a cell must grow with the energy on its axis, which the angles of a Gramian field do not.
ENCODINGS: dict[str, Encoding] = {
    "spectrogram": Encoding(rgb_image, frozenset({"translate_x", "permute_x", "hue", "jitter"})),
    "scalogram": Encoding(scalogram, frozenset({"translate_x", "permute_x", "hue", "jitter"})),
    "recurrence": Encoding(recurrence_plot, frozenset({"hue", "jitter"})),
    "gramian": Encoding(gramian_angular_field, frozenset({"jitter"})),
}


def _drawn(
    x: ArrayLike,
    draw: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    shape: Callable[[int], tuple[int, int]],
    dtype: str,
    out: NDArray[Any] | None,
    nan: Missing,
) -> NDArray[Any]:
    """Draw a few windows at a time. `draw` returns levels before rounding, with NaN for black cells."""
    if nan not in ("raise", "mask"):
        raise ValueError(f'nan: expected "raise" or "mask", got {nan!r}')
    array, leading = windows_of(x)
    axes, length = array.shape[-2:]
    n = math.prod(array.shape[:-2])
    array = array.reshape(n, axes, length)
    if length == 0:
        raise ValueError("x: expected at least one sample, got an empty time axis")
    rows, columns = shape(length)
    if min(operator.index(rows), operator.index(columns)) < 1:
        raise ValueError(f"size: expected (rows, columns) of at least 1, got ({rows}, {columns})")
    whole = (*leading, 3, rows, columns)
    pixels = new_pictures(whole, dtype) if out is None else as_output(out, whole, (np.uint8, np.float32), array)
    flat = pixels.reshape(n, max(1, axes // 3), 3, rows, columns)
    for first in range(0, n, _AT_ONCE):
        piece = slice(first, first + _AT_ONCE)
        windows = array[piece].astype(np.float64)
        bad = ~np.isfinite(windows)
        if bad.any():
            if nan == "raise":
                window, axis, _ = np.argwhere(bad)[0]
                raise ValueError(f"x: expected numbers, got NaN or infinity in window {first + window}, axis {axis}")
            windows[bad] = np.nan
        levels = np.floor(np.nan_to_num(draw(windows), nan=0.0) + 0.5)
        triads = levels.reshape(len(windows), -1, min(axes, 3), rows, columns)
        flat[piece] = triads if pixels.dtype.char == "B" else (triads / 255 - _MEAN) / _SD
    return pixels


def _least(x: NDArray[np.float64], axis: int | tuple[int, ...]) -> NDArray[np.float64]:
    """Return the smallest number and ignore NaN; NaN if all are NaN."""
    least: NDArray[np.float64] = np.fmin.reduce(x, axis, keepdims=True)
    return least


def _largest(x: NDArray[np.float64], axis: int | tuple[int, ...]) -> NDArray[np.float64]:
    """Return the largest number and ignore NaN; NaN if all are NaN."""
    return -_least(-x, axis)


def _product(
    cells: NDArray[np.float64], down: NDArray[np.float64] | None, across: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return down @ cells @ across.T, where a NaN affects only the cells to which it contributes."""

    def times(x: NDArray[np.float64]) -> NDArray[np.float64]:
        x = x if down is None else down @ x
        return x if across is None else x @ across.T

    missing = np.isnan(cells)
    if not missing.any():
        return times(cells)
    result = times(np.where(missing, 0, cells))
    result[times(missing.astype(np.float64)) > 0] = np.nan
    return result


@lru_cache(maxsize=32)
def _stretches(n: int, m: int) -> NDArray[np.float64]:
    """[m, n]: the means of m equal stretches of n samples, which need not begin on a sample."""
    edges = np.arange(m + 1) * n / m
    low, high = edges[:-1, None], edges[1:, None]
    overlap = np.minimum(high, np.arange(n) + 1) - np.maximum(low, np.arange(n))
    weights: NDArray[np.float64] = np.maximum(overlap, 0) * m / n
    return weights


@lru_cache(maxsize=32)
def _triangles(n: int, m: int) -> NDArray[np.float64]:
    """[m, n]: Pillow's bilinear filter, a triangle as wide as the shrinking asks for."""
    scale = n / m
    support = max(scale, 1.0)
    centres = (np.arange(m)[:, None] + 0.5) * scale
    weights = np.maximum(0, 1 - np.abs(np.arange(n) + 0.5 - centres) / support)
    return np.asarray(weights / weights.sum(1, keepdims=True))


@lru_cache(maxsize=32)
def _wavelets(n: int, rows: int, frequencies: tuple[float, float] | None) -> tuple[int, NDArray[np.float64]]:
    """Length of the transform and psi at each row's scale [rows, length], the highest frequency first."""
    low, high = (min(2 / n, 0.2), 0.4) if frequencies is None else frequencies
    scales = 6 / (2 * np.pi * np.geomspace(high, low, rows))[:, None]
    length = 1 << (n + int(5 * scales[-1, 0])).bit_length()  # the longest wavelet does not reach round to the other end
    angular = 2 * np.pi * np.fft.fftfreq(length)
    psi = np.where(angular > 0, 2 * np.exp(-0.5 * (scales * angular - 6) ** 2), 0)
    return length, psi

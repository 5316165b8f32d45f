"""Log-mean-magnitude (LMM) and log-magnitude-variance (LMV) features of short patches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from imuspec import _core
from imuspec.arrays import as_integer, as_output, as_signals, check_axes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.floating[Any]]

__all__ = ["log_magnitude_variance", "log_mean_magnitude", "resolutions_of"]


@overload
def log_mean_magnitude(
    x: ArrayLike,
    *,
    nfft: int = ...,
    hop: int | None = ...,
    floor: float = ...,
    eps_per_root_n: float | None = ...,
    literal_min: bool = ...,
    out: Floats | None = ...,
) -> Floats: ...
@overload
def log_mean_magnitude(
    x: ArrayLike,
    *,
    nfft: Sequence[int],
    hop: Sequence[int] | None = ...,
    floor: float = ...,
    eps_per_root_n: float | None = ...,
    literal_min: bool = ...,
    out: Sequence[Floats] | None = ...,
) -> tuple[Floats, ...]: ...
def log_mean_magnitude(
    x: ArrayLike,
    *,
    nfft: int | Sequence[int] = 32,
    hop: int | Sequence[int] | None = None,
    floor: float = 0.1,
    eps_per_root_n: float | None = None,
    literal_min: bool = False,
    out: Floats | Sequence[Floats] | None = None,
) -> Floats | tuple[Floats, ...]:
    """Log of the mean over time of the short-time magnitude spectrum.

    ``U[k] = ln max(mean_m |X[m, k]|, floor)``, X the Fourier transform with a periodic Hann window, `nfft // 2` zeros on
    both sides of the signal (frame m is centred on sample m * hop), one-sided and unscaled.

    Parameters
    ----------
    x : array_like
        Signals [..., time] in g, any strides in the leading axes (windows may be views). float64 is computed in float64,
        anything else in float32. A NaN sample makes all values of its signal NaN.
    nfft : int or sequence of int, default 32
        Samples of a frame, or several such numbers: then one pass over the signal gives a feature for each.
    hop : int or sequence of int, optional
        Samples from one frame to the next, `nfft // 2` unless given (one for each `nfft`).
    floor : float, default 0.1
        Smallest mean magnitude before the logarithm, in the signal's unit.
    eps_per_root_n : float, optional
        If given, the floor is `eps_per_root_n * sqrt(nfft)` instead: the same noise level for every `nfft`.
    literal_min : bool, default False
        Take the minimum with the floor, so that it is a ceiling: the equation as the paper prints it. Silence is -inf then.
    out : Floats or sequence of Floats, optional
        Where to write, C-contiguous, of the result's shape and type (a sequence of them for several `nfft`).

    Returns
    -------
    ndarray or tuple of ndarray
        [..., nfft // 2 + 1], bins from 0 to half the sample rate; for several `nfft` a tuple of them in that order.

    Raises
    ------
    ValueError
        For a signal too short for one frame, or arguments outside their domain.
    TypeError
        For complex or non-numeric `x`, or an `out` of another type.

    Notes
    -----
    Lorenzen et al., arXiv 2502.17477 v1, equations 1 to 3, print min(mean, 0.1), which caps every bin of a moving wrist;
    a floor is the reading that can learn a spectrum, and is the default here.

    Examples
    --------
    >>> t = np.arange(300) / 30
    >>> log_mean_magnitude(np.sin(4 * np.pi * t), nfft=32).argmax()
    np.int64(2)
    """
    return _features(x, nfft, hop, (floor, eps_per_root_n, literal_min), "mean", out)


@overload
def log_magnitude_variance(
    x: ArrayLike,
    *,
    nfft: int = ...,
    hop: int | None = ...,
    floor: float = ...,
    eps_per_root_n: float | None = ...,
    literal_min: bool = ...,
    unbiased: bool = ...,
    out: Floats | None = ...,
) -> Floats: ...
@overload
def log_magnitude_variance(
    x: ArrayLike,
    *,
    nfft: Sequence[int],
    hop: Sequence[int] | None = ...,
    floor: float = ...,
    eps_per_root_n: float | None = ...,
    literal_min: bool = ...,
    unbiased: bool = ...,
    out: Sequence[Floats] | None = ...,
) -> tuple[Floats, ...]: ...
def log_magnitude_variance(
    x: ArrayLike,
    *,
    nfft: int | Sequence[int] = 32,
    hop: int | Sequence[int] | None = None,
    floor: float = 0.1,
    eps_per_root_n: float | None = None,
    literal_min: bool = False,
    unbiased: bool = False,
    out: Floats | Sequence[Floats] | None = None,
) -> Floats | tuple[Floats, ...]:
    """Log of the variance over time of the short-time magnitude spectrum.

    ``V[k] = ln max(var_m |X[m, k]|, floor)``, X as in :func:`log_mean_magnitude`, var divided by the number of frames.

    Parameters
    ----------
    x : array_like
        As in :func:`log_mean_magnitude`.
    nfft : int or sequence of int, default 32
        As in :func:`log_mean_magnitude`.
    hop : int or sequence of int, optional
        As in :func:`log_mean_magnitude`.
    floor : float, default 0.1
        Smallest variance before the logarithm, in the square of the signal's unit.
    eps_per_root_n : float, optional
        As in :func:`log_mean_magnitude`.
    literal_min : bool, default False
        As in :func:`log_mean_magnitude`.
    unbiased : bool, default False
        Divide by one less than the number of frames, of which there must be at least two.
    out : array or sequence of array, optional
        As in :func:`log_mean_magnitude`.

    Returns
    -------
    ndarray or tuple of ndarray
        [..., nfft // 2 + 1]; NaN where the signal has a NaN.

    Raises
    ------
    ValueError, TypeError
        As :func:`log_mean_magnitude`.

    Notes
    -----
    Lorenzen et al., arXiv 2502.17477 v1, equations 4 to 6; biased unless asked otherwise, as the paper does not say.

    Examples
    --------
    >>> x = np.zeros((2, 3, 300), dtype=np.float32)
    >>> log_magnitude_variance(x, nfft=16).shape
    (2, 3, 9)
    """
    return _features(
        x, nfft, hop, (floor, eps_per_root_n, literal_min), "unbiased-variance" if unbiased else "variance", out
    )


def _features(
    x: ArrayLike,
    nfft: int | Sequence[int],
    hop: int | Sequence[int] | None,
    limit: tuple[float, float | None, bool],
    moment: str,
    out: Floats | Sequence[Floats] | None,
) -> Floats | tuple[Floats, ...]:
    signals = _signals(x)
    one = np.ndim(nfft) == 0
    resolutions = resolutions_of(nfft, hop, floor=limit[0], eps_per_root_n=limit[1])
    shapes = [(*signals.shape[:-1], n // 2 + 1) for n, _, _ in resolutions]
    given = None if out is None else [out] if one else list(out)
    arrays = [np.empty(s, dtype=signals.dtype) for s in shapes] if given is None else _checked(given, shapes, signals)
    _core.log_magnitudes_into(signals, resolutions, limit[2], moment, arrays)
    return arrays[0] if one else tuple(arrays)


def _signals(x: ArrayLike) -> Floats:
    """Return signals of at least one sample as float32 or float64, contiguous in time."""
    array = as_signals(x, double="float64")
    check_axes(array)
    if array.shape[-1] == 0:
        raise ValueError(f"x: expected at least one sample, got shape {array.shape}")
    return array


def resolutions_of(
    nfft: int | Sequence[int], hop: int | Sequence[int] | None, *, floor: float, eps_per_root_n: float | None
) -> list[tuple[int, int, float]]:
    """Return (nfft, hop, floor) for each `nfft`, after a check.

    Parameters
    ----------
    nfft, hop : int or sequence of int
        As in :func:`log_mean_magnitude`.
    floor : float
        As in :func:`log_mean_magnitude`.
    eps_per_root_n : float, optional
        As in :func:`log_mean_magnitude`.

    Raises
    ------
    ValueError
        If a number is outside its domain, or `nfft` and `hop` have different lengths.
    """
    lengths = [as_integer(n, "nfft", 2) for n in ([nfft] if np.ndim(nfft) == 0 else list(nfft))]  # type: ignore[arg-type]  # one or several
    if not lengths:
        raise ValueError(f"nfft: expected whole numbers of at least 2, got {nfft}")
    if hop is None:
        hops = [n // 2 for n in lengths]
    else:
        hops = [as_integer(h, "hop", 1) for h in ([hop] if np.ndim(hop) == 0 else list(hop))]  # type: ignore[arg-type]  # one or several
    if len(hops) != len(lengths):
        raise ValueError(f"hop: expected a whole number of at least 1 for each nfft, got {hop}")
    root = [1.0] * len(lengths) if eps_per_root_n is None else [float(np.sqrt(n)) for n in lengths]
    name, value = ("floor", floor) if eps_per_root_n is None else ("eps_per_root_n", eps_per_root_n)
    if not (value > 0 and np.isfinite(value)):
        raise ValueError(f"{name}: expected a positive number, got {value}")
    return [(int(n), int(h), float(value) * r) for n, h, r in zip(lengths, hops, root, strict=True)]


def _checked(out: list[Any], shapes: list[tuple[int, ...]], x: Floats) -> list[Floats]:
    if len(out) != len(shapes):
        raise ValueError(f"out: expected {len(shapes)} arrays, got {len(out)}")
    arrays: list[Floats] = []
    for array, shape in zip(out, shapes, strict=True):
        arrays.append(as_output(array, shape, (x.dtype,), x, *arrays))
    return arrays

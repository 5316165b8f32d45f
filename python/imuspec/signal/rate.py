"""Low-pass and resample: from a device's rate to that of the analysis."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from imuspec import _core
from imuspec.signal.arrays import Float32, Int64, as_series, as_times

_MAX_RATIO = 10_000


def lowpass(x: ArrayLike, *, sample_rate: float, cutoff: float, order: int = 8) -> Float32:
    """Zero-phase Butterworth low-pass: forward and backward, so nothing is delayed and the gain at the cutoff is -6 dB.

    ``y = reverse(H(reverse(H(x))))`` with ``H`` the Butterworth filter as second-order sections, computed in float64.
    The ends are continued by odd reflection over ``3 (order + 1)`` samples, or all but one of a shorter series.

    Parameters
    ----------
    x : array_like
        Samples ``[..., time]``, g; one stretch without gaps. A missing sample (NaN) counts as 0 in the filter and is
        NaN in the result, as in actipy, so its neighbours bend towards 0.
    sample_rate : float
        Samples a second, Hz.
    cutoff : float
        Frequency of -6 dB, Hz; below half the sample rate.
    order : int, default 8
        Order of the Butterworth filter that is run both ways.

    Returns
    -------
    float32 ``[..., time]``, g; within 1e-5 g of ``scipy.signal.sosfiltfilt``, which refuses the shortest series.

    Raises
    ------
    ValueError
        For a cutoff at or above half the sample rate, or an order below 1.

    References
    ----------
    Oppenheim and Schafer, Discrete-Time Signal Processing, 7.2; ``scipy.signal.sosfiltfilt``.

    Examples
    --------
    >>> import numpy as np, imuspec
    >>> t = np.arange(1000) / 100
    >>> y = imuspec.lowpass(np.sin(2 * np.pi * 30 * t), sample_rate=100, cutoff=15)
    >>> bool(abs(y[100:-100]).max() < 1e-4)
    True
    """
    array = as_series(x)
    if isinstance(order, bool) or int(order) != order or order < 1:
        raise ValueError(f"order: expected a whole number of at least 1, got {order}")
    out = np.empty(array.shape, np.float32)
    _core.lowpass(array, out, float(sample_rate), float(cutoff), int(order))
    return out


def resample(
    x: ArrayLike,
    time: ArrayLike,
    *,
    rate: float,
    method: Literal["linear", "nearest", "polyphase"] = "linear",
    max_gap_s: float = 1.0,
    sample_rate: float | None = None,
) -> tuple[Float32, Int64]:
    """Samples at a regular rate, from the first sample's time on.

    Grid point ``i`` lies at ``time[0] + floor(1e9 i / rate)`` ns. The gap rule is the method's:

    - ``"linear"``: the straight line between two samples no farther apart than ``max_gap_s``; NaN between two that are.
      The grid ends at or before the last sample. No low-pass is applied: filter first where the rate falls.
    - ``"nearest"``: the nearer sample, the later of two equally near, no farther than ``max_gap_s``; and only at the
      first grid point after a sample and the last one before the next, so a gap wider than two grid steps is NaN
      inside. That is actipy's rule; the grid has ``round(span rate) + 1`` points.
    - ``"polyphase"``: for samples at a uniform rate, with the low-pass that the step needs (Kaiser window, 10 zero
      crossings a side); equal to ``scipy.signal.resample_poly(padtype="line")``. Times that stray more than half a
      sample from uniform are refused.

    Parameters
    ----------
    x : array_like
        Samples ``[..., time]``. A NaN makes every point that uses it NaN.
    time : array_like
        Their times ``[time]``, int64 ns, rising.
    rate : float
        Grid points a second, Hz.
    method : {"linear", "nearest", "polyphase"}, default "linear"
        See above.
    max_gap_s : float, default 1.0
        Longest gap to fill, s.
    sample_rate : float, optional
        Rate of ``x`` in Hz for ``"polyphase"``, where it must be ``rate`` times a ratio of whole numbers up to 10,000;
        default: the mean rate of ``time``.

    Returns
    -------
    values
        float32 ``[..., grid]``.
    time
        int64 ns ``[grid]``.

    Raises
    ------
    ValueError
        For times that do not rise, a rate that is not positive, an unknown method, or uneven times for ``"polyphase"``.

    References
    ----------
    actipy ``processing.resample`` for nearest; ``scipy.signal.resample_poly`` for polyphase.

    Examples
    --------
    >>> import numpy as np, imuspec
    >>> values, time = imuspec.resample([0.0, 1.0, 2.0], np.array([0, 10, 20]) * 10**7, rate=20)
    >>> values.tolist(), time.tolist()
    ([0.0, 0.5, 1.0, 1.5, 2.0], [0, 50000000, 100000000, 150000000, 200000000])
    """
    array = as_series(x)
    times = as_times(time, array.shape[-1])
    if method not in ("linear", "nearest", "polyphase"):
        raise ValueError(f"method: expected linear, nearest or polyphase, got {method!r}")
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"rate: expected a positive number of Hz, got {rate}")
    if times.size == 0:
        return np.empty(array.shape, np.float32), np.empty(0, np.int64)
    if method == "polyphase":
        return _polyphase(array, times, rate, sample_rate)
    if times[-1] < times[0]:
        raise ValueError(f"time: expected times that rise, got {times[-1]} after {times[0]}")
    grid = _core.resample_grid(int(times[0]), int(times[-1]), float(rate), method)
    out = np.empty((*array.shape[:-1], grid.size), np.float32)
    _core.resample_rows(
        array,
        times,
        out,
        count=grid.size,
        rate=float(rate),
        method=method,
        max_gap_s=float(max_gap_s),
        sample_rate=float(sample_rate or rate),
    )
    return out, grid


def _polyphase(array: Float32, times: Int64, rate: float, sample_rate: float | None) -> tuple[Float32, Int64]:
    n = times.size
    if sample_rate is None:
        span = int(times[-1] - times[0])
        if span <= 0:
            raise ValueError("time: expected at least two times that rise for method polyphase")
        sample_rate = (n - 1) * 1e9 / span
    stray = np.abs((times - times[0]) * (sample_rate / 1e9) - np.arange(n)).max()
    if not stray <= 0.5:
        raise ValueError(
            f"time: expected samples at a uniform {sample_rate:g} Hz for method polyphase, "
            f"got one {stray:.1f} samples off"
        )
    ratio = Fraction(rate / sample_rate).limit_denominator(_MAX_RATIO)
    if ratio == 0 or ratio.numerator > _MAX_RATIO or abs(float(ratio) * sample_rate / rate - 1) * n > 0.5:
        raise ValueError(
            f"rate: expected a ratio of whole numbers up to {_MAX_RATIO} to the sample rate {sample_rate:g} Hz, "
            f"got {rate:g} Hz"
        )
    count = -(-n * ratio.numerator // ratio.denominator)
    out = np.empty((*array.shape[:-1], count), np.float32)
    _core.resample_polyphase(array, out, ratio.numerator, ratio.denominator)
    return out, times[0] + (np.arange(count) * (1e9 / rate)).astype(np.int64)

"""The signal chain: low-pass, resample, calibrate, find wear.

Arrays are float32 in g with time as the last axis, times int64 nanoseconds that rise. Missing samples are NaN.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from imuspec import _core

__all__ = [
    "Calibration",
    "Wear",
    "WindowStatistics",
    "calibrate",
    "lowpass",
    "resample",
    "wear_segments",
    "window_statistics",
    "windows",
]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_SLIDE_S = 1.0
_MAX_RATIO = 10_000


@runtime_checkable
class _Recording(Protocol):
    """What is asked of a recording: ``temperature`` is looked up only where it is wanted."""

    @property
    def acceleration(self) -> Float32: ...
    @property
    def time(self) -> Int64: ...


def _series(x: ArrayLike, name: str = "x") -> Float32:
    """Float32 with a contiguous last axis; a view of windows stays a view."""
    array = np.asarray(x)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    if array.ndim == 0:
        raise ValueError(f"{name}: expected [..., time], got a single number")
    array = array.astype(np.float32, copy=False)
    if array.shape[-1] > 1 and array.strides[-1] != array.itemsize:
        array = np.ascontiguousarray(array)
    return array


def _three_axes(x: ArrayLike, name: str = "acceleration") -> Float32:
    array = _series(x, name)
    if array.ndim != 2 or array.shape[0] != 3:
        raise ValueError(f"{name}: expected shape [3, time], got {list(array.shape)}")
    return array


def _times(time: ArrayLike, n: int) -> Int64:
    array = np.asarray(time)
    if array.dtype.kind == "M":
        array = array.astype("datetime64[ns]").view(np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"time: expected int64 nanoseconds, got dtype {array.dtype}")
    if array.shape != (n,):
        raise ValueError(f"time: expected shape [{n}], one time a sample, got {list(array.shape)}")
    return np.ascontiguousarray(array, dtype=np.int64)


def _nanoseconds(name: str, value: float, unit_s: float = 1.0) -> int:
    if not (math.isfinite(value) and 0 <= value * unit_s < 9e9):
        raise ValueError(f"{name}: expected a number of at least 0, got {value}")
    return round(value * unit_s * 1e9)


def lowpass(x: ArrayLike, *, sample_rate: float, cutoff: float, order: int = 8) -> Float32:
    """Zero-phase Butterworth low-pass: forward and backward, so nothing is delayed and the gain at the cutoff is -6 dB.

    ``y = reverse(H(reverse(H(x))))`` with ``H`` the Butterworth filter as second-order sections, computed in float64.
    The ends are continued by odd reflection over ``3 (order + 1)`` samples, or all but one of a shorter series.

    Parameters
    ----------
    x
        Samples ``[..., time]``, g; one stretch without gaps. A missing sample (NaN) counts as 0 in the filter and is
        NaN in the result, as in actipy, so its neighbours bend towards 0.
    sample_rate
        Samples a second, Hz.
    cutoff
        Frequency of -6 dB, Hz; below half the sample rate.
    order
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
    array = _series(x)
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
    x
        Samples ``[..., time]``. A NaN makes every point that uses it NaN.
    time
        Their times ``[time]``, int64 ns, rising.
    rate
        Grid points a second, Hz.
    method
        See above.
    max_gap_s
        Longest gap to fill, s.
    sample_rate
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
    array = _series(x)
    times = _times(time, array.shape[-1])
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


@dataclass(frozen=True)
class WindowStatistics:
    """Statistics of consecutive windows; windows without samples are not listed.

    Attributes
    ----------
    start
        When each window begins ``[k]``, int64 ns.
    mean, sd
        Mean and sample standard deviation of each axis ``[k, 3]``, float64 g. The deviation of a single sample is NaN.
    n
        Samples in each window ``[k]``.
    temperature
        Mean temperature ``[k]``, degrees Celsius, or None.
    """

    start: Int64
    mean: Float64
    sd: Float64
    n: NDArray[np.uint32] | None = None
    temperature: Float64 | None = None


def window_statistics(
    acceleration: ArrayLike,
    time: ArrayLike,
    *,
    window_s: float = 10.0,
    temperature: ArrayLike | None = None,
) -> WindowStatistics:
    """Mean and standard deviation of each axis in windows of fixed length, from the first sample on.

    Window ``k`` holds the samples in ``[time[0] + k window_s, time[0] + (k + 1) window_s)``; one at a gap's edge or at
    the end holds fewer. Deviations divide by ``n - 1``; sums are float64.

    Parameters
    ----------
    acceleration
        ``[3, time]``, g. Samples with a NaN in any axis are left out.
    time
        ``[time]``, int64 ns, rising.
    window_s
        Length of a window, s.
    temperature
        ``[time]``, degrees Celsius, or None.

    Returns
    -------
    WindowStatistics

    Examples
    --------
    >>> import numpy as np
    >>> from imuspec.signal import window_statistics
    >>> window_statistics(np.ones((3, 40)), np.arange(40) * 10**9).mean.shape
    (4, 3)
    """
    return _statistics(acceleration, time, window_s, temperature)


def _statistics(
    acceleration: ArrayLike,
    time: ArrayLike,
    window_s: float,
    temperature: ArrayLike | None = None,
    *,
    fill: bool = False,
    slide_by: int = 1,
) -> WindowStatistics:
    x = _three_axes(acceleration)
    times = _times(time, x.shape[1])
    warmth = None
    if temperature is not None:
        warmth = np.ascontiguousarray(temperature, np.float32)
        if warmth.shape != times.shape:
            raise ValueError(f"temperature: expected shape [{times.size}], got {list(warmth.shape)}")
    length = _nanoseconds("window_s", window_s)
    start, n, mean, sd, degrees = _core.window_statistics(
        x, times, warmth, length_ns=length, fill=fill, slide_by=slide_by
    )
    return WindowStatistics(start, mean, sd, n, None if warmth is None else degrees)


@dataclass(frozen=True)
class Calibration:
    """What gravity says of a sensor's errors: ``calibrated = offset + gain x + temperature_slope (T - reference)``.

    Attributes
    ----------
    offset, gain, temperature_slope
        One number an axis ``[3]``: g, 1, g per degree Celsius.
    reference_temperature
        Mean temperature of the still windows, degrees Celsius; NaN where temperature took no part.
    ok
        Whether the recording counts as calibrated.
    reason
        Why, in words.
    error_before_mg, error_after_mg
        Mean distance of the still windows' means from 1 g, mg; NaN without still windows.
    n_windows, n_iterations
        Still windows used, rounds done.
    """

    offset: Float64
    gain: Float64
    temperature_slope: Float64 = field(default_factory=lambda: np.zeros(3))
    reference_temperature: float = math.nan
    ok: bool = True
    reason: str = ""
    error_before_mg: float = math.nan
    error_after_mg: float = math.nan
    n_windows: int = 0
    n_iterations: int = 0

    def apply(self, x: ArrayLike, temperature: ArrayLike | None = None) -> Float32:
        """Calibrated samples: ``offset + gain x + temperature_slope (T - reference_temperature)`` for each axis.

        Parameters
        ----------
        x
            ``[..., 3, time]``, g. NaN stays NaN.
        temperature
            ``[..., time]``, degrees Celsius; needed where a temperature slope was fitted.

        Returns
        -------
        float32 ``[..., 3, time]``, g.

        Raises
        ------
        ValueError
            For other shapes, or without the temperature that the calibration needs.

        Examples
        --------
        >>> import numpy as np
        >>> from imuspec import Calibration
        >>> Calibration(offset=np.zeros(3), gain=np.full(3, 2.0)).apply(np.ones((3, 2))).tolist()
        [[2.0, 2.0], [2.0, 2.0], [2.0, 2.0]]
        """
        array = _series(x)
        if array.ndim < 2 or array.shape[-2] != 3:
            raise ValueError(f"x: expected shape [..., 3, time], got {list(array.shape)}")
        out = np.empty(array.shape, np.float32)
        np.multiply(array, self.gain[:, None], out=out, casting="same_kind")
        np.add(out, self.offset[:, None], out=out, casting="same_kind")
        if np.any(self.temperature_slope):
            if temperature is None:
                raise ValueError("temperature: expected [..., time], as this calibration has a temperature slope")
            off = np.asarray(temperature, np.float64)[..., None, :] - self.reference_temperature
            np.add(out, self.temperature_slope[:, None] * off, out=out, casting="same_kind")
        return out


def calibrate(
    recording_or_windows: _Recording | WindowStatistics,
    *,
    temperature: bool = False,
    method: Literal["actipy", "vanhees"] = "actipy",
    tolerance_g: float = 0.013,
    min_windows: int = 50,
    cube_g: float = 0.3,
    max_iterations: int = 1000,
    max_error_mg: float = 10.0,
) -> Calibration:
    """Offset and gain of each axis from gravity: a still sensor measures 1 g in every posture.

    The means ``v`` of still 10 s windows are fitted to their nearest points ``v / |v|`` on the unit sphere by weighted
    least squares per axis, again and again.

    - ``"actipy"``: weights ``max(1 - e / q, 0)``, ``q`` the 99.5th percentile of the distances ``e``; stops at a
      relative gain below 1e-4 and keeps the best round. With temperature the three axes are fitted together by
      Gauss-Newton steps: actipy's lines, one axis after another, then take hundreds of rounds, or 1000 and the fit is
      thrown away. A recording that starts below ``max_error_mg`` is left unchanged. The first 100,000 windows count.
    - ``"vanhees"``: GGIR's rule: weights ``min(1 / e, 100)``; stops when the weighted mean square changes by less than
      1e-10; the first 168 hours, then 12 more at a time until the error is good.

    Parameters
    ----------
    recording_or_windows
        A recording with ``acceleration`` ``[3, time]`` g and ``time`` int64 ns, or a table of its windows.
    temperature
        Fit a slope in temperature too; needs the recording's ``temperature``.
    method
        See above.
    tolerance_g
        A window is still while the standard deviation of each axis is below this, g.
    min_windows
        Still windows needed.
    cube_g
        Each axis needs still means at or beyond this on both sides of 0, g; 0 asks for both signs only.
    max_iterations
        Rounds at most. Reaching it does not make the fit invalid.
    max_error_mg
        Mean distance from 1 g below which the recording counts as calibrated, mg.

    Returns
    -------
    Calibration
        With ``ok`` False and a ``reason`` where the recording cannot be calibrated; never an exception for that.

    Raises
    ------
    ValueError
        For options outside their domain, or ``temperature=True`` without temperatures.

    References
    ----------
    van Hees et al. 2014, J Appl Physiol 117:738, doi:10.1152/japplphysiol.00421.2014; actipy 3.8.3
    ``calibrate_gravity``; GGIR ``g.calibrate``.

    Examples
    --------
    >>> import numpy as np, imuspec
    >>> from imuspec.signal import WindowStatistics
    >>> v = np.random.default_rng(0).normal(size=(500, 3))
    >>> v = 0.05 + v / np.linalg.norm(v, axis=1, keepdims=True)
    >>> table = WindowStatistics(np.arange(500) * 10**10, v, np.zeros_like(v))
    >>> imuspec.calibrate(table).offset.round(2).tolist()
    [-0.05, -0.05, -0.05]
    """
    if method not in ("actipy", "vanhees"):
        raise ValueError(f"method: expected actipy or vanhees, got {method!r}")
    if int(min_windows) != min_windows or min_windows < 0:
        raise ValueError(f"min_windows: expected a whole number of at least 0, got {min_windows}")
    if int(max_iterations) != max_iterations or max_iterations < 1:
        raise ValueError(f"max_iterations: expected a whole number of at least 1, got {max_iterations}")
    if isinstance(recording_or_windows, WindowStatistics):
        table = recording_or_windows
    else:
        warmth: Any = getattr(recording_or_windows, "temperature", None) if temperature else None
        table = _statistics(recording_or_windows.acceleration, recording_or_windows.time, 10.0, warmth)
    if temperature and table.temperature is None:
        raise ValueError("temperature: expected a recording with temperatures, got one without")
    found = _core.fit_calibration(
        np.ascontiguousarray(table.start, np.int64),
        np.asarray(table.mean, np.float64),
        np.asarray(table.sd, np.float64),
        np.ascontiguousarray(table.temperature, np.float64) if temperature else None,
        method=method,
        tolerance_g=float(tolerance_g),
        min_windows=int(min_windows),
        cube_g=float(cube_g),
        max_iterations=int(max_iterations),
        max_error_g=float(max_error_mg) / 1e3,
    )
    offset, gain, slope, reference, ok, reason, before, after, n_windows, n_iterations = found
    return Calibration(
        np.array(offset),
        np.array(gain),
        np.array(slope),
        reference,
        ok,
        reason,
        before * 1e3,
        after * 1e3,
        n_windows,
        n_iterations,
    )


@dataclass(frozen=True)
class Wear:
    """Where a device was worn.

    Attributes
    ----------
    segments
        Wear without a break, at least ``min_wear_h`` long, ``[k, 2]``: samples ``start`` to before ``stop``.
    segment_times
        The same ``[k, 2]`` in ns: from the first sample to one sample period after the last.
    nonwear
        Non-wear episodes ``[m, 2]``: samples ``start`` to before ``stop``.
    nonwear_times
        The same ``[m, 2]`` in ns.
    short_times
        Wear between breaks that is shorter than ``min_wear_h``, ``[j, 2]`` ns.
    """

    segments: Int64
    segment_times: Int64
    nonwear: Int64
    nonwear_times: Int64
    short_times: Int64

    @property
    def wear_h(self) -> float:
        """Hours in segments."""
        return float((self.segment_times[:, 1] - self.segment_times[:, 0]).sum() / 3.6e12)

    @property
    def nonwear_h(self) -> float:
        """Hours in non-wear episodes."""
        return float((self.nonwear_times[:, 1] - self.nonwear_times[:, 0]).sum() / 3.6e12)


def wear_segments(
    recording: _Recording | ArrayLike,
    time: ArrayLike | None = None,
    *,
    tolerance_g: float = 0.013,
    nonwear_min: float = 90.0,
    min_wear_h: float = 24.0,
    max_gap_s: float = 1.0,
    windows: Literal["fixed", "sliding"] = "fixed",
    length_rule: Literal["plain", "actipy"] = "plain",
) -> Wear:
    """Non-wear, and the wear segments between non-wear and gaps.

    A 10 s window is still when the standard deviation of each axis is below ``tolerance_g``. Still windows without a
    break for longer than ``nonwear_min`` are non-wear. A segment ends at non-wear and at any gap longer than
    ``max_gap_s``, and counts from ``min_wear_h`` on.

    Gaps: a NaN sample takes the last value before it, so it looks still and a still stretch goes on across it; a window
    without any row breaks the stretch (both as in actipy). Either kind of gap, once longer than ``max_gap_s``, ends a
    segment.

    Parameters
    ----------
    recording
        A recording with ``acceleration`` and ``time``, or acceleration ``[3, time]``, g, which comes calibrated.
    time
        ``[time]``, int64 ns, rising; for an array.
    tolerance_g
        Standard deviation below which an axis is still, g.
    nonwear_min
        Still for longer than this is not worn, minutes.
    min_wear_h
        Shortest segment to report, hours.
    max_gap_s
        Longest gap inside a segment, s.
    windows
        ``"fixed"``: windows follow one another from the first sample. ``"sliding"``: one begins every second.
    length_rule
        ``"plain"``: k windows of 10 s last 10 k s. ``"actipy"``: they last 10 (k - 1) s and end with the last one's
        first sample, so that a little over 90 min 10 s of stillness is needed.

    Returns
    -------
    Wear

    Raises
    ------
    ValueError
        For options outside their domain or shapes that do not fit.

    References
    ----------
    actipy 3.8.3 ``flag_nonwear``; van Hees et al. 2011, doi:10.1371/journal.pone.0022922, for the idea.

    Examples
    --------
    >>> import numpy as np, imuspec
    >>> time = np.arange(4 * 3600) * 10**9
    >>> x = np.random.default_rng(0).normal(0, 0.1, (3, time.size))
    >>> x[:, 3600:10800] = 0.5
    >>> wear = imuspec.wear_segments(x, time, min_wear_h=0.5)
    >>> wear.segments.tolist(), wear.nonwear.tolist()
    ([[0, 3600], [10800, 14400]], [[3600, 10800]])
    """
    acceleration: ArrayLike
    if isinstance(recording, _Recording):
        acceleration, time = recording.acceleration, recording.time
    elif time is None:
        raise ValueError("time: expected the samples' times beside an array")
    else:
        acceleration = recording
    if windows not in ("fixed", "sliding"):
        raise ValueError(f"windows: expected fixed or sliding, got {windows!r}")
    if length_rule not in ("plain", "actipy"):
        raise ValueError(f"length_rule: expected plain or actipy, got {length_rule!r}")
    x = _three_axes(acceleration)
    times = _times(time, x.shape[1])
    patience, shortest = _nanoseconds("nonwear_min", nonwear_min, 60), _nanoseconds("min_wear_h", min_wear_h, 3600)
    gap = _nanoseconds("max_gap_s", max_gap_s)
    sliding = windows == "sliding"
    step_s = _SLIDE_S if sliding else 10.0
    # Where a clock was set back the recording is taken in parts, so that a time names one sample only.
    parts = [0, *(np.flatnonzero(np.diff(times) <= 0) + 1).tolist(), times.size]
    index: list[list[Int64]] = [[], []]
    when: list[list[Int64]] = [[], []]
    for start, stop in itertools.pairwise(parts):
        part, part_times = x[:, start:stop], times[start:stop]
        table = _statistics(part, part_times, step_s, fill=True, slide_by=10 if sliding else 1)
        found = _core.wear_episodes(
            table.start,
            table.mean,
            table.sd,
            _runs(part, part_times, gap),
            tolerance_g=float(tolerance_g),
            window_ns=10**10,
            step_ns=round(step_s * 1e9),
            patience_ns=patience,
            rule=length_rule,
        )
        for episodes, places, moments in zip(found, index, when, strict=True):
            places.append(np.searchsorted(part_times, episodes) + start)
            moments.append(episodes)
    nonwear, wear = np.concatenate(index[0]), np.concatenate(index[1])
    nonwear_times, wear_times = np.concatenate(when[0]), np.concatenate(when[1])
    long = wear_times[:, 1] - wear_times[:, 0] >= shortest
    return Wear(wear[long], wear_times[long], nonwear, nonwear_times, wear_times[~long])


def _runs(x: Float32, times: Int64, max_gap: int) -> Int64:
    """Stretches ``[k, 2]`` ns of present samples at most ``max_gap`` apart, to one sample period after the last."""
    present = times[~np.isnan(x).any(axis=0)]
    if present.size == 0:
        return np.empty((0, 2), np.int64)
    steps = np.diff(present)
    period = int(np.median(steps[:100_000])) if steps.size else 0
    breaks = np.flatnonzero(steps > max_gap)
    first = np.concatenate(([0], breaks + 1))
    last = np.concatenate((breaks, [present.size - 1]))
    return np.stack((present[first], present[last] + max(min(period, max_gap), 1)), axis=1)


def windows(x: ArrayLike, *, length: int, overlap: int = 0) -> NDArray[Any]:
    """Windows of a recording as a view: nothing is copied, so the result is read-only.

    Window ``i`` holds samples ``i (length - overlap)`` to before that plus ``length``; a remainder at the end is left
    out.

    Parameters
    ----------
    x
        ``[..., 3, time]``, g, or any ``[..., channel, time]``.
    length
        Samples in a window.
    overlap
        Samples that neighbouring windows share, below ``length``.

    Returns
    -------
    View ``[..., window, 3, length]`` of ``x``, of its dtype; no windows where ``x`` is shorter than one.

    Raises
    ------
    ValueError
        For a length below 1, an overlap that is negative or not below the length, or fewer than two axes.

    Examples
    --------
    >>> import numpy as np, imuspec
    >>> imuspec.windows(np.zeros((3, 3000), np.float32), length=300, overlap=150).shape
    (19, 3, 300)
    """
    array = np.asarray(x)
    if array.ndim < 2:
        raise ValueError(f"x: expected shape [..., 3, time], got {list(array.shape)}")
    if int(length) != length or length < 1:
        raise ValueError(f"length: expected a whole number of at least 1 sample, got {length}")
    if int(overlap) != overlap or not 0 <= overlap < length:
        raise ValueError(f"overlap: expected a whole number from 0 to below the length {length}, got {overlap}")
    if array.shape[-1] < length:
        return np.empty((*array.shape[:-2], 0, array.shape[-2], int(length)), array.dtype)
    view = sliding_window_view(array, int(length), axis=-1)[..., :: int(length - overlap), :]
    return np.moveaxis(view, -2, -3)

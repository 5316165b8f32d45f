"""Calibrate against gravity: still windows lie on a sphere of 1 g."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imuspec import _core
from imuspec.arrays import as_real, as_signals
from imuspec.signal.arrays import Float32, Float64, Int64, Recorded, as_nanoseconds, as_series, as_three_axes, as_times


@dataclass(frozen=True)
class WindowMoments:
    """Means and deviations of consecutive windows; windows without samples are not listed.

    Attributes
    ----------
    start : int64 array
        When each window begins ``[k]``, int64 ns.
    mean, sd : float64 array
        Mean and sample standard deviation of each axis ``[k, 3]``, float64 g. The deviation of a single sample is NaN.
    n : uint32 array or None
        Samples in each window ``[k]``.
    temperature : float64 array or None
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
) -> WindowMoments:
    """Mean and standard deviation of each axis in windows of fixed length, from the first sample on.

    Window ``k`` holds the samples in ``[time[0] + k window_s, time[0] + (k + 1) window_s)``; one at a gap's edge or at
    the end holds fewer. Deviations divide by ``n - 1``; sums are float64.

    Parameters
    ----------
    acceleration : array_like
        ``[3, time]``, g. Samples with a NaN in any axis are left out.
    time : array_like
        ``[time]``, int64 ns, rising.
    window_s : float, default 10.0
        Length of a window, s.
    temperature : array_like, optional
        ``[time]``, degrees Celsius, or None.

    Returns
    -------
    WindowMoments

    Examples
    --------
    >>> import numpy as np
    >>> from imuspec.signal import window_statistics
    >>> window_statistics(np.ones((3, 40)), np.arange(40) * 10**9).mean.shape
    (4, 3)
    """
    return statistics_of(acceleration, time, window_s, temperature)


def statistics_of(
    acceleration: ArrayLike,
    time: ArrayLike,
    window_s: float,
    temperature: ArrayLike | None = None,
    *,
    fill: bool = False,
    slide_by: int = 1,
) -> WindowMoments:
    """As :func:`window_statistics`, `slide_by` windows starting in a length; `fill` counts a missing sample as the last."""
    x = as_three_axes(acceleration)
    times = as_times(time, x.shape[1])
    warmth = None
    if temperature is not None:
        warmth = np.ascontiguousarray(as_real(temperature, "temperature"), np.float32)
        if warmth.shape != times.shape:
            raise ValueError(f"temperature: expected shape [{times.size}], got {list(warmth.shape)}")
    length = as_nanoseconds("window_s", window_s)
    start, n, mean, sd, degrees = _core.window_statistics(
        x, times, warmth, length_ns=length, fill=fill, slide_by=slide_by
    )
    return WindowMoments(start, mean, sd, n, None if warmth is None else degrees)


@dataclass(frozen=True)
class Calibration:
    """What gravity says of a sensor's errors: ``calibrated = offset + gain x + temperature_slope (T - reference)``.

    Attributes
    ----------
    offset, gain, temperature_slope : float64 array
        One number an axis ``[3]``: g, 1, g per degree Celsius.
    reference_temperature : float
        Mean temperature of the still windows, degrees Celsius; NaN where temperature took no part.
    ok : bool
        Whether the recording counts as calibrated.
    reason : str
        Why, in words.
    error_before_mg, error_after_mg : float
        Mean distance of the still windows' means from 1 g, mg; NaN without still windows.
    n_windows, n_iterations : int
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
        x : array_like [..., 3, time]
            Acceleration, g. NaN stays NaN.
        temperature : array-like [..., time], optional
            Degrees Celsius; required where a temperature slope was fitted.

        Returns
        -------
        float32 array [..., 3, time]
            Calibrated acceleration, g: the same bits as :func:`imuspec.prepare` gives.

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
        array = as_series(x)
        if array.ndim < 2 or array.shape[-2] != 3:
            raise ValueError(f"x: expected shape [..., 3, time], got {list(array.shape)}")
        warmth = None
        if np.any(self.temperature_slope):
            shape = (*array.shape[:-2], array.shape[-1])
            if temperature is None:
                raise ValueError("temperature: expected [..., time], as this calibration has a temperature slope")
            degrees = as_signals(temperature, "temperature").astype(np.float64, order="C", copy=False)
            try:
                warmth = np.broadcast_to(degrees, shape)
            except ValueError:
                raise ValueError(f"temperature: expected shape {list(shape)}, got {list(degrees.shape)}") from None
        out = np.empty(array.shape, np.float32)
        _core.apply_calibration(self, array, warmth, out)
        return out


def calibrate(
    recording_or_windows: Recorded | WindowMoments,
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
    recording_or_windows : Recorded or WindowMoments
        A recording with ``acceleration`` ``[3, time]`` g and ``time`` int64 ns, or a table of its windows.
    temperature : bool, default False
        Fit a slope in temperature too; needs the recording's ``temperature``.
    method : {"actipy", "vanhees"}, default "actipy"
        See above.
    tolerance_g : float, default 0.013
        A window is still while the standard deviation of each axis is below this, g.
    min_windows : int, default 50
        Still windows needed.
    cube_g : float, default 0.3
        Each axis needs still means at or beyond this on both sides of 0, g; 0 asks for both signs only.
    max_iterations : int, default 1000
        Rounds at most. Reaching it does not make the fit invalid.
    max_error_mg : float, default 10.0
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
    >>> from imuspec.signal import WindowMoments
    >>> v = np.random.default_rng(0).normal(size=(500, 3))
    >>> v = 0.05 + v / np.linalg.norm(v, axis=1, keepdims=True)
    >>> table = WindowMoments(np.arange(500) * 10**10, v, np.zeros_like(v))
    >>> imuspec.calibrate(table).offset.round(2).tolist()
    [-0.05, -0.05, -0.05]
    """
    if method not in ("actipy", "vanhees"):
        raise ValueError(f"method: expected actipy or vanhees, got {method!r}")
    if int(min_windows) != min_windows or min_windows < 0:
        raise ValueError(f"min_windows: expected a whole number of at least 0, got {min_windows}")
    if int(max_iterations) != max_iterations or max_iterations < 1:
        raise ValueError(f"max_iterations: expected a whole number of at least 1, got {max_iterations}")
    if isinstance(recording_or_windows, WindowMoments):
        table = recording_or_windows
    else:
        warmth: Any = getattr(recording_or_windows, "temperature", None) if temperature else None
        table = statistics_of(recording_or_windows.acceleration, recording_or_windows.time, 10.0, warmth)
    if temperature and table.temperature is None:
        raise ValueError("temperature: expected a recording with temperatures, got one without")
    degrees = None
    if temperature and table.temperature is not None:
        degrees = np.ascontiguousarray(as_real(table.temperature, "temperature"), np.float64)
    fit = _core.fit_calibration(
        np.ascontiguousarray(as_real(table.start, "start"), np.int64),
        np.ascontiguousarray(as_real(table.mean, "mean"), np.float64),
        np.ascontiguousarray(as_real(table.sd, "sd"), np.float64),
        degrees,
        {
            "method": method,
            "temperature": temperature,
            "stationary_g": float(tolerance_g),
            "min_windows": int(min_windows),
            "cube_g": float(cube_g),
            "max_iterations": int(max_iterations),
            "max_error_mg": float(max_error_mg),
        },
    )
    vectors: dict[str, Any] = {name: np.array(fit.pop(name)) for name in ("offset", "gain", "temperature_slope")}
    return Calibration(**vectors, **fit)

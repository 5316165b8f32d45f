"""Hand-crafted statistics of a window: the baseline that every learned representation must beat.

What posture, intensity and rhythm say, in the words of the field: mean, spread, quantiles, jerk, band energies, dominant
frequency, entropy, periodicity. NumPy alone; a batch at a time.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imuspec.arrays import as_signals

__all__ = ["BANDS_HZ", "CHANNELS", "STATISTICS", "window_features"]

Float64 = NDArray[np.float64]

CHANNELS = ("x", "y", "z", "norm")
BANDS_HZ = ((0.3, 1.0), (1.0, 2.0), (2.0, 3.5), (3.5, 6.0), (6.0, 10.0), (10.0, 20.0))
_FLOOR = 1e-8  # g^2: the power of 0.1 mg, below any sensor's noise
_RHYTHM_S = (0.25, 2.0)  # lags at which steps, strokes and pedals repeat
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_PAIRS = (("x", "y"), ("x", "z"), ("y", "z"))
_CHUNK = 1024  # windows at a time: bounds the scratch memory

#: What each statistic is. Those of the first block exist for x, y, z and the norm, as ``norm_sd``.
STATISTICS = {
    "mean": "mean, g: posture where gravity is in the signal",
    "sd": "standard deviation, g: intensity",
    "min": "smallest sample, g",
    "q05": "5 % quantile, g",
    "q25": "25 % quantile, g",
    "q50": "median, g",
    "q75": "75 % quantile, g",
    "q95": "95 % quantile, g",
    "max": "largest sample, g",
    "jerk": "mean |difference of neighbouring samples| times the rate, g/s",
    **{
        f"band_{low:g}_{high:g}": f"log10 of the power from {low:g} to {high:g} Hz, g^2, at least 1e-8"
        for low, high in BANDS_HZ
    },
    "peak_hz": "frequency of most power above 0.3 Hz, Hz; 0 where there is none",
    "entropy": "entropy of the power above 0.3 Hz over its frequencies, 0 (a tone) to 1 (white)",
    "xy_correlation": "correlation of x and y; 0 where one does not move",
    "xz_correlation": "correlation of x and z",
    "yz_correlation": "correlation of y and z",
    "norm_rhythm": "largest autocorrelation of the norm at lags from 0.25 to 2 s; 0 where it does not move",
    "norm_rhythm_s": "the lag of it, s",
    "tilt_change": "angle between the mean directions of the window's halves, rad",
}
_PER_CHANNEL = tuple(STATISTICS)[: 10 + len(BANDS_HZ) + 2]
_ONCE = tuple(STATISTICS)[len(_PER_CHANNEL) :]


def window_features(x: ArrayLike, rate: float) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Statistics of each window: 18 of each axis and of the norm, and 6 of all together.

    Means, deviations and quantiles are of the samples as they are; spectra are of the samples less their mean under a Hann
    window, ``P_k = c_k |FFT(h (x - mean))_k|^2 / (n sum h^2)``, so that they sum to the variance of a steady signal
    (``c_k`` is 2 between zero and half the rate, else 1). `STATISTICS` says what each is.

    Parameters
    ----------
    x : array_like
        ``[N, 3, time]``, g; 8 samples or more.
    rate : float
        Samples a second, Hz. Bands above half of it are at the floor.

    Returns
    -------
    values
        float32 ``[N, 78]``, every one finite.
    names
        Their names, as ``x_mean``.

    Raises
    ------
    ValueError
        Another shape, a rate that is not positive, or samples that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from imuspec.spectral.statistics import window_features
    >>> t = np.arange(200) / 50
    >>> walk = np.stack([0 * t, 0 * t, 1 + 0.3 * np.sin(2 * np.pi * 2 * t)])
    >>> values, names = window_features(walk[None], rate=50)
    >>> dict(zip(names, values[0].tolist(), strict=True))["norm_peak_hz"]
    2.0
    """
    array = as_signals(x, contiguous=False)
    if array.ndim != 3 or array.shape[1] != 3 or array.shape[2] < 8:
        raise ValueError(f"x: expected shape [N, 3, time] with 8 samples or more, got {list(array.shape)}")
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"rate: expected a positive number of Hz, got {rate}")
    if not np.isfinite(array).all():
        raise ValueError("x: expected finite samples, got NaN or infinity")
    names = tuple(f"{channel}_{name}" for name in _PER_CHANNEL for channel in CHANNELS) + _ONCE
    out = np.empty((len(array), len(names)), np.float32)
    for first in range(0, len(array), _CHUNK):
        part = array[first : first + _CHUNK].astype(np.float64)
        out[first : first + _CHUNK] = _of_part(part, float(rate))
    return out, names


def _of_part(xyz: Float64, rate: float) -> Float64:
    channels = np.concatenate((xyz, np.sqrt((xyz**2).sum(axis=1, keepdims=True))), axis=1)  # [N, 4, time]
    mean = channels.mean(axis=-1)
    moved = channels - mean[..., None]
    columns = [*_of_levels(channels, moved, mean, rate), *_of_spectrum(moved, rate)]
    return np.concatenate([*columns, _of_all(xyz, moved, rate)], axis=1)


def _of_levels(channels: Float64, moved: Float64, mean: Float64, rate: float) -> list[Float64]:
    """Mean, sd, quantiles from smallest to largest, and jerk, each ``[N, 4]``."""
    sd = np.sqrt((moved**2).mean(axis=-1))
    quantiles = np.quantile(channels, _QUANTILES, axis=-1)
    jerk = np.abs(np.diff(channels, axis=-1)).mean(axis=-1) * rate
    return [mean, sd, *quantiles, jerk]


def _of_spectrum(moved: Float64, rate: float) -> list[Float64]:
    """Log band powers, dominant frequency and entropy, each ``[N, 4]``."""
    n = moved.shape[-1]
    hann = np.hanning(n + 1)[:-1]
    power = np.abs(np.fft.rfft(moved * hann, axis=-1)) ** 2 / (n * (hann**2).sum())
    power[..., 1 : (n + 1) // 2] *= 2
    hz = np.fft.rfftfreq(n, 1 / rate)
    bands = [np.log10(power[..., (hz >= low) & (hz < high)].sum(axis=-1) + _FLOOR) for low, high in BANDS_HZ]
    upper = hz >= BANDS_HZ[0][0]
    power, hz = power[..., upper], hz[upper]
    total = power.sum(axis=-1)
    still = total < _FLOOR
    peak = np.where(still, 0.0, hz[power.argmax(axis=-1)])
    share = _ratio(power, total[..., None])
    entropy = -(share * np.log(np.maximum(share, 1e-300))).sum(axis=-1) / max(math.log(hz.size), 1e-9)
    return [*bands, peak, np.where(still, 0.0, entropy)]


def _of_all(xyz: Float64, moved: Float64, rate: float) -> Float64:
    """The statistics of more than one channel ``[N, 6]``."""
    n = xyz.shape[-1]
    sd = np.sqrt((moved**2).mean(axis=-1))
    axes = {name: index for index, name in enumerate(CHANNELS)}
    pairs = [
        _ratio((moved[:, axes[a]] * moved[:, axes[b]]).mean(axis=-1), sd[:, axes[a]] * sd[:, axes[b]])
        for a, b in _PAIRS
    ]
    norm = moved[:, axes["norm"]]
    spectrum = np.abs(np.fft.rfft(norm, n=2 * n, axis=-1)) ** 2
    lags = np.arange(min(round(_RHYTHM_S[0] * rate), n // 2), min(round(_RHYTHM_S[1] * rate), n // 2) + 1)
    # Divided by n for every lag, so that of a beat and its multiples the shortest is the largest.
    auto = np.fft.irfft(spectrum, axis=-1)[:, lags] / n
    auto = _ratio(auto, (norm**2).mean(axis=-1, keepdims=True))
    best = auto.argmax(axis=-1)
    rhythm = auto[np.arange(len(auto)), best]
    first, second = xyz[..., : n // 2].mean(axis=-1), xyz[..., n // 2 :].mean(axis=-1)
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    cosine = np.where(lengths > 1e-12, _ratio((first * second).sum(axis=-1), lengths), 1.0)
    tilt = np.arccos(np.clip(cosine, -1, 1))
    return np.stack([*pairs, rhythm, np.where(rhythm == 0, 0.0, lags[best] / rate), tilt], axis=1)


def _ratio(over: Float64, under: Float64) -> Float64:
    """The quotient, 0 where the channel does not move."""
    result: Float64 = np.divide(over, under, out=np.zeros(np.broadcast(over, under).shape), where=under > 1e-12)
    return result

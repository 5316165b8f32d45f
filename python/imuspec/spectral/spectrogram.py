"""Windows -> spectrograms, RGB images, LMM features: argument checks and documentation of the native kernels."""

from __future__ import annotations

# --- spectrogram ------------------------------------------------------------------------------------------------------
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from imuspec import _core
from imuspec.arrays import as_integer, as_output, as_real, as_signals

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float32] | NDArray[np.float64]


class _Plan(NamedTuple):
    """A planned spectrogram with its axes."""

    run: Any
    frequency: NDArray[np.float64]
    time: NDArray[np.float64]
    grid: tuple[int, int]
    dtype: np.dtype[Any]


def spectrogram(
    x: ArrayLike,
    fs: float = 1.0,
    window: str | tuple[Any, ...] | ArrayLike = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Literal[False, "constant", "linear"] = False,
    return_onesided: bool = True,
    scaling: Literal["density", "spectrum"] = "density",
    *,
    mode: Literal["psd", "magnitude", "complex"] = "psd",
    db: bool = False,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[Any]]:
    """
    Spectrogram of every signal of a batch, with the keywords and the result of `scipy.signal.spectrogram`.

    ``S[f, t] = scale |sum_k w[k] x[t hop + k] exp(-2 pi i f k / nfft)|^2`` with ``hop = nperseg - noverlap``, without
    centring or padding of the ends; a tail that fills no frame is dropped. One-sided densities double all bins but 0 and
    nfft/2.

    Parameters
    ----------
    x : array [..., time]
        Real signals. The leading axes may have any strides (`imuspec.windows` views are not copied). float32 gives
        float32, other types what SciPy gives: float64, or float32 for integers below 32 bits. A NaN makes all bins of
        the frames it lies in NaN.
    fs : float
        Samples a second (Hz).
    window : str, tuple or array [nperseg]
        "hann", "hamming", "blackman" (periodic, as SciPy's), "hann_symmetric" (as `matplotlib.mlab.specgram`'s and the
        papers'), "boxcar", a name with parameters as `scipy.signal.get_window` takes it, such as ("tukey", 0.25), or the
        values. The default is not SciPy's, which is a Tukey window of 0.25.
    nperseg : int, optional
        Samples a frame; 256, or the length of `window`. A shorter signal is one frame of its own length, with a
        warning.
    noverlap : int, optional
        Samples shared by neighbouring frames; nperseg // 8.
    nfft : int, optional
        Length of the transform, at least nperseg: frames are padded with zeros.
    detrend : False, "constant" or "linear"
        What is taken out of each frame first. SciPy's default is "constant".
    return_onesided : bool
        False gives all nfft frequencies, in the order of `numpy.fft.fftfreq`.
    scaling : "density" or "spectrum"
        scale = 1 / (fs sum w^2), for x in g: g^2/Hz; or 1 / (sum w)^2: g^2.
    mode : "psd", "magnitude" or "complex"
        Power; or the root of scale times the modulus of, or the whole, transform (never doubled).
    db : bool
        10 log10 of the power; -inf where it is zero.
    out : array [..., freq, frame], optional
        C-contiguous memory of the result's shape and type; it is returned as S.

    Returns
    -------
    f : float64 [freq]
        Frequencies, Hz.
    t : float64 [frame]
        Middle of each frame, seconds from the first sample.
    S : array [..., freq, frame]
        The spectrogram.

    Raises
    ------
    ValueError
        For an argument outside its domain, or an `out` of another shape, type or layout.
    TypeError
        For complex or non-numeric `x`.

    Notes
    -----
    Source: `scipy.signal.spectrogram` (SciPy 1.17). Differences: the default window is Hann (SciPy: Tukey, 0.25), `detrend`
    is off by default, an empty batch keeps its shape, and the axis is always the last.

    Examples
    --------
    >>> import numpy as np, imuspec
    >>> f, t, s = imuspec.spectrogram(np.ones((4, 3, 500), np.float32), fs=50, nperseg=128, noverlap=120, db=True)
    >>> s.shape, s.dtype.name, f[-1].item()
    ((4, 3, 65, 47), 'float32', 25.0)
    """
    x = as_signals(x)
    key = window if type(window) is str else _window_key(window)
    if type(fs) is not float:
        if type(fs) is not int and (np.ndim(fs) != 0 or np.asarray(fs).dtype.kind not in "iuf"):
            raise TypeError(f"fs: expected a number of Hz, got {fs!r}")
        fs = float(fs)
    # one by one: a loop over the three costs a tenth of the time of a window's spectrogram
    if nperseg is not None and type(nperseg) is not int:
        nperseg = as_integer(nperseg, "nperseg", 0)
    if noverlap is not None and type(noverlap) is not int:
        noverlap = as_integer(noverlap, "noverlap", 0)
    if nfft is not None and type(nfft) is not int:
        nfft = as_integer(nfft, "nfft", 0)
    settings = (key, nperseg, noverlap, nfft, detrend, return_onesided, scaling, mode, db)
    plan = _plan(x.shape[-1], x.dtype.char, fs, settings)
    shape = x.shape[:-1] + plan.grid
    out = np.empty(shape, plan.dtype) if out is None else as_output(out, shape, (plan.dtype,), x)
    plan.run(x, out)
    return plan.frequency.copy(), plan.time.copy(), out


def _window_key(window: Any) -> bytes | str | tuple[Any, ...]:
    """Return the key of a window in the cache of plans: the bytes of its values, or a name with parameters for SciPy."""
    if isinstance(window, tuple) and window and isinstance(window[0], str):
        return window
    values = np.ascontiguousarray(as_real(window, "window"), dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"window: expected one axis, got shape {values.shape}")
    return values.tobytes()


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}: expected {' | '.join(map(repr, choices))}, got {value!r}")


def _window_values(window: str | bytes | tuple[Any, ...], nperseg: int | None, n_time: int) -> NDArray[np.float64]:
    """The window and, by its length, nperseg, by SciPy's rules."""
    if isinstance(window, bytes):
        values = np.frombuffer(window, dtype=np.float64)
        if nperseg is not None and nperseg != len(values):
            raise ValueError(f"nperseg: expected the window's length {len(values)}, got {nperseg}")
        if len(values) > n_time:
            raise ValueError(f"window: expected at most the signal's {n_time} samples, got {len(values)}")
        return values
    length = 256 if nperseg is None else as_integer(nperseg, "nperseg", 1)
    if n_time == 0:
        raise ValueError("x: expected at least one sample, got none")
    if isinstance(window, tuple):
        from scipy.signal import get_window

        return np.asarray(get_window(window, min(length, n_time)), np.float64)
    return np.array(_core.window_by_name(window, min(length, n_time)))


def _warn_if_short(nperseg: int | None, window: str | bytes | tuple[Any, ...], n_time: int) -> None:
    length = 256 if nperseg is None else nperseg
    if not isinstance(window, bytes) and length > n_time:
        text = f"nperseg = {length} is greater than the signal's length, using nperseg = {n_time}"
        warnings.warn(text, UserWarning, stacklevel=4)


@lru_cache(maxsize=256)
def _planned(n_time: int, char: str, fs: float, settings: tuple[Any, ...]) -> _Plan:
    key, nperseg, noverlap, nfft, detrend, onesided, scaling, mode, db = settings
    _check_choice("detrend", detrend, (False, "constant", "linear"))
    _check_choice("scaling", scaling, ("density", "spectrum"))
    _check_choice("mode", mode, ("psd", "magnitude", "complex"))
    if db and mode != "psd":
        raise ValueError(f"db: expected mode 'psd' with it, got {mode!r}")
    if not 0 < fs < np.inf:
        raise ValueError(f"fs: expected a positive number of Hz, got {fs!r}")
    window = _window_values(key, nperseg, n_time)
    length = len(window)
    overlap = length // 8 if noverlap is None else as_integer(noverlap, "noverlap", 0)
    if overlap >= length:
        raise ValueError(f"noverlap: expected less than nperseg = {length}, got {noverlap}")
    n_points = length if nfft is None else as_integer(nfft, "nfft", length)
    power = 1.0 / (fs * (window * window).sum()) if scaling == "density" else 1.0 / window.sum() ** 2
    core = _core.SpectrogramPlan(
        window,
        n_points,
        length - overlap,
        single=char == "f",
        power=float(power),
        double=onesided and mode == "psd",
        two_sided=not onesided,
        detrend=detrend or None,
        mode="decibel" if db else mode,
    )
    frequency = (np.fft.rfftfreq if onesided else np.fft.fftfreq)(n_points, 1 / fs).astype(np.float64)
    time = np.arange(length / 2, n_time - length / 2 + 1, length - overlap) / float(fs)
    real = np.dtype(char)
    dtype = np.result_type(real, np.complex64) if mode == "complex" else real
    return _Plan(core.run, frequency, time, (len(frequency), len(time)), dtype)


def _plan(n_time: int, char: str, fs: float, settings: tuple[Any, ...]) -> _Plan:
    """The plan for these settings, made once; a short signal warns each time."""
    plan = _planned(n_time, char, fs, settings)
    if n_time < 256 or settings[1] is not None:
        _warn_if_short(settings[1], settings[0], n_time)
    return plan

"""Windows of motion become pictures: spectrogram, decibels, min-max, grey levels, 96 x 128."""

from __future__ import annotations

import operator
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from imuspec import _core
from imuspec.arrays import as_integer, as_output, as_signals, check_axes
from imuspec.spectral.spectrogram import spectrogram

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Levels = Literal["greys", "linear"]
Norm = Literal["axis-window", "joint-window", "fixed", "dataset"]
Resize = Literal["canvas", "antialias", "bilinear"]
Precision = Literal["auto", "float64", "float32"]

FIXED_RANGE_DB = (-60.0, 40.0)
_MOST = 1 << 40  # samples of a window or hop
_RANGE_WINDOWS = 512  # their cells are enough for two percentiles


def rgb_image(
    x: ArrayLike,
    *,
    nfft: int = 128,
    noverlap: int | None = None,
    levels: Levels = "greys",
    norm: Norm = "axis-window",
    range_db: tuple[float, float] | None = None,
    resize: Resize = "canvas",
    size: tuple[int, int] | None = (96, 128),
    dtype: Literal["uint8", "float32"] = "uint8",
    floor_db: float | None = None,
    precision: Precision = "auto",
    preset: Literal["android"] | None = None,
    out: NDArray[Any] | None = None,
    nan: Literal["raise", "mask"] = "raise",
) -> NDArray[Any]:
    """Draw each window as a picture: the spectrogram of every axis is one colour channel.

    Frames of `nfft` samples every ``nfft - noverlap`` under a symmetric Hann window w, no padding, no detrending, the
    tail dropped; ``P = |rfft(frame * w)|**2``, all bins but 0 and nfft/2 doubled; ``D = 10 log10 P``, cells without
    power left out and drawn black; ``u = (D - min D) / (max D - min D)``; the grey of u; the last row is frequency 0.

    Parameters
    ----------
    x : array [..., axes, time] or [time]
        Acceleration; with one axis in any unit, as a gain does not show under ``norm="axis-window"``. float32 and
        float64 as they are with any strides in the first of three axes, integers and float16 coerced. One axis is
        copied to the three channels; 3 k axes are k triads, each with its own picture. A window shorter than `nfft`
        is padded with zeros to one column, with a warning.
    nfft, noverlap : int
        Samples of a frame, at least 8 (odd ones have no bin nfft/2), and samples that neighbours share: by default all
        but a sixteenth of a frame (120 of 128).
    levels : {"greys", "linear"}
        255 less matplotlib's ``Greys`` at ``min(floor(256 u), 255)``, or ``floor(255 u + 1/2)``.
    norm : {"axis-window", "joint-window", "fixed", "dataset"}
        What min and max span: an axis of a window, the three axes of a window, or `range_db` for all.
    range_db : (float, float), optional
        D of black and white: for "fixed" (-60, 40), dB re 1 g**2 of P as defined above, so x in g; for "dataset" it
        must be given (`training_range` of the training windows).
    resize : {"canvas", "antialias", "bilinear"}
        Nearest neighbour to 480 x 640 and Pillow's bilinear filter down to `size`, as the published pictures; that
        filter on the grid itself; or the two nearest lines at half-pixel centres, as OpenCV. Rows and columns in
        turn, with rounding to 8 bits between (columns first; "antialias", as Pillow, rows first where they shrink the
        more).
    size : (int, int) or None
        Rows and columns; None keeps the native grid of nfft // 2 + 1 rows and a column a frame.
    dtype : {"uint8", "float32"}
        Levels, or the tensor (level / 255 - mean) / sd with ImageNet's means and standard deviations. Prefer uint8 to a
        loader and normalise on the accelerator: it is a quarter of the traffic.
    floor_db : float, optional
        Draw cells weaker than max D - floor_db as if they were that strong (80 is sensible).
    precision : {"auto", "float64", "float32"}
        "float64" is the definition. "float32" takes the window's mean out first and puts its known spectrum back.
        "auto" is "float32" where the weakest cell stands 50 dB above its rounding noise, else float64: see Notes.
    preset : {"android"}, optional
        The picture of the authors' app: power not doubled, linear levels times 0.99, top row black and bin 0 off the
        picture, nearest neighbour. `levels`, `norm` and `resize` must be left alone.
    out : array [..., 3, rows, columns], optional
        uint8 or float32 in C order (the numpy view of a pinned tensor, say); decides the type.
    nan : {"raise", "mask"}
        Refuse NaN and infinity, or draw the frames that hold any black and leave them out of min and max.

    Returns
    -------
    array [..., 3, rows, columns], [..., k, 3, rows, columns] for k > 1 triads
        `out`, or a new array. A channel whose cells are all equal, or all without power, is black.

    Raises
    ------
    ValueError
        For an argument or shape outside its domain, and for NaN or infinity, naming window and axis.
    TypeError
        For an `x` that is not real numbers, and for another `dtype`.

    Notes
    -----
    "auto" against "float64" on HAPT, Daphnet and WISDM at 16 settings: 99.91 % of the greys or more are equal, 99.98 %
    within one level, none is further than two; ``docs/images.md`` has the distribution of each.
    A cell that is rounding noise even in float64 (the last bin of a constant stretch, say) is drawn from the
    definition. Any number of threads gives the same bits.

    References
    ----------
    Yoon et al., IMG2IMU, IEEE Transactions on Mobile Computing 2025; the recipe is that of the authors' published
    picture, which ``precision="float64"`` gives value for value.

    Examples
    --------
    >>> import numpy as np, imuspec
    >>> imuspec.rgb_image(np.random.default_rng(0).normal(size=(16, 3, 500)), nfft=128, noverlap=116).shape
    (16, 3, 96, 128)
    """
    settings = _settings(nfft, noverlap, levels, norm, range_db, resize, size, floor_db, precision, preset, nan)
    array, leading = _windows(x)
    plan = _plan(array.shape[2], settings)
    shape = (*leading, 3, *plan.size)
    pixels = _empty(shape, dtype) if out is None else as_output(out, shape, (np.uint8, np.float32), array)
    if array.shape[2] < settings[0]:
        _warn_short(array.shape[2], settings[0], stacklevel=3)
    kernel = _KERNELS.get((array.dtype.char, pixels.dtype.char))
    if kernel is None:
        raise TypeError(f"dtype: expected uint8 or float32, got {pixels.dtype}")
    kernel(plan, array, pixels.reshape(-1))
    return pixels


def training_range(
    x: ArrayLike, *, nfft: int = 128, noverlap: int | None = None, percentiles: tuple[float, float] = (1.0, 99.0)
) -> tuple[float, float]:
    """Return the decibels of black and white for ``rgb_image(norm="dataset", range_db=...)``.

    Parameters
    ----------
    x : array [windows, 3, time]
        Windows of the training part, g: none that validates or tests. Of more than 512, 512 evenly spread ones count.
    nfft, noverlap : int
        As for `rgb_image`.
    percentiles : (float, float)
        Of all cells with power of all axes and windows.

    Returns
    -------
    (float, float)
        dB re 1 g**2 of P as `rgb_image` defines it.

    Raises
    ------
    ValueError
        For windows of another shape, without power, or all alike.

    Examples
    --------
    >>> import numpy as np
    >>> from imuspec.spectral.image import training_range
    >>> x = np.random.default_rng(0).normal(size=(64, 3, 256))
    >>> [round(edge) for edge in training_range(x, nfft=64, noverlap=48)]
    [-7, 20]
    """
    array = as_signals(x).astype(np.float64, copy=False)
    check_axes(array)
    if array.ndim != 3 or not len(array):
        raise ValueError(f"x: expected training windows [n, 3, time], got {array.shape}")
    nfft = as_integer(nfft, "nfft", 8)
    noverlap = _overlap(nfft, noverlap)
    least, most = percentiles
    if not 0 <= least < most <= 100:
        raise ValueError(f"percentiles: expected two that rise within 0 to 100, got {percentiles}")
    if len(array) > _RANGE_WINDOWS:
        array = array[np.linspace(0, len(array) - 1, _RANGE_WINDOWS).astype(int)]
    if array.shape[2] < nfft:  # the one column that the picture has
        array = np.pad(array, ((0, 0), (0, 0), (0, nfft - array.shape[2])))
    s = spectrogram(array, 1.0, "hann_symmetric", nfft, noverlap, scaling="spectrum")[2]
    low, high = np.percentile(10 * np.log10(s[s > 0]), percentiles) if (s > 0).any() else (0.0, 0.0)
    if not low < high:
        raise ValueError("x: expected windows of more than one strength, got cells all alike or without power")
    gain = 20 * float(np.log10(np.hanning(nfft).sum()))  # the spectrum is P / (sum w)**2
    return float(low) + gain, float(high) + gain


_KERNELS: dict[tuple[str, str], Any] = {
    ("f", "B"): _core.ImagePlan.draw_u8_f32,
    ("d", "B"): _core.ImagePlan.draw_u8_f64,
    ("f", "f"): _core.ImagePlan.draw_f32_f32,
    ("d", "f"): _core.ImagePlan.draw_f32_f64,
}

Settings: TypeAlias = tuple[Any, ...]


def _settings(
    nfft: int,
    noverlap: int | None,
    levels: Levels,
    norm: Norm,
    range_db: tuple[float, float] | None,
    resize: Resize,
    size: tuple[int, int] | None,
    floor_db: float | None,
    precision: Precision,
    preset: str | None,
    nan: str,
) -> Settings:
    """Make the key of a plan: hashable, so that equal settings share one."""
    nfft = as_integer(nfft, "nfft", 8)
    return (
        nfft,
        _overlap(nfft, noverlap),
        levels,
        norm,
        range_db if range_db is None else tuple(range_db),
        resize,
        size if size is None else tuple(size),
        floor_db,
        precision,
        preset,
        nan,
    )


def _overlap(nfft: int, noverlap: int | None) -> int:
    """Return the samples that neighbouring frames share: all but a sixteenth of a frame by default."""
    return nfft - max(1, nfft // 16) if noverlap is None else as_integer(noverlap, "noverlap", 0, nfft - 1)


@lru_cache(maxsize=64)
def _plan(length: int, settings: Settings) -> _core.ImagePlan:
    nfft, noverlap, levels, norm, range_db, resize, size, floor_db, precision, preset, nan = settings
    if length == 0:
        raise ValueError("x: expected at least one sample, got an empty time axis")
    if size is not None and (len(size) != 2 or min(map(operator.index, size)) < 1):
        raise ValueError(f"size: expected (rows, columns) of at least 1, got {size}")
    if nan not in ("raise", "mask"):
        raise ValueError(f'nan: expected "raise" or "mask", got {nan!r}')
    if preset not in (None, "android"):
        raise ValueError(f'preset: expected None or "android", got {preset!r}')
    if preset is not None and (levels, norm, resize) != ("greys", "axis-window", "canvas"):
        raise ValueError("preset: expected levels, norm and resize left alone, as the preset fixes them, got others")
    if norm in ("axis-window", "joint-window"):
        if range_db is not None:
            raise ValueError(f'range_db: expected None with norm="{norm}", got {range_db}')
    elif floor_db is not None:
        raise ValueError(f'floor_db: expected None with norm="{norm}", which has a floor, got {floor_db}')
    if norm == "dataset" and range_db is None:
        raise ValueError(
            'range_db: expected the data set\'s (low, high), as training_range gives, with norm="dataset", got None'
        )
    return _core.ImagePlan(
        length,
        nfft=nfft,
        noverlap=noverlap,
        levels=levels,
        norm=norm,
        range_db=range_db or FIXED_RANGE_DB,
        resize=resize,
        size=size,
        floor_db=floor_db,
        precision=precision,
        android=preset is not None,
        mask=nan == "mask",
    )


def _windows(x: ArrayLike) -> tuple[NDArray[np.floating[Any]], tuple[int, ...]]:
    """Bring `x` to [n, axes, time] of float32 or float64 and say which leading axes its pictures have."""
    array = as_signals(x, contiguous=False)
    check_axes(array)
    shape = array.shape
    if len(shape) == 3 and shape[1] in (1, 3):
        return array, shape[:1]
    if len(shape) < 2:
        return array[None, None], ()
    axes = shape[-2]
    if axes != 1 and (axes == 0 or axes % 3):
        raise ValueError(f"x: expected [..., axes, time] with 1 axis, or triads of axes, got {axes} axes in {shape}")
    leading = shape[:-2] if axes <= 3 else (*shape[:-2], axes // 3)
    return array.reshape(-1, axes, shape[-1]) if 0 not in shape else array.reshape(0, axes, shape[-1]), leading


def _empty(shape: tuple[int, ...], dtype: object) -> NDArray[Any]:
    if dtype not in ("uint8", "float32"):
        dtype = np.dtype(dtype)  # type: ignore[call-overload]  # NumPy refuses what is none
    empty: NDArray[Any] = np.empty(shape, dtype)  # type: ignore[call-overload]  # a dtype or its name by now
    return empty


def _warn_short(length: int, nfft: int, *, stacklevel: int) -> None:
    warnings.warn(
        f"x: {length} samples are fewer than nfft = {nfft}: padded with zeros to a picture of one column",
        UserWarning,
        stacklevel=stacklevel,
    )


class ImageStream:
    """Pictures of a stream: push samples as they come, get a picture every `hop` samples.

    Each column of a spectrogram is computed once and kept; the minimum and maximum of a window come from monotonic
    queues, so a picture costs its new columns and the resizing. The pictures are those of :func:`rgb_image` with
    ``precision="float64"`` of the windows ``[i * hop, i * hop + window)``, bit for bit, however the samples are cut.

    That needs windows that begin on a column: `hop` a multiple of ``nfft - noverlap`` (then `aligned` is true). For any
    other `hop` the pictures are the same, but all columns of each are computed anew.

    Parameters
    ----------
    n_axes : int, default 3
        Axes of the stream: 3, or 1, which is copied to the three channels.
    window : int, default 500
        Samples of a window, at least `nfft`.
    hop : int, optional
        Samples from one picture to the next; by default `window`, so that windows do not overlap.
    nfft : int, default 128
        As in :func:`rgb_image`.
    noverlap : int, optional
        As in :func:`rgb_image`.
    levels : {"greys", "linear"}, default "greys"
        As in :func:`rgb_image`.
    norm : {"axis-window", "joint-window", "fixed", "dataset"}, default "axis-window"
        As in :func:`rgb_image`.
    range_db : (float, float), optional
        As in :func:`rgb_image`.
    resize : {"canvas", "antialias", "bilinear"}, default "canvas"
        As in :func:`rgb_image`.
    size : (int, int) or None, default (96, 128)
        As in :func:`rgb_image`.
    dtype : {"uint8", "float32"}, default "uint8"
        As in :func:`rgb_image`.
    floor_db : float, optional
        As in :func:`rgb_image`.
    preset : {"android"}, optional
        As in :func:`rgb_image`.
    nan : {"raise", "mask"}, default "raise"
        As in :func:`rgb_image`.

    Raises
    ------
    ValueError
        For a setting that :func:`rgb_image` refuses, another number of axes, or a window shorter than `nfft`.

    Examples
    --------
    >>> import numpy as np, imuspec
    >>> stream = imuspec.ImageStream(window=500, hop=40, nfft=128, noverlap=120)
    >>> [stream.push(np.random.rand(3, 250)).shape[0] for _ in range(4)]
    [0, 1, 6, 6]
    """

    def __init__(
        self,
        n_axes: int = 3,
        *,
        window: int = 500,
        hop: int | None = None,
        nfft: int = 128,
        noverlap: int | None = None,
        levels: Levels = "greys",
        norm: Norm = "axis-window",
        range_db: tuple[float, float] | None = None,
        resize: Resize = "canvas",
        size: tuple[int, int] | None = (96, 128),
        dtype: Literal["uint8", "float32"] = "uint8",
        floor_db: float | None = None,
        preset: Literal["android"] | None = None,
        nan: Literal["raise", "mask"] = "raise",
    ) -> None:
        settings = _settings(nfft, noverlap, levels, norm, range_db, resize, size, floor_db, "float64", preset, nan)
        window = as_integer(window, "window", 1, _MOST)
        hop = window if hop is None else as_integer(hop, "hop", 1, _MOST)
        if n_axes not in (1, 3):
            raise ValueError(f"n_axes: expected 1 or 3, got {n_axes}")
        plan = _plan(window, settings)
        self._core = _core.ImageStreamCore(plan, hop, n_axes)
        self._n_axes = n_axes
        self._shape = (3, *plan.size)
        self._dtype = _empty((0,), dtype).dtype
        if self._dtype.char not in "Bf":
            raise TypeError(f"dtype: expected uint8 or float32, got {self._dtype}")

    @property
    def aligned(self) -> bool:
        """Whether every window begins on a column, so that each column is computed only once."""
        return self._core.aligned

    def push(self, x: ArrayLike) -> NDArray[Any]:
        """Take samples [n_axes, k], any k, and return the pictures [m, 3, rows, columns] that they complete.

        NaN or infinity is refused, and nothing of `x` taken, unless ``nan="mask"``.
        """
        array = np.ascontiguousarray(as_signals(x), dtype=np.float64)
        if array.ndim == 1 and self._n_axes == 1:
            array = array[None]
        if array.ndim != 2 or array.shape[0] != self._n_axes:
            raise ValueError(f"x: expected [{self._n_axes}, samples], got {array.shape}")
        out = np.empty((self._core.pictures(array.shape[1]), *self._shape), self._dtype)
        if self._dtype.char == "B":
            self._core.push_u8(array, out.reshape(-1))
        else:
            self._core.push_f32(array, out.reshape(-1))
        return out

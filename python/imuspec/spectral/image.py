"""Windows of motion become pictures: spectrogram, decibels, min-max, grey levels, 96 x 128."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np

from imuspec.arrays import as_output, as_signals, check_axes
from imuspec.spectral.settings import ImageOptions, ImageSettings, plan_of, shows_settings
from imuspec.spectral.spectrogram import spectrogram

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_UINT8, _FLOAT32 = np.dtype(np.uint8), np.dtype(np.float32)  # NumPy has one object of each in native byte order
_RANGE_WINDOWS = 512  # their cells are enough for two percentiles


@shows_settings
def rgb_image(
    x: ArrayLike,
    settings: ImageSettings | None = None,
    *,
    dtype: Literal["uint8", "float32"] = "uint8",
    out: NDArray[Any] | None = None,
    **options: Unpack[ImageOptions],
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
    settings : ImageSettings, optional
        The settings below, made once for many calls; a keyword takes the place of its field.
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
    within one level, none is further than two; ``docs/results/precision.md`` has the distribution of each.
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
    array, leading = windows_of(x)
    length = array.shape[-1]
    plan, least, size = plan_of(length, settings, options)
    shape = (*leading, 3, *size)
    pixels = new_pictures(shape, dtype) if out is None else as_output(out, shape, (np.uint8, np.float32), array)
    if length < least:
        warnings.warn(
            f"x: {length} samples are fewer than nfft = {least}: padded with zeros to a picture of one column",
            UserWarning,
            stacklevel=2,
        )
    plan.draw(array, pixels)
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
    array = as_signals(x).astype(np.float64, order="C", copy=False)
    check_axes(array)
    if array.ndim != 3 or not len(array):
        raise ValueError(f"x: expected training windows [n, 3, time], got {array.shape}")
    grid = ImageSettings(nfft=nfft, noverlap=noverlap)
    nfft = grid.nfft
    least, most = percentiles
    if not 0 <= least < most <= 100:
        raise ValueError(f"percentiles: expected two that rise within 0 to 100, got {percentiles}")
    if len(array) > _RANGE_WINDOWS:
        array = array[np.linspace(0, len(array) - 1, _RANGE_WINDOWS).astype(int)]
    if array.shape[2] < nfft:  # the one column that the picture has
        array = np.pad(array, ((0, 0), (0, 0), (0, nfft - array.shape[2])))
    s = spectrogram(array, 1.0, "hann_symmetric", nfft, grid.overlap, scaling="spectrum")[2]
    low, high = np.percentile(10 * np.log10(s[s > 0]), percentiles) if (s > 0).any() else (0.0, 0.0)
    if not low < high:
        raise ValueError("x: expected windows of more than one strength, got cells all alike or without power")
    gain = 20 * float(np.log10(np.hanning(nfft).sum()))  # the spectrum is P / (sum w)**2
    return float(low) + gain, float(high) + gain


def windows_of(x: ArrayLike) -> tuple[NDArray[np.floating[Any]], tuple[int, ...]]:
    """Bring `x` to [..., axes, time] of float32 or float64 and return the leading axes that its pictures have too."""
    array = as_signals(x, contiguous=False)
    check_axes(array)
    shape = array.shape
    if len(shape) == 1:
        return array[None], ()
    axes = shape[-2]
    if axes != 1 and (axes == 0 or axes % 3):
        raise ValueError(f"x: expected [..., axes, time] with 1 axis, or triads of axes, got {axes} axes in {shape}")
    return array, shape[:-2] if axes <= 3 else (*shape[:-2], axes // 3)


def new_pictures(shape: tuple[int, ...], dtype: object) -> NDArray[Any]:
    """Return memory for pictures of uint8 or float32.

    Raises
    ------
    TypeError
        If `dtype` is another.
    """
    if dtype == "uint8":  # the general way below takes a hundredth of the time of one picture
        return np.empty(shape, _UINT8)
    kind = np.dtype(dtype)  # type: ignore[call-overload]  # NumPy refuses what is no dtype
    if kind not in (_UINT8, _FLOAT32):
        raise TypeError(f"dtype: expected uint8 or float32, got {kind}")
    return np.empty(shape, kind.newbyteorder("="))

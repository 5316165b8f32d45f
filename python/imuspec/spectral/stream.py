"""Pictures of a stream of samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np

from imuspec import _core
from imuspec.arrays import as_integer, as_signals
from imuspec.spectral.image import new_pictures
from imuspec.spectral.settings import ImageOptions, ImageSettings, settings_of, shows_settings

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_MOST = 1 << 40  # samples of a window or hop


class ImageStream:
    """Pictures of a stream: it takes samples in chunks, and returns a picture every `hop` samples.

    Each column of a spectrogram is computed once and kept; the minimum and maximum of a window come from monotonic
    queues, so a picture costs its new columns and the resizing. The pictures are those of :func:`rgb_image` with
    ``precision="float64"`` of the windows ``[i * hop, i * hop + window)``, bit for bit, however the samples are cut.

    That needs windows that begin on a column: `hop` a multiple of ``nfft - noverlap`` (then `aligned` is true). For any
    other `hop` the pictures are the same, but all columns of each are computed again. One thread at a time may push, and a
    stream cannot be pickled or copied.

    Parameters
    ----------
    n_axes : int, default 3
        Axes of the stream: 3, or 1, which is copied to the three channels.
    settings : ImageSettings, optional
        As in :func:`rgb_image`, but that `precision` is "float64" whatever is given.
    window : int, default 500
        Samples of a window, at least `nfft`.
    hop : int, optional
        Samples from one picture to the next; by default `window`, so that windows do not overlap.
    dtype : {"uint8", "float32"}, default "uint8"
        As in :func:`rgb_image`.
    **options : Unpack[ImageOptions]
        The fields of `ImageSettings` as keywords, as in :func:`rgb_image`.

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

    @shows_settings
    def __init__(
        self,
        n_axes: int = 3,
        settings: ImageSettings | None = None,
        *,
        window: int = 500,
        hop: int | None = None,
        dtype: Literal["uint8", "float32"] = "uint8",
        **options: Unpack[ImageOptions],
    ) -> None:
        settings = settings_of(settings, options)
        window = as_integer(window, "window", 1, _MOST)
        hop = window if hop is None else as_integer(hop, "hop", 1, _MOST)
        if n_axes not in (1, 3):
            raise ValueError(f"n_axes: expected 1 or 3, got {n_axes}")
        self._core = _core.ImageStreamCore(window, settings, hop, n_axes)
        self._n_axes = n_axes
        self._shape = (3, *self._core.size)
        self._dtype = new_pictures((0,), dtype).dtype

    @property
    def aligned(self) -> bool:
        """Whether every window begins on a column, so that each column is computed only once."""
        return self._core.aligned

    def push(self, x: ArrayLike) -> NDArray[Any]:
        """Take samples [n_axes, k], any k, and return the pictures [m, 3, rows, columns] that they complete.

        NaN or infinity is refused, and nothing of `x` taken, unless ``nan="mask"``.
        """
        array = as_signals(x).astype(np.float64, order="C", copy=False)
        if array.ndim == 1 and self._n_axes == 1:
            array = array[None]
        if array.ndim != 2 or array.shape[0] != self._n_axes:
            raise ValueError(f"x: expected [{self._n_axes}, samples], got {array.shape}")
        out = np.empty((self._core.pictures(array.shape[1]), *self._shape), self._dtype)
        self._core.push(array, out)
        return out

"""Cut a recording into windows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from imuspec.arrays import as_integer, as_real

_MAX_LENGTH = 1 << 40  # samples


def windows(x: ArrayLike, *, length: int, overlap: int = 0) -> NDArray[Any]:
    """Return the windows of a recording as a view: nothing is copied, so the result is read-only.

    Window ``i`` holds samples ``i (length - overlap)`` to before that plus ``length``; a remainder at the end is left
    out.

    Parameters
    ----------
    x : array-like [..., 3, time]
        Acceleration, g, or any real numbers [..., channel, time].
    length : int
        Samples in a window.
    overlap : int, default 0
        Samples that neighbouring windows share, below `length`.

    Returns
    -------
    array [..., window, 3, length]
        A view of `x`, of its dtype in native byte order; no windows if `x` is shorter than one. Only an `x` that no kernel
        could read (of another byte order, unaligned, or of strides that are no whole items) is copied first.

    Raises
    ------
    ValueError
        If `length` is below 1, `overlap` is negative or not below `length`, or `x` has fewer than two axes.
    TypeError
        If `x` is not real numbers in the computer's memory, or a length is no whole number.

    Examples
    --------
    >>> import numpy as np, imuspec
    >>> imuspec.windows(np.zeros((3, 3000), np.float32), length=300, overlap=150).shape
    (19, 3, 300)
    """
    array = as_real(x)
    if array.ndim < 2:
        raise ValueError(f"x: expected shape [..., 3, time], got {list(array.shape)}")
    length = as_integer(length, "length", 1, _MAX_LENGTH)
    overlap = as_integer(overlap, "overlap", 0, length - 1)
    if array.shape[-1] < length:
        return np.empty((*array.shape[:-2], 0, array.shape[-2], length), array.dtype)
    view = sliding_window_view(array, length, axis=-1)[..., :: length - overlap, :]
    return np.moveaxis(view, -2, -3)

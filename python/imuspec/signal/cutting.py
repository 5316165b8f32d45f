"""Cut a recording into windows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray


def windows(x: ArrayLike, *, length: int, overlap: int = 0) -> NDArray[Any]:
    """Windows of a recording as a view: nothing is copied, so the result is read-only.

    Window ``i`` holds samples ``i (length - overlap)`` to before that plus ``length``; a remainder at the end is left
    out.

    Parameters
    ----------
    x : array_like
        ``[..., 3, time]``, g, or any ``[..., channel, time]``.
    length : int
        Samples in a window.
    overlap : int, default 0
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

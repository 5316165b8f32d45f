"""The one door for arrays: every public function judges what it is given here, so that a kernel never misreads it."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float32] | NDArray[np.float64]

__all__ = ["as_integer", "as_output", "as_real", "as_signals", "check_axes"]

MAX_NFFT = 1 << 24
"""Longest transform, samples: far more than any window, far less than would exhaust the memory."""

_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)  # NumPy has one object of each in native byte order


def as_array(x: ArrayLike, name: str = "x") -> NDArray[Any]:
    """Return any array-like as a plain NumPy array, without a copy where possible.

    Parameters
    ----------
    x : array-like
        NumPy array, list, pandas object or torch tensor on the CPU.
    name : str, default "x"
        The argument's name in messages.

    Raises
    ------
    TypeError
        If `x` is a tensor on another device, or a masked array that masks a value.
    """
    if type(x) is np.ndarray:
        return x
    if isinstance(x, np.ma.MaskedArray):
        if np.ma.is_masked(x):
            raise TypeError(f"{name}: expected an array without a mask, got a masked array; fill it with NaN first")
        return np.asarray(x.data)
    device = getattr(getattr(x, "device", None), "type", "cpu")
    if device != "cpu":
        raise TypeError(
            f"{name}: expected an array in the computer's memory, got a tensor on {device}; call .cpu() first"
        )
    detach = getattr(x, "detach", None)
    return np.asarray(x if detach is None else detach())


def as_real(x: ArrayLike, name: str = "x") -> NDArray[Any]:
    """Return real numbers as a native, aligned array whose strides are whole items; copied only where they are not.

    Raises
    ------
    TypeError
        If `x` is complex, text, objects, times or has a mask.
    """
    array = as_array(x, name)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    if not array.dtype.isnative:
        return array.astype(array.dtype.newbyteorder("="))
    return array if _is_whole(array) else array.copy()


def as_signals(
    x: ArrayLike, name: str = "x", *, double: Literal["never", "float64", "scipy"] = "scipy", contiguous: bool = True
) -> Floats:
    """Return signals as native, aligned float32 or float64 that a kernel can read; a view where possible.

    Parameters
    ----------
    x : array-like [..., time]
        Real numbers of any type, strides, alignment and byte order.
    name : str, default "x"
        The argument's name in messages.
    double : {"never", "float64", "scipy"}, default "scipy"
        What becomes float64: nothing; float64 alone; or what SciPy computes in float64, so integers of 32 bits too.
    contiguous : bool, default True
        Whether samples must lie side by side.

    Raises
    ------
    TypeError
        If `x` is not real numbers in the computer's memory.
    ValueError
        If `x` is a single number.
    """
    if type(x) is np.ndarray and (x.dtype is _FLOAT32 or (x.dtype is _FLOAT64 and double != "never")):
        flags = x.flags
        if flags.c_contiguous and flags.aligned and x.ndim:  # what most callers have: nothing to judge
            return x
    array = as_array(x, name)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    if array.ndim == 0:
        raise ValueError(f"{name}: expected an array [..., time], got a single number")
    if double == "never":
        wide = False
    elif double == "float64":
        wide = array.dtype.kind == "f" and array.dtype.itemsize == 8
    else:
        wide = np.result_type(array.dtype, np.complex64) != np.complex64
    floats: NDArray[Any] = array.astype(np.float64 if wide else np.float32, copy=False)
    if not _is_whole(floats) or (contiguous and floats.shape[-1] > 1 and floats.strides[-1] != floats.itemsize):
        floats = np.array(floats, order="C")
    return cast("Floats", floats)


def _is_whole(array: NDArray[Any]) -> bool:
    """Whether an array is aligned and its strides are whole items."""
    if not array.flags.aligned:
        return False
    if array.flags.c_contiguous:
        return True
    item = array.itemsize
    return all(stride % item == 0 for stride, length in zip(array.strides, array.shape, strict=True) if length > 1)


def check_axes(array: Any, name: str = "x") -> None:
    """Refuse windows [..., time, axes], whose last axis is so short that it must be the axes.

    Parameters
    ----------
    array : array or tensor
        Windows.
    name : str, default "x"
        The argument's name in messages.

    Raises
    ------
    ValueError
        If the last axis has the length of one to three axes, or of two or three triads, and the one before it is longer than any
        number of axes.
    """
    shape = array.shape
    if len(shape) < 2 or shape[-1] > 9:
        return
    if 0 < shape[-1] <= 3 < shape[-2] or (shape[-1] in (6, 9) and shape[-2] > 9):
        raise ValueError(
            f"{name}: expected [..., axes, time], got {tuple(shape)}, which looks like [..., time, axes]; "
            f"transpose it: np.swapaxes({name}, -1, -2)"
        )


def as_output(out: Any, shape: tuple[int, ...], dtypes: tuple[Any, ...], *inputs: NDArray[Any]) -> NDArray[Any]:
    """Return the array to write a result to, checked.

    Parameters
    ----------
    out : array
        NumPy array, or a torch tensor on the CPU, whose memory is then written.
    shape : tuple of int
        The result's shape.
    dtypes : tuple of dtype
        The types that the result may have.
    *inputs : array
        Arrays that `out` must not overlap.

    Raises
    ------
    TypeError
        If `out` is no array.
    ValueError
        If its shape, dtype or layout is another, it is read-only, or it overlaps an input.
    """
    if type(out) is not np.ndarray:
        if not hasattr(out, "__array__") or isinstance(out, np.ma.MaskedArray):
            raise TypeError(f"out: expected a numpy array, got {type(out).__name__}")
        out = as_array(out, "out")
    if out.shape != shape:
        raise ValueError(f"out: expected shape {shape}, got {out.shape}")
    if out.dtype not in dtypes or not out.dtype.isnative:
        expected = " or ".join(str(np.dtype(dtype)) for dtype in dtypes)
        raise ValueError(f"out: expected dtype {expected}, got {out.dtype}")
    if not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
        raise ValueError("out: expected writeable C-contiguous aligned memory, got another layout")
    if any(np.may_share_memory(out, array) for array in inputs):
        raise ValueError("out: expected memory of its own, got memory shared with the input")
    return cast("NDArray[Any]", out)


def as_integer(value: Any, name: str, least: int, most: int = MAX_NFFT) -> int:
    """Return a whole number within bounds as Python's own; a NumPy integer or an array of one number is taken.

    Raises
    ------
    TypeError
        If `value` is no whole number.
    ValueError
        If it is out of bounds.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected a whole number, got {value!r}") from None
    if not least <= number <= most:
        raise ValueError(f"{name}: expected {least} to {most}, got {number}")
    return number

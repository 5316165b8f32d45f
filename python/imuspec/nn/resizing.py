"""Resizing of pictures as products with constant matrices."""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = [
    "canvas_matrix",
    "device_halves",
    "device_matrix",
    "halves",
    "power_of_two",
    "traced_matrix",
    "triangle_matrix",
    "two_point_matrix",
]


def triangle_matrix(n_in: int, n_out: int) -> NDArray[np.float64]:
    """Return Pillow's bilinear filter as a matrix: a triangle whose half-width is the scale.

    Parameters
    ----------
    n_in, n_out : int
        Number of pixels before and after.

    Returns
    -------
    ndarray
        float64 ``[n_out, n_in]``; each row sums to 1.
    """
    scale = n_in / n_out
    support = max(scale, 1.0)
    matrix = np.zeros((n_out, n_in))
    for i in range(n_out):
        centre = (i + 0.5) * scale
        pixels = np.arange(max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), n_in))
        weights = np.maximum(0, 1 - np.abs(pixels + 0.5 - centre) / support)
        matrix[i, pixels] = weights / weights.sum()
    return matrix


def two_point_matrix(n_in: int, n_out: int) -> NDArray[np.float64]:
    """Return linear interpolation between the two nearest pixel centres as a matrix.

    Parameters
    ----------
    n_in, n_out : int
        Number of pixels before and after.

    Returns
    -------
    ndarray
        float64 ``[n_out, n_in]``; each row sums to 1.
    """
    position = np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)  # in pixels of the input
    low = np.minimum(position.astype(int), max(n_in - 2, 0))
    matrix = np.zeros((n_out, n_in))
    matrix[np.arange(n_out), low] = 1 - (position - low)
    matrix[np.arange(n_out), np.minimum(low + 1, n_in - 1)] += position - low
    return matrix


def canvas_matrix(n_in: int, n_out: int, n_canvas: int) -> NDArray[np.float64]:
    """Return the paper's resizing as a matrix: nearest neighbour onto a canvas, then :func:`triangle_matrix`.

    Parameters
    ----------
    n_in, n_out, n_canvas : int
        Number of pixels before, after, and of the canvas.

    Returns
    -------
    ndarray
        float64 ``[n_out, n_in]``; each row sums to 1.
    """
    source = (np.arange(n_canvas) + 0.5) * n_in / n_canvas
    stretch = np.zeros((n_canvas, n_in))
    stretch[np.arange(n_canvas), source.astype(int)] = 1
    return np.asarray(triangle_matrix(n_canvas, n_out) @ stretch)


@functools.lru_cache(maxsize=128)
def _matrix(resize: str, n_in: int, n_out: int, n_canvas: int) -> NDArray[np.float64]:
    if resize == "canvas":
        return canvas_matrix(n_in, n_out, n_canvas)
    return triangle_matrix(n_in, n_out) if resize == "antialias" else two_point_matrix(n_in, n_out)


def _new_matrix(resize: str, n_in: int, n_out: int, n_canvas: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.from_numpy(_matrix(resize, n_in, n_out, n_canvas)).to(device, dtype)


def power_of_two(n: int) -> int:
    """Return the smallest power of two from n, and 16 at least, the size of a tile of a GPU's matrix product."""
    return max(16, 1 << (n - 1).bit_length())


def halves(matrix: Tensor) -> Tensor:
    """Return a matrix as the sum of two float16 matrices, ``[2, m, n]``, filled with zeros up to powers of two.

    Parameters
    ----------
    matrix : Tensor
        Weights of magnitude at most 1, ``[m, n]``.
    """
    whole = torch.zeros(tuple(map(power_of_two, matrix.shape)), dtype=torch.float64, device=matrix.device)
    whole[: matrix.shape[0], : matrix.shape[1]] = matrix
    high = whole.half()
    return torch.stack([high, (whole - high.double()).half()])


@functools.lru_cache(maxsize=128)
def device_halves(
    resize: str, n_in: int, n_out: int, n_canvas: int, device: torch.device, *, flipped: bool = False
) -> Tensor:
    """Return the matrix of a resizing as `halves` of it, on a device.

    Parameters
    ----------
    resize : {"canvas", "antialias", "bilinear"}
        Kind of resizing.
    n_in, n_out, n_canvas : int
        Number of pixels before, after, and of the canvas.
    device : torch.device
        Device of the matrix.
    flipped : bool, default False
        Whether the input is in the reverse order.
    """
    matrix = torch.from_numpy(_matrix(resize, n_in, n_out, n_canvas)).to(device)
    return halves(matrix.flip(1) if flipped else matrix)


device_matrix = functools.lru_cache(maxsize=128)(_new_matrix)  # so that a call copies nothing to the device
traced_matrix = torch.compiler.assume_constant_result(_new_matrix)  # a constant of the graph, without NumPy in it

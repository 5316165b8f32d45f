"""The picture of a window in one kernel: the window is read once, the picture is written once.

The steps are those of :class:`imuspec.nn.RGBImage`, whose operators each read and write the whole batch. The kernel is written in
Triton, which PyTorch brings for GPUs of NVIDIA and AMD. One program draws one axis of one window. Its transform is a matrix
product in three passes of TF32, which together have float32's precision. Levels are whole numbers up to 255, which float16 holds
exactly, and each weight of the resizing is the sum of two float16 numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from imuspec.nn import picture_kernel
from imuspec.nn.resizing import power_of_two

__all__ = ["PictureConstants", "draw_fused", "fits_fused"]

_LARGEST_TILE = 16384  # cells of a spectrogram that one program holds


class PictureConstants(NamedTuple):
    """What the kernel needs beside the windows: matrices, tables and sizes of one kind of picture.

    Attributes
    ----------
    transform : Tensor
        float32 ``[nfft, 2 * bins]``, as in `imuspec.nn.transform.dft_matrix`.
    leakage, factor, grey : Tensor
        float32 ``[2, bins]``, float32 ``[bins]``, uint8 ``[256]``: transform of a constant, doubling of bins, grey levels.
    mean, std : Tensor
        float32 ``[3]``: normalisation of each channel.
    horizontal, vertical : Tensor or None
        Results of `imuspec.nn.resizing.device_halves`; None without resizing. The columns of `vertical` are in the order of the
        bins.
    size : tuple of int
        Rows and columns of the picture.
    hop : int
        Samples from one frame to the next.
    edges : tuple of float or None
        Lowest and highest level in dB; None for those of each axis.
    linear : bool
        Whether the levels are linear, not those of the Greys map.
    rounds : bool
        Whether levels are rounded between the two passes of the resizing.
    """

    transform: Tensor
    leakage: Tensor
    factor: Tensor
    grey: Tensor
    mean: Tensor
    std: Tensor
    horizontal: Tensor | None
    vertical: Tensor | None
    size: tuple[int, int]
    hop: int
    edges: tuple[float, float] | None
    linear: bool
    rounds: bool


def fits_fused(length: int, nfft: int, hop: int) -> bool:
    """Return whether Triton is installed, and one program can hold the spectrogram of an axis.

    Parameters
    ----------
    length : int
        Samples of a window.
    nfft : int
        Samples of a frame.
    hop : int
        Samples from one frame to the next.
    """
    frames = (max(length, nfft) - nfft) // hop + 1
    return picture_kernel.triton is not None and power_of_two(frames) * power_of_two(nfft // 2 + 1) <= _LARGEST_TILE


def draw_fused(x: Tensor, constants: PictureConstants, *, octets: bool, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Draw the pictures of windows by one launch.

    Parameters
    ----------
    x : Tensor
        Windows ``[..., 3, time]``: float32 in any unit, or int16 in steps of `scale`, where -32768 is missing.
    constants : PictureConstants
        Kind of picture.
    octets : bool
        Whether to return levels 0 to 255 as uint8, in place of normalised float32.
    scale : float, default 1
        Size of a step.

    Returns
    -------
    Tensor
        Pictures ``[..., 3, rows, columns]``. An axis with a missing sample gives a channel of NaN, or of zeros as uint8.
    Tensor
        Bool ``[..., 3]``: the axes with a missing sample.
    """
    nfft, bins = constants.transform.shape[0], constants.transform.shape[1] // 2
    length = max(x.shape[-1], nfft)
    frames = (length - nfft) // constants.hop + 1
    rows, columns = constants.size
    x = x.contiguous()
    leading = x.shape[:-1]
    pictures = torch.empty((*leading, rows, columns), dtype=torch.uint8 if octets else torch.float32, device=x.device)
    missing = torch.empty(leading, dtype=torch.int8, device=x.device)
    resized = constants.horizontal is not None and constants.vertical is not None
    low, high = constants.edges or (0.0, 0.0)
    columns_tile = min(64, power_of_two(columns))
    with torch.cuda.device_of(x):  # Triton launches on the current GPU
        picture_kernel.draw_axis[(missing.numel(),)](
            x, pictures, missing,
            constants.transform, constants.leakage, constants.factor, constants.grey, constants.mean, constants.std,
            constants.horizontal if resized else x, constants.vertical if resized else x,
            scale, low, high, x.shape[-1], length, frames, bins, rows, columns,
            NFFT=nfft, HOP=constants.hop, TIME=power_of_two(length),
            FRAMES=power_of_two(frames), BINS=power_of_two(bins), DEPTH=min(32, power_of_two(nfft)),
            ROWS=power_of_two(rows), COLUMNS=power_of_two(columns), TILE=columns_tile,
            INTEGERS=x.dtype == torch.int16, OCTETS=octets, FIXED=constants.edges is not None,
            LINEAR=constants.linear, RESIZED=resized, ROUNDS=constants.rounds, num_warps=8,
        )  # fmt: skip
    return pictures, missing.bool()

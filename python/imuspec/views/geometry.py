"""Crops, rotations, shears and blurs with a draw per picture."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from imuspec.views.choosing import constant, uniform

__all__ = ["blur", "flip", "random_crop", "warp"]

_TRIES = 10


def warp(pictures: Tensor, matrix: Tensor, centre: Tensor | None = None) -> Tensor:
    """Sample each picture at ``matrix @ (x, y) + centre`` with bilinear interpolation; black outside.

    Parameters
    ----------
    pictures : Tensor
        ``[B, 3, rows, columns]``.
    matrix : Tensor
        ``[B, 2, 2]``, from coordinates in the result to coordinates in the picture, both in pixels from the centre.
    centre : Tensor, optional
        ``[B, 2]``, coordinates in the picture of the centre of the result. The default is the centre of the picture.
    """
    rows, columns = pictures.shape[2:]
    half = constant((columns / 2, rows / 2), torch.float32, pictures.device)
    centre = torch.zeros(len(pictures), 2, device=pictures.device) if centre is None else centre
    # affine_grid and grid_sample measure x and y in half widths and half heights.
    scaled = torch.cat([matrix * half / half[:, None], (centre / half)[:, :, None]], 2)
    grid = functional.affine_grid(scaled, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, align_corners=False, padding_mode="zeros")


def random_crop(
    pictures: Tensor, generator: torch.Generator, *, smallest: float = 0.2, flipped: Tensor | None = None
) -> Tensor:
    """Crop a random rectangle of each picture, and resize it to the size of the picture.

    The area is U(smallest, 1) and the aspect ratio exp U(log 3/4, log 4/3), both relative to the picture. The first of ten
    draws that fits is used, else the whole picture, as in torchvision's ``RandomResizedCrop``. Pictures with `flipped`, bool
    ``[B]``, are flipped horizontally too, in the same interpolation.
    """
    n, device = len(pictures), generator.device
    area = uniform(n * _TRIES, smallest, 1, generator).view(n, _TRIES)
    aspect = uniform(n * _TRIES, math.log(3 / 4), math.log(4 / 3), generator).view(n, _TRIES).exp()
    sizes = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], 2)
    fits = (sizes <= 1).all(2)
    first = fits.int().argmax(1)
    size = sizes.gather(1, first[:, None, None].expand(-1, 1, 2))[:, 0]
    size = torch.where(fits.any(1)[:, None], size, torch.ones_like(size)).to(pictures.device)
    shift = (torch.rand(n, 2, generator=generator, device=device) * 2 - 1).to(pictures.device)
    half = constant((pictures.shape[3] / 2, pictures.shape[2] / 2), torch.float32, pictures.device)
    centre = shift * (1 - size) * half
    if flipped is not None:
        size = torch.where(flipped[:, None], size * constant((-1.0, 1.0), size.dtype, size.device), size)
    return warp(pictures, torch.diag_embed(size), centre)


def flip(pictures: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Flip each picture horizontally."""
    del generator
    return pictures.flip(3)


def blur(pictures: Tensor, generator: torch.Generator, *, narrowest: float = 0.1, widest: float = 2.0) -> Tensor:
    """Blur each picture with a Gaussian of sigma ~ U(narrowest, widest) pixels, cut at 3 widest; edges are replicated."""
    n = len(pictures)
    sigma = uniform(n, narrowest, widest, generator).to(pictures.device)
    reach = math.ceil(3 * widest)
    offsets = torch.arange(-reach, reach + 1, device=pictures.device)
    kernel = torch.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)[:, None]
    flat = functional.pad(pictures.reshape(1, 3 * n, *pictures.shape[2:]), (reach,) * 4, mode="replicate")
    flat = functional.conv2d(flat, kernel[:, :, :, None], groups=3 * n)
    return functional.conv2d(flat, kernel[:, :, None, :], groups=3 * n).view(pictures.shape)

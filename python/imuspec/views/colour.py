"""Changes of colour with a factor per picture: blends as in Pillow and torchvision."""

from __future__ import annotations

import torch
from torch import Tensor

from imuspec.views.choosing import constant

__all__ = ["blend", "brightness", "contrast", "grey", "in_any_order", "saturation", "sharpness", "turn_hue"]

# luma of ITU-R 601-2, as Pillow's "L"
_LUMA = (0.299, 0.587, 0.114)


def grey(pictures: Tensor) -> Tensor:
    """Return the luma ``[B, 1, rows, columns]`` of pictures in 0..1."""
    luma = constant(_LUMA, pictures.dtype, pictures.device)[:, None, None]
    return (pictures * luma).sum(1, keepdim=True)


def blend(pictures: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """Return ``factor * pictures + (1 - factor) * other``, clipped; factor ``[B]``."""
    factor = factor[:, None, None, None]
    return (factor * pictures + (1 - factor) * other).clamp(0, 1)


def brightness(pictures: Tensor, factor: Tensor) -> Tensor:
    """Blend with black."""
    return blend(pictures, torch.zeros((), device=pictures.device), factor)


def contrast(pictures: Tensor, factor: Tensor) -> Tensor:
    """Blend with the mean luma."""
    return blend(pictures, grey(pictures).mean((2, 3), keepdim=True), factor)


def saturation(pictures: Tensor, factor: Tensor) -> Tensor:
    """Blend with the grey picture."""
    return blend(pictures, grey(pictures), factor)


def sharpness(pictures: Tensor, factor: Tensor) -> Tensor:
    """Blend with the picture smoothed by ``[1 1 1; 1 5 1; 1 1 1] / 13``; the border is not smoothed."""
    inner = pictures[:, :, 1:-1, 1:-1]
    rows = pictures[:, :, :-2] + pictures[:, :, 1:-1] + pictures[:, :, 2:]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    smooth = pictures.clone()
    smooth[:, :, 1:-1, 1:-1] = (total + 4 * inner) / 13
    return blend(pictures, smooth, factor)


def turn_hue(pictures: Tensor, turn: Tensor) -> Tensor:
    """Rotate the hue of each picture by ``turn [B]``, a fraction of the circle; value and saturation do not change.

    In the hexagonal cone a channel is ``value (1 - saturation clip(min(k, 4 - k), 0, 1))`` with
    ``k = (offset + 6 hue) mod 6`` and offsets 5, 3, 1 for red, green, blue.
    """
    value, channel = pictures.max(1)
    spread = value - pictures.min(1).values
    red, green, blue = pictures.unbind(1)
    safe = torch.where(spread == 0, 1.0, spread)
    sixth = torch.where(
        channel == 0,
        (green - blue) / safe,
        torch.where(channel == 1, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    sixth = sixth + 6 * turn[:, None, None]
    channels = []
    for offset in (5.0, 3.0, 1.0):
        k = (offset + sixth) % 6
        channels.append(value - spread * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, 1).clamp(0, 1)


def in_any_order(pictures: Tensor, rank: Tensor, factor: Tensor, turn: Tensor) -> Tensor:
    """Change brightness, contrast, saturation and hue of each picture in its own order.

    The three blends before the hue turns, and the three after it, are computed for all pictures together. A blend that a
    picture does not have there has the factor 1, which changes nothing.

    Parameters
    ----------
    pictures : Tensor
        ``[B, 3, rows, columns]`` in 0..1.
    rank : Tensor
        Position 0 to 3 of `brightness`, `contrast`, `saturation` and `turn_hue`, ``[B, 4]``.
    factor : Tensor
        Factor of each blend, ``[B, 3]``.
    turn : Tensor
        Turn of the hue, ``[B]``, a fraction of the circle.
    """
    hue = rank[:, 3:]  # [B, 1]
    for position in (0, 1, 2):
        pictures = _blend_one(pictures, (rank[:, :3] == position) & (hue > position), factor)
    pictures = turn_hue(pictures, turn)
    for position in (1, 2, 3):
        pictures = _blend_one(pictures, (rank[:, :3] == position) & (hue < position), factor)
    return pictures


def _blend_one(pictures: Tensor, chosen: Tensor, factor: Tensor) -> Tensor:
    """Apply to each picture the blend of `in_any_order` that is chosen, bool ``[B, 3]``, if there is one."""
    luma = grey(pictures)
    _, contrasted, saturated = chosen[..., None, None, None].to(pictures.dtype).unbind(1)  # [B, 1, 1, 1] each
    other = torch.addcmul(luma.mean((2, 3), keepdim=True) * contrasted, luma, saturated)
    weight = torch.where(chosen, factor, 1.0).prod(1)[:, None, None, None]
    return (weight * pictures + (1 - weight) * other).clamp_(0, 1)

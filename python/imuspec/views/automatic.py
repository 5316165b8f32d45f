"""The operations of automatic augmentation, one per view: the "all augmentations" baseline of IMG2IMU.

Magnitudes are drawn uniformly from the full ranges of AutoAugment (Cubuk et al. 2019).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from imuspec.errors import unknown_name
from imuspec.views import colour
from imuspec.views.choosing import Operation, one_operation, pairs, uniform
from imuspec.views.geometry import warp
from imuspec.views.photo import PhotoViews

__all__ = ["AllViews"]

OPERATIONS = (
    "rotate", "sharpness", "shear", "contrast", "brightness", "colour",
    "invert", "solarize", "posterize", "equalize", "autocontrast",
)  # fmt: skip


class AllViews:
    """Two views of each picture, each with one random operation.

    Parameters
    ----------
    operations : tuple of str, default OPERATIONS
        Operations to draw from.
    rotate_max : float, default 30.0
        Largest rotation, degrees.
    shear_max : float, default 0.3
        Largest shear along the width or the height, which is drawn too.
    enhance_max : float, default 0.9
        Factor of sharpness, contrast, brightness and colour ~ U(1 - enhance_max, 1 + enhance_max).
    posterize_min_bits : int, default 4
        Smallest number of bits of posterize, of 8.
    after_moco : bool, default False
        Whether to draw a view of MoCo v2 first.
    """

    def __init__(
        self,
        *,
        operations: tuple[str, ...] = OPERATIONS,
        rotate_max: float = 30.0,
        shear_max: float = 0.3,
        enhance_max: float = 0.9,
        posterize_min_bits: int = 4,
        after_moco: bool = False,
    ) -> None:
        unknown = [name for name in operations if name not in OPERATIONS]
        if not operations:
            raise ValueError("operations: expected one or more, got an empty sequence")
        if unknown:
            raise ValueError(unknown_name("operations", unknown[0], OPERATIONS))
        self.rotate_max, self.shear_max, self.enhance_max = rotate_max, shear_max, enhance_max
        self.posterize_min_bits = posterize_min_bits
        self.moco = PhotoViews() if after_moco else None
        self.operations: dict[str, Operation] = {name: getattr(self, f"_{name}") for name in operations}

    def one_view(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Return one view of pictures in 0..1, not yet normalised."""
        if self.moco is not None:
            pictures = self.moco.one_view(pictures, generator)
        return one_operation(pictures, self.operations, generator)

    def __call__(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return two normalised views ``[B, 3, rows, columns]``, drawn independently."""
        return pairs(self.one_view, batch, generator)

    def _factor(self, x: Tensor, g: torch.Generator) -> Tensor:
        return uniform(len(x), 1 - self.enhance_max, 1 + self.enhance_max, g).to(x.device)

    def _rotate(self, x: Tensor, g: torch.Generator) -> Tensor:
        angle = uniform(len(x), -math.radians(self.rotate_max), math.radians(self.rotate_max), g).to(x.device)
        sine, cosine = torch.sin(angle), torch.cos(angle)
        return warp(x, torch.stack([cosine, -sine, sine, cosine], 1).view(-1, 2, 2))

    def _shear(self, x: Tensor, g: torch.Generator) -> Tensor:
        amount = uniform(len(x), -self.shear_max, self.shear_max, g).to(x.device)
        wide = (torch.rand(len(x), generator=g, device=g.device) < 0.5).to(x.device)
        one, zero = torch.ones_like(amount), torch.zeros_like(amount)
        rows = [one, torch.where(wide, amount, zero), torch.where(wide, zero, amount), one]
        return warp(x, torch.stack(rows, 1).view(-1, 2, 2))

    def _sharpness(self, x: Tensor, g: torch.Generator) -> Tensor:
        return colour.sharpness(x, self._factor(x, g))

    def _contrast(self, x: Tensor, g: torch.Generator) -> Tensor:
        return colour.contrast(x, self._factor(x, g))

    def _brightness(self, x: Tensor, g: torch.Generator) -> Tensor:
        return colour.brightness(x, self._factor(x, g))

    def _colour(self, x: Tensor, g: torch.Generator) -> Tensor:
        return colour.saturation(x, self._factor(x, g))

    def _invert(self, x: Tensor, g: torch.Generator) -> Tensor:
        del g
        return 1 - x

    def _solarize(self, x: Tensor, g: torch.Generator) -> Tensor:
        threshold = uniform(len(x), 0, 256 / 255, g).to(x.device)[:, None, None, None]
        return torch.where(x >= threshold, 1 - x, x)

    def _posterize(self, x: Tensor, g: torch.Generator) -> Tensor:
        bits = torch.randint(self.posterize_min_bits, 9, (len(x),), generator=g, device=g.device).to(x.device)
        step = (2.0 ** (8 - bits))[:, None, None, None]
        return (torch.floor((x * 255).round() / step) * step) / 255

    def _equalize(self, x: Tensor, g: torch.Generator) -> Tensor:
        del g
        levels: Tensor = functional.equalize((x * 255).round().to(torch.uint8))
        return levels / 255

    def _autocontrast(self, x: Tensor, g: torch.Generator) -> Tensor:
        del g
        changed: Tensor = functional.autocontrast(x)
        return changed

"""The views of MoCo v3: the first is always blurred; the second is rarely blurred and sometimes solarised."""

from __future__ import annotations

import torch
from torch import Tensor

from imuspec.views import colour
from imuspec.views.choosing import Operation, by_chance, normalised, one_each, uniform, unit
from imuspec.views.geometry import blur, flip, random_crop

__all__ = ["MocoV3Views", "solarize"]


def solarize(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Invert values of 0.5 or more."""
    del generator
    return torch.where(pictures >= 0.5, 1 - pictures, pictures)


class MocoV3Views:
    """Two views of each picture with different probabilities.

    Crop, jitter (0.4, 0.4, 0.2, 0.1) with probability 0.8, grey 0.2, blur 1 and 0.1, solarise 0 and 0.2, flip 0.5.

    Parameters
    ----------
    crop_min : float, default 0.08
        Smallest area of a crop, as a share of the picture.

    References
    ----------
    Chen, Xie, He 2021, An empirical study of training self-supervised vision transformers.
    """

    def __init__(self, *, crop_min: float = 0.08) -> None:
        self.crop_min = crop_min

    def _view(self, pictures: Tensor, generator: torch.Generator, *, blurred: float, solarised: float) -> Tensor:
        pictures = random_crop(pictures, generator, smallest=self.crop_min)
        pictures = by_chance(pictures, _jitter, 0.8, generator)
        pictures = by_chance(pictures, _grey, 0.2, generator)
        pictures = by_chance(pictures, blur, blurred, generator)
        pictures = by_chance(pictures, solarize, solarised, generator)
        return normalised(by_chance(pictures, flip, 0.5, generator))

    def __call__(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return two normalised views ``[B, 3, rows, columns]``."""
        pictures = unit(batch)
        return (
            self._view(pictures, generator, blurred=1.0, solarised=0.0),
            self._view(pictures, generator, blurred=0.1, solarised=0.2),
        )


def _grey(pictures: Tensor, generator: torch.Generator) -> Tensor:
    del generator
    return colour.grey(pictures).expand(-1, 3, -1, -1)


def _jitter(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Change brightness, contrast (0.4), saturation (0.2) and hue (0.1), in a random order for each picture."""

    def draw(x: Tensor, g: torch.Generator, low: float, high: float) -> Tensor:
        return uniform(len(x), low, high, g).to(x.device)

    operations: list[Operation] = [
        lambda x, g: colour.brightness(x, draw(x, g, 0.6, 1.4)),
        lambda x, g: colour.contrast(x, draw(x, g, 0.6, 1.4)),
        lambda x, g: colour.saturation(x, draw(x, g, 0.8, 1.2)),
        lambda x, g: colour.turn_hue(x, draw(x, g, -0.1, 0.1)),
    ]
    order = torch.rand(len(pictures), len(operations), generator=generator, device=generator.device).argsort(1)
    for choice in order.unbind(1):
        pictures = one_each(pictures, choice, operations, generator)
    return pictures

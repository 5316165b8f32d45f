"""The views of MoCo v3: the first is always blurred; the second is rarely blurred and sometimes solarised."""

from __future__ import annotations

import torch
from torch import Tensor

from imuspec.views import colour
from imuspec.views.choosing import by_chance, normalised, unit
from imuspec.views.geometry import blur, random_crop
from imuspec.views.photo import jittered

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

    def __call__(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return two normalised views ``[B, 3, rows, columns]``, made as one batch with probabilities of its own for each."""
        pictures = unit(batch)
        second = torch.arange(2 * len(pictures), device=generator.device) >= len(pictures)  # [2 B]
        flipped = torch.rand(len(second), generator=generator, device=generator.device) < 0.5
        both = torch.cat([pictures, pictures])
        both = random_crop(both, generator, smallest=self.crop_min, flipped=flipped.to(both.device))
        both = by_chance(both, _jitter, 0.8, generator)
        both = by_chance(both, _grey, 0.2, generator)
        both = by_chance(both, blur, torch.where(second, 0.1, 1.0), generator)
        both = by_chance(both, solarize, torch.where(second, 0.2, 0.0), generator)
        one, two = normalised(both).chunk(2)
        return one, two


def _grey(pictures: Tensor, generator: torch.Generator) -> Tensor:
    del generator
    return colour.grey(pictures).expand(-1, 3, -1, -1)


def _jitter(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Change brightness, contrast (0.4), saturation (0.2) and hue (0.1), in a random order for each picture."""
    return jittered(pictures, generator, ((0.6, 1.4), (0.6, 1.4), (0.8, 1.2)), 0.1)

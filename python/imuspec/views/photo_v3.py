"""The views of MoCo v3: the first is always blurred; the second is rarely blurred and sometimes solarised."""

from __future__ import annotations

import torch
from torch import Tensor

from imuspec.views import colour
from imuspec.views.choosing import by_chance, normalised, unit
from imuspec.views.geometry import blur, flip, random_crop
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
    return jittered(pictures, generator, ((0.6, 1.4), (0.6, 1.4), (0.8, 1.2)), 0.1)

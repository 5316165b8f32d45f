"""The views of photographs in MoCo and SimSiam: crop, colour jitter, grey, blur, flip.

Source: He et al. 2020 (version 1), Chen et al. 2020 and Chen and He 2021 (version 2). Pictures already have the size of the
encoder, so an aspect ratio of 1 is that of the picture.
"""

from __future__ import annotations

import torch
from torch import Tensor

from imuspec.views import colour
from imuspec.views.choosing import by_chance, normalised, one_each, uniform, unit
from imuspec.views.geometry import blur, flip, random_crop

__all__ = ["PhotoViews", "colour_jitter"]


def colour_jitter(pictures: Tensor, generator: torch.Generator, *, most: float = 0.4, most_hue: float = 0.1) -> Tensor:
    """Scale brightness, contrast and saturation by U(1 - most, 1 + most), and rotate the hue by U(-most_hue, most_hue).

    The order of the four operations is random for each picture, as in torchvision's ``ColorJitter``.
    """
    n = len(pictures)
    low, high = max(0.0, 1 - most), 1 + most

    def factor(x: Tensor, g: torch.Generator) -> Tensor:
        return uniform(len(x), low, high, g).to(x.device)

    operations = [
        lambda x, g: colour.brightness(x, factor(x, g)),
        lambda x, g: colour.contrast(x, factor(x, g)),
        lambda x, g: colour.saturation(x, factor(x, g)),
        lambda x, g: colour.turn_hue(x, uniform(len(x), -most_hue, most_hue, g).to(x.device)),
    ]
    order = torch.rand(n, len(operations), generator=generator, device=generator.device).argsort(1)
    for choice in order.unbind(1):
        pictures = one_each(pictures, choice, operations, generator)
    return pictures


class PhotoViews:
    """Two views of each picture by MoCo's operations.

    Parameters
    ----------
    version : int, default 2
        2: crop, jitter with probability 0.8, grey, blur, flip (MoCo v2, SimSiam). 1: crop, grey, jitter, flip (MoCo v1), with
        `jitter` for the hue too.
    crop_min : float, default 0.2
        Smallest area of a crop, as a share of the picture.
    jitter : float, default 0.4
        `most` of `colour_jitter`.
    jitter_hue : float, default 0.1
        `most_hue` of `colour_jitter`.
    grey_probability : float, default 0.2
        Probability of grey.
    blur_probability : float, default 0.5
        Probability of blur.
    blur_sigma_max : float, default 2.0
        Largest sigma of the blur, pixels.
    flip_probability : float, default 0.5
        Probability of a flip.
    """

    def __init__(
        self,
        *,
        version: int = 2,
        crop_min: float = 0.2,
        jitter: float = 0.4,
        jitter_hue: float = 0.1,
        grey_probability: float = 0.2,
        blur_probability: float = 0.5,
        blur_sigma_max: float = 2.0,
        flip_probability: float = 0.5,
    ) -> None:
        self.version, self.crop_min = version, crop_min
        self.jitter, self.jitter_hue = jitter, jitter_hue if version == 2 else jitter
        self.grey_probability, self.flip_probability = grey_probability, flip_probability
        self.blur_probability, self.blur_sigma_max = blur_probability, blur_sigma_max

    def one_view(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Return one view of pictures in 0..1, not yet normalised."""

        def jittered(x: Tensor, g: torch.Generator) -> Tensor:
            return colour_jitter(x, g, most=self.jitter, most_hue=self.jitter_hue)

        def greyed(x: Tensor, g: torch.Generator) -> Tensor:
            del g
            return colour.grey(x).expand(-1, 3, -1, -1)

        pictures = random_crop(pictures, generator, smallest=self.crop_min)
        if self.version == 1:
            pictures = by_chance(pictures, greyed, self.grey_probability, generator)
            pictures = jittered(pictures, generator)
        else:
            pictures = by_chance(pictures, jittered, 0.8, generator)
            pictures = by_chance(pictures, greyed, self.grey_probability, generator)
            pictures = by_chance(
                pictures, lambda x, g: blur(x, g, widest=self.blur_sigma_max), self.blur_probability, generator
            )
        return by_chance(pictures, flip, self.flip_probability, generator)

    def __call__(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return two normalised views ``[B, 3, rows, columns]``, drawn independently."""
        pictures = unit(batch)
        return normalised(self.one_view(pictures, generator)), normalised(self.one_view(pictures, generator))

"""The views of photographs in MoCo and SimSiam: crop, colour jitter, grey, blur, flip.

Source: He et al. 2020 (version 1), Chen et al. 2020 and Chen and He 2021 (version 2). Pictures already have the size of the
encoder, so an aspect ratio of 1 is that of the picture.
"""

from __future__ import annotations

import torch
from torch import Tensor

from imuspec.views import colour
from imuspec.views.choosing import by_chance, constant, pairs
from imuspec.views.geometry import blur, random_crop

__all__ = ["PhotoViews", "colour_jitter", "jittered"]


def colour_jitter(pictures: Tensor, generator: torch.Generator, *, most: float = 0.4, most_hue: float = 0.1) -> Tensor:
    """Scale brightness, contrast and saturation by U(1 - most, 1 + most), and rotate the hue by U(-most_hue, most_hue).

    The order of the four operations is random for each picture, as in torchvision's ``ColorJitter``.
    """
    low, high = max(0.0, 1 - most), 1 + most
    return jittered(pictures, generator, ((low, high), (low, high), (low, high)), most_hue)


def jittered(
    pictures: Tensor, generator: torch.Generator, ranges: tuple[tuple[float, float], ...], most_hue: float
) -> Tensor:
    """Scale brightness, contrast and saturation, and rotate the hue, in a random order for each picture.

    Parameters
    ----------
    pictures : Tensor
        ``[B, 3, rows, columns]`` in 0..1.
    generator : torch.Generator
        Source of the factors, turns and orders.
    ranges : tuple of tuple of float
        Smallest and largest factor of brightness, contrast and saturation.
    most_hue : float
        Largest turn of the hue, a fraction of the circle.
    """
    drawn = torch.rand(len(pictures), 8, generator=generator, device=generator.device).to(pictures.device)
    low, high = (constant(tuple(limits), torch.float32, pictures.device) for limits in zip(*ranges, strict=True))
    factor = torch.lerp(low, high, drawn[:, :3])  # [B, 3]
    rank = drawn[:, 4:].argsort(1)  # [B, 4], a random permutation
    return colour.in_any_order(pictures, rank, factor, most_hue * (2 * drawn[:, 3] - 1))


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

        def jitter(x: Tensor, g: torch.Generator) -> Tensor:
            return colour_jitter(x, g, most=self.jitter, most_hue=self.jitter_hue)

        def greyed(x: Tensor, g: torch.Generator) -> Tensor:
            del g
            return colour.grey(x).expand(-1, 3, -1, -1)

        drawn = torch.rand(len(pictures), generator=generator, device=generator.device)
        flipped = (drawn < self.flip_probability).to(pictures.device)  # the other operations treat both sides alike
        pictures = random_crop(pictures, generator, smallest=self.crop_min, flipped=flipped)
        if self.version == 1:
            pictures = by_chance(pictures, greyed, self.grey_probability, generator)
            pictures = jitter(pictures, generator)
        else:
            pictures = by_chance(pictures, jitter, 0.8, generator)
            pictures = by_chance(pictures, greyed, self.grey_probability, generator)
            pictures = by_chance(
                pictures, lambda x, g: blur(x, g, widest=self.blur_sigma_max), self.blur_probability, generator
            )
        return pictures

    def __call__(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return two normalised views ``[B, 3, rows, columns]``, drawn independently."""
        return pairs(self.one_view, batch, generator)

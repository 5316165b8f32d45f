"""What contrastive learning shows the encoder: two views of each picture, drawn on the batch's own device.

A view generator is called with a batch and a `torch.Generator`, from which alone every draw comes, and returns a tuple of
tensors for the objective. Pictures come as uint8 or as floats in 0..1, ``[B, 3, rows, columns]``; views go out
normalised by ImageNet's mean and standard deviation. To add a generator, give its maker a name in `REGISTRY`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from imuspec.recipe.registry import Registry
from imuspec.views.choosing import normalised, unit

__all__ = ["REGISTRY", "Whole", "build", "names", "normalised", "unit"]

Views = Callable[[Any, torch.Generator], tuple[Tensor, ...]]

REGISTRY: Registry[Views] = Registry(
    "views",
    {
        "all": "imuspec.views.automatic:AllViews",
        "img2imu": "imuspec.views.sensor:SensorViews",
        "moco": "imuspec.views.photo:PhotoViews",
        "moco_v3": "imuspec.views.photo_v3:MocoV3Views",
        "signal_pair": "imuspec.views.pretext:SignalPair",
        "span_mask": "imuspec.views.pretext:SpanMask",
        "transform_copies": "imuspec.views.pretext:TransformCopies",
        "transform_labels": "imuspec.views.pretext:TransformLabels",
        "unchanged": "imuspec.views.pretext:Unchanged",
        "whole": "imuspec.views:Whole",
    },
    listing="imuspec.views.names()",
)


def names() -> list[str]:
    """Return the names that `build` knows."""
    return REGISTRY.names()


def build(name: str, **settings: Any) -> Views:
    """Return a view generator.

    Parameters
    ----------
    name : str
        A name of `names`.
    **settings
        Settings of the generator's class.

    Raises
    ------
    ValueError
        If no generator has that name, or it has no such setting.
    """
    return REGISTRY.build(name, **settings)


class Whole:
    """The pictures as they are, normalised, with their labels if they come with any."""

    def __call__(self, batch: Tensor | tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return the normalised pictures, and what came with them."""
        del generator
        pictures, *rest = batch if isinstance(batch, tuple) else (batch,)
        return (normalised(unit(pictures)), *rest)

"""Views of windows and pictures for self-supervised learning, drawn on the device of the batch.

A view generator is a callable of a batch and a `torch.Generator`, the source of all its draws. It returns a tuple of tensors
for the objective. Pictures ``[B, 3, rows, columns]`` are uint8 or floats in 0..1; their views are normalised with ImageNet's
mean and standard deviation. A new generator gets a name in `REGISTRY`.
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
    """Return the names of all view generators."""
    return REGISTRY.names()


def build(name: str, **settings: Any) -> Views:
    """Return a view generator.

    Parameters
    ----------
    name : str
        One of `names`.
    **settings : object
        Settings of the generator.

    Raises
    ------
    ValueError
        If no generator has that name, or it has no such setting.
    """
    return REGISTRY.build(name, **settings)


class Whole:
    """The unchanged pictures, normalised, with labels if the batch has any."""

    def __call__(self, batch: Tensor | tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return the normalised pictures, and the other tensors of the batch."""
        del generator
        pictures, *rest = batch if isinstance(batch, tuple) else (batch,)
        return (normalised(unit(pictures)), *rest)

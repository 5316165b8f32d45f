"""What contrastive learning shows the encoder: two views of each picture, drawn on the batch's own device.

A view generator is called with a batch and a `torch.Generator`, from which alone every draw comes, and returns a tuple of
tensors for the objective. Pictures come as uint8 or as floats in 0..1, ``[B, 3, rows, columns]``; views go out
normalised by ImageNet's mean and standard deviation. To add a generator, give its maker a name in `REGISTRY`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from imuspec.views.choosing import normalised, unit

__all__ = ["REGISTRY", "Whole", "build", "names", "normalised", "unit"]

Views = Callable[[Any, torch.Generator], tuple[Tensor, ...]]

# name -> module and maker, imported when asked for
REGISTRY: dict[str, tuple[str, str]] = {
    "img2imu": ("imuspec.views.sensor", "SensorViews"),
    "moco": ("imuspec.views.photo", "PhotoViews"),
    "all": ("imuspec.views.automatic", "AllViews"),
    "moco_v3": ("imuspec.views.photo_v3", "MocoV3Views"),
    "plain": ("imuspec.views.pretext", "Plain"),
    "signal_pair": ("imuspec.views.pretext", "SignalPair"),
    "span_mask": ("imuspec.views.pretext", "SpanMask"),
    "transform_copies": ("imuspec.views.pretext", "TransformCopies"),
    "transform_labels": ("imuspec.views.pretext", "TransformLabels"),
    "whole": ("imuspec.views", "Whole"),
}


def names() -> list[str]:
    """Names that `build` knows."""
    return sorted(REGISTRY)


def build(name: str, **settings: Any) -> Views:
    """Return a view generator.

    Raises
    ------
    ValueError
        A name that is none, or a setting that it does not have; the message says which there are.
    """
    if name not in REGISTRY:
        raise ValueError(f"views: expected one of {', '.join(names())}, got {name!r}")
    module, attribute = REGISTRY[name]
    maker = cast("Callable[..., Views]", getattr(importlib.import_module(module), attribute))
    known = list(inspect.signature(maker).parameters)
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(f"views {name}: expected settings of {', '.join(known)}, got {', '.join(unknown)}")
    return maker(**settings)


class Whole:
    """The pictures as they are, normalised, with their labels if they come with any."""

    def __call__(self, batch: Tensor | tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return the normalised pictures, and what came with them."""
        del generator
        pictures, *rest = batch if isinstance(batch, tuple) else (batch,)
        return (normalised(unit(pictures)), *rest)

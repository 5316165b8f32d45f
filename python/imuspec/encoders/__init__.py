"""Encoders: batches of pictures or windows to embeddings, by name.

An encoder is a `torch.nn.Module` with ``kind`` ("image" or "signal"), ``n_features``, ``forward(x) -> [B, n_features]``
and ``layers(x)``, its named intermediate embeddings. To add one, give its maker a name in `REGISTRY`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from torch import Tensor, nn

from imuspec.encoders.weights import load_weights

__all__ = ["REGISTRY", "Encoder", "build", "built_as", "load_weights", "names"]

# name -> module and maker, imported when asked for, so that no encoder pays for another's libraries
REGISTRY: dict[str, tuple[str, str]] = {
    "cnn1d": ("imuspec.encoders.cnn1d", "Cnn1d"),
    "cpc": ("imuspec.encoders.cpc", "Cpc"),
    "cpc_original": ("imuspec.encoders.cpc", "CpcOriginal"),
    "fusion": ("imuspec.encoders.fusion", "fusion"),
    "acceleration_alone": ("imuspec.encoders.fusion", "acceleration_alone"),
    "harnet": ("imuspec.encoders.harnet", "Harnet"),
    "limu_bert": ("imuspec.encoders.limu_bert", "LimuBert"),
    "resnet18": ("imuspec.encoders.resnet", "resnet18"),
    "resnet50": ("imuspec.encoders.resnet", "resnet50"),
    "roformer": ("imuspec.encoders.roformer", "RoFormer"),
    "single_axis": ("imuspec.encoders.fusion", "single_axis"),
    "standardised": ("imuspec.encoders.standardised", "standardised"),
    "tpn": ("imuspec.encoders.tpn", "Tpn"),
    "vit": ("imuspec.encoders.vit", "Vit"),
}


class Encoder(Protocol):
    """What is asked of an encoder besides being a module."""

    kind: Literal["image", "signal"]
    n_features: int

    def __call__(self, x: Tensor) -> Tensor:
        """Return embeddings ``[B, n_features]``."""
        ...

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the named embeddings on the way, each ``[B, features]``."""
        ...


def names() -> list[str]:
    """Names that `build` knows."""
    return sorted(REGISTRY)


def build(name: str, **settings: Any) -> nn.Module:
    """Return an encoder by name; it remembers how it was built, so that a Run can keep it.

    Raises
    ------
    ValueError
        A name that is none, or a setting that this encoder does not have; the message says which there are.
    """
    if name not in REGISTRY:
        raise ValueError(f"encoder: expected one of {', '.join(names())}, got {name!r}")
    module, attribute = REGISTRY[name]
    maker = cast("Callable[..., nn.Module]", getattr(importlib.import_module(module), attribute))
    known = list(inspect.signature(maker).parameters)
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(f"encoder {name}: expected settings of {', '.join(known)}, got {', '.join(unknown)}")
    encoder = maker(**settings)
    encoder._built_as = (name, {key: str(v) if isinstance(v, Path) else v for key, v in settings.items()})  # type: ignore[assignment]  # no Tensor
    return encoder


def built_as(encoder: nn.Module) -> tuple[str, dict[str, Any]]:
    """Return the name and settings with which `build` made an encoder."""
    built = getattr(encoder, "_built_as", None)
    if built is None:
        raise ValueError(f"encoder: expected one that encoders.build made, got a {type(encoder).__name__} of its own")
    return cast("tuple[str, dict[str, Any]]", built)

"""Encoders: batches of pictures or windows to embeddings, by name.

An encoder is a `torch.nn.Module` with ``kind`` ("image" or "signal"), ``n_features``, ``forward(x) -> [B, n_features]``
and ``layers(x)``, its named intermediate embeddings. To add one, give its maker a name in `REGISTRY`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Protocol, cast

from torch import Tensor, nn

from imuspec.encoders.weights import load_weights
from imuspec.recipe.registry import Registry

__all__ = ["REGISTRY", "Encoder", "build", "built_as", "load_weights", "names"]

REGISTRY: Registry[nn.Module] = Registry(
    "encoder",
    {
        "acceleration_alone": "imuspec.encoders.fusion:acceleration_alone",
        "cnn1d": "imuspec.encoders.cnn1d:Cnn1d",
        "cpc": "imuspec.encoders.cpc:Cpc",
        "cpc_original": "imuspec.encoders.cpc:CpcOriginal",
        "fusion": "imuspec.encoders.fusion:fusion",
        "harnet": "imuspec.encoders.harnet:Harnet",
        "limu_bert": "imuspec.encoders.limu_bert:LimuBert",
        "resnet18": "imuspec.encoders.resnet:resnet18",
        "resnet50": "imuspec.encoders.resnet:resnet50",
        "roformer": "imuspec.encoders.roformer:RoFormer",
        "single_axis": "imuspec.encoders.fusion:single_axis",
        "standardised": "imuspec.encoders.standardised:standardised",
        "tpn": "imuspec.encoders.tpn:Tpn",
        "vit": "imuspec.encoders.vit:Vit",
    },
    listing="imuspec.encoders.names()",
)


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
    return REGISTRY.names()


def build(name: str, **settings: Any) -> nn.Module:
    """Return an encoder by name; it remembers how it was built, so that a Run can keep it.

    Raises
    ------
    ValueError
        A name that is none, or a setting that this encoder does not have; the message says which there are.
    """
    encoder = REGISTRY.build(name, **settings)
    encoder._built_as = (name, {key: str(v) if isinstance(v, Path) else v for key, v in settings.items()})  # type: ignore[assignment]  # no Tensor
    return encoder


def built_as(encoder: nn.Module) -> tuple[str, dict[str, Any]]:
    """Return the name and settings with which `build` made an encoder."""
    built = getattr(encoder, "_built_as", None)
    if built is None:
        raise ValueError(f"encoder: expected one that encoders.build made, got a {type(encoder).__name__} of its own")
    return cast("tuple[str, dict[str, Any]]", built)

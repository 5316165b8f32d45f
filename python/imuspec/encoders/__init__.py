"""Encoders: batches of pictures or windows to embeddings, by name.

An encoder is an `imuspec.encoders.Encoder`: ``forward(x) -> [B, n_features]`` and ``layers(x)``, its intermediate
embeddings by name. To add one, subclass it and add its maker to `REGISTRY`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imuspec.encoders.encoder import Encoder, EncoderSpec
from imuspec.encoders.weights import load_weights
from imuspec.recipe.registry import Registry

__all__ = ["REGISTRY", "Encoder", "EncoderSpec", "build", "load_weights", "names"]

REGISTRY: Registry[Encoder] = Registry(
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


def names() -> list[str]:
    """Return the names that `build` knows."""
    return REGISTRY.names()


def build(name: str, **settings: Any) -> Encoder:
    """Return a new encoder, which remembers in ``spec`` how it was built.

    Parameters
    ----------
    name : str
        A name of `names`.
    **settings
        Settings of the encoder's class or function.

    Raises
    ------
    ValueError
        If no encoder has that name, or it has no such setting.
    """
    encoder = REGISTRY.build(name, **settings)
    encoder.spec = EncoderSpec(name, {key: str(v) if isinstance(v, Path) else v for key, v in settings.items()})
    return encoder

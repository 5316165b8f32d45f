"""Encoders by name. An encoder maps a batch of windows or pictures to embeddings.

``encoder(x)`` returns the embeddings ``[B, n_features]``, and ``encoder.layers(x)`` the intermediate embeddings by name. To
add an encoder, subclass `Encoder` and add the class, or a function that builds it, to `REGISTRY`.
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
        "efficientnet_lite0": "imuspec.encoders.efficientnet:efficientnet_lite0",
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
    """Return the names of all encoders, sorted."""
    return REGISTRY.names()


def build(name: str, **settings: Any) -> Encoder:
    """Return a new encoder. Its ``spec`` holds the name and the settings, so that a run can build it again.

    Parameters
    ----------
    name : str
        Name of the encoder, one of `names`.
    **settings : object
        Keyword arguments of the encoder's class or function.

    Raises
    ------
    ValueError
        If `name` is not a known encoder, or a setting is not one of its arguments.
    """
    encoder = REGISTRY.build(name, **settings)
    encoder.spec = EncoderSpec(name, {key: str(v) if isinstance(v, Path) else v for key, v in settings.items()})
    return encoder

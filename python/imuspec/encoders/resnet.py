"""torchvision's ResNet-18 and ResNet-50 without their last layer, for pictures of any size."""

from __future__ import annotations

from typing import Literal

import torch
import torchvision
from torch import Tensor

from imuspec.encoders.encoder import Encoder
from imuspec.encoders.weights import load_weights

__all__ = ["ResNet", "resnet18", "resnet50"]

IMAGENET = "https://download.pytorch.org/models/resnet18-f37072fd.pth"


class ResNet(Encoder):
    """All of torchvision's ResNet-18 or ResNet-50 but the last layer, with torchvision's parameter names.

    A picture of 96 x 128 pixels has feature maps of 24 x 32, 12 x 16, 6 x 8 and 3 x 4. The embedding is the mean of the last
    map: 512 features, or 2,048 for ResNet-50.

    Parameters
    ----------
    depth : {18, 50}, default 18
        Number of layers.
    zero_init_residual : bool, default False
        Whether the last norm of each residual block starts at zero.

    References
    ----------
    He et al. 2016, Deep residual learning for image recognition, table 1.
    """

    kind = "image"

    def __init__(self, *, depth: Literal[18, 50] = 18, zero_init_residual: bool = False) -> None:
        super().__init__()
        make = torchvision.models.resnet18 if depth == 18 else torchvision.models.resnet50
        whole = make(zero_init_residual=zero_init_residual)
        self.n_features = int(whole.fc.in_features)
        self.conv1, self.bn1, self.relu, self.maxpool = whole.conv1, whole.bn1, whole.relu, whole.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = whole.layer1, whole.layer2, whole.layer3, whole.layer4

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """Return the feature maps of the stem and the four stages.

        Parameters
        ----------
        x : Tensor
            Normalised pictures ``[B, 3, rows, columns]``.

        Returns
        -------
        dict of str to Tensor
            ``stem`` and ``layer1`` to ``layer4``, each ``[B, channels, rows, columns]``. The comments show the shapes of
            ResNet-18 for pictures of 96 x 128.
        """
        maps = {"stem": self.maxpool(self.relu(self.bn1(self.conv1(x))))}  # [B, 64, 24, 32]
        maps["layer1"] = self.layer1(maps["stem"])  # [B, 64, 24, 32]
        maps["layer2"] = self.layer2(maps["layer1"])  # [B, 128, 12, 16]
        maps["layer3"] = self.layer3(maps["layer2"])  # [B, 256, 6, 8]
        maps["layer4"] = self.layer4(maps["layer3"])  # [B, 512, 3, 4]
        return maps

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the mean over rows and columns of each map of `maps`: 64, 64, 128, 256 and 512 features of ResNet-18."""
        return {name: value.mean((2, 3)) for name, value in self.maps(x).items()}

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings ``[B, features]`` of normalised pictures ``[B, 3, rows, columns]``."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return torch.flatten(self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3), keepdim=True), 1)


def resnet18(*, weights: str = "random", zero_init_residual: bool = False) -> ResNet:
    """Return a ResNet-18 encoder.

    Parameters
    ----------
    weights : str, default "random"
        "random", "imagenet" (torchvision's IMAGENET1K_V1 file, downloaded once and compared with its checksum), or the path
        or URL of a weights file. `imuspec.encoders.weights.read_weights` lists the formats.
    zero_init_residual : bool, default False
        Whether the last norm of each residual block starts at zero. It has no effect on weights from a file.

    Raises
    ------
    FileNotFoundError
        If there is no file at the path.
    ValueError
        If the file does not hold weights of a ResNet-18.
    """
    encoder = ResNet(zero_init_residual=zero_init_residual)
    if weights != "random":
        load_weights(encoder, IMAGENET if weights == "imagenet" else weights)
    return encoder


def resnet50(*, weights: str = "random", zero_init_residual: bool = False) -> ResNet:
    """Return a ResNet-50 encoder, the architecture of MoCo's public weights.

    Parameters
    ----------
    weights : str, default "random"
        "random", or the path or URL of a weights file.
    zero_init_residual : bool, default False
        As in `resnet18`.
    """
    encoder = ResNet(depth=50, zero_init_residual=zero_init_residual)
    if weights != "random":
        load_weights(encoder, weights)
    return encoder

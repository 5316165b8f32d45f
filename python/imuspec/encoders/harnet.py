"""HARNet: a residual network on ten seconds of wrist acceleration at 30 Hz, with the keys of the public weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders.encoder import Encoder

__all__ = ["Harnet", "HarnetClassifier"]


@dataclass(frozen=True)
class _Stage:
    width: int
    n_blocks: int
    factor: int
    order: int


# Seconds of a window -> stages.
_STAGES = {
    5: (_Stage(64, 2, 2, 2), _Stage(128, 2, 2, 2), _Stage(256, 2, 3, 1), _Stage(256, 2, 3, 1), _Stage(512, 0, 3, 1)),
    10: (_Stage(64, 2, 2, 2), _Stage(128, 2, 2, 2), _Stage(256, 2, 5, 1), _Stage(512, 2, 5, 1), _Stage(1024, 0, 3, 1)),
    30: (_Stage(64, 2, 3, 1), _Stage(128, 2, 3, 1), _Stage(256, 2, 5, 1), _Stage(512, 2, 5, 1), _Stage(1024, 0, 4, 0)),
}
_KERNEL = 5
_RATE = 30


def _convolution(n_in: int, n_out: int) -> nn.Conv1d:
    return nn.Conv1d(n_in, n_out, _KERNEL, padding=_KERNEL // 2, padding_mode="circular", bias=False)


class _ResBlock(nn.Module):
    """``x + conv2(relu(bn2(conv1(relu(bn1(x))))))``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm1d(width)
        self.bn2 = nn.BatchNorm1d(width)
        self.conv1 = _convolution(width, width)
        self.conv2 = _convolution(width, width)

    def forward(self, x: Tensor) -> Tensor:  # [B, width, time]
        h = self.conv1(functional.relu(self.bn1(x)))
        out: Tensor = x + self.conv2(functional.relu(self.bn2(h)))
        return out


class _Downsample(nn.Module):
    """A fixed low-pass and every ``factor``-th value of it. The kernel is ``order + 1`` boxes convolved, with sum 1."""

    kernel: Tensor

    def __init__(self, width: int, factor: int, order: int) -> None:
        super().__init__()
        box = torch.ones(1, 1, factor, dtype=torch.float64)
        kernel = box
        for _ in range(order):
            kernel = functional.conv1d(kernel, box, padding=factor - 1)
        kernel = (kernel / kernel.sum()).float()
        self.register_buffer("kernel", kernel.repeat(width, 1, 1))  # [width, 1, length]
        self.factor, self.padding = factor, order * (factor - 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv1d(x, self.kernel, stride=self.factor, padding=self.padding, groups=x.shape[1])


class Harnet(Encoder):
    """Five stages of convolution, residual blocks, batch norm, ReLU and downsampling, from a window to one frame.

    For 10 s the stages have 64, 128, 256, 512 and 1024 channels, the lengths are 300 -> 150, 75, 15, 3, 1, and there are
    10,457,408 parameters. Convolutions have circular padding.

    Parameters
    ----------
    window_s : {5, 10, 30}, default 10
        Length of a window, s: harnet5, harnet10, harnet30.
    clip_g : float, optional
        Limit of the acceleration, g: values are clipped to plus and minus it. By default there is no limit. The authors clip
        some of their data sets at 3 g.

    Raises
    ------
    ValueError
        If `window_s` is not a known length, or a window has another number of axes or samples.

    References
    ----------
    Yuan et al. 2024, Self-supervised learning for human activity recognition using 700,000 person-days of wearable data.
    This code was written from the description of the network. The public weights are for academic use only.

    Examples
    --------
    >>> import torch
    >>> from imuspec.encoders.harnet import Harnet
    >>> Harnet().eval()(torch.zeros(2, 3, 300)).shape
    torch.Size([2, 1024])
    """

    kind = "signal"
    n_axes = 3

    def __init__(self, *, window_s: Literal[5, 10, 30] = 10, clip_g: float | None = None) -> None:
        super().__init__()
        if window_s not in _STAGES:
            raise ValueError(f"window_s: expected one of {sorted(_STAGES)}, got {window_s}")
        self.window_s, self.clip_g = window_s, clip_g
        self.n_samples = window_s * _RATE
        self.feature_extractor = nn.Sequential()
        n_in = self.n_axes
        for i, stage in enumerate(_STAGES[window_s], 1):
            self.feature_extractor.add_module(f"layer{i}", _stage(n_in, stage))
            n_in = stage.width
        self.n_features = n_in

    def input_shape(self, n_samples: int | None = None) -> tuple[int, ...]:
        """Return (axes, samples), by default those of the only windows that the encoder takes."""
        return (self.n_axes, n_samples or self.n_samples)

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings ``[B, features]`` of windows ``[B, 3, time]``, g, at 30 Hz."""
        return self.layers(x)["embedding"]

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the mean over time of each stage, ``layer1`` to ``layer5``; ``embedding`` is the last."""
        if x.shape[1:] != (self.n_axes, self.n_samples):
            raise ValueError(f"x: expected [B, {self.n_axes}, {self.n_samples}] at 30 Hz, got {list(x.shape)}")
        if self.clip_g is not None:
            x = x.clamp(-self.clip_g, self.clip_g)
        layers: dict[str, Tensor] = {}
        for name, stage in self.feature_extractor.named_children():
            x = stage(x)  # [B, width of the stage, time]
            layers[name] = x.mean(-1)
        layers["embedding"] = x.flatten(1)  # from [B, features, 1]
        return layers


def _stage(n_in: int, stage: _Stage) -> nn.Sequential:
    return nn.Sequential(
        _convolution(n_in, stage.width),
        *(_ResBlock(stage.width) for _ in range(stage.n_blocks)),
        nn.BatchNorm1d(stage.width),
        nn.ReLU(),
        _Downsample(stage.width, stage.factor, stage.order),
    )


class _Head(nn.Module):
    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(n_features, 512)
        self.linear2 = nn.Linear(512, n_classes)

    def forward(self, features: Tensor) -> Tensor:
        scores: Tensor = self.linear2(functional.relu(self.linear1(features)))
        return scores


class HarnetClassifier(Harnet):
    """HARNet with the authors' classifier, features -> 512 -> classes.

    For 10 s and six classes it has 135 keys and 10,985,286 parameters.

    Parameters
    ----------
    n_classes : int
        Number of classes.
    window_s : {5, 10, 30}, default 10
        As in :class:`Harnet`.
    clip_g : float, optional
        As in :class:`Harnet`.
    """

    def __init__(self, n_classes: int, *, window_s: Literal[5, 10, 30] = 10, clip_g: float | None = None) -> None:
        super().__init__(window_s=window_s, clip_g=clip_g)
        self.classifier = _Head(self.n_features, n_classes)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits ``[B, classes]`` of windows ``[B, 3, time]``, g, at 30 Hz."""
        scores: Tensor = self.classifier(self(x))
        return scores

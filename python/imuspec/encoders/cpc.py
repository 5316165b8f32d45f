"""The encoders of contrastive predictive coding: frames of a window, and a context that has seen only the past."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders.cnn1d import Cnn1d
from imuspec.encoders.encoder import Encoder

__all__ = ["Cpc", "CpcOriginal"]

# Output width, kernel and stride of the convolutions that make frames.
_FRAMES = ((32, 4, 2), (64, 4, 2), (128, 1, 1), (256, 1, 1))


class CpcOriginal(Encoder):
    """A frame of 128 numbers for each sample (:class:`Cnn1d`), read by a GRU of two layers of 256.

    The embedding is the context after the last frame.

    Parameters
    ----------
    n_axes : int, default 3
        Axes of a window.
    dropout : float, default 0.2
        Share of activations that training drops, in the frames and between the GRU's layers.

    References
    ----------
    Haresamudram, Essa, Ploetz 2021, Contrastive predictive coding for human activity recognition.

    Examples
    --------
    >>> import torch
    >>> from imuspec.encoders.cpc import CpcOriginal
    >>> CpcOriginal()(torch.zeros(2, 3, 50)).shape
    torch.Size([2, 256])
    """

    kind = "signal"
    n_features = 256
    n_frame_features = 128

    def __init__(self, *, n_axes: int = 3, dropout: float = 0.2) -> None:
        super().__init__()
        self.n_axes = n_axes
        self.convolutions = Cnn1d(n_axes=n_axes, dropout=dropout)
        self.gru = nn.GRU(self.n_frame_features, self.n_features, 2, batch_first=True, dropout=dropout)

    def frames(self, x: Tensor) -> Tensor:
        """[B, axes, time] -> [B, 128, time]."""
        return self.convolutions.frames(x)

    def context(self, frames: Tensor) -> Tensor:
        """[B, 128, frame] -> [B, 256, frame]; frame t has seen frames 0..t."""
        states: Tensor = self.gru(frames.transpose(1, 2))[0]  # [B, frame, 256]
        return states.transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """[B, axes, time] -> [B, 256]."""
        return self.context(self.frames(x))[..., -1]

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the frames' maximum (``frames``) and the last context (``embedding``)."""
        frames = self.frames(x)  # [B, 128, time]
        return {"frames": frames.amax(-1), "embedding": self.context(frames)[..., -1]}


class Cpc(Encoder):
    """Frames of 256 numbers from strided convolutions, a context from causal ones, its maximum over time.

    Frames: 32 channels (kernel 4, stride 2), 64 (4, 2), 128 (1), 256 (1), without bias and padding. Context layer ``l``
    looks back over 2, 3, 4, ... frames: ``c <- sqrt(1/2) (c + relu(norm(conv(c))))``, the first frame repeated before the
    beginning.

    Parameters
    ----------
    n_axes : int, default 3
        Axes of a window.
    n_layers : int, default 5
        Causal layers, with kernels of 2 to ``n_layers + 1`` frames. The authors searched 2 to 6.
    dropout : float, default 0.2
        Share of activations that training drops.
    norm : {"window", "frame"}, default "window"
        ``window``: one mean and variance over all channels and frames of a window, as in the authors' code; through
        these two numbers a context depends a little on the future. ``frame``: over the channels of each frame, strictly
        causal.

    Attributes
    ----------
    stride, receptive_field : int
        Of a frame, samples: 4 and 10.
    offset : int
        Frames after which no sample is shared.

    Raises
    ------
    ValueError
        If `norm` is another word.

    References
    ----------
    Haresamudram, Essa, Ploetz 2023, Investigating enhancements to contrastive predictive coding for human activity
    recognition.

    Examples
    --------
    >>> import torch
    >>> from imuspec.encoders.cpc import Cpc
    >>> encoder = Cpc()
    >>> encoder.frames(torch.zeros(2, 3, 100)).shape, encoder(torch.zeros(2, 3, 100)).shape
    (torch.Size([2, 256, 23]), torch.Size([2, 256]))
    """

    kind = "signal"
    n_features = _FRAMES[-1][0]
    n_frame_features = _FRAMES[-1][0]

    def __init__(
        self,
        *,
        n_axes: int = 3,
        n_layers: int = 5,
        dropout: float = 0.2,
        norm: Literal["window", "frame"] = "window",
    ) -> None:
        super().__init__()
        if norm not in ("window", "frame"):
            raise ValueError(f"norm: expected window or frame, got {norm!r}")
        self.n_axes = n_axes
        widths = (n_axes, *(width for width, _, _ in _FRAMES))
        self.convolutions = nn.ModuleList(
            nn.Sequential(nn.Conv1d(n_in, n_out, kernel, stride, bias=False), nn.ReLU(), nn.Dropout(dropout))
            for n_in, (n_out, kernel, stride) in zip(widths, _FRAMES, strict=False)
        )
        self.causal = nn.ModuleList(
            _Causal(self.n_features, kernel, dropout, norm) for kernel in range(2, n_layers + 2)
        )
        self.stride, self.receptive_field = _reach(_FRAMES)

    @property
    def offset(self) -> int:
        """Frames to the first that shares no sample: ``ceil(receptive_field / stride)``."""
        return math.ceil(self.receptive_field / self.stride)

    def frames(self, x: Tensor) -> Tensor:
        """[B, axes, time] -> [B, 256, frame]."""
        for block in self.convolutions:
            x = block(x)
        return x

    def context(self, frames: Tensor) -> Tensor:
        """[B, 256, frame] -> [B, 256, frame]; frame t has seen frames 0..t (see ``norm``)."""
        for layer in self.causal:
            frames = layer(frames)
        return frames

    def forward(self, x: Tensor) -> Tensor:
        """[B, axes, time] -> [B, 256]."""
        return self.context(self.frames(x)).amax(-1)

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the maximum over time of the frames (``frames``) and of each causal layer, the last as ``embedding`` too."""
        h = self.frames(x)  # [B, 256, frame]
        layers = {"frames": h.amax(-1)}
        for i, layer in enumerate(self.causal, 1):
            h = layer(h)
            layers[f"causal{i}"] = h.amax(-1)
        return layers | {"embedding": h.amax(-1)}


class _Causal(nn.Module):
    """One layer of the context: a convolution that looks back, normalised, added to its input."""

    def __init__(self, width: int, kernel: int, dropout: float, norm: str) -> None:
        super().__init__()
        self.past, self.norm_by = kernel - 1, norm
        self.conv = nn.Conv1d(width, width, kernel)
        self.norm = nn.GroupNorm(1, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, c: Tensor) -> Tensor:  # [B, width, frame]
        h = self.conv(functional.pad(c, (self.past, 0), mode="replicate"))
        if self.norm_by == "frame":
            h = functional.layer_norm(h.transpose(1, 2), (h.shape[1],), self.norm.weight, self.norm.bias).transpose(
                1, 2
            )
        else:
            h = self.norm(h)
        out: Tensor = (c + self.dropout(functional.relu(h))) * math.sqrt(0.5)
        return out


def _reach(convolutions: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """Stride and receptive field of a stack of convolutions, samples."""
    stride, field = 1, 1
    for _, kernel, step in convolutions:
        field += (kernel - 1) * stride
        stride *= step
    return stride, field

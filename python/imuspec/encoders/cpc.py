"""The encoders of contrastive predictive coding: frames of a window, and at each frame a context of the past frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders.cnn1d import Cnn1d
from imuspec.encoders.encoder import Encoder

__all__ = ["Cpc", "CpcOriginal"]

# Output width, kernel and stride of each convolution from samples to frames.
_FRAMES = ((32, 4, 2), (64, 4, 2), (128, 1, 1), (256, 1, 1))


class CpcOriginal(Encoder):
    """CPC of 2021: a frame ``z_t`` of 128 numbers for each sample, from :class:`Cnn1d`, then a GRU of two layers of 256.

    ``c_t = GRU(z_0, ..., z_t)`` is the context. The embedding is the context after the last frame.

    Parameters
    ----------
    n_axes : int, default 3
        Axes of a window.
    dropout : float, default 0.2
        Share of activations that are set to zero in training, in the convolutions and between the GRU's layers.

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
        """Return a frame for each sample, ``[B, 128, time]``, of windows ``[B, axes, time]``."""
        return self.convolutions.frames(x)

    def context(self, frames: Tensor) -> Tensor:
        """Return the context ``[B, 256, frame]`` at each of the frames ``[B, 128, frame]``, from it and those before."""
        states: Tensor = self.gru(frames.transpose(1, 2))[0]  # [B, frame, 256]
        return states.transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings ``[B, 256]`` of windows ``[B, axes, time]``."""
        return self.context(self.frames(x))[..., -1]

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the maximum over time of the frames (``frames``), and the last context (``embedding``)."""
        frames = self.frames(x)  # [B, 128, time]
        return {"frames": frames.amax(-1), "embedding": self.context(frames)[..., -1]}


class Cpc(Encoder):
    """Enhanced CPC of 2023: frames of 256 numbers from strided convolutions, and a context from causal convolutions.

    Frames: convolutions of 32 channels (kernel 4, stride 2), 64 (4, 2), 128 (1, 1) and 256 (1, 1), without bias and padding.
    Context: ``c <- sqrt(1/2) (c + relu(norm(conv(c))))`` in each layer, with kernels of 2, 3, 4, ... frames that reach back
    in time. Before the start the first frame is repeated. The embedding is the maximum of the context over time.

    Parameters
    ----------
    n_axes : int, default 3
        Axes of a window.
    n_layers : int, default 5
        Number of causal layers, with kernels of 2 to ``n_layers + 1`` frames. The authors searched 2 to 6.
    dropout : float, default 0.2
        Share of activations that are set to zero in training.
    norm : {"window", "frame"}, default "window"
        ``window``: one mean and variance over all channels and frames of a window, as in the authors' code. Through these
        two numbers a context depends slightly on later frames. ``frame``: mean and variance over the channels of each
        frame, which is strictly causal.

    Attributes
    ----------
    stride, receptive_field : int
        Distance between frames, 4 samples, and length of a frame, 10 samples.
    offset : int
        Distance to the first frame that shares no sample with a frame, in frames.

    Raises
    ------
    ValueError
        If `norm` is not a known norm.

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
        self.stride, self.receptive_field = _geometry(_FRAMES)

    @property
    def offset(self) -> int:
        """Distance to the first frame that shares no sample with a frame: ``ceil(receptive_field / stride)`` frames."""
        return math.ceil(self.receptive_field / self.stride)

    def frames(self, x: Tensor) -> Tensor:
        """Return the frames ``[B, 256, frame]`` of windows ``[B, axes, time]``."""
        for block in self.convolutions:
            x = block(x)
        return x

    def context(self, frames: Tensor) -> Tensor:
        """Return the context ``[B, 256, frame]`` at each of the frames ``[B, 256, frame]``, from it and those before."""
        for layer in self.causal:
            frames = layer(frames)
        return frames

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings ``[B, 256]`` of windows ``[B, axes, time]``."""
        return self.context(self.frames(x)).amax(-1)

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the maximum over time of the frames (``frames``) and of each causal layer (``causal1``, ...).

        ``embedding`` is the maximum of the last layer.
        """
        h = self.frames(x)  # [B, 256, frame]
        layers = {"frames": h.amax(-1)}
        for i, layer in enumerate(self.causal, 1):
            h = layer(h)
            layers[f"causal{i}"] = h.amax(-1)
        return layers | {"embedding": h.amax(-1)}


class _Causal(nn.Module):
    """A layer of the context, ``sqrt(1/2) (c + relu(norm(conv(c))))`` with a causal convolution."""

    def __init__(self, width: int, kernel: int, dropout: float, norm: str) -> None:
        super().__init__()
        self.padding, self.norm_over = kernel - 1, norm
        self.conv = nn.Conv1d(width, width, kernel)
        self.norm = nn.GroupNorm(1, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, c: Tensor) -> Tensor:  # [B, width, frame]
        h = self.conv(functional.pad(c, (self.padding, 0), mode="replicate"))  # [B, width, frame]
        if self.norm_over == "frame":
            channels_last = h.transpose(1, 2)  # [B, frame, width]
            h = functional.layer_norm(channels_last, (h.shape[1],), self.norm.weight, self.norm.bias).transpose(1, 2)
        else:
            h = self.norm(h)
        out: Tensor = (c + self.dropout(functional.relu(h))) * math.sqrt(0.5)
        return out


def _geometry(convolutions: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """Return stride and receptive field, samples, of a stack of convolutions (width, kernel, stride)."""
    stride, field = 1, 1
    for _, kernel, step in convolutions:
        field += (kernel - 1) * stride
        stride *= step
    return stride, field

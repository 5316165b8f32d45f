"""The small convolutional network of IMG2IMU's baselines on raw windows."""

from __future__ import annotations

import itertools
from typing import Literal

from torch import Tensor, nn

from imuspec.encoders.encoder import Encoder

__all__ = ["Cnn1d"]


class Cnn1d(Encoder):
    """Three convolutions over time, 3 -> 32 -> 64 -> 128 channels, then a pool over time.

    Each block is a convolution without bias (stride 1, reflection padding), ReLU and dropout. The padding gives one frame
    for each sample. With kernel 3 there are 31,008 weights.

    Parameters
    ----------
    n_axes : int, default 3
        Axes of a window.
    kernel : int, default 3
        Length of each convolution, an odd number of samples.
    dropout : float, default 0.2
        Share of activations that are set to zero in training.
    pool : {"max", "mean"}, default "max"
        Reduction of the frames over time.

    Raises
    ------
    ValueError
        If `kernel` is even, or `pool` is not a known reduction.

    References
    ----------
    Haresamudram, Essa, Ploetz 2022, Assessing the state of self-supervised human activity recognition using wearables.

    Examples
    --------
    >>> import torch
    >>> from imuspec.encoders.cnn1d import Cnn1d
    >>> Cnn1d()(torch.zeros(2, 3, 100)).shape
    torch.Size([2, 128])
    """

    kind = "signal"

    def __init__(
        self, *, n_axes: int = 3, kernel: int = 3, dropout: float = 0.2, pool: Literal["max", "mean"] = "max"
    ) -> None:
        super().__init__()
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"kernel: expected an odd number of samples, got {kernel}")
        if pool not in ("max", "mean"):
            raise ValueError(f"pool: expected max or mean, got {pool!r}")
        self.n_axes, self.pool = n_axes, pool
        widths = (n_axes, 32, 64, 128)
        self.n_features = widths[-1]
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(n_in, n_out, kernel, padding=kernel // 2, padding_mode="reflect", bias=False),
                nn.ReLU(),
                nn.Dropout(dropout),
            )
            for n_in, n_out in itertools.pairwise(widths)
        )

    def frames(self, x: Tensor) -> Tensor:
        """Return a frame for each sample, ``[B, 128, time]``, of windows ``[B, axes, time]``."""
        for block in self.blocks:
            x = block(x)  # [B, 32 or 64 or 128, time]
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings ``[B, 128]`` of windows ``[B, axes, time]``."""
        return _pooled(self.frames(x), self.pool)

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the pooled output of each block, ``block1`` to ``block3``; ``embedding`` is that of the last."""
        layers: dict[str, Tensor] = {}
        for i, block in enumerate(self.blocks, 1):
            x = block(x)
            layers[f"block{i}"] = _pooled(x, self.pool)  # [B, 32 or 64 or 128]
        return layers | {"embedding": layers["block3"]}


def _pooled(frames: Tensor, pool: str) -> Tensor:  # [B, width, time] -> [B, width]
    return frames.amax(-1) if pool == "max" else frames.mean(-1)

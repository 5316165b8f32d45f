"""The transformation prediction network (TPN), the encoder of multi-task pre-training and of SimCLR for activities."""

from __future__ import annotations

from torch import Tensor, nn

from imuspec.encoders.encoder import Encoder

__all__ = ["Tpn"]

_KERNELS = (24, 16, 8)
_WIDTHS = (32, 64, 96)


class Tpn(Encoder):
    """Three convolutions over time without padding, then the maximum over time.

    The convolutions have 32, 64 and 96 channels and kernels of 24, 16 and 8 samples. There are 84,416 parameters for three
    axes.

    Parameters
    ----------
    n_axes : int, default 3
        Axes of a window.
    dropout : float, default 0.1
        Share of activations that are set to zero in training, after each convolution.

    Raises
    ------
    ValueError
        If a window has fewer than 46 samples.

    References
    ----------
    Saeed, Ozcelebi, Lukkien 2019, Multi-task self-supervised learning for human activity detection; Tang et al. 2020,
    Exploring contrastive learning in human activity recognition for healthcare. Instead of their L2 penalty of 1e-4 on the
    kernels, use the optimiser's weight decay.

    Examples
    --------
    >>> import torch
    >>> from imuspec.encoders.tpn import Tpn
    >>> Tpn()(torch.zeros(2, 3, 100)).shape
    torch.Size([2, 96])
    """

    kind = "signal"
    n_features = _WIDTHS[-1]

    def __init__(self, *, n_axes: int = 3, dropout: float = 0.1) -> None:
        super().__init__()
        self.n_axes = n_axes
        widths = (n_axes, *_WIDTHS)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv1d(n_in, n_out, kernel), nn.ReLU(), nn.Dropout(dropout))
            for n_in, n_out, kernel in zip(widths, _WIDTHS, _KERNELS, strict=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings ``[B, 96]`` of windows ``[B, axes, time]``."""
        return self.layers(x)["embedding"]

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the maximum over time of each block, ``block1`` to ``block3``; ``embedding`` is that of the last."""
        shortest = sum(_KERNELS) - len(_KERNELS) + 1
        if x.shape[-1] < shortest:
            raise ValueError(f"x: expected windows of {shortest} samples or more, got {x.shape[-1]}")
        layers: dict[str, Tensor] = {}
        for i, block in enumerate(self.blocks, 1):
            x = block(x)  # [B, 32 or 64 or 96, frame]
            layers[f"block{i}"] = x.amax(-1)
        return layers | {"embedding": layers["block3"]}

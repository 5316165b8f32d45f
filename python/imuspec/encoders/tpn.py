"""The transformation prediction network, the encoder of multi-task pre-training and of SimCLR for activities."""

from __future__ import annotations

from torch import Tensor, nn

from imuspec.encoders.encoder import Encoder

__all__ = ["Tpn"]

_KERNELS = (24, 16, 8)
_WIDTHS = (32, 64, 96)


class Tpn(Encoder):
    """Three convolutions over time without padding, 32 (24 samples), 64 (16), 96 (8), then the maximum over time.

    84,416 parameters for three axes. A window needs 46 samples or more.

    Parameters
    ----------
    n_axes : int, default 3
        Axes of a window.
    dropout : float, default 0.1
        Share of activations that training drops after each convolution.

    Raises
    ------
    ValueError
        If a window has fewer than 46 samples.

    References
    ----------
    Saeed, Ozcelebi, Lukkien 2019, Multi-task self-supervised learning for human activity detection; Tang et al. 2020,
    Exploring contrastive learning in human activity recognition for healthcare. Their penalty of 1e-4 on the squared
    kernels is weight decay here.

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
        """[B, axes, time] -> [B, 96]."""
        return self.layers(x)["embedding"]

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the maximum over time of each block, and of the last as ``embedding``."""
        least = sum(_KERNELS) - len(_KERNELS) + 1
        if x.shape[-1] < least:
            raise ValueError(f"x: expected windows of {least} samples or more, got {x.shape[-1]}")
        layers: dict[str, Tensor] = {}
        for i, block in enumerate(self.blocks, 1):
            x = block(x)  # [B, 32 or 64 or 96, frame]
            layers[f"block{i}"] = x.amax(-1)
        return layers | {"embedding": layers["block3"]}

"""The masked auto-encoder of pictures: a transformer sees a quarter of the patches, a small one paints the others."""

from __future__ import annotations

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from imuspec.encoders.vit import Vit, sincos_positions

__all__ = ["MaskedAutoencoder", "patch_error", "patches"]

_PATCH = 16


def patches(images: Tensor, size: int = _PATCH) -> Tensor:
    """[B, C, H, W] -> [B, patch, size size C]: patches row by row, in each the pixels row by row, channels last."""
    n, channels, height, width = images.shape
    cut = images.reshape(n, channels, height // size, size, width // size, size)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(n, -1, size * size * channels)


def patch_error(output: Tensor, target: Tensor, hidden: Tensor, *, normalise: bool = True) -> Tensor:
    """Mean of ``(output - target')^2`` over hidden patches, ``target' = (target - mean) / sqrt(variance + 1e-6)`` each.

    Parameters
    ----------
    output, target
        ``[B, patch, pixels]``.
    hidden
        Bool ``[B, patch]``.
    normalise
        False compares with the pixels themselves.
    """
    if normalise:
        target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6).sqrt()
    error = (output - target).square().mean(-1)
    return (error * hidden).sum() / hidden.sum()


class MaskedAutoencoder(nn.Module):
    """A decoder on the states of :class:`~imuspec.encoders.vit.Vit`, a learned token in the place of hidden patches.

    Parameters
    ----------
    encoder
        The encoder to train, with ``positions="sincos"`` in the paper.
    share
        Share of the patches that is hidden, drawn anew for each picture from torch's generator.
    width, n_blocks, n_heads
        Of the decoder.

    References
    ----------
    He et al. 2022, Masked autoencoders are scalable vision learners.
    """

    positions: Tensor

    def __init__(
        self, encoder: Vit, *, share: float = 0.75, width: int = 512, n_blocks: int = 8, n_heads: int = 16
    ) -> None:
        super().__init__()
        if not 0 < share < 1:
            raise ValueError(f"share: expected a number between 0 and 1, got {share}")
        self.encoder = encoder
        self.n_patches = encoder.grid[0] * encoder.grid[1]
        self.n_kept = max(1, int(self.n_patches * (1 - share)))
        self.embed = nn.Linear(encoder.n_features, width)
        self.token = nn.Parameter(0.02 * torch.randn(width))
        self.register_buffer("positions", sincos_positions(encoder.grid, width), persistent=False)
        self.blocks = nn.Sequential(*(Block(width, n_heads, qkv_bias=True) for _ in range(n_blocks)))
        self.norm = nn.LayerNorm(width)
        self.paint = nn.Linear(width, _PATCH * _PATCH * 3)

    def decode(self, states: Tensor, keep: Tensor) -> Tensor:
        """States ``[B, 1 + kept, features]`` of the class token and the patches ``keep`` -> [B, patch, pixels]."""
        h = self.embed(states)
        full = self.token.to(h.dtype).expand(len(h), self.n_patches, -1)
        full = full.scatter(1, keep[..., None].expand(-1, -1, h.shape[-1]), h[:, 1:])
        h = self.norm(self.blocks(torch.cat([h[:, :1], full], 1) + self.positions))
        out: Tensor = self.paint(h[:, 1:])
        return out

    def forward(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and figures of normalised pictures ``[B, 3, H, W]``."""
        order = torch.rand(len(images), self.n_patches, device=images.device).argsort(1)
        keep = order[:, : self.n_kept]  # [B, kept]
        hidden = torch.ones(len(images), self.n_patches, dtype=torch.bool, device=images.device)
        hidden = hidden.scatter(1, keep, value=False)
        states = self.encoder.tokens(images, keep)
        loss = patch_error(self.decode(states, keep), patches(images), hidden)
        return loss, {"feature_sd": nn.functional.normalize(states[:, 0].detach(), dim=1).std(0).mean()}

    def after_step(self) -> None:
        """Nothing is kept between steps."""

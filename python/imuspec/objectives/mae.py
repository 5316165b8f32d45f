"""The masked auto-encoder of pictures: a transformer sees a quarter of the patches, a small one paints the others."""

from __future__ import annotations

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders.vit import Vit, sincos_positions
from imuspec.objectives.objective import Figures, Objective

__all__ = ["MaskedImageAutoencoder", "patch_error", "patches"]

_PATCH = 16  # pixels, as those of `Vit`


def patches(images: Tensor, size: int = _PATCH) -> Tensor:
    """Cut pictures into square patches.

    Parameters
    ----------
    images : Tensor
        Pictures ``[B, C, H, W]``.
    size : int, default 16
        Side of a patch, pixels.

    Returns
    -------
    Tensor
        ``[B, patch, size * size * C]``: patches row by row, in each the pixels row by row, channels last.
    """
    n, channels, height, width = images.shape
    cut = images.reshape(n, channels, height // size, size, width // size, size)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(n, -1, size * size * channels)


def patch_error(output: Tensor, target: Tensor, hidden: Tensor, *, normalise: bool = True) -> Tensor:
    """Return the mean squared error of hidden patches.

    ``loss = mean over hidden patches p and pixels i of (output_pi - t_pi)^2`` with
    ``t_p = (target_p - mean(target_p)) / sqrt(var(target_p) + 1e-6)``.

    Parameters
    ----------
    output, target : Tensor
        ``[B, patch, pixels]``.
    hidden : Tensor
        Bool ``[B, patch]``.
    normalise : bool, default True
        Whether to normalise each target patch; False compares with the pixels themselves.

    References
    ----------
    He et al. 2022, Masked autoencoders are scalable vision learners, section 3 (reconstruction target).
    """
    if normalise:
        mean, variance = target.mean(-1, keepdim=True), target.var(-1, keepdim=True)  # [B, patch, 1]
        target = (target - mean) / (variance + 1e-6).sqrt()
    error = (output - target).square().mean(-1)  # [B, patch]
    return (error * hidden).sum() / hidden.sum()


class MaskedImageAutoencoder(Objective):
    """A decoder on the states of :class:`~imuspec.encoders.vit.Vit`; a learned token stands for each hidden patch.

    The loss is `patch_error` of the hidden patches.

    Parameters
    ----------
    encoder : Vit
        The encoder to train, with ``positions="sincos"`` in the paper.
    share : float, default 0.75
        Share of the patches that is hidden, drawn anew for each picture from torch's generator.
    width : int, default 512
        Width of the decoder.
    n_blocks : int, default 8
        Blocks of the decoder.
    n_heads : int, default 16
        Attention heads of the decoder.

    Notes
    -----
    Figure: ``feature_sd``, the mean standard deviation of the normalised class tokens; 0 is collapse.

    References
    ----------
    He et al. 2022, Masked autoencoders are scalable vision learners.
    """

    encoder: Vit
    positions: Tensor

    def __init__(
        self, encoder: Vit, *, share: float = 0.75, width: int = 512, n_blocks: int = 8, n_heads: int = 16
    ) -> None:
        super().__init__(encoder)
        if not 0 < share < 1:
            raise ValueError(f"share: expected a number between 0 and 1, got {share}")
        self.n_patches = encoder.grid[0] * encoder.grid[1]
        self.n_shown = max(1, int(self.n_patches * (1 - share)))
        self.embed = nn.Linear(encoder.n_features, width)
        self.token = nn.Parameter(0.02 * torch.randn(width))
        self.register_buffer("positions", sincos_positions(encoder.grid, width), persistent=False)
        self.blocks = nn.Sequential(*(Block(width, n_heads, qkv_bias=True) for _ in range(n_blocks)))
        self.norm = nn.LayerNorm(width)
        self.paint = nn.Linear(width, _PATCH * _PATCH * 3)

    def decode(self, states: Tensor, shown: Tensor) -> Tensor:
        """Paint all patches from the states of those that are shown.

        Parameters
        ----------
        states : Tensor
            ``[B, 1 + shown, features]``, the class token first.
        shown : Tensor
            Indices of the shown patches ``[B, shown]``.

        Returns
        -------
        Tensor
            ``[B, patch, pixels]``.
        """
        h = self.embed(states)  # [B, 1 + shown, width]
        whole = self.token.to(h.dtype).expand(len(h), self.n_patches, -1)  # [B, patch, width]
        whole = whole.scatter(1, shown[..., None].expand(-1, -1, h.shape[-1]), h[:, 1:])
        h = self.norm(self.blocks(torch.cat([h[:, :1], whole], 1) + self.positions))  # [B, 1 + patch, width]
        painted: Tensor = self.paint(h[:, 1:])
        return painted

    def forward(self, images: Tensor) -> tuple[Tensor, Figures]:
        """Return the loss and figures of normalised pictures ``[B, 3, H, W]``."""
        order = torch.rand(len(images), self.n_patches, device=images.device).argsort(1)  # [B, patch]
        shown = order[:, : self.n_shown]  # [B, shown]
        hidden = torch.ones(len(images), self.n_patches, dtype=torch.bool, device=images.device)
        hidden = hidden.scatter(1, shown, value=False)  # [B, patch]
        states = self.encoder.tokens(images, shown)  # [B, 1 + shown, features]
        loss = patch_error(self.decode(states, shown), patches(images), hidden)
        return loss, {"feature_sd": functional.normalize(states[:, 0].detach(), dim=1).std(0).mean()}

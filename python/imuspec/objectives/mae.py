"""The masked auto-encoder of pictures: a small decoder predicts the pixels of patches that the encoder does not see."""

from __future__ import annotations

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders.vit import Vit, sincos_positions
from imuspec.objectives.objective import Metrics, Objective

__all__ = ["MaskedImageAutoencoder", "patch_error", "patches"]

_PATCH = 16  # side of a patch of `Vit`, pixels


def patches(images: Tensor, size: int = _PATCH) -> Tensor:
    """Return the square patches of pictures.

    Parameters
    ----------
    images : Tensor
        Pictures ``[B, C, H, W]``.
    size : int, default 16
        Side of a patch, pixels.

    Returns
    -------
    Tensor
        ``[B, patch, size * size * C]``: the patches row by row. The pixels of a patch are also row by row, channels last.
    """
    n, channels, height, width = images.shape
    grid = images.reshape(n, channels, height // size, size, width // size, size)  # [B, C, row, y, column, x]
    return grid.permute(0, 2, 4, 3, 5, 1).reshape(n, -1, size * size * channels)


def patch_error(output: Tensor, target: Tensor, hidden: Tensor | None = None, *, normalise: bool = True) -> Tensor:
    """Return the mean squared error of the hidden patches.

    ``loss = mean over hidden patches p and pixels i of (output_pi - t_pi)^2`` with
    ``t_p = (target_p - mean(target_p)) / sqrt(var(target_p) + 1e-6)``.

    Parameters
    ----------
    output, target : Tensor
        Predicted and true patches ``[B, patch, pixels]``.
    hidden : Tensor, optional
        Bool ``[B, patch]``, true for patches that the encoder did not see; by default all.
    normalise : bool, default True
        Whether to normalise each target patch. If False, ``t_p`` is the patch itself.

    References
    ----------
    He et al. 2022, Masked autoencoders are scalable vision learners, section 3, "Reconstruction target".
    """
    if normalise:
        mean, variance = target.mean(-1, keepdim=True), target.var(-1, keepdim=True)  # [B, patch, 1]
        target = (target - mean) / (variance + 1e-6).sqrt()
    error = (output - target).square().mean(-1)  # [B, patch]
    return error.mean() if hidden is None else (error * hidden).sum() / hidden.sum()


class MaskedImageAutoencoder(Objective):
    """Masked auto-encoder (MAE): the encoder sees a quarter of the patches, a decoder predicts the others.

    The decoder is a small transformer. Its input is the encoder's state of each patch shown, and a learned token for each
    hidden patch. The loss is `patch_error`.

    Parameters
    ----------
    encoder : Vit
        The encoder to train. The paper's has ``positions="sincos"``.
    share : float, default 0.75
        Share of the patches to hide. Each picture has its own random draw, from torch's generator.
    width : int, default 512
        Width of the decoder.
    n_blocks : int, default 8
        Number of the decoder's transformer blocks.
    n_heads : int, default 16
        Number of the decoder's attention heads.

    Raises
    ------
    ValueError
        If `share` is not between 0 and 1.

    Notes
    -----
    Metric: ``feature_sd``, the mean standard deviation of the class tokens of unit length. It is 0 at collapse.

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
        self.to_pixels = nn.Linear(width, _PATCH * _PATCH * 3)

    def decode(self, states: Tensor, shown: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Predict the pixels of patches.

        Parameters
        ----------
        states : Tensor
            Encoder states ``[B, 1 + shown, features]``, the class token first.
        shown : Tensor
            Indices ``[B, shown]`` of the patches that the encoder saw.
        hidden : Tensor, optional
            Indices ``[B, hidden]`` of the patches to predict; by default all.

        Returns
        -------
        Tensor
            ``[B, patch, pixels]``, or ``[B, hidden, pixels]``.
        """
        h = self.embed(states)  # [B, 1 + shown, width]
        tokens = self.token.to(h.dtype).expand(len(h), self.n_patches, -1)  # [B, patch, width]
        tokens = tokens.scatter(1, shown[..., None].expand(-1, -1, h.shape[-1]), h[:, 1:])
        h = self.norm(self.blocks(torch.cat([h[:, :1], tokens], 1) + self.positions))  # [B, 1 + patch, width]
        h = h[:, 1:] if hidden is None else _rows(h[:, 1:], hidden)
        pixels: Tensor = self.to_pixels(h)
        return pixels

    def forward(self, images: Tensor) -> tuple[Tensor, Metrics]:
        """Return the loss and the metrics.

        Parameters
        ----------
        images : Tensor
            Normalised pictures ``[B, 3, H, W]``.
        """
        order = torch.rand(len(images), self.n_patches, device=images.device).argsort(1)  # [B, patch]
        shown, hidden = order[:, : self.n_shown], order[:, self.n_shown :]  # [B, shown], [B, hidden]
        states = self.encoder.tokens(images, shown)  # [B, 1 + shown, features]
        loss = patch_error(self.decode(states, shown, hidden), _rows(patches(images), hidden))
        return loss, {"feature_sd": functional.normalize(states[:, 0].detach(), dim=1).std(0).mean()}


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """Return rows ``[B, n, width]`` of values ``[B, patch, width]`` by their indices ``[B, n]``."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))

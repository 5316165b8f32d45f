"""LIMU-BERT's objective: reconstruct the hidden steps of a window."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders.limu_bert import LimuBert, Norm
from imuspec.encoders.standardised import Standardised, bare

__all__ = ["MaskedReconstruction", "masked_error"]


def masked_error(output: Tensor, target: Tensor, chosen: Tensor) -> Tensor:
    """Mean of ``(output - target)^2`` over the chosen steps of all windows and axes.

    Parameters
    ----------
    output, target
        ``[B, axes, step]``.
    chosen
        Bool ``[B, step]``.
    """
    weight = chosen[:, None].to(output.dtype)
    return ((output - target).square() * weight).sum() / (weight.sum() * output.shape[1])


class MaskedReconstruction(nn.Module):
    """A decoder on the states of :class:`~imuspec.encoders.limu_bert.LimuBert`: ``norm(gelu(linear h)) -> axes``.

    ``loss = mean over chosen steps of (decoder(encoder(shown)) - target)^2``.

    Parameters
    ----------
    encoder
        The encoder to train. ``fc`` is a layer that the public weights carry and nothing uses.

    Examples
    --------
    >>> import torch
    >>> from imuspec.encoders.limu_bert import LimuBert
    >>> from imuspec.objectives.reconstruction import MaskedReconstruction
    >>> x, chosen = torch.zeros(2, 3, 100), torch.ones(2, 100, dtype=torch.bool)
    >>> loss, figures = MaskedReconstruction(LimuBert())(x, x, chosen)
    """

    def __init__(self, encoder: LimuBert | Standardised) -> None:
        super().__init__()
        inner = cast("LimuBert", bare(encoder))
        width = inner.n_features
        self.encoder = encoder
        self.fc = nn.Linear(width, width).requires_grad_(False)
        self.linear = nn.Linear(width, width)
        self.norm = Norm(width)
        self.decoder = nn.Linear(width, inner.n_axes)

    def reconstruct(self, x: Tensor) -> Tensor:
        """[B, axes, step] -> the same: what the decoder makes of the states."""
        h = cast("LimuBert", bare(self.encoder)).states(x)  # [B, step, width]
        out: Tensor = self.decoder(self.norm(functional.gelu(self.linear(h))))
        return out.transpose(1, 2)

    def forward(self, shown: Tensor, target: Tensor, chosen: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and figures of what :class:`~imuspec.views.pretext.SpanMask` yields."""
        loss = masked_error(self.reconstruct(shown), target, chosen)
        spread = masked_error(target.mean(-1, keepdim=True).expand_as(target), target, chosen)
        return loss, {"relative_error": (loss / spread.clamp_min(1e-12)).detach()}

    def after_step(self) -> None:
        """Nothing is kept between steps."""

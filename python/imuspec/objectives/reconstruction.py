"""LIMU-BERT's objective: reconstruct the hidden steps of a window."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders.limu_bert import LimuBert, Norm
from imuspec.encoders.standardised import Standardised, bare
from imuspec.objectives.objective import Figures, Objective

__all__ = ["MaskedReconstruction", "masked_error"]


def masked_error(output: Tensor, target: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean squared error of the chosen steps.

    ``loss = mean over chosen steps t and axes a of (output_at - target_at)^2``, over all windows of the batch.

    Parameters
    ----------
    output, target : Tensor
        ``[B, axes, step]``.
    chosen : Tensor
        Bool ``[B, step]``.

    References
    ----------
    Xu, Zhou, Tan, Shen 2021, LIMU-BERT: unleashing the potential of unlabeled data for IMU sensing applications.
    """
    weight = chosen[:, None].to(output.dtype)  # [B, 1, step]
    return ((output - target).square() * weight).sum() / (weight.sum() * output.shape[1])


class MaskedReconstruction(Objective):
    """A decoder on the states of :class:`~imuspec.encoders.limu_bert.LimuBert`: ``decoder(norm(gelu(linear(h))))``.

    The loss is `masked_error` of the chosen steps.

    Parameters
    ----------
    encoder : LimuBert or Standardised
        The encoder to train. ``fc`` is a layer that the public weights carry and nothing uses.

    Notes
    -----
    Figure: ``relative_error``, the loss over that of each window's mean.

    Examples
    --------
    >>> import torch
    >>> from imuspec.encoders.limu_bert import LimuBert
    >>> from imuspec.objectives.reconstruction import MaskedReconstruction
    >>> x, chosen = torch.zeros(2, 3, 100), torch.ones(2, 100, dtype=torch.bool)
    >>> loss, figures = MaskedReconstruction(LimuBert())(x, x, chosen)
    """

    def __init__(self, encoder: LimuBert | Standardised) -> None:
        super().__init__(encoder)
        inner = bare(encoder)
        width = inner.n_features
        self.fc = nn.Linear(width, width).requires_grad_(False)
        self.linear = nn.Linear(width, width)
        self.norm = Norm(width)
        self.decoder = nn.Linear(width, inner.n_axes)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return the decoder's reconstruction ``[B, axes, step]`` of windows of that shape."""
        h = cast("LimuBert", bare(self.encoder)).states(x)  # [B, step, width]
        steps: Tensor = self.decoder(self.norm(functional.gelu(self.linear(h))))  # [B, step, axes]
        return steps.transpose(1, 2)

    def forward(self, shown: Tensor, target: Tensor, chosen: Tensor) -> tuple[Tensor, Figures]:
        """Return the loss and figures of the views of :class:`~imuspec.views.pretext.SpanMask`.

        Parameters
        ----------
        shown, target : Tensor
            Windows ``[B, axes, step]`` with and without hidden steps.
        chosen : Tensor
            Bool ``[B, step]``: steps to reconstruct.
        """
        loss = masked_error(self.reconstruct(shown), target, chosen)
        mean = target.mean(-1, keepdim=True).expand_as(target)  # [B, axes, step]
        return loss, {"relative_error": (loss / masked_error(mean, target, chosen).clamp_min(1e-12)).detach()}

"""LIMU-BERT's objective: reconstruct the samples of a window that were chosen for masking."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders.limu_bert import LimuBert, Norm
from imuspec.encoders.standardised import Standardised, inner_encoder
from imuspec.objectives.objective import Metrics, Objective

__all__ = ["MaskedReconstruction", "masked_error"]


def masked_error(output: Tensor, target: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean squared error of the chosen steps (samples).

    ``loss = mean over chosen steps t and axes a of (output_at - target_at)^2``, over all windows of the batch.

    Parameters
    ----------
    output, target : Tensor
        Reconstructed and true windows ``[B, axes, step]``.
    chosen : Tensor
        Bool ``[B, step]``, true for the steps to compare.

    References
    ----------
    Xu, Zhou, Tan, Shen 2021, LIMU-BERT: unleashing the potential of unlabeled data for IMU sensing applications.
    """
    weight = chosen[:, None].to(output.dtype)  # [B, 1, step]
    return ((output - target).square() * weight).sum() / (weight.sum() * output.shape[1])


class MaskedReconstruction(Objective):
    """Masked reconstruction: a decoder ``decoder(norm(gelu(linear(h))))`` on LIMU-BERT's state ``h`` of each sample.

    The loss is `masked_error` of the steps that :class:`~imuspec.views.pretext.SpanMask` chose.

    Parameters
    ----------
    encoder : LimuBert or Standardised
        The encoder to train.

    Notes
    -----
    The layer ``fc`` is unused. It exists because the public weights contain it.

    Metric: ``relative_error``, the loss divided by the loss of a constant reconstruction, each window's mean.

    Examples
    --------
    >>> import torch
    >>> from imuspec.encoders.limu_bert import LimuBert
    >>> from imuspec.objectives.reconstruction import MaskedReconstruction
    >>> x, chosen = torch.zeros(2, 3, 100), torch.ones(2, 100, dtype=torch.bool)
    >>> loss, metrics = MaskedReconstruction(LimuBert())(x, x, chosen)
    """

    def __init__(self, encoder: LimuBert | Standardised) -> None:
        super().__init__(encoder)
        inner = inner_encoder(encoder)
        width = inner.n_features
        self.fc = nn.Linear(width, width).requires_grad_(False)
        self.linear = nn.Linear(width, width)
        self.norm = Norm(width)
        self.decoder = nn.Linear(width, inner.n_axes)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return the reconstruction of windows.

        Parameters
        ----------
        x : Tensor
            Windows ``[B, axes, step]``.

        Returns
        -------
        Tensor
            ``[B, axes, step]``.
        """
        h = cast("LimuBert", inner_encoder(self.encoder)).states(x)  # [B, step, width]
        steps: Tensor = self.decoder(self.norm(functional.gelu(self.linear(h))))  # [B, step, axes]
        return steps.transpose(1, 2)

    def forward(self, shown: Tensor, target: Tensor, chosen: Tensor) -> tuple[Tensor, Metrics]:
        """Return the loss and the metrics.

        Parameters
        ----------
        shown, target : Tensor
            Windows ``[B, axes, step]`` with and without masked steps.
        chosen : Tensor
            Bool ``[B, step]``, true for the steps to reconstruct.
        """
        loss = masked_error(self.reconstruct(shown), target, chosen)
        mean = target.mean(-1, keepdim=True).expand_as(target)  # [B, axes, step]
        return loss, {"relative_error": (loss / masked_error(mean, target, chosen).clamp_min(1e-12)).detach()}

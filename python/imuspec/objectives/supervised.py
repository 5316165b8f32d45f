"""Cross-entropy on labels, all parameters trained: the fully supervised rows."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Supervised"]


class Supervised(nn.Module):
    """A linear layer on the encoder, trained with it.

    Parameters
    ----------
    encoder
        Module with ``n_features``.
    n_classes
        Number of labels, which are 0 to ``n_classes - 1``.
    label_smoothing
        Share of the target spread over all classes.
    """

    sync_norm = True

    def __init__(self, encoder: nn.Module, *, n_classes: int, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(cast("int", encoder.n_features), n_classes)
        self.label_smoothing = label_smoothing

    def forward(self, x: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of windows or pictures ``[B, ...]`` with labels ``[B]``, and the share labelled rightly."""
        scores = self.head(self.encoder(x)).float()
        loss = functional.cross_entropy(scores, label, label_smoothing=self.label_smoothing)
        with torch.no_grad():
            right = (scores.argmax(1) == label).float().mean()
        return loss, {"top1": right}

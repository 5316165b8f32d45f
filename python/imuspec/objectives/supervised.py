"""Cross-entropy on labels, all parameters trained: the fully supervised rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders import Encoder
from imuspec.objectives.objective import Figures, Objective

__all__ = ["Supervised"]


class Supervised(Objective):
    """A linear layer on the encoder, trained with it.

    ``loss = -1/B sum_i sum_c q_ic log softmax(s_i)_c`` with ``q_ic = (1 - e) [c = y_i] + e / C``, ``e`` the label
    smoothing and ``C`` the number of classes.

    Parameters
    ----------
    encoder : Encoder
        The encoder to train.
    n_classes : int
        Number of labels, which are 0 to ``n_classes - 1``.
    label_smoothing : float, default 0
        Share of the target spread over all classes.

    Notes
    -----
    Figure: ``top1``, the share of labels predicted.
    """

    sync_norm = True

    def __init__(self, encoder: Encoder, *, n_classes: int, label_smoothing: float = 0.0) -> None:
        super().__init__(encoder)
        self.head = nn.Linear(encoder.n_features, n_classes)
        self.label_smoothing = label_smoothing

    def forward(self, x: Tensor, label: Tensor) -> tuple[Tensor, Figures]:
        """Return the loss and figures of windows or pictures ``[B, ...]`` with labels ``[B]``."""
        scores = self.head(self.encoder(x)).float()  # [B, classes]
        loss = functional.cross_entropy(scores, label, label_smoothing=self.label_smoothing)
        with torch.no_grad():
            top1 = (scores.argmax(1) == label).float().mean()
        return loss, {"top1": top1}

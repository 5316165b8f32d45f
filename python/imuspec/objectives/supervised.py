"""Supervised training of all parameters by cross-entropy on labels: the papers' "fully supervised" rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders import Encoder
from imuspec.objectives.objective import Metrics, Objective

__all__ = ["Supervised"]


class Supervised(Objective):
    """A linear classifier on the encoder. Both are trained.

    ``loss = -1/B sum_i sum_c q_ic log softmax(s_i)_c`` with ``q_ic = (1 - e) [c = y_i] + e / C``, ``e`` the label
    smoothing and ``C`` the number of classes.

    Parameters
    ----------
    encoder : Encoder
        The encoder to train.
    n_classes : int
        Number of classes. Labels are 0 to ``n_classes - 1``.
    label_smoothing : float, default 0
        Share of the target distribution that is uniform over all classes.

    Notes
    -----
    Metric: ``top1``, the share of items whose label is predicted.
    """

    sync_norm = True
    one_graph = True

    def __init__(self, encoder: Encoder, *, n_classes: int, label_smoothing: float = 0.0) -> None:
        super().__init__(encoder)
        self.head = nn.Linear(encoder.n_features, n_classes)
        self.label_smoothing = label_smoothing

    def forward(self, x: Tensor, label: Tensor) -> tuple[Tensor, Metrics]:
        """Return the loss and the metrics.

        Parameters
        ----------
        x : Tensor
            Windows or pictures ``[B, ...]``.
        label : Tensor
            int64 ``[B]``.
        """
        scores = self.head(self.encoder(x)).float()  # [B, classes]
        loss = functional.cross_entropy(scores, label, label_smoothing=self.label_smoothing)
        with torch.no_grad():
            top1 = (scores.argmax(1) == label).float().mean()
        return loss, {"top1": top1}

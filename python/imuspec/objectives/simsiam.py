"""SimSiam: predict the projection of one view from the other, without negatives and without a momentum encoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders import Encoder
from imuspec.objectives.norms import spread
from imuspec.objectives.objective import Metrics, Objective

__all__ = ["SimSiam", "negative_cosine"]


def negative_cosine(predicted: Tensor, projected: Tensor) -> Tensor:
    """Return the negative cosine similarity, ``D(p, z) = -1/B sum_i (p_i / |p_i|) . (z_i / |z_i|)``.

    Parameters
    ----------
    predicted, projected : Tensor
        ``p`` and ``z``, ``[B, width]``. No gradient flows to ``z``.

    References
    ----------
    Chen and He 2021, Exploring simple Siamese representation learning, equations 1 and 3.
    """
    return -functional.cosine_similarity(predicted.float(), projected.detach().float(), dim=1).mean()


class SimSiam(Objective):
    """Encoder, projector and predictor on both views.

    ``loss = D(p1, z2) / 2 + D(p2, z1) / 2`` with ``D`` the `negative_cosine`, ``z = projector(encoder(view))`` and
    ``p = predictor(z)``.

    Parameters
    ----------
    encoder : Encoder
        The encoder to train.
    features : int, default 2048
        Width of the projector's three layers, and of ``z`` and ``p``.
    hidden : int, default 512
        Width of the predictor's hidden layer.
    fixed_predictor_lr : bool, default True
        Whether the predictor's learning rate stays at that of the end of the warm-up.

    Notes
    -----
    Metrics: ``positive_cosine`` of the two views; ``negative_cosine`` of views of different pictures; ``spread`` of the
    projections (`imuspec.objectives.norms.spread`, near 0 at collapse).

    References
    ----------
    Chen and He 2021, Exploring simple Siamese representation learning, algorithm 1.
    """

    sync_norm = True
    one_graph = True

    def __init__(
        self, encoder: Encoder, *, features: int = 2048, hidden: int = 512, fixed_predictor_lr: bool = True
    ) -> None:
        super().__init__(encoder)
        self.projector = nn.Sequential(
            nn.Linear(encoder.n_features, features, bias=False),
            nn.BatchNorm1d(features),
            nn.ReLU(),
            nn.Linear(features, features, bias=False),
            nn.BatchNorm1d(features),
            nn.ReLU(),
            nn.Linear(features, features, bias=False),
            nn.BatchNorm1d(features, affine=False),
        )
        self.predictor = nn.Sequential(
            nn.Linear(features, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, features)
        )
        self.fixed_predictor_lr = fixed_predictor_lr

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return two groups: encoder and projector, and the predictor, whose learning rate may be constant."""
        trunk = [*self.encoder.parameters(), *self.projector.parameters()]
        return [
            {"params": [parameter for parameter in trunk if parameter.requires_grad], "fixed_lr": False},
            {"params": list(self.predictor.parameters()), "fixed_lr": self.fixed_predictor_lr},
        ]

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Metrics]:
        """Return the loss and the metrics.

        Parameters
        ----------
        first, second : Tensor
            Two views ``[B, 3, rows, columns]`` of each picture.
        """
        z1, z2 = self.projector(self.encoder(first)), self.projector(self.encoder(second))  # [B, width]
        loss = (negative_cosine(self.predictor(z1), z2) + negative_cosine(self.predictor(z2), z1)) / 2
        with torch.no_grad():
            u1, u2 = functional.normalize(z1.float(), dim=1), functional.normalize(z2.float(), dim=1)
            positive = (u1 * u2).sum(1).mean()
            n = len(u1)
            all_pairs = (u1.sum(0) * u2.sum(0)).sum() / n  # sum of the cosines of all n * n pairs, over n
            metrics = {
                "positive_cosine": positive,
                "negative_cosine": (all_pairs - positive) / max(n - 1, 1),
                "spread": spread(z1),
            }
        return loss, metrics

"""SimSiam: two views alike through a predictor, no negatives, no momentum. Source: Chen and He 2021, algorithm 1."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from imuspec.objectives.norms import spread

__all__ = ["SimSiam", "likeness"]


def likeness(predicted: Tensor, projected: Tensor) -> Tensor:
    """Return the mean negative cosine of predictions ``[B, d]`` and projections, which get no gradient."""
    return -functional.cosine_similarity(predicted.float(), projected.detach().float(), dim=1).mean()


class SimSiam(nn.Module):
    """Loss ``[D(p1, z2) + D(p2, z1)] / 2`` with ``D`` the negative cosine; gradients go through the predictions alone.

    Parameters
    ----------
    encoder
        Module with ``n_features``.
    features
        Width of the three layers of the projector and of what is compared.
    hidden
        Width inside the predictor.
    fixed_predictor_lr
        Keep the predictor's learning rate where the schedule starts its fall.

    Notes
    -----
    Figures: ``positive_cosine`` of the two views, ``negative_cosine`` of different pictures, ``spread`` of the
    projections: near 0 is collapse.
    """

    sync_norm = True

    def __init__(
        self, encoder: nn.Module, *, features: int = 2048, hidden: int = 512, fixed_predictor_lr: bool = True
    ) -> None:
        super().__init__()
        self.encoder = encoder
        width = cast("int", encoder.n_features)
        self.projector = nn.Sequential(
            nn.Linear(width, features, bias=False),
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
        """Return the optimiser's groups: the predictor's may keep its rate."""
        rest = [*self.encoder.parameters(), *self.projector.parameters()]
        return [
            {"params": [parameter for parameter in rest if parameter.requires_grad], "fixed_lr": False},
            {"params": list(self.predictor.parameters()), "fixed_lr": self.fixed_predictor_lr},
        ]

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of two views ``[B, ...]`` of the same pictures, and figures."""
        z1, z2 = self.projector(self.encoder(first)), self.projector(self.encoder(second))
        loss = (likeness(self.predictor(z1), z2) + likeness(self.predictor(z2), z1)) / 2
        with torch.no_grad():
            u1, u2 = functional.normalize(z1.float(), dim=1), functional.normalize(z2.float(), dim=1)
            positive = (u1 * u2).sum(1).mean()
            n = len(u1)
            everyone = (u1.sum(0) * u2.sum(0)).sum() / n
            figures = {
                "positive_cosine": positive,
                "negative_cosine": (everyone - positive) / max(n - 1, 1),
                "spread": spread(z1),
            }
        return loss, figures

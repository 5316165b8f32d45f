"""Recognising what was done to a window: the tasks of Saeed et al., and HARNet's four."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders.standardised import bare

if TYPE_CHECKING:
    from imuspec.encoders import Encoder

__all__ = ["HarnetTasks", "MultiTask", "binary_losses", "two_way_losses"]


def binary_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross-entropy of each task ``[T]``: ``-mean(y log s(l) + (1 - y) log(1 - s(l)))``, s the logistic curve.

    Parameters
    ----------
    logits, labels
        ``[N, T]``; labels 0 or 1.
    """
    return functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(0)


def two_way_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of each task ``[T]`` with a logit for "no" and one for "yes".

    Parameters
    ----------
    logits
        ``[N, T, 2]``.
    labels
        ``[N, T]``; 0 or 1.
    """
    scores = functional.log_softmax(logits, -1)
    return -scores.gather(-1, labels.long()[..., None]).squeeze(-1).mean(0)


class MultiTask(nn.Module):
    """A head ``features -> 256 -> ReLU -> 1`` for each operation; the loss is the mean of their cross-entropies.

    Parameters
    ----------
    encoder
        The encoder to train.
    n_tasks
        Operations to recognise.
    hidden
        Width of each head.

    References
    ----------
    Saeed, Ozcelebi, Lukkien 2019, Multi-task self-supervised learning for human activity detection.
    """

    def __init__(self, encoder: nn.Module, *, n_tasks: int = 8, hidden: int = 256) -> None:
        super().__init__()
        self.encoder = encoder
        n_in = cast("Encoder", encoder).n_features
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(n_in, hidden), nn.ReLU(), nn.Linear(hidden, 1)) for _ in range(n_tasks)
        )

    def forward(self, windows: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and figures of windows ``[N, axes, time]`` and what was done to them ``[N, T]``."""
        features = bare(self.encoder)(windows)
        logits = torch.cat([head(features) for head in self.heads], 1)  # [N, T]
        return binary_losses(logits, labels).mean(), _figures(logits > 0, labels)

    def after_step(self) -> None:
        """Nothing is kept between steps."""


class HarnetTasks(nn.Module):
    """One linear layer ``features -> 2`` for each task; the loss is the mean of their cross-entropies.

    Parameters
    ----------
    encoder
        The encoder to train.
    n_tasks
        Operations to recognise: reversal, permutation, scaling, time warp.

    References
    ----------
    Yuan et al. 2024, Self-supervised learning for human activity recognition using 700,000 person-days of wearable data.
    """

    def __init__(self, encoder: nn.Module, *, n_tasks: int = 4) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleList(nn.Linear(cast("Encoder", encoder).n_features, 2) for _ in range(n_tasks))

    def forward(self, windows: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and figures of windows ``[B, 3, time]`` and what was done to them ``[B, T]``."""
        features = bare(self.encoder)(windows)
        logits = torch.stack([head(features) for head in self.heads], 1)  # [B, T, 2]
        return two_way_losses(logits, labels).mean(), _figures(logits[..., 1] > logits[..., 0], labels)

    def after_step(self) -> None:
        """Nothing is kept between steps."""


def _figures(said: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Mean over tasks of balanced accuracy: a head that always says no has 0.5."""
    yes = labels > 0.5
    hits = (said & yes).sum(0) / yes.sum(0).clamp_min(1)
    rejections = (~said & ~yes).sum(0) / (~yes).sum(0).clamp_min(1)
    return {"balanced_accuracy": ((hits + rejections) / 2).mean()}

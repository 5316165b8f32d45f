"""Recognising what was done to a window: the tasks of Saeed et al., and HARNet's four."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders import Encoder
from imuspec.encoders.standardised import bare
from imuspec.objectives.objective import Figures, Objective

__all__ = ["HarnetTasks", "MultiTask", "binary_losses", "two_way_losses"]


def binary_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean binary cross-entropy of each task ``[T]``.

    ``loss_t = -1/N sum_n [y_nt log s(l_nt) + (1 - y_nt) log(1 - s(l_nt))]`` with ``s`` the logistic function.

    Parameters
    ----------
    logits : Tensor
        ``[N, T]``.
    labels : Tensor
        ``[N, T]``, 0 or 1.

    References
    ----------
    Saeed, Ozcelebi, Lukkien 2019, Multi-task self-supervised learning for human activity detection.
    """
    return functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(0)


def two_way_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of each task ``[T]``, with a logit for "no" and one for "yes".

    ``loss_t = -1/N sum_n log softmax(l_nt)[y_nt]``.

    Parameters
    ----------
    logits : Tensor
        ``[N, T, 2]``.
    labels : Tensor
        ``[N, T]``, 0 or 1.
    """
    scores = functional.log_softmax(logits, -1)  # [N, T, 2]
    return -scores.gather(-1, labels.long()[..., None]).squeeze(-1).mean(0)


class MultiTask(Objective):
    """A head ``features -> 256 -> ReLU -> 1`` for each operation; the loss is the mean of `binary_losses`.

    Parameters
    ----------
    encoder : Encoder
        The encoder to train.
    n_tasks : int, default 8
        Operations to recognise.
    hidden : int, default 256
        Width of each head.

    Notes
    -----
    Figure: ``balanced_accuracy``, mean over the tasks; 0.5 for a head that always gives one answer.

    References
    ----------
    Saeed, Ozcelebi, Lukkien 2019, Multi-task self-supervised learning for human activity detection.
    """

    def __init__(self, encoder: Encoder, *, n_tasks: int = 8, hidden: int = 256) -> None:
        super().__init__(encoder)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(encoder.n_features, hidden), nn.ReLU(), nn.Linear(hidden, 1))
            for _ in range(n_tasks)
        )

    def forward(self, windows: Tensor, labels: Tensor) -> tuple[Tensor, Figures]:
        """Return the loss and figures of windows ``[N, axes, time]`` and the operations on them ``[N, T]``."""
        features = bare(self.encoder)(windows)  # [N, features]
        logits = torch.cat([head(features) for head in self.heads], 1)  # [N, T]
        return binary_losses(logits, labels).mean(), _balanced_accuracy(logits > 0, labels)


class HarnetTasks(Objective):
    """One linear layer ``features -> 2`` for each operation; the loss is the mean of `two_way_losses`.

    Parameters
    ----------
    encoder : Encoder
        The encoder to train.
    n_tasks : int, default 4
        Operations to recognise: reversal, permutation, scaling, time warp.

    Notes
    -----
    Figure: ``balanced_accuracy``, mean over the tasks; 0.5 for a head that always gives one answer.

    References
    ----------
    Yuan et al. 2024, Self-supervised learning for human activity recognition using 700,000 person-days of wearable data.
    """

    def __init__(self, encoder: Encoder, *, n_tasks: int = 4) -> None:
        super().__init__(encoder)
        self.heads = nn.ModuleList(nn.Linear(encoder.n_features, 2) for _ in range(n_tasks))

    def forward(self, windows: Tensor, labels: Tensor) -> tuple[Tensor, Figures]:
        """Return the loss and figures of windows ``[B, 3, time]`` and the operations on them ``[B, T]``."""
        features = bare(self.encoder)(windows)  # [B, features]
        logits = torch.stack([head(features) for head in self.heads], 1)  # [B, T, 2]
        return two_way_losses(logits, labels).mean(), _balanced_accuracy(logits[..., 1] > logits[..., 0], labels)


def _balanced_accuracy(predicted: Tensor, labels: Tensor) -> Figures:
    """Mean over tasks of (true positive rate + true negative rate) / 2, of bool predictions ``[N, T]``."""
    positive = labels > 0.5  # [N, T]
    sensitivity = (predicted & positive).sum(0) / positive.sum(0).clamp_min(1)  # [T]
    specificity = (~predicted & ~positive).sum(0) / (~positive).sum(0).clamp_min(1)  # [T]
    return {"balanced_accuracy": ((sensitivity + specificity) / 2).mean()}

"""Recognise which operations were applied to a window: the eight tasks of Saeed et al., and HARNet's four."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders import Encoder
from imuspec.encoders.standardised import inner_encoder
from imuspec.objectives.objective import Metrics, Objective

__all__ = ["HarnetTasks", "MultiTask", "binary_losses", "two_way_losses"]


def binary_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean binary cross-entropy of each task.

    ``loss_t = -1/N sum_n [y_nt log s(l_nt) + (1 - y_nt) log(1 - s(l_nt))]`` with ``s`` the logistic function.

    Parameters
    ----------
    logits : Tensor
        ``l``, ``[N, T]``: one logit for each of T tasks.
    labels : Tensor
        ``y``, ``[N, T]``, 0 or 1.

    Returns
    -------
    Tensor
        ``[T]``.

    References
    ----------
    Saeed, Ozcelebi, Lukkien 2019, Multi-task self-supervised learning for human activity detection.
    """
    return functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(0)


def two_way_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean two-class cross-entropy of each task.

    ``loss_t = -1/N sum_n log softmax(l_nt)[y_nt]``.

    Parameters
    ----------
    logits : Tensor
        ``l``, ``[N, T, 2]``: a logit for "not applied" and one for "applied".
    labels : Tensor
        ``y``, ``[N, T]``, 0 or 1.

    Returns
    -------
    Tensor
        ``[T]``.
    """
    scores = functional.log_softmax(logits, -1)  # [N, T, 2]
    return -scores.gather(-1, labels.long()[..., None]).squeeze(-1).mean(0)


class MultiTask(Objective):
    """A head ``features -> 256 -> ReLU -> 1`` for each operation. The loss is the mean of `binary_losses`.

    Parameters
    ----------
    encoder : Encoder
        The encoder to train.
    n_tasks : int, default 8
        Number of operations to recognise.
    hidden : int, default 256
        Width of the hidden layer of each head.

    Notes
    -----
    Metric: ``balanced_accuracy``, the mean over the tasks. It is 0.5 if all heads give a constant answer.

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

    def forward(self, windows: Tensor, labels: Tensor) -> tuple[Tensor, Metrics]:
        """Return the loss and the metrics.

        Parameters
        ----------
        windows : Tensor
            Windows ``[N, axes, time]``.
        labels : Tensor
            ``[N, T]``, 1 if the operation was applied to the window, else 0.
        """
        features = inner_encoder(self.encoder)(windows)  # [N, features]
        logits = torch.cat([head(features) for head in self.heads], 1)  # [N, T]
        return binary_losses(logits, labels).mean(), _balanced_accuracy(logits > 0, labels)


class HarnetTasks(Objective):
    """A linear layer ``features -> 2`` for each operation. The loss is the mean of `two_way_losses`.

    Parameters
    ----------
    encoder : Encoder
        The encoder to train.
    n_tasks : int, default 4
        Number of operations to recognise. The paper's are reversal, permutation, scaling and time warp.

    Notes
    -----
    Metric: ``balanced_accuracy``, the mean over the tasks. It is 0.5 if all heads give a constant answer.

    References
    ----------
    Yuan et al. 2024, Self-supervised learning for human activity recognition using 700,000 person-days of wearable data.
    """

    def __init__(self, encoder: Encoder, *, n_tasks: int = 4) -> None:
        super().__init__(encoder)
        self.heads = nn.ModuleList(nn.Linear(encoder.n_features, 2) for _ in range(n_tasks))

    def forward(self, windows: Tensor, labels: Tensor) -> tuple[Tensor, Metrics]:
        """Return the loss and the metrics.

        Parameters
        ----------
        windows : Tensor
            Windows ``[B, 3, time]``.
        labels : Tensor
            ``[B, T]``, 1 if the operation was applied to the window, else 0.
        """
        features = inner_encoder(self.encoder)(windows)  # [B, features]
        logits = torch.stack([head(features) for head in self.heads], 1)  # [B, T, 2]
        return two_way_losses(logits, labels).mean(), _balanced_accuracy(logits[..., 1] > logits[..., 0], labels)


def _balanced_accuracy(predicted: Tensor, labels: Tensor) -> Metrics:
    """Return the mean over tasks of (sensitivity + specificity) / 2, from bool predictions ``[N, T]``."""
    positive = labels > 0.5  # [N, T]
    sensitivity = (predicted & positive).sum(0) / positive.sum(0).clamp_min(1)  # [T]
    specificity = (~predicted & ~positive).sum(0) / (~positive).sum(0).clamp_min(1)  # [T]
    return {"balanced_accuracy": ((sensitivity + specificity) / 2).mean()}

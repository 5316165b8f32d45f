"""Momentum contrast, MoCo v1 and v2.

Two views of a picture are a pair of query and key. A query is told from the keys of earlier batches, which a queue keeps.
Keys come from a copy of the encoder that follows it slowly.
"""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional

from imuspec.encoders import Encoder
from imuspec.objectives.gathering import gather, rank, world
from imuspec.objectives.norms import group_norms, spread
from imuspec.objectives.objective import Figures, Objective

__all__ = ["MoCo", "contrast"]


def contrast(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return MoCo's loss and its logits.

    ``loss = -1/B sum_i log(exp(q_i . k_i / t) / (exp(q_i . k_i / t) + sum_j exp(q_i . queue_j / t)))``.

    Parameters
    ----------
    query, key : Tensor
        ``q`` and ``k``, ``[B, width]`` of unit length; row i of both is a pair.
    queue : Tensor
        ``[width, K]``, columns of unit length.
    temperature : float
        ``t``.

    Returns
    -------
    tuple of Tensor
        The loss, a scalar, and the logits ``[B, 1 + K]``, the pair's first.

    References
    ----------
    He et al. 2020, Momentum contrast for unsupervised visual representation learning, equation 1.
    """
    positive = (query * key).sum(1, keepdim=True)  # [B, 1]
    logits = torch.cat([positive, query @ queue], dim=1) / temperature  # [B, 1 + K]
    pair = torch.zeros(len(logits), dtype=torch.long, device=logits.device)  # [B]
    return functional.cross_entropy(logits, pair), logits


class MoCo(Objective):
    """A query encoder, a slow copy of it that makes keys, and a queue of keys; the loss is `contrast`.

    After each step the copy moves, ``slow <- m slow + (1 - m) fast``, and the step's keys take the place of the oldest.

    Parameters
    ----------
    encoder : Encoder
        The encoder to train: the query encoder.
    head : {"mlp", "linear"}, default "mlp"
        Linear, ReLU, Linear (v2), or linear (v1).
    features : int, default 64
        Width of the contrasted vector.
    queue : int, default 4096
        Keys in the queue, a multiple of the batch.
    momentum : float, default 0.999
        ``m``.
    temperature : float, default 0.2
        Temperature of the softmax; 0.07 in v1.
    norm_group : int, default 32
        Pictures that batch norm takes together (`GroupedBatchNorm`); 0: all of a process.
    shuffle : bool, default True
        Whether to encode the keys in another order, across processes too, so that no norm group holds a pair.

    Raises
    ------
    ValueError
        If the queue is no multiple of the batch, at the first step.

    Notes
    -----
    The copy moves after each optimiser step, which is the same as before each encoding of keys. The queue starts as
    random directions. Figures: ``top1`` among 1 + K; ``positive_cosine`` to the pair and ``negative_cosine`` to the
    queue; ``spread`` (`imuspec.objectives.norms.spread`; near 0 is collapse); ``queue_age`` of the oldest key, steps.

    References
    ----------
    He et al. 2020, Momentum contrast for unsupervised visual representation learning, algorithm 1; Chen et al. 2020,
    Improved baselines with momentum contrastive learning (v2: head, temperature).
    """

    queue: Tensor
    pointer: Tensor
    filled: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        head: Literal["mlp", "linear"] = "mlp",
        features: int = 64,
        queue: int = 4096,
        momentum: float = 0.999,
        temperature: float = 0.2,
        norm_group: int = 32,
        shuffle: bool = True,
    ) -> None:
        super().__init__(encoder)
        group_norms(encoder, norm_group)
        width = encoder.n_features
        self.head: nn.Module = nn.Linear(width, features)
        if head == "mlp":
            self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, features))
        self.key_encoder, self.key_head = copy.deepcopy(self.encoder), copy.deepcopy(self.head)
        for parameter in self._slow():
            parameter.requires_grad_(False)
        self.momentum, self.temperature, self.shuffle = momentum, temperature, shuffle
        self.register_buffer("queue", functional.normalize(torch.randn(features, queue), dim=0))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.long))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))
        self._new_keys: Tensor | None = None

    def forward(self, query_view: Tensor, key_view: Tensor) -> tuple[Tensor, Figures]:
        """Return the loss and figures of two views ``[B, 3, rows, columns]`` of each picture."""
        projected = self.head(self.encoder(query_view)).float()  # [B, width]
        query = functional.normalize(projected, dim=1)
        with torch.no_grad():
            key, keys = self._keys(key_view)  # [B, width], [world B, width]
        with torch.autocast(query.device.type, enabled=False):
            loss, logits = contrast(query, key, self.queue, self.temperature)
        self._new_keys = keys
        with torch.no_grad():
            cosines = logits.detach() * self.temperature  # [B, 1 + K]
            figures = {
                "top1": (logits.argmax(1) == 0).float().mean(),
                "positive_cosine": cosines[:, 0].mean(),
                "negative_cosine": cosines[:, 1:].mean(),
                "spread": spread(projected),
                "queue_age": self.filled.float() / len(keys),
            }
        return loss, figures

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the copy towards the encoder, and put the step's keys into the queue."""
        fast: list[Tensor] = [*self.encoder.parameters(), *self.head.parameters()]
        torch._foreach_lerp_(self._slow(), fast, 1 - self.momentum)
        keys = self._new_keys
        if keys is None:
            return
        size, n = self.queue.shape[1], len(keys)
        if size % n:
            raise ValueError(f"queue: expected a multiple of the batch, {n}, got {size}")
        # with tensors only: to read the pointer would wait for the device in every step
        columns = self.pointer + torch.arange(n, device=keys.device)  # [world B]
        self.queue.index_copy_(1, columns, keys.T)
        self.pointer.add_(n).remainder_(size)
        self.filled.add_(n).clamp_(max=size)
        self._new_keys = None

    def _slow(self) -> list[Tensor]:
        return [*self.key_encoder.parameters(), *self.key_head.parameters()]

    def _keys(self, view: Tensor) -> tuple[Tensor, Tensor]:
        """Keys ``[B, width]`` of this process's pictures, and ``[world B, width]`` of all processes in order."""
        if not self.shuffle:
            key = self._encoded(view)
            return key, gather(key)
        everyone = gather(view)  # [world B, 3, rows, columns]
        order = torch.randperm(len(everyone)).to(view.device)  # [world B]
        if world() > 1:
            dist.broadcast(order, 0)
        mine = slice(rank() * len(view), (rank() + 1) * len(view))
        picked = everyone[order[mine]]  # [B, 3, rows, columns]
        if view.ndim == 4 and view.is_contiguous(memory_format=torch.channels_last):
            picked = picked.contiguous(memory_format=torch.channels_last)
        shuffled = gather(self._encoded(picked))  # [world B, width]
        keys = torch.empty_like(shuffled)
        keys[order] = shuffled
        return keys[mine], keys

    def _encoded(self, view: Tensor) -> Tensor:
        return functional.normalize(self.key_head(self.key_encoder(view)).float(), dim=1)

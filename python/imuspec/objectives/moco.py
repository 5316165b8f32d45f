"""Momentum contrast, MoCo v1 and v2.

Two views of a picture are a pair; the keys of former batches, kept in a queue, are what it is told from. Keys come from a
copy of the encoder that follows slowly. Source: He et al. 2020, algorithm 1; Chen et al. 2020 (v2: head, temperature).
"""

from __future__ import annotations

import copy
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional

from imuspec.objectives.gathering import gather, rank, world
from imuspec.objectives.norms import group_norms, spread

__all__ = ["MoCo", "contrast"]


def contrast(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return MoCo's loss and its logits: cross-entropy of ``[q.k, q.queue] / temperature`` with class 0.

    Parameters
    ----------
    query, key
        ``[B, d]``, L2-normalised; row i of both is a pair.
    queue
        ``[d, K]``, normalised columns.
    temperature
        Of the softmax.

    Returns
    -------
    The scalar loss, and logits ``[B, 1 + K]``.
    """
    positive = (query * key).sum(1, keepdim=True)
    logits = torch.cat([positive, query @ queue], dim=1) / temperature
    return functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device)), logits


class MoCo(nn.Module):
    """Momentum contrast on any encoder.

    Parameters
    ----------
    encoder
        Module with ``n_features``; it becomes the query encoder.
    head
        "mlp": Linear, ReLU, Linear (v2); "linear" (v1).
    features
        Width of the contrasted vector.
    queue
        Keys in the queue, a multiple of the batch.
    momentum
        How much of the key encoder stays at each step.
    temperature
        Of the softmax: 0.2 (v2), 0.07 (v1).
    norm_group
        Pictures that batch norm takes together (`GroupedBatchNorm`); 0: all of a process.
    shuffle
        Encode the keys in another order, across processes too, so that no norm group holds a pair.

    Notes
    -----
    The key encoder follows after each optimiser step, which is the same as before each encoding of keys. The queue
    starts as random directions. Figures: ``top1`` among 1 + K, mean cosine to the pair and to the queue, ``spread``
    (`imuspec.objectives.norms.spread`), ``queue_age`` in steps of the oldest key.
    """

    queue: Tensor
    pointer: Tensor
    filled: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        *,
        head: Literal["mlp", "linear"] = "mlp",
        features: int = 64,
        queue: int = 4096,
        momentum: float = 0.999,
        temperature: float = 0.2,
        norm_group: int = 32,
        shuffle: bool = True,
    ) -> None:
        super().__init__()
        width = cast("int", encoder.n_features)
        self.encoder = group_norms(encoder, norm_group)
        self.head: nn.Module = nn.Linear(width, features)
        if head == "mlp":
            self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, features))
        self.key_encoder, self.key_head = copy.deepcopy(self.encoder), copy.deepcopy(self.head)
        for parameter in self._followers():
            parameter.requires_grad_(False)
        self.momentum, self.temperature, self.shuffle = momentum, temperature, shuffle
        self.register_buffer("queue", functional.normalize(torch.randn(features, queue), dim=0))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.long))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))
        self._new_keys: Tensor | None = None

    def forward(self, query_view: Tensor, key_view: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of two views ``[B, ...]`` of the same pictures, and figures."""
        query = self.head(self.encoder(query_view)).float()
        raw = query
        query = functional.normalize(query, dim=1)
        with torch.no_grad():
            key, keys = self._keys(key_view)
        with torch.autocast(query.device.type, enabled=False):
            loss, logits = contrast(query, key, self.queue, self.temperature)
        self._new_keys = keys
        with torch.no_grad():
            cosines = logits.detach() * self.temperature
            figures = {
                "top1": (logits.argmax(1) == 0).float().mean(),
                "positive_cosine": cosines[:, 0].mean(),
                "negative_cosine": cosines[:, 1:].mean(),
                "spread": spread(raw),
                "queue_age": self.filled.float() / len(keys),
            }
        return loss, figures

    @torch.no_grad()
    def after_step(self) -> None:
        """Let the key encoder follow, and put the step's keys into the queue."""
        followed: list[Tensor] = [*self.encoder.parameters(), *self.head.parameters()]
        torch._foreach_lerp_(self._followers(), followed, 1 - self.momentum)
        keys = self._new_keys
        if keys is None:
            return
        size, n = self.queue.shape[1], len(keys)
        if size % n:
            raise ValueError(f"queue: expected a multiple of the batch, {n}, got {size}")
        # in tensors alone: to read the pointer would wait for the device in every step
        at = self.pointer + torch.arange(n, device=keys.device)
        self.queue.index_copy_(1, at, keys.T)
        self.pointer.add_(n).remainder_(size)
        self.filled.add_(n).clamp_(max=size)
        self._new_keys = None

    def _followers(self) -> list[Tensor]:
        return [*self.key_encoder.parameters(), *self.key_head.parameters()]

    def _keys(self, view: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys of this process's pictures, and those of all processes in order."""
        if not self.shuffle:
            key = self._encoded(view)
            return key, gather(key)
        everyone = gather(view)
        order = torch.randperm(len(everyone)).to(view.device)
        if world() > 1:
            dist.broadcast(order, 0)
        mine = slice(rank() * len(view), (rank() + 1) * len(view))
        picked = everyone[order[mine]]
        if view.ndim == 4 and view.is_contiguous(memory_format=torch.channels_last):
            picked = picked.contiguous(memory_format=torch.channels_last)
        shuffled = gather(self._encoded(picked))
        keys = torch.empty_like(shuffled)
        keys[order] = shuffled
        return keys[mine], keys

    def _encoded(self, view: Tensor) -> Tensor:
        return functional.normalize(self.key_head(self.key_encoder(view)).float(), dim=1)

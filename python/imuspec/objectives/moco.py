"""Momentum contrast, MoCo v1 and v2.

Two views of a picture are a query and its key. The query must be closer to its key than to the keys of earlier batches,
which are in a queue. Keys come from the key encoder, whose weights are a moving average of the query encoder's.
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
from imuspec.objectives.objective import Metrics, Objective

__all__ = ["MoCo", "contrast"]


def contrast(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return MoCo's loss (InfoNCE) and its logits.

    ``loss = -1/B sum_i log(exp(q_i . k_i / t) / (exp(q_i . k_i / t) + sum_j exp(q_i . queue_j / t)))``.

    Parameters
    ----------
    query, key : Tensor
        ``q`` and ``k``, vectors ``[B, width]`` of unit length. Row ``i`` of both is the same picture.
    queue : Tensor
        Earlier keys ``[width, K]``, columns of unit length.
    temperature : float
        ``t``.

    Returns
    -------
    loss : Tensor
        A scalar.
    logits : Tensor
        ``[B, 1 + K]``. The first column is the query's own key.

    References
    ----------
    He et al. 2020, Momentum contrast for unsupervised visual representation learning, equation 1.
    """
    positive = (query * key).sum(1, keepdim=True)  # [B, 1]
    logits = torch.cat([positive, query @ queue], dim=1) / temperature  # [B, 1 + K]
    own = torch.zeros(len(logits), dtype=torch.long, device=logits.device)  # [B], column of the query's own key
    return functional.cross_entropy(logits, own), logits


class MoCo(Objective):
    """A query encoder, a key encoder and a queue of keys. The loss is `contrast`.

    After each optimiser step the weights of the key encoder change, ``key <- m key + (1 - m) query``, and the keys of the
    step replace the oldest keys of the queue.

    Parameters
    ----------
    encoder : Encoder
        The encoder to train: the query encoder.
    head : {"mlp", "linear"}, default "mlp"
        Layers after the encoder: linear, ReLU, linear (v2), or linear (v1).
    features : int, default 64
        Width of queries and keys.
    queue : int, default 4096
        Number of keys in the queue, a multiple of the batch.
    momentum : float, default 0.999
        ``m``.
    temperature : float, default 0.2
        Temperature of the softmax. The paper's v1 has 0.07.
    norm_group : int, default 32
        Number of pictures that share their batch norm statistics (`GroupedBatchNorm`). With 0 all pictures of a process
        share them.
    shuffle : bool, default True
        Whether to encode the keys in a random order over all processes. Then a key and its query do not share batch norm
        statistics.

    Raises
    ------
    ValueError
        If the queue is no multiple of the batch, at the first step.

    Notes
    -----
    The paper updates the key encoder before it encodes keys. An update after each optimiser step gives the same keys. The
    queue starts with random directions.

    Metrics: ``top1``, the share of queries whose own key is the closest of 1 + K; ``positive_cosine`` to the own key;
    ``negative_cosine`` to the queue; ``spread`` (`imuspec.objectives.norms.spread`, near 0 at collapse); ``queue_age``,
    the age of the oldest key, steps.

    References
    ----------
    He et al. 2020, Momentum contrast for unsupervised visual representation learning, algorithm 1; Chen et al. 2020,
    Improved baselines with momentum contrastive learning (v2: head, temperature).
    """

    one_graph = True
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
        self.key_encoder.requires_grad_(False)
        self.key_head.requires_grad_(False)
        self.momentum, self.temperature, self.shuffle = momentum, temperature, shuffle
        self.register_buffer("queue", functional.normalize(torch.randn(features, queue), dim=0))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.long))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))
        self._new_keys: Tensor | None = None

    def forward(self, query_view: Tensor, key_view: Tensor) -> tuple[Tensor, Metrics]:
        """Return the loss and the metrics.

        Parameters
        ----------
        query_view, key_view : Tensor
            Two views ``[B, 3, rows, columns]`` of each picture.
        """
        projected = self.head(self.encoder(query_view)).float()  # [B, width]
        query = functional.normalize(projected, dim=1)
        with torch.no_grad():
            key, all_keys = self._keys(key_view)  # [B, width], [world B, width]
        with torch.autocast(query.device.type, enabled=False):
            loss, logits = contrast(query, key, self.queue, self.temperature)
        self._new_keys = all_keys
        with torch.no_grad():
            cosines = logits.detach() * self.temperature  # [B, 1 + K]
            metrics = {
                "top1": (logits.argmax(1) == 0).float().mean(),
                "positive_cosine": cosines[:, 0].mean(),
                "negative_cosine": cosines[:, 1:].mean(),
                "spread": spread(projected),
                "queue_age": self.filled.float() / len(all_keys),
            }
        return loss, metrics

    @torch.no_grad()
    def after_step(self) -> None:
        """Update the key encoder, and put the step's keys into the queue."""
        query: list[Tensor] = [*self.encoder.parameters(), *self.head.parameters()]
        key: list[Tensor] = [*self.key_encoder.parameters(), *self.key_head.parameters()]
        torch._foreach_lerp_(key, query, 1 - self.momentum)
        keys = self._new_keys
        if keys is None:
            return
        size, n = self.queue.shape[1], len(keys)
        if size % n:
            raise ValueError(f"queue: expected a multiple of the batch, {n}, got {size}")
        # the pointer stays a tensor: reading its value would synchronise with the device in every step
        columns = self.pointer + torch.arange(n, device=keys.device)  # [world B]
        self.queue.index_copy_(1, columns, keys.T)
        self.pointer.add_(n).remainder_(size)
        self.filled.add_(n).clamp_(max=size)
        self._new_keys = None

    def _keys(self, view: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys ``[B, width]`` of this process's pictures, and those ``[world B, width]`` of all processes."""
        if not self.shuffle:
            key = self._encode_keys(view)
            return key, gather(key)
        views = gather(view)  # [world B, 3, rows, columns]
        order = torch.rand(len(views), device=view.device).argsort()  # [world B], drawn where the pictures are
        if world() > 1:
            dist.broadcast(order, 0)
        own = slice(rank() * len(view), (rank() + 1) * len(view))
        selected = views[order[own]]  # [B, 3, rows, columns]
        if view.ndim == 4 and view.is_contiguous(memory_format=torch.channels_last):
            selected = selected.contiguous(memory_format=torch.channels_last)
        shuffled = gather(self._encode_keys(selected))  # [world B, width]
        keys = torch.empty_like(shuffled)
        keys[order] = shuffled
        return keys[own], keys

    def _encode_keys(self, view: Tensor) -> Tensor:
        return functional.normalize(self.key_head(self.key_encoder(view)).float(), dim=1)  # [B, width]

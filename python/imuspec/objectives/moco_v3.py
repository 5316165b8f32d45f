"""MoCo v3: the keys of the batch are the negatives, without a queue. Made for vision transformers."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders import Encoder
from imuspec.objectives.gathering import gather, rank
from imuspec.objectives.objective import Metrics, Objective

__all__ = ["MocoV3", "batch_contrast"]


def batch_contrast(queries: Tensor, keys: Tensor, *, temperature: float = 0.2) -> Tensor:
    """Return MoCo v3's loss: the cross-entropy of each query's own key among all keys, times ``2 t``.

    ``loss = -2 t / B sum_i log(exp(q_i . k_i / t) / sum_j exp(q_i . k_j / t))`` with ``q`` and ``k`` of unit length. The
    sum over ``j`` runs over the keys of all processes.

    Parameters
    ----------
    queries, keys : Tensor
        ``q`` and ``k``, ``[B, width]``. Row ``i`` of both is the same picture. No gradient flows to the keys.
    temperature : float, default 0.2
        ``t``.

    References
    ----------
    Chen, Xie, He 2021, An empirical study of training self-supervised vision transformers, equation 1, algorithm 1.
    """
    q = functional.normalize(queries, dim=1)  # [B, width]
    k = gather(functional.normalize(keys.detach(), dim=1))  # [world B, width]
    logits = q @ k.T / temperature  # [B, world B]
    own = rank() * len(q) + torch.arange(len(q), device=q.device)  # [B]
    return 2 * temperature * functional.cross_entropy(logits, own)


class MocoV3(Objective):
    """Encoder, projector and predictor compute queries; the momentum encoder and its projector compute keys.

    ``loss = contrast(q1, k2) + contrast(q2, k1)`` with `batch_contrast`. After step ``s`` of ``total_steps`` the momentum
    encoder and projector change, ``key <- m key + (1 - m) query``, with
    ``m = 1 - (1 - momentum) (1 + cos(pi s / total_steps)) / 2``, ``s = 0, 1, ...``.

    Parameters
    ----------
    encoder : Encoder
        The encoder to train.
    total_steps : int
        Optimiser steps of the whole training, over which ``m`` rises to 1.
    momentum : float, default 0.99
        ``m`` at the first step.
    temperature : float, default 0.2
        Temperature of :func:`batch_contrast`.
    hidden : int, default 4096
        Width of the hidden layers of the projector (three layers) and the predictor (two).
    width : int, default 256
        Width of queries and keys.

    Raises
    ------
    ValueError
        If `total_steps` is below 1.

    Notes
    -----
    Metrics: ``top1``, the share of queries whose own key is the closest; ``positive_cosine`` of query and own key;
    ``feature_sd``, the mean standard deviation of the embeddings of unit length (0 at collapse).

    References
    ----------
    Chen, Xie, He 2021, An empirical study of training self-supervised vision transformers.
    """

    step: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        total_steps: int,
        momentum: float = 0.99,
        temperature: float = 0.2,
        hidden: int = 4096,
        width: int = 256,
    ) -> None:
        super().__init__(encoder)
        if total_steps < 1:
            raise ValueError(f"total_steps: expected at least 1, got {total_steps}")
        self.total_steps, self.momentum, self.temperature = total_steps, momentum, temperature
        self.projector = _perceptron([encoder.n_features, hidden, hidden, width])
        self.predictor = _perceptron([width, hidden, width])
        self.momentum_encoder = copy.deepcopy(encoder).requires_grad_(False)
        self.momentum_projector = copy.deepcopy(self.projector).requires_grad_(False)
        self.separate_views = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in encoder.modules())
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Metrics]:
        """Return the loss and the metrics.

        Parameters
        ----------
        first, second : Tensor
            Two views ``[B, 3, H, W]`` of each picture.
        """
        features = self._encoded(self.encoder, first, second)  # [B, features] each
        q1, q2 = (self.predictor(self.projector(h)) for h in features)  # [B, width]
        with torch.no_grad():
            k1, k2 = map(self.momentum_projector, self._encoded(self.momentum_encoder, first, second))  # [B, width]
        t = self.temperature
        loss = batch_contrast(q1, k2, temperature=t) + batch_contrast(q2, k1, temperature=t)
        with torch.no_grad():
            q, k = functional.normalize(q1, dim=1), functional.normalize(k2, dim=1)
            own = rank() * len(q) + torch.arange(len(q), device=q.device)  # [B]
            metrics = {
                "top1": ((q @ gather(k).T).argmax(1) == own).float().mean(),
                "positive_cosine": (q * k).sum(1).mean(),
                "feature_sd": functional.normalize(features[0], dim=1).std(0).mean(),
            }
        return loss, metrics

    def current_momentum(self) -> Tensor:
        """Return ``m`` of the next update, a scalar: `momentum` at first, near 1 at the end."""
        return 1 - self._new_share()

    def _new_share(self) -> Tensor:
        """Return ``1 - m`` of the next update."""
        done = (self.step / self.total_steps).clamp(max=1)
        return (1 - self.momentum) / 2 * (1 + torch.cos(math.pi * done))

    @torch.no_grad()
    def after_step(self) -> None:
        """Update the momentum encoder and projector. ``m`` stays on the device, which nothing waits for."""
        new: list[Tensor] = [*self.encoder.parameters(), *self.projector.parameters()]
        old: list[Tensor] = [*self.momentum_encoder.parameters(), *self.momentum_projector.parameters()]
        changes = torch._foreach_sub(new, old)
        torch._foreach_mul_(changes, self._new_share())
        torch._foreach_add_(old, changes)
        self.step += 1

    def _encoded(self, encoder: nn.Module, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of both views, as one batch if the encoder has no batch norm, which each view has for itself."""
        if self.separate_views:
            return encoder(first), encoder(second)
        one, two = encoder(torch.cat([first, second])).chunk(2)
        return one, two


def _perceptron(widths: Sequence[int]) -> nn.Sequential:
    """Return linear layers without bias, each with batch norm, and ReLU between. The last norm has no scale and shift."""
    layers: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(itertools.pairwise(widths), 2):
        last = i == len(widths)
        layers += [nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out, affine=not last)]
        layers += [] if last else [nn.ReLU()]
    return nn.Sequential(*layers)

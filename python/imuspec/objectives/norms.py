"""Batch norm in groups: what several GPUs do to one batch, on one device; and how far features spread."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["GroupedBatchNorm", "group_norms", "spread"]


class GroupedBatchNorm(nn.BatchNorm2d):
    """Batch norm whose statistics are those of consecutive groups of a batch, as if each group had its own GPU.

    In eval mode, and in what a state dict holds, it is a `torch.nn.BatchNorm2d`. The running figures take the mean over
    the groups. A batch that is no multiple of the group, or not larger, is normalised as one.
    """

    group = 0

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised maps ``[B, channels, rows, columns]``."""
        n_groups = len(input) // self.group if self.group and len(input) % self.group == 0 else 1
        if not self.training or n_groups <= 1 or self.running_mean is None or self.running_var is None:
            return super().forward(input)
        means = self.running_mean.repeat(n_groups, 1)
        variances = self.running_var.repeat(n_groups, 1)
        momentum = 0.1 if self.momentum is None else self.momentum
        parts = [
            functional.batch_norm(part, mean, variance, self.weight, self.bias, True, momentum, self.eps)
            for part, mean, variance in zip(input.chunk(n_groups), means, variances, strict=True)
        ]
        with torch.no_grad():
            self.running_mean.copy_(means.mean(0))
            self.running_var.copy_(variances.mean(0))
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        return torch.cat(parts)


def group_norms(module: nn.Module, group: int) -> nn.Module:
    """Turn every 2-D batch norm of a module into one over groups of `group` items; 0 changes nothing."""
    if group <= 0:
        return module
    for norm in module.modules():
        if type(norm) is nn.BatchNorm2d:
            norm.__class__ = GroupedBatchNorm
        if isinstance(norm, GroupedBatchNorm):
            norm.group = group
    return module


def spread(features: Tensor) -> Tensor:
    """Return how far L2-normalised features ``[B, d]`` spread: mean standard deviation times sqrt(d).

    0 when all are the same (collapse), near 1 when directions are spread evenly.
    """
    unit = functional.normalize(features.detach().float(), dim=1)
    return torch.mul(unit.std(0, correction=0).mean(), unit.shape[1] ** 0.5)

"""Batch norm in groups, as several GPUs compute it, and a measure of collapse."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["GroupedBatchNorm", "group_norms", "spread"]


class GroupedBatchNorm(nn.BatchNorm2d):
    """Batch norm with separate statistics for consecutive groups of a batch, as if each group had its own GPU.

    In eval mode it is a `torch.nn.BatchNorm2d`, and its state dict has the same keys. In training the running statistics
    change by the mean over the groups.

    Parameters
    ----------
    norm : torch.nn.BatchNorm2d
        The norm to replace. The new norm uses its settings, parameters and running statistics.
    group : int
        Number of items in a group. A batch of at most that many items is one group.
    """

    def __init__(self, norm: nn.BatchNorm2d, group: int) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.training, self.group = norm.training, group

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised maps.

        Parameters
        ----------
        input : Tensor
            Feature maps ``[B, channels, rows, columns]``.

        Raises
        ------
        ValueError
            In training, if the batch is larger than a group but no multiple of it.
        """
        if not self.training or len(input) <= self.group or self.running_mean is None or self.running_var is None:
            return super().forward(input)
        if len(input) % self.group:
            raise ValueError(
                f"objective.norm_group: expected a part of the batch, {len(input)} in this process, got {self.group}"
            )
        n_groups = len(input) // self.group
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
    """Replace every `torch.nn.BatchNorm2d` inside a module by a `GroupedBatchNorm`.

    Parameters
    ----------
    module : torch.nn.Module
        The module, changed in place. Parameters and buffers stay the same tensors under the same names.
    group : int
        Number of items in a group; 0 changes nothing.

    Returns
    -------
    torch.nn.Module
        The module, or its replacement if it is a batch norm itself.
    """
    if group <= 0:
        return module
    if type(module) is nn.BatchNorm2d:
        return GroupedBatchNorm(module, group)
    for name, child in module.named_children():
        replaced = group_norms(child, group)
        if replaced is not child:
            setattr(module, name, replaced)
    return module


def spread(features: Tensor) -> Tensor:
    """Return a measure of collapse: the mean standard deviation of features of unit length, times sqrt(d).

    It is 0 if all features are the same (collapse), and near 1 if their directions are uniform.

    Parameters
    ----------
    features : Tensor
        Features ``[B, d]`` of any length.

    Returns
    -------
    Tensor
        A scalar.

    References
    ----------
    Chen and He 2021, Exploring simple Siamese representation learning, section 4.1.
    """
    unit = functional.normalize(features.detach().float(), dim=1)
    return torch.mul(unit.std(0, correction=0).mean(), unit.shape[1] ** 0.5)

"""Batch norm in groups, as several GPUs compute it, and a measure of collapse."""

from __future__ import annotations

from typing import Any, TypeGuard, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
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
        self.after: nn.Module = nn.Identity()
        if _has_activation(norm):
            self.after = nn.Sequential(cast("nn.Module", norm.drop), cast("nn.Module", norm.act))

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
            alone: Tensor = self.after(super().forward(input))
            return alone
        if len(input) % self.group:
            raise ValueError(
                f"objective.norm_group: expected a part of the batch, {len(input)} in this process, got {self.group}"
            )
        grouped = input.unflatten(0, (-1, self.group))  # [groups, B / groups, channels, rows, columns]
        out, mean, variance = _GroupedNorm.apply(grouped, self.weight, self.bias, self.eps)
        n = grouped[0, :, 0].numel()
        momentum = 0.1 if self.momentum is None else self.momentum
        with torch.no_grad():
            figures = [mean.mean(0), variance.mean(0) * (n / max(n - 1, 1))]  # [channels] each
            torch._foreach_lerp_([self.running_mean, self.running_var], figures, momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        normalised: Tensor = self.after(out.flatten(0, 1))
        return normalised


def _has_activation(module: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    """Whether a module is timm's ``BatchNormAct2d``, a batch norm with dropout and activation behind it."""
    return isinstance(module, nn.BatchNorm2d) and hasattr(module, "drop") and hasattr(module, "act")


_ITEMS = (1, 3, 4)  # all dimensions of [groups, items, channels, rows, columns] but groups and channels


class _GroupedNorm(torch.autograd.Function):
    """Batch norm of all groups at once, for any memory format. Statistics are float32 or float64.

    The gradient is that of Ioffe and Szegedy 2015, section 3, written for few passes over the maps.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        exact = x if x.dtype == torch.float64 else x.float()
        variance, mean = torch.var_mean(exact, _ITEMS, correction=0, keepdim=True)  # [groups, 1, channels, 1, 1]
        inverse = torch.rsqrt(variance + eps)
        scale = inverse if weight is None else inverse * weight[:, None, None]
        shift = -mean * scale if bias is None else torch.addcmul(bias[:, None, None], mean, scale, value=-1)
        out = torch.addcmul(shift, exact, scale).to(x.dtype)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, weight, mean, inverse)
        mean, variance = mean[:, 0, :, 0, 0], variance[:, 0, :, 0, 0]  # [groups, channels]
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: Tensor, _mean: Tensor, _variance: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        x, weight, mean, inverse = ctx.saved_tensors
        exact = gradient.to(mean.dtype)
        unit = (x - mean) * inverse  # of mean 0 and variance 1
        total = exact.sum(_ITEMS, keepdim=True)  # [groups, 1, channels, 1, 1]
        along = (exact * unit).sum(_ITEMS, keepdim=True)
        scale = inverse if weight is None else inverse * weight[:, None, None]
        n = x[0, :, 0].numel()
        offset = total * (scale / -n)
        own = torch.addcmul(torch.addcmul(offset, exact, scale), unit, along * scale, value=-1 / n).to(x.dtype)
        if weight is None:
            return own, None, None, None
        return own, along.sum((0, 1, 3, 4)).to(weight.dtype), total.sum((0, 1, 3, 4)).to(weight.dtype), None


def group_norms(module: nn.Module, group: int) -> nn.Module:
    """Replace every `torch.nn.BatchNorm2d`, and timm's with an activation, inside a module by a `GroupedBatchNorm`.

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
    if type(module) is nn.BatchNorm2d or _has_activation(module):
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

"""Collect the rows of a batch from all training processes, in the order of their ranks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

__all__ = ["gather", "gather_with_gradient", "rank", "world"]


def world() -> int:
    """Return the number of training processes, 1 without `torch.distributed`."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return the index of this process, from 0."""
    return dist.get_rank() if world() > 1 else 0


def gather(rows: Tensor) -> Tensor:
    """Return the rows of all processes, without a gradient.

    Parameters
    ----------
    rows : Tensor
        Rows ``[B, ...]`` of this process. ``B`` is the same in each process.

    Returns
    -------
    Tensor
        ``[world B, ...]``. With one process, `rows` itself.
    """
    if world() == 1:
        return rows
    rows = rows.detach().contiguous()
    parts = [torch.empty_like(rows) for _ in range(world())]
    dist.all_gather(parts, rows)
    return torch.cat(parts)


def gather_with_gradient(rows: Tensor) -> Tensor:
    """Return the rows of all processes, with their gradient.

    The gradient of a row is the sum of the gradients of all processes' losses. DDP's mean over the processes is then the
    gradient of the mean loss on the joint batch. Shapes are as in `gather`.
    """
    if world() == 1:
        return rows
    gathered: Tensor = _Gather.apply(rows)
    return gathered


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.n = len(rows)
        return gather(rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total[rank() * ctx.n : (rank() + 1) * ctx.n]

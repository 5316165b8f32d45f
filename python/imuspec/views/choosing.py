"""Which operation happens to which picture, and the step from bytes to what an encoder takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

__all__ = ["Operation", "by_chance", "normalised", "one_each", "one_operation", "uniform", "unit"]

# A change of pictures [B, 3, rows, columns] in 0..1, each by its own draw.
Operation = Callable[[Tensor, torch.Generator], Tensor]

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


def unit(pictures: Tensor) -> Tensor:
    """Return uint8 pictures as floats in 0..1, floats as they are.

    Raises
    ------
    ValueError
        Not ``[B, 3, rows, columns]``.
    """
    if pictures.ndim != 4 or pictures.shape[1] != 3:
        raise ValueError(f"pictures: expected [B, 3, rows, columns], got {list(pictures.shape)}")
    return pictures / 255 if pictures.dtype == torch.uint8 else pictures


def normalised(pictures: Tensor) -> Tensor:
    """Subtract ImageNet's mean and divide by its standard deviation, per channel."""
    mean = torch.tensor(_MEAN, device=pictures.device)[:, None, None]
    std = torch.tensor(_STD, device=pictures.device)[:, None, None]
    return (pictures - mean) / std


def uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Return n draws from U(low, high) on the generator's device."""
    return low + (high - low) * torch.rand(n, generator=generator, device=generator.device)


def one_operation(pictures: Tensor, operations: Mapping[str, Operation], generator: torch.Generator) -> Tensor:
    """Do one operation to each picture, every one as likely ("without cascading"); nothing is left as it is."""
    which = torch.randint(len(operations), (len(pictures),), generator=generator, device=generator.device)
    return one_each(pictures, which, list(operations.values()), generator)


def one_each(pictures: Tensor, which: Tensor, operations: list[Operation], generator: torch.Generator) -> Tensor:
    """Do operation ``which[i]`` to picture i."""
    changed = torch.empty_like(pictures)
    for number, operation in enumerate(operations):
        mine = (which == number).nonzero()[:, 0]
        if len(mine):
            changed[mine] = operation(pictures[mine], generator)
    return changed


def by_chance(pictures: Tensor, operation: Operation, probability: float, generator: torch.Generator) -> Tensor:
    """Do an operation to each picture with this probability."""
    happens = torch.rand(len(pictures), generator=generator, device=generator.device) < probability
    mine = happens.nonzero()[:, 0]
    if not len(mine):
        return pictures
    return pictures.index_copy(0, mine, operation(pictures[mine], generator))

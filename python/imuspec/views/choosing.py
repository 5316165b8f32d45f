"""Random choice of the operation on each picture, and normalisation of pictures for an encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

__all__ = ["Operation", "by_chance", "normalised", "one_each", "one_operation", "uniform", "unit"]

# A change of pictures [B, 3, rows, columns] in 0..1, with a draw per picture.
Operation = Callable[[Tensor, torch.Generator], Tensor]

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


def unit(pictures: Tensor) -> Tensor:
    """Return uint8 pictures as floats in 0..1, and floats unchanged.

    Raises
    ------
    ValueError
        If the shape is not ``[B, 3, rows, columns]``.
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
    """Apply one random operation to each picture ("without cascading"); all operations have the same probability."""
    choice = torch.randint(len(operations), (len(pictures),), generator=generator, device=generator.device)
    return one_each(pictures, choice, list(operations.values()), generator)


def one_each(pictures: Tensor, choice: Tensor, operations: list[Operation], generator: torch.Generator) -> Tensor:
    """Apply operation ``choice[i]`` to picture i."""
    changed = torch.empty_like(pictures)
    for number, operation in enumerate(operations):
        selected = (choice == number).nonzero()[:, 0]
        if len(selected):
            changed[selected] = operation(pictures[selected], generator)
    return changed


def by_chance(pictures: Tensor, operation: Operation, probability: float, generator: torch.Generator) -> Tensor:
    """Apply an operation to each picture with a probability."""
    applies = torch.rand(len(pictures), generator=generator, device=generator.device) < probability
    selected = applies.nonzero()[:, 0]
    if not len(selected):
        return pictures
    return pictures.index_copy(0, selected, operation(pictures[selected], generator))

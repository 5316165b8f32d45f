"""Random choice of the operation on each picture, and normalisation of pictures for an encoder."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

__all__ = ["Operation", "by_chance", "normalised", "one_each", "one_operation", "pairs", "uniform", "unit"]

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


@functools.lru_cache(maxsize=128)
def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a tensor of numbers that is copied to its device once."""
    return torch.tensor(values, dtype=dtype, device=device)


def normalised(pictures: Tensor) -> Tensor:
    """Subtract ImageNet's mean and divide by its standard deviation, per channel."""
    mean, std = (constant(values, torch.float32, pictures.device)[:, None, None] for values in (_MEAN, _STD))
    return (pictures - mean) / std


def pairs(
    one_view: Callable[[Tensor, torch.Generator], Tensor], batch: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return two normalised views of each picture, drawn independently, by one call of `one_view` on twice the batch."""
    pictures = unit(batch)
    first, second = normalised(one_view(torch.cat([pictures, pictures]), generator)).chunk(2)
    return first, second


def uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Return n draws from U(low, high) on the generator's device."""
    return low + (high - low) * torch.rand(n, generator=generator, device=generator.device)


def selects(pictures: Tensor) -> bool:
    """Return whether an operation runs on the chosen pictures alone: on a CPU.

    Elsewhere it runs on all pictures, because the program would wait for the device to learn which were chosen.
    """
    return pictures.device.type == "cpu"


def one_operation(pictures: Tensor, operations: Mapping[str, Operation], generator: torch.Generator) -> Tensor:
    """Apply one random operation to each picture ("without cascading"); all operations have the same probability."""
    choice = torch.randint(len(operations), (len(pictures),), generator=generator, device=generator.device)
    return one_each(pictures, choice, list(operations.values()), generator)


def one_each(pictures: Tensor, choice: Tensor, operations: list[Operation], generator: torch.Generator) -> Tensor:
    """Apply operation ``choice[i]`` to picture i."""
    changed = torch.empty_like(pictures)
    for number, operation in enumerate(operations):
        if not selects(pictures):
            changed = torch.where((choice == number)[:, None, None, None], operation(pictures, generator), changed)
            continue
        selected = (choice == number).nonzero()[:, 0]
        if len(selected):
            changed[selected] = operation(pictures[selected], generator)
    return changed


def by_chance(
    pictures: Tensor, operation: Operation, probability: float | Tensor, generator: torch.Generator
) -> Tensor:
    """Apply an operation to each picture with a probability, one for all or ``[B]`` on the generator's device."""
    if not isinstance(probability, Tensor) and probability <= 0:
        return pictures
    applies = torch.rand(len(pictures), generator=generator, device=generator.device) < probability
    if not selects(pictures):
        return torch.where(applies[:, None, None, None], operation(pictures, generator), pictures)
    selected = applies.nonzero()[:, 0]
    if not len(selected):
        return pictures
    return pictures.index_copy(0, selected, operation(pictures[selected], generator))

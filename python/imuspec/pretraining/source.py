"""What a training reads, and what a pre-training asks of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from torch import Tensor

from imuspec.objectives import Objective
from imuspec.run.named import PeopleSeen

__all__ = ["Batch", "BatchSource", "Source", "Validate"]

Batch = Tensor | tuple[Tensor, ...]
Validate = Callable[[Objective, int], dict[str, float]]
"""(objective, epoch) -> figures for the log."""


class BatchSource(Protocol):
    """Batches of this process, a function of (seed, epoch, step, rank, world) alone."""

    steps_per_epoch: int

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from `first_step` on: a tensor or a tuple of tensors each."""
        ...


class Source(BatchSource, Protocol):
    """Batches of a pre-training, and what is known of the data behind them."""

    skipped: list[tuple[str, str]]
    """(name, reason) of every input that was left out."""

    @property
    def name(self) -> str:
        """Name of the source in a recipe."""
        ...

    @property
    def n_classes(self) -> int | None:
        """Number of labels; None if the batches carry none."""
        ...

    @property
    def n_steps(self) -> int | None:
        """Samples of a window; None for pictures, and where windows differ in length."""
        ...

    @property
    def mean(self) -> Sequence[float] | None:
        """Mean of each axis, g, that `scaled` subtracts; None where it does not standardise."""
        ...

    @property
    def sd(self) -> Sequence[float] | None:
        """Standard deviation of each axis, g, by which `scaled` divides; None where it does not standardise."""
        ...

    @property
    def people(self) -> PeopleSeen:
        """Whose data they are; its name is empty where that is not known."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of what is read: a resumed training must read the same."""
        ...

    @property
    def counts(self) -> dict[str, int]:
        """Number of items in use, and of those that are not, by kind."""
        ...

    @property
    def validate(self) -> Validate | None:
        """What is called after each epoch, if anything."""
        ...

    def scaled(self, batch: Any) -> Batch:
        """Return a batch in the unit that views take, on its device."""
        ...

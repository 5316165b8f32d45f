"""Protocols of the sources of batches, and the order of items in an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from imuspec.objectives import Objective
from imuspec.run.named import PeopleSeen

__all__ = ["Batch", "BatchSource", "Parts", "Source", "Validate", "indices_of_epoch"]

Batch = Tensor | tuple[Tensor, ...]
Validate = Callable[[Objective, int], dict[str, float]]
"""(objective, epoch) -> metrics for the log."""
Parts = dict[str, dict[str, list[str]]]
"""Part of a split -> person -> recordings."""


class BatchSource(Protocol):
    """The batches of a training. A batch depends only on (seed, epoch, step, rank, world)."""

    steps_per_epoch: int

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Yield the batches of this process in an epoch.

        Parameters
        ----------
        epoch : int
            Index of the epoch.
        first_step : int, default 0
            Step of the epoch to start from.

        Yields
        ------
        Tensor or tuple of Tensor
            A batch.
        """
        ...


class Source(BatchSource, Protocol):
    """The batches of a pre-training, with a description of their data."""

    skipped: list[tuple[str, str]]
    """(name, reason) of every input that was left out."""

    @property
    def name(self) -> str:
        """Name of the source in a recipe."""
        ...

    @property
    def n_classes(self) -> int | None:
        """Number of classes; None if the batches have no labels."""
        ...

    @property
    def n_steps(self) -> int | None:
        """Samples in a window; None for pictures, and for windows of different lengths."""
        ...

    @property
    def mean(self) -> Sequence[float] | None:
        """Mean of each axis, g, that `scaled` subtracts; None if it does not standardise."""
        ...

    @property
    def sd(self) -> Sequence[float] | None:
        """Standard deviation of each axis, g, by which `scaled` divides; None if it does not standardise."""
        ...

    @property
    def people(self) -> PeopleSeen:
        """The people of a labelled set; empty for other data."""
        ...

    @property
    def split(self) -> dict[str, Any]:
        """Seed, file of people, and the people and recordings of each part; empty if the source holds nobody out."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the data. A resumed training must have the same."""
        ...

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of items that are used and left out, by kind."""
        ...

    @property
    def validate(self) -> Validate | None:
        """Function to call after each epoch, or None."""
        ...

    def scaled(self, batch: Any) -> Batch:
        """Return a batch in the unit that the views take, on the same device.

        Parameters
        ----------
        batch : Tensor or tuple of Tensor
            A batch of `epoch`.
        """
        ...


def indices_of_epoch(
    n: int, epoch: int, first_step: int = 0, *, batch: int, seed: int, process: tuple[int, int] = (0, 1)
) -> list[NDArray[np.int64]]:
    """Return the indices of the items of each batch of this process in an epoch.

    The order is a permutation by ``default_rng([seed, epoch])``. Each step takes the next `batch` items, and each process a
    consecutive part of them. Items after the last complete batch are not used.

    Parameters
    ----------
    n : int
        Number of items.
    epoch : int
        Index of the epoch.
    first_step : int, default 0
        Step of the epoch to start from.
    batch : int
        Items in a step, over all processes; a multiple of the number of processes.
    seed : int
        Seed of the order.
    process : tuple of int, default (0, 1)
        Index of this process, and number of processes.

    Returns
    -------
    list of ndarray
        int64 ``[batch / processes]`` for each step.
    """
    rank, world = process
    order = np.random.default_rng([seed, epoch]).permutation(n)
    size = batch // world
    starts = [step * batch + rank * size for step in range(first_step, n // batch)]
    return [order[start : start + size] for start in starts]

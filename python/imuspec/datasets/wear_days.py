"""Days of wear from the recordings of a cohort, and the windows in them: the batches of the masked auto-encoder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch.utils.data import DataLoader, Sampler

from imuspec.cohort.cohort import Cohort
from imuspec.datasets.patches import spread_starts
from imuspec.datasets.wear_batches import Batch, Cut, DayBatches, DaySettings, stretches_by_id

__all__ = ["WearDays", "waiting_batches"]


class WearDays:
    """Batches of windows from a cohort: a source for `imuspec.pretraining.train`.

    An epoch takes one random stretch from each recording (the stretch of `Cohort.random_windows`). A batch has the windows
    of some recordings, spread over their stretches by `imuspec.datasets.patches.spread_starts`. Batches depend on seed,
    epoch and step alone.

    A batch holds each stretch once, int16 as stored, and where windows start; `windows` cuts it on its device. A row of the
    stretches is one axis of a patch. Window i has the rows from ``first_rows[i, axis]`` on, for each axis. Eight days at 30 Hz
    are 124 MB, their 256 windows would be 138 MB, and 276 MB in float32.

    A recording with less wear than a window gives one short window, padded with missing patches to the longest window of its
    batch.

    Parameters
    ----------
    cohort : Cohort
        The cohort.
    settings : DaySettings, optional
        How stretches are drawn and cut.
    ids : sequence of str, optional
        Recordings to use. The default is all.
    recordings : int, default 8
        Recordings per batch of all processes together.
    seed : int, default 0
        Seed of all draws.
    process : (int, int), default (0, 1)
        Rank of this process, and the number of processes. Each process gets its part of every batch.
    workers : int, default 0
        Processes that read ahead; with 0 batches are read when they are requested.
    prefetch : int, optional
        Batches that each worker holds ready; by default 1 to 4, so that those of all workers take at most a tenth of the memory
        of the machine.

    Raises
    ------
    ValueError
        If lengths do not fit, the rates of recordings differ, there are too few recordings for a batch, or the processes
        cannot divide a batch.

    Examples
    --------
    >>> import imuspec
    >>> from imuspec.datasets import WearDays
    >>> source = WearDays(imuspec.Cohort("cohort"), recordings=8)  # doctest: +SKIP
    >>> source.windows(next(source.epoch(0)))[0].shape  # doctest: +SKIP
    torch.Size([256, 3, 90000])
    """

    def __init__(
        self,
        cohort: Cohort,
        settings: DaySettings | None = None,
        *,
        ids: Sequence[str] | None = None,
        recordings: int = 8,
        seed: int = 0,
        process: tuple[int, int] = (0, 1),
        workers: int = 0,
        prefetch: int | None = None,
    ) -> None:
        settings = settings or DaySettings()
        selected = cohort.ids if ids is None else list(ids)
        rate, step_g = _scale(cohort, selected)
        cut = Cut(
            _whole("patch_s", settings.patch_s * rate),
            _whole("window_s", settings.window_s / settings.patch_s),
            _whole("overlap_s", settings.overlap_s / settings.patch_s, least=0),
        )
        spread_starts(cut.window, window=cut.window, overlap=cut.overlap)  # checks the lengths
        if recordings % process[1]:
            raise ValueError(f"recordings: expected a multiple of the {process[1]} processes, got {recordings}")
        self.rate, self.step_g, self.patch = rate, step_g, cut.patch
        least = cut.patch if settings.shorter == "whole" else round(settings.hours * 3600 * rate)
        longest = _longest(cohort, settings.wear, rate)
        self.ids = [name for name in selected if longest.get(name, 0) >= least]
        available = settings.visits * len(self.ids)
        self.steps_per_epoch = available // recordings
        if not self.steps_per_epoch:
            raise ValueError(
                f"recordings: expected at most {available}, the stretches of an epoch of this cohort with "
                f"{settings.visits} visits, got {recordings} per batch: use fewer per batch, or more visits"
            )
        self.counts = {"recordings": len(self.ids), "recordings_too_short": len(selected) - len(self.ids)}
        self.skipped: list[tuple[str, str]] = []
        self.seed_of_draws = seed
        self._order = _Order()
        if prefetch is None:
            n_bytes = recordings // process[1] * round(settings.hours * 3600 * rate) * 3 * 2  # int16
            prefetch = waiting_batches(n_bytes, workers, _memory_bytes())
        parallel: dict[str, Any] = {"prefetch_factor": prefetch, "persistent_workers": True} if workers else {}
        self._loader: DataLoader[Batch] = DataLoader(
            DayBatches(cohort, self.ids, settings, cut, recordings, seed, process),
            batch_size=None,
            sampler=self._order,
            num_workers=workers,
            **parallel,
        )

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Yield this process's part of each batch of an epoch, starting with batch `first_step`."""
        begin = epoch * self.steps_per_epoch
        self._order.numbers = range(begin + first_step, begin + self.steps_per_epoch)
        yield from map(tuple, self._loader)  # the loader makes lists of them

    def windows(self, batch: Batch, generator: torch.Generator | None = None) -> Batch:
        """Cut the windows of a batch on its device: the `views` of `imuspec.pretraining.train`.

        Parameters
        ----------
        batch : tuple of Tensor
            A batch of `epoch`.
        generator : torch.Generator, optional
            Not used.

        Returns
        -------
        tuple of Tensor
            Float32 ``[B, 3, time]``, g; hidden bool ``[B, patches]``; and missing bool ``[B, patches]`` if the batch has it.
            The samples of missing patches have no meaning.
        """
        del generator
        stored, first_rows, hidden, *missing = batch
        n, n_patches = hidden.shape
        rows = first_rows[..., None] + torch.arange(n_patches, device=first_rows.device)  # [B, 3, patches]
        x = stored.index_select(0, rows.flatten()).view(n, 3, n_patches * self.patch)
        return (x.float().mul_(self.step_g), hidden, *missing)


class _Order(Sampler[int]):
    """The numbers of the batches to draw."""

    numbers: range = range(0)

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)


def waiting_batches(n_bytes: int, workers: int, memory: int) -> int:
    """Return how many batches each worker holds ready: 1 to 4, and those of all workers at most a tenth of the memory.

    Parameters
    ----------
    n_bytes : int
        Size of a batch.
    workers : int
        Number of workers.
    memory : int
        Memory of the machine, bytes.
    """
    return max(1, min(4, memory // 10 // max(n_bytes * workers, 1)))


def _memory_bytes() -> int:
    """Return the memory of the machine; where the system does not state it, 8 GB."""
    if not hasattr(os, "sysconf"):
        return 8_000_000_000
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _scale(cohort: Cohort, ids: Sequence[str]) -> tuple[float, float]:
    """Return the common rate in Hz, and the step of stored samples in g."""
    rows = cohort.recordings.select(["id", "rate_hz"]).to_pydict()
    known = dict(zip(rows["id"], rows["rate_hz"], strict=True))
    unknown = [name for name in ids if name not in known]
    if unknown:
        raise KeyError(f"ids: expected some of the cohort's {len(cohort)}, got {unknown[0]!r}")
    rates = {float(known[name]) for name in ids}
    if len(rates) != 1:
        raise ValueError(f"cohort: expected recordings of one sample rate, got {sorted(rates) or 'no recording'} Hz")
    return rates.pop(), cohort.recipe.store.step_g


def _longest(cohort: Cohort, wear: Literal["segments", "all"], rate: float) -> dict[str, int]:
    """Return the samples of the longest stretch of each recording."""
    if wear == "all":
        rows = cohort.recordings.select(["id", "duration_h"]).to_pydict()
        return {i: round((h or 0.0) * 3600 * rate) for i, h in zip(rows["id"], rows["duration_h"], strict=True)}
    result: dict[str, int] = {}
    for identity, stretches in stretches_by_id(cohort.segments).items():
        result[identity] = max(stop - first for first, stop in stretches)
    return result


def _whole(name: str, value: float, *, least: int = 1) -> int:
    number = round(value)
    if abs(value - number) > 1e-6 or number < least:
        raise ValueError(f"{name}: expected a whole number of patches, or of samples, got {value:g} of them")
    return number

"""Days of wear from the recordings of a cohort, cut into windows: the batches of the masked auto-encoder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from imuspec.cohort.arrays import MISSING
from imuspec.cohort.cohort import Cohort
from imuspec.datasets.patches import hide_patches, spread_starts

__all__ = ["Batch", "DaySettings", "WearDays", "waiting_batches"]

Batch = tuple[Tensor, ...]
"""(stored samples int16 [B, 3, time], hidden bool [B, patches]), and (missing bool [B, patches]) where any is."""


@dataclass(frozen=True)
class DaySettings:
    """How days are drawn from recordings and cut into windows.

    Attributes
    ----------
    hours : float, default 24.0
        Length of a stretch, h.
    window_s : float, default 3000.0
        Length of a window, s; a multiple of `patch_s`.
    overlap_s : float, default 300.0
        Overlap of neighbouring windows, s; a multiple of `patch_s`.
    patch_s : float, default 10.0
        Length of a patch, s.
    strict : bool, default False
        Whether windows overlap exactly: 31 windows per day. Else 32 windows are spread over the day.
    mask : float, default 0.6
        Share of a window's measured patches that are hidden.
    shorter : {"skip", "whole"}, default "whole"
        If a recording has no stretch as long: skip it, or take its longest stretch.
    missing : {"drop", "mask"}, default "drop"
        "drop": stretches lie inside the segments of wear. "mask": they lie anywhere in a recording; patches with a gap or
        non-wear are missing, and windows of missing patches alone are left out.
    visits : int, default 1
        Stretches of each recording per epoch.

    Raises
    ------
    ValueError
        If `mask` is not between 0 and 1.
    """

    hours: float = 24.0
    window_s: float = 3000.0
    overlap_s: float = 300.0
    patch_s: float = 10.0
    strict: bool = False
    mask: float = 0.6
    shorter: Literal["skip", "whole"] = "whole"
    missing: Literal["drop", "mask"] = "drop"
    visits: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.mask < 1:
            raise ValueError(f"mask: expected a share between 0 and 1, got {self.mask}")

    @property
    def wear(self) -> Literal["segments", "all"]:
        """Where stretches lie, as in `Cohort.random_stretch`."""
        return "segments" if self.missing == "drop" else "all"


class _Cut(NamedTuple):
    """Lengths in samples (patch) and in patches (window, overlap)."""

    patch: int
    window: int
    overlap: int


class WearDays:
    """Batches of windows from a cohort: a source for `imuspec.pretraining.train`.

    An epoch takes one random stretch from each recording (the stretch of `Cohort.random_windows`). A batch has the windows
    of some recordings, spread over their stretches by `imuspec.datasets.patches.spread_starts`. Batches depend on seed,
    epoch and step alone. Samples are int16 as stored, half the memory of float32; `in_g` converts a batch on its device.

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
    >>> next(source.epoch(0))[0].shape  # doctest: +SKIP
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
        cut = _Cut(
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
            _Days(cohort, self.ids, settings, cut, recordings, seed, process),
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

    def in_g(self, batch: Batch, generator: torch.Generator | None = None) -> Batch:
        """Convert the samples of a batch to float32 in g, on its device: the `views` of `imuspec.pretraining.train`."""
        del generator
        return (batch[0].float() * self.step_g, *batch[1:])


class _Order(Sampler[int]):
    """The numbers of the batches to draw."""

    numbers: range = range(0)

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)


class _Days(Dataset[Batch]):
    """The batches by number, `epoch * steps + step`."""

    def __init__(
        self,
        cohort: Cohort,
        ids: list[str],
        settings: DaySettings,
        cut: _Cut,
        recordings: int,
        seed: int,
        process: tuple[int, int],
    ) -> None:
        self.cohort, self.ids, self.settings, self.cut = cohort, ids, settings, cut
        self.recordings, self.seed, self.process = recordings, seed, process
        self.steps = settings.visits * len(ids) // recordings
        self.ordered: tuple[int, list[tuple[int, str]]] = (-1, [])
        self.gaps = _stretches(cohort.nonwear) if settings.wear == "all" else {}

    def __getitem__(self, number: int) -> Batch:
        epoch, step = divmod(number, self.steps)
        rank, n_processes = self.process
        n_recordings = self.recordings // n_processes
        first = step * self.recordings + rank * n_recordings
        parts = [
            self._windows(identity, epoch * self.settings.visits + visit)
            for visit, identity in self._sequence(epoch)[first : first + n_recordings]
        ]
        return self._joined([part for part in parts if len(part[0])])

    def _sequence(self, epoch: int) -> list[tuple[int, str]]:
        """Return (visit, recording) in the order of the epoch."""
        if self.ordered[0] != epoch:
            order = np.random.default_rng([self.seed, epoch])
            sequence = [(v, self.ids[i]) for v in range(self.settings.visits) for i in order.permutation(len(self.ids))]
            self.ordered = (epoch, sequence)
        return self.ordered[1]

    def _windows(self, identity: str, draw: int) -> tuple[NDArray[np.int16], NDArray[np.bool_], NDArray[np.bool_]]:
        """Return stored samples [n, 3, time], hidden and missing patches [n, patches] of a recording's stretch."""
        cut = self.cut
        stretch = self.cohort.random_stretch(
            identity,
            self.settings.hours,
            seed=self.seed,
            epoch=draw,
            shorter=self.settings.shorter,
            wear=self.settings.wear,
        )
        first, stop = (0, 0) if stretch is None else stretch  # None: a sample or so shorter than in its table
        n = (stop - first) // cut.patch
        stored, _ = self.cohort.read_stored(identity, first, first + n * cut.patch)
        lost = (
            (stored == MISSING).reshape(3, n, cut.patch).any((0, 2))
            if self.settings.wear == "all"
            else np.zeros(n, np.bool_)
        )
        for begin, end in self.gaps.get(identity, ()):
            lost[max(begin - first, 0) // cut.patch : max(-(-(end - first) // cut.patch), 0)] = True
        length = min(cut.window, n)
        if not n:
            return np.empty((0, 3, 0), np.int16), np.empty((0, 0), np.bool_), np.empty((0, 0), np.bool_)
        starts = spread_starts(n, window=cut.window, overlap=cut.overlap, strict=self.settings.strict)
        missing = np.lib.stride_tricks.sliding_window_view(lost, length)[starts]
        some = ~missing.all(1)
        windows = np.lib.stride_tricks.sliding_window_view(stored, length * cut.patch, axis=1)
        windows = windows[:, starts[some] * cut.patch].transpose(1, 0, 2)
        digest = hashlib.sha256(repr((self.seed, draw, identity, "hidden")).encode()).digest()
        random = np.random.default_rng(int.from_bytes(digest[:16], "big"))
        return windows, hide_patches(missing[some], self.settings.mask, random), missing[some]

    def _joined(self, parts: list[tuple[NDArray[np.int16], NDArray[np.bool_], NDArray[np.bool_]]]) -> Batch:
        """Return one batch; short windows are padded with missing patches."""
        n = sum(len(part[0]) for part in parts)
        length = max((part[1].shape[1] for part in parts), default=1)
        x = _samples(n, length * self.cut.patch)
        hidden, missing = torch.zeros((n, length), dtype=torch.bool), torch.ones((n, length), dtype=torch.bool)
        begin = 0
        for windows, concealed, lost in parts:
            rows, long = slice(begin, begin + len(windows)), concealed.shape[1]
            x[rows, :, : windows.shape[2]] = torch.from_numpy(windows)
            x[rows, :, windows.shape[2] :] = 0
            hidden[rows, :long], missing[rows, :long] = torch.from_numpy(concealed), torch.from_numpy(lost)
            begin += len(windows)
        return (x, hidden, missing) if bool(missing.any()) else (x, hidden)


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


def _samples(n: int, length: int) -> Tensor:
    """Return memory for a batch; in a worker it is shared with the training process, to avoid a copy."""
    if get_worker_info() is None:
        return torch.empty((n, 3, length), dtype=torch.int16)
    like = torch.empty(0, dtype=torch.int16)
    storage = like.untyped_storage()._new_shared(n * 3 * length * 2, device="cpu")
    return torch.empty(0, dtype=torch.int16).set_(storage).view(n, 3, length)


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
    for identity, stretches in _stretches(cohort.segments).items():
        result[identity] = max(stop - first for first, stop in stretches)
    return result


def _stretches(table: Any) -> dict[str, list[tuple[int, int]]]:
    result: dict[str, list[tuple[int, int]]] = {}
    columns = (table[name].to_pylist() for name in ("id", "start_index", "stop_index"))
    for identity, first, stop in zip(*columns, strict=True):
        result.setdefault(identity, []).append((first, stop))
    return result


def _whole(name: str, value: float, *, least: int = 1) -> int:
    number = round(value)
    if abs(value - number) > 1e-6 or number < least:
        raise ValueError(f"{name}: expected a whole number of patches, or of samples, got {value:g} of them")
    return number

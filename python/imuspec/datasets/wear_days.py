"""A day of wear from each recording of a cohort, cut into windows: the batches of the masked auto-encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from imuspec.cohort.cohort import Cohort
from imuspec.cohort.store import MISSING
from imuspec.datasets.patches import hide_patches, spread_starts

__all__ = ["Batch", "WearDays"]

Batch = tuple[Tensor, ...]
"""(stored samples int16 [B, 3, time], hidden bool [B, patches]), and (missing bool [B, patches]) where any is."""


@dataclass(frozen=True)
class _Cut:
    """How a stretch becomes windows, in samples and patches."""

    hours: float
    patch: int
    window: int
    overlap: int
    strict: bool
    mask: float
    shorter: Literal["skip", "whole"]
    wear: Literal["segments", "all"]


class WearDays:
    """Batches of windows, a function of (seed, epoch, step) alone: a source for `imuspec.training.train`.

    An epoch takes one random stretch of ``hours`` from each recording (`Cohort.random_windows` gives the same), some
    ``recordings`` a batch, each cut into windows that `imuspec.datasets.patches.spread_starts` spreads over it. Samples
    come as they are stored, int16, half the memory of float32; `in_g` turns a batch into g on its device.

    Recordings with less wear than a window give one short window, padded with missing patches to the longest of its batch.

    Parameters
    ----------
    cohort : Cohort
        The recordings.
    ids : sequence of str, optional
        Which of them; None: all.
    hours : float, default 24.0
        Length of a stretch.
    recordings : int, default 8
        Recordings of a batch, all processes together.
    window_s : float, default 3000.0
        Length of a window, what two share, length of a patch, s; multiples of a patch.
    overlap_s : float, default 300.0
        Length of a window, what two share, length of a patch, s; multiples of a patch.
    patch_s : float, default 10.0
        Length of a window, what two share, length of a patch, s; multiples of a patch.
    strict : bool, default False
        31 windows a day overlapping exactly; else 32 spread over it.
    mask : float, default 0.6
        Part of a window's measured patches that is hidden.
    shorter : {"skip", "whole"}, default "whole"
        A recording without so long a stretch: skip it, or take its longest whole.
    missing : {"drop", "mask"}, default "drop"
        drop: stretches lie inside kept wear. mask: anywhere in a recording; patches with a gap or non-wear are marked as
        missing, and windows without any other are left out.
    visits : int, default 1
        Stretches of each recording in an epoch.
    seed : int, default 0
        Of every draw.
    rank : int, default 0
        This process and how many there are; each takes its part of every batch.
    world : int, default 1
        This process and how many there are; each takes its part of every batch.
    workers : int, default 0
        Processes that read ahead; 0 reads when asked.
    prefetch : int, default 2
        Batches that each of them holds ready.

    Raises
    ------
    ValueError
        Lengths that do not fit, recordings of unlike rates, too few recordings for a batch, or a batch that the processes
        do not divide.

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
        *,
        ids: Sequence[str] | None = None,
        hours: float = 24.0,
        recordings: int = 8,
        window_s: float = 3000.0,
        overlap_s: float = 300.0,
        patch_s: float = 10.0,
        strict: bool = False,
        mask: float = 0.6,
        shorter: Literal["skip", "whole"] = "whole",
        missing: Literal["drop", "mask"] = "drop",
        visits: int = 1,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
        prefetch: int = 2,
    ) -> None:
        wanted = cohort.ids if ids is None else list(ids)
        rate, step_g = _scale(cohort, wanted)
        cut = _Cut(
            hours,
            _whole("patch_s", patch_s * rate),
            _whole("window_s", window_s / patch_s),
            _whole("overlap_s", overlap_s / patch_s, least=0),
            strict,
            mask,
            shorter,
            "segments" if missing == "drop" else "all",
        )
        spread_starts(cut.window, window=cut.window, overlap=cut.overlap)
        if not 0 < mask < 1:
            raise ValueError(f"mask: expected a part between 0 and 1, got {mask}")
        if recordings % world:
            raise ValueError(f"recordings: expected a multiple of the {world} processes, got {recordings}")
        self.rate, self.step_g, self.patch = rate, step_g, cut.patch
        least = cut.patch if shorter == "whole" else round(hours * 3600 * rate)
        longest = _longest(cohort, cut.wear, rate)
        self.ids = [name for name in wanted if longest.get(name, 0) >= least]
        self.steps_per_epoch = visits * len(self.ids) // recordings
        if not self.steps_per_epoch:
            raise ValueError(
                f"recordings: expected at most {visits * len(self.ids)}, what an epoch of this cohort offers with "
                f"{visits} visits, got {recordings} a batch: fewer a batch, or more visits"
            )
        self.counts = {"recordings": len(self.ids), "recordings_too_short": len(wanted) - len(self.ids)}
        self.skipped: list[tuple[str, str]] = []
        self.seed_of_draws = seed
        self._days = _Days(cohort, self.ids, cut, recordings, visits, seed, rank, world, self.steps_per_epoch)
        self._order = _Order()
        parallel: dict[str, Any] = {"prefetch_factor": prefetch, "persistent_workers": True} if workers else {}
        self._loader: DataLoader[Batch] = DataLoader(
            self._days, batch_size=None, sampler=self._order, num_workers=workers, **parallel
        )

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Yield this process's part of each batch of an epoch, from `first_step` on."""
        begin = epoch * self.steps_per_epoch
        self._order.numbers = range(begin + first_step, begin + self.steps_per_epoch)
        yield from self._loader

    def in_g(self, batch: Batch, generator: torch.Generator | None = None) -> Batch:
        """Turn the samples of a batch into g, float32, where it lies: the `views` of `imuspec.training.train`."""
        del generator
        return (batch[0].float() * self.step_g, *batch[1:])


class _Order(Sampler[int]):
    """The numbers of the batches to come."""

    numbers: range = range(0)

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)


class _Days(Dataset[Batch]):
    """Batch number `epoch * steps + step`, in whichever process."""

    def __init__(
        self,
        cohort: Cohort,
        ids: list[str],
        cut: _Cut,
        recordings: int,
        visits: int,
        seed: int,
        rank: int,
        world: int,
        steps: int,
    ) -> None:
        self.cohort, self.ids, self.cut = cohort, ids, cut
        self.recordings, self.visits, self.seed = recordings, visits, seed
        self.rank, self.world, self.steps = rank, world, steps
        self.ordered: tuple[int, list[tuple[int, str]]] = (-1, [])
        self.gaps = _stretches(cohort.nonwear) if cut.wear == "all" else {}

    def __getitem__(self, number: int) -> Batch:
        epoch, step = divmod(number, self.steps)
        mine = self.recordings // self.world
        begin = step * self.recordings + self.rank * mine
        parts = [
            self._windows(identity, epoch * self.visits + visit)
            for visit, identity in self._sequence(epoch)[begin : begin + mine]
        ]
        return self._joined([part for part in parts if len(part[0])])

    def _sequence(self, epoch: int) -> list[tuple[int, str]]:
        """(visit, recording) in the epoch's order."""
        if self.ordered[0] != epoch:
            order = np.random.default_rng([self.seed, epoch])
            sequence = [(v, self.ids[i]) for v in range(self.visits) for i in order.permutation(len(self.ids))]
            self.ordered = (epoch, sequence)
        return self.ordered[1]

    def _windows(self, identity: str, draw: int) -> tuple[NDArray[np.int16], NDArray[np.bool_], NDArray[np.bool_]]:
        """Stored samples [n, 3, time], hidden and missing patches [n, patches] of one recording's stretch."""
        cut = self.cut
        place = self.cohort.random_stretch(
            identity, cut.hours, seed=self.seed, epoch=draw, shorter=cut.shorter, wear=cut.wear
        )
        first, past = (0, 0) if place is None else place  # none: shorter than its table says, by a sample or so
        n = (past - first) // cut.patch
        stored, _ = self.cohort.read_stored(identity, first, first + n * cut.patch)
        lost = (stored == MISSING).reshape(3, n, cut.patch).any((0, 2)) if cut.wear == "all" else np.zeros(n, np.bool_)
        for begin, end in self.gaps.get(identity, ()):
            lost[max(begin - first, 0) // cut.patch : max(-(-(end - first) // cut.patch), 0)] = True
        length = min(cut.window, n)
        if not n:
            return np.empty((0, 3, 0), np.int16), np.empty((0, 0), np.bool_), np.empty((0, 0), np.bool_)
        starts = spread_starts(n, window=cut.window, overlap=cut.overlap, strict=cut.strict)
        missing = np.lib.stride_tricks.sliding_window_view(lost, length)[starts]
        some = ~missing.all(1)
        windows = np.lib.stride_tricks.sliding_window_view(stored, length * cut.patch, axis=1)
        windows = windows[:, starts[some] * cut.patch].transpose(1, 0, 2)
        digest = hashlib.sha256(repr((self.seed, draw, identity, "hidden")).encode()).digest()
        random = np.random.default_rng(int.from_bytes(digest[:16], "big"))
        return windows, hide_patches(missing[some], cut.mask, random), missing[some]

    def _joined(self, parts: list[tuple[NDArray[np.int16], NDArray[np.bool_], NDArray[np.bool_]]]) -> Batch:
        """One batch, short windows padded with missing patches."""
        n = sum(len(part[0]) for part in parts)
        length = max((part[1].shape[1] for part in parts), default=1)
        x = _samples(n, length * self.cut.patch)
        hidden, missing = torch.zeros((n, length), dtype=torch.bool), torch.ones((n, length), dtype=torch.bool)
        begin = 0
        for windows, concealed, lost in parts:
            here, long = slice(begin, begin + len(windows)), concealed.shape[1]
            x[here, :, : windows.shape[2]] = torch.from_numpy(windows)
            x[here, :, windows.shape[2] :] = 0
            hidden[here, :long], missing[here, :long] = torch.from_numpy(concealed), torch.from_numpy(lost)
            begin += len(windows)
        return (x, hidden, missing) if bool(missing.any()) else (x, hidden)


def _samples(n: int, length: int) -> Tensor:
    """Memory for a batch; in a worker such as the training process sees too, so that nothing is copied between them."""
    if get_worker_info() is None:
        return torch.empty((n, 3, length), dtype=torch.int16)
    like = torch.empty(0, dtype=torch.int16)
    storage = like.untyped_storage()._new_shared(n * 3 * length * 2, device="cpu")
    return torch.empty(0, dtype=torch.int16).set_(storage).view(n, 3, length)


def _scale(cohort: Cohort, ids: Sequence[str]) -> tuple[float, float]:
    """The one rate, Hz, and the g of a stored unit."""
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
    """Samples of the longest stretch of each recording."""
    if wear == "all":
        rows = cohort.recordings.select(["id", "duration_h"]).to_pydict()
        return {i: round((h or 0.0) * 3600 * rate) for i, h in zip(rows["id"], rows["duration_h"], strict=True)}
    found: dict[str, int] = {}
    for identity, stretches in _stretches(cohort.segments).items():
        found[identity] = max(past - first for first, past in stretches)
    return found


def _stretches(table: Any) -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {}
    columns = (table[name].to_pylist() for name in ("id", "start_index", "stop_index"))
    for identity, first, past in zip(*columns, strict=True):
        found.setdefault(identity, []).append((first, past))
    return found


def _whole(name: str, value: float, *, least: int = 1) -> int:
    number = round(value)
    if abs(value - number) > 1e-6 or number < least:
        raise ValueError(f"{name}: expected a whole number of patches, or of samples, got {value:g} of them")
    return number

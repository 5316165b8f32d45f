"""The batches of days of wear by number: stretches of recordings as stored, and the windows in them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from imuspec.cohort.arrays import MISSING
from imuspec.cohort.cohort import Cohort
from imuspec.datasets.patches import hide_patches, spread_starts

__all__ = ["Batch", "Cut", "DayBatches", "DaySettings", "stretches_by_id"]

Batch = tuple[Tensor, ...]
"""Stored samples int16 [rows, patch], first rows int64 [B, 3], hidden bool [B, patches]; missing bool [B, patches] if any."""


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


class Cut(NamedTuple):
    """Lengths in samples (patch) and in patches (window, overlap)."""

    patch: int
    window: int
    overlap: int


class _Stretch(NamedTuple):
    """A stretch of a recording: its first sample, its patches, and its windows."""

    identity: str
    draw: int
    first: int
    n: int  # patches
    length: int  # patches of a window
    starts: NDArray[np.int64]  # first patch of each window


class DayBatches(Dataset[Batch]):
    """The batches by number, `epoch * steps + step`."""

    def __init__(
        self,
        cohort: Cohort,
        ids: list[str],
        settings: DaySettings,
        cut: Cut,
        recordings: int,
        seed: int,
        process: tuple[int, int],
    ) -> None:
        self.cohort, self.ids, self.settings, self.cut = cohort, ids, settings, cut
        self.recordings, self.seed, self.process = recordings, seed, process
        self.steps = settings.visits * len(ids) // recordings
        self.ordered: tuple[int, list[tuple[int, str]]] = (-1, [])
        self.gaps = stretches_by_id(cohort.nonwear) if settings.wear == "all" else {}

    def __getitem__(self, number: int) -> Batch:
        epoch, step = divmod(number, self.steps)
        rank, n_processes = self.process
        n_recordings = self.recordings // n_processes
        first = step * self.recordings + rank * n_recordings
        return self._batch(
            [
                self._stretch(identity, epoch * self.settings.visits + visit)
                for visit, identity in self._sequence(epoch)[first : first + n_recordings]
            ]
        )

    def _sequence(self, epoch: int) -> list[tuple[int, str]]:
        """Return (visit, recording) in the order of the epoch."""
        if self.ordered[0] != epoch:
            order = np.random.default_rng([self.seed, epoch])
            sequence = [(v, self.ids[i]) for v in range(self.settings.visits) for i in order.permutation(len(self.ids))]
            self.ordered = (epoch, sequence)
        return self.ordered[1]

    def _stretch(self, identity: str, draw: int) -> _Stretch:
        """Return the stretch of a recording in the `draw`-th visit of it, without what is after its last window."""
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
        if not n:
            return _Stretch(identity, draw, first, 0, 0, np.empty(0, np.int64))
        starts = spread_starts(n, window=cut.window, overlap=cut.overlap, strict=self.settings.strict)
        length = min(cut.window, n)
        return _Stretch(identity, draw, first, int(starts[-1]) + length, length, starts)

    def _missing(self, stretch: _Stretch, stored: NDArray[np.int16]) -> NDArray[np.bool_]:
        """Return the missing patches [n] of a stretch, from its samples [3, time]."""
        patch, n = self.cut.patch, stretch.n
        missing = np.zeros(n, np.bool_)
        if self.settings.wear == "all":
            missing |= (stored == MISSING).reshape(3, n, patch).any((0, 2))
        for begin, end in self.gaps.get(stretch.identity, ()):
            missing[max(begin - stretch.first, 0) // patch : max(-(-(end - stretch.first) // patch), 0)] = True
        return missing

    def _hidden(self, stretch: _Stretch, missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Draw the hidden patches [windows, patches] of a stretch."""
        digest = hashlib.sha256(repr((self.seed, stretch.draw, stretch.identity, "hidden")).encode()).digest()
        return hide_patches(missing, self.settings.mask, np.random.default_rng(int.from_bytes(digest[:16], "big")))

    def _batch(self, stretches: list[_Stretch]) -> Batch:
        """Read stretches, and return their batch. Windows of missing patches alone are left out."""
        window, patch = self.cut.window, self.cut.patch
        # a short stretch is followed by zeros, so that a window is as long as those of the other stretches
        lengths = [max(stretch.n, window) if stretch.n else 0 for stretch in stretches]
        stored = _rows(3 * sum(lengths), patch)
        parts: list[tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]] = []
        begin = 0
        for stretch, length in zip(stretches, lengths, strict=True):
            if not length:
                continue
            x = stored[begin : begin + 3 * length].view(3, length * patch).numpy()
            own = x[:, : stretch.n * patch]
            x[:, stretch.n * patch :] = 0
            self.cohort.read_stored(stretch.identity, stretch.first, stretch.first + own.shape[1], out=own)
            missing = sliding_window_view(self._missing(stretch, own), stretch.length)[stretch.starts]
            some = ~missing.all(1)
            first_rows = begin + stretch.starts[some, None] + length * np.arange(3)
            parts.append((first_rows, self._hidden(stretch, missing[some]), missing[some]))
            begin += 3 * length
        return (stored, *_joined([part for part in parts if len(part[0])]))


def _joined(parts: list[tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]]) -> Batch:
    """Join first rows, hidden and missing patches; short windows are padded with missing patches."""
    n, length = sum(len(part[0]) for part in parts), max((part[1].shape[1] for part in parts), default=1)
    first_rows = torch.empty((n, 3), dtype=torch.int64)
    hidden, missing = torch.zeros((n, length), dtype=torch.bool), torch.ones((n, length), dtype=torch.bool)
    begin = 0
    for own_rows, own_hidden, own_missing in parts:
        items, own_length = slice(begin, begin + len(own_rows)), own_hidden.shape[1]
        first_rows[items] = torch.from_numpy(own_rows)
        hidden[items, :own_length] = torch.from_numpy(own_hidden)
        missing[items, :own_length] = torch.from_numpy(own_missing)
        begin += len(own_rows)
    return (first_rows, hidden, missing) if bool(missing.any()) else (first_rows, hidden)


def _rows(n: int, patch: int) -> Tensor:
    """Return memory int16 [n, patch]; in a worker it is shared with the training process, to avoid a copy."""
    if get_worker_info() is None:
        return torch.empty((n, patch), dtype=torch.int16)
    like = torch.empty(0, dtype=torch.int16)
    storage = like.untyped_storage()._new_shared(n * patch * 2, device="cpu")
    return torch.empty(0, dtype=torch.int16).set_(storage).view(n, patch)


def stretches_by_id(table: Any) -> dict[str, list[tuple[int, int]]]:
    """Return (first, one-past-last sample) of the rows of a table, by recording.

    Parameters
    ----------
    table : pyarrow.Table
        The table ``segments`` or ``nonwear`` of a cohort.
    """
    result: dict[str, list[tuple[int, int]]] = {}
    columns = (table[name].to_pylist() for name in ("id", "start_index", "stop_index"))
    for identity, first, stop in zip(*columns, strict=True):
        result.setdefault(identity, []).append((first, stop))
    return result

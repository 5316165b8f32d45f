"""Windows of signal for pre-training: of any labelled set, its labels unused, or of a cohort's wear."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imuspec.cohort.cohort import Cohort
from imuspec.datasets import Windows
from imuspec.datasets.reference import FORM, DatasetReference
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.signals import WindowSourceSettings
from imuspec.signal import resample

__all__ = ["WindowSource", "pretraining_subjects", "window_source"]


def pretraining_subjects(subjects: NDArray[Any], share: float, seed: int) -> NDArray[Any]:
    """Return the subjects that a pre-training may see: ``max(1, round(share n))`` of them, drawn by the seed, sorted.

    The others are for probing. A share of 1 is all.
    """
    unique = np.unique(subjects)
    n = max(1, round(share * len(unique)))
    return np.sort(np.random.default_rng([seed, len(unique)]).permutation(unique)[:n])


class WindowSource:
    """Batches of windows, float32 ``[B, axes, time]`` in g, in a new order each epoch.

    The batches are a function of (seed, epoch, step, rank, world): order ``default_rng([seed, epoch])``, step by step,
    each process its consecutive part. What is left over after the last whole batch waits for another epoch.

    Parameters
    ----------
    x
        Windows ``[N, axes, time]``, or ``[N, triad, 3, time]``.
    batch
        Windows of a step, all processes together.
    seed
        The orders follow from it.
    rank, world
        Which process this is, of how many.
    standardise
        Whether ``mean`` and ``sd`` are those of the windows' axes (float64 sums), else None.
    counts, origin
        What is told of the windows' origin: numbers; name of the set and its subjects that are used.

    Raises
    ------
    ValueError
        Fewer windows than a batch, or a batch that the processes cannot share.
    """

    def __init__(
        self,
        x: NDArray[np.float32],
        *,
        batch: int,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        standardise: bool = True,
        counts: dict[str, int] | None = None,
        origin: dict[str, Any] | None = None,
    ) -> None:
        if batch % world:
            raise ValueError(f"training.batch: expected a multiple of the {world} processes, got {batch}")
        self.steps_per_epoch = len(x) // batch
        if not self.steps_per_epoch:
            raise ValueError(f"windows: expected at least a batch, {batch}, got {len(x)}")
        self.x = torch.from_numpy(np.ascontiguousarray(x, np.float32))
        self.batch, self.seed, self.rank, self.world = batch, seed, rank, world
        self.mean: list[float] | None = None
        self.sd: list[float] | None = None
        if standardise:
            self.mean, self.sd = _statistics(x)
        self.counts = {"windows": len(x), "windows_per_epoch": self.steps_per_epoch * batch, **(counts or {})}
        self.origin = origin or {}
        self.skipped: list[tuple[str, str]] = []

    @property
    def n_samples(self) -> int:
        """Samples of a window."""
        return int(self.x.shape[-1])

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Tensor]:
        """Yield this process's batches of an epoch from `first_step` on."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.x))
        mine = self.batch // self.world
        for step in range(first_step, self.steps_per_epoch):
            begin = step * self.batch + self.rank * mine
            yield self.x[torch.from_numpy(order[begin : begin + mine])]


def _statistics(x: NDArray[np.float32]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each axis, in pieces, so that no float64 copy of all is made."""
    total, square, n = 0.0, 0.0, 0
    for at in range(0, len(x), 4096):
        part = np.asarray(x[at : at + 4096], np.float64)
        total, square, n = total + part.sum((0, 2)), square + (part**2).sum((0, 2)), n + len(part) * part.shape[2]
    mean = np.asarray(total / n)
    return mean.tolist(), np.sqrt(np.maximum(np.asarray(square / n) - mean**2, 1e-12)).tolist()


def window_source(recipe: PretrainRecipe, data: Any, *, rank: int = 0, world: int = 1) -> WindowSource:
    """Return the windows that a recipe asks for.

    Parameters
    ----------
    recipe
        Its source is ``windows``.
    data
        A labelled set as ``NAME=PATH[,setting=value,...]`` (``hapt=HAPT Data Set/``), the folder of a cohort, or `Windows`.
    rank, world
        Which process this is, of how many.

    Raises
    ------
    ValueError
        Data of another kind, or too few.
    """
    wanted = recipe.source
    assert isinstance(wanted, WindowSourceSettings)
    x, counts, origin = _windows(wanted, data)
    if wanted.limit and len(x) > wanted.limit:
        drawn = np.random.default_rng([recipe.training.seed, len(x)]).permutation(len(x))[: wanted.limit]
        x = x[np.sort(drawn)]
    return WindowSource(
        x,
        batch=recipe.training.batch,
        seed=recipe.training.seed,
        rank=rank,
        world=world,
        standardise=wanted.standardise,
        counts=counts,
        origin=origin,
    )


_Found = tuple[NDArray[np.float32], dict[str, int], dict[str, Any]]  # windows, counts, origin


def _windows(wanted: WindowSourceSettings, data: Any) -> _Found:
    if isinstance(data, Sequence) and not isinstance(data, str) and len(data) == 1:
        data = data[0]
    if isinstance(data, Windows):
        _check_form(wanted, data)
        return _of_subjects(wanted, data)
    if not isinstance(data, str | Path):
        raise ValueError(f"data: expected {FORM}, the folder of a cohort, or Windows, got {data!r}")
    if Path(data).is_dir():
        return _of_cohort(wanted, Cohort(data))
    reference = DatasetReference.parse(str(data))
    if reference.loader == "cohort":
        return _of_cohort(wanted, Cohort(reference.path))
    made = reference.windows(window_s=wanted.window_s, rate=wanted.rate_hz, overlap=wanted.overlap)
    _check_form(wanted, made)
    return _of_subjects(wanted, made)


def _check_form(wanted: WindowSourceSettings, windows: Windows) -> None:
    n = round(wanted.window_s * wanted.rate_hz)
    if windows.n_samples != n or windows.rate != wanted.rate_hz:
        raise ValueError(
            f"data: expected windows of {n} samples at {wanted.rate_hz:g} Hz as the recipe's source says, got "
            f"{windows.n_samples} at {windows.rate:g} Hz"
        )


def _of_subjects(wanted: WindowSourceSettings, windows: Windows) -> _Found:
    chosen = pretraining_subjects(windows.subject, wanted.subjects, wanted.subject_seed)
    mine = np.isin(windows.subject, chosen)
    counts = {"subjects": len(chosen), "windows_of_other_subjects": int((~mine).sum())}
    return windows.x[mine], counts, {"set": windows.name, "people": windows.people, "subjects": chosen.tolist()}


def _of_cohort(wanted: WindowSourceSettings, cohort: Cohort) -> _Found:
    """Windows inside each segment of wear; of a cohort at another rate, the segment is brought to the recipe's."""
    ids = [str(each) for each in pretraining_subjects(np.array(cohort.ids), wanted.subjects, wanted.subject_seed)]
    length = round(wanted.window_s * wanted.rate_hz)
    hop = max(1, round(length * (1 - wanted.overlap)))
    share = wanted.limit // max(1, len(ids)) + 1 if wanted.limit else None
    segments = cohort.segments.select(["id", "start_s", "hours"]).to_pylist()
    found: list[NDArray[np.float32]] = []
    for number, identity in enumerate(ids):
        mine: list[NDArray[np.float32]] = []
        for segment in (each for each in segments if each["id"] == identity):
            seconds = 3600 * float(segment["hours"])
            x = cohort.read(identity, float(segment["start_s"]), seconds)
            mine += _cut(_at_rate(x, cohort.recipe.resample.rate_hz, wanted.rate_hz), length, hop)
        if share is not None and len(mine) > share:
            drawn = np.random.default_rng([wanted.subject_seed, number]).permutation(len(mine))[:share]
            mine = [mine[at] for at in np.sort(drawn)]
        found += mine
    if not found:
        raise ValueError(f"data: expected wear of {wanted.window_s:g} s or more, got none in {len(ids)} recordings")
    return np.stack(found), {"recordings": len(ids)}, {}


def _at_rate(x: NDArray[np.float32], own: float, rate: float) -> NDArray[np.float32]:
    if own == rate or x.shape[-1] < 2:
        return x
    time = (np.arange(x.shape[-1]) * (1e9 / own)).astype(np.int64)
    return resample(x, time, rate=rate, method="linear")[0]


def _cut(x: NDArray[np.float32], length: int, hop: int) -> list[NDArray[np.float32]]:
    """Windows without a missing sample."""
    starts = range(0, x.shape[-1] - length + 1, hop)
    return [x[:, at : at + length] for at in starts if np.isfinite(x[:, at : at + length]).all()]

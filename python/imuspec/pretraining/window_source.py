"""Windows of signal for pre-training: of any labelled set, its labels unused, or of a cohort's wear."""

from __future__ import annotations

import hashlib
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
from imuspec.pretraining.processes import place
from imuspec.pretraining.source import Validate
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.signals import WindowSourceSettings
from imuspec.run.named import PeopleSeen
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
    x : ndarray
        Windows ``[N, axes, time]``, or ``[N, triad, 3, time]``, g.
    batch : int
        Windows of a step, all processes together.
    seed : int, default 0
        Seed of the orders.
    rank, world : int, default 0, 1
        Index of this process, and number of processes.
    standardise : bool, default True
        Whether `scaled` standardises by the mean and standard deviation of the windows' axes.
    counts : dict, optional
        More numbers for `counts`.
    people : PeopleSeen, optional
        Whose windows they are.

    Raises
    ------
    ValueError
        If there are fewer windows than a batch, or the processes do not divide a batch.
    """

    name = "windows"
    n_classes: int | None = None
    validate: Validate | None = None

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
        people: PeopleSeen | None = None,
    ) -> None:
        if batch % world:
            raise ValueError(f"training.batch: expected a multiple of the {world} processes, got {batch}")
        self.steps_per_epoch = len(x) // batch
        if not self.steps_per_epoch:
            raise ValueError(f"windows: expected at least a batch, {batch}, got {len(x)}")
        self.x = torch.from_numpy(np.ascontiguousarray(x, np.float32))
        self.batch, self.seed, self.rank, self.world = batch, seed, rank, world
        self.n_steps = int(self.x.shape[-1])
        self.mean: list[float] | None = None
        self.sd: list[float] | None = None
        if standardise:
            self.mean, self.sd = _statistics(x)
        self.digest = hashlib.sha256(self.x.numpy().reshape(-1).data).hexdigest()
        self.counts = {"windows": len(x), "windows_per_epoch": self.steps_per_epoch * batch, **(counts or {})}
        self.people = people or PeopleSeen()
        self.skipped: list[tuple[str, str]] = []

    def scaled(self, batch: Any) -> Tensor:
        """Return windows ``[B, axes, time]`` in standard deviations, or in g where they are not standardised."""
        windows: Tensor = batch
        if self.mean is None or self.sd is None:
            return windows
        mean, sd = (
            torch.tensor(each, dtype=torch.float32)[:, None].to(windows.device) for each in (self.mean, self.sd)
        )
        return (windows - mean) / sd

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


def window_source(recipe: PretrainRecipe, data: Any) -> WindowSource:
    """Return the windows that a recipe asks for.

    Parameters
    ----------
    recipe : PretrainRecipe
        A recipe with the source ``windows``.
    data : str, Path or Windows
        A labelled set as ``NAME=PATH[,setting=value,...]`` (``hapt=HAPT Data Set/``), the folder of a cohort, or windows.

    Raises
    ------
    ValueError
        If `data` is of another kind or form, or has fewer windows than a batch.
    """
    settings = recipe.source
    assert isinstance(settings, WindowSourceSettings)
    rank, world = place()
    x, counts, people = _windows(settings, data)
    if settings.limit and len(x) > settings.limit:
        drawn = np.random.default_rng([recipe.training.seed, len(x)]).permutation(len(x))[: settings.limit]
        x = x[np.sort(drawn)]
    return WindowSource(
        x,
        batch=recipe.training.batch,
        seed=recipe.training.seed,
        rank=rank,
        world=world,
        standardise=settings.standardise,
        counts=counts,
        people=people,
    )


_Found = tuple[NDArray[np.float32], dict[str, int], PeopleSeen]  # windows, counts, people


def _windows(settings: WindowSourceSettings, data: Any) -> _Found:
    if isinstance(data, Sequence) and not isinstance(data, str) and len(data) == 1:
        data = data[0]
    if isinstance(data, Windows):
        _check_form(settings, data)
        return _of_subjects(settings, data)
    if not isinstance(data, str | Path):
        raise ValueError(f"data: expected {FORM}, the folder of a cohort, or Windows, got {data!r}")
    if Path(data).is_dir():
        return _of_cohort(settings, Cohort(data))
    reference = DatasetReference.parse(str(data))
    if reference.loader == "cohort":
        return _of_cohort(settings, Cohort(reference.path))
    made = reference.windows(window_s=settings.window_s, rate=settings.rate_hz, overlap=settings.overlap)
    _check_form(settings, made)
    return _of_subjects(settings, made)


def _check_form(settings: WindowSourceSettings, windows: Windows) -> None:
    n = round(settings.window_s * settings.rate_hz)
    if windows.n_samples != n or windows.rate != settings.rate_hz:
        raise ValueError(
            f"data: expected windows of {n} samples at {settings.rate_hz:g} Hz as the recipe's source says, got "
            f"{windows.n_samples} at {windows.rate:g} Hz"
        )


def _of_subjects(settings: WindowSourceSettings, windows: Windows) -> _Found:
    chosen = pretraining_subjects(windows.subject, settings.subjects, settings.subject_seed)
    mine = np.isin(windows.subject, chosen)
    counts = {"subjects": len(chosen), "windows_of_other_subjects": int((~mine).sum())}
    return windows.x[mine], counts, PeopleSeen(windows.name, tuple(windows.people), tuple(chosen.tolist()))


def _of_cohort(settings: WindowSourceSettings, cohort: Cohort) -> _Found:
    """Windows inside each segment of wear; of a cohort at another rate, the segment is brought to the recipe's."""
    ids = [str(each) for each in pretraining_subjects(np.array(cohort.ids), settings.subjects, settings.subject_seed)]
    length = round(settings.window_s * settings.rate_hz)
    hop = max(1, round(length * (1 - settings.overlap)))
    share = settings.limit // max(1, len(ids)) + 1 if settings.limit else None
    segments = cohort.segments.select(["id", "start_s", "hours"]).to_pylist()
    found: list[NDArray[np.float32]] = []
    for number, identity in enumerate(ids):
        mine: list[NDArray[np.float32]] = []
        for segment in (each for each in segments if each["id"] == identity):
            seconds = 3600 * float(segment["hours"])
            x = cohort.read(identity, float(segment["start_s"]), seconds)
            mine += _cut(_at_rate(x, cohort.recipe.resample.rate_hz, settings.rate_hz), length, hop)
        if share is not None and len(mine) > share:
            drawn = np.random.default_rng([settings.subject_seed, number]).permutation(len(mine))[:share]
            mine = [mine[at] for at in np.sort(drawn)]
        found += mine
    if not found:
        raise ValueError(f"data: expected wear of {settings.window_s:g} s or more, got none in {len(ids)} recordings")
    return np.stack(found), {"recordings": len(ids)}, PeopleSeen()


def _at_rate(x: NDArray[np.float32], own: float, rate: float) -> NDArray[np.float32]:
    if own == rate or x.shape[-1] < 2:
        return x
    time = (np.arange(x.shape[-1]) * (1e9 / own)).astype(np.int64)
    return resample(x, time, rate=rate, method="linear")[0]


def _cut(x: NDArray[np.float32], length: int, hop: int) -> list[NDArray[np.float32]]:
    """Windows without a missing sample."""
    starts = range(0, x.shape[-1] - length + 1, hop)
    return [x[:, at : at + length] for at in starts if np.isfinite(x[:, at : at + length]).all()]

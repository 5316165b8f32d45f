"""Windows of signal for pre-training, from a labelled set, whose labels are not used, or from the wear of a cohort."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imuspec.cohort.cohort import Cohort
from imuspec.datasets import Windows
from imuspec.datasets.people import people_without_file, read_people
from imuspec.datasets.reference import FORM, DatasetReference
from imuspec.pretraining.processes import rank_and_world
from imuspec.pretraining.source import Validate, indices_of_epoch
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.signals import WindowSourceSettings
from imuspec.run.named import PeopleSeen
from imuspec.signal import resample

__all__ = ["WindowSource", "people_for_pretraining", "pretraining_subjects", "window_source"]


def pretraining_subjects(subjects: NDArray[Any], share: float, seed: int) -> NDArray[Any]:
    """Return the subjects for pre-training. The others remain for probing.

    Parameters
    ----------
    subjects : ndarray
        Subject of each window.
    share : float
        Share of the n distinct subjects: ``max(1, round(share * n))`` are drawn.
    seed : int
        Seed of the draw.

    Returns
    -------
    ndarray
        Distinct subjects, sorted.
    """
    unique = np.unique(subjects)
    n = max(1, round(share * len(unique)))
    return np.sort(np.random.default_rng([seed, len(unique)]).permutation(unique)[:n])


class WindowSource:
    """Batches of windows, float32 ``[B, axes, time]``, g, in another random order in each epoch.

    `imuspec.pretraining.source.indices_of_epoch` defines the order.

    Parameters
    ----------
    x : ndarray
        Windows ``[N, axes, time]``, or ``[N, triad, 3, time]``, g.
    batch : int
        Windows in a step, over all processes.
    seed : int, default 0
        Seed of the orders.
    rank, world : int, default 0, 1
        Index of this process, and number of processes.
    standardise : bool, default True
        Whether `scaled` subtracts the mean of each axis and divides by its standard deviation.
    counts : dict of str to int, optional
        Numbers to add to the attribute `counts`.
    people : PeopleSeen, optional
        People whose windows they are.

    Raises
    ------
    ValueError
        If there are fewer windows than a batch, or `batch` is no multiple of `world`.
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
        self.split: dict[str, Any] = {}
        self.skipped: list[tuple[str, str]] = []

    def scaled(self, batch: Any) -> Tensor:
        """Return the standardised windows, or the windows unchanged if the source does not standardise.

        Parameters
        ----------
        batch : Tensor
            Windows ``[B, axes, time]``, g.
        """
        windows: Tensor = batch
        if self.mean is None or self.sd is None:
            return windows
        mean = torch.tensor(self.mean, dtype=torch.float32, device=windows.device)[:, None]  # [axes, 1]
        sd = torch.tensor(self.sd, dtype=torch.float32, device=windows.device)[:, None]
        return (windows - mean) / sd

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Tensor]:
        """Yield windows, float32 ``[B, axes, time]``, g, as in `BatchSource.epoch`."""
        process = (self.rank, self.world)
        for index in indices_of_epoch(
            len(self.x), epoch, first_step, batch=self.batch, seed=self.seed, process=process
        ):
            yield self.x[torch.from_numpy(index)]


def _statistics(x: NDArray[np.float32]) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each axis, computed in float64 for 4096 windows at a time to save memory."""
    total, square, n = 0.0, 0.0, 0
    for start in range(0, len(x), 4096):
        part = np.asarray(x[start : start + 4096], np.float64)
        total, square, n = total + part.sum((0, 2)), square + (part**2).sum((0, 2)), n + len(part) * part.shape[2]
    mean = np.asarray(total / n)
    return mean.tolist(), np.sqrt(np.maximum(np.asarray(square / n) - mean**2, 1e-12)).tolist()


def window_source(recipe: PretrainRecipe, data: Any, people: str | Path | None = None) -> WindowSource:
    """Return the source of windows of a recipe.

    Parameters
    ----------
    recipe : PretrainRecipe
        A recipe with the source ``windows``.
    data : str, Path or Windows
        A labelled set as ``NAME=PATH[,setting=value,...]`` (``hapt=HAPT Data Set/``), the folder of a cohort, or windows.
    people : path-like, optional
        CSV file that names the person of each recording of a cohort, as in `imuspec.datasets.people.read_people`. By default
        each recording is taken as another person.

    Raises
    ------
    ValueError
        If `data` is of another kind, its windows have another length or rate than the recipe's, they are fewer than a batch,
        people are given for data other than a cohort, or a cohort is given settings.
    """
    settings = recipe.source
    assert isinstance(settings, WindowSourceSettings)
    rank, world = rank_and_world()
    x, counts, seen = _windows(settings, data, people)
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
        people=seen,
    )


def people_for_pretraining(settings: WindowSourceSettings, data: str) -> tuple[Any, ...]:
    """Return the subjects of a labelled set whose windows `window_source` takes.

    Subjects without a labelled window are among those that they are drawn from, as the set's labels are not used.

    Parameters
    ----------
    settings : WindowSourceSettings
        Length and rate of the windows, and share and seed of the subjects.
    data : str
        The set as ``NAME=PATH[,setting=value,...]``.
    """
    return _windows(settings, data, None)[2].subjects or ()


_Selection = tuple[NDArray[np.float32], dict[str, int], PeopleSeen]  # windows [N, 3, time], counts, people


def _windows(settings: WindowSourceSettings, data: Any, people: str | Path | None) -> _Selection:
    if isinstance(data, Sequence) and not isinstance(data, str) and len(data) == 1:
        data = data[0]
    cohort = _cohort(data)
    if cohort is not None:
        return _windows_of_cohort(settings, cohort, people)
    if people is not None:
        raise ValueError(f"people: expected a file of people with a cohort, got {people} with {data!r}")
    if isinstance(data, Windows):
        return _windows_of_set(settings, data)
    if not isinstance(data, str | Path):
        raise ValueError(f"data: expected {FORM}, the folder of a cohort, or Windows, got {data!r}")
    reference = DatasetReference.parse(str(data))
    windows = reference.windows(
        window_s=settings.window_s,
        rate=settings.rate_hz,
        overlap=settings.overlap,
        unlabelled=settings.unlabelled and "of_classes" not in reference.settings,
    )
    return _windows_of_set(settings, windows)


def _cohort(data: Any) -> Cohort | None:
    """Return the cohort that `data` names; None for other data."""
    if isinstance(data, Cohort):
        return data
    if not isinstance(data, str | Path):
        return None
    if Path(data).is_dir():
        return Cohort(data)
    reference = DatasetReference.parse(str(data))
    if reference.loader != "cohort":
        return None
    if reference.settings:
        raise ValueError(
            f"data: expected cohort=PATH without settings, as the recipe's source has them, got {reference}"
        )
    return Cohort(reference.path)


def _windows_of_set(settings: WindowSourceSettings, windows: Windows) -> _Selection:
    """Return the windows of the subjects for pre-training."""
    n = round(settings.window_s * settings.rate_hz)
    if windows.n_samples != n or windows.rate != settings.rate_hz:
        raise ValueError(
            f"data: expected windows of {n} samples at {settings.rate_hz:g} Hz as in the recipe's source, got "
            f"{windows.n_samples} at {windows.rate:g} Hz"
        )
    subjects = pretraining_subjects(windows.subject, settings.subjects, settings.subject_seed)
    selected = np.isin(windows.subject, subjects)
    counts = {"subjects": len(subjects), "windows_of_other_subjects": int((~selected).sum())}
    return windows.x[selected], counts, PeopleSeen(windows.name, tuple(windows.people), tuple(subjects.tolist()))


def _windows_of_cohort(settings: WindowSourceSettings, cohort: Cohort, people: str | Path | None) -> _Selection:
    """Return the windows inside the segments of wear of the people for pre-training, resampled to the recipe's rate."""
    if not settings.unlabelled:
        raise ValueError("source.unlabelled: expected a labelled set for false, got a cohort, which has no labels")
    wearers = people_without_file(cohort.ids) if people is None else read_people(people, cohort.ids)
    persons = pretraining_subjects(np.array(list(wearers.person.values())), settings.subjects, settings.subject_seed)
    ids = wearers.recordings(persons.tolist())
    length = round(settings.window_s * settings.rate_hz)
    hop = max(1, round(length * (1 - settings.overlap)))
    limit = settings.limit // max(1, len(ids)) + 1 if settings.limit else None  # windows of a recording
    segments = cohort.segments.select(["id", "start_s", "hours"]).to_pylist()
    windows: list[NDArray[np.float32]] = []
    for number, name in enumerate(ids):
        own: list[NDArray[np.float32]] = []
        for segment in (segment for segment in segments if segment["id"] == name):
            seconds = 3600 * float(segment["hours"])
            x = cohort.read(name, float(segment["start_s"]), seconds)
            own += _complete_windows(_at_rate(x, cohort.recipe.resample.rate_hz, settings.rate_hz), length, hop)
        if limit is not None and len(own) > limit:
            drawn = np.random.default_rng([settings.subject_seed, number]).permutation(len(own))[:limit]
            own = [own[index] for index in np.sort(drawn)]
        windows += own
    if not windows:
        raise ValueError(f"data: expected wear of {settings.window_s:g} s or more, got none in {len(ids)} recordings")
    digest = hashlib.sha256(repr(cohort.ids).encode()).hexdigest()
    seen = PeopleSeen("cohort", (f"cohort {digest}",), tuple(persons.tolist()))
    return np.stack(windows), {"recordings": len(ids), "people": len(persons)}, seen


def _at_rate(x: NDArray[np.float32], stored_rate: float, rate: float) -> NDArray[np.float32]:
    if stored_rate == rate or x.shape[-1] < 2:
        return x
    time = (np.arange(x.shape[-1]) * (1e9 / stored_rate)).astype(np.int64)
    method: Literal["linear", "polyphase"] = "linear" if rate > stored_rate else "polyphase"  # without aliasing
    return resample(x, time, rate=rate, method=method, sample_rate=stored_rate)[0]


def _complete_windows(x: NDArray[np.float32], length: int, hop: int) -> list[NDArray[np.float32]]:
    """Return the windows without a missing sample."""
    starts = range(0, x.shape[-1] - length + 1, hop)
    return [x[:, start : start + length] for start in starts if np.isfinite(x[:, start : start + length]).all()]

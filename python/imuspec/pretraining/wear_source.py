"""Days of wear of a cohort for the masked auto-encoder. Some people are held out for validation."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import distributed as dist

from imuspec.cohort.cohort import Cohort
from imuspec.datasets.people import People, expect_apart, people_order, people_without_file, read_people
from imuspec.datasets.wear_batches import DaySettings
from imuspec.datasets.wear_days import WearDays
from imuspec.objectives import Objective
from imuspec.objectives.masked import MaskedSignalAutoencoder
from imuspec.pretraining.processes import rank_and_world
from imuspec.pretraining.source import Batch, Parts, Validate
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.wear import RoFormerSettings, WearSourceSettings
from imuspec.run.named import PeopleSeen

__all__ = ["WearSource", "split_people", "wear_source"]

_VALIDATION_SEED = 2**31  # added to the split's seed, so that it differs from all seeds of training


class WearSource:
    """Days of wear to train on, and days of other people for validation.

    Parameters
    ----------
    days : WearDays
        The training batches.
    validate : callable, optional
        Function to call after each epoch.
    parts : dict, optional
        Part of the split, ``training`` or ``held_out`` -> person -> recordings.
    split : dict, optional
        Other facts of the split: its seed, and the file that names the people.
    digest : str, default ""
        SHA-256 of the recordings and of the split.
    """

    name = "wear"
    n_classes: int | None = None
    n_steps: int | None = None  # windows may have different lengths
    mean: Sequence[float] | None = None
    sd: Sequence[float] | None = None

    def __init__(
        self,
        days: WearDays,
        *,
        validate: Validate | None = None,
        parts: Parts | None = None,
        split: dict[str, Any] | None = None,
        digest: str = "",
    ) -> None:
        self.days, self.validate, self.digest = days, validate, digest
        parts = parts or {}
        self.split = {**(split or {}), **parts}
        self.steps_per_epoch = days.steps_per_epoch
        held_out = parts.get("held_out", {})
        self.counts = {
            **days.counts,
            "people": len(parts.get("training", {})),
            "people_held_out": len(held_out),
            "recordings_held_out": sum(map(len, held_out.values())),
        }
        self.skipped = days.skipped
        self.people = PeopleSeen("cohort", (f"cohort {digest}",), tuple(parts.get("training", {})))

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Yield batches of `WearDays.epoch`. The parameters are those of `BatchSource.epoch`."""
        return self.days.epoch(epoch, first_step)

    def scaled(self, batch: Any) -> Batch:
        """Return the windows of a batch, float32 ``[B, 3, time]``, g, with their hidden and missing patches.

        Parameters
        ----------
        batch : tuple of Tensor
            A batch of `epoch`.
        """
        return self.days.windows(batch)


def split_people(settings: WearSourceSettings, people: People) -> Parts:
    """Return the people for training and those held out for validation, drawn with ``source.split_seed``.

    No person is in both parts. Each part has about the same share of each stratum. A smaller ``source.share`` selects a part
    of the people of a larger one.

    Parameters
    ----------
    settings : WearSourceSettings
        Shares and seed.
    people : People
        Who wore each recording.

    Returns
    -------
    dict of str to dict
        ``training`` and ``held_out``: person -> recordings.
    """
    order = people_order(people, settings.split_seed)
    n_held_out = round(settings.validation * len(order))
    if settings.validation and len(order) > 1:
        n_held_out = max(n_held_out, 1)
    held_out, remaining = order[:n_held_out], order[n_held_out:]
    chosen = {"training": remaining[: max(1, round(settings.share * len(remaining)))], "held_out": held_out}
    expect_apart(chosen)
    return {part: people.by_person(people.recordings(names)) for part, names in chosen.items()}


def wear_source(recipe: PretrainRecipe, data: Any, people: str | Path | None = None) -> WearSource:
    """Return the source of days of wear of a recipe.

    Parameters
    ----------
    recipe : PretrainRecipe
        A recipe with the source ``wear``.
    data : str, Path or Cohort
        The cohort, or its folder.
    people : path-like, optional
        CSV file that names the person of each recording, as in `imuspec.datasets.people.read_people`. By default each
        recording is taken as another person.

    Raises
    ------
    ValueError
        If `data` is not one cohort, the encoder's patch does not have the length of the source's patch, or the file of people
        does not fit the cohort.
    """
    cohorts = [data] if isinstance(data, str | Path | Cohort) else list(cast("Sequence[Any]", data))
    if len(cohorts) != 1:
        raise ValueError(f"data: expected one cohort, got {len(cohorts)}")
    cohort = cohorts[0] if isinstance(cohorts[0], Cohort) else Cohort(cohorts[0])
    settings = cast("WearSourceSettings", recipe.source)
    rank, world = rank_and_world()
    wearers = people_without_file(cohort.ids) if people is None else read_people(people, cohort.ids)
    parts = split_people(settings, wearers)
    training, held_out = ([name for names in part.values() for name in names] for part in parts.values())
    days = WearDays(
        cohort,
        _day_settings(settings),
        ids=sorted(training),
        recordings=settings.recordings,
        seed=recipe.training.seed,
        process=(rank, world),
        workers=settings.workers if settings.workers >= 0 else max((os.cpu_count() or 1) // world - 1, 0),
    )
    network = cast("RoFormerSettings", recipe.encoder)
    if days.patch != network.patch:
        raise ValueError(
            f"encoder.patch: expected {days.patch} samples, {settings.patch_s:g} s at the cohort's {days.rate:g} Hz, "
            f"got {network.patch}"
        )
    stored = cohort.recordings.select(["id", "sha256"]).to_pydict()
    digests = dict(zip(stored["id"], stored["sha256"], strict=True))
    members = [
        (part, who, [(name, digests[name]) for name in names]) for part in parts for who, names in parts[part].items()
    ]
    source = WearSource(
        days,
        validate=_validation(recipe, cohort, sorted(held_out)),
        parts=parts,
        split={
            "seed": settings.split_seed,
            "people_file": wearers.path,
            "people_sha256": wearers.digest,
            "stratified_by": list(wearers.strata),
            "wear_sha256": _wear_digest(cohort, parts),
        },
        digest=hashlib.sha256(repr(members).encode()).hexdigest(),
    )
    if wearers.n_other:
        source.counts["rows_of_other_recordings"] = wearers.n_other
    return source


def _wear_digest(cohort: Cohort, parts: Parts) -> str:
    """Return a SHA-256 of the stretches of wear of all recordings, which the stored samples do not determine."""
    names = sorted(name for part in parts.values() for names in part.values() for name in names)
    return hashlib.sha256(repr([(name, cohort.stretches(name)) for name in names]).encode()).hexdigest()


def _day_settings(settings: WearSourceSettings) -> DaySettings:
    return DaySettings(**{field.name: getattr(settings, field.name) for field in fields(DaySettings)})


def _validation(recipe: PretrainRecipe, cohort: Cohort, held_out: list[str]) -> Validate | None:
    """Return the function that validates an epoch, or None if no recordings are held out.

    It uses the same stretches and hidden patches in each epoch. Its metrics are the loss and all its terms before their
    weights: ``validation_loss``, ``validation_lmm``, ``validation_lmv`` and ``validation_mse``.
    """
    rank, world = rank_and_world()
    if not held_out:
        return None
    if len(held_out) < world:  # each process validates on all recordings
        rank, world = 0, 1
    settings = cast("WearSourceSettings", recipe.source)
    days = WearDays(
        cohort,
        replace(_day_settings(settings), visits=1),
        ids=held_out,
        recordings=world,
        seed=settings.split_seed + _VALIDATION_SEED,
        process=(rank, world),
    )

    def validate(objective: Objective, epoch: int) -> dict[str, float]:
        del epoch
        model = cast("MaskedSignalAutoencoder", objective)
        device = model.head.weight.device
        sums: dict[str, torch.Tensor] = {}
        total = torch.zeros((), device=device)
        for batch in days.epoch(0):
            terms, n = model.measure(*days.windows(tuple(part.to(device) for part in batch)))
            total += n
            for name, value in terms.items():
                sums[name] = sums.get(name, torch.zeros((), device=device)) + value * n
        stacked = torch.stack([*sums.values(), total])
        if world > 1 and dist.is_initialized():
            dist.all_reduce(stacked)
        means = (stacked[:-1] / stacked[-1].clamp_min(1)).tolist()
        return {f"validation_{name}": value for name, value in zip(sums, means, strict=True)}

    return validate

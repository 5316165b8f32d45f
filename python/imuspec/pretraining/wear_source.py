"""Days of wear of a cohort for the masked auto-encoder, some recordings held out to validate."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import distributed as dist

from imuspec.cohort.cohort import Cohort
from imuspec.datasets.wear_days import DaySettings, WearDays
from imuspec.objectives import Objective
from imuspec.objectives.masked import MaskedSignalAutoencoder
from imuspec.pretraining.processes import place
from imuspec.pretraining.source import Batch, Validate
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.wear import RoFormerSettings, WearSourceSettings
from imuspec.run.named import PeopleSeen

__all__ = ["WearSource", "split_recordings", "wear_source"]

_FAR = 2**31  # a seed apart from any epoch's


class WearSource:
    """Days of wear to train on, and days of other recordings to validate.

    Parameters
    ----------
    days : WearDays
        The training batches.
    validate : callable, optional
        Called after each epoch.
    held_out : int, default 0
        Number of recordings that are held out to validate.
    digest : str, default ""
        SHA-256 of the recordings.
    """

    name = "wear"
    n_classes: int | None = None
    n_steps: int | None = None  # windows of a cohort's wear differ in length
    mean: Sequence[float] | None = None
    sd: Sequence[float] | None = None
    people = PeopleSeen()

    def __init__(
        self, days: WearDays, *, validate: Validate | None = None, held_out: int = 0, digest: str = ""
    ) -> None:
        self.days, self.validate, self.digest = days, validate, digest
        self.steps_per_epoch = days.steps_per_epoch
        self.counts = {**days.counts, "recordings_held_out": held_out}
        self.skipped = days.skipped

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Yield this process's batches of an epoch from `first_step` on."""
        return self.days.epoch(epoch, first_step)

    def scaled(self, batch: Any) -> Batch:
        """Return a batch of stored samples ``[B, 3, time]`` in g, with what came with it."""
        return self.days.in_g(batch)


def split_recordings(recipe: PretrainRecipe, cohort: Cohort) -> tuple[list[str], list[str]]:
    """Return the recordings to train on and those held out, in an order that follows from the recipe's seed.

    Of the rest after the held-out ones the recipe's share is trained on: the first of the order, so that shares are nested.
    """
    settings = cast("WearSourceSettings", recipe.source)
    order = np.random.default_rng([recipe.training.seed, 7]).permutation(cohort.ids).tolist()
    n_held = round(settings.validation * len(order))
    if settings.validation and len(order) > 1:
        n_held = max(n_held, 1)
    held, rest = order[:n_held], order[n_held:]
    return sorted(rest[: max(1, round(settings.share * len(rest)))]), sorted(held)


def wear_source(recipe: PretrainRecipe, data: Any) -> WearSource:
    """Return the days of wear that a recipe asks for.

    Parameters
    ----------
    recipe : PretrainRecipe
        A recipe with the source ``wear``.
    data : str, Path or Cohort
        The cohort, or its folder.

    Raises
    ------
    ValueError
        If `data` is not one cohort, or the encoder's patch has another length than the source's.
    """
    cohorts = [data] if isinstance(data, str | Path | Cohort) else list(cast("Sequence[Any]", data))
    if len(cohorts) != 1:
        raise ValueError(f"data: expected one cohort, got {len(cohorts)}")
    cohort = cohorts[0] if isinstance(cohorts[0], Cohort) else Cohort(cohorts[0])
    settings = cast("WearSourceSettings", recipe.source)
    rank, world = place()
    train, held = split_recordings(recipe, cohort)
    days = WearDays(
        cohort,
        _day_settings(settings),
        ids=train,
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
    digest = hashlib.sha256(repr([(each, digests[each]) for each in (*train, *held)]).encode()).hexdigest()
    return WearSource(days, validate=_validation(recipe, cohort, held), held_out=len(held), digest=digest)


def _day_settings(settings: WearSourceSettings) -> DaySettings:
    return DaySettings(**{each.name: getattr(settings, each.name) for each in fields(DaySettings)})


def _validation(recipe: PretrainRecipe, cohort: Cohort, held: list[str]) -> Validate | None:
    """What validates each epoch: the same stretches and hidden patches of the held-out recordings, each time.

    Its figures are the loss and all its terms without their weights: ``validation_loss``, ``validation_lmm``,
    ``validation_lmv`` and ``validation_mse``. None without recordings held out.
    """
    rank, world = place()
    if not held:
        return None
    if len(held) < world:
        rank, world = 0, 1
    settings = cast("WearSourceSettings", recipe.source)
    days = WearDays(
        cohort,
        replace(_day_settings(settings), visits=1),
        ids=held,
        recordings=world,
        seed=recipe.training.seed + _FAR,
        process=(rank, world),
    )

    def validate(objective: Objective, epoch: int) -> dict[str, float]:
        del epoch
        model = cast("MaskedSignalAutoencoder", objective)
        device = model.head.weight.device
        sums: dict[str, torch.Tensor] = {}
        total = torch.zeros((), device=device)
        for batch in days.epoch(0):
            terms, n = model.measure(*days.in_g(tuple(part.to(device) for part in batch)))
            total += n
            for name, value in terms.items():
                sums[name] = sums.get(name, torch.zeros((), device=device)) + value * n
        stacked = torch.stack([*sums.values(), total])
        if world > 1 and dist.is_initialized():
            dist.all_reduce(stacked)
        means = (stacked[:-1] / stacked[-1].clamp_min(1)).tolist()
        return {f"validation_{name}": value for name, value in zip(sums, means, strict=True)}

    return validate

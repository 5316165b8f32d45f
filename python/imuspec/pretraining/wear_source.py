"""Data of the masked auto-encoder: days of wear of a cohort, some recordings held out to validate."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import distributed as dist
from torch import nn

from imuspec.cohort.cohort import Cohort
from imuspec.datasets.wear_days import DaySettings, WearDays
from imuspec.objectives.masked import MaskedAutoencoder
from imuspec.pretraining.processes import place
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.wear import RoFormerSettings, WearSourceSettings

__all__ = ["shares", "wear_source", "wear_validation"]

Validate = Callable[[nn.Module, int], dict[str, float]]
_FAR = 2**31  # a seed apart from any epoch's


def shares(recipe: PretrainRecipe, cohort: Cohort) -> tuple[list[str], list[str]]:
    """Return the recordings to train on and those held out, by an order that the recipe's seed gives.

    Of the rest after the held-out ones the recipe's share is trained on: the first of the order, so that shares are nested.
    """
    wanted = cast("WearSourceSettings", recipe.source)
    order = np.random.default_rng([recipe.training.seed, 7]).permutation(cohort.ids).tolist()
    n_held = round(wanted.validation * len(order))
    if wanted.validation and len(order) > 1:
        n_held = max(n_held, 1)
    held, rest = order[:n_held], order[n_held:]
    return sorted(rest[: max(1, round(wanted.share * len(rest)))]), sorted(held)


def wear_source(recipe: PretrainRecipe, data: Any) -> WearDays:
    """Return the training batches of a recipe from a cohort's folder."""
    cohort = _cohort(data)
    wanted = cast("WearSourceSettings", recipe.source)
    rank, world = place()
    train, held = shares(recipe, cohort)
    workers = wanted.workers if wanted.workers >= 0 else max((os.cpu_count() or 1) // world - 1, 0)
    source = WearDays(
        cohort,
        _day_settings(wanted),
        ids=train,
        recordings=wanted.recordings,
        seed=recipe.training.seed,
        process=(rank, world),
        workers=workers,
    )
    network = cast("RoFormerSettings", recipe.encoder)
    if source.patch != network.patch:
        raise ValueError(
            f"encoder.patch: expected {source.patch} samples, {wanted.patch_s:g} s at the cohort's {source.rate:g} Hz, "
            f"got {network.patch}"
        )
    source.counts |= {"recordings_held_out": len(held)}
    return source


def wear_validation(recipe: PretrainRecipe, data: Any) -> Validate | None:
    """Return what validates each epoch: the same stretches and hidden patches of the recordings held out, each time.

    Its figures are the loss and all its terms without their weights, ``validation_lmm``, ``validation_lmv`` and
    ``validation_mse``, those of weight 0 too. None without recordings held out.
    """
    cohort = _cohort(data)
    wanted = cast("WearSourceSettings", recipe.source)
    _, held = shares(recipe, cohort)
    rank, world = place()
    if not held:
        return None
    if len(held) < world:
        rank, world = 0, 1
    source = WearDays(
        cohort,
        replace(_day_settings(wanted), visits=1),
        ids=held,
        recordings=world,
        seed=recipe.training.seed + _FAR,
        process=(rank, world),
    )

    def validate(objective: nn.Module, epoch: int) -> dict[str, float]:
        del epoch
        model = cast("MaskedAutoencoder", objective)
        device = model.head.weight.device
        sums: dict[str, torch.Tensor] = {}
        total = torch.zeros((), device=device)
        for batch in source.epoch(0):
            terms, n = model.measure(*source.in_g(tuple(part.to(device) for part in batch)))
            total += n
            for name, value in terms.items():
                sums[name] = sums.get(name, torch.zeros((), device=device)) + value * n
        stacked = torch.stack([*sums.values(), total])
        if world > 1 and dist.is_initialized():
            dist.all_reduce(stacked)
        means = (stacked[:-1] / stacked[-1].clamp_min(1)).tolist()
        return {f"validation_{name}": value for name, value in zip(sums, means, strict=True)}

    return validate


def _day_settings(source: WearSourceSettings) -> DaySettings:
    return DaySettings(**{field.name: getattr(source, field.name) for field in fields(DaySettings)})


def _cohort(data: Any) -> Cohort:
    paths = [data] if isinstance(data, str | Path | Cohort) else list(cast("Sequence[Any]", data))
    if len(paths) != 1:
        raise ValueError(f"data: expected one cohort, got {len(paths)}")
    return paths[0] if isinstance(paths[0], Cohort) else Cohort(paths[0])

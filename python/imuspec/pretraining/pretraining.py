"""Pre-train an encoder by a recipe.

A recipe's four first sections each name a choice. Encoders, views and objectives are built by that name from their own
registries (`imuspec.encoders`, `imuspec.views`, `imuspec.objectives`) with the section's other fields as arguments; the
source is built here, by `SOURCES`. A new kind of pre-training adds its section's class to `imuspec.recipe.pretraining`, its
maker to a registry, and, for data of a new kind, a function to `SOURCES`.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from imuspec import encoders, objectives, views
from imuspec.datasets.wear_days import WearDays
from imuspec.pretraining.loop import BatchSource, train
from imuspec.pretraining.photo_source import PictureSource, find_pictures
from imuspec.pretraining.processes import place
from imuspec.pretraining.wear_source import wear_source, wear_validation
from imuspec.pretraining.window_source import WindowSource, window_source
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.pretraining import ImageSourceSettings
from imuspec.run.run import Run
from imuspec.views.pretext import Standardising

__all__ = ["SOURCES", "Source", "build_objective", "build_source", "build_views", "pretrain"]

Data = Any
_NAMED = 5  # pictures that did not decode and are named in a message


class Source(BatchSource, Protocol):
    """Batches, and what became of the data on the way to them."""

    skipped: list[tuple[str, str]]

    @property
    def counts(self) -> dict[str, int]:
        """How many items are in use, and how many of what kind are not."""
        ...


def _images(recipe: PretrainRecipe, data: Data) -> Source:
    rank, world = place()
    wanted = recipe.source
    assert isinstance(wanted, ImageSourceSettings)
    pictures = find_pictures(data)
    if wanted.limit and wanted.limit < len(pictures):
        drawn = np.random.default_rng([recipe.training.seed, len(pictures)]).permutation(len(pictures))
        pictures = pictures[np.sort(drawn[: wanted.limit])]
    return PictureSource(
        pictures,
        size=(wanted.height, wanted.width),
        batch=recipe.training.batch,
        seed=recipe.training.seed,
        rank=rank,
        world=world,
        workers=wanted.workers if wanted.workers >= 0 else max((os.cpu_count() or 1) // world - 1, 0),
        memory_gb=wanted.memory_gb,
        labels=recipe.objective.name == "supervised",
    )


def _windows(recipe: PretrainRecipe, data: Data) -> Source:
    rank, world = place()
    return window_source(recipe, data, rank=rank, world=world)


# name of a recipe's source -> (recipe, data) -> batches
SOURCES: dict[str, Callable[[PretrainRecipe, Data], Source]] = {
    "images": _images,
    "windows": _windows,
    "wear": wear_source,
}


def build_source(recipe: PretrainRecipe, data: Data) -> Source:
    """Return the batches that a recipe asks for, from data of the kind that its source takes."""
    return SOURCES[recipe.source.name](recipe, data)


def build_objective(recipe: PretrainRecipe, source: Source) -> nn.Module:
    """Return the encoder and objective of a recipe, with the random weights that follow from its seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed)
        encoder = _encoder(recipe, source)
        settings = recipe.objective.model_dump(exclude={"name"})
        taken = inspect.signature(objectives.REGISTRY.maker(recipe.objective.name)).parameters
        if "n_classes" in taken:
            settings["n_classes"] = source.n_classes  # type: ignore[attr-defined]  # of labelled sources
        if "n_tasks" in taken:
            settings["n_tasks"] = len(recipe.views.operations)  # type: ignore[union-attr]  # of such objectives
        if "total_steps" in taken:
            settings["total_steps"] = recipe.training.epochs * source.steps_per_epoch
        return objectives.build(recipe.objective.name, encoder, **settings)


def _encoder(recipe: PretrainRecipe, source: Source) -> nn.Module:
    """Build the encoder; one of standardised windows keeps their mean and standard deviation."""
    name, settings = recipe.encoder.name, recipe.encoder.model_dump(exclude={"name"})
    if not isinstance(source, WindowSource):
        return encoders.build(name, **settings)
    if name == "limu_bert":
        settings["n_steps"] = source.n_samples
    if source.mean is None or source.sd is None:
        return encoders.build(name, **settings)
    return encoders.build("standardised", encoder=name, settings=settings, mean=source.mean, sd=source.sd)


def build_views(recipe: PretrainRecipe, source: Source) -> Callable[[Any, torch.Generator], tuple[torch.Tensor, ...]]:
    """Return the view generator of a recipe; windows are standardised before it sees them, days of wear are put into g."""
    if isinstance(source, WearDays):
        return source.in_g
    shown = views.build(recipe.views.name, **recipe.views.model_dump(exclude={"name"}))
    if isinstance(source, WindowSource) and source.mean is not None and source.sd is not None:
        return Standardising(shown, mean=source.mean, sd=source.sd)
    return shown


def pretrain(
    recipe: str | Path | PretrainRecipe,
    data: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    resume: bool = False,
) -> Run:
    """Pre-train an encoder.

    Parameters
    ----------
    recipe
        A name (``img2imu``, ``moco``, ``mae-lmm``, ...), the path of a TOML file, or a `PretrainRecipe`.
    data
        For pictures: a folder, one with a folder for each class, an npz of encoded pictures, or several of these. For
        windows of signal: a labelled set as ``NAME=PATH[,setting=value,...]``, the folder of a cohort, or
        `imuspec.datasets.Windows`.
        For days of wear: the folder of a cohort.
    out
        The run's folder, new, or begun before if `resume`.
    resume
        Go on from the last checkpoint; the result has the same bits as without the stop.

    Returns
    -------
    The `Run`: ``run.metrics()`` are its figures, ``run.load_encoder()`` is the encoder.

    Raises
    ------
    ValueError
        A recipe with a misspelt field or one that does not fit the data.
    FileExistsError
        The folder holds a training already and `resume` is false.
    imuspec.training.NonFiniteLossError
        The loss became NaN or infinite.

    Examples
    --------
    >>> import imuspec
    >>> run = imuspec.pretrain("img2imu-small", "photos/", "runs/mine")  # doctest: +SKIP
    >>> run.load_encoder()(pictures).shape  # doctest: +SKIP
    torch.Size([64, 512])
    """
    followed = PretrainRecipe.load(recipe)
    run = Run(out)
    first = place()[0] == 0
    if first:
        run.begin(followed, resume=resume)
    source = build_source(followed, data)
    _check_queue(followed, source)
    if first:
        _tell(run, source)
    objective = build_objective(followed, source)
    train(
        objective,
        source,
        views=build_views(followed, source),
        settings=followed.training,
        run=run,
        resume=resume,
        validate=wear_validation(followed, data) if isinstance(source, WearDays) else None,
    )
    if first:
        _keep_counts(run, source)
    return run


def _check_queue(recipe: PretrainRecipe, source: Source) -> None:
    queue, shown = getattr(recipe.objective, "queue", 0), source.steps_per_epoch * recipe.training.batch
    if queue > shown:
        raise ValueError(
            f"objective.queue: expected at most the {shown} pictures of an epoch, got {queue}: keys of the same picture "
            f"would count as others; set objective.queue to a smaller multiple of training.batch"
        )


def _tell(run: Run, source: Source) -> None:
    _keep_counts(run, source)
    counts = ", ".join(f"{value} {key.replace('_', ' ')}" for key, value in source.counts.items())
    print(f"{run.path}: {counts}", file=sys.stderr)
    for name, reason in source.skipped[:_NAMED]:
        print(f"left out: {name}: {reason}", file=sys.stderr)
    if len(source.skipped) > _NAMED:
        print(f"left out: {len(source.skipped) - _NAMED} more, see source.json", file=sys.stderr)


def _keep_counts(run: Run, source: Source) -> None:
    skipped = [{"name": name, "reason": reason} for name, reason in source.skipped]
    facts = {"counts": source.counts, "skipped": skipped, **getattr(source, "origin", {})}
    run.write_text("source.json", json.dumps(facts, indent=2) + "\n")

"""Pre-train an encoder by a recipe.

A recipe's first four sections each name a choice. A registry builds each by that name, with the section's other fields as
arguments: `SOURCES` here, `imuspec.views`, `imuspec.encoders`, `imuspec.objectives`. What a section needs beside its fields
(``n_classes``, ``n_steps``, ``n_tasks``, ``total_steps``) comes from the data and the training. To add a kind, add its
section to `imuspec.recipe.pretraining` and its maker to the registry.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imuspec import encoders, objectives, views
from imuspec.pretraining.loop import train
from imuspec.pretraining.photo_source import PictureSource, find_pictures
from imuspec.pretraining.processes import place
from imuspec.pretraining.source import Source
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.pretraining import ImageSourceSettings, MoCoSettings
from imuspec.recipe.registry import Registry
from imuspec.recipe.sections import Need
from imuspec.run.run import Run

__all__ = ["SOURCES", "build_objective", "build_source", "build_views", "pretrain"]

SOURCES: Registry[Source] = Registry(
    "source",
    {
        "images": "imuspec.pretraining.pretraining:image_source",
        "wear": "imuspec.pretraining.wear_source:wear_source",
        "windows": "imuspec.pretraining.window_source:window_source",
    },
)

_MEANINGS: dict[Need, str] = {
    "n_classes": "the number of labels",
    "n_steps": "the number of samples of a window",
    "n_tasks": "the number of operations that the views label",
    "total_steps": "the number of optimiser steps",
}
_NAMED = 5  # pictures that did not decode and are named in a message


def image_source(recipe: PretrainRecipe, data: Any) -> PictureSource:
    """Return the pictures that a recipe asks for.

    Parameters
    ----------
    recipe : PretrainRecipe
        A recipe with the source ``images``.
    data : str, Path or sequence of them
        As `imuspec.pretraining.photo_source.find_pictures` takes it.
    """
    settings = recipe.source
    assert isinstance(settings, ImageSourceSettings)
    rank, world = place()
    pictures = find_pictures(data)
    if settings.limit and settings.limit < len(pictures):
        drawn = np.random.default_rng([recipe.training.seed, len(pictures)]).permutation(len(pictures))
        pictures = pictures[np.sort(drawn[: settings.limit])]
    return PictureSource(
        pictures,
        size=(settings.height, settings.width),
        batch=recipe.training.batch,
        seed=recipe.training.seed,
        rank=rank,
        world=world,
        workers=settings.workers if settings.workers >= 0 else max((os.cpu_count() or 1) // world - 1, 0),
        memory_gb=settings.memory_gb,
        labels="n_classes" in recipe.objective.needs and pictures.labelled,
    )


def build_source(recipe: PretrainRecipe, data: Any) -> Source:
    """Return the batches that a recipe asks for, from data of the kind that its source takes."""
    return SOURCES.build(recipe.source.name, recipe, data)


def build_views(recipe: PretrainRecipe, source: Source) -> Callable[[Any, torch.Generator], tuple[Tensor, ...]]:
    """Return what turns a batch of the source into the views of the recipe: (batch, generator) -> tensors."""
    generate = views.build(recipe.views.name, **recipe.views.model_dump(exclude={"name"}))
    return lambda batch, generator: generate(source.scaled(batch), generator)


def build_objective(recipe: PretrainRecipe, source: Source) -> objectives.Objective:
    """Return the objective of a recipe on its encoder, with the random weights that follow from the recipe's seed.

    Raises
    ------
    ValueError
        If the encoder or the objective needs a fact that the source or the views do not have.
    """
    facts: dict[Need, int | None] = {
        "n_classes": source.n_classes,
        "n_steps": source.n_steps,
        "n_tasks": recipe.views.n_tasks,
        "total_steps": recipe.training.epochs * source.steps_per_epoch,
    }

    def needed(kind: str, name: str, needs: tuple[Need, ...]) -> dict[str, int]:
        values: dict[str, int] = {}
        for need in needs:
            value = facts[need]
            if value is None:
                raise ValueError(
                    f"{kind} {name}: expected {need}, {_MEANINGS[need]}, got none from source {source.name} with views "
                    f"{recipe.views.name}"
                )
            values[need] = value
        return values

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed)
        chosen = recipe.encoder
        settings = chosen.model_dump(exclude={"name"}) | needed("encoder", chosen.name, chosen.needs)
        if source.mean is None or source.sd is None:
            encoder = encoders.build(chosen.name, **settings)
        else:  # it takes g and keeps the numbers by which its windows were standardised
            statistics = {"mean": list(source.mean), "sd": list(source.sd)}
            encoder = encoders.build("standardised", encoder=chosen.name, settings=settings, **statistics)
        objective = recipe.objective
        settings = objective.model_dump(exclude={"name"}) | needed("objective", objective.name, objective.needs)
        return objectives.build(objective.name, encoder, **settings)


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
    recipe : str, Path or PretrainRecipe
        A name (``img2imu``, ``moco``, ``mae-lmm``, ...), the path of a TOML file, or a recipe.
    data : str, Path or sequence of them
        For pictures: a folder, one with a folder for each class, an npz of encoded pictures, or several of these. For
        windows of signal: a labelled set as ``NAME=PATH[,setting=value,...]``, the folder of a cohort, or
        `imuspec.datasets.Windows`. For days of wear: the folder of a cohort.
    out : str or Path
        Folder of the run: new, or of an earlier training if `resume`.
    resume : bool, default False
        Whether to go on from the last checkpoint; the result has the same bits as without the stop.

    Returns
    -------
    Run
        ``run.metrics()`` are its figures, ``run.load_encoder()`` is the encoder.

    Raises
    ------
    ValueError
        If a field of the recipe is misspelt or does not fit the data, or if `resume` reads other data.
    FileExistsError
        If the folder holds a training and `resume` is false.
    imuspec.pretraining.NonFiniteLossError
        If the loss becomes NaN or infinite.

    Examples
    --------
    >>> import imuspec
    >>> run = imuspec.pretrain("img2imu-small", "photos/", "runs/mine")  # doctest: +SKIP
    >>> run.load_encoder()(pictures).shape  # doctest: +SKIP
    torch.Size([64, 512])
    """
    recipe = PretrainRecipe.load(recipe)
    run = Run(out)
    first = place()[0] == 0
    if first:
        run.begin(recipe, resume=resume)
    source = build_source(recipe, data)
    _check_queue(recipe, source)
    if first:
        if resume:
            _check_data(run, source)
        _write_facts(run, source)
        _print_counts(run, source)
    train(
        build_objective(recipe, source),
        source,
        views=build_views(recipe, source),
        settings=recipe.training,
        run=run,
        resume=resume,
        validate=source.validate,
    )
    if first:
        _write_facts(run, source)
    return run


def _check_queue(recipe: PretrainRecipe, source: Source) -> None:
    n_shown = source.steps_per_epoch * recipe.training.batch
    if isinstance(recipe.objective, MoCoSettings) and recipe.objective.queue > n_shown:
        raise ValueError(
            f"objective.queue: expected at most the {n_shown} pictures of an epoch, got {recipe.objective.queue}: keys of "
            f"the same picture would count as others; set objective.queue to a smaller multiple of training.batch"
        )


def _check_data(run: Run, source: Source) -> None:
    path = run.path / "source.json"
    earlier = json.loads(path.read_text("utf-8"))["digest"] if path.is_file() else source.digest
    if earlier != source.digest:
        raise ValueError(
            f"data: expected what the run was begun with, SHA-256 {earlier[:12]}, got {source.digest[:12]}: resume with the "
            f"same data, or begin another run"
        )


def _write_facts(run: Run, source: Source) -> None:
    facts = {
        "source": source.name,
        "digest": source.digest,
        "counts": source.counts,
        "skipped": [{"name": name, "reason": reason} for name, reason in source.skipped],
        "set": source.people.name,
        "people": list(source.people.people),
        "subjects": list(source.people.subjects or ()),
    }
    run.write_text("source.json", json.dumps(facts, indent=2) + "\n")


def _print_counts(run: Run, source: Source) -> None:
    counts = ", ".join(f"{value} {key.replace('_', ' ')}" for key, value in source.counts.items())
    print(f"{run.path}: {counts}", file=sys.stderr)
    for name, reason in source.skipped[:_NAMED]:
        print(f"left out: {name}: {reason}", file=sys.stderr)
    if len(source.skipped) > _NAMED:
        print(f"left out: {len(source.skipped) - _NAMED} more, see source.json", file=sys.stderr)

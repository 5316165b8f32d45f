"""Pre-train an encoder by a recipe.

Each of the first four sections of a recipe names a choice. A registry builds the object of that name, with the other fields
of the section as arguments: `SOURCES` in this module, and those of `imuspec.views`, `imuspec.encoders` and
`imuspec.objectives`. The arguments ``n_classes``, ``n_steps``, ``n_tasks``, ``share`` and ``total_steps`` come from the data
and the training. To add a choice, add its section to `imuspec.recipe.pretraining`, and a class or function to the registry.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from imuspec import _core, encoders, objectives, views
from imuspec.pretraining.loop import train
from imuspec.pretraining.photo_source import PictureSource
from imuspec.pretraining.pictures import find_pictures
from imuspec.pretraining.processes import rank_and_world
from imuspec.pretraining.source import Source
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.pretraining import ImageSourceSettings, MoCoSettings
from imuspec.recipe.registry import Registry
from imuspec.recipe.sections import Need
from imuspec.recipe.wear import WearSourceSettings
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
    "n_classes": "the number of classes",
    "n_steps": "the number of samples of a window",
    "n_tasks": "the number of operations that the views label",
    "share": "the share of hidden patches",
    "total_steps": "the number of optimiser steps",
}
_N_PRINTED = 5  # inputs that were left out and are printed by name


def image_source(recipe: PretrainRecipe, data: Any, people: str | Path | None = None) -> PictureSource:
    """Return the source of pictures of a recipe.

    Parameters
    ----------
    recipe : PretrainRecipe
        A recipe with the source ``images``.
    data : str, Path or sequence of them
        Folders and npz files, as in `imuspec.pretraining.pictures.find_pictures`.
    people : None
        Pictures have no people.

    Raises
    ------
    ValueError
        If people are given.
    """
    if people is not None:
        raise ValueError(f"people: expected a file of people with a cohort, got {people} with pictures")
    settings = recipe.source
    assert isinstance(settings, ImageSourceSettings)
    rank, world = rank_and_world()
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
        memory=settings.memory,
        memory_gb=settings.memory_gb,
        gpu=_gpu(recipe.training.device),
        labels="n_classes" in recipe.objective.needs and pictures.labelled,
    )


def _gpu(device: str) -> torch.device | None:
    """Return the GPU of this process, or None if `device` of the recipe selects none."""
    if device not in ("auto", "cuda") or not torch.cuda.is_available():
        return None
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def build_source(recipe: PretrainRecipe, data: Any, people: str | Path | None = None) -> Source:
    """Return the source of a recipe.

    Parameters
    ----------
    recipe : PretrainRecipe
        The recipe.
    data : str, Path, sequence of them, or Windows
        Data for the recipe's source, as in `pretrain`.
    people : path-like, optional
        File that names the person of each recording of a cohort.
    """
    return SOURCES.build(recipe.source.name, recipe, data, people)


def build_views(recipe: PretrainRecipe, source: Source) -> Callable[[Any, torch.Generator], tuple[Tensor, ...]]:
    """Return the function ``views(batch, generator)`` from a batch of the source to the views of the recipe.

    Parameters
    ----------
    recipe : PretrainRecipe
        The recipe.
    source : Source
        Its source, whose ``scaled`` converts the unit of a batch.
    """
    generate = views.build(recipe.views.name, **recipe.views.model_dump(exclude={"name"}))
    return lambda batch, generator: generate(source.scaled(batch), generator)


def build_objective(recipe: PretrainRecipe, source: Source) -> objectives.Objective:
    """Return the objective and encoder of a recipe, with random weights from the recipe's seed.

    Parameters
    ----------
    recipe : PretrainRecipe
        The recipe.
    source : Source
        Its source.

    Raises
    ------
    ValueError
        If the encoder or the objective needs a number that the source and the views do not have.
    """
    facts: dict[Need, float | None] = {
        "n_classes": source.n_classes,
        "n_steps": source.n_steps,
        "n_tasks": recipe.views.n_tasks,
        "share": recipe.source.mask if isinstance(recipe.source, WearSourceSettings) else None,
        "total_steps": recipe.training.epochs * source.steps_per_epoch,
    }

    def needed(kind: str, name: str, needs: tuple[Need, ...]) -> dict[str, float]:
        values: dict[str, float] = {}
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
        section = recipe.encoder
        settings = section.model_dump(exclude={"name"}) | needed("encoder", section.name, section.needs)
        if source.mean is None or source.sd is None:
            encoder = encoders.build(section.name, **settings)
        else:  # the encoder takes g, and stores the mean and standard deviation of its training windows
            statistics = {"mean": list(source.mean), "sd": list(source.sd)}
            encoder = encoders.build("standardised", encoder=section.name, settings=settings, **statistics)
        objective = recipe.objective
        settings = objective.model_dump(exclude={"name"}) | needed("objective", objective.name, objective.needs)
        return objectives.build(objective.name, encoder, **settings)


def pretrain(
    recipe: str | Path | PretrainRecipe,
    data: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    people: str | Path | None = None,
    resume: bool = False,
) -> Run:
    """Pre-train an encoder.

    Parameters
    ----------
    recipe : str, Path or PretrainRecipe
        A name (``img2imu``, ``moco``, ``mae-lmm``, ...), the path of a TOML file, or a recipe.
    data : str, Path or sequence of them
        For pictures: a folder, a folder with a sub-folder for each class, an npz file of encoded pictures, several of these,
        or a file of packed pictures. For windows: a labelled set as ``NAME=PATH[,setting=value,...]``, the folder of a cohort,
        or `imuspec.datasets.Windows`. For days of wear: the folder of a cohort.
    out : str or Path
        Folder of the run. It must be new, or hold an earlier training if `resume` is true.
    people : path-like, optional
        CSV file with the columns ``recording`` and ``person``, for a cohort; every other column is a stratum. No person is both
        trained on and held out. By default each recording is taken as another person.
    resume : bool, default False
        Whether to continue from the last checkpoint. The result has the same bits as without the stop.

    Returns
    -------
    Run
        ``run.metrics()`` returns the metrics, ``run.load_encoder()`` the encoder.

    Raises
    ------
    ValueError
        If a field of the recipe is misspelt or does not fit the data, or a resumed run gets other data.
    FileExistsError
        If the folder holds a training and `resume` is false.
    imuspec.pretraining.NonFiniteLossError
        If the gradient or the loss becomes NaN or infinite.
    imuspec.pretraining.CollapseError
        If the features of all items become nearly the same.

    Examples
    --------
    >>> import imuspec
    >>> run = imuspec.pretrain("img2imu-small", "photos/", "runs/mine")  # doctest: +SKIP
    >>> run.load_encoder()(pictures).shape  # doctest: +SKIP
    torch.Size([64, 512])
    """
    recipe = PretrainRecipe.load(recipe)
    run = Run(out)
    writes = rank_and_world()[0] == 0  # the first process writes the folder
    if writes:
        run.begin(recipe, resume=resume)
    source = build_source(recipe, data, people)
    _check_queue(recipe, source)
    if writes:
        if resume:
            _check_data(run, source)
        _write_facts(run, source, data)
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
    if writes:
        _write_facts(run, source, data)  # again, as more inputs may have been left out
    return run


def _check_queue(recipe: PretrainRecipe, source: Source) -> None:
    n_shown = source.steps_per_epoch * recipe.training.batch  # pictures in an epoch
    if isinstance(recipe.objective, MoCoSettings) and recipe.objective.queue > n_shown:
        raise ValueError(
            f"objective.queue: expected at most the {n_shown} pictures of an epoch, got {recipe.objective.queue}: keys of a "
            f"query's own picture would be among its negatives; set objective.queue to a smaller multiple of training.batch"
        )


def _check_data(run: Run, source: Source) -> None:
    path = run.path / "source.json"
    earlier = json.loads(path.read_text("utf-8"))["digest"] if path.is_file() else source.digest
    if earlier != source.digest:
        raise ValueError(
            f"data: expected the data that the run started with, SHA-256 {earlier[:12]}, got {source.digest[:12]}: resume "
            f"with the same data, or start another run"
        )
    path = run.path / "split.json"
    stored = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if stored.get("wear_sha256") != source.split.get("wear_sha256"):
        raise ValueError(
            "data: expected the stretches of wear that the run started with, got others of the same recordings: resume with "
            "the same cohort, or start another run"
        )


def _write_facts(run: Run, source: Source, data: Any) -> None:
    """Write what the run saw: data, people, parts and versions."""
    items = data if isinstance(data, Sequence) and not isinstance(data, str) else [data]
    facts = {
        "source": source.name,
        "data": [str(item) if isinstance(item, str | Path) else repr(item) for item in items],
        "digest": source.digest,
        "counts": source.counts,
        "skipped": [{"name": name, "reason": reason} for name, reason in source.skipped],
        "set": source.people.name,
        "people": list(source.people.people),
        "subjects": list(source.people.subjects or ()),
        "versions": {
            "python": platform.python_version(),
            "imuspec": _core.__version__,
            **{name: version(name) for name in ("torch", "lightning-fabric", "numpy")},
        },
    }
    run.write_text("source.json", json.dumps(facts, indent=2) + "\n")
    if source.split:
        run.write_text("split.json", json.dumps(source.split, indent=1) + "\n")


def _print_counts(run: Run, source: Source) -> None:
    counts = ", ".join(f"{value} {key.replace('_', ' ')}" for key, value in source.counts.items())
    print(f"{run.path}: {counts}", file=sys.stderr)
    for name, reason in source.skipped[:_N_PRINTED]:
        print(f"left out: {name}: {reason}", file=sys.stderr)
    if len(source.skipped) > _N_PRINTED:
        print(f"left out: {len(source.skipped) - _N_PRINTED} more, see source.json", file=sys.stderr)

"""Pre-trainings of experiments: each is made once, in a folder named by its recipe and data, and its people are not judged on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from imuspec.datasets import DatasetReference, Windows, people_of
from imuspec.experiments.comparisons import figure
from imuspec.experiments.setup import Setup
from imuspec.pretraining.pretraining import pretrain
from imuspec.pretraining.window_source import people_for_pretraining
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.settings import LABELS
from imuspec.recipe.signals import WindowSourceSettings
from imuspec.run.run import Run

__all__ = [
    "expect_effect",
    "last_epoch",
    "own_task",
    "pretrain_once",
    "pretraining_digest",
    "shares_people",
    "unseen_windows",
]

_CONSTANT = {"relative_error": "1", "balanced_accuracy": ".5"}  # what a constant answer reaches


def pretrain_once(setup: Setup[Any], row: str, recipe: PretrainRecipe, data: Any, *, people: str | None = None) -> Run:
    """Return the pre-training of a recipe on some data, made here unless the cache has it.

    One that was interrupted continues from its last checkpoint. A lock keeps two experiments from making the same one.

    Parameters
    ----------
    setup : Setup
        Input of the experiment; `Setup.pretrained` gets the folder.
    row : str
        Row of the table, for the progress lines.
    recipe : PretrainRecipe
        Recipe of the pre-training.
    data : path, str or Windows
        As for `imuspec.pretrain`.
    people : str, optional
        File that names the person of each recording of a cohort.

    Returns
    -------
    Run
    """
    digest = pretraining_digest(recipe, data)
    if people is not None:
        digest = hashlib.sha256(digest.encode() + Path(people).read_bytes()).hexdigest()
    folder = setup.runs_folder / f"{recipe.name}-{digest[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        run, done = Run(folder), folder / "done"
        if done.exists():
            setup.say(f"{row}: pre-trained by {recipe.name} in {folder}")
        else:
            setup.say(f"{row}: pre-training by {recipe.name} in {folder}")
            placed = recipe.set(f"training.device={setup.device}")
            pretrain(placed, data, folder, people=people, resume=(folder / "recipe.json").exists())
            done.touch()
    setup.pretrained[row] = str(folder)
    return run


def expect_effect(changes: Sequence[str], sets: Sequence[str]) -> None:
    """Raise an error for a change of a recipe that the experiment would replace.

    Parameters
    ----------
    changes : sequence of str
        ``SECTION.FIELD=VALUE`` each, from the option of this name.
    sets : sequence of str
        What the experiment sets itself after them, in the same form. The device is ``--device``.

    Raises
    ------
    ValueError
        If both have a field.
    """
    own = {text.partition("=")[0].strip() for text in (*sets, "training.device=")}
    if replaced := [key for text in changes if (key := text.partition("=")[0].strip()) in own]:
        raise ValueError(f"set: changes: expected fields that the experiment does not set itself, got {replaced[0]}")


def pretraining_digest(recipe: PretrainRecipe, data: Any) -> str:
    """Return a digest of every number of a recipe and of the data: of windows themselves, or of a path and what lies there.

    Parameters
    ----------
    recipe : PretrainRecipe
        Recipe; its name does not count.
    data : path, str or Windows
        As for `imuspec.pretrain`.
    """
    numbers = {key: value for key, value in json.loads(recipe.to_json()).items() if key not in LABELS}
    digest = hashlib.sha256(json.dumps(numbers, sort_keys=True).encode())
    if isinstance(data, Windows):
        digest.update(repr((data.x.shape, data.rate, data.label.tolist(), data.subject.tolist())).encode())
        digest.update(data.x.tobytes())
        return digest.hexdigest()
    digest.update(str(data).encode())
    text = str(data).partition("=")[2].partition(",")[0] if "=" in str(data) else str(data)
    path = Path(text)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        if file.is_file():
            status = file.stat()
            digest.update(f"{file} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def last_epoch(run: Run, metric: str) -> float:
    """Return the mean of a metric in the log of a run's last epoch; NaN without any."""
    lines = [line for line in run.metrics() if metric in line]
    values = [line[metric] for line in lines if line["epoch"] > lines[-1]["epoch"] - 1]
    return float(np.mean(values)) if values else float("nan")


def own_task(runs: Sequence[Run]) -> str:
    """Return what the pre-trainings of a row reached in their own task, with what chance or a constant answer reaches.

    Parameters
    ----------
    runs : sequence of Run
        Pre-trainings by one recipe on signals, one for each seed.

    Returns
    -------
    str
        Empty if the runs have no such log.
    """
    recipe = PretrainRecipe.load(runs[0].path / "recipe.json") if (runs[0].path / "recipe.json").is_file() else None
    reached = {metric: float(np.mean([last_epoch(run, metric) for run in runs])) for metric in (*_CONSTANT, "top1")}
    metric = next((each for each, value in reached.items() if np.isfinite(value)), None)
    if recipe is None or metric is None:
        return ""
    if metric in _CONSTANT:
        return f"{metric.replace('_', ' ')} {figure(reached[metric])}, a constant answer {_CONSTANT[metric]}"
    choices = recipe.objective.n_negatives + 1 if recipe.objective.name == "cpc" else recipe.training.batch
    return f"top-1 {figure(reached[metric])}, chance {figure(1 / choices)}"


def unseen_windows(setup: Setup[Any], name: str, signals: str, share: float) -> tuple[Windows, bool]:
    """Return a set's windows without the people that a pre-training on signals sees, and whether any were left out.

    Parameters
    ----------
    setup : Setup
        Input of the experiment.
    name : str
        Label of the set.
    signals : str
        ``NAME=PATH`` of the set pre-trained on; empty: none.
    share : float
        Share of its subjects that pre-training sees.
    """
    windows = setup.windows(name, **getattr(setup.options, "window_settings", {}))
    if not shares_people(setup, name, signals):
        return windows, False
    form = WindowSourceSettings(window_s=windows.window_s, rate_hz=windows.rate, subjects=share)
    seen = [str(subject) for subject in people_for_pretraining(form, signals)]
    return windows.select(~np.isin(windows.subject.astype(str), seen)), True


def shares_people(setup: Setup[Any], name: str, signals: str) -> bool:
    """Whether the signals to pre-train on, ``NAME=PATH`` of a set, are of the people of a set of the experiment."""
    if name not in setup.data or "=" not in signals:
        return False
    judged_on, trained_on = setup.data[name], DatasetReference.parse(signals, option="signals")
    if "cohort" in (judged_on.loader, trained_on.loader):
        return False
    return bool(set(people_of(judged_on.loader, judged_on.path)) & set(people_of(trained_on.loader, trained_on.path)))

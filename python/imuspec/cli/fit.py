"""Command: fit, which makes a model of a run and labelled people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from imuspec.cli import output
from imuspec.cli.app import command
from imuspec.cli.runs import (
    encoder_kind,
    facts_of,
    of_patches,
    patch_encoder,
    refuse_settings,
    unseen,
    unseen_sequences,
    window_encoder,
    windows_for,
)
from imuspec.errors import require

if TYPE_CHECKING:
    from imuspec.datasets import DatasetReference
    from imuspec.prediction import Model
    from imuspec.recipe import FitRecipe

__all__ = ["fit"]


@command
def fit(
    run: str,
    /,
    *,
    data: str,
    out: Path,
    head: Literal["logistic", "linear", "mlp", "lstm"] | None = None,
    train: Literal["head", "last", "all"] | None = None,
    shots: int | None = None,
    folds: int | None = None,
    norm: str | None = None,
    layer: str = "last",
    recipe: str = "standard",
    cache: Path | None = None,
    device: str = "cpu",
    assignments: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=False)] = None,
    json: bool = False,
) -> int:
    """Fit a classifier to labelled people: a model that imuspec predict applies to device files, cohorts and labelled sets.

    An option that has no effect for the run is an error. Each group of people is left out once. The settings of head and
    pictures are chosen on other people, and the scores and the calibration of the probabilities are of the people left out.
    People that the run was pre-trained on are left out altogether.

    Parameters
    ----------
    run : str
        As for imuspec probe: the folder of a run, random:FOLDER, random, imagenet, a weights file, or statistics (hand-crafted
        features). A run of mae-... makes a classifier of ten-second patches.
    data : str
        NAME=PATH[,setting=value,...]: a labelled data set, its path, and settings of its reader and windows; see imuspec
        datasets. For a run of mae-..., capture24=FOLDER reads the official files.
    out : Path
        New folder for the model, which is written whole or not at all.
    head : {"logistic", "linear", "mlp", "lstm"}, optional
        Head on the features; by default logistic (one layer on standardised features, fitted to convergence). linear is the
        layer of the paper, fitted by Adam. mlp and lstm are for runs of mae-....
    train : {"head", "last", "all"}, optional
        Weights to train: the head (default), also the last block of the encoder, or all.
    shots : int, optional
        Training windows of each class; by default all.
    folds : int, optional
        Number of groups of people; by default 5.
    norm : str, optional
        Normalisation of the pictures: axis-window (as in the paper), joint-window, fixed or dataset.
    layer : str, default "last"
        last, or an inner layer of the encoder, as layer1.
    recipe : str, default "standard"
        The name of a fit recipe, or the path of a TOML file.
    cache : Path, optional
        Folder that stores the features of a run of mae-....
    device : str, default "cpu"
        Device that runs and trains the encoder, as cpu or cuda.
    assignments : list of str, optional
        SECTION.FIELD=VALUE: any other setting of the recipe, as tuning.epochs=10. Can be given more than once.
    json : bool, default False
        Print JSON, for programs.
    """
    output.begin(json=json)
    for package in ("torch", "sklearn", "pandas", "safetensors"):
        require("imuspec fit", package)
    from imuspec.datasets import DatasetReference
    from imuspec.run.named import checked_device, weights_digest

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"out: expected a new folder, got {out}, which exists")
    if run == "supervised":
        raise ValueError("run: expected random with --train all for an encoder trained on labels alone, got supervised")
    checked_device(device)
    weights_digest(run)  # a run that does not exist is refused before the data are read
    reference = DatasetReference.parse(data)
    options = {"head.kind": head, "tuning.train": train, "split.shots": shots, "split.folds": folds}
    settings = _recipe(run, recipe, {**options, "pictures.norm": norm}, assignments)
    described = f"{run} with --head {settings.head.kind} and --train {settings.tuning.train}"
    refuse_settings(described, _settings_used(run, settings), assignments)
    if of_patches(run, settings.head.kind):
        refused = {"layer": layer if layer != "last" else None, "norm": norm, "shots": shots}
        for name, value in refused.items():
            if value is not None:
                raise ValueError(f"{name}: expected options that an encoder of patches uses, got --{name} {value}")
        model = _fit_patches(run, reference, settings, cache, device)
    else:
        if cache is not None:
            raise ValueError(f"cache: expected a run of mae-... for --cache, got {run}")
        if norm is not None and encoder_kind(run) != "image":
            raise ValueError(f"norm: expected a run of pictures, got {run}")
        model = _fit_windows(run, reference, settings, layer, device)
    model.save(out)
    if json:
        facts = {key: value for key, value in model.facts.items() if key != "people"}
        output.emit({"out": str(out), "class_names": model.class_names, "temperature": model.temperature, **facts})
    output.say(f"{out}: imuspec predict RECORDING --model {out}")
    return 0


def _recipe(run: str, recipe: str, options: dict[str, Any], assignments: list[str] | None) -> FitRecipe:
    """Return the recipe with the options of the command; pictures have the size that the run was pre-trained on."""
    from imuspec.recipe import FitRecipe
    from imuspec.run.named import picture_size

    size = picture_size(run)
    chosen = FitRecipe.load(recipe).set(*([f"pictures.size={list(size)}"] if size else []))
    changes = [f"{key}={value}" for key, value in options.items() if value is not None]
    return chosen.set(*changes, *(assignments or []))


def _settings_used(run: str, recipe: FitRecipe) -> tuple[str, ...]:
    """Return the sections, and the fields, of a recipe that a fit uses."""
    head = recipe.head.kind
    tuning = "tuning" if recipe.tuning.train != "head" else "tuning.train"
    if not of_patches(run, head):
        pictures = ["pictures"] if encoder_kind(run) == "image" else []
        return ("split", *pictures, "head" if head == "linear" else "head.kind", tuning)
    splits = ("split.folds", "split.seed")
    if head == "logistic":
        return (*splits, "head.kind", "patches.stillness", tuning)
    if head == "lstm":
        return (*splits, "head.kind", "patches.batch", "patches.learning_rate", "patches.stillness", tuning)
    return (*splits, "head.kind", "patches", tuning)


def _fit_windows(run: str, reference: DatasetReference, recipe: FitRecipe, layer: str, device: str) -> Model:
    from imuspec.prediction import fit_windows

    windows = windows_for(reference, run)
    windows, note = unseen(windows, run)
    output.say(repr(windows))
    if note:
        output.say(note)
    encoder = None if run == "statistics" else window_encoder(run, windows, output.say)
    if encoder is None and layer != "last":
        raise ValueError(f"layer: expected no layer for statistics, got {layer}")
    if recipe.pictures.norm != "axis-window" and (encoder is None or encoder.kind != "image"):
        raise ValueError(f"norm: expected a run of pictures, got {run}")
    return fit_windows(encoder, windows, recipe, source=facts_of(run), layer=layer, device=device, say=output.say)


def _fit_patches(run: str, reference: DatasetReference, recipe: FitRecipe, cache: Path | None, device: str) -> Model:
    from imuspec.prediction import fit_patches

    encoder = patch_encoder(run)
    sequences, note = unseen_sequences(reference, run)
    output.say(sequences)
    if note:
        output.say(note)
    return fit_patches(encoder, sequences, recipe, source=facts_of(run), cache=cache, device=device, say=output.say)

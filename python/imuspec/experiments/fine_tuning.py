"""Fine-tuning: the head alone, the last block, or all weights, with few labels and with many.

Rows without parameters, pre-trained encoders and the same networks with random weights are judged on the same splits by people.
IMG2IMU is pre-trained on pictures, CPC on the windows of another set, so that nobody who is judged was seen. Random weights are
drawn again for each split. A finished cell is stored; an interrupted experiment continues with the next one. The papers give no
such numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from imuspec import encoders
from imuspec.datasets import Windows, n_shot, subject_split
from imuspec.datasets.draws import expect_distinct
from imuspec.datasets.leaks import Split
from imuspec.encoders import Encoder
from imuspec.evaluation import score
from imuspec.experiments.experiment import TINY_NOTE, Result
from imuspec.experiments.judging import MOMENTS, ROW_MEANS, score_table, seeded_network
from imuspec.experiments.methods import made_up_pictures
from imuspec.experiments.pretraining import pretrain_once
from imuspec.experiments.setup import Numbers, PictureOptions, RowOptions, Setup
from imuspec.prediction.fitting import linear_head
from imuspec.prediction.front_end import FrontEnd, kind_of
from imuspec.prediction.network import Network
from imuspec.prediction.tuning import logits_of, tune
from imuspec.prediction.window_tuning import batches_of
from imuspec.probing.heads import Task, fit_logistic
from imuspec.probing.parameter_free import RowMeans, moments
from imuspec.probing.protocol import capped
from imuspec.probing.results import row_of
from imuspec.probing.sources import EncoderSource
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.fitting import FitHeadSettings, TuningSettings
from imuspec.run.named import load_encoder, weights_digest
from imuspec.run.run import Run
from imuspec.storage import write_atomically

DATA = ("hapt", "wisdm_windows", "motionsense")
OTHER_DATA = True
RUNS = {"IMG2IMU": "recipe img2imu-small on the pictures of `images`", "CPC": "recipe cpc on another set's windows"}
_FREE = ("statistics", MOMENTS, ROW_MEANS)  # rows without parameters
ROWS = (*_FREE, "random (2D)", "IMG2IMU", "random (1D)", "CPC")
_WEIGHTS = {"head": "head only", "last": "last block", "all": "all weights"}


class FineTuningOptions(RowOptions, PictureOptions):
    """Numbers of this study."""

    ROWS: ClassVar[tuple[str, ...]] = ROWS

    nfft: Numbers = Field((64,), max_length=1, description="samples of a frame, one number")
    hop: Numbers = Field((8,), max_length=1, description="samples between frames, one number")
    height: NonNegativeInt = Field(24, description="rows of a picture")
    width: NonNegativeInt = Field(32, description="columns of a picture")
    images: str = Field("", description="a folder or npz: pre-trains IMG2IMU where no run is given")
    pretrain_seeds: PositiveInt = Field(1, description="seeds of each pre-training that is made here")
    image_epochs: PositiveInt = Field(5, description="epochs of IMG2IMU")
    image_limit: NonNegativeInt = Field(2048, description="pictures of IMG2IMU; 0: all")
    signal_epochs: PositiveInt = Field(10, description="epochs of CPC")
    signal_limit: NonNegativeInt = Field(2048, description="windows of CPC; 0: all")
    window_s: PositiveFloat = Field(5.0, description="length of a window, s")
    rate: PositiveFloat = Field(50.0, description="sample rate of the windows, Hz")
    shots: PositiveInt = Field(10, description="labelled windows a class where labels are few")
    max_train: NonNegativeInt = Field(100, description="most labelled windows a class where labels are many; 0: all")
    max_validation: NonNegativeInt = Field(
        40, description="most validation windows a class; 0: all. All test windows count"
    )
    few_epochs: PositiveInt = Field(30, description="most epochs of the fine-tuning with few labels")
    epochs: PositiveInt = Field(15, description="most epochs of the fine-tuning with many labels")
    patience: PositiveInt = Field(15, description="epochs without a better validation score before the stop")
    learning_rate: PositiveFloat | None = Field(
        None,
        description="highest rate of the head, by default that of `imuspec fit`; each block below has 0.75 times that above",
    )

    TINY: ClassVar[Mapping[str, Any]] = {
        "image_epochs": 1,
        "image_limit": 64,
        "signal_epochs": 1,
        "signal_limit": 32,
        "shots": 2,
        "max_train": 4,
        "max_validation": 2,
        "few_epochs": 1,
        "epochs": 1,
    }

    def without_effect(self, pretrained: Sequence[str], setup: Setup[Any]) -> dict[str, str]:
        """Return the options of kinds of rows that are not made."""
        pictures = "IMG2IMU" in pretrained and (self.images or setup.tiny)
        labels = [*setup.data] or DATA
        # Random weights on signals are of the network of CPC.
        signals = "CPC" in pretrained or (
            "random (1D)" in self.chosen and not all(setup.runs_of("CPC", label) for label in labels)
        )
        unused = (
            {}
            if pictures
            else dict.fromkeys(("images", "image_epochs", "image_limit"), "images, and IMG2IMU without a run")
        )
        unused |= {} if signals else dict.fromkeys(("signal_epochs", "signal_limit"), "CPC without a run")
        unused |= {} if pictures or signals else {"pretrain_seeds": "a row without a run"}
        if not {ROW_MEANS, "random (2D)", "IMG2IMU"} & {*self.chosen}:
            unused |= dict.fromkeys(("nfft", "hop", "norm"), "a row on pictures")
        if not {*self.chosen} - {*_FREE}:
            unused |= dict.fromkeys(("few_epochs", "epochs", "patience", "learning_rate"), "a row with an encoder")
        return unused


OPTIONS = FineTuningOptions


@dataclass(frozen=True, eq=False)
class _Cell:
    """One row on one split of one set."""

    row: str
    windows: Windows
    split: Split
    front: FrontEnd
    encoder: Encoder | None


def run(setup: Setup[FineTuningOptions]) -> Result:
    """Fit and fine-tune every encoder on every set and split."""
    options = setup.options
    sets = {name: setup.windows(name, window_s=options.window_s, rate=options.rate) for name in setup.columns(DATA)}
    tables, notes = [], []
    for name, windows in sets.items():
        splits = {seed: subject_split(windows, seed) for seed in setup.seeds}
        expect_distinct({seed: split.members for seed, split in splits.items()})
        digest = hashlib.sha256(windows.x.tobytes() + windows.label.tobytes() + repr(windows.subject.tolist()).encode())
        notes.append(
            f"{name}: {len(windows)} windows, {len(windows.subjects)} people, sha256 {digest.hexdigest()[:16]}"
        )
        for row in options.chosen:
            sources = _sources(setup, row, name, sets, notes)
            for (weights_seed, source), (seed, split) in product(enumerate(sources), splits.items()):
                part = _stored(setup, row, name, source, windows, split, digest.hexdigest())
                tables.append(part.assign(weights_seed=weights_seed))
                shown = ", ".join(f"{line.row} {line.labels}: {line.macro_f1:.3f}" for line in part.itertuples())
                setup.say(f"{name}, split {seed}: {shown}")
    judged = pd.concat(tables, ignore_index=True)
    notes.append(
        f"fine-tuning: at most {options.few_epochs} epochs with {options.shots} labels a class, {options.epochs} with more; "
        "validation people choose the epoch"
    )
    return Result(score_table(judged), notes=notes, tables={"seeds": judged})


def _sources(
    setup: Setup[FineTuningOptions], row: str, name: str, sets: Mapping[str, Windows], notes: list[str]
) -> Sequence[str]:
    """Return the runs of a row, one for each seed: given, made here, or ""; none, with a note, where they cannot be made."""
    options = setup.options
    if row in (*_FREE, "random (2D)"):
        return [""]
    if row == "random (1D)":  # the network of a run of CPC
        return _sources(setup, "CPC", name, sets, notes)[:1]
    if runs := setup.runs_of(row, name):
        return runs
    if row == "IMG2IMU":
        data: Any = options.images or (made_up_pictures(setup.out) if setup.tiny else "")
        if not data:
            notes.append(f"IMG2IMU: left out on {name}, as neither a run nor images is given")
            return []
        recipe = PretrainRecipe.load("img2imu-small").set(
            f"training.epochs={options.image_epochs}",
            f"source.height={options.height}",
            f"source.width={options.width}",
            f"views.permute_min_columns={max(1, min(10, options.width // 6))}",
            "source.workers=0",
            *([f"source.limit={options.image_limit}"] if options.image_limit else []),
            *(["training.batch=32", "objective.queue=64", "objective.norm_group=16"] if setup.tiny else []),
        )
        return _pretrained(setup, row, recipe, data)
    others = {
        other: windows
        for other, windows in sets.items()
        if other != name and not set(windows.people) & set(sets[name].people)
    }
    if not others:
        if (note := f"{row} left out on {name}, as neither a run nor a set of other people is given") not in notes:
            notes.append(note)
        return []
    other, windows = next(iter(others.items()))
    recipe = PretrainRecipe.load("cpc").set(
        f"training.epochs={options.signal_epochs}",
        f"source.window_s={windows.window_s}",
        f"source.rate_hz={windows.rate}",
        "source.subjects=1.0",
        *([f"source.limit={options.signal_limit}"] if options.signal_limit else []),
        *(["training.batch=16"] if setup.tiny else []),
    )
    if (note := f"{row} on {name}: pre-trained on windows of {other}") not in notes:
        notes.append(note)
    return _pretrained(setup, f"{row}@{name}", recipe, windows)


def _pretrained(setup: Setup[FineTuningOptions], row: str, recipe: PretrainRecipe, data: Any) -> list[str]:
    """Return the folders of the pre-trainings of a recipe, one for each seed."""
    seeds = range(setup.options.pretrain_seeds)
    rows = [f"{row}, seed {seed}" if len(seeds) > 1 else row for seed in seeds]
    placed = [recipe.set(f"training.seed={seed}") for seed in seeds]
    return [str(pretrain_once(setup, *each, data).path) for each in zip(rows, placed, strict=True)]


def _stored(
    setup: Setup[FineTuningOptions], row: str, name: str, source: str, windows: Windows, split: Split, digest: str
) -> pd.DataFrame:
    """Return the scores of a row on one split, from an earlier run of the same numbers, data and weights where there is one."""
    numbers = setup.options.model_dump(mode="json", exclude={"rows", "images", "pretrain_seeds"})
    facts = [row, name, split.seed, numbers, digest, weights_digest(source) if source else "", *["tiny"] * setup.tiny]
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    file = setup.out / "cells" / f"{key[:24]}.json"
    if file.is_file():
        return pd.DataFrame(json.loads(file.read_text("utf-8")))
    file.parent.mkdir(parents=True, exist_ok=True)
    encoder = _encoder(row, source, split.seed or 0)
    front = FrontEnd(kind_of(encoder), windows.rate, windows.n_samples)
    if front.kind == "image":
        options = setup.options
        nfft, hop = options.nfft[0], options.hop[0]
        size = (options.height, options.width)
        front = replace(
            front, picture={"nfft": nfft, "noverlap": nfft - hop, "norm": options.norm, "range_db": None, "size": size}
        )
    lines = _judged(setup, name, _Cell(row, windows, split, front, encoder))
    lines = [{**line, "tiny": TINY_NOTE} for line in lines] if setup.tiny else lines
    write_atomically(file, (json.dumps(lines) + "\n").encode())
    return pd.DataFrame(lines)


def _encoder(row: str, source: str, seed: int) -> Encoder | None:
    if row in _FREE:
        return None
    if row in RUNS:
        return load_encoder(source)
    if source:  # the network of CPC, with random weights
        return Run(source).random_encoder(seed=seed)
    return seeded_network(lambda: encoders.build("resnet18"), seed)


def _features(setup: Setup[FineTuningOptions], cell: _Cell, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the features [N, width] of windows [N, 3, time] that a head is fitted on."""
    if cell.row == MOMENTS:
        return moments(x)
    if cell.row == ROW_MEANS:
        options = setup.options
        source = EncoderSource(RowMeans(), pictures=options.pictures(), device=setup.device)
        return source.features(x, source.choices(cell.windows.n_samples)[0])["last"]
    return cell.front.features(cell.encoder, x, device=setup.device)


def _judged(setup: Setup[FineTuningOptions], name: str, cell: _Cell) -> list[dict[str, Any]]:
    """Fit the head, then fine-tune from it; return a line for each number of labels and each choice of weights."""
    options, windows, split = setup.options, cell.windows, cell.split
    seed = split.seed or 0
    validation = capped(windows, split.validation, options.max_validation or None, seed)
    many = f"at most {options.max_train} a class" if options.max_train else "all labels"
    labels = {
        f"{options.shots} a class": (n_shot(windows, split.train, options.shots, seed), options.few_epochs),
        many: (capped(windows, split.train, options.max_train or None, seed), options.epochs),
    }
    needed = np.unique(np.concatenate([validation, split.test, *(train for train, _ in labels.values())]))
    values = _features(setup, cell, windows.x[needed])

    def features_of(index: NDArray[np.int64]) -> NDArray[np.float32]:
        return values[np.searchsorted(needed, index)]

    lines = []
    for title, (train, epochs) in labels.items():
        task = Task(features_of(train), windows.label[train], features_of(validation), windows.label[validation], seed)
        (fitted,) = fit_logistic([task], windows.n_classes, FitHeadSettings())
        predicted = {"head": (fitted.predict(features_of(split.test)), 0)}
        if cell.encoder is not None:
            network = Network(cell.encoder, linear_head(fitted, features_of(train), "logistic"), cell.front)
            for weights in ("last", "all"):
                tuning = TuningSettings.model_validate(
                    {
                        "train": weights,
                        "epochs": epochs,
                        "patience": options.patience,
                        "learning_rate": options.learning_rate,
                    }
                )
                batches = batches_of(windows, cell.front, cell.front.picture, tuning.augmentations)
                tuned, epoch = tune(network, batches, train, validation, tuning, seed=seed, device=setup.device)
                logits = np.concatenate(logits_of(tuned, batches, split.test))
                predicted[weights] = (logits.argmax(1).astype(np.int64), epoch)
        for weights, (guess, epoch) in predicted.items():
            subjects, truth = windows.subject[split.test], windows.label[split.test]
            scores = score(truth, guess, windows.class_names, subject=subjects, seed=seed)
            line = row_of(
                ("last", len(train), seed, "clean"),
                scores,
                split.members,
                subjects,
                n_train=len(train),
                n_validation=len(validation),
                n_test=len(split.test),
                split_by=split.split_by,
                epoch=epoch,
            )
            location = {"row": f"{cell.row}, {_WEIGHTS[weights]}", "column": f"{name}, {title}", "labels": title}
            lines.append(cast("dict[str, Any]", json.loads(json.dumps({**line, **location}))))
    return lines

"""The studies of the LMM masked auto-encoder: a cohort to pre-train on, labelled days, each pre-training made once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import nn

from imuspec.datasets.patches import patch_labels
from imuspec.datasets.sequences import PatchSequence, PatchSequences
from imuspec.evaluation import mean_sd
from imuspec.experiments.experiment import Result
from imuspec.experiments.setup import Options, Setup
from imuspec.pretraining.pretraining import pretrain
from imuspec.probing.patch_features import PatchFeatures, embed_patches
from imuspec.probing.patch_heads import HeadName, PatchHeadSettings
from imuspec.probing.patch_protocol import probe_patches
from imuspec.recipe import PretrainRecipe, Recipe
from imuspec.run.run import Run

__all__ = ["COLUMNS", "Cell", "Study", "StudyOptions", "made_up_days", "tabulated", "weights", "with_share"]

COLUMNS = ("balanced_accuracy", "kappa")
_CLASSES = ("sleep", "sit-stand", "vehicle", "walking", "mixed", "bicycling")

Cell = tuple[str, tuple[str, ...]]
"""A row of a table, and the changes of its recipe."""


class StudyOptions(Options):
    """Numbers that the studies share."""

    pretrain_seeds: PositiveInt = Field(1, description="seeds of pre-training")
    recipe: str = Field("mae-lmm", description="recipe of the pre-training")
    head_epochs: PositiveInt = Field(70, description="passes over the labelled windows")
    stride: NonNegativeInt = Field(30, description="patches between training windows; 0: no overlap")

    TINY: ClassVar[Mapping[str, Any]] = {"head_epochs": 20, "stride": 0}


class Study:
    """Pre-trainings and probes of one experiment, each made once and stored in its folder."""

    def __init__(self, setup: Setup[StudyOptions]) -> None:
        self.setup = setup
        self._labelled: PatchSequences | None = None

    def cohort(self) -> Path:
        """Return the folder of the recordings to pre-train on; a tiny trial simulates some."""
        if "cohort" in self.setup.data:
            return Path(self.setup.data["cohort"].path)
        if not self.setup.tiny:
            raise ValueError("data: expected --data cohort=FOLDER, a prepared cohort to pre-train on, got none")
        return _made_up_cohort(self.setup.out)

    def labelled(self) -> PatchSequences:
        """Return labelled days: Capture-24, or made-up ones in a tiny trial."""
        if self._labelled is None:
            if "capture24" in self.setup.data:
                self._labelled = self.setup.data["capture24"].sequences()
            elif self.setup.tiny:
                self._labelled = made_up_days()
            else:
                raise ValueError("data: expected --data capture24=FOLDER, the official files, got none")
        return self._labelled

    def run(self, sets: Iterable[str], seed: int) -> Run:
        """Pre-train by the option's recipe with these changes, unless that was done before."""
        recipe = PretrainRecipe.load(self.setup.options.recipe)
        if self.setup.tiny:
            recipe = recipe.tiny()
        recipe = recipe.set(*sets, f"training.seed={seed}")
        folder = self.setup.out / "runs" / (_slug(sets) + f"-seed{seed}")
        run = Run(folder)
        done = folder / "done"
        if not done.exists():
            self.setup.say(f"pre-training {folder.name}")
            pretrain(recipe, self.cohort(), folder, resume=folder.exists())
            done.touch()
        return run

    def encoder(self, row: str, sets: Iterable[str], seed: int) -> nn.Module:
        """Return the encoder of a row: from --runs where one is given, else from a pre-training."""
        if row in self.setup.runs:
            return Run(self.setup.runs[row]).load_encoder()
        return self.run(sets, seed).load_encoder()

    def features(self, encoder: nn.Module, sequences: PatchSequences, stride: int | None) -> PatchFeatures:
        """Return the features of an encoder, stored on disk."""
        cache = self.setup.out / "features"
        return embed_patches(encoder, sequences, stride=stride, cache=cache)

    def probe(self, encoder: nn.Module, head: HeadName = "linear", train_fraction: float = 1.0) -> pd.DataFrame:
        """Scores of a head on an encoder, a row for each seed of the split."""
        settings = PatchHeadSettings(head=head, epochs=self.setup.options.head_epochs)
        return probe_patches(
            lambda part, stride: self.features(encoder, part, stride),
            self.labelled(),
            settings,
            seeds=self.setup.seeds,
            train_fraction=train_fraction,
            stride=self.setup.options.stride or None,
            say=self.setup.say,
        ).table

    def grid(self, cells: Iterable[Cell]) -> pd.DataFrame:
        """Pre-train and probe each cell with a linear head: a row for each cell, pre-training seed and split."""
        parts = []
        for row, sets in cells:
            for seed in range(self.setup.options.pretrain_seeds):
                scores = self.probe(self.encoder(row, sets, seed))
                parts.append(scores.assign(row=row, pretrain_seed=seed))
        return pd.concat(parts, ignore_index=True)


def tabulated(scores: pd.DataFrame, notes: Iterable[str] = ()) -> Result:
    """Return mean and sd of balanced accuracy and kappa of each row as the result of an experiment."""
    rows: list[dict[str, Any]] = []
    for row in dict.fromkeys(scores["row"]):
        part = scores[scores["row"] == row]
        for column in COLUMNS:
            mean, sd = mean_sd(part[column].to_numpy())
            rows.append({"row": row, "column": column, "value": mean, "sd": sd, "n": len(part)})
    return Result(pd.DataFrame(rows), notes=list(notes), tables={"seeds": scores})


def made_up_days(n: int = 5, hours: float = 2.5) -> PatchSequences:
    """Mornings of simulated wearers, from sleep to the journey, at 30 Hz."""
    from imuspec.simulation import STATE_NAMES, wrist_motion

    code = np.array([_CLASSES.index(name) if name in _CLASSES else -1 for name in STATE_NAMES])
    items = []
    for seed in range(n):
        start = "2023-05-15T05:30:00"
        x, _, state = wrist_motion(days=hours / 24, seed=seed, sample_rate=30.0, start=start)
        whole = x.shape[1] // 300 * 300
        label = patch_labels(code[state[:whole]], 300)
        items.append(PatchSequence(x[:, :whole], label, f"wearer{seed}", f"wearer{seed}"))
    return PatchSequences(tuple(items), _CLASSES, 30.0, "made up")


def _made_up_cohort(out: Path) -> Path:
    from imuspec.cluster import prepare_cohort
    from imuspec.simulation import simulate

    folder = out / "cohort"
    if (folder / "recordings.parquet").exists():
        return folder
    files = out / "people"
    files.mkdir(parents=True, exist_ok=True)
    for seed in range(5):
        simulate(files / f"p{seed}.cwa", days=0.1, seed=seed, sample_rate=25.0)
    recipe = Recipe.load("ukb").set("segments.min_wear_h=0.2", "calibration.required=false", "lowpass.cutoff_hz=10")
    prepare_cohort([files], folder, recipe=recipe, workers=1)
    return folder


def weights(lmm: float = 1.0, mse: float = 0.0, lmv: float = 0.0) -> tuple[str, ...]:
    """Return the changes of a recipe for the weights of the loss."""
    return (f"objective.lmm={lmm}", f"objective.lmv={lmv}", f"objective.mse={mse}")


def with_share(setup: Setup[StudyOptions], share: float) -> tuple[str, ...]:
    """Return the changes of a recipe for a share of the recordings at an equal number of steps."""
    recipe = PretrainRecipe.load(setup.options.recipe)
    epochs = 2 if setup.tiny else recipe.training.epochs
    return (f"source.share={share}", f"training.epochs={max(1, round(epochs / share))}")


def _slug(sets: Iterable[str]) -> str:
    text = "-".join(sets) or "plain"
    return re.sub(r"[^A-Za-z0-9.=_-]+", "_", text)

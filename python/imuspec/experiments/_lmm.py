"""What the studies of the LMM masked auto-encoder share: a cohort to pre-train on, labelled days, runs made once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from imuspec.datasets.patches import patch_labels
from imuspec.datasets.sequences import PatchSequence, PatchSequences, capture24_sequences
from imuspec.evaluation import mean_sd
from imuspec.experiments.frame import Result, Setup
from imuspec.pretraining.pretraining import pretrain
from imuspec.probing.patch_features import PatchFeatures, embed_patches
from imuspec.probing.patch_heads import HeadName, PatchHeadSettings
from imuspec.probing.patch_protocol import probe_patches
from imuspec.recipe import PretrainRecipe, Recipe
from imuspec.run.run import Run

__all__ = ["COLUMNS", "DATA", "OPTIONS", "TINY", "Cell", "Study", "made_up_days", "tabulated"]

DATA = ("cohort", "capture24")
COLUMNS = ("balanced_accuracy", "kappa")
OPTIONS = {"pretrain_seeds": 1, "recipe": "mae-lmm", "head_epochs": 70, "stride": 30}
TINY = {"recipe": "mae-lmm", "head_epochs": 20, "stride": 0}
_CLASSES = ("sleep", "sit-stand", "vehicle", "walking", "mixed", "bicycling")

Cell = tuple[str, tuple[str, ...]]
"""A row of a table, and what its recipe changes."""


class Study:
    """Pre-trainings and probes of one experiment, each made once and kept in its folder."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._labelled: PatchSequences | None = None

    def cohort(self) -> Path:
        """Where the recordings to pre-train on lie; a tiny trial simulates some."""
        if "cohort" in self.setup.data:
            return Path(self.setup.data["cohort"])
        if not self.setup.tiny:
            raise ValueError("data: expected --data cohort=FOLDER, a prepared cohort to pre-train on, got none")
        return _made_up_cohort(self.setup.out)

    def labelled(self) -> PatchSequences:
        """Labelled days: Capture-24, or made-up ones in a tiny trial."""
        if self._labelled is None:
            if "capture24" in self.setup.data:
                self._labelled = capture24_sequences(self.setup.data["capture24"])
            elif self.setup.tiny:
                self._labelled = made_up_days()
            else:
                raise ValueError("data: expected --data capture24=FOLDER, the official files, got none")
        return self._labelled

    def run(self, sets: Iterable[str], seed: int) -> Run:
        """Pre-train by the option's recipe with these changes, unless that was done before."""
        recipe = PretrainRecipe.load(self.setup.option("recipe", str))
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
        """The encoder of a row: from --runs where one is given, else of a pre-training."""
        if row in self.setup.runs:
            return Run(self.setup.runs[row]).load_encoder()
        return self.run(sets, seed).load_encoder()

    def features(self, encoder: nn.Module, sequences: PatchSequences, stride: int | None) -> PatchFeatures:
        """Features, kept on disk."""
        cache = self.setup.out / "features"
        return embed_patches(encoder, sequences, stride=stride, cache=cache)

    def probe(self, encoder: nn.Module, head: HeadName = "linear", train_fraction: float = 1.0) -> pd.DataFrame:
        """Scores of a head on an encoder, a row for each seed of the split."""
        settings = PatchHeadSettings(head=head, epochs=self.setup.option("head_epochs", int))
        return probe_patches(
            lambda part, stride: self.features(encoder, part, stride),
            self.labelled(),
            settings,
            seeds=self.setup.seeds,
            train_fraction=train_fraction,
            stride=self.setup.option("stride", int) or None,
            say=self.setup.say,
        ).table

    def grid(self, cells: Iterable[Cell]) -> pd.DataFrame:
        """Pre-train and probe each cell with a linear head: a row for each cell, pre-training seed and split."""
        parts = []
        for row, sets in cells:
            for seed in range(self.setup.option("pretrain_seeds", int)):
                scores = self.probe(self.encoder(row, sets, seed))
                parts.append(scores.assign(row=row, pretrain_seed=seed))
        return pd.concat(parts, ignore_index=True)


def tabulated(scores: pd.DataFrame, notes: Iterable[str] = ()) -> Result:
    """Mean and sd of balanced accuracy and kappa of each row, as an experiment gives them back."""
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
    """Settings for the weights of the loss."""
    return (f"objective.lmm={lmm}", f"objective.lmv={lmv}", f"objective.mse={mse}")


def with_share(setup: Setup, share: float) -> tuple[str, ...]:
    """Settings for a part of the recordings at an equal number of steps."""
    recipe = PretrainRecipe.load(setup.option("recipe", str))
    epochs = 2 if setup.tiny else recipe.training.epochs
    return (f"source.share={share}", f"training.epochs={max(1, round(epochs / share))}")


def with_options(setup: Setup, **changed: Any) -> Setup:
    """The same setup with other numbers."""
    options: Mapping[str, Any] = {**setup.options, **changed}
    return replace(setup, options=options)


def _slug(sets: Iterable[str]) -> str:
    text = "-".join(sets) or "plain"
    return re.sub(r"[^A-Za-z0-9.=_-]+", "_", text)

"""The studies of the LMM masked auto-encoder: a cohort to pre-train on, labelled days, each pre-training made once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import pandas as pd
from pydantic import Field, NonNegativeInt, PositiveInt, field_validator
from torch import nn

from imuspec import encoders
from imuspec.datasets.patches import patch_labels
from imuspec.datasets.sequences import PatchSequence, PatchSequences
from imuspec.evaluation import mean_interval, mean_sd
from imuspec.experiments.experiment import Result
from imuspec.experiments.judging import MOMENTS, STATISTICS, seeded_network
from imuspec.experiments.pretraining import expect_effect, pretrain_once
from imuspec.experiments.provenance import sequence_facts
from imuspec.experiments.setup import Heads, Names, Options, Setup, Words
from imuspec.probing.parameter_free import moments
from imuspec.probing.patch_features import PatchFeatures, embed_patches, patch_statistics
from imuspec.probing.patch_heads import HeadName, PatchHeadSettings
from imuspec.probing.patch_protocol import probe_patches
from imuspec.recipe import PretrainRecipe, Recipe
from imuspec.run.named import load_encoder
from imuspec.run.run import Run
from imuspec.spectral.statistics import window_features

__all__ = [
    "COLUMNS",
    "Cell",
    "LossOptions",
    "Study",
    "StudyOptions",
    "made_up_days",
    "study_table",
    "tabulated",
    "tiny_rows",
    "weights",
    "with_share",
]

Row = TypeVar("Row")
COLUMNS = ("balanced_accuracy", "kappa")
_CLASSES = ("sleep", "sit-stand", "vehicle", "walking", "mixed", "bicycling")

Cell = tuple[str, tuple[str, ...]]
"""A row of a table, and the changes of its recipe."""


Probe = tuple[str, HeadName]
"""A layer, last or last+moments, and the head on it."""

_JOINED = "last+moments"
_PLAIN: tuple[Probe, ...] = (("last", "linear"),)


class StudyOptions(Options):
    """Numbers that the studies share."""

    pretrain_seeds: PositiveInt = Field(1, description="seeds of pre-training")
    recipe: str = Field("mae-lmm", description="recipe of the pre-training")
    changes: Names = Field((), description="SECTION.FIELD=VALUE of every recipe, with semicolons between")
    head_epochs: PositiveInt = Field(70, description="passes over the labelled windows")
    stride: NonNegativeInt = Field(30, description="patches between training windows; 0: no overlap")
    random_draws: PositiveInt = Field(5, description="draws of the weights for the row with random weights")
    people: str = Field("", description="CSV file with the person of each recording of the cohort")

    TINY: ClassVar[Mapping[str, Any]] = {"head_epochs": 20, "stride": 0, "random_draws": 2}

    def without_effect(self, pretrained: Sequence[str], setup: Setup[Any]) -> dict[str, str]:
        """Return the options of pre-training where no row is pre-trained here; random weights take its recipe all the same."""
        del setup  # as every input has a cohort to pre-train on
        return {} if pretrained else dict.fromkeys(("pretrain_seeds", "people"), "a row without a run")


class LossOptions(StudyOptions):
    """Numbers of the tables of losses."""

    heads: Heads = Field(("linear", "logistic"), description="linear, the paper's; logistic, a row of its own")
    layers: Words = Field(("last",), description="last, last+moments, a row each")

    @field_validator("layers")
    @classmethod
    def _known_layers(cls, layers: tuple[str, ...]) -> tuple[str, ...]:
        if set(layers) - {"last", _JOINED}:
            raise ValueError(f"last or {_JOINED}")
        return layers

    @property
    def probes(self) -> tuple[Probe, ...]:
        """Layers and heads that a table of losses is judged with."""
        return tuple((layer, head) for layer in self.layers for head in self.heads)


class Study:
    """Pre-trainings and probes of one experiment, each made once and stored in its folder."""

    def __init__(self, setup: Setup[StudyOptions]) -> None:
        self.setup = setup
        self._labelled: PatchSequences | None = None

    def cohort(self) -> Path:
        """Return the folder of the recordings to pre-train on; a tiny trial simulates some."""
        if "cohort" in self.setup.data:
            reference = self.setup.data["cohort"]
            if reference.settings:
                raise ValueError(f"data: expected a cohort without settings, got {reference}")
            return Path(reference.path)
        if not self.setup.tiny:
            raise ValueError("data: expected --data cohort=FOLDER, a prepared cohort to pre-train on, got none")
        return _made_up_cohort(self.setup.runs_folder)

    def labelled(self) -> PatchSequences:
        """Return labelled days: Capture-24, or made-up ones in a tiny trial."""
        if self._labelled is None:
            if "capture24" in self.setup.data:
                self._labelled = self.setup.data["capture24"].sequences()
            elif self.setup.tiny:
                self._labelled = made_up_days()
            else:
                raise ValueError("data: expected --data capture24=FOLDER, the official files, got none")
            self.setup.show("capture24", sequence_facts(self._labelled))
        return self._labelled

    def recipe(self, sets: Iterable[str] = (), seed: int = 0) -> PretrainRecipe:
        """Return the option's recipe with these changes; a tiny trial takes its tiny form."""
        recipe = PretrainRecipe.load(self.setup.options.recipe)
        recipe = (recipe.tiny() if self.setup.tiny else recipe).set(*self.setup.options.changes)
        own = [*sets, f"training.seed={seed}"]
        expect_effect(self.setup.options.changes, own)
        return recipe.set(*own)

    def run(self, row: str, sets: Iterable[str], seed: int) -> Run:
        """Pre-train by the option's recipe with these changes, unless that was done before."""
        recipe = self.recipe(sets, seed)
        people = self.setup.options.people or None
        return pretrain_once(self.setup, f"{row}, seed {seed}", recipe, self.cohort(), people=people)

    def encoder(self, row: str, sets: Iterable[str], seed: int) -> nn.Module:
        """Return the encoder of a row: from --runs where one is given, else from a pre-training."""
        if runs := self.setup.runs_of(row, "capture24"):
            return load_encoder(runs[seed])
        return self.run(row, sets, seed).load_encoder()

    def n_seeds(self, row: str) -> int:
        """Return the number of encoders of a row: of the runs given, or of the seeds of pre-training."""
        return len(self.setup.runs_of(row, "capture24")) or self.setup.options.pretrain_seeds

    def random_encoder(self, seed: int) -> nn.Module:
        """Return the recipe's encoder with random weights."""
        network = self.recipe().encoder
        return seeded_network(lambda: encoders.build(network.name, **network.model_dump(exclude={"name"})), seed)

    @property
    def column(self) -> str:
        """Name of the labelled set in tables."""
        return self.setup.data["capture24"].loader if "capture24" in self.setup.data else "capture24"

    def features(
        self, encoder: nn.Module, sequences: PatchSequences, stride: int | None, *, layer: str = "last"
    ) -> PatchFeatures:
        """Return the features of an encoder, or these joined with the six numbers of each patch, stored on disk."""
        cache, beside = self.setup.out / "features", moments if layer == _JOINED else None
        return embed_patches(encoder, sequences, stride=stride, device=self.setup.device, cache=cache, beside=beside)

    def probe(
        self, encoder: nn.Module, head: HeadName = "linear", train_fraction: float = 1.0, layer: str = "last"
    ) -> pd.DataFrame:
        """Return the scores of a head on an encoder's features, or on these joined with the six numbers of each patch."""
        return self.probe_features(
            lambda part, stride: self.features(encoder, part, stride, layer=layer), head, train_fraction=train_fraction
        )

    def probe_features(
        self,
        embed: Callable[[PatchSequences, int | None], PatchFeatures],
        head: HeadName,
        *,
        train_fraction: float = 1.0,
    ) -> pd.DataFrame:
        """Return the scores of a head on features, a row for each seed of the split; ``column`` is the set."""
        return probe_patches(
            embed,
            self.labelled(),
            PatchHeadSettings(head=head, epochs=self.setup.options.head_epochs),
            seeds=self.setup.seeds,
            train_fraction=train_fraction,
            stride=self.setup.options.stride or None,
            device=self.setup.device,
            say=self.setup.say,
        ).table.assign(column=self.column)

    def grid(self, cells: Iterable[Cell], probes: Sequence[Probe] = _PLAIN) -> pd.DataFrame:
        """Pre-train and probe each cell: rows for each cell and probe, pre-training seed and split."""
        parts = []
        for row, sets in cells:
            for seed in range(self.n_seeds(row)):
                encoder = self.encoder(row, sets, seed)
                parts += [self._judged(encoder, row, seed, *probe) for probe in probes]
        return pd.concat(parts, ignore_index=True)

    def baselines(
        self, train_fraction: float = 1.0, suffix: str = "", probes: Sequence[Probe] = _PLAIN
    ) -> pd.DataFrame:
        """Return the scores that every table shows: random weights, and statistics without parameters."""
        parts = []
        for seed in range(self.setup.options.random_draws):
            encoder = self.random_encoder(seed)
            row = f"random weights{suffix}"
            parts += [self._judged(encoder, row, seed, *probe, train_fraction=train_fraction) for probe in probes]
        for row, statistics in (
            (STATISTICS, lambda x: window_features(x, self.labelled().rate)[0]),
            (MOMENTS, moments),
        ):
            embed = partial(patch_statistics, statistics)
            scores = self.probe_features(
                lambda part, stride, embed=embed: embed(part, stride=stride),  # type: ignore[misc]  # a bound default
                "logistic",
                train_fraction=train_fraction,
            )
            parts.append(scores.assign(row=f"{row}{suffix}", weights_seed=0))
        return pd.concat(parts, ignore_index=True)

    def _judged(
        self, encoder: nn.Module, row: str, seed: int, layer: str, head: HeadName, *, train_fraction: float = 1.0
    ) -> pd.DataFrame:
        """The scores of a probe; the row is named as by `imuspec.experiments.judging.judge_row`."""
        name = ", ".join([row, *([] if layer == "last" else [layer]), *([] if head == "linear" else [head])])
        return self.probe(encoder, head, train_fraction, layer).assign(row=name, weights_seed=seed)


def tabulated(scores: pd.DataFrame, notes: Iterable[str] = ()) -> Result:
    """Return mean, sd and 95 % interval of balanced accuracy and kappa of each row as the result of an experiment.

    Parameters
    ----------
    scores : DataFrame
        A row for each row of the table, split and draw of the weights, from `Study.grid` or `Study.baselines`.
    notes : iterable of str
        Notes of the result.
    """
    rows: list[dict[str, Any]] = []
    for row in dict.fromkeys(scores["row"]):
        part = scores[scores["row"] == row]
        for column in COLUMNS:
            mean, sd = mean_sd(part.groupby("seed")[column].mean().to_numpy())
            low, high = mean_interval(part, value=column)
            counts = {"n": part["seed"].nunique(), "n_weights": part.get("weights_seed", part["seed"] * 0).nunique()}
            subjects = {name for text in part["test_subjects"] for name in str(text).split("; ")}
            counts |= {"n_test_subjects": len(subjects), "n_rarest": int(part["n_rarest"].min())}
            rows.append({"row": row, "column": column, "value": mean, "sd": sd, "low": low, "high": high, **counts})
    return Result(pd.DataFrame(rows), notes=list(notes), tables={"seeds": scores})


def tiny_rows(setup: Setup[Any], rows: Mapping[str, Row], few: Collection[str]) -> dict[str, Row]:
    """Return all rows; in a tiny trial the few named, and those that a run is given for.

    Parameters
    ----------
    setup : Setup
        Input of the experiment.
    rows : mapping of str to object
        Row of the table -> how it is made.
    few : collection of str
        Rows of a tiny trial.
    """
    return {row: made for row, made in rows.items() if not setup.tiny or row in few or setup.runs_of(row, "capture24")}


def study_table(setup: Setup[LossOptions], cells: Iterable[Cell]) -> Result:
    """Pre-train each cell and probe it with each layer and head of the options; the baselines follow.

    Parameters
    ----------
    setup : Setup
        Input of the experiment.
    cells : iterable of Cell
        Rows of the table, and the changes of the recipe.
    """
    study, probes = Study(setup), setup.options.probes
    return tabulated(pd.concat([study.grid(cells, probes), study.baselines(probes=probes)], ignore_index=True))


def made_up_days(n: int = 5, hours: float = 2.5) -> PatchSequences:
    """Simulate mornings of wearers, from sleep to the journey, at 30 Hz."""
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


def with_share(setup: Setup[Any], share: float) -> tuple[str, ...]:
    """Return the changes of a recipe for a share of the recordings at an equal number of steps."""
    recipe = PretrainRecipe.load(setup.options.recipe)
    epochs = 2 if setup.tiny else recipe.training.epochs
    return (f"source.share={share}", f"training.epochs={max(1, round(epochs / share))}")

"""Objectives on signals, each beside the same network with random weights: does pre-training help where labels are few?

Every objective is pre-trained on the windows of some subjects of a set, labels unused, and probed on the others; its random
encoders have the same architecture, and all are compared with the rows without parameters. The linear head is the papers', the
logistic one is fitted to convergence on standardised features. The figure shows each loss over the steps. The paper gives no
numbers on such a set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from imuspec.experiments.experiment import Result
from imuspec.experiments.judging import judge_parameter_free, judge_row, score_table
from imuspec.experiments.pretraining import own_task, pretrain_once
from imuspec.experiments.setup import DrawOptions, HeadsOptions, RowOptions, Setup
from imuspec.pretraining.window_source import pretraining_subjects
from imuspec.probing.sources import EncoderSource
from imuspec.recipe import PretrainRecipe
from imuspec.run.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from imuspec.datasets import Windows

DATA = ("hapt",)
ROWS = {
    "LIMU-BERT": "limu-bert",
    "SimCLR (HAR)": "simclr-har",
    "Multi-task (HAR)": "multi-task",
    "CPC (HAR)": "cpc",
    "CPC (HAR) of 2021": "cpc-original",
    "HARNet": "harnet{:g}",
}
RUNS = {row: f"recipe {recipe.format(5)}" for row, recipe in ROWS.items()}
OTHER_DATA = True


class SignalObjectivesOptions(HeadsOptions, DrawOptions, RowOptions):
    """Numbers of this study."""

    ROWS: ClassVar[tuple[str, ...]] = tuple(ROWS)

    pretrain_seeds: PositiveInt = Field(1, description="seeds of each pre-training that is made here")
    subjects: float = Field(0.5, gt=0, lt=1, description="share of the subjects that pre-training sees")
    window_s: PositiveFloat = Field(5.0, description="length of a window, s; HARNet takes 5, 10 or 30")
    epochs: NonNegativeInt = Field(0, description="0: the recipe's; so are the next three")
    batch: NonNegativeInt = 0
    base_lr: NonNegativeFloat = 0.0
    limit: NonNegativeInt = 0

    TINY: ClassVar[Mapping[str, Any]] = {
        "epochs": 1,
        "batch": 16,
        "limit": 32,
        "head_epochs": 3,
        "max_judged": 4,
        "random_draws": 2,
        "window_s": 10.0,
    }

    def without_effect(self, pretrained: Sequence[str], setup: Setup[Any]) -> dict[str, str]:
        """Return the options of pre-training where no row is pre-trained here."""
        del setup  # as the windows judged are those pre-trained on
        of_pretraining = ("pretrain_seeds", "epochs", "batch", "base_lr", "limit")
        return {} if pretrained else dict.fromkeys(of_pretraining, "a row without a run")


OPTIONS = SignalObjectivesOptions
_HARNET = (5, 10, 30)


def run(setup: Setup[SignalObjectivesOptions]) -> Result:
    """Pre-train and judge each objective, and its encoder with random weights."""
    tables, notes, losses = [], [], {}
    for name in setup.columns(DATA):
        for row in setup.options.chosen:
            seconds = setup.options.window_s
            if row == "HARNet" and seconds not in _HARNET:
                notes.append(f"{row}: left out, as it takes windows of 5, 10 or 30 s, not of {seconds:g} s")
                continue
            windows = setup.windows(name, window_s=seconds, rate=30.0 if row == "HARNet" else 50.0)
            made, others = _pretrained(setup, row, name, windows)
            if task := own_task(made):
                notes.append(f"{name}: {row}'s own task in the last epoch of pre-training: {task}")
            first = made[0].metrics()
            losses[f"{row}, {name}"] = [(line["step"], line["loss"]) for line in first if "loss" in line]
            drawn = [made[0].random_encoder(seed=seed) for seed in range(setup.options.random_draws)]
            for title, encoders in ((row, [run.load_encoder() for run in made]), (f"{row}, random", drawn)):
                sources = ((i, EncoderSource(each, device=setup.device)) for i, each in enumerate(encoders))
                table = judge_row(setup, title, sources, others).assign(column=name)
                tables.append(table)
                for judged_row, part in table.groupby("row", sort=False):
                    setup.say(f"{name}: {judged_row}: macro-F1 {part['macro_f1'].mean():.3f}")
        plain = setup.windows(name, window_s=setup.options.window_s, rate=50.0)
        others = _unseen(setup, plain)
        for row, table in judge_parameter_free(setup, others):
            tables.append(table.assign(row=row, column=name))
        notes.append(
            f"{name}: judged on {len(others)} windows of {len(others.subjects)} subjects that no pre-training saw"
        )
    judged = pd.concat(tables, ignore_index=True)
    return Result(score_table(judged), figures={"losses": _drawn(losses)}, notes=notes, tables={"seeds": judged})


def _unseen(setup: Setup[SignalObjectivesOptions], windows: Windows) -> Windows:
    seen = pretraining_subjects(windows.subject, setup.options.subjects, 0)
    return windows.select(~np.isin(windows.subject, seen))


def _pretrained(
    setup: Setup[SignalObjectivesOptions], row: str, name: str, windows: Windows
) -> tuple[list[Run], Windows]:
    """The row's runs, given or pre-trained, one for each seed, and the windows of subjects that they did not see."""
    others = _unseen(setup, windows)
    if runs := setup.runs_of(row, name):
        return [Run(run) for run in runs], others
    numbers = {
        "training.epochs": setup.options.epochs,
        "training.batch": setup.options.batch,
        "training.base_lr": setup.options.base_lr,
        "source.limit": setup.options.limit,
    }
    recipe = PretrainRecipe.load(ROWS[row].format(setup.options.window_s))
    recipe = recipe.set(
        f"source.window_s={windows.window_s}",
        f"source.rate_hz={windows.rate}",
        f"source.subjects={setup.options.subjects}",
        *(f"{key}={value}" for key, value in numbers.items() if value),
    )
    ending = ", seed {}" if setup.options.pretrain_seeds > 1 else ""
    return [
        pretrain_once(setup, f"{row}@{name}{ending.format(seed)}", recipe.set(f"training.seed={seed}"), windows)
        for seed in range(setup.options.pretrain_seeds)
    ], others


def _drawn(losses: dict[str, list[tuple[int, float]]]) -> Figure:
    """Draw a panel for each pre-training: its loss over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.0 * max(1, min(3, len(losses))), 2.3 * -(-len(losses) // 3)), layout="constrained")
    panels = figure.subplots(-(-len(losses) // 3), min(3, len(losses)), squeeze=False).flatten()
    for panel, (title, line) in zip(panels, losses.items(), strict=False):
        panel.plot(*zip(*line, strict=True), marker=".", markersize=3, linewidth=1.2)
        panel.set(title=title, xlabel="step", ylabel="loss")
    for panel in panels[len(losses) :]:
        panel.set_visible(False)
    return figure

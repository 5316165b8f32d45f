"""Objectives on signals, each beside its own network as it is born: does the pre-training help where labels are few?

Every objective is pre-trained on the windows of some subjects of a set, labels unused, and probed on the others; its random
encoder has the same form, and statistics of the window stand beside all. The linear head is the papers', the logistic one sees
standardised features. The figure shows each loss over the steps. The paper gives no numbers on such a set.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from imuspec.evaluation import summary
from imuspec.experiments import _rows
from imuspec.experiments.frame import Result, Setup
from imuspec.pretraining.pretraining import pretrain
from imuspec.pretraining.window_source import pretraining_subjects
from imuspec.probing.protocol import probe
from imuspec.probing.sources import EncoderSource, StatisticsSource
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.probing import HeadSettings
from imuspec.run.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from imuspec.datasets import Windows
    from imuspec.probing.sources import Source

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
OPTIONS: dict[str, Any] = {
    "rows": "",  # names with semicolons between; all
    "subjects": 0.5,  # share of the subjects that pre-training sees
    "window_s": 5.0,  # HARNet takes 5, 10 or 30
    "epochs": 0,  # 0: the recipe's; so are the next three
    "batch": 0,
    "base_lr": 0.0,
    "limit": 0,
    "shots": 10,
    "head_epochs": 50,
    "max_judged": 0,  # windows a class of the validation and test parts; 0: all
}
TINY = {"epochs": 1, "batch": 16, "limit": 32, "head_epochs": 3, "max_judged": 4, "window_s": 10.0}
_HARNET = (5, 10, 30)


def run(setup: Setup) -> Result:
    """Pre-train and judge each objective, and its random encoder."""
    asked = [name.strip() for name in setup.option("rows", str).split(";") if name.strip()] or list(ROWS)
    if unknown := [name for name in asked if name not in ROWS]:
        raise ValueError(f"rows: expected some of {'; '.join(ROWS)}, got {'; '.join(unknown)}")
    found, notes, losses = [], [], {}
    for name in _rows.columns(setup, DATA):
        for row in asked:
            seconds = setup.option("window_s", float)
            if row == "HARNet" and seconds not in _HARNET:
                notes.append(f"{row}: left out, as it takes windows of 5, 10 or 30 s, not of {seconds:g} s")
                continue
            windows = setup.windows(name, window_s=seconds, rate=30.0 if row == "HARNet" else 50.0)
            made, others = _pretrained(setup, row, name, windows)
            losses[f"{row}, {name}"] = [(line["step"], line["loss"]) for line in made.metrics() if "loss" in line]
            for title, encoder in ((row, made.load_encoder()), (f"{row}, random", made.random_encoder())):
                for head in ("linear", "logistic"):
                    table = _judged(setup, EncoderSource(encoder), others, head)
                    found.append(table.assign(row=title, column=f"{name}, {head}"))
                    setup.say(f"{name}: {title}, {head}: macro-F1 {table['macro_f1'].mean():.3f}")
        plain = setup.windows(name, window_s=setup.option("window_s", float), rate=50.0)
        others = _unseen(setup, plain)
        table = _judged(setup, StatisticsSource(others.rate), others, "logistic")
        found.append(table.assign(row=_rows.STATISTICS, column=f"{name}, logistic"))
        notes.append(
            f"{name}: judged on {len(others)} windows of {len(others.subjects)} subjects that no pre-training saw"
        )
    judged = pd.concat(found, ignore_index=True)
    table = summary(judged, ["row", "column"], ["macro_f1"]).rename(columns={"macro_f1": "value", "macro_f1_sd": "sd"})
    return Result(table, figures={"losses": _drawn(losses)}, notes=notes, tables={"seeds": judged})


def _unseen(setup: Setup, windows: Windows) -> Windows:
    seen = pretraining_subjects(windows.subject, setup.option("subjects", float), 0)
    return windows.select(~np.isin(windows.subject, seen))


def _pretrained(setup: Setup, row: str, name: str, windows: Windows) -> tuple[Run, Windows]:
    """The row's run, given or pre-trained in the experiment's folder, and the windows of subjects that it did not see."""
    others = _unseen(setup, windows)
    if row in setup.runs:
        return Run(setup.runs[row]), others
    numbers = {
        "training.epochs": setup.option("epochs", int),
        "training.batch": setup.option("batch", int),
        "training.base_lr": setup.option("base_lr", float),
        "source.limit": setup.option("limit", int),
    }
    recipe = PretrainRecipe.load(ROWS[row].format(setup.option("window_s", float)))
    recipe = recipe.set(
        f"source.window_s={windows.window_s}",
        f"source.rate_hz={windows.rate}",
        f"source.subjects={setup.option('subjects', float)}",
        *(f"{key}={value}" for key, value in numbers.items() if value),
    )
    slug = re.sub(r"\W+", "-", row.lower()).strip("-")
    folder = setup.out / "runs" / f"{slug}-{name}"
    setup.say(f"{row}: pre-training by {recipe.name} in {folder}")
    given: Any = windows
    return pretrain(recipe, given, folder, resume=(folder / "recipe.json").exists()), others


def _judged(setup: Setup, source: Source, windows: Windows, head: str) -> pd.DataFrame:
    most = setup.option("max_judged", int) or None
    return probe(
        source,
        windows,
        seeds=setup.seeds,
        shots=(setup.option("shots", int),),
        head=head,
        settings=HeadSettings(epochs=setup.option("head_epochs", int)),
        max_validation=most,
        max_test=most,
    ).table


def _drawn(losses: dict[str, list[tuple[int, float]]]) -> Figure:
    """A panel for each pre-training: its loss over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.0 * max(1, min(3, len(losses))), 2.3 * -(-len(losses) // 3)), layout="constrained")
    panels = figure.subplots(-(-len(losses) // 3), min(3, len(losses)), squeeze=False).flatten()
    for panel, (title, line) in zip(panels, losses.items(), strict=False):
        panel.plot(*zip(*line, strict=True), marker=".", markersize=3, linewidth=1.2)
        panel.set(title=title, xlabel="step", ylabel="loss")
    for panel in panels[len(losses) :]:
        panel.set_visible(False)
    return figure

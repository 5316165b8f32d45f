"""IMG2IMU, options that the paper leaves open: the form of Hue, and how hard the contrastive task is.

Each row is the recipe with one option changed; its encoders come from ``--runs ROW=FOLDER``, given once for each seed of
pre-training. They are judged on windows and on the same windows turned in space (``rotated``). The last column is the share
of queries that are nearest to their own key, the mean of the last epoch's log. The paper gives no numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from imuspec import encoders
from imuspec.datasets import altered_sets
from imuspec.evaluation import mean_sd
from imuspec.experiments.experiment import Result
from imuspec.experiments.judging import judge_parameter_free, judge_row, score_table, seeded_network
from imuspec.experiments.pretraining import last_epoch
from imuspec.experiments.setup import DrawOptions, HeadsOptions, PictureOptions, RowOptions, Setup
from imuspec.probing.sources import EncoderSource
from imuspec.run.named import load_encoder
from imuspec.run.run import Run

DATA = ("wisdm",)
OTHER_DATA = True
TOP1 = "contrastive top-1"
ROWS = {
    "Hue perm": "views.hue=perm, the default",
    "Hue mix": "views.hue=mix",
    "Hue hsv": "views.hue=hsv",
    "no Hue": "views.operations without hue",
    "temperature .07": "objective.temperature=0.07",
    "cascade": "views.cascade=true",
    "jitter .5": "views.jitter_max=0.5",
    "queue 4096": "objective.queue=4096",
}
RUNS = {row: f"recipe img2imu-small with {changes}" for row, changes in ROWS.items()}
_SOLVED = 0.9  # of the queries: a task that teaches little more
_RANDOM = "Randomly-init. (2D)"


class OptionsOptions(HeadsOptions, DrawOptions, PictureOptions, RowOptions):
    """Numbers of this study."""

    ROWS: ClassVar[tuple[str, ...]] = tuple(ROWS)

    rotated: bool = Field(True, description="whether turned test windows are a column")

    TINY: ClassVar[Mapping[str, Any]] = {
        "rows": ("Hue perm", "Hue mix"),
        "nfft": (64,),
        "hop": (16,),
        "head_epochs": 3,
        "max_judged": 4,
        "random_draws": 2,
    }


OPTIONS = OptionsOptions


def run(setup: Setup[OptionsOptions]) -> Result:
    """Judge each row on each set, beside random weights and features without parameters."""
    options, parts, notes = setup.options, [], []
    names = setup.columns(DATA)
    chosen = {row: {name: runs for name in names if (runs := setup.runs_of(row, name))} for row in options.chosen}
    notes += [f"{row}: left out, as no --runs '{row}=FOLDER' was given" for row, runs in chosen.items() if not runs]
    if not any(chosen.values()):
        raise ValueError(f"runs: expected --runs ROW=FOLDER of {'; '.join(options.chosen)}, got none")
    drawn = [seeded_network(lambda: encoders.build("resnet18"), seed) for seed in range(options.random_draws)]
    pictures = options.pictures()
    for name in names:
        windows = setup.windows(name)
        encoders_of = {row: [load_encoder(run) for run in runs[name]] for row, runs in chosen.items() if name in runs}
        altered = {"rotated": altered_sets(windows)["rotated"].x} if options.rotated else None
        for row, networks in {**encoders_of, _RANDOM: drawn}.items():
            sources = (
                (i, EncoderSource(each, pictures=pictures, device=setup.device)) for i, each in enumerate(networks)
            )
            table = judge_row(setup, row, sources, windows, altered=altered)
            parts.append(table.assign(set=name))
            setup.say(f"{name}: {row}: macro-F1 {table[table['test'] == 'clean']['macro_f1'].mean():.3f}")
        for row, table in judge_parameter_free(setup, windows, pictures=pictures, altered=altered):
            parts.append(table.assign(row=row, set=name))
    judged = pd.concat(parts, ignore_index=True)
    judged["column"] = judged["set"].where(judged["test"] == "clean", judged["set"] + ", " + judged["test"])
    if any("Hue" in row for row, runs in chosen.items() if runs):
        notes.append(
            "The default stays Hue perm: the paper's Hue keeps brightness and contrast, and of the forms perm alone keeps both "
            "exactly. No score chooses it."
        )
    tops = pd.DataFrame(
        _top1(row, tuple(dict.fromkeys(run for each in runs.values() for run in each)))
        for row, runs in chosen.items()
        if runs
    )
    lasting = [f"{row['row']} ({row['value']:.3f})" for row in tops.to_dict("records") if row["value"] >= _SOLVED]
    if tops["value"].notna().any():
        notes.append(
            f"contrastive top-1 of the last epoch of {_SOLVED} or more: {', '.join(lasting) or 'none of the rows'}"
        )
    return Result(pd.concat([score_table(judged), tops], ignore_index=True), notes=notes, tables={"seeds": judged})


def _top1(row: str, runs: tuple[str, ...]) -> dict[str, Any]:
    """The row of the table with the mean and deviation of the runs' top-1 in the last epoch; NaN for encoders without a log."""
    values = [last_epoch(Run(run), "top1") for run in runs]
    mean, sd = mean_sd(np.array(values))
    return {"row": row, "column": TOP1, "value": mean, "sd": sd}

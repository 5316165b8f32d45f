"""IMG2IMU, Fig 7: macro-F1 against the number of labelled windows a class, every row of Table II on every set.

The draws are nested: the windows of few shots are among those of many. Encoders come as for Table II. The paper prints no
numbers here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from imuspec.experiments.experiment import Result
from imuspec.experiments.judging import score_table
from imuspec.experiments.methods import ROWS, MethodOptions, judge_methods
from imuspec.experiments.setup import Numbers, Setup

DATA = ("wisdm", "goat", "pvs", "daphnet")
OTHER_DATA = True
RUNS = {name: f"recipe {row.recipe}" for name, row in ROWS.items() if row.origin == "pretrained"}


class Fig7Options(MethodOptions):
    """Numbers of this figure."""

    shots: Numbers = (1, 2, 5, 10, 20, 50)  # type: ignore[assignment]  # several in place of one

    TINY: ClassVar[Mapping[str, Any]] = {**MethodOptions.TINY, "shots": (1, 5)}


OPTIONS = Fig7Options


def run(setup: Setup[Fig7Options]) -> Result:
    """Judge every row on every set with each number of shots, and draw the curves."""
    from imuspec.report.scores import curve_figure

    judged, notes = judge_methods(setup, DATA, setup.options.shots)
    columns = [
        f"{name}, {n} shots" if n else f"{name}, all labels"
        for name, n in zip(judged["set"], judged["shots"], strict=True)
    ]
    judged = judged.assign(column=columns)
    table = score_table(judged, ["row", "set", "shots", "column"])
    figure = curve_figure(table.assign(column=table["set"]), x="shots", xlabel="labelled windows per class")
    return Result(table, figures={"fig7": figure}, notes=notes, tables={"seeds": judged})

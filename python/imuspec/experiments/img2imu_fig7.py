"""IMG2IMU, Fig 7: macro-F1 against the number of labelled windows a class, every row of Table II on every set.

The draws are nested: the windows of few shots are among those of many. Encoders come as for Table II. The paper prints no
numbers here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from imuspec.experiments.experiment import Result
from imuspec.experiments.judging import score_table
from imuspec.experiments.methods import ROWS, MethodOptions, judge_methods
from imuspec.experiments.setup import Numbers, Setup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    judged, notes = judge_methods(setup, DATA, setup.options.shots)
    columns = [_column(name, n) for name, n in zip(judged["set"], judged["shots"], strict=True)]
    judged = judged.assign(column=columns)
    table = score_table(judged, ["row", "set", "shots", "column"])
    return Result(table, figures={"fig7": _drawn(table)}, notes=notes, tables={"seeds": judged})


def _column(name: str, shots: int) -> str:
    return f"{name}, {shots} shots" if shots else f"{name}, all labels"


def _drawn(points: pd.DataFrame) -> Figure:
    """Draw a panel for each set: a curve for each row, a level line for the fully supervised ones."""
    from imuspec.report.scores import curve_figure

    table = points.assign(column=points["set"])
    return curve_figure(table, x="shots", xlabel="labelled windows per class")

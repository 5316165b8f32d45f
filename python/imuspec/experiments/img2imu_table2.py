"""IMG2IMU, Table II: macro-F1 of thirteen methods with ten labelled windows a class, and of plain statistics.

The rows on signals are pre-trained once for each window length, those on pictures once. An encoder comes from a run
(``--runs 'ROW=FOLDER'``, or ``'ROW@SET=FOLDER'`` where each set has its own), or is pre-trained here: on the signals of
``--set signals=NAME=PATH`` and the pictures of ``--set images=PATH``. Where the signals are of a set that is judged on,
pre-training sees half of its subjects, and all rows are judged on the others.
"""

from __future__ import annotations

from imuspec.experiments.experiment import Result
from imuspec.experiments.methods import ROWS, MethodOptions, judge_methods, long_table
from imuspec.experiments.setup import Setup

DATA = ("wisdm", "goat", "pvs", "daphnet")
OTHER_DATA = True
RUNS = {name: f"recipe {row.recipe}" for name, row in ROWS.items() if row.origin == "pretrained"}
OPTIONS = MethodOptions


def run(setup: Setup[MethodOptions]) -> Result:
    """Judge every row on every set given."""
    judged, notes = judge_methods(setup, DATA, (setup.options.shots,))
    return Result(long_table(judged, DATA), notes=notes, tables={"seeds": judged})

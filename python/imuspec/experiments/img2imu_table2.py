"""IMG2IMU, Table II: macro-F1 of thirteen methods with ten labelled windows a class, and of plain statistics.

The rows on signals are pre-trained once for each window length, those on pictures once. An encoder comes from a run
(``--runs 'ROW=FOLDER'``, or ``'ROW@SET=FOLDER'`` where each set has its own), or is pre-trained here: on the signals of
``--set signals=NAME=PATH`` and the pictures of ``--set images=PATH``. Where the signals are of a set that is judged on,
pre-training sees half of its subjects, and all rows are judged on the others.
"""

from __future__ import annotations

from imuspec.experiments import _rows
from imuspec.experiments.frame import Result, Setup

DATA = ("wisdm", "goat", "pvs", "daphnet")
RUNS = {name: f"recipe {row.recipe}" for name, row in _rows.ROWS.items() if row.how == "pretrained"}
OPTIONS = {**_rows.OPTIONS, "shots": 10}
TINY = _rows.TINY


def run(setup: Setup) -> Result:
    """Judge every row on every set given."""
    judged, notes = _rows.judge(setup, DATA, (setup.option("shots", int),))
    return Result(_rows.long_table(judged, DATA), notes=notes, tables={"seeds": judged})

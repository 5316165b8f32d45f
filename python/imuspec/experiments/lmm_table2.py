"""LMM masked auto-encoder, Table II: weight of the log magnitude variance, N 32."""

from __future__ import annotations

from imuspec.experiments.experiment import Result
from imuspec.experiments.masked_study import Cell, LossOptions, study_table, tiny_rows, weights
from imuspec.experiments.setup import Setup

DATA = ("cohort", "capture24")
OPTIONS = LossOptions
_CELLS: list[Cell] = [
    (f"w_LMV {name}", weights(lmv=value)) for name, value in (("0", 0.0), (".01", 0.01), (".1", 0.1), ("1", 1.0))
]
RUNS = {row: "a run of imuspec pretrain in place of a pre-training here" for row, _ in _CELLS}


def run(setup: Setup[LossOptions]) -> Result:
    """Pre-train each weight, probe it with a linear head."""
    return study_table(setup, tiny_rows(setup, dict(_CELLS), ("w_LMV 0", "w_LMV 1")).items())

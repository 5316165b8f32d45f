"""LMM masked auto-encoder, Table III: share of the patches that are hidden."""

from __future__ import annotations

from imuspec.experiments.experiment import Result
from imuspec.experiments.masked_study import Cell, LossOptions, study_table, tiny_rows, weights
from imuspec.experiments.setup import Setup

DATA = ("cohort", "capture24")
OPTIONS = LossOptions
_CELLS: list[Cell] = [
    (f"{loss}, mask {str(mask).lstrip('0')}", (*weights(1.0, mse), f"source.mask={mask}"))
    for loss, mse in (("LMM", 0.0), ("LMM + .001 MSE", 0.001))
    for mask in (0.3, 0.6, 0.75, 0.9)
]
RUNS = {row: "a run of imuspec pretrain in place of a pre-training here" for row, _ in _CELLS}


def run(setup: Setup[LossOptions]) -> Result:
    """Pre-train each share, probe it with a linear head."""
    return study_table(setup, tiny_rows(setup, dict(_CELLS), ("LMM, mask .3", "LMM, mask .6")).items())

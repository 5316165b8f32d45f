"""LMM masked auto-encoder, Table I: balanced accuracy and kappa by the loss and its frame length N."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from imuspec.experiments.experiment import Result
from imuspec.experiments.masked_study import Cell, LossOptions, study_table, weights
from imuspec.experiments.setup import RowOptions, Setup

DATA = ("cohort", "capture24")
_CELLS: list[Cell] = [
    ("MSE", weights(0.0, 1.0)),
    *((f"LMM N {n}", (*weights(), f"objective.nfft=[{n}]")) for n in (16, 32, 64, 128)),
    *((f"LMM + .1 MSE N {n}", (*weights(1.0, 0.1), f"objective.nfft=[{n}]")) for n in (16, 32, 64, 128)),
    ("LMM + mean N 32", (*weights(), "objective.nfft=[32]", "objective.mean=1.0")),
    ("LMM N 16+32+64+128", (*weights(), "objective.nfft=[16, 32, 64, 128]")),
]
RUNS = {row: "a run of imuspec pretrain in place of a pre-training here" for row, _ in _CELLS}


class LossRowOptions(LossOptions, RowOptions):
    """Numbers of this table."""

    ROWS: ClassVar[tuple[str, ...]] = tuple(RUNS)
    TINY: ClassVar[Mapping[str, Any]] = {**LossOptions.TINY, "rows": ("MSE", "LMM N 32", "LMM N 16+32+64+128")}


OPTIONS = LossRowOptions


def run(setup: Setup[LossRowOptions]) -> Result:
    """Pre-train each loss and probe it; two rows are not of the paper: signed means beside LMM, all N at once."""
    return study_table(setup, [(row, changes) for row, changes in _CELLS if row in setup.options.chosen])

"""LMM masked auto-encoder, Table IV: share of the recordings that is pre-trained on, nested, at equal steps."""

from __future__ import annotations

from imuspec.experiments.experiment import Result
from imuspec.experiments.masked_study import Cell, LossOptions, study_table, tiny_rows, weights, with_share
from imuspec.experiments.setup import Setup

DATA = ("cohort", "capture24")
OPTIONS = LossOptions
_ROWS = {
    f"{loss}, data {share} %": (mse, share)
    for loss, mse in (("LMM", 0.0), ("LMM + .001 MSE", 0.001))
    for share in (20, 40, 60, 80, 100)
}
RUNS = dict.fromkeys(_ROWS, "a run of imuspec pretrain in place of a pre-training here")


def run(setup: Setup[LossOptions]) -> Result:
    """Pre-train on each share, epochs in inverse proportion, and probe with a linear head."""
    rows = tiny_rows(setup, _ROWS, ("LMM, data 40 %", "LMM, data 100 %"))
    cells: list[Cell] = [
        (row, (*weights(1.0, mse), *with_share(setup, share / 100))) for row, (mse, share) in rows.items()
    ]
    return study_table(setup, cells)

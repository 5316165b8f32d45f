"""LMM masked auto-encoder, Table IV: share of the recordings that is pre-trained on, nested, at equal steps."""

from __future__ import annotations

from imuspec.experiments.experiment import Result
from imuspec.experiments.masked_study import Cell, StudyOptions, study_table, weights, with_share
from imuspec.experiments.setup import Setup

DATA = ("cohort", "capture24")
OPTIONS = StudyOptions
_ROWS = {
    f"{loss}, data {share} %": (mse, share)
    for loss, mse in (("LMM", 0.0), ("LMM + .001 MSE", 0.001))
    for share in (20, 40, 60, 80, 100)
}
RUNS = dict.fromkeys(_ROWS, "a run of imuspec pretrain in place of a pre-training here")


def run(setup: Setup[StudyOptions]) -> Result:
    """Pre-train on each share, epochs in inverse proportion, and probe with a linear head."""
    cells: list[Cell] = [
        (row, (*weights(1.0, mse), *with_share(setup, share / 100))) for row, (mse, share) in _ROWS.items()
    ]
    return study_table(setup, [cells[1], cells[4]] if setup.tiny else cells)

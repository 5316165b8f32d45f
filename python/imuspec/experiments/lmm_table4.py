"""LMM masked auto-encoder, Table IV: share of the recordings that is pre-trained on, nested, at equal steps."""

from __future__ import annotations

from imuspec.experiments._lmm import DATA, OPTIONS, TINY, Cell, Study, tabulated, weights, with_share
from imuspec.experiments.frame import Result, Setup

__all__ = ["DATA", "OPTIONS", "TINY", "run"]


def run(setup: Setup) -> Result:
    """Pre-train on each share, epochs in inverse proportion, and probe with a linear head."""
    cells: list[Cell] = [
        (f"{loss}, data {share} %", (*weights(1.0, mse), *with_share(setup, share / 100)))
        for loss, mse in (("LMM", 0.0), ("LMM + .001 MSE", 0.001))
        for share in (20, 40, 60, 80, 100)
    ]
    return tabulated(Study(setup).grid([cells[1], cells[4]] if setup.tiny else cells))

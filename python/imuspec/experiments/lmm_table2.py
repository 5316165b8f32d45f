"""LMM masked auto-encoder, Table II: weight of the log magnitude variance, N 32."""

from __future__ import annotations

from imuspec.experiments._lmm import DATA, OPTIONS, TINY, Cell, Study, tabulated, weights
from imuspec.experiments.frame import Result, Setup

__all__ = ["DATA", "OPTIONS", "TINY", "run"]

_CELLS: list[Cell] = [
    (f"w_LMV {name}", weights(lmv=value)) for name, value in (("0", 0.0), (".01", 0.01), (".1", 0.1), ("1", 1.0))
]


def run(setup: Setup) -> Result:
    """Pre-train each weight, probe it with a linear head."""
    return tabulated(Study(setup).grid(_CELLS[::3] if setup.tiny else _CELLS))

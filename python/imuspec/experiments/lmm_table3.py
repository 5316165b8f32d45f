"""LMM masked auto-encoder, Table III: share of the patches that are hidden."""

from __future__ import annotations

from imuspec.experiments._lmm import DATA, OPTIONS, TINY, Cell, Study, tabulated, weights
from imuspec.experiments.frame import Result, Setup

__all__ = ["DATA", "OPTIONS", "TINY", "run"]

_CELLS: list[Cell] = [
    (f"{loss}, mask {str(mask).lstrip('0')}", (*weights(1.0, mse), f"source.mask={mask}"))
    for loss, mse in (("LMM", 0.0), ("LMM + .001 MSE", 0.001))
    for mask in (0.3, 0.6, 0.75, 0.9)
]


def run(setup: Setup) -> Result:
    """Pre-train each share, probe it with a linear head."""
    return tabulated(Study(setup).grid(_CELLS[:2] if setup.tiny else _CELLS))

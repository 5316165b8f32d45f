"""Realistic device files with known truth, for first trials, tests and benchmarks.

``simulate`` writes an Axivity recording of one wearer (sleep, desk, walks, bicycle or vehicle, non-wear) with any of
``DAMAGE_KINDS``, and the truth in files beside it. ``wrist_motion`` returns the signal of such a wearer in memory. The
``write_`` functions write a signal in the other formats that ``imuspec.read`` supports.
"""

from __future__ import annotations

from imuspec.simulation.damage import DAMAGE_KINDS
from imuspec.simulation.geneactiv import write_geneactiv
from imuspec.simulation.gt3x import write_gt3x, write_gt3x_v1
from imuspec.simulation.matrix import write_matrix
from imuspec.simulation.motion import wrist_motion
from imuspec.simulation.plan import Miscalibration
from imuspec.simulation.schedule import STATE_NAMES
from imuspec.simulation.tables import write_npz, write_parquet
from imuspec.simulation.text import (
    write_actilife_csv,
    write_capture24_csv,
    write_csv,
    write_nhanes,
    write_omgui_csv,
)
from imuspec.simulation.truth import Truth
from imuspec.simulation.week import simulate

__all__ = [
    "DAMAGE_KINDS",
    "STATE_NAMES",
    "Miscalibration",
    "Truth",
    "simulate",
    "wrist_motion",
    "write_actilife_csv",
    "write_capture24_csv",
    "write_csv",
    "write_geneactiv",
    "write_gt3x",
    "write_gt3x_v1",
    "write_matrix",
    "write_nhanes",
    "write_npz",
    "write_omgui_csv",
    "write_parquet",
]

"""Work on many files or recordings: on local processes, a Dask cluster, or one share of a job array.

`Engine.map` gives each item to a process and yields its result, or the reason of its failure. `prepare_cohort` maps over
device files, `compute` over the recordings of a cohort.
"""

from __future__ import annotations

from imuspec.cluster.computing import compute
from imuspec.cluster.engine import Engine
from imuspec.cluster.limits import Limits
from imuspec.cluster.local import LocalEngine
from imuspec.cluster.opening import ENGINES, open_engine
from imuspec.cluster.preparing import prepare_cohort
from imuspec.cluster.running import Outcome, Summary

__all__ = [
    "ENGINES",
    "Engine",
    "Limits",
    "LocalEngine",
    "Outcome",
    "Summary",
    "compute",
    "open_engine",
    "prepare_cohort",
]

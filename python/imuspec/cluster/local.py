"""The engine of one machine: a pool of processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from imuspec.cluster.engine import Crew, Engine
from imuspec.cluster.limits import Limits
from imuspec.cluster.pool import Pool

__all__ = ["LocalEngine", "cores"]


class LocalEngine(Engine):
    """A pool of local processes, with one native thread each while there are items for all. It replaces processes that die.

    Parameters
    ----------
    workers : int, optional
        Number of processes. The default is the number of cores that this process may use.
    limits : Limits, optional
        Limits on one item.
    """

    def __init__(self, workers: int | None = None, *, limits: Limits | None = None) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"workers: expected at least 1, got {workers}")
        self.workers = workers or cores()
        self.limits = limits or Limits()

    def crew(self, work: Callable[[Any], Any], n_items: int) -> AbstractContextManager[Crew]:
        """Return processes for `work`. Where there are fewer items than processes, one has the threads of those not started."""
        return Pool(work, self.workers, self.limits, native_threads=max(1, self.workers // max(1, n_items)))


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

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
    """A pool of processes that outlives the death of any of them, each with one native thread.

    Parameters
    ----------
    workers : int, optional
        How many processes; None takes one for each core that this process may use.
    limits : Limits, optional
        What one item may use.
    """

    def __init__(self, workers: int | None = None, *, limits: Limits | None = None) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"workers: expected at least 1, got {workers}")
        self.workers = workers or cores()
        self.limits = limits or Limits()

    def crew(self, work: Callable[[Any], Any]) -> AbstractContextManager[Crew]:
        """Return the processes that do `work`."""
        return Pool(work, self.workers, self.limits)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

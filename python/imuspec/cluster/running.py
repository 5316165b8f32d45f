"""One run of work on an engine: what became of each item, told as it comes, until the end or a stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from imuspec.cluster.engine import Engine
from imuspec.cluster.stopping import stop_on_signal

__all__ = ["Outcome", "Progress", "Summary", "work_through"]

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    id: str
    name: str
    status: Literal["ok", "excluded", "failed"]
    reason: str
    n_bytes: int
    seconds: float
    kept: str = ""


@dataclass
class Summary:
    """What became of a run: outcomes of this run, and how many recordings were done before it."""

    cohort: Path
    total: int
    done_before: int
    outcomes: list[Outcome] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def n_done(self) -> int:
        """Files of this share that have an outcome."""
        return self.done_before + len(self.outcomes)

    def count(self, status: str) -> int:
        """Return how many files of this run came out so."""
        return sum(outcome.status == status for outcome in self.outcomes)


Progress = Callable[[Summary, Outcome | None], None]


def work_through(
    engine: Engine,
    keep: Callable[[_Item], Outcome],
    jobs: Sequence[_Item],
    summary: Summary,
    *,
    began: float,
    failed: Callable[[_Item, str], Outcome],
    progress: Progress | None,
) -> None:
    """Let `engine` do the jobs, and put what becomes of each into `summary`.

    Parameters
    ----------
    engine, keep, jobs
        Who does what with each item.
    summary
        Of the run; told to `progress` first as it stands.
    began
        `time.monotonic` at the start of the run, s.
    failed
        Records an item that gave no outcome, and why.
    progress
        Called with an outcome after each; with None before the first, and when a signal asks to stop.
    """

    def tell(outcome: Outcome | None) -> None:
        summary.seconds = time.monotonic() - began
        if progress:
            progress(summary, outcome)

    def stopping() -> None:
        summary.interrupted = True
        tell(None)

    tell(None)
    with engine, stop_on_signal(stopping) as stop:
        for job, result, died in engine.map(keep, jobs, stop):
            outcome = result or failed(job, died)
            summary.outcomes.append(outcome)
            tell(outcome)
    summary.interrupted = len(summary.outcomes) < len(jobs)

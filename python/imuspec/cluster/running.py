"""One run over many recordings: which are left to do, the work on an engine, the tables at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from imuspec.cluster.engine import Engine
from imuspec.interrupts import stop_on_signal

__all__ = ["Job", "Outcome", "Progress", "Store", "Summary", "left_to_do", "work_on"]


class Job(Protocol):
    """One recording to work on."""

    @property
    def id(self) -> str: ...


class Store(Protocol):
    """A folder of parts and tables: a cohort or results."""

    folder: Path

    def done(self) -> set[str]: ...
    def is_folded(self) -> bool: ...
    def drop_tables(self) -> None: ...
    def forget(self, identity: str, /) -> None: ...
    def fold(self, ids: Iterable[str] | None = None) -> None: ...
    def close(self) -> None: ...


_Job = TypeVar("_Job", bound=Job)


@dataclass(frozen=True)
class Outcome:
    """The outcome of one file or recording; `kept` describes what was stored."""

    id: str
    name: str
    status: Literal["ok", "excluded", "failed"]
    reason: str
    n_bytes: int
    seconds: float
    kept: str = ""


@dataclass
class Summary:
    """The outcomes of one run, the number of recordings done before it, and notes on its inputs."""

    cohort: Path
    total: int
    done_before: int
    outcomes: list[Outcome] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def n_done(self) -> int:
        """Files of this share that have an outcome."""
        return self.done_before + len(self.outcomes)

    def count(self, status: str) -> int:
        """Return the number of outcomes of this run with a status."""
        return sum(outcome.status == status for outcome in self.outcomes)


Progress = Callable[[Summary, Outcome | None], None]


def left_to_do(store: Store, jobs: Sequence[_Job], again: Callable[[_Job], bool], *, resume: bool) -> list[_Job]:
    """Return the jobs without a part, and those for which `again` is true, sorted by id.

    Raises
    ------
    ValueError
        If some are done and `resume` is false.
    """
    done = store.done()
    known = sum(job.id in done for job in jobs)
    if known and not resume:
        raise ValueError(
            f"out: {store.folder} holds {known} of these {len(jobs)} recordings already; --resume does the others"
        )
    return sorted((job for job in jobs if job.id not in done or again(job)), key=lambda job: job.id)


def work_on(
    store: Store,
    engine: Engine,
    keep: Callable[[_Job], Outcome],
    jobs: Sequence[_Job],
    summary: Summary,
    *,
    ids: set[str],
    failed: Callable[[_Job, str], Outcome],
    progress: Progress | None,
) -> None:
    """Do the jobs, collect the outcomes in `summary`, and write the tables if every recording has its part.

    Parameters
    ----------
    store : Store
        Where the results go, who works, the function of one job, the jobs.
    engine : Engine
        Where the results go, who works, the function of one job, the jobs.
    keep : callable
        Where the results go, who works, the function of one job, the jobs.
    jobs : sequence of _Job
        Where the results go, who works, the function of one job, the jobs.
    summary : Summary
        Of the run; `progress` gets it at the start.
    ids : set of str
        All recordings of all shares; the tables are written when each has its part.
    failed : callable
        Records a job that gave no outcome, with the reason.
    progress : callable
        Called with an outcome after each job; with None before the first, and when a signal asks to stop.
    """
    began = time.monotonic()

    def report(outcome: Outcome | None) -> None:
        summary.seconds = time.monotonic() - began
        if progress:
            progress(summary, outcome)

    def stopping() -> None:
        summary.interrupted = True
        report(None)

    if jobs:
        store.drop_tables()
    for job in jobs:
        store.forget(job.id)
    report(None)
    with engine, stop_on_signal(stopping) as stop:
        for job, result, reason in engine.map(keep, jobs, stop):
            outcome = result or failed(job, reason)
            summary.outcomes.append(outcome)
            report(outcome)
    summary.interrupted = len(summary.outcomes) < len(jobs)
    # The folder and this run are asked: a network file system may be slow to list what other hosts wrote.
    done = store.done() | {outcome.id for outcome in summary.outcomes}
    if ids <= done and not (store.is_folded() and not jobs):
        store.fold(done)
    store.close()
    summary.seconds = time.monotonic() - began

"""One run over many recordings: the jobs that remain, their work on an engine, and the tables at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from imuspec.cluster.engine import Engine
from imuspec.interrupts import stop_on_signal

__all__ = ["Job", "Outcome", "Progress", "Store", "Summary", "pending_jobs", "run_jobs"]


class Job(Protocol):
    """The work on one recording."""

    @property
    def id(self) -> str:
        """Id of the recording."""


class Store(Protocol):
    """A folder of parts and tables: a cohort or results."""

    folder: Path

    def done(self) -> set[str]:
        """Return the ids that have a part."""

    def has_tables(self) -> bool:
        """Whether tables and manifest are written."""

    def drop_tables(self) -> None:
        """Remove tables and manifest."""

    def remove(self, identity: str, /) -> None:
        """Remove the part and the data of a recording."""

    def write_tables(self, ids: Iterable[str] | None = None) -> None:
        """Write the parts, or those of `ids`, as tables."""


_Job = TypeVar("_Job", bound=Job)


@dataclass(frozen=True)
class Outcome:
    """The outcome of one file or recording; `stored` describes the stored data for people."""

    id: str
    name: str
    status: Literal["ok", "excluded", "failed"]
    reason: str
    n_bytes: int
    seconds: float
    stored: str = ""


@dataclass
class Summary:
    """The outcomes of one run, the number of recordings done before it, and notes on its inputs.

    `signum` is the number of the signal that interrupted it, or 0.
    """

    cohort: Path
    total: int
    done_before: int
    outcomes: list[Outcome] = field(default_factory=list)
    interrupted: bool = False
    signum: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def n_done(self) -> int:
        """Number of recordings of this share that have an outcome."""
        return self.done_before + len(self.outcomes)

    def count(self, status: str) -> int:
        """Return the number of outcomes of this run with a status."""
        return sum(outcome.status == status for outcome in self.outcomes)


Progress = Callable[[Summary, Outcome | None], None]


def pending_jobs(store: Store, jobs: Sequence[_Job], repeat: Callable[[_Job], bool], *, resume: bool) -> list[_Job]:
    """Return the jobs without a part, and those for which `repeat` is true, sorted by id.

    Raises
    ------
    ValueError
        If some are done and `resume` is false.
    """
    done = store.done()
    known = sum(job.id in done for job in jobs)
    if known and not resume:
        raise ValueError(
            f"out: {store.folder} already holds {known} of these {len(jobs)} recordings; use --resume to do the others"
        )
    return sorted((job for job in jobs if job.id not in done or repeat(job)), key=lambda job: job.id)


def run_jobs(
    store: Store,
    engine: Engine,
    work: Callable[[_Job], Outcome],
    jobs: Sequence[_Job],
    summary: Summary,
    *,
    ids: set[str],
    failed: Callable[[_Job, str], Outcome],
    progress: Progress | None,
) -> None:
    """Run the jobs, collect their outcomes in `summary`, and write the tables if every recording has its part.

    Parameters
    ----------
    store : Store
        Where the results go.
    engine : Engine
        Where the work is done.
    work : callable
        A module-level function of one job.
    jobs : sequence of Job
        The jobs to do.
    summary : Summary
        The summary of the run.
    ids : set of str
        All recordings of all shares; the tables are written when each has its part.
    failed : callable
        Records a job without an outcome: called with the job and the reason.
    progress : callable
        Called with an outcome after each job; with None before the first, and when a signal asks to stop.
    """
    started = time.monotonic()

    def report(outcome: Outcome | None) -> None:
        summary.seconds = time.monotonic() - started
        if progress:
            progress(summary, outcome)

    def stopping() -> None:
        summary.interrupted = True
        report(None)

    if jobs:
        store.drop_tables()
    for job in jobs:
        store.remove(job.id)
    report(None)
    with engine, stop_on_signal(stopping) as stop:
        for job, result, reason in engine.map(work, jobs, stop):
            outcome = result or failed(job, reason)
            summary.outcomes.append(outcome)
            report(outcome)
    summary.interrupted = len(summary.outcomes) < len(jobs)
    summary.signum = int(stop.signum) if stop.is_set() else 0
    # The outcomes of this run are added, since a network file system may list new files late.
    done = store.done() | {outcome.id for outcome in summary.outcomes}
    if ids <= done and not (store.has_tables() and not jobs):
        store.write_tables(done)
    summary.seconds = time.monotonic() - started

"""A table computed from each recording of a cohort, on any engine: embeddings, or activities.

The work on one recording is a pure function of its stored samples, the weights and the settings. So the results depend
neither on the process nor on the number of tries.
"""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

from imuspec.cluster.engine import Engine
from imuspec.cluster.limits import Limits
from imuspec.cluster.local import LocalEngine
from imuspec.cluster.running import Outcome, Progress, Summary, pending_jobs, run_jobs
from imuspec.cohort.arrays import checksum
from imuspec.cohort.cohort import Cohort
from imuspec.cohort.lock import lock_of
from imuspec.cohort.parts import Fence
from imuspec.cohort.results import Computed, ResultStore
from imuspec.errors import without_credentials
from imuspec.preparation import Prepared
from imuspec.recording.inputs import share
from imuspec.storage import absolute

__all__ = ["Work", "compute"]


class Work(Protocol):
    """A function of one recording. It is pickled, so it refers to weights by path and digest."""

    @property
    def kind(self) -> str:
        """The kind of the results, as "embeddings"."""

    @property
    def uses_torch(self) -> bool:
        """Whether the work needs torch, which a process then loads before its first recording, for one thread."""

    def description(self) -> Mapping[str, Any]:
        """Return everything but the recording that the results depend on; a resumed run must have the same."""

    def __call__(self, prepared: Prepared) -> Computed:
        """Return the table of one recording."""


@dataclass(frozen=True)
class _Job:
    """The arguments of `compute_recording`."""

    id: str
    sha256: str
    n_bytes: int
    cohort: str
    out: str
    share: str
    fence: Fence | None
    work: Work


def compute(
    cohort: str | Path | Cohort,
    out: str | Path,
    work: Work,
    *,
    workers: int | None = None,
    engine: Engine | None = None,
    resume: bool = False,
    retry_failed: bool = False,
    shard: tuple[int, int] = (1, 1),
    progress: Progress | None = None,
) -> Summary:
    """Compute a table from each recording of a cohort, into a folder of `imuspec.cohort.results.Results`.

    Parameters
    ----------
    cohort : path-like or Cohort
        The cohort; its recordings with status ok are used.
    out : path-like
        Folder or URL (``s3://bucket/results``): new, empty, or with results of an earlier run of the same work.
    work : Work
        A pure function of a `Prepared`.
    workers : int, optional
        Number of processes. The default is the number of cores.
    engine : Engine, optional
        Where the work is done. The default is a `LocalEngine` of `workers` processes.
    resume : bool, default False
        Continue an earlier run. A recording that was prepared again since is computed again.
    retry_failed : bool, default False
        With `resume`: compute failed recordings again.
    shard : (int, int), default (1, 1)
        (I, N) is the I-th of N shares, from 1; the last share to end writes the tables.
    progress : callable, optional
        Called with the summary and an outcome after each recording; with None at the start and at a stop.

    Returns
    -------
    Summary
        Of this run.

    Raises
    ------
    ValueError
        If the folder holds something else, or recordings are done already and `resume` is false.
    imuspec.cohort.lock.InUseError
        If another run works on the results.
    """
    started = time.monotonic()
    engine = engine or LocalEngine(workers, limits=Limits.default())
    recordings = cohort if isinstance(cohort, Cohort) else Cohort(cohort)
    rows = recordings.recordings.select(["id", "status", "sha256", "stored_bytes"]).to_pylist()
    rows = [row for row in rows if row["status"] == "ok"]
    number, total = shard
    shared = share(rows, number, total)
    label = f"{number}of{total}"
    store = ResultStore(out, share=label)
    store.refuse_other_folders()
    path = str(absolute(recordings.path))
    with lock_of(store.folder, number=number, total=total) as store.fence, contextlib.closing(store):
        store.create(work.kind, work.description())
        jobs = [
            _Job(row["id"], row["sha256"], row["stored_bytes"], path, str(store.folder), label, store.fence, work)
            for row in shared
        ]
        pending = pending_jobs(store, jobs, partial(_needs_repeat, store, retry_failed), resume=resume)
        summary = Summary(store.folder, len(jobs), len(jobs) - len(pending))
        failed = partial(_record_failure, store)
        ids = {row["id"] for row in rows}
        run_jobs(store, engine, compute_recording, pending, summary, ids=ids, failed=failed, progress=progress)
    summary.seconds = time.monotonic() - started
    return summary


def load_ahead() -> None:
    """Import what `compute_recording` needs."""
    for name in ("imuspec.cohort.cohort", "zarr", "pyarrow.parquet"):
        importlib.import_module(name)


@cache
def _load_torch() -> None:
    """Import torch and set it to one thread, so that sums have a fixed order."""
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(1)
    with contextlib.suppress(RuntimeError):  # it was set before
        torch.set_num_interop_threads(1)


def compute_recording(job: _Job) -> Outcome:
    """Compute the results of one recording, and write them and its outcome."""
    started = time.monotonic()
    store = ResultStore(job.out, share=job.share, fence=job.fence)
    cohort = _cohort(job.cohort)
    try:
        if checksum(cohort.path / "acceleration" / job.id) != job.sha256:
            raise ValueError("its array is not what was prepared: the checksum differs")
        if job.work.uses_torch:
            _load_torch()
        computed = job.work(cohort.prepared(job.id))
    except Exception as error:  # an error of one recording must not end the run
        reason = without_credentials(
            str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        )
        store.write_failure(job.id, job.sha256, reason)
        return Outcome(job.id, job.id, "failed", reason, job.n_bytes, time.monotonic() - started)
    store.write(job.id, job.sha256, computed)
    stored = f"{computed.table.num_rows} rows"
    return Outcome(job.id, job.id, "ok", "", job.n_bytes, time.monotonic() - started, stored)


@lru_cache(maxsize=1)
def _cohort(path: str) -> Cohort:
    return Cohort(path)


def _record_failure(store: ResultStore, job: _Job, reason: str) -> Outcome:
    reason = without_credentials(reason)
    store.remove(job.id)
    store.write_failure(job.id, job.sha256, reason)
    return Outcome(job.id, job.id, "failed", reason, job.n_bytes, 0.0)


def _needs_repeat(store: ResultStore, retry_failed: bool, job: _Job) -> bool:
    """Whether a recording is computed again: it was prepared again since, or it failed and `retry_failed` is set."""
    part = store.part(job.id)
    return part["source_sha256"] != job.sha256 or (retry_failed and part["status"] == "failed")

"""A table computed from each recording of a cohort, on any engine: features, or activities.

The work on one recording is a pure function of its stored samples, the weights and the settings, so neither the process
that does it nor the number of tries changes the results.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

from imuspec.cluster.engine import Engine
from imuspec.cluster.limits import Limits
from imuspec.cluster.local import LocalEngine
from imuspec.cluster.running import Outcome, Progress, Summary, left_to_do, work_on
from imuspec.cohort.cohort import Cohort
from imuspec.cohort.lock import lock_of
from imuspec.cohort.parts import Fence
from imuspec.cohort.results import Computed, ResultStore
from imuspec.cohort.store import checksum
from imuspec.preparation import Prepared
from imuspec.storage import absolute

__all__ = ["Work", "compute"]


class Work(Protocol):
    """A function of one recording. It is pickled, so it names weights by path and digest."""

    @property
    def what(self) -> str:
        """The kind of results, as "embeddings"."""

    def described(self) -> Mapping[str, Any]:
        """Return everything that the results depend on beside the recording; a resumed run must agree with it."""

    def __call__(self, prepared: Prepared) -> Computed:
        """Return the table of one recording."""


@dataclass(frozen=True)
class _Job:
    """What a worker needs for one recording."""

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
    """Compute something of each recording of a cohort, into a folder of `imuspec.cohort.results.Results`.

    Parameters
    ----------
    cohort : path-like or Cohort
        The recordings: those that came out ok.
    out : path-like
        The folder: new, empty, or the same results begun before. A URL (``s3://bucket/results``) is one too.
    work : Work
        What is computed: a pure function of a `Prepared`.
    workers : int, optional
        As in `prepare_cohort`. A recording that was prepared anew since is computed anew on a resume.
    engine : Engine, optional
        As in `prepare_cohort`. A recording that was prepared anew since is computed anew on a resume.
    resume, retry_failed : bool, default False
        As in `prepare_cohort`. A recording that was prepared anew since is computed anew on a resume.
    shard : (int, int), default (1, 1)
        As in `prepare_cohort`. A recording that was prepared anew since is computed anew on a resume.
    progress : Progress, optional
        As in `prepare_cohort`. A recording that was prepared anew since is computed anew on a resume.

    Returns
    -------
    Summary
        Of this run.

    Raises
    ------
    ValueError
        A folder of something else, or recordings done already without `resume`.
    imuspec.cohort.lock.InUseError
        Another run is at work on the results.
    """
    began = time.monotonic()
    engine = engine or LocalEngine(workers, limits=Limits.default())
    recordings = cohort if isinstance(cohort, Cohort) else Cohort(cohort)
    known = recordings.recordings.select(["id", "status", "sha256", "stored_bytes"]).to_pylist()
    everything = [row for row in known if row["status"] == "ok"]
    number, of = shard
    if not 1 <= number <= of:
        raise ValueError(f"shard: expected I/N with 1 <= I <= N, got {number}/{of}")
    mine, label = everything[number - 1 :: of], f"{number}of{of}"
    store = ResultStore(out, share=label)
    store.refuse_other_folders()
    place = str(absolute(recordings.path))
    with lock_of(store.folder, number=number, of=of) as store.fence:
        store.create(work.what, work.described())
        jobs = [
            _Job(row["id"], row["sha256"], row["stored_bytes"], place, str(store.folder), label, store.fence, work)
            for row in mine
        ]
        todo = left_to_do(store, jobs, partial(_again, store, retry_failed), resume=resume)
        summary = Summary(store.folder, len(mine), len(mine) - len(todo))
        failed = partial(_record_failure, store)
        ids = {row["id"] for row in everything}
        work_on(store, engine, keep, todo, summary, ids=ids, failed=failed, progress=progress)
    summary.seconds = time.monotonic() - began
    return summary


def load_ahead() -> None:
    """Load what `keep` needs; a worker computes on one thread, so that sums come in one order."""
    for name in ("imuspec.cohort.cohort", "zarr", "pyarrow.parquet"):
        importlib.import_module(name)
    if importlib.util.find_spec("torch") is not None:
        torch: Any = importlib.import_module("torch")
        torch.set_num_threads(1)
        with contextlib.suppress(RuntimeError):  # it was set before
            torch.set_num_interop_threads(1)


def keep(job: _Job) -> Outcome:
    """Compute one recording's results and write what became of it."""
    began = time.monotonic()
    store = ResultStore(job.out, share=job.share, fence=job.fence)
    cohort = _cohort(job.cohort)
    try:
        if checksum(cohort.path / "acceleration" / job.id) != job.sha256:
            raise ValueError("its array is not what was prepared: the checksum differs")
        computed = job.work(cohort.prepared(job.id))
    except Exception as error:  # whatever it is, it is this recording's outcome and not the end of the others
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        store.keep_failure(job.id, job.sha256, reason)
        return Outcome(job.id, job.id, "failed", reason, job.n_bytes, time.monotonic() - began)
    store.keep(job.id, job.sha256, computed)
    kept = f"{computed.table.num_rows} rows"
    return Outcome(job.id, job.id, "ok", "", job.n_bytes, time.monotonic() - began, kept)


@lru_cache(maxsize=1)
def _cohort(path: str) -> Cohort:
    return Cohort(path)


def _record_failure(store: ResultStore, job: _Job, reason: str) -> Outcome:
    store.forget(job.id)
    store.keep_failure(job.id, job.sha256, reason)
    return Outcome(job.id, job.id, "failed", reason, job.n_bytes, 0.0)


def _again(store: ResultStore, retry_failed: bool, job: _Job) -> bool:
    """Whether a recording is computed again: it was prepared anew since, or it failed and may be retried."""
    part = store.part(job.id)
    return part["source_sha256"] != job.sha256 or (retry_failed and part["status"] == "failed")

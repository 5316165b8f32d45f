"""Many files into one cohort: processes here, or one share of a job array.

The work on one file is a pure function of its bytes and the recipe, and it is kept by renaming what is whole; so which
process does it, how often it was tried, and in which order, leaves no trace in the cohort.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from imuspec.cluster.engine import Engine
from imuspec.cluster.local import LocalEngine
from imuspec.cluster.running import Outcome, Progress, Summary, work_through
from imuspec.cohort.lock import lock_of
from imuspec.cohort.store import CohortStore, quantise
from imuspec.recipe import Recipe
from imuspec.recording.inputs import Source, find_sources, share
from imuspec.storage import local_copy

__all__ = ["prepare_cohort"]

Prepare = Callable[..., Any]


@dataclass(frozen=True)
class _Job:
    """What a worker needs to keep one file."""

    source: Source
    recipe: Recipe
    cohort: str
    share: str
    prepare: Prepare | None


def prepare_cohort(
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    recipe: str | Path | Recipe = "ukb",
    workers: int | None = None,
    engine: Engine | None = None,
    resume: bool = False,
    retry_failed: bool = False,
    shard: tuple[int, int] = (1, 1),
    progress: Progress | None = None,
    prepare: Prepare | None = None,
) -> Summary:
    """Prepare many files into one cohort.

    Parameters
    ----------
    inputs
        Files, folders, globs, or text lists (``@list`` or ``*.txt``), on disk or in an object store (``s3://``).
    out
        The cohort's folder: new, empty, or a cohort of the same recipe. A URL (``s3://bucket/cohort``) is one too.
    recipe
        A name, a path, or a `Recipe`.
    workers
        Processes; None takes one for each core.
    engine
        Where the work is done; None takes a `LocalEngine` of `workers` processes. See `open_engine`.
    resume
        Go on where an earlier run ended: what is done stays as it is.
    retry_failed
        With `resume`: try files again that failed.
    shard
        (I, N) takes the I-th of N shares, from 1; the tables are written by whichever share comes last.
    progress
        Called with the summary so far and a file's outcome after each file; with None at the start and at a stop.
    prepare
        What prepares one file, `imuspec.prepare` if None.

    Returns
    -------
    Summary
        Of this run. Ctrl-C (SIGINT) and SIGTERM let the files under way finish; a second one ends at once.

    Raises
    ------
    ValueError, FileNotFoundError
        Inputs that are none, a folder that is no cohort, another recipe, or recordings done already without `resume`.
    imuspec.cohort.lock.InUseError
        Another run is at work on the cohort.
    """
    began = time.monotonic()
    engine = engine or LocalEngine(workers)
    followed = Recipe.load(recipe)
    everything = find_sources(inputs)
    mine = share(everything, *shard)
    label = f"{shard[0]}of{shard[1]}"
    store = CohortStore(out, share=label)
    store.refuse_other_folders()
    with lock_of(store.folder, number=shard[0], of=shard[1]):
        store.create(followed)
        todo = _todo(store, mine, resume=resume, retry_failed=retry_failed)
        summary = Summary(store.folder, len(mine), len(mine) - len(todo))
        if todo:
            store.drop_tables()
        jobs = [_Job(source, followed, str(store.folder), label, prepare) for source in todo]
        failed = partial(_record_failure, store)
        work_through(engine, keep, jobs, summary, began=began, failed=failed, progress=progress)
        # Asked of the folder and of this run: a network file system may be slow to list what other hosts wrote.
        done = store.done() | {outcome.id for outcome in summary.outcomes}
        if {source.id for source in everything} <= done:
            store.fold(done)
        store.close()
    summary.seconds = time.monotonic() - began
    return summary


def load_ahead() -> None:
    """Load what `keep` needs."""
    for name in ("imuspec.preparation", "imuspec.recording.columns", "zarr"):
        importlib.import_module(name)


def keep(job: _Job) -> Outcome:
    """Prepare one file and write what became of it."""
    began = time.monotonic()
    prepared = _prepared(job)
    quantised = None
    if prepared.status == "ok" and prepared.acceleration is not None:
        quantised = quantise(prepared.acceleration, step_g=job.recipe.store.step_g)
        prepared = replace(prepared, acceleration=None)  # twice the memory of what is stored
    CohortStore(job.cohort, share=job.share).write(job.source, prepared, quantised)
    return Outcome(
        job.source.id,
        job.source.name,
        prepared.status,
        prepared.reason,
        job.source.n_bytes,
        time.monotonic() - began,
        prepared.kept,
    )


def _prepared(job: _Job) -> Any:
    """Prepare one file; one of an object store is fetched first, and failing that is its outcome."""
    from imuspec.preparation import Prepared, prepare

    with ExitStack() as stack:
        try:
            path = stack.enter_context(local_copy(job.source.path))
        except FileNotFoundError:
            return Prepared(job.source.path, job.source.id, job.recipe, "failed", "no such file")
        except Exception as error:
            reason = f"cannot be fetched: {error or type(error).__name__}"
            return Prepared(job.source.path, job.source.id, job.recipe, "failed", reason)
        return (job.prepare or prepare)(path, job.recipe)


def _record_failure(store: CohortStore, job: _Job, reason: str) -> Outcome:
    from imuspec.preparation import Prepared

    store.forget(job.source.id)
    store.write(job.source, Prepared(job.source.path, job.source.id, job.recipe, "failed", reason))
    return Outcome(job.source.id, job.source.name, "failed", reason, job.source.n_bytes, 0.0)


def _todo(store: CohortStore, mine: Sequence[Source], *, resume: bool, retry_failed: bool) -> list[Source]:
    """Return what of this share is to be done, and clear its places."""
    done = store.done()
    known = [source for source in mine if source.id in done]
    if known and not resume:
        raise ValueError(
            f"out: {store.folder} holds {len(known)} of these {len(mine)} recordings already; --resume does the others"
        )
    todo = [source for source in mine if source.id not in done]
    for source in known:
        outcome = store.outcome(source.id)
        same = (outcome["source"], outcome["source_bytes"]) == (source.name, source.n_bytes)
        if outcome["status"] == "failed" and (retry_failed or not same):
            todo.append(source)
        elif not same:
            raise ValueError(
                f"{source.path}: the cohort has a recording {source.id} from {outcome['source']} of "
                f"{outcome['source_bytes']} bytes, this one is {source.name} of {source.n_bytes}: use another cohort, "
                f"or, if the file was replaced, remove {store.folder / 'parts' / source.id}.json to prepare it again"
            )
    for source in todo:
        store.forget(source.id)
    return sorted(todo, key=lambda source: source.id)

"""Many device files into one cohort: on the processes of an engine, or one share of a job array.

The work on one file is a pure function of its bytes and the recipe. So the cohort depends neither on the processes, nor on
the order, nor on the number of tries.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from imuspec.cluster.engine import Engine
from imuspec.cluster.limits import Limits
from imuspec.cluster.local import LocalEngine
from imuspec.cluster.running import Outcome, Progress, Summary, pending_jobs, run_jobs
from imuspec.cohort.lock import lock_of
from imuspec.cohort.parts import Fence
from imuspec.cohort.store import CohortStore
from imuspec.errors import without_credentials
from imuspec.preparation import Prepared
from imuspec.recipe import Recipe
from imuspec.recording.inputs import InputFile, Inputs, find_inputs, irregular, share
from imuspec.storage import is_remote, local_copy

__all__ = ["prepare_cohort"]

_HEAD = 1 << 16  # bytes compared before whole files are


@dataclass(frozen=True)
class _Job:
    """The arguments of `prepare_file`."""

    source: InputFile
    recipe: Recipe
    cohort: str
    share: str
    fence: Fence | None
    duplicate_of: str | None = None

    @property
    def id(self) -> str:
        return self.source.id


@dataclass(frozen=True)
class _Options:
    """What a run does with recordings that have a part."""

    resume: bool
    retry_failed: bool
    check_inputs: bool
    replaced: Literal["refuse", "prepare"]
    duplicates: Literal["skip", "prepare"]


def prepare_cohort(
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    recipe: str | Path | Recipe = "ukb",
    workers: int | None = None,
    engine: Engine | None = None,
    resume: bool = False,
    retry_failed: bool = False,
    check_inputs: bool = False,
    replaced: Literal["refuse", "prepare"] = "refuse",
    duplicates: Literal["skip", "prepare"] = "skip",
    shard: tuple[int, int] = (1, 1),
    progress: Progress | None = None,
) -> Summary:
    """Prepare many files into one cohort.

    Parameters
    ----------
    inputs : sequence of str or Path
        Files, folders, globs, or text lists (``@list`` or ``*.txt``), on disk or in an object store (``s3://``).
    out : str or Path
        The cohort's folder or URL: new, empty, or a cohort of the same recipe.
    recipe : str, Path or Recipe, default "ukb"
        A name, a path, or a `Recipe`.
    workers : int, default None
        Number of processes; None is one for each core.
    engine : Engine, default None
        Where the work is done; None is a `LocalEngine` of `workers` processes. See `open_engine`.
    resume : bool, default False
        Continue an earlier run: recordings with a part stay as they are.
    retry_failed : bool, default False
        With `resume`: try files again that failed.
    check_inputs : bool, default False
        With `resume`: compare the SHA-256 of every file with the stored one. By default only files are compared that
        changed after they were prepared, by the clock of the file systems.
    replaced : {"refuse", "prepare"}, default "refuse"
        With `resume`: what to do if a file has other content than when it was prepared.
    duplicates : {"skip", "prepare"}, default "skip"
        What to do with a file that has the same bytes as another: record it as excluded, or prepare it too.
    shard : tuple of int, default (1, 1)
        (I, N) is the I-th of N shares, from 1; the last share to end writes the tables.
    progress : callable, default None
        Called with the summary and a file's outcome after each file; with None at the start and at a stop.

    Returns
    -------
    Summary
        Of this run. The first SIGINT or SIGTERM lets the files under way finish; a second one ends at once.

    Raises
    ------
    ValueError, FileNotFoundError
        If an input does not exist, the folder is no cohort, the recipe differs, a file was replaced, or recordings are
        done already and `resume` is false.
    imuspec.cohort.lock.InUseError
        If another run works on the cohort.
    """
    started = time.monotonic()
    engine = engine or LocalEngine(workers, limits=Limits.default())
    loaded = Recipe.load(recipe)
    options = _Options(resume, retry_failed, check_inputs, replaced, duplicates)
    label = f"{shard[0]}of{shard[1]}"
    files = find_inputs(inputs)
    store = CohortStore(out, share=label)
    store.refuse_other_folders()
    files = _with_known_ids(store, files)
    by_id = {source.id: source for source in files.sources}
    everything = set(by_id)
    jobs = [_Job(source, loaded, str(store.folder), label, None) for source in share(files.sources, *shard)]
    rows = _input_rows(store, files)
    if resume and store.holds(loaded) and store.has_tables() and everything <= store.done() and store.inputs() == rows:
        repeat = partial(_needs_repeat, store, options, by_id)
        if not pending_jobs(store, jobs, repeat, resume=True):  # nothing is written: the disk may be read-only
            summary = Summary(store.folder, len(jobs), len(jobs), notes=_notes(rows))
            if progress:
                progress(summary, None)
            return summary
    with lock_of(store.folder, number=shard[0], total=shard[1]) as store.fence, closing(store):
        store.create(loaded)
        pending = pending_jobs(store, jobs, partial(_needs_repeat, store, options, by_id), resume=resume)
        summary = Summary(store.folder, len(jobs), len(jobs) - len(pending), notes=_notes(rows))
        copies = _duplicates(store, files.sources, pending) if duplicates == "skip" else {}
        jobs = [replace(job, fence=store.fence, duplicate_of=copies.get(job.id)) for job in pending]
        if store.inputs() != rows:
            store.drop_tables()
            store.write_inputs(rows)
        run_jobs(
            store,
            engine,
            prepare_file,
            jobs,
            summary,
            ids=everything,
            failed=partial(_record_failure, store),
            progress=progress,
        )
    summary.seconds = time.monotonic() - started
    return summary


def load_ahead() -> None:
    """Import what `prepare_file` needs."""
    for name in ("imuspec.preparation", "pyarrow.parquet"):
        importlib.import_module(name)


def prepare_file(job: _Job) -> Outcome:
    """Prepare one file and write its outcome."""
    started = time.monotonic()
    digest, prepared = _prepared(job)
    _write(CohortStore(job.cohort, share=job.share, fence=job.fence), job, prepared, source_sha256=digest)
    return _outcome(job, prepared, time.monotonic() - started)


def _prepared(job: _Job) -> tuple[str, Prepared]:
    """Return the SHA-256 of a file and the prepared recording; a URL is downloaded first."""
    from imuspec.preparation import prepare_in_pieces

    digest = ""
    with ExitStack() as stack:
        try:
            if not is_remote(job.source.path) and (reason := irregular(job.source.path)):
                return "", _without_signal(job, "failed", reason)
            path = stack.enter_context(local_copy(job.source.path))
            digest = replace(job.source, path=path).sha256()
        except FileNotFoundError:
            return "", _without_signal(job, "failed", "no such file")
        except OSError as error:
            if is_remote(job.source.path) or not error.strerror:
                return "", _without_signal(job, "failed", f"cannot be downloaded: {error or type(error).__name__}")
            return "", _without_signal(job, "failed", f"cannot be read: {error.strerror.lower()}")
        except Exception as error:
            return "", _without_signal(job, "failed", f"cannot be downloaded: {error or type(error).__name__}")
        if job.duplicate_of is not None:
            return digest, _without_signal(job, "excluded", f"the same bytes as {job.duplicate_of}")
        store = CohortStore(job.cohort, share=job.share, fence=job.fence)
        return digest, prepare_in_pieces(path, job.recipe, store.spill_folder)


def _without_signal(job: _Job, status: Literal["excluded", "failed"], reason: str) -> Prepared:
    return Prepared(job.source.name, job.id, job.recipe, status, without_credentials(reason))


def _write(store: CohortStore, job: _Job, prepared: Prepared, **outcome: str) -> None:
    if job.duplicate_of is not None:
        outcome["duplicate_of"] = job.duplicate_of
    store.write(job.source, prepared, **outcome)


def _outcome(job: _Job, prepared: Prepared, seconds: float) -> Outcome:
    source = job.source
    return Outcome(
        source.id, source.name, prepared.status, prepared.reason, source.n_bytes, seconds, prepared.wear_summary
    )


def _record_failure(store: CohortStore, job: _Job, reason: str) -> Outcome:
    store.remove(job.id)
    prepared = _without_signal(job, "failed", reason)
    _write(store, job, prepared)
    return _outcome(job, prepared, 0.0)


def _needs_repeat(store: CohortStore, options: _Options, sources: Mapping[str, InputFile], job: _Job) -> bool:
    """Whether a file that has a part is prepared again."""
    source, outcome = job.source, store.outcome(job.id)
    failed = outcome["status"] == "failed"
    if _is_same(store, source, outcome, check=options.check_inputs):
        prepare_copy = outcome["duplicate_of"] is not None and (
            options.duplicates == "prepare" or not _is_copied(store, sources, outcome, check=options.check_inputs)
        )
        return bool((failed and options.retry_failed) or prepare_copy)
    if failed or options.replaced == "prepare":
        return True
    raise ValueError(
        f"{source.name}: expected the file that recording {job.id} was prepared from ({outcome['source']}, "
        f"{outcome['source_bytes']} bytes), got other content ({source.n_bytes} bytes): "
        "use --replaced prepare to prepare it again; to keep both, use another name or another cohort"
    )


def _is_copied(
    store: CohortStore, sources: Mapping[str, InputFile], outcome: Mapping[str, Any], *, check: bool
) -> bool:
    """Whether the recording that a copy refers to still has the copy's bytes."""
    original = outcome["duplicate_of"]
    if not store.path_of("parts", original, ".json").exists():
        return False
    stored = store.outcome(original)
    if stored["source_sha256"] != outcome["source_sha256"]:
        return False
    return original not in sources or _is_same(store, sources[original], stored, check=check)


def _is_same(store: CohortStore, source: InputFile, outcome: Mapping[str, Any], *, check: bool = False) -> bool:
    """Whether a file is the one of an outcome: by its size, and by SHA-256 if it changed after the part was written."""
    if source.n_bytes != outcome["source_bytes"]:
        return False
    newer = source.changed_ns > store.written_ns(outcome["id"])
    if not (newer or check) or not outcome["source_sha256"]:
        return not newer
    try:
        return source.sha256() == str(outcome["source_sha256"])
    except OSError:
        return True  # a file that cannot be read now has not been replaced


def _with_known_ids(store: CohortStore, files: Inputs) -> Inputs:
    """Return the inputs with the ids under which the cohort knows them.

    Two cases change the id of a path: a second file of the same name in its folder, with another ending, and a second
    input folder with the same path below it. The recording in the cohort keeps its id.
    """
    done = store.done()
    if not done:
        return files
    stored = {outcome["source"]: outcome for outcome in map(store.outcome, sorted(done))}
    ids = {source.id: stored.pop(source.name)["id"] for source in files.sources if source.name in stored}
    for source in files.sources:
        if source.id in ids or source.id in done:
            continue
        for first in range(1, source.name.count("/") + 1):
            outcome = stored.get("/".join(source.name.split("/")[first:]))
            if outcome is not None and _is_same(store, source, outcome, check=True):
                ids[source.id] = stored.pop(outcome["source"])["id"]
                break
    sources = [replace(source, id=ids.get(source.id, source.id)) for source in files.sources]
    return Inputs(sorted(sources, key=lambda source: source.id), files.passed_over)


def _duplicates(store: CohortStore, sources: Sequence[InputFile], pending: Sequence[_Job]) -> dict[str, str]:
    """Return, for each file to prepare that has the same bytes as another input, the id of that input.

    Of several new files with the same bytes the first by id is prepared. Whole files are compared only if their sizes and
    their first 64 KiB agree.
    """
    new = {job.id for job in pending}
    by_size: dict[object, list[InputFile]] = {}
    for source in sources:
        if source.n_bytes:
            by_size.setdefault(source.n_bytes, []).append(source)
    copies = {}
    for group in by_size.values():
        if len(group) < 2 or not any(source.id in new for source in group):
            continue
        for same_head in _grouped(group, _HEAD):
            for same in _grouped(same_head, None):
                outcomes = [store.outcome(source.id) for source in same if source.id not in new]
                prepared_ids = [o["id"] for o in outcomes if o["status"] != "failed" and o["duplicate_of"] is None]
                first = min(prepared_ids or (source.id for source in same))
                copies.update({source.id: first for source in same if source.id in new and source.id != first})
    return copies


def _grouped(sources: Sequence[InputFile], first_bytes: int | None) -> list[list[InputFile]]:
    """Return the groups of two or more files with the same content; a file that cannot be read is in no group."""
    groups: dict[str, list[InputFile]] = {}
    for source in sources:
        try:
            if is_remote(source.path) or not irregular(source.path):
                groups.setdefault(source.sha256(first_bytes), []).append(source)
        except OSError:
            continue
    return [group for group in groups.values() if len(group) > 1]


def _input_rows(store: CohortStore, files: Inputs) -> list[dict[str, Any]]:
    """Return the rows of the table ``inputs``: files given now, files passed over, files of earlier runs."""
    given = [{"source": s.name, "id": s.id, "state": "given", "reason": None} for s in files.sources]
    passed = [{"source": n, "id": None, "state": "passed over", "reason": reason} for n, reason in files.passed_over]
    ids = {source.id for source in files.sources}
    before = sorted(store.done() - ids)
    others = [
        {
            "source": store.outcome(i)["source"],
            "id": i,
            "state": "not given",
            "reason": "its file is not among the inputs",
        }
        for i in before
    ]
    return [*given, *passed, *others]


def _notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return notes for the summary on files that were not read."""
    notes = []
    for state, text in (("passed over", "passed over"), ("not given", "in the cohort, but no longer among the inputs")):
        named = [
            row["source"] + (f" ({row['reason']})" if state == "passed over" else "")
            for row in rows
            if row["state"] == state
        ]
        if named:
            more = f" and {len(named) - 3} more: see the table inputs" if len(named) > 3 else ""
            notes.append(f"{len(named)} {text}: {', '.join(named[:3])}{more}")
    return notes

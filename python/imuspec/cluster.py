"""Many files into one cohort: processes here, or one share of a job array.

The work on one file is a pure function of its bytes and the recipe, and it is kept by renaming what is whole; so which
process does it, how often it was tried, and in which order, leaves no trace in the cohort.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from imuspec.lock import CohortLock
from imuspec.recipe import Recipe
from imuspec.sources import Source, find_sources, share
from imuspec.store import CohortStore, quantise

__all__ = ["LocalEngine", "Outcome", "Summary", "prepare_cohort"]

Prepare = Callable[..., Any]


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    id: str
    name: str
    status: Literal["ok", "excluded", "failed"]
    reason: str
    n_bytes: int
    seconds: float
    wear_h: float = 0.0


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


@dataclass(frozen=True)
class _Job:
    """What a worker needs to keep one file."""

    source: Source
    recipe: Recipe
    cohort: str
    share: str
    prepare: Prepare | None


class LocalEngine:
    """A pool of processes that outlives the death of any of them.

    Each worker is a fresh process with one native thread. A worker that dies (killed, or out of memory) takes its file
    with it; that file is tried once more, alone, when all others are done; a second death is the file's outcome.

    Parameters
    ----------
    workers
        How many processes; None takes one for each core that this process may use.
    """

    def __init__(self, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"workers: expected at least 1, got {workers}")
        self.workers = workers or _cores()

    def map(
        self, work: Callable[[Any], Any], items: Sequence[Any], stop: threading.Event | None = None
    ) -> Iterator[tuple[Any, Any, str]]:
        """Yield (item, result, "") as each is done, or (item, None, why) when its worker died twice.

        Once `stop` is set no item is begun; those under way are finished. An OSError of the work ends the map: it
        would come with every item.
        """
        stop = stop or threading.Event()
        waiting, again = deque(items), deque[Any]()
        with _Pool(work) as pool:
            while not stop.is_set() or pool.busy:
                if not stop.is_set():
                    while waiting and len(pool.busy) < self.workers:
                        pool.begin(waiting.popleft())
                    if again and not waiting and not pool.busy:
                        pool.begin(again.popleft(), last_try=True)
                if not pool.busy:
                    break
                for item, result, why, last_try in pool.finished(timeout=0.2):
                    if why and (not last_try or stop.is_set()):  # a stop may have killed it: it is not the item's fault
                        again.append(item)
                    else:
                        yield item, result, why


class _Pool:
    """Processes, each with at most one item; idle ones are used again."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work
        self._context = multiprocessing.get_context("spawn")
        self._idle: list[tuple[SpawnProcess, connection.Connection]] = []
        self.busy: dict[connection.Connection, tuple[SpawnProcess, Any, bool]] = {}

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        for process, pipe in self._idle:
            pipe.close()  # the worker ends at the end of its pipe
            process.join()
        for pipe, (process, _, _) in self.busy.items():  # only after an error or a second Ctrl-C
            process.kill()
            process.join()
            pipe.close()

    def begin(self, item: Any, *, last_try: bool = False) -> None:
        while True:
            process, pipe = self._idle.pop() if self._idle else self._start()
            try:
                pipe.send(item)
            except OSError:  # it died while idle
                process.join()
                pipe.close()
                continue
            self.busy[pipe] = (process, item, last_try)
            return

    def finished(self, timeout: float) -> Iterator[tuple[Any, Any, str, bool]]:
        """Yield (item, result, why it died, whether it was the last try) of what ended, waiting at most `timeout` s."""
        for pipe in connection.wait(list(self.busy), timeout):
            assert isinstance(pipe, connection.Connection)
            process, item, last_try = self.busy.pop(pipe)
            try:
                ok, result = pipe.recv()
            except (EOFError, OSError):
                process.join()
                pipe.close()
                yield item, None, _death(process.exitcode), last_try
                continue
            self._idle.append((process, pipe))
            if ok:
                yield item, result, "", last_try
            elif isinstance(result, OSError):
                raise result
            else:
                yield item, None, result, True  # an error comes again: no second try

    def _start(self) -> tuple[SpawnProcess, connection.Connection]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_worker, args=(theirs, self._work), daemon=True)
        with _shielded_from_interrupt():
            process.start()
        theirs.close()
        return process, ours


def _worker(pipe: connection.Connection, work: Callable[[Any], Any]) -> None:
    """Work on items until the pipe ends; end at once when the parent does, however it did."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    while True:
        try:
            item = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer = (True, work(item))
        except OSError as error:  # the cohort cannot be written
            answer = (False, error)
        except Exception as error:
            answer = (False, f"internal error: {type(error).__name__}: {error}")
        try:
            pipe.send(answer)
        except OSError:
            return


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def prepare_cohort(
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    recipe: str | Path | Recipe = "ukb",
    workers: int | None = None,
    resume: bool = False,
    retry_failed: bool = False,
    shard: tuple[int, int] = (1, 1),
    progress: Callable[[Summary, Outcome | None], None] | None = None,
    prepare: Prepare | None = None,
) -> Summary:
    """Prepare many files into one cohort.

    Parameters
    ----------
    inputs
        Files, folders, globs, or text lists (``@list`` or ``*.txt``).
    out
        The cohort's folder: new, empty, or a cohort of the same recipe.
    recipe
        A name, a path, or a `Recipe`.
    workers
        Processes; None takes one for each core.
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
    imuspec.lock.InUseError
        Another run is at work on the cohort.
    """
    began = time.monotonic()
    engine, followed = LocalEngine(workers), Recipe.load(recipe)
    everything = find_sources(inputs)
    mine = share(everything, *shard)
    label = f"{shard[0]}of{shard[1]}"
    store = CohortStore(out, share=label)
    store.refuse_other_folders()
    with CohortLock(store.folder, number=shard[0], of=shard[1]):
        store.create(followed)
        todo = _todo(store, mine, resume=resume, retry_failed=retry_failed)
        summary = Summary(store.folder, len(mine), len(mine) - len(todo))
        if progress:
            progress(summary, None)
        if todo:
            store.drop_tables()
        jobs = [_Job(source, followed, str(store.folder), label, prepare) for source in todo]

        def stopping() -> None:
            summary.interrupted = True
            if progress:
                progress(summary, None)

        with _stop_on_signal(stopping) as stop:
            for job, result, died in engine.map(keep, jobs, stop):
                outcome = result or _record_failure(store, job, died)
                summary.outcomes.append(outcome)
                summary.seconds = time.monotonic() - began
                if progress:
                    progress(summary, outcome)
        summary.interrupted = len(summary.outcomes) < len(todo)
        if {source.id for source in everything} <= store.done():
            store.fold()
        store.close()
    summary.seconds = time.monotonic() - began
    return summary


def keep(job: _Job) -> Outcome:
    """Prepare one file and write what became of it."""
    from imuspec.preparation import prepare

    began = time.monotonic()
    prepared = (job.prepare or prepare)(job.source.path, job.recipe)
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
        float(prepared.figures.get("wear_h", 0.0)),
    )


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


@contextmanager
def _stop_on_signal(tell: Callable[[], None]) -> Iterator[threading.Event]:
    """Set an event and tell of it at the first SIGINT or SIGTERM; let the second interrupt."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(_number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt("ended at once; the same command with --resume goes on")
        stop.set()
        tell()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _shielded_from_interrupt() -> Iterator[None]:
    """Start a process that ignores SIGINT from its first moment, and give it one native thread."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    threads = os.environ.get("IMUSPEC_THREADS")
    os.environ["IMUSPEC_THREADS"] = "1"
    try:
        yield
    finally:
        if threads is None:
            del os.environ["IMUSPEC_THREADS"]
        else:
            os.environ["IMUSPEC_THREADS"] = threads
        if main:
            signal.signal(signal.SIGINT, before)


def _death(exitcode: int | None) -> str:
    if exitcode == -9:
        return "its process was killed, twice; most often that is memory running out"
    if exitcode is not None and exitcode < 0:
        return f"its process died, twice, by {signal.Signals(-exitcode).name}"
    return f"its process ended, twice, with code {exitcode}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

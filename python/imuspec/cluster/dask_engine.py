"""The engine of a Dask cluster: hosts that a scheduler knows, jobs of Slurm, or processes of this machine.

A Dask worker does not touch an item itself: a process of its own does, under the same limits and with the same two tries
as on one machine, so that a recording that kills its process costs no worker and none of the worker's other work. Few
items are under way at once, so the scheduler's memory does not depend on how many there are. A scheduler that is lost is
waited for; what was under way then begins anew, which is safe, since work on a recording writes the same bytes again.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import queue
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from imuspec.cluster.engine import Crew, Engine
from imuspec.cluster.limits import Limits
from imuspec.cluster.local import cores
from imuspec.cluster.pool import Ended, Pool
from imuspec.interrupts import shielded_from_interrupt

__all__ = ["DaskEngine"]

_CONNECT_S = 30.0
_LOOK_S = 1.0  # how often the number of workers is asked for
_child = threading.local()


class DaskEngine(Engine):
    """Workers of a Dask cluster. They need this version of imuspec and a file system or object store in common.

    Parameters
    ----------
    workers : int, optional
        Processes of a cluster on this machine; None takes one for each core.
    scheduler : str, optional
        Address of a scheduler that runs, or the path of the file that it writes (``--scheduler-file``).
    cluster : str, optional
        ``slurm:FILE.toml``: ``jobs``, how many to submit, and a table ``[slurm]`` of what `dask_jobqueue.SLURMCluster`
        takes (queue, account, cores, processes, memory, walltime, ...).
    limits : Limits, optional
        What one item may use.
    patience_s : float, default 600.0
        How long a lost scheduler is waited for.

    Raises
    ------
    ValueError
        Both a scheduler and a cluster, or a cluster that is not described as above.
    RuntimeError
        Dask is not installed.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        scheduler: str | None = None,
        cluster: str | None = None,
        limits: Limits | None = None,
        patience_s: float = 600.0,
    ) -> None:
        if scheduler and cluster:
            raise ValueError(f"engine: expected a scheduler or a cluster, got both: {scheduler} and {cluster}")
        if workers is not None and workers < 1:
            raise ValueError(f"workers: expected at least 1, got {workers}")
        if importlib.util.find_spec("distributed") is None:
            raise RuntimeError("the engine dask: expected distributed, got none: pip install 'imuspec[cluster]'")
        self.workers = workers
        self.limits = limits or Limits()
        self._scheduler = scheduler
        self._jobs = _jobs(cluster) if cluster else None
        self._patience_s = patience_s
        self._stack = ExitStack()
        self._client: Any = None
        self._cluster: Any = None

    def __enter__(self) -> Self:
        if self._scheduler is None:
            self._cluster = self._stack.enter_context(self._started())
        self._client = self._connected(_CONNECT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        self._stack.close()
        self._cluster = None

    def crew(self, work: Callable[[Any], Any]) -> AbstractContextManager[Crew]:
        """Return the processes that do `work`."""
        if self._client is None:
            raise RuntimeError("the engine dask: expected to be used inside with, got map outside it")
        return _DaskCrew(self, work)

    def client(self) -> Any:
        """Return a client of the scheduler; a lost scheduler is waited for.

        Raises
        ------
        RuntimeError
            It did not come back in time.
        """
        began = time.monotonic()
        while self._client.status == "closed":
            try:
                self._client = self._connected(5.0)
            except OSError as error:
                if time.monotonic() - began > self._patience_s or self._scheduler is None:
                    raise RuntimeError(
                        f"dask scheduler {self._scheduler}: lost, and not back within {self._patience_s:g} s; "
                        "the same command with --resume goes on"
                    ) from error
                time.sleep(0.5)
        return self._client

    def _connected(self, timeout: float) -> Any:
        client: Any = importlib.import_module("distributed").Client
        if self._cluster is not None:
            return client(self._cluster, timeout=timeout, set_as_default=False)
        assert self._scheduler is not None
        if "://" not in self._scheduler and Path(self._scheduler).is_file():
            return client(scheduler_file=self._scheduler, timeout=timeout, set_as_default=False)
        try:
            return client(self._scheduler, timeout=timeout, set_as_default=False)
        except ValueError as error:
            raise ValueError(
                f"scheduler: expected an address, as tcp://10.0.0.1:8786, got {self._scheduler!r}"
            ) from error

    def _started(self) -> Any:
        if self._jobs is not None:
            n_jobs, options = self._jobs
            try:
                cluster: Any = importlib.import_module("dask_jobqueue").SLURMCluster(**options)
            except TypeError as error:
                raise ValueError(f"cluster: expected what dask_jobqueue.SLURMCluster takes, got {error}") from error
            cluster.scale(jobs=n_jobs)
            return cluster
        return self._processes_here()

    def _processes_here(self) -> Any:
        """Start a cluster of this machine; Dask gives up when one of its processes is killed at its start, we try again."""
        for remaining in (2, 1, 0):
            try:
                with shielded_from_interrupt():  # Dask's own watch over memory is off: an item's limit stands for it
                    return importlib.import_module("distributed").LocalCluster(
                        n_workers=self.workers or cores(),
                        threads_per_worker=1,
                        processes=True,
                        memory_limit=0,
                        dashboard_address=None,
                        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # any port: others run here too
                    )
            except RuntimeError:
                if not remaining:
                    raise
        raise AssertionError("the last try returns or raises")


def _jobs(described: str) -> tuple[int, dict[str, Any]]:
    """Read how many jobs, and of what kind."""
    kind, colon, path = described.partition(":")
    if kind != "slurm" or not colon or not path:
        raise ValueError(f"cluster: expected slurm:FILE.toml, got {described!r}")
    try:
        settings = tomllib.loads(Path(path).read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"cluster {path}: expected TOML, got text with an error: {error}") from error
    if (
        set(settings) != {"jobs", "slurm"}
        or not isinstance(settings["jobs"], int)
        or not isinstance(settings["slurm"], dict)
    ):
        raise ValueError(f"cluster {path}: expected jobs = N and a table [slurm], got {sorted(settings)}")
    if importlib.util.find_spec("dask_jobqueue") is None:
        raise RuntimeError("jobs of Slurm: expected dask_jobqueue, got none: pip install 'imuspec[cluster]'")
    return settings["jobs"], settings["slurm"]


class _DaskCrew:
    """What is under way at a cluster."""

    def __init__(self, engine: DaskEngine, work: Callable[[Any], Any]) -> None:
        self._engine = engine
        self._work = work
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._most, self._looked = 2, -_LOOK_S
        self.busy: dict[Any, tuple[Any, bool]] = {}

    def __enter__(self) -> _DaskCrew:
        return self

    def __exit__(self, *exception: object) -> None:
        for future in list(self.busy):  # only after an error or a second Ctrl-C
            future.cancel(force=True)
        self.busy.clear()

    @property
    def room(self) -> bool:
        """Whether another item may begin: one for each thread, and one more, so that none waits for us."""
        if time.monotonic() - self._looked > _LOOK_S:
            self._looked = time.monotonic()
            client = self._engine.client()
            if client.status == "running":
                with contextlib.suppress(OSError):  # lost in this moment
                    self._most = max(2, 2 * sum(client.nthreads().values()))
        return len(self.busy) < self._most

    def begin(self, item: Any, *, last_try: bool = False) -> None:
        """Submit an item."""
        future = self._engine.client().submit(_in_child, self._work, self._engine.limits, item, pure=False)
        self.busy[future] = (item, last_try)
        future.add_done_callback(self._ended.put)

    def finished(self, timeout: float) -> Iterator[Ended]:
        """Yield what ended, waiting at most `timeout` s."""
        try:
            future = self._ended.get(timeout=timeout)
        except queue.Empty:
            return
        while future is not None:
            item, last_try = self.busy.pop(future)
            yield self._answer(future, item, last_try)
            future = None if self._ended.empty() else self._ended.get()

    def _answer(self, future: Any, item: Any, last_try: bool) -> Ended:
        from concurrent.futures import CancelledError as Cancelled

        from distributed import CancelledError, KilledWorker

        try:
            result, why, died = future.result()
        except (CancelledError, Cancelled):  # its scheduler was lost
            return Ended(item, None, "its scheduler was lost", blameless=True)
        except KilledWorker as error:
            why = f"the workers that had it died, {error.allowed_failures + 1} times"
            return Ended(item, None, why, died=True, last_try=last_try)
        except OSError:
            raise
        except Exception as error:
            raise RuntimeError(f"dask worker: {type(error).__name__}: {error}") from error
        return Ended(item, result, why, died=died, last_try=last_try)


def _in_child(work: Callable[[Any], Any], limits: Limits, item: Any) -> tuple[Any, str, bool]:
    """Work on an item in a process beside this worker; return its result, why there is none, and whether it died."""
    kept = getattr(_child, "kept", None)
    if kept is None or kept[0] != (work, limits):
        if kept is not None:
            kept[1].__exit__()
        kept = _child.kept = ((work, limits), Pool(work, 1, limits))
    pool: Pool = kept[1]
    pool.begin(item)
    while True:
        for ended in pool.finished(timeout=1.0):
            return ended.result, ended.why, ended.died

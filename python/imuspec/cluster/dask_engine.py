"""The engine of a Dask cluster: workers of a scheduler, jobs of Slurm, or processes of this machine.

Each Dask worker works on an item in a child process, with the same limits and the same two tries as on one machine. So a
recording that kills its process ends no worker. Only few items are submitted at a time, so the scheduler's memory does not
grow with their number. If the scheduler is lost, the engine waits for it and submits its items again. That is safe, since
work on a recording writes the same bytes again.

A scheduler and its workers run what their clients send. So a cluster that the engine starts takes only connections with
the certificate that was made for it, and its web pages are off.
"""

from __future__ import annotations

import contextlib
import importlib
import queue
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

from imuspec.cluster.certificate import run_security
from imuspec.cluster.engine import Crew, Engine
from imuspec.cluster.limits import Limits
from imuspec.cluster.local import cores
from imuspec.cluster.pool import Ended, Pool
from imuspec.errors import require, unknown_name
from imuspec.interrupts import shielded_from_interrupt

__all__ = ["DaskEngine", "Protection"]

Protection = Literal["tls", "none"]

# Dask opens a port for web pages in every process, even if they are off. Then it is one of loopback, and serves nothing.
_NO_PAGES: dict[str, list[str]] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
_NO_PAGES_OF_JOBS = (
    "export DASK_DISTRIBUTED__WORKER__HTTP__ROUTES='[]'"  # the settings of this process do not reach jobs
)
_LOOPBACK = "127.0.0.1:0"
_CONNECT_S = 30.0
_COUNT_S = 1.0  # interval between requests for the number of workers
_child = threading.local()


class DaskEngine(Engine):
    """Workers of a Dask cluster. They need this version of imuspec, and a shared file system or object store.

    Parameters
    ----------
    workers : int, optional
        Number of processes of a cluster on this machine. The default is the number of cores.
    scheduler : str, optional
        Address of a running scheduler, or path of the file that it writes (``--scheduler-file``).
    cluster : str, optional
        ``slurm:FILE.toml``: ``jobs``, the number of jobs, and a table ``[slurm]`` with parameters of
        `dask_jobqueue.SLURMCluster` (queue, account, cores, processes, memory, walltime, ...).
    limits : Limits, optional
        Limits on one item.
    patience_s : float, default 600.0
        How long to wait for a lost scheduler, s.
    protection : {"tls", "none"}, default "tls"
        Of a cluster that the engine starts. "tls": a certificate is made for the run; who does not have it is refused,
        and all traffic is encrypted. "none": whoever reaches a port of the cluster can run code as this user. A running
        scheduler has its own: ``tls://`` addresses take the certificates of Dask's configuration.

    Raises
    ------
    ValueError
        If both a scheduler and a cluster are given, an option has no effect beside them, or the cluster is not valid.
    ImportError
        If Dask, or cryptography for a certificate, is not installed.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        scheduler: str | None = None,
        cluster: str | None = None,
        limits: Limits | None = None,
        patience_s: float = 600.0,
        protection: Protection = "tls",
    ) -> None:
        if protection not in get_args(Protection):
            raise ValueError(unknown_name("protection", protection, get_args(Protection)))
        if scheduler and cluster:
            raise ValueError(f"engine: expected a scheduler or a cluster, got both: {scheduler} and {cluster}")
        if workers is not None and workers < 1:
            raise ValueError(f"workers: expected at least 1, got {workers}")
        if workers is not None and (scheduler or cluster):
            raise ValueError(
                f"workers: expected none beside a scheduler or a cluster, which have their own, got {workers}"
            )
        if scheduler and protection != "tls":
            raise ValueError(f"protection: expected a cluster that is started here for {protection}, got a scheduler")
        require("the engine dask", "distributed")
        if not scheduler and protection == "tls":
            require("TLS of a Dask cluster", "cryptography")
        self.workers = workers
        self.limits = limits or Limits()
        self._scheduler = scheduler
        self._jobs = _jobs(cluster) if cluster else None
        self._patience_s = patience_s
        self._protection = protection
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

    def crew(self, work: Callable[[Any], Any], n_items: int) -> AbstractContextManager[Crew]:  # noqa: ARG002  (a worker of Dask has one thread)
        """Return processes for `work`."""
        if self._client is None:
            raise RuntimeError("engine dask: expected map inside with, got map outside it")
        return _DaskCrew(self, work)

    def client(self) -> Any:
        """Return a client of the scheduler; wait if the scheduler is lost.

        Raises
        ------
        RuntimeError
            If the scheduler does not come back in time.
        """
        started = time.monotonic()
        while self._client.status == "closed":
            try:
                self._client = self._connected(5.0)
            except OSError as error:
                if time.monotonic() - started > self._patience_s or self._scheduler is None:
                    raise RuntimeError(
                        f"dask scheduler {self._scheduler}: lost, and not back within {self._patience_s:g} s; "
                        "repeat the command with --resume to continue"
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
        """Start a cluster; try three times, since Dask gives up if a process is killed while it starts."""
        distributed, configuration = importlib.import_module("distributed"), importlib.import_module("dask").config
        security = run_security() if self._protection == "tls" else None
        for remaining in (2, 1, 0):
            try:
                with configuration.set(_NO_PAGES):
                    if self._jobs is not None:
                        return _slurm_cluster(*self._jobs, security)
                    with shielded_from_interrupt():  # `limits` bound the memory of an item, not Dask
                        return distributed.LocalCluster(
                            n_workers=self.workers or cores(),
                            threads_per_worker=1,
                            processes=True,
                            memory_limit=0,
                            dashboard_address=None,
                            scheduler_kwargs={"dashboard_address": _LOOPBACK, "dashboard": False},
                            security=security,
                        )
            except RuntimeError:
                if not remaining:
                    raise
        raise AssertionError("the last try returns or raises")


def _slurm_cluster(n_jobs: int, options: dict[str, Any], security: Any) -> Any:
    """Submit the jobs of a Slurm cluster; its workers read their certificate from files that only this user can read."""
    jobqueue = importlib.import_module("dask_jobqueue")  # it loads jobqueue.yaml
    pages = {"dashboard": False, "dashboard_address": _LOOPBACK}
    worker_arguments = _setting(options, "worker_extra_args", "extra") or []
    prologue = _setting(options, "job_script_prologue", "env_extra") or []
    folder = _setting(options, "shared_temp_directory")
    settings = {
        **{name: value for name, value in options.items() if name not in ("extra", "env_extra")},
        "shared_temp_directory": folder or str(Path.home()),  # nodes of a Slurm cluster share it
        "scheduler_options": {**pages, **(_setting(options, "scheduler_options") or {})},
        "worker_extra_args": ["--no-dashboard", "--dashboard-address", _LOOPBACK, *worker_arguments],
        "job_script_prologue": [*prologue, _NO_PAGES_OF_JOBS],  # the last one, so that no other undoes it
        "security": security,
    }
    try:
        cluster: Any = jobqueue.SLURMCluster(**settings)
    except TypeError as error:
        raise ValueError(f"cluster: expected what dask_jobqueue.SLURMCluster takes, got {error}") from error
    cluster.scale(jobs=n_jobs)
    return cluster


def _setting(options: dict[str, Any], *names: str) -> Any:
    """Return a parameter of SLURMCluster, or else its value in jobqueue.yaml; an old name counts if the new one is empty."""
    configuration, section = importlib.import_module("dask").config, options.get("config_name") or "slurm"
    for name in names:
        value = options.get(name)
        if value is None:
            value = configuration.get(f"jobqueue.{section}.{name.replace('_', '-')}", None)
        if value:
            return value
    return None


def _jobs(text: str) -> tuple[int, dict[str, Any]]:
    """Return the number of jobs and the parameters of the Slurm cluster."""
    kind, colon, path = text.partition(":")
    if kind != "slurm" or not colon or not path:
        raise ValueError(f"cluster: expected slurm:FILE.toml, got {text!r}")
    try:
        settings = tomllib.loads(Path(path).read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"cluster {path}: not valid TOML: {error}") from error
    if (
        set(settings) != {"jobs", "slurm"}
        or not isinstance(settings["jobs"], int)
        or not isinstance(settings["slurm"], dict)
    ):
        raise ValueError(f"cluster {path}: expected jobs = N and a table [slurm], got {sorted(settings)}")
    require("a cluster of Slurm", "dask_jobqueue")
    return settings["jobs"], settings["slurm"]


class _DaskCrew:
    """The items that a cluster works on."""

    def __init__(self, engine: DaskEngine, work: Callable[[Any], Any]) -> None:
        self._engine = engine
        self._work = work
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._capacity, self._counted_s = 2, -_COUNT_S
        self.busy: dict[Any, tuple[Any, bool]] = {}

    def __enter__(self) -> _DaskCrew:
        return self

    def __exit__(self, *exception: object) -> None:
        for future in list(self.busy):  # only after an error or a second Ctrl-C
            future.cancel(force=True)
        self.busy.clear()

    @property
    def room(self) -> bool:
        """Whether another item can start: two per thread, so that no thread waits for the next item."""
        if time.monotonic() - self._counted_s > _COUNT_S:
            self._counted_s = time.monotonic()
            client = self._engine.client()
            if client.status == "running":
                with contextlib.suppress(OSError):  # the connection was just lost
                    self._capacity = max(2, 2 * sum(client.nthreads().values()))
        return len(self.busy) < self._capacity

    def begin(self, item: Any, *, last_try: bool = False) -> None:
        """Submit an item."""
        future = self._engine.client().submit(_in_child, self._work, self._engine.limits, item, pure=False)
        self.busy[future] = (item, last_try)
        future.add_done_callback(self._ended.put)

    def finished(self, timeout: float) -> Iterator[Ended]:
        """Yield the items that ended, after waiting at most `timeout` s."""
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
        from distributed.comm.core import CommClosedError

        try:
            result, reason, died = future.result()
        except (CancelledError, Cancelled, CommClosedError):  # the last: while the result was on its way
            return Ended(item, None, "its scheduler was lost", blameless=True)
        except KilledWorker as error:
            reason = f"the workers that had it died, {error.allowed_failures + 1} times"
            return Ended(item, None, reason, died=True, last_try=last_try)
        except OSError:
            raise
        except Exception as error:
            raise RuntimeError(f"dask worker: {type(error).__name__}: {error}") from error
        return Ended(item, result, reason, died=died, last_try=last_try)


def _in_child(work: Callable[[Any], Any], limits: Limits, item: Any) -> tuple[Any, str, bool]:
    """Work on an item in a child process of this worker; return result, reason of failure, and whether it died."""
    pool_of_child = getattr(_child, "pool_of_child", None)
    if pool_of_child is None or pool_of_child[0] != (work, limits):
        if pool_of_child is not None:
            pool_of_child[1].__exit__()
        pool_of_child = _child.pool_of_child = ((work, limits), Pool(work, 1, limits))
    pool: Pool = pool_of_child[1]
    pool.begin(item)
    while True:
        for ended in pool.finished(timeout=1.0):
            return ended.result, ended.reason, ended.died

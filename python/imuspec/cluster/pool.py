"""Processes that each work on one item at a time; if one dies, the others continue."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from imuspec.cluster.limits import Limits
from imuspec.interrupts import shielded_from_interrupt

__all__ = ["Ended", "Pool"]

_LINES = 3  # of standard error in a reason


class Ended(NamedTuple):
    """The end of the work on an item.

    Attributes
    ----------
    item, result : object
        The item, and the result of the work.
    reason : str
        Reason of a failure, or "".
    died : bool
        Whether its process died; the item need not be the cause.
    last_try : bool
        Whether a process had died with this item before.
    blameless : bool
        Whether the item cannot be the cause, as when the scheduler was lost. It does not count as a try.
    """

    item: Any
    result: Any
    reason: str = ""
    died: bool = False
    last_try: bool = False
    blameless: bool = False


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: connection.Connection
    log: IO[bytes]  # what it writes to standard error

    def end(self) -> None:
        self.pipe.close()
        self.process.join()
        self.log.close()


@dataclass
class _Task:
    worker: _Worker
    item: Any
    last_try: bool
    started: float | None = None


class Pool:
    """Processes with at most one item each; idle processes are used again.

    Parameters
    ----------
    work : callable
        A module-level function of one item. If the module has a function ``load_ahead``, a process calls it before its
        first item, so that importing libraries does not count as the item's time.
    size : int
        Number of processes.
    limits : Limits
        Limits on one item.
    native_threads : int
        Threads of the native core in each process.

    Raises
    ------
    RuntimeError
        If a process cannot import the function, as when a package is missing.
    """

    def __init__(self, work: Callable[[Any], Any], size: int, limits: Limits, native_threads: int = 1) -> None:
        self._work = work
        self._size = size
        self._limits = limits
        self._native_threads = native_threads
        self._context = multiprocessing.get_context("spawn")
        self._idle: list[_Worker] = []
        self._kills_for_memory = _kills_for_memory()
        self.busy: dict[connection.Connection, _Task] = {}

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._idle:
            worker.end()  # the process ends when its pipe is closed
        self._idle.clear()
        for task in self.busy.values():  # only after an error or a second Ctrl-C
            task.worker.process.kill()
            task.worker.end()
        self.busy.clear()

    @property
    def room(self) -> bool:
        """Whether another item can start."""
        return len(self.busy) < self._size

    def begin(self, item: Any, *, last_try: bool = False) -> None:
        """Give an item to an idle process, or to a new one."""
        while True:
            worker = self._idle.pop() if self._idle else self._start()
            try:
                worker.pipe.send(item)
            except OSError:  # it died while idle
                worker.end()
                continue
            self.busy[worker.pipe] = _Task(worker, item, last_try)
            return

    def finished(self, timeout: float) -> Iterator[Ended]:
        """Yield the items that ended, after waiting at most `timeout` s; kill processes that exceed a limit."""
        for pipe in connection.wait(list(self.busy), min(timeout, self._limits.poll_s)):
            assert isinstance(pipe, connection.Connection)
            ended = self._answer(pipe)
            if ended is not None:
                yield ended
        for pipe, task in list(self.busy.items()):
            seconds = 0.0 if task.started is None else time.monotonic() - task.started
            reason = self._limits.broken(task.worker.process.pid or 0, seconds)
            if reason and pipe in self.busy:
                del self.busy[pipe]
                task.worker.process.kill()
                task.worker.end()
                yield Ended(task.item, None, reason)

    def _answer(self, pipe: connection.Connection) -> Ended | None:
        """Receive a message of a process: that its item starts, which starts the item's clock, or how it ended."""
        task = self.busy[pipe]
        worker = task.worker
        try:
            message = pipe.recv()
            if message is None:
                task.started = time.monotonic()
                return None
            del self.busy[pipe]
            kind, result = message
        except (EOFError, OSError):
            del self.busy[pipe]
            worker.process.join()
            reason = self._death(worker)
            worker.end()
            return Ended(task.item, None, reason, died=True, last_try=task.last_try)
        self._idle.append(worker)
        if kind == "result":
            return Ended(task.item, result)
        if kind == "not loaded":
            raise RuntimeError(f"a worker process cannot start: {result}")
        if isinstance(result, OSError):
            raise result
        return Ended(task.item, None, result)  # a second try would end with the same error

    def _start(self) -> _Worker:
        parent_end, child_end = self._context.Pipe()
        log = tempfile.NamedTemporaryFile(prefix="imuspec-worker-", buffering=0)  # noqa: SIM115  (closed by _Worker.end)
        arguments = (child_end, self._work.__module__, self._work.__qualname__, log.name)
        process = self._context.Process(target=_worker, args=arguments, daemon=True)
        with shielded_from_interrupt(self._native_threads), _allowed_children():
            process.start()
        child_end.close()
        return _Worker(process, parent_end, cast("IO[bytes]", log))

    def _death(self, worker: _Worker) -> str:
        """Return why a process died: its signal or exit code, and the last lines of its standard error."""
        code = worker.process.exitcode
        if code == -signal.SIGKILL:
            before, self._kills_for_memory = self._kills_for_memory, _kills_for_memory()
            of_group, of_machine = (now > then for now, then in zip(self._kills_for_memory, before, strict=True))
            cause = "most often because memory ran out"
            if of_machine:
                cause = "and the machine ran out of memory"
            reason = "its process was killed, twice, " + (
                "by the system for memory" if of_group else f"by SIGKILL, {cause}"
            )
        elif code is not None and code < 0:
            reason = f"its process died, twice, by {signal.Signals(-code).name}"
        else:
            reason = f"its process ended, twice, with code {code}"
        worker.log.seek(0)
        lines = [line.strip() for line in worker.log.read().decode("utf-8", "replace").splitlines() if line.strip()]
        return f"{reason}: {' | '.join(lines[-_LINES:])}" if lines else reason


def _worker(pipe: connection.Connection, module: str, name: str, log: str) -> None:
    """Work on items until the pipe is closed; end at once if the parent ends in any way."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 2)  # so that the parent can report what a process wrote before it died
    os.close(descriptor)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    trouble, work = "", None
    try:
        work = getattr(importlib.import_module(module), name)
        load_ahead = getattr(sys.modules[module], "load_ahead", None)
        if load_ahead is not None:
            load_ahead()
    except Exception as error:
        trouble = f"{type(error).__name__}: {error}"
    while True:
        try:
            item = pipe.recv()
            pipe.send(None)
        except (EOFError, OSError):
            return
        except Exception as error:  # a module of the item cannot be imported
            trouble = trouble or f"{type(error).__name__}: {error}"
        answer: tuple[str, Any]
        try:
            answer = ("not loaded", trouble) if trouble or work is None else ("result", work(item))
        except OSError as error:  # the cohort cannot be written
            answer = ("error", error)
        except Exception as error:
            answer = ("error", f"internal error: {type(error).__name__}: {error}")
        try:
            pipe.send(answer)
        except OSError:
            return


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


@contextmanager
def _allowed_children() -> Iterator[None]:
    """Let a daemonic process, such as a Dask worker, start children; those of a pool end when their parent ends."""
    config = getattr(multiprocessing.current_process(), "_config", {})
    daemonic = config.pop("daemon", None)
    try:
        yield
    finally:
        if daemonic is not None:
            config["daemon"] = daemonic


def _kills_for_memory() -> tuple[int, int]:
    """Return how many processes of this control group the system has killed for memory, or else of the machine; 0 if unknown.

    Only the first says something of the processes of a pool: on the machine any process may have been killed.
    """
    with contextlib.suppress(OSError, ValueError, StopIteration):
        group = Path("/proc/self/cgroup").read_text("utf-8").rpartition("0::")[2].strip()
        return _count(Path(f"/sys/fs/cgroup{group}/memory.events")), 0
    with contextlib.suppress(OSError, ValueError, StopIteration):
        return 0, _count(Path("/proc/vmstat"))
    return 0, 0


def _count(path: Path) -> int:
    return next(int(line.split()[1]) for line in path.read_text("ascii").splitlines() if line.startswith("oom_kill "))

"""Processes that each work on one item at a time, and outlive none of their faults in the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

from imuspec.cluster.limits import Limits
from imuspec.cluster.stopping import shielded_from_interrupt

__all__ = ["Ended", "Pool"]


class Ended(NamedTuple):
    """How the work on an item ended: its result, or why there is none.

    `died` says that its process did, which may have had other reasons, `last_try` that it had done so before.
    `blameless` says that the item cannot have been the reason, as when a scheduler was lost: that is no try at all.
    """

    item: Any
    result: Any
    why: str = ""
    died: bool = False
    last_try: bool = False
    blameless: bool = False


@dataclass
class _Task:
    process: SpawnProcess
    item: Any
    last_try: bool
    began: float | None = None


class Pool:
    """Processes, each with at most one item; idle ones are used again.

    Parameters
    ----------
    work
        What is done with an item: a function of a module. If the module has a function ``load_ahead``, a process calls it
        before its first item, so that loading libraries is not counted as the item's time.
    size
        How many items at once.
    limits
        What one item may use.
    """

    def __init__(self, work: Callable[[Any], Any], size: int, limits: Limits) -> None:
        self._work = work
        self._size = size
        self._limits = limits
        self._context = multiprocessing.get_context("spawn")
        self._idle: list[tuple[SpawnProcess, connection.Connection]] = []
        self.busy: dict[connection.Connection, _Task] = {}

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        for process, pipe in self._idle:
            pipe.close()  # the worker ends at the end of its pipe
            process.join()
        self._idle.clear()
        for pipe, task in self.busy.items():  # only after an error or a second Ctrl-C
            _end(task.process, pipe)
        self.busy.clear()

    @property
    def room(self) -> bool:
        """Whether another item may begin."""
        return len(self.busy) < self._size

    def begin(self, item: Any, *, last_try: bool = False) -> None:
        """Give an item to an idle process, or to a new one."""
        while True:
            process, pipe = self._idle.pop() if self._idle else self._start()
            try:
                pipe.send(item)
            except OSError:  # it died while idle
                process.join()
                pipe.close()
                continue
            self.busy[pipe] = _Task(process, item, last_try)
            return

    def finished(self, timeout: float) -> Iterator[Ended]:
        """Yield what ended, waiting at most `timeout` s; end what is beyond a limit."""
        for pipe in connection.wait(list(self.busy), min(timeout, self._limits.poll_s)):
            assert isinstance(pipe, connection.Connection)
            ended = self._answer(pipe)
            if ended is not None:
                yield ended
        for pipe, task in list(self.busy.items()):
            seconds = 0.0 if task.began is None else time.monotonic() - task.began
            why = self._limits.broken(task.process.pid or 0, seconds)
            if why and pipe in self.busy:
                del self.busy[pipe]
                _end(task.process, pipe)
                yield Ended(task.item, None, why)

    def _answer(self, pipe: connection.Connection) -> Ended | None:
        """Take what a process says: that it begins, which starts its clock, or how its item ended."""
        task = self.busy[pipe]
        try:
            said = pipe.recv()
            if said is None:
                task.began = time.monotonic()
                return None
            del self.busy[pipe]
            ok, result = said
        except (EOFError, OSError):
            del self.busy[pipe]
            task.process.join()
            pipe.close()
            return Ended(task.item, None, _death(task.process.exitcode), died=True, last_try=task.last_try)
        self._idle.append((task.process, pipe))
        if ok:
            return Ended(task.item, result)
        if isinstance(result, OSError):
            raise result
        return Ended(task.item, None, result)  # an error comes again: no second try

    def _start(self) -> tuple[SpawnProcess, connection.Connection]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_worker, args=(theirs, self._work), daemon=True)
        with shielded_from_interrupt(), _allowed_children():
            process.start()
        theirs.close()
        return process, ours


def _worker(pipe: connection.Connection, work: Callable[[Any], Any]) -> None:
    """Work on items until the pipe ends; end at once when the parent does, however it did."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    load_ahead = getattr(sys.modules[work.__module__], "load_ahead", None)
    if load_ahead is not None:
        load_ahead()
    while True:
        try:
            item = pipe.recv()
            pipe.send(None)
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


def _end(process: SpawnProcess, pipe: connection.Connection) -> None:
    process.kill()
    process.join()
    pipe.close()


@contextmanager
def _allowed_children() -> Iterator[None]:
    """Let a daemonic process, as a Dask worker is, start one: ours end with their parent by themselves."""
    config = getattr(multiprocessing.current_process(), "_config", {})
    daemonic = config.pop("daemon", None)
    try:
        yield
    finally:
        if daemonic is not None:
            config["daemon"] = daemonic


def _death(exitcode: int | None) -> str:
    if exitcode == -9:
        return "its process was killed, twice; most often that is memory running out"
    if exitcode is not None and exitcode < 0:
        return f"its process died, twice, by {signal.Signals(-exitcode).name}"
    return f"its process ended, twice, with code {exitcode}"

"""Ctrl-C and SIGTERM: the first signal lets the current work finish, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Interrupted", "StopRequest", "interrupted_by_sigterm", "shielded_from_interrupt", "stop_on_signal"]


class Interrupted(KeyboardInterrupt):
    """A run that ended on a signal.

    Parameters
    ----------
    message : str
        Message for the user.
    signum : int, default SIGINT
        The signal.
    """

    def __init__(self, message: str, signum: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """128 plus the signal's number, as in shells: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + int(self.signum)


class StopRequest(threading.Event):
    """An event that the first signal sets; `signum` is its number."""

    signum: int = signal.SIGINT


@contextmanager
def stop_on_signal(announce: Callable[[], None] | None = None) -> Iterator[StopRequest]:
    """Set an event at the first SIGINT or SIGTERM; raise at the second.

    Parameters
    ----------
    announce : callable, optional
        Called once, at the first signal.

    Yields
    ------
    StopRequest
        Set after the first signal. In a thread other than the main one it is never set: only the main thread may
        install signal handlers.

    Raises
    ------
    Interrupted
        At the second signal.
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(signum: int, _frame: object) -> None:
        if stop.is_set():
            raise Interrupted("ended at once; repeat the command with --resume to continue", signum)
        stop.signum = signum
        stop.set()
        if announce is not None:
            announce()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM raise `Interrupted` in this process, so that temporary files are removed before it ends.

    A handler that is there already stays. A forked child ends by the signal as it would without this.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    parent = os.getpid()

    def handle(signum: int, _frame: object) -> None:
        if os.getpid() != parent:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        raise Interrupted("terminated", signum)

    signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def shielded_from_interrupt(native_threads: int = 1) -> Iterator[None]:
    """Let processes that are started inside the ``with`` ignore SIGINT from the start and use so many native threads."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    threads = os.environ.get("IMUSPEC_THREADS")
    os.environ["IMUSPEC_THREADS"] = str(native_threads)
    try:
        yield
    finally:
        if threads is None:
            del os.environ["IMUSPEC_THREADS"]
        else:
            os.environ["IMUSPEC_THREADS"] = threads
        if main:
            signal.signal(signal.SIGINT, before)

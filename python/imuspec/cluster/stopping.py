"""Ctrl-C and what stands for it: the first lets what is under way finish, the second ends at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["shielded_from_interrupt", "stop_on_signal"]


@contextmanager
def stop_on_signal(tell: Callable[[], None]) -> Iterator[threading.Event]:
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
def shielded_from_interrupt() -> Iterator[None]:
    """Start processes that ignore SIGINT from their first moment, and give each one native thread."""
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

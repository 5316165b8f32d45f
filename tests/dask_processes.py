"""Schedulers and workers of Dask as processes of their own that a test may kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gate import Gate
from stub_files import environment

# Faults are noticed sooner than the defaults would.
HASTY = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "20s",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "20s",
    "DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT": "5s",
}


def dask(
    part: str, *arguments: str, log: Path, inside: tuple[str, ...] = (), gate: Gate | None = None
) -> subprocess.Popen[bytes]:
    """Start a scheduler or a worker, `inside` a command before it, `gate` where files wait; files take it 0.4 s."""
    variables = {**HASTY, "STUB_SLEEP_S": "0.4", **(gate.environment() if gate else {})}
    command = [*inside, sys.executable, "-m", f"distributed.cli.dask_{part}", *arguments]
    with log.open("a") as output:
        return subprocess.Popen(
            command, env=environment(**variables), stdout=output, stderr=output, start_new_session=True
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def ended(processes: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Kill them at the end of the ``with``, however it ends."""
    try:
        yield
    finally:
        for process in processes:
            end(process)

"""One run at a time on each share of a cohort in an object store, which has no file locks.

A lease is a small object that names its holder. It is made only if it is not there, one request that the store decides,
and renewed while the run lives; one that was not renewed for a minute is of a dead run and is taken over.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from imuspec.lock import InUseError
from imuspec.places import names

__all__ = ["CohortLease"]

RENEW_S, DEAD_S = 15.0, 60.0


class CohortLease:
    """Hold share `number` of `of` of a cohort in an object store while inside ``with``.

    Raises
    ------
    InUseError
        On entering, when another live run holds the same share, or the cohort divided into another number of shares.
    """

    def __init__(self, cohort: Path, *, number: int = 1, of: int = 1) -> None:
        self._cohort = cohort
        self._folder = cohort / ".lock"
        self._path: Any = self._folder / f"{number}of{of}"
        self._of = of
        self._token = secrets.token_hex(8)
        self._over = threading.Event()
        self._renewing: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._take()
        for name in names(self._folder):
            if name.endswith(f"of{self._of}"):  # our own, or one that shares nothing with it
                continue
            holder = _holder(self._folder / name)
            if holder is not None:
                self._path.unlink(missing_ok=True)
                raise InUseError(f"cohort {self._cohort}: {_named(holder)} works on share {name}")
        self._renewing = threading.Thread(target=self._renew, daemon=True)
        self._renewing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._renewing is not None:
            self._renewing.join()
        holder = _holder(self._path)
        if holder is None or holder["token"] == self._token:  # not one that took it over from us
            self._path.unlink(missing_ok=True)

    def _take(self) -> None:
        for _ in range(2):
            try:
                self._path.fs.pipe_file(self._path.path, self._content(), mode="create")
                return
            except FileExistsError:
                holder = _holder(self._path)
            if holder is not None:
                raise InUseError(
                    f"cohort {self._cohort}: {_named(holder)} is at work on it; wait until it ends, or end it"
                )
            self._path.unlink(missing_ok=True)
        raise InUseError(f"cohort {self._cohort}: another run has just begun on it")

    def _renew(self) -> None:
        while not self._over.wait(RENEW_S):
            self._path.write_bytes(self._content())

    def _content(self) -> bytes:
        told = {"host": socket.gethostname(), "pid": os.getpid(), "token": self._token, "renewed": time.time()}
        return json.dumps(told).encode()


def _holder(path: Path) -> dict[str, Any] | None:
    """Return who holds a lease; None when nobody does who lives."""
    try:
        told: dict[str, Any] = json.loads(path.read_text("utf-8"))
        alive = time.time() - float(told["renewed"]) < DEAD_S
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return told if alive else None


def _named(holder: dict[str, Any]) -> str:
    return f"process {holder['pid']} on {holder['host']}"

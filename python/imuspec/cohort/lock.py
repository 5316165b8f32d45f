"""One run at a time on each share of a cohort, on a disk or in an object store.

A lock is a small file that names the host and process that hold it. The kernel's file lock on it ends with its process,
so a dead run leaves nothing to clean up; where the file system has no such locks, the process named is looked for.

An object store has no file locks. A lease there is a small object that names its holder. It is created only if it is absent,
one request that the store decides, and renewed while the run lives; one that was not renewed for a minute is of a dead run
and is taken over.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from imuspec.storage import is_remote, names

__all__ = ["CohortLease", "CohortLock", "InUseError", "lock_of"]

RENEW_S, DEAD_S = 15.0, 60.0


def lock_of(cohort: Path, *, number: int = 1, of: int = 1) -> AbstractContextManager[object]:
    """Return the lock of a cohort's share, on a disk or in an object store."""
    if is_remote(cohort):
        return CohortLease(cohort, number=number, of=of)
    return CohortLock(cohort, number=number, of=of)


class InUseError(RuntimeError):
    """Another run holds the cohort, or an overlapping share of it."""


class CohortLock:
    """Hold share `number` of `of` of a cohort while inside ``with``.

    Raises
    ------
    InUseError
        On entering, when another live run holds the same share, or the cohort divided into another number of shares.
    """

    def __init__(self, cohort: Path, *, number: int = 1, of: int = 1) -> None:
        self._folder = cohort / ".lock"
        self._path = self._folder / f"{number}of{of}"
        self._of = of
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._take()
        for other in sorted(self._folder.iterdir()):
            if other.name.endswith(f"of{self._of}"):  # our own, or one that shares nothing with it
                continue
            if _is_held(other):
                self.__exit__(None, None, None)
                raise InUseError(f"cohort {self._folder.parent}: {_holder(other)} works on share {other.name}")
            other.unlink(missing_ok=True)  # of a dead run; one just begun sees it gone, and then our lock
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is None:
            return
        self._path.unlink(missing_ok=True)  # before the lock ends, so that nobody holds a file without a name
        os.close(self._descriptor)
        self._descriptor = None
        with contextlib.suppress(OSError):  # another share's lock is in it
            self._folder.rmdir()

    def _take(self) -> None:
        while True:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            except FileNotFoundError:  # the folder went away with another share's lock
                self._folder.mkdir(parents=True, exist_ok=True)
                continue
            if not _lock(descriptor, self._path):
                os.close(descriptor)
                holder = _holder(self._path)
                raise InUseError(
                    f"cohort {self._folder.parent}: {holder} is at work on it; wait until it ends, or end it"
                )
            if _same_file(descriptor, self._path):
                break
            os.close(descriptor)  # its holder took it away between our open and our lock
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode())
        self._descriptor = descriptor


def _lock(descriptor: int, path: Path) -> bool:
    try:
        import fcntl
    except ImportError:
        return not _lives(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return not _lives(path)
    return True


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _lock(descriptor, path)
    finally:
        os.close(descriptor)


def _read(path: Path) -> tuple[str, int] | None:
    try:
        holder = json.loads(path.read_text("utf-8"))
        return str(holder["host"]), int(holder["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lives(path: Path) -> bool:
    """Whether the process named lives; on another host nobody can say, so it does."""
    holder = _read(path)
    if holder is None:
        return False
    host, pid = holder
    if host != socket.gethostname():
        return True
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _holder(path: Path) -> str:
    holder = _read(path)
    return "another run" if holder is None else f"process {holder[1]} on {holder[0]}"


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
            holder = _lease_holder(self._folder / name)
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
        holder = _lease_holder(self._path)
        if holder is None or holder["token"] == self._token:  # not one that took it over from us
            self._path.unlink(missing_ok=True)

    def _take(self) -> None:
        for _ in range(2):
            try:
                self._path.fs.pipe_file(self._path.path, self._content(), mode="create")
                return
            except FileExistsError:
                holder = _lease_holder(self._path)
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


def _lease_holder(path: Path) -> dict[str, Any] | None:
    """Return who holds a lease; None when nobody does who lives."""
    try:
        told: dict[str, Any] = json.loads(path.read_text("utf-8"))
        alive = time.time() - float(told["renewed"]) < DEAD_S
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return told if alive else None


def _named(holder: dict[str, Any]) -> str:
    return f"process {holder['pid']} on {holder['host']}"

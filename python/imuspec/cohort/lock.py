"""The lock of a cohort: each share is written by one run at a time, on a disk or in an object store.

On a disk the lock is a file that the `filelock` package locks with the kernel's flock, which ends with its process. Where
the file system has no flock, the package creates a marker file exclusively instead.

In an object store the lock is a lease: an object ``1of1.N`` that names its holder, with a number N that grows by one with
every takeover. It is created only if it is absent, one request that the store decides, so two runs cannot both take over
the same dead lease. The holder writes it again while it runs. A lease is dead if it was not written for a minute by the
store's own clock. The number is a fencing token: a run checks before every write that no higher one exists, and that the
lease is still its own.
"""

from __future__ import annotations

import contextlib
import errno
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

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from imuspec.cohort.parts import Fence
from imuspec.storage import as_path, is_remote, list_names

__all__ = ["CohortLease", "CohortLock", "InUseError", "LostLeaseError", "lock_of"]

RENEW_S, DEAD_S = 15.0, 60.0
_NO_FLOCK = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


def lock_of(cohort: Path, *, number: int = 1, total: int = 1) -> AbstractContextManager[Fence | None]:
    """Return the lock of share `number` of `total` of a cohort; ``with`` yields the fence that every write checks."""
    if is_remote(cohort):
        return CohortLease(cohort, number=number, total=total)
    return CohortLock(cohort, number=number, total=total)


class InUseError(RuntimeError):
    """Another run holds the cohort, or an overlapping share of it."""


class LostLeaseError(RuntimeError):
    """The lease was not renewed in time, or another run has taken it over."""


class CohortLock:
    """Hold a share of a cohort on a disk while inside ``with``.

    Parameters
    ----------
    cohort : Path
        Folder of the cohort.
    number, total : int, default 1
        The share, from 1, and the number of shares.

    Raises
    ------
    InUseError
        On entering, if a live run holds the same share, or the cohort divided into another number of shares.
    """

    def __init__(self, cohort: Path, *, number: int = 1, total: int = 1) -> None:
        self._folder = cohort / ".lock"
        self._path = self._folder / f"{number}of{total}"
        self._total = total
        self._lock: BaseFileLock | None = None

    def __enter__(self) -> None:
        self._lock = self._acquire(self._path, f"{_holder(self._path)} is using it; wait until it ends, or end it")
        self._path.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}), "utf-8")
        try:
            for other in list_names(self._folder):
                share = other.removesuffix(".held")
                if other.endswith(".held") and not share.endswith(f"of{self._total}"):
                    path = self._folder / share
                    self._acquire(path, f"{_holder(path)} is using share {share}").release()
                    _remove(path)
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            _remove(self._path)  # while it is held, so that no run locks a file without a name
            self._lock.release()
            self._lock = None
        with contextlib.suppress(OSError):  # another share's lock is in it
            self._folder.rmdir()

    def _acquire(self, path: Path, refusal: str) -> BaseFileLock:
        """Acquire and return the lock of a share."""
        file = path.with_name(f"{path.name}.held")
        while True:
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                lock = _lock_file(file)
            except Timeout:
                raise InUseError(f"cohort {self._folder.parent}: {refusal}") from None
            except FileNotFoundError:  # the folder was removed with another share's lock
                continue
            if _is_named(lock, file):
                return lock
            lock.release()  # its holder removed the file between our open and our lock


def _lock_file(file: Path) -> BaseFileLock:
    try:
        lock: BaseFileLock = FileLock(file)
        lock.acquire(timeout=0)
    except OSError as error:
        if isinstance(error, Timeout) or error.errno not in _NO_FLOCK:
            raise
        lock = SoftFileLock(file.with_name(f"{file.name}.soft"))
        lock.acquire(timeout=0)
    return lock


def _is_named(lock: BaseFileLock, file: Path) -> bool:
    """Whether the file that a lock holds still has its name."""
    if isinstance(lock, SoftFileLock):
        return True
    descriptor = lock._context.lock_file_fd  # filelock has no public name for it
    try:
        return descriptor is not None and os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}.held").unlink(missing_ok=True)


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text("utf-8"))
        return f"process {int(holder['pid'])} on {holder['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"


class CohortLease:
    """Hold a share of a cohort in an object store while inside ``with``; parameters and errors are those of `CohortLock`.

    It can be pickled: the copy in another process checks the same lease.
    """

    def __init__(self, cohort: Path, *, number: int = 1, total: int = 1) -> None:
        self._cohort = cohort
        self._share = f"{number}of{total}"
        self._token = secrets.token_hex(8)
        self._generation = 0
        self._renewed = 0.0
        self._lost = ""
        self._over = threading.Event()
        self._renewing: threading.Thread | None = None

    def __getstate__(self) -> dict[str, Any]:
        names = ("_share", "_token", "_generation")
        return {"cohort": str(self._cohort), **{name: getattr(self, name) for name in names}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._cohort = as_path(state.pop("cohort"))
        self.__dict__.update(state, _lost="", _renewing=None)

    def __enter__(self) -> Self:
        before = self._leases(self._share)
        self._refuse_live(before.values(), "is using it; wait until it ends, or end it")
        self._generation = max(before, default=0) + 1
        try:
            path = self._path(self._generation)
            path.fs.pipe_file(path.path, self._content(), mode="create")
        except FileExistsError:
            raise InUseError(f"cohort {self._cohort}: another run has just started on it") from None
        self._renewed = time.monotonic()
        try:
            now = self._leases(self._share)
            if max(now, default=0) > self._generation:
                raise InUseError(f"cohort {self._cohort}: another run has just started on it")
            new = [
                path
                for generation, path in now.items()
                if generation not in before and path != self._path(self._generation)
            ]
            self._refuse_live(new, "has just started on it")
            for share in {name.rpartition(".")[0] for name in list_names(self._cohort / ".lock")}:
                if "of" in share and not share.endswith(f"of{self._share.partition('of')[2]}"):
                    self._refuse_live(self._leases(share).values(), f"is using share {share}")
        except BaseException:
            self._path(self._generation).unlink(missing_ok=True)
            raise
        for path in before.values():
            path.unlink(missing_ok=True)
        self._renewing = threading.Thread(target=self._keep_renewing, daemon=True)
        self._renewing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._renewing is not None:
            self._renewing.join()
        with contextlib.suppress(OSError):
            if self._is_own():  # a run that lost it must not remove that of another
                self._path(self._generation).unlink(missing_ok=True)

    def check(self) -> None:
        """Check that this run still holds the lease.

        Raises
        ------
        LostLeaseError
            If it was not renewed in time, or another run has taken it over.
        """
        if self._renewing is not None and time.monotonic() - self._renewed > DEAD_S * 0.8:
            self._lost = self._lost or "its lease could not be renewed"
        if not self._lost and not (max(self._leases(self._share), default=0) == self._generation and self._is_own()):
            self._lost = "another run has taken its lease over"
        if self._lost:
            raise LostLeaseError(f"cohort {self._cohort}: {self._lost}; repeat the command with --resume to continue")

    def renew(self) -> None:
        """Write the lease again.

        Raises
        ------
        LostLeaseError
            As in `check`.
        """
        started = time.monotonic()
        self.check()
        self._path(self._generation).write_bytes(self._content())
        self._renewed = started

    def _keep_renewing(self) -> None:
        """Renew every `RENEW_S`; repeat a failed try sooner, until the lease is dead."""
        wait = RENEW_S
        while not self._over.wait(wait):
            try:
                self.renew()
            except LostLeaseError:
                return
            except Exception:  # whatever the store answers, the next try may succeed
                wait = RENEW_S / 5
            else:
                wait = RENEW_S

    def _is_own(self) -> bool:
        """Whether the lease of this run's number is this run's: numbers begin again at 1 after the last run."""
        try:
            return bool(json.loads(self._path(self._generation).read_bytes())["token"] == self._token)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return False

    def _path(self, generation: int) -> Any:
        return self._cohort / ".lock" / f"{self._share}.{generation}"

    def _leases(self, share: str) -> dict[int, Path]:
        """Return the lease objects of a share by their number."""
        pairs = [name.rpartition(".") for name in list_names(self._cohort / ".lock")]
        return {int(n): self._cohort / ".lock" / f"{s}.{n}" for s, _, n in pairs if s == share and n.isdigit()}

    def _content(self) -> bytes:
        return json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "token": self._token}).encode()

    def _refuse_live(self, paths: Any, does: str) -> None:
        """Raise InUseError if one of the leases was written in the last minute by the store's clock."""
        paths = list(paths)
        if not paths:
            return
        probe: Any = self._cohort / ".lock" / f"clock.{self._token}"
        probe.write_bytes(b"")
        try:
            now = probe.fs.modified(probe.path)
            for path in paths:
                with contextlib.suppress(FileNotFoundError):
                    if (now - path.fs.modified(path.path)).total_seconds() < DEAD_S:
                        raise InUseError(f"cohort {self._cohort}: {_holder(path)} {does}")
        finally:
            probe.unlink(missing_ok=True)

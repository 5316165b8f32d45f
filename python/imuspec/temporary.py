"""Private temporary folders, which outlive no process: what a killed process left is removed by the next one."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["private_folder"]

_OWNER, _MACHINE = ".owner", ".machine"  # the lock of the process that made a folder, and where it runs
_ABANDONED_S = 7 * 24 * 3600.0


@contextmanager
def private_folder() -> Iterator[Path]:
    """Yield a private temporary folder below ``TMPDIR``, and remove those that killed imuspec processes left there.

    Other machines and containers may share ``TMPDIR``. So a folder names the process that made it, which locks it. One is
    removed only if it is this user's, its lock is free, and its process has ended: it is not running on this boot and in
    this namespace of processes, or, where that cannot be known, the folder is older than a week.
    """
    from filelock import FileLock

    user = os.getuid() if hasattr(os, "getuid") else 0
    for leftover in Path(tempfile.gettempdir()).glob(f"imuspec-{user}-*-*"):
        with contextlib.suppress(OSError):  # another process removes it, or it cannot be locked
            _remove_abandoned(leftover, user)
    folder = Path(tempfile.mkdtemp(prefix=f"imuspec-{user}-{os.getpid()}-"))
    lock = FileLock(folder / _OWNER)
    try:
        with contextlib.suppress(OSError):  # without locks others remove nothing
            lock.acquire(timeout=0)
        (folder / _MACHINE).write_bytes(_machine().encode())
        yield folder
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(folder: Path, user: int) -> None:
    """Remove a private folder whose process has ended.

    Raises
    ------
    OSError
        If its lock is held, or cannot be tried.
    """
    from filelock import FileLock

    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or (hasattr(os, "getuid") and status.st_uid != user):
        return
    pid, marker = folder.name.split("-")[2], folder / _MACHINE
    same_machine = _is_file(marker) and marker.read_bytes() == _machine().encode()
    old = time.time() - status.st_mtime > _ABANDONED_S
    if not _is_running(int(pid)) if same_machine and pid.isdigit() else old:
        with FileLock(folder / _OWNER, timeout=0):
            shutil.rmtree(folder, ignore_errors=True)


def _is_file(path: Path) -> bool:
    """Whether a path is a file; links and pipes are not files, and a pipe is not opened."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _machine() -> str:
    """Return what distinguishes this boot of this machine, and this container, from others; a process has one id in it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:  # it belongs to another user, or there is none
        return not isinstance(error, ProcessLookupError)
    return True

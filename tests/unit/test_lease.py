"""A lease of an object store, and a lock without flock, have one holder; a lost lease cannot write."""

from __future__ import annotations

import errno
import pickle
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from imuspec.cohort.lock import CohortLease, CohortLock, InUseError, LostLeaseError
from imuspec.cohort.parts import PartStore
from imuspec.storage import as_path
from stub_files import environment

pytest.importorskip("upath", reason="universal-pathlib is not installed")


@pytest.fixture
def cohort() -> Path:
    return as_path(f"memory://{uuid.uuid4().hex}/cohort")


def test_of_two_takers_of_a_dead_lease_one_holds_it(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imuspec.cohort.lock.DEAD_S", 2.0)
    folders = [cohort / str(attempt) for attempt in range(30)]
    for folder in folders:
        (folder / ".lock" / "1of1.1").write_bytes(b'{"host": "h", "pid": 1}')
    time.sleep(2.1)
    for folder in folders:
        start, holders, most = threading.Barrier(2), [], []

        def take(folder=folder, start=start, holders=holders, most=most) -> None:
            start.wait()
            lease = CohortLease(folder)
            try:
                with lease:
                    holders.append(1)
                    time.sleep(0.05)
                    most.append(len(holders))
                    holders.pop()
            except InUseError:
                pass

        takers = [threading.Thread(target=take) for _ in range(2)]
        for taker in takers:
            taker.start()
        for taker in takers:
            taker.join()
        assert max(most, default=0) == 1, folder


def test_a_lost_lease_cannot_write(cohort: Path) -> None:
    with CohortLease(cohort) as lease:
        store = PartStore(cohort, fence=pickle.loads(pickle.dumps(lease)))
        store._write_part("p1", {"id": "p1"})
        (cohort / ".lock" / "1of1.2").write_bytes(b"{}")  # another run took it over
        with pytest.raises(LostLeaseError, match="taken its lease over"):
            store._write_part("p2", {"id": "p2"})
        assert store.done() == {"p1"}


def test_a_live_lease_is_not_taken_whatever_the_clock_of_the_taker(
    cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CohortLease(cohort):
        monkeypatch.setattr(time, "time", lambda: 4e9)
        with pytest.raises(InUseError, match="is using it"), CohortLease(cohort):
            pass


class _NoLocks:
    """A file system without flock, as some network file systems are."""

    def __init__(self, *_: object) -> None:
        pass

    def acquire(self, **_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")


def test_without_flock_one_of_two_that_start_at_once_holds_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imuspec.cohort.lock.FileLock", _NoLocks)
    for attempt in range(20):
        start, holders, most, refused = threading.Barrier(2), [], [], []

        def take(start=start, holders=holders, most=most, refused=refused, folder=tmp_path / str(attempt)) -> None:
            start.wait()
            try:
                with CohortLock(folder):
                    holders.append(1)
                    time.sleep(0.02)
                    most.append(len(holders))
                    holders.pop()
            except InUseError:
                refused.append(1)

        takers = [threading.Thread(target=take) for _ in range(2)]
        for taker in takers:
            taker.start()
        for taker in takers:
            taker.join()
        assert max(most) == 1, attempt
        assert len(most) + len(refused) == 2, attempt


HOLD = """
import errno, sys, time
from pathlib import Path
from imuspec.cohort import lock

class NoLocks(lock.FileLock):
    def acquire(self, **_):
        raise OSError(errno.ENOLCK, "No locks available")

lock.FileLock = NoLocks
with lock.CohortLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_without_flock_the_lock_of_a_killed_run_is_taken_over_and_that_of_a_live_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imuspec.cohort.lock.FileLock", _NoLocks)
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(InUseError, match=f"process {holder.pid} on"), CohortLock(tmp_path):
                pass
        finally:
            holder.kill()
    with CohortLock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []

"""A lease of an object store has one holder, whoever tries to take it, and a lost one cannot write."""

from __future__ import annotations

import pickle
import threading
import time
import uuid
from pathlib import Path

import pytest

from imuspec.cohort.lock import CohortLease, InUseError, LostLeaseError
from imuspec.cohort.parts import PartStore
from imuspec.storage import as_path

pytest.importorskip("upath", reason="universal-pathlib is not installed")


@pytest.fixture
def cohort() -> Path:
    return as_path(f"memory://{uuid.uuid4().hex}/cohort")


def test_of_two_takers_of_a_dead_lease_one_holds_it(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imuspec.cohort.lock.DEAD_S", 0.2)
    for attempt in range(30):
        folder = cohort / str(attempt)
        (folder / ".lock" / "1of1.1").write_bytes(b'{"host": "h", "pid": 1}')
        time.sleep(0.25)
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
        assert max(most, default=0) <= 1, attempt


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

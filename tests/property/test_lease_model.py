"""Leases of an object store under any order of takers, renewals, pauses and writes: one run can write at a time."""

from __future__ import annotations

import datetime
import os
import pickle
import time
import uuid
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from imuspec.cohort.lock import DEAD_S, CohortLease, InUseError, LostLeaseError
from imuspec.cohort.parts import PartStore
from imuspec.storage import as_path

pytest.importorskip("upath", reason="universal-pathlib is not installed")

RUNS = st.integers(0, 3)


class _Clock:
    """The clock of the store, and the one that runs measure by; a suspended machine's stands still."""

    def __init__(self) -> None:
        self.store = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        self.monotonic = 1000.0


class LeaseMachine(RuleBasedStateMachine):
    """Runs that take, renew, lose and give back the lease of one share."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = clock = _Clock()

        class Now(datetime.datetime):
            @classmethod
            def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]  # returns the base class
                return clock.store.astimezone(tz)

        self.patches = [
            mock.patch("fsspec.implementations.memory.datetime", Now),
            mock.patch("imuspec.cohort.lock.threading.Thread"),  # renewals are a rule here
            mock.patch.object(time, "monotonic", side_effect=lambda: clock.monotonic),
            mock.patch.object(time, "time", return_value=4e9),  # the wall clocks of the hosts mean nothing
        ]
        for patch in self.patches:
            patch.start()
        self.cohort = as_path(f"memory://{uuid.uuid4().hex}/cohort")
        self.leases: dict[int, CohortLease] = {}
        self.holder: int | None = None
        self.written: dict[int, datetime.datetime] = {}  # the last time a lease was written, by the store's clock
        self.renewed: dict[int, float] = {}

    def teardown(self) -> None:
        for patch in reversed(self.patches):
            patch.stop()

    def _remember(self, run: int) -> None:
        self.written[run], self.renewed[run] = self.clock.store, self.clock.monotonic

    def _is_alive(self, run: int | None) -> bool:
        return run is not None and (self.clock.store - self.written[run]).total_seconds() < DEAD_S

    def _may_write(self, run: int) -> bool:
        return run == self.holder and self.clock.monotonic - self.renewed[run] <= DEAD_S * 0.8

    @precondition(lambda self: len(self.leases) < 4)
    @rule(run=RUNS)
    def take(self, run: int) -> None:
        if run in self.leases:
            return
        lease = CohortLease(self.cohort)
        if self._is_alive(self.holder):
            with pytest.raises(InUseError, match="is using it"):
                lease.__enter__()
            return
        lease.__enter__()
        self.leases[run] = lease
        self.holder = run
        self._remember(run)

    @rule(run=RUNS)
    def renew(self, run: int) -> None:
        if run not in self.leases:
            return
        if self._may_write(run):
            self.leases[run].renew()
            self._remember(run)
        else:
            with pytest.raises(LostLeaseError):
                self.leases[run].renew()

    @rule(run=RUNS)
    def leave(self, run: int) -> None:
        if run in self.leases:
            self.leases.pop(run).__exit__(None, None, None)
            self.holder = None if self.holder == run else self.holder

    @rule(run=RUNS)
    def die(self, run: int) -> None:
        """A killed run gives nothing back."""
        self.leases.pop(run, None)

    @rule(seconds=st.sampled_from([1, 14, 47, 49, 61, 200]))
    def wait(self, seconds: int) -> None:
        self.clock.store += datetime.timedelta(seconds=seconds)
        self.clock.monotonic += seconds

    @rule(seconds=st.sampled_from([59, 61, 86_400]))
    def be_suspended(self, seconds: int) -> None:
        self.clock.store += datetime.timedelta(seconds=seconds)

    @invariant()
    def only_the_holder_writes(self) -> None:
        for run, lease in self.leases.items():
            store = PartStore(self.cohort, fence=lease)
            if self._may_write(run):
                store._write_part("p1", {"id": "p1", "run": run})
            else:
                with pytest.raises(LostLeaseError):
                    store._write_part("p1", {"id": "p1", "run": run})
            if run != self.holder:  # a worker process has a copy
                with pytest.raises(LostLeaseError):
                    pickle.loads(pickle.dumps(lease)).check()


LeaseMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("IMUSPEC_TEST_MODELS", "40")),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
TestLeasesAgreeWithTheirModel = LeaseMachine.TestCase


def test_a_run_that_slept_through_two_others_cannot_write_under_its_old_number() -> None:
    cohort = as_path(f"memory://{uuid.uuid4().hex}/cohort")
    with CohortLease(cohort) as sleeper:
        (cohort / ".lock" / "1of1.1").unlink()  # another run took over and ended
        with CohortLease(cohort) as later:
            later.check()
            assert [path.name for path in (cohort / ".lock").iterdir()] == ["1of1.1"]
            with pytest.raises(LostLeaseError, match="taken its lease over"):
                sleeper.check()
            sleeper.__exit__(None, None, None)
            later.check()

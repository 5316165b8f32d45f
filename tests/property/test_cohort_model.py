"""A cohort under any order of runs, kills, shares, merges and second writers agrees with a model of it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import stub_native
from imuspec import Cohort
from imuspec.cohort.lock import InUseError, lock_of
from imuspec.cohort.store import CohortStore
from run_stub_cohort import RECIPE
from stub_files import tree

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a run that is killed is a fork")

SHORT = RECIPE.set("segments.min_wear_h=0.001")
CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "shutil.rmtree"}
KILLED = 9


def _prepare(source: Path, out: Path, **options: Any) -> Any:
    return stub_native.prepare_stub_cohort(
        [source], out, recipe=SHORT, engine=stub_native.InlineEngine(), resume=True, **options
    )


def _killed(work: Callable[[], Any], out: Path, after: int) -> int:
    """Do the work in a child that dies at once at its `after`-th change below the folder; return its exit code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
        child = os.fork()
    if child == 0:
        try:
            n, prefix = 0, str(out)

            def hook(event: str, arguments: tuple[Any, ...]) -> None:
                nonlocal n
                if event in CHANGES and str(arguments[0]).startswith(prefix):
                    n += 1
                    if n > after:
                        os._exit(KILLED)  # no handler runs, as after kill -9

            sys.addaudithook(hook)
            work()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _tree(folder: Path) -> dict[str, str]:
    """The files of a cohort without locks and temporary files, which a killed run leaves until something is written."""
    return {name: digest for name, digest in tree(folder).items() if not name.startswith(".")}


class CohortMachine(RuleBasedStateMachine):
    """Runs over a few recordings; `files` is what the sources say, `stored` what recordings were prepared from."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="model-"))
        self.source, self.out = self.folder / "in", self.folder / "out"
        self.source.mkdir()
        self.files: dict[str, int | None] = {}
        self.replaced: set[str] = set()
        self._say("p0", 0)

    def teardown(self) -> None:
        if not hasattr(self, "folder"):
            return
        try:
            self._finish()
            _prepare(self.source, self.folder / "undisturbed")
            assert _tree(self.out) == tree(self.folder / "undisturbed")
        finally:
            shutil.rmtree(self.folder)

    def _say(self, name: str, seed: int | None) -> None:
        """Write a recording; without a seed it is damaged."""
        text = f"nonsense {name}" if seed is None else json.dumps({"hours": 0.02, "seed": seed})
        (self.source / f"{name}.cwa").write_text(text)
        self.files[name] = seed

    def _finish(self) -> None:
        """Run to the end, and compare with the model."""
        _prepare(self.source, self.out, replaced="prepare", check_inputs=True)
        cohort = Cohort(self.out)
        assert cohort.verify() == []
        rows = {row["id"]: row for row in cohort.outcomes.to_pylist()}
        assert set(rows) == set(self.files)
        assert cohort.status()["missing"] == cohort.status()["unfinished"] == 0
        for name, seed in self.files.items():
            content = (self.source / f"{name}.cwa").read_bytes()
            assert rows[name]["status"] == ("failed" if seed is None else "ok"), rows[name]
            assert rows[name]["source_sha256"] == hashlib.sha256(content).hexdigest()
            if seed is not None:
                self._is_recording(cohort, name, seed)
        self.replaced.clear()

    @staticmethod
    def _is_recording(cohort: Cohort, name: str, seed: int) -> None:
        samples = cohort.read(name)
        drawn = np.random.default_rng(seed).normal(0, 0.1, samples.shape).astype(np.float32)
        measured = np.isfinite(samples)
        assert np.count_nonzero(~measured) == 15
        assert np.abs(samples - drawn)[measured].max() < 0.0005

    @rule(name=st.sampled_from(["p0", "p1", "p2", "p3"]), seed=st.one_of(st.none(), st.integers(0, 3)))
    def write_a_source(self, name: str, seed: int | None) -> None:
        seed = None if seed is None else 4 * int(name[1:]) + seed  # no two files have the same bytes
        if self.files.get(name, ...) != seed:
            self.replaced |= {name} & set(self.files)
            self._say(name, seed)

    @rule()
    def run_to_the_end(self) -> None:
        self._finish()

    @rule(after=st.integers(0, 120))
    def run_and_be_killed(self, after: int) -> None:
        options = {"replaced": "prepare", "check_inputs": True}
        code = _killed(lambda: _prepare(self.source, self.out, **options), self.out, after)
        assert code in (0, KILLED)

    @rule(number=st.integers(1, 2), after=st.one_of(st.none(), st.integers(0, 80)))
    def run_a_share(self, number: int, after: int | None) -> None:
        options = {"replaced": "prepare", "check_inputs": True, "shard": (number, 2)}
        if after is None:
            _prepare(self.source, self.out, **options)
        else:
            assert _killed(lambda: _prepare(self.source, self.out, **options), self.out, after) in (0, KILLED)

    @precondition(lambda self: self.out.exists() and (self.out / "zarr.json").exists())
    @rule(after=st.one_of(st.none(), st.integers(0, 40)))
    def merge(self, after: int | None) -> None:
        def write() -> None:
            store = CohortStore(self.out)
            with lock_of(self.out) as store.fence:
                store.write_tables()
                store.close()

        if after is None:
            write()
            assert [p for p in Cohort(self.out).verify() if not p[1].startswith("unfinished")] == []
        else:
            assert _killed(write, self.out, after) in (0, KILLED)

    @precondition(lambda self: self.out.exists())
    @rule(total=st.integers(1, 3))
    def start_a_second_writer(self, total: int) -> None:
        number = 1
        (self.source / "new.cwa").write_text("{}")  # so that there is something to do
        try:
            with lock_of(self.out):
                before = _tree(self.out)
                with pytest.raises(InUseError, match=f"process {os.getpid()} on"):
                    _prepare(self.source, self.out, replaced="prepare", shard=(number, total))
                assert _tree(self.out) == before
        finally:
            (self.source / "new.cwa").unlink()

    @invariant()
    def what_is_there_is_whole(self) -> None:
        if not hasattr(self, "out") or not (self.out / "zarr.json").exists():
            return
        cohort = Cohort(self.out)
        harmless = ("unfinished", "it is not in the manifest", "it is missing: run `imuspec cohort merge`")
        assert [problem for problem in cohort.verify() if not problem[1].startswith(harmless)] == []
        for row in cohort.outcomes.to_pylist():
            assert row["id"] in self.files
            if row["status"] == "ok":
                cohort.read(row["id"])


CohortMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("IMUSPEC_TEST_MODELS", "8")),
    stateful_step_count=10,
    deadline=None,
    phases=[Phase.generate],  # a run takes a second: what fails is short enough as it is
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
TestACohortAgreesWithItsModel = CohortMachine.TestCase

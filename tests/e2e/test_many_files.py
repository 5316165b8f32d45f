"""Many files into one cohort: the same bytes whichever way, whatever dies."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

import stub_native
from gate import PATIENCE_S, Gate
from imuspec import Cohort
from imuspec.cluster import LocalEngine, Summary
from imuspec.cohort.lock import CohortLock, InUseError
from run_stub_cohort import RECIPE
from stub_files import start, tree, wait_for, write_stub


def _run(source: Path, out: Path, **options: object) -> Summary:
    options = {"workers": 1, "recipe": RECIPE, **options}
    return stub_native.prepare_stub_cohort([source], out, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stub(tmp_path_factory.mktemp("stubs") / "in")


@pytest.fixture(scope="module")
def whole(stubs: Path) -> Path:
    """The cohort of one undisturbed run of one worker."""
    out = stubs.parent / "whole"
    summary = _run(stubs, out)
    assert [summary.count(status) for status in ("ok", "excluded", "failed")] == [8, 2, 1]
    return out


def test_a_finished_cohort_has_nothing_of_the_work_in_it(whole: Path) -> None:
    assert sorted(path.name for path in whole.iterdir()) == [
        "acceleration",
        "inputs.parquet",
        "manifest.json",
        "nonwear.parquet",
        "outcomes.parquet",
        "parts",
        "quality.parquet",
        "recipe.json",
        "recordings.parquet",
        "segments.parquet",
        "zarr.json",
    ]
    assert Cohort(whole).verify() == []


def test_two_workers_write_the_bytes_of_one(stubs: Path, whole: Path, tmp_path) -> None:
    _run(stubs, tmp_path / "out", workers=2)
    assert tree(tmp_path / "out") == tree(whole)


def test_shares_in_any_order_write_the_bytes_of_one_run(stubs: Path, whole: Path, tmp_path) -> None:
    for number in (3, 1):
        _run(stubs, tmp_path / "out", shard=(number, 3))
        assert not (tmp_path / "out" / "outcomes.parquet").exists()
        assert len(Cohort(tmp_path / "out").outcomes) in (3, 7, 8)
    _run(stubs, tmp_path / "out", shard=(2, 3))
    assert tree(tmp_path / "out") == tree(whole)


def test_killed_again_and_again_it_is_the_same_cohort_in_the_end(stubs: Path, whole: Path, tmp_path) -> None:
    out, names = tmp_path / "out", ["broken", *(f"r{number}" for number in range(8))]
    for n_done in (1, 3, 6):
        gate = Gate(tmp_path / "gate", *names[:n_done])
        process = start(stubs, out, workers=2, resume=True, gate=gate)
        wait_for(process, n_done)
        process.kill()  # its workers are in the middle of the next two files, and end as they please
        gate.open()
        process.communicate()
        assert n_done <= len(Cohort(out).outcomes) < 11
        assert [problem for problem in Cohort(out).verify() if "unfinished" not in problem[1]] == []
    process = start(stubs, out, workers=2, resume=True)
    message, trouble = process.communicate(timeout=PATIENCE_S)
    assert message.endswith("done\n"), trouble
    assert tree(out) == tree(whole)


def test_a_second_run_does_nothing_and_changes_nothing(stubs: Path, whole: Path) -> None:
    before = tree(whole)
    with pytest.raises(ValueError, match="--resume"):
        _run(stubs, whole)
    with pytest.raises(ValueError, match="another recipe needs another folder"):
        _run(stubs, whole, resume=True, recipe=RECIPE.set("segments.min_wear_h=0.06"))
    assert not (whole / ".work").exists()
    summary = _run(stubs, whole, resume=True)
    assert (summary.done_before, summary.outcomes) == (11, [])
    assert tree(whole) == before


def test_a_worker_that_dies_once_costs_nothing_and_one_that_always_dies_is_named(tmp_path) -> None:
    source = write_stub(tmp_path / "in", n=2)
    (source / "once.cwa").write_text(json.dumps({"hours": 0.2, "kill": "once"}))
    (source / "always.cwa").write_text(json.dumps({"hours": 0.2, "kill": "always"}))
    summary = _run(source, tmp_path / "out", workers=2)
    outcomes = {outcome.id: outcome for outcome in summary.outcomes}
    assert outcomes["once"].status == "ok"
    assert outcomes["always"].status == "failed"
    assert "killed, twice" in outcomes["always"].reason
    assert len(outcomes) == 7
    assert Cohort(tmp_path / "out").verify() == []


def test_a_stop_finishes_what_is_under_way_and_resume_does_the_rest(tmp_path) -> None:
    source = write_stub(tmp_path / "in", n=6)
    out, gate = tmp_path / "out", Gate(tmp_path / "gate", "broken", "r0")
    process = start(source, out, gate=gate, workers=1)
    wait_for(process, 2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers too
    gate.open()
    message, trouble = process.communicate(timeout=PATIENCE_S)
    assert message.endswith("interrupted\n"), trouble
    assert process.returncode == 0
    assert trouble == ""
    done = len(Cohort(out).outcomes)
    assert 2 <= done < 9
    assert Cohort(out).verify() == []
    summary = _run(source, out, resume=True)
    assert (summary.done_before, len(summary.outcomes)) == (done, 9 - done)
    assert not (out / ".work").exists()


def test_two_runs_on_one_cohort_at_once_the_second_says_so(tmp_path) -> None:
    source = write_stub(tmp_path / "in", n=2)
    out, gate = tmp_path / "out", Gate(tmp_path / "gate", "broken")
    process = start(source, out, gate=gate, workers=2)
    wait_for(process, 1)
    with pytest.raises(InUseError, match=f"process {process.pid} on "):
        _run(source, out, resume=True)
    with pytest.raises(InUseError, match="1of1"):
        _run(source, out, resume=True, shard=(1, 2))
    gate.open()
    message, trouble = process.communicate(timeout=PATIENCE_S)
    assert message.endswith("done\n"), trouble
    assert Cohort(out).verify() == []


def test_shares_may_run_side_by_side(stubs: Path, whole: Path, tmp_path) -> None:
    runs = [start(stubs, tmp_path / "out", workers=1, shard=f"{number}/2") for number in (1, 2)]
    for process in runs:
        message, trouble = process.communicate(timeout=PATIENCE_S)
        assert message.endswith("done\n"), trouble
    assert tree(tmp_path / "out") == tree(whole)


def test_the_lock_of_a_dead_run_is_taken_over(tmp_path) -> None:
    (tmp_path / ".lock").mkdir()
    (tmp_path / ".lock" / "1of1").write_text('{"host": "elsewhere", "pid": 1}')
    with CohortLock(tmp_path), pytest.raises(InUseError), CohortLock(tmp_path):
        pass
    assert not (tmp_path / ".lock").exists()


def test_files_of_one_name_are_both_kept(tmp_path) -> None:
    for folder in ("p", "q"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        (tmp_path / "in" / folder / "x.cwa").write_text(json.dumps({"hours": 0.2, "seed": ord(folder)}))
    _run(tmp_path / "in", tmp_path / "out")
    cohort = Cohort(tmp_path / "out")
    assert len(cohort) == 2
    assert sorted(cohort.outcomes["source"].to_pylist()) == ["p/x.cwa", "q/x.cwa"]


def test_a_file_that_changed_is_not_taken_for_the_one_that_is_kept(tmp_path) -> None:
    source = write_stub(tmp_path / "in", n=1)
    _run(source, tmp_path / "out")
    (source / "broken.cwa").write_text(json.dumps({"hours": 0.2}))  # mended: prepared again
    assert [o.status for o in _run(source, tmp_path / "out", resume=True).outcomes] == ["ok"]
    (source / "r0.cwa").write_text(json.dumps({"hours": 0.25, "seed": 7}))
    with pytest.raises(ValueError, match=r"recording r0 was prepared from \(r0\.cwa, 25 bytes\)"):
        _run(source, tmp_path / "out", resume=True)


def test_what_failed_is_tried_again_on_request(tmp_path) -> None:
    source = write_stub(tmp_path / "in", n=1)
    _run(source, tmp_path / "out")
    again = _run(source, tmp_path / "out", resume=True, retry_failed=True)
    assert [(outcome.id, outcome.status) for outcome in again.outcomes] == [("broken", "failed")]


def _square(number: int) -> int:
    if number == 3:
        raise RuntimeError("three")
    if number == 4:
        raise OSError(28, "No space left on device")
    return number * number


def test_an_error_of_the_work_is_that_items_answer_and_a_full_disk_ends_the_run() -> None:
    matches = {item: (result, reason) for item, result, reason in LocalEngine(2).map(_square, [1, 2, 3])}
    assert matches == {1: (1, ""), 2: (4, ""), 3: (None, "internal error: RuntimeError: three")}
    with pytest.raises(OSError, match="No space"):
        list(LocalEngine(1).map(_square, [4, 1]))
    with pytest.raises(ValueError, match="at least 1"):
        LocalEngine(0)

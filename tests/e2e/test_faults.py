"""What goes wrong on the third day: after each fault every recording is there once and whole, or named with its reason."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

import stub_native
from gate import PATIENCE_S, Gate
from imuspec import Cohort, Prepared, Recipe, prepare
from imuspec.cluster import Limits, LocalEngine, Summary, prepare_cohort
from imuspec.cohort.parts import sealed
from imuspec.simulation import simulate
from run_stub_cohort import RECIPE
from stub_files import start, tree, wait_for, write_stub


def _run(source: Path, out: Path, **options: object) -> Summary:
    return stub_native.prepare_stub_cohort([source], out, **{"workers": 1, "recipe": RECIPE, **options})


def _reasons(out: Path) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in Cohort(out).outcomes.to_pylist() if row["status"] == "failed"}


def test_a_recording_beyond_a_limit_is_named_and_takes_no_other_with_it(tmp_path: Path) -> None:
    source = write_stub(tmp_path / "in", n=4)
    (source / "greedy.cwa").write_text(json.dumps({"memory_mb": 2000}))
    (source / "endless.cwa").write_text(json.dumps({"sleep_s": 86_400}))
    summary = _run(source, tmp_path / "out", engine=LocalEngine(2, limits=Limits(600_000_000, 10.0)))
    assert [summary.count(status) for status in ("ok", "excluded", "failed")] == [4, 2, 3]
    reasons = _reasons(tmp_path / "out")
    assert reasons["endless"] == "took longer than the time limit of 10 s"
    assert reasons["greedy"].endswith("MB of memory, the limit is 600 MB")
    assert 600 <= float(reasons["greedy"].split()[1]) < 1200
    assert Cohort(tmp_path / "out").verify() == []


@pytest.mark.parametrize(
    ("memory", "time_", "expected"),
    [
        ("4GB", None, Limits(4_000_000_000, None)),
        ("512MiB", "15m", Limits(512 << 20, 900.0)),
        (None, "2h", Limits(None, 7200.0)),
        (None, "90", Limits(None, 90.0)),
    ],
)
def test_limits_are_read_as_people_write_them(memory: str | None, time_: str | None, expected: Limits) -> None:
    assert Limits.parse(memory, time_) == expected


@pytest.mark.parametrize(("memory", "time_"), [("much", None), (None, "soon"), ("0B", None), (None, "-3"), (None, "")])
def test_a_limit_that_is_none_is_refused(memory: str | None, time_: str | None) -> None:
    with pytest.raises(ValueError, match=r"(memory|time) limit: expected"):
        Limits.parse(memory, time_)


def test_a_full_disk_ends_the_run_and_resume_goes_on_when_there_is_room(tmp_path: Path) -> None:
    source = write_stub(tmp_path / "in", n=12)
    _run(source, tmp_path / "whole")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        with pytest.raises(OSError, match="No space left") as full:
            _run(source, disk / "out")
        assert str(full.value.filename).startswith(str(disk / "out"))
        done = len(Cohort(disk / "out").outcomes)
        assert 1 <= done < 15
        assert Cohort(disk / "out").status()["missing"] == 15 - done
        assert [problem for problem in Cohort(disk / "out").verify() if "unfinished" not in problem[1]] == []
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        summary = _run(source, disk / "out", resume=True)
        assert (summary.done_before, summary.n_done) == (done, 15)
        assert tree(disk / "out") == tree(tmp_path / "whole")
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_source_that_vanishes_or_cannot_be_read_is_named(tmp_path: Path) -> None:
    source = write_stub(tmp_path / "in", n=6)
    (source / "unreadable.cwa").symlink_to("/proc/self/mem")  # opens, and refuses the first byte
    gate = Gate(tmp_path / "gate", "broken", "r0")
    process = start(source, tmp_path / "out", gate=gate, workers=1)
    wait_for(process, 1)
    (source / "r5.cwa").unlink()
    gate.open()
    message, trouble = process.communicate(timeout=PATIENCE_S)
    assert message.endswith("done\n"), trouble
    reasons = _reasons(tmp_path / "out")
    assert set(reasons) == {"broken", "r5", "unreadable"}
    assert "no such file" in reasons["r5"].lower()
    assert "input/output error" in reasons["unreadable"].lower()
    assert Cohort(tmp_path / "out").verify() == []


def _prepare_while_it_is_cut(path: str, recipe: Recipe) -> Prepared:
    """Prepare for real, and cut the file to a third in the first half of its reading: again until that was seen."""
    whole = Path(path).read_bytes()
    for _ in range(50):
        Path(path).write_bytes(whole)
        cut, ended = threading.Event(), threading.Event()
        cutting = threading.Thread(target=_cut_while_it_is_read, args=(path, len(whole), cut, ended))
        cutting.start()
        prepared = prepare(path, recipe)
        ended.set()
        cutting.join()
        if cut.is_set():
            return prepared
    raise AssertionError("the file was never seen half read")


def _cut_while_it_is_read(path: str, size: int, cut: threading.Event, ended: threading.Event) -> None:
    """Cut a file to a third once this process has read some of it, but not half."""
    while not ended.is_set():
        for descriptor in Path("/proc/self/fd").iterdir():
            try:
                if str(descriptor.readlink()) == path:
                    position = int(Path(f"/proc/self/fdinfo/{descriptor.name}").read_text().split()[1])
                    if 0 < position < size // 2:
                        os.truncate(path, size // 3)
                        cut.set()
                        return
            except OSError:
                continue


def _prepare_file_while_it_is_cut(job: Any) -> Any:
    return stub_native.prepare_file_with(_prepare_while_it_is_cut, job)


@pytest.mark.skipif(not Path("/proc/self/fdinfo").exists(), reason="this system does not show how far a file was read")
def test_a_source_cut_short_while_it_is_read_gives_what_was_there(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    simulate(source / "whole.cwa", days=1.0, seed=3)
    shutil.copy(source / "whole.cwa", source / "cut.cwa")
    recipe = Recipe.load("ukb").set("segments.min_wear_h=1", "calibration.required=false")
    prepare_cohort([source / "whole.cwa"], tmp_path / "out", recipe=recipe, workers=1)
    engine = stub_native.StubEngine(LocalEngine(1), _prepare_file_while_it_is_cut)
    prepare_cohort([source / "cut.cwa"], tmp_path / "out", recipe=recipe, engine=engine, duplicates="prepare")
    cohort = Cohort(tmp_path / "out")
    hours = {row["id"]: row["duration_h"] for row in cohort.recordings.to_pylist()}
    assert hours["whole"] == pytest.approx(24, abs=0.2)
    assert 0 < hours["cut"] < 23
    assert cohort.verify() == []


def test_a_cohort_of_an_older_version_is_left_as_it_is(tmp_path: Path) -> None:
    source = write_stub(tmp_path / "in", n=1)
    _run(source, tmp_path / "out")
    marker = tmp_path / "out" / "zarr.json"
    marker.write_text(marker.read_text().replace('"version": 1', '"version": 0'))
    before = tree(tmp_path / "out")
    for attempt in (lambda: _run(source, tmp_path / "out", resume=True), lambda: Cohort(tmp_path / "out")):
        with pytest.raises(ValueError, match=r"expected version 1, got 0, which is older: prepare it again"):
            attempt()
    assert tree(tmp_path / "out") == before


def test_parts_that_an_older_release_wrote_with_fewer_figures_are_taken_up(tmp_path: Path) -> None:
    source = write_stub(tmp_path / "in", n=2)
    _run(source, tmp_path / "out")
    path = tmp_path / "out" / "parts" / "r0.json"
    part = json.loads(path.read_text())
    for newer in ("n_clipped", "calibration_reason", "quality_gap"):
        del part["recording"][newer]
    path.write_bytes(sealed({key: value for key, value in part.items() if key != "sealed"}))
    (source / "later.cwa").write_text(json.dumps({"hours": 0.2, "seed": 9}))
    summary = _run(source, tmp_path / "out", resume=True)
    assert [outcome.id for outcome in summary.outcomes] == ["later"]
    cohort = Cohort(tmp_path / "out")
    rows = {row["id"]: row for row in cohort.recordings.to_pylist()}
    assert (rows["r0"]["n_clipped"], rows["r1"]["n_clipped"]) == (None, 0)
    assert cohort.verify() == []


def test_what_was_changed_after_it_was_written_is_found(tmp_path: Path) -> None:
    _run(write_stub(tmp_path / "in", n=3), tmp_path / "out")
    out = tmp_path / "out"
    chunk = next(path for path in (out / "acceleration" / "r0" / "c").rglob("*") if path.is_file())
    damaged = bytearray(chunk.read_bytes())
    damaged[100] ^= 1
    chunk.write_bytes(damaged)
    shutil.rmtree(out / "acceleration" / "r1")
    (out / "acceleration" / "stray").mkdir()
    problems = dict(Cohort(out).verify())
    assert "checksum differs" in problems.pop("r0")
    assert "missing" in problems.pop("r1")
    assert "unfinished" in problems.pop("stray")
    assert problems == {}

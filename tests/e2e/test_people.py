"""Every input is one recording: replaced, doubled, missing and odd files are noticed and named."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import stub_native
from imuspec import Cohort
from imuspec.cluster import Summary, pool
from imuspec.cluster.limits import Limits
from imuspec.cluster.pool import Pool
from imuspec.cohort.store import CohortStore
from run_stub_cohort import RECIPE
from stub_files import environment, tree


def _write_stub(path: Path, **message: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"hours": 0.2, **message}))
    return path


def _run(source: Path, out: Path, **options: object) -> Summary:
    summary: Summary = stub_native.prepare_stub_cohort([source], out, workers=1, recipe=RECIPE, **options)
    return summary


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    _write_stub(tmp_path / "in" / "p1.cwa", seed=1)
    _write_stub(tmp_path / "in" / "p2.cwa", seed=2)
    _run(tmp_path / "in", tmp_path / "out")
    return tmp_path / "out"


def test_a_file_replaced_by_one_of_the_same_size_is_noticed(cohort: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "p2.cwa").touch()  # newer, and the same bytes
    assert _run(source, cohort, resume=True).outcomes == []
    before = (source / "p1.cwa").stat()
    _write_stub(tmp_path / "new.cwa", seed=9)
    os.utime(tmp_path / "new.cwa", ns=(before.st_atime_ns, before.st_mtime_ns))
    (tmp_path / "new.cwa").replace(source / "p1.cwa")
    with pytest.raises(ValueError, match=r"p1\.cwa: expected the file that recording p1 was prepared from"):
        _run(source, cohort, resume=True)
    again = _run(source, cohort, resume=True, replaced="prepare")
    assert [outcome.id for outcome in again.outcomes] == ["p1"]
    assert Cohort(cohort).verify() == []


def test_copies_are_named_and_not_prepared_twice(cohort: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    shutil.copy(source / "p1.cwa", source / "a copy of p1.cwa")
    summary = _run(source, cohort, resume=True)
    assert [(o.status, o.reason) for o in summary.outcomes] == [("excluded", "the same bytes as p1")]
    rows = {row["source"]: row for row in Cohort(cohort).outcomes.to_pylist()}
    assert rows["a copy of p1.cwa"]["duplicate_of"] == "p1"
    assert (
        rows["a copy of p1.cwa"]["source_sha256"] == rows["p1.cwa"]["source_sha256"] != rows["p2.cwa"]["source_sha256"]
    )
    assert Cohort(cohort).ids == ["p1", "p2"]
    assert [o.status for o in _run(source, cohort, resume=True, duplicates="prepare").outcomes] == ["ok"]


def test_a_copy_is_prepared_once_its_original_has_other_bytes(cohort: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    for name in ("a copy", "z copy"):  # the ids of copies come before and after that of the original
        shutil.copy(source / "p2.cwa", source / f"{name}.cwa")
    _run(source, cohort, resume=True)
    assert {row["duplicate_of"] for row in Cohort(cohort).outcomes.to_pylist()} == {None, "p2"}
    assert _run(source, cohort, resume=True).outcomes == []
    _write_stub(source / "p2.cwa", seed=77)
    assert {o.status for o in _run(source, cohort, resume=True, replaced="prepare").outcomes} == {"ok", "excluded"}
    rows = {row["source"]: row for row in Cohort(cohort).outcomes.to_pylist()}
    assert rows["p2.cwa"]["status"] == rows["a copy.cwa"]["status"] == "ok"
    assert rows["z copy.cwa"]["duplicate_of"] == rows["a copy.cwa"]["id"]
    assert len(Cohort(cohort).ids) == 3


def test_files_that_come_and_go_change_no_id_and_are_listed(cohort: Path, tmp_path: Path) -> None:
    _write_stub(tmp_path / "in" / "p1.bin", seed=3)
    _write_stub(tmp_path / "other" / "p2.cwa", seed=4)
    (tmp_path / "in" / "notes.pdf").write_text("x")
    stub_native.prepare_stub_cohort(
        [tmp_path / "in", tmp_path / "other"], cohort, workers=1, recipe=RECIPE, resume=True
    )
    ids = Cohort(cohort).ids
    assert len(ids) == 4
    assert {"p1", "p2"} < set(ids)
    (tmp_path / "in" / "p1.cwa").unlink()
    summary = _run(tmp_path / "in", cohort, resume=True)
    assert any("p1.cwa" in note and "no longer among the inputs" in note for note in summary.notes)
    assert any("notes.pdf (not the ending of a device file)" in note for note in summary.notes)
    status = Cohort(cohort).status()
    assert status["passed_over"] == 1
    assert "p1" in status["not_given_ids"]
    assert Cohort(cohort).verify() == []


def test_what_cannot_be_opened_is_the_outcome_of_that_file(tmp_path: Path) -> None:
    source = tmp_path / "in"
    _write_stub(source / "good.cwa")
    os.mkfifo(source / "fifo.cwa")
    _write_stub(Path(os.fsdecode(os.fsencode(source) + b"/caf\xe9.cwa")), seed=1)
    _write_stub(source / ("x" * 240 + ".bin"), seed=2)
    _write_stub(source / "new\nline\x1b[31m.cwa", seed=3)
    (tmp_path / "list.txt").write_text("in\nmissing.cwa\n")
    summary = _run(tmp_path / "list.txt", tmp_path / "out")
    reasons = {o.name: o.reason for o in summary.outcomes if o.status != "ok"}
    assert reasons == {"fifo.cwa": "expected a regular file, got a FIFO", "missing.cwa": "no such file"}
    assert summary.count("ok") == 4
    assert all(outcome.name.isprintable() for outcome in summary.outcomes)
    cohort = Cohort(tmp_path / "out")
    assert cohort.verify() == []
    assert cohort.status()["total"] == 6
    assert _run(tmp_path / "list.txt", tmp_path / "out", resume=True).outcomes == []


def test_a_torn_edited_or_copied_file_is_named(cohort: Path) -> None:
    parts = cohort / "parts"
    whole = {path: path.read_bytes() for path in cohort.rglob("*") if path.is_file()}

    def problems() -> dict[str, str]:
        result = dict(Cohort(cohort).verify())
        for path, content in whole.items():
            path.write_bytes(content)
        return result

    (parts / "p1.json").write_text("{")
    assert str(parts / "p1.json") in problems()["p1"]
    (parts / "p1.json").write_bytes(whole[parts / "p1.json"].replace(b'"wear_h": 0.', b'"wear_h": 7.'))
    assert "checksum differs" in problems()["p1"]
    (parts / "p9.json").write_bytes(whole[parts / "p1.json"])
    assert "expected the part of p9, got that of 'p1'" in problems()["p9"]
    (parts / "p9.json").unlink()
    array = cohort / "acceleration" / "p1" / "zarr.json"
    array.write_bytes(whole[array].replace(b"0.000625", b"0.001250"))
    assert "zarr.json is not what was written" in problems()["p1"]
    for name in ("recipe.json", "segments.parquet", "acceleration/zarr.json", "inputs.parquet", "manifest.json"):
        content = bytearray(whole[cohort / name])
        content[-2] ^= 1
        (cohort / name).write_bytes(content)
        assert name in problems()
    shutil.rmtree(cohort / "acceleration" / "p2")
    (parts / "p2.json").unlink()
    assert dict(Cohort(cohort).verify()) == {"parts/p2.json": "it is missing"}


def test_merge_does_not_take_up_an_edited_part(cohort: Path) -> None:
    part = cohort / "parts" / "p1.json"
    part.write_bytes(part.read_bytes().replace(b'"wear_h": 0.', b'"wear_h": 7.'))
    with pytest.raises(ValueError, match=r"parts/p1\.json: expected the content that imuspec wrote"):
        CohortStore(cohort).write_tables()


def test_status_and_verify_need_no_pandas_and_no_place_to_write(cohort: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked" / "pandas"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("raise ImportError('no pandas here')")
    env = environment()
    env["PYTHONPATH"] = f"{blocked.parent}{os.pathsep}{env['PYTHONPATH']}"
    before = tree(cohort)
    for command in ("status", "verify"):
        done = subprocess.run(
            [sys.executable, "-m", "imuspec.cli", "cohort", command, str(cohort)],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert tree(cohort) == before


def test_a_finished_cohort_is_resumed_without_a_write(cohort: Path, tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "read-only file system")

    monkeypatch.setattr("imuspec.cohort.parts.write_atomically", refuse)
    monkeypatch.setattr("imuspec.cluster.preparing.lock_of", refuse)
    summary = _run(tmp_path / "in", cohort, resume=True)
    assert (summary.total, summary.done_before, summary.outcomes) == (2, 2, [])


def test_status_knows_what_a_full_disk_left_undone(tmp_path: Path, monkeypatch) -> None:
    for n in range(3):
        _write_stub(tmp_path / "in" / f"p{n}.cwa", seed=n)
    monkeypatch.setattr(stub_native.StubEngine, "crew", lambda *_: (_ for _ in ()).throw(OSError(28, "no space")))
    with pytest.raises(OSError, match="no space"):
        _run(tmp_path / "in", tmp_path / "out")
    assert Cohort(tmp_path / "out").status()["missing"] == 3


def _dies(item: object) -> None:
    print("libfoo: cannot allocate", file=sys.stderr, flush=True)
    if isinstance(item, signal.Signals):
        os.kill(os.getpid(), item)
    os._exit(3)


@pytest.mark.parametrize(
    ("item", "kills", "reason"),
    [
        (1, (0, 0), "its process ended, twice, with code 3"),
        (signal.SIGSEGV, (0, 0), "its process died, twice, by SIGSEGV"),
        (signal.SIGKILL, (0, 0), "its process was killed, twice, by SIGKILL, most often because memory ran out"),
        (signal.SIGKILL, (1, 0), "its process was killed, twice, by the system for memory"),
        (signal.SIGKILL, (0, 1), "its process was killed, twice, by SIGKILL, and the machine ran out of memory"),
    ],
)
def test_a_worker_that_dies_says_why(item: object, kills: tuple[int, int], reason: str, monkeypatch) -> None:
    with Pool(_dies, 1, Limits()) as processes:
        monkeypatch.setattr(pool, "_kills_for_memory", lambda: kills)
        monkeypatch.setattr(processes, "_kills_for_memory", (0, 0))
        processes.begin(item)
        while not (ended := list(processes.finished(1.0))):
            pass
    assert ended[0].died
    assert ended[0].reason == f"{reason}: libfoo: cannot allocate"


@pytest.mark.skipif(not Path("/proc/vmstat").exists(), reason="the system counts no such kills")
def test_kills_for_memory_in_the_group_are_counted_apart_from_those_of_the_machine(monkeypatch) -> None:
    texts = {"/proc/self/cgroup": "0::/job\n", "/sys/fs/cgroup/job/memory.events": "oom 2\noom_kill 3\n"}
    texts["/proc/vmstat"] = "oom_kill 5\n"

    def read_text(path: Path, *_: object) -> str:
        if str(path) not in texts:
            raise FileNotFoundError(path)
        return texts[str(path)]

    assert min(pool._kills_for_memory()) >= 0
    monkeypatch.setattr(Path, "read_text", read_text)
    assert pool._kills_for_memory() == (3, 0)
    del texts["/sys/fs/cgroup/job/memory.events"]
    assert pool._kills_for_memory() == (0, 5)
    texts.clear()
    assert pool._kills_for_memory() == (0, 0)


def test_a_recording_that_kills_its_process_has_the_reason_in_the_table(tmp_path: Path) -> None:
    _write_stub(tmp_path / "in" / "p1.cwa", kill="always")
    _run(tmp_path / "in", tmp_path / "out")
    [row] = Cohort(tmp_path / "out").outcomes.to_pylist()
    assert row["status"] == "failed"
    assert row["reason"].startswith("its process was killed, twice, ")


def test_a_package_that_a_worker_cannot_import_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import sys\n"
        "class Broken:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'pyarrow.parquet':\n"
        "            raise ImportError('libarrow.so.3: cannot open shared object file')\n"
        "if 'multiprocessing' in ' '.join(sys.orig_argv):\n"
        "    sys.meta_path.insert(0, Broken())\n"
    )
    _write_stub(tmp_path / "in" / "p1.cwa")
    env = environment()
    env["PYTHONPATH"] = f"{broken}{os.pathsep}{env['PYTHONPATH']}"
    command = [sys.executable, "-m", "imuspec.cli", "prepare", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    done = subprocess.run([*command, "--workers", "1"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    message = "a worker process cannot start: ImportError: libarrow.so.3: cannot open shared object file"
    assert done.stderr.splitlines()[-1] == f"error: {message}"


def test_a_worker_that_cannot_load_its_work_ends_the_run(monkeypatch) -> None:
    monkeypatch.setattr(_dies, "__module__", "no_such_module")
    with Pool(_dies, 1, Limits()) as pool:
        pool.begin(1)
        with pytest.raises(RuntimeError, match="cannot start: ModuleNotFoundError: No module named 'no_such_module'"):
            list(itertools.islice(itertools.chain.from_iterable(pool.finished(1.0) for _ in range(100)), 1))

"""imuspec cohort export: the rows, their times, a killed export, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from imuspec import Cohort, Recipe, cli, prepare
from imuspec.cluster import prepare_cohort
from imuspec.cohort import export
from imuspec.cohort.store import CohortStore
from imuspec.recording.inputs import InputFile
from imuspec.simulation import simulate

RECIPE = Recipe.load("capture24").set("segments.min_wear_h=0.05", "calibration.required=false")
COLUMNS = ["time_ns", "time", "x_g", "y_g", "z_g", "segment"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings of many gaps and a clock set back, one of them too short, and their cohort."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "in").mkdir()
    simulate(folder / "in" / "gaps.cwa", days=0.05, seed=1, damage=("lost", "restart"))
    simulate(folder / "in" / "back.cwa", days=0.05, seed=2, damage=("clock_back",))
    simulate(folder / "in" / "short.cwa", days=0.002, seed=3)
    prepare_cohort([folder / "in"], folder / "cohort", recipe=RECIPE)
    return folder


@pytest.fixture(autouse=True)
def small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several slabs for every recording."""
    monkeypatch.setattr(export, "_SLAB", 10_000)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def digests(folder: Path) -> dict[str, str]:
    """Name -> SHA-256 of every file of a folder, hidden ones too."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("identity", ["gaps", "back"])
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_the_rows_are_the_kept_wear_of_the_cohort_with_the_clock_of_the_recording(
    identity: str, kind: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("cohort", "export", made / "cohort", identity, "--out", tmp_path / "out", "--format", kind)
    assert run(capsys, *arguments)[0] == 0
    path = tmp_path / "out" / f"{identity}.{kind}"
    table = pq.read_table(path) if kind == "parquet" else csv.read_csv(path)
    assert table.column_names == COLUMNS
    prepared = Cohort(made / "cohort").prepared(identity)
    direct = prepare(made / "in" / f"{identity}.cwa", RECIPE)
    assert prepared.acceleration is not None
    wear = np.concatenate([np.arange(*pair) for pair in direct.segments.tolist()])
    values = prepared.acceleration[:, wear]
    for axis, name in zip(values, COLUMNS[2:5], strict=True):
        got = table[name].to_numpy(zero_copy_only=False).astype(np.float32)
        np.testing.assert_array_equal(got, axis)
    clock = np.array([direct.clock(index) for index in wear.tolist()])
    np.testing.assert_array_equal(table["time_ns"].to_numpy(), clock)
    unit = {"parquet": 1, "csv": 1_000_000}[kind]
    shown = table["time"].cast(pa.timestamp("ns")).cast(pa.int64()).to_numpy()
    np.testing.assert_array_equal(shown, clock // unit * unit)
    segment = np.repeat(np.arange(len(direct.segments)), np.diff(direct.segments).ravel())
    np.testing.assert_array_equal(table["segment"].to_numpy(), segment)
    if identity == "back":
        assert len(direct.shifts)
        assert (np.diff(clock) < 0).sum() == 1


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_what_was_not_measured_is_null_or_an_empty_field(kind: export.Format, made: Path, tmp_path: Path) -> None:
    direct = prepare(made / "in" / "back.cwa", RECIPE)
    assert direct.acceleration is not None
    direct.acceleration[:, 5:8] = np.nan
    direct.acceleration[1, 20] = np.nan
    store = CohortStore(tmp_path / "cohort")
    store.create(RECIPE)
    store.write(InputFile("back", direct.path, "back.cwa"), direct, source_sha256="", duplicate_of="")
    store.write_tables()
    (one,) = export.export_cohort(Cohort(tmp_path / "cohort"), tmp_path / "out", file_format=kind)
    assert one.path is not None
    table = pq.read_table(one.path) if kind == "parquet" else csv.read_csv(one.path)
    assert [table[name].null_count for name in ("x_g", "y_g", "z_g")] == [3, 4, 3]
    assert [row["y_g"] is None for row in table.slice(4, 5).to_pylist()] == [False, True, True, True, False]
    assert table["time_ns"].null_count == 0


def test_a_recording_that_is_not_kept_is_named_with_its_reason(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "cohort", "export", made / "cohort", "--out", tmp_path / "out", "--format", "csv")
    assert code == 0
    assert "short: left out, excluded: the longest stretch of wear" in err
    assert "wear of 2 of 3 recordings" in out
    rows = {row["id"]: row for row in csv.read_csv(tmp_path / "out" / "recordings.csv").to_pylist()}
    assert set(rows) == {"gaps", "back", "short"}
    assert "the recipe needs 0.05 h" in rows["short"]["reason"]
    assert (rows["gaps"]["file"], rows["gaps"]["status"]) == ("gaps.csv", "ok")
    assert rows["gaps"]["n_rows"] == csv.read_csv(tmp_path / "out" / "gaps.csv").num_rows
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "gaps.csv", "back.csv", "recordings.csv", "export.jsonl"
    }  # fmt: skip
    assert run(capsys, "cohort", "export", made / "cohort", "short", "--out", tmp_path / "other")[0] == 1


def test_json_lists_what_was_written(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "cohort", "export", made / "cohort", "--out", tmp_path / "out", "--json")
    rows = {row["id"]: row for row in json.loads(out)["recordings"]}
    assert code == 0
    assert rows["back"]["n_rows"] > 0
    assert Path(rows["back"]["path"]).is_file()
    assert (rows["short"]["path"], rows["short"]["reason"][:9]) == (None, "excluded:")


_KILLED = """
import os, sys
from imuspec import Cohort
from imuspec.cohort import export
export._SLAB = 10_000
whole = export._slabs
def slabs(cohort, identity, format):
    for number, table in enumerate(whole(cohort, identity, format)):
        if identity == "gaps" and number == 2:
            os.kill(os.getpid(), 9)
        yield table
export._slabs = slabs
export.export_cohort(Cohort(sys.argv[1]), sys.argv[2], file_format=sys.argv[3])
"""


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_killed_export_goes_on_and_gives_the_same_files(
    kind: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])}
    command = [sys.executable, "-c", _KILLED, str(made / "cohort"), str(out), kind]
    assert subprocess.run(command, env=environment, check=False).returncode == -9
    visible = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    assert visible == {f"back.{kind}", "export.jsonl"}
    with (out / "export.jsonl").open("a") as ledger:
        ledger.write('{"id": "ga')  # as a process that is killed while it writes leaves it
    before = (out / f"back.{kind}").stat().st_mtime_ns
    arguments = ("cohort", "export", made / "cohort", "--format", kind)
    code, _, err = run(capsys, *arguments, "--out", out)
    assert (code, "--resume" in err) == (2, True)
    code, _, err = run(capsys, *arguments, "--out", out, "--resume")
    assert code == 0
    assert "done before" in err
    assert (out / f"back.{kind}").stat().st_mtime_ns == before
    run(capsys, *arguments, "--out", whole)
    ours, theirs = digests(out), digests(whole)
    assert sorted(ours) == sorted(theirs)  # no temporary file is left
    del ours["export.jsonl"], theirs["export.jsonl"]
    assert ours == theirs


def test_a_file_that_was_cut_or_removed_is_written_again(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("cohort", "export", made / "cohort", "--out", tmp_path / "out", "--format", "csv")
    run(capsys, *arguments)
    before = digests(tmp_path / "out")
    (tmp_path / "out" / "gaps.csv").write_bytes(b"cut")
    (tmp_path / "out" / "back.csv").unlink()
    run(capsys, *arguments, "--resume")
    after = digests(tmp_path / "out")
    assert {k: v for k, v in after.items() if k != "export.jsonl"} == {
        k: v for k, v in before.items() if k != "export.jsonl"
    }


@pytest.mark.parametrize("identity", ["../gaps", "/etc/passwd", "gaps/..", "", "nobody", "gaps.csv", "-x"])
def test_an_id_that_the_cohort_does_not_have_is_refused_and_nothing_is_written(
    identity: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyError, match="expected one of its 3 recordings"):
        export.export_cohort(Cohort(made / "cohort"), tmp_path / "out", [identity])
    if not identity.startswith("-"):
        code, _, err = run(capsys, "cohort", "export", made / "cohort", identity, "--out", tmp_path / "out")
        assert (code, err.count("\n")) == (1, 1)
    assert list(tmp_path.iterdir()) == []


def test_the_cohort_is_only_read_and_out_is_not_inside_it(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digests(made / "cohort")
    assert run(capsys, "cohort", "export", made / "cohort", "--out", tmp_path / "out")[0] == 0
    for inside in (made / "cohort", made / "cohort" / "new"):
        code, _, err = run(capsys, "cohort", "export", made / "cohort", "--out", inside)
        assert (code, "outside the cohort" in err) == (2, True)
    assert digests(made / "cohort") == before


def test_a_folder_with_other_files_or_of_another_format_is_refused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.csv").write_text("x")
    code, _, err = run(capsys, "cohort", "export", made / "cohort", "--out", tmp_path / "mine", "--resume")
    assert (code, "thesis.csv" in err) == (2, True)
    arguments = ("cohort", "export", made / "cohort", "back", "--out", tmp_path / "out")
    run(capsys, *arguments, "--format", "csv")
    code, _, err = run(capsys, *arguments, "--format", "parquet", "--resume")
    assert (code, "expected csv" in err) == (2, True)


def test_a_recording_called_as_the_table_of_all_keeps_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    simulate(tmp_path / "in" / "recordings.cwa", days=0.01, seed=1)
    prepare_cohort([tmp_path / "in"], tmp_path / "cohort", recipe=RECIPE)
    (one,) = export.export_cohort(Cohort(tmp_path / "cohort"), tmp_path / "out")
    assert one.path == tmp_path / "out" / "_recordings.parquet"
    assert pq.read_table(one.path).column_names == COLUMNS
    assert "status" in pq.read_table(tmp_path / "out" / "recordings.parquet").column_names

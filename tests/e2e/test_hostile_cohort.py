"""A cohort that somebody prepared to do harm makes no command write outside of its output, and is not believed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import flips
import stub_native
from cohort_work import Faulty
from gate import PATIENCE_S
from imuspec import Cohort
from imuspec.cluster import compute
from imuspec.cohort.export import export_cohort
from imuspec.cohort.parts import sealed
from stub_files import environment, tree

PATHS = ["../../escaped", "..", "/tmp/imuspec-escaped", "a/b", "x\n", "zarr.json"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flips.make(tmp_path_factory.mktemp("whole"))[0]


@pytest.fixture
def cohort(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "a" / "b" / "cohort")
    return tmp_path / "a" / "b" / "cohort"


def _rename_in_tables(cohort: Path, identity: str) -> None:
    for path in cohort.glob("*.parquet"):
        table = pq.read_table(path)
        ids = [identity if value == "r1" else value for value in table["id"].to_pylist()]
        pq.write_table(table.set_column(table.schema.get_field_index("id"), "id", pa.array(ids, pa.string())), path)


def _rename_in_part(cohort: Path, identity: str) -> None:
    part = json.loads((cohort / "parts" / "r1.json").read_text())
    del part["sealed"]
    part["outcome"]["id"] = identity
    (cohort / "parts" / "r1.json").write_bytes(sealed(part))


@pytest.mark.parametrize("identity", PATHS)
@pytest.mark.parametrize("harm", [_rename_in_tables, _rename_in_part], ids=["tables", "part"])
def test_an_id_that_is_a_path_leads_no_command_outside(
    harm: Callable[[Path, str], None], identity: str, cohort: Path, tmp_path: Path
) -> None:
    harm(cohort, identity)
    assert Cohort(cohort).verify() != []
    before = tree(tmp_path)
    commands: list[Callable[[], Any]] = [
        lambda: compute(cohort, tmp_path / "out" / "results", Faulty(), engine=stub_native.InlineEngine()),
        lambda: export_cohort(Cohort(cohort), tmp_path / "out" / "export"),
        lambda: Cohort(cohort).read(identity),
    ]
    for command in commands:
        with contextlib.suppress(ValueError, KeyError):
            command()
    after = {name: digest for name, digest in tree(tmp_path).items() if not name.startswith("out/")}
    assert after == before
    names = {path.name.partition(".")[0] for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert "escaped" not in " ".join(names)
    assert not Path("/tmp/imuspec-escaped.json").exists()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"data_type": "float64", "fill_value": 0.0}, r"expected int16 \[3, time\]|expected an array of Zarr"),
        ({"shape": [3]}, "expected int16|expected an array of Zarr"),
        ({"shape": [-3, 5]}, "expected int16|expected an array of Zarr"),
        ({"shape": [3, -5]}, "expected a rate up to .* of 0 to"),
        ({"shape": [3, 1 << 70]}, "expected a rate up to .* of 0 to"),
        ({"codecs": [{"name": "pickle"}]}, "expected an array of Zarr"),
        ({"codecs": [{"name": "numcodecs.pickle"}]}, "expected an array of Zarr"),
        ({"data_type": "object"}, r"expected int16 \[3, time\]"),
        ({"zarr_format": 2}, "expected an array of Zarr"),
        ({"attributes": {}}, "expected the attributes of a recording"),
        ({"attributes": []}, "expected the attributes of a recording|expected an array of Zarr"),
    ],
)
def test_the_description_of_an_array_is_not_believed(change: dict[str, Any], problem: str, cohort: Path) -> None:
    path = cohort / "acceleration" / "r1" / "zarr.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ValueError, match=problem):
        Cohort(cohort).read("r1")


@pytest.mark.parametrize(
    "attributes",
    [
        {"rate_hz": 0},
        {"rate_hz": -1},
        {"rate_hz": 1e308},
        {"step_g": "nan"},
        {"step_g": None},
        {"step_g": 1e308},
        {"start_time": "x"},
        {"shifts": [1]},
    ],
)
def test_attributes_of_an_array_that_cannot_be_right_are_refused(attributes: dict[str, Any], cohort: Path) -> None:
    path = cohort / "acceleration" / "r1" / "zarr.json"
    described = json.loads(path.read_text())
    described["attributes"].update(attributes)
    path.write_text(json.dumps(described))
    with pytest.raises(ValueError, match="array r1: expected"):
        Cohort(cohort).read("r1")


def test_an_older_format_of_zarr_which_can_hold_pickles_is_not_opened(cohort: Path) -> None:
    folder = cohort / "acceleration" / "r1"
    (folder / "zarr.json").write_text("{")
    (folder / ".zarray").write_text(
        json.dumps(
            {
                "zarr_format": 2, "shape": [3, 2], "chunks": [3, 2], "dtype": "|O", "order": "C",
                "compressor": None, "fill_value": None, "filters": [{"id": "pickle"}],
            }
        )
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"zarr\.json: expected an array of Zarr"):
        Cohort(cohort).read("r1")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
@pytest.mark.parametrize(
    "name",
    [
        "zarr.json", "recipe.json", "manifest.json", "segments.parquet", "inputs.parquet", "parts/r1.json",
        "acceleration/r1/zarr.json", "acceleration/r1/c/0/0", "acceleration/zarr.json",
    ],
)  # fmt: skip
def test_a_fifo_in_place_of_a_file_is_reported_and_not_waited_for(name: str, cohort: Path) -> None:
    (cohort / name).unlink()
    os.mkfifo(cohort / name)
    code = "import sys, flips; from pathlib import Path; print(flips.problems(Path(sys.argv[1])))"
    command = [sys.executable, "-c", code, str(cohort)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    assert done.stdout != "[]\n"


@pytest.mark.parametrize(
    "change",
    [
        {"recording": "x"},
        {"recording": {"n_samples": 2**64}},
        {"recording": {"start_time": [[]]}},
        {"quality": [1]},
        {"quality": None},
        {"segments": {"a": {}}},
        {"segments": [{"start_index": "x"}]},
        {"outcome": "r1"},
        {"outcome": []},
    ],
    ids=str,
)
def test_a_part_of_another_form_is_an_error_with_its_place_also_if_its_checksum_is_right(
    change: dict[str, Any], cohort: Path
) -> None:
    part = json.loads((cohort / "parts" / "r1.json").read_text())
    del part["sealed"]
    changed = {
        name: {**part[name], **value} if isinstance(part[name], dict) and isinstance(value, dict) else value
        for name, value in change.items()
    }
    (cohort / "parts" / "r1.json").write_bytes(sealed({**part, **changed}))
    (cohort / "recordings.parquet").unlink()  # so that the tables are made of the parts
    assert Cohort(cohort).verify() != []
    uses: list[Callable[[], Any]] = [
        lambda: Cohort(cohort).prepared("r1"),
        lambda: Cohort(cohort).recordings,
        lambda: Cohort(cohort).status(),
    ]
    errors = []
    for use in uses:
        try:
            use()
        except ValueError as error:
            errors.append(str(error))
    assert errors
    assert [error for error in errors if "parts" not in error and "part r1" not in error] == []


def test_samples_that_cannot_be_decompressed_are_an_error_with_the_id(cohort: Path) -> None:
    path = cohort / "acceleration" / "r1" / "c" / "0" / "0"
    content = bytearray(path.read_bytes())
    content[8:400] = bytes(392)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="array r1: expected the content that imuspec wrote"):
        Cohort(cohort).read("r1")


@pytest.mark.parametrize("files", [3, [1], ["x"], None])
def test_a_manifest_of_another_form_is_a_problem_of_the_manifest(files: object, cohort: Path) -> None:
    (cohort / "manifest.json").write_bytes(sealed({"files": files}))
    assert [name for name, _ in Cohort(cohort).verify()] == ["manifest.json"]


def test_a_manifest_that_lists_files_elsewhere_is_reported_and_they_are_not_read(cohort: Path) -> None:
    manifest = json.loads((cohort / "manifest.json").read_text())
    listed = {**manifest["files"], "/dev/zero": "0", "../../../outside": "0"}
    (cohort / "manifest.json").write_bytes(sealed({"files": listed}))
    problem = "it is not below the folder of the manifest"
    assert Cohort(cohort).verify() == [("/dev/zero", problem), ("../../../outside", problem)]

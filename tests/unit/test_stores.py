"""tests/data/stores has a tiny cohort of every store version: each is opened, and the present version still writes as its own."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from imuspec import Cohort
from imuspec.cohort.store import VERSION

STORES = Path(__file__).parents[1] / "data" / "stores"
VERSIONS = sorted(int(path.name[1:]) for path in STORES.glob("v*"))
PRESENT = STORES / f"v{VERSION}"


def layout(folder: Path) -> dict[str, object]:
    """Return the files of a cohort; of each table its columns and types, of each JSON file its keys."""
    result: dict[str, object] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".parquet":
            result[name] = [(field.name, str(field.type)) for field in pq.read_schema(path)]
        elif path.suffix == ".json":
            result[name] = keys(json.loads(path.read_text("utf-8")))
        else:
            result[name] = "samples"
    return result


def keys(value: object) -> object:
    """Return the keys of nested mappings."""
    if isinstance(value, dict):
        return {key: keys(inner) for key, inner in sorted(value.items())}
    return [keys(inner) for inner in value] if isinstance(value, list) else ""


def test_every_store_version_has_its_tiny_cohort() -> None:
    assert list(range(1, VERSION + 1)) == VERSIONS, "run tests/data/stores/write_store.py and commit the new folder"
    for version in VERSIONS:
        files = [path for path in (STORES / f"v{version}").rglob("*") if path.is_file()]
        assert 5 < len(files) < 30
        assert sum(path.stat().st_size for path in files) < 60_000


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cohort_of_each_version_is_read_as_it_was_written(version: int, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(STORES / f"v{version}", tmp_path / "cohort"))
    cohort = Cohort(folder)
    status = dict(zip(*(cohort.outcomes.column(name).to_pylist() for name in ("id", "status")), strict=True))
    assert status == {"short": "excluded", "torn": "failed", "worn": "ok"}
    assert cohort.verify() == []
    samples = cohort.read("worn")
    assert samples.dtype == np.float32
    assert samples.shape == (3, 5386)
    # The samples in steps of 1/1600 g, so that the arithmetic of a processor does not matter; missing is the smallest int16.
    steps = np.where(np.isnan(samples), -32768, np.rint(samples / 0.000625)).astype("<i2")
    assert hashlib.sha256(steps.tobytes()).hexdigest() == (
        "49048bc1c5abd8e4a857b1dc9562226a0666fb794e94b56b66ee4a03b3e1261b"
    )
    assert int(np.isnan(samples).any(axis=0).sum()) == 436
    assert cohort.stretches("worn") == [(0, 2184), (2620, 5386)]
    assert {row["kind"]: row["count"] for row in cohort.quality.to_pylist()} == {"lost_blocks": 12, "gap": 1}
    assert str(cohort.start_time("worn")) == "2023-05-15T09:59:59.999991099"
    assert cohort.recipe.segments.min_wear_h == 0.01
    assert cohort.prepared("short").status == "excluded"
    assert [row["state"] for row in cohort.inputs.to_pylist()] == ["given"] * 3


def test_the_page_of_the_store_names_its_versions_files_and_attributes() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "cohort.md").read_text("utf-8")
    versions = page.partition("## Versions")[2].partition("\n## ")[0]
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", versions, re.MULTILINE)] == VERSIONS
    files = {path.name for path in PRESENT.iterdir() if path.is_file()}
    assert {name for name in files if f"\n  {name} " not in page} == set()
    for name in ("zarr.json", "acceleration/worn/zarr.json"):
        attributes = json.loads((PRESENT / name).read_text("utf-8"))["attributes"]
        assert [key for key in attributes if f"\n| `{key}` | " not in page] == []
    part = json.loads((PRESENT / "parts" / "worn.json").read_text("utf-8"))
    assert [key for key in part if f"`{key}`" not in page.partition("## Parts")[2]] == []


def test_the_present_version_writes_the_layout_of_its_tiny_cohort(tmp_path: Path) -> None:
    described = importlib.util.spec_from_file_location("write_store", STORES / "write_store.py")
    assert described is not None
    assert described.loader is not None
    script = importlib.util.module_from_spec(described)
    described.loader.exec_module(script)
    script.write_store(tmp_path / "cohort")
    assert layout(tmp_path / "cohort") == layout(PRESENT), "raise VERSION, and add a tiny cohort of the new version"

"""Whatever stands where an id should: no writer and no reader of a cohort or of results goes outside its folder."""

from __future__ import annotations

import importlib.util
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import flips
from imuspec import Cohort
from imuspec.cohort.results import Computed, Results, ResultStore
from imuspec.cohort.store import CohortStore
from imuspec.preparation import Prepared
from imuspec.recording.inputs import InputFile
from imuspec.storage import as_path
from run_stub_cohort import RECIPE

_PIECES = [
    "..",
    ".",
    "",
    "x",
    "parts",
    "/",
    "\\",
    "\0",
    "\n",
    "~",
    "$HOME",
    "C:",
    "%2e%2e",
    "\u2215",
    "\u202e",
    "a" * 300,
]
_HARMLESS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def _is_harmless(identity: str) -> bool:
    """Whether a text names one file of any file system, by rules that are written anew here."""
    plain = 0 < len(identity) <= 100 and set(identity) <= _HARMLESS
    return plain and identity[0] not in "._-" and identity != "zarr.json"


def _files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of change of every file below a folder."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


hostile = st.one_of(
    st.lists(st.sampled_from(_PIECES), min_size=1, max_size=6).map("/".join),
    st.lists(st.sampled_from(_PIECES), min_size=1, max_size=6).map("".join),
    st.text(max_size=20),
).filter(lambda identity: not _is_harmless(identity))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("made") / "a" / "b"
    folder.mkdir(parents=True)
    return flips.make(folder)


@pytest.fixture(scope="module", params=["folder", "object store"])
def stores(request: pytest.FixtureRequest, made: tuple[Path, Path]) -> Iterator[tuple[CohortStore, ResultStore]]:
    if request.param == "folder":
        yield CohortStore(made[0]), ResultStore(made[1])
        return
    if importlib.util.find_spec("upath") is None:
        pytest.skip("the extra cluster")
    root = f"memory://{uuid.uuid4().hex}"
    yield CohortStore(as_path(f"{root}/cohort")), ResultStore(as_path(f"{root}/results"))


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(identity=hostile)
@example(identity="../../x")
@example(identity="/etc/x")
@example(identity="zarr.json")
def test_no_writer_leaves_its_folder(
    identity: str, stores: tuple[CohortStore, ResultStore], made: tuple[Path, Path]
) -> None:
    store, results = stores
    attempts: list[Callable[[], Any]] = [
        lambda: store.write(InputFile(identity, "x", "x"), Prepared("x", identity, RECIPE, "failed", "why")),
        lambda: store.remove(identity),
        lambda: store.outcome(identity),
        lambda: results.write(identity, "", Computed(pa.table({"a": [1]}))),
        lambda: results.write_failure(identity, "", "why"),
        lambda: results.remove(identity),
        lambda: results.part(identity),
    ]
    before = _files(made[0].parents[2])
    for attempt in attempts:
        with pytest.raises(ValueError, match="expected an id"):
            attempt()
    assert _files(made[0].parents[2]) == before


@settings(max_examples=50, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(identity=hostile)
def test_no_reader_takes_a_path_for_an_id(identity: str, made: tuple[Path, Path]) -> None:
    reads: list[Callable[[], Any]] = [
        lambda: Cohort(made[0]).read(identity),
        lambda: Cohort(made[0]).start_time(identity),
        lambda: Results(made[1]).read(identity),
    ]
    for read in reads:
        with pytest.raises(KeyError, match="expected"):
            read()
    with pytest.raises(ValueError, match="expected an id"):
        Cohort(made[0]).prepared(identity)

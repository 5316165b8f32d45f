"""Results of a cohort: parts folded into tables some at a time."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imuspec.cohort import parts
from imuspec.cohort.results import Computed, Results, ResultStore


def _kept(folder: Path) -> ResultStore:
    remaining = ResultStore(folder)
    remaining.create("means", {})
    table = pa.table({"mean": [1.0, 2.0]})
    remaining.write("a", "aa", Computed(table, ({"day": "1", "minutes": 3},)))
    remaining.write("b", "bb", Computed(table))
    remaining.write(
        "c", "cc", Computed(table, ({"day": "1", "minutes": None}, {"day": "2", "minutes": 2.5, "worn": True}))
    )
    remaining.write_failure("d", "dd", "no wear")
    return remaining


@pytest.mark.parametrize("at_once", [1, 2, 500])
def test_tables_hold_every_row_however_many_parts_are_in_memory(
    at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_BATCH", at_once)
    _kept(tmp_path / "out").write_tables()
    summary = pq.read_table(tmp_path / "out" / "summary.parquet")
    assert summary.to_pylist() == [
        {"id": "a", "day": "1", "minutes": 3.0, "worn": None},
        {"id": "c", "day": "1", "minutes": None, "worn": None},
        {"id": "c", "day": "2", "minutes": 2.5, "worn": True},
    ]
    assert summary.schema.field("minutes").type == pa.float64()
    outcomes = pq.read_table(tmp_path / "out" / "outcomes.parquet").to_pylist()
    assert [(row["id"], row["status"], row["reason"], row["rows"]) for row in outcomes] == [
        ("a", "ok", "", 2),
        ("b", "ok", "", 2),
        ("c", "ok", "", 2),
        ("d", "failed", "no wear", 0),
    ]
    results = Results(tmp_path / "out")
    assert results.summary.to_pylist() == summary.to_pylist()
    assert results.outcomes.to_pylist() == outcomes
    assert results.ids == ["a", "b", "c"]
    assert results.status()["reasons"] == {"no wear": 1}


def test_without_parts_the_tables_are_empty(tmp_path: Path) -> None:
    remaining = ResultStore(tmp_path / "out")
    remaining.create("means", {})
    remaining.write_tables()
    assert Results(tmp_path / "out").outcomes.num_rows == 0
    assert pq.read_table(tmp_path / "out" / "summary.parquet").num_rows == 0


def test_a_figure_that_is_not_a_number_is_missing_in_the_summary(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "out")
    store.create("means", {})
    store.write("a", "aa", Computed(pa.table({"mean": [1.0]}), ({"mean": float("nan"), "worn": 1.5},)))
    store.write_tables()
    assert Results(tmp_path / "out").summary.to_pylist() == [{"id": "a", "mean": None, "worn": 1.5}]
    assert Results(tmp_path / "out").verify() == []

"""The memory that a table may take: by the bytes that it has, whatever it says."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

import imuspec
from peak_memory import PREPARE, PREPARE_IN_PIECES, READ, peak

START = np.datetime64("2024-03-04T09:00:00", "ns")
#: Bytes in memory of a row of a Parquet file by its columns' width, as docs/reference/tables.md counts: time, x, y and z.
WIDTH = 8 + 4 + 3 * (4 + 4)
FREE = 64 << 20


def table(time: np.ndarray, **more: pa.Array) -> pa.Table:
    rng = np.random.default_rng(5)
    n = len(time)
    axes = {
        axis: rng.normal(gravity, 0.02, n).astype(np.float32) for axis, gravity in zip("xyz", (0, 0, 1), strict=True)
    }
    return pa.table({"time": time, **axes, **more})


def test_100_million_rows_of_one_value_in_a_megabyte_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "constant.parquet"
    part = pa.table({"time": np.full(4_000_000, START), **{axis: np.zeros(4_000_000, np.float32) for axis in "xyz"}})
    with pq.ParquetWriter(path, part.schema) as writer:
        for _ in range(25):
            writer.write_table(part, row_group_size=4_000_000)
    assert path.stat().st_size < 2_000_000
    size, message = peak(READ, path)
    assert "Parquet data: expected at most" in message
    assert size < FREE


@pytest.mark.parametrize("statement", [READ, PREPARE])
def test_a_label_of_20000_letters_is_held_once(statement: str, tmp_path: Path) -> None:
    n = 200_000
    path = tmp_path / "label.parquet"
    label = pa.DictionaryArray.from_arrays(np.zeros(n, np.int32), ["a" * 20_000])
    times = START + np.arange(n) * np.timedelta64(10_000_000)
    pq.write_table(table(times, label=label), path, store_schema=False)  # a reader sees a column of texts
    assert pq.ParquetFile(path).schema_arrow.field("label").type == pa.string()
    size, message = peak(statement, path)
    assert message.startswith(("200000 rows", "ok"))
    assert size < 2 * FREE  # 80 kB a row would be 16 GB


def test_seven_rows_years_apart_and_few_around_them_take_no_grid_between(tmp_path: Path) -> None:
    path = tmp_path / "years.csv"
    rows = [
        f"{1_400_000_000 + year * 31_536_000 + k / 25:.2f},0,0,1"
        for year in range(7)
        for k in range(6 if year == 0 else 4)
    ]
    path.write_text("time,x,y,z\n" + "\n".join(rows) + "\n")
    assert path.stat().st_size < 831
    size, message = peak(PREPARE, path)
    assert "internal error" not in message
    assert size < FREE


@pytest.mark.parametrize("statement", [READ, PREPARE])
def test_a_table_takes_at_most_two_and_a_half_times_its_width_at_the_peak(statement: str, tmp_path: Path) -> None:
    n = 3_000_000
    path = tmp_path / "table.parquet"
    pq.write_table(table(START + np.arange(n) * np.timedelta64(10_000_000)), path)
    size, message = peak(statement, path)
    assert message.startswith(("3000000 rows", "excluded: never worn"))
    assert size < 2.5 * n * WIDTH + FREE


def write_npz(path: Path, n: int) -> None:
    acceleration = np.zeros((n, 3), np.float32)
    acceleration[:, 2] = 1
    np.savez(path, time=START + np.arange(n) * np.timedelta64(10_000_000), xyz=acceleration)


def write_wrapped(path: Path, n: int) -> None:
    plain = path.with_suffix("")
    axes = {axis: np.full(n, gravity, np.float32) for axis, gravity in zip("xyz", (0, 0, 1), strict=True)}
    columns = pa.table({"time": START + np.arange(n) * np.timedelta64(10_000_000), **axes})
    pq.write_table(columns, plain, use_dictionary=False, compression="none", row_group_size=1 << 20)
    path.write_bytes(gzip.compress(plain.read_bytes(), 1))
    plain.unlink()


def write_texts(path: Path, n: int) -> None:
    times = np.datetime_as_string(START.astype("datetime64[ms]") + np.arange(n) * np.timedelta64(10, "ms"))
    pq.write_table(table(times), path)


def write_newest_first(path: Path, n: int) -> None:
    axes = {axis: pa.repeat(pa.scalar(gravity, pa.int8()), n) for axis, gravity in zip("xyz", (0, 0, 1), strict=True)}
    csv.write_csv(pa.table({"time": 1_598_436_540_000 + 10 * np.arange(n)[::-1], **axes}), path)


@pytest.mark.parametrize(
    ("name", "write", "n"),
    [
        ("a.npz", write_npz, 12_000_000),
        ("a.parquet.gz", write_wrapped, 12_000_000),
        ("a.parquet", write_texts, 4_000_000),
    ],
)
def test_a_table_is_prepared_for_a_store_in_300_megabytes_whatever_its_length(
    name: str, write: Callable[[Path, int], None], n: int, tmp_path: Path
) -> None:
    path = tmp_path / name
    write(path, n)
    size, message = peak(PREPARE_IN_PIECES, path)
    assert message.startswith("excluded: never worn")
    assert size < 300_000_000
    assert [entry.name for entry in tmp_path.iterdir() if entry != path] == []


def test_missing_whole_numbers_are_missing_values(tmp_path: Path) -> None:
    n = 500
    rng = np.random.default_rng(1)
    counts = {axis: rng.normal(gravity, 20, n).astype(int) for axis, gravity in zip("xyz", (0, 0, 1000), strict=True)}
    columns = {axis: pa.array(values, pa.int16(), mask=np.arange(n) == 7) for axis, values in counts.items()}
    times = pa.array(START.astype(int) + np.arange(n) * 10_000_000, mask=np.arange(n) == 9)
    pq.write_table(pa.table({"time": times, **columns}), tmp_path / "a.parquet")
    recording = imuspec.read(tmp_path / "a.parquet")
    assert recording.quality.counts["missing_values"] == 1
    assert recording.quality.counts["bad_row"] == 1
    assert np.isnan(recording.acceleration[:, 7]).all()
    assert np.nanmax(np.abs(recording.acceleration)) < 1.2

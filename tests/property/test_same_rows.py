"""The same rows as CSV, NPZ and Parquet prepare to the same samples, wherever they have gaps and repeats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import imuspec
from imuspec.recipe import Recipe

RECIPE = Recipe.load("capture24").set("calibration.required=false", "segments.min_wear_h=0")
N = 6000
#: (row, seconds): a gap before a row.
GAPS = st.lists(st.tuples(st.integers(1, N - 1), st.sampled_from([0.07, 0.5, 1.5, 5.0, 300.0, 90_000.0])), max_size=4)
REPEATS = st.lists(st.integers(0, N - 1), max_size=4)


def rows(
    rate: int, gaps: list[tuple[int, float]], repeated_stamps: list[int], repeated_rows: list[int]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return times in ns and acceleration [n, 3] in g with a vibration of 20 Hz on a slow turn."""
    step = np.full(N, 1_000_000_000 // rate, np.int64)
    for row, seconds in gaps:
        step[row] += int(seconds * 1e9)
    for row in repeated_stamps:
        step[row] = 0
    time = 1_709_542_800_000_000_000 + np.cumsum(step) - step[0]
    passed = np.arange(N) / rate
    turn = np.sin(0.3 * passed)
    xyz = np.stack([turn, 0.3 * np.sin(2 * np.pi * 20 * passed), np.sqrt(1 - turn**2)], 1)
    index = np.sort(np.concatenate([np.arange(N), np.array(repeated_rows, int)]))
    return time[index], np.round(xyz, 4).astype(np.float32)[index]


def written(folder: Path, time: NDArray[np.int64], xyz: NDArray[np.float32]) -> list[Path]:
    csv, npz, parquet = (folder / f"rows.{kind}" for kind in ("csv", "npz", "parquet"))
    stamps = time.astype("datetime64[ns]")
    lines = [f"{stamp},{x:.4f},{y:.4f},{z:.4f}" for stamp, (x, y, z) in zip(stamps, xyz.tolist(), strict=True)]
    csv.write_text("time,x,y,z\n" + "\n".join(lines) + "\n")
    np.savez(npz, time=time, xyz=xyz)
    pq.write_table(pa.table({"time": stamps, **dict(zip("xyz", xyz.T, strict=True))}), parquet)
    return [csv, npz, parquet]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows")


@settings(max_examples=30, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(rate=st.sampled_from([25, 50, 100]), gaps=GAPS, repeated_stamps=REPEATS, repeated_rows=REPEATS)
def test_the_same_rows_of_three_formats_prepare_to_the_same_samples(
    folder: Path, rate: int, gaps: list[tuple[int, float]], repeated_stamps: list[int], repeated_rows: list[int]
) -> None:
    time, xyz = rows(rate, gaps, repeated_stamps, repeated_rows)
    csv, *others = written(folder, time, xyz)
    of_text = imuspec.prepare(csv, RECIPE)
    assert of_text.acceleration is not None, of_text.reason
    for path in others:
        prepared = imuspec.prepare(path, RECIPE)
        assert prepared.acceleration is not None, prepared.reason
        assert (prepared.status, prepared.start_time) == (of_text.status, of_text.start_time)
        assert prepared.quality.counts == of_text.quality.counts
        np.testing.assert_array_equal(prepared.segments, of_text.segments)
        np.testing.assert_array_equal(prepared.shifts, of_text.shifts)
        np.testing.assert_array_equal(prepared.acceleration, of_text.acceleration)

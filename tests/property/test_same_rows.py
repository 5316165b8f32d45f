"""The same rows as CSV, NPZ, Parquet and CWA prepare to the same samples, wherever they have gaps and repeats."""

from __future__ import annotations

import struct
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
        epoch = {"assumed_epoch": 1} if path.suffix == ".npz" else {}  # numbers that name none
        assert prepared.quality.counts == {**epoch, **of_text.quality.counts}
        np.testing.assert_array_equal(prepared.segments, of_text.segments)
        np.testing.assert_array_equal(prepared.shifts, of_text.shifts)
        np.testing.assert_array_equal(prepared.acceleration, of_text.acceleration)


def block(sequence: int, counts: NDArray[np.int64], time_ns: int) -> bytes:
    """Return a block of 80 samples of an AX3 at 100 Hz, whose stamp holds at its first sample."""
    second, rest = divmod(time_ns, 1_000_000_000)
    at = np.datetime64(second, "s").item()
    packed = (at.year - 2000) << 26 | at.month << 22 | at.day << 17 | at.hour << 12 | at.minute << 6 | at.second
    fraction = rest * 32768 // 1_000_000_000
    offset = -((fraction << 1) * 100 >> 16)  # the sample at which the whole second began
    head = struct.pack(
        "<2sHHIIIHHBBBBhH", b"AX", 508, 0x8000 | fraction, 7, sequence, packed, 0, 261, 0, 200, 0x4A, 0x32, offset, 80
    )
    body = bytearray(head + counts.astype("<i2").tobytes() + b"\0\0")
    body[510:] = struct.pack("<H", -sum(struct.unpack("<256H", body)) & 0xFFFF)
    return bytes(body)


@settings(max_examples=12, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    gaps=st.lists(st.tuples(st.integers(1, 74), st.sampled_from([1, 5, 300, 90_000])), max_size=3),
    repeated=st.lists(st.integers(0, 74), max_size=3),
)
def test_the_same_rows_as_blocks_of_a_cwa_prepare_to_the_same_samples(
    folder: Path, gaps: list[tuple[int, int]], repeated: list[int]
) -> None:
    step = np.full(N, 10_000_000, np.int64)
    for number, seconds in gaps:
        step[80 * number] += seconds * 1_000_000_000
    time = 1_709_542_800_000_000_000 + np.cumsum(step) - step[0]
    _, xyz = rows(100, [], [], [])
    counts = np.round(xyz * 256).astype(np.int64)
    header = struct.pack("<2sHBHI", b"MD", 1020, 0x17, 17, 7).ljust(36, b"\0") + b"\x4a"
    blocks = []
    sequence = 0
    for number in range(N // 80):
        sequence += 1 + 1000 * any(number == other for other, _ in gaps)
        part = slice(80 * number, 80 * number + 80)
        blocks += [block(sequence, counts[part], int(time[80 * number]))] * (1 + repeated.count(number))
    (folder / "rows.cwa").write_bytes(header.ljust(1024, b"\xff") + b"".join(blocks))
    again = np.sort(np.concatenate([np.arange(N), *(np.arange(80 * k, 80 * k + 80) for k in repeated)]))
    npz = folder / "counts.npz"
    order = np.concatenate([np.tile(np.arange(80 * k, 80 * k + 80), 1 + repeated.count(k)) for k in range(N // 80)])
    assert len(order) == len(again)
    np.savez(npz, time=time[order].astype("datetime64[ns]"), xyz=(counts[order] / 256).astype(np.float32))
    recipe = RECIPE.set("checks.damaged_max=1")
    of_blocks, of_rows = imuspec.prepare(folder / "rows.cwa", recipe), imuspec.prepare(npz, recipe)
    assert of_blocks.acceleration is not None, of_blocks.reason
    assert of_rows.acceleration is not None, of_rows.reason
    for kinds in (("gap", "gap"), ("repeated_block", "repeated_row")):
        result = [
            prepared.quality.counts.get(kind, 0) for prepared, kind in zip((of_blocks, of_rows), kinds, strict=True)
        ]
        assert result[0] * (80 if kinds[0] == "repeated_block" else 1) == result[1]
    assert of_blocks.acceleration.shape == of_rows.acceleration.shape
    assert (of_blocks.start_time or 0) == pytest.approx(of_rows.start_time, abs=40_000)  # a stamp has 1/32768 s
    np.testing.assert_allclose(of_blocks.segments, of_rows.segments, atol=1)
    whole = np.isfinite(of_blocks.acceleration) & np.isfinite(of_rows.acceleration)
    assert (whole == np.isfinite(of_rows.acceleration)).mean() > 0.999
    np.testing.assert_allclose(of_blocks.acceleration[whole], of_rows.acceleration[whole], atol=5e-3)

"""The same rows give the same samples, whether they stand in a CSV, an NPZ or a Parquet file, and whatever ails them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from imuspec.errors import RecordingError
from imuspec.recording import Recording, read

START = 1_709_542_800_000_000_000


def rows(n: int, rate: float, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    xyz = rng.normal([0.1, 0.2, 0.97], 0.02, (n, 3)).astype(np.float32).round(5)
    return START + np.round(np.arange(n) * 1e9 / rate).astype(np.int64), xyz


def stored(folder: Path, time: np.ndarray, xyz: np.ndarray) -> dict[str, Recording]:
    lines = (f"{t},{x:.5f},{y:.5f},{z:.5f}\n" for t, (x, y, z) in zip(time, xyz, strict=True))
    (folder / "a.csv").write_text("time,x,y,z\n" + "".join(lines))
    np.savez(folder / "a.npz", time=time, xyz=xyz)
    pq.write_table(pa.table({"time": time, **dict(zip("xyz", xyz.T, strict=True))}), folder / "a.parquet")
    return {name: read(folder / f"a.{name}") for name in ("csv", "npz", "parquet")}


def ailing(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    time, xyz = rows(20_000, 100.0, seed)
    locations = np.sort(rng.choice(np.arange(200, 19_800), 5, replace=False))
    match kind:
        case "gaps":
            for location in locations:
                time[location:] += int(rng.integers(1, 10)) * 10**9
        case "lost rows":
            keep = np.ones(len(time), bool)
            keep[rng.choice(len(time), 400, replace=False)] = False
            time, xyz = time[keep], xyz[keep]
        case "repeated rows":
            order = np.sort(np.concatenate([np.arange(len(time)), locations]))
            time, xyz = time[order], xyz[order]
        case "repeated stamps":
            time[locations] = time[locations - 1]
        case "swapped pages":
            order = np.arange(len(time))
            order[300:420], order[420:540] = np.arange(420, 540), np.arange(300, 420)
            time, xyz = time[order], xyz[order]
        case "wild stamps":
            time[locations] = rng.choice([0, 946_684_800 * 10**9, 9 * 10**18, time[0] + 400 * 86_400 * 10**9], 5)
        case "two rates":
            time[8000:] = time[8000] + np.arange(12_000) * 40_000_000
        case "rounded":
            time = time // 30_000_000 * 30_000_000
    return time, xyz


KINDS = [
    "gaps",
    "lost rows",
    "repeated rows",
    "repeated stamps",
    "swapped pages",
    "wild stamps",
    "two rates",
    "rounded",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_rows_give_the_same_samples_in_every_file(kind: str, seed: int, tmp_path: Path) -> None:
    csv, *others = stored(tmp_path, *ailing(kind, seed)).values()
    for other in others:
        np.testing.assert_array_equal(other.time, csv.time)
        np.testing.assert_array_equal(other.acceleration, csv.acceleration)
        np.testing.assert_array_equal(other.runs, csv.runs)
        assert other.quality.counts == csv.quality.counts
        assert other.nominal_rate == csv.nominal_rate == 100.0


def test_what_ails_rows_is_put_right_and_counted(tmp_path: Path) -> None:
    expected: dict[str, tuple[int, dict[str, int]]] = {
        "gaps": (6, {"gap": 5}),
        "repeated rows": (1, {"repeated_row": 5}),
        "swapped pages": (1, {"row_out_of_order": 240}),
        "wild stamps": (1, {"wild_row": 5}),
        "two rates": (2, {"rate_change": 1}),
    }
    for kind, (runs, counts) in expected.items():
        got = stored(tmp_path, *ailing(kind, 1))["csv"]
        assert (len(got.runs), got.quality.counts) == (runs, {"assumed_epoch": 1, **counts}), kind
        assert (np.diff(got.time) > 0).all(), kind


def test_rows_in_no_order_are_refused(tmp_path: Path) -> None:
    time, xyz = rows(20_000, 100.0)
    order = np.random.default_rng(1).permutation(len(time))
    with pytest.raises(RecordingError, match="rows in order of time"):
        stored(tmp_path, time[order], xyz[order])
    np.savez(tmp_path / "b.npz", time=time[order], xyz=xyz[order])
    with pytest.raises(RecordingError, match="rows in order of time"):
        read(tmp_path / "b.npz")


@pytest.mark.parametrize(("head", "row", "word"), [
    ("time,x,y,z", "2024-05-01 10:00,0,0,1", "minutes alone"),
    ("time,x,y,z", "00:04.5,0,0,1", "minutes and seconds"),
    ("time,enmo,angle,step", "2024-05-01 10:00:00,0.1,2,3", "summary of epochs"),
    ("time,x,y,z", "1,0,0,1", "differ from row to row|row numbers"),
])  # fmt: skip
def test_times_that_cannot_be_right_are_refused_with_what_was_seen(
    head: str, row: str, word: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(head + "\n" + (row + "\n") * 200)
    with pytest.raises(RecordingError, match=word):
        read(tmp_path / "a.csv")


def test_encodings_that_are_not_read_are_named(tmp_path: Path) -> None:
    text = "time,x,y,z\n" + "".join(f"{i / 50},0,0,1\n" for i in range(500))
    (tmp_path / "a.csv").write_bytes(text.encode("utf-16"))
    (tmp_path / "b.csv").write_bytes(text.replace("\n", "\r").encode())
    for name, word in (("a.csv", "UTF-16"), ("b.csv", "carriage return")):
        with pytest.raises(RecordingError, match=word):
            read(tmp_path / name)


def test_zones_in_text_and_in_parquet_go_on_over_a_change_of_the_clocks(tmp_path: Path) -> None:
    time, xyz = rows(6000, 50.0)
    utc = time - time[0] + np.datetime64("2019-03-31T00:59:00", "ns").astype(np.int64)
    aware = pa.array(utc, pa.timestamp("ns", tz="Europe/London"))
    local = aware.to_pandas().dt.strftime("%Y-%m-%d %H:%M:%S.%f%z").tolist()
    columns: dict[str, Any] = dict(zip("xyz", xyz.T, strict=True))
    pq.write_table(pa.table({"time": aware, **columns}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"time": local, **columns}), tmp_path / "b.parquet")
    lines = (f"{t},{x:.5f},{y:.5f},{z:.5f}\n" for t, (x, y, z) in zip(local, xyz, strict=True))
    (tmp_path / "c.csv").write_text("time,x,y,z\n" + "".join(lines))
    for name in ("a.parquet", "b.parquet", "c.csv"):
        got = read(tmp_path / name)
        np.testing.assert_array_equal(got.time, utc)  # London is on UTC where the recording starts
        assert len(got.runs) == 1

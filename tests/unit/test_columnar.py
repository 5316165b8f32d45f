"""Parquet and NPZ files give the columns that they hold."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from imuspec.errors import RecordingError
from imuspec.recording.columns import read_columns

N = 500
TIME = 1_598_436_540_000_000_000 + np.arange(N) * 20_000_000
XYZ = np.random.default_rng(3).normal([0.1, 0.2, 0.95], 0.05, (N, 3)).astype(np.float32)
WORDS = np.array(["", "walk", "walk", "sleep"])[np.arange(N) * 4 // N]


def columns(path: Path) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    got = read_columns(path)
    assert got is not None
    n = got["n"]
    return got, got["time"][:n], got["xyz"].reshape(3, -1)[:, :n]


def write_parquet(path: Path, **changes: Any) -> Path:
    table = {"Time": pa.array(TIME, pa.timestamp("ns")), "X": XYZ[:, 0], "Y": XYZ[:, 1], "Z": XYZ[:, 2]}
    pq.write_table(pa.table({**table, **changes}), path)
    return path


def test_a_parquet_file_gives_its_columns(tmp_path: Path) -> None:
    got, time, xyz = columns(write_parquet(tmp_path / "a.dat", annotation=WORDS.tolist(), light=np.arange(N) * 0.5))
    np.testing.assert_array_equal(time, TIME)
    np.testing.assert_array_equal(xyz, XYZ.T)
    assert got["header"]["format"] == "parquet"
    assert got["header"]["labels"] == ["sleep", "walk"]
    assert got["annotation"][: N // 4].tolist() == [-1] * (N // 4)
    assert got["annotation"][-1] == 0
    np.testing.assert_array_equal(got["light"], np.arange(N, dtype=np.float32) * 0.5)
    assert got["sample_rate"] == pytest.approx(50.0)


def test_an_aware_time_is_its_zones_local_clock(tmp_path: Path) -> None:
    aware = pa.array(TIME, pa.timestamp("ns", tz="Europe/Berlin"))
    _, time, _ = columns(write_parquet(tmp_path / "a.parquet", Time=aware))
    np.testing.assert_array_equal(time, TIME + 7_200_000_000_000)


@pytest.mark.parametrize(("factor", "unit"), [(1.0, "g"), (9.80665, "m/s2"), (1000.0, "mg")])
@pytest.mark.parametrize("shape", ["xyz", "planar", "rows"])
def test_an_npz_file_gives_its_columns_in_g(tmp_path: Path, factor: float, unit: str, shape: str) -> None:
    values = XYZ * np.float32(factor)
    arrays = {
        "xyz": dict(zip("xyz", values.T, strict=True)),
        "planar": {"acceleration": values.T},
        "rows": {"acceleration": values},
    }[shape]
    np.savez(tmp_path / "a.npz", time=TIME / 1e9, **arrays)
    got, time, xyz = columns(tmp_path / "a.npz")
    assert np.abs(time - TIME).max() <= 250  # float64 seconds
    np.testing.assert_allclose(xyz, XYZ.T, rtol=1e-6)
    assert got["header"]["metadata"]["acceleration_unit"].startswith(unit + " ")
    assert got["header"]["metadata"]["time_unit"].startswith("s ")


def test_compression_around_the_file_makes_no_difference(tmp_path: Path) -> None:
    plain = write_parquet(tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet.gz").write_bytes(gzip.compress(plain))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside/a.parquet", plain)
    for name in ("a.parquet.gz", "a.zip"):
        np.testing.assert_array_equal(columns(tmp_path / name)[2], XYZ.T)


def test_a_hole_ends_the_run_and_is_counted(tmp_path: Path) -> None:
    time = TIME.copy()
    time[300:] += 10_000_000_000
    np.savez(tmp_path / "a.npz", time=time, xyz=XYZ)
    got, _, _ = columns(tmp_path / "a.npz")
    assert got["run_starts"].tolist() == [0, 300]
    assert got["counts"] == {"assumed_epoch": 1, "gap": 1}


def test_other_files_are_left_to_the_device_formats(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,x,y,z\n1,0,0,1\n")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"time,x,y,z\n1,0,0,1\n"))
    assert read_columns(tmp_path / "a.csv") is None
    assert read_columns(tmp_path / "b.csv.gz") is None
    assert read_columns(tmp_path) is None


def test_damage_missing_columns_and_pickles_are_recording_errors(tmp_path: Path) -> None:
    whole = write_parquet(tmp_path / "a.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    np.savez(tmp_path / "few.npz", time=TIME, x=XYZ[:, 0])
    np.savez(tmp_path / "long.npz", time=TIME[:-1], xyz=XYZ)
    np.savez(tmp_path / "pickle.npz", time=np.array([{}], dtype=object), xyz=XYZ)
    for name in ("cut.parquet", "few.npz", "long.npz", "pickle.npz"):
        with pytest.raises(RecordingError) as raised:
            read_columns(tmp_path / name)
        assert raised.value.path == str(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_columns(tmp_path / "none.npz")

"""What damaged bytes once did to a reader that they must not do: each is made here anew, smaller."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

import imuspec
from imuspec import RecordingError


def test_a_header_of_an_array_that_ends_in_the_middle_is_damage(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", time=np.arange(3), xyz=np.zeros((3, 3)))
    with zipfile.ZipFile(tmp_path / "x.npz") as archive:
        time = archive.read("time.npy")
    cut = time.replace(b"'fortran_order': False", b"'fortran_order': (((((")
    assert cut != time
    with zipfile.ZipFile(tmp_path / "damaged.npz", "w") as archive:
        archive.writestr("time.npy", cut)
        archive.writestr("xyz.npy", time)
    with pytest.raises(RecordingError, match="npz"):
        imuspec.read(tmp_path / "damaged.npz")


def test_numbers_that_overflow_are_no_warning(tmp_path: Path) -> None:
    acceleration = np.full((3, 40), np.nan)
    acceleration[0, :4] = [1e300, -1e300, np.inf, 1.0]
    time = 1.6e9 + 0.01 * np.arange(40)
    time[1] = 1e300
    np.savez(tmp_path / "x.npz", time=time, xyz=acceleration)
    imuspec.read(tmp_path / "x.npz")  # warnings are errors here


def test_an_archive_whose_member_has_no_name_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.gt3x"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("q", b"nothing")
        archive.writestr("info.txt", b"Serial Number: 1")
    content = path.read_bytes()
    at = content.index(b"PK\x01\x02")
    nameless = content[: at + 28] + b"\0\0" + content[at + 30 : at + 46] + content[at + 47 :]
    end = nameless.index(b"PK\x05\x06")
    size = int.from_bytes(nameless[end + 12 : end + 16], "little") - 1
    path.write_bytes(nameless[: end + 12] + size.to_bytes(4, "little") + nameless[end + 16 :])
    with zipfile.ZipFile(path) as archive:
        assert archive.infolist()[0].filename == "", "the archive is not the one that this test means"
    with pytest.raises(RecordingError):
        imuspec.read(path)


@pytest.mark.parametrize(
    "seconds",
    [["10:00:00.000", "10:00:00.033", "10:00:00.066", "09:00:00.100"], ["10:00:00.00", "10:00:00.04", "10:00:00.01"]],
)
def test_times_rise_within_a_run_though_rows_go_back_further_than_forth(seconds: list[str], tmp_path: Path) -> None:
    rows = [f"2023-05-15 {second},0.1,0.2,{0.9 + k / 100}" for k, second in enumerate(seconds)]
    (tmp_path / "x.csv").write_text("\n".join(["time,x,y,z", *rows, ""]))
    recording = imuspec.read(tmp_path / "x.csv")
    time = recording.time.astype(np.int64)
    assert all((np.diff(time[first:stop]) > 0).all() for first, stop in recording.runs)
    assert np.isfinite(recording.sample_rate)


def test_rows_years_apart_are_refused_before_a_grid_is_made_between_them(tmp_path: Path) -> None:
    rows = [f"{year}-05-15 10:00:00,0.1,0.2,0.9" for year in range(2005, 2066, 15)]
    (tmp_path / "x.csv").write_text("\n".join(["time,x,y,z", *rows, ""]))
    prepared = imuspec.prepare(tmp_path / "x.csv", recipe="ukb")
    assert prepared.status != "ok"
    with pytest.raises(RecordingError, match=r"rate: expected at least a sample a minute|a row every"):
        imuspec.read(tmp_path / "x.csv")

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

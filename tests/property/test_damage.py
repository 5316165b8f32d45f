"""Whatever the bytes: data with every loss counted, or a RecordingError. Never another exception."""

from __future__ import annotations

import contextlib
import gzip
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imuspec import _core
from imuspec.errors import RecordingError
from imuspec.recording.columns import read_columns
from reference_data import DATA, needs_data

CUT = 100_000
SOURCES = sorted(path.name for path in (DATA / "recordings").glob("*"))


def read(path: Path) -> dict[str, Any] | None:
    """Return the columns, or None where the reader says that these bytes are no recording."""
    try:
        got = _core.read(str(path), "device", "auto", "auto", None)
    except RecordingError as error:
        refusal = error
    else:
        refusal = None
    if refusal is not None:
        assert refusal.path == str(path)
        assert refusal.reason
        return None
    assert got["n"] > 0
    time = got["time"][: got["n"]]
    inside = np.ones(got["n"], bool)
    inside[got["run_starts"].astype(int)] = False
    assert (np.diff(time)[inside[1:]] > 0).all(), "time goes back inside a run"
    assert np.isfinite(got["xyz"].reshape(3, -1)[:, : got["n"]]).any()
    return got


def whole(name: str) -> bytes:
    """Return the file's bytes, unpacked, about the first 100 kB of them."""
    data = (DATA / "recordings" / name).read_bytes()
    if name.endswith(".gz"):
        return gzip.decompress(data)[:CUT]
    return data if name.endswith(".gt3x") or name.startswith("mtx") else data[:CUT]


def packed(name: str, member: bytes) -> bytes:
    """Return a .gt3x around other samples, whose check sums are those of the archive's new bytes."""
    import io

    out = io.BytesIO()
    with zipfile.ZipFile(DATA / "recordings" / name) as old, zipfile.ZipFile(out, "w") as new:
        new.writestr("info.txt", old.read("info.txt"))
        new.writestr("log.bin" if "log.bin" in old.namelist() else "activity.bin", member)
    return out.getvalue()


def samples(name: str) -> bytes:
    with zipfile.ZipFile(DATA / "recordings" / name) as archive:
        return archive.read("log.bin" if "log.bin" in archive.namelist() and "neo" not in name else "activity.bin")[
            :CUT
        ]


def ends_whole(name: str, data: bytes, length: int) -> bool:
    """Whether a file that ends here looks like one that was closed: only then may a loss go without a word."""
    if ".cwa" in name:
        return length % 512 == 0
    # many a writer leaves out the last line end and a number's last zeros, so that a cut inside the last one may not show
    return ".csv" in name and re.search(rb"(\n|,-?\d+\.\d+)$", data[:length]) is not None


@needs_data
@pytest.mark.parametrize("name", SOURCES)
def test_a_file_cut_anywhere_gives_its_beginning_or_says_no(name: str, tmp_path: Path) -> None:
    data = whole(name)
    path = tmp_path / "cut"
    path.write_bytes(data)
    full = read(path)
    assert full is not None
    rows = full["xyz"].reshape(3, -1)[:, : full["n"]]
    for length in np.linspace(0, len(data) - 1, 200).astype(int):
        path.write_bytes(data[:length])
        got = read(path)
        if got is None:
            continue
        # the units of text may be judged by other rows
        remaining = got["xyz"].reshape(3, -1)[:, : got["n"]]
        # a number cut in the last row of a text, and a sample cut in half, are the last
        np.testing.assert_array_equal(remaining[:, :-1], rows[:, : remaining.shape[1] - 1])
        if got["n"] < full["n"] and not ends_whole(name, data, length):
            stated = more(got, full) or got["counts"].keys() & {"partial_block", "short_page", "cut_row", "bad_row"}
            assert stated, f"cut at {length}: {full['n'] - got['n']} rows went without a word"


@needs_data
@pytest.mark.parametrize("name", [name for name in SOURCES if name.endswith(".gt3x")])
def test_a_gt3x_whose_samples_are_cut_anywhere_gives_its_beginning(name: str, tmp_path: Path) -> None:
    data = samples(name)
    path = tmp_path / "cut.gt3x"
    path.write_bytes(packed(name, data))
    full = read(path)
    assert full is not None
    rows = full["xyz"].reshape(3, -1)[:, : full["n"]]
    for length in np.linspace(0, len(data) - 1, 200).astype(int):
        path.write_bytes(packed(name, data[:length]))
        got = read(path)
        if got is not None:
            remaining = got["xyz"].reshape(3, -1)[:, : got["n"]]
            np.testing.assert_array_equal(remaining, rows[:, : remaining.shape[1]])


def more(got: dict[str, Any], full: dict[str, Any]) -> dict[str, int]:
    """Return what is counted in a damaged copy that was not counted so in the whole file."""
    return {kind: n for kind, n in got["counts"].items() if n != full["counts"].get(kind)}


@needs_data
@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("seed", range(5))
def test_flipped_zeroed_and_exchanged_bytes_are_read_or_refused_and_losses_counted(
    name: str, seed: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng([seed, len(name)])
    clean = samples(name) if name.endswith(".gt3x") else whole(name)
    path = tmp_path / "damaged"
    path.write_bytes(packed(name, clean) if name.endswith(".gt3x") else clean)
    full = read(path)
    assert full is not None
    for kind in ("flip", "flip", "zero", "swap", "swap blocks", "cut out"):
        data = bytearray(clean)
        at = int(rng.integers(len(data) // 8, len(data) - 4096)) if len(data) > 8192 else len(data) // 2
        if kind == "flip":
            for i in rng.integers(len(data) // 8, len(data), 3):
                data[i] ^= 1 << int(rng.integers(8))
        elif kind == "zero":
            data[at : at + 700] = bytes(700)
        elif kind == "swap":
            data[at : at + 1024], data[at + 2048 : at + 3072] = data[at + 2048 : at + 3072], data[at : at + 1024]
        elif kind == "swap blocks":
            at -= at % 512
            data[at : at + 512], data[at + 2048 : at + 2560] = data[at + 2048 : at + 2560], data[at : at + 512]
        else:
            del data[at : at + 900]
        path.write_bytes(packed(name, bytes(data)) if name.endswith(".gt3x") else bytes(data))
        got = read(path)
        if (
            got is not None and got["n"] < full["n"] and "neo" not in name
        ):  # its samples have neither order nor check sum
            assert more(got, full), f"{kind}: {full['n'] - got['n']} rows went without a word"


@needs_data
@pytest.mark.parametrize("name", ["TESTfile.bin", "ax3_testfile.cwa", "mtx_100Hz_acc_HR_temp.BIN", "neo.gt3x"])
def test_a_damaged_compression_gives_what_came_before_it_and_is_counted(name: str, tmp_path: Path) -> None:
    data = gzip.compress((DATA / "recordings" / name).read_bytes(), 1)
    path = tmp_path / "a.gz"
    for share in (0.3, 0.7, 0.99):
        path.write_bytes(data[: int(len(data) * share)])
        got = read(path)
        assert got is None or got["counts"].get("damaged_compression") == 1


def _head(magic: bytes) -> st.SearchStrategy[bytes]:
    return st.binary(max_size=600).map(lambda rest: magic + rest)


MAGICS = [
    b"",
    b"MD\xfc\x03" + bytes(1020) + b"AX\xfc\x01",
    b"Device Identity\r\n"
    + b"Calibration Data\r\nx gain:1\r\nx offset:0\r\ny gain:1\r\ny offset:0\r\nz gain:1\r\nz offset:0\r\n"
    b"Measurement Frequency:50 Hz\r\nRecorded Data\r\n",
    bytes(512) + b"MDTC" + struct.pack("<IHH", 2, 8, 2000) + b"MDTCPACK",
    b"PK\x03\x04",
    b"\x1f\x8b\x08\x00",
    b"BZh9",
    b"PAR1",
    b"time,x,y,z\n",
    b"1551178506.00,0.1,0.2,0.9\n",
    b"2020-01-01 00:00:00;0,1;0,2;0,9\n",
    b"------ Data File Created By ActiGraph GT3X+ date format M/d/yyyy at 30 Hz\n",
]


@pytest.mark.parametrize("magic", MAGICS, ids=lambda m: repr(bytes(m[:4])))
def test_any_bytes_are_data_or_a_recording_error(magic: bytes, tmp_path: Path) -> None:
    path = tmp_path / "any"

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(_head(magic))
    def check(data: bytes) -> None:
        path.write_bytes(data)
        read(path)
        with contextlib.suppress(RecordingError):
            assert read_columns(path) is None

    check()

"""Times at the ends of what numbers and calendars hold: the right time or a RecordingError, never a wrap or a panic."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import imuspec
from device_files import DAY, SECOND, cwa, geneactiv, gt3x, participant, record, seal
from imuspec import RecordingError
from imuspec.recipe import Recipe

RECIPE = Recipe.load("capture24").set("calibration.required=false", "segments.min_wear_h=0")
LEAST, MOST = -(2**63), 2**63 - 1
DATES = (
    *("0001-01-01T00:00:00", "1677-09-21T00:12:43.145224193", "1677-09-21T00:12:44", "1900-01-01T00:00:00"),
    *("1969-12-31T23:59:59.999999999", "1970-01-01T00:00:00", "2024-02-29T23:59:59.5", "2262-04-11T23:47:15"),
    *("2262-04-11T23:47:16.854775807", "9999-12-31T23:59:59"),
)
NUMBERS = (LEAST, LEAST + 1, -9 * 10**18, -1, 0, 1, 10**9, 1_700_000_000, 9 * 10**18, MOST - 1, MOST)
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
N = 40


def outcome(path: Path) -> imuspec.Recording | None:
    """Return what ``read`` gives, or None where it refuses. ``prepare`` answers with a status."""
    prepared = imuspec.prepare(path, RECIPE)
    assert "internal error" not in prepared.reason, prepared.reason
    try:
        recording = imuspec.read(path)
    except RecordingError:
        return None
    time = recording.time
    inside = np.ones(len(time), bool)
    inside[np.asarray(recording.runs, np.int64).reshape(-1, 2)[:, 0]] = False
    assert (np.diff(time.astype(np.int64))[inside[1:]] > 0).all(), "time goes back inside a run"
    return recording


def nanoseconds(text: str) -> int:
    """Return a date as ns since 1970, of any size."""
    whole, _, fraction = text.partition(".")
    seconds = int(np.datetime64(whole, "s").astype(np.int64))
    return seconds * SECOND + int(fraction.ljust(9, "0") or 0)


def steps(first: int, unit: int = SECOND) -> Iterator[int]:
    """Return times of rows at 25 Hz in this unit from one on that fit 64 bits; ns where the unit is finer than 40 ms."""
    period = max(unit // 25, 1)
    return (first + k * period for k in range(N) if LEAST <= first + k * period <= MOST)


def check(recording: imuspec.Recording | None, first: int, tolerance: int = SECOND // 50) -> None:
    """Compare the first time with this one, ns, where 64 bits hold it."""
    if recording is None:
        return
    assert LEAST < first <= MOST, "a time that 64 bits cannot hold was read"
    assert abs(int(recording.time[0].astype(np.int64)) - first) <= tolerance


@pytest.mark.parametrize("date", DATES)
def test_written_dates(date: str, tmp_path: Path) -> None:
    first = nanoseconds(date)
    rows = []
    for k in range(N):
        seconds, ns = divmod(first + k * SECOND // 25, SECOND)
        rows.append(f"{np.datetime64(seconds, 's')}.{ns:09d},0.1,0,1".replace("T", " "))
    path = tmp_path / "dates.csv"
    path.write_text("time,x,y,z\n" + "\n".join(rows) + "\n")
    recording = outcome(path)
    check(recording, first)
    if "1970" < date < "2200":
        assert recording is not None


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_as_text(number: int, unit: str, tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    path.write_text(f"time_{unit},x,y,z\n" + "".join(f"{t},0.1,0,1\n" for t in steps(number, UNITS[unit])))
    recording = outcome(path)
    if number != LEAST:  # NaT of numpy and pandas
        check(recording, number * (SECOND // UNITS[unit]))


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("kind", ["parquet", "npz"])
def test_columns_of_datetimes(kind: str, number: int, unit: str, tmp_path: Path) -> None:
    if (kind, unit) == ("parquet", "s"):
        unit = "ms"  # Parquet has no seconds
    time = np.array(list(steps(number, UNITS[unit])), np.int64).view(f"datetime64[{unit}]")
    axes = {axis: np.full(len(time), value, np.float32) for axis, value in zip("xyz", (0.1, 0, 1), strict=True)}
    path = tmp_path / f"table.{kind}"
    if kind == "npz":
        np.savez(path, time=time, **axes)
    else:
        pq.write_table(pa.table({"time": pa.array(time), **axes}), path)
    recording = outcome(path)
    if number != LEAST:  # NaT of numpy and pandas
        check(recording, number * (SECOND // UNITS[unit]))


@pytest.mark.parametrize("kind", [np.int64, np.float64])
@pytest.mark.parametrize("number", NUMBERS)
def test_columns_of_numbers(number: int, kind: type, tmp_path: Path) -> None:
    path = tmp_path / "numbers.npz"
    time = np.array(list(steps(number)), np.int64).astype(kind)
    np.savez(path, time=time, acceleration=np.tile(np.float32([0.1, 0, 1]), (len(time), 1)))
    outcome(path)


@pytest.mark.parametrize("date", DATES)
def test_pages_of_geneactiv(date: str, tmp_path: Path) -> None:
    path = geneactiv(tmp_path / "a.bin", [0, 1, 2, 3])
    text = path.read_bytes().decode("latin-1")
    pages = text.split("Page Time:")
    first = nanoseconds(date.partition(".")[0])
    for k in range(4):
        moment = str(np.datetime64(first // SECOND + 6 * k, "s")).replace("T", " ")
        pages[k + 1] = f"{moment}:000" + pages[k + 1][23:]
    path.write_bytes("Page Time:".join(pages).encode("latin-1"))
    check(outcome(path), first)


@pytest.mark.parametrize(("name", "value"), [("Sequence Number", 2**64 - 1), ("Number of Pages", 2**64 - 1)])
def test_counts_of_geneactiv(name: str, value: int, tmp_path: Path) -> None:
    path = geneactiv(tmp_path / "a.bin", [0, 1, 2, 3])
    text = (
        path.read_bytes()
        .decode("latin-1")
        .replace("Volts:300\r\n", "Volts:300\r\nMemory Status\r\nNumber of Pages:4\r\n")
    )
    path.write_bytes(
        text.replace(f"{name}:1", f"{name}:{value}").replace(f"{name}:4", f"{name}:{value}").encode("latin-1")
    )
    assert outcome(path) is not None


@pytest.mark.parametrize("second", [0, 1, 2**31 - 1, 2**31, 2**32 - 1 - N])
def test_records_of_gt3x(second: int, tmp_path: Path) -> None:
    recording = outcome(gt3x(tmp_path / "a.gt3x", *(record(second + k) for k in range(N))))
    assert recording is not None
    check(recording, second * SECOND)


@pytest.mark.parametrize("ticks", [*NUMBERS, 621_355_968_000_000_000, 637_200_000_000_000_000])
def test_ticks_of_gt3x(ticks: int, tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "a.gt3x"
    info = f"Serial Number: NEO1D1\r\nFirmware: 2.5.0\r\nSample Rate: 30\r\nStart Date: {ticks}\r\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("info.txt", info)
        archive.writestr("activity.bin", bytes.fromhex("001002014001002014") * 600)
    check(outcome(path), (ticks - 621_355_968_000_000_000) * 100)


@pytest.mark.parametrize(
    ("start", "end"), [(0, 1), (0, 0), (5, 1), (2**31, 2**31 + 9), (2**32 - 9, 2**32 - 1), (0, 2**32 - 1)]
)
def test_packets_of_matrix(start: int, end: int, tmp_path: Path) -> None:
    body = struct.pack("<2I4I", start, end, 250, 0, 0, 0) + struct.pack("<750h", *([100, 100, 4000] * 250))
    packet = b"MDTCPACK" + struct.pack("<I", zlib.crc32(body)) + body
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(512) + b"MDTC" + struct.pack("<IHH", 1, 8, 2000) + packet)
    recording = outcome(path)
    if 0 < end - start < 2500:  # else a rate below 0.1 Hz
        check(recording, start * SECOND)
    else:
        assert recording is None or not len(recording.time)


PACKED: dict[str, Callable[[int], int]] = {
    "zero": lambda _: 0,
    "ones": lambda _: 2**32 - 1,
    "last of 2063": lambda k: 63 << 26 | 12 << 22 | 31 << 17 | 23 << 12 | 59 << 6 | min(k, 59),
    "first of 2000": lambda k: 1 << 22 | 1 << 17 | k % 60,
    "no such day": lambda k: 20 << 26 | 2 << 22 | 30 << 17 | k % 60,
}


@pytest.mark.parametrize("offset", [0, 0x7FFF, 0xFFFF])
@pytest.mark.parametrize("name", PACKED)
def test_packed_times_of_cwa(name: str, offset: int, tmp_path: Path) -> None:
    header, *blocks = cwa(tmp_path / "a.cwa", n=20)
    for k, block in enumerate(blocks):
        block[14:18] = struct.pack("<I", PACKED[name](k))
        block[26:28] = struct.pack("<H", offset)
        seal(block)
    (tmp_path / "a.cwa").write_bytes(header + b"".join(blocks))
    recording = outcome(tmp_path / "a.cwa")
    if recording is not None:
        assert 946_684_800 - DAY < int(recording.time[0].astype(np.int64)) // SECOND < 2_966_371_200 + DAY


@pytest.mark.parametrize("byte", [0x00, 0xFF, 0x80])
def test_headers_of_cwa(byte: int, tmp_path: Path) -> None:
    header, *blocks = cwa(tmp_path / "a.cwa", n=20)
    header[4:64] = bytes([byte]) * 60
    (tmp_path / "a.cwa").write_bytes(header + b"".join(blocks))
    outcome(tmp_path / "a.cwa")


@pytest.mark.parametrize("date", DATES)
def test_hours_of_nhanes(date: str, tmp_path: Path) -> None:
    folder = participant(tmp_path / "p", {"08-P0000": 1})
    (member,) = folder.iterdir()
    day = date[:10]
    member.write_text(member.read_text().replace("2000-01-03", day))
    member.rename(folder / member.name.replace("2000-01-03", day))
    outcome(folder)
    member = next(folder.iterdir())
    member.rename(folder / member.name.replace(day, "2000-01-03"))
    outcome(folder)


def test_a_recording_may_span_more_than_64_bits_hold(tmp_path: Path) -> None:
    time = np.array([-(2**62) - 2**61, 2**62 + 2**61], np.int64)
    recording = imuspec.read(geneactiv(tmp_path / "a.bin", [0, 1, 2, 3]))
    spanning = dataclasses.replace(recording, time=time, acceleration=recording.acceleration[:, :2])
    assert spanning.duration_s == pytest.approx((2**63 + 2**62) / 1e9)

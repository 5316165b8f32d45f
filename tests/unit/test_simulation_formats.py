"""The writers of other formats, read back by small decoders written from the formats' descriptions alone."""

from __future__ import annotations

import datetime
import gzip
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imuspec import simulation
from imuspec.simulation import wrist_motion

Signal = tuple[np.ndarray[Any, np.dtype[np.float32]], np.ndarray[Any, np.dtype[np.int64]]]


@pytest.fixture(scope="module")
def at_50() -> Signal:
    """Ten minutes at 50 Hz from half past nine, and a bit."""
    acceleration, time, _ = wrist_motion(days=600 / 86400, seed=3, sample_rate=50.0, start="2023-05-15T09:30:00.250")
    return acceleration, time


@pytest.fixture(scope="module")
def at_30() -> Signal:
    """Two minutes at 30 Hz from a whole second."""
    acceleration, time, _ = wrist_motion(days=120.5 / 86400, seed=3, sample_rate=30.0, start="2023-05-15T09:30:00")
    return acceleration, time


def ns(text: str) -> int:
    return int(np.datetime64(text.replace(" ", "T"), "ns").astype(np.int64))


def twelve_bits(data: bytes) -> np.ndarray[Any, np.dtype[np.int64]]:
    digits = data.hex()
    values = np.array([int(digits[k : k + 3], 16) for k in range(0, len(digits) // 9 * 9, 3)])
    return np.where(values > 2047, values - 4096, values).reshape(-1, 3)


def test_geneactiv_pages_hold_the_signal(tmp_path: Path, at_50: Signal) -> None:
    acceleration, time = at_50
    n = simulation.write_geneactiv(tmp_path / "a.bin", acceleration, time, light=37, temperature=28.25, notes="a\r\nb")
    lines = (tmp_path / "a.bin").read_bytes().decode("latin-1").split("\r\n")
    assert n == 30_000 == acceleration.shape[1] // 300 * 300
    assert lines[44:46] == ["Subject Notes:a", "b"]
    del lines[45]
    assert lines[47:55] == [
        "x gain:25875", "x offset:439", "y gain:25734", "y offset:-662", "z gain:25538", "z offset:-3056",
        "Volts:300", "Lux:800",
    ]  # fmt: skip
    assert lines[19] == "Measurement Frequency:50 Hz"
    assert lines[57] == f"Number of Pages:{n // 300}"
    gain, offset = np.array([25875, 25734, 25538]), np.array([439, -662, -3056])
    for page in (0, 1, 99):
        top = 59 + 10 * page
        assert lines[top] == "Recorded Data"
        assert lines[top + 2] == f"Sequence Number:{page}"
        moment = datetime.datetime.strptime(lines[top + 3], "Page Time:%Y-%m-%d %H:%M:%S:%f")
        assert ns(moment.isoformat()) == time[300 * page] // 10**6 * 10**6
        assert lines[top + 5] == "Temperature:28.2"
        assert len(lines[top + 9]) == 3600
        for k in (0, 150, 299):
            sample = lines[top + 9][12 * k : 12 * k + 12]
            raw = np.array([int(sample[a : a + 3], 16) for a in (0, 3, 6)])
            raw = np.where(raw > 2047, raw - 4096, raw)
            np.testing.assert_allclose((raw * 100 - offset) / gain, acceleration[:, 300 * page + k], atol=0.002)
            assert int(sample[9:], 16) >> 2 == 37
    assert lines[59 + 1000] == ""
    assert len(lines) == 59 + 1000 + 1


def test_an_older_gt3x_holds_twelve_bit_y_x_z_and_its_start_in_ticks(tmp_path: Path, at_30: Signal) -> None:
    acceleration, time = at_30
    simulation.write_gt3x_v1(tmp_path / "a.gt3x", acceleration[:, :301], time[:301])
    with zipfile.ZipFile(tmp_path / "a.gt3x") as archive:
        info = dict(line.split(": ", 1) for line in archive.read("info.txt").decode().splitlines())
        data = archive.read("activity.bin")
    assert len(data) == 301 * 9 // 2 + 1
    values = twelve_bits(data + b"\0")[:301, [1, 0, 2]] / 341
    np.testing.assert_allclose(values.T, acceleration[:, :301], atol=0.5 / 341 + 1e-6)
    assert (int(info["Start Date"]) - 621355968000000000) * 100 == time[0]
    assert info["Sample Rate"] == "30"
    assert info["Serial Number"].startswith("NEO")


def log_records(path: Path) -> list[tuple[int, int, bytes]]:
    """(type, second, payload) of log.bin; zero bytes between records are skipped, checksums are held to."""
    with zipfile.ZipFile(path) as archive:
        data = archive.read("log.bin")
    records, at = [], 0
    while at < len(data):
        if data[at] == 0:
            at += 1
            continue
        separator, kind, second, size = struct.unpack("<BBIH", data[at : at + 8])
        assert separator == 0x1E
        check = 0
        for byte in data[at : at + 8 + size]:
            check ^= byte
        assert data[at + 8 + size] == ~check & 0xFF
        records.append((kind, second, data[at + 8 : at + 8 + size]))
        at += 9 + size
    return records


@pytest.mark.parametrize("twelve_bit", [False, True])
def test_a_newer_gt3x_holds_a_record_a_second(tmp_path: Path, at_30: Signal, twelve_bit: bool) -> None:
    acceleration, time = at_30
    n = simulation.write_gt3x(tmp_path / "a.gt3x", acceleration, time, twelve_bit=twelve_bit, stray_zeros=True)
    records = log_records(tmp_path / "a.gt3x")
    activity = [(second, payload) for kind, second, payload in records if kind == (0 if twelve_bit else 26)]
    assert n == 3600 == 30 * len(activity)
    assert [second for second, _ in activity] == [int(time[0] // 10**9) + k for k in range(120)]
    payload = b"".join(payload for _, payload in activity)
    values = twelve_bits(payload)[:, [1, 0, 2]] if twelve_bit else np.frombuffer(payload, dtype="<i2").reshape(-1, 3)
    np.testing.assert_allclose(values.T / 256, acceleration[:, :n], atol=0.5 / 256 + 1e-6)
    (parameters,) = (payload for kind, _, payload in records if kind == 21)
    stored = {key[:2]: key[2] for key in struct.iter_unpack("<HHI", parameters)}
    exponent, mantissa = stored[0, 55] >> 24, stored[0, 55] & 0xFFFFFF
    assert mantissa / 2**23 * 2**exponent == 256
    with zipfile.ZipFile(tmp_path / "a.gt3x") as archive:
        assert b"Acceleration Scale: 256.0\r\n" in archive.read("info.txt")
        assert b"\0\0\0\x1e" in archive.read("log.bin")


def test_idle_sleep_is_announced_and_silent(tmp_path: Path, at_30: Signal) -> None:
    acceleration, time = at_30
    n = simulation.write_gt3x(tmp_path / "a.gt3x", acceleration, time, idle_s=[(10, 40), (100, 101)])
    records = log_records(tmp_path / "a.gt3x")
    started = int(time[0] // 10**9)
    events = [(second - started, payload) for kind, second, payload in records if kind == 3]
    assert events == [(10, b"\x08"), (40, b"\x09"), (100, b"\x08"), (101, b"\x09")]
    awake = {second - started for kind, second, _ in records if kind == 26}
    assert awake == set(range(120)) - set(range(10, 40)) - {100}
    assert n == 30 * len(awake)


def test_matrix_packets_hold_the_signal_and_their_crc(tmp_path: Path, at_50: Signal) -> None:
    acceleration, time = at_50
    turning = acceleration * 150
    n_packets = simulation.write_matrix(
        tmp_path / "a.bin", acceleration, time, gyroscope=turning, heart_rate=72, bad_packets=[3]
    )
    data = (tmp_path / "a.bin").read_bytes()
    assert data[512:524] == struct.pack("<4sIHH", b"MDTC", n_packets, 8, 2000)
    packets = data[524:].split(b"MDTCPACK")[1:]
    assert n_packets == len(packets) == 11
    assert [zlib.crc32(packet[4:]) == struct.unpack("<I", packet[:4])[0] for packet in packets] == [
        k != 3 for k in range(11)
    ]
    values, gyroscope, seconds = [], [], []
    for packet in packets:
        start, end, n_acc, n_gyro, n_temp, n_heart = struct.unpack("<6I", packet[4:28])
        numbers = np.frombuffer(packet[28:], dtype="<i2").astype(np.float64)
        assert len(numbers) == 3 * n_acc + 3 * n_gyro + 2 * n_temp + 2 * n_heart
        assert (n_temp, n_heart) == (1, 1)
        assert numbers[-4:].tolist() == [314, 241, 72, 72]
        share = numbers / np.where(numbers > 0, 32767, 32768)
        values.append(share[: 3 * n_acc].reshape(-1, 3) * 8)
        gyroscope.append(share[3 * n_acc : 6 * n_acc].reshape(-1, 3) * 2000)
        seconds.append((start, end))
    np.testing.assert_allclose(np.concatenate(values).T, acceleration, atol=0.5 * 8 / 32767 + 1e-6)
    np.testing.assert_allclose(np.concatenate(gyroscope).T, turning, atol=0.5 * 2000 / 32767 + 1e-3)
    assert seconds[0] == (time[0] // 10**9, time[0] // 10**9 + 60)
    assert [end for _, end in seconds[:-1]] == [start for start, _ in seconds[1:]]
    assert seconds[-1][1] == time[-1] // 10**9 + 1


def rows_of(path: Path, skip: int = 0) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()[skip:]]


def numbers(rows: list[list[str]], first: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([[float(value) for value in row[first : first + 3]] for row in rows]).T


@pytest.mark.parametrize("unix_time", [False, True])
@pytest.mark.parametrize("with_gyroscope", [False, True])
def test_omgui_exports_have_time_then_gyroscope_then_acceleration(
    tmp_path: Path, at_50: Signal, unix_time: bool, with_gyroscope: bool
) -> None:
    acceleration, time = at_50[0][:, :500], at_50[1][:500]
    turning = acceleration * 150 if with_gyroscope else None
    simulation.write_omgui_csv(tmp_path / "a.csv", acceleration, time, gyroscope=turning, unix_time=unix_time)
    rows = rows_of(tmp_path / "a.csv")
    assert {len(row) for row in rows} == {7 if with_gyroscope else 4}
    moment = [round(float(row[0]) * 1e4) * 100_000 if unix_time else ns(row[0]) for row in rows]
    assert np.abs(np.array(moment) - time).max() < 10**6
    np.testing.assert_allclose(numbers(rows, 4 if with_gyroscope else 1), acceleration, atol=1e-6)
    if turning is not None:
        np.testing.assert_allclose(numbers(rows, 1), turning, atol=1e-4)


@pytest.mark.parametrize("column_names", [False, True])
def test_actilife_exports_have_ten_lines_of_header(tmp_path: Path, at_30: Signal, column_names: bool) -> None:
    acceleration, time = at_30
    simulation.write_actilife_csv(tmp_path / "a.csv", acceleration, time, column_names=column_names)
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert "date format M/d/yyyy at 30 Hz" in lines[0]
    assert lines[2:4] == ["Start Time 09:30:00", "Start Date 5/15/2023"]
    assert lines[9] == "-" * 50
    assert (lines[10] == "Accelerometer X,Accelerometer Y,Accelerometer Z") is column_names
    np.testing.assert_allclose(
        numbers(rows_of(tmp_path / "a.csv", 11 if column_names else 10), 0), acceleration, atol=6e-4
    )


def test_capture24_participants_have_annotated_rows(tmp_path: Path, at_50: Signal) -> None:
    acceleration, time = at_50[0][:, :100], at_50[1][:100]
    labels = ["7030 sleeping;MET 0.95"] * 60 + [""] * 40
    simulation.write_capture24_csv(tmp_path / "P001.csv.gz", acceleration, time, labels)
    lines = gzip.decompress((tmp_path / "P001.csv.gz").read_bytes()).decode().splitlines()
    assert lines[0] == "time,x,y,z,annotation"
    rows = [line.split(",") for line in lines[1:]]
    assert rows[0][0] == "2023-05-15 09:30:00.250000"
    assert [row[4] for row in rows] == labels
    np.testing.assert_allclose(numbers(rows, 1), acceleration, atol=1e-7)
    with pytest.raises(ValueError, match="annotation: expected 100"):
        simulation.write_capture24_csv(tmp_path / "P002.csv.gz", acceleration, time, [""])


def test_a_plain_csv_has_a_header_and_times_to_the_millisecond(tmp_path: Path, at_50: Signal) -> None:
    acceleration, time = at_50[0][:, :100], at_50[1][:100]
    simulation.write_csv(tmp_path / "a.csv", acceleration, time)
    rows = rows_of(tmp_path / "a.csv", 1)
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == "time,x,y,z"
    assert [ns(row[0]) for row in rows] == (time // 10**6 * 10**6).tolist()
    np.testing.assert_allclose(numbers(rows, 1), acceleration, atol=1e-6)


def test_a_participant_of_nhanes_is_one_file_an_hour_and_a_log(tmp_path: Path) -> None:
    acceleration, time, _ = wrist_motion(days=1.7 / 24, sample_rate=5.0, start="2000-01-09T22:30:00")
    assert simulation.write_nhanes(tmp_path / "62161", acceleration, time) == 3
    assert simulation.write_nhanes(tmp_path / "62161.tar.bz2", acceleration, time) == 3
    names = sorted(path.name for path in (tmp_path / "62161").iterdir())
    stem = "GT3XPLUS-AccelerationCalibrated-2x5x0.NEO1F09120034.2000-01"
    hours = ("09-22-30", "09-23-00", "10-00-00")
    assert names == ["62161_log.csv", *(f"{stem}-{hour}-00-000-P0000.sensor.csv" for hour in hours)]
    rows = [row for name in names[1:] for row in rows_of(tmp_path / "62161" / name, 1)]
    assert (tmp_path / "62161" / names[1]).read_text().startswith("HEADER_TIMESTAMP,X,Y,Z\n2000-01-09 22:30:00.000,")
    assert [ns(row[0]) for row in rows] == time.tolist()
    np.testing.assert_allclose(numbers(rows, 1), acceleration, atol=6e-4)
    with tarfile.open(tmp_path / "62161.tar.bz2") as archive:
        packed = {entry.name: archive.extractfile(entry) for entry in archive}
        assert {name: file.read() for name, file in packed.items() if file} == {
            name: (tmp_path / "62161" / name).read_bytes() for name in names
        }
    with pytest.raises(FileExistsError, match="already exists"):
        simulation.write_nhanes(tmp_path / "62161", acceleration, time)


def test_parquet_and_npz_keep_every_bit(tmp_path: Path, at_50: Signal) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    acceleration, time = at_50
    simulation.write_parquet(tmp_path / "a.parquet", acceleration, time)
    simulation.write_npz(tmp_path / "a.npz", acceleration, time)
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.column_names == ["time", "x", "y", "z"]
    assert (table["time"].to_numpy().astype("M8[ns]").astype(np.int64) == time).all()
    assert (np.stack([table[axis].to_numpy() for axis in "xyz"]) == acceleration).all()
    with np.load(tmp_path / "a.npz") as held:
        assert (held["acceleration"] == acceleration).all()
        assert (held["time"] == time).all()
        assert held["sample_rate"] == 50


WRITERS: dict[str, Callable[..., object]] = {
    "bin": simulation.write_geneactiv,
    "matrix.bin": simulation.write_matrix,
    "csv": simulation.write_csv,
    "omgui.csv": simulation.write_omgui_csv,
    "actilife.csv": simulation.write_actilife_csv,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_name_in_gz_or_zip_holds_the_same_bytes_and_is_the_same_each_time(
    tmp_path: Path, at_50: Signal, name: str
) -> None:
    acceleration, time = at_50[0][:, :900], at_50[1][:900]
    for path in (f"a.{name}", f"a.{name}.gz", f"a.{name}.zip"):
        WRITERS[name](tmp_path / path, acceleration, time)
    plain = (tmp_path / f"a.{name}").read_bytes()
    squeezed = (tmp_path / f"a.{name}.gz").read_bytes()
    assert gzip.decompress(squeezed) == plain
    with zipfile.ZipFile(tmp_path / f"a.{name}.zip") as archive:
        assert {entry: archive.read(entry) for entry in archive.namelist()} == {f"a.{name}": plain}
    WRITERS[name](tmp_path / f"a.{name}.gz", acceleration, time)
    assert (tmp_path / f"a.{name}.gz").read_bytes() == squeezed
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a.{name}", f"a.{name}.gz", f"a.{name}.zip"]


@pytest.mark.parametrize(
    "writer", [*WRITERS.values(), simulation.write_gt3x, simulation.write_gt3x_v1, simulation.write_npz]
)
def test_every_writer_refuses_what_is_no_signal(tmp_path: Path, writer: Callable[..., object]) -> None:
    path = tmp_path / "a.x"
    with pytest.raises(ValueError, match=r"acceleration: expected shape \[3, n\], got \[2, 5\]"):
        writer(path, np.zeros((2, 5)), np.arange(5))
    with pytest.raises(ValueError, match=r"time: expected shape \[5\], got \[4\]"):
        writer(path, np.zeros((3, 5)), np.arange(4))
    with pytest.raises(ValueError, match="time: expected two or more increasing times"):
        writer(path, np.zeros((3, 5)), np.zeros(5, dtype=np.int64))
    assert list(tmp_path.iterdir()) == []


def test_formats_that_need_whole_pages_or_seconds_say_so(tmp_path: Path, at_50: Signal) -> None:
    acceleration, time = at_50
    with pytest.raises(ValueError, match="acceleration: expected at least 300 samples, got 299"):
        simulation.write_geneactiv(tmp_path / "a.bin", acceleration[:, :299], time[:299])
    with pytest.raises(ValueError, match="time: expected 50 samples or more from a whole second"):
        simulation.write_gt3x(tmp_path / "a.gt3x", acceleration, time)


def test_a_wearers_motion_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    first, again, other = (wrist_motion(days=0.01, seed=seed)[0] for seed in (1, 1, 2))
    assert (first == again).all()
    assert not np.array_equal(first, other)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    with pytest.raises(ValueError, match="expected both above 0"):
        wrist_motion(days=0)
    with pytest.raises(ValueError, match="expected both above 0"):
        wrist_motion(sample_rate=float("nan"))

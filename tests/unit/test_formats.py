"""Files of every layout, made by hand, give what was put in."""

from __future__ import annotations

import bz2
import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imuspec import _core
from imuspec.errors import RecordingError

SECOND = 1_000_000_000
START = 1_598_436_540 * SECOND  # 2020-08-26 10:09:00


def read(path: Path, timestamps: str = "device") -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    got = _core.read(str(path), timestamps, "auto", "auto", None)
    return got, got["xyz"].reshape(3, -1)[:, : got["n"]], got["time"][: got["n"]]


def stamp(i: int, rate: float = 50.0, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    at = np.datetime64(START + round(i * 1e9 / rate), "ns").astype("datetime64[ms]").item()
    return at.strftime(form) + f".{at.microsecond // 1000:03d}"


ROWS = [(0.01 * (i % 7), -0.5, 0.866) for i in range(200)]


def table(layout: str) -> str:
    """Return the same 200 rows at 50 Hz in one of the layouts."""
    xyz = [f"{x:.6f},{y:.6f},{z:.6f}" for x, y, z in ROWS]
    times = [START + i * SECOND // 50 for i in range(200)]
    match layout:
        case "unix":
            return "".join(f"{t / 1e9:.4f},{v}\n" for t, v in zip(times, xyz, strict=True))
        case "formatted":
            return "".join(f"{stamp(i)},{v}\r\n" for i, v in enumerate(xyz))
        case "gyroscope":
            return "".join(f"{stamp(i)},{v},{1 - 2 * (i % 2)}.0,2.0,3.0\n" for i, v in enumerate(xyz))
        case "named":
            return "Timestamp,Accel_X,Accel_Y,Accel_Z\n" + "".join(f"{stamp(i)},{v}\n" for i, v in enumerate(xyz))
        case "iso":
            form = "%Y-%m-%dT%H:%M:%S"
            return "\ufefftime,x,y,z\n" + "".join(f"{stamp(i, form=form)}+02:00,{v}\n" for i, v in enumerate(xyz))
        case "ms":
            return "x,y,z,unix_time\n" + "".join(f"{v},{t // 10**6}\n" for t, v in zip(times, xyz, strict=True))
        case "us":
            return "epoch\tx\ty\tz\n" + "".join(
                f"{t // 1000}\t{v}\n".replace(",", "\t") for t, v in zip(times, xyz, strict=True)
            )
        case "ns":
            return "time,x (g),y (g),z (g)\n" + "".join(f"{t},{v}\n" for t, v in zip(times, xyz, strict=True))
        case "comma":
            lines = (f"{stamp(i)};{v.replace(',', ';').replace('.', ',')}\n" for i, v in enumerate(xyz))
            return "Date Time;X;Y;Z\n" + "".join(lines)
        case "quoted":
            lines = (f'"{stamp(i)}","' + v.replace(",", '","') + '"\n' for i, v in enumerate(xyz))
            return '"time","x","y","z"\n' + "".join(lines)
        case "two columns":
            lines = (f"{stamp(i)[:10]},{stamp(i)[11:]},{v}\n" for i, v in enumerate(xyz))
            return "date,time,x,y,z\n" + "".join(lines)
        case "month first":
            return "time,x,y,z\n" + "".join(f"{stamp(i, form='%m/%d/%Y %H:%M:%S')},{v}\n" for i, v in enumerate(xyz))
        case "day first":
            return "time,x,y,z\n" + "".join(f"{stamp(i, form='%d/%m/%Y %H:%M:%S')},{v}\n" for i, v in enumerate(xyz))
    raise ValueError(layout)


LAYOUTS = ["unix", "formatted", "gyroscope", "named", "iso", "ms", "us", "ns", "comma", "quoted", "two columns"]
LAYOUTS += ["month first", "day first"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_table_of_any_layout_gives_its_rows(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "table.TXT"
    path.write_text(table(layout), "utf-8", newline="")
    got, xyz, time = read(path)
    np.testing.assert_array_equal(xyz, np.array(ROWS, np.float64).T.round(6).astype(np.float32))
    np.testing.assert_array_equal(time, START + np.arange(200) * SECOND // 50)
    assert got["counts"] == ({"assumed_epoch": 1} if layout in {"unix", "ns"} else {})
    assert got["header"]["nominal_rate"] == 50.0
    assert got["sample_rate"] == pytest.approx(50.0)
    assert got["header"]["metadata"]["acceleration_unit"].startswith("g (")
    if layout == "gyroscope":
        np.testing.assert_array_equal(got["gyro"].reshape(3, -1)[:, 7], [-1, 2, 3])


@pytest.mark.parametrize("pack", ["gz", "bz2", "zip", "zip in gz"])
def test_compression_around_a_file_makes_no_difference(pack: str, tmp_path: Path) -> None:
    plain = table("named").encode()
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/._a.csv", b"clutter")
        archive.writestr("folder/a.csv", plain)
    bytes_of = {
        "gz": gzip.compress(plain),
        "bz2": bz2.compress(plain),
        "zip": zipped.getvalue(),
        "zip in gz": gzip.compress(zipped.getvalue()),
    }
    path = tmp_path / "file"
    path.write_bytes(bytes_of[pack])
    assert read(path)[0]["n"] == 200


@pytest.mark.parametrize(
    ("name", "factor", "unit"), [("x [m/s2]", 9.80665, "m/s2"), ("x", 9.80665, "m/s2"), ("x", 1000, "mg")]
)
def test_other_units_become_g_and_the_metadata_say_so(name: str, factor: float, unit: str, tmp_path: Path) -> None:
    head = f"time,{name},{name.replace('x', 'y')},{name.replace('x', 'z')}\n"
    rows = "".join(f"{i / 50:.2f},{x * factor},{y * factor},{z * factor}\n" for i, (x, y, z) in enumerate(ROWS))
    (tmp_path / "a.csv").write_text(head + rows)
    got, xyz, time = read(tmp_path / "a.csv")
    np.testing.assert_allclose(xyz, np.array(ROWS).T, atol=1e-6)
    assert got["header"]["metadata"]["acceleration_unit"].startswith(unit)
    assert time[50] == SECOND


def test_a_norm_that_fits_no_unit_is_kept_and_noted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,x,y,z\n" + "".join(f"{i / 50},40,0,0\n" for i in range(100)))
    got, xyz, _ = read(tmp_path / "a.csv")
    assert xyz[0, 0] == 40
    assert got["counts"] == {"assumed_unit": 1, "no_date": 1, "unusual_norm": 1}


def test_bad_rows_are_left_out_and_counted_with_their_place(tmp_path: Path) -> None:
    lines = table("named").splitlines(keepends=True)
    lines[100] = "2020-08-26 10:09:xx,0,0,1\n"
    lines[150] = stamp(149) + ",,nan,1\n"
    lines.insert(120, "z" * 2_000_000 + "\n")
    (tmp_path / "a.csv").write_text("".join(lines))
    got, xyz, _ = read(tmp_path / "a.csv")
    assert got["n"] == 199
    assert got["counts"] == {"bad_row": 1, "long_row": 1, "missing_values": 1}
    bad = next(event for event in got["events"] if event[0] == "bad_row")
    assert (bad[1], bad[2]) == (sum(map(len, lines[:100])), 99)
    assert np.isnan(xyz).sum() == 2


def test_a_number_cut_at_the_end_of_the_file_is_noted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(table("named")[:-4])
    assert read(tmp_path / "a.csv")[0]["counts"] == {"cut_row": 1}
    (tmp_path / "b.csv").write_text(table("named")[:-1])
    assert read(tmp_path / "b.csv")[0]["counts"] == {}


def test_stamps_of_whole_seconds_are_spread_over_their_rows(tmp_path: Path) -> None:
    rows = "".join(f"{stamp(i + 20)[:19]},0,0,1\n" for i in range(1000))
    (tmp_path / "a.csv").write_text("time,x,y,z\n" + rows)
    got, _, time = read(tmp_path / "a.csv")
    assert got["header"]["nominal_rate"] == 50.0
    assert len(got["run_starts"]) == 1
    assert np.abs(time - (START + (np.arange(1000) + 20) * SECOND // 50)).max() < 1_000_000


def test_capture24_rows_keep_their_annotations(tmp_path: Path) -> None:
    labels = ["7030 sleeping;MET 0.95", "", "occupation;office, desk;11580;MET 1.5"]
    quoted = [f'"{label}"' if "," in label else label for label in labels]
    rows = [f"2016-10-17 03:53:00.{i * 10:03d}000,-0.38,0.48,-0.79,{quoted[i * 3 // 90]}\n" for i in range(90)]
    (tmp_path / "P001.csv.gz").write_bytes(gzip.compress(("time,x,y,z,annotation\n" + "".join(rows)).encode()))
    got, _, _ = read(tmp_path / "P001.csv.gz")
    assert got["header"]["labels"] == [labels[0], labels[2]]
    assert got["annotation"].tolist() == [0] * 30 + [-1] * 30 + [1] * 30


@pytest.mark.parametrize("style", ["plain", "named", "timed", "german"])
def test_actilifes_export_is_timed_by_its_ten_lines(style: str, tmp_path: Path) -> None:
    title = "------------ Data File Created By ActiGraph GT3X+ ActiLife v6.13.3 Firmware v2.5.0 date format"
    title += " dd.MM.yyyy at 50 Hz  Filter Normal -----------" if style == "german" else " M/d/yyyy at 50 Hz -----"
    day = "26.08.2020" if style == "german" else "8/26/2020"
    lines = [title, "Serial Number: NEO1C04110003", "Start Time 10:09:00", f"Start Date {day}"]
    lines += ["Epoch Period (hh:mm:ss) 00:00:00", "Download Time 12:09:58", f"Download Date {day}"]
    lines += ["Current Memory Address: 0", "Current Battery Voltage: 4.26     Mode = 12", "-" * 50]
    if style == "timed":
        lines.append("Timestamp,Accelerometer X,Accelerometer Y,Accelerometer Z")
    elif style == "named":
        lines.append("Accelerometer X,Accelerometer Y,Accelerometer Z")
    for i, row in enumerate(ROWS):
        text = ",".join(f"{v:.3f}" for v in row)
        if style == "german":
            text = text.replace(",", ";").replace(".", ",")
        lines.append((stamp(i, form="%m/%d/%Y %H:%M:%S") + "," if style == "timed" else "") + text)
    (tmp_path / "a.csv").write_text("\r\n".join(lines) + "\r\n", newline="")
    got, xyz, time = read(tmp_path / "a.csv")
    np.testing.assert_array_equal(time, START + np.arange(200) * SECOND // 50)
    np.testing.assert_array_equal(xyz, np.array(ROWS).round(3).T.astype(np.float32))
    assert got["header"]["device_id"] == "NEO1C04110003"
    assert got["header"]["nominal_rate"] == 50.0


def test_counts_and_tables_without_time_or_axes_are_refused_in_words(tmp_path: Path) -> None:
    for text, word in [
        ("time,heart,steps,notes\n1,2,3,4\n", "columns named x, y and z"),
        ("a,x,y,z\n1,0,0,1\n2,0,0,1\n", "a column named time"),
        ("hello world\nthis is no recording\n", "a header or a row"),
    ]:
        (tmp_path / "a.csv").write_text(text)
        with pytest.raises(RecordingError, match=word):
            read(tmp_path / "a.csv")


def hourly(hour: int, rows: list[tuple[int, float]]) -> tuple[str, bytes]:
    name = f"GT3XPLUS-AccelerationCalibrated-2x5x0.NEO1D39120033.2000-01-03-{hour:02d}-00-00-000-P0000.sensor.csv"
    base = np.datetime64(f"2000-01-03T{hour:02d}:00:00.000", "ms")
    lines = [f"{str(base + np.timedelta64(ms, 'ms')).replace('T', ' ')},0.1,0.2,{z}\n" for ms, z in rows]
    return name, ("HEADER_TIMESTAMP,X,Y,Z\n" + "".join(lines)).encode()


def participant() -> dict[str, bytes]:
    """Return three hours of 20 s at 80 Hz each, 5 s of idle sleep in the second, and a log."""
    whole = [round(i * 12.5) for i in range(1600)]
    files = {}
    for hour in (10, 11, 12):
        rows = [(ms + 3_580_000, hour / 10) for ms in whole]
        if hour == 11:
            rows = [(ms, z) for ms, z in rows if not 3_590_000 <= ms < 3_595_000]
        name, content = hourly(hour, rows)
        files[name + (".gz" if hour == 11 else "")] = gzip.compress(content) if hour == 11 else content
    head = b"DAY_OF_DATA,START_TIME,END_TIME,DATA_QUALITY_FLAG_CODE,DATA_QUALITY_FLAG_VALUE\n"
    files["62161_Logs.csv"] = head + b"1,10:59:45,10:59:50,SPIKE,1\n"
    return files


@pytest.mark.parametrize("form", ["folder", "tar", "tar out of order", "zip"])
def test_an_nhanes_participant_is_one_recording_in_order_of_time(form: str, tmp_path: Path) -> None:
    files = participant()
    if form == "folder":
        path = tmp_path / "62161"
        path.mkdir()
        for name, content in files.items():
            (path / name).write_bytes(content)
    elif form == "zip":
        path = tmp_path / "62161.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        path = tmp_path / "62161.tar.bz2"
        names = list(files)
        if "order" in form:
            names = [names[0], names[2], names[1], names[3]]
        with tarfile.open(path, "w:bz2") as tar:
            for name in names:
                info = tarfile.TarInfo(f"./62161/{name}")
                info.size = len(files[name])
                tar.addfile(info, io.BytesIO(files[name]))
    got, xyz, time = read(path)
    assert got["n"] == 3 * 1600 - 400
    assert (np.diff(time) > 0).all()
    assert xyz[2, [0, 1600, -1]].tolist() == pytest.approx([1.0, 1.1, 1.2])
    assert got["header"]["format"] == "nhanes"
    assert got["header"]["nominal_rate"] == 80.0
    assert str(np.datetime64(int(time[0]), "ns")).startswith("2000-01-03T10:59:40")
    idle = [event for event in got["events"] if event[0] == "idle_sleep"]
    assert [round(event[5]) for event in idle] == [3580, 5, 3580]
    assert got["counts"]["quality_flag"] == 1
    flag = next(event for event in got["events"] if event[0] == "quality_flag")
    assert str(np.datetime64(flag[3], "ns")).startswith("2000-01-03T10:59:45")
    assert flag[5] == 5
    assert got["header"]["metadata"]["quality_flags"] == "SPIKE 1"


def record(kind: int, second: int, payload: bytes) -> bytes:
    body = struct.pack("<BBIH", 0x1E, kind, second, len(payload)) + payload
    total = 0
    for byte in body:
        total ^= byte
    return body + bytes([~total & 255])


def gt3x(path: Path, log: bytes, serial: str = "MOS2D1", firmware: str = "1.9.2") -> Path:
    ticks = 621355968000000000 + START // 100
    info = f"Serial Number: {serial}\r\nFirmware: {firmware}\r\nSample Rate: 30\r\nStart Date: {ticks}\r\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("info.txt", info)
        archive.writestr("log.bin", log)
    return path


def test_gt3x_records_of_all_three_kinds_give_their_axes(tmp_path: Path) -> None:
    second = START // SECOND
    yxz = bytes.fromhex("006008ebd0") + bytes(4)  # documented example: y 6, x 8, z -323
    log = record(0, second, yxz) + b"\0\0\0" + record(27, second + 1, yxz)
    log += record(26, second + 2, struct.pack("<6h", 8, 6, -323, 0, 0, 256))
    got, xyz, _ = read(gt3x(tmp_path / "a.gt3x", log))
    np.testing.assert_array_equal(xyz[:, 0], np.array([0.031, 0.023, -1.262], np.float32))
    np.testing.assert_array_equal(xyz[:, 2], np.array([0.023, 0.031, -1.262], np.float32))
    np.testing.assert_array_equal(xyz[:, 4], xyz[:, 0])
    assert got["n"] == 6
    turned = read(gt3x(tmp_path / "b.gt3x", log, firmware="1.6.0"))[1]
    np.testing.assert_array_equal(turned, [xyz[1], -xyz[0], xyz[2]])


def test_a_gt3x_record_with_a_bad_check_sum_is_skipped_and_idle_sleep_is_distinguished_from_loss(
    tmp_path: Path,
) -> None:
    second = START // SECOND
    page = struct.pack("<90h", *([10, 20, 250] * 30))
    records = [record(26, second + i, page) for i in range(10)]
    records[3] = records[3][:40] + bytes([records[3][40] ^ 1]) + records[3][41:]
    log = b"".join(records) + record(3, second + 10, b"\x08") + record(3, second + 70, b"\x09")
    log += b"".join(record(26, second + 70 + i, page) for i in range(5))
    got, _, time = read(gt3x(tmp_path / "a.gt3x", log))
    assert got["n"] == 14 * 30
    assert got["counts"]["bad_checksum"] == 1
    assert got["counts"]["idle_sleep"] == 1
    assert got["run_starts"].tolist() == [0, 90, 270]
    idle = next(event for event in got["events"] if event[0] == "idle_sleep")
    assert (idle[3], idle[5]) == ((second + 10) * SECOND, 60.0)
    assert time[270] == (second + 70) * SECOND


def test_a_gt3x_parameter_record_sets_the_scale(tmp_path: Path) -> None:
    # 341 = fraction 0.666015625 (of 2^23) * 2^9
    encoded = (9 << 24) | int(341 / 512 * 8388608)
    second = START // SECOND
    log = record(21, second, struct.pack("<HHI", 0, 55, encoded)) + record(26, second, struct.pack("<3h", 341, 0, 682))
    assert read(gt3x(tmp_path / "a.gt3x", log))[1][:, 0].tolist() == [1.0, 0.0, 2.0]


def matrix(packets: list[tuple[int, int, list[list[int]], list[list[int]]]]) -> bytes:
    out = bytes(512) + b"MDTC" + struct.pack("<IHH", len(packets), 8, 2000)
    for start, end, acceleration, gyro in packets:
        body = struct.pack("<6I", start, end, len(acceleration), len(gyro), 1, 0)
        body += b"".join(struct.pack("<3h", *row) for row in acceleration + gyro) + struct.pack("<2h", 312, 240)
        out += b"MDTCPACK" + struct.pack("<I", zlib.crc32(body)) + body
    return out


def test_matrix_rows_follow_the_acceleration_or_by_actipys_rule_the_fastest_channel(tmp_path: Path) -> None:
    second = START // SECOND
    packet = (second, second + 10, [[0, 4096, -32768]] * 125, [[100, 0, 32767]] * 250)
    path = tmp_path / "a.bin"
    path.write_bytes(matrix([packet, (second + 10, second + 20, packet[2], packet[3])]))
    got, xyz, time = read(path)
    assert (got["n"], got["sample_rate"]) == (250, pytest.approx(12.5))
    np.testing.assert_array_equal(xyz[:, 0], np.array([0, 1.000031, -8], np.float32))
    assert time[125] == (second + 10) * SECOND
    assert got["gyro"].reshape(3, -1)[2, 0] == 2000
    assert got["blocks"]["temperature"].tolist() == pytest.approx([31.2, 31.2])
    got, xyz, _ = read(path, "actipy")
    assert got["n"] == 500
    assert np.isnan(xyz[:, 1::2]).all()
    assert np.isfinite(xyz[:, ::2]).all()


GENEACTIV = """Device Identity\r
Device Unique Serial Code:012967\r
Measurement Frequency:50 Hz\r
Subject Notes:two\0\r
lines: x gain:1\r
\r
Calibration Data\r
x gain:25875.5\r
x offset:439\r
y gain:25734\r
y offset:-662\r
z gain:25538\r
z offset:-3056\r
Volts:300\r
Lux:800\r
Number of Pages:4\r
"""


def geneactiv(pages: list[tuple[int, int, str]]) -> str:
    text = GENEACTIV
    for sequence, ms, payload in pages:
        time = np.datetime64(START // 1_000_000 + ms, "ms").astype(object).strftime("%Y-%m-%d %H:%M:%S")
        text += f"Recorded Data\r\nDevice Unique Serial Code:012967\r\nSequence Number:{sequence}\r\n"
        text += f"Page Time:{time}:{ms % 1000:03d}\r\nUnassigned:\r\nTemperature:21.5\r\nBattery voltage:4.1493\r\n"
        text += f"Device Status:Recording\r\nMeasurement Frequency:50.0\r\n{payload}\r\n"
    return text


def test_geneactiv_pages_are_read_by_name_short_ones_as_far_as_they_go(tmp_path: Path) -> None:
    sample = "0C4FFDF3D004"
    pages = [
        (0, 0, sample * 300),
        (1, 6000, sample * 100 + "0C"),
        (2, 12000, sample * 150 + "x" + sample[1:] + sample * 149),
    ]
    path = tmp_path / "a.BIN"
    path.write_text(geneactiv([*pages, (5, 30000, sample * 300)]), newline="")
    got, xyz, time = read(path)
    assert got["n"] == 1000
    assert got["counts"] == {"bad_samples": 1, "gap": 2, "lost_pages": 2, "short_page": 1}
    assert got["run_starts"].tolist() == [0, 400, 700]
    x, y, z = ((0x0C4 * 100 - 439) / 25875.5, (-3 * 100 + 662) / 25734, ((0xF3D - 4096) * 100 + 3056) / 25538)
    np.testing.assert_array_equal(xyz[:, 0], np.array([x, y, z], np.float32))
    assert np.isnan(xyz[:, 550]).all()
    assert got["light"][0] == np.float32(1 * 800 / 300)
    assert time[[0, 300, 400, 700]].tolist() == [START + ms * 1_000_000 for ms in (0, 6000, 12000, 30000)]
    assert read(path, "actipy")[0]["n"] == 600


def test_folders_and_empty_files_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "empty.cwa").write_bytes(b"")
    for path, word in [(tmp_path, "hourly files"), (tmp_path / "empty.cwa", "empty file")]:
        with pytest.raises(RecordingError, match=word):
            read(path)

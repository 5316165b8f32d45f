"""Inputs of other makers, damaged headers, parts in the wrong order: each read as it is, refused, or marked."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import imuspec
from device_files import START, cwa, geneactiv, gt3x, participant, record
from imuspec.errors import RecordingError
from imuspec.recipe import Recipe
from imuspec.recording import owners as owners_of_tables

RECIPE = Recipe.load("capture24").set("calibration.required=false", "segments.min_wear_h=0")
N = 12_000


def motion(constant: slice = slice(0), value: float = 0.0) -> NDArray[np.float32]:
    """Return acceleration [n, 3] of a device that turns about every axis, y apart from its constant rows."""
    passed = np.arange(N) / 100
    across, along = 0.2 * passed, 0.13 * passed
    xyz = np.stack([np.sin(across) * np.cos(along), np.sin(across) * np.sin(along), np.cos(across)], 1)
    xyz += np.random.default_rng(3).normal(0, 0.02, xyz.shape)
    xyz[constant, 1] = value
    return np.round(xyz, 5).astype(np.float32)


def write(path: Path, xyz: NDArray[np.float32], order: NDArray[np.int_] | None = None) -> Path:
    """Write rows of 100 Hz in this order as CSV, NPZ or Parquet, by the path's suffix."""
    order = np.arange(len(xyz)) if order is None else order
    time = (START * 1000 + 10 * order).astype("datetime64[ms]").astype("datetime64[ns]")
    xyz = xyz[order]
    match path.suffix:
        case ".npz":
            np.savez(path, time=time, xyz=xyz)
        case ".parquet":
            pq.write_table(pa.table({"time": time, **dict(zip("xyz", xyz.T, strict=True))}), path)
        case _:
            rows = zip(time, xyz.tolist(), strict=True)
            path.write_text("time,x,y,z\n" + "\n".join(f"{t},{x:.5f},{y:.5f},{z:.5f}" for t, (x, y, z) in rows) + "\n")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
@pytest.mark.parametrize("value", [0.0, 0.25])
def test_an_axis_that_never_changes_is_no_wear(suffix: str, value: float, tmp_path: Path) -> None:
    prepared = imuspec.prepare(write(tmp_path / f"a{suffix}", motion(slice(None), value)), RECIPE)
    assert prepared.status == "excluded"
    assert "one that keeps its value through 100 % of the seconds" in prepared.reason
    (event,) = prepared.quality.events("constant_axis")
    assert event.value == 1
    remaining = imuspec.prepare(prepared.path, RECIPE.set("checks.constant_axis_max=1"))
    assert (remaining.status, remaining.quality.counts["constant_axis"]) == ("ok", 1)


def test_an_axis_that_sticks_for_a_third_of_the_time_is_marked_and_kept(tmp_path: Path) -> None:
    prepared = imuspec.prepare(write(tmp_path / "a.csv", motion(slice(8000, None), 0.1)), RECIPE)
    assert (prepared.status, prepared.quality.counts) == ("ok", {"constant_axis": 1})
    assert prepared.quality.events("constant_axis")[0].value == pytest.approx(1 / 3, abs=0.02)


def test_a_device_that_vibrates_where_it_lies_has_no_stuck_axis(tmp_path: Path) -> None:
    xyz = motion()
    xyz[:, 0], xyz[:, 2] = 0.3 * np.sin(np.arange(N)), 1
    xyz[:, 1] = np.random.default_rng(1).normal(0, 0.02, N)
    assert imuspec.read(write(tmp_path / "a.csv", xyz)).quality.counts == {}


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
def test_an_axis_without_numbers_is_no_wear(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"a{suffix}", motion(slice(None), np.nan))
    prepared = imuspec.prepare(path, RECIPE)
    assert (prepared.status, prepared.quality.counts["missing_values"]) == ("excluded", N)
    assert "got none on some axis in 12000 of 12000 samples" in prepared.reason
    fewer = imuspec.prepare(write(path, motion(slice(0, 1200), np.nan)), RECIPE)
    assert (fewer.status, fewer.quality.counts) == ("ok", {"missing_values": 1200})


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
def test_halves_in_the_wrong_order_are_refused(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"a{suffix}", motion(), np.r_[6000:N, 0:6000])
    with pytest.raises(
        RecordingError, match=r"6000 samples that end 0\.010 s before 6000 samples in front of them begin"
    ):
        imuspec.read(path)
    assert "parts of the file are in the wrong order" in imuspec.prepare(path, RECIPE).reason
    # by actipy's rule rows that are not later are left out, and counted
    assert imuspec.read(path, timestamps="actipy").quality.counts["rows_not_later"] > 0


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
@pytest.mark.parametrize("first", [1000, 3000])
def test_parts_within_the_window_are_put_in_order(suffix: str, first: int, tmp_path: Path) -> None:
    whole = imuspec.read(write(tmp_path / f"a{suffix}", motion()))
    recording = imuspec.read(
        write(tmp_path / f"b{suffix}", motion(), np.r_[first : first + 1000, 0:first, first + 1000 : N])
    )
    assert set(recording.quality.counts) == {"row_out_of_order"}
    assert np.array_equal(recording.time, whole.time)
    assert np.array_equal(recording.acceleration, whole.acceleration)


@pytest.mark.parametrize("kind", ["gt3x", "bin", "cwa"])
def test_halves_of_a_device_file_in_the_wrong_order_are_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "gt3x":
        gt3x(path, *[record(START + i) for i in [*range(300, 600), *range(300)]])
    elif kind == "bin":
        geneactiv(path, [*range(20, 40), *range(20)])
    else:
        header, *blocks = cwa(path, 200)
        path.write_bytes(b"".join([header, *blocks[100:], *blocks[:100]]))
    with pytest.raises(RecordingError, match="parts of the file are in the wrong order"):
        imuspec.read(path)


#: What takes the place of a header: its bytes from here on behind these.
HEADERS: dict[str, tuple[bytes, int]] = {
    "none": (b"", 1024),
    "zeros": (bytes(1024), 1024),
    "erased": (b"MD\xfc\x03" + b"\xff" * 1020, 1024),
    "half": (b"", 512),
    "noise": (np.random.default_rng(3).integers(0, 256, 1024, np.uint8).tobytes(), 1024),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_cwa_without_a_header_is_marked_and_keeps_every_block(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.cwa"
    header, *blocks = cwa(path, 60)
    path.write_bytes(b"".join([header, *blocks]))
    whole = imuspec.read(path)
    assert "missing_header" not in whole.quality.counts
    damaged, rest = HEADERS[kind]
    path.write_bytes(b"".join([damaged, header[rest:], *blocks]))
    recording = imuspec.read(path)
    assert recording.quality.counts == {"missing_header": 1}
    assert np.array_equal(recording.acceleration, whole.acceleration)
    assert np.array_equal(recording.time, whole.time)
    assert recording.device_id == ""
    assert recording.metadata["session_id"] == whole.metadata["session_id"]


def test_a_gt3x_without_a_serial_number_is_read_by_its_scale_and_marked(tmp_path: Path) -> None:
    path = gt3x(tmp_path / "a.gt3x", *[record(START + i) for i in range(60)])
    whole = imuspec.read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("info.txt", "Sample Rate: 30\r\nAcceleration Scale: 256,0\r\n")
        archive.writestr("log.bin", b"".join(record(START + i) for i in range(60)))
    recording = imuspec.read(path)
    assert recording.quality.counts == {"missing_serial": 1}
    assert np.array_equal(recording.acceleration, whole.acceleration)


def test_two_columns_of_one_axis_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [
        f"{START + i / 100:.2f},{x},{y},{z},{9 * x},{9 * y},{9 * z}" for i, (x, y, z) in enumerate(motion().tolist())
    ]
    for names in ("x,y,z,x,y,z", "x,y,z,acc_x,acc_y,acc_z"):
        path.write_text("\n".join([f"time,{names}", *rows]) + "\n")
        with pytest.raises(RecordingError, match="expected one column of acceleration for each axis"):
            imuspec.read(path)
    path.write_text("\n".join(["unix_time,x,y,z,gyro_x,gyro_y,gyro_z", *rows]) + "\n")
    assert imuspec.read(path).quality.counts == {}
    columns = {"time": np.arange(N), "x": np.ones(N), "y": np.ones(N), "z": np.ones(N)}
    for name, more in (("acc_y", np.ones(N)), ("xyz", np.ones((N, 3)))):
        np.savez(tmp_path / "a.npz", **columns, **{name: more})
        with pytest.raises(RecordingError, match="expected one column of acceleration for each axis"):
            imuspec.read(tmp_path / "a.npz")


def test_an_nhanes_hour_that_comes_again_under_a_later_name_is_read_once(tmp_path: Path) -> None:
    folder = participant(tmp_path / "1", {"09-P0000": 1.0, "10-P0000": 1.0})
    member = next(folder.glob("*-09-00-00*"))
    member.with_name(member.name.replace("-09-00-00", "-11-00-00")).write_text(member.read_text())
    recording = imuspec.read(folder)
    assert len(recording) == 3200
    assert recording.quality.counts == {"gap": 1, "idle_sleep": 1, "repeated_member": 1}


def test_a_table_with_two_units_of_acceleration_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", motion())
    rows = path.read_text().partition("\n")[2]
    path.write_text("time,x [mg],y [g],z [g]\n" + rows)
    with pytest.raises(RecordingError, match="expected one unit for all axes of the acceleration"):
        imuspec.read(path)
    path.write_text("time,x [g],y [g],z\n" + rows)
    assert imuspec.read(path).quality.counts == {}


SEVERAL = "expected rows of one recording, got several subjects or devices in column"


def with_column(folder: Path, suffix: str, columns: dict[str, list[Any]]) -> Path:
    """A recording of 12,000 rows with more columns, which stand before the time."""
    path = folder / f"a{suffix}"
    xyz = motion()
    if suffix == ".csv":
        table = [START + i / 100 for i in range(N)], *xyz.T.tolist()
        rows = zip(*columns.values(), *table, strict=True)
        names = [*columns, "unix_time", "x", "y", "z"]
        path.write_text("\n".join(",".join(map(str, row)) for row in (names, *rows)) + "\n")
        return path
    time = (START * 1000 + 10 * np.arange(N)).astype("datetime64[ms]").astype("datetime64[ns]")
    arrays = {**{name: np.array(values) for name, values in columns.items()}, "time": time}
    arrays |= dict(zip("xyz", xyz.T, strict=True))
    if suffix == ".npz":
        np.savez(path, **arrays)
    else:
        pq.write_table(pa.table(arrays), path)
    return path


TABLES = pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])


@TABLES
@pytest.mark.parametrize("name", ["subject", "Participant ID", "user_id", "device", "Sensor", "serial (number)"])
@pytest.mark.parametrize("people", ["AB", (1, 2)])
@pytest.mark.parametrize("order", ["in turn", "one behind the other"])
def test_rows_of_several_subjects_are_refused(
    suffix: str, name: str, people: Sequence[Any], order: str, tmp_path: Path
) -> None:
    owners = [people[i % 2 if order == "in turn" else i // (N // 2)] for i in range(N)]
    with pytest.raises(RecordingError, match=SEVERAL):
        imuspec.read(with_column(tmp_path, suffix, {"id": list(range(N)), name: owners}))


@TABLES
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("subject", [7] * N),
        ("subject", ["P 7"] * N),
        ("id", list(range(N))),
        ("id", [i // 10 for i in range(N)]),  # packets of ten
        ("sensor", [round(20 + i % 7 / 8, 3) for i in range(N)]),
        ("sensor1", [i % 5 for i in range(N)]),
    ],
)
def test_a_column_of_one_subject_of_packets_or_of_measures_is_read(
    suffix: str, name: str, values: list[Any], tmp_path: Path
) -> None:
    recording = imuspec.read(with_column(tmp_path, suffix, {name: values}))
    assert (len(recording), recording.quality.counts) == (N, {})


def test_subjects_as_python_objects_are_refused_by_their_name(tmp_path: Path) -> None:
    time = (START * 1000 + 10 * np.arange(N)).astype("datetime64[ms]").astype("datetime64[ns]")
    subject = np.array(["A"] * N, object)
    np.savez(tmp_path / "a.npz", time=time, subject=subject, **dict(zip("xyz", motion().T, strict=True)))
    with pytest.raises(RecordingError, match="subject: expected numbers or texts, got Python objects"):
        imuspec.read(tmp_path / "a.npz")


def test_both_readers_of_tables_know_the_same_names_of_subjects() -> None:
    source = (Path(__file__).parents[2] / "rust" / "device" / "owners.rs").read_text("utf-8")
    names = source.split("NAMES: ")[1].split("];")[0]
    assert set(re.findall(r'"(\w+)"', names)) == owners_of_tables._NAMES


def test_seconds_of_another_epoch_are_an_unlikely_date(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    since_1900 = START + 2_208_988_800
    rows = [f"{since_1900 + i / 100:.2f},{x:.5f},{y:.5f},{z:.5f}" for i, (x, y, z) in enumerate(motion().tolist())]
    path.write_text("time,x,y,z\n" + "\n".join(rows) + "\n")
    assert imuspec.read(path).quality.counts == {"assumed_epoch": 1, "unlikely_date": 1}


def spoil(path: Path, old: str, new: str, behind: str = "") -> None:
    """Replace in a GENEActiv file, behind this text alone."""
    text = path.read_bytes().decode()
    at = text.index(behind)
    path.write_bytes((text[:at] + text[at:].replace(old, new)).encode())


def test_pages_of_another_device_are_left_out(tmp_path: Path) -> None:
    path = geneactiv(tmp_path / "a.bin", list(range(40)))
    spoil(path, "012967", "099999", behind="Sequence Number:30")
    recording = imuspec.read(path)
    assert (len(recording), recording.device_id) == (31 * 300, "012967")
    assert recording.quality.counts == {"other_session": 9}


def test_a_geneactiv_recording_behind_another_is_left_out(tmp_path: Path) -> None:
    path = geneactiv(tmp_path / "a.bin", list(range(40)))
    again = geneactiv(tmp_path / "b.bin", list(range(50, 60))).read_bytes()
    path.write_bytes(path.read_bytes() + again)
    recording = imuspec.read(path)
    assert len(recording) == 40 * 300
    assert recording.quality.counts == {"other_session": 10, "unknown_line": 1}


def test_a_geneactiv_header_of_another_device_is_refused_and_nothing_is_filled_in(tmp_path: Path) -> None:
    path = geneactiv(tmp_path / "a.bin", list(range(40)))
    spoil(path, "012967\r\nMeasurement", "055555\r\nMeasurement")
    assert imuspec.read(path).quality.counts == {"session_differs": 1}
    spoil(path, "Device Unique Serial Code:055555\r\n", "")
    recording = imuspec.read(path)
    assert (recording.device_id, recording.quality.counts) == ("012967", {})
    spoil(path, "Device Unique Serial Code:012967\r\n", "")
    recording = imuspec.read(path)
    assert (recording.device_id, recording.quality.counts) == ("", {"missing_serial": 1})


def test_a_gain_that_turns_an_axis_round_is_refused(tmp_path: Path) -> None:
    path = geneactiv(tmp_path / "a.bin", list(range(40)))
    spoil(path, "y gain:25734", "y gain:-25734")
    with pytest.raises(RecordingError, match="gain of every axis: expected a positive number"):
        imuspec.read(path)


def test_a_failed_calibration_has_no_result(tmp_path: Path) -> None:
    prepared = imuspec.prepare(write(tmp_path / "a.csv", motion()), RECIPE)
    assert not prepared.calibration["ok"]
    results = {name: prepared.calibration[name] for name in ("offset_x", "gain_y", "error_after_mg")}
    assert all(np.isnan(value) for value in results.values()), results

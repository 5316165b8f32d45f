"""Tables that leave out where times count from, whose rows they hold, or what a number stands for."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import imuspec
from device_files import START, gt3x, record
from imuspec.errors import RecordingError
from imuspec.recipe import Recipe

RECIPE = Recipe.load("capture24").set("calibration.required=false", "segments.min_wear_h=0")
N = 6000
TABLES = pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
Rows = NDArray[np.float64]


def pose(x: float, y: float, z: float, seed: int = 0) -> Rows:
    """Return acceleration [n, 3] of a device that lies still."""
    return np.array([x, y, z]) + np.random.default_rng(seed).normal(0, 0.003, (N, 3))


def walk(seed: int = 0) -> Rows:
    passed = np.arange(N) / 100
    swing = np.stack([0.3 * np.sin(6 * passed), 0.2 * np.sin(11 * passed), 1 + 0.3 * np.sin(12 * passed)], 1)
    return swing + np.random.default_rng(seed).normal(0, 0.02, (N, 3))


def table(path: Path, time: NDArray[np.generic], xyz: Rows, name: str = "time") -> Path:
    """Write rows as CSV, NPZ or Parquet, by the path's suffix."""
    match path.suffix:
        case ".npz":
            np.savez(path, **{name: time}, xyz=xyz.astype(np.float32))
        case ".parquet":
            pq.write_table(pa.table({name: time, **dict(zip("xyz", xyz.T, strict=True))}), path)
        case _:
            lines = (f"{t},{x:.6g},{y:.6g},{z:.6g}\n" for t, (x, y, z) in zip(time, xyz.tolist(), strict=True))
            path.write_text(f"{name},x,y,z\n" + "".join(lines))
    return path


def stamps(step: float = 0.01) -> NDArray[np.datetime64]:
    return (START * 1000 + np.round(1000 * step * np.arange(N))).astype("datetime64[ms]").astype("datetime64[ns]")


SECONDS = START + np.arange(N) / 100


@TABLES
@pytest.mark.parametrize("scale", [1, 1000])
def test_numbers_whose_column_names_no_epoch_are_assumed_to_count_from_1970(
    suffix: str, scale: int, tmp_path: Path
) -> None:
    gps = SECONDS - 315_964_800  # the same times since 1980 would be taken for others
    for seconds in (SECONDS, gps):
        recording = imuspec.read(table(tmp_path / f"a{suffix}", np.round(seconds * scale, 2), walk()))
        assert recording.quality.counts == {"assumed_epoch": 1}


@pytest.mark.parametrize("name", ["unix_time", "epoch", "timestamp (unix)", "time (ms since epoch)", "posix time [ms]"])
def test_a_column_that_names_the_epoch_of_1970_assumes_nothing(name: str, tmp_path: Path) -> None:
    time = np.round(SECONDS * (1000 if "ms" in name else 1), 2)
    assert imuspec.read(table(tmp_path / "a.csv", time, walk(), name)).quality.counts == {}


def test_numbers_since_an_unknown_start_and_dates_have_no_epoch(tmp_path: Path) -> None:
    assert imuspec.read(table(tmp_path / "a.csv", np.arange(N) / 100, walk())).quality.counts == {"no_date": 1}
    for name in ("time", "gps_time"):
        assert imuspec.read(table(tmp_path / "a.csv", stamps(), walk(), name)).quality.counts == {}


@TABLES
@pytest.mark.parametrize("step", [5, 60, 3600])
def test_a_row_every_5_seconds_or_more_is_an_epoch(step: int, suffix: str, tmp_path: Path) -> None:
    seconds = 1_583_402_400 + step * np.arange(N)
    for time in (seconds, 1000 * seconds, stamps(step)):
        with pytest.raises(RecordingError, match=f"expected raw acceleration, got a row every {step}.0 s"):
            imuspec.read(table(tmp_path / f"a{suffix}", time, walk()))


@TABLES
def test_numbers_of_two_meanings_are_refused_until_the_title_names_their_unit(suffix: str, tmp_path: Path) -> None:
    seconds = 1_583_402_400 + 4 * np.arange(N)
    path = tmp_path / f"a{suffix}"
    with pytest.raises(RecordingError, match=r"s since 1970 at 0.250000 Hz, or ms since a start at 250.000000 Hz"):
        imuspec.read(table(path, seconds, walk()))
    for unit, rate in (("s", 0.25), ("ms", 250.0)) if suffix == ".csv" else ():  # the other two have fixed names
        assert imuspec.read(table(path, seconds, walk(), f"time ({unit})")).sample_rate == rate


@pytest.mark.parametrize("name", ["gps_time", "GPS timestamp (s)", "time_gps", "time (GPS)"])
def test_numbers_named_after_gps_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="in a column named after GPS, whose clock counts from 1980"):
        imuspec.read(table(tmp_path / "a.csv", SECONDS - 315_964_800, walk(), name))


POSES = [pose(0, 0, 1, 1), pose(1, 0, 0, 2), pose(0, -1, 0, 3)]


@TABLES
@pytest.mark.parametrize("devices", [2, 3])
@pytest.mark.parametrize("shift_ms", [0, 2])
def test_several_devices_in_turn_are_refused(suffix: str, devices: int, shift_ms: int, tmp_path: Path) -> None:
    row, device = np.divmod(np.arange(N), devices)
    time = stamps()[row] + device * np.timedelta64(shift_ms, "ms")
    xyz = np.choose(device[:, None], POSES[:devices])
    with pytest.raises(RecordingError, match=f"the file seems to hold {devices} devices"):
        imuspec.read(table(tmp_path / f"a{suffix}", time, xyz))


def test_devices_of_which_each_has_a_second_in_turn_are_refused(tmp_path: Path) -> None:
    second, within = np.divmod(np.arange(N), 200)
    device, row = np.divmod(within, 100)
    xyz = np.choose(device[:, None], [walk(1), pose(0, -1, 0, 2)])
    with pytest.raises(RecordingError, match="expected a clock that goes on, got 30 jumps"):
        imuspec.read(table(tmp_path / "a.csv", stamps()[100 * second + row], xyz))


@TABLES
@pytest.mark.parametrize("xyz", [walk(), pose(0, 0, 1)], ids=["walking", "still"])
@pytest.mark.parametrize("rows", [2, 4, 5, 10])
def test_packets_of_one_device_are_read(suffix: str, xyz: Rows, rows: int, tmp_path: Path) -> None:
    time = stamps()[np.arange(N) // rows * rows]
    recording = imuspec.read(table(tmp_path / f"a{suffix}", time, xyz))
    assert len(recording) == N
    assert set(recording.quality.counts) == {"stamps_fitted"}


def test_two_devices_at_even_steps_are_marked(tmp_path: Path) -> None:
    xyz = np.choose(np.arange(N)[:, None] % 2, POSES[:2])
    assert "alternating_rows" in imuspec.read(table(tmp_path / "a.csv", stamps(), xyz)).quality.counts


@TABLES
@pytest.mark.parametrize(
    ("code", "axes", "unit"),
    [
        (-9999, [0], 9.81),
        (-999.9, [2], 9.81),
        (32767, [1], 9.81),
        (-9999, [0, 1, 2], 1000),
        (9999, [1], 1),
        (-999, [0, 1, 2], 1),
        (1e30, [0], 1),
    ],
)
def test_codes_of_missing_values_are_missing(
    suffix: str, code: float, axes: list[int], unit: float, tmp_path: Path
) -> None:
    xyz = walk() * unit
    xyz[np.ix_([1000, 1001, 1002, 5000], axes)] = code
    path = table(tmp_path / f"a{suffix}", stamps(), xyz)
    recording = imuspec.read(path)
    counts = recording.quality.counts
    assert (counts.pop("sentinel_value"), counts.pop("missing_values")) == (4, 4)
    assert set(counts) <= {"unit_derived"}
    missing = np.isnan(recording.acceleration)
    assert missing.sum() == 4 * len(axes)
    assert missing[axes][:, [1000, 1001, 1002, 5000]].all()
    assert np.nanmax(np.abs(recording.acceleration)) < 2
    as_it_is = imuspec.read(path, timestamps="actipy")
    assert as_it_is.quality.counts["sentinel_value"] == 4
    assert np.nanmax(np.abs(as_it_is.acceleration)) > 2


def test_a_file_of_codes_alone_is_no_wear(tmp_path: Path) -> None:
    xyz = walk()
    xyz[2000:] = -9999
    prepared = imuspec.prepare(table(tmp_path / "a.csv", stamps(), xyz), RECIPE)
    assert prepared.status == "excluded"
    assert "got none on some axis in 4000 of 6000 samples" in prepared.reason


def test_large_numbers_of_another_unit_stay(tmp_path: Path) -> None:
    xyz = walk() * 400
    xyz[100, 1] = 999
    path = tmp_path / "a.csv"
    table(path, stamps(), xyz)
    recording = imuspec.read(path, unit="g")
    assert set(recording.quality.counts) == {"unit_disagrees", "unusual_norm"}
    assert recording.acceleration.max() == 999


@pytest.mark.parametrize("hours", [-1, 1, 24])
def test_a_gt3x_whose_header_starts_at_another_time_is_marked(hours: int, tmp_path: Path) -> None:
    path = gt3x(tmp_path / "a.gt3x", *[record(START + i) for i in range(60)])
    assert imuspec.read(with_start(path, START)).quality.counts == {}
    recording = imuspec.read(with_start(path, START - 3600 * hours))
    assert recording.quality.counts == {"start_differs": 1}
    assert recording.quality.events("start_differs")[0].value == 3600 * hours
    assert recording.time[0] == START * 10**9


def with_start(path: Path, second: int) -> Path:
    with zipfile.ZipFile(path) as archive:
        info, log = archive.read("info.txt").decode(), archive.read("log.bin")
    lines = [line for line in info.splitlines() if not line.startswith("Start Date")]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("info.txt", "\r\n".join([*lines, f"Start Date: {second * 10**7 + 621_355_968 * 10**9}", ""]))
        archive.writestr("log.bin", log)
    return path


@TABLES
@pytest.mark.parametrize(("stuck", "value"), [(0, 0.0), (2, 1.0), (0, 0.3)])
def test_an_axis_that_is_stuck_while_one_other_moves_is_no_wear(
    suffix: str, stuck: int, value: float, tmp_path: Path
) -> None:
    passed = np.linspace(0, 1, N)
    xyz = pose(0.1, 0.2, 0.3)
    xyz[:, 1] += 0.9 * passed
    xyz[:, stuck] = value
    prepared = imuspec.prepare(table(tmp_path / f"a{suffix}", stamps(), xyz), RECIPE.set("checks.norm_min_g=0"))
    assert prepared.quality.counts["constant_axis"] == 1
    assert prepared.status == "excluded"
    assert "one that keeps its value through 100 % of the seconds while the device turns" in prepared.reason


def turning() -> Rows:
    """Return acceleration [n, 3] of a device that turns about every axis."""
    passed = np.arange(N) / 100
    across, along = 0.2 * passed, 0.13 * passed
    xyz = np.stack([np.sin(across) * np.cos(along), np.sin(across) * np.sin(along), np.cos(across)], 1)
    return xyz + np.random.default_rng(5).normal(0, 0.02, (N, 3))


@TABLES
def test_two_axes_with_the_same_values_are_no_wear(suffix: str, tmp_path: Path) -> None:
    xyz = turning()
    xyz[:, 1] = xyz[:, 0]
    prepared = imuspec.prepare(table(tmp_path / f"a{suffix}", stamps(), xyz), RECIPE)
    assert prepared.quality.counts["equal_axes"] == 1
    assert prepared.status == "excluded"
    assert "got two with the same values through 100 % of the seconds" in prepared.reason


def test_a_norm_on_one_axis_alone_is_no_wear(tmp_path: Path) -> None:
    xyz = np.zeros((N, 3))
    xyz[:, 0] = np.linalg.norm(turning(), axis=1)
    prepared = imuspec.prepare(table(tmp_path / "a.csv", stamps(), xyz), RECIPE)
    assert (prepared.status, prepared.quality.counts) == ("excluded", {"constant_axis": 1})


@pytest.mark.parametrize("factor", [9.80665, 0.102])
def test_a_unit_that_changes_within_a_file_is_marked(factor: float, tmp_path: Path) -> None:
    xyz = pose(0, 0, 1)
    xyz[4500:] *= factor
    recording = imuspec.read(table(tmp_path / "a.csv", stamps(), xyz))
    assert recording.quality.counts == {"norm_changes": 1}
    assert recording.quality.events("norm_changes")[0].value == pytest.approx(0.25, abs=0.03)


@TABLES
@pytest.mark.parametrize("rows", [2, 4])
def test_values_that_stay_for_several_rows_are_marked(suffix: str, rows: int, tmp_path: Path) -> None:
    xyz = walk()[np.arange(N) // rows * rows]
    recording = imuspec.read(table(tmp_path / f"a{suffix}", stamps(), xyz))
    assert recording.quality.counts == {"held_values": 1}
    assert recording.quality.events("held_values")[0].value == rows


@pytest.mark.parametrize("name", ["time (min)", "time [hours]", "elapsed (h)"])
def test_minutes_and_hours_are_not_read_as_seconds(name: str, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="expected times in s, ms, us or ns, or dates, got a column that names"):
        imuspec.read(table(tmp_path / "a.csv", np.arange(N) / 6000, walk(), name))


def test_centimetres_per_second_squared_are_a_unit(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", stamps(), pose(0, 0, 980.665))
    path.write_text(path.read_text().replace("time,x,y,z", "time,x [cm/s2],y [cm/s2],z [cm/s2]", 1))
    recording = imuspec.read(path)
    assert recording.quality.counts == {}
    assert recording.still_norm == pytest.approx(1, abs=1e-3)


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", time=stamps(), xyz=walk().astype(complex))
    with pytest.raises(RecordingError, match="expected real numbers, got complex ones"):
        imuspec.read(tmp_path / "a.npz")

"""Inputs that were read wrongly once, a row a file: what each must give when it is read, and when it is prepared."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import imuspec
from imuspec.recipe import Recipe
from imuspec.recording.recording import Recording
from peak_memory import PREPARE, peak
from reference_data import DATA

FAULTS = DATA.parent / "faults"
pytestmark = pytest.mark.skipif(not FAULTS.is_dir(), reason=f"faulty inputs not at {FAULTS}")
RECIPE = Recipe.load("capture24").set("calibration.required=false", "segments.min_wear_h=0")
GRID_HZ = 30


@dataclass(frozen=True)
class Fault:
    """What a file holds: rows, the first time, seconds from the first row to the last, Hz of the first rows."""

    rows: int
    start: str
    span: float
    rate: float
    events: set[str] = field(default_factory=set)
    runs: int = 1
    #: What else must hold.
    also: Callable[[Recording], None] = lambda _: None
    #: Acceleration [3, row] that plain Python takes from the file's text.
    values: Callable[[str], NDArray[np.float64]] | None = None
    #: Median of the norm, g: gravity, unless the file holds something else.
    norm: tuple[float, float] = (0.95, 1.05)
    #: Words of the reason for which `prepare` leaves the recording out; empty where it is kept.
    excluded: str = ""
    #: Stretches of wear in s from the start; None: one, as long as the recording.
    wear: list[tuple[float, float]] | None = None
    #: Seconds of the grid, where gaps of more than a day are a minute on it.
    grid: float | None = None
    #: What the pass adds to the events of the reader.
    passing: set[str] = field(default_factory=set)
    recipe: Recipe = RECIPE


def fields(name: str, heading: int = 1) -> list[list[str]]:
    with gzip.open(FAULTS / name, "rt") as lines:
        return [line.strip().split(",") for line in lines][heading:]


def columns(
    first: int, heading: int = 1, scale: float = 1.0, rows: slice = slice(None)
) -> Callable[[str], NDArray[np.float64]]:
    """Return a reading of three columns of a text, in the order that the rows must have."""

    def values(name: str) -> NDArray[np.float64]:
        return np.array([row[first : first + 3] for row in fields(name, heading)][rows], np.float64).T * scale

    return values


PLAIN = columns(1)
MS2 = 1 / 9.80665


def exchanged_by_the_firmware(recording: Recording) -> None:
    assert recording.quality.counts == {"exchanged_sensors": 1024}
    assert recording.still_norm == pytest.approx(1, abs=0.05)
    assert recording.gyroscope is not None
    first = np.linalg.norm(recording.acceleration[:, :1024], axis=0)
    rest = np.linalg.norm(recording.acceleration[:, 1024:], axis=0)
    assert np.median(first) == pytest.approx(np.median(rest), abs=0.05)
    assert np.median(np.linalg.norm(recording.gyroscope[:, :1024], axis=0)) < 5


def blocks_of_the_other_device_are_counted(recording: Recording) -> None:
    # the second file: two blocks of a header, one of them blank, and 500 of samples
    assert recording.quality.counts["other_session"] == 501


def one_record_is_lost(recording: Recording) -> None:
    assert recording.quality.counts == {"bad_checksum": 1, "gap": 1}
    assert 0 < recording.damaged_share < 0.01


def header_is_corrected(recording: Recording) -> None:
    assert recording.sample_rate == pytest.approx(100)


def sleep_ends_with_its_wake_event(recording: Recording) -> None:
    (sleep,) = recording.quality.events("idle_sleep")
    (gap,) = recording.quality.events("gap")
    assert sleep.value == 10
    assert gap.value == pytest.approx(3 * 86_400 + 10, abs=0.1)


def every_sleep_is_an_event(recording: Recording) -> None:
    # 120 minutes, each awake for 10 s: 119 sleeps of 50 s lie between them
    assert recording.quality.counts["idle_sleep"] == 119
    assert sum(sleep.value for sleep in recording.quality.events("idle_sleep")) == 119 * 50


def norm_is_far_from_gravity(recording: Recording) -> None:
    assert recording.still_norm > 2
    assert recording.quality.events("unusual_norm")[0].value == recording.still_norm


def is_gt3x(recording: Recording) -> None:
    assert recording.format == "gt3x"


def sine_of_8_hz(recording: Recording) -> None:
    x = recording.acceleration[0].astype(float)
    assert np.argmax(np.abs(np.fft.rfft(x))) * 1600 / len(x) == pytest.approx(8, abs=0.1)


CSV = {
    "100hz_minute_then_25hz.csv.gz": Fault(
        9000, "2024-12-11T17:00:00", 179.96, 100, {"rate_change"}, runs=2, values=PLAIN, passing={"slow_source"}
    ),
    "1600hz_ms_stamps.csv.gz": Fault(
        16_000, "2024-12-11T17:41:40", 9.999, 1600, {"stamps_fitted"}, values=PLAIN, norm=(1.1, 1.14), also=sine_of_8_hz
    ),
    "actilife_ddmm_timestamps.csv.gz": Fault(1800, "2024-12-11T17:41:40", 59.966, 30, values=columns(1, 11)),
    "ax6_accel_first_still.csv.gz": Fault(1800, "2024-12-11T17:41:40", 59.966, 30, values=columns(1, 0)),
    "bba_spring.csv.gz": Fault(36_000, "2019-03-31T00:50:00", 1199.966, 30, {"zone_changes"}, values=PLAIN),
    "cwaconvert_light_tempc_battv.csv.gz": Fault(1800, "2024-12-11T17:41:40", 59.966, 30, values=columns(1, 0)),
    "ddmm_midnight.csv.gz": Fault(6000, "2020-03-05T23:59:30", 59.99, 100, {"date_order_derived"}, values=PLAIN),
    "descending.csv.gz": Fault(
        1800, "2024-12-11T17:41:40", 59.966, 30, {"rows_reversed"}, values=columns(1, rows=slice(None, None, -1))
    ),
    "every_row_twice.csv.gz": Fault(
        6000,
        "2020-03-05T10:00:00",
        59.99,
        100,
        {"assumed_epoch", "repeated_row"},
        values=columns(1, rows=slice(None, None, 2)),
    ),
    "excel_days.csv.gz": Fault(6000, "2020-03-05T10:00:00", 59.99, 100, {"time_unit_derived"}, values=PLAIN),
    "hbn_release.csv.gz": Fault(900, "2024-12-11T17:41:40", 29.967, 30, values=columns(0, 13)),
    "headerless_id_unix.csv.gz": Fault(
        1800, "2024-12-11T17:41:40", 59.967, 30, {"assumed_epoch", "columns_derived"}, values=columns(2, 0)
    ),
    "omgui_ax6.csv.gz": Fault(1200, "2019-10-29T09:03:06.3", 12.169, 98.5, {"exchanged_sensors"}),
    "omgui_light_temp_batt.csv.gz": Fault(400, "2020-02-12T09:03:37.479", 2.017, 198, values=columns(1, 0)),
    "onehz.csv.gz": Fault(
        6000,
        "1970-01-01T00:00:00",
        5999,
        1,
        {"unusual_rate", "no_date"},
        values=PLAIN,
        excluded="too slow: .* got 1 Hz",
        passing={"slow_source"},
    ),
    "pm_dots.csv.gz": Fault(1800, "2024-12-11T17:41:40", 59.966, 30, {"assumed_date_order"}, values=PLAIN),
    "quantised_dups.csv.gz": Fault(60_600, "2024-12-11T17:41:40", 599.99, 101, {"stamps_fitted"}, values=PLAIN),
    "says_g_is_ms2.csv.gz": Fault(
        6000,
        "2020-03-05T10:00:00",
        59.99,
        100,
        {"assumed_epoch", "unit_disagrees", "unusual_norm"},
        values=PLAIN,
        norm=(9.6, 10),
        excluded="gravity: .* hardly in g",
    ),
    "slow_start_25_then_100.csv.gz": Fault(
        67_500,
        "2023-11-14T22:13:20",
        899.99,
        25,
        {"assumed_epoch", "rate_change"},
        runs=2,
        values=PLAIN,
        norm=(1, 1.1),
        passing={"slow_source"},
    ),
    "ticks.csv.gz": Fault(6000, "2020-03-05T11:00:00", 59.99, 100, {"time_unit_derived"}, values=PLAIN),
    "twice.csv.gz": Fault(
        1800, "2024-12-11T17:41:40", 59.966, 30, {"repeated_row"}, values=columns(1, rows=slice(1800))
    ),
    "zeros_first_ms2.csv.gz": Fault(
        3600,
        "2024-12-11T17:41:40",
        119.966,
        30,
        {"unit_derived", "zero_values"},
        values=columns(1, scale=MS2),
        norm=(0, 1.05),
    ),
}
COLUMNS = {
    "exactly_one_hour_25hz.npz.gz": Fault(
        90_000,
        "2024-03-04T09:00:00",
        3599.96,
        25,
        {"assumed_epoch"},
        recipe=Recipe.load("capture24").set("calibration.required=false"),
        passing={"slow_source"},
    ),
    "gap.npz": Fault(
        16_000,
        "2024-03-04T09:00:00",
        164.99,
        100,
        {"assumed_epoch", "gap"},
        runs=2,
        wear=[(0, 40), (45, 165)],
        norm=(0.9, 1.1),
    ),
    "ns_30.parquet": Fault(18_000, "2024-04-30T14:53:00", 599.967, 30),
    "one_repeated_stamp.npz": Fault(
        16_000,
        "2024-03-04T09:00:00",
        164.99,
        100,
        {"assumed_epoch", "gap", "stamps_fitted"},
        runs=2,
        wear=[(0, 40), (45, 165)],
        norm=(0.9, 1.1),
    ),
}
DEVICES = {
    "ax6_firmware54.cwa.gz": Fault(2400, "", 2399 / 99.07, 100, {"exchanged_sensors"}, also=exchanged_by_the_firmware),
    "ax6_still_exchanged.cwa": Fault(1200, "", 1199 / 99.1, 100, {"exchanged_sensors"}, also=exchanged_by_the_firmware),
    "badsum.gt3x": Fault(
        3570,
        "2020-03-05T10:00:00",
        120 - 1 / 30,
        30,
        {"bad_checksum", "gap"},
        runs=2,
        also=one_record_is_lost,
        wear=[(0, 120)],
    ),
    "clock_lost_8_times.cwa.gz": Fault(
        25_440, "2024-03-04T09:00:00", 25_439 / 25, 25, {"clock_lost"}, passing={"slow_source"}
    ),
    "dup_page.bin.gz": Fault(27_300, "", 455 - 1 / 60, 60, {"repeated_page"}),
    "dup_second.gt3x": Fault(3600, "2020-03-05T10:00:00", 120 - 1 / 30, 30, {"repeated_record"}),
    "first_1970.gt3x": Fault(3600, "2020-03-05T10:00:00", 120 - 1 / 30, 30, {"wild_stamp"}),
    "freq_comma.bin.gz": Fault(27_300, "", 455 - 1 / 60, 60),
    "gt3x_zipped_on_a_mac.zip": Fault(1800, "", 60 - 1 / 30, 30, also=is_gt3x),
    "idle_sleep_10s_awake.gt3x": Fault(
        120 * 300, "", 119 * 60 + 10 - 1 / 30, 30, {"idle_sleep", "gap"}, runs=120, also=every_sleep_is_an_event
    ),
    "rate_lie.gt3x": Fault(
        12_000, "2020-03-05T10:00:00", 120 - 1 / 100, 100, {"rate_differs"}, also=header_is_corrected
    ),
    "tiny_gain.bin.gz": Fault(
        27_300,
        "",
        455 - 1 / 60,
        60,
        {"unusual_norm"},
        also=norm_is_far_from_gravity,
        norm=(2, 10),
        excluded="gravity: .* hardly in g",
    ),
    "two_people_joined.cwa.gz": Fault(
        60_000,
        "2024-03-04T09:00:00",
        599.99,
        100,
        {"other_session", "blank_block"},
        also=blocks_of_the_other_device_are_counted,
    ),
    "wake_then_gap.gt3x": Fault(
        3300,
        "2020-03-05T10:00:00",
        3 * 86_400 + 120 - 1 / 30,
        30,
        {"idle_sleep", "gap"},
        runs=2,
        also=sleep_ends_with_its_wake_event,
        wear=[(0, 70), (130, 180)],
        grid=180,
        passing={"timeline_shift"},
    ),
}
HELD = {**CSV, **COLUMNS, **DEVICES}

#: Files that give nothing, and the words that say what was seen.
REFUSED = {
    "comma_comma.csv.gz": "4 fields in a row",
    "counts60.csv.gz": "a row every 60.0 s: epochs",
    "lying16g.cwa.zip": "expected at most 31756704 bytes out of 30771, got 17179869184 stated",
    "matrix_quadratic_16mb.bin.gz": "expected at least one sound packet, got none",
    "nhanes_same_hour_20000.tar.bz2": "expected at least one row of an hourly file",
    "sample_head.csv.gz": "row numbers",
    "unix_r6.csv.gz": "differ from row to row",
}


def recording_norm(acceleration: NDArray[np.float32]) -> float:
    return float(np.nanmedian(np.linalg.norm(acceleration, axis=0)))


def test_every_faulty_input_has_its_row() -> None:
    there = {path.name for path in FAULTS.iterdir()} - {"README.md"}
    assert there == {*HELD, *REFUSED}


@pytest.mark.parametrize("name", HELD)
def test_a_fault_is_read_as_it_is_and_what_was_derived_or_repaired_is_an_event(name: str) -> None:
    fault = HELD[name]
    recording = imuspec.read(FAULTS / name)
    assert len(recording) == fault.rows
    if fault.start:
        assert abs(int(recording.time[0]) - at(fault.start)) < 6e6  # a stamp of 10 ms is good to half of it
    assert (recording.time[-1] - recording.time[0]) / 1e9 == pytest.approx(fault.span, abs=0.011)
    assert recording.nominal_rate == pytest.approx(fault.rate, rel=2e-3)
    assert len(recording.runs) == fault.runs
    assert set(recording.quality.counts) == fault.events
    assert fault.norm[0] <= recording_norm(recording.acceleration) <= fault.norm[1]
    if fault.values:
        np.testing.assert_allclose(recording.acceleration, fault.values(name), rtol=1e-6, atol=1e-7)
    fault.also(recording)


@pytest.mark.parametrize("name", HELD)
def test_a_fault_prepares_to_wear_of_the_right_length_or_is_left_out_for_its_reason(name: str) -> None:
    fault = HELD[name]
    prepared = imuspec.prepare(FAULTS / name, fault.recipe)
    assert "internal error" not in prepared.reason
    assert set(prepared.quality.counts) == fault.events | fault.passing
    if fault.excluded:
        assert prepared.status == "excluded"
        assert re.search(fault.excluded, prepared.reason), prepared.reason
        return
    assert prepared.status == "ok", prepared.reason
    if fault.start:
        assert abs(prepared.clock(0) - at(fault.start)) < 6e6
    seconds = fault.grid or fault.span
    assert prepared.figures["n_samples"] / GRID_HZ == pytest.approx(seconds, abs=0.05)
    wear = [(0, seconds)] if fault.wear is None else fault.wear
    assert prepared.segments.shape == (len(wear), 2)
    np.testing.assert_allclose(prepared.segments / GRID_HZ, wear, atol=0.07)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_right_is_refused_by_what_was_seen(name: str) -> None:
    with pytest.raises(imuspec.RecordingError, match=REFUSED[name]):
        imuspec.read(FAULTS / name)
    prepared = imuspec.prepare(FAULTS / name, RECIPE)
    assert prepared.status == "failed"
    assert REFUSED[name] in prepared.reason


def at(time: str) -> int:
    return int(np.datetime64(time, "ns").astype(np.int64))


def amplitude(values: NDArray[np.float64], rate: float, frequency: float) -> float:
    """Return the size of a tone in values at an even rate, by least squares."""
    angle = 2 * np.pi * frequency * np.arange(len(values)) / rate
    basis = np.stack([np.cos(angle), np.sin(angle), np.ones_like(angle)], 1)
    cosine, sine, _ = np.linalg.lstsq(basis, values, rcond=None)[0]
    return float(np.hypot(cosine, sine))


def test_a_tone_above_the_cutoff_is_filtered_by_the_rate_of_its_own_rows() -> None:
    # 0.3 g: 5 Hz on x in all rows at 25 Hz and 100 Hz; 40 Hz on y behind 300 s, which unfiltered is 10 Hz on a grid of 30 Hz
    prepared = imuspec.prepare(FAULTS / "slow_start_25_then_100.csv.gz", RECIPE)
    assert prepared.acceleration is not None
    x, y, _ = prepared.acceleration.astype(float)
    fast = slice(302 * GRID_HZ, 898 * GRID_HZ)
    slow = slice(2 * GRID_HZ, 298 * GRID_HZ)
    assert amplitude(y[fast], GRID_HZ, 10) < 0.01 * 0.3
    assert amplitude(x[fast], GRID_HZ, 5) == pytest.approx(0.3, rel=0.2)
    assert amplitude(x[slow], GRID_HZ, 5) > 0.2


@pytest.mark.parametrize("name", ["gap.npz", "one_repeated_stamp.npz"])
def test_a_vibration_is_filtered_before_and_behind_a_gap(name: str) -> None:
    # 20 Hz of 0.5 g on x: the recipe's low-pass of order 8 at 15 Hz leaves |H|^2 = 1 / (1 + (tan(pi 0.2) / tan(pi 0.15))^16)
    left = 0.5 / (1 + (np.tan(np.pi * 0.2) / np.tan(np.pi * 0.15)) ** 16)
    prepared = imuspec.prepare(FAULTS / name, RECIPE)
    assert prepared.acceleration is not None
    x = prepared.acceleration[0].astype(float)
    for first, stop in ((2, 38), (47, 163)):
        # 20 Hz on a grid of 30 Hz is 10 Hz
        assert amplitude(x[first * GRID_HZ : stop * GRID_HZ], GRID_HZ, 10) == pytest.approx(left, abs=0.01)


def test_a_clock_that_is_lost_eight_times_costs_memory_by_bytes() -> None:
    size, message = peak(PREPARE, FAULTS / "clock_lost_8_times.cwa.gz")
    assert message.startswith("ok: ")
    assert size < 0.5e9


@pytest.mark.parametrize("name", ["ax6_firmware54.cwa.gz", "ax6_still_exchanged.cwa"])
def test_actipys_rule_keeps_the_exchange_and_counts_it(name: str) -> None:
    recording = imuspec.read(FAULTS / name, timestamps="actipy")
    assert recording.quality.counts["exchanged_sensors"] == 1024
    assert recording_norm(recording.acceleration[:, :1024]) < 0.1


def test_a_compressed_file_cut_in_half_is_damaged_by_a_share_that_no_setting_passes(tmp_path: Path) -> None:
    whole = (FAULTS / "two_people_joined.cwa.gz").read_bytes()
    (tmp_path / "half.cwa.gz").write_bytes(whole[: len(whole) // 2])
    recording = imuspec.read(tmp_path / "half.cwa.gz")
    assert recording.quality.counts["damaged_compression"] == 1
    assert recording.damaged_share == 1
    assert imuspec.prepare(tmp_path / "half.cwa.gz", RECIPE).reason.startswith("damaged: ")
    with gzip.open(FAULTS / "two_people_joined.cwa.gz") as source, (tmp_path / "whole.cwa").open("wb") as to:
        shutil.copyfileobj(source, to)
    assert imuspec.read(tmp_path / "whole.cwa").damaged_share < 0.01

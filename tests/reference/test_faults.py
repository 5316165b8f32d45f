"""Inputs that were read wrongly once, each with the value that it must give. One row a file; the check asserts it."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import imuspec
from imuspec.recording.recording import Recording
from reference_data import DATA

FAULTS = DATA.parent / "faults"
pytestmark = pytest.mark.skipif(not FAULTS.is_dir(), reason=f"faulty inputs not at {FAULTS}")


def start(recording: Recording) -> str:
    return str(recording.time[0].astype("datetime64[ns]").astype("datetime64[s]"))


def norm(recording: Recording) -> float:
    return float(np.nanmedian(np.linalg.norm(recording.acceleration, axis=0)))


def duration(recording: Recording) -> float:
    return float(recording.time[-1] - recording.time[0]) / 1e9


def exchanged_by_the_firmware(recording: Recording) -> None:
    assert recording.quality.counts == {"exchanged_sensors": 1024}
    assert recording.still_norm == pytest.approx(1, abs=0.05)
    assert recording.gyroscope is not None
    first = np.linalg.norm(recording.acceleration[:, :1024], axis=0)
    rest = np.linalg.norm(recording.acceleration[:, 1024:], axis=0)
    assert np.median(first) == pytest.approx(np.median(rest), abs=0.05)
    assert np.median(np.linalg.norm(recording.gyroscope[:, :1024], axis=0)) < 5


def clock_lost(recording: Recording) -> None:
    assert recording.quality.counts == {"clock_lost": 96}
    assert len(recording) == 25_440
    assert len(recording.runs) == 1
    assert start(recording) == "2024-03-04T09:00:00"
    assert duration(recording) == pytest.approx(25_439 / 25, abs=0.1)


def header_session_alone(recording: Recording) -> None:
    assert len(recording) == 60_000
    assert start(recording) == "2024-03-04T09:00:00"
    assert duration(recording) == pytest.approx(600, abs=0.1)
    assert recording.quality.counts["other_session"] == 501


def second_twice(recording: Recording) -> None:
    assert recording.quality.counts == {"repeated_record": 2}
    assert len(recording) == 3600
    assert len(recording.runs) == 1
    assert duration(recording) == pytest.approx(120 - 1 / 30, abs=1e-6)


def bad_checksum(recording: Recording) -> None:
    assert recording.quality.counts == {"bad_checksum": 1, "gap": 1}
    assert len(recording) == 3570
    assert 0 < recording.damaged_share < 0.01


def first_second_of_1970(recording: Recording) -> None:
    assert recording.quality.counts == {"wild_stamp": 1}
    assert start(recording) == "2020-03-05T10:00:00"
    assert len(recording) == 3600
    assert len(recording.runs) == 1


def rate_of_the_records(recording: Recording) -> None:
    assert recording.quality.counts == {"rate_differs": 1}
    assert recording.sample_rate == pytest.approx(100)
    assert recording.nominal_rate == 100
    assert duration(recording) == pytest.approx(120 - 1 / 100, abs=1e-6)
    assert len(recording.runs) == 1


def sleep_ends_with_its_wake_event(recording: Recording) -> None:
    (sleep,) = recording.quality.of("idle_sleep")
    (gap,) = recording.quality.of("gap")
    assert sleep.value == 10
    assert gap.value == pytest.approx(259_210, abs=0.1)


def every_sleep_is_told(recording: Recording) -> None:
    assert recording.quality.counts["idle_sleep"] == 119
    assert sum(sleep.value for sleep in recording.quality.of("idle_sleep")) == 119 * 50


def page_twice(recording: Recording) -> None:
    assert recording.quality.counts == {"repeated_page": 1}
    assert len(recording) == 27_300
    assert len(recording.runs) == 1
    assert duration(recording) == pytest.approx(455 - 1 / 60, abs=1e-3)


def gain_of_another_unit(recording: Recording) -> None:
    assert recording.quality.counts == {"unusual_norm": 1}
    assert recording.still_norm > 2
    assert recording.quality.of("unusual_norm")[0].value == recording.still_norm


def decimal_comma(recording: Recording) -> None:
    assert recording.quality.counts == {}
    assert recording.nominal_rate == 60
    assert len(recording) == 27_300
    assert norm(recording) == pytest.approx(1, abs=0.05)


def zipped_on_a_mac(recording: Recording) -> None:
    assert recording.format == "gt3x"
    assert recording.quality.counts == {}
    assert len(recording) == 1800


def one_member_of_twenty_thousand(recording: Recording) -> None:
    assert recording.quality.counts["repeated_member"] == 19_999
    assert recording.damaged_share > 0.9


READ: dict[str, Callable[[Recording], None]] = {
    "ax6_firmware54.cwa.gz": exchanged_by_the_firmware,
    "ax6_still_exchanged.cwa": exchanged_by_the_firmware,
    "badsum.gt3x": bad_checksum,
    "clock_lost_8_times.cwa.gz": clock_lost,
    "dup_page.bin.gz": page_twice,
    "dup_second.gt3x": second_twice,
    "first_1970.gt3x": first_second_of_1970,
    "freq_comma.bin.gz": decimal_comma,
    "gt3x_zipped_on_a_mac.zip": zipped_on_a_mac,
    "idle_sleep_10s_awake.gt3x": every_sleep_is_told,
    "nhanes_same_hour_20000.tar.bz2": one_member_of_twenty_thousand,
    "rate_lie.gt3x": rate_of_the_records,
    "tiny_gain.bin.gz": gain_of_another_unit,
    "two_people_joined.cwa.gz": header_session_alone,
    "wake_then_gap.gt3x": sleep_ends_with_its_wake_event,
}

REFUSED: dict[str, str] = {
    "lying16g.cwa.zip": "expected at most 31756704 bytes out of 30771, got 17179869184 stated",
    "matrix_quadratic_16mb.bin.gz": "expected at least one sound packet, got none",
}


@pytest.mark.parametrize("name", READ)
def test_a_fault_that_was_silent_is_read_right_or_counted(name: str) -> None:
    READ[name](imuspec.read(FAULTS / name))


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_right_is_refused_by_what_was_seen(name: str) -> None:
    with pytest.raises(imuspec.RecordingError, match=REFUSED[name]):
        imuspec.read(FAULTS / name)


@pytest.mark.parametrize("name", ["ax6_firmware54.cwa.gz", "ax6_still_exchanged.cwa"])
def test_actipys_rule_keeps_the_exchange_and_counts_it(name: str) -> None:
    recording = imuspec.read(FAULTS / name, timestamps="actipy")
    assert recording.quality.counts["exchanged_sensors"] == 1024
    assert norm(Recording(**{**vars(recording), "acceleration": recording.acceleration[:, :1024]})) < 0.1


def test_a_compressed_file_cut_in_half_is_damaged_by_a_share_that_no_setting_passes(tmp_path: Path) -> None:
    whole = (FAULTS / "two_people_joined.cwa.gz").read_bytes()
    (tmp_path / "half.cwa.gz").write_bytes(whole[: len(whole) // 2])
    recording = imuspec.read(tmp_path / "half.cwa.gz")
    assert recording.quality.counts["damaged_compression"] == 1
    assert recording.damaged_share == 1
    with gzip.open(FAULTS / "two_people_joined.cwa.gz") as source, (tmp_path / "whole.cwa").open("wb") as to:
        shutil.copyfileobj(source, to)
    assert imuspec.read(tmp_path / "whole.cwa").damaged_share < 0.01

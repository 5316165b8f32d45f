"""CWA files against actipy 3.8.3's stored output and against the truth of recordings that were made up."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import imuspec
from imuspec.recording.recording import Recording
from reference_data import DATA, needs_data

pytestmark = needs_data

CWA = [
    "ax3_testfile.cwa",
    "ax3_testfile_corrupt_blocks_0_13_14_142_143_144.cwa",
    "ax6_sample.cwa",
    "tiny-sample.cwa.gz",
    "ax3_50hz_27h_messy.cwa.gz",
    "ax3_100hz_unpacked_3h_lostblocks.cwa.gz",
    "ax3_offset_clockback_3h.cwa.gz",
]
MADE_UP = [name for name in CWA if name[4:] and name.split(".")[0].endswith(("messy", "lostblocks", "clockback_3h"))]


@cache
def recording(name: str, timestamps: Any) -> Recording:
    return imuspec.read(DATA / "recordings" / name, timestamps=timestamps)


@cache
def expected(name: str) -> dict[str, NDArray[Any]]:
    with np.load(DATA / "expected" / f"{name}.actipy-raw.npz") as stored:
        return dict(stored)


@cache
def truth(name: str) -> dict[str, NDArray[Any]]:
    with np.load(DATA / "expected" / f"{name.removesuffix('.cwa.gz')}.npz") as stored:
        return dict(stored)


@pytest.mark.parametrize("name", CWA)
def test_actipy_timestamps_give_its_rows_values_and_whole_milliseconds(name: str) -> None:
    ours, theirs = recording(name, "actipy"), expected(name)
    milliseconds = np.round(np.cumsum(theirs["time_ns_delta"]) / 1e6).astype(np.int64)
    assert len(ours) == milliseconds.size
    np.testing.assert_array_equal(ours.time // 1_000_000, milliseconds)
    assert not (ours.time % 1_000_000).any()
    rows = theirs.get("rows", np.arange(len(ours)))
    np.testing.assert_array_equal(ours.acceleration[:, rows].T, theirs["xyz"])


@pytest.mark.parametrize("name", CWA)
def test_the_figures_are_those_of_actipy(name: str) -> None:
    ours, theirs = recording(name, "actipy").info(), json.loads(str(expected(name)["info"]))
    for key in ("ReadErrors", "SampleRate", "StartTime", "EndTime", "NumTicks", "NumInterrupts", "Covers24hOK"):
        assert ours[key] == theirs[key], key
    for key in ("WearTime(days)", "DataSpan(days)"):
        assert ours[key] == pytest.approx(theirs[key], abs=1e-12)
    # actipy keeps the low 16 bits of the id
    assert int(ours["DeviceID"]) & 0xFFFF == theirs["DeviceID"]


@pytest.mark.parametrize("name", CWA)
def test_temperature_is_the_documented_formula_of_what_actipy_decoded(name: str) -> None:
    ours, theirs = recording(name, "actipy"), expected(name)
    raw = (theirs["temperature"].astype(np.float64) * 1000 + 20500) / 150
    rows = theirs.get("rows", np.arange(len(ours)))
    temperature = ours.temperature
    assert temperature is not None
    np.testing.assert_allclose(temperature[rows], raw * 75 / 256 - 50, atol=2e-3)


def test_the_gyroscope_is_that_of_actipy() -> None:
    ours, theirs = recording("ax6_sample.cwa", "actipy"), expected("ax6_sample.cwa")
    assert ours.gyroscope is not None
    np.testing.assert_allclose(ours.gyroscope.T, theirs["gyro"], rtol=1e-6, atol=1e-5)


def test_device_timestamps_keep_every_row_and_the_same_bits() -> None:
    for name in CWA:
        device, actipy = recording(name, "device"), recording(name, "actipy")
        n = len(actipy)  # actipy drops the hour after a clock was set back, which is the recording's end
        if "clockback" not in name:
            assert len(device) == n
            put_back = device.quality.counts.get("exchanged_sensors", 0)
            assert put_back == (128 if name.startswith("ax6") else 0)  # what firmware 53 exchanges at the start
            np.testing.assert_array_equal(device.acceleration[:, put_back:n], actipy.acceleration[:, put_back:])
        else:
            assert len(device) == n + actipy.quality.counts["rows_not_later"]


def test_what_the_firmware_exchanged_is_the_gyroscope_of_actipy_in_g() -> None:
    device, actipy = recording("ax6_sample.cwa", "device"), recording("ax6_sample.cwa", "actipy")
    assert device.gyroscope is not None
    assert actipy.gyroscope is not None
    g_of_dps = 32768 / 2000 / 2048
    np.testing.assert_allclose(device.acceleration[:, :128], actipy.gyroscope[:, :128] * g_of_dps, rtol=1e-5)
    np.testing.assert_allclose(device.gyroscope[:, :128] * g_of_dps, actipy.acceleration[:, :128], rtol=1e-5)
    assert actipy.quality.counts["exchanged_sensors"] == 128


@pytest.mark.parametrize("name", MADE_UP)
def test_block_times_lie_within_12_ms_of_the_truth(name: str) -> None:
    ours, true = recording(name, "device"), truth(name)
    assert ours.blocks is not None
    times = ours.time[ours.blocks.first.astype(np.int64)].copy()
    true_times = true["block_time_ns"][ours.blocks.index.astype(np.int64)]
    if "clockback" in name:
        jump = ours.quality.events("clock_jump")
        assert len(jump) == 1
        assert jump[0].value == pytest.approx(-3600, abs=0.1)
        assert jump[0].time is not None
        times[int(np.flatnonzero(ours.blocks.index == jump[0].block)[0]) :] += 3_600_000_000_000
    assert np.abs(times - true_times).max() < 12e6


@pytest.mark.parametrize("name", MADE_UP)
def test_every_corrupted_block_is_listed_and_none_is_invented(name: str) -> None:
    ours, true = recording(name, "device"), truth(name)
    kinds = {"bad_checksum", "bad_axes", "bad_count", "bad_date", "bad_rate", "blank_block", "unknown_block"}
    listed = {event.block + k for event in ours.quality if event.kind in kinds for k in range(event.count)}
    assert listed == set(true["corrupted"].tolist())


def test_lost_blocks_are_counted_and_never_stretched_over() -> None:
    name = "ax3_100hz_unpacked_3h_lostblocks.cwa.gz"
    ours, true = recording(name, "device"), truth(name)
    missing = np.diff(true["block_index"]) - 1
    assert ours.quality.counts["lost_blocks"] == missing.sum()
    assert len(ours.runs) == 1 + (missing > 0).sum()
    inside = np.concatenate([np.diff(ours.time[a:b]) for a, b in ours.runs])
    assert inside.max() < 1.5e9 / ours.sample_rate
    assert inside.min() > 0.5e9 / ours.sample_rate


def test_a_restart_ends_a_run() -> None:
    ours = recording("tiny-sample.cwa.gz", "device")
    assert [event.kind for event in ours.quality] == ["restart", "gap"]
    assert ours.quality.events("gap")[0].value == pytest.approx(242.64, abs=0.01)
    assert ours.runs.shape == (2, 2)


def test_a_block_begins_where_the_fractional_stamp_says() -> None:
    ours = recording("ax3_testfile.cwa", "device")
    # GGIRread pins the second block's start (London, winter) to 1551178507.215
    assert ours.time[120] / 1e9 == pytest.approx(1551178507.215, abs=0.02)
    assert ours.sample_rate == pytest.approx(98.86, abs=0.01)

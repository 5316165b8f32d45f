"""Every other format than CWA against what actipy 3.8.3 makes of the same files."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from imuspec import _core
from imuspec.report.words import kind_meaning
from reference_data import DATA, needs_data

pytestmark = needs_data

CWA = [  # held to it in test_read_cwa.py
    "ax3_testfile.cwa",
    "ax3_testfile_corrupt_blocks_0_13_14_142_143_144.cwa",
    "ax6_sample.cwa",
    "tiny-sample.cwa.gz",
    "ax3_50hz_27h_messy.cwa.gz",
    "ax3_100hz_unpacked_3h_lostblocks.cwa.gz",
    "ax3_offset_clockback_3h.cwa.gz",
]
FILES = [
    "GENEActiv_testfile.bin",
    "TESTfile.bin",
    "actigraph_testfile.gt3x",
    "ISM_Disabled.gt3x",
    "ISM_Enabled.gt3x",
    "neo.gt3x",
    "mtx_100Hz_acc_HR_temp.BIN",
    "mtx_corrupted.bin",
]


def read(name: str, timestamps: str) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    got = _core.read(str(DATA / "recordings" / name), timestamps, "auto", "auto", None)
    return got, got["xyz"].reshape(3, -1)[:, : got["n"]], got["time"][: got["n"]]


def expected(name: str) -> tuple[dict[str, Any], np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    with np.load(DATA / "expected" / f"{name}.actipy-raw.npz") as stored:
        arrays = {key: stored[key] for key in stored}
    return json.loads(str(arrays["info"])), arrays["xyz"].T, np.cumsum(arrays["time_ns_delta"]), arrays


@pytest.mark.parametrize("name", FILES)
def test_rows_values_and_times_are_those_of_actipy(name: str) -> None:
    _, xyz, time = read(name, "actipy")
    info, want, want_time, _ = expected(name)
    assert xyz.shape == want.shape == (3, info["NumTicks"])
    np.testing.assert_array_equal(xyz, want)
    assert np.abs(time - want_time).max() <= 1_000_000


@pytest.mark.parametrize("name", FILES)
def test_values_in_device_time_are_the_same_and_times_increase_inside_a_run(name: str) -> None:
    got, xyz, time = read(name, "device")
    _, want, _, _ = expected(name)
    np.testing.assert_array_equal(xyz[:, : want.shape[1]], want)
    inside = np.ones(len(time), bool)
    inside[got["run_starts"].astype(int)] = False
    assert (np.diff(time)[inside[1:]] > 0).all()
    assert got["run_starts"][0] == 0


@pytest.mark.parametrize("name", FILES)
def test_the_figures_of_actipys_info_are_ours(name: str) -> None:
    got, _, time = read(name, "actipy")
    info, _, _, _ = expected(name)
    assert str(time[0].astype("datetime64[ns]"))[:19].replace("T", " ") == info["StartTime"]
    assert str(time[-1].astype("datetime64[ns]"))[:19].replace("T", " ") == info["EndTime"]
    step = np.diff(time)
    assert step[step < 1_000_000_000].sum() / 86_400e9 == pytest.approx(info["WearTime(days)"], abs=1e-9)
    assert (step > 1_000_000_000).sum() == info["NumInterrupts"] == len(got["run_starts"]) - 1
    # Matrix devices state no rate: actipy's is inferred, ours the nominal one that the packets come near
    assert got["header"]["nominal_rate"] == info["SampleRate"]
    if not name.lower().startswith("mtx"):  # whose id actipy gives is the word Matrix
        assert got["header"]["device_id"] == info["DeviceID"]


def test_geneactivs_cut_page_is_read_as_far_as_it_goes_in_device_time_and_its_loss_counted() -> None:
    got, xyz, _ = read("GENEActiv_testfile.bin", "device")
    assert xyz.shape == (3, 5031)  # actipy leaves the page out: 4800 rows
    assert got["counts"] == {"missing_pages": 222_031, "short_page": 1}
    strict, _, _ = read("GENEActiv_testfile.bin", "actipy")
    assert strict["counts"] == got["counts"]
    assert "light" in got


@pytest.mark.parametrize("name", ["GENEActiv_testfile.bin", "TESTfile.bin"])
def test_geneactivs_pages_state_the_temperature_that_actipy_gives_each_row(name: str) -> None:
    got, _, _ = read(name, "actipy")
    *_, arrays = expected(name)
    first = got["blocks"]["first"].astype(int)
    np.testing.assert_array_equal(got["blocks"]["temperature"], arrays["temperature"][first])


def test_idle_sleep_is_noted_with_its_first_missing_second_and_its_length() -> None:
    got, _, time = read("ISM_Enabled.gt3x", "device")
    idle = [(event[3], event[5]) for event in got["events"] if event[0] == "idle_sleep"]
    starts = got["run_starts"].astype(int)[1:]
    for (begin, length), at in zip(idle, starts, strict=False):
        assert time[at] == begin + round(length * 1e9)
        assert 0 < begin - time[at - 1] < 40_000_000
    # asleep when the recording ended: no row behind the last event
    assert len(idle) == len(starts) + 1
    assert idle[-1] == (1_616_169_599_000_000_000, 121.0)
    # awake and asleep are the five minutes of the recording
    assert got["n"] / 30 + sum(length for _, length in idle) == 300


def test_matrix_leaves_out_and_places_the_packet_whose_check_sum_does_not_hold() -> None:
    # actipy drops it in silence (ReadErrors 0)
    for rule in ("device", "actipy"):
        got, _, _ = read("mtx_corrupted.bin", rule)
        assert got["counts"] == {"bad_checksum": 1}
        assert got["events"][0][:3] == ("bad_checksum", 524, 0)
    got, _, _ = read("mtx_100Hz_acc_HR_temp.BIN", "device")
    assert got["counts"] == {}
    assert got["sample_rate"] == pytest.approx(102.3, abs=0.1)


def test_omguis_exports_start_with_the_stamp_of_the_device_file_beside_them() -> None:
    got, xyz, time = read("ax3_testfile_unix_timestamps.csv", "device")
    assert (got["n"], time[0]) == (210, 1_551_178_506_000_000_000)
    assert np.median(np.linalg.norm(xyz, axis=0)) == pytest.approx(1.058, abs=1e-3)
    assert got["counts"] == {"assumed_epoch": 1}


def test_the_export_of_old_firmware_that_exchanged_the_sensors_is_put_right_and_says_so() -> None:
    got, xyz, _ = read("ax6_testfile_formatted_timestamps.csv", "device")
    assert np.median(np.linalg.norm(xyz, axis=0)) == pytest.approx(15.78 * 0.064, abs=1e-3)
    assert xyz[2, 0] == pytest.approx(15.769958 * 0.064)
    assert got["gyro"].reshape(3, -1)[1, 0] == pytest.approx(0.071289 / 0.064)
    assert got["counts"] == {"exchanged_sensors": 1024}


def test_the_80_hz_wrist_sample_is_one_run() -> None:
    got, xyz, time = read("oxwearables_wrist_sample_75min_80hz.csv.gz", "device")
    assert got["counts"] == {"unlikely_date": 1}
    assert (got["n"], got["header"]["nominal_rate"]) == (359_999, 80.0)
    assert str(time[0].astype("datetime64[ns]"))[:19] == "2000-01-07T12:30:00"
    assert (time[-1] - time[0]) / 1e9 == pytest.approx(4499.975)
    assert np.median(np.linalg.norm(xyz, axis=0)) == pytest.approx(1.024, abs=1e-3)


def test_every_recording_at_hand_reads_and_each_loss_has_words() -> None:
    paths = sorted((DATA / "recordings").iterdir())
    assert len(paths) >= len(FILES)
    for path in paths:
        got = _core.read(str(path), "device", "auto", "auto", None)
        assert got["n"] > 0, path.name
        assert [kind for kind in got["counts"] if not kind_meaning(kind)] == [], path.name


def test_every_stored_output_of_actipy_is_compared() -> None:
    stored = {path.name.removesuffix(".actipy-raw.npz") for path in (DATA / "expected").glob("*.actipy-raw.npz")}
    assert stored == {*FILES, *CWA}

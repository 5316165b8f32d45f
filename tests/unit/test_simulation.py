"""Simulated recordings: what the device would have written, and a wearer's days in it."""

from __future__ import annotations

import datetime
import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cwa_blocks import acceleration_of, blocks_of, times_by_stamp
from imuspec.simulation import Miscalibration, Truth, simulate, wrist_motion
from imuspec.simulation.plan import Plan

SHORT = 0.01  # days: some 700 packed blocks at 100 Hz


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Truth]:
    path = tmp_path_factory.mktemp("plain") / "plain.cwa"
    truth = simulate(path, days=SHORT, seed=4)
    return path.read_bytes(), truth


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Truth]:
    """10 s windows of two miscalibrated days at 12.5 Hz: means [m, 3], deviations [m, 3], and their middles in s."""
    path = tmp_path_factory.mktemp("days") / "days.cwa"
    truth = simulate(path, days=2, seed=2, sample_rate=12.5, miscalibration=True)
    words = np.frombuffer(path.read_bytes(), dtype=np.uint8)[1024:].reshape(-1, 512)[:, 30:510].copy().view("<u4")
    counts = np.stack([(words.ravel() >> shift & 1023).astype(np.int64) for shift in (0, 10, 20)], axis=1)
    values = np.where(counts > 511, counts - 1024, counts) / 64
    windows = values[: len(values) // 125 * 125].reshape(-1, 125, 3)
    middle = (np.arange(len(windows)) + 0.5) * 125 / truth.device_rate
    return (windows.mean(axis=1), windows.std(axis=1, ddof=1), middle), truth


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    written = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        simulate(tmp_path / f"{name}.cwa.gz", days=SHORT, seed=seed, damage=["lost", "checksum"], miscalibration=True)
        written.append([(tmp_path / f"{name}{end}").read_bytes() for end in (".cwa.gz", ".truth.npz", ".truth.json")])
    assert written[0] == written[1]
    assert written[0][0] != written[2][0]


def test_the_header_is_the_devices_and_carries_the_annotation(plain: tuple[bytes, Truth]) -> None:
    data, truth = plain
    assert struct.unpack("<2sHB", data[:5]) == (b"MD", 1020, 0x17)
    assert data[36] == 0x4A
    assert data[35] == 0xFF
    text = data[64:512].rstrip(b" ")
    assert text.startswith(b"_sc=simulated+4&_p=left+wrist&")
    assert struct.unpack("<H", data[5:7])[0] == 17_004
    assert truth.nominal_rate == 100.0


def test_blocks_have_their_checksum_sequence_and_full_count(plain: tuple[bytes, Truth]) -> None:
    data, truth = plain
    blocks = blocks_of(data)
    assert len(blocks) == len(truth.block_time_ns)
    assert {block.sum_of_words for block in blocks} == {0}
    assert [block.sequence for block in blocks] == list(range(len(blocks)))
    assert {(block.tag, block.rate, block.axes, block.count) for block in blocks} == {(b"AX", 0x4A, 0x30, 120)}
    assert [block.events for block in blocks] == [1] + [0] * (len(blocks) - 1)
    assert frozenset().union(*(block.exponents for block in blocks)) == {2}


def test_slow_channels_are_plausible_and_temperature_is_the_truths(plain: tuple[bytes, Truth]) -> None:
    data, truth = plain
    blocks = blocks_of(data)
    celsius = np.array([block.temperature & 1023 for block in blocks]) * 75 / 256 - 50
    np.testing.assert_allclose(celsius, truth.block_temperature, atol=0.15)
    assert 15 < celsius.min() <= celsius.max() < 40
    volts = np.array([(block.battery + 512) * 6 / 1024 for block in blocks])
    assert 3.9 < volts.min() <= volts.max() < 4.25
    assert all(block.light >> 10 == 0 and 0 < block.light & 1023 < 800 for block in blocks)


@pytest.mark.parametrize(
    ("options", "nominal"),
    [({}, 100), ({"unpacked": True}, 100), ({"device": "ax6"}, 100), ({"sample_rate": 12.5}, 12)],
    ids=["packed", "unpacked", "ax6", "12.5 Hz"],
)
def test_stamps_lead_back_to_the_true_times(tmp_path: Path, options: dict[str, Any], nominal: int) -> None:
    truth = simulate(tmp_path / "a.cwa", days=SHORT, seed=5, **options)
    blocks = blocks_of((tmp_path / "a.cwa").read_bytes())
    error = times_by_stamp(blocks, truth.device_rate, nominal) - truth.block_time_ns / 1e9
    # The lowest bit of the fraction is lost: a few blocks come out one whole sample late, the others within 0.1 ms.
    off = np.abs(error) > 1e-4
    assert off.mean() < 0.01
    np.testing.assert_allclose(error[off], 1 / truth.device_rate, atol=2e-4)
    assert 0.98 < truth.device_rate / truth.nominal_rate < 0.995


def test_offsets_follow_the_queue_of_twenty_five(plain: tuple[bytes, Truth]) -> None:
    data, _ = plain
    queued = [125, 130, 135, 140, 120, 125]
    for block, expected in zip(blocks_of(data)[:6], queued, strict=True):
        assert block.offset + (((block.fraction & 0x7FFF) << 1) * 100 >> 16) in {expected, expected - 1}


def test_a_start_within_a_second_and_late_in_a_year_is_stamped_so(tmp_path: Path) -> None:
    truth = simulate(tmp_path / "a.cwa", days=1 / 480, start="2024-12-31T23:59:00.250")
    stamps = [block.stamp for block in blocks_of((tmp_path / "a.cwa").read_bytes())]
    assert truth.start_ns == int(np.datetime64("2024-12-31T23:59:00.250", "ns").astype(np.int64))
    assert truth.block_time_ns[0] == truth.start_ns
    assert stamps[0] == datetime.datetime(2024, 12, 31, 23, 59, 1)
    assert stamps[-1] is not None
    assert stamps[-1].date() == datetime.date(2025, 1, 1)


def test_the_device_reports_gain_times_truth_plus_offset_plus_warmth(tmp_path: Path) -> None:
    error = Miscalibration((1.02, 0.97, 1.01), (0.03, -0.04, 0.02), (0.001, 0.0, -0.002))
    simulate(tmp_path / "true.cwa", days=SHORT, seed=6, unpacked=True)
    truth = simulate(tmp_path / "false.cwa", days=SHORT, seed=6, unpacked=True, miscalibration=error)
    exact = acceleration_of(blocks_of((tmp_path / "true.cwa").read_bytes()))
    wrong = acceleration_of(blocks_of((tmp_path / "false.cwa").read_bytes()))
    warmth = np.repeat(truth.block_temperature - 25, truth.block_samples)[:, None] * truth.temperature_slope
    # Both are rounded to 1/256 g, and the sensor's own noise of 3.5 mg is not scaled by the gain.
    np.testing.assert_allclose(wrong, truth.gain * exact + truth.offset + warmth, atol=0.0045)
    np.testing.assert_array_equal(truth.offset_effective, truth.offset)


def test_packing_floors_away_one_and_a_half_counts_on_average(tmp_path: Path) -> None:
    whole = simulate(tmp_path / "whole.cwa", days=SHORT, seed=6, unpacked=True)
    packed = simulate(tmp_path / "packed.cwa", days=SHORT, seed=6)
    means = [
        acceleration_of(blocks_of((tmp_path / f"{name}.cwa").read_bytes())).mean(axis=0) for name in ("whole", "packed")
    ]
    np.testing.assert_allclose(means[1] - means[0], packed.offset_effective - whole.offset_effective, atol=0.0015)
    np.testing.assert_allclose(packed.offset_effective, -1.5 / 256)


def test_a_six_axis_device_has_its_gyroscope_first(tmp_path: Path) -> None:
    truth = simulate(tmp_path / "a.cwa", days=SHORT, seed=7, device="ax6")
    data = (tmp_path / "a.cwa").read_bytes()
    blocks = blocks_of(data)
    assert data[4] == 0x64
    assert {(block.axes, block.count, block.light >> 13, block.light >> 10 & 7) for block in blocks} == {
        (0x62, 40, 4, 2)
    }
    acceleration = acceleration_of(blocks)
    rotation = np.concatenate([block.samples[:, :3] for block in blocks]) * 2000 / 32768
    assert truth.counts_per_g == 4096
    assert abs(np.median(np.linalg.norm(acceleration, axis=1)) - 1) < 0.02
    # Where the device turns, gravity's own change says how fast: compare over 0.2 s, away from the still parts.
    step = 20
    mean = acceleration[: len(acceleration) // step * step].reshape(-1, step, 3).mean(axis=1)
    turned = np.degrees(np.linalg.norm(np.diff(mean, axis=0), axis=1)) * truth.device_rate / step
    speed = np.linalg.norm(rotation[: len(mean) * step].reshape(-1, step, 3).mean(axis=1), axis=1)
    assert np.corrcoef(turned, (speed[1:] + speed[:-1]) / 2)[0, 1] > 0.7
    assert np.median(speed) < 2


def test_two_days_can_be_calibrated_and_the_truth_undoes_the_error(two_days: tuple[Any, Truth]) -> None:
    (mean, deviation, _), truth = two_days
    still = mean[(deviation < 0.013).all(axis=1)]
    assert len(still) > 1000
    assert (still.min(axis=0) < -0.3).all()
    assert (still.max(axis=0) > 0.3).all()
    before = np.abs(np.linalg.norm(still, axis=1) - 1).mean()
    after = np.abs(np.linalg.norm((still - truth.offset_effective) / truth.gain, axis=1) - 1).mean()
    assert before > 0.01
    assert after < 0.002


def test_non_wear_lies_still_for_more_than_ninety_minutes(two_days: tuple[Any, Truth]) -> None:
    (_, deviation, middle), truth = two_days
    longest = max((end - start for start, end in truth.nonwear), default=0.0)
    assert longest > 2 * 3600
    start, end = truth.nonwear[np.argmax(truth.nonwear[:, 1] - truth.nonwear[:, 0])]
    inside = (deviation[(middle > start) & (middle < end)] < 0.013).all(axis=1)
    runs = [len(run) for run in "".join("x" if still else " " for still in inside).split()]
    assert max(runs) * 10 > 5400 + 60


def test_each_behaviour_moves_the_wrist_in_its_own_measure(two_days: tuple[Any, Truth]) -> None:
    (_, deviation, middle), truth = two_days
    bout = np.searchsorted(truth.states[:, 0], middle, side="right") - 1
    state = truth.states[bout, 1].astype(int)
    strength = {
        name: np.median(np.linalg.norm(deviation[state == k], axis=1))
        for k, name in enumerate(truth.state_names)
        if (state == k).any()
    }
    assert strength["sleep"] < 0.015 < strength["sit-stand"] * 1.5 < strength["mixed"] < strength["walking"] * 3
    assert strength["walking"] > 0.2
    assert truth.states[0, 0] == 0
    assert (np.diff(truth.states[:, 0]) > 0).all()


def test_a_walk_repeats_itself_at_the_pace_of_steps() -> None:
    acceleration, _, state = wrist_motion(days=0.3, seed=0, sample_rate=50.0)
    walking = np.flatnonzero(state == 3)
    part = acceleration[0, walking[1000] : walking[1000] + 2048].astype(np.float64)
    power = np.abs(np.fft.rfft((part - part.mean()) * np.hanning(2048))) ** 2
    peak = np.argmax(power) * 50 / 2048
    assert 0.7 < peak < 2.3


def test_the_truth_returns_from_its_files(tmp_path: Path) -> None:
    truth = simulate(
        tmp_path / "a.cwa.zip", days=SHORT, seed=16, damage=["lost", "restart", "zeroed"], miscalibration=True
    )
    assert Truth.beside(tmp_path / "a.cwa.zip") == tmp_path / "a.truth.npz"
    for path in ("a.truth.npz", "a.cwa.zip"):
        again = Truth.load(tmp_path / path)
        for name, value in vars(truth).items():
            np.testing.assert_array_equal(getattr(again, name), value, err_msg=name)
    with zipfile.ZipFile(tmp_path / "a.cwa.zip") as archive:
        assert len(blocks_of(archive.read("a.cwa"))) == len(truth.block_time_ns)


def test_a_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_plan: Plan, file: io.BufferedWriter, _error: Miscalibration, _progress: object) -> None:
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Plan, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        simulate(tmp_path / "a.cwa", days=SHORT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"days": 0.0}, "days: expected"),
        ({"days": float("nan")}, "days: expected"),
        ({"sample_rate": 30.0}, "sample_rate: expected one of 6.25, "),
        ({"sample_rate": 6.25, "damage": ["rate_change"]}, "sample_rate: expected one with a half"),
        ({"start": "noon"}, "start: expected a local time such as 2023-05-15T10:00:00, got 'noon'"),
        ({"start": "1999-12-31T10:00:00"}, "start: expected a time without zone in 2000 to 2060"),
        ({"start": "2023-05-15T10:00:00+02:00"}, r"start: expected a time without zone .* got .2023"),
        ({"device": "ax9"}, "device: expected 'ax3' or 'ax6', got 'ax9'"),
        ({"damage": ["rust"]}, "damage: expected one of 'restart', "),
        ({"damage": ["gzip_truncated"]}, "path: expected a name in .gz"),
        ({"days": 1 / 1440, "damage": ["lost", "zeroed", "blank", "swapped", "repeated"] + ["checksum"] * 3,
          "sample_rate": 6.25}, "damage: expected a recording of more"),
    ],
)  # fmt: skip
def test_what_cannot_be_simulated_is_refused_by_name(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(tmp_path / "a.cwa", **options)
    assert list(tmp_path.iterdir()) == []

"""Recordings that are no CWA go the whole way too: tables of columns, and devices that sleep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import imuspec
from imuspec.simulation import wrist_motion, write_gt3x, write_npz, write_parquet

LOOSE = imuspec.Recipe.load("capture24").set("calibration.required=false", "segments.min_wear_h=0.1")


@pytest.mark.parametrize("write", [write_parquet, write_npz])
def test_a_table_is_prepared_as_the_same_samples_are_from_a_device(write: object, tmp_path: Path) -> None:
    acceleration, time, _ = wrist_motion(days=0.1, seed=3, sample_rate=50)
    path = tmp_path / f"table.{'parquet' if write is write_parquet else 'npz'}"
    write(path, acceleration, time)  # type: ignore[operator]
    recording = imuspec.read(path)
    np.testing.assert_array_equal(recording.acceleration, acceleration)
    np.testing.assert_array_equal(recording.time, time)
    prepared = imuspec.prepare(path, LOOSE)
    assert prepared.status == "ok", prepared.reason
    assert prepared.acceleration is not None
    filtered = imuspec.lowpass(acceleration, sample_rate=50, cutoff=15)
    points, _ = imuspec.resample(filtered, time, rate=30)
    gain = np.array([prepared.calibration[f"gain_{k}"] for k in "xyz"])
    offset = np.array([prepared.calibration[f"offset_{k}"] for k in "xyz"])
    expected = points if not prepared.calibration["ok"] else offset[:, None] + gain[:, None] * points
    np.testing.assert_allclose(prepared.acceleration, expected, atol=1e-5)


def test_idle_sleep_is_filled_with_the_last_value_or_left_missing(tmp_path: Path) -> None:
    acceleration, time, _ = wrist_motion(days=0.1, seed=3, sample_rate=30)
    acceleration = acceleration.copy()
    asleep = slice(30 * 1200, 30 * 3000)  # half an hour in which nothing moves
    acceleration[:, asleep] = acceleration[:, [asleep.start]]
    path = tmp_path / "sleeper.gt3x"
    write_gt3x(path, acceleration, time, idle_s=[(1200, 3000)])
    recording = imuspec.read(path)
    slept = recording.quality.events("idle_sleep")
    assert [round(event.value) for event in slept] == [1800]
    filled = imuspec.prepare(path, LOOSE)
    missing = imuspec.prepare(path, LOOSE.set("reading.idle_sleep=gap"))
    assert filled.acceleration is not None
    assert missing.acceleration is not None
    assert filled.figures["n_idle_filled"] == pytest.approx(1800 * 30, abs=2)
    assert np.isnan(filled.acceleration).sum() == 0
    assert np.isnan(missing.acceleration[0]).sum() == pytest.approx(1800 * 30, abs=40)
    middle = filled.acceleration[:, 30 * 2000 : 30 * 2100]
    assert np.ptp(middle, axis=1).max() < 1e-4

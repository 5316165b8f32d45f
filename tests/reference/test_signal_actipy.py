"""The signal chain against actipy 3.8.3's stored steps on every reference recording."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

import imuspec
from reference_data import DATA, needs_data

pytestmark = needs_data

NAMES = (
    sorted(path.name.removesuffix(".actipy-proc.npz") for path in (DATA / "expected").glob("*.actipy-proc.npz"))
    if (DATA / "expected").exists()
    else []
)
AXES = "xyz"


@dataclass
class Case:
    acceleration: np.ndarray
    time: np.ndarray
    temperature: np.ndarray | None
    sample_rate: float
    stored: dict[str, np.ndarray]
    steps: dict[str, Any]

    def compare(self, step: str, values: np.ndarray, within: float) -> None:
        """Holds values [3, n] to a stored step: how many rows, which are missing, and how far the kept ones are."""
        rows = self.stored.get(f"{step}_rows", slice(None))
        assert values.shape[1] == self.stored[f"{step}_n"]
        assert np.isnan(values).any(axis=0).sum() == self.stored[f"{step}_nan"]
        np.testing.assert_allclose(values.T[rows], self.stored[f"{step}_xyz"], rtol=0, atol=within)


@cache
def load(name: str) -> Case:
    expected = DATA / "expected"
    raw = dict(np.load(expected / f"{name}.actipy-raw.npz"))
    index = json.loads((expected / "index.json").read_text())[name]["actipy"]
    time = np.cumsum(raw["time_ns_delta"])
    acceleration, temperature = raw["xyz"].T, raw.get("temperature")
    if "rows" in raw:  # thinned: the whole comes from the file
        recording = imuspec.read(DATA / "recordings" / name, timestamps="actipy")
        np.testing.assert_array_equal(recording.time, time)
        acceleration = recording.acceleration
        # actipy's formula of the same raw number.
        temperature = ((recording.temperature + 50) * 256 / 75 * 150 - 20500) / 1000
    stored = dict(np.load(expected / f"{name}.actipy-proc.npz"))
    return Case(
        np.ascontiguousarray(acceleration), time, temperature, index["raw"]["SampleRate"], stored, index["steps"]
    )


def filtered(case: Case) -> np.ndarray:
    """Actipy leaves a recording as it is when the cutoff is not below half the rate."""
    if not case.steps["lowpass15"]["LowpassOK"]:
        return case.acceleration
    return imuspec.lowpass(case.acceleration, sample_rate=case.sample_rate, cutoff=15)


@pytest.mark.parametrize("name", NAMES)
def test_lowpass_across_gaps_equals_actipy(name: str) -> None:
    case = load(name)
    if not case.steps["lowpass15"]["LowpassOK"]:
        with pytest.raises(ValueError, match="cutoff: expected above 0 and below half the sample rate"):
            imuspec.lowpass(case.acceleration, sample_rate=case.sample_rate, cutoff=15)
        return
    case.compare("lowpass15", filtered(case), 1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rate", [30, 25])
def test_nearest_resampling_equals_actipy(name: str, rate: int) -> None:
    case = load(name)
    source = filtered(case) if rate == 30 else case.acceleration
    values, grid = imuspec.resample(source, case.time, rate=rate, method="nearest")
    theirs = np.cumsum(case.stored[f"resample{rate}_time_ns_delta"])
    # The Matrix reader's index has microseconds, which cuts the grid's times.
    np.testing.assert_allclose(grid, theirs, rtol=0, atol=999 if name.startswith("mtx") else 0)
    case.compare(f"resample{rate}", values, 1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("step", "options"),
    [
        ("calibrate_forced_noT", {"tolerance_g": 0.015, "min_windows": 1, "cube_g": 0}),
        ("calibrate_noT_13mg", {"tolerance_g": 0.013}),
    ],
)
def test_calibration_without_temperature_equals_actipy(name: str, step: str, options: dict[str, Any]) -> None:
    case = load(name)
    theirs = case.steps[step]
    source = case if "forced" in step else Case(filtered(case), case.time, None, case.sample_rate, {}, {})
    result = imuspec.calibrate(source, **options)
    assert result.n_windows == theirs["CalibNumSamples"]
    assert result.n_iterations == theirs.get("CalibNumIters", 0)
    assert result.error_after_mg == pytest.approx(theirs["CalibErrorAfter(mg)"], abs=1e-4, nan_ok=True) or (
        # Below the smallest number of windows actipy gives no error; ours is there to see.
        result.n_windows < options.get("min_windows", 50)
    )
    assert result.ok == bool(theirs["CalibOK"])
    if "CalibxSlope" in theirs:
        np.testing.assert_allclose(result.gain, [theirs[f"Calib{k}Slope"] for k in AXES], rtol=0, atol=1e-6)
        np.testing.assert_allclose(result.offset, [theirs[f"Calib{k}Intercept"] for k in AXES], rtol=0, atol=1e-6)
    if "forced" in step:
        calibrated = result.apply(case.acceleration) if result.ok else case.acceleration
        case.compare("calib_forced_noT", calibrated, 1e-5)


@pytest.mark.parametrize("name", [name for name in NAMES if "cwa.gz" in name])
def test_calibration_with_temperature_is_as_good_as_actipys_in_a_tenth_of_its_rounds(name: str) -> None:
    # actipy stops on the way (recordings.md 3: its slopes soak up offset); the errors are what can be compared.
    case = load(name)
    theirs = case.steps["calibrate_forced_T"]
    result = imuspec.calibrate(case, temperature=True, tolerance_g=0.015, min_windows=1, cube_g=0)
    assert result.ok
    assert result.n_windows == theirs["CalibNumSamples"]
    assert result.error_after_mg < theirs["CalibErrorAfter(mg)"] + 0.005
    assert result.n_iterations <= theirs["CalibNumIters"] / 10
    still = result.apply(case.acceleration, case.temperature)
    assert np.isfinite(still).all()


def test_the_tiny_sample_goes_from_33_754_to_1_667_mg() -> None:
    result = imuspec.calibrate(load("tiny-sample.cwa.gz"), tolerance_g=0.015, min_windows=1, cube_g=0)
    assert (round(result.error_before_mg, 3), round(result.error_after_mg, 3)) == (33.754, 1.667)
    assert result.reason == "calibrated: 33.754 mg before, 1.667 mg after"


@pytest.mark.parametrize("method", ["actipy", "vanhees"])
def test_the_messy_recordings_true_gain_and_offset_are_found(method: Any) -> None:
    case = load("ax3_50hz_27h_messy.cwa.gz")
    truth = np.load(DATA / "expected" / "ax3_50hz_27h_messy.npz")
    result = imuspec.calibrate(case, method=method)
    np.testing.assert_allclose(result.gain, 1 / truth["gain"], rtol=0, atol=2e-3)
    np.testing.assert_allclose(result.offset, -truth["offset_effective"] / truth["gain"], rtol=0, atol=3e-3)


@pytest.mark.parametrize("name", NAMES)
def test_nonwear_of_a_minute_equals_actipy(name: str) -> None:
    case = load(name)
    wear = imuspec.wear_segments(
        case.acceleration, case.time, tolerance_g=0.015, nonwear_min=1, min_wear_h=0, length_rule="actipy"
    )
    np.testing.assert_array_equal(wear.nonwear_times[:, 0], case.stored["nonwear_1m_start_ns"])
    lengths = wear.nonwear_times[:, 1] - 1 - wear.nonwear_times[:, 0]
    np.testing.assert_array_equal(lengths, case.stored["nonwear_1m_len_ns"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tolerance_mg", [13, 15])
def test_nonwear_of_90_minutes_equals_actipy(name: str, tolerance_mg: int) -> None:
    case = load(name)
    wear = imuspec.wear_segments(
        case.acceleration, case.time, tolerance_g=tolerance_mg / 1000, min_wear_h=0, length_rule="actipy"
    )
    theirs = case.steps[f"nonwear_90m_{tolerance_mg}mg"]
    assert len(wear.nonwear) == theirs["NumNonwearEpisodes"]
    assert wear.nonwear_h / 24 == pytest.approx(theirs["NonwearTime(days)"], abs=1e-9)

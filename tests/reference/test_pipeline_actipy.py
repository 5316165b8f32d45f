"""The whole pass from file to calibrated wear against actipy's pipelines and against the truth of made-up recordings."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import imuspec
from imuspec.preparation import Prepared
from imuspec.recipe import Recipe
from reference_data import DATA, needs_data

pytestmark = needs_data

FILES = sorted(p.name.removesuffix(".actipy-proc.npz") for p in (DATA / "expected").glob("*.actipy-proc.npz"))
MADE_UP = ["ax3_50hz_27h_messy", "ax3_100hz_unpacked_3h_lostblocks", "ax3_offset_clockback_3h"]
PAPER_ORDER = ("order=paper",)
PER_RUN = ("order=paper", "lowpass.across_gaps=false")


@cache
def prepared(name: str, recipe: str = "actipy", changes: tuple[str, ...] = ()) -> Prepared:
    return imuspec.prepare(DATA / "recordings" / name, recipe=Recipe.load(recipe).set(*changes))


def worn(ours: Prepared) -> NDArray[np.float32]:
    """Acceleration with non-wear missing, as actipy's frame has it."""
    assert ours.acceleration is not None
    values = np.array(ours.acceleration)
    for start, stop in ours.nonwear:
        values[:, start:stop] = np.nan
    return values


def theirs(name: str, order: str) -> dict[str, Any]:
    with np.load(DATA / "expected" / f"{name}.actipy-proc.npz") as stored:
        prefix = f"pipeline_{order}_order_"
        return {key.removeprefix(prefix): stored[key] for key in stored if key.startswith(prefix)}


def compare(ours: Prepared, want: dict[str, Any], atol: float) -> None:
    values = worn(ours)
    assert values.shape[1] == want["n"]
    assert ours.start_time == want["t0_ns"]
    assert np.isnan(values).any(axis=0).sum() == want["nan"]
    rows = want.get("rows", np.arange(values.shape[1]))
    np.testing.assert_allclose(values[:, rows].T, want["xyz"], atol=atol, rtol=0)
    np.testing.assert_allclose(np.nansum(values, axis=1, dtype=np.float64), want["sum"], atol=atol * values.shape[1])


@pytest.mark.parametrize("name", [name for name in FILES if "nan" in theirs(name, "actipy")])
@pytest.mark.parametrize(("order", "changes"), [("actipy", ()), ("paper", PAPER_ORDER)])
def test_both_orders_give_actipys_values_and_its_missing_points(
    name: str, order: str, changes: tuple[str, ...]
) -> None:
    compare(prepared(name, "actipy", changes), theirs(name, order), 1e-6)


@pytest.mark.parametrize("name", MADE_UP)
def test_filtering_each_run_by_itself_differs_only_within_a_second_of_a_gap(name: str) -> None:
    name = f"{name}.cwa.gz"
    ours, want = prepared(name, "actipy", PER_RUN), theirs(name, "paper")
    values = worn(ours)
    rows = want["rows"]
    off = np.nanmax(np.abs(values[:, rows].T - want["xyz"]), axis=1, initial=0)
    recording = imuspec.read(DATA / "recordings" / name, timestamps="actipy")
    edges = (recording.time[recording.runs[1:, 0]] - recording.time[0]) / 1e9 * 30
    distance = np.abs(rows[:, None] - edges).min(axis=1) if edges.size else np.full(rows.size, np.inf)
    assert (np.isnan(values[0, rows]) == np.isnan(want["xyz"][:, 0])).all()
    assert off[distance > 30].max() < 1e-4


@pytest.mark.parametrize("name", MADE_UP)
@pytest.mark.parametrize("recipe", ["ukb", "actipy"])
def test_calibration_recovers_the_true_gain_and_offset(name: str, recipe: str) -> None:
    ours = prepared(f"{name}.cwa.gz", recipe).calibration
    with np.load(DATA / "expected" / f"{name}.npz") as truth:
        gain, offset = 1 / truth["gain"], -truth["offset_effective"] / truth["gain"]
    assert ours["ok"]
    assert ours["error_after_mg"] < 1
    limit = (2e-3, 3e-3)
    assert np.abs([ours[f"gain_{k}"] for k in "xyz"] - gain).max() < limit[0]
    assert np.abs([ours[f"offset_{k}"] for k in "xyz"] - offset).max() < limit[1]


def test_a_real_recording_goes_all_the_way_when_the_rules_are_loosened() -> None:
    name = "tiny-sample.cwa.gz"
    assert prepared(name, "capture24").reason.startswith("calibration failed: too few postures")
    changes = ("calibration.min_windows=1", "calibration.cube_g=0", "segments.min_wear_h=0.1")
    ours = prepared(name, "capture24", changes)
    assert ours.status == "ok"
    # actipy without temperature, 15 mg and raw: 33.754 -> 1.667 mg; here 13 mg, filtered, on the grid
    assert ours.calibration["error_before_mg"] == pytest.approx(33.754, abs=1)
    assert ours.calibration["error_after_mg"] == pytest.approx(1.667, abs=0.2)
    hours = [(stop - start) / 30 / 3600 for start, stop in ours.segments]
    assert hours == pytest.approx([2.645, 0.262], abs=0.01)


def test_a_clock_set_back_shifts_the_grid_and_loses_nothing() -> None:
    ours = prepared("ax3_offset_clockback_3h.cwa.gz", "capture24")
    assert ours.acceleration is not None
    assert ours.quality.counts["clock_jump"] == 1
    assert [event.value for event in ours.quality.events("timeline_shift")] == pytest.approx([3600], abs=0.1)
    assert ours.acceleration.shape[1] / 30 / 3600 == pytest.approx(3, abs=0.01)
    assert not np.isnan(ours.acceleration).any()


def test_a_recording_without_the_temperature_that_a_recipe_fits_is_excluded_in_words() -> None:
    ours = prepared("ISM_Enabled.gt3x", "capture24", ("calibration.temperature=true",))
    assert ours.status == "excluded"
    assert ours.reason.startswith("calibration failed: temperature was to be fitted, and the recording has none")

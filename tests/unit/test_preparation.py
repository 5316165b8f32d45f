"""One file in, one outcome out, whatever the file."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import stub_native
from imuspec import Prepared, Recipe, prepare
from imuspec.errors import RecordingError
from imuspec.preparation.checks import below, damage, doubt
from imuspec.preparation.reasons import alike, calibration_failure
from imuspec.recording.quality import Event, Quality
from imuspec.simulation import write_capture24_csv


def _stub(tmp_path, **message: object) -> str:
    path = tmp_path / "r 1.cwa"
    path.write_text(json.dumps(message))
    return str(path)


@pytest.mark.parametrize("n_labels", [2, 3, 4])
def test_a_recording_is_prepared_with_any_number_of_annotations(n_labels: int, tmp_path: Path) -> None:
    time = np.arange(3000) * 20_000_000
    x = np.array([[0.0], [0.0], [1.0]]) + np.random.default_rng(0).normal(0, 0.05, (3, len(time)))
    labels = [f"label {i * n_labels // len(time)}" for i in range(len(time))]
    write_capture24_csv(tmp_path / "P001.csv", x, time, labels)
    prepared = prepare(
        tmp_path / "P001.csv", Recipe.load("capture24").set("segments.min_wear_h=0", "calibration.required=false")
    )
    assert (prepared.status, prepared.reason) == ("ok", "")
    assert prepared.header["labels"] == [f"label {i}" for i in range(n_labels)]


def test_a_good_file_is_ok_with_its_wear_and_figures(tmp_path) -> None:
    recipe = Recipe.load("ukb").set("segments.min_wear_h=0.05")
    prepared = stub_native.prepare_with(stub_native.native_pass, _stub(tmp_path, hours=0.1), recipe)
    assert (prepared.status, prepared.reason, prepared.id) == ("ok", "", "r_1-f22632045702")
    assert prepared.acceleration is not None
    assert prepared.acceleration.shape == (3, 10800)
    assert prepared.segments.tolist() == [[0, 5400], [5405, 10800]]
    assert prepared.quality.counts == {"gap": 1}
    assert prepared.calibration["gain_x"] == 1.0
    row = prepared.rows(prepared.segments)[1]
    assert row["start_s"] == pytest.approx(5405 / 30)
    assert row["start_time"] == prepared.start_time + round(5405 / 30 * 1e9)
    assert prepared.wear_summary == "0.1 h of wear in 2 segments, 30 Hz, calibrated from 30.0 to 1.5 mg"


def test_too_short_is_excluded_with_the_longest_it_had(tmp_path) -> None:
    prepared = stub_native.prepare_with(stub_native.native_pass, _stub(tmp_path, hours=0.1), "ukb")
    assert prepared.status == "excluded"
    assert (
        prepared.reason
        == "the longest stretch of wear is 0.05 h; the recipe needs 24 h (--set segments.min_wear_h=0.05)"
    )


def test_hours_are_rounded_down_in_a_reason(tmp_path) -> None:
    def native(path, settings):
        return {**stub_native.native_pass(path, settings), "figures": {"n_samples_read": 1, "longest_wear_h": 23.97}}

    assert "longest stretch of wear is 23.9 h; " in stub_native.prepare_with(native, _stub(tmp_path), "ukb").reason


def test_failed_calibration_excludes_by_the_paper_and_not_by_actipy(tmp_path) -> None:
    path = _stub(tmp_path, uncalibrated=True)
    prepared = stub_native.prepare_with(stub_native.native_pass, path, "ukb")
    assert prepared.status == "excluded"
    assert prepared.reason == (
        "calibration failed: 12 still windows; the recipe needs 50, which last 500 s; the recording lasts 360 s "
        "(--set calibration.min_windows=12, or --set calibration.required=false to keep it as measured)"
    )
    assert prepared.calibration["n_windows"] == 12
    assert "calibration" not in stub_native.prepare_with(stub_native.native_pass, path, "actipy").reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RecordingError("/p/x.cwa", 512, "block: expected AX, got GX"), "block: expected AX, got GX (byte 512)"),
        (RecordingError("/p/x.cwa", None, "expected samples, got none"), "expected samples, got none"),
        (FileNotFoundError(2, "No such file", "/p/x.cwa"), "no such file"),
        (PermissionError(13, "Permission denied", "/p/x.cwa"), "cannot be read: permission denied"),
        (MemoryError(), "not enough memory"),
        (KeyError("x"), "internal error: KeyError: 'x'"),
    ],
)
def test_whatever_the_reader_says_is_a_reason_without_the_path(error: Exception, reason: str) -> None:
    def native(_path, _settings):
        raise error

    prepared = stub_native.prepare_with(native, "/p/x.cwa", "ukb")
    assert (prepared.status, prepared.reason, prepared.acceleration) == ("failed", reason, None)


def test_a_panic_of_the_native_core_is_an_outcome_and_an_interrupt_is_not() -> None:
    class PanicException(BaseException):
        pass

    def panics(_path, _settings):
        raise PanicException("index out of bounds")

    def interrupted(_path, _settings):
        raise KeyboardInterrupt

    assert "PanicException" in stub_native.prepare_with(panics, "x.cwa").reason
    with pytest.raises(KeyboardInterrupt):
        stub_native.prepare_with(interrupted, "x.cwa")


H = 30 * 3600  # samples of an hour at the recipe's rate


@pytest.mark.parametrize(
    ("settings", "changes", "reason"),
    [
        (["checks.gain_max=0.25"], {"gain": [1.0, 1.25, 0.75]}, ""),
        (
            ["checks.gain_max=0.25"],
            {"gain": [1.0, 1.26, 0.75]},
            "calibration: expected gains within 0.25 of 1, got 1.26",
        ),
        (["checks.worn_min_share=0.4"], {"segments": [(0, H // 10)], "nonwear": [(H // 10, H // 5)]}, ""),
        (
            ["checks.worn_min_share=0.5"],
            {"segments": [(0, H // 100)], "nonwear": [(H // 100, H // 10)], "longest_wear_h": None},
            "never worn: the device lay still for 0.1 h of",
        ),
        ([], {"segments": [], "nonwear": [], "longest_wear_h": None}, "no wear at all"),
        ([], {"segments": [], "nonwear": [], "longest_wear_h": 1.5}, "the longest stretch of wear is 1.5 h"),
    ],
)
def test_the_rules_of_a_recipe_exclude_beyond_their_bounds(
    tmp_path, settings: list[str], changes: dict[str, object], reason: str
) -> None:
    def native(path, recipe):
        result = dict(stub_native.native_pass(path, recipe))
        result["calibration"] = {**result["calibration"], "gain": changes.get("gain", np.ones(3))}
        result["figures"] = {**result["figures"], "longest_wear_h": changes.get("longest_wear_h", 0.01)}
        return {**result, **{key: changes[key] for key in ("segments", "nonwear") if key in changes}}

    limits = Recipe.load("ukb").set("segments.min_wear_h=0.2", *settings)
    prepared = stub_native.prepare_with(native, _stub(tmp_path, hours=0.5), limits)
    assert prepared.reason.startswith(reason) if reason else prepared.reason == ""
    assert ("--recipe capture24" in prepared.reason) == ("1.5 h" in reason)


def test_a_recording_without_data_has_no_still_windows_and_its_page_no_empty_rows() -> None:
    failed = Prepared(
        "x", "x", Recipe.load("ukb"), "failed", reason="gone", header={"device": "", "metadata": {"a": "b"}}
    )
    assert failed.still.shape == (0, 3)
    page = failed._repr_html_()
    assert "ukb" in page
    assert ">device<" not in page
    assert ">metadata<" not in page


def test_a_wrong_recipe_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="'ukb'"):
        prepare("x.cwa", "ubk")


def test_the_html_escapes_what_the_file_says(tmp_path) -> None:
    def native(path, settings):
        return {**stub_native.native_pass(path, settings), "header": {"device": "<script>"}}

    page = stub_native.prepare_with(native, _stub(tmp_path), "ukb")._repr_html_()
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_the_native_pass_gets_every_number_of_the_recipe(tmp_path) -> None:
    seen = {}

    def native(path, settings):
        seen.update(settings)
        return stub_native.native_pass(path, settings)

    stub_native.prepare_with(native, _stub(tmp_path), Recipe.load("nhanes").set("lowpass.cutoff_hz=12"))
    assert seen == Recipe.load("nhanes").set("lowpass.cutoff_hz=12").model_dump()
    assert np.isclose(seen["lowpass"]["cutoff_hz"], 12)


def _tone(folder: Path, name: str, time_s: np.ndarray, frequency: float, rms: float = 0.354) -> str:
    path = folder / name
    x = np.sqrt(2) * rms * np.sin(2 * np.pi * frequency * time_s)
    start = 1_600_000_000_000_000_000
    stamps = start + np.round(time_s * 1e9).astype(np.int64)
    np.savez(path, time=stamps, x=x.astype("f4"), y=np.zeros(len(x), "f4"), z=np.ones(len(x), "f4"))
    return str(path)


SHORT = ("segments.min_wear_h=0", "calibration.required=false")


def test_a_run_after_a_gap_or_a_repeated_stamp_is_filtered_by_the_rate_of_its_block(tmp_path) -> None:
    time = np.arange(12_000) / 100
    gap = np.where(time < 50, time, time + 5)
    repeated = time.copy()
    repeated[6000] = repeated[5999]
    for name, stamps, length in (("gap.npz", gap, 125), ("repeated.npz", repeated, 120)):
        prepared = prepare(_tone(tmp_path, name, stamps, 20.0), Recipe.load("ukb").set(*SHORT))
        assert prepared.status == "ok", prepared.reason
        assert prepared.acceleration.shape[1] == pytest.approx(length * 30, abs=30)
        inner = prepared.acceleration[0, 62 * 30 : 110 * 30]  # a run's first half second rings
        assert np.sqrt(np.nanmean(inner**2)) < 0.003, name


def test_a_rate_at_twice_the_cutoff_is_prepared(tmp_path) -> None:
    path = _tone(tmp_path, "ns_30.npz", np.arange(9000) * 33_333_333e-9, 3.0)
    prepared = prepare(path, Recipe.load("ukb").set(*SHORT))
    assert prepared.status == "ok", prepared.reason
    assert prepared.figures["n_lowpass_skipped"] == 1
    assert "slow_source" not in prepared.quality.counts


def test_a_source_slower_than_the_grid_is_reported_and_one_row_a_second_is_excluded(tmp_path) -> None:
    recipe = Recipe.load("ukb").set(*SHORT)
    slow = prepare(_tone(tmp_path, "25.npz", np.arange(9000) / 25, 1.0), recipe)
    assert (slow.status, slow.quality.counts["slow_source"]) == ("ok", 1)
    slowest = prepare(_tone(tmp_path, "1.npz", np.arange(9000) / 1.0, 0.1), recipe)
    assert slowest.status == "excluded"
    assert slowest.reason.startswith("too slow: expected 10 Hz and more, got 1 Hz")


def test_an_hour_to_the_sample_is_an_hour(tmp_path) -> None:
    recipe = Recipe.load("ukb").set("segments.min_wear_h=1", "calibration.required=false")
    for rate in (12.5, 20, 25, 100):
        whole = _tone(tmp_path, "hour.npz", np.arange(3600 * rate) / rate, 1.0)
        assert prepare(whole, recipe).status == "ok", rate
        short = _tone(tmp_path, "less.npz", np.arange(3600 * rate - rate) / rate, 1.0)
        assert "the recipe needs 1 h" in prepare(short, recipe).reason


def test_what_is_hardly_in_g_is_excluded_and_can_be_allowed(tmp_path) -> None:
    path = tmp_path / "counts.npz"
    stamps = 1_600_000_000_000_000_000 + np.arange(60_000) * 10_000_000
    flat = np.full(60_000, 64.0, "f4")
    np.savez(path, time=stamps, x=flat * 0, y=flat * 0, z=flat)
    reason = prepare(path, Recipe.load("ukb").set(*SHORT)).reason
    assert reason.startswith("gravity: expected 0.5 to 2 g at rest, got")
    assert prepare(path, Recipe.load("ukb").set(*SHORT, "checks.norm_max_g=100")).status == "ok"


def test_dates_at_the_ends_of_time_cost_no_memory_and_no_overflow(tmp_path) -> None:
    day, n = 86_400_000_000_000, 3000
    step = np.arange(n) * 10_000_000
    jumps = [0, 9_000_000_000_000_000_000, -9_000_000_000_000_000_000, 400 * day, 4000 * day, 30 * day]
    stamps = np.concatenate([at + step for at in jumps])
    path = tmp_path / "wild.npz"
    z = np.ones(len(stamps), "f4")
    x = np.resize(np.sin(np.arange(n) / 10), len(stamps)).astype("f4")
    np.savez(path, time=stamps, x=x, y=0 * z, z=z)
    prepared = prepare(path, Recipe.load("ukb").set(*SHORT))
    assert "internal" not in prepared.reason
    if prepared.acceleration is not None:
        assert prepared.acceleration.shape[1] < 30 * 600


def _jumping() -> Prepared:
    shifts = np.array([[300, 3_600_000_000_000], [600, -86_400_000_000_000]])
    return Prepared("x", "x", Recipe.load("ukb"), "ok", rate=30.0, start_time=0, shifts=shifts)


def test_the_clock_changes_at_the_first_sample_behind_a_jump() -> None:
    prepared = _jumping()
    assert prepared.clock(299) == round(299e9 / 30)
    assert prepared.clock(300) == 10_000_000_000 - 3_600_000_000_000
    assert prepared.clock(600) == 20_000_000_000 + 86_400_000_000_000
    assert prepared.clock_span(0, 300) == (0, 10_000_000_000)


def test_whole_stretches_begin_at_the_next_patch_and_end_at_the_last_whole_one() -> None:
    x = np.ones((3, 1000), np.float32)
    prepared = Prepared("x", "x", Recipe.load("ukb"), "ok", acceleration=x, rate=30.0, segments=np.array([[1, 999]]))
    assert prepared.whole_stretches(100) == [(1, 9)]


def test_times_of_a_report_follow_the_clock_through_a_jump() -> None:
    from imuspec.report.minutes import track
    from imuspec.report.recording import _stretches

    x = np.ones((3, 900), np.float32)
    prepared = replace(_jumping(), acceleration=x, segments=np.array([[0, 300], [300, 600]]))
    result = track(prepared)
    assert result.runs.tolist() == [[0, 300], [300, 600], [600, 900]]
    assert result.starts.tolist() == [prepared.clock(first) for first in (0, 300, 600)]
    assert (result.stops - result.starts).tolist() == [10_000_000_000] * 3
    assert result.selected[1].tolist() == list(prepared.clock_span(300, 600))
    assert [row["start"] for row in _stretches(prepared)] == [
        "1970-01-01 00:00:00",
        "1969-12-31 23:00:10",
    ]


def _constant_axis(share: float) -> Quality:
    return Quality({"constant_axis": 1}, (Event("constant_axis", 0, 0, None, 1, share),))


def test_a_stretch_is_never_rounded_up_to_what_is_needed() -> None:
    assert below(23.97, 24) == "23.9"
    assert below(0.99999, 1) == "0.999"
    assert below(23.9999, 24) == "23.9"
    assert (below(0, 24), below(24, 24), below(25.5, 24)) == ("0", "24", "25.5")


@pytest.mark.parametrize(
    ("header", "quality", "reason"),
    [
        ({"still_norm": 1.5}, Quality({}), ""),
        ({"still_norm": 1.51}, Quality({}), "gravity: expected 0.5 to 1.5 g at rest, got 1.51"),
        ({"still_norm": 0.5}, Quality({}), ""),
        ({"still_norm": 0.49}, Quality({}), "gravity: expected 0.5 to 1.5 g at rest, got 0.49"),
        ({"sample_rate": 10.0}, Quality({}), ""),
        ({"sample_rate": 9.5}, Quality({}), "too slow: expected 10 Hz and more, got 9.5 Hz"),
        ({"sample_rate": 500.0}, Quality({}), ""),
        ({"sample_rate": 501.0}, Quality({}), "rate: expected 500 Hz at most, got 501 Hz"),
        ({"sample_rate": math.nan, "nominal_rate": 9.5}, Quality({}), "too slow: expected 10 Hz and more, got 9.5 Hz"),
        ({}, Quality({"missing_values": 500}), ""),
        ({}, Quality({"missing_values": 501}), "values: expected a number on every axis, got none on some axis in 501"),
        ({}, _constant_axis(0.6), ""),
        (
            {},
            _constant_axis(0.65),
            "axes: expected three that change together, got one that keeps its value through 65 %",
        ),
    ],
)
def test_what_is_at_a_bound_is_prepared_and_what_is_beyond_says_by_how_much(
    header: dict[str, float], quality: Quality, reason: str
) -> None:
    bounds = ("norm_min_g=0.5", "norm_max_g=1.5", "rate_min_hz=10", "rate_max_hz=500", "missing_max=0.5")
    recipe = Recipe.load("ukb").set(*(f"checks.{bound}" for bound in (*bounds, "constant_axis_max=0.6")))
    result = doubt(recipe, {"still_norm": 1.0, "sample_rate": 100.0, **header}, quality, 1000)
    assert result.startswith(reason) if reason else result == ""


def test_reasons_that_differ_in_figures_alone_are_counted_as_one() -> None:
    groups = alike(
        [
            ("failed", "damaged: 20 % of the file", "a"),
            ("excluded", "wear is 4.5 h; the recipe needs 24 h", "b"),
            ("excluded", "wear is 3.25 h; the recipe needs 24 h", "c"),
            ("excluded", "never worn", "d"),
        ]
    )
    assert groups == [
        ("excluded", "wear is … h; the recipe needs 24 h", 2, "b"),
        ("excluded", "never worn", 1, "d"),
        ("failed", "damaged: 20 % of the file", 1, "a"),
    ]


@pytest.mark.parametrize(
    ("calibration", "duration_s", "reason"),
    [
        (
            {"n_windows": 33, "reason": "too few still windows: 33 of at least 50"},
            86_400,
            "33 still windows; the recipe needs 50 (--set calibration.min_windows=33, or --set calibration.required=false "
            "to keep it as measured)",
        ),
        (
            {"n_windows": 0, "reason": "too few still windows: 0 of at least 50"},
            86_400,
            "0 still windows; the recipe needs 50 (--set calibration.required=false to keep it as measured)",
        ),
        (
            {"n_windows": 90, "reason": "too few postures: still x goes from 0.1 to 0.9 g"},
            86_400,
            "too few postures: still x goes from 0.1 to 0.9 g (--set calibration.required=false to keep it as measured)",
        ),
        (
            {"n_windows": 0, "reason": "temperature was to be fitted, and the recording has none"},
            60,
            "temperature was to be fitted, and the recording has none (--set calibration.required=false to keep it as "
            "measured)",
        ),
    ],
)
def test_a_failed_calibration_says_what_may_help(
    calibration: dict[str, object], duration_s: float, reason: str
) -> None:
    assert calibration_failure(Recipe.load("ukb"), calibration, duration_s) == f"calibration failed: {reason}"


def test_the_settings_that_a_reason_names_keep_the_recording(tmp_path) -> None:
    path = _stub(tmp_path, hours=0.1)
    reason = stub_native.prepare_with(stub_native.native_pass, path, "ukb").reason
    (setting,) = re.findall(r"--set (\S+?)[,)]", reason)
    assert stub_native.prepare_with(stub_native.native_pass, path, Recipe.load("ukb").set(setting)).status == "ok"


@pytest.mark.parametrize(
    ("share", "reason"),
    [
        (None, ""),
        (0.25, ""),
        (0.256, "damaged: 25.6 % of the file could not be read; the recipe allows 25 %"),
        (1.0, "damaged: an unknown part of the file could not be read; the recipe allows 25 %"),
    ],
)
def test_a_reason_has_the_damaged_share_and_the_bound_in_per_cent(share: float | None, reason: str) -> None:
    recipe = Recipe.load("ukb").set("checks.damaged_max=0.25")
    assert damage(recipe, {"damaged_share": share}).partition(" (--set")[0] == reason


@pytest.mark.parametrize(
    ("setting", "counts", "is_excluded"),
    [
        ("exclude", {"assumed_date_order": 1}, True),
        ("exclude", {}, False),
        ("keep", {"assumed_date_order": 1}, False),
    ],
)
def test_an_assumed_order_of_dates_excludes_where_the_recipe_says_so(
    setting: str, counts: dict[str, int], is_excluded: bool
) -> None:
    recipe = Recipe.load("ukb").set(f"checks.assumed_date_order={setting}")
    reason = doubt(recipe, {"sample_rate": 100.0, "nominal_rate": 100.0, "norm_g": 1.0}, Quality(counts), 1000)
    assert reason.startswith("dates: expected") == is_excluded

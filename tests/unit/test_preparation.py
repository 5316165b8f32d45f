"""One file in, one outcome out, whatever the file."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fake_native
from imuspec import Recipe, prepare
from imuspec.errors import RecordingError


def _told(tmp_path, **said: object) -> str:
    path = tmp_path / "r 1.cwa"
    path.write_text(json.dumps(said))
    return str(path)


def test_a_good_file_is_ok_with_its_wear_and_figures(tmp_path) -> None:
    recipe = Recipe.load("ukb").set("segments.min_wear_h=0.05")
    prepared = prepare(_told(tmp_path, hours=0.1), recipe, native=fake_native.native)
    assert (prepared.status, prepared.reason, prepared.id) == ("ok", "", "r_1-f22632045702")
    assert prepared.acceleration is not None
    assert prepared.acceleration.shape == (3, 10800)
    assert prepared.segments.tolist() == [[0, 5400], [5405, 10800]]
    assert prepared.quality.counts == {"gap": 1}
    assert prepared.calibration["gain_x"] == 1.0
    row = prepared.rows(prepared.segments)[1]
    assert row["start_s"] == pytest.approx(5405 / 30)
    assert row["start_time"] == prepared.start_time + round(5405 / 30 * 1e9)
    assert prepared.kept == "0.1 h of wear in 2 segments, 30 Hz, calibrated from 30.0 to 1.5 mg"


def test_too_short_is_excluded_with_the_longest_it_had(tmp_path) -> None:
    prepared = prepare(_told(tmp_path, hours=0.1), "ukb", native=fake_native.native)
    assert prepared.status == "excluded"
    assert prepared.reason == "no segment long enough: longest 0.05 h of at least 24 h"


def test_hours_are_rounded_down_in_a_reason(tmp_path) -> None:
    def native(path, settings):
        return {**fake_native.native(path, settings), "figures": {"longest_wear_h": 23.97}}

    assert "longest 23.9 h of" in prepare(_told(tmp_path), "ukb", native=native).reason


def test_failed_calibration_excludes_by_the_paper_and_not_by_actipy(tmp_path) -> None:
    path = _told(tmp_path, uncalibrated=True)
    prepared = prepare(path, "ukb", native=fake_native.native)
    assert prepared.status == "excluded"
    assert prepared.reason == (
        "calibration failed: 12 still windows of at least 50 "
        "(the recording lasts 360 s; needed are 50 windows of 10 s: 500 s)"
    )
    assert prepared.calibration["n_windows"] == 12
    assert "calibration" not in prepare(path, "actipy", native=fake_native.native).reason


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

    prepared = prepare("/p/x.cwa", "ukb", native=native)
    assert (prepared.status, prepared.reason, prepared.acceleration) == ("failed", reason, None)


def test_a_panic_of_the_native_core_is_an_outcome_and_an_interrupt_is_not() -> None:
    class PanicException(BaseException):
        pass

    def panics(_path, _settings):
        raise PanicException("index out of bounds")

    def interrupted(_path, _settings):
        raise KeyboardInterrupt

    assert "PanicException" in prepare("x.cwa", native=panics).reason
    with pytest.raises(KeyboardInterrupt):
        prepare("x.cwa", native=interrupted)


def test_a_wrong_recipe_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="'ukb'"):
        prepare("x.cwa", "ubk")


def test_the_html_escapes_what_the_file_says(tmp_path) -> None:
    def native(path, settings):
        return {**fake_native.native(path, settings), "header": {"device": "<script>"}}

    page = prepare(_told(tmp_path), "ukb", native=native)._repr_html_()
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_the_native_pass_gets_every_number_of_the_recipe(tmp_path) -> None:
    seen = {}

    def native(path, settings):
        seen.update(settings)
        return fake_native.native(path, settings)

    prepare(_told(tmp_path), Recipe.load("nhanes").set("lowpass.cutoff_hz=12"), native=native)
    assert seen == Recipe.load("nhanes").set("lowpass.cutoff_hz=12").model_dump()
    assert np.isclose(seen["lowpass"]["cutoff_hz"], 12)

"""The page of a recording: what it says, that it escapes text of files, and that it loads nothing."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import re
from pathlib import Path

import numpy as np
import pytest

from imuspec.preparation import Prepared
from imuspec.recipe import Recipe
from imuspec.recording.quality import Quality
from imuspec.report import days, rendering, words
from imuspec.report import recording as page
from imuspec.report.minutes import minutes, track
from report_inputs import HOSTILE, Tags, prepared, recording, text_of

# The recordings have 5 Hz, so that the tests are quick; ten seconds are less than the frame of a picture.
pytestmark = pytest.mark.filterwarnings("ignore:x. 50 samples are fewer than nfft:UserWarning")


@pytest.mark.parametrize("status", ["ok", "excluded"])
def test_a_recordings_page_escapes_what_files_say_and_loads_nothing(tmp_path: Path, status: str) -> None:
    out = page.preparation_page(prepared(status), tmp_path / "page.html", recording=recording(2))
    html = out.read_text("utf-8")
    tags = Tags(html)
    assert "script" not in {tag for tag, _ in tags.tags}
    assert HOSTILE in tags.text
    for _, attributes in tags.tags:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))
    assert not re.search(r"@import|url\(\s*['\"]?http", html)
    identities = [attributes["id"] for _, attributes in tags.tags if attributes.get("id")]
    assert len(identities) == len(set(identities))
    assert {tag for tag, _ in tags.tags} >= {"svg", "table", "img", "pre"}


def test_a_page_names_every_colour_of_its_drawings(tmp_path: Path) -> None:
    html = page.preparation_page(prepared(), tmp_path / "page.html").read_text("utf-8")
    drawn = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert set(re.findall(r"var\(--(\w+)\)", drawn)) <= set(re.findall(r"--(\w+):", html))
    assert not re.findall(r"(?:fill|stroke): ?#\w+", drawn)


def test_a_failed_file_gets_a_page_that_says_why_once_and_nothing_else(tmp_path: Path) -> None:
    failed = Prepared("a.cwa", "a", Recipe.load("ukb"), "failed", "expected a recording, got other bytes")
    text = text_of(page.preparation_page(failed, tmp_path / "a.html"))
    assert text.count("could not be read: expected a recording, got other bytes") == 1
    for absent in ("Day by day", "Nothing", "every block", "The clock", "lost or repaired", "Calibration to gravity"):
        assert absent not in text


def test_a_page_says_nothing_was_lost_only_where_nothing_was(tmp_path: Path) -> None:
    text = text_of(page.preparation_page(prepared(), tmp_path / "a.html"))
    assert "Nothing was lost" not in text
    assert "Lost or repaired" in text
    clean = prepared(quality=Quality(), header={"sample_rate": 100.0, "nominal_rate": 100.0})
    assert "Nothing was lost, and every step" in text_of(page.preparation_page(clean, tmp_path / "b.html"))


def test_losses_stand_in_words_not_in_the_names_of_the_code(tmp_path: Path) -> None:
    text = text_of(page.preparation_page(prepared(), tmp_path / "a.html"))
    assert "blocks whose checksum is wrong" in text
    assert "bad checksum" not in text
    assert "gaps without samples" in text


def test_every_kind_of_loss_has_a_title_that_is_no_code_name() -> None:
    for kind in words._MEANINGS:
        assert words.kind_title(kind) != words.kind_name(kind)
    assert words.kind_title("of_the_future") == "of the future"


def test_findings_say_what_was_not_right() -> None:
    result = words.findings(prepared())
    assert any("blocks whose checksum is wrong (3)" in line for line in result)
    assert any("gaps without samples (one)" in line for line in result)
    assert any("gaps last 13 min" in line for line in result)
    assert any("93.00 Hz, not at its nominal 100 Hz" in line and "6,048 s a day behind" in line for line in result)


def test_the_clock_has_one_direction_and_is_drawn_only_where_there_is_something_to_see(tmp_path: Path) -> None:
    text, much = words.clock({"sample_rate": 99.0, "nominal_rate": 100.0})
    assert much
    assert "falls 864 s a day behind" in text
    text, much = words.clock({"sample_rate": 101.0, "nominal_rate": 100.0})
    assert "runs 864 s a day ahead of" in text
    text, much = words.clock({"sample_rate": 30.0 * (1 + 1e-12), "nominal_rate": 30.0})
    assert not much
    assert "agrees with its clock" in text
    assert words.clock({"sample_rate": math.nan, "nominal_rate": 100.0}) == (
        "The file's time stamps do not show the rate at which the device sampled.",
        False,
    )
    even = prepared(header={"sample_rate": 20.0, "nominal_rate": 20.0})
    html = page.preparation_page(even, tmp_path / "a.html", recording=recording(2)).read_text("utf-8")
    assert "clock-caption" not in html


def test_a_failed_calibration_shows_no_offset_gain_or_error_after(tmp_path: Path) -> None:
    changed = {**prepared().calibration, "ok": False, "reason": "too few postures", "error_after_mg": 29.49}
    text = text_of(page.preparation_page(prepared("excluded", calibration=changed), tmp_path / "a.html"))
    for absent in ("offset (mg)", "29.5", "1.02000", "after the fit of"):
        assert absent not in text
    assert "Not calibrated: too few postures" in text
    assert "as measured, not calibrated" in text
    assert "offset (mg)" in text_of(page.preparation_page(prepared(), tmp_path / "b.html"))


def test_an_excluded_recording_says_what_to_do_with_the_options_set_apart(tmp_path: Path) -> None:
    reason = "the longest stretch of wear is 4.5 h; the recipe needs 24 h (--set segments.min_wear_h=4.5 or --recipe capture24)"
    html = page.preparation_page(prepared("excluded", reason=reason), tmp_path / "a.html").read_text("utf-8")
    assert "<code>--set segments.min_wear_h=4.5</code> or <code>--recipe capture24</code>" in html
    assert " ".join(Tags(html).text.split()).count("the longest stretch of wear is 4.5 h") == 1


def test_a_page_has_a_row_a_day_with_hours_worn_and_enmo(tmp_path: Path) -> None:
    signal = track(prepared())
    rows = days.daily(signal, minutes(signal))
    assert [row.date for row in rows] == ["Mon 15 May", "Tue 16 May"]
    assert [row.recorded_h for row in rows] == pytest.approx([14 - 800 / 3600, 16], abs=0.01)
    assert [row.worn_h for row in rows] == pytest.approx([14 - 10800 / 3600, 16], abs=0.01)
    assert [row.valid for row in rows] == [False, True]
    text = text_of(page.preparation_page(prepared(), tmp_path / "a.html"))
    assert "Tue 16 May 16.0 16.0" in text
    assert "valid days 1 of 2" in text


def test_a_page_shows_temperature_light_and_battery_where_there_are_any(tmp_path: Path) -> None:
    from imuspec.recording.recording import Blocks

    first = np.arange(0, 144_000, 1000, dtype=np.uint64)
    value = np.linspace(20, 30, len(first)).astype(np.float32)
    missing = np.full(len(first), np.nan, np.float32)
    source = dataclasses.replace(recording(2), blocks=Blocks(first, first, first, value, missing, missing))
    html = page.preparation_page(prepared(), tmp_path / "a.html", recording=source).read_text("utf-8")
    assert "temperature (°C)" in html
    assert "light (lux)" not in html
    without = page.preparation_page(prepared(), tmp_path / "b.html", recording=recording(2)).read_text("utf-8")
    assert "Temperature, light and battery" not in without


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"_p": "left wrist"}, "left wrist"),
        ({"Device Location Code": "Right Ankle"}, "right ankle"),
        ({"Limb": "Wrist", "Side": "Right"}, "right wrist"),
        ({"Limb": "Waist"}, "waist"),
        ({"Serial Number": "1"}, None),
    ],
)
def test_a_page_names_the_place_of_the_device(metadata: dict[str, str], expected: str | None) -> None:
    assert words.placement(metadata) == expected


def test_the_command_of_a_page_gives_its_recipe_again(tmp_path: Path) -> None:
    changed = Recipe.load("ukb").set("segments.min_wear_h=1", "lowpass.enabled=false", "reading.unit=mg")
    options = rendering.recipe_options(changed)
    assert options[:2] == ["--recipe", "ukb"]
    assert Recipe.load("ukb").set(*options[3::2]) == changed
    source = prepared(recipe=changed, path="a b.cwa")
    html = page.preparation_page(source, tmp_path / "a.html").read_text("utf-8")
    assert "imuspec report &#39;a b.cwa&#39; --out" in html
    assert "segments.min_wear_h=1" in html
    assert re.search(r"Written \d{4}-\d\d-\d\d \d\d:\d\d UTC by imuspec \d", html)


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_a_page_without_its_packages_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    result = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else result(name))
    with pytest.raises(ImportError, match=rf"(?i)needs {package}: pip install 'imuspec\[report\]'"):
        page.preparation_page(prepared(), tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()


def test_an_error_names_the_page_that_was_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "missing" / "a.html"
    with pytest.raises(FileNotFoundError) as failed:
        page.preparation_page(Prepared("a.cwa", "a", Recipe.load("ukb"), "failed", "x"), out)
    assert failed.value.filename == str(out)

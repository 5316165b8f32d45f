"""Figures and pages: what they show, that they escape what files say, and that they need neither display nor net."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import importlib.util
import json
import math
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from imuspec.preparation import Prepared
from imuspec.recipe import Recipe
from imuspec.recording.quality import Event, Quality
from imuspec.recording.recording import Recording
from imuspec.report import cohort as cohort_pages
from imuspec.report import days, learning, rendering, spans, words
from imuspec.report import minutes as grid
from imuspec.report import recording as page
from imuspec.report.minutes import DAY_NS, MINUTE_NS, Track, minutes, track

START = 1_684_144_800_000_000_000  # 2023-05-15 10:00
HOSTILE = '<script>alert("1")</script> & $x$'


@pytest.fixture(autouse=True)
def periodogram(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain definition in place of the kernel."""

    def density(x: np.ndarray, rate: float, n: int) -> np.ndarray:
        frames = x[:, : x.shape[1] // n * n].reshape(3, -1, n)
        frames = frames - frames.mean(axis=2, keepdims=True)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
        power = np.abs(np.fft.rfft(frames * window)) ** 2 / (rate * (window**2).sum())
        power[..., 1 : n // 2] *= 2
        return power.transpose(0, 2, 1).astype(np.float32)

    monkeypatch.setattr(grid, "_density", density)
    monkeypatch.setattr(
        "imuspec.spectral.image.rgb_image", lambda _: np.zeros((3, 96, 128), dtype=np.uint8), raising=False
    )


def recording(hours: float = 30.0, rate: float = 20.0) -> Recording:
    """Gravity on z, a gap of an hour after ten hours, and a 2 Hz swing of 0.2 g on x in the first hour."""
    n = int(hours * 3600 * rate)
    at = np.arange(n) / rate
    x = np.zeros((3, n), dtype=np.float32)
    x[0] = np.where(at < 3600, 0.2 * np.sin(2 * np.pi * 2 * at), 0)
    x[2] = 1
    cut = min(n, int(36000 * rate))
    time = START + np.round((at + 3600 * (np.arange(n) >= cut)) * 1e9).astype(np.int64)
    runs = np.array([(0, cut), (cut, n)] if cut < n else [(0, n)], dtype=np.int64)
    return Recording(x, time, runs, rate, rate, path="night.cwa", device="Axivity AX3")


def prepared(status: str = "ok", **changes: object) -> Prepared:
    """Thirty hours at 5 Hz with a gap, of which the last ten are kept."""
    n = 30 * 3600 * 5
    x = np.random.default_rng(0).normal(0, 0.004, (3, n)).astype(np.float32)
    x[np.arange(n) // 9000 % 3, np.arange(n)] += 1
    x[:, 5000:9000] = np.nan
    fields: dict[str, object] = {
        "path": f"/data/{HOSTILE.replace('/', '')}.cwa",
        "id": "night",
        "recipe": Recipe.load("capture24"),
        "status": status,
        "reason": "" if status == "ok" else f"calibration failed: {HOSTILE}",
        "acceleration": x,
        "rate": 5.0,
        "start_time": START,
        "segments": np.array([[20 * 18000, n]], dtype=np.int64),
        "nonwear": np.array([[10000, 60000]], dtype=np.int64),
        "calibration": {
            **{f"offset_{axis}": 0.01 for axis in "xyz"},
            **{f"gain_{axis}": 1.02 for axis in "xyz"},
            **{f"temperature_slope_{axis}": 0.0 for axis in "xyz"},
            "ok": status == "ok", "reason": HOSTILE, "error_before_mg": 21.9, "error_after_mg": 1.04,
            "n_windows": 600, "n_iterations": 39,
        },
        "quality": Quality({"bad_checksum": 3, "gap": 1}, (Event("gap", 512, 7, START, 1, 800.0),)),
        "header": {"format": "cwa", "device": HOSTILE, "device_id": "1", "nominal_rate": 100.0, "sample_rate": 93.0,
                   "metadata": {HOSTILE: HOSTILE}, "worst_stamp_residual_ms": 4.2},
        "figures": {"n_samples": n, "wear_h": 10.0, "nonwear_h": 2.8},
    }  # fmt: skip
    return Prepared(**{**fields, **changes})  # type: ignore[arg-type]


class Tags(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def test_minutes_hold_the_enmo_and_the_energy_of_their_samples() -> None:
    reduced = minutes(track(recording()))
    assert reduced.origin == START // DAY_NS * DAY_NS
    assert reduced.enmo.shape == (2, 1440)
    swing = 0.2 * np.sin(2 * np.pi * np.arange(1200) / 10)
    expected = 1000 * np.mean(np.sqrt(1 + swing**2) - 1)
    np.testing.assert_allclose(reduced.enmo[0, 600:660], expected, rtol=1e-4)
    np.testing.assert_allclose(reduced.enmo[0, 661:1200], 0, atol=1e-3)
    peak = reduced.power[0, 630, 0].argmax()
    assert reduced.frequency[peak] == pytest.approx(2.0, abs=0.3)
    assert (reduced.power[0, 630, 0].sum() > 1e6 * reduced.power[0, 630, 1].sum()).all()


def test_minutes_without_samples_are_nan_and_uncovered() -> None:
    reduced = minutes(track(recording()))
    assert np.isnan(reduced.enmo[0, 1200:1260]).all()
    assert np.isnan(reduced.enmo[0, :600]).all()
    assert (reduced.covered[0, 1200:1260] == 0).all()
    assert (reduced.covered[0, 601:1199] == 1).all()


def test_energy_does_not_depend_on_how_the_recording_is_cut() -> None:
    whole = recording(5.5)
    halves = dataclasses.replace(whole, runs=np.array([[0, 160_000], [160_000, whole.time.size]]))
    one, two = minutes(track(whole)), minutes(track(halves))
    np.testing.assert_allclose(one.enmo, two.enmo, atol=1e-3)
    assert one.row_ns == two.row_ns


def test_a_short_recording_is_one_row() -> None:
    reduced = minutes(track(recording(1.5)))
    assert reduced.n_rows == 1
    assert not reduced.daily
    assert reduced.step_ns < MINUTE_NS
    assert np.isfinite(reduced.enmo).mean() > 0.99


def test_a_prepared_recording_ends_a_run_at_nan() -> None:
    found = track(prepared())
    assert found.runs.tolist() == [[0, 5000], [9000, 540_000]]
    assert (spans.gaps(found) == [[START + 1000 * 10**9, START + 1800 * 10**9]]).all()
    assert found.nonwear is not None
    assert found.nonwear.tolist() == [[START + 2000 * 10**9, START + 12_000 * 10**9]]


def test_only_a_kept_recording_has_kept_segments() -> None:
    assert len(track(prepared()).kept) == 1
    assert len(track(prepared("excluded")).kept) == 0


def test_a_recording_as_it_was_read_says_nothing_of_wear() -> None:
    assert track(recording(12)).nonwear is None


def test_a_clock_set_back_leaves_no_gap() -> None:
    source = recording(12)
    source.time[source.runs[1, 0] :] -= 2 * 3600 * 10**9
    assert len(spans.gaps(track(source))) == 0


def test_spans_are_cut_at_midnight() -> None:
    reduced = minutes(track(recording()))
    night = np.array([[reduced.origin + 23 * 60 * MINUTE_NS, reduced.origin + 25 * 60 * MINUTE_NS]])
    assert list(spans.by_row(night, reduced)) == [(0, 23.0, 24.0), (1, 0.0, 1.0)]


def test_something_else_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="source: expected a Recording or a Prepared, got dict"):
        track({})


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_day_image_is_written_whole(tmp_path: Path, suffix: str) -> None:
    from imuspec.report import day_image

    out = day_image(recording(), tmp_path / f"day.{suffix}")
    assert out.stat().st_size > 10_000
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_a_strip_is_lighter_the_more_moves_and_clear_where_there_are_no_samples() -> None:
    from imuspec.report.day import colours

    image = colours(minutes(track(recording()))).astype(int)
    moved, still, absent = (image[0, :, minute] for minute in (630, 900, 1230))
    lightness = [part[:, :3].sum(axis=1).max() for part in (moved, still)]
    assert lightness[0] > 2 * lightness[1]
    assert (moved[:, 3] == 255).all()
    assert (absent[:, 3] == 0).all()


def test_strips_of_recordings_that_say_nothing_of_wear_have_no_such_legend() -> None:
    from imuspec.report import day_image

    def texts(source: Any) -> str:
        return " ".join(text.get_text() for text in day_image(source).texts)

    assert "worn" not in texts(recording())
    assert "not worn" in texts(prepared())


def test_the_window_shown_is_a_lively_one_and_lies_in_one_run() -> None:
    from imuspec.report.day import lively_window

    found = track(recording())
    first, ns = lively_window(found, minutes(found)) or (-1, -1)
    assert 0 <= first <= 3600 * 20
    assert ns == START + first * 50_000_000


def test_figures_of_nothing_are_refused() -> None:
    from imuspec.report import day_image, plot_recording

    nothing = dataclasses.replace(recording(1), runs=np.empty((0, 2), dtype=np.int64))
    for draw in (day_image, plot_recording):
        with pytest.raises(ValueError, match="at least one sample"):
            draw(nothing)
    with pytest.raises(ValueError, match="floor_db: expected less than top_db"):
        day_image(recording(1), floor_db=0.0, top_db=-10.0)


def test_a_picture_of_another_kind_is_refused(tmp_path: Path) -> None:
    from imuspec.report import day_image

    with pytest.raises(ValueError, match=r"expected a name that ends in .png, .svg or .pdf"):
        day_image(recording(1), tmp_path / "day.bmp")
    assert not list(tmp_path.iterdir())


def test_the_envelope_keeps_every_spike() -> None:
    from imuspec.report.day import _envelope

    source = recording(8)
    source.acceleration[1, 123_456] = 7.5
    found = track(source)
    low, high = _envelope(found, np.linspace(found.starts.min(), found.stops.max(), 500))
    assert np.nanmax(high[1]) == 7.5
    assert np.nanmin(low[2]) == 1


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


def text_of(path: Path) -> str:
    return " ".join(Tags(path.read_text("utf-8")).text.split())


def test_a_failed_file_gets_a_page_that_says_why_once_and_nothing_else(tmp_path: Path) -> None:
    failed = Prepared("a.cwa", "a", Recipe.load("ukb"), "failed", "expected a recording, got other bytes")
    text = text_of(page.preparation_page(failed, tmp_path / "a.html"))
    assert text.count("could not be read: expected a recording, got other bytes") == 1
    for absent in ("Day by day", "Nothing", "every block", "The clock", "lost or repaired", "Calibration to gravity"):
        assert absent not in text


def test_a_page_says_nothing_was_lost_only_where_nothing_was(tmp_path: Path) -> None:
    text = text_of(page.preparation_page(prepared(), tmp_path / "a.html"))
    assert "Nothing was lost" not in text
    assert "What was lost or repaired" in text
    clean = prepared(quality=Quality(), header={"sample_rate": 100.0, "nominal_rate": 100.0})
    assert "Nothing was lost and every step did" in text_of(page.preparation_page(clean, tmp_path / "b.html"))


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
    found = words.findings(prepared())
    assert any("blocks whose checksum is wrong (3)" in line for line in found)
    assert any("gaps without samples (one)" in line for line in found)
    assert any("gaps last 13 min" in line for line in found)
    assert any("93.00 Hz, not at its nominal 100 Hz" in line and "6,048 s a day behind" in line for line in found)


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


def test_the_figure_of_the_clock_falls_where_the_text_says_behind() -> None:
    from imuspec.report.figures import clock_figure

    slow = dataclasses.replace(recording(2, rate=19.0), nominal_rate=20.0)
    figure = clock_figure(slow)
    assert figure is not None
    drawn = np.asarray(figure.axes[0].lines[0].get_ydata())
    assert drawn[0] == 0
    assert drawn[-1] == pytest.approx(-360, abs=1)
    assert words.drift_s({"sample_rate": 19.0, "nominal_rate": 20.0}) == pytest.approx(12 * drawn[-1], rel=0.01)


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


def test_enmo_of_a_day_is_the_mean_over_the_time_worn() -> None:
    x = np.zeros((3, 24 * 3600), dtype=np.float32)
    x[2] = 1.0
    x[2, 12 * 3600 :] = 1.1
    source = prepared(
        acceleration=x, rate=1.0, start_time=START // DAY_NS * DAY_NS, segments=np.empty((0, 2), np.int64)
    )
    half_off = dataclasses.replace(source, nonwear=np.array([[0, 6 * 3600]]))
    signal = track(half_off)
    assert days.mean_enmo(signal, minutes(signal)) == pytest.approx(100 * 12 / 18, rel=1e-3)
    assert days.daily(signal, minutes(signal))[0].worn_h == pytest.approx(18)


def test_wear_that_overlaps_after_a_clock_was_set_back_counts_once() -> None:
    x = np.ones((3, 3600), dtype=np.float32)
    hour = Track(
        x, 1.0, np.array([[0, 3600]]), np.array([0]), np.array([3600 * 10**9]),
        nonwear=np.array([[0, 1800 * 10**9], [900 * 10**9, 1800 * 10**9]]),
    )  # fmt: skip
    assert days.daily(hour, minutes(hour))[0].worn_h == pytest.approx(0.5, abs=0.01)


def test_a_page_shows_temperature_light_and_battery_where_there_are_any(tmp_path: Path) -> None:
    from imuspec.recording.recording import Blocks

    first = np.arange(0, 144_000, 1000, dtype=np.uint64)
    value = np.linspace(20, 30, len(first)).astype(np.float32)
    none = np.full(len(first), np.nan, np.float32)
    source = dataclasses.replace(recording(2), blocks=Blocks(first, first, first, value, none, none))
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


def test_a_drawing_from_a_file_keeps_its_marks_and_loses_all_that_runs_or_loads() -> None:
    hostile = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9" onload="x()">'
        "<style>@import url(http://a.example/x.css);</style><script>alert(1)</script>"
        '<g style="fill: #0072b2" onclick="x()"><path id="p" d="M 0 0 L 1.23456 1" transform="scale(0.015625)"/></g>'
        '<a href="http://a.example"><path d="M 1 1"/></a><use xlink:href="#p"/><use xlink:href="http://a.example/#p"/>'
        '<image xlink:href="http://a.example/a.png"/><text x="1">a &lt;b&gt; &amp; c</text>'
        '<g style="fill: url(http://a.example/#g)"/><foreignObject><b>html</b></foreignObject></svg>'
    )
    shown = str(rendering.included(hostile, "f0"))
    assert not re.search(r"a\.example|onload|onclick|script|style>|foreignObject|html|<a ", shown)
    assert 'style="fill: var(--data)"' in shown
    assert 'd="M 0 0 L 1.23 1" transform="scale(0.015625)"' in shown
    assert 'href="#f0-p"' in shown
    assert "a &lt;b&gt; &amp; c" in shown
    for wrong in ("<svg", "no", '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 &quot;onload=&quot; 1"/>'):
        with pytest.raises(ValueError, match="expected an SVG"):
            rendering.included(wrong, "f0")


def test_still_windows_are_uncalibrated_by_the_inverse_of_the_fit() -> None:
    from imuspec.report.figures import still_windows

    x = np.full((3, 1000), 0.5, dtype=np.float32)
    found = Track(x, 10.0, np.array([[0, 1000]]), np.array([START]), np.array([START + 10**11]))
    still = still_windows(found, {"offset_x": 0.1, "gain_x": 2.0})
    assert still.after.shape == (10, 3)
    np.testing.assert_allclose(still.before[0], [0.2, 0.5, 0.5])


def cohort(n: int = 40) -> SimpleNamespace:
    """Recordings of which every fourth was not kept."""
    rows, outcomes = [], []
    for i in range(n):
        status = "ok" if i % 4 else ("failed", "excluded")[i // 4 % 2]
        known = status != "failed"
        rows.append(
            {"id": f"r{i:03d}", "status": status, "device": HOSTILE, "sample_rate": 99.0 + i / n if known else None,
             "duration_h": 168.0 if known else None, "wear_h": 100.0 + i if status == "ok" else None,
             "calibration_error_before_mg": 30.0 + i if known else None,
             "calibration_error_after_mg": 2.0 if known else None, "stored_bytes": 10**7, "quality_gap": i % 3}
        )  # fmt: skip
        reason = {"ok": "", "failed": f"bad byte {HOSTILE}", "excluded": f"too few still windows: {i} of at least 50"}
        outcomes.append({"id": f"r{i:03d}", "reason": reason[status]})
    tables = {"recordings": pa.Table.from_pylist(rows), "outcomes": pa.Table.from_pylist(outcomes)}
    return SimpleNamespace(path="cohort", recipe=Recipe.load("ukb"), **tables)


def packed(html: str) -> dict[str, Any]:
    """What the search of a page looks through."""
    found = re.search(r'id="data">([^<]*)<', html)
    assert found
    content: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(found[1])))
    return content


def test_a_cohort_page_counts_like_reasons_together(tmp_path: Path) -> None:
    tags = Tags(cohort_pages.cohort_page(cohort(), tmp_path / "cohort.html").read_text("utf-8"))
    text = " ".join(tags.text.split())
    assert "30 of 40 recordings kept" in text
    assert "excluded : too few still windows: \u2026 of at least 50 5" in text
    assert f"bad byte {HOSTILE}" in text
    assert [attributes for tag, attributes in tags.tags if tag == "script"] == [
        {"type": "application/octet-stream", "id": "data"},
        {},
    ]


def test_a_cohort_page_runs_its_own_script_alone(tmp_path: Path) -> None:
    html = cohort_pages.cohort_page(cohort(), tmp_path / "cohort.html").read_text("utf-8")
    script = html[html.rindex("<script>") + 8 : html.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html.replace("&#39;", "'")
    assert "default-src 'none'" in html


def test_the_search_of_a_cohort_page_has_every_recording_and_reason(tmp_path: Path) -> None:
    content = packed(cohort_pages.cohort_page(cohort(600), tmp_path / "cohort.html").read_text("utf-8"))
    assert sorted(content["id"]) == [f"r{i:03d}" for i in range(600)]
    place = content["id"].index("r004")
    assert content["reasons"][content["reason"][place]] == "too few still windows: 4 of at least 50"
    assert content["wear"][place] is None


def test_a_cohort_page_of_many_shows_a_hundred_rows_and_says_so(tmp_path: Path) -> None:
    text = text_of(cohort_pages.cohort_page(cohort(600), tmp_path / "cohort.html"))
    assert "The first 100 of 600" in text
    assert "r599" not in text


def test_a_page_of_100000_recordings_stays_small(tmp_path: Path) -> None:
    many = cohort(1)
    n = 100_000
    g = np.random.default_rng(0)
    names = [f"{i:07d}_90001_0_0" for i in g.permutation(n)]
    status = np.array(["ok", "excluded", "failed"])[g.choice(3, n, p=[0.9, 0.08, 0.02])]
    many.recordings = pa.table(
        {
            "id": names,
            "status": status,
            "device": ["Axivity AX3"] * n,
            "nominal_rate": np.full(n, 100.0),
            **{
                name: g.gamma(9, 2, n) for name in ("sample_rate", "duration_h", "wear_h", "calibration_error_after_mg")
            },
            "quality_gap": g.poisson(1, n),
        }
    )
    reasons = [
        f"the longest stretch of wear is {x:.1f} h" if s != "ok" else ""
        for s, x in zip(status, g.random(n), strict=True)
    ]
    many.outcomes = pa.table({"id": names, "reason": reasons})
    out = cohort_pages.cohort_page(many, tmp_path / "cohort.html")
    assert out.stat().st_size < 4_000_000
    assert len(packed(out.read_text("utf-8"))["id"]) == n


def test_a_cohort_page_names_the_kept_recordings_at_the_bad_end_of_each_measure(tmp_path: Path) -> None:
    html = cohort_pages.cohort_page(cohort(), tmp_path / "cohort.html").read_text("utf-8")
    part = html[html.index("Which to look at first") : html.index("Every recording")]
    assert "r001" in part  # least wear: 101 h
    assert "wear kept 101.0 h" in part
    assert "r000" not in part  # failed


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_cohort_of_few_has_a_page_without_histograms_or_a_list_of_the_worst(tmp_path: Path, n: int) -> None:
    html = cohort_pages.cohort_page(cohort(n), tmp_path / "cohort.html").read_text("utf-8")
    assert ("<svg" in html) == (n > 2)  # of two recordings one is kept, and of both rates one is known
    assert "Which to look at first" not in html
    assert f"of {n} recording{'' if n == 1 else 's'} kept" in html


def test_an_empty_cohort_has_a_page(tmp_path: Path) -> None:
    empty = cohort(1)
    empty.recordings, empty.outcomes = empty.recordings.slice(0, 0), empty.outcomes.slice(0, 0)
    assert "The cohort is empty" in cohort_pages.cohort_page(empty, tmp_path / "empty.html").read_text("utf-8")


def test_a_cohort_page_links_to_the_pages_that_are_there(tmp_path: Path) -> None:
    folder = tmp_path / "cohort-recordings"
    folder.mkdir()
    (folder / "r002.html").write_text("x")
    html = cohort_pages.cohort_page(cohort(), tmp_path / "cohort.html").read_text("utf-8")
    assert {attributes.get("href") for tag, attributes in Tags(html).tags if tag == "a"} == {
        "cohort-recordings/r002.html"
    }
    content = packed(html)
    assert [content["id"][place] for place in content["page"]] == ["r002"]


def training(folder: Path, n: int = 50) -> Path:
    (folder / "recipe.json").write_text(json.dumps({"name": HOSTILE, "about": HOSTILE, "objective": {"name": "moco"}}))
    lines = [
        {"step": i, "epoch": i / 10, "loss": 5 - i / n, "top1": i / n, "lr": 0.1, HOSTILE: 1.0} for i in range(1, n + 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_trainings_page_draws_every_logged_figure_and_escapes_names(tmp_path: Path) -> None:
    out = learning.run_page(training(tmp_path), tmp_path / "a.html")
    html = out.read_text("utf-8")
    text = text_of(out)
    for name in ("loss", "learning rate", "top-1 (share right)"):
        assert name in text
    assert "loss 4.980 4 4 4.980" in text
    assert "<script>" not in html
    assert HOSTILE in Tags(html).text


def test_curves_of_a_long_training_are_means_and_end_at_its_last_step() -> None:
    steps, values = learning._fewer([float(i) for i in range(1, 10_001)], [float(i) for i in range(10_000)])
    assert len(steps) <= 400
    assert steps[-1] == 10_000
    assert np.mean(values) == pytest.approx(4999.5, rel=0.01)


def test_a_training_without_a_line_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("")
    assert "Nothing was logged yet" in text_of(learning.run_page(tmp_path, tmp_path / "a.html"))


def test_a_probes_page_has_spread_intervals_and_confusion(tmp_path: Path) -> None:
    files = {
        "probe.json": {"run": "r", "data": HOSTILE, "splits": {"0": {"train": ["a"]}}},
        "summary.json": [{"layer": "last", "n": 2, "macro_f1": 0.5, "macro_f1_sd": 0.1, "kappa": None}],
        "seeds.json": [{"layer": "last", "seed": 0, "macro_f1": 0.5, "macro_f1_low": 0.4, "macro_f1_high": 0.6}],
        "confusion-last-0.json": [{"truth": "a", "a": 3, "b": 1}, {"truth": "b", "a": 0, "b": 0}],
        "broken.json": "no table",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    text = text_of(learning.probe_page(tmp_path, tmp_path / "a.html"))
    assert "0.500 \u00b1 0.100" in text
    assert "0.400 to 0.600" in text
    assert "macro f1 sd" not in text
    assert "a 75 % 3 25 % 1" in text
    assert "b 0 % 0 0 % 0" in text
    assert HOSTILE in text


def test_an_experiments_page_has_its_tables_notes_and_figures(tmp_path: Path) -> None:
    from imuspec.report.style import new_figure, save, style

    (tmp_path / "experiment.json").write_text(
        json.dumps({"experiment": "e", "notes": ["TINY"], "data": {"hapt": "made up"}})
    )
    (tmp_path / "comparison.json").write_text(json.dumps([{"row": "r", "value": 0.25, "sd": 0.05, "paper": 0.3}]))
    (tmp_path / "table.json").write_text(json.dumps([{"row": "only here", "value": 0.25}]))
    with style():
        figure = new_figure(2, 2)
        figure.subplots().plot([0, 1], color="#0072b2")
        save(figure, tmp_path / "map.svg")
    (tmp_path / "broken.svg").write_text("<svg")
    out = learning.experiment_page(tmp_path, tmp_path / "a.html")
    text = text_of(out)
    assert "TINY" in text
    assert "r 0.250 \u00b1 0.050 0.300" in text
    assert "only here" not in text
    assert "var(--data)" in out.read_text("utf-8")
    assert "map.svg of the folder" in text


def test_a_page_of_what_is_neither_is_an_error_and_nothing_is_written(tmp_path: Path) -> None:
    from imuspec.errors import RecordingError
    from imuspec.report import write_page

    (tmp_path / "folder" / "inside").mkdir(parents=True)
    (tmp_path / "README.md").write_text("hello")
    out = tmp_path / "out.html"
    with pytest.raises(FileNotFoundError) as missing:
        write_page(tmp_path / "missing.cwa", out)
    assert missing.value.filename == str(tmp_path / "missing.cwa")
    with pytest.raises(RecordingError, match="got a folder that is none of those"):
        write_page(tmp_path / "folder", out)
    with pytest.raises(RecordingError, match="not a recording"):
        write_page(tmp_path / "README.md", out)
    assert not out.exists()


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_a_page_without_its_packages_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else found(name))
    with pytest.raises(ImportError, match=rf"(?i)needs {package}: pip install 'imuspec\[report\]'"):
        page.preparation_page(prepared(), tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()


def test_a_value_and_its_sd_have_equally_many_digits() -> None:
    assert learning._with_spread(0.31, 0.00315) == "0.310 \u00b1 0.003"
    assert learning._with_spread(0.31, None) == "0.310"
    assert learning._with_spread(None, None) == "\u2013"


def test_a_page_is_written_of_whatever_lies_there(tmp_path: Path) -> None:
    from imuspec.report import write_page

    (tmp_path / "bad.cwa").write_text("hello")
    written = write_page(tmp_path / "bad.cwa", tmp_path / "bad.html")
    assert (written.kind, "cwa: expected" in written.problem) == ("recording", True)
    assert write_page(training(tmp_path), tmp_path / "run.html").kind == "training"


def test_an_error_names_the_page_that_was_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "missing" / "a.html"
    with pytest.raises(FileNotFoundError) as failed:
        page.preparation_page(Prepared("a.cwa", "a", Recipe.load("ukb"), "failed", "x"), out)
    assert failed.value.filename == str(out)


@pytest.mark.parametrize(
    ("seconds", "text"), [(42.5, "42.5 s"), (185 * 60, "3 h 05 min"), (6.96 * 86400, "6 d 23 h"), (math.nan, "unknown")]
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert spans.duration(seconds) == text

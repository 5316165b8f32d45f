"""Figures and pages: what they show, that they escape what files say, and that they need neither display nor net."""

from __future__ import annotations

import dataclasses
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from imuspec.preparation import Prepared
from imuspec.recipe import Recipe
from imuspec.recording.quality import Event, Quality
from imuspec.recording.recording import Recording
from imuspec.report import minutes as grid
from imuspec.report import page, spans, words
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
        self.text += data


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


def test_a_clock_set_back_leaves_no_gap_and_no_answer_about_wear() -> None:
    source = recording(12)
    source.time[source.runs[1, 0] :] -= 2 * 3600 * 10**9
    found = track(source)
    assert found.nonwear is None
    assert len(spans.gaps(found)) == 0


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


def test_the_strip_is_red_where_only_x_moves() -> None:
    from imuspec.report.day import colours

    image = colours(minutes(track(recording())))
    moved, absent = image[0, :, 630], image[0, :, 1230]
    assert moved[:, 0].max() > 200
    assert moved[:, 1:3].max() == 0
    assert (moved[:, 3] == 255).all()
    assert (absent == 0).all()


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
def test_a_preparation_page_escapes_what_files_say_and_loads_nothing(tmp_path: Path, status: str) -> None:
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


def test_a_failed_file_gets_a_page_that_says_why(tmp_path: Path) -> None:
    failed = Prepared("a.cwa", "a", Recipe.load("ukb"), "failed", "expected a recording, got other bytes")
    text = Tags(page.preparation_page(failed, tmp_path / "a.html").read_text("utf-8")).text
    assert "could not be read: expected a recording, got other bytes" in text
    assert "Day by day" not in text


def test_findings_say_what_was_not_right() -> None:
    found = words.findings(prepared())
    assert any("Bad checksum, 3 times" in line for line in found)
    assert any("Gap, once" in line for line in found)
    assert any("gaps last 13 min" in line for line in found)
    assert any("93.00 Hz, -7.0 % off its 100 Hz" in line for line in found)


def test_the_clock_is_said_to_fall_behind_when_samples_are_too_few() -> None:
    text = words.clock({"sample_rate": 99.0, "nominal_rate": 100.0})
    assert "864 s behind after a day" in text
    assert "do not tell the rate" in words.clock({"sample_rate": math.nan, "nominal_rate": 100.0})


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


def test_a_cohort_page_counts_like_reasons_together(tmp_path: Path) -> None:
    html = page.cohort_page(cohort(), tmp_path / "cohort.html").read_text("utf-8")
    tags = Tags(html)
    assert "script" not in {tag for tag, _ in tags.tags}
    assert "30 of 40 recordings kept" in tags.text
    assert "excluded: too few still windows: \u2026 of at least 50" in tags.text


def test_a_cohort_page_says_how_many_rows_it_leaves_out(tmp_path: Path) -> None:
    text = Tags(page.cohort_page(cohort(600), tmp_path / "cohort.html").read_text("utf-8")).text
    assert "The first 500 of 600" in text


def test_an_empty_cohort_has_a_page(tmp_path: Path) -> None:
    empty = cohort(1)
    empty.recordings, empty.outcomes = empty.recordings.slice(0, 0), empty.outcomes.slice(0, 0)
    assert "The cohort is empty" in page.cohort_page(empty, tmp_path / "empty.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("seconds", "text"), [(42.5, "42.5 s"), (185 * 60, "3 h 05 min"), (6.96 * 86400, "6 d 23 h"), (math.nan, "unknown")]
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert spans.duration(seconds) == text

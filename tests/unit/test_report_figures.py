"""Figures of recordings: strips of days, ranges of the axes, the clock, still windows, and drawings in a page."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imuspec.report import rendering, words
from imuspec.report.minutes import Track, minutes, track
from report_inputs import START, prepared, recording

# The recordings have 5 Hz, so that the tests are quick; ten seconds are less than the frame of a picture.
pytestmark = pytest.mark.filterwarnings("ignore:x. 50 samples are fewer than nfft:UserWarning")


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

    result = track(recording())
    first, ns = lively_window(result, minutes(result)) or (-1, -1)
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
    result = track(source)
    low, high = _envelope(result, np.linspace(result.starts.min(), result.stops.max(), 500))
    assert np.nanmax(high[1]) == 7.5
    assert np.nanmin(low[2]) == 1


def test_the_figure_of_the_clock_falls_where_the_text_says_behind() -> None:
    from imuspec.report.figures import clock_figure

    slow = dataclasses.replace(recording(2, rate=19.0), nominal_rate=20.0)
    figure = clock_figure(slow)
    assert figure is not None
    drawn = np.asarray(figure.axes[0].lines[0].get_ydata())
    assert drawn[0] == 0
    assert drawn[-1] == pytest.approx(-360, abs=1)
    assert words.drift_s({"sample_rate": 19.0, "nominal_rate": 20.0}) == pytest.approx(12 * drawn[-1], rel=0.01)


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
    result = Track(x, 10.0, np.array([[0, 1000]]), np.array([START]), np.array([START + 10**11]))
    still = still_windows(result, {"offset_x": 0.1, "gain_x": 2.0})
    assert still.after.shape == (10, 3)
    np.testing.assert_allclose(still.before[0], [0.2, 0.5, 0.5])

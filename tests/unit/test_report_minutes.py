"""Recordings reduced to minutes, spans and days."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from imuspec.report import days, spans
from imuspec.report.minutes import DAY_NS, MINUTE_NS, Track, minutes, track
from report_inputs import START, prepared, recording


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
    result = track(prepared())
    assert result.runs.tolist() == [[0, 5000], [9000, 540_000]]
    assert (spans.gaps(result) == [[START + 1000 * 10**9, START + 1800 * 10**9]]).all()
    assert result.nonwear is not None
    assert result.nonwear.tolist() == [[START + 2000 * 10**9, START + 12_000 * 10**9]]


def test_only_a_kept_recording_has_kept_segments() -> None:
    assert len(track(prepared()).selected) == 1
    assert len(track(prepared("excluded")).selected) == 0


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


@pytest.mark.parametrize(
    ("seconds", "text"), [(42.5, "42.5 s"), (185 * 60, "3 h 05 min"), (6.96 * 86400, "6 d 23 h"), (math.nan, "unknown")]
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert spans.duration(seconds) == text

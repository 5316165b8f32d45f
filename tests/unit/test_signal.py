"""The contract of lowpass, resample, calibrate, wear_segments and windows."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import imuspec
from imuspec.signal import WindowMoments, window_statistics

SECOND = 10**9
HOUR = 3600


def sphere(n: int = 400, seed: int = 0) -> np.ndarray:
    v = np.random.default_rng(seed).normal(size=(n, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def table(means: np.ndarray, sd: float = 0.001, temperature: np.ndarray | None = None) -> WindowMoments:
    start = np.arange(len(means)) * 10 * SECOND
    return WindowMoments(start, means, np.full(means.shape, sd), None, temperature)


def day(hours: float, rate: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    n = int(hours * HOUR * rate)
    return np.random.default_rng(seed).normal(0, 0.1, (3, n)).astype(np.float32), np.arange(n) * (SECOND // rate)


class TestLowpass:
    def test_a_missing_sample_counts_as_zero_and_stays_missing(self) -> None:
        x = np.ones((3, 400), np.float32)
        x[1, 200] = np.nan
        zero = x.copy()
        zero[1, 200] = 0
        y, reference = (imuspec.lowpass(v, sample_rate=100, cutoff=15) for v in (x, zero))
        assert np.isnan(y).sum() == 1
        assert np.isnan(y[1, 200])
        np.testing.assert_array_equal(np.delete(y, 200, 1), np.delete(reference, 200, 1))

    def test_a_constant_stays_itself_even_in_one_sample(self) -> None:
        for n in (1, 2, 1000):
            np.testing.assert_allclose(imuspec.lowpass(np.full(n, 0.7), sample_rate=50, cutoff=10), 0.7, rtol=1e-6)

    def test_views_of_windows_are_filtered_one_by_one(self) -> None:
        views = imuspec.windows(np.random.default_rng(0).normal(size=(3, 900)).astype("f4"), length=300, overlap=100)
        y = imuspec.lowpass(views, sample_rate=100, cutoff=15)
        np.testing.assert_array_equal(y[1], imuspec.lowpass(views[1].copy(), sample_rate=100, cutoff=15))

    def test_an_empty_batch_gives_an_empty_batch(self) -> None:
        assert imuspec.lowpass(np.empty((0, 3, 10)), sample_rate=10, cutoff=2).shape == (0, 3, 10)
        assert imuspec.lowpass(np.empty((3, 0)), sample_rate=10, cutoff=2).shape == (3, 0)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"cutoff": 50}, r"cutoff: expected above 0 and below half the sample rate \(50 Hz\), got 50"),
            ({"cutoff": 0}, "cutoff: expected above 0"),
            ({"cutoff": math.nan}, "cutoff: expected above 0"),
            ({"cutoff": 5, "order": 0}, "order: expected a whole number of at least 1, got 0"),
            ({"cutoff": 5, "order": 2.5}, "order: expected a whole number"),
            ({"cutoff": 5, "sample_rate": -1}, "sample_rate: expected a positive number of Hz, got -1"),
        ],
    )
    def test_numbers_out_of_range_are_named(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            imuspec.lowpass(np.zeros(10), **({"sample_rate": 100} | options))

    def test_what_is_no_series_of_numbers_is_refused(self) -> None:
        with pytest.raises(TypeError, match="x: expected real numbers, got dtype"):
            imuspec.lowpass(["a"], sample_rate=100, cutoff=5)  # type: ignore[list-item]
        with pytest.raises(ValueError, match="x: expected"):
            imuspec.lowpass(1.0, sample_rate=100, cutoff=5)


class TestResample:
    def test_linear_leaves_long_gaps_missing_and_meets_samples_exactly(self) -> None:
        time = np.array([0, 100, 200, 1800, 1900]) * 10**6
        values, grid = imuspec.resample([0.0, 1, 2, 3, 4], time, rate=10)
        assert grid[-1] == time[-1]
        np.testing.assert_allclose(values[[0, 1, 2, 18, 19]], [0, 1, 2, 3, 4])
        assert np.isnan(values[3:18]).all()
        bridged, _ = imuspec.resample([0.0, 1, 2, 3, 4], time, rate=10, max_gap_s=2)
        assert not np.isnan(bridged).any()

    def test_nearest_fills_one_point_on_either_side_of_a_gap(self) -> None:
        time = np.array([0, 100, 940, 1040]) * 10**6
        values, _ = imuspec.resample([0.0, 1, 2, 3], time, rate=10, method="nearest")
        assert np.isnan(values).tolist() == [False] * 3 + [True] * 6 + [False, False]
        np.testing.assert_array_equal(values[[0, 1, 2, 9, 10]], [0, 1, 1, 2, 3])

    def test_of_two_equally_near_samples_the_later_is_taken(self) -> None:
        values, _ = imuspec.resample([0.0, 1, 2], np.array([0, 50, 150]) * 10**6, rate=10, method="nearest")
        np.testing.assert_array_equal(values, [0, 2, 2])

    def test_nothing_in_gives_nothing_out_and_one_sample_one_point(self) -> None:
        values, grid = imuspec.resample(np.empty((3, 0)), np.empty(0, np.int64), rate=30)
        assert values.shape == (3, 0)
        assert grid.size == 0
        for method in ("linear", "nearest"):
            assert imuspec.resample([7.0], [5], rate=30, method=method)[0].tolist() == [7.0]  # type: ignore[arg-type]

    def test_datetime64_is_a_time(self) -> None:
        time = np.datetime64("2020-01-01", "ms") + np.arange(3)
        _, grid = imuspec.resample([0.0, 1, 2], time, rate=1000)
        np.testing.assert_array_equal(grid.view("datetime64[ns]"), time)

    @pytest.mark.parametrize(
        ("time", "options", "message"),
        [
            ([0, 5, 5], {}, r"time: expected later than the sample before \(5\), got 5"),
            ([0, 5, 1], {}, "time: expected later"),
            ([0, 1], {}, r"time: expected shape \[3\], one time a sample, got \[2\]"),
            ([0, 1, 2], {"rate": 0}, "rate: expected a positive number of Hz, got 0"),
            ([0, 1, 2], {"method": "cubic"}, "method: expected linear, nearest or polyphase, got 'cubic'"),
            ([0, 1, 2], {"max_gap_s": 0}, "max_gap_s: expected a positive number of seconds, got 0"),
            ([0, 1, 9], {"method": "polyphase"}, "time: expected samples at a uniform"),
            ([0, 0, 0], {"method": "polyphase"}, "time: expected at least two times"),
        ],
    )
    def test_mistakes_are_named(self, time: list[int], options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            imuspec.resample([0.0, 1, 2], time, **({"rate": 10} | options))

    def test_times_that_are_no_whole_nanoseconds_are_refused(self) -> None:
        with pytest.raises(TypeError, match="time: expected int64 nanoseconds, got dtype float64"):
            imuspec.resample([0.0, 1], [0.0, 1.0], rate=10)


class TestCalibrate:
    def test_a_known_error_is_undone(self) -> None:
        gain, offset = np.array([1.02, 0.97, 1.01]), np.array([0.03, -0.05, 0.02])
        result = imuspec.calibrate(table(sphere() * gain + offset))
        assert result.ok
        np.testing.assert_allclose(result.gain * gain, 1, atol=1e-4)
        np.testing.assert_allclose(result.offset + result.gain * offset, 0, atol=1e-4)
        assert result.error_before_mg > 10
        assert result.error_after_mg < 0.1

    @pytest.mark.parametrize("method", ["actipy", "vanhees"])
    def test_a_known_temperature_slope_is_found_in_few_rounds(self, method: Any) -> None:
        degrees = np.random.default_rng(3).uniform(20, 35, 400)
        means = sphere() * 1.03 + 0.02 + np.outer(degrees - 27, [0.002, -0.001, 0.0005])
        result = imuspec.calibrate(table(means, temperature=degrees), temperature=True, method=method)
        assert result.ok
        assert result.n_iterations < 200
        np.testing.assert_allclose(result.temperature_slope * 1.03, [-0.002, 0.001, -0.0005], atol=1e-4)

    def test_a_clean_recording_with_temperature_does_not_run_for_1000_rounds(self) -> None:
        degrees = np.linspace(20, 35, 400)  # goes along with time, as on a wrist
        result = imuspec.calibrate(table(sphere() * 1.03 + 0.02, temperature=degrees), temperature=True)
        assert result.ok
        assert result.n_iterations < 30
        assert result.error_after_mg < 0.01

    def test_too_few_windows_and_postures_are_said_in_words(self) -> None:
        few = imuspec.calibrate(table(sphere(12) * 1.1))
        assert (few.ok, few.reason, few.n_windows) == (False, "too few still windows: 12 of at least 50", 12)
        narrow = imuspec.calibrate(table(np.abs(sphere()) * 1.1))
        assert not narrow.ok
        assert narrow.reason.startswith("too few postures: still x goes from 0.0")
        missing = imuspec.calibrate(table(sphere(), sd=0.02))
        assert (missing.n_windows, missing.reason) == (0, "too few still windows: 0 of at least 50")
        assert math.isnan(missing.error_before_mg)
        bad = imuspec.calibrate(table(sphere() * np.random.default_rng(0).uniform(0.9, 1.1, (400, 1))))
        assert not bad.ok
        assert "error after calibration is" in bad.reason
        assert not np.array_equal(bad.gain, np.ones(3))  # reported although not ok

    def test_a_recording_that_starts_well_is_left_unchanged(self) -> None:
        result = imuspec.calibrate(table(sphere() * 1.002))
        assert result.ok
        assert result.n_iterations == 0
        assert result.gain.tolist() == [1, 1, 1]

    def test_a_recording_is_windowed_from_its_first_sample(self) -> None:
        rng = np.random.default_rng(0)
        v = np.repeat(sphere(80) * 1.05, 10, axis=0).T
        recording = SimpleNamespace(
            acceleration=(v + rng.normal(0, 0.001, v.shape)).astype(np.float32),
            time=np.arange(800) * SECOND + 12345,
            temperature=None,
        )
        result = imuspec.calibrate(recording)
        assert result.n_windows == 80
        np.testing.assert_allclose(result.gain, 1 / 1.05, atol=2e-3)
        calibrated = result.apply(recording.acceleration)
        assert calibrated.dtype == np.float32
        assert abs(np.linalg.norm(calibrated, axis=0) - 1).mean() < 0.003
        with pytest.raises(ValueError, match="temperature: expected a recording with temperatures, got one without"):
            imuspec.calibrate(recording, temperature=True)

    def test_apply_needs_the_temperature_that_was_fitted(self) -> None:
        c = imuspec.Calibration(np.zeros(3), np.ones(3), np.array([0.1, 0, 0]), 20.0)
        assert c.apply(np.zeros((3, 2)), [20, 30]).tolist() == [[0, 1], [0, 0], [0, 0]]
        with pytest.raises(ValueError, match="temperature: expected"):
            c.apply(np.zeros((3, 2)))
        with pytest.raises(ValueError, match=r"x: expected shape \[..., 3, time\], got \[2, 3\]"):
            c.apply(np.zeros((2, 3)))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"method": "lm"}, "method: expected actipy or vanhees, got 'lm'"),
            ({"tolerance_g": 0}, "tolerance_g: expected a positive number, got 0"),
            ({"max_error_mg": -1}, "max_error_mg: expected a positive number, got -1"),
            ({"cube_g": 1}, "cube_g: expected from 0 to below 1 g, got 1"),
            ({"min_windows": -1}, "min_windows: expected a whole number of at least 0, got -1"),
            ({"max_iterations": 0}, "max_iterations: expected a whole number of at least 1, got 0"),
            ({"temperature": True}, "temperature: expected a recording with temperatures"),
        ],
    )
    def test_mistakes_are_named(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            imuspec.calibrate(table(sphere()), **options)


class TestWindowMoments:
    def test_means_and_deviations_are_numpys_and_empty_windows_are_not_listed(self) -> None:
        x, time = day(0.1, rate=7)
        time = time + 3
        x, time = np.delete(x, slice(500, 900), 1), np.delete(time, slice(500, 900))
        stats = window_statistics(x, time)
        number = (time - time[0]) // (10 * SECOND)
        assert np.array_equal(stats.start, time[0] + np.unique(number) * 10 * SECOND)
        for i, k in enumerate(np.unique(number)):
            part = x[:, number == k].astype(float)
            np.testing.assert_allclose(stats.mean[i], part.mean(1), rtol=0, atol=1e-12)
            np.testing.assert_allclose(stats.sd[i], part.std(1, ddof=1), rtol=0, atol=1e-12)

    def test_a_still_axis_has_no_deviation_and_missing_samples_are_left_out(self) -> None:
        x = np.full((3, 20), 0.3, np.float32)
        x[0, 3] = np.nan
        stats = window_statistics(x, np.arange(20) * SECOND)
        assert (stats.sd == 0).all()
        assert stats.n is not None
        assert stats.n.tolist() == [9, 10]

    def test_a_clock_that_was_set_back_starts_a_new_window(self) -> None:
        time = np.array([0, 1, 2, 3, 1, 2]) * SECOND
        stats = window_statistics(np.ones((3, 6)), time)
        assert stats.n is not None
        assert stats.n.tolist() == [4, 2]


class TestWear:
    def test_long_stillness_is_not_wear_and_splits_segments(self) -> None:
        x, time = day(30)
        x[:, 10 * HOUR : 12 * HOUR] = 0.5
        wear = imuspec.wear_segments(x, time, min_wear_h=15)
        assert wear.nonwear.tolist() == [[10 * HOUR, 12 * HOUR]]
        assert wear.segments.tolist() == [[12 * HOUR, 30 * HOUR]]
        assert wear.short_times.tolist() == [[0, 10 * HOUR * SECOND]]
        assert (wear.wear_h, wear.nonwear_h) == (18, 2)

    def test_exactly_90_minutes_are_worn_and_actipy_needs_two_windows_more(self) -> None:
        for seconds, plain, actipy in [(5400, 0, 0), (5410, 1, 0), (5420, 1, 1)]:
            x, time = day(4)
            x[:, 3600 : 3600 + seconds] = 0.5
            assert len(imuspec.wear_segments(x, time).nonwear) == plain
            assert len(imuspec.wear_segments(x, time, length_rule="actipy").nonwear) == actipy

    def test_actipys_rule_leaves_the_last_window_worn(self) -> None:
        x, time = day(4)
        x[:, 3600:9020] = 0.5
        wear = imuspec.wear_segments(x, time, length_rule="actipy")
        assert wear.nonwear.tolist() == [[3600, 9011]]

    def test_sliding_windows_see_stillness_off_the_lattice(self) -> None:
        x, time = day(4)
        x[:, 3605:9010] = 0.5
        assert len(imuspec.wear_segments(x, time).nonwear) == 0
        assert imuspec.wear_segments(x, time, windows="sliding").nonwear.tolist() == [[3605, 9010]]

    def test_missing_samples_look_still_and_missing_rows_break_stillness(self) -> None:
        x, time = day(6)
        x[:, 3600:14400] = 0.5
        gone = slice(9000, 9100)
        nan = x.copy()
        nan[:, gone] = np.nan
        assert imuspec.wear_segments(nan, time).nonwear.tolist() == [[3600, 14400]]
        cut = imuspec.wear_segments(np.delete(x, gone, 1), np.delete(time, gone), nonwear_min=80)
        assert (cut.nonwear_times // SECOND).tolist() == [[3600, 9000], [9100, 14400]]

    def test_a_gap_ends_a_segment_once_it_is_longer_than_allowed(self) -> None:
        x, time = day(2)
        time[3000:] += 30 * SECOND
        assert len(imuspec.wear_segments(x, time, min_wear_h=0).segments) == 2
        assert len(imuspec.wear_segments(x, time, min_wear_h=0, max_gap_s=31).segments) == 1
        x[:, 5000:5040] = np.nan
        assert len(imuspec.wear_segments(x, time, min_wear_h=0).segments) == 3

    def test_a_day_of_exactly_24_hours_is_long_enough(self) -> None:
        x, time = day(24)
        assert imuspec.wear_segments(x, time).segments.tolist() == [[0, 24 * HOUR]]

    def test_a_clock_that_was_set_back_splits_wear_and_indices_stay_true(self) -> None:
        x, time = day(4)
        time[7200:] -= HOUR * SECOND
        wear = imuspec.wear_segments(x, time, min_wear_h=1)
        assert wear.segments.tolist() == [[0, 7200], [7200, 14400]]

    def test_a_recording_without_samples_has_no_wear(self) -> None:
        wear = imuspec.wear_segments(np.empty((3, 0)), np.empty(0, np.int64))
        assert wear.segments.shape == wear.nonwear.shape == (0, 2)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"tolerance_g": 0}, "tolerance_g: expected a positive number of g, got 0"),
            ({"nonwear_min": -1}, "nonwear_min: expected a number of at least 0, got -1"),
            ({"min_wear_h": math.nan}, "min_wear_h: expected a number of at least 0, got nan"),
            ({"windows": "moving"}, "windows: expected fixed or sliding, got 'moving'"),
            ({"length_rule": "k"}, "length_rule: expected whole or actipy, got 'k'"),
            ({"time": None}, "time: expected the samples' times beside an array"),
        ],
    )
    def test_mistakes_are_named(self, options: dict[str, Any], message: str) -> None:
        x, time = day(0.1)
        time_or_none = options.pop("time", time)
        with pytest.raises(ValueError, match=message):
            imuspec.wear_segments(x, time_or_none, **options)

    def test_an_array_of_another_shape_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"acceleration: expected shape \[3, time\], got \[10, 3\]"):
            imuspec.wear_segments(np.zeros((10, 3)), np.arange(10))


class TestWindows:
    def test_windows_are_a_view(self) -> None:
        x = np.arange(60.0).reshape(3, 20)
        w = imuspec.windows(x, length=6, overlap=2)
        assert w.shape == (4, 3, 6)
        assert np.shares_memory(w, x)
        np.testing.assert_array_equal(w[2], x[:, 8:14])
        assert imuspec.windows(x[None], length=20).shape == (1, 1, 3, 20)
        assert imuspec.windows(x, length=21).shape == (0, 3, 21)

    @pytest.mark.parametrize(
        ("x", "options", "message"),
        [
            (np.zeros((3, 9)), {"length": 0}, "length: expected 1 to .*, got 0"),
            (np.zeros((3, 9)), {"length": 3, "overlap": 3}, "overlap: expected 0 to 2, got 3"),
            (np.zeros((3, 9)), {"length": 3, "overlap": -1}, "overlap: expected"),
            (np.zeros(9), {"length": 3}, r"x: expected shape \[..., 3, time\], got \[9\]"),
        ],
    )
    def test_mistakes_are_named(self, x: np.ndarray, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            imuspec.windows(x, **options)

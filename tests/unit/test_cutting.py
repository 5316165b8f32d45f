"""Windows are cut from labelled recordings: gaps, labels, rates."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from dataset_values import recording
from imuspec import datasets
from imuspec.datasets import LabelledRecording
from imuspec.datasets.recordings import count_times, runs_of


def test_windows_share_half_and_start_where_they_say() -> None:
    made = datasets.cut([recording()], window_s=2)
    source = recording()
    assert made.x.shape == (19, 3, 100)
    assert made.start_s.tolist() == [float(k) for k in range(19)]
    for k in range(19):
        np.testing.assert_array_equal(made.x[k], source.acceleration[:, k * 50 : k * 50 + 100])


def test_no_window_spans_a_gap_and_two_periods_are_no_gap() -> None:
    time = count_times(1000, 50)
    time[500:] += 20_000_000  # one sample missing: a step of two periods
    assert len(datasets.cut([recording(time=time)], window_s=2)) == 19
    time[500:] += 21_000_000
    made = datasets.cut([recording(time=time)], window_s=2)
    assert made.start_s[:9].tolist() == [float(k) for k in range(9)]
    assert made.start_s[9] == pytest.approx(10.041)
    assert len(made) == 18


def test_a_gap_inside_a_stated_run_splits_it() -> None:
    time = count_times(1000, 50)
    time[500:] += 10_000_000_000
    made = replace(recording(), time=time, runs=np.array([[0, 1000]]))
    assert made.runs.tolist() == [[0, 500], [500, 1000]]
    assert datasets.cut([made], window_s=2).start_s.tolist() == [*map(float, range(9)), *map(float, range(20, 29))]
    assert datasets.cut([made], window_s=2, rate=25).start_s[9] == 20


def test_runs_outside_the_samples_are_refused() -> None:
    for runs in ([[0, 1001]], [[-1, 5]], [[9, 3]], [0, 5]):
        with pytest.raises(ValueError, match="expected runs"):
            replace(recording(), runs=np.array(runs))


@pytest.mark.parametrize("rate", [50, 25, 30])
def test_a_hole_that_a_recording_allows_is_bridged_at_its_length_and_never_closed(rate) -> None:
    """With 500 samples before it and 0.5 percent of clock error allowed, a hole of 0.3 s looked like a slow clock."""
    time = count_times(20_000, 50)
    time[500:] += 300_000_000
    x = np.tile(np.arange(20_000) / 50, (3, 1)).astype(np.float32)
    made = replace(recording(20_000), time=time, acceleration=x, runs=np.array([[0, 20_000]]), max_gap_s=1.0)
    assert len(made.runs) == 1
    windows = datasets.cut([made], window_s=2, rate=rate)
    at = int(15 * rate)
    flat = np.concatenate(list(windows.x[::2, 0]))
    assert flat[at] == pytest.approx(15 - 0.3, abs=0.03)
    assert np.isfinite(windows.x).all()
    for resampling in ("polyphase", "none"):
        with pytest.raises(ValueError, match="holes of up to max_gap_s=1"):
            datasets.cut([made], window_s=2, resampling=resampling)


def test_time_that_falls_or_stands_ends_a_stretch() -> None:
    assert runs_of(np.array([0, 10, 20, 20, 30, 5, 15]) * 1_000_000, 100).tolist() == [[0, 3], [3, 5], [5, 7]]


def test_a_sample_without_a_class_is_in_no_window_and_every_row_is_counted() -> None:
    label = np.zeros(1000, np.int64)
    label[430:470] = -1
    label[470:] = 1
    made = datasets.cut([recording(label=label)], window_s=2)
    assert made.per_class() == {"sit": 7, "walk": 9}
    assert made.start_s[7] == pytest.approx(9.4)
    assert made.counts == {"nothing": 40, "after the last window of a stretch": 30 + 30}


def test_a_window_takes_the_majority_and_agreement_can_be_asked_for() -> None:
    label = np.zeros(200, np.int64)
    label[80:] = 1
    made = datasets.cut([recording(200, label=label)], window_s=2)
    assert made.label.tolist() == [0, 1, 1]  # 80:20, 30:70, 0:100
    strict = datasets.cut([recording(200, label=label)], window_s=2, min_agreement=1)
    assert strict.label.tolist() == [1]
    assert strict.counts == {"window below min_agreement": 100}


def test_a_stretch_shorter_than_a_window_is_counted() -> None:
    made = datasets.cut([recording(1000), recording(60, subject=2)], window_s=2)
    assert made.counts == {"stretch shorter than a window": 60}


@pytest.mark.parametrize("resampling", ["linear", "polyphase"])
def test_20_hz_becomes_50_hz_and_a_window_of_128_samples_320(resampling) -> None:
    t = np.arange(128) / 20
    x = np.stack([np.sin(2 * np.pi * 0.5 * t), np.cos(2 * np.pi * 0.5 * t), np.ones(128)]).astype(np.float32)
    source = replace(recording(128, 20.0), acceleration=x)
    made = datasets.cut([source], window_s=6.4, resampling=resampling)
    assert made.x.shape == (1, 3, 320)
    fine = np.arange(320) / 50
    inner = np.s_[20:-20]
    np.testing.assert_allclose(made.x[0, 0][inner], np.sin(2 * np.pi * 0.5 * fine)[inner], atol=0.02)


def test_polyphase_refuses_uneven_stamps() -> None:
    rng = np.random.default_rng(0)
    time = np.cumsum(rng.uniform(0.2, 1.8, 400) * 2e7).astype(np.int64)
    with pytest.raises(ValueError, match="expected samples at an even 50 Hz for polyphase"):
        datasets.cut([recording(400, time=time)], window_s=2, resampling="polyphase", rate=25)


def tone_of_40_hz(**changes) -> LabelledRecording:
    t = np.arange(2000) / 100
    x = np.tile(np.sin(2 * np.pi * 40 * t), (3, 1)).astype(np.float32)
    return replace(recording(2000, 100.0), acceleration=x, **changes)


def test_a_lower_rate_does_not_alias_unless_the_papers_way_is_asked_for_which_warns() -> None:
    """At 50 Hz a tone of 40 Hz would be one of 10 Hz, at full strength."""
    assert datasets.cut([tone_of_40_hz()], window_s=5).x[1:-1].std() < 0.001
    with pytest.warns(
        UserWarning, match="resampling='linear' from 100 to 50 Hz without lowpass_hz aliases: motion above 25"
    ):
        aliased = datasets.cut([tone_of_40_hz()], window_s=5, resampling="linear")
    power = np.abs(np.fft.rfft(aliased.x[0, 0]))
    assert np.fft.rfftfreq(aliased.n_samples, 1 / 50)[power.argmax()] == pytest.approx(10, abs=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert datasets.cut([tone_of_40_hz()], window_s=5, lowpass_hz=20).x[1:-1].std() < 0.01
        datasets.cut([tone_of_40_hz()], window_s=5, resampling="linear", lowpass_hz=20)
        datasets.cut([recording(1000, 50.0)], window_s=2, resampling="linear")  # the same rate


def test_uneven_samples_are_filtered_before_a_lower_rate_and_slow_motion_stays() -> None:
    rng = np.random.default_rng(3)
    time = np.cumsum(rng.uniform(0.93, 1.13, 2000) * 1e7).astype(np.int64)  # 97 Hz, 3 % slower than it should be
    seconds = (time - time[0]) / 1e9
    for hz, least, most in ((40, 0.0, 0.08), (2, 0.68, 0.72)):
        x = np.tile(np.sin(2 * np.pi * hz * seconds), (3, 1)).astype(np.float32)
        made = datasets.cut([replace(recording(2000, 100.0, time=time), acceleration=x)], window_s=5)
        assert least <= made.x[1:-1].std() < most
    assert made.settings["resampling"] == "auto"


def test_a_rate_without_a_simple_ratio_is_filtered_too() -> None:
    source = replace(tone_of_40_hz(), rate=100.0 * 1.0123456, time=count_times(2000, 101.23456))
    assert datasets.cut([source], window_s=5).x[1:-1].std() < 0.02


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window_s": 0}, "window_s: expected a positive number, got 0"),
        ({"window_s": 2, "rate": -1}, "rate: expected a positive number, got -1"),
        ({"window_s": 2, "overlap": 1}, "overlap: expected a part of a window from 0 to below 1, got 1"),
        ({"window_s": 2, "min_agreement": 2}, "min_agreement: expected 0 to 1, got 2"),
        ({"window_s": 2, "resampling": "fft"}, "resampling: expected auto, linear, polyphase or none, got 'fft'"),
        ({"window_s": 2, "resampling": "none", "rate": 30}, "expected 30 Hz for none, got 50 Hz"),
        ({"window_s": 60}, r"no window of 60 s \(1000 rows stretch shorter"),
    ],
)
def test_settings_that_make_no_windows_are_refused(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        datasets.cut([recording()], **settings)


@pytest.mark.parametrize("seed", range(12))
def test_rows_in_windows_and_rows_counted_are_all_rows(seed) -> None:
    rng = np.random.default_rng(seed)
    n, rate = 3000, 64.0
    time = count_times(n, rate)
    for at in rng.integers(1, n, 4):
        time[at:] += int(rng.integers(100, 3000)) * 1_000_000
    label = np.repeat(rng.integers(-1, 2, 30), 100)
    made = datasets.cut(
        [replace(recording(n, rate), time=time, runs=runs_of(time, rate), label=label)],
        window_s=1.5,
        min_agreement=float(rng.choice([0, 0.8])),
    )
    seconds = time / 1e9
    inside = np.zeros(n, bool)
    for start in made.start_s:
        inside |= (seconds > start - 0.01) & (seconds <= start + 1.5 - 0.01)
    unlabelled = int((label < 0).sum())
    counted = sum(made.counts.values()) + unlabelled  # this recording does not say why samples have no class
    assert not inside[label < 0].any()
    assert inside.sum() + counted == n


def test_labels_keep_their_samples_where_a_clock_runs_slow() -> None:
    n = 20_000
    label = (np.arange(n) >= n // 2).astype(np.int64)
    source = recording(n, 50.0, label=label, time=np.arange(n) * 20_060_000)  # 0.3 % slow: 60 s after 20,000
    made = datasets.cut([source], window_s=2, rate=25, resampling="polyphase")
    assert made.label.sum() == pytest.approx(len(made) / 2, abs=1)


def test_a_rate_that_is_not_what_the_set_says_is_no_clock_error() -> None:
    source = recording(20_000, 50.0, time=np.arange(20_000) * 20_600_000)
    with pytest.raises(ValueError, match=r"expected samples at an even 50 Hz for polyphase, got one .* samples off"):
        datasets.cut([source], window_s=2, rate=25, resampling="polyphase")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"label": [0] * 1000}, "label: expected an array of integers, got list"),
        ({"label": np.array(["a"] * 1000)}, "label: expected an array of integers, got dtype <U1"),
        (
            {"runs": None},
            "runs: expected an array of integers, got NoneType; LabelledRecording.from_arrays takes lists",
        ),
    ],
)
def test_fields_of_a_recording_that_are_no_arrays_are_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        replace(recording(), **fields)

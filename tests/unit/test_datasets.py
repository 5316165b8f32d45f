"""Windows, how they are cut and how they are split."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

from imuspec import datasets
from imuspec.datasets import LabelledRecording, Windows
from imuspec.datasets.draws import all_draws, distinct_draw, expect_distinct
from imuspec.datasets.recordings import count_times, in_g, label_intervals, runs_of
from imuspec.errors import RecordingError


def recording(n: int = 1000, rate: float = 50.0, *, label=None, time=None, subject: int = 1) -> LabelledRecording:
    times = count_times(n, rate) if time is None else np.asarray(time, np.int64)
    x = np.random.default_rng(subject).normal(0, 0.1, (3, n)).astype(np.float32)
    return LabelledRecording(
        subject=subject,
        recording=f"r{subject}",
        sensor="wrist",
        rate=rate,
        acceleration=x,
        time=times,
        runs=runs_of(times, rate),
        label=np.zeros(n, np.int64) if label is None else np.asarray(label),
        class_names=("sit", "walk"),
        n_rows=n,
        unlabelled={"nothing": 0 if label is None else int((np.asarray(label) < 0).sum())},
    )


def some_windows(n_subjects: int = 10, each: int = 12, **changes) -> Windows:
    n = n_subjects * each
    fields = {
        "x": np.random.default_rng(0).normal(size=(n, 3, 100)).astype(np.float32),
        "label": np.arange(n) % 2,
        "subject": np.repeat(np.arange(n_subjects), each),
        "recording": np.repeat(np.arange(n_subjects), each).astype(str),
        "start_s": np.tile(np.arange(each), n_subjects),
        "rate": 50,
        "class_names": ("sit", "walk"),
        "name": "some",
    }
    return Windows(**(fields | changes))


def test_importing_the_package_loads_neither_torch_nor_pyarrow() -> None:
    code = "import sys; from imuspec import datasets; datasets.Windows; datasets.load; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"torch", "pyarrow", "pandas"} & set(loaded)


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


def test_units_are_checked_by_the_median_norm() -> None:
    x = np.tile([[0.0], [0.0], [9.81]], 100)
    assert in_g(x, unit="m/s2", declared=None, source="f")[2, 0] == pytest.approx(1.0003, abs=1e-4)
    with pytest.raises(ValueError, match=r"f: expected g, a median norm near 1, got 9.81, which fits m/s2: state"):
        in_g(x, unit="g", declared=None, source="f")
    with pytest.raises(ValueError, match="fits none of g, m/s2 and mg"):
        in_g(x * 5, unit="m/s2", declared=None, source="f")
    assert in_g(x, unit="g", declared="m/s2", source="f")[2, 0] == pytest.approx(1.0003, abs=1e-4)
    with pytest.raises(ValueError, match="unit: expected g, m/s2 or mg, got 'feet'"):
        in_g(x, unit="g", declared="feet", source="f")


def test_zeros_of_a_sensor_that_is_off_do_not_decide_the_unit() -> None:
    x = np.tile([[0.0], [0.0], [1000.0]], 100)
    x[:, :80] = 0
    assert in_g(x, unit="mg", declared=None, source="f")[2, 99] == 1


def test_intervals_that_contradict_each_other_or_leave_the_recording_are_damage() -> None:
    assert label_intervals(5, [(1, 3, 0), (3, 4, 1)], "f").tolist() == [-1, 0, 0, 1, -1]
    with pytest.raises(RecordingError, match="expected labels within its 5 samples, got 3 to 6"):
        label_intervals(5, [(3, 6, 0)], "f")
    with pytest.raises(RecordingError, match="expected one label a sample, got walk at 2 over sit"):
        label_intervals(5, [(1, 3, 0), (2, 4, 1)], "f", names=("sit", "walk"))


def test_selection_and_classes_keep_columns_together() -> None:
    windows = some_windows()
    walk = windows.of_classes(["walk"])
    assert walk.class_names == ("walk",)
    assert walk.label.max() == 0
    np.testing.assert_array_equal(walk.x, windows.x[windows.label == 1])
    assert windows.table().tolist() == [[6, 6]] * 10
    assert len(windows.select(np.array([], int))) == 0
    with pytest.raises(ValueError, match="names: expected some of sit, walk, got run"):
        windows.of_classes(["run"])
    with pytest.raises(ValueError, match="index: expected a mask of shape"):
        windows.select(np.array([True, False]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.zeros((120, 100))}, r"x: expected shape \[N, 3, time\], got \[120, 100\]"),
        ({"label": np.zeros(7)}, r"label: expected shape \[120\], one a window, got \[7\]"),
        ({"label": np.full(120, 2)}, "label: expected 0 to 1, got 2 to 2 for the classes sit, walk"),
        ({"x": np.full((120, 3, 100), np.nan)}, "x: expected finite samples, got 120 windows with NaN or infinity"),
    ],
)
def test_windows_that_do_not_fit_together_are_refused(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        some_windows(**changes)


def test_sets_are_joined_with_their_subjects_kept_apart() -> None:
    a, b = some_windows(3, counts={"lost": 2}, n_rows=9), some_windows(4, name="other", counts={"lost": 1}, n_rows=5)
    both = datasets.concatenate([a, b])
    assert len(both.subjects) == 7
    assert both.counts == {"lost": 3}
    assert (both.name, both.n_rows, len(both)) == ("some+other", 14, len(a) + len(b))
    assert datasets.concatenate([a, a]).subject.dtype == np.int64
    with pytest.raises(ValueError, match=r"parts: expected one rate for all, got 50 of some and 25 of other"):
        datasets.concatenate([a, replace(b, rate=25)])


def test_an_unknown_name_or_setting_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"name: expected one of .*hapt.*, got 'hatp'"):
        datasets.load("hatp", ".")
    with pytest.raises(
        ValueError, match="settings of daphnet: expected one of 'sensors', 'subjects', 'unit', got 'sensor'"
    ):
        datasets.load("daphnet", ".", sensor="trunk")


@pytest.mark.parametrize(
    ("n", "sizes"), [(36, (22, 7, 7)), (10, (6, 2, 2)), (5, (3, 1, 1)), (3, (1, 1, 1)), (9, (5, 2, 2))]
)
def test_subjects_are_dealt_six_two_two(n, sizes) -> None:
    split = datasets.subject_split(some_windows(n), seed=0)
    assert tuple(len(split.members[part]) for part in ("train", "validation", "test")) == sizes
    assert sum(len(index) for index in split.parts().values()) == 12 * n


def test_a_split_is_a_function_of_its_seed() -> None:
    windows = some_windows()
    one, again = datasets.subject_split(windows, 3), datasets.subject_split(windows, 3)
    assert one.members == again.members
    assert len({datasets.subject_split(windows, seed).members["test"] for seed in range(5)}) > 1


@pytest.mark.parametrize(("n", "n_test"), [(3, 1), (5, 1), (7, 1), (8, 2), (9, 2)])
def test_few_subjects_are_left_out_in_turn_and_no_split_comes_twice(n: int, n_test: int) -> None:
    windows, draws = some_windows(n), all_draws(n, n_test)
    n_splits = math.comb(n, n_test) * math.comb(n - n_test, n_test)
    assert len({(tuple(test), tuple(validation)) for _, validation, test in draws}) == len(draws) == n_splits
    for train, validation, test in draws:
        assert sorted([*train, *validation, *test]) == list(range(n))
        assert len(test) == len(validation) == n_test
    validated = np.bincount(np.concatenate([validation for _, validation, _ in draws]))
    assert validated.min() == validated.max()
    members = [datasets.subject_split(windows, seed).members for seed in (*range(-(-n // n_test)), n_splits)]
    assert {subject for each in members[:-1] for subject in each["test"]} == set(range(n))
    assert members[-1] == members[0]  # no further split is left


def test_many_subjects_give_each_seed_a_split_of_its_own() -> None:
    label = np.zeros(120, int)
    label[np.isin(np.repeat(np.arange(10), 12), (0, 1, 2))] = 1  # 6 ways to give each part a walker
    label[::12] = 0
    windows = some_windows(label=label)
    members = [datasets.subject_split(windows, seed).members for seed in range(40)]
    assert len({(each["test"], each["validation"]) for each in members}) == 40
    drawn = [datasets.subject_split(some_windows(30), seed).members["test"] for seed in (0, 1, 101)]
    assert len(set(drawn)) == 3


def test_a_draw_avoids_those_of_smaller_seeds_until_none_is_left() -> None:
    discarded: list[int] = []
    draws = [
        distinct_draw(4, 1, seed, lambda draw: draw[2][0] < 3, lambda attempt, _: discarded.append(attempt))
        for seed in range(10)
    ]
    parts = [tuple(map(tuple, draw[0])) for draw in draws if draw is not None]
    assert len(parts) == 10
    assert len(set(parts[:9])) == 9  # 3 test members times 3 validation members
    assert parts[9] in parts[:9]
    assert discarded
    assert distinct_draw(4, 1, 0, lambda _: False, lambda *_: None) is None


def test_seeds_that_share_a_split_are_refused_with_the_number_that_do_not() -> None:
    windows = some_windows(3)
    members = {seed: datasets.subject_split(windows, seed).members for seed in range(8)}
    expect_distinct({seed: members[seed] for seed in range(6)})
    with pytest.raises(ValueError, match=r"got 6 distinct of 8 \(alike: 0 and 6, 1 and 7\).* use at most 6 seeds"):
        expect_distinct(members)


def test_a_split_of_few_subjects_that_lacks_a_class_is_left_out_of_the_turn() -> None:
    label = np.repeat([0, 1, 1, 1, 0], 12)
    label[::12] = 0
    windows = some_windows(5, label=label)
    splits = [datasets.subject_split(windows, seed) for seed in range(6)]
    assert {who for split in splits for who in split.members["test"]} == {1, 2, 3}
    assert len({(split.members["test"], split.members["validation"]) for split in splits}) == 6
    assert datasets.subject_split(windows, 6).n_redraws == 20 - 6  # all were tried
    assert len({datasets.subject_split(windows, s, missing="keep").members["test"] for s in range(5)}) == 5


def test_given_test_subjects_leave_other_validation_subjects_to_each_seed() -> None:
    splits = [datasets.explicit_split(some_windows(6), test=[2, 4], seed=seed) for seed in range(4)]
    assert {split.members["validation"] for split in splits} == {(0,), (1,), (3,), (5,)}


def test_a_draw_without_a_class_is_discarded_and_logged(caplog) -> None:
    label = np.zeros(120, int)
    label[np.isin(np.repeat(np.arange(10), 12), (0, 1, 2))] = 1
    label[::12] = 0
    windows = some_windows(label=label)
    with caplog.at_level("INFO", logger="imuspec.datasets"):
        split = datasets.subject_split(windows, 1)
    assert split.n_redraws == len(caplog.records) > 0
    assert "lacks walk" in caplog.records[0].message
    for index in split.parts().values():
        assert set(windows.label[index]) == {0, 1}
    assert datasets.subject_split(windows, 1, missing="keep").n_redraws == 0


def test_a_class_that_two_subjects_have_cannot_be_in_three_parts() -> None:
    label = np.zeros(120, int)
    label[:24:2] = 1
    with pytest.raises(ValueError, match=r"expected at least three subjects with each class, got fewer for walk \(2\)"):
        datasets.subject_split(some_windows(label=label), 0)


def test_one_subject_cannot_be_split_and_recordings_are_offered() -> None:
    with pytest.raises(ValueError, match=r"at least three subjects .* got 1 .*split_by='recording' if"):
        datasets.subject_split(some_windows(1), 0)


def test_a_split_by_recordings_lets_a_subject_be_on_two_sides_and_no_recording() -> None:
    windows = some_windows(9, subject=np.repeat(np.arange(9) // 3, 12))
    split = datasets.subject_split(windows, 0, split_by="recording")
    assert [len(split.members[part]) for part in ("train", "validation", "test")] == [5, 2, 2]
    with pytest.raises(ValueError, match=r"subjects .* are in both train and"):
        datasets.check_leaks(windows, split)
    datasets.check_leaks(windows, split, allow=("subject",))


def test_given_test_subjects_are_tested_and_the_others_drawn() -> None:
    windows = some_windows()
    split = datasets.explicit_split(windows, test=[2, 4], seed=0)
    assert split.members["test"] == (2, 4)
    assert [len(split.members[part]) for part in ("train", "validation")] == [6, 2]
    explicit = datasets.explicit_split(windows, test=[2], validation=[3])
    assert explicit.members["validation"] == (3,)
    with pytest.raises(ValueError, match="test: expected subjects that have windows, got 77"):
        datasets.explicit_split(windows, test=[77], seed=0)
    with pytest.raises(ValueError, match="validation: expected none of the test subjects, got 2"):
        datasets.explicit_split(windows, test=[2], validation=[2])
    with pytest.raises(ValueError, match="seed: expected a number"):
        datasets.explicit_split(windows, test=[2])


def test_draws_of_few_labels_are_nested_and_balanced() -> None:
    windows = some_windows()
    train = datasets.subject_split(windows, 0).train
    last: set[int] = set()
    for n in (1, 2, 5, 10, 20):
        drawn = datasets.n_shot(windows, train, n, seed=4)
        assert np.bincount(windows.label[drawn]).tolist() == [n, n]
        assert last < set(drawn.tolist()) <= set(train.tolist())
        last = set(drawn.tolist())
    assert datasets.n_shot(windows, train, 5, 0).tolist() != datasets.n_shot(windows, train, 5, 1).tolist()


def test_all_are_taken_with_a_warning_where_there_are_fewer() -> None:
    windows = some_windows()
    train = datasets.subject_split(windows, 0).train
    with pytest.warns(UserWarning, match="expected 50 training windows a class, got 36 of sit, 36 of walk: all are"):
        assert datasets.n_shot(windows, train, 50, 0).size == 72


def leaky(**parts) -> datasets.Split:
    return datasets.Split(**{name: np.asarray(index, np.int64) for name, index in parts.items()})


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"train": [0, 12], "validation": [24], "test": [12, 36]}, "1 windows are in both train and test"),
        ({"train": [0], "validation": [24], "test": [6]}, "subjects 0 are in both train and test"),
        ({"train": [0], "validation": [24], "test": [6]}, "recordings 0 are in both train and test"),
        ({"train": [0], "validation": [24], "test": [1]}, "1 windows of train overlap one of test in time"),
    ],
)
def test_every_kind_of_leak_is_named(parts, message) -> None:
    with pytest.raises(ValueError, match=message):
        datasets.check_leaks(some_windows(), leaky(**parts))


def test_windows_of_one_recording_that_touch_do_not_overlap() -> None:
    split = leaky(train=[0], validation=[24], test=[2])  # 0 to 2 s and 2 to 4 s
    datasets.check_leaks(some_windows(), split, allow=("subject", "recording"))
    with pytest.raises(ValueError, match="overlap one of test in time"):
        datasets.check_leaks(
            some_windows(start_s=np.full(120, np.nan)), split, allow=("subject", "recording")
        )  # times unknown


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

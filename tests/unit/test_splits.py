"""Splits by subject, draws of few labels, and leaks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dataset_values import some_windows
from imuspec import datasets
from imuspec.datasets import Windows
from imuspec.datasets.draws import all_draws, distinct_draw, expect_distinct
from imuspec.datasets.splits import SHOTS


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


def test_a_draw_is_given_up_after_a_thousand_that_were_refused() -> None:
    refused: list[int] = []
    assert distinct_draw(10, 2, 0, lambda _: False, lambda attempt, _: refused.append(attempt)) is None
    assert refused == list(range(1000))


@pytest.mark.parametrize(("seed", "n_draws"), [(100, 101), (101, 1)])
def test_a_draw_is_compared_with_those_of_smaller_seeds_up_to_a_hundred(seed: int, n_draws: int) -> None:
    seen: list[object] = []
    distinct_draw(30, 6, seed, lambda draw: seen.append(draw) is None, lambda *_: None)
    assert len(seen) == n_draws


def test_seeds_that_share_a_split_are_refused_with_the_number_that_do_not() -> None:
    windows = some_windows(3)
    members = {seed: datasets.subject_split(windows, seed).members for seed in range(8)}
    expect_distinct({seed: members[seed] for seed in range(6)})
    with pytest.raises(ValueError, match=r"got 6 distinct of 8 \(alike: 0 and 6, 1 and 7\).* use at most 6 seeds"):
        expect_distinct(members)
    with pytest.raises(ValueError, match=r"got 1 distinct of 6 \(alike: 0 and 1, 0 and 2, 0 and 3\): "):
        expect_distinct({seed: {"test": (1,)} for seed in range(6)})


def test_a_split_of_few_subjects_that_lacks_a_class_is_left_out_of_the_turn() -> None:
    label = np.repeat([0, 1, 1, 1, 0], 12)
    label[::12] = 0
    windows = some_windows(5, label=label)
    splits = [datasets.subject_split(windows, seed) for seed in range(6)]
    assert {who for split in splits for who in split.members["test"]} == {1, 2, 3}
    assert len({(split.members["test"], split.members["validation"]) for split in splits}) == 6
    assert datasets.subject_split(windows, 6).n_redraws == 20 - 6  # all were tried
    assert len({datasets.subject_split(windows, s, missing="keep").members["test"] for s in range(5)}) == 5


def test_everybody_with_every_class_tests_before_anybody_tests_again() -> None:
    subject, label = np.repeat(np.arange(6), 2), np.tile([0, 1], 6)
    seen = (label == 0) | ~np.isin(subject, [4, 5])  # two of six lack a class
    x = np.zeros((12, 3, 8), np.float32)
    made = Windows(
        x=x, label=label, subject=subject, recording=subject, start_s=np.arange(12.0), rate=50, class_names=("a", "b")
    )
    windows = made.select(seen)
    tested = [datasets.subject_split(windows, seed).members["test"] for seed in range(8)]
    assert sorted(tested[:4]) == sorted(tested[4:]) == [(0,), (1,), (2,), (3,)]
    expect_distinct({seed: datasets.subject_split(windows, seed).members for seed in range(8)})


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


def one_second_windows(label: np.ndarray, class_names: tuple[str, ...], name: str) -> Windows:
    subject = np.arange(len(label)) // 12
    start_s = np.arange(len(label)) % 12
    x = np.zeros((len(label), 3, 100), np.float32)
    return Windows(
        x=x,
        label=label,
        subject=subject,
        recording=subject,
        start_s=start_s,
        rate=50,
        class_names=class_names,
        name=name,
    )


def test_a_class_of_one_subject_is_named_and_one_that_nobody_has_is_not() -> None:
    label = np.zeros(120, int)
    label[:12:2] = 1
    windows = one_second_windows(label=label, class_names=("still", "walk", "run"), name="")
    with pytest.raises(ValueError, match=r"windows: .* each class, got fewer for walk \(1\): use"):
        datasets.subject_split(windows, 0)


def test_shots_are_those_of_the_papers() -> None:
    assert SHOTS == (1, 2, 5, 10, 20, 50)

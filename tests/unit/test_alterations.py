"""Altered test sets: each does what it says, from its seed alone, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from imuspec import datasets
from imuspec.datasets import alterations
from imuspec.datasets.recordings import count_times, runs_of

X = np.random.default_rng(1).normal(0, 1, (200, 3, 100)).astype(np.float32) + 5  # nowhere 0


@pytest.mark.parametrize("name", alterations.ALTERATIONS)
def test_the_same_seed_gives_the_same_bits_and_leaves_the_input_alone(name) -> None:
    before = X.copy()
    one = alterations.ALTERATIONS[name](X, 3)
    np.testing.assert_array_equal(one, alterations.ALTERATIONS[name](X, 3))
    assert not np.array_equal(one, alterations.ALTERATIONS[name](X, 4))
    np.testing.assert_array_equal(X, before)
    assert one.dtype == np.float32
    assert one.shape == X.shape


def test_a_shift_moves_every_axis_alike_and_leaves_zeros() -> None:
    out = alterations.time_shifted(X, 0)
    empty = (out == 0).all(axis=1)
    for row in range(len(X)):
        n = int(empty[row].sum())
        assert n <= 45
        moved = [np.s_[n:], np.s_[: 100 - n]] if n and empty[row, 0] else [np.s_[: 100 - n], np.s_[n:]]
        np.testing.assert_array_equal(out[row][:, moved[0]], X[row][:, moved[1]])
    assert empty.sum(axis=1).max() > 40
    assert 0.4 < (empty[:, 0]).mean() < 0.6  # as often one way as the other
    assert (alterations.time_shifted(X, 0, fill="edge") != 0).all()


def test_a_mask_has_four_stretches_of_an_eighth_that_do_not_overlap() -> None:
    x = np.ones((500, 3, 320), np.float32)
    out = alterations.masked(x, 0)
    hidden = (out == 0).all(axis=1)
    assert (hidden.sum(axis=1) == 160).all()
    assert ((out == 0) == hidden[:, None]).all()
    edges = np.diff(np.pad(hidden.astype(int), ((0, 0), (1, 1))), axis=1)
    for row in edges:
        lengths = np.flatnonzero(row == -1) - np.flatnonzero(row == 1)
        assert (lengths % 40 == 0).all()
    assert hidden.mean(axis=0).min() > 0  # no place is spared
    assert (alterations.masked(x, 0, n_stretches=1, fraction=1.0) == 0).all()
    with pytest.raises(ValueError, match="expected 4 stretches that fit into 320 samples, got 160"):
        alterations.masked(x, 0, fraction=0.5)


def test_placements_of_a_mask_are_equally_likely() -> None:
    out = alterations.masked(np.ones((30_000, 3, 6), np.float32), 0, n_stretches=2, fraction=1 / 3)
    patterns, number = np.unique(out[:, 0] == 0, axis=0, return_counts=True)
    assert len(patterns) == 6  # two pairs among six samples
    np.testing.assert_allclose(number, 5000, atol=4 * np.sqrt(30_000 * 5 / 36))


def test_a_rotation_keeps_norms_and_hands() -> None:
    out = alterations.rotated(X, 0)
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), np.linalg.norm(X, axis=1), rtol=1e-5)
    volume = np.linalg.det(np.moveaxis(out[..., :3], 1, 2).astype(float))
    np.testing.assert_allclose(volume, np.linalg.det(np.moveaxis(X[..., :3], 1, 2).astype(float)), atol=1e-3)


def test_axes_are_permuted_with_signs_in_all_48_ways() -> None:
    x = np.tile(np.array([[1.0], [2.0], [3.0]], np.float32), (5000, 1, 4))
    out = alterations.axes_permuted(x, 0)
    assert len(np.unique(out[..., 0], axis=0)) == 48


def test_noise_is_uniform_and_as_wide_as_asked() -> None:
    noise = alterations.noised(np.zeros((200, 3, 100)), 0)
    assert np.abs(noise).max() == pytest.approx(0.0866, rel=1e-3)
    assert noise.std() == pytest.approx(0.05, rel=0.01)
    assert abs(noise.mean()) < 1e-3
    assert np.abs(alterations.noised(np.zeros((2, 3, 9)), 0, amplitude_g=0)).max() == 0


def test_segments_are_permuted_whole() -> None:
    x = np.tile(np.arange(1, 101, dtype=np.float32), (50, 3, 1))
    out = alterations.permuted(x, 0)
    np.testing.assert_array_equal(np.sort(out, axis=-1), x)
    breaks = (np.diff(out[:, 0], axis=-1) != 1).sum(axis=1)
    assert breaks.max() == 3
    with pytest.raises(ValueError, match="expected 4 segments that fit into 100 samples, got 30 each"):
        alterations.permuted(x, 0, min_samples=30)


def labelled(n: int = 3000) -> datasets.LabelledRecording:
    time = count_times(n, 50)
    return datasets.LabelledRecording(
        subject=1,
        recording="one",
        sensor="wrist",
        rate=50.0,
        acceleration=np.tile(np.arange(n, dtype=np.float32) / 1000, (3, 1)),
        time=time,
        runs=runs_of(time, 50.0),
        label=np.zeros(n, np.int64),
        class_names=("sit",),
    )


def test_the_four_sets_of_the_table_keep_all_but_the_signal() -> None:
    windows = datasets.cut([labelled()], window_s=2)
    made = datasets.altered_sets(windows, 0, settings={"noised": {"amplitude_g": 0.2}, "permuted": {}})
    assert list(made) == ["time-shifted", "masked", "rotated", "noised", "permuted"]
    for name, altered in made.items():
        assert altered.label.tolist() == windows.label.tolist()
        assert altered.settings["alteration"] == name
        assert not np.array_equal(altered.x, windows.x)
    assert np.abs(made["noised"].x - windows.x).max() > 0.19
    with pytest.raises(ValueError, match=r"settings: expected one of 'time-shifted', .*, got 'shifted'"):
        datasets.altered_sets(windows, 0, settings={"shifted": {}})


def test_a_true_shift_shows_what_the_recording_holds_there() -> None:
    windows = datasets.cut([labelled()], window_s=2)
    moved = datasets.rewindowed(windows, [labelled()], 0)
    np.testing.assert_allclose(moved.x[:, 0, 0], moved.start_s * 50 / 1000, atol=1e-5)
    assert np.abs(moved.start_s - windows.start_s).max() <= 0.91
    assert (moved.start_s != windows.start_s).mean() > 0.9
    assert (moved.x != 0).mean() > 0.99
    with pytest.raises(ValueError, match="recordings: 59 windows are in none of them"):
        datasets.rewindowed(windows, [], 0)

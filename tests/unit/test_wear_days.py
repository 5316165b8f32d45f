"""Days of wear as batches: which windows, the same whoever reads them, and what is missing."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imuspec import Cohort
from imuspec.datasets import DaySettings, WearDays
from imuspec.datasets.patches import hide_patches, patch_labels, scored_windows, spread_starts, stride_starts
from imuspec.datasets.wear_days import waiting_batches
from reference_data import DATA, needs_data
from wear_cohort import RATE, write_cohort

SHORT = DaySettings(hours=0.25, window_s=100.0, overlap_s=10.0)


def days(cohort: Cohort, settings: DaySettings = SHORT, **options: Any) -> WearDays:
    """Two short recordings per batch."""
    return WearDays(cohort, settings, **{"recordings": 2, **options})


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    folder = tmp_path_factory.mktemp("wear")
    return write_cohort(folder / "cohort", {"a": 0.5, "b": 0.4, "c": 0.3, "d": 0.35, "e": 0.02})


@needs_data
def test_the_windows_of_a_day_start_where_the_stored_numbers_say() -> None:
    expected = json.loads((DATA / "reference" / "misc_golden.json").read_text())["window_starts_s"]
    assert (spread_starts(8640) * 10).tolist() == expected


def test_strict_windows_and_fine_tuning_windows_keep_their_stride() -> None:
    strict = spread_starts(8640, strict=True)
    assert len(strict) == 31
    assert set(np.diff(strict)) == {270}
    assert len(stride_starts(8640)) == 279
    assert stride_starts(8640)[1] * 10 == 300


@pytest.mark.parametrize("n", [1, 299, 300, 301, 599, 600, 601, 8640])
def test_every_patch_is_covered_and_scored_once(n: int) -> None:
    starts = spread_starts(n)
    assert starts[0] == 0
    assert starts[-1] == max(n - 300, 0)
    assert (np.diff(starts) <= 270).all()
    scored = [p for start, first, end in scored_windows(n) for p in range(first, end) if p >= start]
    assert scored == list(range(n))
    assert all(min(start + 300, n) >= end > first for start, first, end in scored_windows(n))


def test_of_equally_frequent_labels_the_first_in_time_wins() -> None:
    assert patch_labels([1, 1, 0, 0], 4).tolist() == [1]
    assert patch_labels([0, 1, 1, 0, -1, -1, -1, 2, 9], 4).tolist() == [0, 2]
    assert patch_labels([-1] * 8, 4).tolist() == [-1, -1]


def test_exactly_sixty_percent_of_the_measured_patches_are_hidden() -> None:
    missing = np.zeros((50, 300), np.bool_)
    missing[25:, 100:] = True
    hidden = hide_patches(missing, 0.6, np.random.default_rng(0))
    assert (hidden[:25].sum(1) == 180).all()
    assert (hidden[25:].sum(1) == 60).all()
    assert not (hidden & missing).any()
    assert np.ptp(hidden[:25].sum(0)) > 0


def test_a_batch_holds_the_stretch_that_the_cohort_draws(cohort: Cohort) -> None:
    source = days(cohort, seed=3, ids=["a", "b", "c", "d"])
    assert source.steps_per_epoch == 2
    x, hidden = source.windows(next(source.epoch(1)))
    order = [source.ids[i] for i in np.random.default_rng([3, 1]).permutation(4)][:2]
    drawn = list(cohort.random_windows(0.25, seed=3, epoch=1, ids=order))
    starts = spread_starts(90, window=10, overlap=1)
    expected = [w.acceleration[:, s * 300 : s * 300 + 3000] for w in drawn for s in starts]
    np.testing.assert_array_equal(x.numpy(), np.stack(expected))
    assert hidden.sum(1).tolist() == [6] * len(expected)


def test_a_batch_holds_each_sample_once_as_stored_and_the_first_rows_of_its_windows(cohort: Cohort) -> None:
    source = days(cohort, ids=["a", "b"])
    stored, first_rows, hidden = next(source.epoch(0))
    assert (stored.dtype, stored.shape) == (torch.int16, (2 * 3 * 90, 300))
    starts = spread_starts(90, window=10, overlap=1)
    expected = [[270 * day + 90 * axis + start for axis in range(3)] for day in (0, 1) for start in starts]
    assert first_rows.tolist() == expected
    x, same = source.windows((stored, first_rows, hidden))
    plain = [[stored[row : row + 10].reshape(-1) for row in rows] for rows in expected]
    np.testing.assert_array_equal(x.numpy(), np.float32(plain) * np.float32(source.step_g))
    assert same is hidden
    assert x.is_contiguous()


def test_what_strict_windows_leave_out_is_not_read(cohort: Cohort) -> None:
    source = days(cohort, replace(SHORT, strict=True, hours=0.26), ids=["a", "b"])
    stored, first_rows, _ = next(source.epoch(0))
    assert (len(stored), len(first_rows)) == (2 * 3 * 91, 20)  # 93 patches, of which ten windows reach to the 91st


def test_a_batch_without_a_window_is_cut_to_none(cohort: Cohort) -> None:
    source = days(cohort)
    empty = torch.empty((0, 300), dtype=torch.int16), torch.empty((0, 3), dtype=torch.int64)
    assert source.windows((*empty, torch.empty((0, 1), dtype=torch.bool)))[0].shape == (0, 3, 300)


def test_batches_follow_from_seed_epoch_and_step_alone(cohort: Cohort) -> None:
    source = days(cohort, seed=1, settings=replace(SHORT, visits=2))
    first = [list(source.epoch(epoch)) for epoch in (0, 1)]
    again = days(cohort, seed=1, settings=replace(SHORT, visits=2))
    for epoch, start in ((1, 0), (1, 2), (0, 1)):
        for mine, other in zip(first[epoch][start:], again.epoch(epoch, start), strict=True):
            assert all(torch.equal(a, b) for a, b in zip(mine, other, strict=True))
    assert not torch.equal(first[0][0][0], first[1][0][0])


def test_two_processes_share_the_batches_of_one(cohort: Cohort) -> None:
    ids = ["a", "b", "c", "d"]
    sources = [days(cohort, ids=ids, process=process) for process in ((0, 1), (0, 2), (1, 2))]
    whole, *halves = ([source.windows(batch) for batch in source.epoch(0)] for source in sources)
    for batch, one, two in zip(whole, *halves, strict=True):
        for parts in zip(batch, one, two, strict=True):
            assert torch.equal(parts[0], torch.cat(parts[1:]))


def test_workers_give_the_same_batches_over_several_epochs(cohort: Cohort) -> None:
    plain = days(cohort, settings=replace(SHORT, visits=2))
    ahead = days(cohort, settings=replace(SHORT, visits=2), workers=2)
    for epoch, first in ((0, 0), (1, 2)):
        for one, other in zip(plain.epoch(epoch, first), ahead.epoch(epoch, first), strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_short_recordings_take_part_with_padding_or_are_skipped(cohort: Cohort) -> None:
    ids = ["a", "e"]
    source = days(cohort, ids=ids)
    x, hidden, missing = source.windows(next(source.epoch(0)))
    short = missing.any(1)
    assert int(short.sum()) == 1
    assert missing[short].tolist() == [[False] * 7 + [True] * 3]
    assert hidden[short].sum() == 4
    assert x.shape[1:] == (3, 3000)
    values = cohort.read("e", 0, 70)
    np.testing.assert_array_equal(x[short][0].numpy(), np.pad(values, ((0, 0), (0, 900))))
    assert days(cohort, ids=["a", "b", "e"], settings=replace(SHORT, shorter="skip")).ids == ["a", "b"]


def test_nonwear_can_be_left_in_as_missing_patches(tmp_path: Path) -> None:
    first, stop = 300 * 60, 300 * 75 + 10
    cohort = write_cohort(tmp_path / "cohort", {"a": 0.5, "b": 0.5}, nonwear=(first, stop))
    remaining = days(cohort, replace(SHORT, hours=0.4))
    assert all(len(batch) == 3 for batch in itertools.chain(*(remaining.epoch(e) for e in range(3))))
    left_in = days(cohort, replace(SHORT, missing="mask", hours=0.5))
    stored, first_rows, hidden, missing = next(left_in.epoch(0))
    assert len(first_rows) == len(hidden)
    assert stored.shape == (2 * 3 * 180, 300)  # the stretch is handed over whole, whatever windows are left out
    starts = spread_starts(180, window=10, overlap=1)
    lost = (starts[:, None] + np.arange(10) >= 60) & (starts[:, None] + np.arange(10) < 76)
    lost = lost[~lost.all(1)]
    np.testing.assert_array_equal(missing.numpy(), np.concatenate([lost, lost]))
    assert not (hidden & missing).any()
    assert hidden.sum(1).tolist() == [int(0.6 * n + 0.5) for n in (~missing).sum(1).tolist()]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"recordings": 9}, "recordings: expected at most"),
        ({"process": (0, 2), "recordings": 3}, "multiple of the 2 processes"),
        ({"mask": 1.0}, "mask"),
        ({"window_s": 105.0}, "window_s"),
        ({"overlap_s": 100.0}, "overlap"),
    ],
)
def test_settings_that_do_not_fit_are_refused(cohort: Cohort, settings: dict[str, Any], message: str) -> None:
    of_days = {name: settings.pop(name) for name in ("mask", "window_s", "overlap_s") if name in settings}
    with pytest.raises(ValueError, match=message):
        days(cohort, replace(SHORT, **of_days), **settings)
    with pytest.raises(KeyError, match="ids"):
        days(cohort, ids=["nobody"])
    assert RATE == 30


@pytest.mark.parametrize(
    ("n_bytes", "workers", "memory", "n"),
    [(10**8, 6, 128 * 10**9, 4), (10**8, 15, 32 * 10**9, 2), (10**9, 8, 10**9, 1)],
)
def test_batches_that_wait_take_a_tenth_of_the_memory(n_bytes: int, workers: int, memory: int, n: int) -> None:
    assert waiting_batches(n_bytes, workers, memory) == n


def test_workers_of_a_short_day_hold_four_batches_ready(cohort: Cohort) -> None:
    assert days(cohort, workers=1)._loader.prefetch_factor == 4
    assert days(cohort, workers=1, prefetch=2)._loader.prefetch_factor == 2

"""Figures of predictions against scikit-learn and SciPy, intervals, tests over seeds, tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imuspec import evaluation

metrics = pytest.importorskip("sklearn.metrics")
pd = pytest.importorskip("pandas")


def guesses(n_classes: int, absent: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(11)
    truth = rng.integers(0, n_classes, 300)
    if absent is not None:
        truth = np.where(truth == absent, (absent + 1) % n_classes, truth)
    return truth, np.where(rng.random(300) < 0.6, truth, rng.integers(0, n_classes, 300))


@pytest.mark.parametrize(("n_classes", "absent"), [(2, None), (6, None), (6, 3), (4, 0)])
def test_the_figures_are_scikit_learns(n_classes: int, absent: int | None) -> None:
    truth, predicted = guesses(n_classes, absent)
    got = evaluation.score(truth, predicted, [str(i) for i in range(n_classes)])
    present = np.unique(truth)
    want = metrics.f1_score(truth, predicted, labels=present, average="macro", zero_division=0)
    assert got.macro_f1 == pytest.approx(want, abs=1e-12)
    recall = metrics.recall_score(truth, predicted, labels=present, average="macro")
    assert got.values["balanced_accuracy"] == pytest.approx(recall, abs=1e-12)
    assert got.values["kappa"] == pytest.approx(metrics.cohen_kappa_score(truth, predicted), abs=1e-12)
    assert got.values["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted), abs=1e-12)
    every = metrics.f1_score(truth, predicted, labels=range(n_classes), average=None, zero_division=0)
    for label, value in enumerate(got.f1.values()):
        assert np.isnan(value) if label == absent else value == pytest.approx(every[label], abs=1e-12)
    np.testing.assert_array_equal(got.confusion, metrics.confusion_matrix(truth, predicted, labels=range(n_classes)))


def test_a_class_never_predicted_scores_zero_and_counts() -> None:
    got = evaluation.score([0, 0, 1, 1], [0, 0, 0, 0], ["a", "b"])
    assert got.f1 == {"a": pytest.approx(2 / 3), "b": 0.0}
    assert got.macro_f1 == pytest.approx(1 / 3)
    assert got.values["kappa"] == 0.0


def test_many_classifiers_at_once_are_each_by_itself() -> None:
    rng = np.random.default_rng(12)
    truth = rng.integers(0, 5, 100)
    predicted = rng.integers(0, 5, (3, 4, 100))
    at_once = evaluation.metrics(evaluation.confusion_matrix(truth, predicted, 5))
    for i in range(3):
        for j in range(4):
            alone = evaluation.metrics(evaluation.confusion_matrix(truth, predicted[i, j], 5))
            assert all(at_once[name][i, j] == alone[name] for name in evaluation.METRICS)


def test_predictions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"predicted: expected \[\.\.\., 2\]"):
        evaluation.confusion_matrix([0, 1], [0], 2)
    with pytest.raises(ValueError, match="truth: expected classes 0 to 1, got 0 to 2"):
        evaluation.confusion_matrix([0, 2], [0, 1], 2)
    with pytest.raises(ValueError, match="level: expected more than 0"):
        evaluation.subject_bootstrap([0], [0], ["a"], 2, level=1)
    with pytest.raises(ValueError, match="subject: expected one for each of 2 windows, got 1"):
        evaluation.subject_bootstrap([0, 1], [0, 1], ["a"], 2)


def test_the_bootstrap_redraws_whole_subjects() -> None:
    subject = np.repeat(np.arange(12), 25)
    truth, predicted = guesses(3)
    interval = evaluation.subject_bootstrap(truth, predicted, subject, 3, n_draws=400, seed=5)
    draws = np.random.default_rng(5).multinomial(12, np.full(12, 1 / 12), size=400)
    by_hand = []
    for times in draws:
        rows = np.concatenate([np.flatnonzero(subject == who) for who in range(12) for _ in range(times[who])])
        by_hand.append(metrics.f1_score(truth[rows], predicted[rows], average="macro"))
    np.testing.assert_allclose(interval["macro_f1"], np.quantile(by_hand, (0.025, 0.975)), atol=1e-12)
    assert interval == evaluation.subject_bootstrap(truth, predicted, subject, 3, n_draws=400, seed=5)


def test_subjects_that_differ_widen_the_interval_and_one_subject_gives_none() -> None:
    truth = np.tile([0, 1], 100)
    subject = np.repeat(np.arange(10), 20)
    good = np.where(subject < 5, truth, 1 - truth)  # half of the people are read perfectly, half never
    mixed = np.where(np.random.default_rng(13).random(200) < 0.5, truth, 1 - truth)
    wide = evaluation.subject_bootstrap(truth, good, subject, 2)["accuracy"]
    narrow = evaluation.subject_bootstrap(truth, mixed, subject, 2)["accuracy"]
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])
    assert np.isnan(evaluation.subject_bootstrap(truth, good, np.zeros(200), 2)["kappa"]).all()


def test_two_subjects_are_enough_for_an_interval_and_the_default_is_seed_0_at_95_per_cent() -> None:
    truth, predicted, subject = [0, 1, 0, 1, 0, 1], [0, 1, 0, 0, 1, 1], [0, 0, 1, 1, 1, 1]
    bounds = evaluation.subject_bootstrap(truth, predicted, subject, 2, n_draws=1000, level=0.95, seed=0)
    assert bounds["accuracy"] == (0.5, 1.0)
    assert evaluation.score(truth, predicted, ["a", "b"], subject=subject).interval == bounds
    assert evaluation.subject_bootstrap(truth, predicted, subject, 2) == bounds
    narrow = evaluation.subject_bootstrap(truth, predicted, subject, 2, level=0.2)["accuracy"]
    assert 0.5 <= narrow[0] <= narrow[1] < 1.0


def scores_of(*, weights: tuple[int, ...] = (0,), ratio: float = 0.0, **rows: Any) -> Any:
    """A row of a table for each method, split and draw of the weights, from arrays [split] or [split, draw]."""
    lines = []
    for row, values in rows.items():
        grid = np.asarray(values, float).reshape(len(values), -1)
        lines += [
            {"row": row, "column": "c", "seed": i, "weights_seed": w, "macro_f1": grid[i, k], "test_over_train": ratio}
            for i in range(len(grid))
            for k, w in enumerate(weights[: grid.shape[1]])
        ]
    return pd.DataFrame(lines)


def test_without_correction_and_draws_the_paired_test_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(14)
    first, second = rng.normal(0.7, 0.05, 6), rng.normal(0.62, 0.05, 6)
    row = evaluation.paired_differences(scores_of(a=first, b=second)).iloc[0]
    expected = stats.ttest_rel(first, second)
    interval = expected.confidence_interval(0.95)
    assert (row.t, row.p, row.df) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue), 5)
    assert (row.low, row.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert (row["first"], row["second"], row.n_splits, row.p_holm) == ("a", "b", 6, row.p)


def test_overlapping_training_sets_widen_the_interval_by_nadeau_and_bengios_factor() -> None:
    rng = np.random.default_rng(15)
    first, second = rng.normal(0.7, 0.05, 5), rng.normal(0.6, 0.05, 5)
    plain = evaluation.paired_differences(scores_of(a=first, b=second)).iloc[0]
    corrected = evaluation.paired_differences(scores_of(a=first, b=second, ratio=1 / 3)).iloc[0]
    assert corrected.difference == plain.difference
    factor = np.sqrt((1 / 5 + 1 / 3) / (1 / 5))
    assert corrected.high - corrected.low == pytest.approx(factor * (plain.high - plain.low))
    assert corrected.t == pytest.approx(plain.t / factor)


def test_the_corrected_test_keeps_its_level_where_the_plain_one_does_not() -> None:
    """Differences of splits that share data correlate by n_test / (n_test + n_train); the truth is no difference."""
    rng, ratio, n, tables = np.random.default_rng(16), 1 / 3, 5, 150
    shared = ratio / (1 + ratio)
    common, own = rng.normal(0, np.sqrt(shared), tables), rng.normal(0, np.sqrt(1 - shared), (n, tables))
    scores = pd.concat([scores_of(a=common[i] + own[:, i], b=np.zeros(n)).assign(column=i) for i in range(tables)])
    plain = evaluation.paired_differences(scores)
    corrected = evaluation.paired_differences(scores.assign(test_over_train=ratio))
    assert (corrected["p"] < 0.05).mean() < 0.08
    assert (plain["p"] < 0.05).mean() > 0.12


def test_the_spread_of_weights_counts_as_well_as_that_of_splits() -> None:
    split, weights = np.arange(5) * 0.01, np.array([-0.1, 0.0, 0.1])
    first = 0.5 + split[:, None] + weights
    one = evaluation.paired_differences(scores_of(a=first[:, 1], b=0.4 + split * 1.1, weights=(0, 1, 2))).iloc[0]
    many = evaluation.paired_differences(scores_of(a=first, b=0.4 + split * 1.1, weights=(0, 1, 2))).iloc[0]
    assert many.difference == pytest.approx(one.difference)
    assert (one.p < 0.001, many.p > 0.1) == (True, True)  # 3 networks that differ by .1 hold no difference of .1
    by_hand = np.sqrt((split * 0.1).var(ddof=1) / 5 + weights.var(ddof=1) / 3)
    assert many.t == pytest.approx(many.difference / by_hand)


def test_the_interval_of_a_mean_is_that_of_its_difference_from_zero() -> None:
    first = np.array([[0.5, 0.6, 0.8], [0.4, 0.7, 0.7]]).T
    both = scores_of(a=first, b=np.zeros(3), weights=(0, 1), ratio=1 / 3)
    expected = evaluation.paired_differences(both).iloc[0]
    low, high = evaluation.mean_interval(both[both["row"] == "a"])
    assert (low, high) == pytest.approx((expected["low"], expected["high"]))
    assert low < first.mean() < high
    assert all(np.isnan(evaluation.mean_interval(both[(both["row"] == "a") & (both["seed"] == 0)])))


def test_pairs_are_taken_within_a_column_over_the_shared_splits() -> None:
    scores = scores_of(a=[0.5, 0.6, 0.9], b=[0.4, 0.4], c=[0.1, 0.4])
    other = scores_of(a=[0.5, 0.6], b=[0.4, 0.4]).assign(column="other")
    table = evaluation.paired_differences(pd.concat([scores, other]))
    assert table[["column", "first", "second"]].to_numpy().tolist() == [
        ["c", "a", "b"], ["c", "a", "c"], ["c", "b", "c"], ["other", "a", "b"]
    ]  # fmt: skip
    assert table.loc[0, "difference"] == pytest.approx(0.15)
    assert table.loc[0, "n_splits"] == 2
    assert table.loc[3, "p_holm"] == table.loc[3, "p"]
    assert table.loc[:2, "p_holm"].to_numpy() == pytest.approx(evaluation.holm(table.loc[:2, "p"]))
    alone = evaluation.paired_differences(scores_of(a=[0.5], b=[0.4])).iloc[0]
    assert (alone.difference, alone.n_splits, np.isnan(alone.p)) == (pytest.approx(0.1), 1, True)
    assert np.isnan(evaluation.paired_differences(scores_of(a=[0.5, 0.6], b=[0.4, 0.5]))["p"].item())  # no spread


def test_a_table_without_what_pairing_needs_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected the columns .* got none of test_over_train"):
        evaluation.paired_differences(scores_of(a=[1, 2]).drop(columns="test_over_train"))
    with pytest.raises(ValueError, match="level: expected more than 0 and less than 1, got 95"):
        evaluation.paired_differences(scores_of(a=[1, 2]), level=95)


def test_holm_is_its_definition_and_leaves_what_is_undefined() -> None:
    np.testing.assert_allclose(evaluation.holm([0.01, 0.04, 0.03, np.nan]), [0.03, 0.06, 0.06, np.nan])
    np.testing.assert_allclose(evaluation.holm([0.9, 0.8]), [1.0, 1.0])


def test_a_summary_has_the_deviation_of_n_less_one_and_keeps_the_order() -> None:
    frame = pd.DataFrame({"method": ["b", "b", "a", "a"], "macro_f1": [0.5, 0.7, 0.2, 0.2]})
    table = evaluation.summary(frame, ["method"], ["macro_f1"])
    assert table["method"].tolist() == ["b", "a"]
    assert table["macro_f1_sd"].tolist() == pytest.approx([np.std([0.5, 0.7], ddof=1), 0])
    assert np.isnan(evaluation.mean_sd([1.0])[1])


def test_a_table_is_written_for_programs_and_for_people(tmp_path: Path) -> None:
    frame = pd.DataFrame({"row": ["MoCo"], "f1": [0.6891], "f1_sd": [0.0234], "n": [5], "paper": [np.nan]})
    evaluation.write_table(frame, tmp_path / "table")
    assert pd.read_csv(tmp_path / "table.csv")["f1"].item() == 0.6891
    assert json.loads((tmp_path / "table.json").read_text("utf-8"))[0]["paper"] is None
    text = (tmp_path / "table.txt").read_text("utf-8").splitlines()
    assert text[0].split() == ["row", "f1", "n", "paper"]
    assert text[1].split() == ["MoCo", "0.689", "±", "0.023", "5", "-"]


def test_every_draw_of_an_interval_averages_over_the_same_classes() -> None:
    """Class c is one subject's, and is never recognised: no draw may be better than without it."""
    truth = np.array([0, 0, 1, 1] * 3 + [0, 1, 2, 2])
    predicted = np.where(truth == 2, 0, truth)
    subject = np.repeat(np.arange(4), 4)
    got = evaluation.score(truth, predicted, ["a", "b", "c"], subject=subject)
    low, high = got.interval["macro_f1"]
    assert low <= got.macro_f1 <= high < 2 / 3
    assert got.interval["balanced_accuracy"] == (pytest.approx(2 / 3), pytest.approx(2 / 3))


def test_there_is_no_interval_where_hardly_a_draw_has_every_class() -> None:
    each = np.arange(12)
    got = evaluation.score(np.repeat(each, 2), np.repeat(each, 2), list(map(str, each)), subject=np.repeat(each, 2))
    assert np.isnan(got.interval["macro_f1"]).all()


def test_a_class_of_a_single_window_counts_like_any_other() -> None:
    got = evaluation.score([0, 1, 1], [0, 1, 0], ["a", "b"])
    assert got.values["balanced_accuracy"] == pytest.approx(0.75)
    assert got.macro_f1 == pytest.approx(2 / 3)

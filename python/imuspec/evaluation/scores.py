"""Scores of predictions, all from the confusion matrix, and their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "METRICS",
    "Scores",
    "confusion_matrix",
    "metrics",
    "most_probable",
    "per_class_f1",
    "score",
    "subject_bootstrap",
]

_MOST_REDRAWS = 50  # times as many draws as are used

#: Names of the scores that `metrics` returns, in the order of every table.
METRICS = ("macro_f1", "balanced_accuracy", "kappa", "accuracy")


def most_probable(scores: ArrayLike) -> NDArray[np.int64]:
    """Return the class with the highest score. NaN has none, so that it cannot pass for the first class.

    Parameters
    ----------
    scores : array [..., n_classes]
        Logits or probabilities.

    Returns
    -------
    array of int64 [...]

    Raises
    ------
    ValueError
        If a score is NaN.
    """
    values = np.asarray(scores)
    if np.isnan(values).any():
        n, rows = int(np.isnan(values).any(-1).sum()), int(np.prod(values.shape[:-1]))
        raise ValueError(
            f"scores: expected numbers, got NaN in {n} of {rows} windows: samples are missing, or weights have diverged"
        )
    return np.asarray(values.argmax(-1), np.int64)


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Count the predictions of each class for each true class.

    Parameters
    ----------
    truth : array of int [n]
        True classes, 0 to ``n_classes - 1``.
    predicted : array of int [..., n]
        Predictions of one or many classifiers on the same windows.
    n_classes : int
        Number of classes.

    Returns
    -------
    array of int64 [..., n_classes, n_classes]
        Rows are the truth, columns the prediction.

    Raises
    ------
    ValueError
        If lengths differ, or a class is outside the range.
    """
    true = np.asarray(truth, np.int64)
    guess = np.asarray(predicted, np.int64)
    if true.ndim != 1 or guess.ndim < 1 or guess.shape[-1] != true.size:
        raise ValueError(f"predicted: expected [..., {true.size}] beside truth [n], got {guess.shape} and {true.shape}")
    for name, values in (("truth", true), ("predicted", guess)):
        if values.size and not 0 <= values.min() <= values.max() < n_classes:
            raise ValueError(f"{name}: expected classes 0 to {n_classes - 1}, got {values.min()} to {values.max()}")
    flat = guess.reshape(-1, true.size)
    cells = n_classes * n_classes
    index = np.arange(len(flat))[:, None] * cells + true * n_classes + flat
    counts = np.bincount(index.ravel(), minlength=len(flat) * cells)
    return counts.reshape(*guess.shape[:-1], n_classes, n_classes).astype(np.int64)


def per_class_f1(confusion: ArrayLike) -> NDArray[np.float64]:
    """Return F1 of each class, ``2 tp / (2 tp + fp + fn)``; NaN where the class does not occur in the truth.

    Parameters
    ----------
    confusion : array [..., C, C]
        Counts, rows the truth.

    Returns
    -------
    array of float64 [..., C]
        0 for a class that occurs and is never predicted correctly.
    """
    counts = np.asarray(confusion, np.float64)
    hit = np.diagonal(counts, axis1=-2, axis2=-1)
    true = counts.sum(-1)
    return np.where(true > 0, 2 * hit / np.maximum(true + counts.sum(-2), 1), np.nan)


def metrics(confusion: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Return macro-F1, balanced accuracy, Cohen's kappa and accuracy of one or many confusion matrices.

    Parameters
    ----------
    confusion : array [..., C, C]
        Counts, rows the truth.

    Returns
    -------
    dict of float64 arrays [...]
        Keys are `METRICS`. Macro-F1 and balanced accuracy (the mean recall) are means over the classes that occur in the
        truth; a class that is predicted but does not occur lowers both only through the others. Kappa is
        ``(p - e) / (1 - e)``, p the accuracy, e the accuracy of chance with the same margins; 0 where truth and prediction are
        the same single class, because it is undefined there. NaN for an empty matrix.
    """
    counts = np.asarray(confusion, np.float64)
    true, guessed = counts.sum(-1), counts.sum(-2)
    total = true.sum(-1)
    hit = np.diagonal(counts, axis1=-2, axis2=-1)
    present = (true > 0).sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(true > 0, hit / true, 0).sum(-1) / present
        f1 = np.nansum(per_class_f1(counts), axis=-1) / present
        accuracy = hit.sum(-1) / total
        chance = (true * guessed).sum(-1) / total**2
        kappa = np.where(chance < 1, (accuracy - chance) / np.where(chance < 1, 1 - chance, 1), 0.0)
    kappa = np.where(total > 0, kappa, np.nan)
    return {"macro_f1": f1, "balanced_accuracy": recall, "kappa": kappa, "accuracy": accuracy}


@dataclass(frozen=True)
class Scores:
    """Scores of predictions on one set of windows.

    Attributes
    ----------
    confusion : array of int64 [C, C]
        Counts, rows the truth.
    class_names : tuple of str
        Names of the classes.
    interval : mapping
        Metric -> (low, high) of the subject bootstrap; empty without subjects.
    """

    confusion: NDArray[np.int64]
    class_names: tuple[str, ...]
    interval: Mapping[str, tuple[float, float]]

    @property
    def values(self) -> dict[str, float]:
        """Metric -> value, in the order of `METRICS`."""
        return {name: float(value) for name, value in metrics(self.confusion).items()}

    @property
    def f1(self) -> dict[str, float]:
        """Class -> F1; NaN for one that does not occur."""
        return dict(zip(self.class_names, per_class_f1(self.confusion).tolist(), strict=True))

    @property
    def macro_f1(self) -> float:
        """Macro-F1 over the classes in the truth."""
        return self.values["macro_f1"]


def score(
    truth: ArrayLike,
    predicted: ArrayLike,
    class_names: Sequence[str],
    *,
    subject: ArrayLike | None = None,
    n_draws: int = 1000,
    seed: int = 0,
) -> Scores:
    """Score predictions; with subjects, give intervals.

    Parameters
    ----------
    truth, predicted : array of int [n]
        Classes 0 to C - 1.
    class_names : sequence of str
        Their names.
    subject : array [n], optional
        Subject of each window, for 95 % intervals by `subject_bootstrap`.
    n_draws : int, default 1000
        Draws of the bootstrap.
    seed : int, default 0
        Seed of the bootstrap.

    Returns
    -------
    Scores

    Raises
    ------
    ValueError
        As for `confusion_matrix`.

    Examples
    --------
    >>> from imuspec.evaluation import score
    >>> score([0, 0, 1, 1], [0, 1, 1, 1], ["rest", "walk"]).f1["walk"]
    0.8
    """
    confusion = confusion_matrix(truth, predicted, len(class_names))
    interval: dict[str, tuple[float, float]] = {}
    if subject is not None:
        interval = subject_bootstrap(truth, predicted, subject, len(class_names), n_draws=n_draws, seed=seed)
    return Scores(confusion, tuple(class_names), interval)


def subject_bootstrap(
    truth: ArrayLike,
    predicted: ArrayLike,
    subject: ArrayLike,
    n_classes: int,
    *,
    n_draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Return percentile intervals by drawing whole subjects with replacement, as windows of a subject are not independent.

    A draw that lacks one of the classes in the truth is discarded, so that every draw averages over the same classes.

    Parameters
    ----------
    truth, predicted : array of int [n]
        Classes.
    subject : array [n]
        Subject of each window.
    n_classes : int
        Number of classes.
    n_draws : int, default 1000
        Number of draws.
    level : float, default 0.95
        Coverage.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    dict of (float, float)
        Metric -> (low, high). (NaN, NaN) with a single subject, and where so few subjects have some class that fewer than one
        draw in 50 has them all.

    Raises
    ------
    ValueError
        If lengths differ, a class is outside the range, or the level is outside (0, 1).

    References
    ----------
    Field and Welsh, Bootstrapping clustered data, J. R. Statist. Soc. B 69 (2007): the cluster is what is redrawn.
    """
    if not 0 < level < 1:
        raise ValueError(f"level: expected more than 0 and less than 1, got {level}")
    true, guess = np.asarray(truth, np.int64), np.asarray(predicted, np.int64)
    names, number = np.unique(np.asarray(subject), return_inverse=True)
    if number.size != true.size:
        raise ValueError(f"subject: expected one for each of {true.size} windows, got {number.size}")
    if len(names) < 2:
        return {name: (float("nan"), float("nan")) for name in METRICS}
    each = np.stack([confusion_matrix(true[number == i], guess[number == i], n_classes) for i in range(len(names))])
    rng, share = np.random.default_rng(seed), np.full(len(names), 1 / len(names))
    present = each.sum(axis=(0, 2)) > 0
    parts: list[NDArray[np.int64]] = []
    for _ in range(_MOST_REDRAWS):
        drawn = rng.multinomial(len(names), share, size=n_draws)
        confusion = np.einsum("ds,sij->dij", drawn, each)
        parts.append(confusion[(confusion.sum(-1)[:, present] > 0).all(axis=1)])
        if sum(map(len, parts)) >= n_draws:
            break
    else:
        return {name: (float("nan"), float("nan")) for name in METRICS}
    values = metrics(np.concatenate(parts)[:n_draws])
    tails = (0.5 - level / 2, 0.5 + level / 2)
    bounds = {name: np.quantile(value, tails) for name, value in values.items()}
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}

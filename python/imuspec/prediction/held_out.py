"""Predictions for people that a head had not seen: scores, calibration of probabilities, and prediction sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imuspec.evaluation import Scores, score
from imuspec.prediction.smoothing import Smoother

__all__ = [
    "HeldOut",
    "TemperatureScaling",
    "chains_of",
    "expected_calibration_error",
    "fitted_temperature",
    "log_loss",
    "softmax",
]

_BINS = 15
_LEAST_LOG = -50.0  # so that a class that a fold had no window of does not make a loss infinite
_LOG_TEMPERATURES = (-3.0, 3.0)


def softmax(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float32]:
    """Return the probabilities of logits divided by a temperature, over the last axis."""
    scaled = np.asarray(logits, np.float64) / temperature
    power = np.exp(scaled - scaled.max(-1, keepdims=True))
    return np.asarray(power / power.sum(-1, keepdims=True), np.float32)


@dataclass(frozen=True)
class TemperatureScaling:
    """The temperature of the probabilities.

    Attributes
    ----------
    temperature : float
        Number that divides the logits; 1 where `fitted` does not lower the log loss of people left out.
    fitted : float
        Temperature with the least log loss on all people.
    log_loss : (float, float)
        Without a temperature, and with the temperature of the other folds.
    ece : (float, float)
        The same of the expected calibration error.
    """

    temperature: float
    fitted: float
    log_loss: tuple[float, float]
    ece: tuple[float, float]


@dataclass(frozen=True, eq=False, repr=False)
class HeldOut:
    """Logits of windows of people that the head had not seen, a group of people left out at a time.

    Attributes
    ----------
    logits : array of float32 [n, C]
        Before the temperature.
    label : array of int64 [n]
        True class; -1 without one.
    person : array of int64 [n]
        Number of the person.
    fold : array of int64 [n]
        Group that was left out.
    chain : array of int64 [n]
        Windows of one chain follow each other without gap or overlap, in the order of the rows.
    """

    logits: NDArray[np.float32]
    label: NDArray[np.int64]
    person: NDArray[np.int64]
    fold: NDArray[np.int64]
    chain: NDArray[np.int64]

    @property
    def _known(self) -> NDArray[np.bool_]:
        return np.asarray(self.label >= 0)

    def smoother(self) -> Smoother | None:
        """Return the smoother of the predictions; None if no window follows another."""
        parts = self._chains(self.label)
        if not any(((part[1:] >= 0) & (part[:-1] >= 0)).any() for part in parts):
            return None
        return Smoother.fit(parts, self._chains(self.logits.argmax(1)), self.logits.shape[1])

    def _chains(self, values: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        order = np.argsort(self.chain, kind="stable")
        cuts = np.flatnonzero(np.diff(self.chain[order])) + 1
        return np.split(values[order], cuts)

    def predicted(self, smoother: Smoother | None = None) -> NDArray[np.int64]:
        """Return the predicted class of each window, corrected by a smoother if one is given."""
        guess: NDArray[np.int64] = self.logits.argmax(1)
        if smoother is None:
            return guess
        order = np.argsort(self.chain, kind="stable")
        smoothed = np.empty_like(guess)
        smoothed[order] = np.concatenate([smoother.smooth(part) for part in self._chains(guess)])
        return smoothed

    def confusion(self, smoother: Smoother | None = None) -> NDArray[np.int64]:
        """Return counts [people, C, C], rows the truth."""
        n = self.logits.shape[1]
        known, guess = self._known, self.predicted(smoother)
        counts = np.zeros((int(self.person.max()) + 1, n, n), np.int64)
        np.add.at(counts, (self.person[known], self.label[known], guess[known]), 1)
        return counts

    def scores(self, class_names: Sequence[str], smoother: Smoother | None = None) -> Scores:
        """Return the scores, with intervals over people."""
        known = self._known
        return score(self.label[known], self.predicted(smoother)[known], class_names, subject=self.person[known])

    def calibration(self) -> TemperatureScaling:
        """Return the temperature, and what it does to people whom it was not fitted to.

        It is fitted to all people, and used only if temperatures of the other folds lower the log loss of each fold. The
        calibration error does not decide: on thirty people its difference is mostly noise.
        """
        known = self._known
        logits, label, fold = self.logits[known], self.label[known], self.fold[known]
        before, after = softmax(logits), softmax(logits)
        for number in np.unique(fold).tolist():
            inside = fold == number
            if not inside.all():
                after[inside] = softmax(logits[inside], fitted_temperature(logits[~inside], label[~inside]))
        losses = log_loss(before, label), log_loss(after, label)
        errors = expected_calibration_error(before, label), expected_calibration_error(after, label)
        fitted = fitted_temperature(logits, label)
        return TemperatureScaling(fitted if losses[1] < losses[0] else 1.0, fitted, losses, errors)

    def threshold(self, coverage: float, temperature: float) -> float:
        """Return the least probability of a class in a prediction set, so that the set has the true class at a coverage.

        Parameters
        ----------
        coverage : float
            Probability that the set of a window of a new person has the true class, above 0 and below 1.
        temperature : float
            Temperature of the probabilities.

        Raises
        ------
        ValueError
            If the coverage is outside (0, 1), or needs more people than there are: at most ``K / (K + 1)`` with ``K``.
        """
        known = self._known
        true = softmax(self.logits[known], temperature)[np.arange(int(known.sum())), self.label[known]]
        return _threshold(true, self.person[known], coverage)

    def measured_coverage(self, coverage: float, temperature: float) -> tuple[float, float]:
        """Return the mean coverage over people and the mean size of their sets, each person left out of the threshold."""
        known = self._known
        probability, label, person = softmax(self.logits[known], temperature), self.label[known], self.person[known]
        true = probability[np.arange(len(label)), label]
        hits, sizes = [], []
        for number in np.unique(person).tolist():
            own = person == number
            limit = _threshold(true[~own], person[~own], coverage)
            hits.append(float((true[own] >= limit).mean()))
            sizes.append(float((probability[own] >= limit).sum(1).mean()))
        return float(np.mean(hits)), float(np.mean(sizes))


def _threshold(true: NDArray[np.float32], person: NDArray[np.int64], coverage: float) -> float:
    """Return the quantile of the true classes' probabilities in which each person, and a new one, has the same weight."""
    if not 0 < coverage < 1:
        raise ValueError(f"coverage: expected more than 0 and less than 1, got {coverage:g}")
    people, number, count = np.unique(person, return_inverse=True, return_counts=True)
    share = 1 / (len(people) + 1)
    if coverage > 1 - share:
        raise ValueError(
            f"coverage: expected at most {1 - share:.3g}, as {len(people)} people calibrate the sets, got {coverage:g}"
        )
    order = np.argsort(-true, kind="stable")  # the most certain first; the new person's mass is at the end
    mass = np.cumsum((share / count[number])[order])
    return float(true[order][min(int(np.searchsorted(mass, coverage - 1e-12)), len(true) - 1)])


def fitted_temperature(logits: NDArray[np.float32], label: NDArray[np.int64]) -> float:
    """Return the temperature with the least negative log-likelihood (Guo et al. 2017, On calibration of neural networks).

    Parameters
    ----------
    logits : array of float32 [n, C]
        Logits of people that the head had not seen.
    label : array of int64 [n]
        True classes.
    """
    from scipy.optimize import minimize_scalar

    values = np.asarray(logits, np.float64)

    def loss(log_temperature: float) -> float:
        scaled = values / np.exp(log_temperature)
        scaled = scaled - scaled.max(1, keepdims=True)
        true = scaled[np.arange(len(label)), label] - np.log(np.exp(scaled).sum(1))
        return -float(np.maximum(true, _LEAST_LOG).mean())

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded").x))


def log_loss(probability: NDArray[np.float32], label: NDArray[np.int64]) -> float:
    """Return the mean negative log-probability of the true classes; no window counts more than 50."""
    true = probability[np.arange(len(label)), label].astype(np.float64)
    return -float(np.log(np.maximum(true, np.exp(_LEAST_LOG))).mean())


def expected_calibration_error(probability: NDArray[np.float32], label: NDArray[np.int64]) -> float:
    """Return the mean of |accuracy - confidence| over 15 bins of the confidence, weighted by their windows.

    Parameters
    ----------
    probability : array of float32 [n, C]
        Probabilities.
    label : array of int64 [n]
        True classes.

    Examples
    --------
    >>> import numpy as np
    >>> expected_calibration_error(np.array([[0.75, 0.25]] * 4, np.float32), np.array([0, 0, 0, 1]))
    0.0
    """
    confidence = probability.max(1).astype(np.float64)
    hit = probability.argmax(1) == label
    bins = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    count = np.bincount(bins, minlength=_BINS)
    gap = np.bincount(bins, hit, _BINS) - np.bincount(bins, confidence, _BINS)
    return float(np.abs(gap).sum() / max(count.sum(), 1))


def chains_of(recording: NDArray[np.str_], start_s: NDArray[np.float64], window_s: float) -> NDArray[np.int64]:
    """Return the chain of each window: in a chain each window starts where the one before ends.

    Parameters
    ----------
    recording : array of str [n]
        Name of the recording and sensor.
    start_s : array of float64 [n]
        Start in the recording, s, rising along a recording's chain; NaN is a chain of its own.
    window_s : float
        Length of a window, s.
    """
    chain = np.arange(len(recording), dtype=np.int64)
    order = np.lexsort((start_s, recording))
    ends: dict[tuple[str, int], int] = {}
    step = window_s / 50
    for index in order.tolist():
        start = start_s[index]
        if not np.isfinite(start):
            continue
        name, slot = str(recording[index]), round(start / step)
        before = next((ends.pop((name, slot + d)) for d in (0, -1, 1) if (name, slot + d) in ends), None)
        if before is not None:
            chain[index] = chain[before]
        ends[name, round((start + window_s) / step)] = index
    return chain

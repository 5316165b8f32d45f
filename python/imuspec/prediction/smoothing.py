"""A hidden Markov model over the predicted classes of neighbouring patches, which corrects short mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Smoother"]

_PSEUDO = 1e-3  # of a patch, so that nothing is impossible


@dataclass(frozen=True)
class Smoother:
    """Start, transition and emission probabilities of the true class.

    Attributes
    ----------
    start : array of float64 [C]
        Share of each class.
    transition : array of float64 [C, C]
        Probability of the column's class one patch after the row's.
    emission : array of float64 [C, C]
        Probability that a patch of the row's class is predicted as the column's.

    References
    ----------
    Willetts et al. 2018, Statistical machine learning of sleep and physical activity phenotypes from sensor data in 96,220
    UK Biobank participants: the same model over a classifier's predictions for people it had not seen.

    Examples
    --------
    >>> smoother = Smoother.fit([[0] * 9 + [1] * 9], [[0] * 4 + [1] + [0] * 4 + [1] * 9], 2)
    >>> smoother.smooth([0, 0, 1, 0, 0, 1, 1, 1]).tolist()
    [0, 0, 0, 0, 0, 1, 1, 1]
    """

    start: NDArray[np.float64]
    transition: NDArray[np.float64]
    emission: NDArray[np.float64]

    @classmethod
    def fit(cls, truth: Sequence[ArrayLike], predicted: Sequence[ArrayLike], n_classes: int) -> Smoother:
        """Fit to stretches of patches by counting; patches with a true label below 0 do not count.

        Parameters
        ----------
        truth : sequence of array of int
            True classes of each stretch.
        predicted : sequence of array of int
            Predictions by a model that had not seen the stretch's subject.
        n_classes : int
            Number of classes.
        """
        transition = np.full((n_classes, n_classes), _PSEUDO)
        emission = np.full((n_classes, n_classes), _PSEUDO)
        for labels, guesses in zip(truth, predicted, strict=True):
            t, p = np.asarray(labels, np.int64), np.asarray(guesses, np.int64)
            follows = (t[:-1] >= 0) & (t[1:] >= 0)
            np.add.at(transition, (t[:-1][follows], t[1:][follows]), 1)
            np.add.at(emission, (t[t >= 0], p[t >= 0]), 1)
        shares = emission.sum(1)
        return cls(
            shares / shares.sum(),
            transition / transition.sum(1, keepdims=True),
            emission / emission.sum(1, keepdims=True),
        )

    def smooth(self, predicted: ArrayLike) -> NDArray[np.int64]:
        """Return the most probable sequence of true classes given predicted ones of neighbouring patches (Viterbi)."""
        seen = np.asarray(predicted, np.int64)
        if not seen.size:
            return seen
        with np.errstate(divide="ignore"):
            start, step, shown = np.log(self.start), np.log(self.transition), np.log(self.emission)
        score = start + shown[:, seen[0]]
        came_from = np.empty((len(seen), len(start)), np.int64)
        for i in range(1, len(seen)):
            total = score[:, None] + step
            came_from[i] = total.argmax(0)
            score = total.max(0) + shown[:, seen[i]]
        course = np.empty(len(seen), np.int64)
        course[-1] = score.argmax()
        for i in range(len(seen) - 1, 0, -1):
            course[i - 1] = came_from[i, course[i]]
        return course

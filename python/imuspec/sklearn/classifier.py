"""A classifier of windows: features of an encoder, or statistics, and a head."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from imuspec.sklearn.transformers import Embedding, WindowStatistics
from imuspec.sklearn.windows import WindowEstimator, WindowTransformer

__all__ = ["MotionClassifier"]


def _gives(method: str) -> Any:
    """Return a check whether the head has a method."""

    def check(classifier: MotionClassifier) -> bool:
        head = getattr(classifier, "head_", None) or classifier.head
        return head == "logistic" or hasattr(head, method)

    return check


class MotionClassifier(ClassifierMixin, WindowEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier of windows: frozen features, and a head that is fitted to them.

    Parameters
    ----------
    run : str, transformer or None, default "statistics"
        "statistics" for the statistics of a window; an encoder as in `Embedding`; or a transformer of windows.
    head : {"logistic"} or classifier, default "logistic"
        "logistic": logistic regression on standardised features. Else any classifier of scikit-learn.
    C : float, default 1.0
        Inverse strength of the regularisation of "logistic".
    rate : float, default 50.0
        Sample rate of the windows, Hz.

    Attributes
    ----------
    classes_ : array [classes]
        The classes.
    features_ : transformer
        The fitted transformer.
    head_ : classifier
        The fitted head.

    Examples
    --------
    >>> import numpy as np
    >>> from imuspec.sklearn import MotionClassifier
    >>> rng = np.random.default_rng(0)
    >>> still, moved = (rng.normal(0, sd, (20, 3, 100)).astype(np.float32) for sd in (0.01, 0.3))
    >>> x, y = np.concatenate([still, moved]), np.repeat(["still", "moved"], 20)
    >>> MotionClassifier(rate=50).fit(x, y).predict(x[[0, -1]]).tolist()
    ['still', 'moved']
    """

    def __init__(self, run: Any = "statistics", *, head: Any = "logistic", C: float = 1.0, rate: float = 50.0) -> None:
        self.run = run
        self.head = head
        self.C = C
        self.rate = rate

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit the head to the features of windows.

        Parameters
        ----------
        X : array [n, 3, time]
            Windows, g.
        y : array [n]
            Classes.
        """
        array, y = self._checked(X, reset=True, y=y)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        self.features_ = self._transformer().fit(array)
        if isinstance(self.head, str):
            if self.head != "logistic":
                raise ValueError(f"head: expected 'logistic' or a classifier, got {self.head!r}")
            head = make_pipeline(StandardScaler(), LogisticRegression(C=self.C, max_iter=2000))
        else:
            head = clone(self.head)
        self.head_ = head.fit(self.features_.transform(array), y)
        return self

    def _transformer(self) -> WindowTransformer:
        if not isinstance(self.run, str):
            transformer: WindowTransformer = clone(self.run)
            return transformer
        return WindowStatistics(rate=self.rate) if self.run == "statistics" else Embedding(self.run, rate=self.rate)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the class of each window.

        Parameters
        ----------
        X : array [n, 3, time]
            Windows, g, of the length that `fit` received.
        """
        features = self._features(X)
        return np.asarray(self.head_.predict(features))

    @available_if(_gives("predict_proba"))  # type: ignore[untyped-decorator]  # scikit-learn has no types
    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Return the probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : array [n, 3, time]
            Windows, g, of the length that `fit` received.
        """
        features = self._features(X)
        return np.asarray(self.head_.predict_proba(features))

    @available_if(_gives("decision_function"))  # type: ignore[untyped-decorator]  # scikit-learn has no types
    def decision_function(self, X: ArrayLike) -> NDArray[Any]:
        """Return the score of each class before it becomes a probability.

        Parameters
        ----------
        X : array [n, 3, time]
            Windows, g, of the length that `fit` received.
        """
        features = self._features(X)
        return np.asarray(self.head_.decision_function(features))

    def _features(self, X: ArrayLike) -> NDArray[Any]:
        check_is_fitted(self)
        return self.features_.transform(self._checked(X, reset=False)[0])

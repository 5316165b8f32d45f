"""A classifier of windows: features of an encoder, or statistics, and a head."""

from __future__ import annotations

from pathlib import Path
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

from imuspec.sklearn.models import is_model, load_model
from imuspec.sklearn.transformers import Embedding, WindowStatistics
from imuspec.sklearn.windows import WindowEstimator, WindowTransformer

__all__ = ["MotionClassifier"]


def _gives(method: str) -> Any:
    """Return a check whether the head has a method."""

    def check(classifier: MotionClassifier) -> bool:
        if classifier.head == "fitted":
            return method == "predict_proba"
        head = getattr(classifier, "head_", None) or classifier.head
        return head == "logistic" or hasattr(head, method)

    return check


class MotionClassifier(ClassifierMixin, WindowEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier of windows: frozen features, and a head that is fitted to them.

    Parameters
    ----------
    run : str, path or transformer, default "statistics"
        "statistics" for the statistics of a window; an encoder or a model of ``imuspec fit`` as in `Embedding`; or a
        transformer of windows.
    head : {"logistic", "fitted"} or classifier, default "logistic"
        "logistic": logistic regression on standardised features. "fitted": the head of a model of ``imuspec fit``, with its
        calibrated probabilities; `fit` then changes nothing, and checks that the classes are the model's. Else any classifier
        of scikit-learn.
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
    head_ : classifier or Model
        The fitted head.

    Notes
    -----
    A fitted model has seen the people of its fit: scores of a cross-validation on them are of people that the head, and after
    fine-tuning the encoder, knows. ``model.held_out`` has its predictions for people left out.

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
        if isinstance(self.head, str) and self.head == "fitted":
            return self._fitted(array, np.unique(y))
        self.classes_ = np.unique(y)
        self.features_ = self._transformer().fit(array)
        if isinstance(self.head, str):
            if self.head != "logistic":
                raise ValueError(f"head: expected 'logistic', 'fitted' or a classifier, got {self.head!r}")
            head = make_pipeline(StandardScaler(), LogisticRegression(C=self.C, max_iter=2000))
        else:
            head = clone(self.head)
        self.head_ = head.fit(self.features_.transform(array), y)
        return self

    def _fitted(self, X: NDArray[Any], given: NDArray[Any]) -> Self:
        if not is_model(self.run):
            raise ValueError(f"head: expected a model of imuspec fit as run for head='fitted', got {self.run!r}")
        self.head_ = load_model(self.run, X.shape[2], self.rate)
        if self.head_.front.kind == "patches" and X.shape[2] != self.head_.front.n_samples:
            raise ValueError(f"X: expected windows of one patch for head='fitted', got {X.shape[2]} samples")
        names = self.head_.class_names
        unknown = [str(name) for name in given if not isinstance(name, str) or name not in names]
        if unknown:
            raise ValueError(f"y: expected classes of the model, {', '.join(names)}, got {', '.join(unknown)}")
        self.classes_ = np.unique(names)
        return self

    def _transformer(self) -> WindowTransformer:
        if not isinstance(self.run, str | Path):
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
        if self._is_fitted_head():
            return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])
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
        if self._is_fitted_head():
            values = self.head_.predict_proba(self._checked(X, reset=False)[0])
            probability = values.reshape(-1, len(self.classes_))  # of a patch: [n, 1, classes]
            return np.asarray(probability[:, np.argsort(self.head_.class_names)])
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

    def _is_fitted_head(self) -> bool:
        check_is_fitted(self, "head_")
        return isinstance(self.head, str) and self.head == "fitted"

    def _features(self, X: ArrayLike) -> NDArray[Any]:
        check_is_fitted(self, "head_")
        return self.features_.transform(self._checked(X, reset=False)[0])

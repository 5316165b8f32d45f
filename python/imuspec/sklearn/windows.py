"""The base of all estimators of windows: the check of ``X [n, 3, time]``."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from imuspec.datasets import Windows

__all__ = ["WindowEstimator", "WindowTransformer"]

AXES = ("x", "y", "z")


class WindowEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator of windows ``X [n, 3, time]`` in g."""

    def __sklearn_tags__(self) -> Any:
        """Return the tags of scikit-learn: input of three dimensions alone."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags

    def _checked(self, X: ArrayLike, *, reset: bool, y: Any = None) -> tuple[NDArray[Any], Any]:
        """Return windows of three axes and finite samples, and the labels; `reset` stores their length."""
        self._check_shape(X)
        options: dict[str, Any] = {"allow_nd": True, "dtype": [np.float32, np.float64], "reset": reset}
        if y is None:
            array = validate_data(self, X, **options)
        else:
            array, y = validate_data(self, X, y, **options)
        array = self._as_windows(array)
        if reset:
            self.n_samples_in_ = array.shape[2]
        elif array.shape[2] != self.n_samples_in_:
            raise ValueError(f"X: expected windows of {self.n_samples_in_} samples, as in fit, got {array.shape[2]}")
        return array, y

    def _check_shape(self, X: ArrayLike) -> None:
        if isinstance(X, Windows):
            raise ValueError(f"X: expected windows [n, 3, time], got {X!r}: give its array x")
        shape = np.asarray(X).shape
        if len(shape) != 3 or shape[1] != 3:
            advice = ": np.swapaxes(X, -1, -2)" if len(shape) == 3 and shape[2] == 3 else ""
            raise ValueError(f"X: expected windows [n, 3, time], got {list(shape)}{advice}")

    def _as_windows(self, array: NDArray[Any]) -> NDArray[Any]:
        return array


class WindowTransformer(TransformerMixin, WindowEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A transformer of windows into one row of features each."""

    def __sklearn_tags__(self) -> Any:
        """Return the tags of scikit-learn: features have a type of their own."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002  (signature of scikit-learn)
        """Store the length of the windows; no number depends on their samples.

        Parameters
        ----------
        X : array [n, 3, time]
            Windows, g.
        y : object, optional
            Ignored.
        """
        array, _ = self._checked(X, reset=True)
        self.feature_names_ = self._fitted(array)
        return self

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Return the features [n, features] of windows.

        Parameters
        ----------
        X : array [n, 3, time]
            Windows, g, of the length that `fit` received.
        """
        check_is_fitted(self, "feature_names_")
        array, _ = self._checked(X, reset=False)
        return self._features(array).reshape(len(array), -1)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:  # noqa: ARG002  (signature of scikit-learn)
        """Return the names of the features.

        Parameters
        ----------
        input_features : object, optional
            Ignored: the axes are x, y and z.
        """
        check_is_fitted(self, "feature_names_")
        return np.asarray(self.feature_names_, object)

    def _fitted(self, X: NDArray[Any]) -> list[str]:
        """Return the names of the features of windows of this length."""
        raise NotImplementedError

    def _features(self, X: NDArray[Any]) -> NDArray[Any]:
        raise NotImplementedError

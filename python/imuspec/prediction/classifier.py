"""What a fitted model computes: features, probabilities, classes and prediction sets of windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from imuspec.datasets.patches import scored_windows
from imuspec.prediction.front_end import FrontEnd
from imuspec.prediction.held_out import HeldOut, softmax
from imuspec.prediction.smoothing import Smoother

if TYPE_CHECKING:
    from imuspec.encoders import Encoder
    from imuspec.probing.patch_heads import Head

__all__ = ["FittedClassifier"]


@dataclass(frozen=True, eq=False, repr=False)
class FittedClassifier:
    """A classifier of windows, or of ten-second patches: front end, encoder, head, and its errors on people left out.

    Attributes
    ----------
    front : FrontEnd
        Rate, window and picture of the samples.
    encoder : Encoder or None
        In eval mode; None for statistics of the window.
    head : Head
        Head on the features, in eval mode.
    class_names : tuple of str
        The classes.
    temperature : float
        Number that divides the logits, so that probabilities are calibrated on people that the head had not seen.
    smoother : Smoother or None
        Corrects the predictions of neighbouring windows.
    held_out : HeldOut
        Predictions for people that the head had not seen.
    recipe : str
        The `FitRecipe` as JSON.
    facts : mapping
        Data, people, source of the encoder, scores, calibration.
    """

    front: FrontEnd
    encoder: Encoder | None
    head: Head
    class_names: tuple[str, ...]
    temperature: float
    smoother: Smoother | None
    held_out: HeldOut
    recipe: str = "{}"
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        unit = "patches" if self.front.kind == "patches" else "windows"
        source = self.facts.get("source", {}).get("name", self.front.kind)
        form = f"{unit} of {self.front.window_s:g} s at {self.front.rate_hz:g} Hz"
        return f"{type(self).__name__}({source}: {form} -> {', '.join(self.class_names)})"

    def embed(self, x: ArrayLike) -> NDArray[np.float32]:
        """Return the features that the head takes.

        Parameters
        ----------
        x : array [..., 3, time]
            Windows of `front.n_samples` samples, g, at `front.rate_hz`. For an encoder of patches, any number of patches.

        Returns
        -------
        array of float32 [..., features]
            For an encoder of patches [..., patches, features].

        Raises
        ------
        ValueError
            If the shape is not that of the model's windows, or samples are not finite.
        """
        windows = self.front.checked(x)
        if not len(windows):
            values = self._empty(windows, self.head.n_features)
        elif self.front.kind != "patches":
            values = self.front.features(self.encoder, windows)
        else:
            values = np.stack([self._scored(stretch, self._patch_features(stretch)) for stretch in windows])
        return values.reshape(*np.shape(x)[:-2], *values.shape[1:])

    def predict_proba(self, x: ArrayLike) -> NDArray[np.float32]:
        """Return the calibrated probability of each class.

        Parameters
        ----------
        x : array [..., 3, time]
            As for `embed`.

        Returns
        -------
        array of float32 [..., C]
            For an encoder of patches [..., patches, C].
        """
        windows = self.front.checked(x)
        if not len(windows):
            values = self._empty(windows, len(self.class_names))
        elif self.front.kind != "patches":
            values = self._of_windows(windows)
        else:
            values = np.stack([self.probabilities(stretch) for stretch in windows])
        return values.reshape(*np.shape(x)[:-2], *values.shape[1:])

    def _empty(self, windows: NDArray[np.float32], width: int) -> NDArray[np.float32]:
        """Return values of no window, of the shape that values of windows have."""
        patches = (windows.shape[2] // self.front.n_samples,) if self.front.kind == "patches" else ()
        return np.empty((0, *patches, width), np.float32)

    def predict(self, x: ArrayLike) -> NDArray[np.str_]:
        """Return the name of the most probable class, [...] of windows [..., 3, time]; of patches [..., patches]."""
        return np.asarray(np.asarray(self.class_names)[self.predict_proba(x).argmax(-1)], np.str_)

    def prediction_set(self, probability: ArrayLike, coverage: float) -> NDArray[np.bool_]:
        """Return which classes are in the prediction set of each window.

        The set has the true class of a window of a new person with the given probability, if the new person is like those of
        the fit (conformal prediction; each person has the same weight). The most probable class is always in it.

        Parameters
        ----------
        probability : array [..., C]
            Result of `predict_proba`.
        coverage : float
            Above 0; at most ``K / (K + 1)`` for a model that was fitted to K people.

        Returns
        -------
        array of bool [..., C]

        Raises
        ------
        ValueError
            If the coverage is outside this range, or the probabilities have another number of classes or are not finite.

        References
        ----------
        Lee, Barber, Willett 2023, Distribution-free inference with hierarchical data (one level of groups).
        """
        values = np.asarray(probability, np.float32)
        if values.shape[-1:] != (len(self.class_names),):
            raise ValueError(
                f"probability: expected [..., {len(self.class_names)}], one for each class, got {list(values.shape)}"
            )
        if not np.isfinite(values).all():
            raise ValueError("probability: expected finite values, got NaN or infinity")
        inside: NDArray[np.bool_] = values >= self.held_out.threshold(coverage, self.temperature)
        return np.asarray(inside | (values == values.max(-1, keepdims=True)))

    def probabilities(self, stretch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities [n, C] of the windows, or patches, that follow each other in a stretch [3, n step]."""
        if self.front.kind == "patches":
            logits = [self._logits(part) for part in self._patch_features(stretch)]
            return softmax(self._scored(stretch, logits), self.temperature)
        step = self.front.n_samples
        return self._of_windows(np.ascontiguousarray(stretch.reshape(3, -1, step).transpose(1, 0, 2)))

    def _of_windows(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        if not len(windows):
            return np.empty((0, len(self.class_names)), np.float32)
        return softmax(self._logits(self.front.features(self.encoder, windows)), self.temperature)

    @torch.inference_mode()
    def _logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        x = torch.from_numpy(np.asarray(features, np.float32))
        logits = np.asarray(self.head(x[None])[0].numpy())
        if np.isnan(logits).any():
            raise ValueError(
                f"model: expected numbers for finite samples, got NaN from {self!r}: its weights have diverged"
            )
        return logits

    def _patch_features(self, stretch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        assert self.encoder is not None
        return self.front.patch_features(self.encoder, stretch).x

    def _scored(self, stretch: NDArray[np.float32], parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the values of each patch, from the window that scores it."""
        windows = scored_windows(stretch.shape[1] // self.front.n_samples, window=self.front.context)
        own = [part[first - start : end - start] for part, (start, first, end) in zip(parts, windows, strict=True)]
        return np.concatenate(own).astype(np.float32)

"""A fitted classifier of activities in a folder, and its predictions for recordings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imuspec.datasets.patches import scored_windows
from imuspec.datasets.sequences import PatchSequence, PatchSequences
from imuspec.prediction.activities import MISSING, NONWEAR, Activities
from imuspec.prediction.smoothing import Smoother
from imuspec.preparation import Prepared, prepare
from imuspec.probing.patch_features import PatchFeatures, embed_patches
from imuspec.probing.patch_heads import PatchHead, PatchHeadSettings, fit_patch_head
from imuspec.probing.patch_protocol import out_of_fold
from imuspec.recipe import Recipe
from imuspec.run.run import Run
from imuspec.storage import atomic_path

__all__ = ["ActivityModel", "fit_activity_model", "predict"]

_FILE = "activities.json"
_SENSOR_G = 0.01


@dataclass(frozen=True, eq=False)
class ActivityModel:
    """An encoder, a head on it, and its errors on people that it had not seen.

    Attributes
    ----------
    encoder, head : nn.Module
        In eval mode.
    class_names : tuple of str
        The classes.
    rate : float
        Sample rate, Hz.
    patch_s : float
        Length of a patch, s.
    window : int
        Patches of a window.
    smoother : Smoother
        Fitted to the predictions for people whom the head had not seen.
    confusion : array of int64 [subjects, C, C]
        Counts of the same predictions, rows the truth.
    smoothed_confusion : array of int64 [subjects, C, C]
        Counts after smoothing.
    stillness : bool
        Whether the head takes the log standard deviation of each axis of a patch beside the encoder's features.
    """

    encoder: nn.Module
    head: PatchHead
    class_names: tuple[str, ...]
    rate: float
    patch_s: float
    window: int
    smoother: Smoother
    confusion: NDArray[np.int64]
    smoothed_confusion: NDArray[np.int64]
    stillness: bool = False

    def save(self, path: str | Path) -> Run:
        """Write the model to a folder, a run's own or another, and return the folder as a run."""
        from safetensors.torch import save_file

        run = Run(path)
        run.save_encoder(self.encoder)
        weights = {key: value.detach().contiguous() for key, value in self.head.state_dict().items()}
        with atomic_path(run.path / "head.safetensors") as file:
            save_file(weights, file)
        described = {
            "head": self.head.head,
            "n_features": self.head.n_features,
            "class_names": self.class_names,
            "rate": self.rate,
            "patch_s": self.patch_s,
            "window": self.window,
            "stillness": self.stillness,
            "smoother": {key: getattr(self.smoother, key).tolist() for key in ("start", "transition", "emission")},
            "confusion": self.confusion.tolist(),
            "smoothed_confusion": self.smoothed_confusion.tolist(),
        }
        run.write_text(_FILE, json.dumps(described) + "\n")
        return run

    @classmethod
    def load(cls, path: str | Path) -> ActivityModel:
        """Read a model that `save` wrote.

        Raises
        ------
        FileNotFoundError
            If the folder has no such model; the message says how to make one.
        """
        from safetensors.torch import load_file

        run = Run(path)
        described = run.path / _FILE
        if not described.is_file():
            raise FileNotFoundError(
                f"model {run.path}: expected a folder with {_FILE}, got none: `imuspec activities RUN --data ... --out "
                f"{run.path}` fits one on labelled recordings"
            )
        facts: dict[str, Any] = json.loads(described.read_text("utf-8"))
        names = tuple(facts["class_names"])
        head = PatchHead(facts["head"], facts["n_features"], len(names))
        head.load_state_dict(load_file(run.path / "head.safetensors"))
        return cls(
            run.load_encoder(),
            head.eval(),
            names,
            facts["rate"],
            facts["patch_s"],
            facts["window"],
            Smoother(*(np.array(facts["smoother"][key]) for key in ("start", "transition", "emission"))),
            np.array(facts["confusion"], np.int64),
            np.array(facts["smoothed_confusion"], np.int64),
            facts.get("stillness", False),
        )

    def activities(self, prepared: Prepared, *, smooth: bool = False) -> Activities:
        """Predict the activities of a prepared recording, in patches from its first sample on.

        Parameters
        ----------
        prepared : Prepared
            Recording at the model's rate.
        smooth : bool, default False
            Whether neighbouring patches correct each other.

        Returns
        -------
        Activities

        Raises
        ------
        ValueError
            If the recording has another rate or no data.
        """
        if prepared.acceleration is None or prepared.status == "failed":
            raise ValueError(f"{prepared.id}: expected a recording with data, got {prepared.summary}")
        if abs(prepared.rate / self.rate - 1) > 1e-6:
            raise ValueError(f"{prepared.id}: expected {self.rate:g} Hz, got {prepared.rate:g} Hz")
        patch = round(self.patch_s * self.rate)
        n = prepared.acceleration.shape[1] // patch
        label = np.full(n, MISSING, np.int64)
        for first, stop in prepared.nonwear.tolist():
            label[first // patch : -(-stop // patch)] = NONWEAR
        probability = np.full((n, len(self.class_names)), np.nan, np.float32)
        for begin, end in prepared.whole_stretches(patch):
            values = self._probabilities(prepared.acceleration[:, begin * patch : end * patch])
            guess = values.argmax(1)
            label[begin:end] = self.smoother.smooth(guess) if smooth else guess
            probability[begin:end] = values
        notes = (
            [] if prepared.calibration.get("ok", True) else [f"not calibrated: {prepared.calibration.get('reason')}"]
        )
        return Activities(
            np.array([prepared.clock(i * patch) for i in range(n)], np.int64),
            label,
            probability,
            self.class_names,
            self.patch_s,
            prepared.id,
            self.smoothed_confusion if smooth else self.confusion,
            tuple(notes),
        )

    @torch.inference_mode()
    def _probabilities(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities [patches, classes] of a stretch, each patch from the window that scores it."""
        patch = round(self.patch_s * self.rate)
        n = x.shape[1] // patch
        unlabelled = PatchSequence(np.ascontiguousarray(x), np.full(n, -1), "", "")
        sequences = PatchSequences((unlabelled,), self.class_names, self.rate)
        features = embed_patches(self.encoder, sequences, window=self.window)
        if self.stillness:
            features = _with_stillness(features, sequences, self.window)
        parts = self.head.probabilities(features.x)
        windows = scored_windows(n, window=self.window)
        return np.concatenate(
            [part[first - start : end - start] for part, (start, first, end) in zip(parts, windows, strict=True)]
        )


def fit_activity_model(
    encoder: nn.Module,
    sequences: PatchSequences,
    settings: PatchHeadSettings | None = None,
    *,
    window: int | None = None,
    folds: int = 5,
    cache: str | Path | None = None,
    stillness: bool = True,
    say: Callable[[str], None] | None = None,
) -> ActivityModel:
    """Fit a head on all labelled stretches, and measure its errors on people that it had not seen.

    Parameters
    ----------
    encoder : nn.Module
        Encoder of patches, from a pre-training.
    sequences : PatchSequences
        Labelled stretches, for example of Capture-24.
    settings : PatchHeadSettings, optional
        Settings of the head.
    window : int, optional
        Patches of a window; by default as many as the encoder takes, at most 300.
    folds : int, default 5
        Number of groups of subjects that are left out in turn.
    cache : path, optional
        Folder for features.
    stillness : bool, default True
        Whether the head takes the log standard deviation of each axis of a patch too. The loss that encoders are trained on
        ignores movement below its floor, some 30 mg, where sleep and sitting in a vehicle differ.
    say : callable, optional
        Called with the scores on the people left out.

    Returns
    -------
    ActivityModel
    """
    chosen = PatchHeadSettings() if settings is None else settings
    window = min(300, int(getattr(encoder, "n_patches", 300))) if window is None else window
    features = embed_patches(encoder, sequences, window=window, cache=cache)
    if stillness:
        features = _with_stillness(features, sequences, window)
    probabilities, _ = out_of_fold(features, chosen, folds=folds)
    guesses = [part.argmax(1) for part in probabilities]
    n = len(features.class_names)
    smoother = Smoother.fit(features.label, guesses, n)
    smoothed = [smoother.smooth(guess) for guess in guesses]
    confusion, corrected = (_by_subject(features.subject, features.label, g, n) for g in (guesses, smoothed))
    if say is not None:
        from imuspec.evaluation import metrics

        for name, counts in (("as predicted", confusion), ("smoothed", corrected)):
            got = metrics(counts.sum(0))
            say(f"{name}: BA {float(got['balanced_accuracy']):.3f}, kappa {float(got['kappa']):.3f} on unseen people")
    last = PatchHeadSettings(
        **{**chosen.__dict__, "choose": "last", "epochs": 2 if chosen.head == "lstm" else chosen.epochs}
    )
    head, _ = fit_patch_head(features, last)
    patch_s = sequences.items[0].patch / sequences.rate
    return ActivityModel(
        encoder.eval(),
        head,
        features.class_names,
        sequences.rate,
        patch_s,
        window,
        smoother,
        confusion,
        corrected,
        stillness,
    )


def _with_stillness(features: PatchFeatures, sequences: PatchSequences, window: int) -> PatchFeatures:
    """Add log10 of each axis's standard deviation (g) to the features of an evaluation's windows.

    It levels off below some 10 mg, where sensors differ, not wearers.
    """
    beside = []
    for item in sequences:
        deviation = item.x.reshape(3, -1, item.patch).std(2, dtype=np.float64).T
        quiet = np.log10(np.hypot(deviation, _SENSOR_G)).astype(np.float32)
        beside += [quiet[start:end] for start, _, end in scored_windows(len(item.label), window=window)]
    x = [np.concatenate((part, more), axis=1) for part, more in zip(features.x, beside, strict=True)]
    return replace(features, x=x)


def _by_subject(
    subject: list[str], truth: list[NDArray[np.int64]], guess: list[NDArray[np.int64]], n: int
) -> NDArray[np.int64]:
    names = sorted(set(subject))
    counts = np.zeros((len(names), n, n), np.int64)
    for who, t, g in zip(subject, truth, guess, strict=True):
        np.add.at(counts[names.index(who)], (t[t >= 0], g[t >= 0]), 1)
    return counts


def predict(
    recording: str | Path,
    model: str | Path | ActivityModel,
    *,
    recipe: str | Path | Recipe | None = None,
    smooth: bool = False,
) -> Activities:
    """Predict the activities of the wearer of a recording.

    Parameters
    ----------
    recording : path
        Device file that `imuspec.read` can read.
    model : path or ActivityModel
        A folder that `imuspec activities` wrote, or a model.
    recipe : str, path or Recipe, optional
        Recipe of the preparation; by default capture24 with any length of wear, and uncalibrated where calibration fails, which
        is then in the notes of the result.
    smooth : bool, default False
        Whether neighbouring patches correct each other (hidden Markov model).

    Returns
    -------
    Activities

    Raises
    ------
    FileNotFoundError, RecordingError
        If there is no such file, or it cannot be read.
    ValueError
        If the recording has no wear of a patch.

    Examples
    --------
    >>> import imuspec
    >>> activities = imuspec.predict("week.cwa", "models/capture24")  # doctest: +SKIP
    >>> activities.minutes()  # doctest: +SKIP
    """
    from imuspec.errors import RecordingError

    if not Path(recording).exists():
        raise FileNotFoundError(f"{recording}: expected a recording, got none")
    loose = Recipe.load("capture24").set("calibration.required=false", "segments.min_wear_h=0")
    prepared = prepare(recording, loose if recipe is None else recipe)
    if prepared.status == "failed":
        raise RecordingError(str(recording), None, prepared.reason)
    activities = (model if isinstance(model, ActivityModel) else ActivityModel.load(model)).activities(
        prepared, smooth=smooth
    )
    if not (activities.label >= 0).any():
        raise ValueError(
            f"{recording}: expected wear of {activities.step_s:g} s or more, got none ({prepared.summary})"
        )
    return activities

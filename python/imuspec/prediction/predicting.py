"""Predictions of a fitted model for a device file, a prepared recording, and a labelled set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets import Windows
from imuspec.datasets.sequences import PatchSequences
from imuspec.evaluation import Scores, score
from imuspec.prediction.activities import MISSING, NONWEAR, Activities, prediction_table
from imuspec.prediction.held_out import chains_of
from imuspec.prediction.model import Model, load
from imuspec.preparation import Prepared, prepare
from imuspec.probing.unseen import known_subjects
from imuspec.recipe import Recipe
from imuspec.run.named import PeopleSeen

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LabelledPrediction", "activities_of", "predict", "predict_labelled", "seen_by"]

_SLOWER = 0.95  # of the model's rate: below it the highest frequencies of the model are missing


def activities_of(
    model: Model, prepared: Prepared, *, smooth: bool = False, coverage: float | None = None
) -> Activities:
    """Predict the activities of a prepared recording, in windows from its first sample on.

    Parameters
    ----------
    model : Model
        Fitted model.
    prepared : Prepared
        Recording at the model's rate.
    smooth : bool, default False
        Whether neighbouring windows correct each other.
    coverage : float, optional
        Coverage of prediction sets.

    Returns
    -------
    Activities

    Raises
    ------
    ValueError
        If the recording has another rate or no data, or the model cannot smooth or cover.
    """
    front = model.front
    if prepared.acceleration is None or prepared.status == "failed":
        raise ValueError(f"{prepared.id}: expected a recording with data, got {prepared.summary}")
    if abs(prepared.rate / front.rate_hz - 1) > 1e-6:
        raise ValueError(f"{prepared.id}: expected {front.rate_hz:g} Hz as the model, got {prepared.rate:g} Hz")
    smoother = _smoother(model, smooth)
    step = front.n_samples
    n = prepared.acceleration.shape[1] // step
    label = np.full(n, MISSING, np.int64)
    for first, stop in prepared.nonwear.tolist():
        label[first // step : -(-stop // step)] = NONWEAR
    probability = np.full((n, len(model.class_names)), np.nan, np.float32)
    for begin, end in prepared.whole_stretches(step):
        values = model.probabilities(prepared.acceleration[:, begin * step : end * step])
        guess = values.argmax(1)
        label[begin:end] = guess if smoother is None else smoother.smooth(guess)
        probability[begin:end] = values
    known = label >= 0
    sets = None
    if coverage is not None:
        sets = np.zeros(probability.shape, np.bool_)
        sets[known] = model.prediction_set(probability[known], coverage)
    return Activities(
        np.array([prepared.clock(i * step) for i in range(n)], np.int64),
        label,
        probability,
        model.class_names,
        front.window_s,
        prepared.id,
        model.held_out.confusion(smoother),
        _notes(model, prepared),
        sets,
    )


def _smoother(model: Model, smooth: bool) -> Any:
    if smooth and model.smoother is None:
        raise ValueError("smooth: expected a model of windows that follow each other, got one of single windows")
    return model.smoother if smooth else None


def _notes(model: Model, prepared: Prepared) -> tuple[str, ...]:
    notes = [] if prepared.calibration.get("ok", True) else [f"not calibrated: {prepared.calibration.get('reason')}"]
    recorded = prepared.header.get("nominal_rate") or prepared.header.get("sample_rate")
    if recorded and recorded < _SLOWER * model.front.rate_hz:
        notes.append(
            f"recorded at {recorded:g} Hz, the model takes {model.front.rate_hz:g} Hz: the frequencies above "
            f"{recorded / 2:g} Hz are missing"
        )
    return tuple(notes)


def predict(
    recording: str | Path,
    model: str | Path | Model,
    *,
    recipe: str | Path | Recipe | None = None,
    smooth: bool = False,
    coverage: float | None = None,
) -> Activities:
    """Predict the activities of the wearer of a recording.

    Parameters
    ----------
    recording : path
        Device file that `imuspec.read` can read.
    model : path or Model
        A folder that ``imuspec fit`` wrote, or a model.
    recipe : str, path or Recipe, optional
        Recipe of the preparation; by default capture24 at the model's rate with any length of wear, and uncalibrated where
        calibration fails, which is then in the notes of the result.
    smooth : bool, default False
        Whether neighbouring windows correct each other (hidden Markov model).
    coverage : float, optional
        Coverage of prediction sets, as 0.9; see `Model.prediction_set`.

    Returns
    -------
    Activities

    Raises
    ------
    FileNotFoundError, RecordingError
        If there is no such file, or it cannot be read.
    ValueError
        If the recording has no wear of a window.

    Examples
    --------
    >>> import imuspec
    >>> activities = imuspec.predict("week.cwa", "models/capture24")  # doctest: +SKIP
    >>> activities.minutes()  # doctest: +SKIP
    """
    from imuspec.errors import RecordingError

    if not Path(recording).exists():
        raise FileNotFoundError(f"{recording}: expected a recording, got none")
    fitted = model if isinstance(model, Model) else load(model)
    if recipe is None:
        rate = f"resample.rate_hz={fitted.front.rate_hz!r}"
        recipe = Recipe.load("capture24").set("calibration.required=false", "segments.min_wear_h=0", rate)
    prepared = prepare(recording, recipe)
    if prepared.status == "failed":
        raise RecordingError(str(recording), None, prepared.reason)
    activities = activities_of(fitted, prepared, smooth=smooth, coverage=coverage)
    if not (activities.label >= 0).any():
        raise ValueError(
            f"{recording}: expected wear of {activities.step_s:g} s or more, got none ({prepared.summary})"
        )
    return activities


@dataclass(frozen=True, eq=False, repr=False)
class LabelledPrediction:
    """Predictions for the windows of a labelled set, and their scores.

    Attributes
    ----------
    table : DataFrame
        A row for each window: subject, recording, start_s, truth, activity, confidence, probability of each class.
    scores : Scores or None
        Scores, with intervals over people; None if no window has a class of the model.
    notes : tuple of str
        Notes for the reader: people whom the model has seen, classes that it does not know.
    """

    table: pd.DataFrame
    scores: Scores | None
    notes: tuple[str, ...]


def predict_labelled(
    model: Model, data: Windows | PatchSequences, *, smooth: bool = False, coverage: float | None = None
) -> LabelledPrediction:
    """Predict the windows of a labelled set, and score them on people that the model was not fitted to.

    Parameters
    ----------
    model : Model
        Fitted model.
    data : Windows or PatchSequences
        Labelled windows; for a model of patches, labelled stretches.
    smooth : bool, default False
        Whether neighbouring windows correct each other.
    coverage : float, optional
        Coverage of prediction sets.

    Returns
    -------
    LabelledPrediction

    Raises
    ------
    ValueError
        If the windows have another length or rate, no class is the model's, or the model takes other data.
    """
    if (model.front.kind == "patches") != isinstance(data, PatchSequences):
        raise ValueError(
            f"data: expected {'labelled stretches' if model.front.kind == 'patches' else 'windows'} for {model!r}"
        )
    rate = data.rate
    if abs(rate / model.front.rate_hz - 1) > 1e-6:
        raise ValueError(f"data: expected {model.front.rate_hz:g} Hz as the model, got {rate:g} Hz")
    columns, probability, truth, subject = _rows(model, data)
    guess = probability.argmax(1)
    smoother = _smoother(model, smooth)
    if smoother is not None:
        chain = columns.pop("chain")
        for number in np.unique(chain).tolist():
            guess[chain == number] = smoother.smooth(guess[chain == number])
    columns.pop("chain", None)
    sets = None if coverage is None else model.prediction_set(probability, coverage)
    names = np.array([*data.class_names, ""])
    table = prediction_table({**columns, "truth": names[truth]}, guess, probability, model.class_names, sets)
    scored, notes = _scored(model, data, truth, subject)
    if not scored.any():
        return LabelledPrediction(table, None, notes)
    mapped = np.array([model.class_names.index(name) if name in model.class_names else -1 for name in names])[truth]
    scores = score(mapped[scored], guess[scored], model.class_names, subject=subject[scored])
    if sets is not None:
        inside = sets[scored, mapped[scored]]
        notes = (
            *notes,
            f"sets with the true class: {inside.mean():.3f}, of {sets[scored].sum(1).mean():.2f} classes each",
        )
    return LabelledPrediction(table, scores, notes)


def _rows(
    model: Model, data: Windows | PatchSequences
) -> tuple[dict[str, NDArray[Any]], NDArray[np.float32], NDArray[np.int64], NDArray[Any]]:
    """Return the columns of the table, and probability, truth and subject of each window."""
    if isinstance(data, Windows):
        assert data.sensor is not None
        order = np.lexsort((data.start_s, data.sensor, data.recording))
        data = data.select(order)
        assert data.sensor is not None
        chain = chains_of(np.char.add(np.char.add(data.recording, " "), data.sensor), data.start_s, data.window_s)
        columns = {"subject": data.subject, "recording": data.recording, "start_s": data.start_s, "chain": chain}
        return columns, model.predict_proba(data.x), data.label, data.subject
    parts: dict[str, list[NDArray[Any]]] = {key: [] for key in ("subject", "recording", "start_s", "chain")}
    for number, item in enumerate(data):
        n = len(item.label)
        values = (item.subject, item.recording, item.start_s + np.arange(n) * model.front.window_s, number)
        for key, value in zip(parts, values, strict=True):
            parts[key].append(np.broadcast_to(np.asarray(value), (n,)))
    joined = {key: np.concatenate(value) for key, value in parts.items()}
    probability = np.concatenate([model.probabilities(item.x) for item in data])
    return joined, probability, np.concatenate([item.label for item in data]), joined["subject"]


def _scored(
    model: Model, data: Windows | PatchSequences, truth: NDArray[np.int64], subject: NDArray[Any]
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Return which windows count in the scores, and notes on those that do not."""
    notes: list[str] = []
    known = [name in model.class_names for name in data.class_names]
    if not any(known):
        raise ValueError(
            f"data: expected some of the model's classes {', '.join(model.class_names)}, got {', '.join(data.class_names)}"
        )
    scored = np.array([*known, False])[truth]
    unknown = [
        f"{int((truth == index).sum()):,} {name}"
        for index, (name, is_known) in enumerate(zip(data.class_names, known, strict=True))
        if not is_known and (truth == index).any()
    ]
    if unknown:
        notes.append(f"windows of classes that the model does not have, left out of the scores: {', '.join(unknown)}")
    seen = seen_by(model, data, subject)
    fitted = (
        "was fitted to, or its encoder pre-trained on,"
        if "pretraining" in model.facts.get("people", {})
        else "was fitted to"
    )
    if seen.any() and not seen.all():
        n_seen, n_all = len(np.unique(subject[seen])), len(np.unique(subject))
        notes.append(f"scored on {n_all - n_seen} people; the model {fitted} the other {n_seen}")
        scored &= ~seen
    elif not model.facts.get("people"):
        notes.append("the model does not list the people of its fit (source.json): some of these may be among them")
    elif seen.any():
        notes.append(f"the model {fitted} all these people: scores are not of unseen people")
    return scored, tuple(notes)


def seen_by(model: Model, data: Windows | PatchSequences, subject: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which windows are of people whom the model was fitted to, or whom its encoder was pre-trained on.

    Names of people of own data count as in `imuspec.probing.unseen.known_subjects`.
    """
    fitted = model.facts.get("people", {})
    known: set[str] = set()
    for facts in (fitted, *fitted.get("pretraining", ())):
        seen = PeopleSeen.from_json(facts)
        known |= {str(name) for name in known_subjects(seen, people=data.people, subjects=np.unique(subject).tolist())}
    return np.array([str(name) in known for name in subject.tolist()], np.bool_)

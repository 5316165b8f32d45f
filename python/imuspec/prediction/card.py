"""The model card (README.md in the form of the Hugging Face Hub) and the table of scores of a fitted model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from imuspec.evaluation import METRICS, metrics

if TYPE_CHECKING:
    import pandas as pd

    from imuspec.prediction.classifier import FittedClassifier

__all__ = ["card", "interval_text", "scores_table"]

_HUB_NAMES = {
    "macro_f1": "f1",
    "balanced_accuracy": "balanced_accuracy",
    "kappa": "cohen_kappa",
    "accuracy": "accuracy",
}


def interval_text(low: float, high: float) -> str:
    """Return an interval as text; scores of one person have none."""
    return f"{low:.3f} to {high:.3f}" if np.isfinite([low, high]).all() else "no interval"


def scores_table(model: FittedClassifier) -> pd.DataFrame:
    """Return the scores of each person whom the head had not seen, without names.

    Returns
    -------
    DataFrame
        ``person``, ``n`` labelled windows, and the scores of `imuspec.evaluation.METRICS`.
    """
    import pandas as pd

    counts = model.held_out.confusion()
    rows: list[dict[str, Any]] = []
    for person, confusion in enumerate(counts):
        values = {name: float(value) for name, value in metrics(confusion).items()}
        rows.append({"person": person + 1, "n": int(confusion.sum()), **values})
    return pd.DataFrame(rows)


def card(model: FittedClassifier) -> str:
    """Return the model card.

    It has the data and its licence, the scores on people that the head had not seen with intervals over people, the
    calibration, and the intended use.
    """
    facts, front = model.facts, model.front
    data, source = facts.get("data", {}), facts.get("source", {})
    scores = model.held_out.scores(model.class_names)
    values = scores.values
    name, set_name = source.get("name", front.kind), data.get("title") or data.get("name", "")
    results = [
        {"type": _HUB_NAMES[key], "name": f"{key.replace('_', ' ')} on people left out", "value": round(values[key], 4)}
        for key in METRICS
    ]
    dataset = {"type": data.get("name", "") or "unknown", "name": set_name or "unknown"}
    index = [
        {
            "name": f"{name} on {data.get('name', '')}".strip(),
            "results": [{"task": {"type": "time-series-classification"}, "dataset": dataset, "metrics": results}],
        }
    ]
    n_people = len(np.unique(model.held_out.person))
    unit = "patch" if front.kind == "patches" else "window"
    lines = [
        "---",
        "library_name: imuspec",
        "license: other",
        f"license_name: {json.dumps(data.get('licence') or 'unknown')}",
        "pipeline_tag: other",
        "tags: [accelerometer, human-activity-recognition, imuspec]",
        f"model-index: {json.dumps(index)}",
        "---",
        "",
        f"# {name}: {', '.join(model.class_names)}",
        "",
        f"A classifier of acceleration (three axes, g, {front.rate_hz:g} Hz): one class for each {unit} of "
        f"{front.window_s:g} s. Made by imuspec (`imuspec fit`).",
        "",
        "```python",
        "import imuspec",
        "",
        'model = imuspec.load("PATH")',
        f"model.predict(x)  # x: [N, 3, {front.n_samples}{' k' if unit == 'patch' else ''}], g, {front.rate_hz:g} Hz",
        "```",
        "",
        "## Data",
        "",
        f"{set_name or 'Labelled windows'}: {int((model.held_out.label >= 0).sum()):,} labelled {unit}"
        f"{'es' if unit == 'patch' else 's'} of {n_people} people. "
        f"Licence of the data: {data.get('licence') or 'not stated'}.",
        *([f"Encoder: {source['about']}"] if source.get("about") else []),
        "",
        "## Scores",
        "",
        "On people that the head had not seen, a group left out at a time; 95 % intervals over people.",
        "",
        "| score | value | interval |",
        "| --- | --- | --- |",
    ]
    for key in METRICS:
        low, high = scores.interval[key]
        lines.append(f"| {key.replace('_', ' ')} | {values[key]:.3f} | {interval_text(low, high)} |")
    nothing = {"fitted": float("nan"), "log_loss": [float("nan")] * 2, "ece": [float("nan")] * 2}
    calibration = {**nothing, **facts.get("calibration", {})}
    (loss, loss_after), (error, error_after) = calibration["log_loss"], calibration["ece"]
    used = (
        "It lowers the log loss, so it is used"
        if loss_after < loss
        else "It does not lower the log loss, so it is not used"
    )
    lines += [
        "",
        "| class | F1 |",
        "| --- | --- |",
        *(f"| {label} | {f1:.3f} |" for label, f1 in scores.f1.items()),
        "",
        f"Log loss {loss:.3f} without and {loss_after:.3f} with a temperature ({calibration['fitted']:.2f} on all people), "
        f"expected calibration error {error:.3f} and {error_after:.3f}; each group of people has the temperature of the others. "
        f"{used}.",
        "",
        "## Intended use",
        "",
        f"Recordings of the same kind of sensor at the same position as in the data, at {front.rate_hz:g} Hz. Scores on other "
        "devices, positions or people can be lower. It is no medical device.",
        "",
    ]
    return "\n".join(lines)

"""The folder of a fitted model as the source of an estimator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imuspec.errors import require

if TYPE_CHECKING:
    from imuspec.prediction import Model

__all__ = ["is_model", "load_model", "other_form"]


def is_model(run: object) -> bool:
    """Return whether a name is the folder of a model of ``imuspec fit``."""
    return isinstance(run, str | Path) and (Path(run) / "classifier.json").is_file()


def load_model(run: str | Path, n_samples: int, rate: float) -> Model:
    """Return the model of a folder, for windows of a length and rate.

    Raises
    ------
    ValueError
        If the model requires others.
    """
    require("a fitted model", "torch")
    from imuspec.prediction import load

    model = load(run)
    front = model.front
    fits = n_samples % front.n_samples == 0 if front.kind == "patches" else n_samples == front.n_samples
    if not fits or abs(front.rate_hz / rate - 1) > 1e-6:
        raise ValueError(other_form(str(run), (front.window_s, front.rate_hz), n_samples, rate))
    return model


def other_form(name: str, form: tuple[float, float], n_samples: int, rate: float) -> str:
    """Return the message about windows of another length, s, or rate, Hz, than a source requires."""
    return (
        f"X: expected windows of {form[0]:g} s at {form[1]:g} Hz for {name}, got {n_samples / rate:g} s "
        f"at {rate:g} Hz: load them with window_s={form[0]:g}, rate={form[1]:g}"
    )

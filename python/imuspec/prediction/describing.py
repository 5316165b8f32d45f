"""The last step of a fit: smoothing, calibration, and the facts of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from imuspec.datasets import Windows
from imuspec.datasets.catalogue import CATALOGUE
from imuspec.datasets.sequences import PatchSequences
from imuspec.prediction.card import interval_text
from imuspec.prediction.front_end import FrontEnd
from imuspec.prediction.held_out import HeldOut
from imuspec.prediction.model import Model
from imuspec.recipe import FitRecipe, ProbeRecipe

if TYPE_CHECKING:
    from imuspec.encoders import Encoder
    from imuspec.probing.patch_heads import Head

__all__ = ["described"]


def described(
    front: FrontEnd,
    encoder: Encoder | None,
    head: Head,
    held_out: HeldOut,
    recipe: FitRecipe | ProbeRecipe,
    *,
    data: Windows | PatchSequences,
    source: dict[str, Any] | None,
    say: Callable[[str], None],
) -> Model:
    """Return a model with its smoother, temperature and facts; the scores on people left out are given to `say`."""
    smoother, calibration = held_out.smoother(), held_out.calibration()
    plain = held_out.scores(data.class_names)
    rows = [("as predicted", plain)]
    if smoother is not None:
        rows.append(("smoothed", held_out.scores(data.class_names, smoother)))
    for name, scores in rows:
        low, high = scores.interval["macro_f1"]
        values = scores.values
        say(
            f"{name}: macro-F1 {values['macro_f1']:.3f} ({interval_text(low, high)}), BA {values['balanced_accuracy']:.3f}, "
            f"kappa {values['kappa']:.3f} on people left out"
        )
    (loss, loss_after), (error, error_after) = calibration.log_loss, calibration.ece
    used = "used" if loss_after < loss else "not used"
    say(
        f"temperature {calibration.fitted:.2f}, {used}: on people left out log loss {loss:.3f} without and {loss_after:.3f} "
        f"with it, calibration error {error:.3f} and {error_after:.3f}"
    )
    described_source = {"name": front.kind, **(source or {})}
    pretraining = described_source.pop("people", [])
    facts = {
        "source": described_source,
        "data": _data_facts(data),
        "scores": {name: {**scores.values, "interval": scores.interval} for name, scores in rows},
        "calibration": {key: value for key, value in asdict(calibration).items() if key != "temperature"},
        "people": {**_people(data), **({"pretraining": pretraining} if pretraining else {})},
    }
    return Model(
        front,
        None if encoder is None else encoder.eval(),
        head.eval(),
        tuple(data.class_names),
        calibration.temperature,
        smoother,
        held_out,
        recipe.to_json(),
        facts,
    )


def _data_facts(data: Windows | PatchSequences) -> dict[str, Any]:
    settings = dict(data.settings) if isinstance(data, Windows) else {}
    info = CATALOGUE.get(settings.get("reader", data.name))
    known = {} if info is None else {"title": info.title, "licence": info.licence}
    return {"name": data.name, "description": repr(data), **known}


def _people(data: Windows | PatchSequences) -> dict[str, Any]:
    """Return the people of the set, in the form of a pre-training's source.json, so that no one scores them as unseen."""
    subjects = np.unique(data.subject).tolist() if isinstance(data, Windows) else data.subjects
    return {"set": data.name, "people": list(data.people), "subjects": subjects}

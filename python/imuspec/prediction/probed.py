"""The heads of a probe as models, in the form of a fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets import Windows
from imuspec.datasets.leaks import groups_of
from imuspec.prediction.describing import described
from imuspec.prediction.fitting import linear_head
from imuspec.prediction.front_end import FrontEnd, kind_of
from imuspec.prediction.held_out import HeldOut, chains_of
from imuspec.probing.parameter_free import StatisticsSource
from imuspec.probing.results import ProbeResult
from imuspec.probing.sources import EncoderSource
from imuspec.recipe import ProbeRecipe

if TYPE_CHECKING:
    from imuspec.encoders import Encoder

__all__ = ["save_heads"]

_CHOICE = {"nfft": int, "hop": int, "black_db": float, "white_db": float}


def save_heads(
    result: ProbeResult,
    windows: Windows,
    encoder: Encoder | None,
    recipe: ProbeRecipe,
    folder: Path,
    *,
    head: str,
    source: dict[str, Any] | None = None,
) -> list[Path]:
    """Write a model for each layer, number of labels and seed of a probe.

    The predictions for people left out, and with them scores, calibration and smoothing, are of the seed's test people.

    Parameters
    ----------
    result : ProbeResult
        Result of `imuspec.probing.probe`.
    windows : Windows
        The windows of the probe.
    encoder : Encoder or None
        The encoder of the probe; None for statistics.
    recipe : ProbeRecipe
        Recipe of the probe.
    folder : Path
        Folder of the models.
    head : str
        Kind of the heads, logistic or linear.
    source : dict, optional
        Facts of the encoder for the model cards.

    Returns
    -------
    list of Path
        The folders.
    """
    groups = groups_of(windows, windows.split_by)
    rows = {(row["layer"], row["shots"], row["seed"]): row for row in result.table.to_dict("records")}
    folders = []
    for (layer, shots, seed), fitted in result.heads.items():
        parts = {name: np.isin(groups, list(members)) for name, members in result.members[seed].items()}
        row = rows[layer, shots, seed]
        chosen = [key for key in _CHOICE if key in row and row[key] == row[key]]  # a missing number is not itself
        choice: dict[str, Any] = {key: _CHOICE[key](row[key]) for key in chosen}
        picture, used = None, encoder
        if encoder is not None:
            own = EncoderSource(encoder, pictures=recipe.pictures, layers=[layer]).fitted(windows.x[parts["train"]])
            picture, adapted = own.parts(choice)
            used = _with_spec(adapted, encoder)
        name = StatisticsSource.layers[0] if encoder is None else layer
        front = FrontEnd(kind_of(encoder), windows.rate, windows.n_samples, name, picture)
        test = windows.select(parts["test"])
        features = front.features(used, test.x)
        held_out = _held_out(test, np.asarray(fitted.logits(features), np.float32))
        seen = windows.select(parts["train"] | parts["validation"])
        model = described(
            front,
            used,
            linear_head(fitted, features, head),
            held_out,
            recipe,
            data=seen,
            source=source,
            say=lambda _: None,
        )
        folders.append(model.save(folder / f"{layer}-{shots}-seed{seed}"))
    return folders


def _with_spec(adapted: Any, encoder: Encoder) -> Encoder:
    """Return a copy of an encoder with other batch norms, which keeps the encoder's name and settings."""
    adapted.spec = encoder.spec
    return adapted  # type: ignore[no-any-return]  # a deep copy of the encoder


def _held_out(test: Windows, logits: NDArray[np.float32]) -> HeldOut:
    """Return the predictions of the test people, each of them a group of its own."""
    assert test.sensor is not None
    _, person = np.unique(test.subject, return_inverse=True)
    chain = chains_of(np.char.add(np.char.add(test.recording, " "), test.sensor), test.start_s, test.window_s)
    order = np.lexsort((test.start_s, chain))
    number = person.astype(np.int64)[order]
    return HeldOut(logits[order], test.label[order], number, number, chain[order])

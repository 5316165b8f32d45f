"""The fully supervised row: all parameters of an encoder are trained on all labelled windows of the training part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imuspec.datasets import Split, Windows, subject_split
from imuspec.datasets.draws import expect_distinct
from imuspec.errors import expect_once
from imuspec.evaluation import confusion_matrix, metrics, most_probable, score
from imuspec.probing.fitting import fit_epochs, seeded
from imuspec.probing.protocol import capped
from imuspec.probing.results import ProbeResult, row_of
from imuspec.spectral.image import rgb_image, training_range

if TYPE_CHECKING:
    from imuspec.encoders import Encoder

__all__ = ["Classifier", "fit_supervised", "supervised"]


class Classifier(nn.Module):
    """An encoder and a linear layer on its embedding.

    Parameters
    ----------
    encoder : nn.Module
        Encoder from `imuspec.encoders`.
    n_classes : int
        Number of classes.
    """

    def __init__(self, encoder: nn.Module, n_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(cast("Encoder", encoder).n_features, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits [B, classes]."""
        logits: torch.Tensor = self.head(self.encoder(x))
        return logits


def fit_supervised(
    encoder: nn.Module,
    windows: Windows,
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    *,
    picture: dict[str, Any],
    epochs: int = 20,
    batch: int = 64,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    seed: int = 0,
    device: str = "cpu",
) -> tuple[Classifier, dict[str, float]]:
    """Train all parameters with cross-entropy and Adam, and take the epoch that validates best.

    Parameters
    ----------
    encoder : nn.Module
        Encoder from `imuspec.encoders`; it is trained in place.
    windows : Windows
        Labelled windows.
    train, validation : array of int64
        Indices of `windows`.
    picture : dict
        Keywords of `imuspec.rgb_image`, for an encoder of pictures.
    epochs, batch : int
        Passes over the windows; windows of a step. A last batch of one window is left out, as a batch norm needs two.
    learning_rate, weight_decay : float
        Those of Adam.
    seed : int, default 0
        Seed of the linear layer's weights and of the order of windows.
    device : str, default "cpu"
        Device of the training.

    Returns
    -------
    (Classifier, dict)
        The classifier in eval mode, and its ``epoch`` and ``validation_f1``.
    """
    model = seeded(lambda: Classifier(encoder, windows.n_classes), seed).to(device)

    def loss(index: torch.Tensor) -> torch.Tensor | None:
        part = train[index.numpy()]
        if len(part) < 2:  # a batch norm needs two
            return None
        logits = model(_inputs(encoder, windows.x[part], picture).to(device))
        return nn.functional.cross_entropy(logits, torch.from_numpy(windows.label[part]).to(device))

    def figure() -> float:
        guess = predict(model, windows.x[validation], picture, device=device)
        return float(metrics(confusion_matrix(windows.label[validation], guess, windows.n_classes))["macro_f1"])

    best = fit_epochs(
        model,
        loss,
        len(train),
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        seed=seed,
        figure=figure,
    )
    return model, {"epoch": best.epoch, "validation_f1": best.figure}


def predict(
    model: Classifier, x: NDArray[np.float32], picture: dict[str, Any], *, batch: int = 128, device: str = "cpu"
) -> NDArray[np.int64]:
    """Predict the classes of windows [n, 3, time]; the classifier is put in eval mode. NaN is an error."""
    model.eval()
    with torch.inference_mode():
        parts = [
            most_probable(
                model(_inputs(model.encoder, x[start : start + batch], picture).to(device)).float().cpu().numpy()
            )
            for start in range(0, len(x), batch)
        ]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _inputs(encoder: nn.Module, x: NDArray[np.float32], picture: dict[str, Any]) -> torch.Tensor:
    part = np.ascontiguousarray(x, np.float32)
    return torch.from_numpy(rgb_image(part, dtype="float32", **picture) if encoder.kind == "image" else part)


def supervised(
    build: Callable[[int, NDArray[np.float32]], nn.Module],
    windows: Windows,
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    picture: dict[str, Any] | None = None,
    split: Callable[[Windows, int], Split] = subject_split,
    max_train: int | None = None,
    max_validation: int | None = None,
    max_test: int | None = None,
    say: Callable[[str], None] | None = None,
    **training: Any,
) -> ProbeResult:
    """Train and score an encoder on the splits of `probe`, with all training windows and all parameters.

    Parameters
    ----------
    build : callable
        ``build(seed, train)`` returns a new encoder, from a seed and the training windows ``[n, 3, time]`` of its split, g.
    windows : Windows
        Labelled windows.
    seeds : sequence of int
        Seeds of splits and training.
    picture : dict, optional
        Keywords of `imuspec.rgb_image`; by default nfft 128, noverlap 120. Under ``norm="dataset"`` without a range, the range
        is that of each split's training windows.
    split : callable
        As for `probe`.
    max_train, max_validation, max_test : int, optional
        Most windows of each class in a part; all by default.
    say : callable, optional
        Called with one line for each seed.
    **training : object
        Settings of `fit_supervised`.

    Returns
    -------
    ProbeResult
        With the layer "all" and 0 shots, as no number of shots applies.

    Raises
    ------
    ValueError
        If two seeds are equal or give the same split.
    """
    import pandas as pd

    drawing = {"nfft": 128, "noverlap": 120} if picture is None else picture
    rows, scores, members = [], {}, {}
    expect_once("seeds", seeds)
    splits = {seed: split(windows, seed) for seed in seeds}
    expect_distinct({seed: parts.members for seed, parts in splits.items()})
    for seed, parts in splits.items():
        train = capped(windows, parts.train, max_train, seed)
        validation = capped(windows, parts.validation, max_validation, seed)
        test = capped(windows, parts.test, max_test, seed)
        drawing_of_split = _with_range(drawing, windows.x[train])
        model, best = fit_supervised(
            build(seed, windows.x[train]), windows, train, validation, picture=drawing_of_split, seed=seed, **training
        )
        device = training.get("device", "cpu")
        predicted = predict(model, windows.x[test], drawing_of_split, device=device)
        result = score(windows.label[test], predicted, windows.class_names, subject=windows.subject[test], seed=seed)
        key = ("all", 0, seed, "clean")
        scores[key], members[seed] = result, parts.members
        counts = {"n_train": len(train), "n_validation": len(validation), "n_test": len(test)}
        counts["n_redraws"] = parts.n_redraws
        unit = parts.split_by
        rows.append(row_of(key, result, parts.members, windows.subject[test], split_by=unit, **best, **counts))
        if say is not None:
            say(f"{windows.name}: supervised, seed {seed}: macro-F1 {result.macro_f1:.3f} on {len(test)} test windows")
    return ProbeResult(pd.DataFrame(rows), scores, {}, windows.class_names, members)


def _with_range(picture: dict[str, Any], train: NDArray[np.float32]) -> dict[str, Any]:
    if picture.get("norm") != "dataset" or picture.get("range_db") is not None:
        return picture
    frames = {key: picture[key] for key in ("nfft", "noverlap") if key in picture}
    return {**picture, "range_db": training_range(train, **frames)}

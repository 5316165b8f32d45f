"""Fit a classifier of ten-second patches: a head on an encoder of patches, its errors on people left out, smoothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imuspec.datasets.patches import scored_windows
from imuspec.datasets.sequences import PatchSequences
from imuspec.prediction.describing import described
from imuspec.prediction.folds import folds_of, group_folds
from imuspec.prediction.front_end import FrontEnd, kind_of, with_stillness
from imuspec.prediction.held_out import HeldOut
from imuspec.prediction.model import Model
from imuspec.prediction.network import Network
from imuspec.prediction.tuning import Batches, augmented, logits_of, tune
from imuspec.probing.patch_features import PatchFeatures, embed_patches, raw_windows
from imuspec.probing.patch_heads import Head, PatchHeadSettings, fit_patch_head
from imuspec.recipe import FitRecipe

if TYPE_CHECKING:
    from imuspec.encoders import Encoder

__all__ = ["fit_patches"]

Parts = list[NDArray[np.float32]]


def fit_patches(
    encoder: Encoder,
    sequences: PatchSequences,
    recipe: FitRecipe | None = None,
    *,
    source: dict[str, Any] | None = None,
    cache: str | Path | None = None,
    device: str = "cpu",
    say: Callable[[str], None] | None = None,
) -> Model:
    """Fit a classifier of patches.

    Each group of people is left out once, and predicted by a head that was fitted to the others; then a head is fitted to all.

    Parameters
    ----------
    encoder : Encoder
        Encoder of patches, from a pre-training.
    sequences : PatchSequences
        Labelled stretches, for example of Capture-24.
    recipe : FitRecipe, optional
        Settings; by default those of ``standard``.
    source : dict, optional
        Facts of the encoder for the model card: ``name``, ``about``, ``digest``.
    cache : path, optional
        Folder for features.
    device : str, default "cpu"
        Device of the encoder.
    say : callable, optional
        Called with each line of progress.

    Returns
    -------
    Model

    Raises
    ------
    ValueError
        If there are fewer than two people (three where the encoder is trained), the encoder takes no patches, or its patches
        have another length.
    """
    settings = FitRecipe.load("standard") if recipe is None else recipe
    speak = say or (lambda _: None)
    if kind_of(encoder) != "patches":
        raise ValueError("run: expected an encoder of ten-second patches for labelled stretches, got one of windows")
    item = sequences.items[0]
    if item.patch != int(cast("Any", encoder).patch):
        raise ValueError(
            f"data: expected patches of {int(cast('Any', encoder).patch)} samples as in the encoder's training, got "
            f"{item.patch} samples, {item.patch / sequences.rate:g} s at {sequences.rate:g} Hz"
        )
    if settings.split.shots is not None:
        raise ValueError(f"split.shots: expected no limit for patches, got {settings.split.shots}")
    window = min(300, int(cast("Any", encoder).n_patches))
    stillness = settings.patches.stillness
    front = FrontEnd("patches", sequences.rate, item.patch, context=window, stillness=stillness)
    people = sequences.subjects
    least = 2 if settings.tuning.train == "head" else 3
    fold_of = group_folds(np.arange(len(people)), settings.split.folds, settings.split.seed, least=least)
    features = embed_patches(encoder, sequences, window=window, cache=cache, device=device)
    if stillness:
        features = with_stillness(features, sequences, window)
    number = np.array([people.index(subject) for subject in features.subject])
    own = _head_settings(settings)
    logits: Parts = [np.empty((0, 0), np.float32)] * len(features.x)
    raw = raw_windows(sequences, window=window)
    epochs = []
    for fold in folds_of(fold_of[number]):
        # A head alone has no epoch to choose, so the validation people train it too.
        trains = fold.train if settings.tuning.train != "head" else np.union1d(fold.train, fold.validation)
        head, _ = fit_patch_head(features.select([people[i] for i in np.unique(number[trains])]), own, device=device)
        head = head.cpu()
        if settings.tuning.train == "head":
            for index in fold.test.tolist():
                logits[index] = _logits(head, features.x[index])
            continue
        batches = _batches(raw, settings)
        network = Network(encoder, head, front)
        tuned, epoch = tune(
            network, batches, fold.train, fold.validation, settings.tuning, seed=own.seed, device=device
        )
        for index in fold.test.tolist():
            logits[index] = logits_of(tuned, batches, np.array([index]))[0][0]
        epochs.append(epoch)
        speak(f"fine-tuned without group {fold.number + 1}: {epoch} epochs")
    head, _ = fit_patch_head(features, own, device=device)
    final, head = encoder, head.cpu()
    if epochs:
        median = round(float(np.median(epochs)))
        network, _ = tune(
            Network(encoder, head, front),
            _batches(raw, settings),
            np.arange(len(raw.x)),
            None,
            settings.tuning,
            seed=own.seed,
            epochs=median,
            device=device,
        )
        final, head = network.encoder, network.head
        final.spec = encoder.spec
        speak(f"fine-tuned on all people: {median} epochs")
    held_out = _held_out(sequences, logits, fold_of, window)
    return described(front, final.cpu(), head, held_out, settings, data=sequences, source=source, say=speak)


def _head_settings(recipe: FitRecipe) -> PatchHeadSettings:
    patches, kind = recipe.patches, recipe.head.kind
    return PatchHeadSettings(
        head=kind,
        epochs=2 if kind == "lstm" else patches.epochs,  # more over-fit, and no part is there to choose an epoch by
        learning_rate=patches.learning_rate,
        batch=patches.batch,
        choose="last",
        standardise=True,
        least_steps=patches.least_steps,
        seed=recipe.split.seed,
    )


@torch.inference_mode()
def _logits(head: Head, x: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(head(torch.from_numpy(np.asarray(x, np.float32))[None])[0].numpy())


def _batches(raw: PatchFeatures, recipe: FitRecipe) -> Batches:
    """Return batches of windows, the shorter ones filled with their own samples again, which do not count."""
    longest = max(len(label) for label in raw.label)
    patch = raw.x[0].shape[1] // len(raw.label[0])

    def inputs(index: NDArray[np.int64], generator: torch.Generator | None) -> Tensor:
        n = longest if len(index) > 1 else len(raw.label[int(index[0])])
        position = np.arange(n * patch)
        x = torch.from_numpy(np.stack([raw.x[i][:, position % raw.x[i].shape[1]] for i in index.tolist()]))
        return x if generator is None else augmented(x, recipe.tuning.augmentations, generator)

    def labels(index: NDArray[np.int64]) -> NDArray[np.int64]:
        n = longest if len(index) > 1 else len(raw.label[int(index[0])])
        label = np.full((len(index), n), -1, np.int64)
        for row, i in enumerate(index.tolist()):
            label[row, : len(raw.label[i])] = raw.label[i]
        return label

    return Batches(inputs, labels, len(raw.class_names), scored_together=1)


def _held_out(sequences: PatchSequences, logits: Parts, fold_of: NDArray[np.int64], window: int) -> HeldOut:
    """Return the logits of each patch, from the window that scores it; each stretch is a chain."""
    people = sequences.subjects
    remaining = iter(logits)
    columns: list[tuple[NDArray[Any], ...]] = []
    for chain, item in enumerate(sequences):
        windows = scored_windows(len(item.label), window=window)
        parts = [next(remaining)[first - start : end - start] for start, first, end in windows]
        values = np.concatenate(parts).astype(np.float32)
        person = people.index(item.subject)
        n = len(values)
        columns.append((values, item.label, np.full(n, person), np.full(n, fold_of[person]), np.full(n, chain)))
    return HeldOut(*(np.concatenate(column) for column in zip(*columns, strict=True)))

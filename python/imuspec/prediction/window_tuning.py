"""Fine-tuning of encoders of windows and pictures, for each group of people that is left out and for all people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imuspec.datasets import Windows, n_shot
from imuspec.prediction.folds import Fold
from imuspec.prediction.front_end import FrontEnd
from imuspec.prediction.network import Network
from imuspec.prediction.tuning import Batches, augmented, logits_of, tune
from imuspec.recipe import FitRecipe
from imuspec.spectral.image import rgb_image

if TYPE_CHECKING:
    from imuspec.encoders import Encoder
    from imuspec.probing.patch_heads import Head

__all__ = ["Start", "batches_of", "tune_windows"]


@dataclass(frozen=True, eq=False)
class Start:
    """Where a fine-tuning starts: encoder, fitted head, and picture of its windows."""

    encoder: Encoder
    head: Head
    picture: dict[str, Any] | None


def tune_windows(
    starts: Sequence[Start],
    whole: Start,
    front: FrontEnd,
    windows: Windows,
    folds: Sequence[Fold],
    recipe: FitRecipe,
    *,
    device: str,
    say: Callable[[str], None],
) -> tuple[Start, NDArray[np.float32]]:
    """Train each fold's network, predict the people left out, then train on all people.

    Parameters
    ----------
    starts : sequence of Start
        Start of each fold; nothing in it was fitted to the people left out.
    whole : Start
        Start of all people. Its training takes the median of the folds' epochs.
    front : FrontEnd
        Front end of the model.
    windows : Windows
        Labelled windows.
    folds : sequence of Fold
        Windows that train, validate and test.
    recipe : FitRecipe
        Settings.
    device : str
        Device of the training.
    say : callable
        Called with a line for each fold.

    Returns
    -------
    (Start, array of float32 [N, C])
        Encoder and head of all people, and the logits of each window by the network that had not seen its person.
    """
    settings, seed = recipe.tuning, recipe.split.seed
    logits = np.empty((len(windows), windows.n_classes), np.float32)
    epochs = []
    for fold, start in zip(folds, starts, strict=True):
        batches = batches_of(windows, front, start.picture, settings.augmentations)
        network = Network(start.encoder, start.head, front)
        train = _drawn(windows, fold.train, recipe)
        tuned, epoch = tune(network, batches, train, fold.validation, settings, seed=seed, device=device)
        logits[fold.test] = np.concatenate(logits_of(tuned, batches, fold.test))
        epochs.append(epoch)
        say(f"fine-tuned without group {fold.number + 1} of {len(folds)}: {epoch} epochs")
    median = round(float(np.median(epochs)))
    batches = batches_of(windows, front, whole.picture, settings.augmentations)
    network = Network(whole.encoder, whole.head, front)
    index = _drawn(windows, np.arange(len(windows)), recipe)
    tuned, _ = tune(network, batches, index, None, settings, seed=seed, epochs=median, device=device)
    say(f"fine-tuned on all people: {median} epochs")
    tuned.encoder.spec = whole.encoder.spec
    return replace(whole, encoder=tuned.encoder, head=tuned.head), logits


def _drawn(windows: Windows, index: NDArray[np.int64], recipe: FitRecipe) -> NDArray[np.int64]:
    shots = recipe.split.shots
    return index if shots is None else n_shot(windows, index, shots, recipe.split.seed)


def batches_of(
    windows: Windows, front: FrontEnd, picture: dict[str, Any] | None, augmentations: Sequence[str]
) -> Batches:
    """Return windows, or their pictures, as items of a fine-tuning; those that train are augmented as signals."""

    def inputs(index: NDArray[np.int64], generator: torch.Generator | None) -> Tensor:
        x = torch.from_numpy(np.ascontiguousarray(windows.x[index]))
        if generator is not None:
            x = augmented(x, augmentations, generator)
        if front.kind != "image":
            return x
        return torch.from_numpy(rgb_image(x.numpy(), dtype="float32", **(picture or {})))

    return Batches(inputs, lambda index: windows.label[index], windows.n_classes)

"""Fit a classifier of windows: settings chosen on validation people, predictions for people left out, then all people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from imuspec.datasets import Windows, n_shot
from imuspec.datasets.leaks import groups_of
from imuspec.prediction.describing import described
from imuspec.prediction.folds import Fold, folds_of, group_folds
from imuspec.prediction.front_end import FrontEnd, kind_of
from imuspec.prediction.held_out import HeldOut, chains_of
from imuspec.prediction.model import Model
from imuspec.prediction.window_tuning import Start, tune_windows
from imuspec.probing.heads import Fitted, Task, fit, fit_logistic
from imuspec.probing.parameter_free import StatisticsSource
from imuspec.probing.patch_heads import Head
from imuspec.probing.sources import Choice, EncoderSource
from imuspec.recipe import FitRecipe

if TYPE_CHECKING:
    from imuspec.encoders import Encoder

__all__ = ["fit_windows", "linear_head"]

Say = Callable[[str], None]
_Source = StatisticsSource | EncoderSource


@dataclass(frozen=True, eq=False)
class _Fit:
    """The head of one fold: its choice of the source, its place in the list of choices, and logits of all windows."""

    fitted: Fitted
    position: int
    logits: NDArray[np.float32]


def fit_windows(
    encoder: Encoder | None,
    windows: Windows,
    recipe: FitRecipe | None = None,
    *,
    source: dict[str, Any] | None = None,
    layer: str = "last",
    device: str = "cpu",
    say: Say | None = None,
) -> Model:
    """Fit a classifier of windows.

    Each group of people is left out once: the head is fitted to the training people, its settings and those of the pictures
    are chosen on the validation people, and the people left out are predicted. The model is then fitted to all people, with
    the settings that validated best over the groups.

    Parameters
    ----------
    encoder : Encoder or None
        Encoder of windows or of pictures; None for statistics of the window.
    windows : Windows
        Labelled windows.
    recipe : FitRecipe, optional
        Settings; by default those of ``standard``.
    source : dict, optional
        Facts of the encoder for the model card: ``name``, ``about``, ``digest``.
    layer : str, default "last"
        Layer of the encoder; fine-tuning takes the last.
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
        If there are fewer than three people, a setting does not apply, or the windows do not fit the encoder.
    """
    settings = FitRecipe.load("standard") if recipe is None else recipe
    speak = say or (lambda _: None)
    train = settings.tuning.train
    _check(encoder, windows, settings, layer)
    groups, group = np.unique(groups_of(windows, windows.split_by), return_inverse=True)
    fold = group_folds(np.arange(len(groups)), settings.split.folds, settings.split.seed)[group]
    folds = list(folds_of(fold))
    _name_missing(windows, folds, speak)
    plain: _Source = StatisticsSource(windows.rate)
    if encoder is not None:
        plain = EncoderSource(encoder, pictures=settings.pictures, layers=[layer], device=device)
    fits, sources, choices = _choose(plain, windows, folds, settings, speak)
    validation_f1 = np.mean([[one.fitted.validation_f1 for one in each] for each in fits], axis=0)
    position = int(np.argmax(validation_f1))  # the choice that is best over the groups
    head, picture, final = _on_all(plain, windows, [each[position] for each in fits], position, settings)
    front = FrontEnd(kind_of(encoder), windows.rate, windows.n_samples, layer, picture)
    logits = np.empty((len(windows), windows.n_classes), np.float32)
    for part, each in zip(folds, fits, strict=True):
        best = max(each, key=lambda one: one.fitted.validation_f1)
        logits[part.test] = best.logits[part.test]
    if train != "head":
        starts = []
        for part, each, own, own_choices in zip(folds, fits, sources, choices, strict=True):
            fold_picture, fold_encoder = _parts(own, own_choices[position])
            assert fold_encoder is not None
            inputs = replace(front, picture=fold_picture).features(fold_encoder, windows.x[part.train])
            start_head = linear_head(each[position].fitted, inputs, settings.head.kind)
            starts.append(Start(fold_encoder, start_head, fold_picture))
        assert final is not None
        start = Start(final, head, picture)
        tuned, logits = tune_windows(starts, start, front, windows, folds, settings, device=device, say=speak)
        final, head = tuned.encoder, tuned.head
    held_out = _held_out(windows, logits, group, fold)
    return described(front, final, head, held_out, settings, data=windows, source=source, say=speak)


def _check(encoder: Encoder | None, windows: Windows, recipe: FitRecipe, layer: str) -> None:
    """Raise an error, in words, for what torch or the native kernel would refuse in theirs."""
    kind, head, train = kind_of(encoder), recipe.head.kind, recipe.tuning.train
    if kind == "patches":
        raise ValueError("run: expected an encoder of windows or pictures for windows, got one of ten-second patches")
    if head not in ("logistic", "linear"):
        raise ValueError(f"head: expected logistic or linear for windows, got {head}, a head for ten-second patches")
    if train != "head" and encoder is None:
        raise ValueError(f"train: expected head for statistics, which have no weights, got {train}")
    if train != "head" and layer != "last":
        raise ValueError(f"layer: expected last where the encoder is trained, got {layer}")
    if len(np.unique(windows.label)) < 2:
        raise ValueError(f"data: expected windows of at least two classes, got {windows!r}")
    if kind != "signal":
        return
    assert encoder is not None
    axes, samples = encoder.input_shape(None)[-2:]
    if axes != 3 or len(encoder.input_shape(None)) != 2:
        raise ValueError(
            f"run: expected an encoder of three axes, got one of {list(encoder.input_shape(None)[:-1])} axes"
        )
    try:
        with torch.inference_mode():
            encoder.eval()(torch.from_numpy(windows.x[:2]))
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"run: expected windows of {samples} samples as in its training (window_s and rate of --data), got windows of "
            f"{windows.n_samples} samples, {windows.window_s:g} s at {windows.rate:g} Hz"
        ) from error


def _name_missing(windows: Windows, folds: list[Fold], say: Say) -> None:
    lacking: Counter[str] = Counter()
    for fold in folds:
        present = np.bincount(windows.label[fold.train], minlength=windows.n_classes) > 0
        lacking.update(name for name, is_there in zip(windows.class_names, present, strict=True) if not is_there)
    for name, times in lacking.items():
        say(f"{name}: no training window in {times} of {len(folds)} groups, where it is never predicted")


def _choose(
    source: _Source,
    windows: Windows,
    folds: list[Fold],
    recipe: FitRecipe,
    say: Say,
) -> tuple[list[list[_Fit]], list[_Source], list[list[Choice]]]:
    """Return the fit of each fold under each choice, and the source and the choices of each fold."""
    of_split = isinstance(source, EncoderSource) and source.of_split
    sources = [_fitted(source, windows.x[fold.train]) if of_split else source for fold in folds]
    choices = [each.choices(windows.n_samples) for each in sources]
    fits: list[list[_Fit]] = [[] for _ in folds]
    for position, choice in enumerate(choices[0]):
        shared = None if of_split else _features(source, windows, choice)
        tasks, values = [], []
        for fold, own, own_choices in zip(folds, sources, choices, strict=True):
            features = _features(own, windows, own_choices[position]) if shared is None else shared
            values.append(features)
            tasks.append(_task(features, windows, fold, recipe))
        for each, fitted, features in zip(
            fits, fit(recipe.head.kind, tasks, windows.n_classes, recipe.head), values, strict=True
        ):
            each.append(_Fit(fitted, position, np.asarray(fitted.logits(features), np.float32)))
        figure = np.mean([each[position].fitted.validation_f1 for each in fits])
        named = ", ".join(f"{key} {value:g}" for key, value in choice.items()) or "one setting"
        say(f"{position + 1} of {len(choices[0])} settings ({named}): validation macro-F1 {figure:.3f}")
    return fits, sources, choices


def _fitted(source: _Source, train: NDArray[np.float32]) -> _Source:
    return source.fitted(train) if isinstance(source, EncoderSource) else source


def _parts(source: _Source, choice: Choice) -> tuple[dict[str, Any] | None, Encoder | None]:
    """Return the picture and the encoder of a choice."""
    if not isinstance(source, EncoderSource):
        return None, None
    picture, encoder = source.parts(choice)
    return picture, cast("Encoder", encoder)


def _features(source: _Source, windows: Windows, choice: Choice) -> NDArray[np.float32]:
    (features,) = source.features(windows.x, choice).values()  # one layer
    return features


def _task(features: NDArray[np.float32], windows: Windows, fold: Fold, recipe: FitRecipe) -> Task:
    train, seed = fold.train, recipe.split.seed
    if recipe.split.shots is not None:
        train = n_shot(windows, train, recipe.split.shots, seed)
    label = windows.label
    if len(np.unique(label[train])) < 2:
        raise ValueError("data: expected two classes or more in each group's training people, got one: use more people")
    return Task(features[train], label[train], features[fold.validation], label[fold.validation], seed)


def _on_all(
    source: _Source,
    windows: Windows,
    fits: list[_Fit],
    position: int,
    recipe: FitRecipe,
) -> tuple[Head, dict[str, Any] | None, Encoder | None]:
    """Fit the head to all people with the settings chosen over the folds; return it, the picture and the encoder."""
    source = _fitted(source, windows.x)
    choice = source.choices(windows.n_samples)[position]
    picture, encoder = _parts(source, choice)
    features = _features(source, windows, choice)
    index = np.arange(len(windows))
    if recipe.split.shots is not None:
        index = n_shot(windows, index, recipe.split.shots, recipe.split.seed)
    x, label = features[index], windows.label[index]
    task = Task(x, label, x, label, recipe.split.seed)
    chosen = [one.fitted.chosen for one in fits]
    if recipe.head.kind == "logistic":
        strength = Counter(each["C"] for each in chosen).most_common(1)[0][0]
        fitted = fit_logistic([task], windows.n_classes, recipe.head, strengths=(strength,))[0]
    else:
        rate, decay = Counter((c["learning_rate"], c["weight_decay"]) for c in chosen).most_common(1)[0][0]
        alike = [c["epoch"] for c in chosen if (c["learning_rate"], c["weight_decay"]) == (rate, decay)]
        single = {"learning_rates": (rate,), "weight_decays": (decay,), "epochs": max(1, int(np.median(alike)))}
        fitted = fit("linear", [task], windows.n_classes, recipe.head.model_copy(update={**single, "choose": "last"}))[
            0
        ]
    return linear_head(fitted, x, recipe.head.kind), picture, encoder


def linear_head(fitted: Fitted, features: NDArray[np.float32], kind: str) -> Head:
    """Return a linear head as a module that standardises its features first, which keeps float32 exact enough."""
    assert fitted.weight is not None
    assert fitted.bias is not None
    mean = features.mean(0, dtype=np.float64)
    scale = np.maximum(features.std(0, dtype=np.float64), 1e-6)
    head = Head("logistic" if kind == "logistic" else "linear", features.shape[1], len(fitted.bias))
    weight = np.asarray(fitted.weight, np.float64)
    layer = head.out
    assert isinstance(layer, torch.nn.Linear)
    with torch.no_grad():
        head.mean.copy_(torch.from_numpy(mean))
        head.scale.copy_(torch.from_numpy(scale))
        layer.weight.copy_(torch.from_numpy(weight * scale))
        layer.bias.copy_(torch.from_numpy(np.asarray(fitted.bias, np.float64) + weight @ mean))
    return head.eval()


def _held_out(
    windows: Windows, logits: NDArray[np.float32], group: NDArray[np.int64], fold: NDArray[np.int64]
) -> HeldOut:
    assert windows.sensor is not None
    names = np.char.add(np.char.add(windows.recording, " "), windows.sensor)
    chain = chains_of(names, windows.start_s, windows.window_s)
    order = np.lexsort((windows.start_s, chain))
    person = group.astype(np.int64)
    return HeldOut(logits[order], windows.label[order], person[order], fold[order], chain[order])

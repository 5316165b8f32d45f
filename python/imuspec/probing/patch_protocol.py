"""The probe of an encoder of patches on people that its head had not seen, and probabilities out of fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.draws import expect_distinct
from imuspec.datasets.sequences import PatchSequences
from imuspec.errors import expect_once
from imuspec.evaluation import score
from imuspec.probing.patch_features import PatchFeatures
from imuspec.probing.patch_heads import PatchHeadSettings, fit_patch_head, predict_patches
from imuspec.probing.results import ProbeResult, row_of

__all__ = ["out_of_fold", "people_with_labels", "probe_patches"]

Embed = Callable[[PatchSequences, int | None], PatchFeatures]


def out_of_fold(
    features: PatchFeatures, settings: PatchHeadSettings, *, folds: int = 5
) -> tuple[list[NDArray[np.float32]], list[int]]:
    """Return probabilities of each window from a head that was fitted without the people of its fold, and the folds.

    Smoothing and intervals are fitted to these, as a head is overconfident on its own training data.

    Parameters
    ----------
    features : PatchFeatures
        Features of labelled windows.
    settings : PatchHeadSettings
        Settings of the heads.
    folds : int, default 5
        Number of folds; fewer where there are fewer subjects.

    Returns
    -------
    list of float32 arrays [patches, classes]
        Probabilities of each window.
    list of int
        Fold of each window.

    Raises
    ------
    ValueError
        If there are fewer than two subjects.
    """
    subjects = sorted(set(features.subject))
    if len(subjects) < 2:
        raise ValueError(f"subjects: expected two or more for folds, got {len(subjects)}")
    folds = min(folds, len(subjects))
    shuffled = np.random.default_rng(settings.seed).permutation(subjects).tolist()
    fold_of = {subject: i % folds for i, subject in enumerate(shuffled)}
    probabilities: list[NDArray[np.float32]] = [np.empty((0, 0), np.float32)] * len(features.x)
    fold = [fold_of[subject] for subject in features.subject]
    for number in range(folds):
        left_out = [subject for subject in subjects if fold_of[subject] == number]
        rest = features.select([subject for subject in subjects if fold_of[subject] != number])
        inner = replace(settings, choose="last", epochs=2 if settings.head == "lstm" else settings.epochs)
        head, _ = fit_patch_head(rest, inner)
        for i in range(len(features.x)):
            if features.subject[i] in left_out:
                probabilities[i] = head.probabilities([features.x[i]])[0]
    return probabilities, fold


def people_with_labels(people: Sequence[str], fraction: float, seed: int) -> list[str]:
    """Return a share of the training people, rounded down but at least one: the paper's 5 % of 119 are 5.

    Parameters
    ----------
    people : sequence of str
        People who train.
    fraction : float
        Share of them; a smaller share is part of a larger one.
    seed : int
        Seed of their order.
    """
    order: list[str] = np.random.default_rng([seed, 1]).permutation(people).tolist()
    return order[: max(1, int(fraction * len(people) + 1e-9))]


def probe_patches(
    embed: Embed,
    sequences: PatchSequences,
    settings: PatchHeadSettings,
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    fraction: float = 0.8,
    train_fraction: float = 1.0,
    stride: int | None = None,
    device: str = "cpu",
    say: Callable[[str], None] | None = None,
) -> ProbeResult:
    """Split by subject, fit a head, score the validation part; once for each seed.

    Parameters
    ----------
    embed : callable
        ``(sequences, stride) -> PatchFeatures``: `embed_patches` of an encoder, or statistics. Called once, or twice where
        training windows overlap.
    sequences : PatchSequences
        Labelled stretches.
    settings : PatchHeadSettings
        Settings of the head; its seed is each of `seeds` in turn.
    seeds : sequence of int
        Seeds of splits and initial weights.
    fraction : float, default 0.8
        Share of the subjects that trains; the paper's.
    train_fraction : float, default 1.0
        Share of these whose labels are used, rounded down, nested: the first of one order for each seed. Epochs grow by its
        inverse, so that the number of steps stays.
    stride : int, optional
        Patches between training windows; None: no overlap.
    device : str, default "cpu"
        Device of the head.
    say : callable, optional
        Called with one line for each seed.

    Returns
    -------
    ProbeResult
        With the layer ``last``, 0 shots as all labels are used, and the test set ``validation``, the part that is scored;
        ``n_train`` and ``n_validation`` count subjects.

    Raises
    ------
    ValueError
        If two seeds are equal or give the same split.
    """
    import pandas as pd

    whole = embed(sequences, None)
    overlapping = whole if stride is None else embed(sequences, stride)
    rows, scores, members = [], {}, {}
    expect_once("seeds", seeds)
    splits = {seed: tuple(part.subjects for part in sequences.split(seed, fraction)) for seed in seeds}
    expect_distinct({seed: {"train": train, "validation": rest} for seed, (train, rest) in splits.items()})
    for seed, (train, validation) in splits.items():
        chosen = people_with_labels(train, train_fraction, seed)
        epochs = max(1, round(settings.epochs * len(train) / len(chosen)))
        scored = whole.select(validation)
        head, best = fit_patch_head(
            overlapping.select(chosen),
            replace(settings, seed=seed, epochs=epochs),
            validation=scored,
            device=device,
        )
        predicted = predict_patches(head, scored)
        result = score(scored.truth(), predicted, sequences.class_names, subject=scored.who(), seed=seed)
        key = ("last", 0, seed, "validation")
        scores[key], members[seed] = result, {"train": tuple(sorted(chosen)), "validation": tuple(validation)}
        counts = {"n_train": len(chosen), "n_validation": len(validation)}
        rows.append(row_of(key, result, members[seed], scored.who(), **best, **counts))
        if say is not None:
            values = result.values
            say(f"{sequences.name}: seed {seed}: BA {values['balanced_accuracy']:.3f}, kappa {values['kappa']:.3f}")
    return ProbeResult(pd.DataFrame(rows), scores, {}, sequences.class_names, members)

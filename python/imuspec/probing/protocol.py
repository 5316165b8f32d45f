"""The probe: split by subject, draw few labels, fit heads on frozen features, choose on validation, score on test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets import Split, Windows, n_shot, subject_split
from imuspec.datasets.draws import expect_distinct
from imuspec.errors import expect_once
from imuspec.evaluation import Scores, score
from imuspec.probing.heads import Fitted, Task, fit
from imuspec.probing.results import ProbeResult, row_of
from imuspec.probing.sources import Choice, FeatureSource, SplitSource
from imuspec.recipe.probing import HeadSettings

__all__ = ["capped", "probe"]


@dataclass
class _Draw:
    """The split of a seed, and its labelled windows for each number of shots."""

    seed: int
    split: Split
    train: dict[int, NDArray[np.int64]]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass
class _Best:
    """The best head so far of a layer, number of shots and seed, and the setting of its features."""

    fitted: Fitted
    choice: Choice
    others: list[float] = field(default_factory=list)


def probe(
    source: FeatureSource,
    windows: Windows,
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    shots: Sequence[int] = (10,),
    head: str = "linear",
    settings: HeadSettings | None = None,
    split: Callable[[Windows, int], Split] = subject_split,
    altered: Mapping[str, NDArray[np.float32]] | None = None,
    max_validation: int | None = None,
    max_test: int | None = None,
    say: Callable[[str], None] | None = None,
) -> ProbeResult:
    """Judge frozen features with few labels.

    For each seed: split by subject, draw `shots` windows of each class from the training part (nested), fit the head's grid on
    the features of each choice of the source, take the best head by macro-F1 on the validation part, and score it on the test
    part. Features are computed once for each window and choice, for all seeds, draws and layers together, and for the test part
    only under the best choice. Where they depend on the training windows (pictures under ``norm="dataset"``) they are computed
    once for each seed. Nothing is stored on disk.

    Parameters
    ----------
    source : FeatureSource
        Features, for example an `EncoderSource` or a `StatisticsSource`.
    windows : Windows
        Labelled windows.
    seeds : sequence of int
        Seeds, each of a split, a draw and a head.
    shots : sequence of int
        Labelled windows of each class.
    head : str
        "linear" (50 epochs of Adam, a grid of learning rates and weight decays) or "logistic" (to convergence, on standardised
        features).
    settings : HeadSettings, optional
        Epochs, batch and grid of the head.
    split : callable
        ``split(windows, seed)``; `imuspec.datasets.subject_split` by default.
    altered : mapping of str to array [N, 3, time], optional
        The same windows under other conditions; the same heads are scored on these further test sets.
    max_validation, max_test : int, optional
        Most windows of each class in a part, drawn by the seed; all by default. Rows of one table need the same limits.
    say : callable, optional
        Called with each line of progress.

    Returns
    -------
    ProbeResult

    Raises
    ------
    ValueError
        If a split lacks a class, a seed, number of shots or layer occurs twice, two seeds give the same split, an altered set has
        another shape, or the head refuses its features.

    References
    ----------
    Yoon et al., IMG2IMU, 2025: frozen encoder, new linear layer, 50 epochs, batch 4, grids on the validation split.
    """
    head_settings = HeadSettings() if settings is None else settings
    for name, x in (altered or {}).items():
        if x.shape != windows.x.shape:
            raise ValueError(f"altered {name}: expected {windows.x.shape} as the windows, got {x.shape}")
    for name, values in (("seeds", seeds), ("shots", shots), ("layer", source.layers)):
        expect_once(name, values)
    draws = [_draw(windows, seed, shots, split, max_validation, max_test) for seed in seeds]
    expect_distinct({draw.seed: draw.split.members for draw in draws})
    conditions = {"clean": windows.x, **(altered or {})}
    if getattr(source, "of_split", False):
        return _joined([_of_one(source, windows, draw, head, head_settings, say, conditions) for draw in draws])
    best = _choose(source, windows, draws, head, head_settings, say)
    return _judge(source, windows, draws, best, conditions)


def _of_one(
    source: FeatureSource,
    windows: Windows,
    draw: _Draw,
    head: str,
    settings: HeadSettings,
    say: Callable[[str], None] | None,
    conditions: Mapping[str, NDArray[np.float32]],
) -> ProbeResult:
    """Probe one split with features that depend on its training windows."""
    fitted_source = cast("SplitSource", source).fitted(windows.x[draw.split.train])
    return _judge(
        fitted_source, windows, [draw], _choose(fitted_source, windows, [draw], head, settings, say), conditions
    )


def _joined(parts: Sequence[ProbeResult]) -> ProbeResult:
    """Join the results of several seeds, in the order of a single probe of all."""
    import pandas as pd

    table = pd.concat([part.table for part in parts], ignore_index=True)
    rank = {name: number for number, name in enumerate(dict.fromkeys(table["layer"]))}
    table = table.sort_values(["layer", "shots"], key=lambda v: v.map(rank) if v.name == "layer" else v, kind="stable")
    return ProbeResult(
        table.reset_index(drop=True),
        {key: value for part in parts for key, value in part.scores.items()},
        {key: value for part in parts for key, value in part.heads.items()},
        parts[0].class_names,
        {seed: members for part in parts for seed, members in part.members.items()},
    )


def _draw(
    windows: Windows,
    seed: int,
    shots: Sequence[int],
    split: Callable[[Windows, int], Split],
    max_validation: int | None,
    max_test: int | None,
) -> _Draw:
    parts = split(windows, seed)
    return _Draw(
        seed,
        parts,
        {n: n_shot(windows, parts.train, n, seed) for n in shots},
        capped(windows, parts.validation, max_validation, seed),
        capped(windows, parts.test, max_test, seed),
    )


def capped(windows: Windows, index: NDArray[np.int64], most: int | None, seed: int) -> NDArray[np.int64]:
    """Draw a limited number of windows of each class.

    Parameters
    ----------
    windows : Windows
        Windows of one set.
    index : array of int64 [k]
        Indices of windows to draw from.
    most : int or None
        Most windows of each class; None takes all.
    seed : int
        Seed of the draw.

    Returns
    -------
    array of int64
        Indices of windows, rising.
    """
    if most is None:
        return index
    label = windows.label[index]
    drawn = [
        np.random.default_rng([seed, each]).permutation(index[label == each])[:most]
        for each in np.unique(label).tolist()
    ]
    return np.sort(np.concatenate(drawn))


def _choose(
    source: FeatureSource,
    windows: Windows,
    draws: Sequence[_Draw],
    head: str,
    settings: HeadSettings,
    say: Callable[[str], None] | None,
) -> dict[tuple[str, int, int], _Best]:
    """Fit on every choice; return the best head of each layer, number of shots and seed by validation."""
    best: dict[tuple[str, int, int], _Best] = {}
    needed = np.unique(np.concatenate([part for d in draws for part in (*d.train.values(), d.validation)]))
    choices = source.choices(windows.n_samples)
    for number, choice in enumerate(choices, 1):
        features = source.features(windows.x[needed], choice)
        for layer, values in features.items():
            keys, tasks = [], []
            for draw in draws:
                for n, train in draw.train.items():
                    keys.append((layer, n, draw.seed))
                    tasks.append(_task(values, needed, windows.label, train, draw))
            for key, fitted in zip(keys, fit(head, tasks, windows.n_classes, settings), strict=True):
                if key not in best or fitted.validation_f1 > best[key].fitted.validation_f1:
                    best[key] = _Best(fitted, choice, best[key].others if key in best else [])
                best[key].others.append(fitted.validation_f1)
        if say is not None:
            named = ", ".join(f"{name} {value}" for name, value in choice.items()) or "one setting"
            say(f"{windows.name}: {number} of {len(choices)} settings ({named}), {len(needed)} windows")
    return best


def _fewest(windows: Windows, train: NDArray[np.int64]) -> int:
    """Return the number of training windows of the class that has fewest, of the classes of the set."""
    counts = np.bincount(windows.label[train], minlength=windows.n_classes)
    return int(counts[np.unique(windows.label)].min())


def _task(
    features: NDArray[np.float32],
    needed: NDArray[np.int64],
    label: NDArray[np.int64],
    train: NDArray[np.int64],
    draw: _Draw,
) -> Task:
    return Task(
        features[np.searchsorted(needed, train)],
        label[train],
        features[np.searchsorted(needed, draw.validation)],
        label[draw.validation],
        draw.seed,
    )


def _judge(
    source: FeatureSource,
    windows: Windows,
    draws: Sequence[_Draw],
    best: Mapping[tuple[str, int, int], _Best],
    tests: Mapping[str, NDArray[np.float32]],
) -> ProbeResult:
    """Score each chosen head on its test windows, a choice of the source at a time."""
    import pandas as pd

    by_seed = {draw.seed: draw for draw in draws}
    rows: dict[tuple[str, int, int, str], dict[str, Any]] = {}
    scores: dict[tuple[str, int, int, str], Scores] = {}
    for choice in {tuple(b.choice.items()): b.choice for b in best.values()}.values():
        keys = [key for key, head in best.items() if head.choice == choice]
        needed = np.unique(np.concatenate([by_seed[seed].test for _, _, seed in keys]))
        for test, x in tests.items():
            features = source.features(x[needed], choice)
            for layer, n, seed in keys:
                draw, head = by_seed[seed], best[layer, n, seed]
                predicted = head.fitted.predict(features[layer][np.searchsorted(needed, draw.test)])
                scores_here = score(
                    windows.label[draw.test],
                    predicted,
                    windows.class_names,
                    subject=windows.subject[draw.test],
                    seed=seed,
                )
                scores[layer, n, seed, test] = scores_here
                key = (layer, n, seed, test)
                rows[key] = row_of(
                    key,
                    scores_here,
                    draw.split.members,
                    windows.subject[draw.test],
                    validation_f1=head.fitted.validation_f1,
                    **head.choice,
                    **head.fitted.chosen,
                    n_train=len(draw.train[n]),
                    n_fewest=_fewest(windows, draw.train[n]),
                    n_validation=len(draw.validation),
                    n_test=len(draw.test),
                    n_redraws=draw.split.n_redraws,
                    split_by=draw.split.split_by,
                )
    order = [
        (layer, n, draw.seed, t) for layer in source.layers for n in draws[0].train for draw in draws for t in tests
    ]
    heads = {key: head.fitted for key, head in best.items()}
    members = {draw.seed: draw.split.members for draw in draws}
    table = pd.DataFrame([rows[key] for key in order])
    return ProbeResult(table, {key: scores[key] for key in order}, heads, windows.class_names, members)

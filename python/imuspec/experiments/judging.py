"""The probe that experiments share: few labels, an experiment's head, seeds and limits, and the rows without parameters."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from imuspec.datasets import Windows
from imuspec.evaluation import mean_interval, mean_sd
from imuspec.experiments.setup import HeadOptions, HeadsOptions, Setup
from imuspec.probing.parameter_free import MomentsSource, RowMeans, StatisticsSource
from imuspec.probing.protocol import probe
from imuspec.probing.results import ProbeResult
from imuspec.probing.sources import Choice, EncoderSource, FeatureSource, SplitSource
from imuspec.recipe.probing import HeadSettings, PictureSettings

__all__ = [
    "MOMENTS",
    "PARAMETER_FREE",
    "ROW_MEANS",
    "STATISTICS",
    "WHOLE",
    "OverTriads",
    "Remembered",
    "judge",
    "judge_parameter_free",
    "judge_row",
    "score_table",
    "seeded_network",
]

Network = TypeVar("Network", bound=nn.Module)
STATISTICS = "statistics of the window"
MOMENTS = "signed means and log deviations"
ROW_MEANS = "means of the picture's rows"
PARAMETER_FREE = (STATISTICS, MOMENTS, ROW_MEANS)
"""Rows without parameters, which every table of windows has."""

WHOLE = ("last", "all", "statistics")
"""Layers that are the row itself."""

_MOST_BYTES = 2**30
_TINY_PICTURES = {"nfft": (64,), "hop": (16,), "size": (24, 32)}


def judge(
    setup: Setup[HeadOptions],
    source: FeatureSource,
    windows: Windows,
    *,
    shots: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    head: str = "linear",
    altered: Mapping[str, NDArray[Any]] | None = None,
) -> ProbeResult:
    """Probe features by the options of an experiment; the limits on test windows are the table's, for every row.

    Parameters
    ----------
    setup : Setup
        Input of the experiment.
    source : FeatureSource
        Features.
    windows : Windows
        Labelled windows.
    shots, seeds : sequence of int, optional
        Those of the setup by default.
    head : str, default "linear"
        As for `imuspec.probing.probe`.
    altered : mapping, optional
        As for `imuspec.probing.probe`.
    """
    options = setup.options
    return probe(
        source,
        windows,
        seeds=setup.seeds if seeds is None else seeds,
        shots=(options.shots,) if shots is None else shots,
        head=head,
        settings=HeadSettings.model_validate({"epochs": options.head_epochs}),
        altered=altered,
        max_validation=options.max_judged or None,
        max_test=options.max_judged or None,
    )


def judge_row(
    setup: Setup[HeadsOptions],
    row: str,
    sources: Iterable[tuple[int, FeatureSource]],
    windows: Windows,
    **settings: Any,
) -> pd.DataFrame:
    """Probe every draw of the weights of a row, or every pre-training, with each head of the options.

    Parameters
    ----------
    setup : Setup
        Input of the experiment.
    row : str
        Row of the table.
    sources : iterable of (int, FeatureSource)
        Seed of the weights, and features.
    windows : Windows
        Labelled windows.
    **settings : object
        As for `judge`.

    Returns
    -------
    DataFrame
        Scores with ``weights_seed``, ``head`` and ``row``: the row, its layer unless that is the last, and its head unless that is
        linear, with commas between.
    """
    parts = []
    for seed, source in sources:
        shared = Remembered(source) if len(setup.options.heads) > 1 else source
        for head in setup.options.heads:
            table = judge(setup, shared, windows, head=head, **settings).table
            ending = [] if head == "linear" else [head]
            names = [", ".join([row, *([] if layer in WHOLE else [layer]), *ending]) for layer in table["layer"]]
            parts.append(table.assign(row=names, head=head, weights_seed=seed))
    return pd.concat(parts, ignore_index=True)


def judge_parameter_free(
    setup: Setup[HeadOptions],
    windows: Windows,
    *,
    pictures: PictureSettings | None = None,
    n_triads: int = 1,
    **settings: Any,
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Probe each kind of features without parameters with logistic regression.

    Parameters
    ----------
    setup : Setup
        Input of the experiment.
    windows : Windows
        Labelled windows; their triads of axes lie one after the other in time.
    pictures : PictureSettings, optional
        Pictures whose rows are averaged; by default those of the recipe, and a single small one in a tiny trial.
    n_triads : int, default 1
        Number of triads of a window; each has features of its own.
    **settings : object
        As for `judge`.

    Yields
    ------
    (str, DataFrame)
        Name of the row, and its scores.
    """
    shown = pictures or PictureSettings.model_validate(_TINY_PICTURES if setup.tiny else {})
    sources: dict[str, FeatureSource] = {
        STATISTICS: StatisticsSource(windows.rate),
        MOMENTS: MomentsSource(),
        ROW_MEANS: EncoderSource(RowMeans(), pictures=shown, device=setup.device),
    }
    for row, source in sources.items():
        each = source if n_triads == 1 else OverTriads(source, n_triads)
        yield row, judge(setup, each, windows, head="logistic", **settings).table


class Remembered:
    """A source that computes the features of the same windows once, for several heads.

    Parameters
    ----------
    source : FeatureSource
        The source. At most a gibibyte of its features is stored.
    """

    def __init__(self, source: FeatureSource) -> None:
        self._source = source
        self._features: dict[tuple[str, str], dict[str, NDArray[np.float32]]] = {}
        self._fitted: dict[str, FeatureSource] = {}

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers of the source."""
        return self._source.layers

    @property
    def of_split(self) -> bool:
        """Whether the features depend on the training windows of a split."""
        return bool(getattr(self._source, "of_split", False))

    def choices(self, n_samples: int) -> list[Choice]:
        """Return the choices of the source."""
        return self._source.choices(n_samples)

    def fitted(self, train: NDArray[np.float32]) -> FeatureSource:
        """Return the source of one split, from its training windows ``[n, 3, time]``, g."""
        key = _digest(train)
        if key not in self._fitted:
            self._fitted[key] = Remembered(cast("SplitSource", self._source).fitted(train))
        return self._fitted[key]

    def features(self, x: NDArray[np.float32], choice: Choice) -> dict[str, NDArray[np.float32]]:
        """Return the features, computed or stored."""
        key = (_digest(x), repr(sorted(choice.items())))
        if key in self._features:
            return self._features[key]
        values = self._source.features(x, choice)
        size = sum(value.nbytes for each in (values, *self._features.values()) for value in each.values())
        if size <= _MOST_BYTES:
            self._features[key] = values
        return values


def _digest(x: NDArray[np.float32]) -> str:
    return hashlib.sha256(repr(x.shape).encode() + np.ascontiguousarray(x).tobytes()).hexdigest()


class OverTriads:
    """Features of each triad of windows whose triads lie one after the other in time ``[n, 3, triads time]``.

    Parameters
    ----------
    source : FeatureSource
        Features of one triad.
    n_triads : int
        Number of triads.
    """

    def __init__(self, source: FeatureSource, n_triads: int) -> None:
        self._source, self._n_triads = source, n_triads

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers of the source."""
        return self._source.layers

    def choices(self, n_samples: int) -> list[Choice]:
        """Return the choices for a triad."""
        return self._source.choices(n_samples // self._n_triads)

    def features(self, x: NDArray[np.float32], choice: Choice) -> dict[str, NDArray[np.float32]]:
        """Return the features of the triads side by side."""
        parts = [self._source.features(part, choice) for part in np.split(x, self._n_triads, axis=2)]
        return {layer: np.concatenate([part[layer] for part in parts], axis=1) for layer in self.layers}


def seeded_network(build: Callable[[], Network], seed: int) -> Network:
    """Build a network whose random weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def score_table(judged: pd.DataFrame, keys: Sequence[str] = ("row", "column")) -> pd.DataFrame:
    """Return the scores of each row and column over the splits, as `Result.table` holds them.

    Parameters
    ----------
    judged : DataFrame
        A row for each method, split and draw of the weights.
    keys : sequence of str, default ("row", "column")
        Columns that identify a cell.

    Returns
    -------
    DataFrame
        `keys`; ``value`` and ``sd``, mean macro-F1 and its deviation over the splits (n - 1), each split the mean over draws of the
        weights; ``low`` and ``high``, the 95 % interval of the mean by `imuspec.evaluation.mean_interval`; the mean, deviation and
        interval of ``balanced_accuracy``; ``n`` splits, ``n_weights`` draws, ``n_test_subjects`` in all splits
        together, and ``n_rarest``, the number of test windows of the rarest class in the split that has fewest.
    """
    rows = []
    for key, part in judged.groupby(list(keys), sort=False, dropna=False):
        splits = part.groupby("seed")[["macro_f1", "balanced_accuracy"]].mean()
        (value, sd), (balanced, balanced_sd) = (mean_sd(splits[name].to_numpy()) for name in splits)
        (low, high), (balanced_low, balanced_high) = (mean_interval(part, value=str(name)) for name in splits)
        rows.append(
            {
                **dict(zip(keys, key, strict=True)),
                "value": value,
                "sd": sd,
                "low": low,
                "high": high,
                "balanced_accuracy": balanced,
                "balanced_accuracy_sd": balanced_sd,
                "balanced_accuracy_low": balanced_low,
                "balanced_accuracy_high": balanced_high,
                "n": len(splits),
                "n_weights": part["weights_seed"].nunique()
                if "weights_seed" in part and part["weights_seed"].any()
                else 1,
                "n_test_subjects": len({name for text in part["test_subjects"] for name in str(text).split("; ")}),
                "n_rarest": int(part["n_rarest"].min()),
            }
        )
    return pd.DataFrame(rows)

"""The probe that experiments share: few labels, an experiment's head, seeds and limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from imuspec.datasets import Windows
from imuspec.evaluation import summary
from imuspec.experiments.setup import HeadOptions, Setup
from imuspec.probing.protocol import probe
from imuspec.probing.results import ProbeResult
from imuspec.probing.sources import Source
from imuspec.recipe.probing import HeadSettings

__all__ = ["judge", "macro_f1_table"]


def judge(
    setup: Setup[HeadOptions],
    source: Source,
    windows: Windows,
    *,
    shots: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    head: str = "linear",
    altered: Mapping[str, NDArray[Any]] | None = None,
) -> ProbeResult:
    """Probe features by the options of an experiment.

    Parameters
    ----------
    setup : Setup
        Input of the experiment.
    source, windows, head, altered
        As for `imuspec.probing.probe`.
    shots, seeds : sequence of int, optional
        Those of the setup by default.
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


def macro_f1_table(judged: pd.DataFrame) -> pd.DataFrame:
    """Return mean and sd of macro-F1 over seeds for each row and column, as `Result.table` holds them."""
    table = summary(judged, ["row", "column"], ["macro_f1"])
    return table.rename(columns={"macro_f1": "value", "macro_f1_sd": "sd"})

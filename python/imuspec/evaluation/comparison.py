"""Scores of several seeds and methods: means, paired tests, tables for programs and for people."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imuspec.errors import unknown_name
from imuspec.evaluation.scores import METRICS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["holm", "mean_sd", "paired_tests", "summary", "text_table", "write_table"]


def mean_sd(values: ArrayLike) -> tuple[float, float]:
    """Mean and standard deviation (n - 1) of figures over seeds; NaN for the deviation of a single one.

    Parameters
    ----------
    values : array [n]
        One figure a seed.

    Returns
    -------
    (float, float)
    """
    figures = np.asarray(values, np.float64).ravel()
    return float(figures.mean()), float(figures.std(ddof=1)) if figures.size > 1 else float("nan")


def summary(results: pd.DataFrame, by: Sequence[str], figures: Sequence[str] = METRICS) -> pd.DataFrame:
    """Mean and sd over seeds of each figure.

    Parameters
    ----------
    results : DataFrame
        A row for each seed.
    by : sequence of str
        Columns that tell rows apart (method, data set, ...); their order of appearance is kept.
    figures : sequence of str
        Columns to average.

    Returns
    -------
    DataFrame
        A row for each group: `by`, ``n``, and for each figure its mean and ``<figure>_sd`` (n - 1).
    """
    groups = results.groupby(list(by), sort=False, dropna=False)
    table = groups.size().rename("n").to_frame()
    for name in figures:
        table[name] = groups[name].mean()
        table[f"{name}_sd"] = groups[name].std(ddof=1)
    return table.reset_index()


def paired_tests(values: Mapping[str, Sequence[float]], *, against: str | None = None) -> pd.DataFrame:
    """Compare methods over the seeds that they share: the same splits and draws, so differences pair.

    Parameters
    ----------
    values : mapping of str to sequence of float
        Method -> a figure for each seed, in the same order for all.
    against : str, optional
        Compare each method with this one only; all pairs otherwise.

    Returns
    -------
    DataFrame
        ``first``, ``second``, ``difference`` (mean of first - second), ``sd``, ``n``, ``t`` and ``p`` of the paired
        t test (NaN where all differences are equal), ``p_sign_flip`` of the exact sign-flip permutation test, whose
        least possible value is ``2 ** (1 - n)``, and ``p_holm``, the t test's p after Holm's correction.

    Raises
    ------
    ValueError
        For unequal numbers of seeds, fewer than two, or an `against` that is no method.
    """
    import pandas as pd
    from scipy import stats

    lengths = {name: len(series) for name, series in values.items()}
    if len(set(lengths.values())) != 1 or min(lengths.values()) < 2:
        raise ValueError(f"values: expected the same number of seeds for each, at least 2, got {lengths}")
    if against is not None and against not in values:
        raise ValueError(unknown_name("against", against, values))
    pairs = list(combinations(values, 2)) if against is None else [(n, against) for n in values if n != against]
    rows: list[dict[str, Any]] = []
    for first, second in pairs:
        difference = np.asarray(values[first], np.float64) - np.asarray(values[second], np.float64)
        mean, sd = mean_sd(difference)
        t = mean / (sd / np.sqrt(difference.size)) if sd > 0 else float("nan")
        p = float(2 * stats.t.sf(abs(t), difference.size - 1))
        rows.append(
            {
                "first": first,
                "second": second,
                "difference": mean,
                "sd": sd,
                "n": difference.size,
                "t": t,
                "p": p,
                "p_sign_flip": _sign_flip(difference),
            }
        )
    table = pd.DataFrame(rows)
    table["p_holm"] = holm(table["p"].to_numpy())
    return table


def _sign_flip(difference: NDArray[np.float64]) -> float:
    """Share of all sign patterns whose mean is at least as far from 0 (16 seeds: 65,536 patterns; more are drawn)."""
    n = difference.size
    if n <= 16:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        signs = np.random.default_rng(0).choice([-1, 1], size=(65536, n))
    means = np.abs(signs @ difference)
    return float((means >= abs(difference.sum()) - 1e-12).mean())


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down correction; NaN stays NaN and does not count.

    Parameters
    ----------
    p : array [n]
        p values.

    Returns
    -------
    array of float64 [n]
        Corrected ones, at most 1.
    """
    values = np.asarray(p, np.float64)
    corrected = np.full(values.shape, np.nan)
    real = np.flatnonzero(np.isfinite(values))
    order = real[np.argsort(values[real], kind="stable")]
    steps = values[order] * np.arange(order.size, 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if order.size else steps
    return corrected


def text_table(frame: pd.DataFrame, *, digits: int = 3) -> str:
    """Lay a table out in plain text; ``name`` and ``name_sd`` become one column, ``mean ± sd``.

    Parameters
    ----------
    frame : DataFrame
        Any table, of `summary` say.
    digits : int
        After the point.

    Returns
    -------
    str
    """
    shown: dict[Hashable, list[str]] = {}
    for name in frame.columns:
        if str(name).endswith("_sd") and str(name)[:-3] in frame.columns:
            continue
        spread = frame[f"{name}_sd"] if f"{name}_sd" in frame.columns else [float("nan")] * len(frame)
        shown[name] = [_cell(value, sd, digits) for value, sd in zip(frame[name], spread, strict=True)]
    widths = {name: max([len(str(name)), *map(len, cells)]) for name, cells in shown.items()}
    lines = ["  ".join(str(name).ljust(width) for name, width in widths.items()).rstrip()]
    lines += [
        "  ".join(cells[row].ljust(widths[name]) for name, cells in shown.items()).rstrip() for row in range(len(frame))
    ]
    return "\n".join(lines) + "\n"


def _cell(value: Any, sd: Any, digits: int) -> str:
    if isinstance(value, (float, np.floating)):
        if not np.isfinite(value):
            return "-"
        told = f"{value:.{digits}f}"
        return told if sd is None or not np.isfinite(sd) else f"{told} ± {sd:.{digits}f}"
    return str(value)


def write_table(frame: pd.DataFrame, stem: str | Path) -> list[Path]:
    """Write a table three ways: ``stem.csv`` and ``stem.json`` for programs, ``stem.txt`` for people.

    Parameters
    ----------
    frame : DataFrame
        What to write.
    stem : path
        Path without suffix; its folder must exist.

    Returns
    -------
    list of Path
        The files.
    """
    base = Path(stem)
    csv, data, text = (base.with_name(f"{base.name}.{kind}") for kind in ("csv", "json", "txt"))
    frame.to_csv(csv, index=False)
    rows = json.loads(frame.to_json(orient="records", double_precision=15))
    data.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
    text.write_text(text_table(frame), "utf-8")
    return [csv, data, text]

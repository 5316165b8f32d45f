"""Paired differences of methods over shared splits: intervals and tests that allow for overlapping training sets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["holm", "mean_interval", "paired_differences"]

_COLUMNS = ("first", "second", "difference", "low", "high", "t", "df", "p", "p_holm", "n_splits")


def paired_differences(
    scores: pd.DataFrame, *, value: str = "macro_f1", keys: Sequence[str] = ("column",), level: float = 0.95
) -> pd.DataFrame:
    """Compare each two rows of a table by their differences over the splits that both have.

    Splits of one set share most of their training subjects, so their scores are not independent, and the plain paired t test
    finds differences where there are none. The variance of the mean difference is therefore

    ``(1 / J + n_test / n_train) s^2 + s_first^2 / W_first + s_second^2 / W_second``

    ``s^2`` is the variance of the differences over the ``J`` splits, each a mean over draws of the weights; the first factor is
    Nadeau and Bengio's correction. ``s_first^2`` is the variance over the ``W`` draws of the weights of a row's mean over splits;
    with a single draw it is unknown and counts as 0, so that the result holds for those weights alone. Degrees of freedom are
    Satterthwaite's.

    Parameters
    ----------
    scores : DataFrame
        A row for each method, split and draw of the weights: ``row`` (the method), ``seed`` (the split), the columns `keys`,
        `value`, and ``test_over_train``, the number of test members of the split per training member. ``weights_seed`` where
        there are several draws of the weights.
    value : str, default "macro_f1"
        Column to compare.
    keys : sequence of str, default ("column",)
        Columns within which rows are compared.
    level : float, default 0.95
        Coverage of the intervals.

    Returns
    -------
    DataFrame
        A row for each pair within each group: `keys`, ``first``, ``second``, ``difference`` (mean of first - second), ``low``,
        ``high``, ``t``, ``df``, ``p`` (two-sided), ``p_holm`` (corrected by Holm within the group) and ``n_splits``. With fewer
        than two shared splits, or equal differences and no spread of weights, the interval and p are NaN.

    Raises
    ------
    ValueError
        If a column is missing or the level is not between 0 and 1.

    References
    ----------
    Nadeau and Bengio, Inference for the generalization error, Machine Learning 52, 2003, equation 9.
    """
    import pandas as pd

    required = {"row", "seed", "test_over_train", value, *keys}
    if missing := sorted(required - set(scores.columns)):
        raise ValueError(
            f"scores: expected the columns {', '.join(sorted(required))}, got none of {', '.join(missing)}"
        )
    if not 0 < level < 1:
        raise ValueError(f"level: expected more than 0 and less than 1, got {level}")
    parts = []
    for key, group in scores.groupby(list(keys), sort=False, dropna=False):
        methods = {str(row): _by_split(part, value) for row, part in group.groupby("row", sort=False)}
        ratio = float(group["test_over_train"].mean())
        rows = [
            {"first": first, "second": second, **_difference(methods[first], methods[second], ratio, level)}
            for first, second in combinations(methods, 2)
        ]
        group_of: dict[str, Any] = dict(zip(keys, key, strict=True))
        part = pd.DataFrame([{**group_of, **row} for row in rows])
        if len(part):
            parts.append(part.assign(p_holm=holm(part["p"].to_numpy(np.float64)))[[*keys, *_COLUMNS]])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*keys, *_COLUMNS])


def mean_interval(scores: pd.DataFrame, *, value: str = "macro_f1", level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a method's mean over splits, with the variance of `paired_differences` for a single row.

    Parameters
    ----------
    scores : DataFrame
        A row for each split and draw of the weights of one method: ``seed``, ``test_over_train``, `value`, and ``weights_seed``
        where there are several draws.
    value : str, default "macro_f1"
        Column of the score.
    level : float, default 0.95
        Coverage.

    Returns
    -------
    (float, float)
        Low and high; NaN with fewer than two splits, and where neither splits nor draws differ.
    """
    import pandas as pd

    splits = _by_split(scores, value)
    zero = pd.DataFrame({0: 0.0}, index=splits.index)
    row = _difference(splits, zero, float(scores["test_over_train"].mean()), level)
    return float(row["low"]), float(row["high"])


def _by_split(part: pd.DataFrame, value: str) -> pd.DataFrame:
    """Scores [split, draw of the weights] of one method."""
    weights = part["weights_seed"].fillna(0) if "weights_seed" in part.columns else 0
    return part.assign(weights_seed=weights).pivot_table(index="seed", columns="weights_seed", values=value)


def _difference(first: pd.DataFrame, second: pd.DataFrame, ratio: float, level: float) -> dict[str, Any]:
    from scipy import stats

    shared = first.index.intersection(second.index)
    a, b = first.loc[shared].to_numpy(np.float64), second.loc[shared].to_numpy(np.float64)
    row: dict[str, Any] = dict.fromkeys(("difference", "low", "high", "t", "df", "p"), float("nan"))
    row["n_splits"] = n_splits = len(shared)
    if not n_splits:
        return row
    difference = np.nanmean(a, 1) - np.nanmean(b, 1)
    mean = row["difference"] = float(difference.mean())
    if n_splits < 2:
        return row
    terms = [((1 / n_splits + ratio) * difference.var(ddof=1), n_splits - 1)]
    terms += [(np.nanmean(x, 0).var(ddof=1) / x.shape[1], x.shape[1] - 1) for x in (a, b) if x.shape[1] > 1]
    variance = sum(term for term, _ in terms)
    if not variance > 1e-24:
        return row
    df = variance**2 / sum(term**2 / freedom for term, freedom in terms)
    error = float(np.sqrt(variance))
    half = float(stats.t.ppf(0.5 + level / 2, df)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, df))
    return {**row, "low": mean - half, "high": mean + half, "t": mean / error, "df": float(df), "p": p}


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down correction; NaN stays NaN and does not count.

    Parameters
    ----------
    p : array [n]
        p values.

    Returns
    -------
    array of float64 [n]
        Corrected p values, at most 1.
    """
    values = np.asarray(p, np.float64)
    corrected = np.full(values.shape, np.nan)
    real = np.flatnonzero(np.isfinite(values))
    order = real[np.argsort(values[real], kind="stable")]
    steps = values[order] * np.arange(order.size, 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if order.size else steps
    return corrected

"""Means over seeds, and tables for programs and for people."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from imuspec.evaluation.scores import METRICS
from imuspec.storage import write_atomically

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MEMBERS", "mean_sd", "split_unit", "summary", "text_table", "write_table"]

MEMBERS = "split_members"
"""Column of scores with the members of each part of the split, as JSON."""


def mean_sd(values: ArrayLike) -> tuple[float, float]:
    """Return mean and standard deviation (n - 1) of figures over seeds; the deviation of a single figure is NaN.

    Parameters
    ----------
    values : array [n]
        A figure for each seed.

    Returns
    -------
    (float, float)
    """
    figures = np.asarray(values, np.float64).ravel()
    return float(figures.mean()), float(figures.std(ddof=1)) if figures.size > 1 else float("nan")


def summary(results: pd.DataFrame, keys: Sequence[str], figures: Sequence[str] = METRICS) -> pd.DataFrame:
    """Return mean and sd over seeds of each figure.

    Parameters
    ----------
    results : DataFrame
        A row for each seed.
    keys : sequence of str
        Columns that identify a group (method, data set, ...); groups stay in their order of appearance.
    figures : sequence of str
        Columns to average.

    Returns
    -------
    DataFrame
        A row for each group: `keys`, ``n``, and for each figure its mean and ``<figure>_sd`` (n - 1).
    """
    groups = results.groupby(list(keys), sort=False, dropna=False)
    table = groups.size().rename("n").to_frame()
    for name in figures:
        table[name] = groups[name].mean()
        table[f"{name}_sd"] = groups[name].std(ddof=1)
    return table.reset_index()


def split_unit(table: pd.DataFrame, recording: str, subject: str = "") -> str:
    """Return what to say of the unit that was split; where people are in several parts, the text says so.

    Parameters
    ----------
    table : DataFrame
        Scores, with ``split_by`` unless they are older or of patches, which are split by subject.
    recording, subject : str
        Text for either unit.
    """
    if "split_by" in table and (table["split_by"] == "recording").any():
        return f"{recording} (people both train and test)"
    return subject


def text_table(frame: pd.DataFrame, *, digits: int = 3) -> str:
    """Return a table as plain text; ``name`` and ``name_sd`` become one column, ``mean ± sd``.

    Parameters
    ----------
    frame : DataFrame
        Any table, such as that of `summary`.
    digits : int, default 3
        Digits after the point.

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
        text = f"{value:.{digits}f}"
        return text if sd is None or not np.isfinite(sd) else f"{text} ± {sd:.{digits}f}"
    return str(value)


def write_table(frame: pd.DataFrame, stem: str | Path) -> list[Path]:
    """Write a table as ``stem.csv`` and ``stem.json`` for programs, and as ``stem.txt`` for people.

    Parameters
    ----------
    frame : DataFrame
        Table to write.
    stem : path
        Path without suffix; its folder must exist.

    Returns
    -------
    list of Path
        The three files.
    """
    base = Path(stem)
    csv, data, text = (base.with_name(f"{base.name}.{kind}") for kind in ("csv", "json", "txt"))
    rows = json.loads(frame.to_json(orient="records", double_precision=15))
    write_atomically(csv, frame.to_csv(None, index=False).encode())
    write_atomically(data, (json.dumps(rows, indent=1, ensure_ascii=False) + "\n").encode())
    write_atomically(text, text_table(frame).encode())
    return [csv, data, text]

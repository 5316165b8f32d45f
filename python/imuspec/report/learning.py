"""The pages of a training run, a probe and an experiment: curves, tables, confusion matrices, figures, settings.

They are written from the files of the folder: no weights are loaded, and nothing is computed again.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from imuspec.report import words
from imuspec.report.rendering import command, drawn, included, render
from imuspec.report.style import BROAD, COLOURS, NARROW, new_figure, style
from imuspec.run.run import Run
from imuspec.storage import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Kind", "curves_figure", "learning_page"]

Kind = Literal["training", "probe", "experiment"]

_MOST_POINTS = 400  # points of a curve
_MOST_ROWS = 300  # rows of a table
_MOST_BYTES = 3_000_000  # size of a figure that is put into the page
_FIRST = ("loss", "top1", "lr", "balanced_accuracy", "macro_f1")
_LABELS = {
    "loss": "loss",
    "lr": "learning rate",
    "top1": "top-1 accuracy",
    "grad_norm": "norm of the gradient",
    "per_s": "samples per second",
    "tflop_per_s": "TFLOP per second",
    "mfu": "share of the card's peak",
    "spread": "spread of features",
    "feature_sd": "sd of features",
    "positive_cosine": "cosine of positive pairs",
}
_EMPTY: dict[str, Any] = {
    "about": "",
    "notes": [],
    "curves": None,
    "tables": [],
    "confusions": [],
    "figures": [],
    "settings": "",
}


def learning_page(kind: Kind, path: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    """Write one HTML page about a training run, a probe or an experiment.

    Parameters
    ----------
    kind : {"training", "probe", "experiment"}
        "training": every logged value over the steps. "probe": scores with intervals, confusion, and the score of each class.
        "experiment": the results beside those of the paper, and the figures.
    path : path-like
        The folder.
    out : path-like
        File to write; it is complete or absent.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OSError
        If the page cannot be written; the error names `out`.
    """
    folder = Path(path)
    fields = {
        "kind": kind,
        "title": folder.resolve().name,
        "path": str(folder.resolve()),
        "command": command("report", os.fspath(path), "--out", os.fspath(out)),
        **_EMPTY,
        **{"training": _training, "probe": _probe, "experiment": _experiment}[kind](folder),
    }
    fields["header"] = [(name, value) for name, value in fields["header"] if value]
    return write_atomically(out, render("learning.html.j2", fields))


def _training(folder: Path) -> dict[str, Any]:
    run = Run(os.fspath(folder))
    lines = run.metrics()
    recipe = _read(run.path / "recipe.json", {})
    series = _series(lines)
    last = lines[-1] if lines else {}
    return {
        "about": str(recipe.get("about", "")),
        "header": [
            ("recipe", str(recipe.get("name", ""))),
            ("objective", _name(recipe, "objective")),
            ("encoder", _name(recipe, "encoder")),
            ("steps", f"{last.get('step', 0):,}"),
            ("epochs", f"{last['epoch']:g}" if "epoch" in last else ""),
            ("last loss", _shown(series["loss"][1][-1]) if "loss" in series else ""),
            ("encoder saved", "yes" if run.has_encoder else "not yet"),
        ],
        "curves": drawn(lambda narrow: curves_figure(series, narrow=narrow), "curves"),
        "tables": [_summary(series)] if series else [],
        "notes": [] if lines else ["Nothing was logged yet."],
        "settings": json.dumps(recipe, indent=2, ensure_ascii=False),
    }


def _probe(folder: Path) -> dict[str, Any]:
    facts = _read(folder / "probe.json", {})
    titles = {
        "summary": "Scores, mean \u00b1 sd over seeds",
        "seeds": "Scores of each seed",
        "per_class": "F1 of each class",
    }
    shown = {key: value for key, value in facts.items() if isinstance(value, str | int | float)}
    return {
        "header": [(key.replace("_", " "), str(value)) for key, value in shown.items()],
        **_tables(folder, titles),
        "figures": _figures(folder, "confusion-"),
        "settings": json.dumps(facts, indent=2, ensure_ascii=False),
    }


def _experiment(folder: Path) -> dict[str, Any]:
    facts = _read(folder / "experiment.json", {})
    titles = {
        "comparison": "Comparison with the paper",
        "table": "Results",
        "seeds": "Scores of each seed",
        "splits": "Who trained, validated and tested",
    }
    tables = _tables(folder, titles)
    if any(table["stem"] == "comparison" for table in tables["tables"]):  # it contains all of the table
        tables["tables"] = [table for table in tables["tables"] if table["stem"] != "table"]
    return {
        "about": str(facts.get("about", "")),
        "header": [
            ("experiment", str(facts.get("experiment", ""))),
            ("data", ", ".join(f"{key}: {value}" for key, value in (facts.get("data") or {}).items())),
            ("seeds", ", ".join(str(seed) for seed in facts.get("seeds") or [])),
            ("duration", f"{facts['seconds']:,.0f} s" if "seconds" in facts else ""),
        ],
        "notes": [str(note) for note in facts.get("notes") or []],
        **tables,
        "figures": _figures(folder, "confusion" if tables["confusions"] else "\0"),
        "settings": json.dumps(facts, indent=2, ensure_ascii=False),
    }


def _read(path: Path, missing: Any) -> Any:
    """Return the content of a JSON file; `missing` if it does not exist or is not JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return missing


def _name(recipe: Mapping[str, Any], section: str) -> str:
    part = recipe.get(section)
    return str(part.get("name", "")) if isinstance(part, dict) else ""


Series = dict[str, tuple[list[float], list[float]]]


def _series(lines: Sequence[Mapping[str, Any]]) -> Series:
    """Return steps and values of every logged value, the most important first."""
    series: Series = {}
    for line in lines:
        for key, value in line.items():
            if key not in ("step", "epoch") and isinstance(value, int | float) and not isinstance(value, bool):
                steps, values = series.setdefault(key, ([], []))
                steps.append(float(line.get("step", len(steps))))
                values.append(float(value))
    first = {name: index for index, name in enumerate(_FIRST)}
    return dict(sorted(series.items(), key=lambda item: first.get(item[0], len(first))))


def curves_figure(series: Series, *, narrow: bool = False) -> Figure | None:
    """Draw every logged value over the steps, one small panel each; None if nothing was logged.

    Parameters
    ----------
    series : dict of str to (list of float, list of float)
        Steps and values by name.
    narrow : bool, default False
        Whether to lay the figure out for a phone.
    """
    if not series:
        return None
    columns = 1 if narrow else min(3, len(series))
    rows = -(-len(series) // columns)
    with style():
        figure = new_figure(NARROW if narrow else BROAD, 1.75 * rows + 0.35)
        tall, wide = figure.get_figheight(), figure.get_figwidth()
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
        figure.subplots_adjust(
            left=0.62 / wide, right=1 - 0.12 / wide, top=1 - 0.28 / tall, bottom=0.42 / tall, wspace=0.3, hspace=0.38
        )
        for axes, (name, (steps, values)) in zip(grid.flat, series.items(), strict=False):
            step, value = _fewer(steps, values)
            axes.plot(step, value, color=COLOURS["data"], marker="o" if len(step) < 30 else "", ms=3)
            axes.set_title(_LABELS.get(name, name.replace("_", " ")).replace("$", r"\$"))
            axes.margins(x=0.02, y=0.08)
        for axes in list(grid.flat)[len(series) :]:
            axes.set_visible(False)
        for column in range(columns):
            lowest = max(row for row in range(rows) if row * columns + column < len(series))
            grid[lowest, column].set_xlabel("step")
            grid[lowest, column].tick_params(labelbottom=True)
        return figure


def _fewer(steps: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return means of neighbouring points, so that the figure of a long training run stays small."""
    joined = -(-len(steps) // _MOST_POINTS)
    if joined <= 1:
        return list(steps), list(values)
    parts = range(0, len(steps), joined)
    return [steps[min(first + joined, len(steps)) - 1] for first in parts], [
        float(np.mean(values[first : first + joined])) for first in parts
    ]


def _summary(series: Series) -> dict[str, Any]:
    """Return the first, last, smallest and largest of every logged value as a table."""
    rows = [
        [_LABELS.get(name, name.replace("_", " ")), *map(_shown, (values[0], values[-1], min(values), max(values)))]
        for name, (_, values) in series.items()
    ]
    head = ["value", "first", "last", "smallest", "largest"]
    return {
        "stem": "",
        "title": "First and last values",
        "head": head,
        "numeric": [False] + [True] * 4,
        "rows": rows,
        "more": 0,
    }


def _tables(folder: Path, titles: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Return the tables and confusion matrices of a folder, which `imuspec.evaluation.write_table` wrote."""
    order = {name: index for index, name in enumerate(titles)}
    tables, confusions = [], []
    for path in sorted(folder.glob("*.json"), key=lambda path: (order.get(path.stem, len(order)), path.name)):
        rows = _read(path, None)
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            continue
        if path.stem.startswith("confusion") and "truth" in rows[0]:
            confusions.append(_confusion(rows, path.stem))
        else:
            tables.append(
                {"stem": path.stem, "title": titles.get(path.stem, path.stem.replace("_", " ")), **_table(rows)}
            )
    return {"tables": tables, "confusions": confusions}


def _table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the cells of a table: ``x`` and ``x_sd`` become one cell, ``x_low`` and ``x_high`` an interval."""
    names = list(dict.fromkeys(key for row in rows for key in row))
    spread = {f"{name}_sd": name for name in names if f"{name}_sd" in names}
    if "sd" in names and "value" in names:
        spread["sd"] = "value"
    ends = {name.removesuffix("_low") for name in names if name.endswith("_low") and f"{name[:-4]}_high" in names}
    head, cells = [], []
    for name in names:
        base = name.removesuffix("_low")
        if name in spread or (name.endswith("_high") and name.removesuffix("_high") in ends):
            continue
        if all(row.get(name) is None for row in rows):
            continue
        if name.endswith("_low") and base in ends:
            head.append(f"{base} interval")
            cells.append([_interval(row.get(name), row.get(f"{base}_high")) for row in rows])
            continue
        sd = next((key for key, value in spread.items() if value == name), None)
        head.append(name)
        cells.append([_with_spread(row.get(name), row.get(sd) if sd else None) for row in rows])
    bases = [name if name in names else f"{name.removesuffix(' interval')}_low" for name in head]
    numeric = [all(isinstance(row.get(name), int | float | None) for row in rows) for name in bases]
    shown = [list(row) for row in zip(*cells, strict=True)][:_MOST_ROWS]
    return {
        "head": [name.replace("_", " ") for name in head],
        "numeric": numeric,
        "rows": shown,
        "more": max(0, len(rows) - _MOST_ROWS),
    }


def _interval(low: Any, high: Any) -> str:
    return "\u2013" if low is None or high is None else f"{_shown(low)} to {_shown(high)}"


def _with_spread(value: Any, sd: Any) -> str:
    """Return a value and its sd with the same number of digits."""
    if not isinstance(value, int | float) or not isinstance(sd, int | float):
        return _shown(value)
    form = ".3f" if 0.01 <= abs(value) < 1000 else ".3g"
    return f"{words.number(value, form)} \u00b1 {words.number(sd, form)}"


def _shown(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "\u2013" if value is None else str(value)
    if isinstance(value, int) or not math.isfinite(value) or (value.is_integer() and abs(value) < 1e6):
        return words.number(value, ",.0f") if math.isfinite(value) else "\u2013"
    return words.number(value, ".3f" if 0.01 <= abs(value) < 1000 else ".3g")


def _confusion(rows: Sequence[Mapping[str, Any]], stem: str) -> dict[str, Any]:
    """Return the shares of each true class, in percent, with the counts."""
    names = [name for name in rows[0] if name != "truth"]
    lines = []
    for row in rows:
        counts = [float(row.get(name) or 0) for name in names]
        total = sum(counts) or 1.0
        cells = [
            {"count": f"{n:,.0f}", "share": round(100 * n / total), "right": name == row["truth"]}
            for n, name in zip(counts, names, strict=True)
        ]
        lines.append({"truth": str(row["truth"]), "cells": cells})
    about = stem.removeprefix("confusion").strip("-_").replace("-", ", ")
    return {"title": f"Confusion{f' ({about})' if about else ''}", "names": names, "rows": lines}


def _figures(folder: Path, excluded: str) -> list[dict[str, Any]]:
    """Return the figures of a folder, except those that begin with `excluded`, which the page shows as tables."""
    figures = []
    for number, path in enumerate(sorted(folder.glob("*.svg"))):
        if path.name.startswith(excluded):
            continue
        if path.stat().st_size > _MOST_BYTES:
            figures.append({"title": path.name, "drawing": None, "raster": False, "id": f"figure{number}"})
            continue
        try:
            text = path.read_text("utf-8")
            drawing = included(text, f"figure{number}")
        except (OSError, UnicodeDecodeError, ValueError):
            continue
        figures.append({"title": path.stem, "drawing": drawing, "raster": "<image" in text, "id": f"figure{number}"})
    return figures

"""The pages of a training, a probe and an experiment: curves, tables with their spread, confusion, figures, settings.

They are written from the files of the folder alone: no weights are loaded, nothing is computed anew.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imuspec.report import words
from imuspec.report.rendering import command, drawn, included, render
from imuspec.report.style import BROAD, COLOURS, NARROW, new_figure, style
from imuspec.run.run import Run
from imuspec.storage import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["curves_figure", "experiment_page", "probe_page", "run_page"]

_MOST_POINTS = 400  # of a curve
_MOST_ROWS = 300  # of a table
_MOST_BYTES = 3_000_000  # of a figure that is taken into the page
_FIRST = ("loss", "top1", "lr", "balanced_accuracy", "macro_f1")
_LABELS = {
    "loss": "loss",
    "lr": "learning rate",
    "top1": "top-1 (share right)",
    "grad_norm": "norm of the gradient",
    "per_s": "samples a second",
    "spread": "spread of features",
    "feature_sd": "sd of features",
    "positive_cosine": "cosine of positive pairs",
}
_EMPTY: dict[str, Any] = {"notes": [], "curves": None, "tables": [], "confusions": [], "figures": [], "settings": ""}


def run_page(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    """Write one HTML page on a training: loss, learning rate and every other logged figure over the steps.

    Parameters
    ----------
    path : path
        Folder of the training.
    out : path
        File to write, whole or not at all.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OSError
        If the page cannot be written; the error names `out`.
    """
    run = Run(os.fspath(path))
    lines = run.metrics()
    recipe = _read(run.path / "recipe.json", {})
    series = _series(lines)
    last = lines[-1] if lines else {}
    facts = [
        ("recipe", str(recipe.get("name", ""))),
        ("objective", _name(recipe, "objective")),
        ("encoder", _name(recipe, "encoder")),
        ("steps", f"{last.get('step', 0):,}"),
        ("epochs", f"{last['epoch']:g}" if "epoch" in last else ""),
        ("last loss", _shown(series["loss"][1][-1]) if "loss" in series else ""),
        ("encoder kept", "yes" if run.has_encoder else "not yet"),
    ]
    return _write(
        path,
        out,
        kind="training",
        about=str(recipe.get("about", "")),
        header=[(name, value) for name, value in facts if value],
        curves=drawn(lambda narrow: curves_figure(series, narrow=narrow), "curves"),
        tables=[_summary(series)] if series else [],
        notes=[] if lines else ["Nothing was logged yet."],
        settings=json.dumps(recipe, indent=2, ensure_ascii=False),
    )


def probe_page(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    """Write one HTML page on a probe: scores with their spread and intervals, confusion, score of each class.

    Parameters
    ----------
    path : path
        Folder of the probe.
    out : path
        File to write, whole or not at all.

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
    facts = _read(folder / "probe.json", {})
    titles = {
        "summary": "Scores, mean \u00b1 sd over seeds",
        "seeds": "Scores of each seed",
        "per_class": "F1 of each class",
    }
    shown = {key: value for key, value in facts.items() if isinstance(value, str | int | float)}
    return _write(
        path,
        out,
        kind="probe",
        header=[(key.replace("_", " "), str(value)) for key, value in shown.items() if str(value)],
        **_tables(folder, titles),
        figures=_figures(folder, "confusion-"),
        settings=json.dumps(facts, indent=2, ensure_ascii=False),
    )


def experiment_page(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    """Write one HTML page on an experiment: our numbers beside the paper's, and its figures and maps.

    Parameters
    ----------
    path : path
        Folder of the experiment.
    out : path
        File to write, whole or not at all.

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
    facts = _read(folder / "experiment.json", {})
    titles = {"comparison": "Beside the paper", "table": "Results", "seeds": "Scores of each seed"}
    tables = _tables(folder, titles)
    if any(table["stem"] == "comparison" for table in tables["tables"]):  # it has all that the table has
        tables["tables"] = [table for table in tables["tables"] if table["stem"] != "table"]
    header = [
        ("experiment", str(facts.get("experiment", ""))),
        ("data", ", ".join(f"{key}: {value}" for key, value in (facts.get("data") or {}).items())),
        ("seeds", ", ".join(str(seed) for seed in facts.get("seeds") or [])),
        ("took", f"{facts['seconds']:,.0f} s" if "seconds" in facts else ""),
    ]
    return _write(
        path,
        out,
        kind="experiment",
        about=str(facts.get("about", "")),
        header=[(name, value) for name, value in header if value],
        notes=[str(note) for note in facts.get("notes") or []],
        **tables,
        figures=_figures(folder, "confusion" if tables["confusions"] else "\0"),
        settings=json.dumps(facts, indent=2, ensure_ascii=False),
    )


def _write(path: str | os.PathLike[str], out: str | os.PathLike[str], **fields: Any) -> Path:
    place = Path(path).resolve()
    about = {
        "title": place.name,
        "path": str(place),
        "command": command("report", os.fspath(path), "--out", os.fspath(out)),
    }
    return write_atomically(out, render("learning.html.j2", {"about": "", **_EMPTY, **about, **fields}))


def _read(path: Path, missing: Any) -> Any:
    """The content of a JSON file, or `missing` where it does not exist or is no JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return missing


def _name(recipe: Mapping[str, Any], section: str) -> str:
    part = recipe.get(section)
    return str(part.get("name", "")) if isinstance(part, dict) else ""


Series = dict[str, tuple[list[float], list[float]]]


def _series(lines: Sequence[Mapping[str, Any]]) -> Series:
    """Step and value of every logged figure, the most asked for first."""
    found: Series = {}
    for line in lines:
        for key, value in line.items():
            if key not in ("step", "epoch") and isinstance(value, int | float) and not isinstance(value, bool):
                steps, values = found.setdefault(key, ([], []))
                steps.append(float(line.get("step", len(steps))))
                values.append(float(value))
    first = {name: index for index, name in enumerate(_FIRST)}
    return dict(sorted(found.items(), key=lambda item: first.get(item[0], len(first))))


def curves_figure(series: Series, *, narrow: bool = False) -> Figure | None:
    """Draw every logged figure over the steps, a small panel each; None where nothing was logged.

    Parameters
    ----------
    series : dict
        Name -> (steps, values).
    narrow : bool, default False
        Whether to lay it out for a phone.
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
    """Means of neighbours, so that a long training stays a small drawing."""
    joined = -(-len(steps) // _MOST_POINTS)
    if joined <= 1:
        return list(steps), list(values)
    parts = range(0, len(steps), joined)
    return [steps[min(at + joined, len(steps)) - 1] for at in parts], [
        float(np.mean(values[at : at + joined])) for at in parts
    ]


def _summary(series: Series) -> dict[str, Any]:
    """First, last, least and greatest value of every logged figure, as a table."""
    rows = [
        [_LABELS.get(name, name.replace("_", " ")), *map(_shown, (values[0], values[-1], min(values), max(values)))]
        for name, (_, values) in series.items()
    ]
    head = ["figure", "first", "last", "least", "greatest"]
    return {
        "stem": "",
        "title": "From first to last",
        "head": head,
        "numeric": [False] + [True] * 4,
        "rows": rows,
        "more": 0,
    }


def _tables(folder: Path, titles: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Tables and confusion matrices of a folder: files that `imuspec.evaluation.write_table` wrote."""
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
    """Cells of a table: ``x`` and ``x_sd`` are one cell, ``x_low`` and ``x_high`` an interval."""
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
        sd = next((key for key, of in spread.items() if of == name), None)
        head.append(name)
        cells.append([_with_spread(row.get(name), row.get(sd) if sd else None) for row in rows])
    numeric = [all(isinstance(row.get(name), int | float | None) for row in rows) for name in _bases(head, names)]
    shown = [list(row) for row in zip(*cells, strict=True)][:_MOST_ROWS]
    return {
        "head": [name.replace("_", " ") for name in head],
        "numeric": numeric,
        "rows": shown,
        "more": max(0, len(rows) - _MOST_ROWS),
    }


def _bases(head: Sequence[str], names: Sequence[str]) -> list[str]:
    return [name if name in names else f"{name.removesuffix(' interval')}_low" for name in head]


def _interval(low: Any, high: Any) -> str:
    return "\u2013" if low is None or high is None else f"{_shown(low)} to {_shown(high)}"


def _with_spread(value: Any, sd: Any) -> str:
    """Return a value and its sd with equally many digits."""
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
    """Shares of each true class, in percent, with the counts."""
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


def _figures(folder: Path, beside: str) -> list[dict[str, Any]]:
    """Figures of a folder, but for those that begin with `beside`, which the page shows as tables."""
    found = []
    for number, path in enumerate(sorted(folder.glob("*.svg"))):
        if path.name.startswith(beside):
            continue
        if path.stat().st_size > _MOST_BYTES:
            found.append({"title": path.name, "drawing": None, "raster": False, "id": f"figure{number}"})
            continue
        try:
            text = path.read_text("utf-8")
            drawing = included(text, f"figure{number}")
        except (OSError, UnicodeDecodeError, ValueError):
            continue
        found.append({"title": path.stem, "drawing": drawing, "raster": "<image" in text, "id": f"figure{number}"})
    return found

"""Figures of scores: a confusion matrix, rows with standard deviations, curves over the number of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from imuspec.report.style import COLOURS, new_figure, plain_axes, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["SERIES", "confusion_figure", "curve_figure", "draw_confusion", "row_figure"]

#: The colours of Okabe and Ito (2008) without yellow, with marks that tell them apart in grey.
SERIES = (
    ("#0072b2", "o"),
    ("#d55e00", "s"),
    ("#009e73", "^"),
    ("#cc79a7", "D"),
    ("#e69f00", "v"),
    ("#56b4e9", "P"),
    ("#1b1f24", "X"),
)


def confusion_figure(confusion: ArrayLike, names: Sequence[str], title: str = "") -> Figure:
    """Draw a confusion matrix: the share of each true class, and the counts.

    Parameters
    ----------
    confusion : array [C, C]
        Counts; rows are the true classes.
    names : sequence of str
        The classes.
    title : str, default ""
        Title of the figure.

    Returns
    -------
    Figure
    """
    n = len(names)
    side = 0.62 * n
    longest = max(len(name) for name in names) * 0.075
    with style():
        figure = new_figure(side + longest + 1.1, side + longest * 0.75 + 0.9)
        axes = figure.subplots()
        draw_confusion(axes, confusion, names)
        axes.set_title(title, pad=8)
        figure.tight_layout(pad=0.6)
        return figure


def draw_confusion(axes: Axes, confusion: ArrayLike, names: Sequence[str], *, size: float = 8) -> None:
    """Draw a confusion matrix into axes: the share of each true class, and the counts.

    Parameters
    ----------
    axes : Axes
        Axes to draw into.
    confusion : array [C, C]
        Counts; rows are the true classes.
    names : sequence of str
        The classes.
    size : float, default 8
        Size of the letters of a share, points.
    """
    counts = np.asarray(confusion)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap=_blues(), vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(share):
        ink = COLOURS["paper"] if value > 0.55 else COLOURS["ink"]
        alike: Any = {"ha": "center", "va": "center", "color": ink}
        axes.text(column, row - 0.1, f"{value:.2f}", fontsize=size, **alike)
        axes.text(column, row + 0.25, f"{counts[row, column]}", fontsize=0.75 * size, **alike)
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="true")
    axes.tick_params(length=0)
    plain_axes(axes, spines=())


def _blues() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("shares", [COLOURS["paper"], "#9ecae1", COLOURS["data"], "#08306b"])


def row_figure(table: pd.DataFrame, *, label: str = "macro-F1", title: str = "") -> Figure:
    """Draw a long table as dots with standard deviations: one line per row, one panel per column.

    Parameters
    ----------
    table : DataFrame
        Columns ``row``, ``column``, ``value``; ``sd`` and ``paper``, if given, are drawn as a bar and a hollow mark.
    label : str, default "macro-F1"
        Label of the values.
    title : str, default ""
        Title of the figure.

    Returns
    -------
    Figure
    """
    rows = list(dict.fromkeys(table["row"]))
    columns = list(dict.fromkeys(table["column"]))
    longest = max(len(str(row)) for row in rows) * 0.068
    with style():
        figure = new_figure(longest + 0.5 + 1.75 * len(columns), 1.05 + 0.24 * len(rows))
        panels = figure.subplots(1, len(columns), sharey=True, sharex=True, squeeze=False)[0]
        for panel, column in zip(panels, columns, strict=True):
            cells = table[table["column"] == column].set_index("row").reindex(rows)
            _dots(panel, cells)
            panel.set_title(str(column) if len(columns) > 1 else "")
            panel.set_yticks(range(len(rows)), rows)
            panel.set_ylim(len(rows) - 0.5, -0.5)
            panel.grid(axis="x", color=COLOURS["faint"], lw=0.5)
            panel.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
            plain_axes(panel, spines=("bottom",))
        figure.supxlabel(label, fontsize=8.5, y=0.02)
        if title:
            figure.suptitle(title, fontsize=9, x=0.01, ha="left")
        _key(panels[-1], with_paper="paper" in table and bool(table["paper"].notna().any()))
        figure.tight_layout(pad=0.6, w_pad=1.2)
        return figure


def _dots(axes: Axes, cells: pd.DataFrame) -> None:
    position = np.arange(len(cells))
    if "sd" in cells:
        spread = cells["sd"].fillna(0)
        axes.hlines(position, cells["value"] - spread, cells["value"] + spread, color=COLOURS["data"], lw=1.2)
    if "paper" in cells:
        axes.plot(cells["paper"], position, "o", mfc="none", mec=COLOURS["bad"], mew=1, ms=5)
    axes.plot(cells["value"], position, "o", color=COLOURS["data"], ms=4.5)


def _key(axes: Axes, *, with_paper: bool) -> None:
    if not with_paper:
        return
    result = axes.plot([], [], "o", color=COLOURS["data"], ms=4.5, label="imuspec, mean ± sd")[0]
    paper = axes.plot([], [], "o", mfc="none", mec=COLOURS["bad"], ms=5, label="paper")[0]
    axes.figure.legend(handles=[result, paper], loc="lower right", ncols=2, borderaxespad=0.2, handletextpad=0.2)


def curve_figure(table: pd.DataFrame, *, x: str, xlabel: str, label: str = "macro-F1") -> Figure:
    """Draw a score against a number on a logarithmic axis: one panel per column, one curve per row.

    Parameters
    ----------
    table : DataFrame
        Columns ``row``, ``column``, `x` and ``value``, and ``sd`` if there is more than one draw. A row with `x` = 0 (all
        labels) becomes a horizontal line.
    x : str
        Column with the number.
    xlabel : str
        Label of the number.
    label : str, default "macro-F1"
        Label of the values.

    Returns
    -------
    Figure
    """
    rows, names = list(dict.fromkeys(table["row"])), list(dict.fromkeys(table["column"]))
    ticks = sorted(set(table[x]) - {0})
    with style():
        figure = new_figure(0.7 + 2.5 * len(names) + 1.7, max(2.7, 0.5 + 0.17 * len(rows)))
        panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for panel, name in zip(panels, names, strict=True):
            for number, row in enumerate(rows):
                part = table[(table["row"] == row) & (table["column"] == name)].sort_values(x)
                shift = 1 + 0.02 * (number - (len(rows) - 1) / 2) / max(
                    len(rows) / 5, 1
                )  # so that error bars do not overlap
                _curve(panel, part, x, shift, number, row)
            panel.set_xscale("log")
            panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            panel.minorticks_off()
            panel.grid(axis="y", color=COLOURS["faint"], lw=0.5)
            panel.set_title(name)
            panel.set_xlabel(xlabel)
        panels[0].set_ylabel(label)
        panels[-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
        figure.tight_layout(pad=0.6)
        return figure


def _curve(axes: Axes, part: pd.DataFrame, x: str, shift: float, number: int, name: str) -> None:
    colour, mark = SERIES[number % len(SERIES)]
    dash = ("-", "--", "-.")[number // len(SERIES) % 3]
    if len(part) and (part[x] == 0).all():
        axes.axhline(float(part["value"].iloc[0]), color=colour, ls=":", lw=1.1, label=name)
        return
    axes.errorbar(
        part[x] * shift,
        part["value"],
        part["sd"].fillna(0) if "sd" in part else None,
        color=colour,
        marker=mark,
        ls=dash,
        ms=4,
        lw=1.1,
        elinewidth=0.7,
        label=name,
    )

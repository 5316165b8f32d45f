"""The figure of predicted activities: one row per day, and beside it the hours of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imuspec.report.style import COLOURS, new_figure, plain_axes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["activities_figure", "class_colours"]

# Colours of Okabe and Ito (2008). A class without a colour takes the next free one of `_OTHERS`.
_OF_CLASS = {
    "sleep": "#0072b2",
    "sit-stand": "#56b4e9",
    "vehicle": "#cc79a7",
    "walking": "#009e73",
    "mixed": "#e69f00",
    "bicycling": "#d55e00",
}
_OTHERS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#1b1f24", "#8c6d31", "#5d6672")
_DAY_NS = 86_400_000_000_000
_NONWEAR = -2


def class_colours(names: Sequence[str]) -> list[str]:
    """Return a colour for each class; a known class has the same colour in all figures."""
    taken = [_OF_CLASS[name] for name in names if name in _OF_CLASS]
    free = [colour for colour in _OTHERS if colour not in taken]
    return [_OF_CLASS.get(name) or free.pop(0) if name in _OF_CLASS or free else COLOURS["muted"] for name in names]


def activities_figure(
    time: NDArray[np.int64], label: NDArray[np.int64], class_names: Sequence[str], step_s: float, *, title: str = ""
) -> Figure:
    """Draw activities over time.

    Parameters
    ----------
    time : int64 array [n]
        Start of each step, ns of the local clock, increasing.
    label : int64 array [n]
        Class of each step; -1 unknown, -2 not worn.
    class_names : sequence of str
        The classes.
    step_s : float
        Length of a step, s.
    title : str, default ""
        Title of the figure.
    """
    days = np.floor_divide(time, _DAY_NS)
    shown = np.arange(days.min(), days.max() + 1) if len(days) else np.arange(1)
    colours = class_colours(class_names)
    with style():
        figure = new_figure(10, 1.3 + 0.42 * len(shown))
        tall = figure.get_figheight()
        left, right = figure.subplots(1, 2, width_ratios=(4, 1), sharey=True)
        figure.subplots_adjust(left=0.085, right=0.985, top=1 - 0.5 / tall, bottom=0.46 / tall, wspace=0.07)
        for row, day in enumerate(shown.tolist()):
            on_day = days == day
            _day(left, row, (time[on_day] - day * _DAY_NS) / 3.6e12, label[on_day], colours, step_s / 3600)
            _hours(right, row, label[on_day], colours, step_s / 3600)
        left.set(xlim=(0, 24), xticks=range(0, 25, 3), ylim=(len(shown) - 0.4, -0.6), yticks=range(len(shown)))
        left.set_xticklabels([f"{hour:02d}:00" for hour in range(0, 25, 3)])
        left.set_yticklabels([np.datetime64(int(day), "D").item().strftime("%a %d %b") for day in shown])
        left.set_xlabel("time of day")
        right.set(xlim=(0, 24), xticks=range(0, 25, 6), xlabel="hours per day")
        right.tick_params(axis="y", length=0, labelleft=False)
        left.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
        plain_axes(left, spines=("bottom",))
        plain_axes(right, spines=("bottom",))
        left.set_title(title, pad=5)
        _legend(figure, class_names, colours, bool((label == _NONWEAR).any()))
        return figure


def _day(
    axes: Axes, row: int, hours: NDArray[np.float64], label: NDArray[np.int64], colours: Sequence[str], step: float
) -> None:
    axes.broken_barh([(0, 24)], (row - 0.33, 0.66), color="none", edgecolor=COLOURS["faint"], lw=0.5)
    if not len(label):
        return
    cuts = np.flatnonzero((np.diff(label) != 0) | (np.diff(hours) > 1.5 * step)) + 1
    begin, end = np.append(0, cuts), np.append(cuts, len(label)) - 1
    for code, colour in [(_NONWEAR, COLOURS["nonwear"]), *enumerate(colours)]:
        runs = [(hours[a], hours[b] + step - hours[a]) for a, b in zip(begin, end, strict=True) if label[a] == code]
        if runs:
            axes.broken_barh(runs, (row - 0.33, 0.66), color=colour, lw=0)


def _hours(axes: Axes, row: int, label: NDArray[np.int64], colours: Sequence[str], step: float) -> None:
    start = 0.0
    for code, colour in [*enumerate(colours), (_NONWEAR, COLOURS["nonwear"])]:
        hours = float((label == code).sum()) * step
        axes.barh(row, hours, 0.66, left=start, color=colour, lw=0)
        start += hours


def _legend(figure: Figure, names: Sequence[str], colours: Sequence[str], nonwear: bool) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, lw=0, label=name) for name, colour in zip(names, colours, strict=True)]
    if nonwear:
        handles.append(Patch(color=COLOURS["nonwear"], lw=0, label="not worn"))
    position: Any = {"loc": "upper right", "bbox_to_anchor": (0.985, 0.995), "borderaxespad": 0.1}
    figure.legend(handles=handles, ncols=len(handles), handlelength=1, handleheight=0.8, columnspacing=1.3, **position)

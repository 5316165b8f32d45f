"""Distributions over the recordings of a cohort: histograms, or one dot per recording of a small cohort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imuspec.report.style import BROAD, COLOURS, NARROW, new_figure, plain_axes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Panel", "distribution_figure"]

_FEW = 20  # with fewer recordings, each is a dot


class Panel(NamedTuple):
    """One distribution: title, label of the values, and series as (name, colour, values)."""

    title: str
    label: str
    series: Sequence[tuple[str, str, NDArray[np.float64]]]


def distribution_figure(panels: Sequence[Panel], *, narrow: bool = False) -> Figure | None:
    """Draw distributions side by side, or one below the other on a phone; None if there are no panels.

    Values outside the central 99 % are drawn in the outermost bars, so that one outlier does not hide the others.

    Parameters
    ----------
    panels : sequence of Panel
        The distributions; values that are not finite are left out.
    narrow : bool, default False
        Whether to lay the figure out for a phone.
    """
    if not panels:
        return None
    columns = 1 if narrow else min(len(panels), 4)
    rows = -(-len(panels) // columns)
    with style():
        figure = new_figure(NARROW if narrow else BROAD, 2.2 * rows + 0.1)
        tall, wide = figure.get_figheight(), figure.get_figwidth()
        grid = figure.subplots(rows, columns, squeeze=False)
        figure.subplots_adjust(
            left=0.52 / wide, right=1 - 0.12 / wide, top=1 - 0.3 / tall, bottom=0.45 / tall, wspace=0.3, hspace=0.75
        )
        for axes, panel in zip(grid.flat, panels, strict=False):
            _panel(axes, panel)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_visible(False)
        return figure


def _panel(axes: Axes, panel: Panel) -> None:
    from matplotlib.ticker import MaxNLocator

    finite = [(name, colour, values[np.isfinite(values)]) for name, colour, values in panel.series]
    n = finite[-1][2].size
    if n < _FEW:
        for level, (name, colour, values) in enumerate(finite):
            axes.plot(values, np.full(values.size, -level), "o", ms=5, mew=0, alpha=0.7, color=COLOURS[colour])
            axes.annotate(
                name, (0, -level), (0, 5), xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=7.5
            )
        axes.set(yticks=[], ylim=(-len(finite) + 0.2, 0.8))
        axes.margins(x=0.12)
        plain_axes(axes, spines=("bottom",))
    else:
        together = np.concatenate([values for _, _, values in finite])
        low, high = np.quantile(together, [0.005, 0.995])
        inside = together[(together >= low) & (together <= high)]
        edges: Any = np.histogram_bin_edges(inside, bins=min(40, max(8, int(np.sqrt(inside.size) * 2))))
        for k, (name, colour, values) in list(enumerate(finite))[::-1]:
            filled = k == len(finite) - 1
            kind: Any = "stepfilled" if filled else "step"
            clipped = np.clip(values, edges[0], edges[-1])
            axes.hist(clipped, edges, histtype=kind, lw=0 if filled else 1.3, color=COLOURS[colour], label=name)
        axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
        if len(finite) > 1:
            axes.legend(handlelength=1.2)
    axes.set_xlabel(panel.label)
    axes.set_title(f"{panel.title} (n = {n:,})")

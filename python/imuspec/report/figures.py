"""Figures of a page: what a recording's days look like, how it was calibrated, how its clock ran, a cohort at large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imuspec.report import spans
from imuspec.report.minutes import DAY_NS, Minutes, Track
from imuspec.report.style import COLOURS, new_figure, plain_axes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "Still",
    "clock_figure",
    "distribution_figure",
    "outcome_figure",
    "sphere_figure",
    "still_windows",
    "timeline",
]

_STILL_G = 0.013
_WINDOW_S = 10.0


def timeline(reduced: Minutes, signal: Track) -> Figure:
    """Mean acceleration (ENMO) of every minute, a row a day; non-wear and gaps shaded, kept segments underlined."""
    finite = reduced.enmo[np.isfinite(reduced.enmo)]
    top = _round_up(float(np.quantile(finite, 0.995))) if finite.size else 100.0
    width = reduced.row_ns / 3.6e12
    hours = (np.arange(reduced.enmo.shape[1]) + 0.5) * (reduced.step_ns / 3.6e12)
    with style():
        figure = new_figure(10, 0.75 + 0.62 * reduced.n_rows + 0.3 * (reduced.n_rows == 1))
        axes = figure.subplots()
        tall = figure.get_figheight()
        figure.subplots_adjust(left=0.085, right=0.945, top=1 - 0.34 / tall, bottom=0.36 / tall)
        _shade(axes, reduced, signal.not_worn, "nonwear", (0.08, 0.82))
        _shade(axes, reduced, spans.gaps(signal, min_s=60), "gap", (0.08, 0.82))
        _shade(axes, reduced, signal.kept, "good", (0.93, 0.045))
        for row in range(reduced.n_rows):
            height = np.minimum(reduced.enmo[row] / top, 1) * 0.82
            axes.fill_between(hours, row + 0.9, row + 0.9 - height, color=COLOURS["data"], lw=0)
            axes.axhline(row + 0.9, color=COLOURS["faint"], lw=0.6, zorder=0)
        axes.set_ylim(reduced.n_rows + 0.05, 0)
        spans.hour_axis(axes, reduced)
        axes.set_yticks([row + 0.6 for row in range(reduced.n_rows)])
        axes.set_yticklabels([spans.day_label(reduced.origin + row * DAY_NS) for row in range(reduced.n_rows)])
        axes.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
        plain_axes(axes, spines=())
        for level, at in ((f"{top:g} mg", 0.08), ("0", 0.9)):
            axes.text(width * 1.005, at, level, fontsize=7.5, color=COLOURS["muted"], va="center")
        names = [("data", "mean acceleration"), ("good", "kept"), ("nonwear", "not worn"), ("gap", "no samples")]
        _legend(axes, names)
        return figure


def _shade(axes: Axes, reduced: Minutes, found: spans.Spans, colour: str, place: tuple[float, float]) -> None:
    for row, start, stop in spans.by_row(found, reduced):
        axes.broken_barh([(start, stop - start)], (row + place[0], place[1]), color=COLOURS[colour], lw=0, zorder=0.5)


def _legend(axes: Axes, names: Sequence[tuple[str, str]]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=COLOURS[colour], lw=0, label=label) for colour, label in names]
    place: Any = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.1}
    axes.legend(handles=handles, ncols=len(names), handlelength=1, handleheight=0.7, columnspacing=1.4, **place)


def _round_up(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten, at least 50."""
    value = max(value, 50.0)
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value))


@dataclass(frozen=True)
class Still:
    """Mean acceleration of the windows in which the device lay or was held still.

    Attributes
    ----------
    before, after
        [n, 3], g, as measured and calibrated. Equal where nothing was applied.
    """

    before: NDArray[np.float64]
    after: NDArray[np.float64]

    def residual(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """[n], |mean| - 1 g in mg."""
        return np.asarray((np.linalg.norm(points, axis=1) - 1) * 1000)


def still_windows(signal: Track, calibration: dict[str, Any], *, tolerance_g: float = _STILL_G) -> Still:
    """10 s windows whose standard deviation is below the tolerance on each axis, from calibrated acceleration.

    What was measured comes from undoing offset + gain x; a temperature slope is not undone.
    """
    n = max(2, round(_WINDOW_S * signal.rate))
    found = [np.empty((0, 3))]
    for a, b in signal.runs:
        whole = int((b - a) // n)
        for at in range(0, whole, 360):
            count = min(360, whole - at)
            first = int(a) + at * n
            x = signal.acceleration[:, first : first + count * n].reshape(3, count, n)
            mean = x.mean(axis=2, dtype=np.float64)
            still = (x.std(axis=2, ddof=1, dtype=np.float64) < tolerance_g).all(axis=0)
            found.append(mean[:, still].T)
    after = np.concatenate(found)
    offset = np.array([float(calibration.get(f"offset_{axis}") or 0.0) for axis in "xyz"])
    gain = np.array([float(calibration.get(f"gain_{axis}") or 1.0) for axis in "xyz"])
    return Still((after - offset) / gain, after)


def sphere_figure(still: Still, *, cube_g: float = 0.3, applied: bool = True) -> Figure:
    """Still windows on the unit sphere seen along each axis, and how far from 1 g they lie before and after."""
    with style():
        figure = new_figure(10, 2.75)
        panels = figure.subplots(1, 4, width_ratios=[1, 1, 1, 1.55])
        figure.subplots_adjust(left=0.055, right=0.985, top=0.87, bottom=0.17, wspace=0.38)
        angle = np.linspace(0, 2 * np.pi, 181)
        for panel, (i, j) in zip(panels, ((0, 1), (0, 2), (1, 2)), strict=False):
            panel.plot(np.cos(angle), np.sin(angle), color=COLOURS["muted"], lw=0.6)
            for level in (-cube_g, cube_g):
                panel.axhline(level, color=COLOURS["faint"], lw=0.6, zorder=0)
                panel.axvline(level, color=COLOURS["faint"], lw=0.6, zorder=0)
            points = still.after[:: max(1, len(still.after) // 3000)]
            panel.plot(
                points[:, i], points[:, j], ".", ms=2.2, mew=0, color=COLOURS["data"], alpha=0.6, rasterized=True
            )
            panel.set(xlim=(-1.15, 1.15), ylim=(-1.15, 1.15), aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
            panel.set_xlabel(f"{'xyz'[i]} (g)", labelpad=1)
            panel.set_ylabel(f"{'xyz'[j]} (g)", labelpad=-2)
        panels[0].set_title("Still windows on the unit sphere")
        _residuals(panels[3], still, applied=applied)
        return figure


def _residuals(axes: Axes, still: Still, *, applied: bool) -> None:
    before, after = still.residual(still.before), still.residual(still.after)
    edges: Any = np.linspace(*_limits(np.concatenate([before, after]), 0.0), 61)
    if applied:
        axes.hist(np.clip(before, edges[0], edges[-1]), edges, histtype="step", color=COLOURS["second"], label="before")
    name = "after" if applied else "as measured"
    axes.hist(np.clip(after, edges[0], edges[-1]), edges, color=COLOURS["data"], alpha=0.85, label=name)
    axes.axvline(0, color=COLOURS["muted"], lw=0.6)
    axes.set(xlabel="|mean| - 1 g (mg)", ylabel="windows")
    axes.set_title("Distance from gravity")
    axes.legend(handlelength=1.2, loc="upper right")


def _limits(values: NDArray[np.float64], centre: float) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    reach = max(5.0, float(np.quantile(np.abs(values - centre), 0.995)) * 1.1) if values.size else 5.0
    return centre - reach, centre + reach


def clock_figure(recording: Any) -> Figure | None:
    """How far each run's stamps stray from the nominal rate, s; None for less than a minute.

    A straight line is a sensor that runs at another rate than it was told to; a bend is a rate that changes, as with
    temperature.
    """
    runs = np.asarray(recording.runs, dtype=np.int64).reshape(-1, 2)
    nominal = float(recording.nominal_rate)
    long = [(int(a), int(b)) for a, b in runs if b - a > 60 * nominal] if nominal > 0 else []
    if not long:
        return None
    with style():
        figure = new_figure(10, 1.95)
        axes = figure.subplots()
        figure.subplots_adjust(left=0.075, right=0.985, top=0.86, bottom=0.24)
        origin = int(recording.time[long[0][0]])
        for a, b in long:
            at = np.unique(np.linspace(a, b - 1, 600).astype(np.int64))
            time = np.asarray(recording.time)[at].astype(np.int64)
            drift = (time - time[0]) / 1e9 - (at - a) / nominal
            axes.plot((time - origin) / 3.6e12, drift, color=COLOURS["data"])
        axes.axhline(0, color=COLOURS["faint"], lw=0.6, zorder=0)
        axes.set(xlabel="hours from the start", ylabel="clock ahead (s)")
        axes.set_title(f"The clock against {nominal:g} Hz, from the start of each run")
        axes.margins(x=0.01)
        return figure


def outcome_figure(counts: Sequence[tuple[str, str, int]]) -> Figure:
    """Recordings by outcome and reason: (``ok`` | ``excluded`` | ``failed``, words, how many)."""
    colour = {"ok": "good", "excluded": "second", "failed": "bad"}
    with style():
        figure = new_figure(10, 0.3 + 0.3 * max(1, len(counts)))
        axes = figure.subplots()
        figure.subplots_adjust(left=0.46, right=0.95, top=0.98, bottom=0.02)
        for row, (status, reason, n) in enumerate(counts):
            axes.barh(row, n, height=0.62, color=COLOURS[colour[status]])
            axes.annotate(f"{n:,}", (n, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8.5)
            axes.annotate(
                _short(f"{status}: {reason}" if reason else status),
                (0, row), xytext=(-6, 0), textcoords="offset points", va="center", ha="right", fontsize=8.5,
            )  # fmt: skip
        axes.set(ylim=(max(1, len(counts)) - 0.4, -0.6), xticks=[], yticks=[])
        axes.set_xlim(left=0)
        plain_axes(axes, spines=("left",))
        return figure


def _short(text: str, most: int = 72) -> str:
    """One line without matplotlib's mathematics, which a dollar sign in a file's words would start."""
    text = " ".join(text.split())
    return (text if len(text) <= most else text[: most - 1] + "\u2026").replace("$", r"\$")


def distribution_figure(panels: Sequence[tuple[str, str, Sequence[tuple[str, str, ArrayLike]]]]) -> Figure:
    """Histograms beside each other: (title, x label, [(name, colour, values)]); what is not finite is left out."""
    with style():
        figure = new_figure(10, 2.3)
        figure.subplots_adjust(left=0.055, right=0.985, top=0.86, bottom=0.2, wspace=0.26)
        for axes, (title, label, series) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
            found = [(name, colour, _finite(values)) for name, colour, values in series]
            together = np.concatenate([values for _, _, values in found])
            edges = np.histogram_bin_edges(together, bins=min(40, max(8, int(np.sqrt(together.size) * 2))))
            for k, (name, colour, values) in enumerate(found):
                kind: Any = "stepfilled" if k == len(found) - 1 else "step"
                axes.hist(values, edges, histtype=kind, color=COLOURS[colour], alpha=0.85, label=name)
            axes.set(xlabel=label, title=f"{title} (n = {found[-1][2].size:,})")
            axes.yaxis.get_major_locator().set_params(integer=True)
            if len(found) > 1:
                axes.legend(handlelength=1.2)
        return figure


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]

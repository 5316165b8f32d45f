"""Figures of a recording's page: days, calibration, clock, temperature, light and battery.

Each is drawn for a wide page or, with ``narrow``, for a phone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imuspec.report import spans
from imuspec.report.minutes import DAY_NS, Minutes, Track
from imuspec.report.style import BROAD, COLOURS, NARROW, new_figure, plain_axes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Still", "clock_figure", "slow_figure", "sphere_figure", "still_windows", "timeline"]

_STILL_G = 0.013
_WINDOW_S = 10.0
_MOST_STEPS = 45_000  # steps of a recording that are drawn
_MOST_POINTS = 400  # points on the sphere that are drawn


def timeline(reduced: Minutes, signal: Track, *, narrow: bool = False) -> Figure:
    """Draw mean acceleration (ENMO) per minute, one row per day; non-wear and gaps are shaded, selected wear is underlined.

    Heights are square roots of mg, so that sleep and quiet sitting differ visibly in a row that has a run as well.

    Parameters
    ----------
    reduced : Minutes
        The recording, reduced to minutes.
    signal : Track
        The recording.
    narrow : bool, default False
        Whether to lay the figure out for a phone.
    """
    hours, enmo = _coarser(reduced, 3 if narrow and reduced.daily else 1)
    finite = enmo[np.isfinite(enmo)]
    top = _round_up(float(np.quantile(finite, 0.998))) if finite.size else 100.0
    levels = [level for level in (10, 50, 200, 1000) if level < 0.8 * top][-2:]
    width = reduced.row_ns / 3.6e12
    with style():
        figure = new_figure(NARROW if narrow else BROAD, (0.95 if narrow else 0.75) + 0.74 * reduced.n_rows)
        axes = figure.subplots()
        tall, wide = figure.get_figheight(), figure.get_figwidth()
        figure.subplots_adjust(
            left=0.86 / wide, right=1 - 0.5 / wide,
            top=1 - (0.55 if narrow else 0.34) / tall, bottom=0.36 / tall,
        )  # fmt: skip
        _shade(axes, reduced, signal.not_worn, "nonwear", (0.08, 0.82))
        _shade(axes, reduced, spans.gaps(signal, min_s=60), "gap", (0.08, 0.82), hatch="///////")
        _shade(axes, reduced, signal.selected, "good", (0.93, 0.045))
        for row in range(reduced.n_rows):
            _area(axes, hours, row + 0.9, np.sqrt(np.clip(enmo[row] / top, 0, 1)) * 0.82)
            axes.axhline(row + 0.9, color=COLOURS["muted"], lw=0.5, zorder=3)
            for level in (*levels, top):
                height = row + 0.9 - 0.82 * float(np.sqrt(level / top))
                axes.plot([0, width], [height, height], color=COLOURS["faint"], lw=0.5, zorder=0.8)
                unit = " mg" if level == top else ""
                axes.text(width * 1.006, height, f"{level:g}{unit}", fontsize=6.5, color=COLOURS["muted"], va="center")
        axes.set_ylim(reduced.n_rows + 0.05, 0)
        spans.hour_axis(axes, reduced, narrow=narrow)
        axes.set_yticks([row + 0.6 for row in range(reduced.n_rows)])
        axes.set_yticklabels([spans.day_label(reduced.origin + row * DAY_NS) for row in range(reduced.n_rows)])
        axes.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
        plain_axes(axes, spines=())
        _legend(axes, signal, narrow=narrow)
        return figure


def _coarser(reduced: Minutes, at_least: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the middle of each step in hours [m], and ENMO [n_rows, m]; steps of a long recording are joined."""
    n_rows, n = reduced.enmo.shape
    joined = at_least
    if reduced.daily:
        joined = next(k for k in (1, 3, 5, 10, 15, 30, 60, 1440) if k >= at_least and n_rows * n <= _MOST_STEPS * k)
    whole = n // joined
    parts = reduced.enmo[:, : whole * joined].reshape(n_rows, whole, joined).astype(np.float64)
    count = np.isfinite(parts).sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        enmo = np.where(count > 0, np.nan_to_num(parts).sum(axis=2) / count, np.nan)
    return (np.arange(whole) + 0.5) * joined * (reduced.step_ns / 3.6e12), enmo


def _area(axes: Axes, x: NDArray[np.float64], base: float, height: NDArray[np.float64]) -> None:
    """Fill the area below a curve; each stretch without NaN is filled separately."""
    known = np.isfinite(height)
    edges = np.flatnonzero(np.diff(known, prepend=False, append=False)).reshape(-1, 2)
    half = (x[1] - x[0]) / 2 if len(x) > 1 else 0.0
    for a, b in edges.tolist():
        across = np.concatenate([[x[a] - half], x[a:b], [x[b - 1] + half]])
        axes.fill(across, base - np.concatenate([[0.0], height[a:b], [0.0]]), color=COLOURS["data"], lw=0, zorder=2)


def _shade(
    axes: Axes, reduced: Minutes, stretches: spans.Spans, colour: str, box: tuple[float, float], *, hatch: str = ""
) -> None:
    for row, start, stop in spans.by_row(stretches, reduced):
        axes.broken_barh(
            [(start, stop - start)], (row + box[0], box[1]), facecolor=COLOURS[colour], zorder=0.5,
            lw=0, edgecolor=COLOURS["bad"], hatch=hatch or None,
        )  # fmt: skip


def _legend(axes: Axes, signal: Track, *, narrow: bool) -> None:
    from matplotlib.patches import Patch

    names = [("data", "mean acceleration", "")]
    names += [("good", "selected wear", "")] * bool(len(signal.selected))
    names += [("nonwear", "not worn", "")] * bool(len(signal.not_worn))
    names += [("gap", "no samples", "///////")] * bool(len(spans.gaps(signal, min_s=60)))
    handles = [
        Patch(facecolor=COLOURS[colour], edgecolor=COLOURS["bad"], hatch=hatch or None, lw=0, label=label)
        for colour, label, hatch in names
    ]
    position: Any = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.1}
    columns = 2 if narrow else len(names)
    axes.legend(handles=handles, ncols=columns, handlelength=1.2, handleheight=0.8, columnspacing=1.4, **position)


def _round_up(value: float) -> float:
    """Return the next of 1, 1.5, 2, 3, 5 times a power of ten, at least 50."""
    value = max(value, 50.0)
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 1.5, 2, 3, 5, 10) if step * power >= value))


@dataclass(frozen=True)
class Still:
    """Mean acceleration of the windows in which the device was still.

    Attributes
    ----------
    before, after : float64 [n, 3]
        Before and after calibration, g; equal if no calibration was applied.
    """

    before: NDArray[np.float64]
    after: NDArray[np.float64]

    def residual(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return |mean| - 1 g of each point, mg, [n]."""
        return np.asarray((np.linalg.norm(points, axis=1) - 1) * 1000)


def still_windows(signal: Track, calibration: dict[str, Any], *, tolerance_g: float = _STILL_G) -> Still:
    """Return the 10 s windows whose standard deviation is below the tolerance on every axis, in calibrated acceleration.

    The values before calibration are computed by inverting offset + gain x; a temperature slope is not inverted.

    Parameters
    ----------
    signal : Track
        Calibrated acceleration.
    calibration : dict of str to object
        ``offset_x`` to ``gain_z``; empty if no calibration was applied.
    tolerance_g : float, default 0.013
        Upper bound of the standard deviation, g.
    """
    n = max(2, round(_WINDOW_S * signal.rate))
    means = [np.empty((0, 3))]
    for a, b in signal.runs:
        whole = int((b - a) // n)
        for window in range(0, whole, 360):
            count = min(360, whole - window)
            first = int(a) + window * n
            x = signal.acceleration[:, first : first + count * n].reshape(3, count, n)
            mean = x.mean(axis=2, dtype=np.float64)
            still = (x.std(axis=2, ddof=1, dtype=np.float64) < tolerance_g).all(axis=0)
            means.append(mean[:, still].T)
    after = np.concatenate(means)
    offset = np.array([float(calibration.get(f"offset_{axis}") or 0.0) for axis in "xyz"])
    gain = np.array([float(calibration.get(f"gain_{axis}") or 1.0) for axis in "xyz"])
    return Still((after - offset) / gain, after)


def sphere_figure(still: Still, *, cube_g: float = 0.3, applied: bool = True, narrow: bool = False) -> Figure:
    """Draw still windows on the unit sphere along each axis, and their distance from 1 g before and after calibration.

    Parameters
    ----------
    still : Still
        The windows.
    cube_g : float, default 0.3
        Distance of the lines beyond which the fit needs windows, g.
    applied : bool, default True
        Whether a calibration was applied; if not, only the measured values are drawn.
    narrow : bool, default False
        Whether to lay the figure out for a phone.
    """
    with style():
        figure = new_figure(NARROW, 3.7) if narrow else new_figure(BROAD, 2.75)
        if narrow:
            grid = figure.add_gridspec(2, 3, height_ratios=[1, 1.15], hspace=0.52, wspace=0.12)
            grid.update(left=0.155, right=0.985, top=0.92, bottom=0.12)
            panels = [figure.add_subplot(grid[0, k]) for k in range(3)]
            last = figure.add_subplot(grid[1, :])
        else:
            *panels, last = figure.subplots(1, 4, width_ratios=[1, 1, 1, 1.55])
            figure.subplots_adjust(left=0.055, right=0.985, top=0.87, bottom=0.17, wspace=0.38)
        for panel, axes in zip(panels, ((0, 1), (0, 2), (1, 2)), strict=True):
            _disc(panel, still.after, axes, cube_g, narrow=narrow)
        panels[0].set_title("Still windows on the unit sphere")
        _residuals(last, still, applied=applied)
        return figure


def _disc(panel: Axes, points: NDArray[np.float64], axes: tuple[int, int], cube_g: float, *, narrow: bool) -> None:
    angle = np.linspace(0, 2 * np.pi, 91)
    panel.plot(np.cos(angle), np.sin(angle), color=COLOURS["muted"], lw=0.6)
    for level in (-cube_g, cube_g):
        panel.axhline(level, color=COLOURS["faint"], lw=0.6, zorder=0)
        panel.axvline(level, color=COLOURS["faint"], lw=0.6, zorder=0)
    i, j = axes
    some = points[:: max(1, -(-len(points) // _MOST_POINTS))]
    panel.plot(some[:, i], some[:, j], "o", ms=2.6, mew=0, color=COLOURS["data"], alpha=0.7)
    panel.set(xlim=(-1.15, 1.15), ylim=(-1.15, 1.15), aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    if narrow:
        panel.set(xticks=[], yticks=[])
        panel.set_xlabel(f"{'xyz'[i]} and {'xyz'[j]} (g)", labelpad=2)
        return
    panel.set_xlabel(f"{'xyz'[i]} (g)", labelpad=1)
    panel.set_ylabel(f"{'xyz'[j]} (g)", labelpad=-2)


def _residuals(axes: Axes, still: Still, *, applied: bool) -> None:
    before, after = still.residual(still.before), still.residual(still.after)
    edges: Any = np.linspace(*_limits(np.concatenate([before, after])), 61)
    name = "after" if applied else "as measured"
    axes.hist(np.clip(after, edges[0], edges[-1]), edges, color=COLOURS["data"], label=name)
    if applied:
        clipped = np.clip(before, edges[0], edges[-1])
        axes.hist(clipped, edges, histtype="step", lw=1.3, color=COLOURS["second"], label="before")
    axes.axvline(0, color=COLOURS["muted"], lw=0.6)
    axes.set(xlabel="|mean| - 1 g (mg)", ylabel="windows")
    axes.set_ylim(top=axes.get_ylim()[1] * 1.18)  # room for the legend above the bars
    axes.set_title("Distance from gravity")
    axes.legend(handlelength=1.2, loc="upper right", ncols=2, borderaxespad=0)


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    reach = max(5.0, float(np.quantile(np.abs(values), 0.995)) * 1.1) if values.size else 5.0
    return -reach, reach


def clock_figure(recording: Any, *, narrow: bool = False) -> Figure | None:
    """Draw the difference between counting samples at the nominal rate and the time stamps, s; None below one minute.

    Below zero, counting is behind the clock of the device. A straight line means a rate that differs from the nominal rate. A
    curve means a rate that changes, for example with temperature.

    Parameters
    ----------
    recording : Recording
        The recording.
    narrow : bool, default False
        Whether to lay the figure out for a phone.
    """
    runs = np.asarray(recording.runs, dtype=np.int64).reshape(-1, 2)
    nominal = float(recording.nominal_rate)
    long = [(int(a), int(b)) for a, b in runs if b - a > 60 * nominal] if nominal > 0 else []
    if not long:
        return None
    with style():
        figure = new_figure(NARROW if narrow else BROAD, 1.95)
        axes = figure.subplots()
        figure.subplots_adjust(left=0.18 if narrow else 0.075, right=0.975, top=0.86, bottom=0.24)
        origin = int(recording.time[long[0][0]])
        for a, b in long:
            index = np.unique(np.linspace(a, b - 1, 300).astype(np.int64))
            time = np.asarray(recording.time)[index].astype(np.int64)
            axes.plot((time - origin) / 3.6e12, (index - a) / nominal - (time - time[0]) / 1e9, color=COLOURS["data"])
        axes.axhline(0, color=COLOURS["faint"], lw=0.6, zorder=0)
        axes.set(xlabel="hours from the start", ylabel="counted - clock (s)")
        axes.set_title(f"Counting samples at {nominal:g} Hz{'' if narrow else ', from the start of each run'}")
        axes.margins(x=0.01)
        return figure


def slow_figure(recording: Any, *, narrow: bool = False) -> Figure | None:
    """Draw the temperature, light and battery of a recording over time; None if it has none of them.

    Parameters
    ----------
    recording : Recording
        The recording.
    narrow : bool, default False
        Whether to lay the figure out for a phone.
    """
    channels = [
        (label, scale, *channel)
        for name, label, scale in (
            ("temperature", "temperature (\u00b0C)", "linear"),
            ("light", "light (lux)", "symlog"),
            ("battery", "battery (V)", "linear"),
        )
        if (channel := _slow(recording, name)) is not None
    ]
    if not channels:
        return None
    with style():
        figure = new_figure(NARROW if narrow else BROAD, 0.45 + 1.15 * len(channels))
        tall = figure.get_figheight()
        panels = figure.subplots(len(channels), 1, sharex=True, squeeze=False)[:, 0]
        figure.subplots_adjust(
            left=0.17 if narrow else 0.07, right=0.975, top=1 - 0.24 / tall, bottom=0.3 / tall, hspace=0.42
        )
        for panel, (label, scale, time, values) in zip(panels, channels, strict=True):
            panel.plot(time.astype("datetime64[ns]"), values, color=COLOURS["data"], lw=1)
            if scale == "symlog":
                panel.set_yscale("symlog", linthresh=10, linscale=0.6)
                panel.set_yticks([0, 10, 1000, 100_000], ["0", "10", "1,000", "100,000"])
                panel.set_ylim(0, max(20.0, float(np.nanmax(values)) * 1.3))
                panel.minorticks_off()
            panel.set_title(label, fontsize=8.5)
        spans.date_axis(panels[-1], narrow=narrow)
        return figure


def _slow(recording: Any, name: str, most: int = 600) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Return time [m] and mean value [m] of a slow channel over stretches of equal length; NaN without samples."""
    blocks, each = recording.blocks, getattr(recording, f"sample_{name}", None)
    if each is not None:
        step = max(1, len(each) // (20 * most))
        time, values = np.asarray(recording.time)[::step], np.asarray(each)[::step]
    elif blocks is not None and len(blocks.first) and len(recording.time):
        first = np.minimum(blocks.first.astype(np.int64), len(recording.time) - 1)
        time, values = np.asarray(recording.time)[first], np.asarray(getattr(blocks, name))
    else:
        return None
    known = np.isfinite(values)
    if known.sum() < 2:
        return None
    time, values = time[known].astype(np.int64), values[known].astype(np.float64)
    start, stop = int(time.min()), int(time.max()) + 1
    n = min(most, len(values))
    stretch = (time - start) * n // max(stop - start, 1)
    count = np.bincount(stretch, minlength=n)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(stretch, weights=values, minlength=n) / count
    middle = start + ((np.arange(n) + 0.5) * ((stop - start) / n)).astype(np.int64)
    return middle, mean

"""Two figures of a recording: strips of colour for its days, and the range of each axis over time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from imuspec.report import spans
from imuspec.report.minutes import DAY_NS, Minutes, Track, minutes, track
from imuspec.report.style import COLOURS, new_figure, plain_axes, save, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["colours", "day_image", "lively_window", "plot_recording"]

_WINDOW_S = 10.0
_COLUMNS = 2400
_RHYTHM_HZ = 5.0
_MAP = "cividis"
_HATCHED: Any = {"facecolor": COLOURS["nonwear"], "edgecolor": COLOURS["muted"], "hatch": "////", "lw": 0}


@overload
def day_image(
    source: Any, out: None = None, *, floor_db: float = ..., top_db: float = ..., dpi: int = ...
) -> Figure: ...
@overload
def day_image(
    source: Any, out: str | os.PathLike[str], *, floor_db: float = ..., top_db: float = ..., dpi: int = ...
) -> Path: ...
def day_image(
    source: Any,
    out: str | os.PathLike[str] | None = None,
    *,
    floor_db: float = -60.0,
    top_db: float = -15.0,
    dpi: int = 150,
) -> Figure | Path:
    """Draw each local day as a strip of colour, from midnight to midnight, and one window as the image a network sees.

    Each column of a strip is a minute, or less in a recording of up to six hours, which is one strip. The rows are 0.5 to
    15 Hz, upwards. The colour is the energy of the three axes together: the mean periodogram of 2 s frames, on a fixed
    scale in dB relative to 1 g^2/Hz, so that days and people can be compared. The colour map is cividis, which looks the same
    to people with a colour vision deficiency. Non-wear is hatched if it is known. The window on the right is 10 s, drawn by
    `imuspec.rgb_image` with its defaults, which stretch each axis to its own range.

    Parameters
    ----------
    source : Recording or Prepared
        The recording. Only a prepared one has known non-wear.
    out : path-like, optional
        File to write: .png, .svg or .pdf. Without it, the figure is returned.
    floor_db, top_db : float, default -60 and -15
        Ends of the colour scale, dB relative to 1 g^2/Hz.
    dpi : int, default 150
        Dots per inch of a PNG.

    Returns
    -------
    Figure or Path
        The matplotlib figure, or the file written.

    Raises
    ------
    TypeError
        If `source` is not a recording.
    ValueError
        If `source` has no samples, or ``floor_db >= top_db``.

    Examples
    --------
    >>> figure = imuspec.report.day_image(imuspec.read("week.cwa"))  # doctest: +SKIP
    """
    if not floor_db < top_db:
        raise ValueError(f"floor_db: expected less than top_db = {top_db:g}, got {floor_db:g}")
    signal = track(source)
    if not len(signal.runs):
        raise ValueError("source: expected at least one sample, got none")
    reduced = minutes(signal)
    with style():
        figure = new_figure(11.5, max(3.7, 1.1 + 0.66 * min(reduced.n_rows, 60)))
        grid = figure.add_gridspec(1, 2, width_ratios=[4.6, 1], wspace=0.145)
        grid.update(left=0.07, right=0.985, top=1 - 0.62 / figure.get_figheight(), bottom=0.45 / figure.get_figheight())
        strips = figure.add_subplot(grid[0])
        window = lively_window(signal, reduced)
        _strips(strips, reduced, colours(reduced, floor_db=floor_db, top_db=top_db))
        for row, start, stop in spans.by_row(signal.not_worn, reduced):
            strips.broken_barh([(start, stop - start)], (row + 0.06, 0.84), **_HATCHED)
        _titles(figure, source, signal)
        side = grid[1].get_position(figure)
        if window is not None:
            row, offset = divmod(window[1] - reduced.origin, reduced.row_ns)
            strips.plot([offset / 3.6e12], [row], marker="v", ms=5, color=COLOURS["ink"], clip_on=False, lw=0)
            _window(figure, (side.x0, side.y1, side.width), signal, window)
        _key(figure, (floor_db, top_db), (side.x0, side.width), signal)
        if out is None:
            return figure
        return save(figure, out, dpi=dpi)


def colours(reduced: Minutes, *, floor_db: float = -60.0, top_db: float = -15.0) -> NDArray[np.uint8]:
    """Return RGBA colours, uint8 [n_rows, n_frequencies, n_steps, 4], low frequencies last; no samples are transparent."""
    from matplotlib import colormaps

    with np.errstate(divide="ignore", invalid="ignore"):
        level = (10 * np.log10(reduced.power.sum(axis=2)) - floor_db) / (top_db - floor_db)
    measured = np.asarray(np.isfinite(reduced.power).all(axis=(2, 3)))
    shade = np.clip(np.nan_to_num(level, nan=0.0, neginf=0.0, posinf=1.0), 0, 1)
    image = np.asarray(colormaps[_MAP](shade, bytes=True), dtype=np.uint8).transpose(0, 2, 1, 3)[:, ::-1].copy()
    image[..., 3] = np.where(measured, 255, 0)[:, None, :]
    return image


def lively_window(signal: Track, reduced: Minutes) -> tuple[int, int] | None:
    """Return the first sample, and its time in ns, of ten seconds with movement; None if there are no ten seconds in one run.

    Of the tenth of the steps with the highest ENMO, it is the step with the clearest rhythm below 5 Hz.
    """
    enmo = np.where(reduced.covered > 0.99, reduced.enmo, np.nan)
    for row, start, stop in spans.by_row(signal.not_worn, reduced):
        per_hour = 3.6e12 / reduced.step_ns
        enmo[row, int(start * per_hour) : int(np.ceil(stop * per_hour))] = np.nan
    rhythm = reduced.power[..., reduced.frequency <= _RHYTHM_HZ].sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        peak = rhythm.max(axis=-1, initial=0) / reduced.power.sum(axis=(2, 3))
    known = np.isfinite(enmo) & np.isfinite(peak)
    if not known.any():
        return None
    lively = known & (enmo >= np.quantile(enmo[known], 0.9))
    step = int(np.where(lively, peak, -1).argmax())
    return _window_near(signal, reduced.origin + step * reduced.step_ns, round(_WINDOW_S * signal.rate))


def _window_near(signal: Track, time: int, n: int) -> tuple[int, int] | None:
    """Return the first sample, and its ns, of the `n` samples in one run that are closest to `time` (ns)."""
    windows = []
    for (a, b), start in zip(signal.runs, signal.starts, strict=True):
        if b - a >= n:
            first = int(np.clip(a + round((time - int(start)) / 1e9 * signal.rate), a, b - n))
            windows.append((first, int(start) + round((first - int(a)) / signal.rate * 1e9)))
    return min(windows, key=lambda window: abs(window[1] - time), default=None)


def _strips(axes: Axes, reduced: Minutes, image: NDArray[np.uint8]) -> None:
    width = reduced.row_ns / DAY_NS * 24
    side: Any = {"fontsize": 6.5, "color": COLOURS["muted"], "ha": "left", "clip_on": False}
    for row in range(reduced.n_rows):
        axes.imshow(image[row], extent=(0, width, row + 0.90, row + 0.06), aspect="auto", interpolation="antialiased")
        axes.text(width * 1.004, row + 0.06, f"{reduced.frequency[-1]:.0f} Hz", va="top", **side)
        axes.text(width * 1.004, row + 0.91, f"{reduced.frequency[0]:.1g} Hz", va="bottom", **side)
    axes.set_ylim(reduced.n_rows, -0.06)
    spans.hour_axis(axes, reduced)
    axes.set_yticks([row + 0.48 for row in range(reduced.n_rows)])
    axes.set_yticklabels([spans.day_label(reduced.origin + row * DAY_NS) for row in range(reduced.n_rows)])
    axes.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
    plain_axes(axes, spines=())


def _window(figure: Figure, box: tuple[float, float, float], signal: Track, window: tuple[int, int]) -> None:
    from imuspec.spectral.image import rgb_image

    first, ns = window
    n = round(_WINDOW_S * signal.rate)
    image = np.asarray(rgb_image(np.ascontiguousarray(signal.acceleration[:, first : first + n])))
    left, top, width = box
    height = width * figure.get_figwidth() * 0.75 / figure.get_figheight()
    axes = figure.add_axes((left, top - height, width, height))
    axes.imshow(np.moveaxis(image, 0, -1), extent=(0, _WINDOW_S, 0, signal.rate / 2), aspect="auto")
    axes.set_title(f"\u25be {spans.stamp(ns)}", fontsize=8.5)
    note = "red x, green y, blue z"
    axes.text(0, -0.3, note, transform=axes.transAxes, fontsize=6.2, color=COLOURS["muted"], va="top")
    axes.set(xticks=[0, 5, 10], yticks=[0, signal.rate / 2], xlabel="s")
    axes.set_yticklabels(["0", f"{signal.rate / 2:.0f} Hz"], fontsize=7)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=7)
    axes.xaxis.labelpad = 1
    plain_axes(axes, spines=())


def _titles(figure: Figure, source: Any, signal: Track) -> None:
    title = name_of(source)
    length = spans.duration(float((signal.stops - signal.starts).sum()) / 1e9)
    first = spans.stamp(int(signal.starts.min()))
    device = str(getattr(source, "device", "") or getattr(source, "header", {}).get("device") or "")
    facts = [device, f"from {first}", f"{length} of samples", f"{signal.rate:.4g} Hz"]
    top = figure.get_figheight()
    figure.text(0.07, 1 - 0.22 / top, title, fontsize=11, color=COLOURS["ink"])
    figure.text(
        0.07, 1 - 0.43 / top, "  \u00b7  ".join(filter(None, facts)), fontsize=8.5, color=COLOURS["muted"], va="center"
    )


def name_of(source: Any) -> str:
    """Return the name of the file without its folder, or the id."""
    path = getattr(source, "path", None)
    if path:
        return Path(os.fspath(path)).name
    return str(getattr(source, "id", "") or getattr(source, "device_id", "") or "recording")


def _key(figure: Figure, scale: tuple[float, float], box: tuple[float, float], signal: Track) -> None:
    """Draw the colour scale at the bottom right."""
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    tall, wide = figure.get_figheight(), figure.get_figwidth()
    left, width = box
    small: Any = {"fontsize": 7, "color": COLOURS["muted"]}
    bar = figure.add_axes((left, 0.62 / tall, width, 0.09 / tall))
    bar.imshow(colormaps[_MAP](np.linspace(0, 1, 256))[None, :, :], extent=(*scale, 0, 1), aspect="auto")
    middle = round((scale[0] + scale[1]) / 20) * 10
    bar.set(yticks=[], xticks=[scale[0], middle, scale[1]])
    bar.tick_params(labelsize=7, length=2, pad=1.5)
    plain_axes(bar, spines=())
    figure.text(left, 0.76 / tall, "energy of the three axes (dB)", **small)
    figure.text(left, 0.34 / tall, "0 dB is 1 g\u00b2/Hz; blank: no samples", **small)
    if signal.nonwear is not None:
        swatch = Rectangle((left, 0.17 / tall), 0.26 / wide, 0.11 / tall, transform=figure.transFigure, **_HATCHED)
        figure.add_artist(swatch)
        figure.text(left + 0.33 / wide, 0.17 / tall, "not worn", **small)


def plot_recording(recording: Any) -> Figure:
    """Draw the range of each axis of a recording over time, with shaded gaps, and the temperature if it is known.

    Parameters
    ----------
    recording : Recording
        The recording.

    Returns
    -------
    Figure
        The matplotlib figure. A long recording is drawn as the smallest and largest values of 2,400 stretches, so that no
        spike is lost.

    Raises
    ------
    ValueError
        If the recording has no samples.

    Examples
    --------
    >>> figure = plot_recording(imuspec.read("week.cwa"))  # doctest: +SKIP
    """
    signal = track(recording)
    if not len(signal.runs):
        raise ValueError("recording: expected at least one sample, got none")
    edges = np.linspace(int(signal.starts.min()), int(signal.stops.max()), _COLUMNS + 1)
    low, high = _envelope(signal, edges)
    centre = ((edges[1:] + edges[:-1]) / 2).astype(np.int64).astype("datetime64[ns]")
    temperature = getattr(recording, "temperature", None)
    n_rows = 3 + (temperature is not None)
    with style():
        figure = new_figure(10, 0.9 + 1.15 * n_rows)
        panels = figure.subplots(n_rows, 1, sharex=True)
        figure.subplots_adjust(left=0.065, right=0.985, top=1 - 0.62 / figure.get_figheight(), bottom=0.1, hspace=0.14)
        reach = max(1.2, float(np.nanmax(np.abs([low, high]))) * 1.04)
        for axis, panel, name in zip(range(3), panels, "xyz", strict=False):
            panel.fill_between(centre, low[axis], high[axis], color=COLOURS["data"], lw=0.4)
            panel.set(ylim=(-reach, reach), ylabel=f"{name} (g)")
            panel.axhline(0, color=COLOURS["faint"], lw=0.6, zorder=0)
        if temperature is not None:
            _temperature(panels[3], recording, signal, np.asarray(temperature))
        for panel in panels:
            for start, stop in spans.gaps(signal, min_s=1):
                panel.axvspan(*np.array([start, stop]).astype("datetime64[ns]"), color=COLOURS["gap"], lw=0)
        figure.align_ylabels(panels)
        spans.date_axis(panels[-1])
        panels[-1].set_xlim(*np.array([edges[0], edges[-1]]).astype(np.int64).astype("datetime64[ns]"))
        _titles(figure, recording, signal)
        return figure


def _temperature(axes: Axes, recording: Any, signal: Track, values: NDArray[np.float32]) -> None:
    step = max(1, len(values) // _COLUMNS)
    for a, b in signal.runs:
        time = np.asarray(recording.time[int(a) : int(b) : step]).astype("datetime64[ns]")
        axes.plot(time, values[int(a) : int(b) : step], color=COLOURS["second"])
    axes.set_ylabel("\u00b0C")


def _envelope(signal: Track, edges: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the smallest and largest values between the edges, [3, columns]; NaN where there are no samples."""
    low = np.full((3, len(edges) - 1), np.inf, dtype=np.float32)
    high = np.full((3, len(edges) - 1), -np.inf, dtype=np.float32)
    period = 1e9 / signal.rate
    for (a, b), start, stop in zip(signal.runs, signal.starts, signal.stops, strict=True):
        first = int(np.clip(np.searchsorted(edges, start, side="right") - 1, 0, len(edges) - 2))
        last = int(np.clip(np.searchsorted(edges, stop, side="left") - 1, first, len(edges) - 2))
        columns = np.arange(first, last + 1)
        begins = np.clip(np.ceil((edges[columns] - float(start)) / period), 0, b - a).astype(np.int64)
        begins[0] = 0
        filled = begins < np.append(begins[1:], b - a)
        begins, columns = begins[filled], columns[filled]
        x = signal.acceleration[:, int(a) : int(b)]
        low[:, columns] = np.minimum(low[:, columns], np.minimum.reduceat(x, begins, axis=1))
        high[:, columns] = np.maximum(high[:, columns], np.maximum.reduceat(x, begins, axis=1))
    empty = low > high
    low[empty] = high[empty] = np.nan
    return low, high

"""One function that draws any object that has a figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imuspec.errors import require
from imuspec.preparation import Prepared
from imuspec.recording.recording import Recording

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from imuspec.prediction.activities import Activities

__all__ = ["plot"]


def plot(value: Recording | Prepared | Activities, out: str | Path | None = None) -> Figure:
    """Draw a recording, a prepared recording or predicted activities.

    Parameters
    ----------
    value : Recording, Prepared or Activities
        A recording is drawn as the range of each axis over time, a prepared recording as one strip per day with its wear,
        and activities as one row per day.
    out : path-like, optional
        File to write as well: .png, .svg or .pdf.

    Returns
    -------
    Figure
        The matplotlib figure.

    Raises
    ------
    TypeError
        If there is no figure for an object of this type.

    Examples
    --------
    >>> import imuspec
    >>> imuspec.plot(imuspec.read("week.cwa"), "week.png")  # doctest: +SKIP
    """
    require("a picture", "matplotlib")
    from imuspec.report.activities import activities_figure
    from imuspec.report.day import day_image, plot_recording
    from imuspec.report.style import save

    if isinstance(value, Prepared):
        figure = day_image(value)
    elif isinstance(value, Recording):
        figure = plot_recording(value)
    elif hasattr(value, "class_names"):
        figure = activities_figure(value.time, value.label, value.class_names, value.step_s, title=value.name)
    else:
        raise TypeError(f"value: expected a Recording, Prepared or Activities, got {type(value).__name__}")
    if out is not None:
        save(figure, Path(out), dpi=200)
    return figure

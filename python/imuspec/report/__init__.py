"""Figures and self-contained HTML pages. matplotlib and jinja2 (extra ``report``) are imported with the first figure."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imuspec.report.cohort import cohort_page as cohort_page
    from imuspec.report.day import day_image as day_image
    from imuspec.report.day import plot_recording as plot_recording
    from imuspec.report.drawing import plot as plot
    from imuspec.report.page import write_page as write_page
    from imuspec.report.recording import preparation_page as preparation_page
    from imuspec.report.views import views_figure as views_figure

_HOME = {
    "day_image": "day",
    "plot_recording": "day",
    "plot": "drawing",
    "preparation_page": "recording",
    "cohort_page": "cohort",
    "views_figure": "views",
    "write_page": "page",
}

__all__ = ["cohort_page", "day_image", "plot", "plot_recording", "preparation_page", "views_figure", "write_page"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'imuspec.report' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"imuspec.report.{_HOME[name]}"), name)
    globals()[name] = value
    return value

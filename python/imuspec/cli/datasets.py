"""Command: datasets, which lists the supported public data sets and counts the windows of a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imuspec.cli import output
from imuspec.cli.app import command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import RenderableType
    from rich.table import Table

    from imuspec.datasets.public_sets import DatasetInfo
    from imuspec.datasets.windows import Windows

__all__ = ["datasets"]


@command
def datasets(name: str | None = None, /, *, json: bool = False) -> int:
    """List the supported public data sets, describe one, or check a copy of one.

    Every command takes a labelled data set as NAME=PATH[,setting=value,...]. imuspec datasets NAME lists the settings of its
    reader. The settings window_s, rate, overlap, resampling, lowpass_hz and min_agreement define the windows; split_by, missing
    and of_classes (the classes to use) define the splits. A part without = is one more value of the setting before it, as in
    daphnet=dataset/,sensors=ankle,trunk. LABEL@NAME=PATH gives the set another name in tables.

    Parameters
    ----------
    name : str, optional
        Optional: a data set to describe; or NAME=PATH[,setting=value,...] to read a copy of it. For a copy, the windows are
        counted by class and subject, and the rows outside any window by reason.
    json : bool, default False
        Print JSON, for programs.
    """
    from imuspec.datasets.catalogue import CATALOGUE, find_set
    from imuspec.datasets.reference import DatasetReference

    output.begin(json=json)
    if name is None:
        sets = list(CATALOGUE.values())
        output.emit([_facts(info) for info in sets]) if json else output.show(_list(sets))
    elif "=" not in name and ":" not in name:
        info = find_set(name)
        output.emit(_facts(info)) if json else output.show(_page(info))
    else:
        windows = DatasetReference.parse(name, option="name").windows()
        output.emit(_counts(windows)) if json else output.show(*_tables(windows))
    return 0


def _facts(info: DatasetInfo) -> dict[str, Any]:
    """Return the description of a set for JSON."""
    return {
        "name": info.name,
        "title": info.title,
        "about": info.description,
        "layout": info.layout,
        "window_s": info.window_s,
        "split_by": info.split_by,
        "settings": info.settings,
        "licence": info.licence,
        "citation": info.citation,
        "url": info.url,
    }


def _counts(windows: Windows) -> dict[str, Any]:
    """Return the windows by class and subject, and the rows outside any window, for JSON."""
    counted = zip(windows.subjects.tolist(), windows.table().tolist(), strict=True)
    return {
        "name": windows.name,
        "n_windows": len(windows),
        "window_s": windows.window_s,
        "rate_hz": windows.rate,
        "subjects": {str(s): dict(zip(windows.class_names, line, strict=True)) for s, line in counted},
        "n_rows": windows.n_rows,
        "n_rows_left_out": dict(windows.counts),
    }


def _list(sets: Iterable[DatasetInfo]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("set", "description", "window", box=None, pad_edge=False)
    for info in sets:
        table.add_row(Text(info.name, "bold"), Text(info.description), Text(f"{info.window_s:g} s"))
    return table


def _page(info: DatasetInfo) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(info.title), show_header=False, title_justify="left")
    rows = {
        "description": info.description,
        "layout": info.layout,
        "window": f"{info.window_s:g} s",
        "split": f"by {info.split_by}",
        "settings": ", ".join(f"{key}={_shown(value)}" for key, value in info.settings.items()),
        "licence": info.licence,
        "cite": info.citation,
        "from": info.url,
    }
    for key, value in rows.items():
        if value:
            table.add_row(key, Text(value, overflow="fold"))
    return table


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"table of {len(value)}" if isinstance(value, dict) else str(value)


def _tables(windows: Windows) -> Iterator[RenderableType]:
    """Yield the windows by class and subject, and the rows outside any window."""
    from rich.table import Table
    from rich.text import Text

    kinds = f"{len(windows):,} windows of {windows.window_s:g} s at {windows.rate:g} Hz"
    table = Table(title=Text(f"{windows.name}: {kinds}"), title_justify="left")
    table.add_column("subject")
    for name in (*windows.class_names, "all"):
        table.add_column(Text(name), justify="right")
    counted = windows.table()
    for subject, line in zip(windows.subjects.tolist(), counted.tolist(), strict=True):
        table.add_row(str(subject), *(f"{n:,}" for n in line), f"{sum(line):,}")
    table.add_section()
    table.add_row("all", *(f"{n:,}" for n in counted.sum(axis=0).tolist()), f"{len(windows):,}")
    yield table
    lost = Table("rows", "", title=Text(f"{windows.n_rows:,} rows of the files"), title_justify="left")
    for reason, n in sorted(windows.counts.items(), key=lambda item: -item[1]):
        lost.add_row(f"{n:,}", Text(reason))
    lost.add_row(f"{windows.n_rows - sum(windows.counts.values()):,}", Text("in a window"), style="bold")
    yield lost

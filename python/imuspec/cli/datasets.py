"""The command datasets: which public sets are read, and what a copy of one holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from imuspec.cli.app import SEVERAL, app

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rich.console import RenderableType
    from rich.table import Table

    from imuspec.datasets.catalogue import DatasetInfo
    from imuspec.datasets.windows import Windows

__all__ = ["datasets"]


@app.command
def datasets(
    name: str | None = None,
    /,
    *,
    check: Path | None = None,
    window_s: float | None = None,
    rate: float = 50.0,
    set: Annotated[list[str] | None, SEVERAL] = None,
) -> int:
    """List the public sets that are read; tell of one; check a copy of it.

    Parameters
    ----------
    name
        A set of the list.
    check
        Where a copy lies: it is read, and what came out is counted by class and subject, what did not by reason.
    window_s
        Length of a window, s; the set's own if not given.
    rate
        Samples a second, Hz.
    set
        Change a setting of the set's reader, as sensors=trunk; commas part several; may be given several times.
    """
    from imuspec.cli.console import screen
    from imuspec.datasets.catalogue import CATALOGUE, find_set, load

    console = screen()
    if name is None:
        if check is not None:
            raise ValueError("check: expected the name of a set before it, got none")
        console.print(_list(CATALOGUE.values()))
        return 0
    info = find_set(name)
    if check is None:
        console.print(_page(info))
        return 0
    settings: dict[str, Any] = dict(_setting(text, info.settings) for text in set or ())
    for part in _tables(load(name, check, window_s=window_s, rate=rate, **settings)):
        console.print(part)
    return 0


def _setting(text: str, known: Mapping[str, object]) -> tuple[str, object]:
    """Read NAME=VALUE: several values where the setting takes several, numbers where they are."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError(f"set: expected NAME=VALUE, got {text!r}")
    several = isinstance(known.get(key), tuple) or key in ("subjects", "classes", "positions", "sensors")

    def number(word: str) -> object:
        try:
            return int(word) if word.lstrip("-").isdigit() else float(word)
        except ValueError:
            return word

    return key, [number(word.strip()) for word in value.split(",")] if several else number(value)


def _list(sets: Iterable[DatasetInfo]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("set", "what", "window", box=None, pad_edge=False)
    for info in sets:
        table.add_row(Text(info.name, "bold"), Text(info.what), Text(f"{info.window_s:g} s"))
    return table


def _page(info: DatasetInfo) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(info.title), show_header=False, title_justify="left")
    defaults = {key: value for key, value in info.settings.items() if key not in ("subjects", "unit")}
    rows = {
        "what": info.what,
        "layout": info.layout,
        "window": f"{info.window_s:g} s",
        "split": f"by {info.split_by}",
        "settings": ", ".join(f"{key}={_said(value)}" for key, value in defaults.items()),
        "licence": info.licence,
        "cite": info.citation,
        "from": info.url,
    }
    for key, value in rows.items():
        if value:
            table.add_row(key, Text(value, overflow="fold"))
    return table


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"table of {len(value)}" if isinstance(value, dict) else str(value)


def _tables(windows: Windows) -> Iterator[RenderableType]:
    """Windows by class and subject, and the rows that are in none."""
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
    for why, n in sorted(windows.counts.items(), key=lambda item: -item[1]):
        lost.add_row(f"{n:,}", Text(why))
    lost.add_row(f"{windows.n_rows - sum(windows.counts.values()):,}", Text("in a window"), style="bold")
    yield lost

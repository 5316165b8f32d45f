"""How commands print: tables for people and pipes, JSON for programs, only errors with ``--quiet``.

A table is drawn on a terminal. In a pipe or a file, tabs separate its cells. With ``--json``, the standard output holds one
JSON document, and everything else goes to the standard error.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

__all__ = ["begin", "emit", "is_quiet", "note", "say", "show", "stderr"]

_mode = {"quiet": False, "json": False}


def begin(*, quiet: bool | None = None, json: bool = False) -> None:
    """Set how this command prints.

    Parameters
    ----------
    quiet : bool, optional
        Whether only errors are printed. The default keeps the setting.
    json : bool, default False
        Whether the standard output is reserved for JSON.
    """
    _mode["json"] = json
    if quiet is not None:
        _mode["quiet"] = quiet


def is_quiet() -> bool:
    """Whether ``--quiet`` was given."""
    return _mode["quiet"]


def say(line: object) -> None:
    """Print a line of the result."""
    if not _mode["quiet"]:
        print(line, file=sys.stderr if _mode["json"] else sys.stdout, flush=True)


def note(line: object) -> None:
    """Print a line of progress to the standard error."""
    if not _mode["quiet"]:
        print(line, file=sys.stderr, flush=True)


def show(*parts: RenderableType) -> None:
    """Print tables and texts of the result: drawn on a terminal, separated by tabs elsewhere."""
    if _mode["quiet"] or _mode["json"]:
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(emoji=False) if sys.stdout.isatty() else None
    after_table = False
    for part in parts:
        if console is not None:
            console.print(part, highlight=False)
            continue
        if after_table:
            print()
        after_table = isinstance(part, Table)
        print(_tabbed(part) if isinstance(part, Table) else part)


def emit(value: Any) -> None:
    """Print the result as JSON, even with ``--quiet``. A number that is not finite becomes null."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False, default=str))


def stderr() -> Console:
    """Return the console of progress bars, which prints nothing with ``--quiet``."""
    from rich.console import Console

    return Console(stderr=True, emoji=False, quiet=_mode["quiet"])


def _tabbed(table: Table) -> str:
    columns = [[_cell(cell) for cell in column.cells] for column in table.columns]
    heads = [_cell(column.header) for column in table.columns]
    lines = [_cell(table.title)] if table.title else []
    lines += ["\t".join(heads)] if table.show_header and any(heads) else []
    lines += ["\t".join(row) for row in zip(*columns, strict=True)]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return " ".join(str(value).split())


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if hasattr(value, "item") and callable(value.item):  # a NumPy scalar
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value

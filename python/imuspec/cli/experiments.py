"""Command: experiment, which repeats a table or figure of a paper."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from imuspec.cli import output
from imuspec.cli.app import SEVERAL, command
from imuspec.errors import require

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

__all__ = ["experiment"]

_LINES = ("imuspec", "95 % interval", "paper", "difference")
_MOST_COLUMNS = 6


@command
def experiment(
    name: str | None = None,
    /,
    *,
    out: Path | None = None,
    cache: Path | None = None,
    tiny: bool = False,
    data: Annotated[list[str] | None, SEVERAL] = None,
    runs: Annotated[list[str] | None, SEVERAL] = None,
    seeds: int = 5,
    device: Literal["cpu", "cuda", "mps"] = "cpu",
    assignments: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=False)] = None,
    json: bool = False,
) -> int:
    """Repeat a table or figure of a paper and show the differences; without a name, list the experiments.

    Parameters
    ----------
    name : str, optional
        Optional: an experiment of the list.
    out : Path, optional
        Folder for the tables, figures and settings; by default experiments/NAME.
    cache : Path, optional
        Folder for pre-training runs. Experiments with the same recipe and data share a run. By default the folder pretrained
        beside the results.
    tiny : bool, default False
        Run the same code in minutes on a CPU. The numbers mean nothing, and every table and figure says so.
    data : list of str, optional
        NAME=PATH[,setting=value,...]: a data set. LABEL@NAME=PATH: another data set in place of LABEL. Can be given more than
        once.
    runs : list of str, optional
        ROW=FOLDER: the run whose encoder is used for a row. ROW@SET=FOLDER: for one data set only. Can be given more than
        once, for a row too: its runs are pre-trainings by several seeds.
    seeds : int, default 5
        Number of seeds, counted from 0.
    device : {"cpu", "cuda", "mps"}, default "cpu"
        Device of the networks.
    assignments : list of str, optional
        NAME=VALUE: a setting of the experiment. Can be given more than once.
    json : bool, default False
        Print JSON, for programs.
    """
    output.begin(json=json)
    from rich.table import Table
    from rich.text import Text

    from imuspec.experiments import describe, names, perform

    if name is None:
        if json:
            output.emit([{"name": e.name, "about": e.about, "data": list(e.data)} for e in map(describe, names())])
            return 0
        table = Table("experiment", "description", "data", box=None, pad_edge=False)
        for each in map(describe, names()):
            table.add_row(each.name, Text(each.about), ", ".join(each.data))
        output.show(table)
        return 0
    for package in ("pandas", "torch", "matplotlib"):
        require("imuspec experiment", package)
    if seeds < 1:
        raise ValueError(f"seeds: expected at least 1, got {seeds}")
    chosen = describe(name)
    target = out or Path("experiments") / chosen.name
    setup = chosen.setup(
        target,
        data=data or (),
        runs=runs or (),
        assignments=assignments or (),
        seeds=tuple(range(min(seeds, 2) if tiny else seeds)),
        tiny=tiny,
        device=device,
        cache=cache or target.parent / "pretrained",
        say=output.say,
    )
    result, comparison = perform(chosen, setup)
    if json:
        described = {"name": chosen.name, "about": chosen.about, "tiny": tiny, "out": str(setup.out)}
        output.emit({**described, "notes": list(result.notes), "rows": comparison.to_dict("records")})
        return 0
    output.show(_comparison(comparison, chosen.about, tiny=tiny))
    for note in result.notes:
        output.say(note)
    output.say(f"tables, figures and settings: {setup.out}")
    return 0


def _comparison(frame: pd.DataFrame, about: str, *, tiny: bool) -> Table:
    """Return the comparison with the paper as the paper prints a table: a row for each method, a column for each set.

    Below each row stand its interval, the paper's number and the difference. More columns than a terminal takes are a list.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"{about}{' (TINY: numbers mean nothing)' if tiny else ''}"), title_justify="left")
    columns = list(dict.fromkeys(map(str, frame["column"])))
    wide = len(columns) <= _MOST_COLUMNS
    for name in ("row", "", *columns) if wide else ("row", "column", "", "value"):
        table.add_column(Text(str(name)), justify="left" if name in ("row", "column", "") else "right")
    for row, part in frame.groupby("row", sort=False):
        cells = {str(record["column"]): _lines(record) for record in part.to_dict("records")}
        titles = [str(row)]
        for group in [columns] if wide else [[column] for column in cells]:
            labels = titles if wide else [*(titles or [""]), *group]
            for name in _LINES:
                values = [cells.get(column, {}).get(name, "") for column in group]
                if any(values):
                    table.add_row(*map(Text, labels or [""] * (1 if wide else 2)), name, *map(Text, values))
                    titles, labels = [], []
    return table


def _lines(record: Mapping[Any, Any]) -> dict[str, str]:
    """Return what stands below each other in a cell."""
    low, difference = record.get("low", math.nan), record["difference"]
    return {
        "imuspec": _figure(record["value"], record.get("sd")),
        "95 % interval": f"[{low:.3f}, {record['high']:.3f}]" if math.isfinite(low) else "",
        "paper": _figure(record["paper"], record["paper_sd"]),
        "difference": f"{difference:+.3f}" if math.isfinite(difference) else "",
    }


def _figure(value: float, sd: float | None) -> str:
    if not math.isfinite(value):
        return ""
    return f"{value:.3f}" + (f" ± {sd:.3f}" if sd is not None and math.isfinite(sd) else "")

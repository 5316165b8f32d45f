"""Commands that repeat the papers: experiment."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from imuspec.cli import output
from imuspec.cli.app import SEVERAL, app
from imuspec.errors import require

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

__all__ = ["experiment"]


@app.command
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
    assignments: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=False)] = None,
    json: bool = False,
) -> int:
    """Repeat a table or figure of a paper: ours, the paper's, the difference. Without a name: list them.

    Parameters
    ----------
    name
        Optional: an experiment, as the list names it.
    out
        Folder for tables, figures and the recipe; by default experiments/NAME.
    cache
        Folder of pre-trainings, which experiments share where recipe and data are the same; by default pretrained, beside the
        folder of the results.
    tiny
        A trial of the same code in minutes on a CPU; its numbers mean nothing, and every table and figure says so.
    data
        NAME=PATH[,setting=value,...]: a data set; LABEL@NAME=PATH: another set in the place of LABEL. May be given several
        times.
    runs
        ROW=FOLDER: the run whose encoder makes a row; ROW@SET=FOLDER for one data set. May be given several times.
    seeds
        Number of seeds, counted from 0.
    assignments
        NAME=VALUE: one of the experiment's own numbers. May be given several times.
    json
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
        table = Table("experiment", "what it shows", "data", box=None, pad_edge=False)
        for each in map(describe, names()):
            table.add_row(each.name, Text(each.about), ", ".join(each.data))
        output.show(table)
        return 0
    for package in ("pandas", "torch", "matplotlib"):
        require("imuspec experiment", package)
    if seeds < 1:
        raise ValueError(f"seeds: expected at least 1, got {seeds}")
    found = describe(name)
    target = out or Path("experiments") / found.name
    setup = found.setup(
        target,
        data=data or (),
        runs=runs or (),
        assignments=assignments or (),
        seeds=tuple(range(min(seeds, 2) if tiny else seeds)),
        tiny=tiny,
        cache=cache or target.parent / "pretrained",
        say=output.say,
    )
    result, comparison = perform(found, setup)
    if json:
        described = {"name": found.name, "about": found.about, "tiny": tiny, "out": str(setup.out)}
        output.emit({**described, "notes": list(result.notes), "rows": comparison.to_dict("records")})
        return 0
    output.show(_comparison(comparison, found.about, tiny=tiny))
    for note in result.notes:
        output.say(note)
    output.say(f"tables, figures and recipe: {setup.out}")
    return 0


def _comparison(frame: pd.DataFrame, about: str, *, tiny: bool) -> Table:
    """Ours | paper | difference, a line each."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"{about}{' (TINY: numbers mean nothing)' if tiny else ''}"), title_justify="left")
    for name in ("row", "column"):
        table.add_column(name)
    for name in ("ours", "paper", "difference"):
        table.add_column(name, justify="right")
    before = None
    for record in frame.to_dict("records"):
        row = str(record["row"])
        table.add_row(
            Text("" if row == before else row),
            Text(str(record["column"])),
            _figure(record["value"], record.get("sd")),
            _figure(record["paper"], record["paper_sd"]),
            "" if not math.isfinite(record["difference"]) else f"{record['difference']:+.3f}",
        )
        before = row
    return table


def _figure(value: float, sd: float | None) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.3f}" + (f" ± {sd:.3f}" if sd is not None and math.isfinite(sd) else "")

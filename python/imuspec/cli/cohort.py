"""Commands for a cohort: status, verify, export, merge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from imuspec.cli import output
from imuspec.cli.app import FAILED, app, existing, open_cohort, unwrapped

if TYPE_CHECKING:
    from imuspec.cohort.cohort import Cohort
    from imuspec.cohort.results import Results

__all__ = ["export", "merge", "status", "verify"]

cohort_app = App(name="cohort", help="Check, export or complete a cohort.")
app.command(cohort_app)


@cohort_app.command
@unwrapped
def status(path: str, /, *, json: bool = False) -> int:
    """Show how many recordings are ok, excluded or failed, and the reasons.

    Parameters
    ----------
    path : str
        The folder or s3:// URL of a cohort, or of results that imuspec embed or predict wrote.
    json : bool, default False
        Print JSON, for programs.
    """
    from imuspec.cli.console import status_facts, status_table
    from imuspec.preparation.reasons import alike

    cohort = _opened(path)
    rows = cohort.outcomes.select(["status", "reason", "id"]).to_pylist()
    groups = alike(tuple(row.values()) for row in rows if row["status"] != "ok")
    if json:
        output.emit(status_facts(cohort.status(), groups))
        return 0
    output.show(status_table(cohort.status(), groups, path.rstrip("/").rpartition("/")[2]))
    return 0


@cohort_app.command
@unwrapped
def verify(path: str, /, *, json: bool = False) -> int:
    """Check every file against its checksum; exit code 1 if one is missing or was changed.

    Parameters
    ----------
    path : str
        The folder or s3:// URL of a cohort, or of results that imuspec embed or predict wrote.
    json : bool, default False
        Print JSON, for programs.
    """
    cohort = _opened(path)
    problems = cohort.verify()
    if json:
        described = [{"name": name, "problem": problem} for name, problem in problems]
        output.emit({"n_recordings": len(cohort.outcomes), "n_ok": len(cohort.ids), "problems": described})
    else:
        for name, problem in problems:
            output.say(f"{name}: {problem}")
        if not problems:
            output.say(f"{_counted(cohort)}; every file is unchanged")
    return FAILED if problems else 0


@cohort_app.command
@unwrapped
def export(
    path: str,
    ids: Annotated[list[str] | None, Parameter(name="ID...")] = None,
    /,
    *,
    out: Path,
    format: Literal["parquet", "csv"] = "parquet",
    resume: bool = False,
    json: bool = False,
) -> int:
    """Write calibrated wear with its time for other tools: one Parquet or CSV file per recording.

    The columns are time_ns and time (local device clock), x_g, y_g and z_g (g; empty where nothing was measured), and segment
    (0 for the first stretch of wear). The table recordings lists every recording, and why a recording is excluded.

    Parameters
    ----------
    path : str
        The folder or s3:// URL of the cohort.
    ids : list of str, optional
        Optional: ids of recordings to write; by default all.
    out : Path
        A new or empty folder, or with --resume the folder of an earlier export.
    format : {"parquet", "csv"}, default "parquet"
        parquet: time in full resolution. csv: time in milliseconds; time_ns has the full resolution.
    resume : bool, default False
        Continue an earlier export. Files of unchanged recordings are not written again.
    json : bool, default False
        Print JSON, for programs.
    """
    from imuspec.cohort.export import Exported, export_cohort

    output.begin(json=json)

    def show_one(one: Exported) -> None:
        rows = f"{one.n_rows:,} rows{', done before' if one.done_before else ''}"
        output.note(f"{one.id}: {f'{one.path}, {rows}' if one.path else f'left out, {one.reason}'}")

    cohort = open_cohort(existing(path))
    exported = export_cohort(cohort, out, ids or (), file_format=format, resume=resume, progress=show_one)
    written = [one for one in exported if one.path]
    if json:
        rows = [{**one._asdict(), "path": one.path and str(one.path)} for one in exported]
        output.emit({"folder": str(out), "recordings": rows})
    n = len(exported)
    output.say(f"{out}: wear of {len(written)} of {n} recording{'' if n == 1 else 's'}; recordings.{format} lists all")
    return 0 if written else FAILED


@cohort_app.command
@unwrapped
def merge(path: str, /) -> int:
    """Write the tables of a cohort again from its parts; the last share of a job array does this on its own.

    Parameters
    ----------
    path : str
        The folder or s3:// URL of the cohort.
    """
    from imuspec.cohort.lock import lock_of
    from imuspec.cohort.results import ResultStore, is_results
    from imuspec.cohort.store import CohortStore

    cohort = _opened(path)
    store: ResultStore | CohortStore = ResultStore(path) if is_results(path) else CohortStore(path)
    with lock_of(store.folder) as store.fence:
        store.write_tables()
        store.close()
    output.say(f"{path}: tables of {_counted(cohort)} written")
    return 0


def _opened(path: str) -> Cohort | Results:
    """Open a cohort, or results computed from one."""
    from imuspec.cohort.results import Results, is_results

    return Results(existing(path)) if is_results(path) else open_cohort(existing(path))


def _counted(cohort: Cohort | Results) -> str:
    from imuspec.preparation.reasons import counted

    return counted(cohort.outcomes["status"].to_pylist())

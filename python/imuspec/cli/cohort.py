"""Commands on a cohort: status, verify, merge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

from imuspec.cli.app import FAILED, app, open_cohort

if TYPE_CHECKING:
    from imuspec.cohort.cohort import Cohort

__all__ = ["merge", "status", "verify"]

cohort_app = App(name="cohort", help="Check a cohort, show its state, write its tables.")
app.command(cohort_app)


@cohort_app.command
def status(path: str, /) -> int:
    """Show how many recordings are ok, excluded or failed, and the reasons.

    Parameters
    ----------
    path
        The folder of a cohort, or of results of one (imuspec embed, predict), or its s3:// URL.
    """
    from imuspec.cli.console import screen, status_table
    from imuspec.cohort.results import Results, is_results

    kept = Results(path) if is_results(path) else open_cohort(path)
    screen().print(status_table(kept.status(), path.rstrip("/").rpartition("/")[2]))
    return 0


@cohort_app.command
def verify(path: str, /) -> int:
    """Check every file against its checksum; exit code 1 if one is missing or was changed.

    Parameters
    ----------
    path
        The folder of a cohort, or of results of one (imuspec embed, predict), or its s3:// URL.
    """
    from imuspec.cohort.results import Results, is_results

    kept = Results(path) if is_results(path) else open_cohort(path)
    problems = kept.verify()
    for identity, problem in problems:
        print(f"{identity}: {problem}")
    if not problems:
        print(f"{len(kept.ids)} recordings, all whole; {len(kept.outcomes)} outcomes")
    return FAILED if problems else 0


@cohort_app.command
def merge(path: str, /) -> int:
    """Write the tables of a cohort again from its parts. The last share of a job array does it by itself.

    Parameters
    ----------
    path
        The cohort's folder, or its s3:// URL.
    """
    from imuspec.cohort.lock import lock_of
    from imuspec.cohort.results import Results, ResultStore, is_results
    from imuspec.cohort.store import CohortStore

    kept: Results | Cohort
    store: ResultStore | CohortStore
    if is_results(path):
        kept, store = Results(path), ResultStore(path)
    else:
        kept, store = open_cohort(path), CohortStore(path)
    with lock_of(store.folder) as store.fence:
        store.write_tables()
        store.close()
    print(f"{path}: tables of {len(kept.outcomes)} recordings")
    return 0

"""Commands on a cohort: status, verify, merge."""

from __future__ import annotations

from cyclopts import App

from imuspec.cli.app import FAILED, app, open_cohort

__all__ = ["merge", "status", "verify"]

cohort_app = App(name="cohort", help="Look after a cohort.")
app.command(cohort_app)


@cohort_app.command
def status(path: str, /) -> int:
    """Say how many recordings came out how, and why.

    Parameters
    ----------
    path
        The cohort's folder, or its s3:// URL.
    """
    from imuspec.console import screen, status_table

    screen().print(status_table(open_cohort(path).status(), path.rstrip("/").rpartition("/")[2]))
    return 0


@cohort_app.command
def verify(path: str, /) -> int:
    """See that every recording is there once and whole; exit code 1 if not.

    Parameters
    ----------
    path
        The cohort's folder, or its s3:// URL.
    """
    cohort = open_cohort(path)
    problems = cohort.verify()
    for identity, problem in problems:
        print(f"{identity}: {problem}")
    if not problems:
        print(f"{len(cohort)} recordings, all whole; {len(cohort.outcomes)} outcomes")
    return FAILED if problems else 0


@cohort_app.command
def merge(path: str, /) -> int:
    """Write the tables of a cohort anew from its parts, as the last share of a job array does by itself.

    Parameters
    ----------
    path
        The cohort's folder, or its s3:// URL.
    """
    from imuspec.lock import lock_of
    from imuspec.store import CohortStore

    cohort = open_cohort(path)
    store = CohortStore(path)
    with lock_of(store.folder):
        store.fold()
        store.close()
    print(f"{path}: tables of {len(cohort.outcomes)} recordings")
    return 0

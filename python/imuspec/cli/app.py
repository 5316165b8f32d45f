"""The command-line application, and what several commands share."""

from __future__ import annotations

import errno
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from cyclopts import App, Parameter

from imuspec._core import __version__

if TYPE_CHECKING:
    from imuspec.cluster import Summary
    from imuspec.cohort.cohort import Cohort

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "SEVERAL",
    "USAGE",
    "Many",
    "Stated",
    "app",
    "command",
    "existing",
    "finished",
    "is_cohort",
    "open_cohort",
    "share_of",
    "unwrapped",
]

Documented = TypeVar("Documented", bound=Callable[..., Any])

USAGE, FAILED, INTERRUPTED = 2, 1, 130  # exit codes
SEVERAL = Parameter(consume_multiple=False)  # an option that can be given more than once


def _default(value: object) -> str | None:
    """Return a default as help shows it; None, and a flag that is off, have none."""
    return None if value is None or value is False else str(value)


app = App(
    name="imuspec",
    help="Turn recordings of wearable accelerometers into calibrated wear, spectrogram pictures and features.",
    help_epilogue="Every command takes --quiet (print errors only) and --debug (show the traceback of an error).",
    version=__version__,
    version_flags=["--version", "-V"],
    help_format="plaintext",
    default_parameter=Parameter(negative=(), show_default=_default),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
app.register_install_completion_command(help="Install tab completion for this shell.")


def unwrapped(documented: Documented) -> Documented:
    """Join the lines of each paragraph of a docstring, because help shows the lines as they are."""
    lines: list[str] = []
    for line in inspect.cleandoc(documented.__doc__ or "").splitlines():
        last = lines[-1] if lines else ""
        same = len(last) - len(last.lstrip()) == len(line) - len(line.lstrip())
        if last and line and same and not {"---"} & {last[:3], line[:3]}:
            lines[-1] = f"{last} {line.lstrip()}"
        else:
            lines.append(line)
    documented.__doc__ = "\n".join(lines)
    return documented


def command(function: Documented) -> Documented:
    """Register a function as a command of the application."""
    return app.command(unwrapped(function))


@unwrapped
@Parameter(name="*")
@dataclass
class Stated:
    """What the user states about a table if the file does not.

    Parameters
    ----------
    date_order : {"auto", "day_first", "month_first"}, default "auto"
        Order of day and month in dates that can be read either way.
    unit : {"auto", "g", "mg", "m/s2"}, default "auto"
        Unit of the acceleration in a table.
    rate : float, optional
        Rows per second of a table without usable times, Hz.
    """

    date_order: Literal["auto", "day_first", "month_first"] = "auto"
    unit: Literal["auto", "g", "mg", "m/s2"] = "auto"
    rate: float | None = None

    def options(self) -> dict[str, Any]:
        """Return the options of `imuspec.read`."""
        return asdict(self)

    def settings(self) -> list[str]:
        """Return the same as settings of a recipe."""
        reading = {"date_order": self.date_order, "unit": self.unit, "rate_hz": self.rate}
        return [f"reading.{name}={value}" for name, value in reading.items() if value not in ("auto", None)]


@unwrapped
@Parameter(name="*")
@dataclass
class Many:
    """Options of a run over many recordings.

    Parameters
    ----------
    workers : int, optional
        Number of processes; by default one per core.
    resume : bool, default False
        Continue an earlier run; recordings that are done are skipped.
    retry_failed : bool, default False
        With --resume: try the failed recordings again.
    shard : str, default "1/1"
        I/N does share I of N, counted from 1; for job arrays.
    engine : {"local", "dask"}, default "local"
        local: processes on this machine. dask: a Dask cluster.
    scheduler : str, optional
        With dask: the address of a running scheduler, or the path of its file.
    cluster : str, optional
        With dask: slurm:FILE.toml, a file with the number and kind of jobs to submit.
    protection : {"tls", "none"}, default "tls"
        With dask, for a cluster that this command starts. tls: connections need certificates that are made for the run. none:
        anyone who can reach its ports can run code as you.
    memory_limit : str, optional
        Memory limit for one recording, as 4GB. A recording that needs more is stopped and recorded as failed.
    time_limit : str, default "6h"
        Time limit for one recording, as 90 (seconds), 15m or 2h. A recording that takes longer is stopped and recorded as
        failed. "none" sets no limit.
    """

    workers: int | None = None
    resume: bool = False
    retry_failed: bool = False
    shard: str = "1/1"
    engine: Literal["local", "dask"] = "local"
    scheduler: str | None = None
    cluster: str | None = None
    protection: Literal["tls", "none"] = "tls"
    memory_limit: str | None = None
    time_limit: str = "6h"

    def options(self) -> dict[str, Any]:
        """Return the options of `imuspec.cluster.prepare_cohort` and `compute`."""
        from imuspec.cluster import Limits, open_engine

        if self.retry_failed and not self.resume:
            raise ValueError("retry-failed: expected --resume beside --retry-failed, got none")
        engine = open_engine(
            self.engine,
            workers=self.workers,
            scheduler=self.scheduler,
            cluster=self.cluster,
            protection=self.protection,
            limits=Limits.parse(self.memory_limit, None if self.time_limit == "none" else self.time_limit),
        )
        shard = share_of(self.shard)
        return {"engine": engine, "resume": self.resume, "retry_failed": self.retry_failed, "shard": shard}


def finished(summary: Summary, *, json: bool = False) -> int:
    """Print the outcome of a run over many recordings; return the exit code."""
    from imuspec.cli import output
    from imuspec.cli.console import summary_facts, summary_lines

    if json:
        output.emit(summary_facts(summary))
    # If the standard error is not a terminal, the display has already named each file.
    output.show(*summary_lines(summary, named=sys.stderr.isatty()))
    if summary.interrupted:
        left = summary.total - summary.n_done
        output.say(f"stopped: {left} left; the same command with --resume continues")
        return 128 + summary.signum if summary.signum else INTERRUPTED
    failed_all = summary.outcomes and summary.count("failed") == len(summary.outcomes)
    return FAILED if failed_all and not summary.done_before else 0


def existing(path: str | Path) -> str:
    """Return a path or URL as it was given.

    Raises
    ------
    FileNotFoundError
        If a local path does not exist.
    """
    if "://" not in str(path) and not os.path.lexists(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return str(path)


def is_cohort(path: str | Path) -> bool:
    """Whether a path is a cohort's folder or URL."""
    from imuspec.storage import as_path

    return (as_path(path) / "zarr.json").is_file()


def open_cohort(path: str | Path) -> Cohort:
    """Open a cohort."""
    from imuspec.cohort.cohort import Cohort

    return Cohort(path)


def share_of(text: str) -> tuple[int, int]:
    """Parse I/N, a share of a job array."""
    number, slash, total = text.partition("/")
    if not slash or not number.isdigit() or not total.isdigit():
        raise ValueError(f"shard: expected I/N, as 3/16, got {text!r}")
    return int(number), int(total)

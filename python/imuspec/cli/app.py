"""The application that the commands join, and what several of them share."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

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
    "existing",
    "finished",
    "is_cohort",
    "open_cohort",
    "share_of",
]

USAGE, FAILED, INTERRUPTED = 2, 1, 130  # exit codes
SEVERAL = Parameter(consume_multiple=False)  # an option that may be given several times


def _default(value: object) -> str | None:
    """A default as help shows it; None shows none, as of a flag that is off."""
    return None if value is None or value is False else str(value)


app = App(
    name="imuspec",
    help="Wearable motion recordings to calibrated wear, and pictures of them.",
    help_epilogue="Every command takes --quiet, which prints errors alone, and --debug, which shows where one came from.",
    version=__version__,
    version_flags=["--version", "-V"],
    help_format="plaintext",
    default_parameter=Parameter(negative=(), show_default=_default),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
app.register_install_completion_command(help="Install completion of commands and options for this shell.")


@Parameter(name="*")
@dataclass
class Stated:
    """What the user states of a table, where the file leaves it open.

    Parameters
    ----------
    date_order
        The order of dates that the file leaves open.
    unit
        Unit of the acceleration in a table.
    rate
        Rows per second of a table without usable times, Hz.
    """

    date_order: Literal["auto", "day_first", "month_first"] = "auto"
    unit: Literal["auto", "g", "mg", "m/s2"] = "auto"
    rate: float | None = None

    def options(self) -> dict[str, Any]:
        """Return the options of `imuspec.read`."""
        return asdict(self)

    def settings(self) -> list[str]:
        """Return the settings of a recipe that say the same."""
        reading = {"date_order": self.date_order, "unit": self.unit, "rate_hz": self.rate}
        return [f"reading.{name}={value}" for name, value in reading.items() if value not in ("auto", None)]


@Parameter(name="*")
@dataclass
class Many:
    """How a command goes over many recordings.

    Parameters
    ----------
    workers
        Processes; one for each core if not given.
    resume
        Continue an earlier run: recordings that are done stay as they are.
    retry_failed
        With --resume: try again what failed.
    shard
        I/N does the I-th of N shares, from 1; for job arrays.
    engine
        local: processes of this machine. dask: a Dask cluster.
    scheduler
        With dask: the address of a scheduler that runs, or the path of its file.
    cluster
        With dask: slurm:FILE.toml, which says how many jobs to submit and of what kind.
    protection
        With dask, of a cluster that this command starts. tls: certificates made for the run, strangers are refused. none:
        whoever reaches its ports can run code as you.
    memory_limit
        Memory that one recording may take, as 4GB; one that takes more is ended and recorded as failed.
    time_limit
        How long one recording may take, as 90 (seconds), 15m or 2h; one that takes longer is ended and recorded as
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
    # Where the standard error is no terminal, the display has named each file already.
    output.show(*summary_lines(summary, named=sys.stderr.isatty()))
    if summary.interrupted:
        left = summary.total - summary.n_done
        output.say(f"stopped: {left} left; the same command with --resume goes on")
        return 128 + summary.signum if summary.signum else INTERRUPTED
    failed_all = summary.outcomes and summary.count("failed") == len(summary.outcomes)
    return FAILED if failed_all and not summary.done_before else 0


def existing(path: str | Path) -> str:
    """Return a path or URL as it was given.

    Raises
    ------
    FileNotFoundError
        If nothing is at a local path.
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
    """Read I/N, a share of a job array."""
    number, slash, of = text.partition("/")
    if not slash or not number.isdigit() or not of.isdigit():
        raise ValueError(f"shard: expected I/N, as 3/16, got {text!r}")
    return int(number), int(of)

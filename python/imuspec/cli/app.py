"""The application that the commands join, and what several of them share."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App, Parameter

from imuspec import __version__

if TYPE_CHECKING:
    from imuspec.cohort import Cohort

__all__ = ["FAILED", "INTERRUPTED", "SEVERAL", "USAGE", "app", "open_cohort", "require", "share_of"]

USAGE, FAILED, INTERRUPTED = 2, 1, 130  # exit codes
SEVERAL = Parameter(consume_multiple=False)  # an option that may be given several times

app = App(
    name="imuspec",
    help="Wearable motion recordings to calibrated wear, and pictures of them.",
    help_epilogue="Every command takes --debug, which shows where an error came from.",
    version=__version__,
    help_format="plaintext",
    default_parameter=Parameter(negative=()),
    result_action="return_value",
)


def require(package: str, extra: str, purpose: str) -> None:
    """Raise RuntimeError, naming the extra to install, when a package is absent."""
    if importlib.util.find_spec(package) is None:
        raise RuntimeError(f"{purpose}: expected {package}, got none: pip install 'imuspec[{extra}]'")


def open_cohort(path: str | Path) -> Cohort:
    """Open a cohort."""
    from imuspec.cohort import Cohort

    return Cohort(path)


def share_of(text: str) -> tuple[int, int]:
    """Read I/N, a share of a job array."""
    number, slash, of = text.partition("/")
    if not slash or not number.isdigit() or not of.isdigit():
        raise ValueError(f"shard: expected I/N, as 3/16, got {text!r}")
    return int(number), int(of)

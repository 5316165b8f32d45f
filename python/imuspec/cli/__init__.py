"""The commands, a module for each group. Each imports what it needs inside its function, so that help answers at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import CycloptsError

from imuspec.cli import (
    activities,
    bench,
    cohort,
    datasets,
    doctor,
    embedding,
    experiments,
    learning,
    models,
    probing,
    recipe,
    recordings,
)
from imuspec.cli.app import FAILED, INTERRUPTED, USAGE, app
from imuspec.interrupts import Interrupted

__all__ = [
    "activities",
    "app",
    "bench",
    "cohort",
    "datasets",
    "doctor",
    "embedding",
    "experiments",
    "learning",
    "main",
    "models",
    "probing",
    "recipe",
    "recordings",
]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 nothing worked, 2 not understood, 130 interrupted, 143 terminated."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in tokens
    tokens = [token for token in tokens if token != "--debug"]
    try:
        sys.exit(app(tokens, exit_on_error=False, print_error=False) or 0)
    except CycloptsError as error:
        _complain(str(error), debug)
        sys.exit(USAGE)
    except KeyboardInterrupt as error:
        _complain(str(error) or "interrupted", debug)
        sys.exit(error.exit_code if isinstance(error, Interrupted) else INTERRUPTED)
    except BrokenPipeError:
        sys.exit(FAILED)
    except Exception as error:
        _complain(_line(error), debug)
        sys.exit(USAGE if type(error) is ValueError else FAILED)


def _complain(message: str, debug: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    if debug:
        console.print_exception()
    console.print(Text(f"error: {' '.join(message.split())}", style="red"), soft_wrap=True)


def _line(error: Exception) -> str:
    if isinstance(error, KeyError):
        return str(error.args[0])
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower() if error.filename is None else f"{error.filename}: {error.strerror.lower()}"
    return str(error) or type(error).__name__

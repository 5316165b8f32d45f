"""The commands, one module per group. Each imports what it needs inside its function, so that help appears at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import CycloptsError, UnknownCommandError

from imuspec.cli import (
    bench,
    cohort,
    datasets,
    doctor,
    embedding,
    experiments,
    export,
    fit,
    learning,
    models,
    output,
    pictures,
    predict,
    probing,
    recipe,
    recordings,
)
from imuspec.cli.app import FAILED, INTERRUPTED, USAGE, app
from imuspec.errors import unknown_name, without_credentials
from imuspec.interrupts import Interrupted, interrupted_by_sigterm

__all__ = [
    "app",
    "bench",
    "cohort",
    "datasets",
    "doctor",
    "embedding",
    "experiments",
    "export",
    "fit",
    "learning",
    "main",
    "models",
    "output",
    "pictures",
    "predict",
    "probing",
    "recipe",
    "recordings",
]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with a code of docs/reference/commands.md.

    Parameters
    ----------
    arguments : sequence of str, optional
        The arguments of the command line. The default is those of the process.
    """
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in tokens
    output.begin(quiet="--quiet" in tokens)
    tokens = [token for token in tokens if token not in ("--debug", "--quiet")]
    try:
        with interrupted_by_sigterm():
            code = app(tokens, exit_on_error=False, print_error=False) or 0
            sys.stdout.flush()
        sys.exit(code)
    except UnknownCommandError as error:
        _complain(_unknown(error), debug)
        sys.exit(USAGE)
    except CycloptsError as error:
        _complain(str(error), debug)
        sys.exit(USAGE)
    except KeyboardInterrupt as error:
        _complain(str(error) or "interrupted", debug)
        sys.exit(error.exit_code if isinstance(error, Interrupted) else INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to flush at exit
        sys.exit(FAILED)
    except Exception as error:
        _complain(_line(error), debug)
        sys.exit(USAGE if type(error) in (ValueError, TypeError) or _is_recipe_error(error) else FAILED)


def _unknown(error: UnknownCommandError) -> str:
    """Return the message for an unknown command, with the known commands, closest first."""
    command = (error.unused_tokens or [""])[0]
    known = [name for name in error.app or app if not name.startswith("-")]
    return unknown_name("command", command, known, listing="`imuspec --help`")


def _is_recipe_error(error: Exception) -> bool:
    return type(error).__name__ == "ValidationError" and type(error).__module__.startswith("pydantic")


def _complain(message: str, debug: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, emoji=False)
    if debug:
        with console.capture() as trace:
            console.print_exception()
        console.out(without_credentials(trace.get()), end="", highlight=False)
    line = without_credentials(" ".join(message.split()))
    console.print(Text(f"error: {line}", style="red"), soft_wrap=True)


def _line(error: Exception) -> str:
    if isinstance(error, KeyError):
        return str(error.args[0])
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower() if error.filename is None else f"{error.filename}: {error.strerror.lower()}"
    return str(error) or type(error).__name__

"""The commands. Each imports what it needs inside its function, so that help answers at once."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from imuspec import __version__

if TYPE_CHECKING:
    from imuspec.cohort import Cohort

__all__ = ["app", "main"]

_USAGE, _FAILED, _INTERRUPTED = 2, 1, 130

app = App(
    name="imuspec",
    help="Wearable motion recordings to calibrated wear, and pictures of them.",
    help_epilogue="Every command takes --debug, which shows where an error came from.",
    version=__version__,
    help_format="plaintext",
    default_parameter=Parameter(negative=()),
    result_action="return_value",
)
cohort_app = App(name="cohort", help="Look after a cohort.")
app.command(cohort_app)

_Several = Parameter(consume_multiple=False)


@app.command
def prepare(
    inputs: Annotated[list[str], Parameter(name="IN...")],
    /,
    *,
    out: Path,
    recipe: str = "ukb",
    set: Annotated[list[str] | None, _Several] = None,
    workers: int | None = None,
    resume: bool = False,
    retry_failed: bool = False,
    shard: str = "1/1",
) -> int:
    """Prepare recordings into a cohort: low-pass, resample, calibrate, find wear, store.

    Parameters
    ----------
    inputs
        Device files, folders of them, globs, or text lists (@list or *.txt, a path each line).
    out
        The cohort's folder, new or begun before.
    recipe
        ukb, capture24, nhanes, actipy, or a TOML file.
    set
        Change a number of the recipe, as calibration.min_windows=10; may be given several times.
    workers
        Processes; one for each core if not given.
    resume
        Go on with a cohort begun before: what is done stays as it is.
    retry_failed
        With --resume: try again what failed.
    shard
        I/N does the I-th of N shares, from 1; for job arrays.
    """
    from imuspec.cluster import prepare_cohort
    from imuspec.console import RunDisplay, screen, summary_lines
    from imuspec.recipe import Recipe

    followed = Recipe.load(recipe).set(*(set or ()))
    with RunDisplay() as display:
        summary = prepare_cohort(
            inputs,
            out,
            recipe=followed,
            workers=workers,
            resume=resume,
            retry_failed=retry_failed,
            shard=_shard(shard),
            progress=display.update,
        )
    console = screen()
    for line in summary_lines(summary):
        console.print(line)
    if summary.interrupted:
        left = summary.total - summary.n_done
        console.print(f"stopped: {left} files left; the same command with --resume goes on", markup=False)
        return _INTERRUPTED
    failed_all = summary.outcomes and summary.count("failed") == len(summary.outcomes)
    return _FAILED if failed_all and not summary.done_before else 0


@app.command
def info(path: Path, /, *, json: bool = False, timestamps: Literal["device", "actipy"] = "device") -> int:
    """Say what a recording holds: device, rate, times, gaps, and everything lost.

    Parameters
    ----------
    path
        A device file.
    json
        As JSON, for programs.
    timestamps
        device, or actipy for times equal to actipy's.
    """
    import imuspec
    from imuspec.console import recording_facts, recording_table, screen

    facts = recording_facts(imuspec.read(path, timestamps=timestamps))
    if json:
        import json as encoder

        print(encoder.dumps(facts, indent=2, ensure_ascii=False))
        return 0
    console = screen()
    for table in recording_table(facts, path.name):
        console.print(table)
    return 0


@app.command
def simulate(
    out: Path,
    /,
    *,
    days: float = 7.0,
    seed: int = 0,
    sample_rate: float = 100.0,
    device: str = "ax3",
    unpacked: bool = False,
    damage: Annotated[list[str] | None, _Several] = None,
    miscalibration: bool = False,
) -> int:
    """Write a realistic recording whose truth is known: nights, walks, a bicycle, the device laid aside.

    Parameters
    ----------
    out
        The device file; its truth is written beside it.
    days
        Length.
    seed
        The same seed gives the same bytes.
    sample_rate
        Hz, one that the device has.
    device
        ax3, or ax6 with a gyroscope.
    unpacked
        16-bit samples instead of 10-bit ones.
    damage
        A kind of damage; may be given several times. An unknown kind is answered with the list.
    miscalibration
        A sensor with an error of gain and offset.
    """
    from imuspec.simulation import simulate as write_week

    write_week(
        out,
        days=days,
        seed=seed,
        sample_rate=sample_rate,
        device=device,
        unpacked=unpacked,
        damage=tuple(damage or ()),
        miscalibration=miscalibration,
    )
    print(f"{out}: {days:g} days, {out.stat().st_size / 1e6:.1f} MB; its truth is beside it")
    return 0


@app.command
def image(path: Path, /, *, out: Path, recipe: str | None = None) -> int:
    """Draw a recording at a glance: each day as a strip of colour, and one window as a network sees it.

    Parameters
    ----------
    path
        A device file.
    out
        The picture, ending in .png, .svg or .pdf.
    recipe
        Prepare it by this recipe first, which marks non-wear; without it the raw recording is drawn.
    """
    import imuspec
    from imuspec.report import day_image

    _need_pictures()
    if recipe is None:
        day_image(imuspec.read(path), out)
    else:
        prepared = imuspec.prepare(path, recipe)
        if prepared.status == "failed":
            raise RuntimeError(f"{path}: {prepared.reason}")
        day_image(prepared, out)
    print(out)
    return 0


@app.command
def report(path: Path, /, *, out: Path, recipe: str = "ukb", set: Annotated[list[str] | None, _Several] = None) -> int:
    """Write one HTML page that shows what was read and what was done to it; a cohort's folder gives the cohort's page.

    Parameters
    ----------
    path
        A device file, or a cohort.
    out
        The page.
    recipe
        ukb, capture24, nhanes, actipy, or a TOML file.
    set
        Change a number of the recipe, as segments.min_wear_h=1; may be given several times.
    """
    import imuspec
    from imuspec.preparation import prepare as prepare_file
    from imuspec.recipe import Recipe
    from imuspec.report import cohort_page, preparation_page

    _need_pictures()
    if (path / "zarr.json").is_file():
        cohort_page(imuspec.Cohort(path), out)
    else:
        prepared = prepare_file(path, Recipe.load(recipe).set(*(set or ())))
        preparation_page(prepared, out, recording=None if prepared.status == "failed" else imuspec.read(path))
    print(out)
    return 0


@cohort_app.command
def status(path: Path, /) -> int:
    """Say how many recordings came out how, and why.

    Parameters
    ----------
    path
        The cohort's folder.
    """
    from imuspec.console import screen, status_table

    screen().print(status_table(_cohort(path).status(), path.name))
    return 0


@cohort_app.command
def verify(path: Path, /) -> int:
    """See that every recording is there once and whole; exit code 1 if not.

    Parameters
    ----------
    path
        The cohort's folder.
    """
    cohort = _cohort(path)
    problems = cohort.verify()
    for identity, problem in problems:
        print(f"{identity}: {problem}")
    if not problems:
        print(f"{len(cohort)} recordings, all whole; {len(cohort.outcomes)} outcomes")
    return _FAILED if problems else 0


@cohort_app.command
def merge(path: Path, /) -> int:
    """Write the tables of a cohort anew from its parts, as the last share of a job array does by itself.

    Parameters
    ----------
    path
        The cohort's folder.
    """
    from imuspec.lock import CohortLock
    from imuspec.store import CohortStore

    cohort = _cohort(path)
    with CohortLock(path):
        store = CohortStore(path)
        store.fold()
        store.close()
    print(f"{path}: tables of {len(cohort.outcomes)} recordings")
    return 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 nothing worked, 2 not understood, 130 interrupted."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in tokens
    tokens = [token for token in tokens if token != "--debug"]
    try:
        sys.exit(app(tokens, exit_on_error=False, print_error=False) or 0)
    except CycloptsError as error:
        _complain(str(error), debug)
        sys.exit(_USAGE)
    except KeyboardInterrupt as error:
        _complain(str(error) or "interrupted", debug)
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        sys.exit(_FAILED)
    except Exception as error:
        _complain(_line(error), debug)
        sys.exit(_USAGE if type(error) is ValueError else _FAILED)


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


def _shard(text: str) -> tuple[int, int]:
    number, slash, of = text.partition("/")
    if not slash or not number.isdigit() or not of.isdigit():
        raise ValueError(f"shard: expected I/N, as 3/16, got {text!r}")
    return int(number), int(of)


def _cohort(path: Path) -> Cohort:
    from imuspec.cohort import Cohort

    return Cohort(path)


def _need_pictures() -> None:
    if importlib.util.find_spec("matplotlib") is None:
        raise RuntimeError("pictures: expected matplotlib, got none: pip install 'imuspec[report]'")


if __name__ == "__main__":
    main()

"""Commands for recordings: prepare, info, simulate, image, report."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from imuspec.cli import output
from imuspec.cli.app import SEVERAL, Many, Stated, command, existing, finished
from imuspec.errors import require

if TYPE_CHECKING:
    from imuspec.recording.inputs import Inputs

__all__ = ["image", "info", "prepare", "report", "simulate"]


@command
def prepare(
    inputs: Annotated[list[str], Parameter(name="IN...")],
    /,
    *,
    out: str,
    recipe: str = "ukb",
    set: Annotated[list[str] | None, SEVERAL] = None,
    check_inputs: bool = False,
    replaced: Literal["refuse", "prepare"] = "refuse",
    duplicates: Literal["skip", "prepare"] = "skip",
    json: bool = False,
    many: Many | None = None,
) -> int:
    """Prepare recordings into a cohort: low-pass, resample, calibrate, find wear, store.

    Parameters
    ----------
    inputs : list of str
        Device files, folders, globs, s3:// URLs, or text files with one path per line (@list or *.txt).
    out : str
        The folder or s3:// URL of the cohort; new, empty, or with --resume of an earlier run.
    recipe : str, default "ukb"
        ukb, capture24, nhanes, actipy, or a TOML file.
    set : list of str, optional
        Change a setting of the recipe, as calibration.min_windows=10. Can be given more than once.
    check_inputs : bool, default False
        With --resume: compare the SHA-256 of every file, not only of files with a newer change time.
    replaced : {"refuse", "prepare"}, default "refuse"
        With --resume, for files whose content changed since they were prepared: refuse stops with an error, prepare prepares
        them again.
    duplicates : {"skip", "prepare"}, default "skip"
        For files with the same bytes as another file: skip records them as excluded, prepare prepares them too.
    json : bool, default False
        Print JSON, for programs.
    many : Many, optional
        Options of a run over many recordings.
    """
    output.begin(json=json)
    from imuspec.cli.console import RunDisplay
    from imuspec.cluster import prepare_cohort
    from imuspec.recipe import Recipe

    for item in inputs:
        if not item.startswith("@") and not glob.has_magic(item):
            existing(item)
    followed = Recipe.load(recipe).set(*(set or ()))
    if not (many or Many()).resume and (check_inputs or replaced != "refuse"):
        option = "check-inputs" if check_inputs else "replaced"
        raise ValueError(f"{option}: expected --resume beside --{option}, got none")
    options = (many or Many()).options()
    choices: dict[str, Any] = {"check_inputs": check_inputs, "replaced": replaced, "duplicates": duplicates}
    with RunDisplay() as display:
        summary = prepare_cohort(inputs, out, recipe=followed, progress=display.update, **choices, **options)
    return finished(summary, json=json)


@command
def info(
    path: Path,
    /,
    *,
    json: bool = False,
    identifying: bool = False,
    timestamps: Literal["device", "actipy"] = "device",
    stated: Stated | None = None,
) -> int:
    """Show the device, rate, times and gaps of a recording, and everything lost or repaired; or list a folder.

    Parameters
    ----------
    path : Path
        A device file, or a folder of device files.
    json : bool, default False
        Print JSON, for programs.
    identifying : bool, default False
        Also show header fields that identify a person: names, dates of birth, notes.
    timestamps : {"device", "actipy"}, default "device"
        device: the clock of the device. actipy: times equal to those of actipy.
    stated : Stated, optional
        What the user states about a table.
    """
    from imuspec.recording.inputs import find_inputs
    from imuspec.recording.reading import read

    existing(path)
    inputs = find_inputs([path]) if path.is_dir() else None
    if inputs is not None and [source.path for source in inputs.sources] != [str(path.absolute())]:
        options = {
            "identifying": identifying,
            "timestamps": timestamps != "device",
            "stated": stated not in (None, Stated()),
        }
        if ignored := [option for option, is_set in options.items() if is_set]:
            names = "options of what a table does not state" if ignored[0] == "stated" else f"--{ignored[0]}"
            raise ValueError(f"path: expected a device file with {names}, got the folder {path}")
        return _list_inputs(inputs, json=json)
    from imuspec.cli.facts import recording_facts, recording_tables

    facts = recording_facts(read(path, timestamps, **(stated or Stated()).options()), identifying=identifying)
    if json:
        output.emit(facts)
    else:
        output.show(*recording_tables(facts))
    return 0


def _list_inputs(inputs: Inputs, *, json: bool) -> int:
    """Print the recordings of a folder, and the files that are passed over with the reason."""
    from rich.table import Table
    from rich.text import Text

    from imuspec.report.words import size

    if json:
        recordings = [{"id": s.id, "name": s.name, "size_bytes": s.n_bytes} for s in inputs.sources]
        output.emit({"recordings": recordings, "passed_over": [entry._asdict() for entry in inputs.passed_over]})
        return 0
    table = Table("id", "file", "size", box=None, pad_edge=False)
    for source in inputs.sources:
        table.add_row(Text(source.id), Text(source.name), size(source.n_bytes))
    skipped = Table("passed over", "reason", box=None, pad_edge=False)
    for entry in inputs.passed_over:
        skipped.add_row(*map(Text, entry))
    n = len(inputs.sources)
    total = Text(f"{n} recording{'' if n == 1 else 's'}, {len(inputs.passed_over)} passed over")
    output.show(table, *([skipped] if inputs.passed_over else []), total)
    return 0


@command
def simulate(
    out: Path,
    /,
    *,
    days: float = 7.0,
    seed: int = 0,
    sample_rate: float = 100.0,
    device: str = "ax3",
    unpacked: bool = False,
    damage: Annotated[list[str] | None, SEVERAL] = None,
    miscalibration: bool = False,
) -> int:
    """Write a realistic recording with known truth: nights, walks, cycling, and non-wear.

    Parameters
    ----------
    out : Path
        The Axivity file to write: .cwa, .cwa.gz or .cwa.zip. The truth is written beside it.
    days : float, default 7.0
        Length of the recording, days.
    seed : int, default 0
        Seed of the random numbers; the same seed gives the same bytes.
    sample_rate : float, default 100.0
        Sampling rate that the device supports, Hz.
    device : str, default "ax3"
        ax3, or ax6 (with gyroscope).
    unpacked : bool, default False
        Write 16-bit samples instead of 10-bit samples.
    damage : list of str, optional
        A kind of damage. Can be given more than once. The error for an unknown kind lists all kinds.
    miscalibration : bool, default False
        Simulate a sensor with gain and offset errors.
    """
    from imuspec.cli.console import ShareDisplay
    from imuspec.report.words import size
    from imuspec.simulation import simulate as write_week

    with ShareDisplay("simulating") as display:
        write_week(
            out,
            days=days,
            seed=seed,
            sample_rate=sample_rate,
            device=device,
            unpacked=unpacked,
            damage=tuple(damage or ()),
            miscalibration=miscalibration,
            progress=display.update,
        )
    output.say(f"{out}: {days:g} days, {size(out.stat().st_size)}; its truth is beside it")
    return 0


@command
def image(path: Path, /, *, out: Path, recipe: str | None = None, stated: Stated | None = None) -> int:
    """Draw a recording: each day as a strip of colour, and one window as a network sees it.

    Parameters
    ----------
    path : Path
        A device file.
    out : Path
        The file for the figure: .png, .svg or .pdf.
    recipe : str, optional
        Prepare the recording by this recipe first, so that non-wear is marked. Without it the raw recording is drawn.
    stated : Stated, optional
        What the user states about a table.
    """
    from imuspec.preparation import prepare as prepare_file
    from imuspec.recipe import Recipe
    from imuspec.recording.reading import read
    from imuspec.report import day_image

    require("imuspec image", "matplotlib")
    existing(path)
    if recipe is None:
        day_image(read(path, **(stated or Stated()).options()), out)
    else:
        prepared = prepare_file(path, Recipe.load(recipe).set(*(stated or Stated()).settings()))
        if prepared.status == "failed":
            raise RuntimeError(f"{path}: {prepared.reason}")
        day_image(prepared, out)
    output.say(out)
    return 0


@command
def report(
    path: str,
    /,
    *,
    out: Path,
    recipe: str | None = None,
    set: Annotated[list[str] | None, SEVERAL] = None,
    recordings: Literal["none", "worst", "all"] = "none",
) -> int:
    """Write one HTML page about a recording, a cohort, a training run, a probe or an experiment.

    Parameters
    ----------
    path : str
        A device file, or the folder of a cohort, a training run, a probe or an experiment.
    out : Path
        The HTML file to write.
    recipe : str, optional
        For a recording: ukb (default), capture24, nhanes, actipy, or a TOML file.
    set : list of str, optional
        For a recording: change a setting of the recipe, as segments.min_wear_h=1. Can be given more than once.
    recordings : {"none", "worst", "all"}, default "none"
        For a cohort: also write the pages of the recordings to check first (worst), or of all recordings, into a folder beside
        the page. The page links to them.
    """
    from imuspec.recipe import Recipe
    from imuspec.report import write_page

    require("imuspec report", "matplotlib", "jinja2")
    existing(path)
    followed = None if recipe is None and not set else Recipe.load(recipe or "ukb").set(*(set or ()))
    written = write_page(path, out, recipe=followed, recordings=recordings)
    output.say(out)
    if written.problem:
        raise RuntimeError(f"{path}: {written.problem}")
    return 0

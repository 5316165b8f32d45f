"""Commands on recordings: prepare, info, simulate, image, report."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from imuspec.cli import output
from imuspec.cli.app import SEVERAL, Many, Stated, app, existing, finished
from imuspec.errors import require

if TYPE_CHECKING:
    from imuspec.recording.inputs import Inputs

__all__ = ["image", "info", "prepare", "report", "simulate"]


@app.command
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
    inputs
        Device files, folders of them, globs, or text lists (@list or *.txt, a path each line); s3:// URLs too.
    out
        The cohort's folder, new or begun before; an s3:// URL too.
    recipe
        ukb, capture24, nhanes, actipy, or a TOML file.
    set
        Change a number of the recipe, as calibration.min_windows=10; may be given several times.
    check_inputs
        With --resume: compare the SHA-256 of every file, not only of those that changed after they were prepared.
    replaced
        With --resume: refuse files with other content than when they were prepared, or prepare them again.
    duplicates
        skip records a file with the same bytes as another as excluded; prepare prepares it too.
    json
        Print JSON, for programs.
    """
    output.begin(json=json)
    from imuspec.cli.console import RunDisplay
    from imuspec.cluster import prepare_cohort
    from imuspec.recipe import Recipe

    for item in inputs:
        if not item.startswith("@") and not glob.has_magic(item):
            existing(item)
    followed = Recipe.load(recipe).set(*(set or ()))
    options = (many or Many()).options()
    choices: dict[str, Any] = {"check_inputs": check_inputs, "replaced": replaced, "duplicates": duplicates}
    with RunDisplay() as display:
        summary = prepare_cohort(inputs, out, recipe=followed, progress=display.update, **choices, **options)
    return finished(summary, json=json)


@app.command
def info(
    path: Path,
    /,
    *,
    json: bool = False,
    identifying: bool = False,
    timestamps: Literal["device", "actipy"] = "device",
    stated: Stated | None = None,
) -> int:
    """Show what a recording holds: device, rate, times, gaps, and everything lost. Of a folder: its recordings.

    Parameters
    ----------
    path
        A device file, or a folder of them.
    json
        Print JSON, for programs.
    identifying
        Also the fields of the header that identify a person: names, dates of birth, notes.
    timestamps
        device, or actipy for times equal to actipy's.
    """
    from imuspec.recording.inputs import find_inputs
    from imuspec.recording.reading import read

    existing(path)
    found = find_inputs([path]) if path.is_dir() else None
    if found is not None and [source.path for source in found.sources] != [str(path.absolute())]:
        return _list_inputs(found, json=json)
    from imuspec.cli.facts import recording_facts, recording_tables

    facts = recording_facts(read(path, timestamps, **(stated or Stated()).options()), identifying=identifying)
    if json:
        output.emit(facts)
    else:
        output.show(*recording_tables(facts))
    return 0


def _list_inputs(found: Inputs, *, json: bool) -> int:
    """Print the recordings of a folder, and the files that are passed over."""
    from rich.table import Table
    from rich.text import Text

    from imuspec.report.words import size

    if json:
        recordings = [{"id": s.id, "name": s.name, "size_bytes": s.n_bytes} for s in found.sources]
        output.emit({"recordings": recordings, "passed_over": [entry._asdict() for entry in found.passed_over]})
        return 0
    table = Table("id", "file", "size", box=None, pad_edge=False)
    for source in found.sources:
        table.add_row(Text(source.id), Text(source.name), size(source.n_bytes))
    skipped = Table("passed over", "why", box=None, pad_edge=False)
    for entry in found.passed_over:
        skipped.add_row(*map(Text, entry))
    n = len(found.sources)
    total = Text(f"{n} recording{'' if n == 1 else 's'}, {len(found.passed_over)} passed over")
    output.show(table, *([skipped] if found.passed_over else []), total)
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
    damage: Annotated[list[str] | None, SEVERAL] = None,
    miscalibration: bool = False,
) -> int:
    """Write a realistic recording whose truth is known: nights, walks, a bicycle, the device laid aside.

    Parameters
    ----------
    out
        The device file of an Axivity, ending in .cwa, .cwa.gz or .cwa.zip; its truth is written beside it.
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


@app.command
def image(path: Path, /, *, out: Path, recipe: str | None = None, stated: Stated | None = None) -> int:
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


@app.command
def report(
    path: str,
    /,
    *,
    out: Path,
    recipe: str = "ukb",
    set: Annotated[list[str] | None, SEVERAL] = None,
    recordings: Literal["none", "worst", "all"] = "none",
) -> int:
    """Write one HTML page on a recording, a cohort, a training, a probe or an experiment.

    Parameters
    ----------
    path
        A device file, or the folder of a cohort, a training, a probe or an experiment.
    out
        The page.
    recipe
        Of a recording: ukb, capture24, nhanes, actipy, or a TOML file.
    set
        Of a recording: change a number of the recipe, as segments.min_wear_h=1; may be given several times.
    recordings
        Of a cohort: also write the pages of the recordings to look at first (worst), or of all, into a folder beside the
        page, which links to them.
    """
    from imuspec.recipe import Recipe
    from imuspec.report import write_page

    require("imuspec report", "matplotlib", "jinja2")
    existing(path)
    written = write_page(path, out, recipe=Recipe.load(recipe).set(*(set or ())), recordings=recordings)
    output.say(out)
    if written.problem:
        raise RuntimeError(f"{path}: {written.problem}")
    return 0

"""The page of a path: a recording, a cohort, a training run, a probe or an experiment."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from imuspec.errors import RecordingError
from imuspec.recording.identity import FORMATS, PACKED

if TYPE_CHECKING:
    from imuspec.recipe import Recipe
    from imuspec.report.learning import Kind

__all__ = ["Written", "write_page"]


class Written(NamedTuple):
    """The subject of a page (recording, cohort, training, probe, experiment), and why a recording could not be read."""

    kind: str
    problem: str = ""


def write_page(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    recipe: str | Path | Recipe | None = None,
    recordings: Literal["none", "worst", "all"] = "none",
) -> Written:
    """Write one HTML page about a recording, or about the folder of a cohort, a training run, a probe or an experiment.

    Parameters
    ----------
    path : path-like
        A device file, or the folder of an NHANES participant, a cohort, a training run, a probe or an experiment.
    out : path-like
        The page to write; it is complete or absent.
    recipe : path-like or Recipe, optional
        The recipe that prepares a recording; by default ukb.
    recordings : {"none", "worst", "all"}, default "none"
        For a cohort, as in `imuspec.report.cohort_page`.

    Returns
    -------
    Written
        The subject of the page. A recording that could not be read also gets a page; ``problem`` is the reason.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    RecordingError
        If `path` is a file that is not a recording, or a folder of another kind. Nothing is written.
    ValueError
        If there is a recipe without a recording, or `recordings` without a cohort. Nothing is written.
    OSError
        If the page cannot be written; the error names `out`.
    """
    from imuspec.report.cohort import cohort_page
    from imuspec.report.learning import learning_page
    from imuspec.storage import as_path

    source = as_path(path)
    if not source.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    kind = _kind_of(source)
    if recipe is not None and kind != "recording":
        raise ValueError(f"recipe: expected a recording to prepare, got the {kind} {path}")
    if recordings != "none" and kind != "cohort":
        raise ValueError(f"recordings: expected a cohort, got the {kind} {path}")
    if kind == "cohort":
        from imuspec.cohort.cohort import Cohort

        cohort_page(Cohort(source), out, recordings=recordings)
        return Written("cohort")
    if kind == "recording":
        return _recording(source, out, recipe or "ukb")
    learning_page(kind, source, out)
    return Written(kind)


def _kind_of(source: Path) -> Literal["cohort", "recording"] | Kind:
    """Return what a path is, by the files of its folder; a recording if it is nothing else."""
    if (source / "zarr.json").is_file():
        return "cohort"
    kinds: dict[str, Kind] = {"experiment.json": "experiment", "probe.json": "probe", "metrics.jsonl": "training"}
    return next((kind for name, kind in kinds.items() if (source / name).is_file()), "recording")


def _recording(path: Path, out: str | os.PathLike[str], recipe: str | Path | Recipe) -> Written:
    """Write the page of a recording; a file that cannot be read gets a page only if its name is that of a device file."""
    from imuspec.preparation import prepare
    from imuspec.recipe import Recipe
    from imuspec.recording.reading import read
    from imuspec.report.recording import preparation_page

    if path.is_dir() and not _is_participant(path):
        raise RecordingError(
            str(path),
            None,
            "expected a recording, cohort, training run, probe or experiment, got another folder",
        )
    followed = Recipe.load(recipe)
    prepared = prepare(path, followed)
    if prepared.status == "failed" and not path.is_dir() and not _named_as_recording(path):
        raise RecordingError(str(path), None, f"not a recording: {prepared.reason}")
    recording = None
    if prepared.status != "failed":
        reading = followed.reading
        recording = read(path, timestamps=reading.timestamps, date_order=reading.date_order, unit=reading.unit)
    preparation_page(prepared, out, recording=recording)
    return Written("recording", prepared.reason if prepared.status == "failed" else "")


def _is_participant(folder: Path) -> bool:
    """Whether a folder is one recording, and not a folder of recordings or something else."""
    from imuspec.recording.inputs import find_inputs

    try:
        return [source.path for source in find_inputs([folder]).sources] == [str(folder.absolute())]
    except ValueError:  # no recording in it
        return False


def _named_as_recording(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in FORMATS

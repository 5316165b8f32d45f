"""The page of whatever lies at a path: a recording, a cohort, a training, a probe or an experiment."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from imuspec.errors import RecordingError
from imuspec.recording.identity import FORMATS, PACKED

if TYPE_CHECKING:
    from imuspec.recipe import Recipe

__all__ = ["Written", "write_page"]


class Written(NamedTuple):
    """What a page is about: recording, cohort, training, probe or experiment; and why a recording could not be read."""

    kind: str
    problem: str = ""


def write_page(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    recipe: str | Path | Recipe = "ukb",
    recordings: Literal["none", "worst", "all"] = "none",
) -> Written:
    """Write one HTML page on what lies at a path.

    Parameters
    ----------
    path : path
        A device file, or the folder of an NHANES participant, a cohort, a training, a probe or an experiment.
    out : path
        The page, whole or not at all.
    recipe : str, Path or Recipe, default "ukb"
        What a recording is prepared by.
    recordings : {"none", "worst", "all"}, default "none"
        As of `imuspec.report.cohort_page`.

    Returns
    -------
    Written
        What lies at `path`. Of a recording that could not be read there is a page too, and ``problem`` says why.

    Raises
    ------
    FileNotFoundError
        If nothing lies at `path`.
    RecordingError
        If `path` is a file that is no recording, or a folder that is none of those. Nothing is written.
    OSError
        If the page cannot be written; the error names `out`.
    """
    from imuspec.report.cohort import cohort_page
    from imuspec.report.learning import experiment_page, probe_page, run_page
    from imuspec.storage import as_path

    source = as_path(path)
    if not source.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if (source / "zarr.json").is_file():
        from imuspec.cohort.cohort import Cohort

        cohort_page(Cohort(source), out, recordings=recordings)
        return Written("cohort")
    for name, kind in (("experiment.json", "experiment"), ("probe.json", "probe"), ("metrics.jsonl", "training")):
        if (source / name).is_file():
            {"experiment": experiment_page, "probe": probe_page, "training": run_page}[kind](source, out)
            return Written(kind)
    return _recording(source, out, recipe)


def _recording(path: Path, out: str | os.PathLike[str], recipe: str | Path | Recipe) -> Written:
    """Write the page of a recording; of a file that failed only where its name is that of a device file."""
    from imuspec.preparation import prepare
    from imuspec.recipe import Recipe
    from imuspec.recording.reading import read
    from imuspec.report.recording import preparation_page

    if path.is_dir() and not _is_participant(path):
        raise RecordingError(
            str(path),
            None,
            "expected a recording, cohort, training, probe or experiment, got a folder that is none of those",
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
    """Whether a folder is one recording, not a folder of recordings or of anything else."""
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

"""Verification of a cohort: every file is complete and has the checksum that was stored when it was written."""

from __future__ import annotations

import hashlib
from pathlib import Path

from imuspec.cohort.parts import check_manifest, read_part
from imuspec.cohort.store import checksum, orphans
from imuspec.cohort.tables import TABLES
from imuspec.storage import list_names

__all__ = ["problems_of_cohort"]


def problems_of_cohort(folder: Path) -> list[tuple[str, str]]:
    """Return the id or file, and the problem, of everything in a cohort that is not as it was written.

    Parameters
    ----------
    folder : Path
        A cohort.
    """
    problems = []
    ids = {name.removesuffix(".json") for name in list_names(folder / "parts")}
    for identity in sorted(ids):
        try:
            problem = _problem_of_recording(folder, identity)
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = str(error)
        if problem:
            problems.append((identity, problem))
    problems += [
        (name, "unfinished: an interrupted run left it; run again with --resume") for name in orphans(folder, ids)
    ]
    finished = {f"{name}.parquet" for name in TABLES} <= set(list_names(folder))
    reported = {f"parts/{identity}.json" for identity, _ in problems}
    return problems + [pair for pair in check_manifest(folder, needed=finished) if pair[0] not in reported]


def _problem_of_recording(folder: Path, identity: str) -> str:
    part = read_part(folder, identity)
    array, status = folder / "acceleration" / identity, part["outcome"]["status"]
    if status != "ok":
        return f"{status}, yet it has an array" if array.exists() else ""
    if not array.exists():
        return "its array is missing"
    if checksum(array) != part["recording"]["sha256"]:
        return "its array is not what was written: the checksum differs"
    if hashlib.sha256((array / "zarr.json").read_bytes()).hexdigest() != part["recording"]["zarr_sha256"]:
        return "its array's zarr.json is not what was written: the checksum differs"
    return ""

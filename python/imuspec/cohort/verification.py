"""Verification of a cohort: every file is complete and has the checksum that was stored when it was written."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from imuspec.cohort.arrays import SHARD, checksum
from imuspec.cohort.parts import UNFINISHED, check_manifest, problems_of_parts, read_part, read_regular
from imuspec.cohort.store import orphans
from imuspec.cohort.tables import TABLES
from imuspec.storage import files_below, list_names

__all__ = ["problems_of_cohort"]


def problems_of_cohort(folder: Path) -> list[tuple[str, str]]:
    """Return the id or file, and the problem, of everything in a cohort that is not as it was written.

    Parameters
    ----------
    folder : Path
        A cohort.
    """
    ids = {name.removesuffix(".json") for name in list_names(folder / "parts")}
    problems = problems_of_parts(ids, partial(_problem_of_recording, folder))
    reported = {f"parts/{identity}.json" for identity, _ in problems}
    problems += [(name, UNFINISHED) for name in orphans(folder, ids)]
    finished = {f"{name}.parquet" for name in TABLES} <= set(list_names(folder))
    return problems + [pair for pair in check_manifest(folder, needed=finished) if pair[0] not in reported]


def _problem_of_recording(folder: Path, identity: str) -> str:
    part = read_part(folder, identity)
    array, status = folder / "acceleration" / identity, part["outcome"]["status"]
    if status != "ok":
        return f"{status}, yet it has an array" if array.exists() else ""
    if not array.exists():
        return "its array is missing"
    files = [path.relative_to(array).as_posix() for path in files_below(array)]
    if files not in ([SHARD, "zarr.json"], ["zarr.json"]):
        return f"its array: expected the files {SHARD} and zarr.json, got {', '.join(files)}"
    if checksum(array) != part["recording"]["sha256"]:
        return "its array is not what was written: the checksum differs"
    if hashlib.sha256(read_regular(array / "zarr.json")).hexdigest() != part["recording"]["zarr_sha256"]:
        return "its array's zarr.json is not what was written: the checksum differs"
    return ""

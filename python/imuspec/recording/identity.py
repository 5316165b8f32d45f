"""Ids of recordings: how the path of a file becomes an id, and the grammar that every id must have.

An id names files and folders of a cohort, so it is checked wherever it is read: a part or a table that somebody edited
must not make imuspec write outside its folder.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path, PurePosixPath

__all__ = ["FORMATS", "PACKED", "check_id", "printable", "recording_id", "source_id"]

PACKED = (".gz", ".zip", ".bz2", ".tar", ".tgz", ".tbz2")
FORMATS = (".cwa", ".omx", ".bin", ".gt3x", ".csv", ".txt", ".parquet", ".npz", ".agd")

_LONGEST = 80  # characters kept of a path; with the digest an id has at most 93
_GRAMMAR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_DIGESTED = re.compile(r".*-[0-9a-f]{12}")
_RESERVED = ("zarr.json",)


def check_id(identity: object, where: str) -> str:
    """Return an id that is safe as the name of a file.

    Parameters
    ----------
    identity : object
        What was read: a string of 1 to 100 ASCII letters, digits, ``.``, ``_`` and ``-`` that begins with a letter or a
        digit.
    where : str
        Where it was read, for the message.

    Raises
    ------
    ValueError
        If it is anything else, as ``../x``.
    """
    if not isinstance(identity, str) or not _GRAMMAR.fullmatch(identity) or identity in _RESERVED:
        raise ValueError(
            f"{where}: expected an id of letters, digits, '.', '_' and '-' that begins with a letter or digit, "
            f"got {identity!r}"
        )
    return identity


def recording_id(path: str | Path) -> str:
    """Return the id of a file by its name alone.

    Parameters
    ----------
    path : str or Path
        A device file. Its folder is left out.

    Examples
    --------
    >>> from imuspec.recording.identity import recording_id
    >>> recording_id("raw/1234567_90001_0_0.cwa.gz")
    '1234567_90001_0_0'
    """
    return source_id(PurePosixPath(Path(path).name).name or "recording")


def source_id(name: str, *, with_digest: bool = False) -> str:
    """Return the id of a file by its path below the input folder.

    A file directly in the input folder whose name without the endings of format and compression is a valid id is called
    by that name. Every other id is the path with ``_`` for what an id may not hold, and 12 digits of the path's SHA-256.
    So an id never depends on the other files of a folder.

    Parameters
    ----------
    name : str
        Path below the input folder, with ``/``.
    with_digest : bool, default False
        Add the digest in any case. It is needed for two files of one folder whose names differ only in case, format or
        compression.

    Examples
    --------
    >>> from imuspec.recording.identity import source_id
    >>> source_id("P001.cwa.gz")
    'P001'
    >>> source_id("site1/left.bin")
    'site1_left-0f96289bd80e'
    """
    *folders, last = name.split("/")
    stem = _without_endings(last)
    plain = _GRAMMAR.fullmatch(stem) and len(stem) <= _LONGEST and not _DIGESTED.fullmatch(stem)
    if plain and not folders and not with_digest and stem.casefold() not in _RESERVED:
        return stem
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", "_".join([*folders, stem])).lstrip("._-")[:_LONGEST]
    return f"{safe or 'recording'}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}"


def printable(name: str) -> str:
    r"""Return a name without characters that steer a terminal or are no text.

    Bytes that are not UTF-8 and control characters are written as escapes, as ``\xe9`` and ``\n``.
    """
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _without_endings(name: str) -> str:
    while True:
        stem, ending = Path(name).stem, Path(name).suffix
        if not stem or ending.lower() not in PACKED + FORMATS:
            return name
        name = stem

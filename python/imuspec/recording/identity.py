"""Ids of recordings: made from the paths of files, and checked wherever they are read.

An id names files and folders of a cohort. So an edited part or table must not make imuspec write outside the cohort.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path, PurePosixPath

__all__ = ["FORMATS", "PACKED", "check_id", "printable", "recording_id", "source_id"]

PACKED = (".gz", ".zip", ".bz2", ".tar", ".tgz", ".tbz2")
FORMATS = (".cwa", ".omx", ".bin", ".gt3x", ".csv", ".txt", ".parquet", ".npz", ".agd")

_LONGEST = 80  # characters of a path in an id; with the digest an id has at most 93
_GRAMMAR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_DIGESTED = re.compile(r".*-[0-9a-f]{12}")
_RESERVED = ("zarr.json",)


def check_id(identity: object, location: str) -> str:
    """Return an id that is safe as the name of a file.

    Parameters
    ----------
    identity : object
        A value that was read. An id has 1 to 100 ASCII letters, digits, ``.``, ``_`` and ``-``, and begins with a letter or
        a digit.
    location : str
        Where the value was read, for the message.

    Raises
    ------
    ValueError
        If the value is not an id, such as ``../x``.
    """
    if not isinstance(identity, str) or not _GRAMMAR.fullmatch(identity) or identity in _RESERVED:
        raise ValueError(
            f"{location}: expected an id of letters, digits, '.', '_' and '-' that begins with a letter or digit, "
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

    The id of a file directly in the input folder is its name without the extensions of format and compression, if that is a
    valid id. Every other id is the path, with ``_`` for characters that an id cannot have, and 12 digits of the path's
    SHA-256. So an id does not depend on other files.

    Parameters
    ----------
    name : str
        Path below the input folder, with ``/``.
    with_digest : bool, default False
        Always add the digest. It is needed for files of one folder whose names differ only in case, format or compression.

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
    r"""Return a name in which control characters and bytes that are not UTF-8 are escaped, as ``\n`` and ``\xe9``."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _without_endings(name: str) -> str:
    while True:
        stem, ending = Path(name).stem, Path(name).suffix
        if not stem or ending.lower() not in PACKED + FORMATS:
            return name
        name = stem

"""The files of a public set where they lie: a folder, a zip, a tar of any compression, or one file.

A set is offered for download in several wrappings, and people keep it as it came or unpack it one level deeper or
shallower. Readers therefore look for files by the end of their path, and never ask how they are wrapped.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imuspec.errors import RecordingError

__all__ = ["SetFiles", "read_table"]

MAX_BYTES = 8 << 30  # of one file held in memory, unpacked
_PACKED: Mapping[str, Callable[[io.BytesIO], Any]] = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}
_DAMAGE = (EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile)


class SetFiles:
    """The files of a set by name, whatever holds them.

    Parameters
    ----------
    path : path-like
        A folder, a ``.zip``, a ``.tar`` (also ``.tar.xz``, ``.tar.gz``, ``.tar.bz2``), or a single file.

    Attributes
    ----------
    names
        Paths below the folder or inside the archive, with ``/``, sorted; a single file is its own name.

    Raises
    ------
    FileNotFoundError
        Nothing lies at the path.
    RecordingError
        An archive that cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._zip: zipfile.ZipFile | None = None
        self._held: dict[str, bytes] = {}
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path}: expected a data set's folder or archive, got nothing there")
        if self.path.is_dir():
            found = (file for file in self.path.rglob("*") if file.is_file())
            names = [file.relative_to(self.path).as_posix() for file in found]
        elif re.search(r"\.(zip|tar|tgz|tbz2|txz|tar\.\w+)$", self.path.name, re.IGNORECASE):
            names = self._open_archive()
        else:
            names = [self.path.name]
        hidden = re.compile(r"(^|/)(\.|__MACOSX)")
        self.names: tuple[str, ...] = tuple(sorted(name for name in names if not hidden.search(name)))

    def _open_archive(self) -> list[str]:
        try:
            if self.path.suffix.lower() == ".zip":
                self._zip = zipfile.ZipFile(self.path)
                return [entry.filename for entry in self._zip.infolist() if not entry.is_dir()]
            with tarfile.open(self.path) as archive:  # a compressed tar is read from front to back, so once
                for entry in archive:
                    handle = archive.extractfile(entry) if entry.isfile() else None
                    if handle is not None:
                        self._held[entry.name] = _limited(handle, entry.name)
        except _DAMAGE as error:
            raise RecordingError(str(self.path), None, f"expected a zip or tar archive, got: {error}") from error
        return list(self._held)

    def close(self) -> None:
        """Let go of the archive."""
        if self._zip is not None:
            self._zip.close()
        self._held.clear()

    def __enter__(self) -> SetFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, pattern: str) -> list[tuple[str, re.Match[str]]]:
        """Return every file whose path ends in what the pattern says, in any letter case, sorted by name.

        The pattern begins at a path's component; a further ``.xz``, ``.gz`` or ``.bz2`` at the end is allowed.
        """
        wanted = re.compile(rf"(?:^|.*/){pattern}(?:\.xz|\.gz|\.bz2)?", re.IGNORECASE)
        return [(name, match) for name in self.names if (match := wanted.fullmatch(name))]

    def one(self, pattern: str, meant: str) -> str:
        """Return the only file that the pattern finds.

        Raises
        ------
        FileNotFoundError
            None is there: the message says which was looked for.
        ValueError
            There are several.
        """
        found = [name for name, _ in self.find(pattern)]
        if not found:
            raise FileNotFoundError(f"{self.path}: expected {meant}, got {_listed(self.names)}")
        if len(found) > 1:
            raise ValueError(f"{self.path}: expected one {meant}, got {_listed(found)}")
        return found[0]

    def label(self, name: str) -> str:
        """Return how a file is called in messages and as a recording's source."""
        return str(self.path / name) if self.path.is_dir() else str(self.path) + (f"::{name}" if len(name) else "")

    def read(self, name: str) -> bytes:
        """Return a file's bytes, unpacked where its own name ends in .xz, .gz or .bz2.

        Raises
        ------
        RecordingError
            Bytes that do not unpack, or more than 8 GiB of them.
        """
        try:
            raw = self._raw(name)
            unpack = _PACKED.get(PurePosixPath(name).suffix.lower())
            if unpack is None:
                return raw
            with unpack(io.BytesIO(raw)) as handle:
                return _limited(handle, name)
        except _DAMAGE as error:
            raise RecordingError(self.label(name), None, f"expected a whole file, got: {error}") from error

    def _raw(self, name: str) -> bytes:
        if name in self._held:
            return self._held[name]
        if self._zip is not None:
            with self._zip.open(name) as handle:
                return _limited(handle, name)
        return (self.path / name if self.path.is_dir() else self.path).read_bytes()

    @contextmanager
    def on_disk(self, name: str) -> Iterator[Path]:
        """Give the file a path of its own for as long as the block lasts: for readers that take paths alone."""
        if self.path.is_dir():
            yield self.path / name
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / PurePosixPath(name).name
            copy.write_bytes(self._raw(name))
            yield copy


def _limited(handle: Any, name: str) -> bytes:
    data: bytes = handle.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise RecordingError(name, None, f"expected at most {MAX_BYTES >> 30} GiB unpacked, got more")
    return data


def _listed(names: Sequence[str], most: int = 4) -> str:
    if not names:
        return "no file"
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def read_table(
    data: bytes,
    source: str,
    *,
    columns: Sequence[str],
    header: Sequence[str] | None = None,
    text: Sequence[str] = (),
    delimiter: str = ",",
) -> tuple[Mapping[str, NDArray[Any]], int]:
    """Columns of a delimited text, and how many of its rows had the wrong number of fields.

    Parameters
    ----------
    data : bytes
        The text. A byte order mark and a ``#`` before the header are ignored.
    source : str
        What the text is called in messages.
    columns : sequence of str
        The columns wanted; others are skipped unread.
    header : sequence of str, optional
        The names of all columns where the text has no line of them.
    text : sequence of str, default ()
        Those of `columns` that are words; the others are numbers, an empty field NaN.
    delimiter : str, default ","
        What stands between fields. Quotes are letters like others, or a stray one would swallow the rest of a file.

    Returns
    -------
    float64 or object array ``[rows]`` for each column, and the number of rows left out.

    Raises
    ------
    RecordingError
        A column that is not there, or a field of a number that is none: the message names it.
    """
    import pyarrow as pa
    from pyarrow import csv

    if not data.isascii():
        data = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").encode()
    first = data.split(b"\n", 1)[0].decode("utf-8", "replace").strip().lstrip("#").strip()
    names = list(header) if header is not None else [name.strip().strip('"') for name in first.split(delimiter)]
    missing = [name for name in columns if name not in names]
    if missing:
        raise RecordingError(source, 0, f"expected the columns {', '.join(missing)}, got {', '.join(names[:12])}")
    bad = 0

    def skip(_: object) -> str:
        nonlocal bad
        bad += 1
        return "skip"

    try:
        table = csv.read_csv(
            io.BytesIO(data),
            read_options=csv.ReadOptions(column_names=names, skip_rows=int(header is None), use_threads=False),
            parse_options=csv.ParseOptions(delimiter=delimiter, quote_char=False, invalid_row_handler=skip),
            convert_options=csv.ConvertOptions(
                include_columns=list(columns),
                column_types={name: pa.string() if name in text else pa.float64() for name in columns},
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error) or "empty" in str(error).lower():
            return {name: np.empty(0, object if name in text else np.float64) for name in columns}, bad
        raise RecordingError(source, None, f"expected a table of numbers, got: {error}") from error
    return {name: table.column(name).to_numpy() for name in columns}, bad

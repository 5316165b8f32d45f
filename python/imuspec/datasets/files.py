"""The files of a public set: in a folder, a zip, a tar of any compression, or a single file.

Sets are offered as archives of several kinds, and people unpack them one level deeper or not at all. So readers look for
files by the end of their path, whatever contains them.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from imuspec.errors import RecordingError

__all__ = ["SetFiles", "read_table"]

MAX_BYTES = 8 << 30  # largest unpacked file
_PACKED: Mapping[str, Callable[[io.BytesIO], Any]] = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}
_BLANKS = re.compile(rb"(?m)^ +| +(?=[ \r\n]|\Z)")  # that separate nothing
_DAMAGE = (EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile)


class SetFiles:
    """The files of a set by name, in a folder or an archive.

    Parameters
    ----------
    path : path-like
        A folder, a ``.zip`` (also one whose top holds other zips), a ``.tar``
        (also ``.tar.xz``, ``.tar.gz``, ``.tar.bz2``), or a single file.

    Attributes
    ----------
    names : tuple of str
        Paths below the folder or inside the archive, with ``/``, sorted; for a single file, its name.

    Raises
    ------
    FileNotFoundError
        If the path does not exist.
    RecordingError
        If the archive cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._opened = ExitStack()
        self._entries: dict[str, tuple[zipfile.ZipFile, str]] = {}
        self._members: dict[str, bytes] = {}
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path} does not exist")
        if self.path.is_dir():
            matches = (file for file in self.path.rglob("*") if file.is_file())
            names = [file.relative_to(self.path).as_posix() for file in matches]
        elif re.search(r"\.(zip|tar|tgz|tbz2|txz|tar\.\w+)$", self.path.name, re.IGNORECASE):
            names = self._open_archive()
        else:
            names = [self.path.name]
        hidden = re.compile(r"(^|/)(\.|__MACOSX)")
        self.names: tuple[str, ...] = tuple(sorted(name for name in names if not hidden.search(name)))

    def _open_archive(self) -> list[str]:
        try:
            if self.path.suffix.lower() == ".zip":
                self._add_zip(self.path, "")
                return list(self._entries)
            with tarfile.open(self.path) as archive:  # a compressed tar is read from front to back, so once
                for entry in archive:
                    handle = archive.extractfile(entry) if entry.isfile() else None
                    if handle is not None:
                        self._members[entry.name] = _limited(handle, entry.name)
        except _DAMAGE as error:
            self.close()
            raise RecordingError(str(self.path), None, f"expected a zip or tar archive, got: {error}") from error
        return list(self._members)

    def _add_zip(self, file: Path | IO[bytes], prefix: str) -> None:
        """Add the files of a zip, and of the zips at its top, as UCI offers its sets."""
        archive = self._opened.enter_context(zipfile.ZipFile(file))
        for entry in archive.infolist():
            if prefix == "" and "/" not in entry.filename and entry.filename.lower().endswith(".zip"):
                if entry.file_size > MAX_BYTES:
                    raise RecordingError(
                        str(self.path), None, f"{entry.filename}: expected at most 8 GiB unpacked, got more"
                    )
                copy = self._opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  (the stack closes it)
                with archive.open(entry) as packed:
                    shutil.copyfileobj(packed, copy)
                self._add_zip(copy, f"{entry.filename}/")
            elif not entry.is_dir():
                self._entries[prefix + entry.filename] = (archive, entry.filename)

    def close(self) -> None:
        """Close the archive."""
        self._opened.close()
        self._entries.clear()
        self._members.clear()

    def __enter__(self) -> SetFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, pattern: str) -> list[tuple[str, re.Match[str]]]:
        """Return name and match of every file whose path ends with a pattern, sorted by name.

        Parameters
        ----------
        pattern : str
            Regular expression for the last components of the path, in upper or lower case. A further ``.xz``, ``.gz`` or
            ``.bz2`` is allowed.
        """
        regex = re.compile(rf"(?:^|.*/){pattern}(?:\.xz|\.gz|\.bz2)?", re.IGNORECASE)
        return [(name, match) for name in self.names if (match := regex.fullmatch(name))]

    def one(self, pattern: str, description: str) -> str:
        """Return the only file that matches a pattern.

        Parameters
        ----------
        pattern : str
            As in `find`.
        description : str
            Name of the file in messages.

        Raises
        ------
        FileNotFoundError
            If no file matches.
        ValueError
            If several files match.
        """
        matches = [name for name, _ in self.find(pattern)]
        if not matches:
            raise FileNotFoundError(f"{self.path}: expected {description}, got {_listed(self.names)}")
        if len(matches) > 1:
            raise ValueError(f"{self.path}: expected one {description}, got {_listed(matches)}")
        return matches[0]

    def label(self, name: str) -> str:
        """Return the name of a file in messages, which is also the source of its recording."""
        return str(self.path / name) if self.path.is_dir() else str(self.path) + (f"::{name}" if len(name) else "")

    def read(self, name: str) -> bytes:
        """Return the bytes of a file, unpacked if its name ends with .xz, .gz or .bz2.

        Raises
        ------
        RecordingError
            If the file cannot be unpacked, or has more than 8 GiB.
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
        if name in self._members:
            return self._members[name]
        if name in self._entries:
            archive, member = self._entries[name]
            with archive.open(member) as handle:
                return _limited(handle, name)
        return (self.path / name if self.path.is_dir() else self.path).read_bytes()

    @contextmanager
    def on_disk(self, name: str) -> Iterator[Path]:
        """Yield a path of the file, for readers that need a path."""
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


def _listed(names: Sequence[str], limit: int = 4) -> str:
    if not names:
        return "no file"
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def read_table(
    data: bytes,
    source: str,
    *,
    columns: Sequence[str],
    header: Sequence[str] | None = None,
    text: Sequence[str] = (),
    delimiter: str = ",",
) -> tuple[Mapping[str, NDArray[Any]], int]:
    """Read columns of delimited text.

    Parameters
    ----------
    data : bytes
        The text. A byte order mark and a ``#`` before the header are ignored.
    source : str
        Name of the text in messages.
    columns : sequence of str
        Columns to read.
    header : sequence of str, optional
        Names of all columns, for text without a header line.
    text : sequence of str, default ()
        Columns that hold text. The others hold numbers; an empty field is NaN.
    delimiter : str, default ","
        Separator of fields; several blanks are one. Quotes have no special meaning, since a stray quote would swallow the
        rest of a file.

    Returns
    -------
    mapping of str to array [rows]
        Column -> float64 values, or texts.
    int
        Number of rows that were left out because of a wrong number of fields.

    Raises
    ------
    RecordingError
        If a column is missing, or a field is not a number. The message names it.
    """
    import pyarrow as pa
    from pyarrow import csv

    if not data.isascii():
        data = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").encode()
    if delimiter == " " and _BLANKS.search(data[:65536]):
        data = _BLANKS.sub(b"", data)
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

    words = pa.dictionary(pa.int32(), pa.string())  # a word is in memory once
    try:
        table = csv.read_csv(
            io.BytesIO(data),
            read_options=csv.ReadOptions(column_names=names, skip_rows=int(header is None), use_threads=False),
            parse_options=csv.ParseOptions(delimiter=delimiter, quote_char=False, invalid_row_handler=skip),
            convert_options=csv.ConvertOptions(
                include_columns=list(columns),
                column_types={name: words if name in text else pa.float64() for name in columns},
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error) or "empty" in str(error).lower():
            return {name: np.empty(0, object if name in text else np.float64) for name in columns}, bad
        raise RecordingError(source, None, f"expected a table of numbers, got: {error}") from error
    return {
        name: _words(table.column(name)) if name in text else table.column(name).to_numpy() for name in columns
    }, bad


def _words(column: Any) -> NDArray[Any]:
    """Return the words of a column, None where a field is empty."""
    parts = [
        np.array([*part.dictionary.to_pylist(), None], object)[part.indices.fill_null(-1)] for part in column.chunks
    ]
    return np.concatenate(parts) if parts else np.empty(0, object)

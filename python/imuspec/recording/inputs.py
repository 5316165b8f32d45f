"""Input files: the files that the arguments select, their ids, and the share of one job.

The result depends on the names alone, so it is the same in every job of an array and in every later run.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

from imuspec.recording.identity import FORMATS, PACKED, printable, source_id
from imuspec.storage import as_path, is_remote, remote_files, without_query

__all__ = ["InputFile", "Inputs", "PassedOver", "find_inputs", "find_sources", "irregular", "share"]

_HOURLY = re.compile(r"gt3xplus-accelerationcalibrated-.*\.sensor\.csv(\.gz)?", re.IGNORECASE)
_TRUTH = ".truth.npz"
_SNIFFED = 1 << 13  # bytes of a text file that decide what it is
_BLOCK = 1 << 20
Item = TypeVar("Item")


@dataclass(frozen=True)
class InputFile:
    """An input file before reading.

    Attributes
    ----------
    id : str
        Id in the cohort.
    path : str
        Path or URL.
    name : str
        Path below the input folder, printable.
    """

    id: str
    path: str = field(repr=False)  # a URL may carry a signature
    name: str

    @cached_property
    def n_bytes(self) -> int:
        """Size of the file, or of all files of a folder, in bytes; 0 if not known."""
        return sum(n_bytes for _, n_bytes, _ in self._files())

    @cached_property
    def changed_ns(self) -> int:
        """Time of the last change of content or inode, ns since 1970; the latest of a folder; 0 if not known.

        Moving or copying a file counts as a change, even if the time of modification stays the same.
        """
        return max((changed for _, _, changed in self._files()), default=0)

    def sha256(self, first_bytes: int | None = None) -> str:
        """Return the SHA-256 of the content; of a folder, that of its files in the order of their names.

        Parameters
        ----------
        first_bytes : int, optional
            Number of bytes to read of each file. The default is all.

        Raises
        ------
        OSError
            If a file cannot be read.
        """
        digest = hashlib.sha256()
        files = sorted(self._files())
        for name, _, _ in files:
            if len(files) > 1 or self._is_folder:
                digest.update(os.fsencode(name.rpartition("/")[2]) + b"\0")
            with as_path(name).open("rb") as file:
                remaining = first_bytes
                while block := file.read(_BLOCK if remaining is None else min(remaining, _BLOCK)):
                    digest.update(block)
                    remaining = None if remaining is None else remaining - len(block)
        return digest.hexdigest()

    @cached_property
    def _is_folder(self) -> bool:
        return as_path(self.path).is_dir()

    def _files(self) -> list[tuple[str, int, int]]:
        """Return path, bytes and time of change of each file; an empty list if they cannot be read."""
        try:
            if is_remote(self.path):
                return [(url, n_bytes, 0) for url, n_bytes in remote_files(self.path)]
            if not self._is_folder:
                status = Path(self.path).stat()
                return [(self.path, status.st_size, _changed(status))] if stat.S_ISREG(status.st_mode) else []
            with os.scandir(self.path) as entries:
                stats = [(entry.path, entry.stat()) for entry in entries if entry.is_file()]
            return [(path, status.st_size, _changed(status)) for path, status in stats]
        except (OSError, ValueError):
            return []


def _changed(status: os.stat_result) -> int:
    return max(status.st_mtime_ns, status.st_ctime_ns)


class PassedOver(NamedTuple):
    """A file that is not read: its path below the input folder, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class Inputs:
    """The recordings that the arguments select, sorted by id, and the files that are not read."""

    sources: list[InputFile]
    passed_over: list[PassedOver]


def find_inputs(inputs: Sequence[str | Path]) -> Inputs:
    """Find the recordings in files, folders, globs and text lists.

    A URL of an object, a prefix or a glob (``s3://bucket/folder``) is searched like a path. A folder is searched
    recursively for device files; a folder of hourly NHANES files is one recording. A list is ``@name``, or a ``.txt`` file
    that is not a table: one path per line, relative to the list's folder, ``#`` for comments. A missing path in a list
    becomes a failed recording. A file with two names is one recording; its id comes from the name that is not a link.

    Parameters
    ----------
    inputs : sequence of path-like
        Files, folders, globs and lists.

    Raises
    ------
    FileNotFoundError
        If an argument does not exist.
    ValueError
        If there are no recordings, or a list contains itself.
    """
    search = _Search()
    for item in inputs:
        search.add(os.fspath(item))
    if not search.paths:
        names = [printable(str(item)) for item in inputs]
        listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        skipped = f" ({len(search.passed_over)} files passed over)" if search.passed_over else ""
        raise ValueError(f"inputs: no recordings ({' '.join(FORMATS)}) in {listed}{skipped}")
    return Inputs(_named(search.paths), sorted(set(search.passed_over)))


def find_sources(inputs: Sequence[str | Path]) -> list[InputFile]:
    """Return the recordings of `find_inputs`."""
    return find_inputs(inputs).sources


def share(items: Sequence[Item], number: int, total: int) -> list[Item]:
    """Return share `number` (from 1) of `total`: every `total`-th item, in their order.

    Raises
    ------
    ValueError
        If `number` is not between 1 and `total`.
    """
    if not 1 <= number <= total:
        raise ValueError(f"shard: expected I/N with 1 <= I <= N, got {number}/{total}")
    return list(items[number - 1 :: total])


def irregular(path: str) -> str:
    """Return the reason why a path must not be opened (it is a FIFO, a device or a socket), or "".

    Raises
    ------
    OSError
        If the path does not exist or its kind cannot be read.
    """
    mode = Path(path).stat().st_mode
    kinds = {"a FIFO": stat.S_ISFIFO, "a device": stat.S_ISCHR, "a disk": stat.S_ISBLK, "a socket": stat.S_ISSOCK}
    kind = next((kind for kind, is_kind in kinds.items() if is_kind(mode)), "")
    return kind and f"expected a regular file, got {kind}"


@dataclass
class _Search:
    """The recordings and other files so far; `paths` maps a path to its name below the input."""

    paths: dict[str, str] = field(default_factory=dict)
    passed_over: list[PassedOver] = field(default_factory=list)
    _real: dict[str, str] = field(default_factory=dict)  # path without links -> the path in `found`

    def add(self, item: str, lists: tuple[str, ...] = ()) -> None:
        """Add the recordings of one argument, or of one line of a list."""
        if is_remote(item):
            self._add_remote(item)
        elif item.startswith("@") or (item.lower().endswith(".txt") and Path(item).is_file() and not _is_table(item)):
            self._add_list(item.removeprefix("@"), lists)
        elif Path(item).is_dir():
            self._add_folder(Path(item))
        elif os.path.lexists(item):
            self._add_path(item, Path(item).name)
        elif glob.has_magic(item):
            self._add_glob(item, lists)
        elif lists:
            self._add_path(item, Path(item).name)
        else:
            raise FileNotFoundError(f"inputs: {printable(item)} does not exist")

    def _add_path(self, path: str, name: str) -> None:
        path = path if is_remote(path) else str(Path(path).absolute())
        real = path if is_remote(path) else os.path.realpath(path)
        before = self._real.setdefault(real, path)
        if before == path:
            self.paths[path] = name
        elif path == real or (before != real and path < before):  # a link does not name the file
            del self.paths[before]
            self._real[real], self.paths[path] = path, name

    def _add_glob(self, pattern: str, lists: tuple[str, ...]) -> None:
        matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  (the pattern may be absolute)
        if not matches:
            raise FileNotFoundError(f"inputs: no file matches {printable(pattern)}")
        for match in matches:
            reason = "" if Path(match).is_dir() else _unread(match, Path(match).name)
            if reason:
                self.passed_over.append(PassedOver(printable(Path(match).name), reason))
            else:
                self.add(match, lists)

    def _add_list(self, path: str, lists: tuple[str, ...]) -> None:
        real = os.path.realpath(path)
        if real in lists:
            raise ValueError(f"inputs: the list {printable(path)} contains itself")
        for line in _text(Path(path).read_bytes()).splitlines():
            entry = line.strip()
            if entry and not entry.startswith("#"):
                self.add(entry if is_remote(entry) else str(Path(path).parent / entry), (*lists, real))

    def _add_folder(self, folder: Path) -> None:
        if _is_participant(folder):
            self._add_path(str(folder), folder.resolve().name)
            return
        for root, folders, files in os.walk(folder):
            below = Path(root)
            names = {name: _unread_folder(below / name) for name in folders}
            skipped = {name: reason for name, reason in names.items() if reason}
            folders[:] = sorted(name for name in folders if name not in skipped)
            for name in sorted([*skipped, *files]):
                path = below / name
                reason = skipped.get(name) or _unread(str(path), name)
                relative = path.relative_to(folder).as_posix()
                if reason in ("", _PARTICIPANT):
                    self._add_path(str(path), relative)
                else:
                    self.passed_over.append(PassedOver(printable(relative), reason))

    def _add_remote(self, url: str) -> None:
        """Add the recordings below a URL: the same as for a local folder with the same files."""
        listed = [file for file, _ in remote_files(url)]
        if listed == [url] and not glob.has_magic(without_query(url)):
            self._add_path(url, without_query(url).rpartition("/")[2])
            return
        if not listed:
            raise FileNotFoundError(f"inputs: {without_query(url)} does not exist")
        prefix = f"{url.rstrip('/')}/"
        for file in listed:
            folder, _, name = file.rpartition("/")
            recording = folder if _HOURLY.fullmatch(name) else file
            below = recording.removeprefix(prefix) if recording.startswith(prefix) else recording.rpartition("/")[2]
            hidden = next(filter(None, map(_hidden, below.split("/"))), "")
            reason = hidden or ("" if recording == folder else _unread(None, name))
            if reason:
                self.passed_over.append(PassedOver(printable(below), reason))
            else:
                self._add_path(recording, below)


_PARTICIPANT = "one participant's hourly files"


def _hidden(name: str) -> str:
    if name == "__MACOSX":
        return "a folder that a Mac adds to an archive"
    return "hidden" if name.startswith((".", "~")) else ""


def _unread_folder(folder: Path) -> str:
    """Return the reason why a folder is not searched, or ""."""
    if _is_participant(folder):
        return _PARTICIPANT
    marker = folder / "zarr.json"
    return _hidden(folder.name) or ("a cohort or another Zarr store" if marker.is_file() else "")


def _unread(path: str | None, name: str) -> str:
    """Return the reason why a file of a folder is not read, or "". `path` is None in an object store."""
    lower = name.lower()
    if hidden := _hidden(name):
        return hidden
    if lower.endswith(_TRUTH):
        return "the truth of a simulated recording"
    stem, ending = Path(lower).stem, Path(lower).suffix
    if ending in (".tgz", ".tbz2") or stem.endswith(".tar"):
        return ""
    if ending in PACKED and ending != ".tar":
        inner = Path(stem).suffix
        return "" if inner in FORMATS or (ending == ".zip" and not inner) else "not the ending of a device file"
    if ending == ".txt":
        return "" if path is not None and _is_table(path) else "text that is not a table"
    return "" if ending in FORMATS or ending == ".tar" else "not the ending of a device file"


def _is_table(path: str) -> bool:
    """Whether a text file holds rows of at least four fields, three of them numbers: a time and three axes."""
    try:
        if irregular(path):
            return False
        with Path(path).open("rb") as file:
            lines = _text(file.read(_SNIFFED)).splitlines()
    except OSError:
        return False
    return any(sum(map(_is_number, re.split(r"[,;\t ]+", line.strip()))) >= 3 for line in lines)


def _is_number(text: str) -> bool:
    try:
        float(text.strip('"'))
    except ValueError:
        return False
    return True


def _text(content: bytes) -> str:
    """Decode a text file by its byte order mark; bytes that are not UTF-8 become surrogates, as in paths."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", "replace")
    return content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def _is_participant(folder: Path) -> bool:
    """Whether a folder holds the hourly files of one NHANES participant."""
    try:
        with os.scandir(folder) as entries:
            return any(_HOURLY.fullmatch(entry.name) for entry in entries)
    except OSError:
        return False


def _named(paths: dict[str, str]) -> list[InputFile]:
    """Return a source for each path, with its id."""
    names = dict(paths)
    parents = 0
    while clashing := _clashes(names, names):  # paths of two inputs: the folders above them distinguish them
        parents += 1
        names.update({path: "/".join(_parts(path)[-1 - names[path].count("/") - 1 :]) for path in clashing})
        if parents > max(len(_parts(path)) for path in paths):
            break
    ids = {path: source_id(name) for path, name in names.items()}
    twins = set(_clashes({path: identity.casefold() for path, identity in ids.items()}, names))
    return sorted(
        (InputFile(source_id(name, with_digest=path in twins), path, printable(name)) for path, name in names.items()),
        key=lambda source: source.id,
    )


def _clashes(values: dict[str, str], paths: Iterable[str]) -> list[str]:
    """Return the paths whose values are not unique."""
    counts: dict[str, int] = {}
    for value in values.values():
        counts[value] = counts.get(value, 0) + 1
    return [path for path in paths if counts[values[path]] > 1]


def _parts(path: str) -> tuple[str, ...]:
    return (PurePosixPath("/" + path.replace("://", "/")) if is_remote(path) else Path(path)).parts

"""Which files are meant, what each is called in a cohort, and which share of them a job takes.

All of it depends on the names alone, so that every job of an array, and every later run, comes to the same answer.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from imuspec.storage import is_remote, place, remote_files

__all__ = ["Source", "find_sources", "recording_id", "share"]

_PACKED = (".gz", ".zip", ".bz2", ".tar")
_FORMATS = (".cwa", ".omx", ".bin", ".gt3x", ".csv", ".parquet", ".npz", ".agd")
_ARCHIVES = (".tar.bz2", ".tbz2")
_HOURLY = re.compile(r"gt3xplus-accelerationcalibrated-.*\.sensor\.csv(\.gz)?", re.IGNORECASE)
_HIDDEN = (".", "_", "~")


@dataclass(frozen=True)
class Source:
    """A recording to be: its id in the cohort, where it lies, and its name below the folder given."""

    id: str
    path: str
    name: str

    @cached_property
    def n_bytes(self) -> int:
        """Bytes on disk, 0 if it cannot be said; asked for when first wanted, since a share wants only its own."""
        return _size(self.path)


def recording_id(path: str | Path) -> str:
    """Return the name of a recording in a cohort: the file's without the endings of format and compression.

    Examples
    --------
    >>> from imuspec.recording.inputs import recording_id
    >>> recording_id("raw/1234567_90001_0_0.cwa.gz")
    '1234567_90001_0_0'
    """
    name = Path(path).name
    while True:
        stem, ending = Path(name).stem, Path(name).suffix
        if not stem or ending.lower() not in _PACKED + _FORMATS + (".tbz2",):
            break
        name = stem
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip("._-")  # Zarr keeps leading dots and "__" for itself
    return f"recording-{_digest(name)}" if plain in ("", "zarr.json") else plain


def find_sources(inputs: Sequence[str | Path]) -> list[Source]:
    """Expand files, folders, globs and text lists to recordings, sorted by name.

    A URL (``s3://bucket/folder``, an object, a prefix or a glob) means what lies there as a path does. A folder is
    searched to its end for files whose ending is a device's; a folder of hourly NHANES files is one recording. A list
    is ``@name`` or a name that ends in ``.txt``: a path each line, relative to the list's folder, ``#`` for comments.
    Where several names come to one id, each gets the digest of its path below the common folder.

    Raises
    ------
    FileNotFoundError
        An input that is nothing: the message names it.
    ValueError
        Nothing found at all, or a list that lists itself.
    """
    found: dict[str, str] = {}
    seen: set[str] = set()
    for item in inputs:
        for path, name in _expand(os.fspath(item), ()):
            real = path if is_remote(path) else os.path.realpath(path)  # the same file by two names is one recording
            if real not in seen:
                seen.add(real)
                found[path if is_remote(path) else str(Path(path).absolute())] = name
    if not found:
        raise ValueError(f"inputs: expected recordings ({' '.join(_FORMATS)}), got none in {_listed(inputs)}")
    return _named(found)


def share(sources: Sequence[Source], number: int, of: int) -> list[Source]:
    """Return share `number` (from 1) of `of`: every `of`-th of the sorted list.

    Raises
    ------
    ValueError
        A number that is not between 1 and `of`.
    """
    if not 1 <= number <= of:
        raise ValueError(f"shard: expected I/N with 1 <= I <= N, got {number}/{of}")
    return list(sources[number - 1 :: of])


def _expand(item: str, lists: tuple[str, ...]) -> Iterable[tuple[str, str]]:
    """Yield path and name of each recording that one input means."""
    if is_remote(item):
        yield from _from_store(item)
    elif item.startswith("@") or (item.lower().endswith(".txt") and Path(item).is_file()):
        yield from _from_list(item.removeprefix("@"), lists)
    elif Path(item).is_dir():
        yield from _from_folder(Path(item))
    elif Path(item).exists():
        yield item, Path(item).name
    elif glob.has_magic(item):
        matches = sorted(glob.glob(item, recursive=True))  # noqa: PTH207  (the pattern may be absolute)
        if not matches:
            raise FileNotFoundError(f"inputs: expected files that match, got none for {item!r}")
        for match in matches:
            if Path(match).is_dir() or _is_recording(match):
                yield from _expand(match, lists)
    else:
        raise FileNotFoundError(f"inputs: expected a file, folder, glob or list, got {item!r}, which is none")


def _from_list(item: str, lists: tuple[str, ...]) -> Iterable[tuple[str, str]]:
    real = os.path.realpath(item)
    if real in lists:
        raise ValueError(f"inputs: expected a list of recordings, got {item!r}, which lists itself")
    for line in Path(item).read_text("utf-8").splitlines():
        entry = line.strip()
        if entry and not entry.startswith("#"):
            yield from _expand(entry if is_remote(entry) else str(Path(item).parent / entry), (*lists, real))


def _from_store(url: str) -> Iterable[tuple[str, str]]:
    """Yield the recordings of an object store: what a folder with the same files would give."""
    found, listed = False, {file: None for file, _ in remote_files(url)}
    if set(listed) == {url} and not glob.has_magic(url):
        yield url, url.rpartition("/")[2]
        return
    prefix = f"{url.rstrip('/')}/"
    seen: set[str] = set()
    for file in listed:
        folder, _, name = file.rpartition("/")
        hourly = bool(_HOURLY.fullmatch(name))
        recording = folder if hourly else file
        below = recording.removeprefix(prefix) if recording.startswith(prefix) else recording.rpartition("/")[2]
        hidden = any(part.startswith(_HIDDEN) for part in below.split("/"))
        if recording not in seen and not hidden and (hourly or _is_recording(name)):
            found = True
            seen.add(recording)
            yield recording, below
    if not found and not listed:
        raise FileNotFoundError(f"inputs: expected an object, a prefix or a glob, got {url!r}, which is none")


def _from_folder(folder: Path) -> Iterable[tuple[str, str]]:
    if _is_participant(folder):
        yield str(folder), folder.resolve().name
        return
    for root, folders, files in os.walk(folder):
        below = Path(root)
        participants = {name for name in folders if _is_participant(below / name)}
        folders[:] = sorted(name for name in folders if name not in participants and not name.startswith(_HIDDEN))
        for name in sorted([*participants, *filter(_is_recording, files)]):
            yield str(below / name), (below / name).relative_to(folder).as_posix()


def _is_participant(folder: Path) -> bool:
    """Whether a folder holds the hourly files of one NHANES participant."""
    try:
        with os.scandir(folder) as entries:
            return any(_HOURLY.fullmatch(entry.name) for entry in entries)
    except OSError:
        return False


def _is_recording(name: str) -> bool:
    lower = Path(name).name.lower()
    if lower.startswith(_HIDDEN) or lower.endswith(".truth.npz"):  # the truth of a simulated one is none
        return False
    if lower.endswith(_ARCHIVES):
        return True
    stem, ending = Path(lower).stem, Path(lower).suffix
    if ending in (".gz", ".zip"):
        inner = Path(stem).suffix
        return inner in _FORMATS or (ending == ".zip" and not inner)
    return ending in _FORMATS


def _named(found: dict[str, str]) -> list[Source]:
    """Give each path its id; where several come to one id, none keeps it, so that no order decides."""
    common = os.path.commonpath([str(_comparable(path).parent) for path in found])
    ids: dict[str, list[str]] = {}
    for path, name in found.items():
        ids.setdefault(recording_id(name).casefold(), []).append(path)
    sources = []
    for path, name in found.items():
        identity = recording_id(name)
        if len(ids[identity.casefold()]) > 1:
            identity = f"{identity}-{_digest(Path(os.path.relpath(_comparable(path), common)).as_posix())}"
        sources.append(Source(identity, path, name))
    return sorted(sources, key=lambda source: source.id)


def _comparable(path: str) -> Path | PurePosixPath:
    return PurePosixPath("/" + path.replace("://", "/")) if is_remote(path) else Path(path)


def _size(path: str) -> int:
    try:
        if is_remote(path):
            if place(path).is_dir():
                return sum(n_bytes for _, n_bytes in remote_files(path))
            return int(place(path).stat().st_size)
        if Path(path).is_dir():
            with os.scandir(path) as entries:
                return sum(entry.stat().st_size for entry in entries if entry.is_file())
        return Path(path).stat().st_size
    except OSError:
        return 0


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _listed(inputs: Sequence[str | Path]) -> str:
    names = [str(item) for item in inputs]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

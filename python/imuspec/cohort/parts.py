"""A folder with one JSON part per recording, Parquet tables built from the parts, and a manifest of checksums."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from imuspec.recording.identity import check_id
from imuspec.storage import absolute, as_path, is_remote, list_names, write_atomically

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "MANIFEST",
    "UNFINISHED",
    "Fence",
    "PartBatches",
    "PartStore",
    "check_manifest",
    "finite",
    "part_batches",
    "part_ids",
    "problems_of_parts",
    "read_part",
    "read_regular",
    "read_sealed",
    "sealed",
    "well_formed",
    "with_path",
]

MANIFEST = "manifest.json"
UNFINISHED = "unfinished: an interrupted run left it; run again with --resume"

_BATCH = 500  # parts in memory at a time
_SPOOL = 64 << 20  # bytes of parts in memory between two passes


class Fence(Protocol):
    """The right to write."""

    def check(self) -> None:
        """Raise an error if another run has taken the right over."""


class PartStore:
    """A writable folder with one part per recording.

    Parameters
    ----------
    folder : path-like
        Path or URL.
    share : str, default "1of1"
        Name of the run's own folder below ``.work``.
    fence : Fence, optional
        Checked before every write.
    """

    def __init__(self, folder: str | Path, *, share: str = "1of1", fence: Fence | None = None) -> None:
        self.folder = absolute(as_path(folder))
        self.work = self.folder / ".work" / share
        self.fence = fence

    def done(self) -> set[str]:
        """Return the ids that have a part."""
        return set(part_ids(self.folder))

    def close(self) -> None:
        """Remove the temporary files of this run."""
        if is_remote(self.folder):
            return
        single = self.work.name.endswith("of1")  # then the other temporary files belong to dead runs
        shutil.rmtree(self.work.parent if single else self.work, ignore_errors=True)
        with contextlib.suppress(OSError):  # it holds the folder of another share
            self.work.parent.rmdir()

    def path_of(self, kind: str, identity: str, ending: str = "") -> Path:
        """Return the path of a recording's file below one of the store's folders.

        Raises
        ------
        ValueError
            If the id could lead out of the folder.
        """
        return self.folder / kind / f"{check_id(identity, f'{self.folder}')}{ending}"

    def _write(self, path: Path, content: bytes) -> None:
        self._check_fence()
        try:
            write_atomically(path, content, folder=self.work)
        except OSError as error:
            raise with_path(error, path) from error

    def _check_fence(self) -> None:
        if self.fence is not None:
            self.fence.check()

    def _write_part(self, identity: str, part: Mapping[str, Any]) -> None:
        self._write(self.path_of("parts", identity, ".json"), sealed(part))

    def _write_manifest(self, files: Iterable[str]) -> None:
        """Write the checksums of the parts and of the store's own files; this is the last write of a run."""
        listed = {name: _sha256(self.folder / name) for name in sorted(files)}
        listed |= {f"parts/{i}.json": _sha256(self.folder / "parts" / f"{i}.json") for i in sorted(self.done())}
        self._write(self.folder / MANIFEST, sealed({"files": listed}))

    def _write_batches(self, batches: Iterable[Mapping[str, pa.Table]]) -> None:
        """Write tables from batches of rows; each table is written whole or not at all."""
        import pyarrow.parquet as pq

        whole: dict[str, io.BytesIO] = {}
        writers: dict[str, Any] = {}
        with contextlib.ExitStack() as stack:
            for tables in batches:
                for name, table in tables.items():
                    if name not in writers:
                        whole[name] = io.BytesIO()
                        writer = pq.ParquetWriter(whole[name], table.schema, compression="zstd")
                        writers[name] = stack.enter_context(writer)
                    writers[name].write_table(table)
        for name, content in whole.items():
            self._write(self.folder / f"{name}.parquet", content.getvalue())


@contextlib.contextmanager
def well_formed(location: Path | str) -> Iterator[None]:
    """Raise the errors of content that has another form than imuspec writes as ValueError with their location.

    Checksums do not protect from that: whoever changes a file can write a matching one.

    Parameters
    ----------
    location : path-like
        File or folder of the content, for the message.
    """
    try:
        yield
    except (AttributeError, LookupError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, ValueError) and str(location) in str(error):
            raise
        raise ValueError(
            f"{location}: expected the content that imuspec wrote, got other content ({error!r})"
        ) from error


def sealed(content: Mapping[str, Any]) -> bytes:
    """Return JSON that carries the SHA-256 of its own content."""
    return json.dumps({**content, "sealed": _seal(content)}, allow_nan=False).encode()


def read_regular(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    ValueError
        If it is a FIFO or a device, which could block for ever.
    OSError
        If it cannot be read.
    """
    if not is_remote(path) and not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path}: expected a regular file, got another kind of file")
    return path.read_bytes()


def finite(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with None for NaN and infinity, which JSON cannot hold."""
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}


def read_sealed(path: Path) -> dict[str, Any]:
    """Read JSON that `sealed` wrote.

    Raises
    ------
    ValueError
        If the file is not JSON, or was changed. The message names it.
    """
    try:
        content: dict[str, Any] = json.loads(read_regular(path))
        seal = content.pop("sealed")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON that imuspec wrote, got damaged text ({error})") from error
    if seal != _seal(content):
        raise ValueError(f"{path}: expected the content that imuspec wrote, got other content: the checksum differs")
    return content


def read_part(folder: Path, identity: str) -> dict[str, Any]:
    """Read the outcome of one recording and its rows of the tables.

    Raises
    ------
    ValueError
        If the id is not valid, the file is damaged, or it belongs to another recording. The message names it.
    """
    path = folder / "parts" / f"{check_id(identity, str(folder / 'parts'))}.json"
    part = read_sealed(path)
    with well_formed(path):
        stored_id = part.get("outcome", part).get("id")
    if stored_id != identity:
        raise ValueError(f"{path}: expected the part of {identity}, got that of {stored_id!r}")
    return part


def part_ids(folder: Path) -> list[str]:
    """Return the ids that have a part, sorted.

    Raises
    ------
    ValueError
        If the name of a file is not a valid id.
    """
    parts = (name.removesuffix(".json") for name in list_names(folder / "parts") if name.endswith(".json"))
    return sorted(check_id(name, str(folder / "parts")) for name in parts)


def check_manifest(folder: Path, *, needed: bool) -> Iterator[tuple[str, str]]:
    """Yield name and problem of each file that differs from the manifest.

    Parameters
    ----------
    folder : Path
        A cohort or results.
    needed : bool
        Whether the folder is finished, so that the manifest must exist.
    """
    if MANIFEST not in list_names(folder):
        if needed:
            yield MANIFEST, "it is missing: run `imuspec cohort merge`"
        return
    try:
        with well_formed(folder / MANIFEST):
            listed = dict(read_sealed(folder / MANIFEST)["files"])
    except ValueError as error:
        yield MANIFEST, str(error)
        return
    for name, digest in listed.items():
        if name.startswith("/") or ".." in name.split("/"):
            yield name, "it is not below the folder of the manifest"
            continue
        try:
            actual = _sha256(folder / name)
        except FileNotFoundError:
            yield name, "it is missing"
            continue
        except (OSError, ValueError) as error:
            yield name, str(error)
            continue
        if actual != digest:
            yield name, "it is not what was written: the checksum differs"
    stored = [name for name in list_names(folder) if name.endswith((".json", ".parquet")) and name != MANIFEST]
    for name in [*stored, *(f"parts/{name}" for name in list_names(folder / "parts"))]:
        if name not in listed:
            yield name, "it is not in the manifest: a run was interrupted, or the file was copied here"


def problems_of_parts(ids: Iterable[str], problem_of: Callable[[str], str]) -> list[tuple[str, str]]:
    """Return the id and the problem of each recording that has one.

    Parameters
    ----------
    ids : iterable of str
        The names of the parts.
    problem_of : callable
        Returns the problem of one recording, or "". An error that it raises because of damage is a problem too.
    """
    problems = []
    for identity in sorted(ids):
        try:
            problem = problem_of(identity)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            problem = str(error)
        if problem:
            problems.append((identity, problem))
    return problems


def part_batches(folder: Path, ids: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the parts in lists of `_BATCH`; yield one empty list if there are no parts."""
    for first in range(0, max(1, len(ids)), _BATCH):
        yield [read_part(folder, identity) for identity in ids[first : first + _BATCH]]


class PartBatches:
    """The batches of `part_batches`, which may be iterated over again; each part is read once.

    They are stored in memory, and beyond `_SPOOL` bytes in a temporary file of this machine: a part is a small file, which takes
    longer to open than to read, most of all in an object store. Use it in a ``with`` statement, which removes the file.

    Parameters
    ----------
    folder : Path
        The cohort or the results.
    ids : sequence of str
        Ids of the parts.
    """

    def __init__(self, folder: Path, ids: Sequence[str]) -> None:
        self._new = part_batches(folder, ids)
        self._stored = tempfile.SpooledTemporaryFile(_SPOOL, "w+", encoding="utf-8")  # noqa: SIM115  # __exit__ closes it

    def __enter__(self) -> PartBatches:
        return self

    def __exit__(self, *error: object) -> None:
        self._stored.close()

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        self._stored.seek(0)
        yield from map(json.loads, self._stored)
        for parts in self._new:
            self._stored.write(json.dumps(parts) + "\n")
            yield parts


def _seal(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(read_regular(path)).hexdigest()


def with_path(error: OSError, path: Path) -> OSError:
    """Return the error with the path that could not be written."""
    return OSError(error.errno, f"{error.strerror or error}", str(path)) if error.errno else error

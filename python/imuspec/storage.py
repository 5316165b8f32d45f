"""Where files lie: on a disk, or in an object store (``s3://`` and whatever else fsspec opens).

On a disk a file or folder is there whole because it is written beside its place, synced and renamed; in an object store
because an object appears when its last byte has arrived. A local path needs none of fsspec.
"""

from __future__ import annotations

import contextlib
import filecmp
import importlib.util
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

__all__ = [
    "absolute",
    "atomic_path",
    "files_below",
    "is_remote",
    "local_copy",
    "names",
    "place",
    "private_folder",
    "put_tree",
    "remote_files",
    "remove_partial",
    "remove_tree",
    "sync",
    "workname",
    "write_atomically",
]

PARTIAL = ".part"  # in the name of each file that is not yet in its place


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a URL: of an object store, not of this machine's file systems."""
    return "://" in str(path)


def place(path: str | os.PathLike[str]) -> Path:
    """Return a path that can be read and written, whatever it points to.

    Raises
    ------
    RuntimeError
        If the path is a URL and the package that opens it is not installed.
    """
    if not is_remote(path):
        return Path(path)
    if importlib.util.find_spec("upath") is None:
        raise RuntimeError(f"{path}: expected universal-pathlib, got none: pip install 'imuspec[cluster]'")
    from upath import UPath

    try:
        # Other hosts write too, so no listing is remembered.
        return cast(Path, UPath(str(path).rstrip("/"), use_listings_cache=False))
    except (ImportError, ValueError) as error:
        raise RuntimeError(f"{path}: {error}") from error


def absolute(path: Path) -> Path:
    """Return a path that means the same in any process."""
    return path if is_remote(path) else path.absolute()


def names(folder: Path) -> list[str]:
    """Return the names in a folder, sorted; an empty list if the folder does not exist."""
    if not is_remote(folder):
        try:
            return sorted(entry.name for entry in os.scandir(folder))
        except FileNotFoundError:
            return []
    system, root = _system(folder)
    try:
        matches = system.ls(root, detail=False)
    except FileNotFoundError:
        return []
    return sorted({name.rstrip("/").rpartition("/")[2] for name in matches if name.rstrip("/") != root} - {""})


def files_below(folder: Path) -> list[Path]:
    """Return every file below a folder, sorted by name."""
    if not is_remote(folder):
        return sorted(path for path in folder.rglob("*") if path.is_file())
    system, root = _system(folder)
    return [folder / name[len(root) + 1 :] for name in sorted(system.find(root))]


def write_atomically(path: str | os.PathLike[str], content: bytes, *, folder: Path | None = None) -> Path:
    """Write a file so that a reader sees the old content or the whole new one.

    Parameters
    ----------
    path : path
        The file, on a disk or in an object store.
    content : bytes
        Its bytes.
    folder : Path, optional
        As in `atomic_path`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError
        If it cannot be written; the error names `path`.
    """
    target = place(path)
    if is_remote(target):
        target.write_bytes(content)
        return target
    with atomic_path(target, folder=folder) as waiting:
        waiting.write_bytes(content)
    return target


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, folder: Path | None = None) -> Iterator[Path]:
    """Give the path of a new empty file, and rename that file to `path` at the end; after an error nothing is left.

    The new file is readable as the umask allows. It is synced before the rename, its folder after. A device or pipe
    (``/dev/stdout``) is given as it is.

    Parameters
    ----------
    path : path
        The file, on a disk.
    folder : Path, optional
        Folder of the same disk where the new file waits, made if missing; by default that of `path`.

    Yields
    ------
    Path
        The new file. Its name is short, so that a long name of `path` fits too, and ends as `path` does.

    Raises
    ------
    OSError
        If it cannot be written; the error names `path`.
    """
    target = Path(path)
    if target.exists() and not target.is_file() and not target.is_dir():
        yield target
        return
    waiting = (target.parent if folder is None else folder) / f".{secrets.token_hex(6)}{PARTIAL}{target.suffix[:16]}"
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        os.close(os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        mode = stat.S_IMODE(waiting.stat().st_mode)
        yield waiting
        waiting.chmod(mode)  # a library may have put a private file of its own there
        sync(waiting)
        waiting.replace(target)
        sync(target.parent)
    except OSError as error:
        named = None if error.filename is None else Path(os.fsdecode(error.filename))
        if error.errno is None or named not in (None, waiting):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        waiting.unlink(missing_ok=True)


def remove_partial(folder: Path) -> None:
    """Remove the files that a killed process left in a folder on their way to their place."""
    for path in folder.glob(f".*{PARTIAL}*"):
        path.unlink(missing_ok=True)


def put_tree(waiting: Path, folder: Path) -> None:
    """Move a finished local folder to its place, or upload it; nobody looks at it before its part is there."""
    if is_remote(folder):
        for path in files_below(waiting):
            (folder / path.relative_to(waiting).as_posix()).write_bytes(path.read_bytes())
        return
    for path in sorted(waiting.rglob("*")):
        sync(path)
    # A worker that was cut off and is back may have written the same bytes, even in this moment: one of the two is enough,
    # and what has a part already must not go away. Anything else there is of a run that was interrupted.
    for _ in range(3):
        if folder.exists() and not _same(waiting, folder):
            shutil.rmtree(folder, ignore_errors=True)
        try:
            if not folder.exists():
                waiting.replace(folder)
        except OSError:
            if not folder.exists():
                raise
            continue
        break
    shutil.rmtree(waiting, ignore_errors=True)
    sync(folder.parent)


def _same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    mine, theirs = files_below(one), files_below(other)
    if [path.relative_to(one) for path in mine] != [path.relative_to(other) for path in theirs]:
        return False
    return all(filecmp.cmp(a, b, shallow=False) for a, b in zip(mine, theirs, strict=True))


def remove_tree(folder: Path) -> None:
    """Remove a folder and everything below it, if it exists."""
    if not is_remote(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    system, root = _system(folder)
    with contextlib.suppress(FileNotFoundError):
        matches = system.find(root)
        if matches:
            system.rm(matches)


def sync(path: Path) -> None:
    """Flush a file, or a folder's list of names, to the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # folders cannot be opened on Windows
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def workname() -> str:
    """Return a short random name for a temporary file, so that no file name is too long for it."""
    return secrets.token_hex(12)


@contextmanager
def local_copy(path: str) -> Iterator[str]:
    """Yield a path of this machine at which a file (or NHANES folder) can be read.

    One of an object store is fetched into a folder that only this user may read, below ``TMPDIR``; it is removed after
    the ``with``. A path whose bytes are not UTF-8 is read through a link with a plain name.
    """
    if not is_remote(path):
        if path.isprintable() or path.isascii():
            yield path
            return
        try:
            path.encode()
        except UnicodeEncodeError:
            with private_folder() as folder:
                link = folder / f"recording{''.join(Path(path).suffixes[-2:])}".encode("ascii", "replace").decode(
                    "ascii"
                )
                link.symlink_to(Path(path).absolute())
                yield str(link)
        else:
            yield path
        return
    with private_folder() as folder:
        system, root = _system(place(path))
        name = str(folder / root.rpartition("/")[2])
        if system.isfile(root):
            system.get_file(root, name)
        else:
            system.get(root, name, recursive=True)
        yield name


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a private temporary folder; remove those that killed imuspec processes left on this machine."""
    top = Path(tempfile.gettempdir())
    for left in top.glob(f"imuspec-{os.getuid() if hasattr(os, 'getuid') else 0}-*-*"):
        number = left.name.split("-")[2]
        if number.isdigit() and _is_gone(int(number)):
            shutil.rmtree(left, ignore_errors=True)
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.mkdtemp(prefix=f"imuspec-{user}-{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _system(folder: Path) -> tuple[Any, str]:
    """Return the file system of a URL and the path in it."""
    remote: Any = folder
    return remote.fs, str(remote.path).rstrip("/")


def remote_files(url: str) -> Iterable[tuple[str, int]]:
    """Yield URL and size in bytes of each object that a URL, a glob or a prefix matches."""
    import glob

    matches = place(url)
    system, root = _system(matches)
    scheme = url.partition("://")[0]
    if glob.has_magic(root):
        listed = system.glob(root, detail=True)
    elif system.isfile(root):
        listed = {root: system.info(root)}
    else:
        listed = system.find(root, detail=True)
    for name, described in sorted(listed.items()):
        if described.get("type") == "file":
            yield f"{scheme}://{name}", int(described.get("size") or 0)

"""Files on a disk, or in an object store (``s3://`` and any other URL that fsspec opens).

A file or folder is there whole or not at all. On a disk it is written under a temporary name, synced and renamed. In an
object store an object appears when its last byte has arrived. fsspec is loaded for URLs only.
"""

from __future__ import annotations

import contextlib
import filecmp
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from imuspec.errors import require, without_credentials
from imuspec.temporary import private_folder

__all__ = [
    "absolute",
    "as_path",
    "atomic_path",
    "files_below",
    "is_remote",
    "list_names",
    "local_copy",
    "put_tree",
    "read_json",
    "remote_files",
    "remove_partial",
    "remove_tree",
    "sync",
    "temporary_name",
    "without_query",
    "write_atomically",
]

PARTIAL = ".part"  # in the name of each file that is not complete


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a URL of an object store, not a path of this machine."""
    return "://" in str(path)


def as_path(path: str | os.PathLike[str]) -> Path:
    """Return a local path or a URL as an object with the methods of `pathlib.Path`.

    Parameters
    ----------
    path : path-like
        Local path or URL.

    Raises
    ------
    RuntimeError
        If the path is a URL that no installed file system opens.
    ValueError
        If the URL holds a user or a password.
    ImportError
        If the extra cluster is not installed.
    """
    if not is_remote(path):
        return Path(path)
    if "@" in str(path).partition("://")[2].partition("/")[0]:
        raise ValueError(
            f"{without_credentials(str(path))}: expected credentials in the environment, got a URL that holds them"
        )
    require(without_credentials(str(path)), "upath")
    from upath import UPath

    try:
        # Other hosts write too, so listings are not cached.
        return cast(Path, UPath(str(path).rstrip("/"), use_listings_cache=False))
    except (ImportError, ValueError) as error:
        raise RuntimeError(without_credentials(f"{path}: {error}")) from error


def absolute(path: Path) -> Path:
    """Return a path that does not depend on the working directory."""
    return path if is_remote(path) else path.absolute()


def list_names(folder: Path) -> list[str]:
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
    """Return all files below a folder, sorted by path."""
    if not is_remote(folder):
        return sorted(path for path in folder.rglob("*") if path.is_file())
    system, root = _system(folder)
    return [folder / name[len(root) + 1 :] for name in sorted(system.find(root))]


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    ValueError
        If the file is cut, damaged, or holds another value than an object; the message names the file.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:  # also of bytes that are no UTF-8
        raise ValueError(f"{path}: expected a whole JSON file, got a cut or damaged one: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object, got a {type(content).__name__}")
    return content


def write_atomically(path: str | os.PathLike[str], content: bytes, *, folder: Path | None = None) -> Path:
    """Write a file so that a reader sees either the old content or all of the new content.

    Parameters
    ----------
    path : path
        The file, on a disk or in an object store.
    content : bytes
        The new content.
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
    target = as_path(path)
    if is_remote(target):
        target.write_bytes(content)
        return target
    with atomic_path(target, folder=folder) as waiting:
        waiting.write_bytes(content)
    return target


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, folder: Path | None = None) -> Iterator[Path]:
    """Yield a new empty file, and rename it to `path` at the end; after an error, remove it.

    The new file has the permissions of the umask. It is synced before the rename, its folder after. A device or pipe
    (``/dev/stdout``) is yielded itself.

    Parameters
    ----------
    path : path
        The file, on a disk.
    folder : Path, optional
        Folder of the new file, on the disk of `path`; it is created if missing. The default is the folder of `path`.

    Yields
    ------
    Path
        The new file. Its name is short, even if that of `path` is long, and it has the same suffix.

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
        waiting.chmod(mode)  # a library may have replaced it by a private file
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
    """Remove the incomplete files that a killed process left in a folder."""
    for path in folder.glob(f".*{PARTIAL}*"):
        path.unlink(missing_ok=True)


def put_tree(waiting: Path, folder: Path) -> None:
    """Move a complete local folder to `folder`, or upload it.

    A reader must not open `folder` before its part exists, since an upload is not atomic.

    Parameters
    ----------
    waiting : Path
        The complete folder, on a disk.
    folder : Path
        The destination.
    """
    if is_remote(folder):
        for path in files_below(waiting):
            (folder / path.relative_to(waiting).as_posix()).write_bytes(path.read_bytes())
        return
    for path in sorted(waiting.rglob("*")):
        sync(path)
    # A worker that lost its connection and came back may write the same bytes at this moment. One copy is enough, and a
    # folder that has a part must not vanish. A folder with other content was left by an interrupted run.
    for _ in range(3):
        if folder.exists() and not _same_files(waiting, folder):
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


def _same_files(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    files, other_files = files_below(one), files_below(other)
    if [path.relative_to(one) for path in files] != [path.relative_to(other) for path in other_files]:
        return False
    return all(filecmp.cmp(a, b, shallow=False) for a, b in zip(files, other_files, strict=True))


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
    """Flush a file, or the entries of a folder, to the disk."""
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


def temporary_name() -> str:
    """Return a random name of 24 characters for a temporary file."""
    return secrets.token_hex(12)


@contextmanager
def local_copy(path: str) -> Iterator[str]:
    """Yield a local path of a file (or NHANES folder).

    A URL is downloaded into a private folder below ``TMPDIR``, which is removed after the ``with``. A path whose bytes
    are not UTF-8 is read through a link with an ASCII name.

    Parameters
    ----------
    path : str
        Local path or URL.

    Yields
    ------
    str
        The local path.

    Raises
    ------
    OSError
        If a URL does not exist or cannot be read; the error has no credentials.
    """
    if not is_remote(path):
        if path.isprintable() or path.isascii():
            yield path
            return
        try:
            path.encode()
        except UnicodeEncodeError:
            endings = "".join(Path(path).suffixes[-2:]).encode("ascii", "replace").decode("ascii")
            with private_folder() as folder:
                link = folder / f"recording{endings}"
                link.symlink_to(Path(path).absolute())
                yield str(link)
        else:
            yield path
        return
    with private_folder() as folder:
        with _named_errors(path):
            system, root = _system(as_path(path))
            name = str(folder / without_query(root).rpartition("/")[2])
            if system.isfile(root):
                system.get_file(root, name)
            elif system.find(root):
                system.get(root, name, recursive=True)
            else:
                raise FileNotFoundError(f"{path} does not exist")
        yield name


@contextmanager
def _named_errors(url: str) -> Iterator[None]:
    """Raise what a store's library raises as an OSError that names the URL, without the credentials in either."""
    try:
        yield
    except (ImportError, RuntimeError, ValueError):  # of `as_path`, which has left them out
        raise
    except Exception as error:
        text = str(error)
        kind = type(error) if type(error) in (FileNotFoundError, PermissionError, TimeoutError) else OSError
        named = text if url in text else f"{url}: {type(error).__name__}: {text}"
        raise kind(without_credentials(named)) from None


def _system(folder: Path) -> tuple[Any, str]:
    """Return the file system of a URL and the path in it."""
    remote: Any = folder
    return remote.fs, str(remote.path).rstrip("/")


def without_query(url: str) -> str:
    """Return a URL of a web server without its query, which a presigned URL has its signature in."""
    return url.partition("?")[0] if url.startswith(("http://", "https://")) else url


def remote_files(url: str) -> Iterable[tuple[str, int]]:
    """Yield URL and size in bytes of each object that a URL, a glob or a prefix matches.

    Raises
    ------
    OSError
        If the store cannot be listed; the error has no credentials.
    """
    import glob

    scheme = url.partition("://")[0]
    with _named_errors(url):
        system, root = _system(as_path(url))
        if glob.has_magic(without_query(root)):
            listed = system.glob(root, detail=True)
        elif system.isfile(root):
            listed = {root: system.info(root)}
        else:
            listed = system.find(root, detail=True)
    for name, details in sorted(listed.items()):
        if details.get("type") == "file":
            yield name if is_remote(name) else f"{scheme}://{name}", int(details.get("size") or 0)

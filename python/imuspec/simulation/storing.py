"""Files that appear whole or not at all, compressed by their extension."""

from __future__ import annotations

import gzip
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from imuspec.storage import atomic_path

__all__ = ["replacing"]


@contextmanager
def replacing(path: str | Path, *, share: float = 1.0) -> Iterator[IO[bytes]]:
    """Yield a file that replaces ``path`` at the end (`imuspec.storage.atomic_path`); after an error nothing is left.

    .gz and .zip are compressed without a time stamp, so that equal contents give equal files.

    Parameters
    ----------
    path : path-like
        The file.
    share : float, default 1.0
        Share of the compressed bytes to write; below 1 the end of the file is missing.
    """
    path = Path(path)
    with atomic_path(path) as partial:
        with partial.open("wb") as raw:
            match path.suffix.lower():
                case ".gz":
                    with gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=raw, mtime=0) as file:
                        yield cast(IO[bytes], file)
                case ".zip":
                    member = zipfile.ZipInfo(path.stem, date_time=(1980, 1, 1, 0, 0, 0))
                    member.compress_type = zipfile.ZIP_DEFLATED
                    with zipfile.ZipFile(raw, "w", compresslevel=1) as archive, archive.open(member, "w") as entry:
                        yield entry
                case _:
                    yield raw
        if share < 1:
            os.truncate(partial, int(partial.stat().st_size * share))

"""Recordings as columns of other tools: Parquet and NPZ, plain or inside .gz or .zip."""

from __future__ import annotations

import gzip
import os
import tempfile
import tokenize
import zipfile
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, cast

from imuspec import _core
from imuspec.errors import RecordingError
from imuspec.recording.npz import read_npz
from imuspec.recording.parquet import read_parquet
from imuspec.recording.table import Table

__all__ = ["prepare_columns", "read_columns"]

MAX_BYTES = 4 << 30  # largest unpacked file, and most bytes of its columns
_HELD = 64 << 20  # bytes of an unpacked file that memory holds
_DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,  # of a member without a name
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,  # of a zip member in a form that the reader lacks
    MemoryError,
    OverflowError,
    SyntaxError,  # of an NPY header, which is a Python literal
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_columns(
    path: str | os.PathLike[str],
    timestamps: str = "device",
    *,
    date_order: str = "auto",
    unit: str = "auto",
    rate: float | None = None,
) -> dict[str, Any] | None:
    """Read a Parquet or NPZ file to the columns of ``_core.read``; return None for any other file.

    Columns are selected by name, in upper or lower case: time (or timestamp, ...), and x, y, z (or acc_x, ...) or one array
    ``acceleration`` or ``xyz`` of [n, 3] or [3, n]. Optional columns are gyro_x..., temperature, light and annotation.
    Times are datetimes (local clock of their zone), or numbers whose size shows their unit. Acceleration is in g unless its
    median norm is that of m/s2 or mg; the metadata name the unit. Missing values are NaN.

    Parameters
    ----------
    path : path-like
        The file. Its first bytes decide on the format, not its name.
    timestamps : {"device", "actipy"}, default "device"
        The rule that the times follow.
    date_order : {"auto", "day_first", "month_first"}, default "auto"
        Order of ambiguous dates.
    unit : {"auto", "g", "mg", "m/s2"}, default "auto"
        Unit of the acceleration.
    rate : float, default None
        Rows per second of a table without usable times, Hz.

    Raises
    ------
    RecordingError
        If the file is cut short or too large, lacks a column, or holds pickled objects.
    """
    table, kind = _table(Path(path), rate, None)
    if table is None:
        return None
    result = _core.read_table(
        str(path),
        table.native,
        table.names,
        table.labels,
        timestamps=timestamps,
        date_order=date_order,
        unit=unit,
        rate=rate,
    )
    result["header"]["format"] = kind
    return result


def prepare_columns(
    path: str | os.PathLike[str], recipe: dict[str, Any], pieces_in: Path | None = None
) -> dict[str, Any] | None:
    """Prepare a Parquet or NPZ file as ``_core.prepare`` prepares a device file; return None for any other file.

    Parameters
    ----------
    path : path-like
        The file. Its first bytes decide on the format, not its name.
    recipe : dict of str to object
        The recipe as a dictionary.
    pieces_in : Path, default None
        As in ``_core.prepare``; columns beyond 8 MB lie in nameless temporary files there too.

    Raises
    ------
    RecordingError
        As in `read_columns`.
    """
    table, kind = _table(Path(path), recipe["reading"]["rate_hz"] or None, pieces_in)
    if table is None:
        return None
    result = _core.prepare_table(str(path), table.native, table.names, table.labels, recipe, pieces_in)
    result["header"]["format"] = kind
    return result


def _table(path: Path, rate: float | None, folder: Path | None) -> tuple[Table | None, str]:
    """Return a table and its format, or None and "" for another file."""
    if path.exists() and not path.is_file():  # a folder; or a pipe or a device, which would block when opened
        return None, ""
    kind = ""
    try:
        with path.open("rb") as file, ExitStack() as opened:
            source, kind = _unwrapped(file, folder, opened)
            if kind == "":
                return None, ""
            table = Table(path, rate, folder)
            (read_parquet if kind == "parquet" else read_npz)(source, table, rate, MAX_BYTES)
        table.finish()
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if kind == "":
            return None, ""  # damaged compression: the device reader reads the part before the damage
        raise RecordingError(str(path), None, f"{kind}: {error}") from error
    return table, kind


def _unwrapped(source: BinaryIO, folder: Path | None, opened: ExitStack) -> tuple[BinaryIO, str]:
    """Return the bytes inside gzip and one-member zip, and their format: "parquet", "npz" or ""."""
    for _ in range(3):
        magic = source.read(4)
        source.seek(0)
        if magic == b"PAR1":
            return source, "parquet"
        if magic[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=source) as stream:
                inner = _inside(stream, folder, opened)
        elif magic == b"PK\x03\x04":
            with zipfile.ZipFile(source) as archive:
                members = [m for m in archive.infolist() if not m.is_dir()]
                if members and all(m.filename.endswith(".npy") for m in members):
                    return source, "npz"
                if len(members) != 1:
                    break
                with archive.open(members[0]) as stream:
                    inner = _inside(stream, folder, opened)
        else:
            break
        if inner is None:
            break
        source = inner
    return source, ""


def _inside(stream: Any, folder: Path | None, opened: ExitStack) -> BinaryIO | None:
    """Return all bytes of a stream if they may be Parquet or zip, else None. Beyond 64 MiB they lie in a temporary file."""
    head = stream.read(4)
    if head not in (b"PAR1", b"PK\x03\x04"):
        return None
    location = str(folder) if folder else None
    content = opened.enter_context(tempfile.SpooledTemporaryFile(_HELD, dir=location))  # noqa: SIM115  # the stack closes it
    content.write(head)
    while piece := stream.read(1 << 20):
        content.write(piece)
        if content.tell() > MAX_BYTES:
            raise ValueError(f"unpacked size: expected at most {MAX_BYTES} bytes, got more")
    content.seek(0)
    return cast("BinaryIO", content)

"""Recordings that other tools keep as columns: Parquet and NPZ, plain or inside .gz or .zip."""

from __future__ import annotations

import gzip
import io
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from imuspec import _core
from imuspec.errors import RecordingError

__all__ = ["prepare_columns", "read_columns"]

MAX_BYTES = 4 << 30  # of a file held in memory, unpacked
_UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_GRAVITY = 9.80665
_AXES = ("x", "y", "z")
_FLOATS = (*_AXES, "gyro_x", "gyro_y", "gyro_z", "temperature", "light")
_NAMES = {
    "time": ("time", "timestamp", "header_timestamp", "datetime", "__index_level_0__"),
    **{axis: (axis, f"acc_{axis}", f"accel_{axis}", f"accelerometer_{axis}", f"acceleration_{axis}") for axis in _AXES},
    **{f"gyro_{axis}": (f"gyro_{axis}", f"gyr_{axis}", f"gyroscope_{axis}") for axis in _AXES},
    "temperature": ("temperature", "temp"),
    "light": ("light", "lux"),
    "annotation": ("annotation", "label", "activity"),
}
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
Columns = Mapping[str, NDArray[Any]]


def read_columns(path: str | os.PathLike[str], timestamps: str = "device") -> dict[str, Any] | None:
    """Read a Parquet or NPZ file to the columns that ``_core.read`` gives; None where it is neither.

    The columns are found by name in any letter case: time (or timestamp, ...), x, y, z (or acc_x, ...), or one array
    ``acceleration`` or ``xyz`` of [n, 3] or [3, n], and where there are any gyro_x..., temperature, light, annotation.
    Times are datetimes (a zone's local clock), or numbers whose unit their size tells. Acceleration is in g unless the
    median norm is that of m/s2 or mg; the metadata say which. Missing is NaN.

    Parameters
    ----------
    path
        The file. Its first bytes decide, not its name.
    timestamps
        ``"device"`` or ``"actipy"``.

    Raises
    ------
    RecordingError
        A file cut short or too large, without one of the columns, or with pickled objects.
    """
    table = _table(Path(path))
    if table is None:
        return None
    kind, arrays, labels, said = table
    got = _core.read_arrays(str(path), arrays, labels, said, timestamps)
    got["header"]["format"] = kind
    return got


def prepare_columns(path: str | os.PathLike[str], settings: dict[str, Any]) -> dict[str, Any] | None:
    """Prepare a Parquet or NPZ file as ``_core.prepare`` does a device file; None where it is neither.

    Raises
    ------
    RecordingError
        As `read_columns`.
    """
    table = _table(Path(path))
    if table is None:
        return None
    kind, arrays, labels, said = table
    got = _core.prepare_arrays(str(path), arrays, labels, said, settings)
    got["header"]["format"] = kind
    return got


def _table(path: Path) -> tuple[str, dict[str, NDArray[Any]], list[str], list[tuple[str, str]]] | None:
    """Return what kind of table a file is, its columns, its labels and what it says of itself."""
    if path.exists() and not path.is_file():  # a folder; or a pipe or a device, which to open would wait for ever
        return None
    kind = ""
    try:
        with path.open("rb") as file:
            source, kind = _unwrapped(file)
            if kind == "":
                return None
            columns = _parquet(source) if kind == "parquet" else _npz(source)
        with np.errstate(all="ignore"):  # damaged numbers overflow; what they come to is judged, not warned of
            arrays, labels, said = _ready(columns)
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if kind == "":
            return None  # a damaged wrapping: what came before the damage is the device reader's to judge
        raise RecordingError(str(path), None, f"{kind}: {error}") from error
    return kind, arrays, labels, said


def _unwrapped(source: BinaryIO) -> tuple[BinaryIO, str]:
    """Return the bytes inside gzip and one-member zip, and which of the two formats they are, if any."""
    for _ in range(3):
        magic = source.read(4)
        source.seek(0)
        if magic == b"PAR1":
            return source, "parquet"
        if magic[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=source) as stream:
                inner = _inside(stream)
        elif magic == b"PK\x03\x04":
            with zipfile.ZipFile(source) as archive:
                members = [m for m in archive.infolist() if not m.is_dir()]
                if members and all(m.filename.endswith(".npy") for m in members):
                    return source, "npz"
                if len(members) != 1:
                    break
                with archive.open(members[0]) as stream:
                    inner = _inside(stream)
        else:
            break
        if inner is None:
            break
        source = inner
    return source, ""


def _inside(stream: Any) -> BinaryIO | None:
    """Return all bytes of a stream if they can be one of the formats."""
    head = stream.read(4)
    return io.BytesIO(_limited(stream, head)) if head in (b"PAR1", b"PK\x03\x04") else None


def _limited(stream: Any, head: bytes) -> bytes:
    rest = stream.read(MAX_BYTES)
    if len(rest) == MAX_BYTES:
        raise ValueError(f"unpacked size: expected at most {MAX_BYTES} bytes, got more")
    return head + bytes(rest)


def _parquet(source: BinaryIO) -> dict[str, NDArray[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(source)
        described = file.metadata
        n_bytes = sum(described.row_group(i).total_byte_size for i in range(described.num_row_groups))
        if n_bytes > MAX_BYTES:
            raise ValueError(f"Parquet data: expected at most {MAX_BYTES} bytes, got {n_bytes}")
        wanted = _wanted(file.schema_arrow.names)
        table = file.read(columns=list(wanted.values()), use_threads=False)
        return {key: _arrow(table.column(name)) for key, name in wanted.items()}
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


def _arrow(column: Any) -> NDArray[Any]:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind):
        import pyarrow.compute as pc

        local = pc.local_timestamp(column) if kind.tz is not None else column
        return np.asarray(local.cast(pa.timestamp("ns")).to_numpy())
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    return np.asarray(column.to_numpy())


def _npz(source: BinaryIO) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(source) as archive:
        n_bytes = sum(member.file_size for member in archive.infolist())
    if n_bytes > MAX_BYTES:
        raise ValueError(f"NPZ data: expected at most {MAX_BYTES} bytes, got {n_bytes}")
    source.seek(0)
    with np.load(source, allow_pickle=False) as stored:
        wanted = _wanted(stored.files)
        columns = {key: np.asarray(stored[name]) for key, name in wanted.items()}
    planar = columns.pop("xyz", None)
    if planar is not None:
        columns.update(zip(_AXES, _planar(planar), strict=True))
    return columns


def _planar(values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim != 2 or 3 not in values.shape:
        raise ValueError(f"acceleration: expected [n, 3] or [3, n], got {list(values.shape)}")
    return values if values.shape[0] == 3 else values.T


def _wanted(names: list[str]) -> dict[str, str]:
    """Return the name in the file of each column that it has."""
    lower = {name.lower(): name for name in reversed(names)}
    wanted = {}
    for key, spellings in {**_NAMES, "xyz": ("xyz", "acceleration", "acc")}.items():
        name = next((lower[s] for s in spellings if s in lower), None)
        if name is not None:
            wanted[key] = name
    missing = [key for key in ("time", *_AXES) if key not in wanted and (key == "time" or "xyz" not in wanted)]
    if missing:
        raise ValueError(f"columns: expected time, x, y and z, got {names[:20]} (missing: {', '.join(missing)})")
    return wanted


def _ready(columns: Columns) -> tuple[dict[str, NDArray[Any]], list[str], list[tuple[str, str]]]:
    """Return the columns as the native reader takes them, the annotations' labels, and what was decided."""
    said: list[tuple[str, str]] = []
    ready: dict[str, NDArray[Any]] = {"time": _nanoseconds(columns["time"], said.append)}
    n = len(ready["time"])
    for name in _FLOATS:
        if name in columns:
            ready[name] = np.ascontiguousarray(columns[name], dtype=np.float32)
            if ready[name].shape != (n,):
                raise ValueError(f"{name}: expected [{n}] like time, got {list(ready[name].shape)}")
    if any(f"gyro_{axis}" not in ready for axis in _AXES):
        for axis in _AXES:
            ready.pop(f"gyro_{axis}", None)
    _to_g(ready, said.append)
    labels: list[str] = []
    if "annotation" in columns:
        words = np.array(
            [
                "" if w is None or (isinstance(w, float) and math.isnan(w)) else str(w)
                for w in columns["annotation"].tolist()
            ]
        )
        labels, codes = _coded(words)
        ready["annotation"] = codes
    return ready, labels, said


def _coded(words: NDArray[np.str_]) -> tuple[list[str], NDArray[np.int32]]:
    names, codes = np.unique(words, return_inverse=True)
    empty = int(names[:1].tolist() == [""])
    return names.tolist()[empty:], (codes - empty).astype(np.int32)


def _nanoseconds(time: NDArray[Any], say: Callable[[tuple[str, str]], None]) -> NDArray[np.int64]:
    """Return ns since 1970; numbers by the size of the first, or of the step where they count from zero."""
    if time.ndim != 1 or len(time) == 0:
        raise ValueError(f"time: expected [n] with n >= 1, got {list(time.shape)}")
    if np.issubdtype(time.dtype, np.datetime64):
        if np.isnat(time).any():
            raise ValueError("time: expected a time in every row, got missing ones")
        return time.astype("datetime64[ns]").astype(np.int64)
    if time.dtype.kind in "OUS":
        return np.array(time.astype(str), dtype="datetime64[ns]").astype(np.int64)
    if time.dtype.kind not in "iuf" or not np.isfinite(time).all():
        raise ValueError(f"time: expected datetimes or finite numbers, got {time.dtype}")
    size = float(abs(time[0]))
    steps = np.diff(time.astype(np.float64))
    step = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    limits = (1e11, 1e14, 1e17) if size >= 1e8 else (1.0, 1e3, 1e6)
    judged = size if size >= 1e8 else step
    unit = list(_UNITS)[sum(judged >= limit for limit in limits)]
    say(("time_unit", f"{unit} (by {'the size of the first' if size >= 1e8 else 'the step between rows'})"))
    if time.dtype.kind == "f":
        whole: NDArray[np.float64] = np.floor(time.astype(np.float64))
        parts = np.rint((time - whole) * _UNITS[unit])
        return whole.astype(np.int64) * _UNITS[unit] + parts.astype(np.int64)
    return time.astype(np.int64) * _UNITS[unit]


def _to_g(columns: dict[str, NDArray[Any]], say: Callable[[tuple[str, str]], None]) -> None:
    """Bring x, y, z to g by the unit that their median norm tells, within a factor of two."""
    head = np.stack([columns[axis][:20_000] for axis in _AXES]).astype(np.float64)
    norms = np.sqrt((head**2).sum(axis=0))
    norms = norms[np.isfinite(norms) & (norms > 0)]
    norm = float(np.median(norms)) if len(norms) else float("nan")
    for unit, one_g in (("g", 1.0), ("m/s2", _GRAVITY), ("mg", 1000.0)):
        if 0.5 < norm / one_g < 2.0:
            say(("acceleration_unit", f"{unit} (median norm {norm:.3f})"))
            if one_g != 1.0:
                for axis in _AXES:
                    columns[axis] = columns[axis] * np.float32(1.0 / one_g)
            return
    say(("acceleration_unit", f"g (assumed: no unit fits, median norm {norm:.3f})"))

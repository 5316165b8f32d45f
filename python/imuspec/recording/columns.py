"""Recordings as columns of other tools: Parquet and NPZ, plain or inside .gz or .zip."""

from __future__ import annotations

import gzip
import io
import os
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from imuspec import _core
from imuspec.errors import RecordingError
from imuspec.recording.labels import gathered
from imuspec.recording.owners import Owners, is_owner

__all__ = ["prepare_columns", "read_columns"]

MAX_BYTES = 4 << 30  # largest unpacked file
MAX_RATIO = 1032  # largest ratio of bytes in memory to bytes in the file, the limit of deflate
SMALL = 64 << 20  # bytes in memory that are allowed for any file
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
Columns = dict[str, Any]


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
    table = _table(Path(path), rate)
    if table is None:
        return None
    kind, arrays, labels, metadata = table
    result = _core.read_arrays(
        str(path), arrays, labels, metadata, timestamps=timestamps, date_order=date_order, unit=unit, rate=rate
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
        As in ``_core.prepare``.

    Raises
    ------
    RecordingError
        As in `read_columns`.
    """
    table = _table(Path(path), recipe["reading"]["rate_hz"] or None)
    if table is None:
        return None
    kind, arrays, labels, metadata = table
    result = _core.prepare_arrays(str(path), arrays, labels, metadata, recipe, pieces_in)
    result["header"]["format"] = kind
    return result


def _table(path: Path, rate: float | None) -> tuple[str, dict[str, Any], list[str], list[tuple[str, str]]] | None:
    """Return the format of a table, its columns, its labels and its metadata."""
    if path.exists() and not path.is_file():  # a folder; or a pipe or a device, which would block when opened
        return None
    kind = ""
    try:
        with path.open("rb") as file:
            source, kind = _unwrapped(file)
            if kind == "":
                return None
            columns = _parquet(source, rate) if kind == "parquet" else _npz(source, rate)
        with np.errstate(all="ignore"):  # damaged numbers overflow; later checks find the results
            arrays, labels, metadata = _ready(columns, rate)
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if kind == "":
            return None  # damaged compression: the device reader reads the part before the damage
        raise RecordingError(str(path), None, f"{kind}: {error}") from error
    return kind, arrays, labels, metadata


def _unwrapped(source: BinaryIO) -> tuple[BinaryIO, str]:
    """Return the bytes inside gzip and one-member zip, and their format: "parquet", "npz" or ""."""
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
    """Return all bytes of a stream if they may be Parquet or zip, else None."""
    head = stream.read(4)
    return io.BytesIO(_limited(stream, head)) if head in (b"PAR1", b"PK\x03\x04") else None


def _limited(stream: Any, head: bytes) -> bytes:
    rest = stream.read(MAX_BYTES)
    if len(rest) == MAX_BYTES:
        raise ValueError(f"unpacked size: expected at most {MAX_BYTES} bytes, got more")
    return head + bytes(rest)


def _parquet(source: BinaryIO, rate: float | None) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(source)
        selected = _column_names(file.schema_arrow.names, rate)
        kinds = {key: file.schema_arrow.field(name).type for key, name in selected.items()}
        n_rows = file.metadata.num_rows
        n_bytes = n_rows * sum(_width(kind) for kind in kinds.values())
        allowed = min(MAX_BYTES, max(SMALL, MAX_RATIO * source.seek(0, io.SEEK_END)))
        if n_bytes > allowed:
            raise ValueError(f"Parquet data: expected at most {allowed} bytes in memory, got {n_bytes}")
        texts = [name for key, name in selected.items() if key == "annotation" and not pa.types.is_integer(kinds[key])]
        owners = {name: Owners(name) for name in filter(is_owner, file.schema_arrow.names)}
        texts += [name for name in owners if pa.types.is_string(file.schema_arrow.field(name).type)]
        if texts:
            source.seek(0)
            file = pq.ParquetFile(source, read_dictionary=texts)  # each text once, not once per row
        columns: dict[str, Any] = {key: np.empty(n_rows, _dtype(kind)) for key, kind in kinds.items() if _dtype(kind)}
        others: dict[str, Any] = {key: gathered(key) for key in kinds if key not in columns}
        clock = _Clock()
        row = 0
        names = list(dict.fromkeys([*selected.values(), *owners]))
        for batch in file.iter_batches(batch_size=1 << 16, columns=names, use_threads=False):
            for name, owner in owners.items():
                owner.check_column(batch.column(name))
            rows = slice(row, row + batch.num_rows)
            row += batch.num_rows
            for key, name in selected.items():
                column = batch.column(name)
                if key in others:
                    others[key].add(column)
                elif pa.types.is_timestamp(kinds[key]):
                    columns[key][rows] = clock.local(column)
                else:
                    columns[key][rows] = _values(column)
        columns.update({key: other.all() for key, other in others.items()})
        columns["names"] = [selected.get("time", ""), selected.get("x", selected.get("xyz", "x"))]
        return columns
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


def _width(kind: Any) -> int:
    """Return the bytes in memory of a column's value: of numbers in Arrow and in NumPy, 64 for a text."""
    import pyarrow as pa

    try:
        return int(kind.bit_width) // 8 + 4
    except ValueError:
        return 8 if pa.types.is_dictionary(kind) else 64


def _dtype(kind: Any) -> str:
    """Return the NumPy type of a column, or "" if it does not hold numbers."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return "datetime64[ns]"
    return str(np.dtype(kind.to_pandas_dtype())) if pa.types.is_integer(kind) or pa.types.is_floating(kind) else ""


def _values(column: Any) -> NDArray[Any]:
    """Return numbers or times of Arrow as NumPy's, missing ones as NaN or NaT.

    PyArrow's own conversion imports pandas, which takes half a second, and loses a Ctrl-C of that time.
    """
    dtype = _dtype(column.type)
    bits, data = column.buffers()
    if data is None:
        return np.empty(len(column), dtype)
    stored = np.frombuffer(data, dtype)[column.offset :][: len(column)]
    if not column.null_count:
        return stored
    valid = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[column.offset :][: len(column)]
    return np.where(valid == 1, stored, np.array("NaT", dtype) if dtype.startswith("datetime") else np.nan)


class _Clock:
    """Local times with the UTC offset of the first time, so that daylight saving makes no jump."""

    def __init__(self) -> None:
        self.ahead: np.timedelta64 | None = None

    def local(self, column: Any) -> NDArray[np.datetime64]:
        import pyarrow as pa
        import pyarrow.compute as pc

        utc = _values(pc.cast(column, pa.timestamp("ns", tz=column.type.tz)))
        if column.type.tz is None:
            return utc
        if self.ahead is None and len(known := column.drop_null()):
            first = known.slice(0, 1).cast(pa.timestamp("ns", tz=column.type.tz))
            ahead = pc.local_timestamp(first).view(pa.int64())[0].as_py() - first.view(pa.int64())[0].as_py()
            self.ahead = np.timedelta64(ahead, "ns")
        return utc if self.ahead is None else np.asarray(utc + self.ahead, "datetime64[ns]")


def _npz(source: BinaryIO, rate: float | None) -> dict[str, Any]:
    with zipfile.ZipFile(source) as archive:
        n_bytes = sum(member.file_size for member in archive.infolist())
    if n_bytes > MAX_BYTES:
        raise ValueError(f"NPZ data: expected at most {MAX_BYTES} bytes, got {n_bytes}")
    source.seek(0)
    with np.load(source, allow_pickle=False) as stored:
        selected = _column_names(stored.files, rate)
        columns: dict[str, Any] = {key: np.asarray(stored[name]) for key, name in selected.items()}
        for name in filter(is_owner, stored.files):
            Owners(name).check(_unpickled(stored, name))
    planar = columns.pop("xyz", None)
    if planar is not None:
        columns.update(zip(_AXES, _planar(planar), strict=True))
    columns["names"] = [selected.get("time", ""), selected.get("x", selected.get("xyz", "x"))]
    return columns


def _unpickled(stored: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(stored[name])
    except ValueError as error:
        raise ValueError(f"{name}: expected numbers or texts, got Python objects, which are not read") from error


def _planar(values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim != 2 or 3 not in values.shape:
        raise ValueError(f"acceleration: expected [n, 3] or [3, n], got {list(values.shape)}")
    return values if values.shape[0] == 3 else values.T


def _column_names(names: list[str], rate: float | None) -> dict[str, str]:
    """Return the name in the file of each known column; where the rate is stated, time may be missing."""
    lower = {name.lower(): name for name in reversed(names)}
    selected = {}
    for key, spellings in {**_NAMES, "xyz": ("xyz", "acceleration", "acc")}.items():
        name = next((lower[s] for s in spellings if s in lower), None)
        if name is not None:
            selected[key] = name
    for axis in _AXES:
        matches = [lower[name] for name in (*_NAMES[axis], "xyz", "acceleration", "acc") if name in lower]
        if len(matches) > 1:
            raise ValueError(f"columns: expected one column of acceleration for each axis, got {', '.join(matches)}")
    missing = [key for key in _AXES if key not in selected and "xyz" not in selected]
    missing += ["time"] if "time" not in selected and rate is None else []
    if missing:
        hint = "; or give rate=" if missing == ["time"] else ""
        raise ValueError(f"columns: expected time, x, y and z, got {names[:20]} (missing: {', '.join(missing)}{hint})")
    return selected


def _ready(columns: Columns, rate: float | None) -> tuple[dict[str, Any], list[str], list[tuple[str, str]]]:
    """Return the columns in the form of the native reader, and the labels of the annotations."""
    names = columns.pop("names", ["time", "x"])
    if "time" not in columns and rate is not None:
        columns["time"] = np.round(np.arange(len(columns["x"])) * (1e9 / rate)).astype("datetime64[ns]")
    ready: dict[str, Any] = {"names": names, **_times(columns["time"])}
    n = len(columns["time"])
    for name in _FLOATS:
        if name in columns:
            if np.asarray(columns[name]).dtype.kind == "c":
                raise ValueError(f"{name}: expected real numbers, got complex ones")
            ready[name] = np.ascontiguousarray(columns[name], dtype=np.float32)
            if ready[name].shape != (n,):
                raise ValueError(f"{name}: expected [{n}] like time, got {list(ready[name].shape)}")
    if any(f"gyro_{axis}" not in ready for axis in _AXES):
        for axis in _AXES:
            ready.pop(f"gyro_{axis}", None)
    labels: list[str] = []
    if "annotation" in columns:
        labels, ready["annotation"] = _coded(columns["annotation"])
    return ready, labels, []


def _coded(annotations: Any) -> tuple[list[str], NDArray[np.int32]]:
    """Return the labels in alphabetical order, and each row's index among them; -1 if missing."""
    if isinstance(annotations, tuple):
        values, codes = annotations
    else:
        values, codes = np.unique(np.asarray(annotations).astype(str), return_inverse=True)
        values = values.tolist()
    texts = ["" if value is None or value == "nan" else str(value) for value in values]
    labels = sorted({text for text in texts if text})
    positions = {label: position for position, label in enumerate(labels)}
    table = np.array([*(positions.get(text, -1) for text in texts), -1], dtype=np.int32)
    return labels, table[codes]


def _times(time: Any) -> dict[str, Any]:
    """Return the times in one of the forms of the native reader."""
    if isinstance(time, list):
        return {"time_text": time}
    if time.ndim != 1 or len(time) == 0:
        raise ValueError(f"time: expected [n] with n >= 1, got {list(time.shape)}")
    if np.issubdtype(time.dtype, np.datetime64):
        return {"time": np.ascontiguousarray(_in_ns(time).astype(np.int64))}
    if time.dtype.kind in "OUS":
        return {"time_text": [str(text) for text in time.tolist()]}
    if time.dtype.kind == "f":
        return {"time_real": np.ascontiguousarray(time, dtype=np.float64)}
    if time.dtype.kind not in "iu":
        raise ValueError(f"time: expected datetimes, numbers or texts, got {time.dtype}")
    if time.dtype.kind == "u":  # what 64 bits with a sign cannot hold is missing
        time = np.where(time > np.iinfo(np.int64).max, np.iinfo(np.int64).min, time.astype(np.int64))
    return {"time_whole": np.ascontiguousarray(time).astype(np.int64)}


def _in_ns(time: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Return times in ns; one that 64 bits cannot hold is missing. NumPy's own conversion wraps it to another date."""
    ns = time.astype("datetime64[ns]")
    coarser = np.datetime_data(time.dtype)[0] not in ("ns", "ps", "fs", "as")
    if coarser:
        ns[ns.astype(time.dtype) != time] = np.datetime64("NaT")
    return ns

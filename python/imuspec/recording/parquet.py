"""Parquet files batch by batch."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from imuspec.recording.owners import Owners, is_owner
from imuspec.recording.table import PIECE, Table, column_names

__all__ = ["read_parquet"]

MAX_RATIO = 1032  # largest ratio of bytes in memory to bytes in the file, the limit of deflate
SMALL = 64 << 20  # bytes in memory that are allowed for any file
_STREAMED: dict[str, Any] = {"buffer_size": 1 << 20, "pre_buffer": False}  # else whole row groups are held


def read_parquet(source: BinaryIO, table: Table, rate: float | None, most: int) -> None:
    """Append the columns of a Parquet file to a table.

    Parameters
    ----------
    source : binary file
        The file.
    table : Table
        The table.
    rate : float or None
        Rows per second; if it is given, time may be missing.
    most : int
        Most bytes that the columns may take.

    Raises
    ------
    ValueError
        If the file is damaged, too large or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(source, **_STREAMED)
        selected = column_names(file.schema_arrow.names, rate)
        kinds = {key: file.schema_arrow.field(name).type for key, name in selected.items()}
        n_bytes = file.metadata.num_rows * sum(_width(kind) for kind in kinds.values())
        allowed = min(most, max(SMALL, MAX_RATIO * source.seek(0, io.SEEK_END)))
        if n_bytes > allowed:
            raise ValueError(f"Parquet data: expected at most {allowed} bytes in memory, got {n_bytes}")
        for key, kind in kinds.items():
            if not _dtype(kind) and key not in ("time", "annotation"):
                raise ValueError(f"{key}: expected numbers, got another type")
        texts = [name for key, name in selected.items() if key == "annotation" and not pa.types.is_integer(kinds[key])]
        owners = {name: Owners(name) for name in filter(is_owner, file.schema_arrow.names)}
        texts += [name for name in owners if pa.types.is_string(file.schema_arrow.field(name).type)]
        if texts:
            source.seek(0)
            file = pq.ParquetFile(source, read_dictionary=texts, **_STREAMED)  # each text once, not once per row
        table.name(selected)
        clock = _Clock()
        names = list(dict.fromkeys([*selected.values(), *owners]))
        for batch in file.iter_batches(batch_size=PIECE, columns=names, use_threads=False):
            for name, owner in owners.items():
                owner.check_column(batch.column(name))
            for key, name in selected.items():
                column = batch.column(name)
                if key == "time":
                    table.add(key, _times(column, clock))
                else:
                    table.add(key, column if key == "annotation" else _values(column, np.nan))
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


def _times(column: Any, clock: _Clock) -> Any:
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        return clock.local(column)
    if _dtype(column.type):
        missing = np.nan if pa.types.is_floating(column.type) else np.iinfo(np.int64).min
        return _values(column, missing)
    return ["" if text is None else str(text) for text in column.to_pylist()]


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


def _values(column: Any, missing: Any) -> NDArray[Any]:
    """Return numbers or times of Arrow as NumPy's, with another number in place of missing ones.

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
    return np.where(valid == 1, stored, missing)


class _Clock:
    """Local times with the UTC offset of the first time, so that daylight saving makes no jump."""

    def __init__(self) -> None:
        self.ahead: np.timedelta64 | None = None

    def local(self, column: Any) -> NDArray[np.datetime64]:
        import pyarrow as pa
        import pyarrow.compute as pc

        utc = _values(pc.cast(column, pa.timestamp("ns", tz=column.type.tz)), np.datetime64("NaT", "ns"))
        if column.type.tz is None:
            return utc
        if self.ahead is None and len(known := column.drop_null()):
            first = known.slice(0, 1).cast(pa.timestamp("ns", tz=column.type.tz))
            ahead = pc.local_timestamp(first).view(pa.int64())[0].as_py() - first.view(pa.int64())[0].as_py()
            self.ahead = np.timedelta64(ahead, "ns")
        return utc if self.ahead is None else np.asarray(utc + self.ahead, "datetime64[ns]")

"""A cohort's calibrated wear as Parquet or CSV files, one for each recording, for other tools.

::

    OUT/
      ID.parquet or ID.csv          the wear of one recording; docs/reference/columns.md lists the columns
      recordings.parquet or .csv    every recording of the cohort, the excluded and failed ones with their reason
      export.jsonl                  what has been written, a line for each file; --resume reads it
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from imuspec.cohort.cohort import Cohort
from imuspec.storage import atomic_path, is_remote, remove_partial, write_atomically

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Exported", "export_cohort"]

Format = Literal["parquet", "csv"]
_LEDGER = "export.jsonl"
_INDEX = "recordings"
_SLAB = 1 << 18  # rows in memory at once


class Exported(NamedTuple):
    """One recording: its file and rows, and whether an earlier run wrote it; or the reason why it has no file."""

    id: str
    path: Path | None
    n_rows: int
    done_before: bool
    reason: str


def export_cohort(
    cohort: Cohort,
    out: str | Path,
    ids: Sequence[str] = (),
    *,
    file_format: Format = "parquet",
    resume: bool = False,
    progress: Callable[[Exported], None] | None = None,
) -> list[Exported]:
    """Write the wear that a cohort keeps, a file for each recording, and a table of all recordings.

    A file appears whole or not at all. At most some 262,144 rows are in memory at once.

    Parameters
    ----------
    cohort : Cohort
        The source. It is only read.
    out : str or Path
        A folder on a disk, new, empty, or of an earlier export of the same format.
    ids : sequence of str, default ()
        Recordings to write; empty: all of the cohort.
    file_format : {"parquet", "csv"}, default "parquet"
        Kind of the files.
    resume : bool, default False
        Keep the files of an earlier run whose recordings have not changed since.
    progress : callable, default None
        Called with each recording.

    Returns
    -------
    list of Exported
        One for each recording asked for, in the order of the ids; those that are not ok without a file.

    Raises
    ------
    KeyError
        If an id is not in the cohort. Nothing is written then.
    ValueError
        If `out` is a URL, a file, inside the cohort, or holds other files.
    """
    rows = {row["id"]: row for row in cohort.outcomes.select(["id", "status", "reason"]).to_pylist()}
    for identity in ids:
        if identity not in rows:
            raise KeyError(f"cohort {cohort.path}: expected one of its {len(rows)} recordings, got {identity!r}")
    folder, done = _opened(cohort, out, file_format, resume=resume)
    exported = []
    for identity in dict.fromkeys(ids or sorted(rows)):
        row = rows[identity]
        if row["status"] != "ok":
            one = Exported(identity, None, 0, False, f"{row['status']}: {row['reason']}")
        else:
            one = _one(cohort, identity, folder, file_format, done)
        exported.append(one)
        if progress is not None:
            progress(one)
    _write_index(cohort, folder, file_format)
    return exported


def _opened(
    cohort: Cohort, out: str | Path, file_format: Format, *, resume: bool
) -> tuple[Path, dict[str, dict[str, Any]]]:
    """Return the folder, and what an earlier run wrote into it."""
    if file_format not in ("parquet", "csv"):
        raise ValueError(f"file_format: expected parquet or csv, got {file_format!r}")
    if is_remote(out):
        raise ValueError(f"out: expected a folder on a disk, got {out}")
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out: expected a folder, got the file {folder}")
    if not is_remote(cohort.path) and folder.resolve().is_relative_to(cohort.path.resolve()):
        raise ValueError(f"out: expected a folder outside the cohort, got {folder}")
    ledger = folder / _LEDGER
    others = sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.exists() else []
    if others and not ledger.is_file():
        raise ValueError(f"out: expected a new or an empty folder, or an export, got {folder} with {others[0]}")
    if others and not resume:
        raise ValueError(f"out: {folder} holds an export already; --resume writes what is missing")
    folder.mkdir(parents=True, exist_ok=True)
    remove_partial(folder)
    done = {row["id"]: row for row in _lines(ledger)}
    formats = {row["format"] for row in done.values()}
    if formats - {file_format}:
        raise ValueError(f"file_format: expected {formats.pop()}, as of the export in {folder}, got {file_format}")
    # A line that a killed process left half written must not join the next one.
    write_atomically(ledger, "".join(f"{json.dumps(row)}\n" for row in done.values()).encode())
    return folder, done


def _lines(ledger: Path) -> Iterator[dict[str, Any]]:
    for line in ledger.read_text("utf-8", "replace").splitlines() if ledger.is_file() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and {"id", "format", "sha256", "size_bytes", "n_rows"} <= row.keys():
            yield row


def _one(cohort: Cohort, identity: str, folder: Path, file_format: Format, done: dict[str, dict[str, Any]]) -> Exported:
    """Write the wear of one recording, unless its file is there and of the same samples."""
    path = folder / _file_name(identity, file_format)
    sha256 = cohort.checksum(identity)
    before = done.get(identity)
    if before and before["sha256"] == sha256 and path.is_file() and path.stat().st_size == before["size_bytes"]:
        return Exported(identity, path, before["n_rows"], True, "")
    n_rows = 0
    with atomic_path(path) as waiting, _writer(waiting, file_format) as writer:
        for table in _slabs(cohort, identity, file_format):
            writer.write_table(table)
            n_rows += table.num_rows
    row = {"id": identity, "format": file_format, "sha256": sha256, "n_rows": n_rows, "size_bytes": path.stat().st_size}
    with (folder / _LEDGER).open("a", encoding="utf-8") as ledger:
        ledger.write(f"{json.dumps(row)}\n")
        ledger.flush()
        os.fsync(ledger.fileno())
    return Exported(identity, path, n_rows, False, "")


def _file_name(identity: str, file_format: Format) -> str:
    """Name the file of a recording; one called as the table of all gets an underscore, which no id begins with."""
    return f"{'_' if identity.casefold() == _INDEX else ''}{identity}.{file_format}"


def _schema(file_format: Format) -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        {
            "time_ns": pa.int64(),
            "time": pa.timestamp("ns" if file_format == "parquet" else "ms"),
            "x_g": pa.float32(),
            "y_g": pa.float32(),
            "z_g": pa.float32(),
            "segment": pa.int32(),
        }
    )


def _writer(path: Path, file_format: Format) -> Any:
    if file_format == "parquet":
        import pyarrow.parquet as pq

        return pq.ParquetWriter(path, _schema(file_format), compression="zstd")
    from pyarrow import csv

    return csv.CSVWriter(path, _schema(file_format))


def _slabs(cohort: Cohort, identity: str, file_format: Format) -> Iterator[pa.Table]:
    """Yield the rows of a recording's selected wear in order, in batches."""
    import pyarrow as pa

    schema = _schema(file_format)
    for number, (first, stop) in enumerate(cohort.stretches(identity)):
        for begin in range(first, stop, _SLAB):
            end = min(begin + _SLAB, stop)
            values = cohort.samples(identity, begin, end)
            times = cohort.times(identity, begin, end)
            shown = times if file_format == "parquet" else times // 1_000_000
            columns = [
                pa.array(times),
                pa.array(shown).cast(schema.field("time").type),
                *(pa.array(axis, from_pandas=True) for axis in values),  # NaN is null: nothing was measured
                pa.array(np.full(end - begin, number, np.int32)),
            ]
            yield pa.table(columns, schema=schema)


def _write_index(cohort: Cohort, folder: Path, file_format: Format) -> None:
    """Write the table of all recordings, with the file of each that has one."""
    import pyarrow as pa

    written = {row["id"]: row["n_rows"] for row in _lines(folder / _LEDGER)}
    outcomes = {row["id"]: row for row in cohort.outcomes.to_pylist()}
    names = ["id", "status", "device", "device_id", "start_time", "rate_hz", "duration_h", "wear_h", "calibration_ok"]
    table = cohort.recordings.select(names)
    ids = table["id"].to_pylist()
    table = table.append_column("reason", pa.array([outcomes[i]["reason"] for i in ids], pa.string()))
    files = [_file_name(i, file_format) if i in written else None for i in ids]
    table = table.append_column("file", pa.array(files, pa.string()))
    table = table.append_column("n_rows", pa.array([written.get(i) for i in ids], pa.int64()))
    if file_format == "csv":
        start = names.index("start_time")
        table = table.set_column(start, "start_time", table["start_time"].cast(pa.timestamp("ms"), safe=False))
    with atomic_path(folder / f"{_INDEX}.{file_format}") as waiting:
        if file_format == "parquet":
            import pyarrow.parquet as pq

            pq.write_table(table, waiting, compression="zstd")
        else:
            from pyarrow import csv

            csv.write_csv(table, waiting)

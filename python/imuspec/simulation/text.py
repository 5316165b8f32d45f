"""Recordings as text: exports of OmGui and ActiLife, participants of Capture-24 and NHANES, and plain columns."""

from __future__ import annotations

import bz2
import io
import secrets
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imuspec.simulation.checking import checked, rate_of, wall_clock
from imuspec.simulation.storing import replacing

__all__ = ["write_actilife_csv", "write_capture24_csv", "write_csv", "write_nhanes", "write_omgui_csv"]


def write_csv(path: str | Path, acceleration: ArrayLike, time: ArrayLike) -> None:
    """Write columns ``time,x,y,z`` under a header: local time to the ms, g to six decimals.

    Parameters
    ----------
    path : path-like
        The file, ``.csv``, or ``.csv.gz`` / ``.csv.zip``.
    acceleration, time : array_like
        [3, n] in g; int64 [n], ns.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_csv(f"{folder}/a.csv", [[0.5] * 2] * 3, [0, 10**7])
    ...     Path(f"{folder}/a.csv").read_text().split()[1:3]
    ['1970-01-01', '00:00:00.000,0.500000,0.500000,0.500000']
    """
    values, stamps = checked(acceleration, time)
    _save(path, ["time,x,y,z"], [wall_clock(stamps), *_decimals(values, 6)])


def write_omgui_csv(
    path: str | Path,
    acceleration: ArrayLike,
    time: ArrayLike,
    *,
    gyroscope: ArrayLike | None = None,
    unix_time: bool = False,
) -> None:
    """Write an export of OmGui: no header; columns time, gyroscope (degrees/s) if given, and acceleration (g).

    Parameters
    ----------
    path : path-like
        The file, ``.csv``, or ``.csv.gz`` / ``.csv.zip``.
    acceleration, time : array_like
        [3, n] in g; int64 [n], ns.
    gyroscope : array_like, optional
        [3, n], degrees/s.
    unix_time : bool, default False
        Write seconds since 1970 with four decimals in place of ``2023-05-15 10:00:00.000``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_omgui_csv(f"{folder}/a.csv", [[0.5] * 2] * 3, [0, 10**7], unix_time=True)
    ...     Path(f"{folder}/a.csv").read_text().split()[1]
    '0.0100,0.500000,0.500000,0.500000'
    """
    values, stamps = checked(acceleration, time)
    tenths = stamps // 100_000
    times = [f"{t // 10_000}.{t % 10_000:04d}" for t in tenths.tolist()] if unix_time else wall_clock(stamps)
    rotation = [] if gyroscope is None else _decimals(checked(gyroscope, time)[0], 6)
    _save(path, [], [times, *rotation, *_decimals(values, 6)])


def write_actilife_csv(
    path: str | Path, acceleration: ArrayLike, time: ArrayLike, *, column_names: bool = False
) -> None:
    """Write an export of raw data of ActiLife: ten header lines, then x,y,z in g without times.

    Parameters
    ----------
    path : path-like
        The file, ``.csv``, or ``.csv.gz`` / ``.csv.zip``.
    acceleration, time : array_like
        [3, n] in g; int64 [n], ns, evenly spaced. The header has the second of the first sample and the rate in whole Hz.
    column_names : bool, default False
        Whether an eleventh line names the columns, as some versions do.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_actilife_csv(f"{folder}/a.csv", [[0.5] * 2] * 3, [0, 33333333])
    ...     Path(f"{folder}/a.csv").read_text().splitlines()[2:4]
    ['Start Time 00:00:00', 'Start Date 1/1/1970']
    """
    values, stamps = checked(acceleration, time)
    day, clock = wall_clock(stamps[:1], "s")[0].split()
    year, month, of_month = (int(part) for part in day.split("-"))
    about = f"ActiLife v6.13.4 Firmware v1.7.2 date format M/d/yyyy at {round(rate_of(stamps))} Hz  Filter Normal"
    lines = [
        f"------------ Data File Created By ActiGraph Link {about} -----------",
        "Serial Number: TAS1E47150641",
        f"Start Time {clock}",
        f"Start Date {month}/{of_month}/{year}",
        "Epoch Period (hh:mm:ss) 00:00:00",
        "Download Time 12:00:00",
        f"Download Date {month}/{of_month}/{year + 1}",
        "Current Memory Address: 0",
        "Current Battery Voltage: 4.12     Mode = 12",
        "-" * 50,
    ]
    if column_names:
        lines.append("Accelerometer X,Accelerometer Y,Accelerometer Z")
    _save(path, lines, _decimals(values, 3))


def write_capture24_csv(path: str | Path, acceleration: ArrayLike, time: ArrayLike, annotation: Sequence[str]) -> None:
    """Write a participant of Capture-24: ``time,x,y,z,annotation``, local time to the microsecond.

    Parameters
    ----------
    path : path-like
        The file, ``P001.csv.gz`` for instance.
    acceleration, time : array_like
        [3, n] in g; int64 [n], ns.
    annotation : sequence of str
        Annotation of each sample, as ``"7030 sleeping;MET 0.95"``; empty if unknown.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_capture24_csv(f"{folder}/a.csv", [[0.5] * 2] * 3, [0, 10**7], ["sleep", ""])
    ...     Path(f"{folder}/a.csv").read_text().splitlines()[2]
    '1970-01-01 00:00:00.010000,0.50000000,0.50000000,0.50000000,'
    """
    values, stamps = checked(acceleration, time)
    if len(annotation) != len(stamps):
        raise ValueError(f"annotation: expected {len(stamps)}, one for each sample, got {len(annotation)}")
    _save(path, ["time,x,y,z,annotation"], [wall_clock(stamps, "us"), *_decimals(values, 8), list(annotation)])


def write_nhanes(path: str | Path, acceleration: ArrayLike, time: ArrayLike, *, participant: int = 62161) -> int:
    """Write a participant of NHANES 2011-2014: one .csv per clock hour, and a log of quality flags.

    Parameters
    ----------
    path : path-like
        A new folder, or an archive if the name ends with ``.tar.bz2``.
    acceleration, time : array_like
        [3, n] in g; int64 [n], ns (in the year 2000 in the real set).
    participant : int, default 62161
        The SEQN in the log.

    Returns
    -------
    int
        Number of hours written.

    Raises
    ------
    FileExistsError
        If the folder exists.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_nhanes(f"{folder}/62161", np.zeros((3, 5)), np.arange(5) * 10**12)
    2
    """
    values, stamps = checked(acceleration, time)
    path = Path(path)
    members = list(_hours(values, stamps, participant))
    if path.name.lower().endswith(".tar.bz2"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, content in members:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        with replacing(path) as file:
            file.write(bz2.compress(buffer.getvalue()))
        return len(members) - 1
    if path.exists():
        raise FileExistsError(f"path: {str(path)!r} already exists")
    partial = path.with_name(f".{secrets.token_hex(6)}.part")
    try:
        partial.mkdir(parents=True)
        for name, content in members:
            (partial / name).write_bytes(content)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return len(members) - 1


def _hours(values: NDArray[np.float32], stamps: NDArray[np.int64], participant: int) -> Iterator[tuple[str, bytes]]:
    hour = stamps // (3600 * 10**9)
    starts = np.flatnonzero(np.concatenate([[True], hour[1:] != hour[:-1]]))
    for lo, hi in zip(starts, [*starts[1:], len(hour)], strict=True):
        # Named after its hour; the first one after its first sample.
        start_time = wall_clock(np.array([stamps[0] if lo == 0 else hour[lo] * 3600 * 10**9]))[0]
        stamp = start_time.replace(" ", "-").replace(":", "-").replace(".", "-")
        name = f"GT3XPLUS-AccelerationCalibrated-2x5x0.NEO1F09120034.{stamp}-P0000.sensor.csv"
        columns = [wall_clock(stamps[lo:hi]), *_decimals(values[:, lo:hi], 3)]
        yield name, _text(["HEADER_TIMESTAMP,X,Y,Z"], columns)
    log = ["SEQN,DAY_OF_DATA,START_TIME,END_TIME,DATA_QUALITY_FLAG_CODE,DATA_QUALITY_FLAG_VALUE"]
    yield f"{participant}_log.csv", _text(log, [])


def _decimals(values: NDArray[np.float32], decimals: int) -> list[list[str]]:
    return [[f"{value:.{decimals}f}" for value in axis] for axis in values.tolist()]


def _text(header: list[str], columns: list[list[str]]) -> bytes:
    rows = [",".join(row) for row in zip(*columns, strict=True)]
    return ("\n".join([*header, *rows]) + "\n").encode()


def _save(path: str | Path, header: list[str], columns: list[list[str]]) -> None:
    with replacing(path) as file:
        file.write(_text(header, columns))

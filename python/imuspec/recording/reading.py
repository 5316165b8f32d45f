"""`read`: a device file of any supported format to a `Recording`."""

from __future__ import annotations

import math
import os
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from imuspec import _core
from imuspec.recording.columns import read_columns
from imuspec.recording.quality import Event, Quality
from imuspec.recording.recording import Blocks, Recording, Timestamps

__all__ = ["DateOrder", "Unit", "read"]

DateOrder = Literal["auto", "day_first", "month_first"]
Unit = Literal["auto", "g", "mg", "m/s2"]


def read(
    path: str | os.PathLike[str],
    timestamps: Timestamps = "device",
    *,
    date_order: DateOrder = "auto",
    unit: Unit = "auto",
    rate: float | None = None,
) -> Recording:
    """Read a device file of any supported format. The content decides on the format, not the name.

    The formats are Axivity CWA, GENEActiv .bin, ActiGraph .gt3x, Matrix .bin, CSV of several makers, NHANES participants
    (tar.bz2 or folder), Parquet and NPZ; each also inside .gz or .zip, which are streamed.

    Parameters
    ----------
    path : path-like
        The file (for NHANES also the folder).
    timestamps : {"device", "actipy"}, default "device"
        "device": the stamp of each block with its fraction and offset, piecewise linear between stamps inside a run. A run
        ends at every sequence break, restart and clock jump. A single stamp that is off by one whole sample is moved to the
        line of its neighbours. "actipy": the times and rows of actipy 3.8.3, cut to whole milliseconds; rows that are not
        later than all rows before them are dropped and counted. Values have the same bits in both.
    date_order : {"auto", "day_first", "month_first"}, default "auto"
        Order of ambiguous dates (tables, GENEActiv). "auto": month first in tables, day first in GENEActiv files, with the
        event ``assumed_date_order``. If the dates of a table show another order, that order is used, with the event
        ``date_order_disagrees``.
    unit : {"auto", "g", "mg", "m/s2"}, default "auto"
        Unit of the acceleration in a table (CSV, Parquet, NPZ); it overrides the header. "auto": the unit of the header,
        else by the norm. Values that do not fit the unit cause the event ``unit_disagrees``. Device files state their unit.
    rate : float, default None
        Rows per second (Hz) of a table without usable times: row numbers, no time column, times without resolution. The
        first row is then at 1970-01-01, with the event ``no_date``. Times that the rows state are used in any case, with
        the event ``stated_rate_disagrees`` where they show another rate. None: such tables are refused.

    Returns
    -------
    Recording
        Everything that could be read; ``quality`` lists the rest.

    Raises
    ------
    RecordingError
        If the file is not a recording, or nothing in it can be read. The message names path, byte offset and reason.
    ValueError
        If `timestamps`, `date_order` or `unit` is not one of its values, or `rate` is not positive and finite.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import imuspec
    >>> recording = imuspec.read("sample.cwa")  # doctest: +SKIP
    >>> recording.acceleration.shape, recording.sample_rate  # doctest: +SKIP
    """
    for argument, word, kind in (
        ("timestamps", timestamps, Timestamps),
        ("date_order", date_order, DateOrder),
        ("unit", unit, Unit),
    ):
        if word not in get_args(kind):
            *others, last = map(repr, get_args(kind))
            raise ValueError(f"{argument}: expected {', '.join(others)} or {last}, got {word!r}")
    if rate is not None and not 0 < rate < math.inf:
        raise ValueError(f"rate: expected a positive number of Hz, got {rate!r}")
    name = os.fspath(path)
    columns = read_columns(name, timestamps, date_order=date_order, unit=unit, rate=rate)
    raw = _core.read(name, timestamps, date_order, unit, rate) if columns is None else columns
    return _recording(name, timestamps, raw)


def _recording(path: str, timestamps: Timestamps, raw: dict[str, Any]) -> Recording:
    n, capacity, header = raw["n"], raw["capacity"], raw["header"]

    def planar(name: str) -> NDArray[np.float32] | None:
        return raw[name].reshape(3, capacity)[:, :n] if name in raw else None

    time = raw["time"][:n]
    starts = raw["run_starts"].astype(np.int64)
    runs = np.stack([starts, np.append(starts[1:], n)], axis=-1).reshape(-1, 2) if n else np.empty((0, 2), np.int64)
    acceleration = planar("xyz")
    assert acceleration is not None
    rate = raw["sample_rate"]
    return Recording(
        acceleration=acceleration,
        time=time,
        runs=runs,
        sample_rate=rate if math.isfinite(rate) else _measured_rate(time, runs, header["nominal_rate"]),
        nominal_rate=header["nominal_rate"],
        path=path,
        format=header["format"],
        device=header["device"],
        device_id=header["device_id"],
        metadata=header["metadata"],
        identifying=header["identifying"],
        quality=Quality(raw["counts"], tuple(Event(*row) for row in raw["events"])),
        gyroscope=planar("gyro"),
        annotation=raw.get("annotation"),
        annotation_labels=tuple(header["labels"]),
        blocks=Blocks(**raw["blocks"]),
        timestamps=timestamps,
        worst_stamp_residual_ms=raw["worst_stamp_residual_ms"],
        still_norm=raw["still_norm"],
        damaged_share=raw["damaged_share"],
        sample_temperature=raw.get("temperature"),
        sample_light=raw.get("light"),
    )


def _measured_rate(time: NDArray[np.int64], runs: NDArray[np.int64], nominal: float) -> float:
    """Return the mean rate over all runs, for files whose stamps do not show it."""
    first, last = time[runs[:, 0]], time[runs[:, 1] - 1]
    seconds = float((last - first).sum()) / 1e9
    return float((runs[:, 1] - runs[:, 0] - 1).sum()) / seconds if seconds > 0 else nominal

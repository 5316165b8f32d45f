"""The columns of a Parquet or NPZ file: their names, and their values piece by piece on the way into the native core."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imuspec import _core
from imuspec.recording.labels import Labels

__all__ = ["AXES", "PIECE", "Table", "column_names"]

PIECE = 1 << 16  # rows that are handed over at once
_MISSING = np.iinfo(np.int64).min
AXES = ("x", "y", "z")
_NAMES = {
    "time": ("time", "timestamp", "header_timestamp", "datetime", "__index_level_0__"),
    **{axis: (axis, f"acc_{axis}", f"accel_{axis}", f"accelerometer_{axis}", f"acceleration_{axis}") for axis in AXES},
    **{f"gyro_{axis}": (f"gyro_{axis}", f"gyr_{axis}", f"gyroscope_{axis}") for axis in AXES},
    "temperature": ("temperature", "temp"),
    "light": ("light", "lux"),
    "annotation": ("annotation", "label", "activity"),
}


class Table:
    """The columns of one file in the native core.

    Parameters
    ----------
    path : path-like
        The file.
    rate : float, default None
        Rows per second of a table without times, Hz.
    folder : Path, default None
        Folder of nameless temporary files for columns beyond 8 MB each. By default memory holds all.

    Attributes
    ----------
    native : imuspec._core.Table
        The columns.
    names : [str, str]
        Names in the file of the columns of time and of x.
    labels : list of str
        The annotations in alphabetical order, after `finish`.
    """

    def __init__(self, path: str | os.PathLike[str], rate: float | None, folder: Path | None) -> None:
        self.native = _core.Table(str(path), folder)
        self.names = ["", "x"]
        self.labels: list[str] = []
        self._rate = rate
        self._n: dict[str, int] = {}
        self._annotations = Labels()

    def name(self, selected: dict[str, str]) -> None:
        """Say what the columns are called in the file, as `column_names` finds them."""
        self.names = [selected.get("time", ""), selected.get("x", selected.get("xyz", "x"))]

    def add(self, key: str, values: Any) -> None:
        """Append values to a column.

        Parameters
        ----------
        key : str
            A key of `column_names` but "xyz".
        values : array [n] or pyarrow.Array
            Numbers, datetimes or texts.

        Raises
        ------
        ValueError
            If the column cannot hold such values.
        """
        self._n[key] = self._n.get(key, 0) + len(values)
        if key == "annotation":
            self.native.append(key, self._annotations.codes(values))
        elif key == "time":
            self._add_times(values)
        else:
            values = np.asarray(values)
            if values.dtype.kind == "c":
                raise ValueError(f"{key}: expected real numbers, got complex ones")
            if values.ndim != 1:
                raise ValueError(f"{key}: expected [n] like time, got {list(values.shape)}")
            with np.errstate(all="ignore"):  # damaged numbers overflow; later checks find the results
                self.native.append(key, np.ascontiguousarray(values, dtype=np.float32))

    def _add_times(self, time: Any) -> None:
        """Append times in one of the forms of the native reader."""
        if isinstance(time, list):
            self.native.append_texts(time)
        elif np.issubdtype(time.dtype, np.datetime64):
            self.native.append("time", np.ascontiguousarray(_in_ns(time).astype(np.int64)))
        elif time.dtype.kind in "OUS":
            self.native.append_texts([str(text) for text in time.tolist()])
        elif time.dtype.kind == "f":
            self.native.append("time_real", np.ascontiguousarray(time, dtype=np.float64))
        elif time.dtype.kind == "u":  # what 64 bits with a sign cannot hold is missing
            self.native.append("time_whole", np.where(time > np.iinfo(np.int64).max, _MISSING, time.astype(np.int64)))
        elif time.dtype.kind == "i":
            self.native.append("time_whole", np.ascontiguousarray(time, dtype=np.int64))
        else:
            raise ValueError(f"time: expected datetimes, numbers or texts, got {time.dtype}")

    def finish(self) -> None:
        """Complete the columns: times of a stated rate, labels in alphabetical order.

        Raises
        ------
        ValueError
            If a column has fewer or more rows than time.
        """
        rate = self._rate
        if "time" not in self._n and rate is not None:
            self._n["time"] = n = self._n["x"]
            for first in range(0, n, PIECE):
                rows = np.arange(first, min(n, first + PIECE))
                self.native.append("time", np.round(rows * (1e9 / rate)).astype(np.int64))
        n = self._n.get("time", 0)
        if n == 0:
            raise ValueError("time: expected [n] with n >= 1, got [0]")
        for key, got in self._n.items():
            if got != n:
                raise ValueError(f"{key}: expected [{n}] like time, got [{got}]")
        self.labels, codes = self._annotations.sorted()
        if "annotation" in self._n:
            self.native.recode(codes)


def column_names(names: list[str], rate: float | None) -> dict[str, str]:
    """Return the name in the file of each known column.

    Parameters
    ----------
    names : list of str
        Columns of the file.
    rate : float or None
        Rows per second. If it is given, time may be missing.

    Returns
    -------
    dict of str to str
        Keys: "time", "x", "y", "z" or "xyz", all three of "gyro_x", ... or none, "temperature", "light", "annotation".

    Raises
    ------
    ValueError
        If time or an axis is missing, or an axis has two columns.
    """
    lower = {name.lower(): name for name in reversed(names)}
    selected = {}
    for key, spellings in {**_NAMES, "xyz": ("xyz", "acceleration", "acc")}.items():
        name = next((lower[s] for s in spellings if s in lower), None)
        if name is not None:
            selected[key] = name
    for axis in AXES:
        matches = [lower[name] for name in (*_NAMES[axis], "xyz", "acceleration", "acc") if name in lower]
        if len(matches) > 1:
            raise ValueError(f"columns: expected one column of acceleration for each axis, got {', '.join(matches)}")
    missing = [key for key in AXES if key not in selected and "xyz" not in selected]
    missing += ["time"] if "time" not in selected and rate is None else []
    if missing:
        hint = "; or give rate=" if missing == ["time"] else ""
        raise ValueError(f"columns: expected time, x, y and z, got {names[:20]} (missing: {', '.join(missing)}{hint})")
    gyro = [f"gyro_{axis}" for axis in AXES]
    if any(key not in selected for key in gyro):
        selected = {key: name for key, name in selected.items() if key not in gyro}
    return selected


def _in_ns(time: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Return times in ns; one that 64 bits cannot hold is missing. NumPy's own conversion wraps it to another date."""
    ns = time.astype("datetime64[ns]")
    coarser = np.datetime_data(time.dtype)[0] not in ("ns", "ps", "fs", "as")
    if coarser:
        ns[ns.astype(time.dtype) != time] = np.datetime64("NaT")
    return ns

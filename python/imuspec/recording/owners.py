"""Columns of a table that name the subject or device of each row."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Owners", "is_owner"]

_MISSING = ("", "none", "nan", "na", "null", "n/a")
_LONG = 512  # rows of a second value, from which a column is no count of packets

#: Names of such columns without their unit, letters and digits alone; rust/device/heading.rs has the same.
_NAMES = frozenset(
    [
        "animal",
        "animalid",
        "device",
        "deviceid",
        "id",
        "participant",
        "participantid",
        "patient",
        "patientid",
        "person",
        "personid",
        "pid",
        "sensor",
        "sensorid",
        "serial",
        "serialnumber",
        "subj",
        "subject",
        "subjectid",
        "user",
        "userid",
        "wearer",
    ]
)


def is_owner(name: str) -> bool:
    """Return whether a column of this name names the subject or device of each row."""
    return re.sub(r"[\W_]", "", re.split(r"[(\[{]", name.lower())[0]) in _NAMES


class Owners:
    """Check that the rows of a table are of one recording, by a column that names a subject or a device.

    Any other text is another subject. A number that rises after fewer than 512 rows counts rows or packets. A column with
    fractions is measured, and is not checked.

    Parameters
    ----------
    name : str
        Name of the column.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._last: NDArray[Any] = np.empty(0)
        self._rows = 0  # of the last value, at the end of what was checked
        self._changed = self._measured = False

    def check_column(self, column: Any) -> None:
        """Check the next rows of an Arrow column. Each text is stored once.

        Parameters
        ----------
        column : pyarrow.Array
            The column's values.

        Raises
        ------
        ValueError
            As `check`.
        """
        import pyarrow as pa

        if pa.types.is_nested(column.type):
            return
        coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        values = np.array([*coded.dictionary.to_pylist(), None], object)
        self.check(values[coded.indices.fill_null(len(values) - 1).to_numpy(zero_copy_only=False)])

    def check(self, values: NDArray[Any]) -> None:
        """Check the next rows.

        Parameters
        ----------
        values : array [n]
            The column's values; missing values are skipped.

        Raises
        ------
        ValueError
            If the rows are of several subjects or devices.
        """
        known = _numbers(values)
        if self._measured or known is None or not known.size:
            return
        if known.dtype.kind == "f" and (known % 1 != 0).any():
            self._measured = True
            return
        before = self._last if self._last.size else known[:1]
        rows = np.concatenate([before, known])
        steps = np.flatnonzero(rows[1:] != rows[:-1])
        counts = rows.dtype.kind in "iuf" and bool((rows[1:][steps] > rows[:-1][steps]).all())
        lengths = np.diff([-self._rows, *steps, known.size])  # of each run, the one that was begun before first
        later = lengths if self._changed else lengths[1:]
        if (steps.size and not counts) or (later >= _LONG).any():
            raise ValueError(
                f"columns: expected rows of one recording, got several subjects or devices in column {self.name}; rename it if "
                "it names neither"
            )
        self._changed |= bool(steps.size)
        self._rows, self._last = int(lengths[-1]), known[-1:]


def _numbers(values: NDArray[Any]) -> NDArray[Any] | None:
    """Return the known values as numbers if all are numbers, else as texts; None for what names nobody."""
    if values.ndim != 1 or values.dtype.kind not in "biufSUO":
        return None
    if values.dtype.kind == "b":
        return values.astype(np.int8)
    if values.dtype.kind in "iu":
        return values
    known: NDArray[Any]
    if values.dtype.kind == "f":
        known = values[~np.isnan(values)]
        return known
    known = values[[str(value).lower() not in _MISSING for value in values.tolist()]]
    try:
        return np.array([float(value) for value in known])
    except (TypeError, ValueError):
        return known.astype(str)

"""Columns of a table that name the subject or device of each row."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Owners", "is_owner"]

#: Names of such columns, letters alone; rust/device/heading.rs has the same.
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
    return re.sub(r"[^a-z]", "", name.lower()) in _NAMES


class Owners:
    """Check that the rows of a table are of one recording; a column that counts rows is accepted.

    Parameters
    ----------
    name : str
        Name of the column.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: NDArray[Any] = np.empty(0)

    def look_at(self, column: Any) -> None:
        """Look at the next rows of an Arrow column; each text is held once.

        Parameters
        ----------
        column : pyarrow.Array
            The column's values.

        Raises
        ------
        ValueError
            As `look`.
        """
        import pyarrow as pa

        if pa.types.is_nested(column.type):
            return
        coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        values = np.array([*coded.dictionary.to_pylist(), None], object)
        self.look(values[coded.indices.fill_null(len(values) - 1).to_numpy(zero_copy_only=False)])

    def look(self, values: NDArray[Any]) -> None:
        """Look at the next rows.

        Parameters
        ----------
        values : array [n]
            The column's values; missing ones are passed over.

        Raises
        ------
        ValueError
            If the rows are of several subjects or devices.
        """
        if values.ndim != 1 or values.dtype.kind not in "biufSUO":
            return
        known = values
        if values.dtype == object:
            known = values[[value is not None for value in values]]
        elif values.dtype.kind == "f":
            known = values[~np.isnan(values)]
        if not known.size:
            return
        first, before = (self.seen[0], self.seen[-1:]) if self.seen.size else (known[0], known[:1])
        rows = np.concatenate([before, known])
        changed = np.flatnonzero(rows != first)
        if changed.size:
            later = rows[changed[0] :]
            if (later[1:] == later[:-1]).any() or (later == first).any():
                raise ValueError(f"columns: expected rows of one recording, got several in column {self.name}")
        self.seen = np.array([first, known[-1]])

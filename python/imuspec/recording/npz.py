"""NPZ files piece by piece."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from imuspec.recording.owners import Owners, is_owner
from imuspec.recording.table import AXES, PIECE, Table, column_names

__all__ = ["read_npz"]

_LONGEST = 1 << 16  # bytes of the longest text that is read


def read_npz(source: BinaryIO, table: Table, rate: float | None, most: int) -> None:
    """Append the arrays of an NPZ file to a table.

    Parameters
    ----------
    source : binary file
        The file.
    table : Table
        The table.
    rate : float or None
        Rows per second; if it is given, time may be missing.
    most : int
        Most bytes that the members of the archive may have.

    Raises
    ------
    ValueError
        If the file is damaged, too large, lacks a column or holds Python objects.
    """
    with zipfile.ZipFile(source) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        n_bytes = sum(member.file_size for member in archive.infolist())
        if n_bytes > most:
            raise ValueError(f"NPZ data: expected at most {most} bytes, got {n_bytes}")
        selected = column_names(list(members), rate)
        table.name(selected)
        for key, name in selected.items():
            with archive.open(members[name]) as stream:
                _Array(name, stream).into(table, key)
        for name in filter(is_owner, members):
            owners = Owners(name)
            with archive.open(members[name]) as stream:
                for values in _Array(name, stream).pieces():
                    owners.check(values)


class _Array:
    """An array of an NPY file that is read from its start to its end.

    Parameters
    ----------
    name : str
        Its name in messages.
    stream : binary file
        The file.
    """

    def __init__(self, name: str, stream: IO[bytes]) -> None:
        read = npy.read_array_header_1_0 if npy.read_magic(stream) == (1, 0) else npy.read_array_header_2_0
        self.name, self.stream = name, stream
        self.shape, self.is_fortran, self.dtype = read(stream)
        if self.dtype.hasobject:
            raise ValueError(f"{name}: expected numbers or texts, got Python objects, which are not read")
        if not 0 < self.dtype.itemsize <= _LONGEST:
            raise ValueError(f"{name}: expected values of 1 to {_LONGEST} bytes, got {self.dtype}")

    def into(self, table: Table, key: str) -> None:
        """Append the values to a column, or those of "xyz" to three."""
        if key != "xyz":
            if len(self.shape) != 1 or self.shape[0] == 0:
                raise ValueError(f"{key}: expected [n] with n >= 1, got {list(self.shape)}")
            for values in self.pieces():
                table.add(key, values)
            return
        if len(self.shape) != 2 or 3 not in self.shape:
            raise ValueError(f"acceleration: expected [n, 3] or [3, n], got {list(self.shape)}")
        is_planar = self.shape[0] == 3
        n = self.shape[1 if is_planar else 0]
        if is_planar != self.is_fortran:  # one axis behind the other
            for axis in AXES:
                for values in self.pieces(n):
                    table.add(axis, values)
        else:
            for values in self.pieces(3 * n):
                for axis, column in zip(AXES, values.reshape(-1, 3).T, strict=True):
                    table.add(axis, column)

    def pieces(self, n: int | None = None) -> Iterator[NDArray[Any]]:
        """Yield the next `n` values, by default all, in the order of the file."""
        left = int(np.prod(self.shape, dtype=object)) if n is None else n
        while left > 0:
            some = min(left, 3 * PIECE)
            content = self.stream.read(some * self.dtype.itemsize)
            if len(content) != some * self.dtype.itemsize:
                raise ValueError(f"{self.name}: expected {left} more values of {self.dtype}, got the end of the file")
            left -= some
            yield np.frombuffer(content, self.dtype)

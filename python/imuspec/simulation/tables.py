"""Recordings as columns of numbers: Parquet and NumPy's .npz."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from imuspec.simulation.checking import checked, rate_of
from imuspec.simulation.storing import replacing

__all__ = ["write_npz", "write_parquet"]


def write_parquet(path: str | Path, acceleration: ArrayLike, time: ArrayLike) -> None:
    """Write columns ``time`` (timestamp in ns, no zone), ``x``, ``y``, ``z`` (float32, g).

    Parameters
    ----------
    path : path-like
        The file, ``.parquet``.
    acceleration, time : array_like
        [3, n] in g; int64 [n], ns.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_parquet(f"{folder}/a.parquet", [[0.5] * 2] * 3, [0, 10**7])
    """
    values, stamps = checked(acceleration, time)
    columns = {"time": stamps.astype("M8[ns]"), **dict(zip("xyz", values, strict=True))}
    # Imported here: the other writers do not need it.
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    with replacing(path) as file:
        parquet.write_table(arrow.table(columns), file, compression="zstd")


def write_npz(path: str | Path, acceleration: ArrayLike, time: ArrayLike) -> None:
    """Write arrays ``acceleration`` float32 [3, n] g, ``time`` int64 [n] ns and ``sample_rate`` Hz.

    Parameters
    ----------
    path : path-like
        The file, ``.npz``.
    acceleration, time : array_like
        [3, n] in g; int64 [n], ns.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_npz(f"{folder}/a.npz", [[0.5] * 2] * 3, [0, 10**7])
    ...     np.load(f"{folder}/a.npz")["sample_rate"].item()
    100.0
    """
    values, stamps = checked(acceleration, time)
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, acceleration=values, time=stamps, sample_rate=np.float64(rate_of(stamps)))

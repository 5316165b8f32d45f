"""What readers of public sets share: the loop over a set's files, and a labelled recording from a file's rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.files import SetFiles
from imuspec.datasets.recordings import LabelledRecording, count_times, in_g, runs_of, sound, sound_stamps

__all__ = ["known_names", "read_files", "recording_of"]

Key = TypeVar("Key", bound=tuple[Any, ...])
BROKEN = "not numbers on three axes"


def known_names(setting: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Raise ValueError unless `names` are some of `known`, one at least."""
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ValueError(f"{setting}: expected some of {', '.join(known)}, got {', '.join(unknown) or 'none'}")


def read_files(
    path: str | os.PathLike[str],
    find: Callable[[SetFiles], Iterable[tuple[Key, str]]],
    read: Callable[[SetFiles, str, Key], Iterable[LabelledRecording]],
    *,
    expected: str,
    subjects: Collection[int | str] | None,
) -> Iterator[LabelledRecording]:
    """Read the files of a set one after the other, in the order of their keys.

    Parameters
    ----------
    path : path
        Folder or archive of the set.
    find : callable
        ``find(files)`` gives the key and the name of each file; a key begins with the subject.
    read : callable
        ``read(files, name, key)`` gives the recordings of a file.
    expected : str
        Files of the layout, for the message.
    subjects : collection of int or str, optional
        Subjects to read; all by default.

    Raises
    ------
    FileNotFoundError
        If no file of the layout is there.
    """
    with SetFiles(path) as files:
        found = sorted(find(files))
        if not found:
            raise FileNotFoundError(f"{files.path}: expected {expected}, got none")
        for key, name in found:
            if subjects is None or key[0] in subjects:
                yield from read(files, name, key)


def recording_of(
    raw: NDArray[np.float64],
    label: NDArray[np.int64],
    *,
    unit: str,
    declared: str | None,
    rate: float,
    source: str,
    stamps: NDArray[np.float64] | None = None,
    from_first: bool = False,
    dropped: Mapping[str, NDArray[np.bool_]] | None = None,
    broken: str = BROKEN,
    n_bad: int = 0,
    unlabelled: Callable[[NDArray[np.bool_]], Mapping[str, int]] | None = None,
    **identity: Any,
) -> LabelledRecording:
    """Return the recording of one sensor from the rows of its file; rows that are no numbers are left out and counted.

    Parameters
    ----------
    raw : array [3, n]
        Acceleration in the file's unit.
    label : array of int64 [n]
        Index of each row's class; -1 for none.
    unit : str
        As for `imuspec.datasets.recordings.in_g`.
    declared : str or None
        As for `imuspec.datasets.recordings.in_g`.
    rate : float
        Nominal rate, Hz.
    source : str
        Name of the file in messages.
    stamps : array [n], optional
        Time of each row, ns; by default rows are counted at the nominal rate.
    from_first : bool, default False
        Whether times count from the first row that is kept.
    dropped : mapping of str to array of bool [n], optional
        Further rows to leave out, by reason.
    broken : str
        Reason for a row that is no numbers.
    n_bad : int, default 0
        Rows of the file that are not in `raw`.
    unlabelled : callable, optional
        ``unlabelled(kept)`` gives the number of kept rows without a class, by reason.
    **identity : object
        subject, recording, sensor and class_names of the recording.
    """
    whole: NDArray[np.bool_] = np.asarray(sound(raw).all(axis=0))
    if stamps is not None:
        whole &= sound_stamps(stamps, 1.0)
    kept = whole.copy()
    counts = {broken: int((~whole).sum()) + n_bad}
    for reason, rows in (dropped or {}).items():
        counts[reason] = int((kept & rows).sum())
        kept &= ~rows
    if stamps is None:
        time = count_times(kept.size, rate)[kept]
    else:
        chosen = stamps[kept]
        time = np.round(chosen - (chosen[0] if from_first and chosen.size else 0)).astype(np.int64)
    return LabelledRecording(
        rate=rate,
        acceleration=in_g(raw[:, kept], unit=unit, declared=declared, source=source),
        time=time,
        runs=runs_of(time, rate),
        label=label[kept],
        source=source,
        n_rows=kept.size + n_bad,
        counts=counts,
        unlabelled={} if unlabelled is None else unlabelled(kept),
        **identity,
    )

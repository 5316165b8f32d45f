"""Shared code of the readers of public sets: the loops over files and sensors, and a labelled recording from rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.files import SetFiles, read_table
from imuspec.datasets.recordings import DROPPED, LabelledRecording, count_times, in_g, runs_of, sound, sound_stamps
from imuspec.errors import RecordingError

__all__ = [
    "NumberedColumns",
    "check_subjects",
    "coded_labels",
    "even_times",
    "known_names",
    "read_files",
    "recording_of",
]

Key = TypeVar("Key", bound=tuple[Any, ...])
BROKEN = "not numbers on three axes"


def known_names(setting: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Raise ValueError unless `names` has at least one name, all of them in `known`."""
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ValueError(f"{setting}: expected some of {', '.join(known)}, got {', '.join(unknown) or 'none'}")


def coded_labels(
    codes: NDArray[np.float64], names: Mapping[int, str], classes: Sequence[str], source: str
) -> tuple[NDArray[np.int64], Callable[[NDArray[np.bool_]], dict[str, int]]]:
    """Return the label of each row from the code of its activity, and a function for `recording_of` that counts the others.

    Parameters
    ----------
    codes : float64 array [n]
        Code of each row.
    names : mapping of int to str
        Name of each code of the set.
    classes : sequence of str
        Names that are classes; rows of the others have no label.
    source : str
        Name of the file in messages.

    Raises
    ------
    RecordingError
        If a code is not in `names`.
    """
    values, inverse = np.unique(codes, return_inverse=True)
    wrong = [value for value in values.tolist() if not np.isnan(value) and value not in names]
    if wrong:
        raise RecordingError(source, None, f"expected activities {', '.join(map(str, names))}, got {wrong[0]:g}")
    words = [names.get(int(value), "") if np.isfinite(value) else "" for value in values.tolist()]
    label = np.array([classes.index(word) if word in classes else DROPPED for word in words], np.int64)[inverse]

    def unlabelled(used: NDArray[np.bool_]) -> dict[str, int]:
        number = np.bincount(inverse[used], minlength=len(words))
        return {
            f"activity {word}" if word else "without a label": int(k)
            for word, k in zip(words, number.tolist(), strict=True)
            if word not in classes and k
        }

    return label, unlabelled


def even_times(stamps: NDArray[np.int64], *, max_gap_ns: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return times at an even rate between the gaps of jittered or bundled stamps, and the runs ``[k, 2]`` between gaps.

    Parameters
    ----------
    stamps : int64 array [n]
        Stamps, ns.
    max_gap_ns : float
        A step above this, forward or back, ends a run, ns.
    """
    edges = np.concatenate(([0], np.flatnonzero(np.abs(np.diff(stamps)) > max_gap_ns) + 1, [stamps.size])).astype(
        np.int64
    )
    runs = np.stack((edges[:-1], edges[1:]), axis=1)[: stamps.size]
    time = stamps.copy()
    for first, end in runs.tolist():
        n = end - first
        last = max(int(stamps[end - 1]), int(stamps[first]) + n - 1)  # stamps that repeat still rise
        time[first:end] = np.round(np.linspace(stamps[first], last, n)).astype(np.int64)
    return time, runs


def read_files(
    path: str | os.PathLike[str],
    find: Callable[[SetFiles], Iterable[tuple[Key, str]]],
    read: Callable[[SetFiles, str, Key], Iterable[LabelledRecording]],
    *,
    expected: str,
    subjects: Collection[int | str] | None,
) -> Iterator[LabelledRecording]:
    """Read the files of a set, in the order of their keys.

    Parameters
    ----------
    path : path-like
        Folder, archive or file of the set.
    find : callable
        ``find(files)`` returns key and name of each file; the first item of a key is the subject.
    read : callable
        ``read(files, name, key)`` returns the recordings of a file.
    expected : str
        Files of the layout, for the message.
    subjects : collection of int or str or None
        Subjects to read; None reads all.

    Yields
    ------
    LabelledRecording

    Raises
    ------
    FileNotFoundError
        If there is no file of the layout.
    ValueError
        If two files have one key, so that the path has two copies of the set, or a subject is unknown.
    """
    with SetFiles(path) as files:
        entries = sorted(find(files))
        if not entries:
            raise FileNotFoundError(f"{files.path}: no file of the form {expected}")
        for (key, name), (other, copy) in pairwise(entries):
            if key == other:
                raise ValueError(f"{files.path}: expected one copy of the set, got {name} and {copy}")
        check_subjects(subjects, [key[0] for key, _ in entries])
        for key, name in entries:
            if subjects is None or key[0] in subjects:
                yield from read(files, name, key)


def check_subjects(subjects: Collection[int | str] | None, known: Iterable[int | str]) -> None:
    """Raise ValueError unless all `subjects` are in `known`; None is all of them."""
    names = list(dict.fromkeys(known))
    unknown = [] if subjects is None else [str(subject) for subject in subjects if subject not in names]
    if unknown:
        raise ValueError(f"subjects: expected some of {', '.join(map(str, names))}, got {', '.join(unknown)}")


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
    """Return the recording of one sensor from the rows of its file; rows that are not numbers are dropped and counted.

    Parameters
    ----------
    raw : array [3, n]
        Acceleration in the file's unit.
    label : int64 array [n]
        Index of each row's class; -1 without a class.
    unit : str
        As in `imuspec.datasets.recordings.in_g`.
    declared : str or None
        As in `imuspec.datasets.recordings.in_g`.
    rate : float
        Nominal rate, Hz.
    source : str
        Name of the file in messages.
    stamps : array [n], optional
        Time of each row, ns. The default is a count at the nominal rate.
    from_first : bool, default False
        Whether times are relative to the first row that is used.
    dropped : mapping of str to bool array [n], optional
        Further rows to drop, by reason.
    broken : str, default BROKEN
        Reason for rows that are not numbers.
    n_bad : int, default 0
        Number of rows of the file that are not in `raw`.
    unlabelled : callable, optional
        ``unlabelled(used)`` returns counts of the used rows without a class, by reason.
    **identity : object
        subject, recording, sensor and class_names of the recording.
    """
    whole: NDArray[np.bool_] = np.asarray(sound(raw).all(axis=0))
    if stamps is not None:
        whole &= sound_stamps(stamps, 1.0)
    used = whole.copy()
    counts = {broken: int((~whole).sum()) + n_bad}
    for reason, rows in (dropped or {}).items():
        counts[reason] = int((used & rows).sum())
        used &= ~rows
    if stamps is None:
        time = count_times(used.size, rate)[used]
    else:
        chosen = stamps[used]
        time = np.round(chosen - (chosen[0] if from_first and chosen.size else 0)).astype(np.int64)
    return LabelledRecording(
        rate=rate,
        acceleration=in_g(raw[:, used], unit=unit, declared=declared, source=source),
        time=time,
        runs=runs_of(time, rate),
        label=label[used],
        source=source,
        n_rows=used.size + n_bad,
        counts=counts,
        unlabelled={} if unlabelled is None else unlabelled(used),
        **identity,
    )


@dataclass(frozen=True)
class NumberedColumns:
    """Files of numbers without a header: one row for all sensors of a body, three neighbouring columns for each.

    Attributes
    ----------
    n_columns : int
        Number of columns. They are counted from 1.
    unit : str
        Unit of acceleration.
    rate : float
        Nominal rate, Hz.
    delimiter : str, default " "
        As in `imuspec.datasets.files.read_table`.
    stamp_ns : float, optional
        Unit of the times in column 1, ns. The default is that files have no times.
    """

    n_columns: int
    unit: str
    rate: float
    delimiter: str = " "
    stamp_ns: float | None = None

    def read(
        self,
        files: SetFiles,
        name: str,
        *,
        first: Mapping[str, int],
        label_column: int,
        names: Mapping[int, str],
        class_names: Sequence[str],
        **recording: Any,
    ) -> Iterator[LabelledRecording]:
        """Yield the recording of each sensor in a file.

        Parameters
        ----------
        files : SetFiles
            The set.
        name : str
            Name of the file in `files`.
        first : mapping of str to int
            Sensor -> column of its x axis.
        label_column : int
            Column of the activity's code.
        names : mapping of int to str
            As in `coded_labels`.
        class_names : sequence of str
            As `classes` in `coded_labels`.
        **recording : object
            declared, subject and recording, as in `recording_of`.

        Raises
        ------
        RecordingError
            If a field is not a number, or a code is not in `names`.
        """
        source = files.label(name)
        axes = {sensor: [str(column + axis) for axis in range(3)] for sensor, column in first.items()}
        used = {str(label_column), *(column for columns in axes.values() for column in columns)}
        if self.stamp_ns is not None:
            used.add("1")
        header = tuple(map(str, range(1, self.n_columns + 1)))
        table, bad = read_table(files.read(name), source, columns=sorted(used), header=header, delimiter=self.delimiter)
        label, unlabelled = coded_labels(table[str(label_column)], names, class_names, source)
        for sensor, columns in axes.items():
            yield recording_of(
                np.stack([table[column] for column in columns]),
                label,
                unit=self.unit,
                rate=self.rate,
                source=source,
                stamps=None if self.stamp_ns is None else table["1"] * self.stamp_ns,
                n_bad=bad,
                unlabelled=unlabelled,
                sensor=sensor,
                class_names=tuple(class_names),
                **recording,
            )

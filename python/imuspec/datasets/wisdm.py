"""WISDM v1.1: 36 people with a phone in the front trouser pocket, six activities.

Layout: ``WISDM_ar_v1.1_raw.txt``, records ``user,activity,timestamp,x,y,z;`` at 20 Hz in m/s2. The file is damaged in
several ways: several records on a line, missing semicolons and line breaks, empty z, extra commas, times of zero, times in
ms among ns, times that repeat or fall. Kwapisz, Weiss, Moore 2011.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.files import SetFiles
from imuspec.datasets.reading import read_files
from imuspec.datasets.recordings import LabelledRecording, in_g
from imuspec.errors import RecordingError

__all__ = ["CLASSES", "recordings"]

RATE = 20.0
CLASSES = ("Downstairs", "Jogging", "Sitting", "Standing", "Upstairs", "Walking")
_SCALES_NS = (1, 1_000, 1_000_000)  # stamps are ns; some users' are us or ms
Record = tuple[int, int, int, float, float, float]

_OF_VERSION_2 = re.compile(r"^\s*\d+,(Stairs|LyingDown),", re.MULTILINE)


def recordings(
    path: str | os.PathLike[str],
    *,
    max_gap_s: float = 1.0,
    subjects: Collection[int | str] | None = None,
    unit: str | None = None,
) -> Iterator[LabelledRecording]:
    """Read WISDM v1.1, one user at a time.

    Records end at semicolons and line breaks. Those with six fields, finite numbers and a time that is not zero are used.
    Inside a run of one activity of one user the samples are counted at 20 Hz. The time stamps only show gaps; their unit
    follows from their median step.

    Parameters
    ----------
    path : path-like
        The file, or a folder or archive that holds it.
    max_gap_s : float, default 1.0
        A step of the stamps above this, forward or back, ends a run, s. The limit of other sets, two sample periods, is too
        short here: the first steps of the official file are 100, 50, 110 and 110 ms.
    subjects : collection of int or str, optional
        Users to read, 1 to 36. The default is all.
    unit : str, optional
        Unit of the file if it is not m/s2.

    Yields
    ------
    LabelledRecording
        All samples of a user. Times are counted, with the gaps that the stamps show, and gaps between activities.

    Raises
    ------
    FileNotFoundError
        If WISDM_ar_v1.1_raw.txt is missing.
    RecordingError
        If the file has no valid record, or activities of WISDM v2.0.
    """
    by_user: dict[int, list[Record]] = {}
    bad: dict[int, Counter[str]] = {}

    def find(files: SetFiles) -> list[tuple[tuple[int], str]]:
        name = (
            files.names[0]
            if files.path.is_file() and len(files.names) == 1
            else files.one(r"WISDM_ar_v1\.1_raw[^/]*\.txt", "WISDM_ar_v1.1_raw.txt")
        )
        text = files.read(name).decode("latin-1")
        if others := sorted(set(_OF_VERSION_2.findall(text))):
            raise RecordingError(
                _source(files, name), None, f"expected the activities of WISDM v1.1, got {' and '.join(others)} of v2.0"
            )
        records, counts = _parse(text)
        if not records:
            raise RecordingError(_source(files, name), None, "no records of the form user,activity,timestamp,x,y,z")
        for record in records:  # the records of a user may be in several places
            by_user.setdefault(record[0], []).append(record)
        bad.update(counts)
        return [((user,), name) for user in by_user]

    def read(files: SetFiles, name: str, key: tuple[int]) -> list[LabelledRecording]:
        user = key[0]
        return [_recording(user, by_user[user], bad.get(user, Counter()), _source(files, name), unit, max_gap_s)]

    return read_files(path, find, read, expected="WISDM_ar_v1.1_raw.txt", subjects=subjects)


def _source(files: SetFiles, name: str) -> str:
    return files.label(name) if files.path.is_dir() else str(files.path)


def _parse(text: str) -> tuple[list[Record], dict[int, Counter[str]]]:
    """Return valid records in file order, and counts of dropped records by user and reason; user 0 is unknown."""
    records: list[Record] = []
    bad: dict[int, Counter[str]] = {}
    last = 0
    for piece in re.split(r"[;\r\n]+", text):
        fields = piece.strip().split(",")
        if fields == [""]:
            continue
        record = _record(fields)
        if isinstance(record, str):
            head = fields[0].strip()
            owner = int(head) if head.isdigit() and 1 <= int(head) <= 36 else last
            bad.setdefault(owner, Counter())[record] += 1
        else:
            records.append(record)
            last = record[0]
    return records, bad


def _record(fields: list[str]) -> Record | str:
    """Return a record, or the reason why it is dropped."""
    if len(fields) == 7 and not fields[6].strip():  # a comma before the semicolon
        fields = fields[:6]
    if len(fields) != 6:
        return "not six fields"
    try:
        user, stamp = int(fields[0]), int(float(fields[2]))
        x, y, z = (float(value) for value in fields[3:])
    except (ValueError, OverflowError):
        return "empty field, or not a number"
    activity = fields[1].strip()
    if activity not in CLASSES:
        return "activity that is not a class"
    if not (abs(stamp) < 4e18 and all(abs(number) < 1e6 for number in (user, x, y, z))):
        return "empty field, or not a number"
    if stamp == 0:
        return "time of zero"
    return user, CLASSES.index(activity), stamp, x, y, z


def _recording(
    user: int, records: list[Record], bad: Counter[str], source: str, unit: str | None, max_gap_s: float
) -> LabelledRecording:
    label = np.array([record[1] for record in records], np.int64)
    raw = np.array([record[3:] for record in records], np.float64).T
    stamp = np.array([record[2] for record in records], np.int64)
    is_repeat = np.zeros(label.size, np.bool_)  # every field equals that of the row before
    is_repeat[1:] = (np.diff(stamp) == 0) & (np.diff(label) == 0) & (np.diff(raw, axis=1) == 0).all(axis=0)
    label, raw, stamp = label[~is_repeat], raw[:, ~is_repeat], stamp[~is_repeat]
    time, runs = _times(label, stamp, max_gap_s * 1e9)
    counts = Counter(bad)
    counts["row that repeats the one before"] = int(is_repeat.sum())
    return LabelledRecording(
        subject=user,
        recording=f"user {user}",
        sensor="trouser pocket",
        rate=RATE,
        acceleration=in_g(raw, unit="m/s2", declared=unit, source=f"{source}, user {user}"),
        time=time,
        runs=runs,
        label=label,
        class_names=CLASSES,
        source=source,
        n_rows=len(records) + sum(bad.values()),
        counts=dict(counts),
    )


def _times(
    label: NDArray[np.int64], stamp: NDArray[np.int64], max_gap: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return counted times with the gaps of the stamps, ns from the first sample, and the runs between gaps."""
    period = 1e9 / RATE
    edges = np.flatnonzero(np.diff(label)) + 1
    starts: list[int] = []
    time = np.empty(label.size, np.int64)
    clock = 0.0
    for part in np.split(np.arange(label.size), edges):
        step = np.diff(stamp[part]).astype(np.float64) * _scale(stamp[part])
        # Small steps back are records out of order in a burst; a larger one is another session.
        gap = np.flatnonzero(np.abs(step) > max_gap) + 1
        for run in np.split(part, gap):
            starts.append(int(run[0]))
            time[run] = np.round(clock + np.arange(run.size) * period)
            clock += run.size * period + max_gap
    ends = np.append(starts[1:], label.size)
    return time, np.stack((np.array(starts, np.int64), ends), axis=1).astype(np.int64)


def _scale(stamp: NDArray[np.int64]) -> int:
    """Return the unit of the stamps in ns: the one in which their median step is nearest to a sample period."""
    step = np.diff(stamp)
    step = step[step > 0]
    if not step.size:
        return 1
    return min(_SCALES_NS, key=lambda scale: abs(np.log(float(np.median(step)) * scale * RATE / 1e9)))

"""WISDM v1.1: 36 people with a phone in the front trouser pocket, six activities.

Layout: ``WISDM_ar_v1.1_raw.txt``, records ``user,activity,timestamp,x,y,z;`` at 20 Hz in m/s2. The file is damaged in
several ways: records that share a line, a semicolon or line break that is missing, an empty z, a comma too many, times
of zero, times in ms among ns, times that repeat or fall. Kwapisz, Weiss, Moore 2011.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.files import SetFiles
from imuspec.datasets.recordings import LabelledRecording, in_g
from imuspec.errors import RecordingError

__all__ = ["CLASSES", "recordings"]

RATE = 20.0
CLASSES = ("Downstairs", "Jogging", "Sitting", "Standing", "Upstairs", "Walking")
_SCALES_NS = (1, 1_000, 1_000_000)  # stamps are ns; some users' are us or ms
Record = tuple[int, int, int, float, float, float]


def recordings(
    path: str | os.PathLike[str],
    *,
    max_gap_s: float = 1.0,
    subjects: Collection[int | str] | None = None,
    unit: str | None = None,
) -> Iterator[LabelledRecording]:
    """Read WISDM v1.1, a user at a time.

    Records are what stands between semicolons and line breaks; those of six fields with finite numbers are kept, those
    whose time is zero dropped. Inside a run of one activity of one user samples are 20 a second by count; the stamps
    tell gaps alone, their unit by their median step.

    Parameters
    ----------
    path : path-like
        The file, or a folder or archive that holds it.
    max_gap_s : float, default 1.0
        A step of the stamps above this, forward or back, parts two runs, s. Two sample periods, the measure for other
        sets, would cut this one to pieces: the official file's first steps are 100, 50, 110 and 110 ms.
    subjects : collection of int or str, optional
        Users wanted, 1 to 36; all by default.
    unit : str, optional
        The file's unit where it is not m/s2.

    Yields
    ------
    LabelledRecording, all of a user; its times are counts, with the gaps that the stamps show, and activities apart.

    Raises
    ------
    FileNotFoundError
        No WISDM_ar_v1.1_raw.txt.
    RecordingError
        A file without one good record.
    """
    with SetFiles(path) as files:
        name = (
            files.names[0]
            if files.path.is_file() and len(files.names) == 1
            else files.one(r"WISDM_ar_v1\.1_raw[^/]*\.txt", "WISDM_ar_v1.1_raw.txt")
        )
        source = files.label(name) if files.path.is_dir() else str(files.path)
        text = files.read(name).decode("latin-1")
    records, bad = _parse(text)
    if not records:
        raise RecordingError(source, None, "expected records user,activity,timestamp,x,y,z; got none")
    records.sort(key=itemgetter(0))  # stable: a user's records may stand in several places
    for user, mine in groupby(records, key=itemgetter(0)):
        if subjects is None or user in subjects:
            yield _of_user(user, list(mine), bad.get(user, Counter()), source, unit, max_gap_s)


def _parse(text: str) -> tuple[list[Record], dict[int, Counter[str]]]:
    """Sound records in file order, and the number of dropped ones of each user by reason; 0 is no user."""
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
    """One record, or the reason why it is dropped."""
    if len(fields) == 7 and not fields[6].strip():  # a comma before the semicolon
        fields = fields[:6]
    if len(fields) != 6:
        return "not six fields"
    try:
        user, stamp = int(fields[0]), int(float(fields[2]))
        x, y, z = (float(value) for value in fields[3:])
    except (ValueError, OverflowError):
        return "number that is empty or none"
    activity = fields[1].strip()
    if activity not in CLASSES:
        return "activity that is none of the classes"
    if not (abs(stamp) < 4e18 and all(abs(number) < 1e6 for number in (user, x, y, z))):
        return "number that is empty or none"
    if stamp == 0:
        return "time of zero"
    return user, CLASSES.index(activity), stamp, x, y, z


def _of_user(
    user: int, records: list[Record], bad: Counter[str], source: str, unit: str | None, max_gap_s: float
) -> LabelledRecording:
    label = np.array([record[1] for record in records], np.int64)
    raw = np.array([record[3:] for record in records], np.float64).T
    stamp = np.array([record[2] for record in records], np.int64)
    again = np.zeros(label.size, np.bool_)  # a row that repeats the one before it in every field
    again[1:] = (np.diff(stamp) == 0) & (np.diff(label) == 0) & (np.diff(raw, axis=1) == 0).all(axis=0)
    label, raw, stamp = label[~again], raw[:, ~again], stamp[~again]
    time, runs = _times(label, stamp, max_gap_s * 1e9)
    counts = Counter(bad)
    counts["row that repeats the one before"] = int(again.sum())
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
    """Times by count with the stamps' gaps, ns from the first sample, and the runs between gaps."""
    period = 1e9 / RATE
    edges = np.flatnonzero(np.diff(label)) + 1
    starts: list[int] = []
    time = np.empty(label.size, np.int64)
    now = 0.0
    for part in np.split(np.arange(label.size), edges):
        step = np.diff(stamp[part]).astype(np.float64) * _scale(stamp[part])
        # Small steps back are records out of order in a burst; a larger one is another session.
        gap = np.flatnonzero(np.abs(step) > max_gap) + 1
        for run in np.split(part, gap):
            starts.append(int(run[0]))
            time[run] = np.round(now + np.arange(run.size) * period)
            now += run.size * period + max_gap
    ends = np.append(starts[1:], label.size)
    return time, np.stack((np.array(starts, np.int64), ends), axis=1).astype(np.int64)


def _scale(stamp: NDArray[np.int64]) -> int:
    """How many ns a unit of the stamps is: the one by which their median step is nearest to a period."""
    step = np.diff(stamp)
    step = step[step > 0]
    if not step.size:
        return 1
    return min(_SCALES_NS, key=lambda scale: abs(np.log(float(np.median(step)) * scale * RATE / 1e9)))

"""HAPT, the raw form of UCI HAR: 30 people with a phone at the waist, six activities and the changes between postures.

Layout: ``RawData/acc_expEE_userUU.txt``, three numbers a line in g at 50 Hz, and ``RawData/labels.txt``, lines of
experiment, user, activity, first and last sample, counted from 1, the last included. UCI 341; Reyes-Ortiz et al. 2016.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.files import SetFiles, read_table
from imuspec.datasets.reading import known_names, read_files, recording_of
from imuspec.datasets.recordings import DROPPED, LabelledRecording, label_intervals, sound, sound_stamps
from imuspec.errors import RecordingError

__all__ = ["ACTIVITIES", "BASIC", "OFFICIAL_TEST_SUBJECTS", "recordings"]

RATE = 50.0
ACTIVITIES = (
    "walking",
    "walking upstairs",
    "walking downstairs",
    "sitting",
    "standing",
    "laying",
    "stand to sit",
    "sit to stand",
    "sit to lie",
    "lie to sit",
    "stand to lie",
    "lie to stand",
)
BASIC = ACTIVITIES[:6]
OFFICIAL_TEST_SUBJECTS = (2, 4, 9, 10, 12, 13, 18, 20, 24)


def recordings(
    path: str | os.PathLike[str],
    *,
    classes: Sequence[str] | None = None,
    transitions: bool = False,
    subjects: Collection[int | str] | None = None,
    unit: str | None = None,
) -> Iterator[LabelledRecording]:
    """Read HAPT, one experiment at a time.

    Parameters
    ----------
    path : path-like
        The folder, the zip, or a tar, at any depth.
    classes : sequence of str, optional
        Some of `ACTIVITIES`, in the order of their labels. The default is the six basic activities. Others are unlabelled.
    transitions : bool, default False
        Whether the default is all twelve activities, with the changes of posture.
    subjects : collection of int or str, optional
        Users to read, 1 to 30. The default is all.
    unit : str, optional
        Unit of the files if it is not g.

    Yields
    ------
    LabelledRecording

    Raises
    ------
    FileNotFoundError
        If labels.txt, or a recording in it, is missing.
    RecordingError
        If a file differs from the layout.
    """
    if classes is None:
        classes = ACTIVITIES if transitions else BASIC
    elif transitions:
        raise ValueError("transitions: not allowed with classes, which name the transitions")
    known_names("classes", classes, ACTIVITIES)
    index = np.full(len(ACTIVITIES), DROPPED, np.int64)
    index[[ACTIVITIES.index(name) for name in classes]] = np.arange(len(classes))
    intervals: dict[tuple[int, int], list[tuple[int, int, int]]] = {}

    def find(files: SetFiles) -> list[tuple[tuple[int, int], str]]:
        intervals.update(_labels(files))
        entries = {(int(m[2]), int(m[1])): name for name, m in files.find(r"acc_exp(\d+)_user(\d+)\.txt")}
        if missing := sorted((e, u) for u, e in set(intervals) - set(entries)):
            names = ", ".join(f"acc_exp{e:02d}_user{u:02d}.txt" for e, u in missing[:4])
            raise FileNotFoundError(f"{files.path}: labels.txt has labels of missing files: {names}")
        return list(entries.items())

    return read_files(
        path,
        find,
        lambda files, name, key: [_recording(files, name, key, intervals.get(key, []), index, classes, unit)],
        expected="RawData/acc_exp01_user01.txt and so on",
        subjects=subjects,
    )


def _labels(files: SetFiles) -> dict[tuple[int, int], list[tuple[int, int, int]]]:
    """Return the intervals (first, end, activity from 0) of each (user, experiment)."""
    if not files.find(r"labels\.txt") and files.find(r"Inertial Signals/total_acc_x_\w+\.txt"):
        raise FileNotFoundError(f"{files.path}: expected RawData/labels.txt, got UCI HAR's windows: the set uci_har")
    name = files.one(r"labels\.txt", "RawData/labels.txt")
    source = files.label(name)
    columns = ("experiment", "user", "activity", "first", "last")
    table, bad = read_table(files.read(name), source, columns=columns, header=columns, delimiter=" ")
    rows = np.stack([table[key] for key in columns], axis=1)
    if bad or not sound_stamps(rows, 1.0).all():
        raise RecordingError(source, None, f"expected five numbers a line, got {bad or 'a'} line(s) of another form")
    entries: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for experiment, user, activity, first, last in rows.astype(np.int64).tolist():
        if not 1 <= activity <= len(ACTIVITIES):
            raise RecordingError(source, None, f"expected activities 1 to {len(ACTIVITIES)}, got {activity}")
        entries.setdefault((user, experiment), []).append((first - 1, last, activity - 1))
    return entries


def _recording(
    files: SetFiles,
    name: str,
    key: tuple[int, int],
    intervals: list[tuple[int, int, int]],
    index: NDArray[np.int64],
    classes: Sequence[str],
    unit: str | None,
) -> LabelledRecording:
    source = files.label(name)
    table, bad = read_table(files.read(name), source, columns="xyz", header="xyz", delimiter=" ")
    raw = np.stack([table[axis] for axis in "xyz"])
    if bad or not sound(raw).all():  # the labels refer to row numbers, so no row can be dropped
        raise RecordingError(source, None, "expected three numbers a line, got lines of another form")
    n = raw.shape[1]
    activity = label_intervals(n, intervals, source, names=ACTIVITIES)
    label = np.where(activity >= 0, index[activity], DROPPED)
    unlabelled = {
        "without a label": int((activity < 0).sum()),
        "activity that is not a class": int(((activity >= 0) & (label < 0)).sum()),
    }
    return recording_of(
        raw,
        label,
        unit="g",
        declared=unit,
        rate=RATE,
        source=source,
        unlabelled=lambda _: unlabelled,
        subject=key[0],
        recording=f"exp{key[1]:02d}",
        sensor="waist",
        class_names=tuple(classes),
    )

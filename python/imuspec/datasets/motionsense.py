"""MotionSense: 24 people with a phone in the front trouser pocket, six activities in 15 trials.

Layout: ``A_DeviceMotion_data/<activity>_<trial>/sub_<n>.csv`` with gravity.{x,y,z} and userAcceleration.{x,y,z}, 50 Hz,
g. Malekzadeh et al. 2018, repository mmalekzadeh/motion-sense.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from typing import Literal

import numpy as np

from imuspec.datasets.files import SetFiles, read_table
from imuspec.datasets.reading import read_files, recording_of
from imuspec.datasets.recordings import LabelledRecording
from imuspec.errors import RecordingError

__all__ = ["CLASSES", "recordings"]

RATE = 50.0
CLASSES = ("downstairs", "upstairs", "walking", "jogging", "sitting", "standing")
_OTHERS = re.compile(
    r"(^|/)(B_Accelerometer|C_Gyroscope)_data/", re.IGNORECASE
)  # the other parts of the official folder
_CODES = ("dws", "ups", "wlk", "jog", "sit", "std")


def recordings(
    path: str | os.PathLike[str],
    *,
    acceleration: Literal["total", "user"] = "total",
    subjects: Collection[int | str] | None = None,
    unit: str | None = None,
) -> Iterator[LabelledRecording]:
    """Read MotionSense, one trial of a person at a time.

    Parameters
    ----------
    path : path-like
        ``A_DeviceMotion_data``, the folder above it with or without the other two parts, or its zip.
    acceleration : {"total", "user"}, default "total"
        "total": ``gravity + userAcceleration``, as an accelerometer measures. "user": ``userAcceleration`` alone.
    subjects : collection of int or str, optional
        People to read, 1 to 24. The default is all.
    unit : str, optional
        Unit of the files if it is not g. Without gravity the norm cannot tell.

    Yields
    ------
    LabelledRecording
        Files have no times, so samples are counted. A row that is not numbers leaves a gap.

    Raises
    ------
    FileNotFoundError
        If there is no file of the layout.
    RecordingError
        If a column is missing, or the folder of an activity is unknown.
    """
    if acceleration not in ("total", "user"):
        raise ValueError(f"acceleration: expected total or user, got {acceleration!r}")
    columns = [f"userAcceleration.{axis}" for axis in "xyz"]
    if acceleration == "total":
        columns += [f"gravity.{axis}" for axis in "xyz"]
        declared = unit
    else:
        declared = unit or "g"

    def read(files: SetFiles, name: str, key: tuple[int, str, int]) -> Iterator[LabelledRecording]:
        person, code, trial = key
        source = files.label(name)
        if code not in _CODES:
            raise RecordingError(source, None, f"expected activities {', '.join(_CODES)}, got {code}")
        table, bad = read_table(files.read(name), source, columns=columns)
        raw = np.stack([table[column] for column in columns]).reshape(-1, 3, table[columns[0]].size).sum(axis=0)
        yield recording_of(
            raw,
            np.full(raw.shape[1], _CODES.index(code), np.int64),
            unit="g",
            declared=declared,
            rate=RATE,
            source=source,
            n_bad=bad,
            subject=person,
            recording=f"{code}_{trial} sub_{person}",
            sensor="trouser pocket",
            class_names=CLASSES,
        )

    return read_files(
        path,
        lambda files: (
            ((int(m[3]), m[1].lower(), int(m[2])), name)
            for name, m in files.find(r"([a-z]{3})_(\d+)/sub_(\d+)\.csv")
            if not _OTHERS.search(name)
        ),
        read,
        expected="A_DeviceMotion_data/dws_1/sub_1.csv and so on",
        subjects=subjects,
    )

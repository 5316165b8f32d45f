"""MotionSense: 24 people with a phone in the front trouser pocket, six activities in 15 trials.

Layout: ``A_DeviceMotion_data/<activity>_<trial>/sub_<n>.csv`` with gravity.{x,y,z} and userAcceleration.{x,y,z}, 50 Hz,
g. Malekzadeh et al. 2018, repository mmalekzadeh/motion-sense.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import Literal

import numpy as np

from imuspec.datasets.files import SetFiles, read_table
from imuspec.datasets.recordings import LabelledRecording, count_times, in_g, runs_of, sound
from imuspec.errors import RecordingError

__all__ = ["CLASSES", "recordings"]

RATE = 50.0
CLASSES = ("downstairs", "upstairs", "walking", "jogging", "sitting", "standing")
_CODES = ("dws", "ups", "wlk", "jog", "sit", "std")


def recordings(
    path: str | os.PathLike[str],
    *,
    acceleration: Literal["total", "user"] = "total",
    subjects: Collection[int | str] | None = None,
    unit: str | None = None,
) -> Iterator[LabelledRecording]:
    """Read MotionSense, a trial of a person at a time.

    Parameters
    ----------
    path
        ``A_DeviceMotion_data``, the folder above it, or its zip.
    acceleration
        total: what an accelerometer shows, ``gravity + userAcceleration``; user: the latter alone.
    subjects
        People wanted, 1 to 24; all by default.
    unit
        The files' unit where it is not g. Without gravity the norm cannot tell.

    Yields
    ------
    LabelledRecording. Files have no times: samples are counted; a row that is no number leaves a gap.

    Raises
    ------
    FileNotFoundError
        Not one file of the layout.
    RecordingError
        A file without the columns, or a folder of an activity that is none.
    """
    if acceleration not in ("total", "user"):
        raise ValueError(f"acceleration: expected total or user, got {acceleration!r}")
    columns = [f"userAcceleration.{axis}" for axis in "xyz"]
    if acceleration == "total":
        columns += [f"gravity.{axis}" for axis in "xyz"]
        declared = unit
    else:
        declared = unit or "g"
    with SetFiles(path) as files:
        found = [
            (int(m[3]), m[1].lower(), int(m[2]), name) for name, m in files.find(r"([a-z]{3})_(\d+)/sub_(\d+)\.csv")
        ]
        if not found:
            raise FileNotFoundError(f"{files.path}: expected A_DeviceMotion_data/dws_1/sub_1.csv and so on, got none")
        for person, code, trial, name in sorted(found):
            if code not in _CODES:
                raise RecordingError(files.label(name), None, f"expected activities {', '.join(_CODES)}, got {code}")
            if subjects is not None and person not in subjects:
                continue
            source = files.label(name)
            table, bad = read_table(files.read(name), source, columns=columns)
            raw = np.stack([table[column] for column in columns]).reshape(-1, 3, table[columns[0]].size).sum(axis=0)
            whole = sound(raw).all(axis=0)
            time = count_times(whole.size, RATE)[whole]
            yield LabelledRecording(
                subject=person,
                recording=f"{code}_{trial} sub_{person}",
                sensor="trouser pocket",
                rate=RATE,
                acceleration=in_g(raw[:, whole], unit="g", declared=declared, source=source),
                time=time,
                runs=runs_of(time, RATE),
                label=np.full(time.size, _CODES.index(code), np.int64),
                class_names=CLASSES,
                source=source,
                n_rows=whole.size + bad,
                counts={"not numbers on three axes": int((~whole).sum()) + bad},
            )

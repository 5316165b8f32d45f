"""mHealth: ten people with sensors on chest, left ankle and right wrist, twelve activities.

Layout: ``mHealth_subject<n>.log``, 24 numbers a line, separated by tabs: the accelerometers are columns 1 to 3 (chest),
6 to 8 (ankle) and 15 to 17 (wrist), the label is the last; 50 Hz, m/s2, no times. UCI 319; Banos et al. 2014.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence

from imuspec.datasets.files import SetFiles
from imuspec.datasets.reading import NumberedColumns, known_names, read_files
from imuspec.datasets.recordings import LabelledRecording

__all__ = ["CLASSES", "SENSORS", "recordings"]

#: Sensor -> first column of its accelerometer.
SENSORS: Mapping[str, int] = {"chest": 1, "ankle": 6, "wrist": 15}
CLASSES = (
    "standing still",
    "sitting",
    "lying down",
    "walking",
    "climbing stairs",
    "waist bends forward",
    "frontal elevation of arms",
    "knees bending",
    "cycling",
    "jogging",
    "running",
    "jumping front and back",
)
_COLUMNS = NumberedColumns(24, unit="m/s2", rate=50.0, delimiter="\t")


def recordings(
    path: str | os.PathLike[str],
    *,
    sensors: Sequence[str] = ("wrist",),
    subjects: Collection[int | str] | None = None,
    unit: str | None = None,
) -> Iterator[LabelledRecording]:
    """Read mHealth, one sensor of a person at a time.

    Parameters
    ----------
    path : path-like
        The folder or archive, at any depth.
    sensors : sequence of str, default ("wrist",)
        Some of `SENSORS`.
    subjects : collection of int or str, optional
        People to read, 1 to 10. The default is all.
    unit : str, optional
        Unit of the files if it is not m/s2.

    Yields
    ------
    LabelledRecording
        Samples are counted, as files have no times. Rows of label 0 have no label.

    Raises
    ------
    FileNotFoundError
        If there is no file of the layout.
    RecordingError
        If a file differs from the layout.
    """
    known_names("sensors", sensors, tuple(SENSORS))

    def read(files: SetFiles, name: str, key: tuple[int]) -> Iterator[LabelledRecording]:
        return _COLUMNS.read(
            files,
            name,
            first={sensor: SENSORS[sensor] for sensor in sensors},
            label_column=24,
            names={0: "", **dict(enumerate(CLASSES, 1))},
            class_names=CLASSES,
            declared=unit,
            subject=key[0],
            recording=f"subject {key[0]}",
        )

    return read_files(
        path,
        lambda files: (((int(m[1]),), name) for name, m in files.find(r"mHealth_subject(\d+)\.log")),
        read,
        expected="mHealth_subject1.log and so on",
        subjects=subjects,
    )

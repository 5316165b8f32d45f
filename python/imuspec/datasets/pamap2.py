"""PAMAP2: nine people with sensors on hand, chest and ankle, twelve activities of a protocol and six optional ones.

Layout: ``Protocol/subject10<n>.dat`` and ``Optional/subject10<n>.dat``, 54 numbers a line, separated by blanks: time in s,
activity, heart rate, and 17 columns of each sensor, of which the second to fourth are its accelerometer of 16 g; 100 Hz, m/s2;
NaN where a packet was lost. UCI 231; Reiss, Stricker 2012.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence

from imuspec.datasets.files import SetFiles
from imuspec.datasets.reading import NumberedColumns, known_names, read_files
from imuspec.datasets.recordings import LabelledRecording

__all__ = ["ACTIVITIES", "CLASSES", "SENSORS", "recordings"]

#: Sensor -> first column of its accelerometer of 16 g.
SENSORS: Mapping[str, int] = {"hand": 5, "chest": 22, "ankle": 39}
ACTIVITIES: Mapping[int, str] = {
    0: "other",
    1: "lying",
    2: "sitting",
    3: "standing",
    4: "walking",
    5: "running",
    6: "cycling",
    7: "Nordic walking",
    9: "watching TV",
    10: "computer work",
    11: "car driving",
    12: "ascending stairs",
    13: "descending stairs",
    16: "vacuum cleaning",
    17: "ironing",
    18: "folding laundry",
    19: "house cleaning",
    20: "playing soccer",
    24: "rope jumping",
}
_OPTIONAL = (9, 10, 11, 18, 19, 20)
CLASSES = tuple(name for code, name in ACTIVITIES.items() if code and code not in _OPTIONAL)
_COLUMNS = NumberedColumns(54, unit="m/s2", rate=100.0, stamp_ns=1e9)


def recordings(
    path: str | os.PathLike[str],
    *,
    sensors: Sequence[str] = ("hand",),
    optional: bool = False,
    subjects: Collection[int | str] | None = None,
    unit: str | None = None,
) -> Iterator[LabelledRecording]:
    """Read PAMAP2, one sensor of a file at a time.

    Parameters
    ----------
    path : path-like
        The folder or archive, at any depth.
    sensors : sequence of str, default ("hand",)
        Some of `SENSORS`.
    optional : bool, default False
        Whether to read the optional activities too; the classes are then all eighteen.
    subjects : collection of int or str, optional
        People to read, 101 to 109. The default is all.
    unit : str, optional
        Unit of the files if it is not m/s2.

    Yields
    ------
    LabelledRecording
        Rows of "other" have no label.

    Raises
    ------
    FileNotFoundError
        If there is no file of the layout.
    RecordingError
        If a file differs from the layout.
    """
    known_names("sensors", sensors, tuple(SENSORS))
    classes = tuple(name for code, name in ACTIVITIES.items() if code) if optional else CLASSES
    parts = "Protocol|Optional" if optional else "Protocol"

    def read(files: SetFiles, name: str, key: tuple[int, str]) -> Iterator[LabelledRecording]:
        return _COLUMNS.read(
            files,
            name,
            first={sensor: SENSORS[sensor] for sensor in sensors},
            label_column=2,
            names=ACTIVITIES,
            class_names=classes,
            declared=unit,
            subject=key[0],
            recording=f"{key[1].lower()} {key[0]}",
        )

    return read_files(
        path,
        lambda files: (((int(m[2]), m[1]), name) for name, m in files.find(rf"({parts})/subject(\d+)\.dat")),
        read,
        expected="Protocol/subject101.dat and so on",
        subjects=subjects,
    )

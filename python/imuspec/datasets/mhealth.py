"""mHealth: ten people with sensors on chest, left ankle and right wrist, twelve activities.

Layout: ``mHealth_subject<n>.log``, 24 numbers a line, separated by tabs: the accelerometers are columns 1 to 3 (chest),
6 to 8 (ankle) and 15 to 17 (wrist), the label is the last; 50 Hz, m/s2, no times. UCI 319; Banos et al. 2014.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from imuspec.datasets.files import SetFiles, read_table
from imuspec.datasets.reading import coded_labels, known_names, read_files, recording_of
from imuspec.datasets.recordings import LabelledRecording

__all__ = ["CLASSES", "SENSORS", "recordings"]

RATE = 50.0
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
_COLUMNS = tuple(map(str, range(1, 25)))


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
        source = files.label(name)
        axes = {sensor: [str(SENSORS[sensor] + axis) for axis in range(3)] for sensor in sensors}
        used = ("24", *(column for triple in axes.values() for column in triple))
        table, bad = read_table(files.read(name), source, columns=used, header=_COLUMNS, delimiter="\t")
        label, unlabelled = coded_labels(table["24"], {0: "", **dict(enumerate(CLASSES, 1))}, CLASSES, source)
        for sensor, triple in axes.items():
            yield recording_of(
                np.stack([table[column] for column in triple]),
                label,
                unit="m/s2",
                declared=unit,
                rate=RATE,
                source=source,
                n_bad=bad,
                unlabelled=unlabelled,
                subject=key[0],
                recording=f"subject {key[0]}",
                sensor=sensor,
                class_names=CLASSES,
            )

    return read_files(
        path,
        lambda files: (((int(m[1]),), name) for name, m in files.find(r"mHealth_subject(\d+)\.log")),
        read,
        expected="mHealth_subject1.log and so on",
        subjects=subjects,
    )

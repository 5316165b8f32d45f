"""Daphnet: freezing of gait in ten people with Parkinson's disease, sensors at ankle, thigh and trunk.

Layout: ``dataset/S<ss>R<rr>.txt``, 17 files, 64 Hz, mg: time in ms, ankle (forward, vertical, lateral), thigh, trunk,
and 0 not part of the experiment, 1 no freeze, 2 freeze. UCI 245; Bächlin et al. 2010. Subjects 4 and 10 never freeze.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from imuspec.datasets.files import SetFiles, read_table
from imuspec.datasets.reading import known_names, read_files, recording_of
from imuspec.datasets.recordings import LabelledRecording
from imuspec.errors import RecordingError

__all__ = ["CLASSES", "SENSORS", "recordings"]

RATE = 64.0
CLASSES = ("no freeze", "freeze")
SENSORS = ("ankle", "thigh", "trunk")
_COLUMNS = ("time", *(f"{sensor} {axis}" for sensor in SENSORS for axis in "xyz"), "annotation")


def recordings(
    path: str | os.PathLike[str],
    *,
    sensors: Sequence[str] = ("ankle",),
    subjects: Collection[int | str] | None = None,
    unit: str | None = None,
) -> Iterator[LabelledRecording]:
    """Read Daphnet, one sensor of a file at a time.

    Parameters
    ----------
    path : path-like
        The folder or archive, at any depth; files may end in .txt or .txt.xz.
    sensors : sequence of str, default ('ankle',)
        Sensors to read, of ankle, thigh and trunk; each gives its own recording.
    subjects : collection of int or str, optional
        Subjects to read, 1 to 10. The default is all.
    unit : str, optional
        Unit of the files if it is not mg.

    Yields
    ------
    LabelledRecording
        Samples outside the experiment have no label. Samples of a sensor that is off (three zeros) are left out.

    Raises
    ------
    FileNotFoundError
        If there is no file of the layout.
    RecordingError
        If a file differs from the layout.
    """
    known_names("sensors", sensors, SENSORS)
    return read_files(
        path,
        lambda files: (((int(m[1]), int(m[2])), name) for name, m in files.find(r"S(\d\d)R(\d\d)\.txt")),
        lambda files, name, key: _sensors(files, name, key, sensors, unit),
        expected="Daphnet's files S01R01.txt to S10R01.txt",
        subjects=subjects,
    )


def _sensors(
    files: SetFiles, name: str, key: tuple[int, int], sensors: Sequence[str], unit: str | None
) -> Iterator[LabelledRecording]:
    source = files.label(name)
    table, bad = read_table(files.read(name), source, columns=_COLUMNS, header=_COLUMNS, delimiter=" ")
    annotation = table["annotation"]
    wrong = annotation[~np.isin(annotation, (0, 1, 2))]
    wrong = wrong[np.isfinite(wrong)]
    if wrong.size:
        raise RecordingError(source, None, f"expected annotations 0, 1 and 2, got {wrong[0]:g}")
    label = np.where(np.isfinite(annotation), annotation, 0).astype(np.int64) - 1
    stamps = np.where(np.isfinite(annotation), table["time"] * 1e6, np.nan)  # a row without an annotation is broken
    for sensor in sensors:
        raw = np.stack([table[f"{sensor} {axis}"] for axis in "xyz"])
        yield recording_of(
            raw,
            label,
            unit="mg",
            declared=unit,
            rate=RATE,
            source=source,
            stamps=stamps,
            dropped={"three zeros, the sensor is off": (raw == 0).all(axis=0)},
            broken="not eleven numbers",
            n_bad=bad,
            unlabelled=lambda used: {"not part of the experiment": int((label[used] < 0).sum())},
            subject=key[0],
            recording=f"S{key[0]:02d}R{key[1]:02d}",
            sensor=sensor,
            class_names=CLASSES,
        )

"""Daphnet: freezing of gait in ten people with Parkinson's disease, sensors at ankle, thigh and trunk.

Layout: ``dataset/S<ss>R<rr>.txt``, 17 files, 64 Hz, mg: time in ms, ankle (forward, vertical, lateral), thigh, trunk,
and 0 not part of the experiment, 1 no freeze, 2 freeze. UCI 245; Bächlin et al. 2010. Subjects 4 and 10 never freeze.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from imuspec.datasets.files import SetFiles, read_table
from imuspec.datasets.recordings import LabelledRecording, in_g, runs_of, sound, sound_stamps
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
    """Read Daphnet, a sensor of a file at a time.

    Parameters
    ----------
    path
        The folder or archive, at any depth; files may end in .txt or .txt.xz.
    sensors
        Which of ankle, thigh and trunk; each is a recording of its own.
    subjects
        Subjects wanted, 1 to 10; all by default.
    unit
        The files' unit where it is not mg.

    Yields
    ------
    LabelledRecording; samples that are not part of the experiment have no label, and those of a sensor that is off
    (three zeros) are left out.

    Raises
    ------
    FileNotFoundError
        Not one file of the layout.
    RecordingError
        A file that is not what the layout says.
    """
    unknown = [name for name in sensors if name not in SENSORS]
    if unknown or not sensors:
        raise ValueError(f"sensors: expected some of {', '.join(SENSORS)}, got {', '.join(unknown) or 'none'}")
    with SetFiles(path) as files:
        found = [(int(m[1]), int(m[2]), name) for name, m in files.find(r"S(\d\d)R(\d\d)\.txt")]
        if not found:
            raise FileNotFoundError(f"{files.path}: expected Daphnet's files S01R01.txt to S10R01.txt, got none")
        for subject, run, name in sorted(found):
            if subjects is None or subject in subjects:
                yield from _sensors(files, name, subject, run, sensors, unit)


def _sensors(
    files: SetFiles, name: str, subject: int, run: int, sensors: Sequence[str], unit: str | None
) -> Iterator[LabelledRecording]:
    source = files.label(name)
    table, bad = read_table(files.read(name), source, columns=_COLUMNS, header=_COLUMNS, delimiter=" ")
    annotation = table["annotation"]
    wrong = annotation[~np.isin(annotation, (0, 1, 2))]
    wrong = wrong[np.isfinite(wrong)]
    if wrong.size:
        raise RecordingError(source, None, f"expected annotations 0, 1 and 2, got {wrong[0]:g}")
    for sensor in sensors:
        raw = np.stack([table[f"{sensor} {axis}"] for axis in "xyz"])
        whole = sound(raw).all(axis=0) & sound_stamps(table["time"], 1e6) & np.isfinite(annotation)
        off = whole & (raw == 0).all(axis=0)
        kept = whole & ~off
        time = np.round(table["time"][kept] * 1e6).astype(np.int64)
        label = annotation[kept].astype(np.int64) - 1
        yield LabelledRecording(
            subject=subject,
            recording=f"S{subject:02d}R{run:02d}",
            sensor=sensor,
            rate=RATE,
            acceleration=in_g(raw[:, kept], unit="mg", declared=unit, source=source),
            time=time,
            runs=runs_of(time, RATE),
            label=label,
            class_names=CLASSES,
            source=source,
            n_rows=annotation.size + bad,
            counts={
                "not eleven numbers": int((~whole).sum()) + bad,
                "three zeros, the sensor is off": int(off.sum()),
            },
            unlabelled={"not part of the experiment": int((label < 0).sum())},
        )

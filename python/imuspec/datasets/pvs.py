"""PVS, Passive Vehicular Sensors: three cars on asphalt, cobblestone and dirt, six sensors in each.

Layout: folders ``PVS 1`` to ``PVS 9`` (also ``PVS1``), drives 1-3, 4-6 and 7-9 by one driver each;
``dataset_gps_mpu_left.csv`` and ``..._right.csv`` with timestamp (s) and acc_{x,y,z}_{dashboard, above_suspension,
below_suspension}, 100 Hz, m/s2; ``dataset_labels.csv``, row for row, 0 or 1 for each label. Menegazzo and von
Wangenheim 2020, Kaggle jefmenegazzo, CC BY-NC-ND 4.0.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from imuspec.datasets.files import SetFiles, read_table
from imuspec.datasets.recordings import DROPPED, LabelledRecording, in_g, runs_of, sound, sound_stamps
from imuspec.errors import RecordingError

__all__ = ["CLASSES", "SENSORS", "recordings"]

RATE = 100.0
CLASSES = ("asphalt", "cobblestone", "dirt")
SENSORS = tuple(
    f"{side} {place}" for side in ("left", "right") for place in ("dashboard", "above_suspension", "below_suspension")
)
_LABELS = tuple(f"{name}_road" for name in CLASSES)


def recordings(
    path: str | os.PathLike[str],
    *,
    sensors: Sequence[str] = ("left dashboard",),
    subjects: Collection[int | str] | None = None,
    unit: str | None = None,
) -> Iterator[LabelledRecording]:
    """Read PVS, a sensor of a drive at a time.

    Parameters
    ----------
    path
        The folder of the drives, or an archive of it.
    sensors
        Which of `SENSORS`; sensors of a drive share its recording.
    subjects
        Drivers wanted, 1 to 3; all by default.
    unit
        The files' unit where it is not m/s2.

    Yields
    ------
    LabelledRecording; a subject is a driver with a car, a recording a drive. Rows with none of the three roads have no
    label.

    Raises
    ------
    FileNotFoundError
        No drive, or one that lacks a file.
    RecordingError
        Labels that do not pair with the samples row by row, or two roads at one time.
    """
    unknown = [name for name in sensors if name not in SENSORS]
    if unknown or not sensors:
        raise ValueError(f"sensors: expected some of {', '.join(SENSORS)}, got {', '.join(unknown) or 'none'}")
    with SetFiles(path) as files:
        names = {
            (int(m[1]), m[2].lower()): name
            for name, m in files.find(r"PVS[ _]?(\d)/dataset_(gps_mpu_left|gps_mpu_right|labels)\.csv")
        }
        drives = sorted({drive for drive, _ in names})
        if not drives:
            raise FileNotFoundError(f"{files.path}: expected PVS 1 to PVS 9 with dataset_labels.csv, got none")
        for drive in drives:
            driver = (drive - 1) // 3 + 1
            if subjects is None or driver in subjects:
                yield from _drive(files, names, drive, driver, sensors, unit)


def _drive(
    files: SetFiles,
    names: dict[tuple[int, str], str],
    drive: int,
    driver: int,
    sensors: Sequence[str],
    unit: str | None,
) -> Iterator[LabelledRecording]:
    def named(kind: str) -> str:
        if (drive, kind) not in names:
            raise FileNotFoundError(f"{files.path}: expected PVS {drive}/dataset_{kind}.csv, got none")
        return names[drive, kind]

    labels, bad = read_table(files.read(named("labels")), files.label(named("labels")), columns=_LABELS)
    hot = np.stack([labels[name] for name in _LABELS])
    if bad or not np.isin(hot, (0, 1)).all() or (hot.sum(axis=0) > 1).any():
        raise RecordingError(
            files.label(named("labels")), None, f"expected one of {', '.join(_LABELS)} a row as 0 or 1, got other rows"
        )
    label = np.where(hot.any(axis=0), hot.argmax(axis=0), DROPPED).astype(np.int64)
    begin: float | None = None  # the first stamp of the first side: what the drive's sensors share
    for sensor in sensors:
        side, place = sensor.split(" ")
        name = named(f"gps_mpu_{side}")
        source, axes = files.label(name), [f"acc_{axis}_{place}" for axis in "xyz"]
        table, bad = read_table(files.read(name), source, columns=("timestamp", *axes))
        raw, stamp = np.stack([table[axis] for axis in axes]), table["timestamp"]
        if bad or stamp.size != label.size:
            raise RecordingError(
                source, None, f"expected {label.size} rows, one a label, got {stamp.size} and {bad} broken"
            )
        whole = sound(raw).all(axis=0) & sound_stamps(stamp, 1e9)
        begin = float(stamp[whole][0]) if begin is None and whole.any() else begin
        time = np.round((stamp[whole] - (begin or 0.0)) * 1e9).astype(np.int64)
        yield LabelledRecording(
            subject=driver,
            recording=f"PVS {drive}",
            sensor=sensor,
            rate=RATE,
            acceleration=in_g(raw[:, whole], unit="m/s2", declared=unit, source=source),
            time=time,
            runs=runs_of(time, RATE),
            label=label[whole],
            class_names=CLASSES,
            source=source,
            n_rows=stamp.size,
            counts={"not numbers on three axes": int((~whole).sum())},
            unlabelled={"none of the three roads": int((label[whole] < 0).sum())},
        )

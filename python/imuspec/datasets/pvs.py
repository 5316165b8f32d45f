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
from imuspec.datasets.reading import known_names, read_files, recording_of
from imuspec.datasets.recordings import DROPPED, LabelledRecording, sound, sound_stamps
from imuspec.errors import RecordingError

__all__ = ["CLASSES", "SENSORS", "recordings"]

RATE = 100.0
CLASSES = ("asphalt", "cobblestone", "dirt")
SENSORS = tuple(
    f"{side} {position}"
    for side in ("left", "right")
    for position in ("dashboard", "above_suspension", "below_suspension")
)
_LABELS = tuple(f"{name}_road" for name in CLASSES)


def recordings(
    path: str | os.PathLike[str],
    *,
    sensors: Sequence[str] = ("left dashboard",),
    subjects: Collection[int | str] | None = None,
    unit: str | None = None,
) -> Iterator[LabelledRecording]:
    """Read PVS, one sensor of a drive at a time.

    Parameters
    ----------
    path : path-like
        The folder of the drives, or an archive of it.
    sensors : sequence of str, default ('left dashboard',)
        Some of `SENSORS`. Sensors of a drive share its recording.
    subjects : collection of int or str, optional
        Drivers to read, 1 to 3. The default is all.
    unit : str, optional
        Unit of the files if it is not m/s2.

    Yields
    ------
    LabelledRecording
        A subject is a driver with a car, a recording is a drive. Rows without one of the three roads have no label.

    Raises
    ------
    FileNotFoundError
        If there is no drive, or a drive lacks a file.
    RecordingError
        If labels and samples do not have the same rows, or a row has two roads.
    """
    known_names("sensors", sensors, SENSORS)
    names: dict[tuple[int, str], str] = {}

    def find(files: SetFiles) -> set[tuple[tuple[int, int], str]]:
        matches = files.find(r"PVS[ _]?(\d)/dataset_(gps_mpu_left|gps_mpu_right|labels)\.csv")
        names.update({(int(m[1]), m[2].lower()): name for name, m in matches})
        return {(((drive - 1) // 3 + 1, drive), "") for drive, _ in names}  # three drives by one driver each

    return read_files(
        path,
        find,
        lambda files, _, key: _drive(files, names, key[1], key[0], sensors, unit),
        expected="PVS 1 to PVS 9 with dataset_labels.csv",
        subjects=subjects,
    )


def _drive(
    files: SetFiles,
    names: dict[tuple[int, str], str],
    drive: int,
    driver: int,
    sensors: Sequence[str],
    unit: str | None,
) -> Iterator[LabelledRecording]:
    def file_of(kind: str) -> str:
        if (drive, kind) not in names:
            raise FileNotFoundError(f"{files.path}: PVS {drive}/dataset_{kind}.csv is missing")
        return names[drive, kind]

    labels, bad = read_table(files.read(file_of("labels")), files.label(file_of("labels")), columns=_LABELS)
    hot = np.stack([labels[name] for name in _LABELS])
    if bad or not np.isin(hot, (0, 1)).all() or (hot.sum(axis=0) > 1).any():
        raise RecordingError(
            files.label(file_of("labels")),
            None,
            f"expected one of {', '.join(_LABELS)} a row as 0 or 1, got other rows",
        )
    label = np.where(hot.any(axis=0), hot.argmax(axis=0), DROPPED).astype(np.int64)
    start: float | None = None  # first stamp of the first side, the origin for all sensors of the drive
    for sensor in sensors:
        side, position = sensor.split(" ")
        name = file_of(f"gps_mpu_{side}")
        source, axes = files.label(name), [f"acc_{axis}_{position}" for axis in "xyz"]
        table, bad = read_table(files.read(name), source, columns=("timestamp", *axes))
        raw, stamp = np.stack([table[axis] for axis in axes]), table["timestamp"]
        if bad or stamp.size != label.size:
            raise RecordingError(
                source, None, f"expected {label.size} rows, one a label, got {stamp.size} and {bad} broken"
            )
        whole = sound(raw).all(axis=0) & sound_stamps(stamp, 1e9)
        start = float(stamp[whole][0]) if start is None and whole.any() else start
        yield recording_of(
            raw,
            label,
            unit="m/s2",
            declared=unit,
            rate=RATE,
            source=source,
            stamps=(stamp - (start or 0.0)) * 1e9,
            unlabelled=lambda used: {"none of the three roads": int((label[used] < 0).sum())},
            subject=driver,
            recording=f"PVS {drive}",
            sensor=sensor,
            class_names=CLASSES,
        )

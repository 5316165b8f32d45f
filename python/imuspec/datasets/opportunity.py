"""Opportunity: four people in a kitchen with accelerometers all over the body, modes of locomotion and gestures.

Layout: ``S<n>-ADL<r>.dat`` and ``S<n>-Drill.dat``, 250 numbers a line, separated by blanks: time in ms, sensors from column 2 on,
labels from column 244 on; 30 Hz, mg; NaN where a radio packet was lost. UCI 226; Chavarriaga et al. 2013.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

from imuspec.datasets.files import SetFiles
from imuspec.datasets.reading import NumberedColumns, known_names, read_files
from imuspec.datasets.recordings import LabelledRecording

__all__ = ["GESTURES", "LOCOMOTION", "SENSORS", "recordings"]

#: Sensor -> first column of its accelerometer. The names are those of the set: R and L for right and left, U and L for upper
#: and lower, KN for knee, A for arm, WR for wrist, H for hand; the last five are inertial units of the jacket.
SENSORS: Mapping[str, int] = {
    "RKN^": 2,
    "HIP": 5,
    "LUA^": 8,
    "RUA_": 11,
    "LH": 14,
    "BACK": 17,
    "RKN_": 20,
    "RWR": 23,
    "RUA^": 26,
    "LUA_": 29,
    "LWR": 32,
    "RH": 35,
    "IMU BACK": 38,
    "IMU RUA": 51,
    "IMU RLA": 64,
    "IMU LUA": 77,
    "IMU LLA": 90,
}
LOCOMOTION: Mapping[int, str] = {1: "stand", 2: "walk", 4: "sit", 5: "lie"}
GESTURES: Mapping[int, str] = {
    406516: "open door 1",
    406517: "open door 2",
    404516: "close door 1",
    404517: "close door 2",
    406520: "open fridge",
    404520: "close fridge",
    406505: "open dishwasher",
    404505: "close dishwasher",
    406519: "open drawer 1",
    404519: "close drawer 1",
    406511: "open drawer 2",
    404511: "close drawer 2",
    406508: "open drawer 3",
    404508: "close drawer 3",
    408512: "clean table",
    407521: "drink from cup",
    405506: "toggle switch",
}
_TRACKS = {"locomotion": (LOCOMOTION, 244), "gestures": (GESTURES, 250)}
_COLUMNS = NumberedColumns(250, unit="mg", rate=30.0, stamp_ns=1e6)


def recordings(
    path: str | os.PathLike[str],
    *,
    sensors: Sequence[str] = ("BACK",),
    track: Literal["locomotion", "gestures"] = "locomotion",
    subjects: Collection[int | str] | None = None,
    unit: str | None = None,
) -> Iterator[LabelledRecording]:
    """Read Opportunity, one sensor of a session at a time.

    Parameters
    ----------
    path : path-like
        The folder or archive, at any depth.
    sensors : sequence of str, default ("BACK",)
        Some of `SENSORS`.
    track : {"locomotion", "gestures"}, default "locomotion"
        Labels: four modes of locomotion, or seventeen gestures of both arms.
    subjects : collection of int or str, optional
        People to read, 1 to 4. The default is all.
    unit : str, optional
        Unit of the files if it is not mg.

    Yields
    ------
    LabelledRecording
        Rows of label 0 have no label.

    Raises
    ------
    FileNotFoundError
        If there is no file of the layout.
    RecordingError
        If a file differs from the layout.
    """
    known_names("sensors", sensors, tuple(SENSORS))
    known_names("track", [track], tuple(_TRACKS))
    names, column = _TRACKS[track]

    def read(files: SetFiles, name: str, key: tuple[int, str]) -> Iterator[LabelledRecording]:
        return _COLUMNS.read(
            files,
            name,
            first={sensor: SENSORS[sensor] for sensor in sensors},
            label_column=column,
            names={0: "", **names},
            class_names=tuple(names.values()),
            declared=unit,
            subject=key[0],
            recording=f"S{key[0]} {key[1]}",
        )

    return read_files(
        path,
        lambda files: (((int(m[1]), m[2]), name) for name, m in files.find(r"S(\d)-(ADL\d|Drill)\.dat")),
        read,
        expected="S1-ADL1.dat and so on",
        subjects=subjects,
    )

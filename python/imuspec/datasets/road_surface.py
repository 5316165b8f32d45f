"""Road surfaces by phone: smooth, bumpy or rough, from three collectors' phones in cars.

Layout: ``RoadSurfaceDataCollector<n>/<date>_<time>.csv`` (repository simonwu53/RoadSurfaceRecognition, GPL-3): time in
ms, three device axes, three rotated axes, road_type; about 10 Hz, m/s2 with gravity taken out, one class a file.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.files import SetFiles, read_table
from imuspec.datasets.reading import read_files
from imuspec.datasets.recordings import DROPPED, LabelledRecording, in_g, runs_of, sound, sound_stamps

__all__ = ["CLASSES", "recordings"]

RATE = 10.0
CLASSES = ("smooth", "bumpy", "rough")
_AXES = {"device": ("X-raw", "Y-raw", "Z-raw"), "rotated": ("X-axis", "Y-axis", "Z-axis")}


class _File(NamedTuple):
    name: str
    collector: int
    stem: str
    time: NDArray[np.int64]
    raw: NDArray[np.float64]
    kind: NDArray[Any]
    bad: int


def recordings(
    path: str | os.PathLike[str],
    *,
    axes: Literal["device", "rotated"] = "device",
    subjects: Collection[int | str] | None = None,
    unit: str | None = None,
) -> Iterator[LabelledRecording]:
    """Read one file at a time, ordered by collector.

    Collectors 1 and 2 rode in one car: the norms of their seconds correlate (up to 0.87) at a constant lag of 1.5 s between
    their clocks. So files that overlap in time are one recording, and each collector's phone is a sensor of it. Splits assign
    recordings; with a split by collector the same second of road would be in two parts. ``samsungs2/all.csv`` repeats a file
    and is left out.

    Parameters
    ----------
    path : path-like
        The zip or the folder.
    axes : {"device", "rotated"}, default "device"
        "device": the axes of the phone. "rotated": the axes of the phone's software.
    subjects : collection of int or str, optional
        Collectors to read: 1, 2 and 5. The default is all.
    unit : str, optional
        Unit of the files if it is not m/s2. The norm does not show it, since gravity is removed.

    Yields
    ------
    LabelledRecording

    Raises
    ------
    FileNotFoundError
        If there is no file of the layout.
    RecordingError
        If a file differs from the layout.
    """
    if axes not in _AXES:
        raise ValueError(f"axes: expected device or rotated, got {axes!r}")
    recordings_of: dict[str, tuple[_File, str, int]] = {}

    def find(files: SetFiles) -> list[tuple[tuple[int, str], str]]:
        matches = files.find(r"RoadSurfaceDataCollector(\d+)/([^/]+)\.csv")
        loaded = [_read(files, name, int(match[1]), match[2], axes) for name, match in matches]
        loaded = [file for file in loaded if file.time.size]
        for file, recording, origin in zip(loaded, *_same_time(loaded), strict=True):
            recordings_of[file.name] = file, recording, origin
        return [((file.collector, file.stem), file.name) for file in loaded]

    return read_files(
        path,
        find,
        lambda files, name, _: [_recording(*recordings_of[name], files.label(name), unit or "m/s2")],
        expected="RoadSurfaceDataCollector1/2017-....csv",
        subjects=subjects,
    )


def _read(files: SetFiles, name: str, collector: int, stem: str, axes: str) -> _File:
    columns = ("timestamp", *_AXES[axes], "road_type")
    table, bad = read_table(files.read(name), files.label(name), columns=columns, text=("road_type",))
    raw = np.stack([table[axis] for axis in _AXES[axes]])
    whole = sound(raw).all(axis=0) & sound_stamps(table["timestamp"], 1e6)
    kind = np.array([str(value or "").strip().strip('"').lower() for value in table["road_type"][whole]], object)
    time = np.round(table["timestamp"][whole] * 1e6).astype(np.int64)
    return _File(name, collector, stem, time, raw[:, whole], kind, bad + int((~whole).sum()))


def _same_time(loaded: list[_File]) -> tuple[list[str], list[int]]:
    """Return name and start of the recording of each file; files that overlap in time, in a chain, are one recording."""
    order = sorted(range(len(loaded)), key=lambda index: int(loaded[index].time[0]))
    names, origins = [""] * len(loaded), [0] * len(loaded)
    name, origin, end = "", 0, -1
    for index in order:
        first, last = int(loaded[index].time[0]), int(loaded[index].time[-1])
        if first > end:
            name, origin = loaded[index].stem, first
        end = max(end, last)
        names[index], origins[index] = name, origin
    return names, origins


def _recording(file: _File, recording: str, origin: int, source: str, unit: str) -> LabelledRecording:
    label = np.full(file.time.size, DROPPED, np.int64)
    for index, name in enumerate(CLASSES):
        label[file.kind == name] = index
    time = file.time - origin
    return LabelledRecording(
        subject=file.collector,
        recording=recording,
        sensor=f"phone {file.collector}",
        rate=RATE,
        acceleration=in_g(file.raw, unit=unit, declared=unit, source=source),
        time=time,
        runs=runs_of(time, RATE),
        label=label,
        class_names=CLASSES,
        source=source,
        n_rows=file.time.size + file.bad,
        counts={"not eight fields": file.bad},
        unlabelled={"another road type": int((label < 0).sum())},
    )

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
    """Read the files, one at a time, ordered by collector.

    Collectors 1 and 2 rode in one car: their norms over a second are alike (correlation up to 0.87) at one and the same
    lag of 1.5 s between their clocks. Files that overlap in time are therefore one recording, each collector's phone a
    sensor of it, and splits deal recordings: by collectors the same second of road would be on two sides.
    ``samsungs2/all.csv`` repeats a file and is left out.

    Parameters
    ----------
    path : path-like
        The zip or the folder.
    axes : {"device", "rotated"}, default "device"
        device: along the phone's own axes; rotated: as the phone's software turned them.
    subjects : collection of int or str, optional
        Collectors wanted: 1, 2 and 5; all by default.
    unit : str, optional
        The files' unit where it is not m/s2. Gravity is not in them, so the norm cannot tell.

    Yields
    ------
    LabelledRecording

    Raises
    ------
    FileNotFoundError
        Not one file of the layout.
    RecordingError
        A file that is not what the layout says.
    """
    if axes not in _AXES:
        raise ValueError(f"axes: expected device or rotated, got {axes!r}")
    with SetFiles(path) as files:
        named = files.find(r"RoadSurfaceDataCollector(\d+)/([^/]+)\.csv")
        if not named:
            raise FileNotFoundError(f"{files.path}: expected RoadSurfaceDataCollector1/2017-....csv, got none")
        held = [_read(files, name, int(match[1]), match[2], axes) for name, match in named]
        held = [file for file in held if file.time.size]
        called, begin = _same_time(held)
        for file, recording, origin in sorted(zip(held, called, begin, strict=True), key=lambda row: row[0][1:3]):
            if subjects is None or file.collector in subjects:
                yield _recording(file, recording, origin, files.label(file.name), unit or "m/s2")


def _read(files: SetFiles, name: str, collector: int, stem: str, axes: str) -> _File:
    columns = ("timestamp", *_AXES[axes], "road_type")
    table, bad = read_table(files.read(name), files.label(name), columns=columns, text=("road_type",))
    raw = np.stack([table[axis] for axis in _AXES[axes]])
    whole = sound(raw).all(axis=0) & sound_stamps(table["timestamp"], 1e6)
    kind = np.array([str(value or "").strip().strip('"').lower() for value in table["road_type"][whole]], object)
    time = np.round(table["timestamp"][whole] * 1e6).astype(np.int64)
    return _File(name, collector, stem, time, raw[:, whole], kind, bad + int((~whole).sum()))


def _same_time(held: list[_File]) -> tuple[list[str], list[int]]:
    """Name and begin of the recording of each file: files that overlap in time, however many in a chain, are one."""
    order = sorted(range(len(held)), key=lambda index: int(held[index].time[0]))
    called, begin = [""] * len(held), [0] * len(held)
    name, origin, end = "", 0, -1
    for index in order:
        first, last = int(held[index].time[0]), int(held[index].time[-1])
        if first > end:
            name, origin = held[index].stem, first
        end = max(end, last)
        called[index], begin[index] = name, origin
    return called, begin


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

"""HHAR, Heterogeneity Activity Recognition: nine people with eight phones at the waist and four watches, six activities.

Layout: ``Phones_accelerometer.csv`` and ``Watch_accelerometer.csv``: Index, Arrival_Time (ms), Creation_Time, x, y, z, User, Model,
Device, gt; m/s2; 50 to 200 Hz, by model. The creation times of some models have other units and starts, so times are those
of arrival, which all devices share. UCI 344; Stisen et al. 2015.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.files import SetFiles, read_table
from imuspec.datasets.reading import even_times, known_names, read_files
from imuspec.datasets.recordings import DROPPED, LabelledRecording, in_g, sound, sound_stamps
from imuspec.errors import RecordingError

__all__ = ["CLASSES", "RATES", "recordings"]

CLASSES = ("bike", "sit", "stairsdown", "stairsup", "stand", "walk")
#: Model -> nominal rate, Hz.
RATES: Mapping[str, float] = {"nexus4": 200, "s3": 150, "s3mini": 100, "samsungold": 50, "lgwatch": 200, "gear": 100}
_FILES = {"phone": "Phones", "watch": "Watch"}
_WORDS = ("User", "Model", "Device", "gt")
_NUMBERS = ("Arrival_Time", "x", "y", "z")


def recordings(
    path: str | os.PathLike[str],
    *,
    sensors: Sequence[str] = ("phone",),
    models: Sequence[str] | None = None,
    max_gap_s: float = 1.0,
    subjects: Collection[int | str] | None = None,
    unit: str | None = None,
) -> Iterator[LabelledRecording]:
    """Read HHAR, one device on one person at a time.

    Parameters
    ----------
    path : path-like
        The folder or archive, at any depth.
    sensors : sequence of str, default ("phone",)
        Some of phone and watch.
    models : sequence of str, optional
        Some of `RATES`. The default is all.
    max_gap_s : float, default 1.0
        A step of the times above this, forward or back, ends a run, s. Between gaps, samples are spaced evenly, as they arrive
        in bundles.
    subjects : collection of int or str, optional
        People to read, a to i. The default is all.
    unit : str, optional
        Unit of the files if it is not m/s2.

    Yields
    ------
    LabelledRecording
        Rows of "null" have no label. All devices of a person share a recording and its times.

    Raises
    ------
    FileNotFoundError
        If a file of the layout is missing.
    RecordingError
        If a file differs from the layout.
    """
    known_names("sensors", sensors, tuple(_FILES))
    known_names("models", tuple(RATES) if models is None else models, tuple(RATES))
    tables: dict[tuple[str, str], tuple[dict[str, NDArray[Any]], int]] = {}
    starts: dict[str, float] = {}

    def find(files: SetFiles) -> list[tuple[tuple[str, str], str]]:
        entries = []
        for sensor in sensors:
            name = files.one(rf"{_FILES[sensor]}_accelerometer\.csv", f"{_FILES[sensor]}_accelerometer.csv")
            table, bad = read_table(files.read(name), files.label(name), columns=(*_NUMBERS, *_WORDS), text=_WORDS)
            for rows in _groups(table["User"], table["Device"]):
                part = {column: values[rows] for column, values in table.items()}
                user, device, model = (str(part[column][0] or "") for column in ("User", "Device", "Model"))
                if model not in RATES:
                    raise RecordingError(files.label(name), None, f"expected models {', '.join(RATES)}, got {model}")
                if models is not None and model not in models:
                    continue
                tables[user, device], bad = (part, bad), 0  # lines of another form are counted once
                arrived = part["Arrival_Time"][np.isfinite(part["Arrival_Time"])]
                if arrived.size:
                    starts[user] = min(starts.get(user, np.inf), float(arrived.min()))
                entries.append(((user, device), name))
        return entries

    def read(files: SetFiles, name: str, key: tuple[str, str]) -> Iterator[LabelledRecording]:
        part, bad = tables.pop(key)
        yield _recording(part, bad, key, starts.get(key[0], 0.0), files.label(name), max_gap_s, unit)

    return read_files(path, find, read, expected="Phones_accelerometer.csv", subjects=subjects)


def _groups(*columns: NDArray[Any]) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each combination of words, in file order."""
    group = np.zeros(columns[0].size, np.int64)
    for words in columns:
        index = {word: code for code, word in enumerate(dict.fromkeys(words.tolist()))}
        codes = np.fromiter(map(index.__getitem__, words.tolist()), np.int64, words.size)
        group = group * len(index) + codes
    order = np.argsort(group, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if order.size else ()


def _recording(
    part: dict[str, NDArray[Any]],
    bad: int,
    key: tuple[str, str],
    start_ms: float,
    source: str,
    max_gap_s: float,
    unit: str | None,
) -> LabelledRecording:
    raw = np.stack([part[axis] for axis in "xyz"])
    since = (part["Arrival_Time"] - start_ms) * 1e6
    whole = sound(raw).all(axis=0) & sound_stamps(since, 1.0)
    words = [str(word or "null") for word in part["gt"][whole]]
    unknown = sorted(set(words) - {*CLASSES, "null"})
    if unknown:
        raise RecordingError(source, None, f"expected activities {', '.join(CLASSES)}, got {unknown[0]}")
    order = {name: index for index, name in enumerate(CLASSES)}
    label = np.array([order.get(word, DROPPED) for word in words], np.int64)
    time, runs = even_times(np.round(since[whole]).astype(np.int64), max_gap_ns=max_gap_s * 1e9)
    return LabelledRecording(
        subject=key[0],
        recording=f"user {key[0]}",
        sensor=key[1],
        rate=float(RATES[str(part["Model"][0])]),
        acceleration=in_g(raw[:, whole], unit="m/s2", declared=unit, source=f"{source}, {key[1]}"),
        time=time,
        runs=runs,
        label=label,
        max_gap_s=max_gap_s,
        class_names=CLASSES,
        source=source,
        n_rows=whole.size + bad,
        counts={"another number of fields": bad, "not numbers on three axes": int((~whole).sum())},
        unlabelled={"activity null": int((label < 0).sum())},
    )

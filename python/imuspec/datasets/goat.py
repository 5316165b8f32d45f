"""Goats: behaviour of five animals on a meadow, with six sensors in different orientations on the collar.

Layout: one folder per animal (a letter and a digit) with ``pos_<letter>.csv`` for each position. Columns: ax, ay, az (low
range), axhg, ayhg, azhg (high range), gx..., label; 100 Hz, m/s2. Kamminga et al. 2018, DANS doi 10.17026/dans-xhn-bsfb.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.files import SetFiles, read_table
from imuspec.datasets.reading import read_files, recording_of
from imuspec.datasets.recordings import DROPPED, LabelledRecording

__all__ = ["CLASSES", "MERGED", "recordings"]

RATE = 100.0
CLASSES = ("stationary", "walking", "running", "trotting")

#: Label of the set -> class. Eating is too rare to be a class.
MERGED: Mapping[str, str] = {
    "stationary": "stationary",
    "standing": "stationary",
    "lying": "stationary",
    "grazing": "stationary",
    "walking": "walking",
    "running": "running",
    "trotting": "trotting",
}
_AXES = {"low": ("ax", "ay", "az"), "high": ("axhg", "ayhg", "azhg")}
_TIMES = {"timestamp_ms": 1e6, "timestamp_us": 1e3, "timestamp_ns": 1.0, "timestamp_s": 1e9}  # a unit in ns


def recordings(
    path: str | os.PathLike[str],
    *,
    positions: Sequence[str] | None = None,
    sensor_range: Literal["low", "high"] = "low",
    merge: Mapping[str, str] = MERGED,
    subjects: Collection[int | str] | None = None,
    unit: str | None = None,
) -> Iterator[LabelledRecording]:
    """Read the goats, one position of an animal at a time.

    Parameters
    ----------
    path : path-like
        The folder of the animals' folders, or an archive of it.
    positions : sequence of str, optional
        Letters of the positions to read, as ``["A"]``. The default is all six; each is a sensor of the animal's recording.
    sensor_range : {"low", "high"}, default "low"
        Accelerometer of a sensor, by its range.
    merge : mapping of str to str, default MERGED
        Label -> class, in upper or lower case. Other labels are dropped. The order of the classes is that of the mapping.
    subjects : collection of int or str, optional
        Animals to read, as ``["G1"]``. The default is all.
    unit : str, optional
        Unit of the files if it is not m/s2.

    Yields
    ------
    LabelledRecording

    Raises
    ------
    FileNotFoundError
        If there is no file of the layout, or none of a position.
    RecordingError
        If a column is missing, or a field is not a number.
    """
    if sensor_range not in _AXES:
        raise ValueError(f"sensor_range: expected low or high, got {sensor_range!r}")
    classes = tuple(dict.fromkeys(merge.values()))
    chosen = {letter.upper() for letter in positions} if positions is not None else None

    def find(files: SetFiles) -> list[tuple[tuple[str, str], str]]:
        entries = [((m[1], m[2].upper()), name) for name, m in files.find(r"([A-Z]\d)/pos_([A-Z])\.csv")]
        if files.path.is_dir() and not entries:  # the folder of one animal
            entries = [((files.path.name, m[1].upper()), name) for name, m in files.find(r"pos_([A-Z])\.csv")]
        missing = (chosen or set()) - {position for (_, position), _ in entries}
        if entries and missing:
            raise FileNotFoundError(f"{files.path}: no file of position {', '.join(sorted(missing))}")
        return [(key, name) for key, name in entries if chosen is None or key[1] in chosen]

    return read_files(
        path,
        find,
        lambda files, name, key: [_recording(files, name, key, sensor_range, merge, classes, unit)],
        expected="<animal>/pos_<letter>.csv, as G1/pos_A.csv",
        subjects=subjects,
    )


def _recording(
    files: SetFiles,
    name: str,
    key: tuple[str, str],
    sensor_range: str,
    merge: Mapping[str, str],
    classes: tuple[str, ...],
    unit: str | None,
) -> LabelledRecording:
    source, data, axes = files.label(name), files.read(name), _AXES[sensor_range]
    header = data[:4096].split(b"\n", 1)[0].decode("utf-8", "replace").strip().split(",")
    stamped = next((column for column in header if column.strip() in _TIMES), None)
    columns = (*axes, "label", *((stamped,) if stamped else ()))
    table, bad = read_table(data, source, columns=columns, text=("label",))
    raw = np.stack([table[axis] for axis in axes])
    names = np.array([str(value or "").strip().strip('"').lower() for value in table["label"]], np.str_)
    label, _ = _classes(names, merge, classes)
    return recording_of(
        raw,
        label,
        unit="m/s2",
        declared=unit,
        rate=RATE,
        source=source,
        stamps=table[stamped] * _TIMES[stamped.strip()] if stamped else None,
        from_first=True,
        n_bad=bad,
        unlabelled=lambda used: _classes(names[used], merge, classes)[1],
        subject=key[0],
        recording=key[0],
        sensor=f"position {key[1]}",
        class_names=classes,
    )


def _classes(
    names: NDArray[np.str_], merge: Mapping[str, str], classes: tuple[str, ...]
) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Return the label of each sample, and the number of samples with each name that is not a class."""
    lower = {word.lower(): classes.index(kind) for word, kind in merge.items()}
    words, inverse, number = np.unique(names, return_inverse=True, return_counts=True)
    index = np.array([lower.get(word, DROPPED) for word in words.tolist()], np.int64)
    dropped = {
        f"label {word}" if word else "without a label": int(k)
        for word, k, label in zip(words.tolist(), number.tolist(), index.tolist(), strict=True)
        if label == DROPPED
    }
    return index[inverse], dropped

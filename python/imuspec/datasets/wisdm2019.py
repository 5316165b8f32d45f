"""WISDM 2019: 51 people with a phone in the trouser pocket and a watch on the wrist, eighteen activities.

Layout: ``raw/<phone|watch>/accel/data_<subject>_accel_<device>.txt``, lines ``subject,letter,timestamp,x,y,z;``, 20 Hz, m/s2, the
stamps in ns of an unknown start. Phone and watch have clocks of their own. UCI 507; Weiss, Yoneda, Hayajneh 2019.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from imuspec.datasets.files import SetFiles, read_table
from imuspec.datasets.reading import even_times, known_names, read_files
from imuspec.datasets.recordings import DROPPED, LabelledRecording, in_g, sound, sound_stamps
from imuspec.errors import RecordingError

__all__ = ["ACTIVITIES", "CLASSES", "SENSORS", "recordings"]

RATE = 20.0
SENSORS = ("phone", "watch")
ACTIVITIES: Mapping[str, str] = {
    "A": "walking",
    "B": "jogging",
    "C": "stairs",
    "D": "sitting",
    "E": "standing",
    "F": "typing",
    "G": "brushing teeth",
    "H": "eating soup",
    "I": "eating chips",
    "J": "eating pasta",
    "K": "drinking",
    "L": "eating sandwich",
    "M": "kicking",
    "O": "catching",
    "P": "dribbling",
    "Q": "writing",
    "R": "clapping",
    "S": "folding clothes",
}
CLASSES = tuple(ACTIVITIES.values())
_COLUMNS = ("subject", "activity", "stamp", "x", "y", "z")


def recordings(
    path: str | os.PathLike[str],
    *,
    sensors: Sequence[str] = ("watch",),
    max_gap_s: float = 1.0,
    subjects: Collection[int | str] | None = None,
    unit: str | None = None,
) -> Iterator[LabelledRecording]:
    """Read WISDM 2019, one device of a person at a time.

    Parameters
    ----------
    path : path-like
        The folder or archive, at any depth.
    sensors : sequence of str, default ("watch",)
        Some of phone and watch.
    max_gap_s : float, default 1.0
        A step of the stamps above this, forward or back, ends a run, s. Between gaps, samples are spaced evenly.
    subjects : collection of int or str, optional
        People to read, 1600 to 1650. The default is all.
    unit : str, optional
        Unit of the files if it is not m/s2.

    Yields
    ------
    LabelledRecording
        With `timed` false, as the clocks of phone and watch cannot be compared. Each activity is a run of its own.

    Raises
    ------
    FileNotFoundError
        If there is no file of the layout.
    RecordingError
        If a file differs from the layout.
    """
    known_names("sensors", sensors, SENSORS)

    def read(files: SetFiles, name: str, key: tuple[int, str]) -> Iterator[LabelledRecording]:
        source = files.label(name)
        data = files.read(name).replace(b";", b"")
        table, bad = read_table(data, source, columns=_COLUMNS, header=_COLUMNS, text=("activity",))
        letters = np.array([str(word or "").strip() for word in table["activity"]], np.str_)
        unknown = sorted(set(letters.tolist()) - {*ACTIVITIES, ""})
        if unknown:
            raise RecordingError(source, None, f"expected activities {', '.join(ACTIVITIES)}, got {unknown[0]}")
        raw = np.stack([table[axis] for axis in "xyz"])
        whole = sound(raw).all(axis=0) & sound_stamps(table["stamp"], 1.0) & (letters != "")
        raw, letters, stamps = raw[:, whole], letters[whole], table["stamp"][whole].astype(np.int64)
        time, runs = stamps.copy(), []
        edges = np.concatenate(([0], np.flatnonzero(letters[1:] != letters[:-1]) + 1, [letters.size]))
        for first, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            time[first:end], parts = even_times(stamps[first:end], max_gap_ns=max_gap_s * 1e9)
            runs.append(parts + first)
        order = {letter: index for index, letter in enumerate(ACTIVITIES)}
        yield LabelledRecording(
            subject=key[0],
            recording=f"user {key[0]}",
            sensor=key[1],
            rate=RATE,
            acceleration=in_g(raw, unit="m/s2", declared=unit, source=source),
            time=time - (time.min() if time.size else 0),
            runs=np.concatenate(runs).astype(np.int64),
            label=np.array([order.get(letter, DROPPED) for letter in letters.tolist()], np.int64),
            class_names=CLASSES,
            source=source,
            n_rows=whole.size + bad,
            timed=False,
            max_gap_s=max_gap_s,
            counts={"not six fields": bad, "empty field, or not a number": int((~whole).sum())},
        )

    return read_files(
        path,
        lambda files: [
            ((int(m[2]), m[3].lower()), name)
            for name, m in files.find(r"(phone|watch)/accel/data_(\d+)_accel_(phone|watch)\.txt")
            if m[3].lower() in sensors
        ],
        read,
        expected="raw/watch/accel/data_1600_accel_watch.txt and so on",
        subjects=subjects,
    )

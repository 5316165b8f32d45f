"""UCI HAR in its processed form: 10,299 windows of 128 samples of 30 people with a phone at the waist, six activities.

Layout: ``train`` and ``test``, each with ``Inertial Signals/<total|body>_acc_<x|y|z>_<part>.txt`` (128 numbers a line, g, 50 Hz),
``y_<part>.txt`` and ``subject_<part>.txt``. Windows share half of their samples with the next; their recordings and times are
not stated, so the windows of a person count as one recording. For continuous signals of the same people see
`imuspec.datasets.hapt`. UCI 240; Anguita et al. 2013.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.files import SetFiles
from imuspec.datasets.hapt import BASIC
from imuspec.datasets.reading import read_files
from imuspec.datasets.recordings import LabelledRecording, count_times, in_g
from imuspec.errors import RecordingError

__all__ = ["recordings"]

RATE = 50.0
_LENGTH = 128


def recordings(
    path: str | os.PathLike[str],
    *,
    acceleration: Literal["total", "body"] = "total",
    part: Literal["all", "train", "test"] = "all",
    subjects: Collection[int | str] | None = None,
) -> Iterator[LabelledRecording]:
    """Read the windows, one person at a time; each window is a run of the person's recording.

    Parameters
    ----------
    path : path-like
        The folder or archive, at any depth.
    acceleration : {"total", "body"}, default "total"
        "total": with gravity, as an accelerometer measures. "body": without.
    part : {"all", "train", "test"}, default "all"
        Part of the official split; each has other people.
    subjects : collection of int or str, optional
        People to read, 1 to 30. The default is all.

    Yields
    ------
    LabelledRecording
        With `timed` false.

    Raises
    ------
    FileNotFoundError
        If a file of the layout is missing.
    RecordingError
        If a file has another number of lines or numbers.
    """
    if acceleration not in ("total", "body"):
        raise ValueError(f"acceleration: expected total or body, got {acceleration!r}")
    if part not in ("all", "train", "test"):
        raise ValueError(f"part: expected all, train or test, got {part!r}")
    x: dict[int, NDArray[np.float64]] = {}
    label: dict[int, NDArray[np.int64]] = {}

    def find(files: SetFiles) -> list[tuple[tuple[int], str]]:
        entries = []
        for name in ("train", "test") if part == "all" else (part,):
            person = _numbers(files, rf"{name}/subject_{name}\.txt", 1)[:, 0].astype(np.int64)
            activity = _numbers(files, rf"{name}/y_{name}\.txt", 1)[:, 0].astype(np.int64) - 1
            signals = rf"{name}/Inertial Signals/{acceleration}_acc_{{}}_{name}\.txt"
            values = np.stack([_numbers(files, signals.format(axis), _LENGTH) for axis in "xyz"], axis=1)
            if not len(person) == len(activity) == len(values):
                raise RecordingError(
                    str(files.path),
                    None,
                    f"expected as many labels and subjects as windows, got {len(activity)}, {len(person)} and {len(values)}",
                )
            if activity.size and not 0 <= activity.min() <= activity.max() < len(BASIC):
                raise RecordingError(str(files.path), None, f"expected activities 1 to {len(BASIC)} in y_{name}.txt")
            for number in np.unique(person).tolist():
                x[number], label[number] = values[person == number], activity[person == number]
                entries.append(((number,), f"{name}/subject_{name}.txt"))
        return entries

    return read_files(
        path,
        find,
        lambda files, name, key: [_recording(key[0], x[key[0]], label[key[0]], files.label(name), acceleration)],
        expected="train/Inertial Signals/total_acc_x_train.txt and so on",
        subjects=subjects,
    )


def _numbers(files: SetFiles, pattern: str, width: int) -> NDArray[np.float64]:
    """Return the numbers of a file, `width` a line."""
    name = files.one(pattern, pattern.replace("\\", ""))
    try:
        values = np.array(files.read(name).split(), np.float64)
        return values.reshape(-1, width)
    except ValueError as error:
        raise RecordingError(files.label(name), None, f"expected {width} number(s) a line, got: {error}") from error


def _recording(
    person: int, x: NDArray[np.float64], label: NDArray[np.int64], source: str, acceleration: str
) -> LabelledRecording:
    n = len(x)
    starts = np.arange(n) * _LENGTH
    time = (np.arange(n)[:, None] * 3_600_000_000_000 + count_times(_LENGTH, RATE)).reshape(-1)  # the order is unknown
    return LabelledRecording(
        subject=person,
        recording=f"user {person}",
        sensor="waist",
        rate=RATE,
        acceleration=in_g(
            np.moveaxis(x, 1, 0).reshape(3, -1),
            unit="g",
            declared=None if acceleration == "total" else "g",
            source=source,
        ),
        time=time.astype(np.int64),
        runs=np.stack((starts, starts + _LENGTH), axis=1).astype(np.int64),
        label=np.repeat(label, _LENGTH),
        class_names=BASIC,
        source=source,
        n_rows=n * _LENGTH,
        timed=False,
    )

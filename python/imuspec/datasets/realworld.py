"""RealWorld: 15 people with seven phones and watches on the body, eight activities outdoors.

Layout: ``proband<n>/data/acc_<activity>_csv.zip``, each with ``acc_<activity>_<position>.csv`` (id, attr_time in ms, attr_x,
attr_y, attr_z); 50 Hz, m/s2. Some activities are in several parts, ``acc_<activity>_<k>_csv.zip``, also inside another zip, or
``acc_<activity>_<k>_<position>.csv``. The zips may be unpacked. Sztyler, Stuckenschmidt 2016.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np

from imuspec.datasets.files import MAX_BYTES, SetFiles, read_table
from imuspec.datasets.reading import known_names, read_files, recording_of
from imuspec.datasets.recordings import LabelledRecording
from imuspec.errors import RecordingError

__all__ = ["CLASSES", "SENSORS", "recordings"]

RATE = 50.0
CLASSES = ("climbingdown", "climbingup", "jumping", "lying", "running", "sitting", "standing", "walking")
SENSORS = ("chest", "forearm", "head", "shin", "thigh", "upperarm", "waist")
_NAME = re.compile(rf"acc_({'|'.join(CLASSES)})(?:_\d+)?_({'|'.join(SENSORS)})(?:_\d+)?\.csv", re.IGNORECASE)
_MOST_NESTED = 3  # zips inside zips


def recordings(
    path: str | os.PathLike[str],
    *,
    sensors: Sequence[str] = ("waist",),
    subjects: Collection[int | str] | None = None,
    unit: str | None = None,
) -> Iterator[LabelledRecording]:
    """Read RealWorld, one part of an activity on one position at a time.

    Parameters
    ----------
    path : path-like
        The folder or archive of the people's folders.
    sensors : sequence of str, default ("waist",)
        Some of `SENSORS`.
    subjects : collection of int or str, optional
        People to read, 1 to 15. The default is all.
    unit : str, optional
        Unit of the files if it is not m/s2.

    Yields
    ------
    LabelledRecording
        A recording is an activity of a person; the clocks of the positions agree.

    Raises
    ------
    FileNotFoundError
        If there is no file of the layout.
    RecordingError
        If a file differs from the layout, or a zip cannot be read.
    """
    known_names("sensors", sensors, SENSORS)

    def read(files: SetFiles, name: str, key: tuple[int, str]) -> Iterator[LabelledRecording]:
        source = files.label(name)
        for member, data in _tables(files.read(name), name, source):
            match = _NAME.fullmatch(PurePosixPath(member).name)
            if match is None:
                raise RecordingError(source, None, f"expected acc_<activity>_<position>.csv, got {member}")
            if match[2].lower() not in sensors:
                continue
            axes = [f"attr_{axis}" for axis in "xyz"]
            table, bad = read_table(data, f"{source}, {member}", columns=("attr_time", *axes))
            raw = np.stack([table[axis] for axis in axes])
            activity = match[1].lower()
            yield recording_of(
                raw,
                np.full(raw.shape[1], CLASSES.index(activity), np.int64),
                unit="m/s2",
                declared=unit,
                rate=RATE,
                source=f"{source}, {member}",
                stamps=table["attr_time"] * 1e6,
                n_bad=bad,
                subject=key[0],
                recording=f"proband{key[0]} {activity}",
                sensor=match[2].lower(),
                class_names=CLASSES,
            )

    def find(files: SetFiles) -> list[tuple[tuple[int, str], str]]:
        matches = files.find(r"proband(\d+)/(?:data/)?((?:acc_\w+_csv/)?acc_\w+\.(?:zip|csv))")
        entries = {(int(m[1]), m[2].lower()): name for name, m in matches}
        unpacked = {(person, file.partition("/")[0] + ".zip") for person, file in entries if "/" in file}
        return [(key, name) for key, name in entries.items() if key not in unpacked]

    return read_files(path, find, read, expected="proband1/data/acc_walking_csv.zip and so on", subjects=subjects)


def _tables(data: bytes, name: str, source: str, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each file; a zip is opened, also inside a zip."""
    if not name.lower().endswith(".zip"):
        yield name, data
        return
    if depth == _MOST_NESTED:
        raise RecordingError(source, None, f"expected at most {_MOST_NESTED} zips inside each other, got more")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                if entry.filename.lower().endswith((".csv", ".zip")) and not entry.filename.startswith("__MACOSX"):
                    if entry.file_size > MAX_BYTES:
                        raise RecordingError(source, None, f"expected at most {MAX_BYTES >> 30} GiB unpacked, got more")
                    yield from _tables(archive.read(entry), entry.filename, source, depth + 1)
    except zipfile.BadZipFile as error:
        raise RecordingError(source, None, f"expected a whole zip, got: {error}") from error

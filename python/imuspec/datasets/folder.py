"""A folder of recordings of one's own: device files of any format that is read, and a table of labels.

Layout: the device files at any depth, and ``labels.csv`` with a line for each labelled stretch: file, start, end, label,
and, if wished, subject and sensor. Start and end are times as ``2024-05-01 10:15:00`` of the device's clock, or seconds
from the recording's first sample; the end is left out. Recordings that carry their own annotation need no table.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.recordings import DROPPED, UNITS, LabelledRecording, runs_of
from imuspec.errors import RecordingError
from imuspec.recording.inputs import find_sources
from imuspec.recording.reading import read
from imuspec.recording.recording import Recording

__all__ = ["recordings"]

_NEEDED = ("file", "start", "end", "label")


@dataclass(frozen=True)
class _Interval:
    line: int
    start: str
    end: str
    label: str
    subject: str
    sensor: str


def recordings(
    path: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    classes: Sequence[str] | None = None,
    nominal_rate: float | None = None,
    subjects: Collection[int | str] | None = None,
    unit: str | float = "auto",
) -> Iterator[LabelledRecording]:
    """Read a folder of recordings with their labels, a recording at a time.

    Parameters
    ----------
    path : path-like
        The folder.
    labels : path-like, optional
        The table; default: ``labels.csv`` in the folder, and if there is none, the recordings' own annotations.
    classes : sequence of str, optional
        The classes, in the order of their labels; other words have no label. Default: all words, sorted.
    nominal_rate : float, optional
        Nominal rate of all recordings, Hz; default: what each file says.
    subjects : collection of int or str, optional
        Subjects to read; all by default. Without the column a recording is its own subject.
    unit : str or float, default "auto"
        Unit of the acceleration in tables that do not name it: ``"g"``, ``"m/s2"``, ``"mg"``, or counts of 1 g.
        ``"auto"``: what the norm of each table fits, the same in all of them.

    Yields
    ------
    LabelledRecording

    Raises
    ------
    FileNotFoundError
        No recording, a line that speaks of none, or neither table nor annotations.
    RecordingError
        A line that lacks a field, is no stretch of its recording, or contradicts another; tables whose norms fit
        different units, or none.
    ValueError
        If `unit` is none of these.
    """
    units = _Units(unit)
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a folder of recordings, got none")
    table = Path(labels) if labels is not None else folder / "labels.csv"
    stretches = _read_labels(table) if labels is not None or table.exists() else None
    sources = [source for source in find_sources([folder]) if Path(source.path) != table.absolute()]
    sources = [source for source in sources if Path(source.path).resolve() != table.resolve()]
    names = {name: source for source in sources for name in (source.name, Path(source.name).name, source.id)}
    if stretches is not None:
        absent = [name for name in stretches if name not in names]
        if absent:
            raise FileNotFoundError(f"{table}: expected files that lie in {folder}, got {', '.join(absent[:4])}")
    by_source = {names[name].path: of for name, of in (stretches or {}).items()}
    words = classes if classes is not None else _words(stretches, [source.path for source in sources])
    for source in sources:
        mine = by_source.get(source.path, [])
        subject = mine[0].subject if mine and mine[0].subject else source.id
        if len({interval.subject for interval in mine}) > 1:
            raise RecordingError(str(table), None, f"expected one subject for {source.name}, got several")
        if subjects is None or subject in subjects or (subject.isdigit() and int(subject) in subjects):
            yield _recording(
                source.path, source.id, subject, mine, tuple(words), nominal_rate, stretches is None, table, units
            )


class _Units:
    """The one unit of the tables in a folder: a guess for each would make running calmer than walking."""

    def __init__(self, unit: str | float) -> None:
        if isinstance(unit, str) and unit != "auto" and unit not in UNITS:
            raise ValueError(f"unit: expected auto, g, m/s2, mg or the counts of 1 g, got {unit!r}")
        if not isinstance(unit, str) and not 0 < unit < float("inf"):
            raise ValueError(f"unit: expected a positive number of counts, got {unit}")
        self.one_g = None if unit == "auto" else UNITS[unit] if isinstance(unit, str) else float(unit)
        self.seen: tuple[str, str] | None = None

    def in_g(self, held: Recording) -> NDArray[np.float32]:
        """Return a recording's acceleration in g, in the folder's unit where its file names none."""
        applied, _, reason = str(held.metadata.get("acceleration_unit", "")).partition(" (")
        if applied not in UNITS or not reason.startswith(("median norm", "assumed")):
            return held.acceleration
        if self.one_g is not None:
            return (held.acceleration * np.float32(UNITS[applied] / self.one_g)).astype(np.float32)
        if reason.startswith("assumed: no unit"):
            raise RecordingError(
                held.path,
                None,
                f"unit: expected a norm like that of g, m/s2 or mg, got {reason.rstrip(')')}: give unit=",
            )
        if self.seen is None:
            self.seen = (applied, held.path)
        if self.seen[0] != applied:
            raise RecordingError(
                held.path, None,
                f"unit: expected {self.seen[0]}, as {self.seen[1]} seems to be in, got {applied} ({reason}: give unit=",
            )  # fmt: skip
        return held.acceleration


def _read_labels(table: Path) -> dict[str, list[_Interval]]:
    """The stretches of each file, in the order of the table."""
    text = table.read_text("utf-8-sig")
    rows = csv.DictReader(io.StringIO(text))
    columns = [name.strip().lower() for name in rows.fieldnames or ()]
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise RecordingError(
            str(table), 0, f"expected columns {', '.join(_NEEDED)}, got {', '.join(columns) or 'none'}"
        )
    rows.fieldnames = columns
    found: dict[str, list[_Interval]] = {}
    for row in rows:
        fields = {key: (value or "").strip() for key, value in row.items() if isinstance(key, str)}
        empty = [name for name in _NEEDED if not fields[name]]
        if empty:
            raise RecordingError(str(table), None, f"line {rows.line_num}: expected {', '.join(empty)}, got nothing")
        found.setdefault(fields["file"], []).append(
            _Interval(
                rows.line_num, fields["start"], fields["end"], fields["label"], fields.get("subject", ""),
                fields.get("sensor", ""),
            )
        )  # fmt: skip
    return found


def _words(stretches: dict[str, list[_Interval]] | None, paths: Sequence[str]) -> list[str]:
    if stretches is not None:
        words = {interval.label for of in stretches.values() for interval in of}
    else:
        words = {word for path in paths for word in read(path).annotation_labels if word}
    if not words:
        raise FileNotFoundError("labels: expected labels.csv in the folder or recordings with annotations, got neither")
    return sorted(words)


def _recording(
    path: str,
    identity: str,
    subject: str,
    intervals: list[_Interval],
    classes: tuple[str, ...],
    rate: float | None,
    own: bool,
    table: Path,
    units: _Units,
) -> LabelledRecording:
    held = read(path)
    n = len(held)
    acceleration = units.in_g(held)
    whole = np.isfinite(acceleration).all(axis=0)
    if own:
        place = {word: index for index, word in enumerate(classes)}
        index = np.array([*(place.get(word, DROPPED) for word in held.annotation_labels), DROPPED], np.int64)
        label = index[held.annotation] if held.annotation is not None else np.full(n, DROPPED, np.int64)
    else:
        label = _labels(held, intervals, classes, table)
    time, label = held.time[whole], label[whole]
    begin = int(held.time.min()) if n else 0
    nominal = rate or held.nominal_rate or held.sample_rate
    starts: NDArray[np.int64] = np.cumsum(whole) - whole  # where each sample lies among those kept
    breaks = starts[held.runs[:, 0]] if n else np.empty(0, np.int64)
    return LabelledRecording(
        subject=int(subject) if subject.isdigit() else subject,
        recording=identity,
        sensor=intervals[0].sensor if intervals and intervals[0].sensor else held.device or held.format,
        rate=nominal,
        acceleration=np.ascontiguousarray(acceleration[:, whole]),
        time=time - begin,
        runs=runs_of(time, nominal, breaks=breaks[breaks < time.size]),
        label=label,
        class_names=classes,
        source=path,
        n_rows=n,
        counts={"not numbers on three axes": int((~whole).sum())},
        unlabelled={"without a label": int((label < 0).sum())},
    )


def _labels(held: Recording, intervals: list[_Interval], classes: tuple[str, ...], table: Path) -> NDArray[np.int64]:
    label = np.full(len(held), DROPPED, np.int64)
    seen = np.full(len(held), -2, np.int64)
    begin = int(held.time.min()) if len(held) else 0
    for interval in intervals:
        where = f"line {interval.line}"
        start, end = (_moment(text, begin, table, where) for text in (interval.start, interval.end))
        inside = (held.time >= start) & (held.time < end)
        if not inside.any():
            raise RecordingError(
                str(table), None, f"{where}: expected a stretch of {held.path}, got {interval.start} to {interval.end}"
            )
        what = classes.index(interval.label) if interval.label in classes else DROPPED
        if np.any((seen[inside] != -2) & (seen[inside] != what)):
            raise RecordingError(
                str(table), None, f"{where}: expected one label a sample, got another over an earlier line"
            )
        label[inside] = seen[inside] = what
    return label


def _moment(text: str, begin: int, table: Path, where: str) -> int:
    """Ns of a time on the device's clock, or of seconds from the recording's begin."""
    try:
        return begin + round(float(text) * 1e9)
    except ValueError:
        pass
    try:
        return int(np.datetime64(text.replace(" ", "T"), "ns").astype(np.int64))
    except ValueError as error:
        raise RecordingError(str(table), None, f"{where}: expected a time or seconds, got {text!r}") from error

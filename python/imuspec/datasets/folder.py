"""A folder of your own recordings: device files of any supported format, and a table of labels.

Layout: the device files at any depth, and ``labels.csv`` with one line per labelled stretch: file, start, end, label, and
optionally subject and sensor. Start and end are times of the device's clock, as ``2024-05-01 10:15:00``, or seconds from
the first sample. The end is excluded. Recordings with annotations of their own need no table.
"""

from __future__ import annotations

import csv
import functools
import io
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.recordings import DROPPED, UNITS, LabelledRecording, runs_of
from imuspec.errors import RecordingError
from imuspec.recording.inputs import InputFile, find_sources
from imuspec.recording.reading import DateOrder, read
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
    date_order: DateOrder = "auto",
    rate: float | None = None,
) -> Iterator[LabelledRecording]:
    """Read a folder of recordings with their labels, one recording at a time.

    Parameters
    ----------
    path : path-like
        The folder.
    labels : path-like, optional
        The table. The default is ``labels.csv`` in the folder, else the annotations of the recordings.
    classes : sequence of str, optional
        Class names in the order of their labels; samples of other classes have no label. The default is all names, sorted.
    nominal_rate : float, optional
        Nominal rate of all recordings, Hz. The default is the rate in each file.
    subjects : collection of int or str, optional
        Subjects to read. The default is all. Without the column subject, each recording is a subject.
    unit : str or float, default "auto"
        Unit of the acceleration in tables that do not name it: "g", "m/s2", "mg", or the number of counts of 1 g.
        "auto": the unit that fits the norm, the same for all tables.
    date_order : {"auto", "day_first", "month_first"}, default "auto"
        Order of ambiguous dates, as in `imuspec.read`.
    rate : float, optional
        Rows per second of tables without usable times, Hz, as in `imuspec.read`.

    Yields
    ------
    LabelledRecording

    Raises
    ------
    FileNotFoundError
        If there are no recordings, a file of the table is missing, or there are neither labels nor annotations.
    RecordingError
        If a line lacks a field, is outside its recording, or contradicts another line; or if the norms of the tables fit
        different units, or no unit.
    ValueError
        If `unit` is not valid.
    """
    units = _Units(unit)
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder")
    table = Path(labels) if labels is not None else folder / "labels.csv"
    stretches = _read_labels(table) if labels is not None or table.exists() else None
    sources = [source for source in find_sources([folder]) if Path(source.path) != table.absolute()]
    sources = [source for source in sources if Path(source.path).resolve() != table.resolve()]
    by_source = _of_sources(stretches or {}, sources, table, folder)
    read_file = functools.partial(read, date_order=date_order, rate=rate)
    class_names = classes if classes is not None else _class_names(stretches, sources, read_file)
    for source in sources:
        intervals = by_source.get(source.path, [])
        subject = intervals[0].subject if intervals and intervals[0].subject else source.id
        if len({interval.subject for interval in intervals}) > 1:
            raise RecordingError(str(table), None, f"expected one subject for {source.name}, got several")
        if subjects is None or subject in subjects or (subject.isdigit() and int(subject) in subjects):
            yield _recording(
                read_file(source.path),
                source.id,
                subject,
                intervals,
                tuple(class_names),
                nominal_rate,
                stretches is None,
                table,
                units,
            )


def _of_sources(
    stretches: dict[str, list[_Interval]], sources: Sequence[InputFile], table: Path, folder: Path
) -> dict[str, list[_Interval]]:
    """Return the intervals of each path. The table names a file by its path below the folder, its id or its last name."""
    by_path = {source.name: source for source in sources} | {source.id: source for source in sources}
    by_last: dict[str, list[InputFile]] = {}
    for source in sources:
        by_last.setdefault(Path(source.name).name, []).append(source)
    by_source: dict[str, list[_Interval]] = {}
    absent = [name for name in stretches if name not in by_path and name not in by_last]
    if absent:
        raise FileNotFoundError(f"{table}: {folder} has no file {', '.join(absent[:4])}")
    for name, intervals in stretches.items():
        named = [by_path[name]] if name in by_path else by_last[name]
        if len(named) > 1:
            paths = " and ".join(source.name for source in named[:4])
            raise RecordingError(
                str(table),
                None,
                f"line {intervals[0].line}: expected the path of one file, got {name}, which is {paths}",
            )
        by_source.setdefault(named[0].path, []).extend(intervals)
    return by_source


class _Units:
    """The common unit of the tables in a folder. A guess for each table could make running calmer than walking."""

    def __init__(self, unit: str | float) -> None:
        if isinstance(unit, str) and unit != "auto" and unit not in UNITS:
            raise ValueError(f"unit: expected auto, g, m/s2, mg or the counts of 1 g, got {unit!r}")
        if not isinstance(unit, str) and not 0 < unit < float("inf"):
            raise ValueError(f"unit: expected a positive number of counts, got {unit}")
        self.one_g = None if unit == "auto" else UNITS[unit] if isinstance(unit, str) else float(unit)
        self.assigned: tuple[str, str] | None = None

    def in_g(self, recorded: Recording) -> NDArray[np.float32]:
        """Return the acceleration of a recording in g; a file that names no unit has the unit of the folder."""
        applied, _, reason = str(recorded.metadata.get("acceleration_unit", "")).partition(" (")
        if applied not in UNITS or not reason.startswith(("median norm", "assumed")):
            return recorded.acceleration
        if self.one_g is not None:
            return (recorded.acceleration * np.float32(UNITS[applied] / self.one_g)).astype(np.float32)
        if reason.startswith("assumed: no unit"):
            raise RecordingError(
                recorded.path,
                None,
                f"unit: expected a norm like that of g, m/s2 or mg, got {reason.rstrip(')')}: give unit=",
            )
        if self.assigned is None:
            self.assigned = (applied, recorded.path)
        if self.assigned[0] != applied:
            raise RecordingError(
                recorded.path, None,
                f"unit: expected {self.assigned[0]}, as {self.assigned[1]} seems to be in, got {applied} ({reason}: give unit=",
            )  # fmt: skip
        return recorded.acceleration


def _read_labels(table: Path) -> dict[str, list[_Interval]]:
    """Return the labelled stretches of each file, in the order of the table."""
    text = table.read_text("utf-8-sig")
    rows = csv.DictReader(io.StringIO(text))
    columns = [name.strip().lower() for name in rows.fieldnames or ()]
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise RecordingError(
            str(table), 0, f"expected columns {', '.join(_NEEDED)}, got {', '.join(columns) or 'none'}"
        )
    rows.fieldnames = columns
    rows_of: dict[str, list[_Interval]] = {}
    for row in rows:
        fields = {key: (value or "").strip() for key, value in row.items() if isinstance(key, str)}
        empty = [name for name in _NEEDED if not fields[name]]
        if empty:
            raise RecordingError(str(table), None, f"line {rows.line_num}: expected {', '.join(empty)}, got nothing")
        rows_of.setdefault(fields["file"], []).append(
            _Interval(
                rows.line_num, fields["start"], fields["end"], fields["label"], fields.get("subject", ""),
                fields.get("sensor", ""),
            )
        )  # fmt: skip
    return rows_of


def _class_names(
    stretches: dict[str, list[_Interval]] | None, sources: Sequence[InputFile], read_file: Callable[[str], Recording]
) -> list[str]:
    if stretches is not None:
        names = {interval.label for intervals in stretches.values() for interval in intervals}
    else:
        names = {word for source in sources for word in read_file(source.path).annotation_labels if word}
    if not names:
        raise FileNotFoundError("labels: expected labels.csv in the folder or recordings with annotations, got neither")
    return sorted(names)


def _recording(
    recorded: Recording,
    identity: str,
    subject: str,
    intervals: list[_Interval],
    classes: tuple[str, ...],
    rate: float | None,
    from_annotation: bool,
    table: Path,
    units: _Units,
) -> LabelledRecording:
    n = len(recorded)
    acceleration = units.in_g(recorded)
    whole = np.isfinite(acceleration).all(axis=0)
    if from_annotation:
        codes = {word: index for index, word in enumerate(classes)}
        index = np.array([*(codes.get(word, DROPPED) for word in recorded.annotation_labels), DROPPED], np.int64)
        label = index[recorded.annotation] if recorded.annotation is not None else np.full(n, DROPPED, np.int64)
    else:
        label = _labels(recorded, intervals, classes, table)
    time, label = recorded.time[whole], label[whole]
    start_ns = int(recorded.time.min()) if n else 0
    nominal = rate or recorded.nominal_rate or recorded.sample_rate
    starts: NDArray[np.int64] = np.cumsum(whole) - whole  # index of each sample among the valid samples
    breaks = starts[recorded.runs[:, 0]] if n else np.empty(0, np.int64)
    return LabelledRecording(
        subject=int(subject) if subject.isdigit() else subject,
        recording=identity,
        sensor=intervals[0].sensor if intervals and intervals[0].sensor else recorded.device or recorded.format,
        rate=nominal,
        acceleration=np.ascontiguousarray(acceleration[:, whole]),
        time=time - start_ns,
        runs=runs_of(time, nominal, breaks=breaks[breaks < time.size]),
        label=label,
        class_names=classes,
        source=recorded.path,
        n_rows=n,
        counts={"not numbers on three axes": int((~whole).sum())},
        unlabelled={"without a label": int((label < 0).sum())},
    )


def _labels(
    recorded: Recording, intervals: list[_Interval], classes: tuple[str, ...], table: Path
) -> NDArray[np.int64]:
    label = np.full(len(recorded), DROPPED, np.int64)
    assigned = np.full(len(recorded), -2, np.int64)
    start_ns = int(recorded.time.min()) if len(recorded) else 0
    for interval in intervals:
        location = f"line {interval.line}"
        start, end = (_time_ns(text, start_ns, table, location) for text in (interval.start, interval.end))
        inside = (recorded.time >= start) & (recorded.time < end)
        if not inside.any():
            raise RecordingError(
                str(table),
                None,
                f"{location}: expected a stretch of {recorded.path}, got {interval.start} to {interval.end}",
            )
        code = classes.index(interval.label) if interval.label in classes else DROPPED
        if np.any((assigned[inside] != -2) & (assigned[inside] != code)):
            raise RecordingError(
                str(table), None, f"{location}: expected one label a sample, got another over an earlier line"
            )
        label[inside] = assigned[inside] = code
    return label


def _time_ns(text: str, start_ns: int, table: Path, location: str) -> int:
    """Return the ns of a time of the device's clock, or of seconds from the start of the recording."""
    try:
        return start_ns + round(float(text) * 1e9)
    except ValueError:
        pass
    try:
        return int(np.datetime64(text.replace(" ", "T"), "ns").astype(np.int64))
    except ValueError as error:
        raise RecordingError(str(table), None, f"{location}: expected a time or seconds, got {text!r}") from error

"""A folder of your own recordings: files of any supported format, and their labels.

The files are at any depth. Labels come from one of four origins: the names of the files, by a pattern; a column of the tables; a
table ``labels.csv`` with one line per labelled stretch: file, label, and optionally start, end, subject and sensor; or the
annotations of the recordings. Start and end are times of the device's clock, as ``2024-05-01 10:15:00``, or seconds from the
first sample. The end is excluded. Without start and end, the label holds for the whole file.
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

from imuspec.datasets.own_files import PathPattern, TableColumns
from imuspec.datasets.reading import check_subjects
from imuspec.datasets.recordings import DROPPED, UNITS, LabelledRecording, runs_of
from imuspec.errors import RecordingError
from imuspec.recording.inputs import InputFile, find_sources
from imuspec.recording.reading import DateOrder, read
from imuspec.recording.recording import Recording

__all__ = ["recordings"]

_NEEDED = ("file", "label")


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
    pattern: str | None = None,
    columns: Sequence[str] = (),
    label_column: str | None = None,
    subject_column: str | None = None,
    classes: Sequence[str] | None = None,
    nominal_rate: float | None = None,
    max_gap_s: float | None = None,
    subjects: Collection[int | str] | None = None,
    unit: str | float = "auto",
    zero: float = 0.0,
    time_unit: str | None = None,
    date_order: DateOrder = "auto",
) -> Iterator[LabelledRecording]:
    """Read a folder of recordings with their labels, one recording at a time.

    Parameters
    ----------
    path : path-like
        The folder.
    labels : path-like, optional
        The table. The default is ``labels.csv`` in the folder, else the annotations of the recordings.
    pattern : str, optional
        End of the files' paths, with fields: ``{label}/{subject}_*.csv``. A field ends at the character that follows it in the
        pattern; ``*`` is any text. Fields are ``{label}``, ``{subject}`` and ``{sensor}``. Other files are not read.
    columns : sequence of str, default ()
        Columns of tables with other names than the reader's: x, y and z, or time, x, y and z; their names, or their numbers
        from 1. Time, rate and unit are decided as in `imuspec.read`.
    label_column : str, optional
        Column of the tables that holds the label of each row; a name, or a number beside numbered `columns`.
    subject_column : str, optional
        Column of the tables that holds the subject of each row; each subject of a table is a recording.
    classes : sequence of str, optional
        Class names in the order of their labels; samples of other classes have no label. The default is all names, sorted.
    nominal_rate : float, optional
        Nominal rate of all recordings, Hz, and the rows per second of tables without usable times. The default is the rate
        in each file.
    max_gap_s : float, optional
        Longest step that is no gap, s. The default is two sample periods, and what the reader takes for a gap.
    subjects : collection of int or str, optional
        Subjects to read. The default is all. Without a subject in table, column or path, each recording is a subject.
    unit : str or float, default "auto"
        Unit of the acceleration in tables that do not name it: "g", "m/s2", "mg", or the number of counts of 1 g.
        "auto": the unit that fits the norm, the same for all tables.
    zero : float, default 0.0
        Value of 0 g in the unit of the tables, as 31.5 for counts from 0 to 63. It requires `unit`.
    time_unit : {"s", "ms", "us", "ns"}, optional
        Unit of the time in `columns`, if neither its name nor its values tell it.
    date_order : {"auto", "day_first", "month_first"}, default "auto"
        Order of ambiguous dates, as in `imuspec.read`.

    Yields
    ------
    LabelledRecording

    Raises
    ------
    FileNotFoundError
        If there are no recordings, a file of the table is missing, no file fits the pattern, or there are no labels.
    RecordingError
        If a line lacks a field, is outside its recording, or contradicts another line; or if the norms of the tables fit
        different units, or no unit.
    ValueError
        If a setting is not valid, or labels come from two origins.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder")
    form = _Form(
        _Units(unit, zero),
        TableColumns(columns, label_column, subject_column, time_unit),
        date_order,
        nominal_rate,
        max_gap_s,
    )
    if len(columns) == 3 and nominal_rate is None:
        raise ValueError(f"columns: expected time,x,y,z, or nominal_rate= beside x,y,z, got {','.join(columns)} alone")
    paths = None if pattern is None else PathPattern(pattern)
    table = Path(labels) if labels is not None else folder / "labels.csv"
    of_table = labels is not None or (table.exists() and label_column is None and not (paths and paths.has_label))
    origins = {
        "labels": labels is not None,
        "pattern": paths is not None and paths.has_label,
        "label_column": label_column,
    }
    if sum(map(bool, origins.values())) > 1:
        raise ValueError(
            f"labels: expected one place, got {' and '.join(name for name, given in origins.items() if given)}"
        )
    stretches = _read_labels(table) if of_table else None
    entries = (
        [(source, dict[str, str]()) for source in find_sources([folder])] if paths is None else paths.sources(folder)
    )
    entries = [entry for entry in entries if Path(entry[0].path).resolve() != table.resolve()]
    by_source = _of_sources(stretches or {}, [source for source, _ in entries], table, folder)
    if paths is not None and paths.has_label:
        by_source = {
            source.path: [_Interval(0, "", "", fields["label"], fields.get("subject", ""), fields.get("sensor", ""))]
            for source, fields in entries
        }
    class_names = tuple(classes if classes is not None else _class_names(by_source, entries, form))
    present: set[str] = set()
    for source, fields in entries:
        intervals = by_source.get(source.path, [])
        if len({interval.subject for interval in intervals}) > 1:
            raise RecordingError(str(table), None, f"expected one subject for {source.name}, got several")
        stated = fields.get("subject") or (intervals[0].subject if intervals else "")
        if subject_column is None:
            present.add(stated or source.id)
        if subjects is not None and subject_column is None and not _is_chosen(stated or source.id, subjects):
            continue
        for owner, recorded, n_bad in form.read(source.path):
            subject = owner or stated or source.id
            present.add(subject)
            if subjects is None or _is_chosen(subject, subjects):
                yield _recording(
                    recorded,
                    source.id,
                    subject,
                    intervals,
                    class_names,
                    form,
                    str(table),
                    n_bad,
                    fields.get("sensor", ""),
                )
    if subjects is not None:
        unknown = [subject for subject in subjects if not any(_is_chosen(name, [subject]) for name in present)]
        check_subjects(unknown, sorted(present))


def _is_chosen(subject: str, subjects: Collection[int | str]) -> bool:
    return subject in subjects or (subject.isdigit() and int(subject) in subjects)


@dataclass(frozen=True)
class _Form:
    """The form of the files: units, columns, rate and gaps."""

    units: _Units
    columns: TableColumns
    date_order: DateOrder
    rate: float | None
    max_gap_s: float | None

    def read(self, path: str) -> Iterator[tuple[str | None, Recording, int]]:
        """Yield subject, recording and number of broken lines of each subject of a file."""

        def read_file(name: str) -> Recording:
            return read(name, date_order=self.date_order, rate=self.rate)

        if self.columns:
            yield from self.columns.recordings(path, read_file)
        else:
            yield None, read_file(path), 0


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

    def __init__(self, unit: str | float, zero: float = 0.0) -> None:
        if isinstance(unit, str) and unit != "auto" and unit not in UNITS:
            raise ValueError(f"unit: expected auto, g, m/s2, mg or the counts of 1 g, got {unit!r}")
        if not isinstance(unit, str) and not 0 < unit < float("inf"):
            raise ValueError(f"unit: expected a positive number of counts, got {unit}")
        if not abs(zero) < float("inf") or (zero and unit == "auto"):
            raise ValueError(f"zero: expected a number, and the unit= that it is in, got {zero} and unit={unit}")
        self.zero = float(zero)
        self.one_g = None if unit == "auto" else UNITS[unit] if isinstance(unit, str) else float(unit)
        self.assigned: tuple[str, str] | None = None

    def in_g(self, recorded: Recording) -> NDArray[np.float32]:
        """Return the acceleration of a recording in g; a file that names no unit has the unit of the folder."""
        applied, _, reason = str(recorded.metadata.get("acceleration_unit", "")).partition(" (")
        if applied not in UNITS or not reason.startswith(("median norm", "assumed")):
            return recorded.acceleration
        if self.one_g is not None:
            values = recorded.acceleration * np.float32(UNITS[applied] / self.one_g)
            return (values - np.float32(self.zero / self.one_g)).astype(np.float32)
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
        half = ("start", "end") if bool(fields.get("start")) != bool(fields.get("end")) else ()
        empty = [name for name in (*_NEEDED, *half) if not fields.get(name)]
        if empty:
            raise RecordingError(str(table), None, f"line {rows.line_num}: expected {', '.join(empty)}, got nothing")
        rows_of.setdefault(fields["file"], []).append(
            _Interval(
                rows.line_num, fields.get("start", ""), fields.get("end", ""), fields["label"],
                fields.get("subject", ""), fields.get("sensor", ""),
            )
        )  # fmt: skip
    return rows_of


def _class_names(
    by_source: dict[str, list[_Interval]], entries: Sequence[tuple[InputFile, dict[str, str]]], form: _Form
) -> list[str]:
    if by_source:
        names = {interval.label for intervals in by_source.values() for interval in intervals}
    else:
        names = {
            word
            for source, _ in entries
            for _, recorded, _ in form.read(source.path)
            for word in recorded.annotation_labels
            if word
        }
    if not names:
        raise FileNotFoundError(
            "labels: expected labels.csv in the folder, a pattern with {label}, a label_column, or recordings with annotations, "
            "got none"
        )
    return sorted(names)


def _recording(
    recorded: Recording,
    identity: str,
    subject: str,
    intervals: list[_Interval],
    classes: tuple[str, ...],
    form: _Form,
    table: str,
    n_bad: int,
    sensor: str,
) -> LabelledRecording:
    n = len(recorded)
    acceleration = form.units.in_g(recorded)
    whole = np.isfinite(acceleration).all(axis=0)
    if intervals or recorded.annotation is None:
        label = _labels(recorded, intervals, classes, table)
    else:
        codes = {word: index for index, word in enumerate(classes)}
        index = np.array([*(codes.get(word, DROPPED) for word in recorded.annotation_labels), DROPPED], np.int64)
        label = index[recorded.annotation]
    time, label = recorded.time[whole], label[whole]
    start_ns = int(recorded.time.min()) if n else 0
    nominal = form.rate or recorded.nominal_rate or recorded.sample_rate
    starts: NDArray[np.int64] = np.cumsum(whole) - whole  # index of each sample among the valid samples
    breaks = starts[recorded.runs[:, 0]] if n and form.max_gap_s is None else np.empty(0, np.int64)
    return LabelledRecording(
        subject=int(subject) if subject.isdigit() else subject,
        recording=identity if form.columns.subject is None else f"{identity} {subject}",
        sensor=sensor or (intervals[0].sensor if intervals else "") or recorded.device or recorded.format,
        rate=nominal,
        acceleration=np.ascontiguousarray(acceleration[:, whole]),
        time=time - start_ns,
        runs=runs_of(time, nominal, breaks=breaks[breaks < time.size], max_gap_s=form.max_gap_s),
        max_gap_s=form.max_gap_s,
        label=label,
        class_names=classes,
        source=recorded.path,
        n_rows=n + n_bad,
        counts={"not numbers on three axes": int((~whole).sum()), "another number of fields": n_bad},
        unlabelled={"without a label": int((label < 0).sum())},
    )


def _labels(recorded: Recording, intervals: list[_Interval], classes: tuple[str, ...], table: str) -> NDArray[np.int64]:
    label = np.full(len(recorded), DROPPED, np.int64)
    assigned = np.full(len(recorded), -2, np.int64)
    start_ns = int(recorded.time.min()) if len(recorded) else 0
    for interval in intervals:
        location = f"line {interval.line}"
        inside = np.ones(len(recorded), np.bool_)
        if interval.start:
            inside &= recorded.time >= _time_ns(interval.start, start_ns, table, location)
        if interval.end:
            inside &= recorded.time < _time_ns(interval.end, start_ns, table, location)
        if not inside.any():
            raise RecordingError(
                table,
                None,
                f"{location}: expected a stretch of {recorded.path}, got {interval.start} to {interval.end}",
            )
        code = classes.index(interval.label) if interval.label in classes else DROPPED
        if np.any((assigned[inside] != -2) & (assigned[inside] != code)):
            raise RecordingError(
                table, None, f"{location}: expected one label a sample, got another over an earlier line"
            )
        label[inside] = assigned[inside] = code
    return label


def _time_ns(text: str, start_ns: int, table: str, location: str) -> int:
    """Return the ns of a time of the device's clock, or of seconds from the start of the recording."""
    try:
        return start_ns + round(float(text) * 1e9)
    except ValueError:
        pass
    try:
        return int(np.datetime64(text.replace(" ", "T"), "ns").astype(np.int64))
    except ValueError as error:
        raise RecordingError(table, None, f"{location}: expected a time or seconds, got {text!r}") from error

"""Files of one's own: labels and subjects in their paths, and tables whose columns have other names than the reader's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.files import read_table
from imuspec.errors import RecordingError
from imuspec.recording.inputs import InputFile
from imuspec.recording.recording import Recording
from imuspec.temporary import private_folder

__all__ = ["PathPattern", "TableColumns"]

_FIELDS = ("label", "subject", "sensor")
_PART = re.compile(r"\{(\w*)\}|(\*)")
_UNIT = re.compile(r"[(\[{]([^)\]}]*)[)\]}]|_(ns|us|ms|s|g|mg)$")
_COMMENT = ("#", "@", "%", "//")


@dataclass(frozen=True)
class PathPattern:
    """A pattern of paths, with the label, the subject and the sensor of a file.

    Attributes
    ----------
    text : str
        End of a path, as ``{label}_acc_{subject}_*.txt``. A field ``{label}``, ``{subject}`` or ``{sensor}`` ends at the
        character that follows it in the pattern; ``*`` is any text. Neither passes a ``/``.

    Raises
    ------
    ValueError
        If a field is unknown, or the pattern has no field.
    """

    text: str
    _regex: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        regex, end, names = "", 0, []
        for part in _PART.finditer(self.text):
            regex += re.escape(self.text[end : part.start()])
            end = part.end()
            if part[2]:
                regex += "[^/]*"
                continue
            if part[1] not in _FIELDS or part[1] in names:
                raise ValueError(
                    f"pattern: expected {{label}}, {{subject}} and {{sensor}} once each, got {self.text!r}"
                )
            names.append(part[1])
            follower = self.text[end : end + 1]
            regex += f"(?P<{part[1]}>[^/{'' if follower in ('', '*', '{') else re.escape(follower)}]+)"
        if not names:
            raise ValueError(f"pattern: expected {{label}} or {{subject}}, got {self.text!r}")
        object.__setattr__(self, "_regex", re.compile(f"(?:.*/)?{regex}{re.escape(self.text[end:])}"))

    @property
    def has_label(self) -> bool:
        """Whether paths have labels."""
        return "{label}" in self.text

    def sources(self, folder: Path) -> list[tuple[InputFile, dict[str, str]]]:
        """Return the files of a folder that match, sorted by path, with their fields.

        Parameters
        ----------
        folder : Path
            The folder; files are searched at any depth.

        Raises
        ------
        FileNotFoundError
            If no file matches.
        """
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        matches = [(name, match) for name in names if (match := self._regex.fullmatch(name))]
        if not matches:
            shown = ", ".join(names[:3]) or "no file"
            raise FileNotFoundError(f"pattern: expected a file of the form {self.text} in {folder}, got {shown}")
        return [
            (InputFile(name.rpartition(".")[0] or name, str(folder / name), name), match.groupdict())
            for name, match in matches
        ]


@dataclass(frozen=True)
class TableColumns:
    """The columns of tables that the reader does not recognise by name. Times, rate and unit are decided by the reader.

    Attributes
    ----------
    columns : sequence of str
        Names of x, y and z, or of time, x, y and z; or numbers counted from 1, for tables without a header. Empty: the names
        that the reader knows.
    label : str or None
        Column of the label.
    subject : str or None
        Column of the subject.
    time_unit : str or None
        Unit of the time column: "s", "ms", "us" or "ns"; by default its name or its values decide.

    Raises
    ------
    ValueError
        If the number of columns is not 3 or 4, or the unit is unknown.
    """

    columns: Sequence[str] = ()
    label: str | None = None
    subject: str | None = None
    time_unit: str | None = None

    def __post_init__(self) -> None:
        if len(self.columns) not in (0, 3, 4):
            raise ValueError(f"columns: expected x,y,z or time,x,y,z, got {', '.join(self.columns)}")
        if self.time_unit not in (None, "s", "ms", "us", "ns"):
            raise ValueError(f"time_unit: expected s, ms, us or ns, got {self.time_unit!r}")

    def __bool__(self) -> bool:
        return bool(self.columns or self.label or self.subject or self.time_unit)

    def recordings(self, path: str, read: Callable[[str], Recording]) -> Iterator[tuple[str | None, Recording, int]]:
        """Yield the subject, the recording and the number of lines with a wrong number of fields, for each subject of a table.

        Parameters
        ----------
        path : str
            The table.
        read : callable
            ``read(path)`` reads a table with names that the reader knows.

        Raises
        ------
        RecordingError
            If a column is missing.
        """
        delimiter, header, data = _lines(Path(path).read_bytes(), path)
        numbered = all(str(name).isdigit() for name in (*self.columns, *filter(None, (self.label, self.subject))))
        if numbered and self.columns:
            names = [str(number) for number in range(1, len(header) + 1)]
            first = dict(zip(names, header, strict=True))
            if not all(_is_number(first.get(name, "0")) for name in self.columns[-3:]):
                data = data.partition(b"\n")[2]
        else:
            names, data = header, data.partition(b"\n")[2]
        titles = self._titles(names, path)
        table, bad = read_table(data, path, columns=list(titles), header=names, text=list(titles), delimiter=delimiter)
        rows = {title: table[name] for name, title in titles.items()}
        labels: list[str] = []
        if "annotation" in rows:
            words = np.array([_bare(word) for word in rows["annotation"]], np.str_)
            labels, codes = (part.tolist() for part in np.unique(words, return_inverse=True))
            rows["annotation"] = np.array([f"label{code}" if labels[code] else "" for code in codes], object)
        people: dict[str | None, Any] = {None: slice(None)}
        if "subject" in rows:
            owners = np.array([_bare(word) for word in rows.pop("subject")], np.str_)
            people_names, index = np.unique(owners, return_inverse=True)
            people = {name: np.flatnonzero(index == code) for code, name in enumerate(people_names.tolist())}
        for owner, chosen in people.items():
            recording = _read({title: column[chosen] for title, column in rows.items()}, path, read)
            known = tuple(labels[int(word.removeprefix("label"))] for word in recording.annotation_labels)
            yield owner, replace(recording, path=path, annotation_labels=known), bad
            bad = 0  # counted once

    def _titles(self, names: Sequence[str], path: str) -> dict[str, str]:
        """Return the title that the reader knows for each column that is used."""
        special = {name: title for name, title in ((self.label, "annotation"), (self.subject, "subject")) if name}
        if not self.columns:
            titles = {name: name for name in names if name not in special}
        else:
            unit = _unit_of(self.columns[-1])
            axes = dict(zip(self.columns[-3:], (f"{axis} ({unit})" if unit else axis for axis in "xyz"), strict=True))
            times = self.columns[:-3]
            unit = self.time_unit or (_unit_of(times[0]) if times else "")
            titles = {**dict.fromkeys(times, f"time ({unit})" if unit else "time"), **axes}
        missing = [name for name in (*titles, *special) if name not in names]
        if missing:
            raise RecordingError(path, 0, f"expected the columns {', '.join(missing)}, got {', '.join(names[:12])}")
        return {**titles, **special}


def _bare(word: Any) -> str:
    return str(word if word is not None else "").strip().strip('"').strip()


def _unit_of(name: str) -> str:
    match = _UNIT.search(name.strip())
    return (match[1] or match[2] or "").strip() if match else ""


def _lines(data: bytes, path: str) -> tuple[str, list[str], bytes]:
    """Return the delimiter, the fields of the first line, and the lines without comments before the table."""
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    start = next((n for n, line in enumerate(lines) if line.strip() and not line.lstrip().startswith(_COMMENT)), None)
    if start is None:
        raise RecordingError(path, 0, "expected a table, got no line")
    sample = lines[start]
    delimiter = next((mark for mark in ";\t," if mark in sample), " ")  # a comma beside semicolons is a decimal comma
    if delimiter == " ":
        lines = [" ".join(line.split()) for line in lines]
    table = [line for line in lines[start:] if line]
    return delimiter, [_bare(word) for word in table[0].split(delimiter)], "\n".join(table).encode()


def _is_number(word: str) -> bool:
    try:
        float(word.replace(",", ".") or "nan")
    except ValueError:
        return False
    return True


def _read(rows: dict[str, NDArray[Any]], path: str, read: Callable[[str], Recording]) -> Recording:
    """Return the recording of rows under titles that the reader knows."""
    with private_folder() as folder:
        copy = Path(folder) / "table.csv"
        columns = [[_bare(value) for value in column] for column in rows.values()]
        with copy.open("w", encoding="utf-8") as file:
            file.write(";".join(rows) + "\n")
            file.writelines(";".join(row) + "\n" for row in zip(*columns, strict=True))
        try:
            return read(str(copy))
        except RecordingError as error:
            raise RecordingError(path, None, error.reason) from error

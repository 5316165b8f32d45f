"""Who wore each recording of a cohort, and an order of people in which every first part has a fair share of each stratum."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from imuspec.datasets.leaks import some_of

__all__ = ["People", "expect_apart", "people_order", "people_without_file", "read_people"]

_REQUIRED = ("recording", "person")


@dataclass(frozen=True)
class People:
    """Who wore each recording.

    Attributes
    ----------
    person : mapping of str to str
        Recording -> person.
    stratum : mapping of str to tuple of str
        Person -> values of the columns to stratify by.
    strata : tuple of str
        Names of these columns.
    n_other : int
        Rows of the file for recordings that the cohort does not have.
    path, digest : str
        The file, and its SHA-256; empty without a file.
    """

    person: Mapping[str, str]
    stratum: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    strata: tuple[str, ...] = ()
    n_other: int = 0
    path: str = ""
    digest: str = ""

    def recordings(self, people: Iterable[str]) -> list[str]:
        """Return the recordings of some people, sorted."""
        selected = set(people)
        return sorted(recording for recording, person in self.person.items() if person in selected)

    def by_person(self, recordings: Iterable[str]) -> dict[str, list[str]]:
        """Return person -> recordings, both sorted."""
        grouped: dict[str, list[str]] = defaultdict(list)
        for recording in sorted(recordings):
            grouped[self.person[recording]].append(recording)
        return dict(sorted(grouped.items()))


def people_without_file(recordings: Iterable[str]) -> People:
    """Return people for recordings of unknown wearers: each recording is taken as another person."""
    return People({recording: recording for recording in recordings})


def read_people(path: str | Path, recordings: Collection[str]) -> People:
    """Read who wore each recording of a cohort from a CSV file.

    Parameters
    ----------
    path : path-like
        File with a header and the columns ``recording`` and ``person``. Every other column is a stratum, as sex or age group:
        each part of a split has about the same share of each combination of values.
    recordings : collection of str
        Ids of the cohort's recordings.

    Returns
    -------
    People

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If a column or a name is missing, a recording of the cohort has no row or two, or a person has two values of a stratum.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"people: expected a CSV file, got {file}")
    content = file.read_bytes()
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: expected UTF-8, got other bytes ({error.reason})") from error
    rows = csv.DictReader(lines)
    header = tuple(rows.fieldnames or ())
    if missing := [name for name in _REQUIRED if name not in header]:
        raise ValueError(f"{file}: expected the columns recording and person, got none named {', '.join(missing)}")
    strata = tuple(name for name in header if name not in _REQUIRED)
    person: dict[str, str] = {}
    stratum: dict[str, tuple[str, ...]] = {}
    other = 0
    known = set(recordings)
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values() or not (row["recording"].strip() and row["person"].strip()):
            raise ValueError(f"{file}, line {number}: expected {len(header)} values with a recording and a person")
        recording, who = row["recording"].strip(), row["person"].strip()
        if recording in person:
            raise ValueError(f"{file}, line {number}: expected one row for each recording, got another for {recording}")
        if recording not in known:
            other += 1
            continue
        values = tuple(row[name].strip() for name in strata)
        if stratum.setdefault(who, values) != values:
            raise ValueError(
                f"{file}, line {number}: expected {who} with {', '.join(stratum[who])} as in an earlier row, "
                f"got {', '.join(values)}"
            )
        person[recording] = who
    if absent := sorted(known - set(person)):
        raise ValueError(f"{file}: expected a row for each recording, got none for {some_of(np.array(absent))}")
    return People(person, stratum, strata, other, str(file), hashlib.sha256(content).hexdigest())


def people_order(people: People, seed: int) -> list[str]:
    """Return all people in a random order whose first part, however long, has about its share of each stratum.

    Parameters
    ----------
    people : People
        The people.
    seed : int
        Seed of the order.

    Returns
    -------
    list of str
        People. With a stratum of ``m`` people, its ``k``-th has the position ``(k + 1/2) / m``.
    """
    drawn: list[str] = np.random.default_rng([seed, 7]).permutation(sorted(set(people.person.values()))).tolist()
    size = Counter(people.stratum.get(name, ()) for name in drawn)
    met: Counter[tuple[str, ...]] = Counter()
    position: dict[str, float] = {}
    for name in drawn:
        stratum = people.stratum.get(name, ())
        position[name] = (met[stratum] + 0.5) / size[stratum]
        met[stratum] += 1
    return sorted(drawn, key=lambda name: position[name])  # a stable sort: equal places stay in the drawn order


def expect_apart(parts: Mapping[str, Iterable[str]]) -> None:
    """Raise an error if a person is in two parts.

    Parameters
    ----------
    parts : mapping of str to iterable of str
        Part -> people.

    Raises
    ------
    ValueError
        If a person is in two parts. The message names both parts and the person.
    """
    part_of: dict[str, str] = {}
    for part, people in parts.items():
        for person in set(people):
            if person in part_of:
                raise ValueError(
                    f"split: expected each person in one part, got {person} in {part_of[person]} and {part}"
                )
            part_of[person] = part

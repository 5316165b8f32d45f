"""Results of a cohort: a folder with one table per recording. Files are complete, with the same bytes in any order of work.

::

    RESULTS/
      results.json            kind of the results, cohort, weights, settings
      recordings/ID.parquet   the table of one recording
      parts/ID.json           outcome of the recording; written last, so a recording with a part is complete
      outcomes.parquet summary.parquet
                              the parts as tables, written when every recording has its part

No time of day, host or temporary name is stored.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from imuspec.cohort.parts import (
    MANIFEST,
    UNFINISHED,
    PartBatches,
    PartStore,
    check_manifest,
    finite,
    part_batches,
    part_ids,
    problems_of_parts,
    read_part,
    read_regular,
    well_formed,
)
from imuspec.cohort.store import read_table
from imuspec.recording.identity import check_id
from imuspec.storage import as_path, is_remote, list_names

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Computed", "ResultStore", "Results", "is_results"]

FORMAT, VERSION = "imuspec-results", 1
_MARKER = "results.json"
_TABLES = ("outcomes", "summary")
_OUTCOME = ("id", "status", "reason", "sha256", "source_sha256", "rows")


class Computed(NamedTuple):
    """The result of one recording: its table, and its rows of the summary."""

    table: pa.Table
    summary: tuple[Mapping[str, Any], ...] = ()


def is_results(path: str | Path) -> bool:
    """Whether a folder holds results."""
    return (as_path(path) / _MARKER).is_file()


class Results:
    """Results that ``imuspec embed`` or ``imuspec predict`` computed from a cohort.

    Parameters
    ----------
    path : path-like
        The folder, or its URL in an object store.

    Raises
    ------
    ValueError
        If the folder does not hold results of this version.

    Examples
    --------
    >>> from imuspec.cohort.results import Results
    >>> Results("embeddings").read("p1").column_names[:2]  # doctest: +SKIP
    ['time', 'start_s']
    """

    def __init__(self, path: str | Path) -> None:
        self.path = as_path(path)
        try:
            self.description: dict[str, Any] = json.loads(read_regular(self.path / _MARKER))
            valid, version = self.description["format"] == FORMAT, self.description["version"]
        except (OSError, ValueError, KeyError, TypeError):
            valid, version = False, None
        if not valid:
            raise ValueError(f"results: expected a folder that imuspec embed or predict wrote, got {path}")
        if version != VERSION:
            raise ValueError(f"results {path}: expected version {VERSION}, got {version}")

    def __repr__(self) -> str:
        return f"Results({str(self.path)!r}, {self.description['kind']}, {len(self.ids)} recordings)"

    @property
    def ids(self) -> list[str]:
        """Ids of the recordings that have a table, sorted."""
        return [row["id"] for row in self._parts() if row["status"] == "ok"]

    @property
    def outcomes(self) -> pa.Table:
        """One row per recording: id, status (ok, failed), reason, rows, sha256, source_sha256."""
        return _outcomes(self._parts())

    @property
    def summary(self) -> pa.Table:
        """The summary rows of all recordings, such as minutes of each day and activity."""
        import pyarrow as pa

        return pa.concat_tables([tables["summary"] for tables in _table_batches(self.path, part_ids(self.path))])

    def read(self, recording_id: str) -> pa.Table:
        """Return the table of one recording.

        Raises
        ------
        KeyError
            If the recording has no table.
        """
        try:
            path = self.path / "recordings" / f"{check_id(recording_id, 'id')}.parquet"
            valid = path.is_file()
        except ValueError:
            valid = False
        if not valid:
            raise KeyError(f"results {self.path}: expected a recording that has a table, got {recording_id!r}")
        return read_table(path)

    def status(self) -> dict[str, Any]:
        """Return counts of recordings by status, their total, and counts of reasons."""
        parts = self._parts()
        counts = Counter(row["status"] for row in parts)
        reasons = Counter(row["reason"] for row in parts if row["status"] != "ok")
        unfinished = len(self._orphans(row["id"] for row in parts))
        done = {"total": len(parts), "ok": counts["ok"], "excluded": 0, "failed": counts["failed"]}
        return {**done, "unfinished": unfinished, "reasons": dict(reasons.most_common())}

    def verify(self) -> list[tuple[str, str]]:
        """Compare every file with its checksum.

        Returns
        -------
        list of (str, str)
            Id or file, and problem; empty if every table is complete and unchanged.
        """
        ids = {name.removesuffix(".json") for name in list_names(self.path / "parts")}
        tables = set(list_names(self.path / "recordings"))
        problems = problems_of_parts(ids, partial(self._problem, tables))
        reported = {f"parts/{identity}.json" for identity, _ in problems}
        problems += [(name, UNFINISHED) for name in self._orphans(ids)]
        finished = {f"{name}.parquet" for name in _TABLES} <= set(list_names(self.path))
        return problems + [pair for pair in check_manifest(self.path, needed=finished) if pair[0] not in reported]

    def _problem(self, tables: set[str], identity: str) -> str:
        part, name = read_part(self.path, identity), f"{identity}.parquet"
        if part["status"] != "ok":
            return f"{part['status']}, yet it has a table" if name in tables else ""
        if name not in tables:
            return "its table is missing"
        if hashlib.sha256(read_regular(self.path / "recordings" / name)).hexdigest() != part["sha256"]:
            return "its table is not what was written: the checksum differs"
        return ""

    def _parts(self) -> list[dict[str, Any]]:
        """All parts without their summaries, which have many rows."""
        parts = (part for batch in part_batches(self.path, part_ids(self.path)) for part in batch)
        short = [{key: value for key, value in part.items() if key != "summary"} for part in parts]
        with well_formed(self.path / "parts"):
            _outcomes(short)
        return short

    def _orphans(self, ids: Iterable[str]) -> list[str]:
        valid = {f"{identity}.parquet" for identity in ids}
        return [name.removesuffix(".parquet") for name in list_names(self.path / "recordings") if name not in valid]


class ResultStore(PartStore):
    """A writable folder of results."""

    def create(self, kind: str, description: Mapping[str, Any]) -> None:
        """Make the folder one of these results, or check that it is one.

        Parameters
        ----------
        kind : str
            As "embeddings".
        description : mapping of str to object
            Everything that the results depend on: cohort, weights, settings.

        Raises
        ------
        ValueError
            If the folder holds something else, or results of other weights, settings or another cohort.
        """
        settings = {"format": FORMAT, "version": VERSION, "kind": kind, **description}
        self.refuse_other_folders()
        if not is_remote(self.folder):
            shutil.rmtree(self.work, ignore_errors=True)
            for name in ("recordings", "parts"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        if is_results(self.folder):
            stored = Results(self.folder).description
            differences = [
                f"{key}: {stored.get(key)!r}, {settings.get(key)!r}"
                for key in sorted(stored.keys() | settings.keys())
                if stored.get(key) != settings.get(key)
            ]
            if differences:
                raise ValueError(
                    f"out: {self.folder} holds results of other settings (stored, requested): {'; '.join(differences)}"
                )
        else:
            self._write(self.folder / _MARKER, (json.dumps(settings, indent=1, sort_keys=True) + "\n").encode())

    def refuse_other_folders(self) -> None:
        """Raise ValueError if the folder holds anything but results."""
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"out: expected a folder, got the file {self.folder}")
        others = [name for name in list_names(self.folder) if name not in (".work", ".lock", "recordings", "parts")]
        if others and not is_results(self.folder):
            raise ValueError(f"out: expected results, a new or an empty folder, got {self.folder} with {others[0]}")

    def part(self, recording_id: str) -> dict[str, Any]:
        """Return the part of a recording."""
        return read_part(self.folder, recording_id)

    def drop_tables(self) -> None:
        """Remove the tables before parts change, so that a table that exists is complete."""
        self._check_fence()
        (self.folder / MANIFEST).unlink(missing_ok=True)
        for name in _TABLES:
            (self.folder / f"{name}.parquet").unlink(missing_ok=True)

    def has_tables(self) -> bool:
        """Whether tables and manifest are written."""
        return MANIFEST in list_names(self.folder)

    def remove(self, recording_id: str, /) -> None:
        """Remove the part and the table of a recording."""
        self._check_fence()
        self.path_of("parts", recording_id, ".json").unlink(missing_ok=True)
        self.path_of("recordings", recording_id, ".parquet").unlink(missing_ok=True)

    def write(self, recording_id: str, source_sha256: str, computed: Computed) -> None:
        """Write the table of one recording, then its part."""
        content = _parquet(computed.table)
        self._write(self.path_of("recordings", recording_id, ".parquet"), content)
        stored = {"rows": computed.table.num_rows, "sha256": hashlib.sha256(content).hexdigest()}
        self._write_outcome(recording_id, source_sha256, "ok", "", stored, computed.summary)

    def write_failure(self, recording_id: str, source_sha256: str, reason: str) -> None:
        """Write the part of a recording that failed, with its reason."""
        self._write_outcome(recording_id, source_sha256, "failed", reason, {"rows": 0, "sha256": ""}, ())

    def write_tables(self, ids: Iterable[str] | None = None) -> None:
        """Write the parts, or those of `ids`, as tables, then the manifest."""
        self._write_batches(_table_batches(self.folder, sorted(self.done() if ids is None else ids)))
        self._write_manifest({_MARKER, *(f"{name}.parquet" for name in _TABLES)})

    def _write_outcome(
        self,
        recording_id: str,
        source_sha256: str,
        status: str,
        reason: str,
        stored: Mapping[str, Any],
        summary: Iterable[Mapping[str, Any]],
    ) -> None:
        part = {"id": recording_id, "status": status, "reason": reason, **stored, "source_sha256": source_sha256}
        self._write_part(recording_id, {**part, "summary": [finite(row) for row in summary]})


def _parquet(table: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    whole = io.BytesIO()
    pq.write_table(table, whole, compression="zstd")
    return whole.getvalue()


def _table_batches(folder: Path, ids: Sequence[str]) -> Iterator[dict[str, pa.Table]]:
    """Yield outcomes and summary of the parts in batches; a column of the summary has one type in all batches."""
    import pyarrow as pa

    schema = pa.schema([])
    with PartBatches(folder, ids) as batches, well_formed(folder / "parts"):
        for parts in batches:
            if rows := _summary_rows(parts):
                schema = pa.unify_schemas([schema, pa.schema(list(pa.array(rows).type))], promote_options="permissive")
        for parts in batches:
            yield {"outcomes": _outcomes(parts), "summary": pa.Table.from_pylist(_summary_rows(parts), schema)}


def _outcomes(parts: Iterable[Mapping[str, Any]]) -> pa.Table:
    import pyarrow as pa

    schema = pa.schema([(name, pa.int64() if name == "rows" else pa.string()) for name in _OUTCOME])
    return pa.Table.from_pylist([{name: row[name] for name in _OUTCOME} for row in parts], schema)


def _summary_rows(parts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": part["id"], **row} for part in parts for row in part["summary"]]

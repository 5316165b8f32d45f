"""The files of a cohort. Each is complete or absent, and has the same bytes in any order of work.

::

    COHORT/
      zarr.json             Zarr v3 group; its attributes name the format and its version
      recipe.json           the recipe
      acceleration/ID/      int16 [3, time] in steps of step_g, smallest int16 for missing, one shard
      parts/ID.json         the outcome of one recording; written last, so a recording with a part is complete
      inputs.parquet        every input file: read, passed over with the reason, or no longer given
      recordings.parquet outcomes.parquet segments.parquet nonwear.parquet quality.parquet
                            the parts as tables, written when every recording has its part
      manifest.json         the checksum of every file above but the arrays, whose checksums are in the parts

A recording is written below ``.work``, synced and renamed; in an object store (``s3://``) it is uploaded, its part last.
No time of day, host or temporary name is stored.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imuspec.cohort.arrays import MISSING, write_array
from imuspec.cohort.parts import MANIFEST, PartBatches, PartStore, read_part, read_regular, well_formed, with_path
from imuspec.cohort.serialisation import part_of
from imuspec.recipe import Recipe
from imuspec.recording.inputs import InputFile
from imuspec.storage import (
    is_remote,
    list_names,
    put_tree,
    remove_tree,
    temporary_name,
)
from imuspec.temporary import private_folder

if TYPE_CHECKING:
    import pyarrow as pa

    from imuspec.preparation import Prepared

__all__ = ["FORMAT", "VERSION", "CohortStore", "read_table"]

FORMAT = "imuspec-cohort"
VERSION = 1


class CohortStore(PartStore):
    """A writable cohort."""

    def create(self, recipe: Recipe) -> None:
        """Make the folder a cohort of this recipe, or check that it is one.

        Raises
        ------
        ValueError
            If the folder holds something else, a cohort of another version, or one of another recipe.
        """
        marker = self.folder / "zarr.json"
        self.refuse_other_folders()
        self.clear_work()
        if not marker.exists():
            self._write(marker, _group({"format": FORMAT, "version": VERSION, "missing": int(MISSING)}))
        recipe_path = self.folder / "recipe.json"
        if recipe_path.exists():
            differences = Recipe.model_validate_json(read_regular(recipe_path)).differences(recipe)
            if differences:
                raise ValueError(
                    f"recipe: expected that of the cohort {self.folder}, got one that differs (cohort, given): "
                    f"{'; '.join(differences)}; another recipe needs another folder"
                )
        else:
            self._write(recipe_path, recipe.to_json().encode())
        if not is_remote(self.folder):  # an object store has no folders
            (self.folder / "acceleration").mkdir(exist_ok=True)
            (self.folder / "parts").mkdir(exist_ok=True)
        if not (self.folder / "acceleration" / "zarr.json").exists():
            self._write(self.folder / "acceleration" / "zarr.json", _group({}))

    def holds(self, recipe: Recipe) -> bool:
        """Whether the folder is a cohort of this recipe."""
        recipe_path = self.folder / "recipe.json"
        return recipe_path.exists() and not Recipe.model_validate_json(read_regular(recipe_path)).differences(recipe)

    def refuse_other_folders(self) -> None:
        """Raise ValueError if the folder holds anything but a cohort of this version."""
        if (self.folder / "zarr.json").exists():
            check_version(self.folder)
        elif self.folder.is_dir():
            others = [name for name in list_names(self.folder) if name not in (".work", ".lock")]
            if others:
                raise ValueError(
                    f"out: expected a cohort, a new or an empty folder, got {self.folder} with {others[0]}"
                )
        elif self.folder.exists():
            raise ValueError(f"out: expected a folder, got the file {self.folder}")

    def outcome(self, identity: str) -> dict[str, Any]:
        """Return a recording's row of the table ``outcomes``; it must have a part."""
        outcome: dict[str, Any] = read_part(self.folder, identity)["outcome"]
        return outcome

    def written_ns(self, identity: str) -> int:
        """Return the time at which the part of a recording was written, ns since 1970; 0 if the store has no times."""
        path: Any = self.path_of("parts", identity, ".json")
        if not is_remote(self.folder):
            return int(path.stat().st_mtime_ns)
        try:
            return int(path.fs.modified(path.path).timestamp() * 1e9)
        except (NotImplementedError, OSError):  # fsspec: the store has no times
            return 0

    def drop_tables(self) -> None:
        """Remove manifest and tables before parts change, so that a table that exists is complete."""
        from imuspec.cohort.tables import TABLES

        self._check_fence()
        (self.folder / MANIFEST).unlink(missing_ok=True)
        for name in TABLES:
            (self.folder / f"{name}.parquet").unlink(missing_ok=True)

    def remove(self, identity: str, /) -> None:
        """Remove the part and the array of a recording."""
        self._check_fence()
        self.path_of("parts", identity, ".json").unlink(missing_ok=True)
        remove_tree(self.path_of("acceleration", identity))

    def has_tables(self) -> bool:
        """Whether tables and manifest are written."""
        return MANIFEST in list_names(self.folder)

    def inputs(self) -> list[dict[str, Any]]:
        """Return the rows of the table ``inputs``; an empty list before the first run."""
        path = self.folder / "inputs.parquet"
        return read_table(path).to_pylist() if path.name in list_names(self.folder) else []

    def write_inputs(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the table ``inputs``."""
        from imuspec.cohort.tables import inputs_table

        self._write_batches([{"inputs": inputs_table(rows)}])

    def write(self, source: InputFile, prepared: Prepared, **outcome: str | int) -> None:
        """Write one recording: its array if it is ok, then its part.

        Parameters
        ----------
        source : InputFile
            The input file.
        prepared : Prepared
            The prepared recording.
        **outcome : str or int
            ``source_sha256`` and ``duplicate_of``.
        """
        stored: dict[str, Any] = {}
        if prepared.status == "ok":
            stored = self._write_array(source, prepared)
        self._write_part(source.id, part_of(source, prepared, stored, outcome))

    def write_tables(self, ids: Iterable[str] | None = None) -> None:
        """Write the parts, or those of `ids`, as tables, then the manifest."""
        from imuspec.cohort.tables import TABLES

        self._write_batches(table_batches(self.folder, sorted(self.done() if ids is None else ids)))
        tables = {f"{name}.parquet" for name in TABLES} | ({"inputs.parquet"} & set(list_names(self.folder)))
        self._write_manifest({"zarr.json", "recipe.json", "acceleration/zarr.json", *tables})

    def clear_work(self) -> None:
        """Remove the temporary files of an interrupted run of this share."""
        if not is_remote(self.folder):
            shutil.rmtree(self.work, ignore_errors=True)
            self.work.mkdir(parents=True, exist_ok=True)

    @property
    def spill_folder(self) -> Path:
        """Folder for temporary files of a preparation: on the cohort's disk, or that of this machine before an upload."""
        return Path(tempfile.gettempdir()) if is_remote(self.folder) else self.work

    @contextmanager
    def _temporary_folder(self, name: str) -> Iterator[Path]:
        """Yield a new folder: on the cohort's disk, or a private one of this machine before an upload."""
        if is_remote(self.folder):
            with private_folder() as folder:
                yield folder / name
            return
        yield self.work / temporary_name()

    def _write_array(self, source: InputFile, prepared: Prepared) -> dict[str, Any]:
        """Write the acceleration of a recording to a temporary folder, and move it; return columns for the part."""
        attributes = {
            "step_g": prepared.recipe.store.step_g,
            "rate_hz": prepared.rate,
            "start_time": str(np.datetime64(prepared.start_time, "ns")),
            "shifts": prepared.shifts.tolist(),
            "source": source.name,
        }
        with self._temporary_folder(source.id) as waiting:
            n_bytes, n_clipped, sha256 = write_array(waiting, prepared, attributes)
            stored: dict[str, Any] = {"n_clipped": n_clipped, "sha256": sha256, "stored_bytes": n_bytes}
            stored["zarr_sha256"] = hashlib.sha256((waiting / "zarr.json").read_bytes()).hexdigest()
            self._check_fence()
            try:
                put_tree(waiting, self.path_of("acceleration", source.id))
            except OSError as error:
                raise with_path(error, self.path_of("acceleration", source.id)) from error
        return stored


def read_table(path: Path) -> pa.Table:
    """Read a Parquet table.

    Arrow's pools of threads stay unused: a process that ends while one starts is aborted (apache/arrow issue 34314), which
    happened to one command in fifty on a busy machine.

    Raises
    ------
    ValueError
        If it is damaged. The message names it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(pa.BufferReader(read_regular(path))).read(use_threads=False)
    except pa.ArrowException as error:
        raise ValueError(f"{path}: expected a Parquet table, got a damaged file ({error})") from error


def check_version(folder: Path) -> None:
    """Raise ValueError unless the folder is a cohort that this version of imuspec reads."""
    marker = folder / "zarr.json"
    if not marker.exists() and not folder.is_dir():
        raise ValueError(f"cohort: {folder} {'is a file, not a folder' if folder.exists() else 'does not exist'}")
    try:
        attributes = json.loads(read_regular(marker))["attributes"]
        known = attributes["format"] == FORMAT
        version = int(attributes["version"])
    except (OSError, ValueError, KeyError, TypeError):
        known, version = False, 0
    if not known:
        raise ValueError(f"cohort: expected a folder that `imuspec prepare --out` wrote, got {folder}")
    if version != VERSION:
        age = "newer: update imuspec" if version > VERSION else "older: prepare it again"
        raise ValueError(f"cohort {folder}: expected version {VERSION}, got {version}, which is {age}")


def table_batches(folder: Path, ids: Sequence[str]) -> Iterator[dict[str, pa.Table]]:
    """Yield the tables of the parts in batches, at least one: those of 100,000 recordings would take gigabytes."""
    from imuspec.cohort.tables import schemas_of_parts, tables_from_parts

    with PartBatches(folder, ids) as batches, well_formed(folder / "parts"):
        schemas = schemas_of_parts(part for parts in batches for part in parts)
        for parts in batches:
            yield tables_from_parts(parts, schemas)


def _group(attributes: dict[str, Any]) -> bytes:
    return json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes}, indent=2).encode()


def orphans(folder: Path, ids: Iterable[str]) -> list[str]:
    """Return the arrays without a part, which an interrupted run left."""
    known = {"zarr.json", *ids}
    return [name for name in list_names(folder / "acceleration") if name not in known]

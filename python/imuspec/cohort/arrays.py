"""The stored acceleration of a cohort's recordings: one Zarr array for each, with its rate, step and clock."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from imuspec._core import read_shard, write_shard
from imuspec.cohort.parts import read_regular, well_formed
from imuspec.recording.identity import check_id
from imuspec.storage import files_below, is_remote

if TYPE_CHECKING:
    import zarr
    from numpy.typing import NDArray

    from imuspec.preparation import Prepared

Values = TypeVar("Values", "NDArray[np.int16]", "NDArray[np.float32]")

__all__ = ["MISSING", "SHARD", "StoredArray", "StoredArrays", "checksum", "layout", "write_array"]

MISSING = np.int16(-32768)
SHARD = "c/0/0"  # the file of the samples
MAX_RATE = 1000.0  # Hz, the most that a recipe may ask for
MAX_SAMPLES = 1 << 40
_OPEN = 64  # arrays kept open


class StoredArray:
    """The acceleration of one recording: int16 steps, and what they mean.

    A local array of the layout that imuspec writes is read by the native core, any other one by Zarr.

    Attributes
    ----------
    recording_id : str
        Id of the recording.
    rate : float
        Hz.
    step_g : float
        Size of a step, g.
    start_time : datetime64[ns]
        Local device clock of the first sample.
    shifts : int64 array [k, 2]
        As in `Prepared`.
    sha256 : str
        Checksum of the stored bytes when they were written.

    Raises
    ------
    ValueError
        If the array is not one that imuspec wrote.
    """

    def __init__(self, recording_id: str, folder: Path) -> None:
        metadata = _metadata(folder / "zarr.json")
        shape, data_type = metadata.get("shape"), metadata.get("data_type")
        attributes: Any = metadata.get("attributes")
        if data_type != "int16" or not isinstance(shape, list) or len(shape) != 2 or shape[0] != 3:
            raise ValueError(f"array {recording_id}: expected int16 [3, time], got {data_type} {shape}")
        self._folder = folder
        self._zarr: zarr.Array[Any] | None = None
        self.recording_id = recording_id
        try:
            self._n_samples = int(shape[1])
            self.rate = float(attributes["rate_hz"])
            self.step_g = float(attributes["step_g"])
            self.start_time = np.datetime64(str(attributes["start_time"]), "ns")
            self.shifts: NDArray[np.int64] = np.array(attributes["shifts"], np.int64).reshape(-1, 2)
            self.sha256 = str(attributes["sha256"])
            self._chunk = 0 if is_remote(folder) else _native_chunk(metadata)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"array {recording_id}: expected the attributes of a recording, got {error!r}") from error
        if not (0 < self.rate <= MAX_RATE and 0 < self.step_g <= 1 and 0 <= self._n_samples <= MAX_SAMPLES):
            raise ValueError(
                f"array {recording_id}: expected a rate up to {MAX_RATE} Hz and a step up to 1 g of 0 to {MAX_SAMPLES} samples, "
                f"got {self.rate} Hz and {self.step_g} g of {self._n_samples}"
            )

    def __len__(self) -> int:
        return self._n_samples

    def steps(self, first: int, stop: int, out: NDArray[np.int16] | None = None) -> NDArray[np.int16]:
        """Read samples `first` to `stop` as stored, int16 [3, time]; the smallest int16 is missing.

        Parameters
        ----------
        first, stop : int
            First and one-past-last sample.
        out : int16 array [3, stop - first], optional
            Memory to fill; by default new memory.

        Raises
        ------
        ValueError
            If the samples are not inside the recording, `out` has another shape or type, or the stored bytes are damaged.
        """
        self.check(first, stop)
        if out is not None and (out.shape != (3, stop - first) or out.dtype != np.int16):
            raise ValueError(f"out: expected int16 [3, {stop - first}], got {out.dtype} {list(out.shape)}")
        with well_formed(f"array {self.recording_id}"):
            if self._chunk and (out is None or out.flags.c_contiguous):
                return self._native(np.empty((3, stop - first), np.int16) if out is None else out, first)
            stored = self.steps(first, stop) if self._chunk else np.asarray(self._opened()[:, first:stop])
        if out is None:
            return stored
        out[:] = stored
        return out

    def values(self, first: int, stop: int) -> NDArray[np.float32]:
        """Read samples `first` to `stop` in g, float32 [3, time]; NaN where missing.

        Raises
        ------
        ValueError
            If the samples are not inside the recording, or the stored bytes are damaged.
        """
        if self._chunk:
            self.check(first, stop)
            with well_formed(f"array {self.recording_id}"):
                return self._native(np.empty((3, stop - first), np.float32), first)
        stored = self.steps(first, stop)
        values = stored.astype(np.float32)
        values *= np.float32(self.step_g)
        values[stored == MISSING] = np.nan
        return values

    def check(self, first: int, stop: int) -> None:
        """Raise ValueError unless samples `first` to `stop` are inside the recording."""
        if not 0 <= first <= stop <= len(self):
            raise ValueError(
                f"read {self.recording_id}: expected samples inside 0 to {len(self)}, got {first} to {stop}"
            )

    def _native(self, out: Values, first: int) -> Values:
        """Fill `out` [3, time] with the samples from `first` on."""
        read_shard(
            self._folder / SHARD,
            out,
            n_chunks=-(-len(self) // self._chunk),
            chunk=self._chunk,
            first=first,
            stop=first + out.shape[1],
            step=self.step_g,
        )
        return out

    def _opened(self) -> zarr.Array[Any]:
        """Return the array of Zarr."""
        if self._zarr is None:
            import zarr
            from zarr.storage import FsspecStore, LocalStore

            folder = self._folder
            store: Any = FsspecStore.from_url(str(folder)) if is_remote(folder) else LocalStore(folder, read_only=True)
            try:
                self._zarr = zarr.open_array(store, mode="r", zarr_format=3)
            except Exception as error:  # each kind of damage has another error
                raise ValueError(f"{folder / 'zarr.json'}: expected an array of Zarr, got damage ({error})") from error
        return self._zarr


def write_array(folder: Path, prepared: Prepared, attributes: Mapping[str, Any]) -> tuple[int, int, str]:
    """Write the acceleration of a recording as a Zarr array in a new folder.

    Parameters
    ----------
    folder : Path
        The folder, on a disk.
    prepared : Prepared
        The recording. The ``store`` of its recipe says how samples are stored.
    attributes : mapping
        Attributes of the array, as `StoredArray` reads them, without ``sha256``.

    Returns
    -------
    n_bytes : int
        Bytes of the samples on disk.
    n_clipped : int
        Values that int16 steps cannot hold, which were clipped.
    sha256 : str
        Checksum of these bytes.
    """
    settings = prepared.recipe.store
    chunk = max(1, round(prepared.rate * 3600 * settings.chunk_h))
    stored: Any = {"chunk": chunk, "step_g": settings.step_g, "level": settings.compression_level}
    (folder / SHARD).parent.mkdir(parents=True)
    if prepared.pieces is not None:
        n_bytes, n_clipped = prepared.pieces.write_shard(folder / SHARD, **stored)
    elif prepared.acceleration is not None:
        n_bytes, n_clipped = write_shard(folder / SHARD, np.ascontiguousarray(prepared.acceleration), **stored)
    else:
        raise ValueError(f"{prepared.id}: a recording that is ok has no acceleration")
    sha256 = checksum(folder)
    fields = layout(int(prepared.figures["n_samples"]), chunk, settings.compression_level)
    metadata = json.dumps({**fields, "attributes": {**attributes, "sha256": sha256}}, indent=2)
    (folder / "zarr.json").write_text(metadata, "utf-8")
    return n_bytes, n_clipped, sha256


def checksum(array: Path) -> str:
    """Return the SHA-256 of the stored bytes of a recording."""
    digest = hashlib.sha256()
    for path in files_below(array / "c"):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _metadata(marker: Path) -> dict[str, Any]:
    """Return the content of an array's ``zarr.json``."""
    try:
        metadata = json.loads(read_regular(marker))
    except ValueError as error:
        raise ValueError(f"{marker}: expected an array of Zarr, got damage ({error})") from error
    if not isinstance(metadata, dict) or (metadata.get("zarr_format"), metadata.get("node_type")) != (3, "array"):
        raise ValueError(f"{marker}: expected an array of Zarr, version 3, got other content")
    return metadata


def layout(n_samples: int, chunk: int, level: int) -> dict[str, Any]:
    """Return the fields of ``zarr.json`` that say how samples are stored: one shard of compressed chunks.

    Parameters
    ----------
    n_samples : int
        Samples of the recording.
    chunk : int
        Samples of a chunk.
    level : int
        Level of Zstandard.
    """
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    blosc = {"typesize": 2, "cname": "zstd", "clevel": level, "shuffle": "shuffle", "blocksize": 0}
    sharding = {
        "chunk_shape": [3, chunk],
        "codecs": [little, {"name": "blosc", "configuration": blosc}],
        "index_codecs": [little, {"name": "crc32c"}],
        "index_location": "end",
    }
    shard = [3, chunk * max(1, -(-n_samples // chunk))]
    return {
        "shape": [3, n_samples],
        "data_type": "int16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": int(MISSING),
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "dimension_names": ["axis", "time"],
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }


def _native_chunk(metadata: Mapping[str, Any]) -> int:
    """Return the samples of a chunk, if the content of ``zarr.json`` has the layout that the native core reads; else 0."""
    try:
        configuration = metadata["codecs"][0]["configuration"]
        chunk = int(configuration["chunk_shape"][1])
        level = int(configuration["codecs"][1]["configuration"]["clevel"])
    except (LookupError, TypeError, ValueError):
        return 0
    expected = layout(int(metadata["shape"][1]), chunk, level) if chunk > 0 else {"chunk": "at least one sample"}
    return chunk if all(metadata.get(name) == value for name, value in expected.items()) else 0


class StoredArrays:
    """The arrays of a cohort, opened when they are needed; the last `_OPEN` stay open.

    Parameters
    ----------
    folder : Path
        The cohort's folder or URL.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: OrderedDict[str, StoredArray] = OrderedDict()

    def __getitem__(self, recording_id: str) -> StoredArray:
        if recording_id in self._opened:
            self._opened.move_to_end(recording_id)
            return self._opened[recording_id]
        try:
            folder = self._folder / "acceleration" / check_id(recording_id, "id")
            known = (folder / "zarr.json").is_file()
        except ValueError:
            known = False
        if not known:
            raise KeyError(f"cohort {self._folder}: expected one of its ids, got {recording_id!r}")
        array = StoredArray(recording_id, folder)
        self._opened[recording_id] = array
        if len(self._opened) > _OPEN:
            self._opened.popitem(last=False)
        return array

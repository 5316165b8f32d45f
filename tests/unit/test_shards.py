"""Samples of a shard by the native core are those that Zarr reads, and damage is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, BytesCodec

from imuspec._core import read_shard, set_threads
from imuspec.cohort.arrays import MISSING, SHARD, layout
from imuspec.errors import RecordingError

CHUNK = 5000  # 30,000 bytes: several blocks of Blosc


def recorded(n: int, seed: int = 0) -> NDArray[np.int16]:
    """Return samples [3, n] of all kinds: smooth, noise that cannot be compressed, still, missing."""
    random = np.random.default_rng(seed)
    smooth = np.cumsum(random.normal(0, 3, (3, n)), axis=1)
    noise = random.integers(-32768, 32767, (3, n))
    kind = random.integers(0, 4, -(-n // 1500)).repeat(1500)[:n]
    return np.select([kind == 0, kind == 1, kind == 2], [smooth, noise, 1600], MISSING).astype(np.int16)


def write(folder: Path, values: NDArray[np.int16], *, chunk: int = CHUNK, level: int = 1) -> zarr.Array[Any]:
    """Write the array as a cohort does."""
    array = zarr.create_array(
        zarr.storage.LocalStore(folder),
        shape=values.shape,
        dtype=values.dtype,
        chunks=(3, chunk),
        shards=(3, chunk * max(1, -(-values.shape[1] // chunk))),
        compressors=BloscCodec(cname="zstd", clevel=level, shuffle="shuffle"),
        fill_value=int(MISSING),
    )
    array[:] = values
    return array


def read(folder: Path, n: int, first: int, stop: int, dtype: type = np.int16, chunk: int = CHUNK) -> NDArray[Any]:
    out: NDArray[Any] = np.full((3, stop - first), 77, dtype)
    n_chunks = -(-n // chunk)
    read_shard(folder / SHARD, out, n_chunks=n_chunks, chunk=chunk, first=first, stop=stop, step=0.000625)
    return out


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize(
    ("n", "chunk"), [(1, 5000), (4999, 5000), (5000, 5000), (23_456, 5000), (300, 7), (90_001, 30_000)]
)
def test_native_samples_are_those_of_zarr(n: int, chunk: int, level: int, tmp_path: Path) -> None:
    values = recorded(n)
    array = write(tmp_path, values, chunk=chunk, level=level)
    random = np.random.default_rng(1)
    ranges = [(0, n), (0, 0), (n, n), (n - 1, n), *(sorted(random.integers(0, n + 1, 2)) for _ in range(20))]
    for threads in (1, 2):
        set_threads(threads)
        for first, stop in ranges:
            np.testing.assert_array_equal(read(tmp_path, n, first, stop, chunk=chunk), array[:, first:stop])
    set_threads(0)


def test_values_in_g_are_steps_times_their_size_and_nan_where_missing(tmp_path: Path) -> None:
    values = recorded(12_000)
    write(tmp_path, values)
    expected = values.astype(np.float32) * np.float32(0.000625)
    expected[values == MISSING] = np.nan
    np.testing.assert_array_equal(read(tmp_path, 12_000, 100, 11_900, np.float32), expected[:, 100:11_900])


def test_chunks_that_are_all_missing_are_not_stored_and_read_as_missing(tmp_path: Path) -> None:
    values = recorded(20_000)
    values[:, 5000:10_000] = MISSING
    write(tmp_path / "some", values)
    np.testing.assert_array_equal(read(tmp_path / "some", 20_000, 4000, 11_000), values[:, 4000:11_000])
    assert (read(tmp_path / "none", 20_000, 0, 20_000) == MISSING).all()


def test_the_layout_is_what_zarr_writes(tmp_path: Path) -> None:
    array = write(tmp_path, recorded(12_000), level=3)
    described = array.metadata.to_dict()
    assert {name: described[name] for name in ("shape", "fill_value")} == {"shape": (3, 12_000), "fill_value": MISSING}
    written = json.loads((tmp_path / "zarr.json").read_text())
    expected = layout(12_000, CHUNK, 3)
    assert {name: written[name] for name in expected} == expected


@pytest.mark.parametrize("where", ["chunk", "index"])
def test_no_damaged_byte_ends_in_anything_but_samples_or_an_error(where: str, tmp_path: Path) -> None:
    write(tmp_path, recorded(12_000))
    path = tmp_path / SHARD
    sound = bytearray(path.read_bytes())
    index = len(sound) - 4 - 3 * 16
    random = np.random.default_rng(3)
    heads = [*range(16), *random.integers(16, index, 200)]
    places = heads if where == "chunk" else range(index, len(sound))
    n_refused = 0
    for place in places:
        for bit in (0, 3, 7):
            damaged = sound.copy()
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                read(tmp_path, 12_000, 0, 12_000)
            except RecordingError as error:
                n_refused += str(path) in str(error)
    assert n_refused == 3 * len(places) if where == "index" else n_refused > 20


@pytest.mark.parametrize("length", [0, 3, 51, 52, 1000])
def test_a_shard_that_is_cut_is_refused(length: int, tmp_path: Path) -> None:
    write(tmp_path, recorded(12_000))
    path = tmp_path / SHARD
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(RecordingError, match="zarr shard: expected an index"):
        read(tmp_path, 12_000, 0, 12_000)


def test_chunks_of_other_codecs_are_refused(tmp_path: Path) -> None:
    values = recorded(12_000)
    for name, compressor in {
        "lz4": BloscCodec(cname="lz4", clevel=1, shuffle="shuffle", typesize=2),
        "bits": BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle", typesize=2),
    }.items():
        array = zarr.create_array(
            zarr.storage.LocalStore(tmp_path / name),
            shape=values.shape,
            dtype=values.dtype,
            chunks=(3, CHUNK),
            shards=(3, 3 * CHUNK),
            serializer=BytesCodec(endian="little"),
            compressors=compressor,
            fill_value=int(MISSING),
        )
        array[:] = values
        with pytest.raises(RecordingError, match="blosc: chunk: expected Zstandard of shuffled int16"):
            read(tmp_path / name, 12_000, 0, 12_000)


def test_samples_beyond_the_shard_and_arrays_of_another_size_are_refused(tmp_path: Path) -> None:
    write(tmp_path, recorded(12_000))
    with pytest.raises(ValueError, match=r"samples: expected some of 3 chunks of 5000, got 0\.\.15001"):
        read(tmp_path, 12_000, 0, 15_001)
    with pytest.raises(ValueError, match=r"out: expected \[3, 10\], got 27 items"):
        read_shard(tmp_path / SHARD, np.empty((3, 9), np.int16), n_chunks=3, chunk=CHUNK, first=0, stop=10, step=1.0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_a_shard_that_is_a_fifo_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "c" / "0").mkdir(parents=True)
    os.mkfifo(tmp_path / SHARD)
    with pytest.raises(RecordingError, match="expected a regular file"):
        read(tmp_path, 12_000, 0, 12_000)

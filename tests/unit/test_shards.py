"""Samples of a shard are those that Zarr reads, and Zarr reads what the native core wrote; damage is refused."""

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

from imuspec import Recipe
from imuspec._core import read_shard, set_threads, write_shard
from imuspec.cohort.arrays import MISSING, SHARD, write_array
from imuspec.errors import RecordingError
from imuspec.preparation import Prepared, prepare, prepare_in_pieces
from imuspec.simulation import simulate
from wear_cohort import write_cohort

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
        dimension_names=["axis", "time"],
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


@pytest.mark.parametrize("native", [True, False])
def test_a_recording_is_read_into_memory_that_is_there(native: bool, tmp_path: Path) -> None:
    array = write_cohort(tmp_path / "cohort", {"a": 0.3})._arrays["a"]
    expected = array.steps(1000, 25_000)
    if not native:
        array._chunk = 0  # an array that Zarr reads
    whole, part = np.zeros((3, 24_000), np.int16), np.zeros((3, 30_000), np.int16)
    assert array.steps(1000, 25_000, whole) is whole
    np.testing.assert_array_equal(whole, expected)
    array.steps(1000, 25_000, part[:, 1000:25_000])
    np.testing.assert_array_equal(part, np.pad(expected, ((0, 0), (1000, 5000))))
    for other in (whole[:, 1:], whole.astype(np.float32)):
        with pytest.raises(ValueError, match=r"out: expected int16 \[3, 24000\]"):
            array.steps(1000, 25_000, other)


def test_chunks_that_are_all_missing_are_not_stored_and_read_as_missing(tmp_path: Path) -> None:
    values = recorded(20_000)
    values[:, 5000:10_000] = MISSING
    write(tmp_path / "some", values)
    np.testing.assert_array_equal(read(tmp_path / "some", 20_000, 4000, 11_000), values[:, 4000:11_000])
    assert (read(tmp_path / "none", 20_000, 0, 20_000) == MISSING).all()


def quantised(x: NDArray[np.float32], step_g: float) -> tuple[NDArray[np.int16], int]:
    """Return the definition of what is stored: steps, halves to even, clipped; and how many values were clipped."""
    steps = np.rint(x * np.float32(1 / step_g))
    clipped = np.abs(steps) > 32767
    stored = np.where(np.isnan(x), MISSING, np.clip(np.nan_to_num(steps), -32767, 32767)).astype(np.int16)
    return stored, int(np.count_nonzero(clipped))


@pytest.mark.parametrize("level", [1, 3, 9])
@pytest.mark.parametrize("n", [1, 4999, 5000, 23_456, 161_000])
def test_zarr_reads_what_the_native_core_writes(n: int, level: int, tmp_path: Path) -> None:
    random = np.random.default_rng(n)
    x = (recorded(n) * np.float32(0.00061) + random.normal(0, 0.01, (3, n))).astype(np.float32)
    x[:, random.integers(0, n, n // 10)] = np.nan
    recipe = Recipe.load("capture24").set(f"store.compression_level={level}", f"store.chunk_h={CHUNK / 30 / 3600}")
    stored, n_clipped = quantised(x, recipe.store.step_g)
    files = []
    for threads in (1, 3):
        set_threads(threads)
        folder = tmp_path / str(threads)
        prepared = Prepared("a.csv", "a", recipe, "ok", acceleration=x, rate=30.0, figures={"n_samples": n})
        written = write_array(folder, prepared, {"rate_hz": 30.0})
        assert written[:2] == ((folder / SHARD).stat().st_size, n_clipped)
        np.testing.assert_array_equal(zarr.open_array(folder, mode="r")[:], stored)
        np.testing.assert_array_equal(read(folder, n, 0, n), stored)
        files.append((folder / SHARD).read_bytes())
    set_threads(0)
    assert files[0] == files[1]
    blosc = write(tmp_path / "zarr", stored, level=level)
    assert len(files[0]) <= 1.001 * (tmp_path / "zarr" / SHARD).stat().st_size + 32 * -(-n // CHUNK)
    metadata = json.loads((folder / "zarr.json").read_text())
    assert list(metadata["attributes"].items()) == [("rate_hz", 30.0), ("sha256", written[2])]
    expected = json.loads((tmp_path / "zarr" / "zarr.json").read_text())
    assert blosc.fill_value == MISSING
    assert {**metadata, "attributes": {}} == expected


def test_a_recording_in_pieces_is_stored_as_one_in_an_array(tmp_path: Path) -> None:
    path = tmp_path / "a.cwa"
    simulate(path, days=0.2, seed=4)
    recipe = Recipe.load("capture24").set("calibration.required=false", "segments.min_wear_h=0")
    one, other = prepare(path, recipe), prepare_in_pieces(path, recipe, tmp_path)
    assert (one.pieces, other.acceleration) == (None, None)
    assert one.status == other.status == "ok"
    assert one.figures == other.figures
    assert one.figures["n_samples"] > 7 * 65_536  # so many pieces
    for name in ("segments", "nonwear", "still", "shifts"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    written = [write_array(tmp_path / str(k), prepared, {}) for k, prepared in enumerate((one, other))]
    assert written[0] == written[1]
    assert (tmp_path / "0" / SHARD).read_bytes() == (tmp_path / "1" / SHARD).read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0", "1", "a.cwa", "a.truth.json", "a.truth.npz"]


def test_quantising_rounds_halves_to_even_clips_and_counts(tmp_path: Path) -> None:
    step = 0.000625
    x = np.zeros((3, 6000), np.float32)
    special = [0.0003, 0.0004, -20.479375, 30, -30, np.nan, np.inf, -np.inf, 0.5 * step, 1.5 * step, 32767.5 * step]
    x[1, : len(special)] = special
    x[2] = np.random.default_rng(0).normal(0, 12, 6000)
    stored, n_clipped = quantised(x, step)
    assert write_shard(tmp_path / "a", x, chunk=5000, step_g=step, level=1)[1] == n_clipped > 5
    (tmp_path / "c" / "0").mkdir(parents=True)
    (tmp_path / "a").rename(tmp_path / SHARD)
    np.testing.assert_array_equal(read(tmp_path, 6000, 0, 6000), stored)
    assert stored[1, :4].tolist() == [0, 1, -32767, 32767]


def test_a_recording_without_a_sample_has_no_file(tmp_path: Path) -> None:
    x = np.full((3, 6000), np.nan, np.float32)
    assert write_shard(tmp_path / "a", x, chunk=5000, step_g=0.000625, level=1) == (0, 0)
    assert not (tmp_path / "a").exists()


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"others")
    with pytest.raises(FileExistsError):
        write_shard(tmp_path / "a", np.zeros((3, 10), np.float32), chunk=5, step_g=0.01, level=1)
    assert (tmp_path / "a").read_bytes() == b"others"


@pytest.mark.parametrize(
    ("shape", "settings", "problem"),
    [
        ((2, 10), {}, r"x: expected \[3, time\]"),
        ((3, 10), {"chunk": 0}, "chunk: expected some samples"),
        ((3, 10), {"level": 0}, "level: expected 1 to 9"),
        ((3, 10), {"step_g": 0.0}, "step_g: expected more than 0"),
        ((3, 10), {"step_g": np.nan}, "step_g: expected more than 0"),
    ],
)
def test_what_cannot_be_written_is_refused(
    shape: tuple[int, int], settings: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=problem):
        write_shard(tmp_path / "a", np.zeros(shape, np.float32), **{"chunk": 5, "step_g": 0.01, "level": 1, **settings})


@pytest.mark.parametrize("part", ["chunk", "index"])
def test_no_damaged_byte_ends_in_anything_but_samples_or_an_error(part: str, tmp_path: Path) -> None:
    write(tmp_path, recorded(12_000))
    path = tmp_path / SHARD
    sound = bytearray(path.read_bytes())
    index = len(sound) - 4 - 3 * 16
    random = np.random.default_rng(3)
    heads = [*range(16), *random.integers(16, index, 200)]
    offsets = heads if part == "chunk" else range(index, len(sound))
    n_refused = 0
    for offset in offsets:
        for bit in (0, 3, 7):
            damaged = sound.copy()
            damaged[offset] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                read(tmp_path, 12_000, 0, 12_000)
            except RecordingError as error:
                n_refused += str(path) in str(error)
    assert n_refused == 3 * len(offsets) if part == "index" else n_refused > 20


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

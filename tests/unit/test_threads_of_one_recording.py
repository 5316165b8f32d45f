"""One recording on one thread and on several: the same bits, the same events, the same refusals."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import imuspec
from imuspec import _core
from imuspec.cluster.local import LocalEngine
from reference_data import DATA, needs_data

NAMES = [
    "ax3_50hz_27h_messy.cwa.gz",
    "ax3_testfile.cwa",
    "GENEActiv_testfile.bin",
    "actigraph_testfile.gt3x",
    "mtx_100Hz_acc_HR_temp.BIN",
    "oxwearables_wrist_sample_75min_80hz.csv.gz",
]


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    yield
    _core.set_threads(0)


def prepared(path: Path, recipe: str, threads: int) -> tuple[bytes, str]:
    """The samples of a recording, and all that is said of it."""
    _core.set_threads(threads)
    made = imuspec.prepare(path, recipe)
    return np.asarray(made.acceleration).tobytes(), f"{made.summary} {made.quality}"


@needs_data
@pytest.mark.parametrize("recipe", ["capture24", "actipy"])
@pytest.mark.parametrize("name", NAMES)
def test_a_recording_is_prepared_to_the_same_bits_on_any_number_of_threads(name: str, recipe: str) -> None:
    path = DATA / "recordings" / name
    alone = prepared(path, recipe, 1)
    assert len(alone[0]) > 0
    for threads in (2, 3):
        assert prepared(path, recipe, threads) == alone


@needs_data
def test_a_compressed_recording_that_is_cut_ends_at_the_same_sample_with_the_same_words(tmp_path: Path) -> None:
    whole = gzip.compress((DATA / "recordings" / "ax3_testfile.cwa").read_bytes() * 3, 1)
    (tmp_path / "cut.cwa.gz").write_bytes(whole[: len(whole) * 2 // 3])
    (tmp_path / "more.cwa.gz").write_bytes(whole + b"and more")
    for name in ("cut.cwa.gz", "more.cwa.gz"):
        _core.set_threads(1)
        alone = imuspec.read(tmp_path / name)
        _core.set_threads(2)
        beside = imuspec.read(tmp_path / name)
        assert alone.quality.counts["damaged_compression"] == 1
        assert repr(beside.quality) == repr(alone.quality)
        np.testing.assert_array_equal(beside.acceleration, alone.acceleration)


def threads_of_worker(_: int) -> int:
    return _core.get_threads()


def test_a_worker_has_the_threads_of_those_that_no_item_needs() -> None:
    assert [threads for _, threads, _ in LocalEngine(3).map(threads_of_worker, [0])] == [3]
    assert [threads for _, threads, _ in LocalEngine(2).map(threads_of_worker, [0, 1, 2])] == [1, 1, 1]

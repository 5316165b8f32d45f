"""Pictures drawn per batch for a loader: what comes out is what `rgb_image` draws, in every way of asking."""

from __future__ import annotations

import json
import multiprocessing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader  # noqa: E402

import imuspec  # noqa: E402
import stub_native  # noqa: E402
from imuspec.cohort.store import CohortStore  # noqa: E402
from imuspec.datasets import ImageDataset  # noqa: E402
from imuspec.recording.inputs import find_sources  # noqa: E402

X = np.random.default_rng(3).standard_normal((20, 3, 300)).astype(np.float32)
LABELS = np.arange(20)
DRAW = partial(imuspec.rgb_image, nfft=64, noverlap=56, size=(24, 32))
RECIPE = imuspec.Recipe.load("ukb").set("segments.min_wear_h=0.1", "store.chunk_h=0.1")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> imuspec.Cohort:
    """Two recordings of 30 and 18 minutes."""
    root = tmp_path_factory.mktemp("images")
    (root / "in").mkdir()
    for name, message in {"a": {"hours": 0.5}, "b": {"hours": 0.3, "seed": 1}}.items():
        (root / "in" / f"{name}.cwa").write_text(json.dumps(message))
    store = CohortStore(root / "cohort")
    store.create(RECIPE)
    for source in find_sources([root / "in"]):
        store.write(source, stub_native.prepare_stub(source.path, RECIPE))
    store.close()
    return imuspec.Cohort(root / "cohort")


def test_a_batch_is_what_rgb_image_draws_with_its_labels() -> None:
    dataset = ImageDataset(X, LABELS, draw=DRAW)
    batch = dataset.__getitems__([5, 2, -1])
    assert torch.equal(batch.images, torch.from_numpy(DRAW(X[[5, 2, 19]])))
    assert batch.labels is not None
    assert batch.labels.tolist() == [5, 2, 19]
    image, label = dataset[2]
    assert torch.equal(image, batch.images[1])
    assert label.item() == 2


@pytest.mark.parametrize("collate", [None, ImageDataset.collate], ids=["default", "own"])
def test_a_loader_gives_the_same_with_its_own_collate_function_and_ours(collate: Any) -> None:
    loader = DataLoader(ImageDataset(X, LABELS, draw=DRAW), batch_size=8, collate_fn=collate)
    images, labels = zip(*loader, strict=True)
    assert torch.equal(torch.cat(images), torch.from_numpy(DRAW(X)))
    assert torch.cat(labels).tolist() == LABELS.tolist()
    (alone, *_) = DataLoader(ImageDataset(X, draw=DRAW), batch_size=8, collate_fn=collate)
    assert torch.equal(alone, images[0])


def test_a_batch_is_drawn_by_one_call_and_taken_without_a_copy() -> None:
    drawn: list[np.ndarray] = []

    def draw(x: np.ndarray, /, *, out: np.ndarray | None = None) -> np.ndarray:
        drawn.append(DRAW(x, out=out))
        return drawn[-1]

    loader = DataLoader(ImageDataset(X, draw=draw), batch_size=20, collate_fn=ImageDataset.collate)
    (images,) = loader
    assert len(drawn) == 1
    assert images.data_ptr() == drawn[0].ctypes.data


@pytest.mark.parametrize("start", sorted({"fork", "spawn"} & set(multiprocessing.get_all_start_methods())))
def test_workers_forked_after_the_parent_has_drawn_give_the_same_pictures(start: Any) -> None:
    dataset = ImageDataset(X, LABELS, draw=DRAW)
    want = dataset.__getitems__(range(20)).images  # the parent's pool has run
    loader = DataLoader(
        dataset, batch_size=5, num_workers=2, collate_fn=ImageDataset.collate, multiprocessing_context=start, timeout=60
    )
    images, _ = zip(*loader, strict=True)
    assert torch.equal(torch.cat(images), want)
    assert images[0].is_shared()


def test_a_batch_is_drawn_into_memory_that_is_there() -> None:
    dataset = ImageDataset(X, LABELS, draw=DRAW)
    out = torch.zeros(4, 3, 24, 32, dtype=torch.uint8)
    batch = dataset.draw_into([3, 1, 4, 1], out)
    assert batch.images is out
    assert torch.equal(out, dataset.__getitems__([3, 1, 4, 1]).images)
    with pytest.raises(ValueError, match="out: expected shape"):
        dataset.draw_into([3, 1], out)


def test_a_recording_on_disk_is_drawn_window_by_window(tmp_path: Path) -> None:
    recording = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=(3, 3000))
    recording[:] = np.random.default_rng(0).standard_normal((3, 3000))
    views = imuspec.windows(np.load(tmp_path / "x.npy", mmap_mode="r"), length=300, overlap=150)
    assert np.shares_memory(ImageDataset(views, draw=DRAW).windows(range(4)), views)
    batch = ImageDataset(views, draw=DRAW).__getitems__([0, 7])
    assert torch.equal(batch.images, torch.from_numpy(DRAW(np.array(views[[0, 7]]))))


def test_a_cohorts_wear_is_cut_into_windows_that_stay_in_their_segment(cohort: imuspec.Cohort) -> None:
    dataset = ImageDataset(cohort, draw=partial(DRAW, nan="mask"), window_s=10, overlap_s=5)
    rows = cohort.segments.to_pylist()
    inside = [(row["stop_index"] - row["start_index"] - 300) // 150 + 1 for row in rows]
    assert len(dataset) == sum(inside) > 100
    order = np.random.default_rng(0).permutation(len(dataset))[:40]
    taken = dataset.windows(order)
    for index, window in zip(order, taken, strict=True):
        name, start_s = dataset.location(index)
        np.testing.assert_array_equal(window, cohort.read(name, start_s, 10))
        first = round(start_s * 30)
        assert any(r["id"] == name and r["start_index"] <= first <= r["stop_index"] - 300 for r in rows)
    assert torch.equal(dataset.__getitems__(order).images, torch.from_numpy(DRAW(taken, nan="mask")))
    assert len(ImageDataset(cohort, window_s=10, ids=["b"])) < len(ImageDataset(cohort, window_s=10))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_forked_workers_read_a_cohort_that_the_parent_has_read(cohort: imuspec.Cohort) -> None:
    dataset = ImageDataset(cohort, draw=partial(DRAW, nan="mask"), window_s=10)
    want = dataset.__getitems__(range(32)).images
    loader = DataLoader(
        torch.utils.data.Subset(dataset, range(32)),
        batch_size=8,
        num_workers=2,
        collate_fn=ImageDataset.collate,
        multiprocessing_context="fork",
        timeout=60,
    )
    assert torch.equal(torch.cat(list(loader)), want)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": X[0]}, "source: expected windows"),
        ({"source": X, "labels": LABELS[:3]}, "labels: expected 20"),
        ({"source": X, "window_s": 10.0}, "window_s, overlap_s, ids: not allowed"),
    ],
)
def test_what_cannot_be_a_data_set_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageDataset(**arguments)


def test_a_cohort_needs_a_window_and_known_recordings(cohort: imuspec.Cohort) -> None:
    with pytest.raises(ValueError, match="window_s: expected the seconds"):
        ImageDataset(cohort)
    with pytest.raises(ValueError, match="0 <= overlap_s < window_s"):
        ImageDataset(cohort, window_s=5, overlap_s=5)
    with pytest.raises(KeyError, match="expected some of the cohort's 2"):
        ImageDataset(cohort, window_s=5, ids=["nobody"])
    with pytest.raises(ValueError, match="location: expected a data set over a cohort"):
        ImageDataset(X).location(0)
    with pytest.raises(IndexError, match="expected -20 to 19"):
        ImageDataset(X).__getitems__([20])

"""Batches that are read ahead: in their order, at most as many as the depth, with errors where they belong."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Iterator

import pytest
import torch

from imuspec.pretraining.prefetch import on_device, prefetch_depth, read_ahead


def test_batches_come_in_order_and_a_thread_reads_as_many_ahead_as_the_depth() -> None:
    taken: list[int] = []
    threads = set()

    def batches() -> Iterator[int]:
        for number in range(9):
            taken.append(number)
            threads.add(threading.get_ident())
            yield number

    ahead = read_ahead(batches(), lambda number: 10 * number, lambda _: 3)
    assert next(ahead) == 0
    ahead_of_first = []
    for expected in range(1, 6):
        assert next(ahead) == 10 * expected
        ahead_of_first.append(len(taken) - expected - 1)
    assert max(ahead_of_first) <= 3
    assert list(ahead) == [60, 70, 80]
    assert threads.isdisjoint({threading.get_ident()})


def test_a_batch_that_is_made_is_not_kept() -> None:
    alive: list[weakref.ref[torch.Tensor]] = []

    def batch() -> torch.Tensor:
        made = torch.zeros(3)
        alive.append(weakref.ref(made))
        return made

    ahead = read_ahead((batch() for _ in range(4)), len, lambda _: 2)
    assert [next(ahead), next(ahead)] == [3, 3]
    assert [reference() for reference in alive[:2]] == [None, None]
    ahead.close()


def test_an_error_of_the_thread_is_raised_at_its_batch() -> None:
    def batches() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    ahead = read_ahead(batches(), lambda number: number, lambda _: 4)
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="no more"):
        next(ahead)


def test_a_training_that_stops_leaves_no_thread() -> None:
    before = threading.active_count()
    ahead = read_ahead(itertools.count(), lambda number: number, lambda _: 2)
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    ahead.close()
    assert threading.active_count() == before


@pytest.mark.parametrize(("n_bytes", "free", "depth"), [(1, 10**12, 8), (10**9, 40 * 10**9, 2), (10**9, 10**9, 1)])
def test_the_depth_follows_the_memory(n_bytes: int, free: int, depth: int) -> None:
    assert prefetch_depth(n_bytes, free) == depth


def test_on_a_cpu_batches_are_passed_on() -> None:
    batch = (torch.arange(3), torch.zeros(2))
    assert next(on_device(iter([batch]), torch.device("cpu")))[0] is batch[0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_batches_are_the_same_and_on_the_device() -> None:
    batches = [(torch.randn(64, 3, 100), torch.arange(64)) for _ in range(20)]
    copied = [tuple(part.clone() for part in batch) for batch in on_device(iter(batches), torch.device("cuda", 0))]
    for mine, batch in zip(copied, batches, strict=True):
        assert all(part.is_cuda and torch.equal(part.cpu(), given) for part, given in zip(mine, batch, strict=True))

"""Batches that are read, pinned and copied to a GPU while the steps before them are computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor

__all__ = ["on_device", "prefetch_depth", "read_ahead"]

Stored = TypeVar("Stored")
Made = TypeVar("Made")

_SHARE = 0.05  # of the free memory of the GPU, for batches that wait
_DEEPEST = 8
_END = object()


def prefetch_depth(n_bytes: int, free: int) -> int:
    """Return how many batches to hold ready: 1 to 8, and at most 5 % of the free memory.

    Parameters
    ----------
    n_bytes : int
        Size of a batch.
    free : int
        Free memory of the GPU, bytes.
    """
    return max(1, min(_DEEPEST, int(_SHARE * free) // max(n_bytes, 1)))


def read_ahead(
    batches: Iterator[Stored], ready: Callable[[Stored], Made], depth: Callable[[Stored], int]
) -> Iterator[Made]:
    """Yield ``ready(batch)`` of each batch, computed by a thread ahead of its use.

    An error of the thread is raised where its batch would be yielded.

    Parameters
    ----------
    batches : iterator
        The batches, read by the thread alone.
    ready : callable
        What the thread does with a batch.
    depth : callable
        Number of batches to hold ready, from the first batch.
    """
    n = 0  # batches to hold ready; 0 before the first

    def take() -> Any:
        batch: Any = next(batches, _END)
        return _END if batch is _END else (ready(batch), n or depth(batch))  # without the batch, to free its memory

    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        waiting: deque[Future[Any]] = deque([pool.submit(take)])
        try:
            while (taken := waiting.popleft().result()) is not _END:
                made, n = taken
                del taken
                while len(waiting) < n:
                    waiting.append(pool.submit(take))
                yield made
        finally:
            pool.shutdown(cancel_futures=True)


def on_device(batches: Iterator[Any], device: torch.device) -> Iterator[Any]:
    """Yield batches on a device. To a GPU they are copied from pinned memory, on a stream of their own, ahead of their use.

    Parameters
    ----------
    batches : iterator of Tensor or tuple of Tensor
        Batches in memory, or on the device already.
    device : torch.device
        The device.
    """
    if device.type != "cuda":
        yield from (_each(batch, lambda tensor: tensor.to(device)) for batch in batches)
        return
    stream = torch.cuda.Stream(device)

    def copy(tensor: Tensor) -> Tensor:
        return tensor if tensor.is_cuda else tensor.pin_memory().to(device, non_blocking=True)

    def ready(batch: Any) -> tuple[Any, torch.cuda.Event]:
        with torch.cuda.device(device), torch.cuda.stream(stream):
            copied = _each(batch, copy)
            event = torch.cuda.Event()
            event.record(stream)
        return copied, event

    def depth(batch: Any) -> int:
        tensors = batch if isinstance(batch, tuple) else (batch,)
        return prefetch_depth(sum(tensor.nbytes for tensor in tensors), torch.cuda.mem_get_info(device)[0])

    def with_stream(source: Iterator[Any]) -> Iterator[Any]:
        while True:  # what a source computes on the GPU, such as a choice of pictures, is on the same stream
            with torch.cuda.device(device), torch.cuda.stream(stream):
                batch = next(source, _END)
            if batch is _END:
                return
            yield batch

    for batch, event in read_ahead(with_stream(batches), ready, depth):
        computing = torch.cuda.current_stream(device)
        computing.wait_event(event)
        for tensor in batch if isinstance(batch, tuple) else (batch,):
            tensor.record_stream(computing)
        yield batch


def _each(batch: Any, function: Callable[[Tensor], Any]) -> Any:
    return tuple(map(function, batch)) if isinstance(batch, tuple) else function(batch)

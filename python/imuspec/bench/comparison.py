"""Our kernels beside the installed peers on this machine: batches on one and on all threads, one window, memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, NamedTuple

from imuspec import _core
from imuspec.bench.peers import (
    Calls,
    image_calls,
    installed,
    magnitude_calls,
    same_decibels,
    same_features,
    same_picture,
    spectrogram_calls,
    windows,
)
from imuspec.bench.timing import interleaved, peak_memory

__all__ = ["Measurement", "compare"]

_N, _PATCHES = 256, 32
_SETTINGS = [(32, 16), (64, 60), (128, 116), (256, 254)]
_QUICK = [(128, 116)]


class Measurement(NamedTuple):
    """One contestant at one job; seconds of a batch, of a window by itself, and bytes.

    One thread is measured by its processor time, all of them by the wall.
    """

    job: str
    contestant: str
    one_thread_s: float
    all_threads_s: float
    window_s: float | None
    memory: int | None
    ratio: float
    """Time relative to imuspec on one thread: median over rounds in which they take turns."""


class _Job(NamedTuple):
    name: str
    calls: Callable[[int, int], Calls]
    """Of n windows on so many threads."""
    agree: Callable[[object, object], None]
    single: bool


def compare(*, quick: bool = False) -> Iterator[Measurement]:
    """Measure every job beside the peers that are installed, after comparing their results.

    Parameters
    ----------
    quick : bool, default False
        Whether to measure one setting in fewer rounds, which takes half a minute.

    Yields
    ------
    Measurement
        Ours first, then each peer's, job by job.

    Raises
    ------
    AssertionError
        If a peer's result differs from that of imuspec.
    """
    for job in _jobs(quick):
        yield from _measured(job, rounds=3 if quick else 7)


def _jobs(quick: bool) -> Iterator[_Job]:
    for nfft, noverlap in _QUICK if quick else _SETTINGS:
        yield _Job(
            f"spectrogram in dB, nfft {nfft}, noverlap {noverlap}: {_N} windows of 3 x 500",
            partial(_spectrograms, nfft, noverlap),
            same_decibels,
            True,
        )
    kinds: tuple[Literal["uint8", "float32"], ...] = ("uint8",) if quick else ("uint8", "float32")
    for dtype in kinds:
        yield _Job(
            f"pictures of 96 x 128, {dtype}, nfft 128, noverlap 116: {_N} windows of 3 x 500",
            partial(_pictures, dtype),
            same_picture,
            True,
        )
    patches = min(_PATCHES, 8) if quick else _PATCHES
    yield _Job(
        f"LMM features, nfft 32: {patches} x 300 patches of 3 x 300",
        lambda _, threads: magnitude_calls(windows(patches, 300, 3, 300), threads),
        same_features,
        False,
    )


def _spectrograms(nfft: int, noverlap: int, n: int, threads: int) -> Calls:
    return spectrogram_calls(windows(n, 3, 500), nfft, noverlap, threads)


def _pictures(dtype: Literal["uint8", "float32"], n: int, threads: int) -> Calls:
    return image_calls(windows(n, 3, 500), 128, 116, threads, dtype)


def _measured(job: _Job, *, rounds: int) -> list[Measurement]:
    n_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch = installed("torch")
    threads_of_torch = torch.get_num_threads() if torch else 0
    try:
        _core.set_threads(1)
        calls = job.calls(_N, 1)
        memory = {name: peak_memory(call) for name, call in calls.items()}
        # The thread's processor time, which counts no waiting for a core.
        one = interleaved(calls, rounds=rounds, agree=job.agree, clock=time.process_time)
        alone = interleaved(job.calls(1, 1), rounds=rounds, clock=time.process_time) if job.single else []
        _core.set_threads(n_threads)
        every = interleaved(job.calls(_N, n_threads), rounds=rounds)
    finally:
        _core.set_threads(0)
        if torch:
            torch.set_num_threads(threads_of_torch)
    whole = {timing.name: timing.median for timing in every}
    single = {timing.name: timing.median for timing in alone}
    return [
        Measurement(job.name, t.name, t.median, whole[t.name], single.get(t.name), memory[t.name], t.ratio) for t in one
    ]

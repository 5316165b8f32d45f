"""Timing beside the peers: calls in turn in one process, after their results were compared."""

from __future__ import annotations

import contextlib
import ctypes
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = ["Timing", "close_to_peak", "interleaved", "peak_memory", "table"]


class Timing(NamedTuple):
    """Seconds of a call of one contestant; `ratio` is the median over rounds of its time to the first contestant's."""

    name: str
    median: float
    least: float
    ratio: float
    least_ratio: float


def interleaved(
    calls: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 9,
    least_s: float = 0.01,
    agree: Callable[[object, object], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Timing]:
    """Time calls in turn.

    Each turn repeats a call until `least_s` seconds have passed, so that the clock resolves short calls. With
    `time.process_time` as the clock, one thread is measured by its processor time, which counts no waiting for a core. Other
    programs still change it through caches, memory and the processor's clock.

    Parameters
    ----------
    calls : mapping of str to callable
        Contestants; the first is imuspec.
    rounds : int, default 9
        Number of turns of each.
    least_s : float, default 0.01
        Least length of a turn, s.
    agree : callable, optional
        ``agree(result, reference)`` raises AssertionError where the first contestant's result differs from another's.
    clock : callable, default time.perf_counter
        Returns seconds.

    Returns
    -------
    list of Timing
        In the order of `calls`.
    """
    names = list(calls)
    first: dict[str, float] = {}
    results = {}
    for name in names:
        start = clock()
        results[name] = calls[name]()
        first[name] = clock() - start
    if agree is not None:
        for name in names[1:]:
            agree(results[names[0]], results[name])
    del results
    repeats = {
        name: 1 if first[name] > 20 * least_s else max(1, int(least_s / max(_turn(calls[name], 2, clock), 1e-7)))
        for name in names
    }
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            seconds[name].append(_turn(calls[name], repeats[name], clock))
    first_seconds = seconds[names[0]]
    return [
        Timing(
            name,
            statistics.median(took),
            min(took),
            statistics.median(t / o for t, o in zip(took, first_seconds, strict=True)),
            min(took) / min(first_seconds),
        )
        for name, took in seconds.items()
    ]


def _turn(call: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(repeats):
        call()
    return (clock() - start) / repeats


def close_to_peak(tolerance: float) -> Callable[[object, object], None]:
    """Return a check that two arrays agree within `tolerance` of the largest value."""

    def agree(result: object, reference: object) -> None:
        a, b = np.asarray(result), np.asarray(reference)
        if a.shape != b.shape:
            raise AssertionError(f"result: expected shape {b.shape}, got {a.shape}")
        worst = float(np.max(np.abs(a - b)))
        if not worst <= tolerance * float(np.max(np.abs(b))):
            raise AssertionError(f"result: expected the peer's within {tolerance} of the peak, got {worst}")

    return agree


def table(title: str, timings: list[Timing]) -> str:
    """Return timings as lines of text, in microseconds."""
    rows = [f"{title}", f"  {'':24}{'median us':>12}{'least us':>12}{'ratio':>8}{'least':>8}"]
    rows += [
        f"  {t.name:24}{t.median * 1e6:12.1f}{t.least * 1e6:12.1f}{t.ratio:8.2f}{t.least_ratio:8.2f}" for t in timings
    ]
    return "\n".join(rows)


def peak_memory(call: Callable[[], object]) -> int | None:
    """Return the most bytes by which resident memory grew during a call; None where the system does not say (not Linux)."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    try:
        _kilobytes(status, "VmRSS")  # an error where the system does not say
        _return_freed_memory()
        reset.write_text("5", "ascii")  # the high-water mark starts again
        before = _kilobytes(status, "VmRSS")
        result = call()
        peak = _kilobytes(status, "VmHWM")
    except OSError:
        return None
    del result
    return max(0, peak - before) * 1024


def _return_freed_memory() -> None:
    """Return memory that earlier calls freed, where the C library can: a call that reuses it would not grow."""
    with contextlib.suppress(AttributeError):  # musl
        ctypes.CDLL(None).malloc_trim(0)


def _kilobytes(status: Path, name: str) -> int:
    lines = status.read_text("ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

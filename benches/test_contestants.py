"""Each kernel and its peers under pytest-benchmark: ``pytest benches/test_contestants.py``, a table a job, imuspec among them.

For one job: ``-k pictures``; for a JSON file to compare with later: ``--benchmark-save=NAME``. The figures of RESULTS.md come
from ``interleaved_*.py``, whose contestants take turns; here each runs by itself, which is quicker to read and less even.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import scipy.signal

import imuspec
from imuspec import _core
from imuspec.bench.peers import (
    Calls,
    image_calls,
    magnitude_calls,
    same_decibels,
    same_features,
    same_picture,
    spectrogram_calls,
    windows,
)

HOUR = 3 * 360_000  # samples of an hour at 100 Hz, three axes


def same_samples(ours: Any, theirs: Any) -> None:
    """Within 1e-5 g."""
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def lowpass_calls() -> Calls:
    """An hour of 100 Hz, 15 Hz and eighth order, forwards and backwards."""
    x = windows(3, HOUR // 3)
    sections = scipy.signal.butter(8, 15, fs=100, output="sos")
    return {
        "imuspec": lambda: imuspec.lowpass(x, sample_rate=100, cutoff=15),
        "scipy.signal.sosfiltfilt": lambda: scipy.signal.sosfiltfilt(sections, x),
    }


JOBS: dict[str, tuple[Callable[[], Calls], Callable[[Any, Any], None]]] = {
    "lowpass, an hour of 100 Hz": (lowpass_calls, same_samples),
    "spectrograms in dB, 128/116, 256 x 3 x 500": (
        lambda: spectrogram_calls(windows(256, 3, 500), 128, 116, 1),
        same_decibels,
    ),
    "spectrogram in dB, 128/116, one window": (
        lambda: spectrogram_calls(windows(1, 3, 500), 128, 116, 1),
        same_decibels,
    ),
    "pictures uint8, 128/116, 256 x 3 x 500": (lambda: image_calls(windows(256, 3, 500), 128, 116, 1), same_picture),
    "picture uint8, 128/116, one window": (lambda: image_calls(windows(1, 3, 500), 128, 116, 1), same_picture),
    "LMM features, nfft 32, 8 x 300 x 3 x 300": (lambda: magnitude_calls(windows(8, 300, 3, 300), 1), same_features),
}
calls = cache(lambda job: JOBS[job][0]())


def contestants() -> Iterator[Any]:
    """Every job with each of its contestants that is installed."""
    for job in JOBS:
        for name in calls(job):
            yield pytest.param(job, name, id=f"{job}: {name}", marks=pytest.mark.benchmark(group=job))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Ours on one thread, as the peers'."""
    _core.set_threads(1)
    yield
    _core.set_threads(0)


@pytest.mark.parametrize(("job", "name"), list(contestants()))
def test_a_contestant(benchmark: Any, job: str, name: str) -> None:
    """Time one contestant, and compare its result with that of imuspec."""
    ours = np.array(calls(job)["imuspec"]())
    theirs = benchmark(calls(job)[name])
    JOBS[job][1](ours, theirs)

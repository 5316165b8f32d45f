"""Children that are forked while threads of their parent are inside kernels."""

from __future__ import annotations

import os
import signal
import threading
import warnings

import numpy as np
import pytest

import imuspec

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

N_FORKS = int(os.environ.get("IMUSPEC_TEST_FORKS", "40"))
X = (1 + 0.1 * np.random.default_rng(0).standard_normal((2, 3, 200))).astype(np.float32)


def work() -> list[np.ndarray]:
    """Results of kernels that keep working memory between calls, of one that keeps none, and of the pool."""
    return [
        imuspec.spectrogram(X, nperseg=32, noverlap=24)[2],
        imuspec.rgb_image(X, nfft=32, noverlap=24),
        imuspec.log_mean_magnitude(X, nfft=32),
        imuspec.lowpass(X, sample_rate=100, cutoff=15),
    ]


def test_a_child_forked_while_threads_are_inside_kernels_computes_as_its_parent() -> None:
    want, stop = work(), threading.Event()

    def keep_busy() -> None:
        while not stop.is_set():
            work()

    threads = [threading.Thread(target=keep_busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    outcomes = []
    try:
        for _ in range(N_FORKS):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
                child = os.fork()
            if child == 0:
                signal.alarm(60)  # ends a child that hangs, and so fails the test
                same = all(np.array_equal(a, b) for a, b in zip(work(), want, strict=True))
                os._exit(0 if same else 1)
            outcomes.append(os.waitpid(child, 0)[1])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert outcomes == [0] * N_FORKS

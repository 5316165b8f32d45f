"""Windows to pictures next to the usual stacks: `python benches/test_image.py [--threads N]`.

As a test (`pytest benches/test_image.py`) it holds each job to half of the ratio we aim for: a busy machine must not
fail it, a lost factor of two must.
"""

from __future__ import annotations

import argparse

import pytest

from imuspec import _core
from imuspec.bench.peers import image_calls, same_picture, windows
from imuspec.bench.timing import Timing, interleaved, table
from rows import clock

USUAL = [(64, 60), (128, 116), (256, 254)]


def measure(n: int, nfft: int, noverlap: int, dtype: str, *, threads: int, rounds: int) -> list[Timing]:
    """All contestants on n windows."""
    _core.set_threads(threads)
    try:
        calls = image_calls(windows(n, 3, 500), nfft, noverlap, threads, dtype)
        return interleaved(calls, rounds=rounds, agree=same_picture, clock=clock(threads))
    finally:
        _core.set_threads(0)


MUSTS = [(256, "uint8", (5, 12, 20)), (256, "float32", (10, 1, 20)), (1, "float32", (7, 16, 9))]


@pytest.mark.parametrize(("n", "dtype", "musts"), MUSTS)
@pytest.mark.parametrize(("nfft", "noverlap"), USUAL)
def test_pictures_are_no_less_than_half_as_fast_as_they_must_be(
    nfft: int, noverlap: int, n: int, dtype: str, musts: tuple[float, float, float]
) -> None:
    for library in ("pyfftw", "cv2", "PIL", "scipy", "torchvision"):
        pytest.importorskip(library)
    ratios = {t.name: t.least_ratio for t in measure(n, nfft, noverlap, dtype, threads=1, rounds=3)}
    for peer, must in zip(("pyfftw + cv2", "scipy + PIL", "torch + torchvision"), musts, strict=True):
        assert ratios[peer] >= must / 2, f"{peer}: {ratios}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for n, dtype, _ in MUSTS:
        for nfft, noverlap in USUAL:
            timings = measure(n, nfft, noverlap, dtype, threads=options.threads, rounds=options.rounds)
            print(table(f"{n} x {dtype} {nfft}/{noverlap}, {options.threads} threads", timings))

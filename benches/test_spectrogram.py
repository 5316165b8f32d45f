"""Spectrograms in dB next to FFTW, MKL, SciPy and torch: `python benches/test_spectrogram.py [--grid] [--one] [--threads N]`.

As a test (`pytest benches/test_spectrogram.py`) it holds the four usual settings to half of the ratios we aim for: a busy
machine must not fail it, a lost factor of two must.
"""

from __future__ import annotations

import argparse

import pytest

from imuspec import _core
from imuspec.bench.peers import same_decibels, spectrogram_calls, windows
from imuspec.bench.timing import Timing, interleaved, table
from rows import clock

USUAL = [(32, 16), (64, 60), (128, 116), (256, 254)]
GRID = [(nfft, nfft - hop) for nfft in (32, 64, 128, 256) for hop in (16, 8, 4, 2)]


def compare(shape: tuple[int, ...], nfft: int, noverlap: int, *, threads: int = 1, rounds: int = 7) -> list[Timing]:
    """One setting next to its peers."""
    _core.set_threads(threads)
    try:
        calls = spectrogram_calls(windows(*shape), nfft, noverlap, threads)
        return interleaved(calls, rounds=rounds, agree=same_decibels, clock=clock(threads))
    finally:
        _core.set_threads(0)


@pytest.mark.parametrize(("nfft", "noverlap"), USUAL)
def test_a_batch_of_spectrograms_is_several_times_as_fast_as_the_fastest_peer(nfft: int, noverlap: int) -> None:
    for library in ("pyfftw", "mkl_fft", "scipy", "torch"):
        pytest.importorskip(library)
    ours, _, *peers = compare((256, 3, 500), nfft, noverlap, rounds=5)
    assert min(peer.ratio for peer in peers) > (2.0 if nfft == 32 else 3.0), table(f"{nfft}/{noverlap}", [ours, *peers])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", action="store_true", help="all sixteen settings")
    parser.add_argument("--one", action="store_true", help="a single window instead of 256")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    shape = (3, 500) if arguments.one else (256, 3, 500)
    for nfft, noverlap in GRID if arguments.grid else USUAL:
        timings = compare(shape, nfft, noverlap, threads=arguments.threads, rounds=arguments.rounds)
        title = f"{list(shape)} {nfft}/{noverlap}, {_core.cpu_path()}, {arguments.threads} thread(s)"
        print(table(title, timings), flush=True)


if __name__ == "__main__":
    main()

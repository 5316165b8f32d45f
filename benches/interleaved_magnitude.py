"""LMM features of 256 recordings' patches, and the loss with its gradient."""

from __future__ import annotations

import test_magnitude
from rows import held, named, row, run


def magnitudes(rounds: int) -> None:
    """Features of 256 recordings' patches, and the loss with its gradient."""
    mkl, stft, hand = "mkl_fft in chunks", "torch.stft", "torch, gradient by hand"
    times = named(test_magnitude.measure("features", 256, threads=1, rounds=min(rounds, 3)))
    what = "LMM features, 256 x 300 x 3 x 300, nfft 32"
    row(what + ", t1", times["imuspec"], times[mkl], held(8, 12))
    row(what + ", t1", times["imuspec"], times[stft], held(30))
    row(what + ", t1", times["imuspec"], times["torch.stft in chunks"], "")
    times = named(test_magnitude.measure("features", 256, threads=2, rounds=min(rounds, 3)))
    row(what + ", t2", times["imuspec"], times[stft], held(40))
    for threads in (1, 2):
        times = named(test_magnitude.measure("loss", 8, threads=threads, rounds=rounds))
        what = f"LMM loss forward and backward, 8 x 300 x 3 x 300, t{threads}"
        row(what, times["imuspec"], times[hand], held(4) if threads == 1 else "")
        row(what, times["imuspec"], times[stft], held(10) if threads == 1 else "")


if __name__ == "__main__":
    run(magnitudes, __doc__)

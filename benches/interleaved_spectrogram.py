"""Spectrograms in dB: sixteen settings on one thread, four on two, and a single window.

t1 and t2 are one thread and two, of both sides; one thread is measured by its processor time, two by the wall.
"""

from __future__ import annotations

import test_spectrogram
from rows import held, named, row, run

USUAL = test_spectrogram.USUAL
FASTEST = ("pyfftw, measured plan", "mkl_fft", "torch.stft")


def spectrograms(rounds: int) -> None:
    """All sixteen settings on one thread, the four usual ones on two, and a single window."""
    for nfft, noverlap in test_spectrogram.GRID:
        times = named(test_spectrogram.compare((256, 3, 500), nfft, noverlap, rounds=rounds))
        ours, small = times["imuspec"], (nfft, noverlap) == (32, 16)
        fastest = min((times[name] for name in FASTEST), key=lambda t: t.ratio)
        what = f"spectrogram in dB, 256 x 3 x 500, {nfft}/{noverlap}, t1"
        row(what, ours, fastest, held(4 if small else 6, 8))
        row(what, ours, times["scipy.signal.spectrogram"], held(7 if small else 10))
        if fastest.name != "torch.stft":
            row(what, ours, times["torch.stft"], held(10))
        row(what + ", out reused", times["imuspec, out reused"], fastest)
    for nfft, noverlap in USUAL:
        times = named(test_spectrogram.compare((256, 3, 500), nfft, noverlap, threads=2, rounds=rounds))
        what = f"spectrogram in dB, 256 x 3 x 500, {nfft}/{noverlap}, t2"
        row(what, times["imuspec"], times["torch.stft"], held(5 if nfft == 32 else 10))
    for nfft, noverlap in USUAL:
        times = named(test_spectrogram.compare((3, 500), nfft, noverlap, rounds=rounds))
        what = f"spectrogram in dB, one window of 3 x 500, {nfft}/{noverlap}"
        for peer, must in (("pyfftw, measured plan", 4), ("scipy.signal.spectrogram", 12), ("torch.stft", 12)):
            row(what, times["imuspec"], times[peer], held(must))


if __name__ == "__main__":
    run(spectrograms, __doc__)

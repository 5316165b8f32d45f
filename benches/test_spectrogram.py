"""Spectrograms in dB next to FFTW, MKL, SciPy and torch: `python benches/test_spectrogram.py [--grid] [--one] [--threads N]`.

As a test (`pytest benches/test_spectrogram.py`) it holds the four usual settings to half of the ratios we aim for: a busy
machine must not fail it, a lost factor of two must.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import imuspec
from imuspec import _core
from interleaved import Timing, interleaved, table

USUAL = [(32, 16), (64, 60), (128, 116), (256, 254)]
GRID = [(nfft, nfft - hop) for nfft in (32, 64, 128, 256) for hop in (16, 8, 4, 2)]


def signals(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Gravity and noise."""
    x = np.random.default_rng(4).standard_normal(shape) * 0.1
    return (x + 1.0).astype(np.float32)


def decibel(power: NDArray[np.floating]) -> NDArray[np.floating]:
    """In place."""
    np.log10(power, out=power)
    power *= 10
    return power


def contestants(x: NDArray[np.float32], nfft: int, noverlap: int, threads: int) -> dict[str, Callable[[], object]]:
    """Ours first; what a careful user of each library would write. All give [..., frame, freq] or [..., freq, frame]."""
    hop = nfft - noverlap
    window = np.hanning(nfft + 1)[:-1]
    scaled = window * np.sqrt(2.0 / (window * window).sum())
    scaled32 = scaled.astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(x, nfft, axis=-1)[..., ::hop, :]
    out = np.empty((*x.shape[:-1], nfft // 2 + 1, frames.shape[-2]), np.float32)
    calls: dict[str, Callable[[], object]] = {
        "imuspec": lambda: imuspec.spectrogram(x, nperseg=nfft, noverlap=noverlap, db=True)[2],
        "imuspec, out reused": lambda: imuspec.spectrogram(x, nperseg=nfft, noverlap=noverlap, db=True, out=out)[2],
    }

    def by_hand(rfft: Callable[[NDArray[np.float32]], NDArray[np.complex64]]) -> NDArray[np.floating]:
        z = rfft(frames * scaled32)
        power = z.real**2 + z.imag**2
        power[..., 0] *= 0.5
        power[..., -1] *= 0.5
        return decibel(power)

    pyfftw = pytest.importorskip("pyfftw")
    source = pyfftw.empty_aligned(frames.shape, "float32")
    half = pyfftw.empty_aligned((*frames.shape[:-1], nfft // 2 + 1), "complex64")
    plan = pyfftw.FFTW(source, half, axes=(-1,), flags=("FFTW_MEASURE",), threads=threads)

    def planned() -> NDArray[np.floating]:
        np.multiply(frames, scaled32, out=source)
        plan.execute()
        power = half.real**2 + half.imag**2
        power[..., 0] *= 0.5
        power[..., -1] *= 0.5
        return decibel(power)

    calls["pyfftw, measured plan"] = planned
    mkl_fft = pytest.importorskip("mkl_fft")
    calls["mkl_fft"] = lambda: by_hand(mkl_fft.rfft)
    signal = pytest.importorskip("scipy.signal")
    calls["scipy.signal.spectrogram"] = lambda: decibel(
        signal.spectrogram(x, window="hann", nperseg=nfft, noverlap=noverlap, detrend=False)[2]
    )
    torch = pytest.importorskip("torch")
    torch.set_num_threads(threads)
    flat, torch_window = torch.from_numpy(x.reshape(-1, x.shape[-1])), torch.from_numpy(scaled32)

    def stft() -> object:
        z = torch.stft(flat, nfft, hop, window=torch_window, center=False, return_complex=True)
        power = z.real.square() + z.imag.square()
        power[:, 0] *= 0.5
        power[:, -1] *= 0.5
        return power.log10_().mul_(10)

    calls["torch.stft"] = stft
    return calls


def agree(ours: object, theirs: object) -> None:
    """Within 0.0026 dB on the cells within 60 dB of the peak."""
    a = np.asarray(ours)
    b = np.asarray(theirs).reshape(*a.shape[:-2], *np.asarray(theirs).shape[-2:])
    b = b if b.shape == a.shape else np.swapaxes(b, -1, -2)
    strong = b > b.max() - 60
    worst = float(np.abs(a - b)[strong].max())
    if not worst < 0.0026:
        raise AssertionError(f"result: expected the peer's within 0.0026 dB, got {worst}")


def compare(shape: tuple[int, ...], nfft: int, noverlap: int, *, threads: int = 1, rounds: int = 7) -> list[Timing]:
    """One setting next to its peers."""
    _core.set_threads(threads)
    try:
        return interleaved(contestants(signals(shape), nfft, noverlap, threads), rounds=rounds, agree=agree)
    finally:
        _core.set_threads(0)


@pytest.mark.parametrize(("nfft", "noverlap"), USUAL)
def test_a_batch_of_spectrograms_is_several_times_as_fast_as_the_fastest_peer(nfft: int, noverlap: int) -> None:
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

"""Spectrograms, pictures and LMM features beside their peers: every row that the project holds itself to.

Prints one JSON object a row. ``must`` in a note is the ratio that is asked for, ``aim`` the one hoped for; t1 and t2 are one
thread and two, of both sides. Ratios are medians over rounds in which ours and the peers take turns.

    python benches/interleaved_spectral.py [--part spectrogram|image|magnitude|scaling] [--rounds 7]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

import imuspec
import test_image
import test_magnitude
import test_spectrogram
from imuspec import _core
from imuspec.bench.peers import windows
from imuspec.bench.timing import Timing, interleaved

USUAL = test_spectrogram.USUAL
FASTEST = ("pyfftw, measured plan", "mkl_fft")


def row(what: str, ours: Timing, peer: Timing, note: str) -> None:
    """Print a row: the peer's time is ours times the median ratio of the rounds."""
    ratio = peer.ratio / ours.ratio
    print(
        json.dumps(
            {"what": what, "ours_s": ours.median, "peer": peer.name, "peer_s": ours.median * ratio, "note": note}
        ),
        flush=True,
    )


def held(must: float, aim: float | None = None) -> str:
    return f"must {must:g}x" + ("" if aim is None else f", aim {aim:g}x")


def named(timings: list[Timing]) -> dict[str, Timing]:
    return {timing.name: timing for timing in timings}


def spectrograms(rounds: int) -> None:
    """All sixteen settings on one thread, the four usual ones on two, and a single window."""
    for nfft, noverlap in test_spectrogram.GRID:
        times = named(test_spectrogram.compare((256, 3, 500), nfft, noverlap, rounds=rounds))
        ours, small = times["imuspec"], (nfft, noverlap) == (32, 16)
        fastest = min((times[name] for name in FASTEST), key=lambda t: t.ratio)
        what = f"spectrogram in dB, 256 x 3 x 500, {nfft}/{noverlap}, t1"
        row(what, ours, fastest, held(4 if small else 6, 8))
        row(what, ours, times["scipy.signal.spectrogram"], held(7 if small else 10))
        row(what, ours, times["torch.stft"], held(10))
        row(what + ", out reused", times["imuspec, out reused"], fastest, "")
    for nfft, noverlap in USUAL:
        times = named(test_spectrogram.compare((256, 3, 500), nfft, noverlap, threads=2, rounds=rounds))
        what = f"spectrogram in dB, 256 x 3 x 500, {nfft}/{noverlap}, t2"
        row(what, times["imuspec"], times["torch.stft"], held(5 if nfft == 32 else 10))
    for nfft, noverlap in USUAL:
        times = named(test_spectrogram.compare((3, 500), nfft, noverlap, rounds=rounds))
        what = f"spectrogram in dB, one window of 3 x 500, {nfft}/{noverlap}"
        for peer, must in (("pyfftw, measured plan", 4), ("scipy.signal.spectrogram", 12), ("torch.stft", 12)):
            row(what, times["imuspec"], times[peer], held(must))


def images(rounds: int) -> None:
    """Batches of uint8 and float32, a single picture, and what the canvas costs."""
    fftw, pillow, vision = "pyfftw + cv2", "scipy + PIL", "torch + torchvision"
    for nfft, noverlap in test_image.USUAL:
        setting = f"{nfft}/{noverlap}"
        times = named(test_image.measure(256, nfft, noverlap, "uint8", threads=1, rounds=rounds))
        what = f"256 pictures uint8, {setting}, t1"
        row(what, times["imuspec"], times[fftw], held(5, 8))
        row(what, times["imuspec"], times[pillow], held(12))
        row(what, times["imuspec"], times[vision], held(20))
        row(what + ", fresh output", times["imuspec, fresh"], times[fftw], "")
        row(
            f"256 pictures uint8, {setting}, t1, bilinear",
            times["imuspec"],
            times["imuspec, canvas"],
            "must 1.5x at most",
        )
        times = named(test_image.measure(256, nfft, noverlap, "float32", threads=1, rounds=rounds))
        what = f"256 pictures float32, {setting}, t1"
        row(what, times["imuspec"], times[fftw], held(10, 20))
        row(what, times["imuspec"], times[vision], held(20))
        row(what + ", fresh output", times["imuspec, fresh"], times[fftw], "")
        times = named(test_image.measure(256, nfft, noverlap, "float32", threads=2, rounds=rounds))
        row(f"256 pictures float32, {setting}, t2", times["imuspec"], times[vision], held(15))
        times = named(test_image.measure(1, nfft, noverlap, "float32", threads=1, rounds=rounds))
        what = f"one picture float32, {setting}"
        row(what, times["imuspec"], times[fftw], held(7, 12))
        row(what, times["imuspec"], times[vision], held(9))
        row(what, times["imuspec"], times[pillow], held(16))


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


def jobs(x: np.ndarray) -> dict[str, Callable[[], object]]:
    """Ours alone, output reused: what is compared with itself under other conditions."""
    calls: dict[str, Callable[[], object]] = {}
    for nfft, noverlap in USUAL:
        out = imuspec.spectrogram(x, nperseg=nfft, noverlap=noverlap, db=True)[2]
        calls[f"spectrogram in dB, {nfft}/{noverlap}"] = lambda n=nfft, o=noverlap, out=out: imuspec.spectrogram(
            x, nperseg=n, noverlap=o, db=True, out=out
        )
    for nfft, noverlap in test_image.USUAL:
        picture = np.empty((len(x), 3, 96, 128), np.uint8)
        calls[f"pictures uint8, {nfft}/{noverlap}"] = lambda n=nfft, o=noverlap, out=picture: imuspec.rgb_image(
            x, nfft=n, noverlap=o, levels="linear", resize="bilinear", out=out
        )
    return calls


def with_threads(n: int, call: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        _core.set_threads(n)
        return call()

    return run


@contextlib.contextmanager
def busy_core() -> Iterator[None]:
    """Another program takes one core's worth of time."""
    spin = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    time.sleep(0.5)
    try:
        yield
    finally:
        spin.kill()
        spin.wait()


def scaling(rounds: int) -> None:
    """Two threads against one, idle and with the other core busy; many windows; processors without AVX-512 or AVX2."""
    x = windows(256, 3, 500)
    for name, call in jobs(x).items():
        pair = {"imuspec t2": with_threads(2, call), "imuspec t1": with_threads(1, call)}
        two, one = interleaved(pair, rounds=rounds)
        row(f"{name}, 256 windows, t2", two, one, "" if "32/16" in name else "must 1.43x (70 % of the time)")
        with busy_core():
            two, one = interleaved(pair, rounds=rounds)
        row(f"{name}, 256 windows, t2, one core busy", two, one, "must not collapse")
    _core.set_threads(0)
    many_windows()
    floors(rounds)


def many_windows() -> None:
    """Pictures of 256 to 100,000 windows of one recording, 1,024 at a time: the time of one window."""
    recording = np.resize(windows(3, 500_000), (3, 2_500_500))
    out = np.empty((1024, 3, 96, 128), np.uint8)
    views = imuspec.windows(recording, length=500, overlap=475)

    def draw(n: int) -> float:
        start = time.perf_counter()
        for first in range(0, n, len(out)):
            part = views[first : min(n, first + len(out))]
            imuspec.rgb_image(part, nfft=128, noverlap=116, resize="bilinear", out=out[: len(part)])
        return (time.perf_counter() - start) / n

    _core.set_threads(1)
    draw(1024)
    base = statistics.median(draw(256) for _ in range(9))
    for n in (1_000, 10_000, 100_000):
        each = statistics.median(draw(n) for _ in range(3 if n < 100_000 else 1))
        told = {"what": f"pictures uint8, 128/116, {n} windows of one recording, t1, for one", "ours_s": each}
        print(json.dumps(told | {"peer": "imuspec, of 256 windows", "peer_s": base, "note": "linear: 1x"}), flush=True)
    _core.set_threads(0)


def floors(rounds: int) -> None:
    """The same kernels held to lesser instruction sets, in processes of their own, against the fastest peer of all."""
    for path in ("plain", "avx2"):
        environment = {**os.environ, "IMUSPEC_CPU": path}
        command = [sys.executable, __file__, "--part", "floor", "--rounds", str(rounds)]
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        print(done.stdout, end="", flush=True)


def floor(rounds: int) -> None:
    path = _core.cpu_path()
    for nfft, noverlap in USUAL:
        ours, _, *peers = test_spectrogram.compare((256, 3, 500), nfft, noverlap, rounds=rounds)
        peer = min(peers, key=lambda t: t.ratio)
        row(f"spectrogram in dB, {nfft}/{noverlap}, t1, {path} instructions only", ours, peer, held(2))
    for nfft, noverlap in test_image.USUAL:
        ours, _, _, *peers = test_image.measure(256, nfft, noverlap, "uint8", threads=1, rounds=min(rounds, 3))
        peer = min(peers, key=lambda t: t.ratio)
        row(f"256 pictures uint8, {nfft}/{noverlap}, t1, {path} instructions only", ours, peer, held(2))
    times = named(test_magnitude.measure("features", 16, threads=1, rounds=3))
    ours = times.pop("imuspec")
    del times["imuspec, out reused"]
    peer = min(times.values(), key=lambda t: t.ratio)
    row(f"LMM features, 16 x 300 x 3 x 300, t1, {path} instructions only", ours, peer, held(2))


PARTS = {"spectrogram": spectrograms, "image": images, "magnitude": magnitudes, "scaling": scaling, "floor": floor}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=list(PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args()
    print(f"instructions: {_core.cpu_path()}", file=sys.stderr)
    for name in [told.part] if told.part else [name for name in PARTS if name != "floor"]:
        PARTS[name](told.rounds)


if __name__ == "__main__":
    main()

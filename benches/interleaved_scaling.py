"""imuspec under other conditions: two threads, a busy core, many windows, and processors without AVX-512 or AVX2."""

from __future__ import annotations

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
from imuspec.bench.timing import interleaved
from rows import held, named, row, run

USUAL = test_spectrogram.USUAL


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
        start = time.process_time()
        for first in range(0, n, len(out)):
            part = views[first : min(n, first + len(out))]
            imuspec.rgb_image(part, nfft=128, noverlap=116, resize="bilinear", out=out[: len(part)])
        return (time.process_time() - start) / n

    _core.set_threads(1)
    draw(1024)
    base = statistics.median(draw(256) for _ in range(9))
    for n in (1_000, 10_000, 100_000):
        each = statistics.median(draw(n) for _ in range(3 if n < 100_000 else 1))
        row_of_size = {"what": f"pictures uint8, 128/116, {n} windows of one recording, t1, for one", "imuspec_s": each}
        print(
            json.dumps(row_of_size | {"peer": "imuspec, of 256 windows", "peer_s": base, "note": "linear: 1x"}),
            flush=True,
        )
    _core.set_threads(0)


def floors(rounds: int) -> None:
    """The same kernels held to lesser instruction sets, in processes of their own, against the fastest peer of all."""
    for path in ("plain", "avx2"):
        environment = {**os.environ, "IMUSPEC_CPU": path}
        command = [sys.executable, __file__, "--rounds", str(rounds)]
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


if __name__ == "__main__":
    run(floor if "IMUSPEC_CPU" in os.environ else scaling, __doc__)

"""Feeds damaged recordings to the readers for a given time: what `make fuzz` runs where cargo-fuzz cannot.

Seeds are recordings of every format that `imuspec.simulation` writes and, where they lie at hand, the reference ones;
formats take turns. A reader may give samples or raise RecordingError (or OSError) within a minute of
computing and 4 GiB; all else is
a bug, and the bytes that caused it are kept: also those that ended the process, since they are written before they are read.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from imuspec import RecordingError, read, simulation
from imuspec.simulation import simulate, wrist_motion

_MOST_BYTES = 400_000
_MOST_SECONDS, _MOST_MEMORY = 60, 4 << 30


def seeds(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """Format, name and bytes of small recordings, some of each format at hand."""
    for device, unpacked in (("ax3", False), ("ax3", True), ("ax6", False)):
        path = folder / f"{device}-{unpacked}.cwa"
        simulate(path, days=1 / 1440 * 8, seed=1, device=device, unpacked=unpacked)
        yield "cwa", path.name, path.read_bytes()[:_MOST_BYTES]
        yield "compressed", f"{path.name}.gz", gzip.compress(path.read_bytes()[:_MOST_BYTES])
    acceleration, clock, _ = wrist_motion(days=1 / 1440 * 4, seed=1, sample_rate=30)
    writers: list[tuple[str, str, Callable[..., object]]] = [
        ("geneactiv", "made.bin", simulation.write_geneactiv),
        ("geneactiv", "made.bin.gz", simulation.write_geneactiv),
        ("gt3x", "made.gt3x", simulation.write_gt3x),
        ("gt3x", "made-v1.gt3x", simulation.write_gt3x_v1),
        ("matrix", "made-matrix.bin", simulation.write_matrix),
        ("matrix", "made-matrix.bin.zip", simulation.write_matrix),
        ("text", "made.csv", simulation.write_csv),
        ("text", "made.csv.zip", simulation.write_csv),
        ("text", "made-omgui.csv", simulation.write_omgui_csv),
        ("text", "made-actilife.csv", simulation.write_actilife_csv),
        ("nhanes", "62161.tar.bz2", simulation.write_nhanes),
        ("parquet", "made.parquet", simulation.write_parquet),
        ("npz", "made.npz", simulation.write_npz),
    ]
    for kind, name, write in writers:
        write(folder / name, acceleration, clock)
        yield kind, name, (folder / name).read_bytes()
    recordings = Path(os.environ.get("IMUSPEC_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")) / "recordings"
    for path in sorted(recordings.glob("*")):
        if path.stat().st_size <= _MOST_BYTES + 10_000:
            yield read(path).format.replace("csv", "text"), path.name, path.read_bytes()


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """A copy with one to eight of: bits flipped, bytes set, a stretch zeroed, moved, repeated or cut off."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if len(out) < 2:
            break
        at, length = int(rng.integers(len(out))), int(rng.choice([1, 2, 4, 16, 512, 1024]))
        kind = int(rng.integers(6))
        if kind == 0:
            out[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            stop = min(len(out), at + length)
            out[at:stop] = rng.bytes(stop - at)
        elif kind == 2:
            stop = min(len(out), at + length)
            out[at:stop] = bytes([int(rng.choice([0, 255]))]) * (stop - at)
        elif kind == 3:
            other = int(rng.integers(len(out)))
            out[at:at] = out[other : other + length]
        elif kind == 4:
            del out[at : at + length]
        else:
            del out[at:]
    return bytes(out)


def trouble(path: Path) -> str:
    """What a reader did that it must not do; nothing when it behaved."""
    for timestamps in ("device", "actipy"):
        try:
            recording = read(path, timestamps)  # type: ignore[arg-type]
        except (RecordingError, OSError):
            continue
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return f"{timestamps}: {type(error).__name__}: {error}"
        if recording.acceleration.shape != (3, recording.time.size):
            return f"{timestamps}: {recording.acceleration.shape} samples for {recording.time.size} times"
        bounds = recording.runs.ravel()
        if bounds.size and (bounds[0] != 0 or bounds[-1] != recording.time.size or (np.diff(bounds) < 0).any()):
            return f"{timestamps}: runs that do not tile the samples"
    return ""


def main() -> int:
    """Mutates until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", type=Path, default=Path("fuzz/artifacts"))
    settings = parser.parse_args()
    rng = np.random.default_rng(settings.seed)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    settings.keep.mkdir(parents=True, exist_ok=True)
    tried, bad, end = Counter[str](), 0, time.monotonic() + settings.seconds
    with tempfile.TemporaryDirectory() as name:
        corpus: dict[str, list[tuple[str, bytes]]] = {}
        for kind, seed, data in seeds(Path(name)):
            corpus.setdefault(kind, []).append((seed, data))
    while time.monotonic() < end:
        kind = sorted(corpus)[tried.total() % len(corpus)]
        seed, data = corpus[kind][int(rng.integers(len(corpus[kind])))]
        mutant = mutate(data, rng)
        path = settings.keep / f"{hashlib.sha256(mutant).hexdigest()[:12]}-{seed}"
        path.write_bytes(mutant)
        signal.setitimer(signal.ITIMER_PROF, _MOST_SECONDS)  # nobody handles it: the process ends and the bytes stay
        result = trouble(path)
        signal.setitimer(signal.ITIMER_PROF, 0)
        tried[kind] += 1
        if result:
            bad += 1
            print(f"{path}: {result}", file=sys.stderr, flush=True)
        else:
            path.unlink()
        if tried.total() % 10_000 == 0:
            print(f"{tried.total()} tried", flush=True)
    counts = ", ".join(f"{kind} {n}" for kind, n in sorted(tried.items()))
    n_seeds = sum(map(len, corpus.values()))
    print(f"{tried.total()} damaged recordings from {n_seeds} seeds (seed {settings.seed}): {bad} bugs ({counts})")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

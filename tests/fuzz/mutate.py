"""Feeds damaged recordings to the readers for a given time: what `make fuzz` runs where cargo-fuzz cannot.

Seeds are the recordings that `imuspec.simulation` writes and, where they lie at hand, the reference ones. A reader may
give samples or raise RecordingError (or OSError); all else is a bug, and the bytes that caused it are kept.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from imuspec import RecordingError, read
from imuspec.simulation import simulate

_MOST_BYTES = 400_000


def seeds(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of small recordings, one of each kind at hand."""
    for device, unpacked in (("ax3", False), ("ax3", True), ("ax6", False)):
        path = folder / f"{device}-{unpacked}.cwa"
        simulate(path, days=1 / 1440 * 8, seed=1, device=device, unpacked=unpacked)
        yield path.name, path.read_bytes()[:_MOST_BYTES]
        yield f"{path.name}.gz", gzip.compress(path.read_bytes()[:_MOST_BYTES])
    given = Path(os.environ.get("IMUSPEC_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")) / "recordings"
    for path in sorted(given.glob("*")):
        if path.stat().st_size <= _MOST_BYTES:
            yield path.name, path.read_bytes()


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
    told = parser.parse_args()
    rng = np.random.default_rng(told.seed)
    n, bad, end = 0, 0, time.monotonic() + told.seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = list(seeds(folder))
        while time.monotonic() < end:
            kind, data = corpus[int(rng.integers(len(corpus)))]
            path = folder / f"mutant-{kind}"
            path.write_bytes(mutate(data, rng))
            found = trouble(path)
            n += 1
            if found:
                bad += 1
                told.keep.mkdir(parents=True, exist_ok=True)
                kept = told.keep / f"{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}-{kind}"
                kept.write_bytes(path.read_bytes())
                print(f"{kept}: {found}", file=sys.stderr)
            path.unlink()
    print(f"{n} damaged recordings from {len(corpus)} seeds (seed {told.seed}): {bad} bugs")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

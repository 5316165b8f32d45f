"""Feed damaged recordings, recipes and cohorts to the package for a given time, without coverage feedback.

`make fuzz` runs it over what only Python reads (Parquet, NPZ, recipes, cohorts), and over every format where cargo-fuzz is
not installed. Targets take turns. A reader may return data, or raise a named error, within a minute of computing and 4 GiB;
`verify` must see each change of a cohort. The inputs that broke something are kept below ``--keep``; an input lies there while
it is tried, so that one that ends the process stays.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import seeds

import flips
from imuspec import Cohort, Recipe, RecordingError, read
from imuspec.cohort.parts import sealed

_MOST_SECONDS, _MOST_MEMORY = 60, 4 << 30
_PYTHON = ("parquet", "npz", "recipe", "cohort")
# Values that JSON can hold and no file of a cohort should.
_HOSTILE = [None, True, -1, 2**63, 2**64, 1e308, -0.5, "", "../../x", "x\n", "nan", [], {}, [[]], [None], {"a": {}}]
_MEMORY = Path("/dev/shm")
Check = Callable[[Path], str]


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a copy with one to eight of: bits flipped, bytes set, a stretch zeroed, moved, repeated or cut off."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if len(out) < 2:
            break
        start, length = int(rng.integers(len(out))), int(rng.choice([1, 2, 4, 16, 512, 1024]))
        kind = int(rng.integers(6))
        if kind == 0:
            out[start] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            stop = min(len(out), start + length)
            out[start:stop] = rng.bytes(stop - start)
        elif kind == 2:
            stop = min(len(out), start + length)
            out[start:stop] = bytes([int(rng.choice([0, 255]))]) * (stop - start)
        elif kind == 3:
            other = int(rng.integers(len(out)))
            out[start:start] = out[other : other + length]
        elif kind == 4:
            del out[start : start + length]
        else:
            del out[start:]
    return bytes(out)


def _entries(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container of a JSON value with each of its keys."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _entries(inner)


def mutate_json(data: bytes, rng: np.random.Generator) -> bytes:
    """Return JSON with one to three values exchanged or removed; a sealed file is sealed again half of the time."""
    content = json.loads(data)
    for _ in range(int(rng.integers(1, 4))):
        entries = list(_entries(content))
        if not entries:
            break
        container, key = entries[int(rng.integers(len(entries)))]
        if rng.integers(4) == 0:
            del container[key]
        else:
            container[key] = _HOSTILE[int(rng.integers(len(_HOSTILE)))]
    if isinstance(content, dict) and "sealed" in content and rng.integers(2):
        with contextlib.suppress(ValueError):
            return sealed({name: value for name, value in content.items() if name != "sealed"})
    return json.dumps(content).encode()


def trouble_reading(path: Path) -> str:
    """Return what a reader did that it must not do; an empty string if it behaved."""
    for timestamps in ("device", "actipy"):
        try:
            recording = read(path, timestamps)  # type: ignore[arg-type]  # both are literals
        except (RecordingError, OSError):
            continue
        if recording.acceleration.shape != (3, recording.time.size):
            return f"{timestamps}: {recording.acceleration.shape} samples for {recording.time.size} times"
        bounds = recording.runs.ravel()
        if bounds.size and (bounds[0] != 0 or bounds[-1] != recording.time.size or (np.diff(bounds) < 0).any()):
            return f"{timestamps}: runs that do not tile the samples"
    return ""


def trouble_with_recipe(path: Path) -> str:
    """Return what is wrong with how a recipe is loaded: it is complete, or an error names the file or a field."""
    try:
        Recipe.load(path).to_json()
    except (ValueError, OSError) as error:
        return "" if str(error) else f"an error without a message: {error!r}"
    return ""


def trouble_with_cohort(root: Path) -> str:
    """Return what is wrong with how a cohort is read: each use gives data, or an error with a message."""

    def read_all(cohort: Cohort) -> None:
        for recording_id in cohort.ids:
            cohort.stretches(recording_id)
            cohort.read(recording_id, 0.0, 10.0)

    uses: list[Callable[[Cohort], object]] = [
        lambda cohort: cohort.status(),
        lambda cohort: [cohort.recordings, cohort.segments, cohort.nonwear, cohort.quality, cohort.inputs],
        lambda cohort: cohort.recipe,
        read_all,
    ]
    for use in uses:
        try:
            use(Cohort(root))
        except (ValueError, OSError, KeyError) as error:
            if isinstance(error, KeyError) and "expected" not in str(error):
                return f"an error that names nothing: {error!r}"
    return "" if flips.problems(root) else "verify reports nothing"


class Target:
    """Inputs of one kind, and what is tried with a changed one."""

    def __init__(self, name: str, inputs: list[tuple[str, bytes]], check: Check, cohort: Path | None = None) -> None:
        self.name, self.inputs, self.check = name, inputs, check
        self.cohort = cohort  # the cohort that the inputs are files of
        self.tried, self.seconds, self.n_findings = 0, 0.0, 0

    def run(self, rng: np.random.Generator, keep: Path) -> None:
        """Try one changed input."""
        name, data = self.inputs[int(rng.integers(len(self.inputs)))]
        change = mutate_json if name.endswith(".json") and rng.integers(2) else mutate
        mutant = change(data, rng)
        if mutant == data:
            return
        path = keep / f"{hashlib.sha256(mutant).hexdigest()[:12]}-{name.replace('/', '-')}"
        path.write_bytes(mutant)
        if self.cohort is not None:
            (self.cohort / name).write_bytes(mutant)
        started = time.monotonic()
        signal.setitimer(signal.ITIMER_PROF, _MOST_SECONDS)  # nobody handles it: the process ends and the bytes stay
        try:
            problem = self.check(self.cohort or path)
        except Exception as error:  # a defect is any error that is not one of the promised ones
            problem = f"{type(error).__name__}: {error}"
        signal.setitimer(signal.ITIMER_PROF, 0)
        self.seconds += time.monotonic() - started
        self.tried += 1
        if self.cohort is not None:
            (self.cohort / name).write_bytes(data)
        if problem:
            self.n_findings += 1
            print(f"{path}: {problem}", file=sys.stderr, flush=True)
            (keep / "found").mkdir(exist_ok=True)
            path.rename(keep / "found" / path.name)
        else:
            path.unlink()


def targets(folder: Path) -> list[Target]:
    """Return the targets, with a cohort that is made in `folder`."""
    kinds: dict[str, list[tuple[str, bytes]]] = {}
    for kind, name, data in seeds.recordings():
        kinds.setdefault(kind, []).append((name, data))
    for kind, name, data in seeds.inputs():
        if kind == "compressed":
            kinds.setdefault(kind, []).append((name, data[:-1]))
    made = [Target(kind, inputs, trouble_reading) for kind, inputs in kinds.items()]
    recipes = Path(sys.modules["imuspec"].__file__ or "").parent / "recipes"
    texts = [(path.name, path.read_bytes()) for path in sorted(recipes.glob("*.toml"))]
    cohort, _ = flips.make(folder)
    files = [(str(path.relative_to(cohort)), path.read_bytes()) for path in sorted(cohort.rglob("*")) if path.is_file()]
    return [*made, Target("recipe", texts, trouble_with_recipe), Target("cohort", files, trouble_with_cohort, cohort)]


def main() -> int:
    """Mutate until the time is over; exit code 1 if something was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", type=Path, help="folder of the inputs that broke something; default: one in memory")
    parser.add_argument("--python", action="store_true", help="only what Python reads: Parquet, NPZ, recipes, cohorts")
    settings = parser.parse_args()
    rng = np.random.default_rng(settings.seed)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None  # where there is none, on disk
    keep = settings.keep or Path(tempfile.mkdtemp(prefix="imuspec-fuzz-", dir=memory))
    keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mutate-", dir=memory) as name:
        made = [target for target in targets(Path(name)) if not settings.python or target.name in _PYTHON]
        end, turn = time.monotonic() + settings.seconds, 0
        while time.monotonic() < end:
            made[turn % len(made)].run(rng, keep)
            turn += 1
    print(f"seed {settings.seed}; inputs that broke something: {keep}")
    print("| target | executions | executions/s | findings |", "| --- | ---: | ---: | ---: |", sep="\n")
    for target in made:
        rate = target.tried / target.seconds if target.seconds else 0.0
        print(f"| {target.name} | {target.tried:,} | {rate:,.0f} | {target.n_findings} |")
    return 1 if any(target.n_findings for target in made) else 0


if __name__ == "__main__":
    sys.exit(main())

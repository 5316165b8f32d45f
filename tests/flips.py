"""Single bits of a cohort's and of results' files, changed one at a time: `verify` must see each.

``make flips`` flips 10,000: random bits of random bytes, the same number in each kind of file.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import stub_native
from cohort_work import Faulty
from imuspec import Cohort
from imuspec.cluster import compute
from imuspec.cohort.results import Results
from run_stub_cohort import RECIPE
from stub_files import write_stub


def make(folder: Path) -> tuple[Path, Path]:
    """Prepare a small cohort, with recordings that are ok, excluded and failed, and compute results from it."""
    source = write_stub(folder / "in", n=3)
    stub_native.prepare_stub_cohort([source], folder / "cohort", recipe=RECIPE, engine=stub_native.InlineEngine())
    compute(folder / "cohort", folder / "results", Faulty(), engine=stub_native.InlineEngine())
    return folder / "cohort", folder / "results"


def kind_of(path: Path, root: Path) -> str:
    """Return the kind of a file: its path below the root, with * for the id of a recording."""
    parts = list(path.relative_to(root).parts)
    if parts[0] in ("parts", "recordings") or (parts[0] == "acceleration" and len(parts) > 2):
        parts[1] = "*" + (Path(parts[1]).suffix if len(parts) == 2 else "")
    return f"{root.name}/{'/'.join(parts)}"


def problems(root: Path) -> list[tuple[str, str]]:
    """Return what `verify` reports; a cohort that does not open is a problem too, named by the error."""
    try:
        return (Results if root.name == "results" else Cohort)(root).verify()
    except ValueError as error:
        return [(str(root), str(error))]


def flip(roots: tuple[Path, ...], n: int, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """Flip `n` bits, one at a time; return the number of flips of each kind of file, and the flips that were not seen."""
    rng, files = random.Random(seed), dict[str, list[tuple[Path, Path]]]()
    for root in roots:
        for path in sorted(path for path in root.rglob("*") if path.is_file() and path.stat().st_size):
            files.setdefault(kind_of(path, root), []).append((root, path))
    counts, unseen = Counter[str](), []
    for number in range(n):
        kind = list(files)[number % len(files)]
        root, path = rng.choice(files[kind])
        content = path.read_bytes()
        position, bit = rng.randrange(len(content)), rng.randrange(8)
        changed = bytearray(content)
        changed[position] ^= 1 << bit
        path.write_bytes(changed)
        counts[kind] += 1
        if not problems(root):
            unseen.append(f"{path.relative_to(root)}: byte {position}, bit {bit}")
        path.write_bytes(content)
    return counts, unseen


def main() -> int:
    """Flip bits of a cohort that is made for it, and print the counts as JSON; exit code 1 if one was not seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flips-") as folder:
        roots = make(Path(folder))
        assert all(problems(root) == [] for root in roots)
        counts, unseen = flip(roots, arguments.flips, arguments.seed)
    print(json.dumps({"flips": sum(counts.values()), "kinds": counts, "unseen": unseen}, indent=2))
    return 1 if unseen else 0


if __name__ == "__main__":
    sys.exit(main())

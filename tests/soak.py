"""Many short recordings, some damaged, prepared while workers are killed at random: nothing lost, nothing twice.

``make soak`` runs it at full size: 2,000 recordings, every fiftieth with one of all the kinds of damage that
``imuspec simulate --damage`` knows. They are prepared twice: undisturbed, and with a worker killed after every few recordings
until all are done. Both cohorts must be whole and of the same bytes; the memory of every process must stay flat; and the
disturbed run may be slower by the killed work and 10 %.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from imuspec import Cohort
from imuspec.simulation import DAMAGE_KINDS, simulate

_SETTINGS = ("segments.min_wear_h=0.05", "calibration.required=false")
_EVERY = 50  # one in so many is damaged: 2 %


@dataclass
class Run:
    """What one run took, and what was seen of its processes."""

    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    cpu_s: float = 0.0
    kills: int = 0
    runs: int = 0
    memory: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def figures(self, kind: str) -> dict[str, float]:
        """Memory of the largest process of this kind: MB in thirds of the run, and how it grows in the two later ones.

        The first third is the start: libraries are loaded, and a Dask scheduler's logs of what it did last, a thousand
        entries each, fill. What comes after the last recording, the tables, has a figure of its own.
        """
        seen = self.memory.get(kind, [])
        last = max((done for _, done in seen), default=0)
        at_work = [(done, used / 1e6) for used, done in seen if done < last] or [(0, 0.0)]
        after = [used / 1e6 for used, done in seen if done >= last]
        n = max(1, len(at_work) // 3)
        thirds = (at_work[:n], at_work[n:-n] or at_work, at_work[-n:])
        done, mega = zip(*at_work[n:], strict=True) if len(at_work) > n + 2 else ((0, 1), (0.0, 0.0))
        slope = statistics.linear_regression(done, mega).slope * 1000
        largest = {f"third_{i}": round(max(m for _, m in part)) for i, part in enumerate(thirds, 1)}
        return {**largest, "mb_per_1000_recordings": round(slope, 1), "tables": round(max(after, default=0.0))}


def make(folder: Path, n: int, minutes: float, workers: int) -> None:
    """Simulate the recordings; damage takes its turn through all kinds."""
    folder.mkdir(parents=True)
    kinds = sorted(DAMAGE_KINDS)
    jobs = []
    for number in range(n):
        damage = (kinds[number // _EVERY % len(kinds)],) if number % _EVERY == 0 else ()
        ending = "cwa.gz" if "gzip_truncated" in damage else "cwa"
        jobs.append((folder / f"r{number:05}.{ending}", minutes / 1440, number, damage))
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(_simulate, jobs, chunksize=20))


def _simulate(job: tuple[Path, float, int, tuple[str, ...]]) -> None:
    path, days, seed, damage = job
    simulate(path, days=days, seed=seed, damage=damage)


def prepare(source: Path, out: Path, *, engine: str, workers: int, kill_every: int, seed: int) -> Run:
    """Prepare until all are done; kill a worker after every so many recordings, more or less, or none when that is 0."""
    run, rng, before = Run(), random.Random(seed), resource.getrusage(resource.RUSAGE_CHILDREN)
    while True:
        run.runs += 1
        command = [sys.executable, "-m", "imuspec.cli", "prepare", str(source), "--out", str(out), "--engine", engine]
        command += ["--workers", str(workers), "--resume", "--retry-failed"]
        for setting in _SETTINGS:
            command += ["--set", setting]
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
            _watch(process, run, rng, kill_every, out / "parts")
            if process.wait() != 0:
                output.seek(0)
                raise RuntimeError(f"the run ended with {process.returncode}: {output.read()[-2000:]}")
        outcomes = Cohort(out).outcomes.to_pylist()
        # Killed twice by chance: that is for the next round, as it is for a user.
        if not kill_every or not any("killed, twice" in row["reason"] or "died" in row["reason"] for row in outcomes):
            break
    run.seconds = time.monotonic() - run.started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    run.cpu_s = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return run


def _watch(process: subprocess.Popen[bytes], run: Run, rng: random.Random, kill_every: int, parts: Path) -> None:
    """Look at the memory of a run's processes each second, and kill one of its workers now and then."""
    parent, look = psutil.Process(process.pid), 0.0
    due = _done(parts) + kill_every * rng.uniform(0.5, 1.5)
    while process.poll() is None:
        done = _done(parts)
        if time.monotonic() > look:
            look = time.monotonic() + 1.0
            for kind, processes in (("coordinator", [parent]), ("worker", _workers(parent))):
                used = [_resident(each) for each in processes]
                if any(used):
                    run.memory.setdefault(kind, []).append((max(used), done))
        if kill_every and done > due and (workers := _workers(parent)):
            victim = rng.choice(workers)
            try:
                victim.send_signal(signal.SIGKILL)
                run.kills += 1
            except psutil.NoSuchProcess:
                pass
            due = done + kill_every * rng.uniform(0.5, 1.5)
        time.sleep(0.02)


def _done(parts: Path) -> int:
    """Return how many recordings are done."""
    return sum(1 for _ in parts.iterdir()) if parts.is_dir() else 0


def _workers(parent: psutil.Process) -> list[psutil.Process]:
    """Return the processes that a run started to work, not those that watch over others."""
    try:
        return [
            child for child in parent.children(recursive=True) if any("spawn_main" in word for word in child.cmdline())
        ]
    except psutil.Error:
        return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def tree(folder: Path) -> dict[str, str]:
    """Name and SHA-256 of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def faults(source: Path, plain: Path, disturbed: Path) -> list[str]:
    """Return a line for each recording that is lost, appears twice or differs."""
    problems = []
    for cohort in (plain, disturbed):
        problems += [f"{cohort.name}: {identity}: {problem}" for identity, problem in Cohort(cohort).verify()]
    expected = sorted(path.name.partition(".")[0] for path in source.glob("r*.cwa*"))
    for cohort in (plain, disturbed):
        ids = Counter(Cohort(cohort).outcomes["id"].to_pylist())
        problems += [f"{cohort.name}: {identity}: lost" for identity in expected if identity not in ids]
        problems += [f"{cohort.name}: {identity}: {count} times" for identity, count in ids.items() if count != 1]
    first, other = tree(plain), tree(disturbed)
    problems += [
        f"{name}: differs" for name in sorted(first.keys() | other.keys()) if first.get(name) != other.get(name)
    ]
    return problems


def start_up_s() -> float:
    """Median seconds that a worker takes from its start until it can begin: what a kill costs besides its work."""
    script = "import imuspec.cluster.preparing as preparing; preparing.load_ahead()"
    took = []
    for _ in range(3):
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
        took.append(time.monotonic() - started)
    return statistics.median(took)


def main() -> int:
    """Make the recordings, prepare them twice, compare, and print the figures as JSON; exit code 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--engine", choices=("local", "dask"), default="dask")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill-every", type=int, default=50, help="recordings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary one if not given")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        return _soak(folder, arguments)
    finally:
        if arguments.folder is None:
            shutil.rmtree(folder, ignore_errors=True)


def _soak(folder: Path, arguments: argparse.Namespace) -> int:
    source = folder / "in"
    if not source.exists():
        make(source, arguments.recordings, arguments.minutes, arguments.workers)
    options = {"engine": arguments.engine, "workers": arguments.workers, "seed": arguments.seed}
    shutil.rmtree(folder / "plain", ignore_errors=True)
    plain = prepare(source, folder / "plain", kill_every=0, **options)
    for _ in range(10):
        shutil.rmtree(folder / "disturbed", ignore_errors=True)
        disturbed = prepare(source, folder / "disturbed", kill_every=arguments.kill_every, **options)
        if disturbed.kills >= 2:  # a run may end before anybody looked
            break
    wrong = faults(source, folder / "plain", folder / "disturbed")
    counts = Counter(Cohort(folder / "disturbed").outcomes["status"].to_pylist())
    each = plain.seconds * arguments.workers / arguments.recordings
    # A killed worker loses half a file on average, and its successor's start.
    killed_work = disturbed.kills * (each / 2 + start_up_s()) / arguments.workers
    slower = (disturbed.seconds - killed_work) / plain.seconds
    memory = {
        f"{name} {kind}": run.figures(kind)
        for name, run in (("plain", plain), ("disturbed", disturbed))
        for kind in run.memory
    }
    figures = {
        "engine": arguments.engine,
        "workers": arguments.workers,
        "recordings": arguments.recordings,
        "outcomes": dict(counts),
        "plain_s": round(plain.seconds, 1),
        "plain_cpu_s": round(plain.cpu_s, 1),
        "files_per_s": round(arguments.recordings / plain.seconds, 2),
        "disturbed_s": round(disturbed.seconds, 1),
        "disturbed_cpu_s": round(disturbed.cpu_s, 1),
        "kills": disturbed.kills,
        "runs": disturbed.runs,
        "killed_work_s": round(killed_work, 1),
        "time_less_killed_work_to_plain": round(slower, 3),
        "memory_mb": memory,
        "faults": wrong[:20],
    }
    print(json.dumps(figures, indent=2))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Compare two versions of imuspec in one interleaved run, and say which jobs changed beyond noise.

Each version runs in a process of its own that stays open. The jobs alternate between the two, first one and then the other
going first. A job on one thread is timed by its processor time. The ratio is the median over the rounds of new / old; its
interval is a bootstrap over the rounds. A job has changed when the whole interval lies beyond ``--noise``.

    python benches/regress.py OLD NEW [--rounds 15] [--noise 0.02] [--jobs REGEX] [--days 2]

OLD and NEW are commits, which are built in release mode in a temporary folder, or folders that hold a built ``imuspec``.
Exit code 1 says that a job became slower.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

Job = Callable[[], object]


def kernel_jobs() -> dict[str, Job]:
    """Batch kernels on arrays that a user would pass."""
    import numpy as np

    import imuspec

    generator = np.random.default_rng(0)
    windows = generator.standard_normal((256, 3, 500), dtype=np.float32)
    pictures = np.empty((256, 3, 96, 128), np.float32)
    day = generator.standard_normal((3, 8_640_000 // 4), dtype=np.float32)
    minutes = generator.standard_normal((64, 3, 9000), dtype=np.float32)

    def spectrogram(nperseg: int, noverlap: int) -> Job:
        return lambda: imuspec.spectrogram(windows, nperseg=nperseg, noverlap=noverlap)

    def picture(nfft: int, noverlap: int, x: Any = windows, **settings: Any) -> Job:
        return lambda: imuspec.rgb_image(x, nfft=nfft, noverlap=noverlap, **settings)

    return {
        "spectrogram 64/60": spectrogram(64, 60),
        "spectrogram 128/120": spectrogram(128, 120),
        "spectrogram 256/252": spectrogram(256, 252),
        "pictures uint8 128/116": picture(128, 116),
        "pictures uint8 64/60": picture(64, 60),
        "pictures float32 into out": picture(128, 116, out=pictures),
        "one picture 128/116": picture(128, 116, windows[0]),
        "pictures, android preset": lambda: imuspec.rgb_image(windows, preset="android"),
        "LMM features nfft 32": lambda: imuspec.log_mean_magnitude(minutes),
        "low-pass 15 Hz of 6 h": lambda: imuspec.lowpass(day, sample_rate=100, cutoff=15),
        "resample 6 h to 30 Hz": lambda: imuspec.resample(day, sample_rate=100, to=30),
    }


def recording_jobs(folder: Path) -> dict[str, Job]:
    """Whole files: read, stream, prepare."""
    import imuspec
    from imuspec import _core

    cwa, table, packed = (str(folder / name) for name in ("wrist.cwa", "wrist.csv", "wrist.cwa.gz"))
    recipe = imuspec.Recipe.load("capture24")
    return {
        "read a .cwa": lambda: len(imuspec.read(cwa)),
        "stream a .cwa": lambda: _core.stream_length(cwa, "device"),
        "prepare a .cwa": lambda: imuspec.prepare(cwa, recipe).summary,
        "read a .csv": lambda: len(imuspec.read(table)),
        "prepare a .cwa.gz": lambda: imuspec.prepare(packed, recipe).summary,
    }


def store_jobs(folder: Path) -> dict[str, Job]:
    """Quantise, compress and write a prepared recording; read a day of it back."""
    import imuspec
    from imuspec.cohort.store import CohortStore
    from imuspec.recording.inputs import find_sources

    cwa = str(folder / "wrist.cwa")
    prepared = imuspec.prepare(cwa, imuspec.Recipe.load("capture24"))
    (source,) = find_sources([cwa])
    scratch = Path(tempfile.mkdtemp(prefix="store-", dir=folder))

    def store(out: Path) -> None:
        writer = CohortStore(out)
        writer.create(prepared.recipe)
        writer.write(source, prepared)
        writer.close()

    def store_anew() -> None:
        store(scratch / "again")
        shutil.rmtree(scratch / "again")

    store(scratch / "kept")
    cohort = imuspec.Cohort(scratch / "kept")
    return {
        "store a prepared recording": store_anew,
        "read 18 h of a cohort": lambda: cohort.read(source.id, 3600.0, 64800.0),
    }


def loss_job() -> Job | None:
    """LMM loss, forward and backward, where torch is installed."""
    try:
        import torch
    except ImportError:
        return None
    from imuspec.nn import LMMLoss

    torch.set_num_threads(1)
    torch.manual_seed(0)
    target = torch.randn(64, 3, 1500)
    guess = torch.randn(64, 3, 1500, requires_grad=True)
    loss = LMMLoss()

    def step() -> None:
        guess.grad = None
        loss(guess, target).backward()

    return step


def serve(folder: Path) -> None:
    """Run the jobs whose names come on standard input, and answer with the seconds that each call took."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    jobs: dict[str, Job] = {}
    makers = (
        kernel_jobs,
        lambda: recording_jobs(folder),
        lambda: store_jobs(folder),
        lambda: {"LMM loss forward + backward": loss_job()},
    )
    for make in makers:
        try:
            jobs |= {name: job for name, job in make().items() if job is not None}
        except (ImportError, AttributeError) as error:
            print(f"left out: {error}", file=sys.stderr)
    print(json.dumps(list(jobs)), file=answers, flush=True)
    for line in sys.stdin:
        name, calls = json.loads(line)
        try:
            start = time.process_time()
            for _ in range(calls):
                jobs[name]()
            answer: float | str = (time.process_time() - start) / calls
        except Exception as error:  # one job that an older version does not know must not end the others
            answer = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), file=answers, flush=True)


class Version:
    """One version of imuspec in a process of its own."""

    def __init__(self, package: Path, folder: Path) -> None:
        env = {**os.environ, "PYTHONPATH": str(package), "IMUSPEC_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )
        self.jobs: list[str] = self._answer()

    def time(self, job: str, calls: int) -> float | str:
        """Seconds of processor time a call, or the error."""
        stdin: IO[str] | None = self.process.stdin
        assert stdin is not None
        print(json.dumps([job, calls]), file=stdin, flush=True)
        answer: float | str = self._answer()
        return answer

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit("a version of imuspec ended before it answered: see its messages above")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def package_of(version: str, folder: Path) -> Path:
    """The folder to put on PYTHONPATH: that of a built checkout, or of a commit that is built here."""
    if Path(version).is_dir():
        return next(p for p in (Path(version) / "python", Path(version)) if (p / "imuspec").is_dir()).resolve()
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", folder, version], check=True)
    env = {**os.environ, "PYO3_PYTHON": sys.executable}
    subprocess.run(
        ["cargo", "build", "--quiet", "--release", "--features", "python", "--lib"], cwd=folder, env=env, check=True
    )
    shutil.copy(folder / "target/release/libimuspec.so", folder / "python/imuspec/_core.abi3.so")
    return folder / "python"


def write_recordings(package: Path, folder: Path, days: float) -> None:
    """Simulate the files that the jobs read: one recording as .cwa, .cwa.gz and .csv."""
    script = (
        "import gzip, shutil, sys, imuspec, numpy as np\n"
        "folder = sys.argv[1]\n"
        "with open(f'{folder}/wrist.cwa', 'rb') as source, gzip.open(f'{folder}/wrist.cwa.gz', 'wb', 1) as packed:\n"
        "    shutil.copyfileobj(source, packed)\n"
        "r = imuspec.read(f'{folder}/wrist.cwa'); n = min(len(r), 2_000_000)\n"
        "time = np.arange(n) * 10_000_000 + 1_700_000_000_000_000_000\n"
        "with open(f'{folder}/wrist.csv', 'w') as table:\n"
        "    table.write('time,x,y,z\\n')\n"
        "    stamps = np.datetime_as_string(time.astype('M8[ns]'), unit='ms')\n"
        "    for stamp, (x, y, z) in zip(stamps, np.asarray(r.acceleration).T[:n]):\n"
        "        table.write(f'{stamp},{x:.6f},{y:.6f},{z:.6f}\\n')\n"
    )
    env = {**os.environ, "PYTHONPATH": str(package)}
    out = str(folder / "wrist.cwa")
    subprocess.run(
        [sys.executable, "-m", "imuspec.cli", "simulate", out, "--days", str(days), "--seed", "0"], env=env, check=True
    )
    subprocess.run([sys.executable, "-c", script, folder], env=env, check=True)


def interval(ratios: list[float], draws: int = 2000) -> tuple[float, float]:
    """95 % bootstrap interval of the median ratio."""
    generator = random.Random(0)
    medians = sorted(statistics.median(generator.choices(ratios, k=len(ratios))) for _ in range(draws))
    return medians[int(0.025 * draws)], medians[int(0.975 * draws)]


def compare(old: Version, new: Version, job: str, rounds: int, noise: float) -> bool:
    """Time one job in turn, print its row, and say whether it became slower."""
    first = [version.time(job, 1) for version in (old, new)]  # also warms up
    for answer, name in zip(first, ("old", "new"), strict=True):
        if isinstance(answer, str):
            print(f"{job:32} {name} version: {answer}")
            return False
    calls = max(1, int(0.05 / max(1e-6, *(float(t) for t in first))))
    times: dict[Version, list[float]] = {old: [], new: []}
    for i in range(rounds):
        for version in (old, new) if i % 2 else (new, old):
            times[version].append(float(version.time(job, calls)))
    ratios = [b / a for a, b in zip(times[old], times[new], strict=True)]
    low, high = interval(ratios)
    verdict = "slower" if low > 1 + noise else "faster" if high < 1 - noise else "same"
    before, after = (statistics.median(times[version]) * 1e3 for version in (old, new))
    least = min(times[new]) / min(times[old])
    print(
        f"{job:32} {before:10.3f} {after:10.3f} ms  {statistics.median(ratios):.3f} [{low:.3f}, {high:.3f}]"
        f"  least {least:.3f}  {verdict}",
        flush=True,
    )
    return verdict == "slower"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", metavar="OLD")
    parser.add_argument("new", metavar="NEW")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--noise", type=float, default=0.02)
    parser.add_argument("--jobs", default="")
    parser.add_argument("--days", type=float, default=2)
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imuspec-regress-") as scratch:
        folder = Path(scratch)
        packages = [
            package_of(version, folder / name) for version, name in ((settings.old, "old"), (settings.new, "new"))
        ]
        try:
            write_recordings(packages[1], folder, settings.days)
            old, new = (Version(package, folder) for package in packages)
            both = [job for job in new.jobs if job in old.jobs and re.search(settings.jobs, job)]
            print(f"{'job':32} {'old':>10} {'new':>10}     new / old, 95 % interval of {settings.rounds} rounds")
            slower = [job for job in both if compare(old, new, job, settings.rounds, settings.noise)]
            old.close()
            new.close()
        finally:
            for name in ("old", "new"):
                if (folder / name).is_dir():
                    subprocess.run(["git", "worktree", "remove", "--force", folder / name], check=False)
    return 1 if slower else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(Path(sys.argv[2]))
    else:
        sys.exit(main())

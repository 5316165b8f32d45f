"""A week of 100 Hz from device file to arrays and to calibrated wear, beside its peers.

Every call is a process of its own, on one thread where the row does not say two, in turn with the others; imports are not
counted, the file is in the page cache. Peak memory is that of the process (and of the Java child, for actipy). Some rows
compare imuspec with itself: a .gz with what inflating it takes alone, two threads with one, and four recordings by two
processes with the same by one. Prints one JSON object a row.

    python benches/interleaved_recording.py [--days 7] [--rounds 3] [--file WEEK.cwa]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path


def imuspec_prepare(path: str) -> Callable[[], object]:
    import imuspec

    recipe = imuspec.Recipe.load("ukb")
    return lambda: imuspec.prepare(path, recipe).summary


def imuspec_read(path: str) -> Callable[[], object]:
    import imuspec

    return lambda: len(imuspec.read(path))


def imuspec_stream(path: str) -> Callable[[], object]:
    from imuspec import _core

    return lambda: _core.stream_length(path, "device")


def imuspec_prepare_gz(path: str) -> Callable[[], object]:
    return imuspec_prepare(f"{path}.gz")


def imuspec_prepare_on_two(path: str) -> Callable[[], object]:
    return imuspec_prepare(path)


def imuspec_prepare_gz_on_two(path: str) -> Callable[[], object]:
    return imuspec_prepare_gz(path)


def imuspec_stream_gz(path: str) -> Callable[[], object]:
    return imuspec_stream(f"{path}.gz")


def zlib_inflate(path: str) -> Callable[[], object]:
    def call() -> object:
        inflate, n = zlib.decompressobj(wbits=31), 0
        with Path(f"{path}.gz").open("rb") as file:
            while piece := file.read(1 << 18):
                n += len(inflate.decompress(piece))
        return n

    return call


def imuspec_one_worker(path: str) -> Callable[[], object]:
    return _cohort(path, 1)


def imuspec_two_workers(path: str) -> Callable[[], object]:
    return _cohort(path, 2)


def _cohort(path: str, workers: int) -> Callable[[], object]:
    from imuspec.cluster import prepare_cohort

    def call() -> object:
        with tempfile.TemporaryDirectory(dir=Path(path).parent) as folder:
            weeks = [Path(folder) / f"week{i}.cwa" for i in range(4)]
            for week in weeks:
                os.link(path, week)
            return prepare_cohort(weeks, Path(folder) / "cohort", workers=workers).count("ok")

    return call


def actipy_device(path: str) -> Callable[[], object]:
    import actipy

    def call() -> object:
        _, info = actipy.read_device(
            path, lowpass_hz=15, calibrate_gravity=True, detect_nonwear=True, resample_hz=30, verbose=False
        )
        return info["CalibOK"]

    return call


def actipy_read(path: str) -> Callable[[], object]:
    import actipy

    return lambda: actipy.read_device(
        path, lowpass_hz=None, calibrate_gravity=False, detect_nonwear=False, resample_hz=None, verbose=False
    )[1]["NumTicks"]


def skdh_read(path: str) -> Callable[[], object]:
    from skdh.io import ReadCwa

    return lambda: len(ReadCwa().predict(file=path)["time"])


def cwa_reader_rs_read(path: str) -> Callable[[], object]:
    import cwa_reader_rs

    return lambda: cwa_reader_rs.read_cwa_file(path) is not None


def actfast_read(path: str) -> Callable[[], object]:
    import actfast

    return lambda: len(actfast.read(path)["timeseries"]["high_frequency"]["datetime"])


CALLS = [imuspec_prepare, actipy_device, imuspec_read, imuspec_stream, actipy_read, skdh_read, cwa_reader_rs_read]
CALLS += [actfast_read, imuspec_prepare_gz, imuspec_stream_gz, zlib_inflate, imuspec_two_workers, imuspec_one_worker]
CALLS += [imuspec_prepare_on_two, imuspec_prepare_gz_on_two]
ROWS = [
    ("a week to calibrated 30 Hz wear", "imuspec_prepare", "actipy_device"),
    ("a week to arrays", "imuspec_read", "actipy_read"),
    ("a week to arrays", "imuspec_read", "skdh_read"),
    ("a week to arrays", "imuspec_read", "cwa_reader_rs_read"),
    ("a week to arrays", "imuspec_read", "actfast_read"),
    ("a week as a stream of chunks", "imuspec_stream", "actipy_read"),
    ("a week in .gz to calibrated 30 Hz wear", "imuspec_prepare_gz", "zlib_inflate"),
    ("a week in .gz as a stream of chunks", "imuspec_stream_gz", "zlib_inflate"),
    ("a week to calibrated 30 Hz wear, two threads", "imuspec_prepare_on_two", "imuspec_prepare"),
    ("a week in .gz to calibrated 30 Hz wear, two threads", "imuspec_prepare_gz_on_two", "imuspec_prepare_gz"),
    ("four weeks to a cohort, --workers 2", "imuspec_two_workers", "imuspec_one_worker"),
]


def once(name: str, path: str) -> None:
    call = {f.__name__: f for f in CALLS}[name](path)
    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1e6
    print(json.dumps({"seconds": seconds, "peak_gb": peak, "result": str(result)}))


def run(name: str, path: str) -> dict[str, float]:
    threads = "2" if name.endswith("_on_two") else "1"
    environment = {**os.environ, "IMUSPEC_THREADS": threads, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", __file__, "--once", name, "--file", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-300:]}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def compare(path: str, rounds: int) -> None:
    took: dict[str, list[dict[str, float]]] = {}
    for round_ in range(rounds):
        for call in CALLS:
            try:
                measured = run(call.__name__, path)
            except RuntimeError as error:
                if round_ == 0:
                    print(f"left out: {error}", file=sys.stderr)
                continue
            took.setdefault(call.__name__, []).append(measured)
            print(f"{call.__name__} {measured['seconds']:.2f} s, {measured['peak_gb']:.2f} GB", file=sys.stderr)
    for what, ours, peer in ROWS:
        if peer in took:
            a, b = ([t["seconds"] for t in took[name]] for name in (ours, peer))
            memory = max(t["peak_gb"] for t in took[ours]), max(t["peak_gb"] for t in took[peer])
            note = f"least against least {min(b) / min(a):.1f}; peak {memory[0]:.2f} against {memory[1]:.2f} GB"
            row = {"what": what, "imuspec_s": statistics.median(a), "peer": peer, "peer_s": statistics.median(b)}
            print(json.dumps({**row, "note": note}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=7)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--file")
    parser.add_argument("--once", help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.once:
        once(settings.once, settings.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = settings.file or str(Path(folder) / "week.cwa")
        if not settings.file:
            from imuspec.simulation import simulate

            simulate(path, days=settings.days, seed=0, miscalibration=True)
        if not Path(f"{path}.gz").exists():
            with Path(path).open("rb") as plain, gzip.open(f"{path}.gz", "wb", compresslevel=6) as packed:
                shutil.copyfileobj(plain, packed, 1 << 20)
        compare(path, settings.rounds)


if __name__ == "__main__":
    main()

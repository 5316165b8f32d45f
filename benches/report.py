"""Runs the benches and tells ours from the peer's: a table on the screen, or RESULTS.md with ``--write``.

Two kinds of bench give rows. ``benches/test_*.py`` are pytest-benchmark's: a test named ``test_X_ours`` and one or more
``test_X_PEER`` in one file make a row each. ``benches/interleaved*.py`` print rows themselves, one JSON object a line
with ``what``, ``ours_s``, ``peer``, ``peer_s`` and, where they have one, ``note``; they run ours and the peer in turns.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

_HERE = Path(__file__).parent
_PACKAGES = [
    "imuspec",
    "numpy",
    "scipy",
    "torch",
    "torchvision",
    "pyfftw",
    "mkl_fft",
    "opencv-python-headless",
    "pillow",
]
_PACKAGES += ["actipy", "scikit-digital-health", "cwa-reader-rs"]


class Row(NamedTuple):
    """One comparison; seconds."""

    what: str
    ours_s: float
    peer: str
    peer_s: float
    note: str = ""


def interleaved(script: Path) -> list[Row]:
    """Rows that a script prints as JSON lines; its other lines are for people."""
    done = subprocess.run([sys.executable, str(script)], check=True, stdout=subprocess.PIPE, text=True)
    return interleaved_rows(done.stdout)


def interleaved_rows(text: str) -> list[Row]:
    """Rows among the lines of a script's output."""
    found = []
    for line in text.splitlines():
        if line.startswith("{"):
            told = json.loads(line)
            found.append(Row(told["what"], told["ours_s"], told["peer"], told["peer_s"], told.get("note", "")))
    return found


def benchmarked(files: list[Path]) -> list[Row]:
    """Rows of pytest-benchmark's tests."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "benchmarks.json"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--benchmark-only",
            f"--benchmark-json={out}",
            *map(str, files),
        ]
        subprocess.run(command, check=True, stdout=sys.stderr)
        return benchmark_rows(json.loads(out.read_text("utf-8")))


def benchmark_rows(told: dict) -> list[Row]:
    """Pairs each ``test_X_ours[...]`` with every ``test_X_PEER[...]`` of the same file and parameters, by medians."""
    medians: dict[tuple[str, str, str], dict[str, float]] = {}
    for bench in told["benchmarks"]:
        name, _, parameters = bench["name"].partition("[")
        what, _, who = name.removeprefix("test_").rpartition("_")
        key = (bench["fullname"].partition("::")[0], what, parameters.rstrip("]"))
        medians.setdefault(key, {})[who] = bench["stats"]["median"]
    rows = []
    for (_, what, parameters), times in sorted(medians.items()):
        ours = times.pop("ours", None)
        text = what.replace("_", " ") + (f", {parameters}" if parameters else "")
        rows += [Row(text, ours, peer, seconds) for peer, seconds in sorted(times.items()) if ours is not None]
    return rows


def machine() -> str:
    """Processor, cores and system."""
    try:
        model = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    except OSError:
        model = None
    name = model[1] if model else platform.processor() or platform.machine()
    return (
        f"{name}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


def versions() -> str:
    """Name and version of ours and of each peer that is installed."""
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            if name == "imuspec":
                from imuspec import __version__

                found.append(f"imuspec {__version__}")
    return ", ".join(found)


def seconds(value: float) -> str:
    """A time in the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| what | ours | peer | peer's | ratio | note |", "| --- | ---: | --- | ---: | ---: | --- |"]
    for row in rows:
        cells = [
            row.what,
            seconds(row.ours_s),
            row.peer,
            seconds(row.peer_s),
            f"{row.peer_s / row.ours_s:.1f}x",
            row.note,
        ]
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """Runs every bench there is."""
    parser = argparse.ArgumentParser(description="Run the benches; tell ours from the peer's.")
    parser.add_argument("--write", type=Path, help="file to write instead of the screen")
    told = parser.parse_args()
    rows = [row for script in sorted(_HERE.glob("interleaved*.py")) for row in interleaved(script)]
    tests = sorted(_HERE.glob("test_*.py"))
    rows += benchmarked(tests) if tests else []
    if not rows:
        sys.exit("benches: expected interleaved*.py or test_*.py with at least one row, got none")
    head = "# Results\n\nWritten by `make bench-report`. A ratio says how many times longer the peer takes.\n"
    text = f"{head}\n- Machine: {machine()}\n- Versions: {versions()}\n\n{table(rows)}\n"
    if told.write is None:
        print(text)
    else:
        told.write.write_text(text, "utf-8")
        print(told.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())

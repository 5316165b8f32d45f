"""Runs the benches and tells ours from the peer's: tables on the screen, or RESULTS.md with ``--write``.

``benches/interleaved_*.py`` print rows, one JSON object a line with ``what``, ``ours_s``, ``peer``, ``peer_s`` and, where they
have one, ``note``; they run ours and the peer in turns, in one process or in processes of their own. Each script is a section
of the report, with the machine and the time of its run; ``--only`` runs some and leaves the other sections as they are.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
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


def busy() -> str:
    """What else runs: the load that the bench comes on top of."""
    return f", load {os.getloadavg()[0]:.1f} before the run" if hasattr(os, "getloadavg") else ""


def section(script: Path, rows: list[Row], load: str = "") -> str:
    """A script's rows under its first line, with what they were measured on."""
    said = re.search(r'"""(.*?)(?:"""|\n)', script.read_text("utf-8"))
    title = script.stem.removeprefix("interleaved_")
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    on = f"{stamp}: {machine()}{load}"
    head = f"{_mark(title)}\n\n{said[1] if said else ''}\n\n- {on}\n- {versions()}\n\n"
    return f"{head}{table(rows)}\n"


def _mark(title: str) -> str:
    return f"## {title.capitalize()}"


def joined(old: str, new: dict[str, str]) -> str:
    """The report: new sections by title, and those of the old one that were not measured again."""
    parts = re.split(r"^(?=## )", old, flags=re.MULTILINE)
    kept = {part.splitlines()[0]: part for part in parts if part.startswith("## ")}
    kept |= {_mark(title): text for title, text in new.items()}
    head = "# Results\n\nWritten by `make bench-report`. A ratio says how many times longer the peer takes.\n"
    return "\n".join([head, *(text.rstrip("\n") + "\n" for _, text in sorted(kept.items()))])


def main() -> int:
    """Runs every bench there is."""
    scripts = {path.stem.removeprefix("interleaved_"): path for path in sorted(_HERE.glob("interleaved_*.py"))}
    parser = argparse.ArgumentParser(description="Run the benches; tell ours from the peer's.")
    parser.add_argument("--write", type=Path, help="file to write instead of the screen")
    parser.add_argument("--only", choices=list(scripts), action="append", help="some sections; the others stay")
    told = parser.parse_args()
    new = {}
    for title in told.only or scripts:
        load, rows = busy(), interleaved(scripts[title])
        if not rows:
            sys.exit(f"{scripts[title].name}: expected at least one row, got none")
        new[title] = section(scripts[title], rows, load)
    if told.write is None:
        print(joined("", new))
    else:
        old = told.write.read_text("utf-8") if told.write.exists() else ""
        told.write.write_text(joined(old, new), "utf-8")
        print(told.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())

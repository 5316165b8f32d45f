"""Run the benches and compare imuspec with its peers: tables on the screen, or RESULTS.md with ``--write``.

``benches/interleaved_*.py`` print one JSON object a line with ``what``, ``imuspec_s``, ``peer``, ``peer_s`` and an optional
``note``. They run imuspec and the peer in turns. Each script gives one section for each processor and instruction set that it
ran on, with the date; ``--only`` runs some scripts, and the sections of the others and of other processors stay as they are.
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
from collections.abc import Sequence
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
_PACKAGES += ["actipy", "scikit-digital-health", "cwa-reader-rs", "actfast"]
_ROW = re.compile(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \| ([\d.]+x) \|", re.MULTILINE)
_README_ROWS = [
    ("a week to calibrated 30 Hz wear", "actipy_device"),
    ("a week to arrays", "actipy_read"),
    ("a week to arrays", "cwa_reader_rs_read"),
    ("a week to arrays", "actfast_read"),
    ("spectrogram in dB, 256 x 3 x 500, 64/60, t1", "scipy.signal.spectrogram"),
    ("256 pictures uint8, 128/116, t1", "scipy + PIL"),
    ("256 pictures uint8, 128/116, t1", "torch + torchvision"),
    ("LMM features, 256 x 300 x 3 x 300, nfft 32, t1", "torch.stft"),
]


class Row(NamedTuple):
    """One comparison; seconds."""

    what: str
    imuspec_s: float
    peer: str
    peer_s: float
    note: str = ""


def interleaved(script: Path) -> list[Row]:
    """Rows that a script prints as JSON lines; its other lines are for people."""
    done = subprocess.run([sys.executable, str(script)], check=True, stdout=subprocess.PIPE, text=True)
    return interleaved_rows(done.stdout)


def interleaved_rows(text: str) -> list[Row]:
    """Rows among the lines of a script's output."""
    return [Row(**json.loads(line)) for line in text.splitlines() if line.startswith("{")]


def processor() -> str:
    """Name and family of the processor, and the widest instruction set that the native core uses on it."""
    from imuspec import _core

    try:
        fields = dict(
            re.findall(r"^(model name|cpu family)\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
        )
    except OSError:
        fields = {}
    name = fields.get("model name") or platform.processor() or platform.machine()
    family = f" family {fields['cpu family']}" if "cpu family" in fields else ""
    return f"{name}{family}, {_core.cpu_path()}"


def machine() -> str:
    """Processor, cores and system."""
    return f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def versions() -> str:
    """Name and version of imuspec and of each peer that is installed."""
    names = []
    for name in _PACKAGES:
        try:
            names.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            if name == "imuspec":
                from imuspec import __version__

                names.append(f"imuspec {__version__}")
    return ", ".join(names)


def seconds(value: float) -> str:
    """A time in the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| task | imuspec | peer | time of the peer | ratio | note |", "| --- | ---: | --- | ---: | ---: | --- |"]
    for row in rows:
        cells = [
            row.what,
            seconds(row.imuspec_s),
            row.peer,
            seconds(row.peer_s),
            f"{row.peer_s / row.imuspec_s:.1f}x",
            row.note,
        ]
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines)


def busy() -> str:
    """The load of the machine before the run."""
    return f", load {os.getloadavg()[0]:.1f} before the run" if hasattr(os, "getloadavg") else ""


def section(script: Path, rows: list[Row], load: str = "") -> str:
    """A script's rows under its first line, with the machine they were measured on."""
    summary = re.search(r'"""(.*?)(?:"""|\n)', script.read_text("utf-8"))
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    on = f"{stamp}: {machine()}{load}"
    title = heading(script.stem.removeprefix("interleaved_"))
    head = f"{title}\n\n{summary[1] if summary else ''}\n\n- {on}\n- {versions()}\n\n"
    return f"{head}{table(rows)}\n"


def heading(title: str) -> str:
    """The heading of a script's section on this processor."""
    return f"## {title.capitalize()}: {processor()}"


def joined(old: str, new: Sequence[str]) -> str:
    """The report: new sections, and those of the old report whose heading is not among them."""
    parts = [part for part in re.split(r"^(?=## )", old, flags=re.MULTILINE) if part.startswith("## ")]
    sections = {part.splitlines()[0]: part for part in [*parts, *new]}
    head = "# Results\n\nWritten by `make bench-report`. A ratio says how many times longer the peer takes.\n"
    return "\n".join([head, *(text.rstrip("\n") + "\n" for _, text in sorted(sections.items()))])


def summary(report: str) -> str:
    """The readme's table: some rows of the report, with the time of imuspec and the ratio on each processor."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    processors: list[str] = []
    for part in re.split(r"^## ", report, flags=re.MULTILINE)[1:]:
        name = part.splitlines()[0].partition(": ")[2]
        processors += [name] if name not in processors else []
        for what, ours, peer, _, ratio in _ROW.findall(part):
            cells.setdefault((what, peer), {})[name] = f"{ours}, {ratio}"
    header = f"| task | alternative | {' | '.join(processors)} |\n| --- | --- |{' ---: |' * len(processors)}"
    rows = [
        f"| {what} | {peer} | {' | '.join(cells[what, peer].get(name, '-') for name in processors)} |"
        for what, peer in _README_ROWS
        if (what, peer) in cells
    ]
    return "\n".join([header, *rows])


def main() -> int:
    """Run the benches."""
    scripts = {path.stem.removeprefix("interleaved_"): path for path in sorted(_HERE.glob("interleaved_*.py"))}
    parser = argparse.ArgumentParser(description="Run the benches and compare imuspec with its peers.")
    parser.add_argument("--write", type=Path, help="file to write instead of the screen")
    parser.add_argument("--only", choices=list(scripts), action="append", help="some sections; the others stay")
    settings = parser.parse_args()
    new = []
    for title in settings.only or scripts:
        load, rows = busy(), interleaved(scripts[title])
        if not rows:
            sys.exit(f"{scripts[title].name}: expected at least one row, got none")
        new.append(section(scripts[title], rows, load))
    if settings.write is None:
        print(joined("", new))
    else:
        old = settings.write.read_text("utf-8") if settings.write.exists() else ""
        settings.write.write_text(joined(old, new), "utf-8")
        print(f"{settings.write}; the readme's table:\n\n{summary(settings.write.read_text('utf-8'))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Run the fuzz targets one after the other and print what each did: executions, rate, coverage, findings.

``python fuzz/campaign.py --seconds 60`` builds them with cargo-fuzz on nightly, each for a minute. After a finding a target
goes on for the rest of its time; the inputs that broke something lie below fuzz/artifacts/TARGET. The logs of libFuzzer go to
``--log``; ``--report`` prints the table of logs that are there, also of a target that still runs. ``--rounds`` divides the time
so that every target has had its share whenever the campaign is stopped; ``--again`` adds to the logs of an earlier one.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
_STATUS = re.compile(r"^#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+)", re.MULTILINE)
_SECONDS = re.compile(r"^ran: ([\d.]+) s", re.MULTILINE)
_FINDING = re.compile(r"Test unit written to (\S+)")
# Longest inputs, bytes: a few blocks, pages or packets; and the share of the time.
TARGETS = {
    "cwa": (3072, 2),
    "geneactiv": (5632, 1),
    "gt3x": (2048, 2),
    "matrix": (2048, 2),
    "nhanes": (4608, 1),
    "text": (1024, 2),
    "compressed": (1024, 1),
    "prepare": (2048, 1),
}


class Row(NamedTuple):
    """What a target did, by its log."""

    target: str
    executions: int
    seconds: float
    coverage: int
    findings: list[str]


def row_of(target: str, log: str) -> Row:
    """Read the log of a target, of one process behind the other.

    Parameters
    ----------
    target : str
        Its name.
    log : str
        Output of libFuzzer, with a line ``ran: N s`` behind each process.

    Returns
    -------
    Row
        Its numbers; `seconds` lacks a process that still runs.
    """
    parts = re.split(r"^process:.*\n", log, flags=re.MULTILINE)[1:]
    last = [max(([*map(int, status)] for status in _STATUS.findall(part)), default=[0, 0, 0]) for part in parts]
    exact = [re.findall(r"^stat::number_of_executed_units: (\d+)", part, re.MULTILINE) for part in parts]
    executions = sum(int(count[0]) if count else status[0] for count, status in zip(exact, last, strict=True))
    seconds = sum(map(float, _SECONDS.findall(log)))
    return Row(target, executions, seconds, max((status[1] for status in last), default=0), _FINDING.findall(log))


def table(rows: list[Row]) -> str:
    """Return the rows as a table of Markdown, with their totals."""
    lines = ["| target | executions | executions/s | coverage | findings |", "| --- | ---: | ---: | ---: | ---: |"]
    for row in rows:
        rate = f"{row.executions / row.seconds:,.0f}" if row.seconds else "still runs"
        lines.append(f"| {row.target} | {row.executions:,} | {rate} | {row.coverage:,} | {len(row.findings)} |")
    n_findings = sum(len(row.findings) for row in rows)
    total = sum(row.executions for row in rows)
    return "\n".join(
        [*lines, f"| all | {total:,} | | | {n_findings} |", *(name for row in rows for name in row.findings)]
    )


def run(binary: Path, target: str, corpus: Path, log: Path, seconds: float) -> None:
    """Run a target until its time is over, over again after a finding."""
    end = time.monotonic() + seconds
    artifacts = HERE / "artifacts" / target
    artifacts.mkdir(parents=True, exist_ok=True)
    while (rest := round(end - time.monotonic())) > 0:
        limits = [
            f"-max_len={TARGETS[target][0]}",
            f"-max_total_time={rest}",
            "-timeout=120",
            "-report_slow_units=120",
            "-rss_limit_mb=1024",
        ]
        command = [binary, corpus, *limits, "-print_final_stats=1", "-reload=0", f"-artifact_prefix={artifacts}/"]
        started = time.monotonic()
        with log.open("a") as out:
            print(f"process: {target} for {rest} s", file=out, flush=True)
            subprocess.run(list(map(str, command)), stdout=out, stderr=out, check=False)
            print(f"ran: {time.monotonic() - started:.1f} s", file=out, flush=True)


def main() -> int:
    """Run the targets, or report; exit code 1 if something was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="time of a target, on average")
    parser.add_argument("--targets", default=",".join(TARGETS), help="names, with commas")
    parser.add_argument("--sanitizer", default="none", help="none, which is fastest, or address")
    parser.add_argument("--compares", action="store_true", help="follow comparisons too, at half the rate")
    parser.add_argument("--corpus", type=Path, default=HERE / "corpus", help="folder of inputs, one folder a target")
    parser.add_argument("--target-dir", type=Path, default=HERE / "target", help="where cargo builds")
    parser.add_argument("--log", type=Path, default=HERE / "log", help="folder of the logs")
    parser.add_argument("--rounds", type=int, default=1, help="rounds over all targets that share the time")
    parser.add_argument("--jobs", type=int, default=1, help="targets that run at once")
    parser.add_argument("--again", action="store_true", help="add to the logs that are there")
    parser.add_argument("--report", action="store_true", help="print the table of the logs that are there")
    settings = parser.parse_args()
    names = settings.targets.split(",")
    logs = {name: settings.log / f"{name}.log" for name in names}
    if not settings.report:
        if not settings.again:
            shutil.rmtree(settings.log, ignore_errors=True)
        settings.log.mkdir(parents=True, exist_ok=True)
        built = settings.target_dir / settings.sanitizer
        options = ["-s", settings.sanitizer, "--target-dir", str(built)]
        if not settings.compares:
            options.append("--no-trace-compares")
        only = [] if len(names) == len(TARGETS) else names
        for name in only or [""]:
            command = ["cargo", "+nightly", "fuzz", "build", *options, *filter(None, [name])]
            subprocess.run(command, cwd=HERE.parent, check=True)
        share = settings.seconds * len(names) / sum(TARGETS[name][1] for name in names) / settings.rounds
        with ThreadPoolExecutor(settings.jobs) as pool:
            for name in names * settings.rounds:
                (binary,) = built.glob(f"*/release/{name}")
                pool.submit(run, binary, name, settings.corpus / name, logs[name], share * TARGETS[name][1])
    rows = [row_of(name, log.read_text(errors="replace")) for name, log in logs.items() if log.exists()]
    print(table(rows))
    return 1 if any(row.findings for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

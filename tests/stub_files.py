"""Recordings that are texts saying what `stub_native` shall find in them, and runs over them as processes of their own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from gate import PATIENCE_S, Gate

TESTS = Path(__file__).parent


def write_stub(folder: Path, n: int = 8, **fields: object) -> Path:
    """Write `n` recordings that come out ok, and three that do not: failed, and excluded twice."""
    folder.mkdir()
    for number in range(n):
        (folder / f"r{number}.cwa").write_text(json.dumps({"hours": 0.2, "seed": number, **fields}))
    (folder / "broken.cwa").write_text("nonsense")
    (folder / "short.cwa").write_text(json.dumps({"hours": 0.01}))
    (folder / "unsteady.cwa").write_text(json.dumps({"uncalibrated": True}))
    return folder


def environment(**variables: str) -> dict[str, str]:
    """What a process needs to import the package and the tests' own modules."""
    paths = [str(TESTS), str(TESTS.parent / "python"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path), **variables}


def start(
    source: Path | str, out: Path | str, *, inside: tuple[str, ...] = (), gate: Gate | None = None, **options: object
) -> subprocess.Popen[str]:
    """Begin a run; `options` are those of `run_stub_cohort`, `inside` a command before it, `gate` where files wait."""
    return subprocess.Popen(
        [*inside, sys.executable, str(TESTS / "run_stub_cohort.py"), str(source), str(out), json.dumps(options)],
        env=environment(**(gate.environment() if gate else {})),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def tree(folder: Path) -> dict[str, str]:
    """Name and SHA-256 of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def wait_for(process: subprocess.Popen[str], n_done: int) -> None:
    """Read what a run says until so many files are done; end one that says nothing."""
    assert process.stdout is not None
    patience = threading.Timer(PATIENCE_S, process.kill)
    patience.start()
    try:
        for line in process.stdout:
            if line.strip().isdigit() and int(line) >= n_done:
                return
    finally:
        patience.cancel()
    raise AssertionError(f"the run ended first: {process.communicate()[1]}")

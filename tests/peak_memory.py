"""How much memory a statement takes at its peak, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_CHILD = """
import pathlib, sys
import numpy, pyarrow.parquet, pyarrow.compute, imuspec, imuspec._core, imuspec.preparation, imuspec.recording
from imuspec.recipe import Recipe
recipe = Recipe.load("capture24").set("calibration.required=false", "segments.min_wear_h=0")
path = sys.argv[1]
def most():  # not ru_maxrss, which begins with what the parent had
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))
before = most()
try:
    answer = {statement}
except imuspec.RecordingError as error:
    answer = error.reason
print(most() - before, answer)
"""
READ = "f'{len(imuspec.read(path))} rows'"
PREPARE = "imuspec.prepare(path, recipe).summary"
PREPARE_IN_PIECES = "imuspec.preparation.prepare_in_pieces(path, recipe, pathlib.Path(path).parent).summary"


def peak(statement: str, path: object) -> tuple[int, str]:
    """Return bytes at the peak above those of the imports, and the answer of the statement.

    Parameters
    ----------
    statement : str
        ``READ``, ``PREPARE`` or ``PREPARE_IN_PIECES``.
    path : path
        The file that it takes.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of a process is read from /proc")
    code = _CHILD.format(statement=statement)
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    size, message = done.stdout.split(" ", 1)
    return int(size), message.strip()

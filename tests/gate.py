"""A gate at which the work on recordings waits, so that a test interferes with a run at a moment that no clock decides."""

from __future__ import annotations

import os
import time
from pathlib import Path

PATIENCE_S = 600  # ends a test that hangs: no test passes or fails by how fast the machine is


class Gate:
    """A gate that lets the named recordings pass, and once it is open all of them."""

    def __init__(self, path: Path, *names: str) -> None:
        self.path = path
        self.let(*names)

    def environment(self) -> dict[str, str]:
        """What processes need to know of it."""
        return {"TEST_GATE": str(self.path)}

    def let(self, *names: str) -> None:
        """Let these pass, and no others."""
        beside = self.path.with_suffix(".part")
        beside.write_text(" ".join(names))
        beside.replace(self.path)

    def open(self) -> None:
        """Let all pass from now on."""
        self.path.unlink()


def wait_at_gate(name: str) -> None:
    """Wait until this recording may pass the gate of the environment, if there is one."""
    gate = os.environ.get("TEST_GATE")
    while gate:
        try:
            if name in Path(gate).read_text().split():
                return
        except FileNotFoundError:  # open
            return
        time.sleep(0.02)

"""Draws the picture of the README from a simulated recording: ``python docs/picture.py``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import imuspec
from imuspec.report import day_image
from imuspec.simulation import simulate


def main() -> None:
    """Writes days.png beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simulated.cwa"
        simulate(path, days=2.2, seed=5, miscalibration=True)
        day_image(imuspec.prepare(path, "capture24"), Path(__file__).parent / "days.png", dpi=100)


if __name__ == "__main__":
    main()

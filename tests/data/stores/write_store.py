"""Write the tiny cohort of the present store version: tests/data/stores/vN. Run it after VERSION was raised, and commit the folder.

It has one recording of each status, with a gap in the first. A folder that is there is never written again: tests open the
stores of every version as they were written.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from imuspec import Recipe
from imuspec.cluster.preparing import prepare_cohort
from imuspec.cohort.store import VERSION
from imuspec.simulation import simulate

STORES = Path(__file__).parent
RECIPE = Recipe.load("capture24").set("segments.min_wear_h=0.01", "calibration.required=false")


def write_store(folder: Path) -> None:
    """Write the cohort of three simulated recordings into a new folder."""
    with tempfile.TemporaryDirectory() as made:
        simulate(Path(made) / "whole.cwa", days=3 / 1440, seed=0)
        whole = (Path(made) / "whole.cwa").read_bytes()
        files = {
            "worn": whole[: 1024 + 60 * 512] + whole[1024 + 72 * 512 :],  # with a gap of 14 s
            "short": whole[: 1024 + 10 * 512],
            "torn": whole[:512],
        }
        for name, content in files.items():
            (Path(made) / f"{name}.cwa").write_bytes(content)
        prepare_cohort([Path(made) / f"{name}.cwa" for name in files], folder, recipe=RECIPE, workers=1)


if __name__ == "__main__":
    target = STORES / f"v{VERSION}"
    if target.exists():
        sys.exit(f"{target} is there: it stays as it was written")
    write_store(target)
    shutil.rmtree(target / ".work", ignore_errors=True)

"""Work on a cohort's recordings that a test may disturb, importable by worker processes, and runs of it that may be killed."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from gate import wait_at_gate
from imuspec.cluster import compute, open_engine
from imuspec.cohort.results import Computed
from imuspec.preparation import Prepared


@dataclass(frozen=True)
class Faulty:
    """Means of a recording; `faults` names recordings that kill their process, hoard memory, last for ever, or raise."""

    faults: tuple[tuple[str, str], ...] = ()
    kind: str = "means"
    uses_torch: bool = False

    def description(self) -> Mapping[str, object]:
        """Nothing else matters to the means."""
        return {}

    def __call__(self, prepared: Prepared) -> Computed:
        """Mean of each axis."""
        fault = dict(self.faults).get(prepared.id)
        hoard = []
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "raise":
            raise RuntimeError("no such luck")
        for _ in range(100 if fault == "hoard" else 0):
            hoard.append(bytearray(b"x") * (20 << 20))
            time.sleep(0.05)
        wait_at_gate(prepared.id)
        if fault == "last":
            time.sleep(600)
        assert prepared.acceleration is not None
        means = [float(value) for value in prepared.acceleration.mean(1, dtype="float64")]
        return Computed(pa.table({"mean": means}), ({"largest": max(means)},))


def main() -> None:
    """COHORT OUT OPTIONS as JSON: compute means as a process of its own."""
    cohort, out, options = sys.argv[1:]
    settings = json.loads(options)
    summary = compute(
        cohort,
        Path(out),
        Faulty(),
        engine=open_engine(settings.get("engine", "local"), workers=settings.get("workers", 1)),
        resume=settings.get("resume", False),
        progress=lambda summary, _outcome: print(summary.n_done, flush=True),
    )
    print("interrupted" if summary.interrupted else "done", flush=True)


if __name__ == "__main__":
    import cohort_work  # so that workers find the work by its module's name

    cohort_work.main()

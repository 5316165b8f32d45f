"""Prepare stub recordings as a process of its own that a test may kill: IN OUT OPTIONS, options of the run as JSON."""

from __future__ import annotations

import json
import sys

import stub_native
from imuspec import Recipe
from imuspec.cluster import Limits, open_engine

RECIPE = Recipe.load("ukb").set("segments.min_wear_h=0.05")


def main() -> None:
    source, out, options = sys.argv[1:]
    settings = json.loads(options)
    number, total = settings.get("shard", "1/1").split("/")
    engine = {name: settings.get(name) for name in ("workers", "scheduler", "cluster")}
    limits = Limits.parse(settings.get("memory_limit"), settings.get("time_limit"))
    summary = stub_native.prepare_stub_cohort(
        [source],
        out,
        recipe=RECIPE,
        engine=open_engine(settings.get("engine", "local"), **engine, limits=limits),
        shard=(int(number), int(total)),
        resume=settings.get("resume", False),
        progress=lambda summary, _outcome: print(summary.n_done, flush=True),
    )
    print("interrupted" if summary.interrupted else "done", flush=True)


if __name__ == "__main__":
    main()

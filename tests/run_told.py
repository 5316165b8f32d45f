"""Prepare told recordings as a process of its own that a test may kill: IN OUT WORKERS SHARE [resume]."""

from __future__ import annotations

import sys

import fake_native
from imuspec import Recipe
from imuspec.cluster import prepare_cohort

RECIPE = Recipe.load("ukb").set("segments.min_wear_h=0.05")


def main() -> None:
    source, out, workers, shard, *rest = sys.argv[1:]
    number, of = shard.split("/")
    summary = prepare_cohort(
        [source],
        out,
        recipe=RECIPE,
        workers=int(workers),
        shard=(int(number), int(of)),
        resume="resume" in rest,
        prepare=fake_native.prepare_told,
        progress=lambda summary, _outcome: print(summary.n_done, flush=True),
    )
    print("interrupted" if summary.interrupted else "done", flush=True)


if __name__ == "__main__":
    main()

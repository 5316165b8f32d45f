"""A small cohort with activities in it, written as `imuspec prepare` writes one, without device files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imuspec import Cohort, Recipe
from imuspec.cohort.store import CohortStore
from imuspec.preparation import Prepared
from imuspec.recording.inputs import InputFile

RATE = 30
RECIPE = Recipe.load("ukb").set("segments.min_wear_h=0.01", "store.chunk_h=0.1")


def wear(hours: float, seed: int) -> NDArray[np.float32]:
    """Rest, and swinging at 1 to 3 Hz, in turns of some minutes: float32 [3, time], g."""
    random = np.random.default_rng(seed)
    n = int(hours * 3600 * RATE)
    time = np.arange(n) / RATE
    bout = (time // random.uniform(60, 180)).astype(int)
    hertz = random.choice([0.0, 1.1, 1.9, 2.9], bout.max() + 1)[bout]
    swing = 0.5 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE) * (hertz > 0)
    gravity = np.array([0.3, -0.4, 0.87])[:, None]
    return (gravity + swing * np.array([[1.0], [0.5], [0.2]]) + random.normal(0, 0.01, (3, n))).astype(np.float32)


def write_cohort(folder: Path, hours: dict[str, float], *, nonwear: tuple[int, int] | None = None) -> Cohort:
    """One recording for each name; `nonwear` in samples is taken out of the segments of each."""
    store = CohortStore(folder)
    store.create(RECIPE)
    inputs = folder.parent / "stubs"
    inputs.mkdir(exist_ok=True)
    for seed, (name, long) in enumerate(hours.items()):
        path = inputs / f"{name}.cwa"
        path.write_text(f"{long} {seed}")
        store.write(InputFile(name, str(path), path.name), _prepared(path, long, seed, nonwear))
    store.write_tables()
    store.close()
    return Cohort(folder)


def _prepared(path: Path, hours: float, seed: int, nonwear: tuple[int, int] | None) -> Prepared:
    import stub_native

    def native(given: str, settings: dict[str, object]) -> dict[str, object]:
        del given
        (path.parent / "stub.json").write_text(f'{{"hours": {hours}, "seed": {seed}}}')
        answer = dict(stub_native.native_pass(str(path.parent / "stub.json"), settings))
        x = wear(hours, seed)
        n = x.shape[1]
        answer.update(acceleration=x, n=n, segments=[(0, n)], nonwear=[])
        if nonwear is not None:
            answer.update(segments=[(0, nonwear[0]), (nonwear[1], n)], nonwear=[nonwear])
        return answer

    return stub_native.prepare_with(native, str(path), RECIPE)

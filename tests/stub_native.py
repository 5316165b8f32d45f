"""A native pass that needs no device file: a small text says what it shall find. Importable by worker processes."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from unittest import mock

import numpy as np

from gate import wait_at_gate
from imuspec import preparation
from imuspec.cluster import preparing
from imuspec.cluster.engine import Engine
from imuspec.cluster.local import LocalEngine
from imuspec.cluster.pool import Ended
from imuspec.errors import RecordingError
from imuspec.preparation import Prepared
from imuspec.preparation import preparation as one_pass
from imuspec.recipe import Recipe

_REAL = preparation.prepare_in_pieces
Native = Callable[[str, dict[str, Any]], Mapping[str, Any]]


def native_pass(path: str, recipe: dict[str, Any]) -> Mapping[str, Any]:
    """Return what the native pass would of a recording described by JSON: hours, seed, and what is wrong with it."""
    try:
        description = json.loads(Path(path).read_text())
    except ValueError as error:
        raise RecordingError(path, 0, "expected a recording, got other bytes") from error
    if description.get("kill") and not Path(f"{path}.survived").exists():
        if description["kill"] == "once":
            Path(f"{path}.survived").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    wait_at_gate(Path(path).stem)
    time.sleep(description.get("sleep_s", float(os.environ.get("STUB_SLEEP_S", "0"))))
    hoard = []
    for _ in range(description.get("memory_mb", 0) // 20):
        hoard.append(bytearray(b"x") * (20 << 20))
        time.sleep(0.05)
    rate = float(recipe["resample"]["rate_hz"])
    n = int(description.get("hours", 0.1) * 3600 * rate)
    rng = np.random.default_rng(description.get("seed", 0))
    acceleration = rng.normal(0, 0.1, (3, n)).astype(np.float32)
    acceleration[:, n // 2 : n // 2 + 5] = np.nan
    calibrated = not description.get("uncalibrated", False)
    long_enough = n / rate / 3600 >= float(recipe["segments"]["min_wear_h"])
    return {
        "acceleration": np.pad(acceleration, ((0, 0), (0, 7))),
        "n": n,
        "shifts": [],
        "still": [[0.0, 0.0, 1.0]],
        "start_time": 1_551_178_507_215_000_000,
        "rate": rate,
        "segments": [(0, n // 2), (n // 2 + 5, n)] if calibrated and long_enough else [],
        "nonwear": [(10, 20)],
        "calibration": {
            "offset": np.zeros(3),
            "gain": np.ones(3),
            "temperature_slope": np.zeros(3),
            "ok": calibrated,
            "reason": "" if calibrated else "12 still windows of at least 50",
            "error_before_mg": 30.0,
            "error_after_mg": 1.5 if calibrated else float("nan"),
            "n_windows": 60 if calibrated else 12,
            "n_iterations": 10,
        },
        "quality_counts": {"gap": 1, "bad_checksum": 0},
        "quality_events": [("gap", 1024, 2, 1_551_178_507_215_000_000, 5, 0.17)],
        "header": {
            "format": "cwa",
            "device": "AX3",
            "device_id": "17",
            "nominal_rate": 100.0,
            "sample_rate": 98.8,
            "metadata": {"subject": "s"},
        },
        "figures": {"n_samples_read": n, "longest_wear_h": n / rate / 7200, "n_interpolated": 0},
    }


def prepare_with(native_pass: Native, path: str, recipe: str | Recipe = "ukb") -> Prepared:
    """Prepare with another native pass."""

    def native(name: str, settings: dict[str, Any], folder: Path | None) -> Mapping[str, Any]:
        assert folder is None
        return {"pieces": None, **native_pass(name, settings)}

    with mock.patch.object(one_pass, "_native_pass", native):
        return one_pass.prepare(path, recipe)


def prepare_stub(path: str, recipe: Recipe) -> Prepared:
    """Prepare with the pass above: what `prepare_cohort` hands to its workers."""
    return prepare_with(native_pass, path, recipe)


def prepare_stub_file(job: Any) -> Any:
    """Do what `imuspec.cluster.preparing.keep` does, with stub recordings."""
    return prepare_file_with(prepare_stub, job)


def prepare_file_with(prepare_one: Callable[[str, Recipe], Prepared], job: Any) -> Any:
    """Do what `imuspec.cluster.preparing.keep` does, with another way to prepare one file."""
    preparation.prepare_in_pieces = lambda path, recipe, _: prepare_one(path, recipe)
    try:
        return preparing.prepare_file(job)
    finally:
        preparation.prepare_in_pieces = _REAL


def load_ahead() -> None:
    """Load what a worker needs."""
    preparing.load_ahead()


class StubEngine(Engine):
    """An engine whose workers prepare stub recordings; `work` is what they do in place of `prepare_file`."""

    def __init__(self, engine: Engine, work: Callable[[Any], Any] = prepare_stub_file) -> None:
        self.engine, self.work = engine, work

    def __enter__(self) -> Self:
        self.engine.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.engine.__exit__(*error)

    def crew(self, work: Callable[[Any], Any], n_items: int) -> Any:  # noqa: ARG002  (the other work takes its place)
        """Return the processes that do the other work."""
        return self.engine.crew(self.work, n_items)


class InlineEngine(Engine):
    """Works in this process, so that a run takes milliseconds."""

    class Crew:
        """The work of one `map`."""

        room = True

        def __init__(self, work: Callable[[Any], Any]) -> None:
            self.work, self.busy = work, []

        def begin(self, item: Any, **_: bool) -> None:
            """Keep an item."""
            self.busy.append(item)

        def finished(self, **_: float) -> Iterator[Ended]:
            """Do the work on it."""
            while self.busy:
                yield Ended(self.busy[0], self.work(self.busy.pop(0)))

    @contextmanager
    def crew(self, work: Callable[[Any], Any], n_items: int) -> Iterator[Any]:  # noqa: ARG002  (nothing runs beside it)
        """Return what works here."""
        yield InlineEngine.Crew(work)


def prepare_stub_cohort(inputs: Any, out: Any, **options: Any) -> Any:
    """Run `prepare_cohort` on stub recordings."""
    engine = options.pop("engine", None) or LocalEngine(options.pop("workers", None))
    return preparing.prepare_cohort(inputs, out, engine=StubEngine(engine), **options)


def process_id(item: object) -> int:
    """Return the process that works on an item."""
    del item
    return os.getpid()

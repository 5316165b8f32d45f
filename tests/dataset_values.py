"""Recordings and windows by number, and the text of files of public sets that tests write."""

from __future__ import annotations

import numpy as np

from imuspec.datasets import LabelledRecording, Windows
from imuspec.datasets.recordings import count_times, runs_of


def still(n: int, unit: float = 9.81) -> np.ndarray:
    """[n, 3] of a sensor that lies, with a little noise."""
    return np.random.default_rng(n).normal(0, 0.02 * unit, (n, 3)) + np.array([0, 0, unit])


def rows(*columns: np.ndarray) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in zip(*(c.tolist() for c in columns), strict=True))


def recording(n: int = 1000, rate: float = 50.0, *, label=None, time=None, subject: int = 1) -> LabelledRecording:
    times = count_times(n, rate) if time is None else np.asarray(time, np.int64)
    x = np.random.default_rng(subject).normal(0, 0.1, (3, n)).astype(np.float32)
    return LabelledRecording(
        subject=subject,
        recording=f"r{subject}",
        sensor="wrist",
        rate=rate,
        acceleration=x,
        time=times,
        runs=runs_of(times, rate),
        label=np.zeros(n, np.int64) if label is None else np.asarray(label),
        class_names=("sit", "walk"),
        n_rows=n,
        unlabelled={"nothing": 0 if label is None else int((np.asarray(label) < 0).sum())},
    )


def some_windows(n_subjects: int = 10, each: int = 12, **changes) -> Windows:
    n = n_subjects * each
    fields = {
        "x": np.random.default_rng(0).normal(size=(n, 3, 100)).astype(np.float32),
        "label": np.arange(n) % 2,
        "subject": np.repeat(np.arange(n_subjects), each),
        "recording": np.repeat(np.arange(n_subjects), each).astype(str),
        "start_s": np.tile(np.arange(each), n_subjects),
        "rate": 50,
        "class_names": ("sit", "walk"),
        "name": "some",
    }
    return Windows(**(fields | changes))

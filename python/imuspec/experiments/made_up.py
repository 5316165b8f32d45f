"""Made-up motion for tiny trials: activities as sums of harmonics, a body that differs from subject to subject."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from imuspec.datasets import Windows

__all__ = ["CLASSES", "made_up_windows"]

CLASSES = ("rest", "walk", "run", "stairs")
# Step rate (Hz), amplitudes of three harmonics (g), noise (g).
_MOTION = {
    "rest": (0.3, (0.01, 0.0, 0.0), 0.01),
    "walk": (1.8, (0.25, 0.15, 0.05), 0.05),
    "run": (2.8, (0.8, 0.3, 0.15), 0.1),
    "stairs": (1.4, (0.3, 0.25, 0.12), 0.08),
}


def made_up_windows(
    name: str = "made up", *, n_subjects: int = 8, n_windows: int = 12, length: int = 300, rate: float = 50.0
) -> Windows:
    """Draw windows of four activities; the same name gives the same windows.

    Parameters
    ----------
    name : str
        Data set that they stand in for; seeds the draw.
    n_subjects, n_windows : int
        Subjects, and windows of each activity of each.
    length : int
        Samples of a window.
    rate : float
        Hz.

    Returns
    -------
    Windows
        ``4 * n_subjects * n_windows`` windows.
    """
    from imuspec.datasets import Windows

    rng = np.random.default_rng(zlib.crc32(name.encode()))
    time = np.arange(length) / rate
    directions = {activity: rng.normal(size=(3, 3, 1)) / np.sqrt(3) for activity in CLASSES}  # [harmonic, axis, 1]
    x, label, subject = [], [], []
    for who in range(n_subjects):
        pace, strength = rng.normal(1, 0.06), rng.lognormal(0, 0.15)
        down = np.array([0, 1, 0]) + rng.normal(0, 0.2, 3)  # worn in one place, never quite alike
        down /= np.linalg.norm(down)
        for number, activity in enumerate(CLASSES):
            step, amplitudes, noise = _MOTION[activity]
            for _ in range(n_windows):
                phase = rng.uniform(0, 2 * np.pi, len(amplitudes))
                waves = [
                    a * strength * np.sin(2 * np.pi * step * pace * (k + 1) * time + phase[k])
                    for k, a in enumerate(amplitudes)
                ]
                motion = (directions[activity] * np.stack(waves)[:, None]).sum(axis=0)
                x.append(down[:, None] + motion + rng.normal(0, noise, (3, length)))
                label.append(number)
                subject.append(who)
    n = len(x)
    return Windows(
        x=np.stack(x).astype(np.float32),
        label=np.array(label, np.int64),
        subject=np.array(subject, np.int64),
        recording=np.array(subject, np.int64),
        start_s=np.tile(np.arange(n // n_subjects) * (length / rate), n_subjects),
        rate=rate,
        class_names=CLASSES,
        name=name,
        counts={},
    )

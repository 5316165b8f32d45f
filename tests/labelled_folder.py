"""A folder of labelled recordings, as `datasets.folder` reads them: a table for each person, a column for the labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imuspec.experiments.made_up import made_up_windows


def write_folder(folder: Path, *, n_people: int = 4, rate: float = 50.0, prefix: str = "p", name: str = "a") -> Path:
    """Tables of made-up people, four activities of 12 s each."""
    folder.mkdir(parents=True, exist_ok=True)
    windows = made_up_windows(name, n_subjects=n_people, n_windows=2, rate=rate)
    for person in windows.subjects.tolist():
        own = windows.select(windows.subject == person)
        x = np.concatenate(list(own.x), axis=1)
        label = np.repeat(own.label, own.n_samples)
        rows = (
            f"{i / rate:.3f},{a:.4f},{b:.4f},{c:.4f},{own.class_names[k]}\n"
            for i, (a, b, c, k) in enumerate(zip(*x.tolist(), label.tolist(), strict=True))
        )
        (folder / f"{prefix}{person}.csv").write_text("time,x (g),y (g),z (g),label\n" + "".join(rows))
    return folder

"""WISDM v1.1 as 7,292 windows of 128 samples at 20 Hz, recovered from a z-scored public export.

Layout: one npz (also inside .xz) with ``acc_cms2`` int16 ``[N, 3, 128]`` in 0.01 m/s2, ``label``, ``label_names``,
``user`` and ``offset_err_ms2`` ``[36, 3]``. The order of the windows and their times are lost: no window is longer than
6.4 s, and the windows of a user count as one recording. For the whole set see `imuspec.datasets.wisdm`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.files import SetFiles
from imuspec.datasets.reading import check_subjects
from imuspec.datasets.recordings import LabelledRecording, count_times, in_g
from imuspec.errors import RecordingError

__all__ = ["recordings"]

RATE = 20.0
_KEYS = ("acc_cms2", "label", "label_names", "user", "offset_err_ms2")


def recordings(
    path: str | os.PathLike[str],
    *,
    subjects: Collection[int | str] | None = None,
    max_pattern_ms2: float | None = None,
) -> Iterator[LabelledRecording]:
    """Read the recovered windows, one user at a time; each window is a run of the user's recording.

    Parameters
    ----------
    path : path-like
        The npz, the npz.xz, or a folder with one of them.
    subjects : collection of int or str, optional
        Users to read, 1 to 36. The default is all.
    max_pattern_ms2 : float, optional
        Leave out users whose windows have a fixed pattern above this, m/s2, which the recovery left. The default is no limit.

    Yields
    ------
    LabelledRecording
        With `timed` false.

    Raises
    ------
    FileNotFoundError
        If there is no npz.
    RecordingError
        If the npz has other content.
    """
    with SetFiles(path) as files:
        name = files.one(r"wisdm[^/]*\.npz", "wisdm_v1.1_windows128_20hz.npz or .npz.xz")
        source = files.label(name) if Path(path).is_dir() else str(path)
        arrays = _load(files.read(name), source)
    check_subjects(subjects, np.unique(arrays["user"]).tolist())
    raw = arrays["acc_cms2"].astype(np.float64) / 100
    for user in np.unique(arrays["user"]).tolist():
        if subjects is not None and user not in subjects:
            continue
        index = np.flatnonzero(arrays["user"] == user)
        n_rows = index.size * raw.shape[2]
        pattern = float(arrays["offset_err_ms2"][user - 1].max())
        if max_pattern_ms2 is not None and pattern > max_pattern_ms2:
            yield _recording(user, raw[:0], arrays["label"][:0], arrays, source, n_rows)
        else:
            yield _recording(user, raw[index], arrays["label"][index], arrays, source, n_rows)


def _recording(
    user: int,
    x: NDArray[np.float64],
    label: NDArray[Any],
    arrays: dict[str, NDArray[Any]],
    source: str,
    n_rows: int,
) -> LabelledRecording:
    n, _, length = x.shape
    starts = np.arange(n) * length
    flat = np.moveaxis(x, 1, 0).reshape(3, n * length)
    time = (np.arange(n)[:, None] * 3_600_000_000_000 + count_times(length, RATE)).reshape(-1)
    return LabelledRecording(
        subject=int(user),
        recording=f"user {user}",
        sensor="trouser pocket",
        rate=RATE,
        acceleration=in_g(flat, unit="m/s2", declared=None, source=source) if n else np.empty((3, 0), np.float32),
        time=time.astype(np.int64),
        runs=np.stack((starts, starts + length), axis=1).astype(np.int64).reshape(-1, 2),
        label=np.repeat(label.astype(np.int64), length),
        class_names=tuple(str(name) for name in arrays["label_names"]),
        source=source,
        n_rows=n_rows,
        timed=False,
        counts={"user whose windows carry a fixed pattern": n_rows - n * length},
    )


def _load(data: bytes, source: str) -> dict[str, NDArray[Any]]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as opened:
            arrays = {key: opened[key] for key in _KEYS}
    except (ValueError, KeyError, OSError, EOFError) as error:
        raise RecordingError(source, None, f"expected an npz with {', '.join(_KEYS)}, got: {error}") from error
    x, n = arrays["acc_cms2"], len(arrays["label"])
    if x.ndim != 3 or x.shape[1] != 3 or len(x) != n or arrays["user"].shape != (n,):
        raise RecordingError(source, None, f"expected acc_cms2 [N, 3, time], got {list(x.shape)} for {n} labels")
    return arrays

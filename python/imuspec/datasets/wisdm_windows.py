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
    """Read the recovered windows, a user at a time; each window is a run of the user's recording.

    Parameters
    ----------
    path : path-like
        The npz, its .npz.xz, or the folder that holds one of them.
    subjects : collection of int or str, optional
        Users wanted, 1 to 36; all by default.
    max_pattern_ms2 : float, optional
        Leave out users whose windows all carry a fixed pattern above this, m/s2, left by the recovery; None keeps all.

    Yields
    ------
    LabelledRecording, not `timed`.

    Raises
    ------
    FileNotFoundError
        No npz there.
    RecordingError
        An npz of another kind.
    """
    with SetFiles(path) as files:
        name = files.one(r"wisdm[^/]*\.npz", "wisdm_v1.1_windows128_20hz.npz or .npz.xz")
        source = files.label(name) if Path(path).is_dir() else str(path)
        held = _load(files.read(name), source)
    raw = held["acc_cms2"].astype(np.float64) / 100
    for user in np.unique(held["user"]).tolist():
        if subjects is not None and user not in subjects:
            continue
        mine = np.flatnonzero(held["user"] == user)
        n_rows = mine.size * raw.shape[2]
        pattern = float(held["offset_err_ms2"][user - 1].max())
        if max_pattern_ms2 is not None and pattern > max_pattern_ms2:
            yield _of_user(user, raw[:0], held["label"][:0], held, source, n_rows)
        else:
            yield _of_user(user, raw[mine], held["label"][mine], held, source, n_rows)


def _of_user(
    user: int,
    x: NDArray[np.float64],
    label: NDArray[Any],
    held: dict[str, NDArray[Any]],
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
        class_names=tuple(str(name) for name in held["label_names"]),
        source=source,
        n_rows=n_rows,
        timed=False,
        counts={"user whose windows carry a fixed pattern": n_rows - n * length},
    )


def _load(data: bytes, source: str) -> dict[str, NDArray[Any]]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as opened:
            held = {key: opened[key] for key in _KEYS}
    except (ValueError, KeyError, OSError, EOFError) as error:
        raise RecordingError(source, None, f"expected an npz with {', '.join(_KEYS)}, got: {error}") from error
    x, n = held["acc_cms2"], len(held["label"])
    if x.ndim != 3 or x.shape[1] != 3 or len(x) != n or held["user"].shape != (n,):
        raise RecordingError(source, None, f"expected acc_cms2 [N, 3, time], got {list(x.shape)} for {n} labels")
    return held

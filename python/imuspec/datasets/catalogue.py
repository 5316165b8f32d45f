"""The catalogue of sets by name: their readers, their windows, and the identities of their people."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from imuspec.datasets.cutting import Resampling, cut
from imuspec.datasets.public_sets import SETS, DatasetInfo
from imuspec.datasets.recordings import LabelledRecording
from imuspec.datasets.windows import Windows
from imuspec.errors import unknown_name

__all__ = ["CATALOGUE", "find_set", "labelled_recordings", "load", "people_of"]


CATALOGUE = {info.name: info for info in SETS}


def find_set(name: str, *, option: str = "name") -> DatasetInfo:
    """Return the entry of a set.

    Parameters
    ----------
    name : str
        Name in `CATALOGUE`.
    option : str, default "name"
        Name of the option, for the message.

    Raises
    ------
    ValueError
        If no set has that name.
    """
    if name not in CATALOGUE:
        raise ValueError(unknown_name(option, name, CATALOGUE, listing="`imuspec datasets`"))
    return CATALOGUE[name]


def people_of(name: str, path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return identities of the people in a copy of a set; two sets with a common identity have the same people.

    Parameters
    ----------
    name : str
        Name in `CATALOGUE`.
    path : path-like
        Copy of the set. A folder of recordings is identified by its path, and by a digest of the names and sizes of its
        files, so that a moved folder is recognised.
    """
    if name != "folder":
        return (find_set(name).people or name,)
    folder = Path(path).resolve()
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(folder).as_posix()}\0{file.stat().st_size}\n".encode())
    return f"folder {folder}", f"folder {digest.hexdigest()[:32]}"


def _checked(info: DatasetInfo, settings: dict[str, Any]) -> dict[str, Any]:
    known = info.settings
    for key in settings:
        if key not in known:
            raise ValueError(unknown_name(f"settings of {info.name}", key, known))
    return settings


def labelled_recordings(name: str, path: str | os.PathLike[str], **settings: Any) -> Iterator[LabelledRecording]:
    """Yield the continuous recordings of a public set, each sample with its label.

    Parameters
    ----------
    name : str
        Name in `CATALOGUE`.
    path : path-like
        The set in its official layout.
    **settings : object
        Settings of the reader, as ``sensors=("trunk",)`` for Daphnet; see ``imuspec.datasets.<name>.recordings``.

    Yields
    ------
    LabelledRecording

    Raises
    ------
    ValueError
        If the name or a setting is unknown, or the unit contradicts the data.
    FileNotFoundError, RecordingError
        If a file is missing or differs from the layout.

    Examples
    --------
    >>> from imuspec.datasets import labelled_recordings
    >>> for recording in labelled_recordings("daphnet", "dataset/", sensors=("ankle",)):  # doctest: +SKIP
    ...     print(recording)
    """
    info = find_set(name)
    return info.read(path, **_checked(info, settings))


def load(
    name: str,
    path: str | os.PathLike[str],
    *,
    window_s: float | None = None,
    rate: float = 50.0,
    overlap: float = 0.5,
    resampling: Resampling = "auto",
    lowpass_hz: float | None = None,
    min_agreement: float = 0.0,
    unlabelled: bool = False,
    **settings: Any,
) -> Windows:
    """Return labelled windows of a public set, in g.

    The median norm checks the unit of the files. A gap above two sample periods, or a sample without a class, ends a stretch.
    Windows lie inside a stretch, have one rate, and take the most frequent label of their samples. Rows that are in no
    window are counted by reason.

    Parameters
    ----------
    name : str
        Name in `CATALOGUE`.
    path : path-like
        The set in its official layout: folder, archive or file.
    window_s : float, optional
        Length of a window, s. The default is that of the set.
    rate : float, default 50.0
        Sample rate, Hz.
    overlap : float, default 0.5
        Part of a window that the next one shares, from 0 to below 1.
    resampling : {"auto", "linear", "polyphase", "none"}, default "auto"
        auto: without aliasing; linear: the straight line between the files' samples, as in the papers, which aliases to a lower
        rate; polyphase and none as for `imuspec.datasets.cutting.stretches`.
    lowpass_hz : float, optional
        Cut-off of a zero-phase low-pass before resampling, Hz.
    min_agreement : float, default 0.0
        Share of a window's samples that must have its label.
    unlabelled : bool, default False
        Whether to cut stretches without a class too, for pre-training. All windows then have the class ``any``.
    **settings : object
        Settings of the reader; ``imuspec datasets NAME`` lists them.

    Returns
    -------
    Windows

    Raises
    ------
    ValueError
        If the name or a setting is unknown, the unit contradicts the data, or there is no window.
    FileNotFoundError, RecordingError
        If a file is missing or differs from the layout.

    Examples
    --------
    >>> from imuspec import datasets
    >>> windows = datasets.load("hapt", "HAPT Data Set/", window_s=5.12)  # doctest: +SKIP
    >>> split = datasets.subject_split(windows, seed=0)  # doctest: +SKIP
    """
    info = find_set(name)
    recordings = info.read(path, **_checked(info, settings))
    windows = cut(
        (recording.without_labels() for recording in recordings) if unlabelled else recordings,
        window_s=info.window_s if window_s is None else window_s,
        rate=rate,
        overlap=overlap,
        resampling=resampling,
        lowpass_hz=lowpass_hz,
        min_agreement=min_agreement,
        name=name,
    )
    return replace(
        windows, split_by=info.split_by, people=people_of(name, path), settings={**windows.settings, **settings}
    )

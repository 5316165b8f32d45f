"""Labelled stretches of ten-second patches, for networks with windows of fifty minutes."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.draws import FEW, distinct_part, ordered_choices
from imuspec.datasets.patches import group_labels, patch_labels
from imuspec.datasets.recordings import LabelledRecording
from imuspec.errors import unknown_name
from imuspec.preparation import Prepared, prepare
from imuspec.recipe import Recipe
from imuspec.recording.reading import read
from imuspec.recording.recording import Recording
from imuspec.signal import lowpass, resample

__all__ = ["PatchSequence", "PatchSequences", "capture24_sequences", "cut_sequences"]

_WILLETTS = ("sleep", "sit-stand", "vehicle", "walking", "mixed", "bicycling")


@dataclass(frozen=True, eq=False)
class PatchSequence:
    """A stretch of whole patches without gaps, and their labels.

    Attributes
    ----------
    x : float32 array [3, patches * patch]
        Acceleration, g.
    label : int64 array [patches]
        Index of the class; -1 without a label.
    subject, recording : str
        The wearer, and the name of the recording.
    start_s : float
        Start after the first sample of the recording, s.
    """

    x: NDArray[np.float32]
    label: NDArray[np.int64]
    subject: str
    recording: str
    start_s: float = 0.0

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or len(self.x) != 3 or not len(self.label) or self.x.shape[1] % len(self.label):
            raise ValueError(
                f"x: expected [3, patches * patch], got {list(self.x.shape)} for {len(self.label)} patches"
            )

    @property
    def patch(self) -> int:
        """Samples of a patch."""
        return int(self.x.shape[1]) // len(self.label)


@dataclass(frozen=True, eq=False, repr=False)
class PatchSequences:
    """Labelled stretches of a set.

    Attributes
    ----------
    items : tuple of PatchSequence
        The stretches.
    class_names : tuple of str
        The classes, in the order of their labels.
    rate : float
        Sample rate, Hz.
    name : str
        Name of the set.
    counts : mapping of str to int
        Number of recordings or patches that were left out, by reason.
    people : tuple of str, default the name
        Identities of the people, as in `imuspec.datasets.Windows`.
    """

    items: tuple[PatchSequence, ...]
    class_names: tuple[str, ...]
    rate: float = 30.0
    name: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    people: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "people", tuple(self.people) or ((self.name,) if self.name else ()))

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[PatchSequence]:
        return iter(self.items)

    @property
    def subjects(self) -> list[str]:
        """The distinct subjects, sorted."""
        return sorted({item.subject for item in self.items})

    def select(self, subjects: Iterable[str]) -> PatchSequences:
        """Return the stretches of some subjects."""
        selected = set(subjects)
        items = tuple(item for item in self.items if item.subject in selected)
        return replace(self, items=items)

    def per_class(self) -> dict[str, int]:
        """Return the number of labelled patches of each class."""
        number = np.zeros(len(self.class_names), np.int64)
        for item in self.items:
            number += np.bincount(item.label[item.label >= 0], minlength=len(number))
        return dict(zip(self.class_names, number.tolist(), strict=True))

    def split(self, seed: int, fraction: float = 0.8) -> tuple[PatchSequences, PatchSequences]:
        """Split into training and validation by subject: ``round(fraction S)`` of ``S`` subjects train.

        With fewer than ten subjects the splits are enumerated, as in `imuspec.datasets.subject_split`; of more they are drawn.
        Each seed up to 100 has other validation subjects than all smaller ones, as long as there are any.

        Parameters
        ----------
        seed : int
            Seed of the draw.
        fraction : float, default 0.8
            Share of the subjects that train.

        Returns
        -------
        (PatchSequences, PatchSequences)
            The training and the validation part.

        Raises
        ------
        ValueError
            If there are fewer than two subjects.
        """
        subjects = self.subjects
        if len(subjects) < 2:
            raise ValueError(f"subjects: expected two or more to split, got {len(subjects)}")
        n = min(max(round(fraction * len(subjects)), 1), len(subjects) - 1)
        if len(subjects) < FEW:
            choices = ordered_choices(len(subjects), len(subjects) - n)
            left_out = frozenset(subjects[i] for i in choices[seed % len(choices)])
        else:
            left_out = distinct_part(subjects, len(subjects) - n, seed)
        return self.select([name for name in subjects if name not in left_out]), self.select(left_out)

    def __repr__(self) -> str:
        classes = ", ".join(f"{n:,} {name}" for name, n in self.per_class().items())
        return f"PatchSequences({self.name}: {len(self)} stretches, {len(self.subjects)} subjects, {classes})"


def cut_sequences(
    recordings: Iterable[LabelledRecording], *, rate: float = 30.0, patch_s: float = 10.0, name: str = ""
) -> PatchSequences:
    """Return the whole patches of every stretch without a gap, low-pass filtered and resampled.

    Unlabelled patches are included.

    Parameters
    ----------
    recordings : iterable of LabelledRecording
        Recordings, as from `imuspec.datasets.labelled_recordings`.
    rate : float, default 30.0
        Rate of the result, Hz. Faster recordings are low-pass filtered at half of it.
    patch_s : float, default 10.0
        Length of a patch, s. A patch takes the most frequent label of its labelled samples.
    name : str, default ""
        Name of the set.

    Raises
    ------
    ValueError
        If no stretch is as long as a patch, or the classes of recordings differ.
    """
    items: list[PatchSequence] = []
    counts: Counter[str] = Counter()
    classes: tuple[str, ...] = ()
    patch = round(patch_s * rate)
    for recording in recordings:
        if classes and recording.class_names != classes:
            raise ValueError(f"{recording.source}: expected the classes {classes}, got {recording.class_names}")
        classes = recording.class_names
        for first, stop in recording.runs.tolist():
            x, times = recording.acceleration[:, first:stop], recording.time[first:stop]
            if stop - first < 2 or (times[-1] - times[0]) / 1e9 < patch_s - 2 / recording.rate:
                counts["stretch shorter than a patch"] += 1
                continue
            if recording.rate > rate:
                x = lowpass(x, sample_rate=recording.rate, cutoff=rate / 2)
            values, grid = resample(x, times, rate=rate, method="linear", max_gap_s=1.001 * recording.longest_step_s)
            n = values.shape[1] // patch
            if not n:
                counts["stretch shorter than a patch"] += 1
                continue
            middle = times[:-1] + (times[1:] - times[:-1]) / 2
            label = patch_labels(recording.label[first:stop][np.searchsorted(middle, grid[: n * patch])], patch)
            subject, recording_name = str(recording.subject), f"{recording.recording} {recording.sensor}".strip()
            items.append(PatchSequence(values[:, : n * patch], label, subject, recording_name, int(times[0]) / 1e9))
            counts["patches without a label"] += int((label < 0).sum())
    if not items:
        raise ValueError(f"{name or 'recordings'}: no stretch of {patch_s:g} s ({dict(counts)})")
    return PatchSequences(tuple(items), classes, rate, name, dict(counts))


def capture24_sequences(
    folder: str | Path,
    *,
    scheme: str = "Willetts2018",
    recipe: str | Path | Recipe = "capture24",
    patch_s: float = 10.0,
    subjects: Sequence[str] | None = None,
) -> PatchSequences:
    """Read Capture-24 from its official files: prepared wear of an hour or more, with a class for every ten seconds.

    Each ``P001.csv.gz`` is prepared with the recipe. Annotations are looked up verbatim in the column ``label:<scheme>`` of the
    dictionary. A patch takes the most frequent class of its samples; of equals, the first in time.

    Parameters
    ----------
    folder : path-like
        Folder with ``P*.csv.gz`` (or .csv) and ``annotation-label-dictionary.csv``.
    scheme : str, default "Willetts2018"
        Willetts2018 (the six classes of the LMM paper), Walmsley2020, Doherty2018, ...
    recipe : path-like or Recipe, default "capture24"
        Recipe of the preparation.
    patch_s : float, default 10.0
        Length of a patch, s.
    subjects : sequence of str, optional
        Participants to read, as P001. The default is all.

    Returns
    -------
    PatchSequences
        ``counts`` has the excluded participants, by reason.

    Raises
    ------
    FileNotFoundError
        If a participant's file or the dictionary is missing.
    ValueError
        If the dictionary lacks the scheme or an annotation. The message lists them.
    """
    root = Path(folder)
    classes_of = _dictionary(root / "annotation-label-dictionary.csv", scheme)
    names = sorted({name for name in classes_of.values() if name})
    classes = _WILLETTS if set(names) == set(_WILLETTS) else tuple(names)
    files = {p.name.split(".")[0]: p for ending in ("csv", "csv.gz") for p in root.glob(f"P*.{ending}")}
    selected = sorted(files) if subjects is None else list(subjects)
    missing = [name for name in selected if name not in files]
    if missing or not selected:
        raise FileNotFoundError(f"{root}: {missing[0] if missing else 'P001'}.csv.gz is missing")
    followed = Recipe.load(recipe)
    items: list[PatchSequence] = []
    counts: Counter[str] = Counter()
    for subject in selected:
        prepared = prepare(files[subject], followed)
        if prepared.status != "ok":
            counts[f"participant {prepared.status}: {prepared.reason}"] += 1
            continue
        items += _labelled(prepared, read(files[subject]), classes_of, classes, subject, patch_s)
    if not items:
        raise ValueError(f"{root}: no participant has wear ({dict(counts)})")
    counts["patches without a label"] = sum(int((item.label < 0).sum()) for item in items)
    return PatchSequences(tuple(items), classes, followed.resample.rate_hz, "capture24", dict(counts))


def _dictionary(path: Path, scheme: str) -> dict[str, str]:
    """Return annotation -> class; "" for an annotation without a class."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}, the official dictionary of annotations, does not exist")
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        columns = [name for name in rows.fieldnames or () if name.removeprefix("label:") == scheme]
        if not columns:
            schemes = [name.removeprefix("label:") for name in rows.fieldnames or () if name.startswith("label:")]
            raise ValueError(unknown_name("scheme", scheme, schemes))
        return {row["annotation"]: row[columns[0]] for row in rows}


def _labelled(
    prepared: Prepared,
    recording: Recording,
    classes_of: Mapping[str, str],
    classes: Sequence[str],
    subject: str,
    patch_s: float,
) -> list[PatchSequence]:
    """Return the wear of one participant as labelled stretches."""
    unknown = sorted(set(recording.annotation_labels) - set(classes_of))
    if unknown:
        raise ValueError(f"{recording.path}: expected annotations of the dictionary, got {'; '.join(unknown)}")
    code = np.array(
        [classes.index(classes_of[a]) if classes_of[a] else -1 for a in recording.annotation_labels] or [-1], np.int64
    )
    annotation: NDArray[Any] = np.asarray(recording.annotation)
    label = np.where(annotation >= 0, code[annotation], -1)
    times: NDArray[Any] = np.asarray(recording.time)
    patch = round(patch_s * prepared.rate)
    items = []
    for first, stop in prepared.segments.tolist():
        n = (stop - first) // patch
        if not n or prepared.acceleration is None:
            continue
        group = np.floor_divide(times - prepared.clock(first), round(patch_s * 1e9))
        x = prepared.acceleration[:, first : first + n * patch]
        items.append(PatchSequence(x, group_labels(label, group, n), subject, prepared.id, first / prepared.rate))
    return items

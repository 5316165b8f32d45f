"""Labelled stretches of ten-second patches: what a network that sees fifty minutes at a time is probed on."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imuspec.datasets.draws import FEW, ordered_choices
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
    """A stretch without gaps, whole patches, and a label for each.

    ``x`` is float32 [3, patches * patch] in g, ``label`` int64 [patches] with -1 for none, ``start_s`` seconds from the
    recording's first sample.
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
    """Labelled stretches of one set.

    Attributes
    ----------
    items : tuple of PatchSequence
        The stretches.
    class_names : tuple of str
        The classes, in the order of their labels.
    rate : float
        Hz.
    name : str
        The set.
    counts : mapping of str to int
        What was left out, by reason: recordings, or patches.
    """

    items: tuple[PatchSequence, ...]
    class_names: tuple[str, ...]
    rate: float = 30.0
    name: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[PatchSequence]:
        return iter(self.items)

    @property
    def subjects(self) -> list[str]:
        """The subjects, sorted, each once."""
        return sorted({item.subject for item in self.items})

    def of(self, subjects: Iterable[str]) -> PatchSequences:
        """Return the stretches of some subjects."""
        wanted = set(subjects)
        kept = tuple(item for item in self.items if item.subject in wanted)
        return PatchSequences(kept, self.class_names, self.rate, self.name, self.counts)

    def per_class(self) -> dict[str, int]:
        """Number of labelled patches of each class."""
        number = np.zeros(len(self.class_names), np.int64)
        for item in self.items:
            number += np.bincount(item.label[item.label >= 0], minlength=len(number))
        return dict(zip(self.class_names, number.tolist(), strict=True))

    def split(self, seed: int, fraction: float = 0.8) -> tuple[PatchSequences, PatchSequences]:
        """Deal subjects to training and validation: ``round(fraction S)`` of ``S`` subjects train.

        Fewer than ten subjects are enumerated, as `imuspec.datasets.subject_split` does: each seed validates on other subjects
        as long as there are any.

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
            left_out = {subjects[i] for i in choices[seed % len(choices)]}
            return self.of([name for name in subjects if name not in left_out]), self.of(left_out)
        shuffled = np.random.default_rng(seed).permutation(subjects).tolist()
        return self.of(shuffled[:n]), self.of(shuffled[n:])

    def __repr__(self) -> str:
        classes = ", ".join(f"{n:,} {name}" for name, n in self.per_class().items())
        return f"PatchSequences({self.name}: {len(self)} stretches, {len(self.subjects)} subjects, {classes})"


def cut_sequences(
    recordings: Iterable[LabelledRecording], *, rate: float = 30.0, patch_s: float = 10.0, name: str = ""
) -> PatchSequences:
    """Whole patches of every stretch without a gap, low-pass filtered and resampled, unlabelled patches kept.

    Parameters
    ----------
    recordings : iterable of LabelledRecording
        As `imuspec.datasets.labelled_recordings` gives them.
    rate : float, default 30.0
        Hz wanted; a faster signal is first freed of what is above half of it.
    patch_s : float, default 10.0
        Length of a patch, s. A patch takes the label of most of its labelled samples.
    name : str, default ""
        What the set is called.

    Raises
    ------
    ValueError
        No stretch as long as a patch, or recordings of unlike classes.
    """
    items: list[PatchSequence] = []
    counts: Counter[str] = Counter()
    classes: tuple[str, ...] = ()
    patch = round(patch_s * rate)
    for recording in recordings:
        if classes and recording.class_names != classes:
            raise ValueError(f"{recording.source}: expected the classes {classes}, got {recording.class_names}")
        classes = recording.class_names
        for first, past in recording.runs.tolist():
            x, times = recording.acceleration[:, first:past], recording.time[first:past]
            if past - first < 2 or (times[-1] - times[0]) / 1e9 < patch_s - 2 / recording.rate:
                counts["stretch shorter than a patch"] += 1
                continue
            if recording.rate > rate:
                x = lowpass(x, sample_rate=recording.rate, cutoff=rate / 2)
            values, grid = resample(x, times, rate=rate, method="linear", max_gap_s=3 / recording.rate)
            n = values.shape[1] // patch
            if not n:
                counts["stretch shorter than a patch"] += 1
                continue
            middle = times[:-1] + (times[1:] - times[:-1]) / 2
            label = patch_labels(recording.label[first:past][np.searchsorted(middle, grid[: n * patch])], patch)
            subject, called = str(recording.subject), f"{recording.recording} {recording.sensor}".strip()
            items.append(PatchSequence(values[:, : n * patch], label, subject, called, int(times[0]) / 1e9))
            counts["patches without a label"] += int((label < 0).sum())
    if not items:
        raise ValueError(f"{name or 'recordings'}: expected a stretch of {patch_s:g} s, got none ({dict(counts)})")
    return PatchSequences(tuple(items), classes, rate, name, dict(counts))


def capture24_sequences(
    folder: str | Path,
    *,
    scheme: str = "Willetts2018",
    recipe: str | Path | Recipe = "capture24",
    patch_s: float = 10.0,
    subjects: Sequence[str] | None = None,
) -> PatchSequences:
    """Capture-24 from its official files: prepared wear of an hour or more, a class for each ten seconds.

    Each ``P001.csv.gz`` is prepared by the recipe; an annotation is looked up verbatim in the dictionary's column
    ``label:<scheme>``. A patch takes the class of most of its samples, of equals the one that comes first.

    Parameters
    ----------
    folder : path-like
        Holds ``P*.csv.gz`` (or .csv) and ``annotation-label-dictionary.csv``.
    scheme : str, default "Willetts2018"
        Willetts2018 (the six classes of the LMM paper), Walmsley2020, Doherty2018, ...
    recipe : path-like or Recipe, default "capture24"
        From file to wear.
    patch_s : float, default 10.0
        Length of a patch, s.
    subjects : sequence of str, optional
        Some of the participants, as P001; None: all.

    Returns
    -------
    PatchSequences
        ``counts`` says which participants the recipe excluded, and why.

    Raises
    ------
    FileNotFoundError
        No participant's file, or no dictionary.
    ValueError
        If the dictionary lacks the scheme, or an annotation that the dictionary lacks; the message lists them.
    """
    root = Path(folder)
    known = _dictionary(root / "annotation-label-dictionary.csv", scheme)
    names = sorted({name for name in known.values() if name})
    classes = _WILLETTS if set(names) == set(_WILLETTS) else tuple(names)
    files = {p.name.split(".")[0]: p for ending in ("csv", "csv.gz") for p in root.glob(f"P*.{ending}")}
    wanted = sorted(files) if subjects is None else list(subjects)
    absent = [name for name in wanted if name not in files]
    if absent or not wanted:
        raise FileNotFoundError(f"{root}: expected {absent[0] if absent else 'P001'}.csv.gz, got none")
    followed = Recipe.load(recipe)
    items: list[PatchSequence] = []
    counts: Counter[str] = Counter()
    for subject in wanted:
        prepared = prepare(files[subject], followed)
        if prepared.status != "ok":
            counts[f"participant {prepared.status}: {prepared.reason}"] += 1
            continue
        items += _labelled(prepared, read(files[subject]), known, classes, subject, patch_s)
    if not items:
        raise ValueError(f"{root}: expected wear of a participant, got none ({dict(counts)})")
    counts["patches without a label"] = sum(int((item.label < 0).sum()) for item in items)
    return PatchSequences(tuple(items), classes, followed.resample.rate_hz, "capture24", dict(counts))


def _dictionary(path: Path, scheme: str) -> dict[str, str]:
    """Annotation -> class; an empty class for an annotation that has none."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected the official dictionary of annotations, got none")
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        found = [name for name in rows.fieldnames or () if name.removeprefix("label:") == scheme]
        if not found:
            schemes = [name.removeprefix("label:") for name in rows.fieldnames or () if name.startswith("label:")]
            raise ValueError(unknown_name("scheme", scheme, schemes))
        return {row["annotation"]: row[found[0]] for row in rows}


def _labelled(
    prepared: Prepared,
    recording: Recording,
    known: Mapping[str, str],
    classes: Sequence[str],
    subject: str,
    patch_s: float,
) -> list[PatchSequence]:
    """The kept wear of one participant as labelled stretches."""
    unknown = sorted(set(recording.annotation_labels) - set(known))
    if unknown:
        raise ValueError(f"{recording.path}: expected annotations of the dictionary, got {'; '.join(unknown)}")
    code = np.array(
        [classes.index(known[a]) if known[a] else -1 for a in recording.annotation_labels] or [-1], np.int64
    )
    annotation: NDArray[Any] = np.asarray(recording.annotation)
    label = np.where(annotation >= 0, code[annotation], -1)
    times: NDArray[Any] = np.asarray(recording.time)
    patch = round(patch_s * prepared.rate)
    found = []
    for first, past in prepared.segments.tolist():
        n = (past - first) // patch
        if not n or prepared.acceleration is None:
            continue
        group = np.floor_divide(times - prepared.clock(first), round(patch_s * 1e9))
        x = prepared.acceleration[:, first : first + n * patch]
        found.append(PatchSequence(x, group_labels(label, group, n), subject, prepared.id, first / prepared.rate))
    return found

"""Capture-24: 151 people wearing a wrist sensor for a day, labelled from camera and diary.

Layout: ``P001.csv.gz`` to ``P151.csv.gz`` with time, x, y, z (g, 100 Hz), annotation (free text, empty where missing);
``annotation-label-dictionary.csv``, 206 annotations and what each is in six schemes; ``metadata.csv``. Oxford ORA
99d7c092-d865-4a19-b096-cc16440cd001, CC BY 4.0; Chan Chang et al. 2024.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Collection, Iterator, Mapping

import numpy as np

from imuspec.datasets.files import SetFiles
from imuspec.datasets.recordings import DROPPED, LabelledRecording, in_g, runs_of
from imuspec.errors import RecordingError, unknown_name
from imuspec.recording.reading import read

__all__ = ["CLASSES", "annotation_classes", "recordings"]

RATE = 100.0
CLASSES = ("sleep", "sit-stand", "vehicle", "walking", "mixed", "bicycling")
_DICTIONARY = r"annotation-label-dictionary[^/]*\.csv"


def recordings(
    path: str | os.PathLike[str],
    *,
    scheme: str = "Willetts2018",
    dictionary: str | os.PathLike[str] | None = None,
    subjects: Collection[int | str] | None = None,
    unit: str | None = None,
) -> Iterator[LabelledRecording]:
    """Read Capture-24, a participant at a time.

    An annotation is looked up in the dictionary letter by letter. One that is not there is an error that lists it, since
    a label left out in silence changes what is measured; an empty one is a sample without a label.

    Parameters
    ----------
    path : path-like
        The folder, or a zip of it. The participants' files are read by `imuspec.read`.
    scheme : str, default "Willetts2018"
        The dictionary's column, without ``label:``. Willetts2018 has the six classes that papers report; numbers
        under another scheme do not compare.
    dictionary : path-like, optional
        The dictionary, where it does not lie beside the files.
    subjects : collection of int or str, optional
        Participants wanted, as ``["P001"]``; all by default.
    unit : str, optional
        The files' unit where it is not g.

    Yields
    ------
    LabelledRecording

    Raises
    ------
    FileNotFoundError
        No participant's file, or no dictionary.
    RecordingError
        An annotation that the dictionary lacks, or a file that is no recording.
    ValueError
        A scheme that the dictionary lacks.
    """
    with SetFiles(path) as files:
        if dictionary is None:
            beside = files.one(_DICTIONARY, "annotation-label-dictionary.csv")
            table, origin = files.read(beside), files.label(beside)
        else:
            with SetFiles(dictionary) as other:
                table, origin = other.read(other.names[0]), str(dictionary)
        meaning = annotation_classes(table, scheme, origin)
        classes = CLASSES if scheme == "Willetts2018" else tuple(sorted(set(meaning.values()) - {""}))
        found = [(m[1].upper(), name) for name, m in files.find(r"(P\d{3})\.csv")]
        if not found:
            raise FileNotFoundError(f"{files.path}: expected P001.csv.gz to P151.csv.gz, got none")
        for person, name in sorted(found):
            if subjects is None or person in subjects:
                yield _recording(files, name, person, meaning, classes, unit)


def annotation_classes(table: bytes, scheme: str, source: str = "annotation-label-dictionary.csv") -> dict[str, str]:
    """The class of each annotation under a scheme, "" where it has none.

    Parameters
    ----------
    table : bytes
        The dictionary's bytes.
    scheme : str
        Its column, without ``label:``.
    source : str, default "annotation-label-dictionary.csv"
        What it is called in messages.

    Returns
    -------
    Class by annotation.

    Raises
    ------
    ValueError
        No such column: the message lists those that are.
    RecordingError
        No column annotation; a class of Willetts2018 that is none of the six.
    """
    rows = csv.DictReader(io.StringIO(table.decode("utf-8-sig")))
    columns = list(rows.fieldnames or ())
    if "annotation" not in columns:
        raise RecordingError(source, 0, f"expected a column annotation, got {', '.join(columns) or 'none'}")
    schemes = [name.removeprefix("label:") for name in columns if name.startswith("label:")]
    if scheme not in schemes:
        raise ValueError(unknown_name("scheme", scheme, schemes))
    meaning = {row["annotation"]: row[f"label:{scheme}"] or "" for row in rows}
    strange = set(meaning.values()) - {"", *CLASSES}
    if scheme == "Willetts2018" and strange:
        raise RecordingError(
            source, None, f"expected the classes {', '.join(CLASSES)}, got {', '.join(sorted(strange))}"
        )
    return meaning


def _recording(
    files: SetFiles, name: str, person: str, meaning: Mapping[str, str], classes: tuple[str, ...], unit: str | None
) -> LabelledRecording:
    source = files.label(name)
    with files.on_disk(name) as file:
        held = read(file)
    if held.annotation is None:
        raise RecordingError(source, None, "expected a column annotation, got none")
    words = held.annotation_labels
    unknown = [word for word in words if word and word not in meaning]
    if unknown:
        listed = "; ".join(repr(word) for word in unknown[:10])
        raise RecordingError(
            source, None, f"expected annotations of the dictionary, got {len(unknown)} others: {listed}"
        )
    place = {kind: index for index, kind in enumerate(classes)}
    index = np.array([*(place.get(meaning.get(word, ""), DROPPED) for word in words), DROPPED], np.int64)
    label = index[held.annotation]  # -1, no annotation, is the last
    x = held.acceleration
    whole = np.isfinite(x).all(axis=0)
    time, label = held.time[whole], label[whole]
    begin = int(time[0]) if time.size else 0
    missing = int((held.annotation[whole] == -1).sum())
    number = re.sub(r"\D", "", person)
    return LabelledRecording(
        subject=f"P{int(number):03d}",
        recording=person,
        sensor="wrist",
        rate=RATE,
        acceleration=in_g(x[:, whole], unit="g", declared=unit, source=source),
        time=time - begin,
        runs=runs_of(time, RATE),
        label=label,
        class_names=classes,
        source=source,
        n_rows=whole.size,
        counts={"not numbers on three axes": int((~whole).sum())},
        unlabelled={"without an annotation": missing, "annotation without a class": int((label < 0).sum()) - missing},
    )

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
from imuspec.datasets.reading import read_files
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
    """Read Capture-24, one participant at a time.

    Annotations are looked up in the dictionary verbatim. An unknown annotation is an error, since a silently dropped label
    would change the results. An empty annotation is a sample without a label.

    Parameters
    ----------
    path : path-like
        The folder, or a zip of it. The participants' files are read by `imuspec.read`.
    scheme : str, default "Willetts2018"
        Column of the dictionary, without ``label:``. Willetts2018 has the six classes that papers report; results with
        another scheme cannot be compared with them.
    dictionary : path-like, optional
        The dictionary. The default is the one in the folder.
    subjects : collection of int or str, optional
        Participants to read, as ``["P001"]``. The default is all.
    unit : str, optional
        Unit of the files if it is not g.

    Yields
    ------
    LabelledRecording

    Raises
    ------
    FileNotFoundError
        If there are no participants' files, or no dictionary.
    RecordingError
        If the dictionary lacks an annotation, or a file is not a recording.
    ValueError
        If the dictionary lacks the scheme.
    """
    meaning: dict[str, str] = {}

    def find(files: SetFiles) -> list[tuple[tuple[str], str]]:
        if dictionary is None:
            name = files.one(_DICTIONARY, "annotation-label-dictionary.csv")
            table, source = files.read(name), files.label(name)
        else:
            with SetFiles(dictionary) as other:
                table, source = other.read(other.names[0]), str(dictionary)
        meaning.update(annotation_classes(table, scheme, source))
        return [((match[1].upper(),), name) for name, match in files.find(r"(P\d{3})\.csv")]

    def read_file(files: SetFiles, name: str, key: tuple[str]) -> list[LabelledRecording]:
        classes = CLASSES if scheme == "Willetts2018" else tuple(sorted(set(meaning.values()) - {""}))
        return [_recording(files, name, key[0], meaning, classes, unit)]

    return read_files(path, find, read_file, expected="P001.csv.gz to P151.csv.gz", subjects=subjects)


def annotation_classes(table: bytes, scheme: str, source: str = "annotation-label-dictionary.csv") -> dict[str, str]:
    """Return the class of each annotation under a scheme.

    Parameters
    ----------
    table : bytes
        Content of the dictionary.
    scheme : str
        Column of the dictionary, without ``label:``.
    source : str, default "annotation-label-dictionary.csv"
        Name of the dictionary in messages.

    Returns
    -------
    dict of str to str
        Annotation -> class, or "" if it has no class.

    Raises
    ------
    ValueError
        If there is no such column. The message lists the columns.
    RecordingError
        If the column annotation is missing, or a class is not one of the six of Willetts2018.
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
    files: SetFiles, name: str, participant: str, meaning: Mapping[str, str], classes: tuple[str, ...], unit: str | None
) -> LabelledRecording:
    source = files.label(name)
    with files.on_disk(name) as file:
        recorded = read(file)
    if recorded.annotation is None:
        raise RecordingError(source, None, "the column annotation is missing")
    annotations = recorded.annotation_labels
    unknown = [word for word in annotations if word and word not in meaning]
    if unknown:
        listed = "; ".join(repr(word) for word in unknown[:10])
        raise RecordingError(
            source, None, f"expected annotations of the dictionary, got {len(unknown)} others: {listed}"
        )
    codes = {kind: index for index, kind in enumerate(classes)}
    index = np.array([*(codes.get(meaning.get(word, ""), DROPPED) for word in annotations), DROPPED], np.int64)
    label = index[recorded.annotation]  # -1, no annotation, is the last
    x = recorded.acceleration
    whole = np.isfinite(x).all(axis=0)
    time, label = recorded.time[whole], label[whole]
    begin = int(time[0]) if time.size else 0
    missing = int((recorded.annotation[whole] == -1).sum())
    number = re.sub(r"\D", "", participant)
    return LabelledRecording(
        subject=f"P{int(number):03d}",
        recording=participant,
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

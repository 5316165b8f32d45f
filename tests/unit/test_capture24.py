"""Capture-24's reader, on files of the official layout that the tests write."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dataset_values import still
from imuspec import datasets
from imuspec.datasets import capture24
from imuspec.errors import RecordingError

DICTIONARY = """annotation,label:Willetts2018,label:Walmsley2020
7030 sleeping;MET 0.95,sleep,sleep
"walking, dog;MET 3.0",walking,light
"""


def write_capture(folder: Path, second: str = '"walking, dog;MET 3.0"') -> Path:
    (folder / "annotation-label-dictionary.csv").write_text(DICTIONARY)
    for person in ("P001", "P002", "P003"):
        n = 6000
        x = still(n, 1)
        stamps = np.datetime64("2016-10-17T03:53:00", "us") + np.arange(n) * 10_000
        words = ["7030 sleeping;MET 0.95"] * 2500 + [""] * 500 + [second] * 3000
        text = "time,x,y,z,annotation\n" + "".join(
            f"{str(t).replace('T', ' ')},{a:.6f},{b:.6f},{c:.6f},{word}\n"
            for t, (a, b, c), word in zip(stamps, x.tolist(), words, strict=True)
        )
        (folder / f"{person}.csv.gz").write_bytes(gzip.compress(text.encode()))
    return folder


def test_capture24_looks_its_annotations_up_letter_by_letter(tmp_path) -> None:
    made = datasets.load("capture24", write_capture(tmp_path))
    assert made.class_names == capture24.CLASSES
    assert made.per_class() == dict.fromkeys(capture24.CLASSES, 0) | {"sleep": 12, "walking": 15}
    assert made.counts["without an annotation"] == 1500
    assert made.n_rows == 18_000
    assert made.subjects.tolist() == ["P001", "P002", "P003"]
    other = datasets.load("capture24", tmp_path, scheme="Walmsley2020", subjects=["P002"])
    assert other.class_names == ("light", "sleep")
    with pytest.raises(ValueError, match="scheme: expected one of 'Willetts2018', 'Walmsley2020', got 'Willets'"):
        datasets.load("capture24", tmp_path, scheme="Willets")


def test_capture24_in_a_zip_is_the_same(tmp_path) -> None:
    plain = tmp_path / "capture24"
    plain.mkdir()
    write_capture(plain)
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        for file in plain.iterdir():
            archive.write(file, f"capture24/{file.name}")
    np.testing.assert_array_equal(
        datasets.load("capture24", tmp_path / "c.zip", subjects=["P001"]).x,
        datasets.load("capture24", plain, subjects=["P001"]).x,
    )


def test_an_annotation_that_the_dictionary_lacks_is_an_error_that_lists_it(tmp_path) -> None:
    with pytest.raises(
        RecordingError, match=r"P001.csv.gz: expected annotations of the dictionary, got 1 others: 'flying'"
    ):
        datasets.load("capture24", write_capture(tmp_path, second="flying"))
    (tmp_path / "annotation-label-dictionary.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"expected annotation-label-dictionary.csv, got P001.csv.gz"):
        datasets.load("capture24", tmp_path)


def test_recordings_with_annotations_of_their_own_need_no_table(tmp_path) -> None:
    write_capture(tmp_path)
    (tmp_path / "annotation-label-dictionary.csv").unlink()
    made = datasets.load("folder", tmp_path, classes=["7030 sleeping;MET 0.95"])
    assert made.per_class() == {"7030 sleeping;MET 0.95": 12}
    assert made.subjects.tolist() == ["P001", "P002", "P003"]


def test_one_subject_alone_loads_and_cannot_be_split(tmp_path) -> None:
    made = datasets.load("capture24", write_capture(tmp_path), subjects=["P001"])
    with pytest.raises(ValueError, match=r"capture24: expected at least three subjects .* got 1 \(P001\)"):
        datasets.subject_split(made, 0)

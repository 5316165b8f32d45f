"""Daphnet's reader, from folders and archives, and numbers that cannot be."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dataset_values import still
from imuspec import datasets
from imuspec.errors import RecordingError


def write_daphnet(folder: Path, subjects=(1, 2, 3), n: int = 2000) -> Path:
    for subject in subjects:
        values = np.round(np.concatenate([still(n, 1000) for _ in range(3)], axis=1)).astype(int)
        annotation = np.repeat([0, 1, 2, 1], n // 4)
        time = (np.arange(1, n + 1) * 1000) // 64
        lines = zip(time.tolist(), *values.T.tolist(), annotation.tolist(), strict=True)
        (folder / f"S{subject:02d}R01.txt").write_text("".join(" ".join(map(str, line)) + "\n" for line in lines))
    return folder


def test_daphnet_reads_alike_from_folder_zip_tar_and_xz(tmp_path) -> None:
    plain = tmp_path / "plain" / "dataset"
    plain.mkdir(parents=True)
    write_daphnet(plain, n=1000)
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for file in plain.iterdir():
            archive.write(file, f"dataset_fog_release/dataset/{file.name}")
    with tarfile.open(tmp_path / "d.tar.gz", "w:gz") as archive:
        archive.add(plain, "dataset")
    (tmp_path / "xz").mkdir()
    for file in plain.iterdir():
        (tmp_path / "xz" / (file.name + ".xz")).write_bytes(lzma.compress(file.read_bytes()))
    expected = datasets.load("daphnet", tmp_path / "plain", window_s=2)
    assert expected.per_class() == {"no freeze": 6 * 3 + 3, "freeze": 0} or len(expected) > 0
    for location in ("d.zip", "d.tar.gz", "xz"):
        made = datasets.load("daphnet", tmp_path / location, window_s=2)
        np.testing.assert_array_equal(made.x, expected.x)
        assert made.label.tolist() == expected.label.tolist()


def test_daphnet_lines_of_another_form_are_counted_and_another_annotation_refused(tmp_path) -> None:
    path = write_daphnet(tmp_path, subjects=(1,))
    file = path / "S01R01.txt"
    lines = file.read_text().splitlines()
    lines[700] = "1 2 3"
    file.write_text("\n".join(lines))
    (recording,) = datasets.labelled_recordings("daphnet", path)
    assert recording.counts["not eleven numbers"] == 1
    lines[800] = lines[800][:-1] + "7"
    file.write_text("\n".join(lines))
    with pytest.raises(RecordingError, match="expected annotations 0, 1 and 2, got 7"):
        datasets.load("daphnet", path)
    lines[800] = lines[800].replace(" ", " x", 1)
    file.write_text("\n".join(lines))
    with pytest.raises(RecordingError, match="expected a table of numbers, got"):
        datasets.load("daphnet", path)


def spoil_daphnet(folder: Path, location: int, damage: bytes) -> Path:
    """Daphnet's first file with another field in line 700."""
    path = write_daphnet(folder, subjects=(1,))
    file = path / "S01R01.txt"
    lines = file.read_bytes().splitlines()
    fields = lines[700].split(b" ")
    fields[location] = damage
    lines[700] = b" ".join(fields)
    file.write_bytes(b"\n".join(lines))
    return path


@pytest.mark.parametrize("damage", [b"9" * 40, b"1e300", b"-inf", b"nan", b"1 2"], ids=repr)
@pytest.mark.parametrize("row", [0, 3])
def test_a_number_that_cannot_be_is_left_out_and_counted(tmp_path, damage, row) -> None:
    (recording,) = datasets.labelled_recordings("daphnet", spoil_daphnet(tmp_path, row, damage))
    assert recording.counts["not eleven numbers"] == 1
    assert recording.n_rows == len(recording) + 1 == 2000
    assert np.isfinite(datasets.cut([recording], window_s=2).x).all()


@pytest.mark.parametrize("damage", [b"\xea\x9d", b"\x00", b'"', b"x"], ids=repr)
@pytest.mark.parametrize("row", [0, 3])
def test_a_word_where_a_number_belongs_is_refused_with_its_file(tmp_path, damage, row) -> None:
    with pytest.raises(RecordingError, match=r"S01R01.txt: expected a table of numbers, got"):
        datasets.load("daphnet", spoil_daphnet(tmp_path, row, damage))


def test_daphnet_in_g_is_refused(tmp_path) -> None:
    path = write_daphnet(tmp_path, subjects=(1,))
    file = path / "S01R01.txt"
    table = np.loadtxt(file)
    table[:, 1:10] /= 1000
    np.savetxt(file, table, fmt="%g")
    with pytest.raises(ValueError, match=r"expected mg, a median norm near 1000, got 1.*, which fits g"):
        datasets.load("daphnet", path)


def test_an_archive_that_is_cut_off_is_refused(tmp_path) -> None:
    plain = tmp_path / "dataset"
    plain.mkdir()
    write_daphnet(plain, subjects=(1,))
    with tarfile.open(tmp_path / "d.tar.xz", "w:xz") as archive:
        archive.add(plain, "dataset")
    whole = (tmp_path / "d.tar.xz").read_bytes()
    (tmp_path / "d.tar.xz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RecordingError, match="expected a zip or tar archive, got"):
        datasets.load("daphnet", tmp_path / "d.tar.xz")
    (tmp_path / "S01R01.txt.xz").write_bytes(lzma.compress(b"1 2 3\n")[:-8])
    with pytest.raises(RecordingError, match="expected a whole file, got"):
        datasets.load("daphnet", tmp_path / "S01R01.txt.xz")

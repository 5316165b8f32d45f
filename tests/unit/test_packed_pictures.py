"""Pictures that were decoded once: the same batches as the files, whole or not at all."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from imuspec.cli import main
from imuspec.pretraining import pictures as module
from imuspec.pretraining.packed import PackedPictures, read_packed
from imuspec.pretraining.photo_source import PictureSource
from imuspec.pretraining.pictures import decode, find_pictures, pack_pictures
from picture_files import encoded, folder_of, npz_of

SIZE = (12, 20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = folder_of(tmp_path / "photos", {"cat": 5, "dog": 6})
    (folder / "cat" / "broken.png").write_bytes(encoded(1)[:40])
    return folder


@pytest.fixture
def packed(folder: Path, tmp_path: Path) -> PackedPictures:
    return pack_pictures(folder, tmp_path / "photos.npz", size=SIZE)


def test_packed_pictures_are_the_decoded_ones_and_any_numpy_reads_them(packed: PackedPictures, folder: Path) -> None:
    listed = find_pictures(folder)
    assert listed.class_names == packed.class_names == ["cat", "dog"]
    assert [name for name, _ in packed.skipped] == ["cat/broken.png"]
    assert "does not decode" in packed.skipped[0][1]
    good = np.array([i for i, name in enumerate(listed.names) if "broken" not in name])
    assert packed.names == [listed.names[i] for i in good]
    np.testing.assert_array_equal(packed.label, listed.label[good])
    expected = np.stack([decode(listed.items[i], SIZE) for i in good])
    np.testing.assert_array_equal(packed.read(np.arange(len(packed))), expected)
    assert isinstance(packed.pixels, np.memmap)
    np.testing.assert_array_equal(np.load(packed.path)["pixels"][packed.index], expected)


@pytest.mark.parametrize("memory", ["auto", "cpu", "stream"])
def test_a_source_of_packed_pictures_yields_the_batches_of_their_files(
    packed: PackedPictures, folder: Path, memory: str
) -> None:
    settings = {"size": SIZE, "batch": 4, "seed": 3, "labels": True}
    expected = PictureSource(find_pictures(folder), **settings)
    source = PictureSource(find_pictures(packed.path), memory=memory, **settings)
    assert (source._decoded is None) == (memory != "cpu")
    assert source.counts == expected.counts
    assert source.skipped == expected.skipped
    for mine, batch in zip(source.epoch(1), expected.epoch(1), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, batch, strict=True))


def test_some_of_the_packed_pictures_are_a_set_of_their_own(packed: PackedPictures) -> None:
    some = packed[np.array([7, 2])]
    assert some.names == [packed.names[7], packed.names[2]]
    np.testing.assert_array_equal(some.read(np.array([1])), packed.read(np.array([2])))
    assert some.digest() != packed.digest() == read_packed(packed.path).digest()


def test_an_interrupted_packing_leaves_no_file(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped:
        def update(self, *_: object, **__: object) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "_CHUNK", 4)
    out = tmp_path / "out" / "photos.npz"
    out.parent.mkdir()
    with pytest.raises(KeyboardInterrupt):
        pack_pictures(folder, out, size=SIZE, progress=Stopped())
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "compressed", "float", "names", "label", "words"])
def test_a_damaged_file_is_refused_by_its_path(packed: PackedPictures, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "other.npz"
    arrays = dict(np.load(packed.path))
    if damage == "cut":
        path.write_bytes(packed.path.read_bytes()[:-200])
    elif damage == "compressed":
        np.savez_compressed(path, **arrays)
    else:
        text = json.loads(arrays["text"].tobytes())
        text["names"] = text["names"][: -1 if damage == "names" else None]
        arrays["text"] = np.frombuffer(json.dumps(text).encode(), np.uint8)
        arrays["pixels"] = arrays["pixels"].astype(np.float32 if damage == "float" else np.uint8)
        arrays["label"] = arrays["label"].astype(str) if damage == "words" else arrays["label"] + (damage == "label")
        np.savez(path, **arrays)
    if damage == "cut":
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(path)
    with pytest.raises(ValueError, match=r"other.npz: expected a file of `imuspec pictures pack`"):
        read_packed(path)


def test_what_does_not_fit_is_refused(packed: PackedPictures, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"source.height, source.width: expected .* 12 and 20, got 96 and 128"):
        PictureSource(packed, batch=2)
    with pytest.raises(ValueError, match=r"data: expected packed pictures alone"):
        find_pictures([packed.path, folder])
    with pytest.raises(ValueError, match=r"out: expected a file with the ending .npz, got .*photos"):
        pack_pictures(folder, tmp_path / "photos")
    with pytest.raises(ValueError, match=r"data: expected .* got packed ones"):
        pack_pictures(packed.path, tmp_path / "again.npz")


def test_the_command_packs_and_a_training_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = npz_of(tmp_path / "a.npz", [*(encoded(i) for i in range(9)), b"broken"])
    out = tmp_path / "packed.npz"
    with pytest.raises(SystemExit) as stop:
        main(["pictures", "pack", str(data), "--out", str(out), "--height", "12", "--width", "20", "--workers", "0"])
    assert stop.value.code == 0
    shown = capsys.readouterr()
    assert f"{out}: 9 pictures of 12 x 20, 1 left out" in " ".join((shown.out + shown.err).split())
    source = PictureSource(find_pictures(out), size=SIZE, batch=3)
    assert len(list(source.epoch(0))) == 3

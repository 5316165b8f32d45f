"""Sources of pictures: found, decoded, left out when broken, shared among processes, in an order that a resume can enter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from imuspec.pretraining.photo_source import PictureSource
from imuspec.pretraining.pictures import EncodedPictures, decode, find_pictures
from picture_files import encoded, folder_of, npz_of, picture


def test_a_folder_for_each_class_gives_labels_and_a_plain_folder_none(tmp_path) -> None:
    result = find_pictures(folder_of(tmp_path / "a", {"cat": 2, "dog": 3}))
    assert result.class_names == ["cat", "dog"]
    assert result.label.tolist() == [0, 0, 1, 1, 1]
    assert result.names[0] == "cat/000.png"
    plain = find_pictures(folder_of(tmp_path / "b", {".": 3}))
    assert len(plain) == 3
    assert plain.label.tolist() == [-1, -1, -1]


def test_an_npz_and_a_folder_join_by_the_names_of_classes(tmp_path) -> None:
    npz = npz_of(
        tmp_path / "a.npz", [encoded(0), encoded(1)], label=np.array([1, 0]), class_name=np.array(["dog", "emu"])
    )
    result = find_pictures([npz, folder_of(tmp_path / "b", {"cat": 1, "dog": 2})])
    assert result.class_names == ["cat", "dog", "emu"]
    assert result.label.tolist() == [2, 1, 0, 1, 1]
    np.testing.assert_array_equal(decode(result.items[0], (30, 40)), np.asarray(picture(0)).transpose(2, 0, 1))


def test_the_whole_picture_is_stretched_whatever_its_mode(tmp_path) -> None:
    for mode in ("RGB", "L", "P", "RGBA", "CMYK", "1"):
        path = tmp_path / f"{mode}.{'jpg' if mode == 'CMYK' else 'png'}"
        picture(3).convert(mode).save(path)
        got = decode(path, (12, 20))
        assert got.shape == (3, 12, 20)
        assert got.dtype == np.uint8
    expected = np.asarray(picture(3).resize((20, 12), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    np.testing.assert_array_equal(decode(tmp_path / "RGB.png", (12, 20)), expected)


def test_a_large_jpeg_decoded_small_first_is_nearly_the_same(tmp_path) -> None:
    path = tmp_path / "large.jpg"
    picture(5, (1600, 1200)).save(path, quality=95)
    with Image.open(path) as whole:
        expected = np.asarray(whole.convert("RGB").resize((128, 96), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.abs(decode(path, (96, 128)).astype(int) - expected).mean() < 1.5


@pytest.mark.parametrize(("memory_gb", "workers"), [(1.0, 0), (1e-9, 0), (1e-9, 1)])
def test_what_does_not_decode_is_left_out_counted_and_named(tmp_path, memory_gb, workers) -> None:
    good = [encoded(i, ("PNG", "JPEG", "WEBP")[i % 3]) for i in range(9)]
    items = [*good[:4], b"not a picture", *good[4:7], good[7][: len(good[7]) // 2], good[8]]
    result = find_pictures(npz_of(tmp_path / "a.npz", items))
    source = PictureSource(result, size=(30, 40), batch=3, memory_gb=memory_gb, workers=workers)
    seen = torch.cat(list(source.epoch(0)))
    assert [name for name, _ in source.skipped] == ["a.npz[4]", "a.npz[8]"] or memory_gb < 1
    assert {name for name, _ in source.skipped} <= {"a.npz[4]", "a.npz[8]"}
    assert all("does not decode" in reason for _, reason in source.skipped)
    assert len(seen) == (6 if memory_gb == 1.0 else 9)
    known = [torch.from_numpy(decode(item, (30, 40))) for item in good if item is not good[7]]
    assert all(
        any(torch.equal(got, one) for one in known) for got in seen
    )  # no black picture stands in for a broken one
    assert source.counts["undecodable"] == len(source.skipped) > 0


def test_batches_are_a_function_of_seed_epoch_and_step_and_processes_share_them(tmp_path) -> None:
    result = find_pictures(npz_of(tmp_path / "a.npz", [encoded(i) for i in range(26)]))

    def batches(epoch: int, first: int = 0, **settings: int | float) -> list[torch.Tensor]:
        return list(PictureSource(result, size=(6, 8), batch=8, **settings).epoch(epoch, first))

    whole = batches(1)
    assert len(whole) == 3
    assert all(torch.equal(a, b) for a, b in zip(whole[1:], batches(1, 1), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(whole, batches(1, memory_gb=1e-9), strict=True))
    assert not torch.equal(whole[0], batches(2)[0])
    assert not torch.equal(whole[0], batches(1, seed=1)[0])
    halves = [batches(1, rank=rank, world=2) for rank in range(2)]
    for step, batch in enumerate(whole):
        assert torch.equal(batch, torch.cat([halves[0][step], halves[1][step]]))
    assert len(torch.cat(whole).unique(dim=0)) == 24  # no picture twice in an epoch


def test_labels_stay_with_their_pictures(tmp_path) -> None:
    label = np.arange(12) % 3
    result = find_pictures(npz_of(tmp_path / "a.npz", [encoded(i) for i in range(12)], label=label))
    source = PictureSource(result, size=(30, 40), batch=4, labels=True)
    assert source.n_classes == 3
    by_picture = {decode(item, (30, 40)).tobytes(): int(total) for item, total in zip(result.items, label, strict=True)}
    for pictures, labels in source.epoch(0):
        assert [by_picture[p.numpy().tobytes()] for p in pictures] == labels.tolist()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda at: find_pictures(at / "none"), FileNotFoundError, "expected a folder of pictures or an npz"),
        (lambda at: find_pictures(at / "none.npz"), FileNotFoundError, "expected an npz file"),
        (find_pictures, ValueError, "expected pictures .* got none"),
        (lambda _: find_pictures([]), ValueError, "expected a folder or an npz file, got none"),
        (lambda at: find_pictures(_other_npz(at)), ValueError, "expected arrays data and offset, got x"),
        (lambda at: find_pictures(_rising(at)), ValueError, "expected offsets that rise from 0 to"),
        (lambda at: PictureSource(_some(at), batch=8), ValueError, "expected at least a batch, 8, got 4"),
        (lambda at: PictureSource(_some(at), batch=3, world=2), ValueError, "multiple of the 2 processes, got 3"),
        (lambda at: PictureSource(_some(at), batch=2, labels=True), ValueError, "a class for each picture"),
    ],
)
def test_wrong_data_say_what_was_expected(tmp_path, make, error, message) -> None:
    with pytest.raises(error, match=message):
        make(tmp_path)


def _other_npz(at: Path) -> Path:
    np.savez(at / "other.npz", x=np.zeros(3))
    return at / "other.npz"


def _rising(at: Path) -> Path:
    np.savez(at / "falling.npz", data=np.zeros(9, np.uint8), offset=np.array([0, 5, 3]))
    return at / "falling.npz"


def _some(at: Path) -> EncodedPictures:
    return find_pictures(npz_of(at / "some.npz", [encoded(i) for i in range(4)]))


@pytest.mark.parametrize("memory", ["cpu", "gpu", "stream"])
def test_pictures_are_the_same_wherever_they_are_held(tmp_path, memory) -> None:
    x = [np.full((8, 8, 3), 20 * i, np.uint8) for i in range(6)]
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, pixels in enumerate(x):
        Image.fromarray(pixels).save(folder / f"{i}.png")
    encoded_pictures = find_pictures(folder)
    expected = list(PictureSource(encoded_pictures, size=(8, 8), batch=2).epoch(1))
    held = PictureSource(
        encoded_pictures, size=(8, 8), batch=2, memory=memory, memory_gb=1e-9, gpu=torch.device("meta")
    )
    assert held._decoded is None if memory == "stream" else held._decoded is not None
    if memory == "gpu":
        assert held._decoded.device.type == "meta"
        return
    held.pinned = False  # there is no GPU to pin memory for
    assert all(torch.equal(a, b) for a, b in zip(held.epoch(1), expected, strict=True))


def test_pictures_on_a_gpu_need_one(tmp_path) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"source.memory: expected auto, cpu or stream, .* got gpu"):
        PictureSource(find_pictures(tmp_path), size=(8, 8), batch=1, memory="gpu")

"""Pictures for pre-training: in a folder, in a folder for each class, in an npz file of encoded pictures, or packed.

Pictures are resized without a crop. A picture that cannot be decoded is left out, counted and named.
"""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from imuspec.errors import expect_once
from imuspec.pretraining.packed import PackedPictures, is_packed, read_packed, write_packed
from imuspec.progress import Progress

__all__ = ["EncodedPictures", "decode", "decoding", "find_pictures", "in_chunks", "pack_pictures"]

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".gif"}
_UNKNOWN = -1
_CHUNK = 64
_READ = 1024  # files of pictures whose content is in the digest


@dataclass(frozen=True)
class EncodedPictures:
    """N encoded pictures, with labels and names.

    Attributes
    ----------
    items : list of Path or bytes
        Path or content of each picture file.
    label : ndarray
        int64 ``[N]``: index in `class_names`, or -1 for an unknown label.
    class_names : list of str
        Names of the classes.
    names : list of str
        Name of each picture, for messages.
    """

    items: list[Path | bytes]
    label: NDArray[np.int64]
    class_names: list[str]
    names: list[str] = field(repr=False)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: NDArray[np.int64]) -> EncodedPictures:
        """Return the pictures with these indices."""
        chosen = [int(i) for i in index]
        return EncodedPictures(
            [self.items[i] for i in chosen], self.label[chosen], self.class_names, [self.names[i] for i in chosen]
        )

    @property
    def labelled(self) -> bool:
        """Whether every picture has a label."""
        return bool((self.label >= 0).all())

    def digest(self) -> str:
        """Return a SHA-256 of the names, the labels, and the content of each picture of an npz, or the size of each file.

        Of files, the content of at most 1,024, spread evenly, counts too: a whole set would take hours to read.
        """
        digest = hashlib.sha256(repr((self.names, self.class_names)).encode() + self.label.tobytes())
        read = {*np.linspace(0, len(self.items) - 1, min(_READ, len(self.items))).astype(int).tolist()}
        for number, item in enumerate(self.items):
            digest.update(item if isinstance(item, bytes) else str(item.stat().st_size).encode())
            if isinstance(item, Path) and number in read:
                digest.update(item.read_bytes())
        return digest.hexdigest()


def find_pictures(data: str | Path | Sequence[str | Path]) -> EncodedPictures | PackedPictures:
    """Find the pictures in folders and npz files, or open a file of packed pictures.

    Parameters
    ----------
    data : str, Path or sequence of them
        Folders, which are searched recursively, and npz files. If all pictures of a folder are in sub-folders, the name of
        the first sub-folder of the path is the class. An npz file has ``data`` (uint8, the picture files end to end) and
        ``offset`` (int64 ``[N + 1]``), and may have ``label`` (int64 ``[N]``) and ``class_name``. Equal class names in
        several folders or files are the same class. A file of `pack_pictures` must be the only one.

    Returns
    -------
    EncodedPictures or PackedPictures
        The pictures in the order of `data`, those of a folder sorted by path.

    Raises
    ------
    FileNotFoundError
        If there is no folder or file at a path.
    ValueError
        If a folder has no pictures, an npz file has another layout, a path is given twice, or a file of packed pictures is one
        of several.
    """
    paths = [Path(data)] if isinstance(data, str | Path) else [Path(path) for path in data]
    if not paths:
        raise ValueError("data: expected a folder or an npz file, got none")
    expect_once("data", [path.resolve() for path in paths])
    packed = [path for path in paths if path.suffix == ".npz" and is_packed(path)]
    if packed:
        if len(paths) > 1:
            raise ValueError(f"data: expected packed pictures alone, got {packed[0]} and {len(paths) - 1} more")
        return read_packed(packed[0])
    parts = [_read_npz(path) if path.suffix == ".npz" else _search_folder(path) for path in paths]
    names = sorted({name for part in parts for name in part.class_names}) if len(parts) > 1 else parts[0].class_names
    index = {name: number for number, name in enumerate(names)}
    labels = []
    for part in parts:
        new_label = np.array([*(index[name] for name in part.class_names), _UNKNOWN])
        labels.append(new_label[part.label])
    return EncodedPictures(
        [item for part in parts for item in part.items],
        np.concatenate(labels).astype(np.int64),
        names,
        [name for part in parts for name in part.names],
    )


def _search_folder(folder: Path) -> EncodedPictures:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a folder of pictures or an npz file, got nothing there")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    if not paths:
        raise ValueError(f"{folder}: expected pictures ({', '.join(sorted(ENDINGS))}), got none")
    parts = [path.relative_to(folder).parts for path in paths]
    classes = sorted({part[0] for part in parts}) if all(len(part) > 1 for part in parts) else []
    index = {name: number for number, name in enumerate(classes)}
    label = np.array([index.get(part[0], _UNKNOWN) for part in parts], np.int64)
    return EncodedPictures(list(paths), label, classes, ["/".join(part) for part in parts])


def _read_npz(path: Path) -> EncodedPictures:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected an npz file of pictures, got nothing there")
    with np.load(path, allow_pickle=False) as archive:
        missing = [key for key in ("data", "offset") if key not in archive]
        if missing:
            raise ValueError(f"{path}: expected arrays data and offset, got {', '.join(archive) or 'none'}")
        data, offset = archive["data"], archive["offset"].astype(np.int64)
        n = len(offset) - 1
        label = archive["label"].astype(np.int64) if "label" in archive else np.full(n, _UNKNOWN)
        classes = [str(name) for name in archive["class_name"]] if "class_name" in archive else []
    if n < 1 or offset[0] < 0 or offset[-1] > len(data) or (np.diff(offset) < 0).any():
        raise ValueError(f"{path}: expected offsets that rise from 0 to {len(data)}, got {n} pictures with others")
    if len(label) != n or (len(label) and label.max() >= max(len(classes), 1) and classes):
        raise ValueError(f"{path}: expected a label below {len(classes)} for each of {n} pictures, got {len(label)}")
    if not classes:
        classes = [str(number) for number in range(int(label.max()) + 1)]
    items: list[Path | bytes] = [data[a:b].tobytes() for a, b in itertools.pairwise(offset)]
    return EncodedPictures(items, label, classes, [f"{path.name}[{i}]" for i in range(n)])


def decode(item: Path | bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode a picture and resize it by Pillow's bilinear filter.

    A large JPEG is decoded at a half, a quarter or an eighth of its size, which its format allows, before it is resized.

    Parameters
    ----------
    item : Path or bytes
        Path or content of a picture file.
    size : tuple of int
        Rows and columns of the result.

    Returns
    -------
    ndarray
        RGB, uint8 ``[3, rows, columns]``.

    Raises
    ------
    ValueError
        If the picture cannot be decoded. The message has the reason.
    """
    from PIL import Image

    rows, columns = size
    try:
        with Image.open(io.BytesIO(item) if isinstance(item, bytes) else item) as picture:
            picture.draft("RGB", (columns, rows))
            whole = picture.convert("RGB").resize((columns, rows), Image.Resampling.BILINEAR)
    except Exception as error:  # decoders raise many types: OSError, SyntaxError, struct.error, DecompressionBombError
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"expected a picture, got a file that does not decode: {reason}") from error
    return np.ascontiguousarray(np.asarray(whole).transpose(2, 0, 1))


class _Decoding(Dataset[tuple[NDArray[np.uint8], str]]):
    """Decoded pictures with an empty reason, or zeros with the reason why a picture cannot be decoded."""

    def __init__(self, items: list[Path | bytes], size: tuple[int, int]) -> None:
        self.items, self.size = items, size

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], str]:
        try:
            return decode(self.items[index], self.size), ""
        except ValueError as error:
            return np.zeros((3, *self.size), np.uint8), str(error)


def _stacked(batch: list[tuple[NDArray[np.uint8], str]]) -> tuple[Tensor, list[str]]:
    return torch.from_numpy(np.stack([picture for picture, _ in batch])), [reason for _, reason in batch]


def decoding(
    items: list[Path | bytes], batches: list[NDArray[np.int64]], *, size: tuple[int, int], workers: int
) -> DataLoader[tuple[NDArray[np.uint8], str]]:
    """Return a loader that decodes batches of pictures.

    Parameters
    ----------
    items : list of Path or bytes
        Path or content of each picture file.
    batches : list of ndarray
        Indices of the pictures of each batch.
    size : tuple of int
        Rows and columns.
    workers : int
        Number of processes that decode; with 0 this process decodes.

    Returns
    -------
    DataLoader
        Of each batch, pictures uint8 ``[B, 3, rows, columns]``, and a reason for each, empty if it was decoded.
    """
    return DataLoader(
        _Decoding(items, size),
        batch_sampler=[[int(i) for i in index] for index in batches],
        num_workers=workers,
        collate_fn=_stacked,
    )


def in_chunks(n: int) -> list[NDArray[np.int64]]:
    """Return the indices 0 to n - 1 in chunks that are decoded together."""
    return [np.arange(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK)]


def pack_pictures(
    data: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    size: tuple[int, int] = (96, 128),
    workers: int = 0,
    progress: Progress | None = None,
) -> PackedPictures:
    """Decode and resize pictures once, into a file that a training maps into memory.

    Parameters
    ----------
    data : str, Path or sequence of them
        Folders and npz files, as in `find_pictures`.
    out : str or Path
        The file, with the ending ``.npz``. It appears when it is complete.
    size : tuple of int, default (96, 128)
        Rows and columns.
    workers : int, default 0
        Number of processes that decode; with 0 this process decodes.
    progress : Progress, optional
        Display of the number of pictures.

    Returns
    -------
    PackedPictures
        The pictures. A picture that cannot be decoded is left out and named in ``skipped``.

    Raises
    ------
    ValueError
        If `out` has another ending, or the pictures are packed already.
    """
    path = Path(out)
    if path.suffix != ".npz":
        raise ValueError(f"out: expected a file with the ending .npz, got {path}")
    pictures = find_pictures(data)
    if isinstance(pictures, PackedPictures):
        raise ValueError(f"data: expected folders and npz files of encoded pictures, got packed ones: {pictures.path}")

    def batches() -> Iterator[tuple[NDArray[np.uint8], list[str]]]:
        n = 0
        loader = decoding(pictures.items, in_chunks(len(pictures)), size=size, workers=workers)
        for decoded, reasons in loader:
            n += len(decoded)
            yield decoded.numpy(), reasons
            if progress is not None:
                progress.update(n, total=len(pictures))

    write_packed(
        path, batches(), size=size, label=pictures.label, class_names=pictures.class_names, names=pictures.names
    )
    return read_packed(path)

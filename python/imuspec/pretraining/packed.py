"""Pictures that were decoded once: uint8 in one file, which is mapped into memory and never read whole.

The file is an npz archive without compression, which `numpy.load` opens. ``pixels`` is uint8 ``[N, 3, rows, columns]``, ``label``
is int64 ``[N]`` with -1 for unknown, and ``text`` is JSON as bytes: ``names``, ``class_names``, and ``skipped``, the reason of
each picture that did not decode, by its index. The pixels of such a picture are zeros, and nothing reads them.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imuspec.storage import atomic_path

__all__ = ["PackedPictures", "is_packed", "read_packed", "write_packed"]

_PIXELS = "pixels.npy"
_LOCAL_HEADER = struct.Struct("<26xHH")  # of a zip member: bytes of its name, and of the extra field


@dataclass(frozen=True)
class PackedPictures:
    """N decoded pictures in a file, with labels and names.

    Attributes
    ----------
    path : Path
        The file.
    pixels : ndarray
        uint8 ``[M, 3, rows, columns]``, mapped from the file; ``M`` is at least N.
    index : ndarray
        int64 ``[N]``: row of `pixels` of each picture.
    label : ndarray
        int64 ``[N]``: index in `class_names`, or -1 for an unknown label.
    class_names : list of str
        Names of the classes.
    names : list of str
        Name of each picture, for messages.
    skipped : list of tuple of str
        (name, reason) of every picture that did not decode.
    checksum : int
        CRC-32 of the pixels, as the archive states it.
    """

    path: Path
    pixels: NDArray[np.uint8] = field(repr=False)
    index: NDArray[np.int64] = field(repr=False)
    label: NDArray[np.int64] = field(repr=False)
    class_names: list[str]
    names: list[str] = field(repr=False)
    skipped: list[tuple[str, str]]
    checksum: int

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, index: NDArray[np.int64]) -> PackedPictures:
        """Return the pictures with these indices."""
        return PackedPictures(
            self.path,
            self.pixels,
            self.index[index],
            self.label[index],
            self.class_names,
            [self.names[int(i)] for i in index],
            self.skipped,
            self.checksum,
        )

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of every picture."""
        return int(self.pixels.shape[2]), int(self.pixels.shape[3])

    @property
    def labelled(self) -> bool:
        """Whether every picture has a label."""
        return bool((self.label >= 0).all())

    def read(self, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the pictures with these indices, uint8 ``[len(index), 3, rows, columns]``."""
        pictures: NDArray[np.uint8] = np.take(self.pixels, self.index[index], axis=0)
        return pictures

    def digest(self) -> str:
        """Return a SHA-256 of the names, the labels, the size, and the checksum of the pixels."""
        digest = hashlib.sha256(repr((self.names, self.class_names, self.size, self.checksum)).encode())
        digest.update(self.label.tobytes())
        return digest.hexdigest()


def is_packed(path: Path) -> bool:
    """Return whether a file is an archive of decoded pictures."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _PIXELS in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def read_packed(path: Path) -> PackedPictures:
    """Open a file of `write_packed`. The pixels stay in the file.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    ValueError
        If the file has another layout.
    """
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            entry = archive.getinfo(_PIXELS)
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError("its pixels are compressed")
            file.seek(entry.header_offset)
            file.seek(entry.header_offset + _LOCAL_HEADER.size + sum(_LOCAL_HEADER.unpack(file.read(30))))
            version = np.lib.format.read_magic(file)
            read_header = (
                np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            )
            shape, in_columns, dtype = read_header(file)
            if dtype != np.uint8 or len(shape) != 4 or shape[1] != 3 or in_columns:
                raise ValueError(f"its pixels are {dtype} {list(shape)}")
            pixels = np.memmap(path, np.uint8, "r", file.tell(), shape)
            label = np.lib.format.read_array(archive.open("label.npy"))
            text: dict[str, Any] = json.loads(np.lib.format.read_array(archive.open("text.npy")).tobytes())
        names, classes = [str(name) for name in text["names"]], [str(name) for name in text["class_names"]]
        reasons = {int(row): str(reason) for row, reason in text["skipped"].items()}
        if not len(names) == len(label) == len(pixels) or not all(0 <= row < len(names) for row in reasons):
            raise ValueError(f"it has {len(pixels)} pictures, {len(names)} names and {len(label)} labels")
        if label.dtype.kind not in "iu" or label.ndim != 1:
            raise ValueError(f"its labels are {label.dtype} {list(label.shape)}")
        if len(label) and label.max() >= max(len(classes), 1):
            raise ValueError(f"it has label {label.max()} and {len(classes)} classes")
    except (KeyError, ValueError, TypeError, AttributeError, struct.error, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: expected a file of `imuspec pictures pack`, got another: {error}") from error
    index = np.setdiff1d(np.arange(len(names)), list(reasons))
    skipped = [(names[row], reason) for row, reason in sorted(reasons.items())]
    return PackedPictures(
        path, pixels, index, label[index].astype(np.int64), classes, [names[i] for i in index], skipped, entry.CRC
    )


def write_packed(
    path: Path,
    batches: Iterator[tuple[NDArray[np.uint8], Sequence[str]]],
    *,
    size: tuple[int, int],
    label: NDArray[np.int64],
    class_names: list[str],
    names: list[str],
) -> list[tuple[str, str]]:
    """Write decoded pictures to a file, a batch at a time. The file appears when it is complete.

    Parameters
    ----------
    path : Path
        The file.
    batches : iterator of (ndarray, sequence of str)
        Pictures uint8 ``[B, 3, rows, columns]``, and the reason of each that did not decode; empty for the others.
    size : tuple of int
        Rows and columns.
    label : ndarray
        int64 ``[N]``, one for each picture of all batches.
    class_names : list of str
        Names of the classes.
    names : list of str
        Name of each picture.

    Returns
    -------
    list of tuple of str
        (name, reason) of every picture that did not decode.
    """
    skipped: dict[int, str] = {}
    n = 0
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(names), 3, *size)}
    with atomic_path(path) as waiting, zipfile.ZipFile(waiting, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(_PIXELS, "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for pictures, reasons in batches:
                skipped.update({n + i: reason for i, reason in enumerate(reasons) if reason})
                member.write(np.ascontiguousarray(pictures).data)
                n += len(pictures)
        text = {"names": names, "class_names": class_names, "skipped": skipped}
        for name, array in (("label", label), ("text", np.frombuffer(json.dumps(text).encode(), np.uint8))):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array)
    return [(names[row], reason) for row, reason in skipped.items()]

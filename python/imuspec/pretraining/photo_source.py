"""Pictures for pre-training: any folder, a folder for each class, or an npz of encoded pictures; decoded, whole, one size.

What does not decode is left out, counted and named. Decoded pictures stay in memory when they fit, else worker processes
decode them anew for each step. The whole picture is stretched to the size asked for, with no crop.
"""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from imuspec.pretraining.source import Validate
from imuspec.run.named import PeopleSeen

__all__ = ["EncodedPictures", "PictureSource", "decode", "find_pictures"]

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".gif"}
_UNKNOWN = -1
_CHUNK = 64
_WORTH_WORKERS = 512  # fewer pictures decode in the time that workers take to start


@dataclass(frozen=True)
class EncodedPictures:
    """Encoded pictures, N of them.

    Attributes
    ----------
    items : list
        Paths, or the bytes of one encoded picture each.
    label : ndarray
        int64 ``[N]``: index in `class_names`; -1 where no label is known.
    class_names : list of str
        Names of the labels.
    names : list of str
        Name of each picture in messages.
    """

    items: list[Path | bytes]
    label: NDArray[np.int64]
    class_names: list[str]
    names: list[str] = field(repr=False)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: NDArray[np.int64]) -> EncodedPictures:
        """Return the pictures of these indices."""
        chosen = [int(i) for i in index]
        return EncodedPictures(
            [self.items[i] for i in chosen], self.label[chosen], self.class_names, [self.names[i] for i in chosen]
        )

    @property
    def labelled(self) -> bool:
        """Whether every picture has a label."""
        return bool((self.label >= 0).all())

    def digest(self) -> str:
        """Return a SHA-256 of names, labels, and sizes of files or bytes of encoded pictures."""
        digest = hashlib.sha256(repr((self.names, self.class_names)).encode() + self.label.tobytes())
        for item in self.items:
            digest.update(item if isinstance(item, bytes) else str(item.stat().st_size).encode())
        return digest.hexdigest()


def find_pictures(data: str | Path | Sequence[str | Path]) -> EncodedPictures:
    """Find the pictures of a folder or an npz, or of several one after the other.

    A folder is searched with all below it; where every picture lies in a sub-folder the first one's name is its class. An
    npz has ``data`` (uint8, the files end to end), ``offset`` (N + 1), and may have ``label`` and ``class_name``. Classes
    of the same name in several places are one class.

    Raises
    ------
    FileNotFoundError
        Nothing at a path.
    ValueError
        No picture in a folder, or an npz of another layout.
    """
    places = [data] if isinstance(data, str | Path) else list(data)
    if not places:
        raise ValueError("data: expected a folder or an npz file, got none")
    found = [_in_npz(Path(at)) if Path(at).suffix == ".npz" else _in_folder(Path(at)) for at in places]
    names = sorted({name for part in found for name in part.class_names}) if len(found) > 1 else found[0].class_names
    position = {name: number for number, name in enumerate(names)}
    labels = []
    for part in found:
        to = np.array([*(position[name] for name in part.class_names), _UNKNOWN])
        labels.append(to[part.label])
    return EncodedPictures(
        [item for part in found for item in part.items],
        np.concatenate(labels).astype(np.int64),
        names,
        [name for part in found for name in part.names],
    )


def _in_folder(folder: Path) -> EncodedPictures:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a folder of pictures or an npz file, got nothing there")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    if not paths:
        raise ValueError(f"{folder}: expected pictures ({', '.join(sorted(ENDINGS))}), got none")
    parts = [path.relative_to(folder).parts for path in paths]
    classes = sorted({part[0] for part in parts}) if all(len(part) > 1 for part in parts) else []
    number = {name: i for i, name in enumerate(classes)}
    label = np.array([number.get(part[0], _UNKNOWN) for part in parts], np.int64)
    return EncodedPictures(list(paths), label, classes, ["/".join(part) for part in parts])


def _in_npz(path: Path) -> EncodedPictures:
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
    """Return a picture as RGB ``[3, rows, columns]``, stretched to ``size = (rows, columns)`` by Pillow's bilinear filter.

    A JPEG much larger than that is decoded at a half, a quarter or an eighth of its size first, as its format allows.

    Raises
    ------
    ValueError
        The file does not decode; the message has the reason.
    """
    from PIL import Image

    rows, columns = size
    try:
        with Image.open(io.BytesIO(item) if isinstance(item, bytes) else item) as picture:
            picture.draft("RGB", (columns, rows))
            whole = picture.convert("RGB").resize((columns, rows), Image.Resampling.BILINEAR)
    except (
        Exception
    ) as error:  # decoders raise what they like: OSError, SyntaxError, struct.error, DecompressionBomb...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"expected a picture, got a file that does not decode: {reason}") from error
    return np.ascontiguousarray(np.asarray(whole).transpose(2, 0, 1))


class _Decoding(Dataset[tuple[NDArray[np.uint8], str]]):
    """Item i, decoded; zeros and a reason where it does not decode."""

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


class PictureSource:
    """Batches of whole pictures, uint8 ``[B, 3, rows, columns]``, in a new order each epoch.

    The batches are a function of (seed, epoch, step, rank, world): order ``default_rng([seed, epoch])``, step by step,
    each process its consecutive part of the step. What is left over after the last whole batch waits for another epoch.

    Parameters
    ----------
    pictures : EncodedPictures
        The pictures.
    size : tuple of int, default (96, 128)
        Rows and columns.
    batch : int, default 256
        Pictures of a step, all processes together.
    seed : int, default 0
        Seed of the orders.
    rank, world : int, default 0, 1
        Index of this process, and number of processes.
    workers : int, default 0
        Processes that decode; 0 decodes in this one.
    memory_gb : float, default 4
        Decoded pictures stay in memory when they need no more than this, GB.
    labels : bool, default False
        Whether to yield ``(pictures, labels)``.

    Attributes
    ----------
    skipped : list of tuple of str
        (name, reason) of every picture that did not decode. In memory they are left out. Where pictures are decoded for
        each step, a picture is found when it is first due, and the next one of the step takes its place.
    n_classes : int, optional
        Number of labels; None without `labels`.

    Raises
    ------
    ValueError
        If there are fewer pictures than a batch, the processes do not divide a batch, or labels are asked for and some
        are unknown.
    """

    name = "images"
    n_steps: int | None = None
    mean: Sequence[float] | None = None
    sd: Sequence[float] | None = None
    people = PeopleSeen()
    validate: Validate | None = None

    def __init__(
        self,
        pictures: EncodedPictures,
        *,
        size: tuple[int, int] = (96, 128),
        batch: int = 256,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
        memory_gb: float = 4.0,
        labels: bool = False,
    ) -> None:
        if batch % world:
            raise ValueError(f"training.batch: expected a multiple of the {world} processes, got {batch}")
        self.pictures, self.size, self.batch, self.seed = pictures, size, batch, seed
        self.rank, self.world, self.workers, self.labels = rank, world, workers, labels
        self.digest = pictures.digest()
        self.skipped: list[tuple[str, str]] = []
        self._decoded: Tensor | None = None
        if len(pictures) * 3 * size[0] * size[1] <= memory_gb * 1e9:
            self._decode_all()
        if labels and not self.pictures.labelled:
            raise ValueError("labels: expected a class for each picture (a folder for each), got pictures without")
        self.steps_per_epoch = len(self.pictures) // batch
        if not self.steps_per_epoch:
            raise ValueError(f"pictures: expected at least a batch, {batch}, got {len(self.pictures)} that decode")
        self.n_classes = len(self.pictures.class_names) if labels else None

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of pictures in use, of those that did not decode, and of those of an epoch."""
        return {
            "pictures": len(self.pictures),
            "undecodable": len(self.skipped),
            "pictures_per_epoch": self.steps_per_epoch * self.batch,
        }

    def scaled(self, batch: Any) -> Any:
        """Return the batch: views take pictures as uint8."""
        return batch

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Any]:
        """Yield this process's batches of an epoch from `first_step` on."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.pictures))
        mine = self.batch // self.world
        at = [step * self.batch + self.rank * mine for step in range(first_step, self.steps_per_epoch)]
        steps = [order[begin : begin + mine] for begin in at]
        for index, pictures in zip(steps, self._batches(steps), strict=True):
            yield (pictures, torch.from_numpy(self.pictures.label[index])) if self.labels else pictures

    def _batches(self, steps: list[NDArray[np.int64]]) -> Iterator[Tensor]:
        if self._decoded is not None:
            yield from (self._decoded[torch.from_numpy(index)] for index in steps)
            return
        known = dict(self.skipped)
        loader = self._loader(self.pictures.items, steps)
        for index, (pictures, reasons) in zip(steps, loader, strict=True):
            bad = [i for i, reason in enumerate(reasons) if reason]
            good = [i for i, reason in enumerate(reasons) if not reason]
            for i in bad:
                name = self.pictures.names[index[i]]
                if name not in known:
                    known[name] = reasons[i]
                    self.skipped.append((name, reasons[i]))
                if not good:
                    raise ValueError(f"{name}: {reasons[i]}; nor does any other picture of its step")
                pictures[i] = pictures[next((j for j in good if j > i), good[0])]
            yield pictures

    def _decode_all(self) -> None:
        n = len(self.pictures)
        decoded = torch.empty((n, 3, *self.size), dtype=torch.uint8)
        kept: list[int] = []
        steps = [np.arange(begin, min(begin + _CHUNK, n)) for begin in range(0, n, _CHUNK)]
        workers = self.workers if n >= _WORTH_WORKERS else 0
        for index, (pictures, reasons) in zip(steps, self._loader(self.pictures.items, steps, workers), strict=True):
            good = [i for i, reason in enumerate(reasons) if not reason]
            decoded[len(kept) : len(kept) + len(good)] = pictures[good]
            kept += [int(index[i]) for i in good]
            self.skipped += [(self.pictures.names[index[i]], reason) for i, reason in enumerate(reasons) if reason]
        self._decoded = decoded[: len(kept)]
        self.pictures = self.pictures[np.array(kept, np.int64)]

    def _loader(
        self, items: list[Path | bytes], steps: list[NDArray[np.int64]], workers: int | None = None
    ) -> DataLoader[tuple[NDArray[np.uint8], str]]:
        return DataLoader(
            _Decoding(items, self.size),
            batch_sampler=[[int(i) for i in index] for index in steps],
            num_workers=self.workers if workers is None else workers,
            collate_fn=_stacked,
        )

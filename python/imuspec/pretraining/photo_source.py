"""Pictures for pre-training, from a folder, a folder for each class, or an npz file of encoded pictures.

Pictures are resized without a crop. A picture that cannot be decoded is left out, counted and named. Decoded pictures stay in
memory if they fit; otherwise worker processes decode them again for each step.
"""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from imuspec.pretraining.source import Validate, indices_of_epoch
from imuspec.run.named import PeopleSeen

__all__ = ["EncodedPictures", "PictureSource", "decode", "find_pictures"]

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".gif"}
_UNKNOWN = -1
_CHUNK = 64
_MIN_FOR_WORKERS = 512  # workers need more time to start than this many pictures need to decode


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
        """Return a SHA-256 of the names, the labels, and the size of each file or the content of each picture of an npz."""
        digest = hashlib.sha256(repr((self.names, self.class_names)).encode() + self.label.tobytes())
        for item in self.items:
            digest.update(item if isinstance(item, bytes) else str(item.stat().st_size).encode())
        return digest.hexdigest()


def find_pictures(data: str | Path | Sequence[str | Path]) -> EncodedPictures:
    """Find the pictures in folders and npz files.

    Parameters
    ----------
    data : str, Path or sequence of them
        Folders, which are searched recursively, and npz files. If all pictures of a folder are in sub-folders, the name of
        the first sub-folder of the path is the class. An npz file has ``data`` (uint8, the picture files end to end) and
        ``offset`` (int64 ``[N + 1]``), and may have ``label`` (int64 ``[N]``) and ``class_name``. Equal class names in
        several folders or files are the same class.

    Returns
    -------
    EncodedPictures
        The pictures in the order of `data`, those of a folder sorted by path.

    Raises
    ------
    FileNotFoundError
        If there is no folder or file at a path.
    ValueError
        If a folder has no pictures, or an npz file has another layout.
    """
    paths = [Path(data)] if isinstance(data, str | Path) else [Path(path) for path in data]
    if not paths:
        raise ValueError("data: expected a folder or an npz file, got none")
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


def _free_bytes(gpu: torch.device) -> int:
    return torch.cuda.mem_get_info(gpu)[0] if gpu.type == "cuda" else 0


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


class PictureSource:
    """Batches of pictures, uint8 ``[B, 3, rows, columns]``, in another random order in each epoch.

    `imuspec.pretraining.source.indices_of_epoch` defines the order.

    Parameters
    ----------
    pictures : EncodedPictures
        The pictures.
    size : tuple of int, default (96, 128)
        Rows and columns.
    batch : int, default 256
        Pictures in a step, over all processes.
    seed : int, default 0
        Seed of the orders.
    rank, world : int, default 0, 1
        Index of this process, and number of processes.
    workers : int, default 0
        Number of processes that decode; with 0 this process decodes.
    memory : {"auto", "cpu", "gpu", "stream"}, default "auto"
        Place of the decoded pictures. "stream": they are decoded again for each step. "auto": "cpu" if they need at most
        `memory_gb`, and also "gpu" if they need at most half of the free memory of `gpu`, else "stream".
    memory_gb : float, default 4
        Largest memory for decoded pictures with "auto", GB.
    gpu : torch.device, optional
        The GPU of the training, if it has one.
    labels : bool, default False
        Whether to yield ``(pictures, labels)``.

    Attributes
    ----------
    skipped : list of tuple of str
        (name, reason) of every picture that cannot be decoded. If pictures are decoded for each step, such a picture is
        replaced by the next one of the step, and is listed after its first use.
    n_classes : int, optional
        Number of classes; None without `labels`.

    Raises
    ------
    ValueError
        If there are fewer pictures than a batch, `batch` is no multiple of `world`, `labels` is true and a label is unknown,
        or `memory` is "gpu" without a GPU.
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
        memory: Literal["auto", "cpu", "gpu", "stream"] = "auto",
        memory_gb: float = 4.0,
        gpu: torch.device | None = None,
        labels: bool = False,
    ) -> None:
        if batch % world:
            raise ValueError(f"training.batch: expected a multiple of the {world} processes, got {batch}")
        self.pictures, self.size, self.batch, self.seed = pictures, size, batch, seed
        self.rank, self.world, self.workers, self.labels = rank, world, workers, labels
        self.digest = pictures.digest()
        self.skipped: list[tuple[str, str]] = []
        self.split: dict[str, Any] = {}
        self._decoded: Tensor | None = None
        self.pinned = gpu is not None
        if memory == "gpu" and gpu is None:
            raise ValueError("source.memory: expected auto, cpu or stream, as the training has no GPU, got gpu")
        n_bytes = len(pictures) * 3 * size[0] * size[1]
        if memory in ("cpu", "gpu") or (memory == "auto" and n_bytes <= memory_gb * 1e9):
            self._decoded = self._decode_all()
            if gpu is not None and (memory == "gpu" or (memory == "auto" and n_bytes <= _free_bytes(gpu) / 2)):
                self._decoded = self._decoded.to(gpu)
        if labels and not self.pictures.labelled:
            raise ValueError("labels: expected a class for each picture (a folder for each), got pictures without")
        self.steps_per_epoch = len(self.pictures) // batch
        if not self.steps_per_epoch:
            raise ValueError(f"pictures: expected at least a batch, {batch}, got {len(self.pictures)} that decode")
        self.n_classes = len(self.pictures.class_names) if labels else None

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of pictures that are used, that cannot be decoded, and in an epoch."""
        return {
            "pictures": len(self.pictures),
            "undecodable": len(self.skipped),
            "pictures_per_epoch": self.steps_per_epoch * self.batch,
        }

    def scaled(self, batch: Any) -> Any:
        """Return the batch unchanged, as views take uint8 pictures.

        Parameters
        ----------
        batch : Tensor or tuple of Tensor
            A batch of `epoch`.
        """
        return batch

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Any]:
        """Yield pictures, uint8 ``[B, 3, rows, columns]``, or (pictures, labels int64 ``[B]``), as in `BatchSource.epoch`."""
        steps = indices_of_epoch(
            len(self.pictures), epoch, first_step, batch=self.batch, seed=self.seed, process=(self.rank, self.world)
        )
        for index, pictures in zip(steps, self._batches(steps), strict=True):
            yield (pictures, torch.from_numpy(self.pictures.label[index])) if self.labels else pictures

    def _batches(self, steps: list[NDArray[np.int64]]) -> Iterator[Tensor]:
        if self._decoded is not None:
            for index in steps:
                chosen = self._decoded[torch.from_numpy(index).to(self._decoded.device)]
                yield chosen.pin_memory() if self.pinned and chosen.device.type == "cpu" else chosen
            return
        listed = dict(self.skipped)
        for index, (pictures, reasons) in zip(steps, self._loader(steps, self.workers), strict=True):
            bad = [i for i, reason in enumerate(reasons) if reason]
            good = [i for i, reason in enumerate(reasons) if not reason]
            for i in bad:
                name = self.pictures.names[index[i]]
                if name not in listed:
                    listed[name] = reasons[i]
                    self.skipped.append((name, reasons[i]))
                if not good:
                    raise ValueError(f"{name}: {reasons[i]}; no other picture of the step decodes")
                pictures[i] = pictures[next((j for j in good if j > i), good[0])]
            yield pictures

    def _decode_all(self) -> Tensor:
        """Return all pictures ``[N, 3, rows, columns]``, and leave out those that cannot be decoded."""
        n = len(self.pictures)
        decoded = torch.empty((n, 3, *self.size), dtype=torch.uint8)
        remaining: list[int] = []
        chunks = [np.arange(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK)]
        workers = self.workers if n >= _MIN_FOR_WORKERS else 0
        for index, (pictures, reasons) in zip(chunks, self._loader(chunks, workers), strict=True):
            good = [i for i, reason in enumerate(reasons) if not reason]
            decoded[len(remaining) : len(remaining) + len(good)] = pictures[good]
            remaining += [int(index[i]) for i in good]
            self.skipped += [(self.pictures.names[index[i]], reason) for i, reason in enumerate(reasons) if reason]
        self.pictures = self.pictures[np.array(remaining, np.int64)]
        return decoded[: len(remaining)]

    def _loader(
        self, batches: list[NDArray[np.int64]], workers: int
    ) -> DataLoader[tuple[NDArray[np.uint8], str]]:  # yields (uint8 [B, 3, rows, columns], reasons)
        return DataLoader(
            _Decoding(self.pictures.items, self.size),
            batch_sampler=[[int(i) for i in index] for index in batches],
            num_workers=workers,
            collate_fn=_stacked,
        )

"""Batches of pictures for pre-training.

Decoded pictures stay on the GPU if they fit, or in memory; otherwise worker processes decode them again for each step. Packed
pictures are read from their file for each step if they do not fit on the GPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imuspec.pretraining.packed import PackedPictures
from imuspec.pretraining.pictures import EncodedPictures, decoding, in_chunks
from imuspec.pretraining.source import Validate, indices_of_epoch
from imuspec.run.named import PeopleSeen

__all__ = ["PictureSource"]

_MIN_FOR_WORKERS = 512  # workers need more time to start than this many pictures need to decode


def _free_bytes(gpu: torch.device) -> int:
    return torch.cuda.mem_get_info(gpu)[0] if gpu.type == "cuda" else 0


class PictureSource:
    """Batches of pictures, uint8 ``[B, 3, rows, columns]``, in another random order in each epoch.

    `imuspec.pretraining.source.indices_of_epoch` defines the order.

    Parameters
    ----------
    pictures : EncodedPictures or PackedPictures
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
        Place of the decoded pictures. "stream": they are decoded again, or read from the file of packed pictures, for each
        step. "auto": "gpu" if they need at most half of the free memory of `gpu`, else "cpu" if they are not packed and need at
        most `memory_gb`, else "stream".
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
        `memory` is "gpu" without a GPU, or the pictures were packed with another size.
    """

    name = "images"
    n_steps: int | None = None
    mean: Sequence[float] | None = None
    sd: Sequence[float] | None = None
    people = PeopleSeen()
    validate: Validate | None = None

    def __init__(
        self,
        pictures: EncodedPictures | PackedPictures,
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
        packed = isinstance(pictures, PackedPictures)
        if isinstance(pictures, PackedPictures) and pictures.size != tuple(size):
            raise ValueError(
                f"source.height, source.width: expected those of the packed pictures, {pictures.size[0]} and "
                f"{pictures.size[1]}, got {size[0]} and {size[1]}"
            )
        self.skipped: list[tuple[str, str]] = list(pictures.skipped) if isinstance(pictures, PackedPictures) else []
        self.split: dict[str, Any] = {}
        self._decoded: Tensor | None = None
        if memory == "gpu" and gpu is None:
            raise ValueError("source.memory: expected auto, cpu or stream, as the training has no GPU, got gpu")
        n_bytes = len(pictures) * 3 * size[0] * size[1]
        if gpu is not None and (memory == "gpu" or (memory == "auto" and n_bytes <= _free_bytes(gpu) / 2)):
            self._decoded = self._decode_all(gpu)
        elif memory == "cpu" or (memory == "auto" and not packed and n_bytes <= memory_gb * 1e9):
            self._decoded = self._decode_all(torch.device("cpu"))
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
                yield self._decoded[torch.from_numpy(index).to(self._decoded.device)]
            return
        if isinstance(self.pictures, PackedPictures):
            yield from (torch.from_numpy(self.pictures.read(index)) for index in steps)
            return
        listed = dict(self.skipped)
        loader = decoding(self.pictures.items, steps, size=self.size, workers=self.workers)
        for index, (pictures, reasons) in zip(steps, loader, strict=True):
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

    def _decode_all(self, device: torch.device) -> Tensor:
        """Return all pictures ``[N, 3, rows, columns]`` on a device, and leave out those that cannot be decoded."""
        n = len(self.pictures)
        decoded = torch.empty((n, 3, *self.size), dtype=torch.uint8, device=device)
        chunks = in_chunks(n)
        if isinstance(self.pictures, PackedPictures):
            for index in chunks:
                decoded[index[0] : index[-1] + 1] = torch.from_numpy(self.pictures.read(index))
            return decoded
        remaining: list[int] = []
        workers = self.workers if n >= _MIN_FOR_WORKERS else 0
        loader = decoding(self.pictures.items, chunks, size=self.size, workers=workers)
        for index, (pictures, reasons) in zip(chunks, loader, strict=True):
            good = [i for i, reason in enumerate(reasons) if not reason]
            decoded[len(remaining) : len(remaining) + len(good)] = pictures[good]
            remaining += [int(index[i]) for i in good]
            self.skipped += [(self.pictures.names[index[i]], reason) for i, reason in enumerate(reasons) if reason]
        self.pictures = self.pictures[np.array(remaining, np.int64)]
        return decoded[: len(remaining)]

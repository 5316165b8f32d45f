"""A task that a small network learns in seconds, and a source of its batches that a resume can enter anywhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from imuspec.encoders import Encoder

SIZE = (16, 24)


def stripes(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy pictures [n, 3, 16, 24] of lying (0) or standing (1) stripes with random period and phase."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, n)
    period, phase = random.uniform(3, 8, n), random.uniform(0, 2 * np.pi, n)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    along = np.where(label[:, None, None] == 1, columns, rows)
    wave = np.sin(2 * np.pi * along / period[:, None, None] + phase[:, None, None])
    pictures = wave[:, None] + random.normal(0, 0.5, (n, 3, *SIZE))
    return torch.from_numpy(pictures.astype(np.float32)), torch.from_numpy(label)


class SmallEncoder(Encoder):
    """Two convolutions with batch norm, 16 features."""

    kind = "image"
    n_features = 16

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).mean((2, 3))


class ArraySource:
    """Batches of tensors in an order that follows from (seed, epoch) alone; every `world`-th slice is a rank's."""

    def __init__(self, *tensors: Tensor, batch: int, rank: int = 0, world: int = 1) -> None:
        self.tensors, self.batch, self.rank, self.world = tensors, batch, rank, world
        self.steps_per_epoch = len(tensors[0]) // batch

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, ...]]:
        order = torch.from_numpy(np.random.default_rng([7, epoch]).permutation(len(self.tensors[0])))
        mine = self.batch // self.world
        for step in range(first_step, self.steps_per_epoch):
            at = step * self.batch + self.rank * mine
            yield tuple(tensor[order[at : at + mine]] for tensor in self.tensors)

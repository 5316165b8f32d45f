"""Train a small network on windows of a cohort, as each process of torchrun does: COHORT RUN [STEP at which rank 1 dies once].

Every process reads its own windows from the one cohort when it needs them; none holds a copy.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from imuspec import Cohort
from imuspec.encoders import Encoder
from imuspec.objectives.supervised import Supervised
from imuspec.pretraining.loop import train
from imuspec.pretraining.processes import rank_and_world
from imuspec.recipe import TrainingSettings
from imuspec.run.run import Run

SETTINGS = TrainingSettings(
    epochs=3, batch=16, base_lr=0.05, scale_lr=False, precision="32-true", device="cpu", log_steps=2, checkpoint_steps=4
)
WINDOW_S = 10.0


class SignalEncoder(Encoder):
    """Two convolutions over time, 8 features."""

    kind = "signal"
    n_features = 8

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(3, 8, 9, stride=3), nn.ReLU(), nn.Conv1d(8, 8, 9, stride=3), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).mean(2)


class CohortSource:
    """Windows of a cohort with the number of their recording, odd or even, in an order of (epoch, step, rank) alone."""

    steps_per_epoch = 8

    def __init__(self, cohort: Path, deadly_step: int | None) -> None:
        self._cohort = Cohort(cohort)
        self._rank, self._world = rank_and_world()
        self._deadly_step = deadly_step
        self._died = cohort.parent / "died"

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(first_step, self.steps_per_epoch):
            if self._rank == 1 and epoch * self.steps_per_epoch + step == self._deadly_step and not self._died.exists():
                self._died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            rng = np.random.default_rng([7, epoch, step])
            chosen = rng.integers(len(self._cohort), size=SETTINGS.batch)
            starts = rng.uniform(0, 300.0, SETTINGS.batch)
            mine = slice(self._rank * SETTINGS.batch // self._world, (self._rank + 1) * SETTINGS.batch // self._world)
            windows = [
                np.nan_to_num(self._cohort.read(self._cohort.ids[number], start, WINDOW_S))
                for number, start in zip(chosen[mine], starts[mine], strict=True)
            ]
            yield torch.from_numpy(np.stack(windows)), torch.from_numpy(chosen[mine] % 2)


def main() -> None:
    cohort, run, *deadly = sys.argv[1:]
    torch.set_num_threads(1)
    torch.manual_seed(3)
    objective = Supervised(SignalEncoder(), n_classes=2)
    source = CohortSource(Path(cohort), int(deadly[0]) if deadly else None)
    train(objective, source, settings=SETTINGS, run=Run(run), resume=True)


if __name__ == "__main__":
    main()

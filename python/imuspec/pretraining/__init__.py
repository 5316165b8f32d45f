"""Pre-training: sources of batches, and one training loop for a CPU, a GPU or several processes."""

from __future__ import annotations

from imuspec.pretraining.loop import CollapseError, NonFiniteLossError, train
from imuspec.pretraining.pretraining import pretrain
from imuspec.pretraining.processes import rank_and_world
from imuspec.pretraining.schedule import learning_rate
from imuspec.pretraining.source import BatchSource, Source

__all__ = [
    "BatchSource",
    "CollapseError",
    "NonFiniteLossError",
    "Source",
    "learning_rate",
    "pretrain",
    "rank_and_world",
    "train",
]

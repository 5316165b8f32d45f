"""The one training loop: any objective on any source of batches, on a CPU, a GPU or several processes."""

from __future__ import annotations

from imuspec.training.loop import BatchSource, CollapseError, NonFiniteLossError, place, train
from imuspec.training.schedule import learning_rate

__all__ = ["BatchSource", "CollapseError", "NonFiniteLossError", "learning_rate", "place", "train"]

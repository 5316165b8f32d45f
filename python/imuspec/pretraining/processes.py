"""The processes of a training: which one this is, how they start, and how they agree."""

from __future__ import annotations

import atexit
import os
from typing import cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn

from imuspec.recipe import TrainingSettings

__all__ = ["average_norms", "place", "start_processes"]


def place() -> tuple[int, int]:
    """Return the rank of this process and the number of processes, from torchrun's variables; (0, 1) without them."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def start_processes(settings: TrainingSettings) -> Fabric:
    """Return the device and the processes of a training; several average their gradients by DDP."""
    world = place()[1]
    here = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
    fabric = Fabric(
        accelerator=settings.device,
        devices=here,
        num_nodes=world // here,
        strategy=DDPStrategy(broadcast_buffers=False) if world > 1 else "auto",
        precision=settings.precision,
    )
    fabric.launch()
    if world > 1:
        atexit.register(_leave_group)
    return fabric


def _leave_group() -> None:
    """End gloo's threads: a process that exits while they run may abort after all its work is done."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def average_norms(fabric: Fabric, module: nn.Module) -> None:
    """Give every process the mean of the batch norms' running statistics, as each has seen its own batches alone."""
    if fabric.world_size == 1:
        return
    for name, buffer in module.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.copy_(cast("Tensor", fabric.all_reduce(buffer)))

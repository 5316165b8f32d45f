"""The processes of a training: their number, their start, and their batch norms."""

from __future__ import annotations

import atexit
import os
from typing import cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn

from imuspec.recipe import TrainingSettings

__all__ = ["average_norms", "rank_and_world", "start_processes"]


def rank_and_world() -> tuple[int, int]:
    """Return the rank of this process and the number of processes, from the environment variables of torchrun.

    Without these variables the result is (0, 1).
    """
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def start_processes(settings: TrainingSettings) -> Fabric:
    """Connect the processes of a training, and select their devices.

    Parameters
    ----------
    settings : TrainingSettings
        Device and precision, as `imuspec.pretraining.computation.resolve` returns them.

    Returns
    -------
    Fabric
        The processes. If there are several, DDP averages their gradients.
    """
    _, world = rank_and_world()
    local_world = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
    fabric = Fabric(
        accelerator=settings.device,
        devices=local_world,
        num_nodes=world // local_world,
        strategy=DDPStrategy(broadcast_buffers=False) if world > 1 else "auto",
        precision=None if settings.precision == "auto" else settings.precision,
    )
    fabric.launch()
    if world > 1:
        atexit.register(_leave_group)
    return fabric


def _leave_group() -> None:
    """Stop the threads of gloo. A process that exits while they run may abort."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def average_norms(fabric: Fabric, module: nn.Module) -> None:
    """Replace the running statistics of all batch norms by their mean over the processes.

    Each process computes them from its part of the batches only.

    Parameters
    ----------
    fabric : Fabric
        The processes.
    module : torch.nn.Module
        The module, changed in place.
    """
    if fabric.world_size == 1:
        return
    for name, buffer in module.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.copy_(cast("Tensor", fabric.all_reduce(buffer)))

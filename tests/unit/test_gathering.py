"""Two processes that share a batch have the loss and the gradient of one process with all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, multiprocessing, nn
from torch import distributed as dist

from imuspec.objectives.moco_v3 import batch_contrast
from imuspec.objectives.simclr import nt_xent

LOSSES = {"moco_v3": batch_contrast, "simclr": nt_xent}


def views() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    first, second = torch.randn(2, 12, 5, generator=generator, dtype=torch.float64)
    return first, second


def network() -> nn.Module:
    torch.manual_seed(2)
    return nn.Linear(5, 7).double()


def one_process(name: str, first: Tensor, second: Tensor) -> tuple[Tensor, list[Tensor]]:
    model = network()
    loss = LOSSES[name](model(first), model(second))
    loss.backward()
    return loss.detach(), [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def half(rank: int, name: str, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    loss, gradients = one_process(name, *(view.chunk(2)[rank] for view in views()))
    for value in (loss, *gradients):  # as DDP does
        dist.all_reduce(value)
        value.div_(2)
    if rank == 0:
        torch.save([loss, *gradients], f"{folder}/joint.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("name", LOSSES)
def test_two_processes_have_the_loss_and_gradient_of_one(name: str, tmp_path: Path) -> None:
    multiprocessing.spawn(half, (name, str(tmp_path)), nprocs=2)
    loss, *gradients = torch.load(tmp_path / "joint.pt", weights_only=True)
    expected_loss, expected = one_process(name, *views())
    assert float(loss) == pytest.approx(float(expected_loss), abs=1e-9)
    for gradient, whole in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, whole, atol=1e-9, rtol=0)
    assert float(expected_loss) != pytest.approx(float(one_process(name, *(v[:6] for v in views()))[0]), abs=1e-3)

"""Two processes that share a batch have the loss and the gradient of one process with all of it."""

from __future__ import annotations

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


def half(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    joint = {}
    for name in LOSSES:
        loss, gradients = one_process(name, *(view.chunk(2)[rank] for view in views()))
        for value in (loss, *gradients):  # as DDP does
            dist.all_reduce(value)
            value.div_(2)
        joint[name] = [loss, *gradients]
    if rank == 0:
        torch.save(joint, f"{folder}/joint.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def joint(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Tensor]]:
    """Loss and gradients of two processes, by name of the loss."""
    folder = tmp_path_factory.mktemp("joint")
    multiprocessing.spawn(half, (str(folder),), nprocs=2)
    result: dict[str, list[Tensor]] = torch.load(folder / "joint.pt", weights_only=True)
    return result


@pytest.mark.parametrize("name", LOSSES)
def test_two_processes_have_the_loss_and_gradient_of_one(name: str, joint: dict[str, list[Tensor]]) -> None:
    loss, *gradients = joint[name]
    expected_loss, expected = one_process(name, *views())
    assert float(loss) == pytest.approx(float(expected_loss), abs=1e-9)
    for gradient, whole in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, whole, atol=1e-9, rtol=0)
    assert float(expected_loss) != pytest.approx(float(one_process(name, *(v[:6] for v in views()))[0]), abs=1e-3)

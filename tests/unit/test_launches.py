"""A training step gives its device few operators, waits for none of them, and compiles as one graph."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from imuspec import encoders, objectives
from imuspec.encoders import Encoder
from imuspec.encoders.roformer import RoFormer, rotate, rotation_angles
from imuspec.nn import LMMLoss, RGBImage
from imuspec.objectives import Objective
from imuspec.objectives.masked import MaskedSignalAutoencoder
from imuspec.objectives.norms import GroupedBatchNorm
from launches import WAITING, launches


@pytest.fixture(autouse=True)
def _fresh_compiler() -> None:
    torch.compiler.reset()
    torch.manual_seed(0)


# Operators that a step may launch. More of them are a slower step on a GPU: look for the new ones before raising a number.
MOST = {"moco": 1050, "picture": 61, "auto-encoder": 1270, "simclr": 114, "moco_v3": 714}


def by_loop(norm: GroupedBatchNorm, x: Tensor) -> Tensor:
    """Grouped batch norm by its definition: torch's batch norm of one group after the other, then mean statistics."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    parts, means, variances = [], [], []
    for part in x.split(norm.group):
        mean, variance = norm.running_mean.clone(), norm.running_var.clone()
        parts.append(
            functional.batch_norm(part, mean, variance, norm.weight, norm.bias, True, norm.momentum or 0.1, norm.eps)
        )
        means.append(mean)
        variances.append(variance)
    norm.running_mean.copy_(torch.stack(means).mean(0))
    norm.running_var.copy_(torch.stack(variances).mean(0))
    return torch.cat(parts)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_grouped_norm_is_the_loop_over_groups(affine: bool, layout: torch.memory_format, dtype: torch.dtype) -> None:
    ours = GroupedBatchNorm(nn.BatchNorm2d(6, affine=affine), 4)
    if affine:
        nn.init.normal_(ours.weight)
        nn.init.normal_(ours.bias)
    ours.double() if dtype == torch.float64 else ours.float()
    loop = copy.deepcopy(ours)
    x = (3 * torch.randn(12, 6, 5, 7) + 2).to(dtype).contiguous(memory_format=layout)
    x, gradient = x.requires_grad_(), torch.randn(12, 6, 5, 7).to(dtype)
    y = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    out, expected = ours(x), by_loop(loop, y)
    assert out.is_contiguous(memory_format=layout)
    assert out.dtype == expected.dtype == dtype
    out.backward(gradient)
    expected.backward(gradient)
    close = {"atol": 1e-6, "rtol": 1e-5} if dtype != torch.bfloat16 else {"atol": 0.04, "rtol": 0.01}
    torch.testing.assert_close(out, expected, **close)
    torch.testing.assert_close(x.grad, y.grad, **close)
    for name, value in loop.named_buffers():
        torch.testing.assert_close(dict(ours.named_buffers())[name], value + (name == "num_batches_tracked"))
    if affine:
        wide = {"atol": 1e-4, "rtol": 1e-5} if dtype != torch.bfloat16 else {"atol": 0.2, "rtol": 0.02}
        torch.testing.assert_close(ours.weight.grad, loop.weight.grad, **wide)
        torch.testing.assert_close(ours.bias.grad, loop.bias.grad, **wide)


class Small(Encoder):
    """One block of convolution, batch norm and ReLU."""

    kind = "image"
    n_features = 8

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block(x).mean((2, 3))
        return out


def moco(encoder: Encoder) -> tuple[Objective, tuple[Tensor, Tensor]]:
    """MoCo and a batch of small pictures in eight groups, channels last."""
    objective = objectives.build("moco", encoder, queue=64, norm_group=2)
    pair = torch.randn(2, 16, 3, 32, 32)
    channels_last = [view.contiguous(memory_format=torch.channels_last) for view in pair]
    return objective.to(memory_format=torch.channels_last), (channels_last[0], channels_last[1])


def step_of(objective: Objective, inputs: tuple[Tensor, ...]) -> Callable[[], Tensor]:
    """A training step as the loop makes it: forward, backward, optimiser, `after_step`."""
    optimizer = torch.optim.SGD([p for p in objective.parameters() if p.requires_grad], lr=0.01, fused=True)

    def step() -> Tensor:
        loss: Tensor = objective(*inputs)[0]
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        objective.after_step()
        return loss.detach()

    return step


def test_a_step_of_moco_launches_little_and_waits_for_nothing() -> None:
    step = launches(step_of(*moco(encoders.build("resnet18"))))
    assert step.counts.total() <= MOST["moco"], step.counts
    assert not WAITING & set(step.counts)
    assert not step.from_host


def test_a_step_of_simclr_launches_little_and_waits_for_nothing() -> None:
    step = launches(step_of(*simclr()))
    assert step.counts.total() <= MOST["simclr"], step.counts
    assert not WAITING & set(step.counts)
    assert not step.from_host


def moco_v3(encoder: Encoder) -> tuple[Objective, tuple[Tensor, Tensor]]:
    """MoCo v3 with small heads, and a batch of small pictures."""
    objective = objectives.build("moco_v3", encoder, total_steps=10, hidden=32, width=8)
    return objective, (torch.randn(4, 3, 32, 32), torch.randn(4, 3, 32, 32))


def test_a_step_of_moco_v3_launches_little_and_waits_for_nothing() -> None:
    vit = encoders.build("vit", size="tiny", n_heads=3, image=(32, 32))
    step = launches(step_of(*moco_v3(vit)))
    assert step.counts.total() <= MOST["moco_v3"], step.counts
    assert not WAITING & set(step.counts)
    assert not step.from_host


def test_both_views_of_moco_v3_in_one_batch_are_the_views_one_after_the_other() -> None:
    objective, views = moco_v3(encoders.build("vit", size="tiny", n_heads=3, image=(32, 32)))
    apart = copy.deepcopy(objective)
    assert not objective.separate_views
    apart.separate_views = True
    steps = step_of(objective, views), step_of(apart, views)
    for _ in range(2):
        torch.testing.assert_close(steps[0](), steps[1](), atol=1e-5, rtol=1e-5)
    for mine, expected in zip(objective.state_dict().values(), apart.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, expected, atol=1e-4, rtol=1e-4)
    assert moco_v3(Small())[0].separate_views  # each view has its own batch statistics


def simclr() -> tuple[Objective, tuple[Tensor, Tensor]]:
    """SimCLR with its network of signals, and two views."""
    return objectives.build("simclr", encoders.build("tpn")), (torch.randn(8, 3, 100), torch.randn(8, 3, 100))


def labelled() -> tuple[Objective, tuple[Tensor, Tensor]]:
    """Classes of small pictures."""
    return objectives.build("supervised", Small(), n_classes=3), (torch.randn(8, 3, 32, 32), torch.arange(8) % 3)


def image_autoencoder() -> tuple[Objective, tuple[Tensor, ...]]:
    """The masked auto-encoder of pictures."""
    vit = encoders.build("vit", size="tiny", n_heads=3, image=(32, 32), positions="sincos")
    return objectives.build("mae", vit), (torch.randn(4, 3, 32, 32),)


OTHERS: dict[str, Callable[[], tuple[Objective, tuple[Tensor, ...]]]] = {
    "simsiam": lambda: (objectives.build("simsiam", Small()), tuple(torch.randn(2, 8, 3, 32, 32))),
    "supervised": labelled,
    "mae": image_autoencoder,
    "limu_bert": lambda: (
        objectives.build("limu_bert", encoders.build("limu_bert")),
        (torch.randn(4, 3, 100), torch.randn(4, 3, 100), torch.rand(4, 100) < 0.2),
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_step_of_no_objective_waits_for_the_device(name: str) -> None:
    step = launches(step_of(*OTHERS[name]()))
    assert not WAITING & set(step.counts), step.counts
    assert not step.from_host


OBJECTIVES: dict[str, Callable[[], tuple[Objective, tuple[Tensor, ...]]]] = {
    "moco": lambda: moco(Small()),
    "simclr": simclr,
    "lmm": lambda: autoencoder(share=0.6, depth=1),
    "mse": lambda: autoencoder(share=0.6, depth=1, lmm=0.0, mse=1.0),
    "simsiam": OTHERS["simsiam"],
    "supervised": OTHERS["supervised"],
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_compiles_as_one_graph_and_computes_the_same(name: str) -> None:
    objective, inputs = OBJECTIVES[name]()
    assert objective.one_graph
    torch.manual_seed(1)
    expected = step_of(copy.deepcopy(objective), inputs)()
    objective.compile(fullgraph=True, backend="aot_eager")  # inductor needs half a minute of C++ on a CPU
    torch.manual_seed(1)
    torch.testing.assert_close(step_of(objective, inputs)(), expected, atol=1e-5, rtol=1e-5)


def test_a_compiled_picture_is_one_graph_and_the_same_picture() -> None:
    module, x = RGBImage(), torch.randn(4, 3, 500)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), module(x))


def test_a_picture_is_made_of_few_operators_and_of_no_tensor_from_the_host() -> None:
    module, x = RGBImage(), torch.randn(4, 3, 500)
    picture = launches(lambda: module(x))
    assert picture.counts.total() <= MOST["picture"], picture.counts
    assert not WAITING & set(picture.counts)
    assert not picture.from_host


def test_a_change_of_precision_does_not_round_the_constants_of_a_picture() -> None:
    x = torch.randn(2, 3, 500, dtype=torch.float64)
    module = RGBImage()
    expected = module(x)
    assert torch.equal(module.to(torch.bfloat16).to(torch.float64)(x), expected)


RESOLUTIONS = (16, 32, 64, 128)


def autoencoder(*, depth: int = 12, **settings: Any) -> tuple[MaskedSignalAutoencoder, tuple[Tensor, Tensor, Tensor]]:
    """The masked auto-encoder, whose loss takes a GPU's path, with windows, hidden and missing patches."""
    objective = MaskedSignalAutoencoder(RoFormer(width=32, depth=depth, n_heads=4), nfft=RESOLUTIONS, **settings)
    objective.loss.native = False
    missing = torch.zeros(4, 5, dtype=torch.bool)
    missing[1, 4] = True
    return objective, (torch.randn(4, 3, 1500), torch.arange(20).view(4, 5) % 5 < 3, missing)


def test_a_step_of_the_autoencoder_launches_little_and_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)  # the path of a GPU: no number of patches is read
    step = launches(step_of(*autoencoder(share=0.6)))
    assert step.counts.total() <= MOST["auto-encoder"], step.counts
    assert not WAITING & set(step.counts)


@pytest.mark.parametrize("share", [0.6, 1.0])
def test_hidden_patches_alone_give_the_loss_and_gradient_of_all_patches(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective, (x, hidden, missing) = autoencoder(share=share, mse=0.5, lmv=0.5)
    plain = objective.loss.measure(
        objective.reconstruct(x, hidden, missing), x.view(4, 3, 5, 300).transpose(1, 2), hidden & ~missing
    )[0]
    plain.backward()
    gradients = [parameter.grad.clone() for parameter in objective.parameters()]
    for compiling in (False, True):
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda compiling=compiling: compiling)
        objective.zero_grad()
        loss = objective(x, hidden, missing)[0]
        torch.testing.assert_close(loss, plain, atol=0, rtol=1e-5)
        loss.backward()
        for parameter, gradient in zip(objective.parameters(), gradients, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, atol=1e-5, rtol=1e-4)


def test_more_hidden_patches_than_the_share_make_the_loss_nan_where_an_error_would_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    objective, inputs = autoencoder(share=0.4)
    assert torch.isfinite(objective(*inputs)[0])
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert torch.isnan(objective(*inputs)[0])


@pytest.mark.parametrize("length", [300, 512, 600])
def test_one_product_for_all_frame_lengths_is_the_product_of_each(length: int) -> None:
    x, y = torch.randn(2, 3, 2, length, dtype=torch.float64)
    settings = {"lmm": 1.0, "lmv": 0.5, "mse": 0.1}
    together = LMMLoss(RESOLUTIONS, native=False, **settings)(x, y)
    each = sum(LMMLoss(n, native=True, lmm=1.0, lmv=0.5)(x, y) for n in RESOLUTIONS)
    torch.testing.assert_close(together, each + 0.1 * (x - y).square().mean(-1).sum(-1).mean(), atol=0, rtol=1e-9)


def test_rotary_positions_turn_pairs_by_their_definition() -> None:
    angles = rotation_angles(7, 16)
    x = torch.randn(2, 3, 7, 16, dtype=torch.float64)
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack((a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()), -1).flatten(-2)
    torch.testing.assert_close(rotate(x, angles.cos(), angles.sin()), turned, atol=1e-14, rtol=0)

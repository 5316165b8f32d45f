"""The native loss passes the gradient of its forward on, whose memory belongs to the caller from then on."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from imuspec.nn import LMMLoss

Reduction = Literal["mean", "none"]


def pair(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    prediction, target = torch.randn(2, 5, 3, 300, generator=generator, dtype=dtype)
    return prediction.requires_grad_(), target


@pytest.mark.parametrize("factor", [1.0, 0.25])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_the_gradient_is_that_of_the_matrix_path(reduction: Reduction, factor: float) -> None:
    prediction, target = pair()
    gradients: list[Tensor] = []
    for native in (True, False):
        loss = LMMLoss(mse=0.5, reduction=reduction, native=native)(prediction, target)
        weights = torch.arange(1, loss.numel() + 1, dtype=loss.dtype).reshape(loss.shape)
        gradients += torch.autograd.grad((loss * weights * factor).sum(), prediction)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("factors", [(1.0, 1.0), (3.0, 1.0), (1.0, 3.0)])
def test_another_backward_of_a_retained_graph_leaves_the_first_gradient(
    reduction: Reduction, factors: tuple[float, float]
) -> None:
    prediction, target = pair()
    loss = LMMLoss(reduction=reduction)(prediction, target)
    first, second = (
        torch.autograd.grad(loss, prediction, torch.full_like(loss, factor), retain_graph=True)[0] for factor in factors
    )
    expected = torch.autograd.grad(LMMLoss(reduction=reduction, native=False)(prediction, target).sum(), prediction)[0]
    torch.testing.assert_close(first, factors[0] * expected)
    torch.testing.assert_close(second, factors[1] * expected)


def test_a_graph_that_is_not_retained_has_one_backward() -> None:
    prediction, target = pair()
    loss = LMMLoss()(prediction, target)
    loss.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward()


def test_a_gradient_without_patches_is_empty() -> None:
    prediction, target = torch.zeros(0, 3, 300, requires_grad=True), torch.zeros(0, 3, 300)
    LMMLoss()(prediction, target).backward()
    assert prediction.grad is not None
    assert prediction.grad.shape == (0, 3, 300)

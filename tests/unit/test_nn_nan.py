"""NaN in gives NaN out in every module of `imuspec.nn`, and masks mean the same on every path of the loss."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import imuspec
from imuspec.nn import LMMLoss, LogMagnitudeVariance, LogMeanMagnitude, RGBImage, Spectrogram

MODULES = {
    "spectrogram psd": lambda: Spectrogram(nperseg=64),
    "spectrogram magnitude": lambda: Spectrogram(nperseg=64, mode="magnitude"),
    "spectrogram db": lambda: Spectrogram(nperseg=64, db=True),
    "log mean magnitude": lambda: LogMeanMagnitude(32),
    "log magnitude variance": lambda: LogMagnitudeVariance(32),
    "literal minimum": lambda: LogMeanMagnitude(32, literal_min=True),
    "image greys": RGBImage,
    "image linear": lambda: RGBImage(levels="linear", resize="antialias"),
    "image native grid": lambda: RGBImage(size=None),
}


def signals() -> Tensor:
    return torch.randn(2, 3, 300, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES.keys())
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_one_bad_sample_makes_nan_of_its_axis_alone(make: Callable[[], nn.Module], value: float) -> None:
    x = signals()
    clean = make()(x)
    x[1, 2, 40] = value
    out = make()(x)
    touched = ~torch.isfinite(out[1, 2])
    assert touched.any()
    assert touched.all() or out.ndim == 4 or value == torch.inf
    out[1, 2] = clean[1, 2] = 0
    assert torch.equal(out, clean)


def test_the_module_has_nan_where_the_function_has() -> None:
    x = signals()[0]
    x[1, 7] = torch.nan
    expected = imuspec.log_mean_magnitude(x.numpy(), nfft=32)
    assert torch.equal(LogMeanMagnitude(32)(x).isnan(), torch.from_numpy(expected).isnan())


def test_bytes_refuse_nan() -> None:
    x = signals()
    x[0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="expected finite samples for uint8 levels"):
        RGBImage(dtype="uint8")(x)


@pytest.mark.parametrize("native", [True, False])
def test_a_loss_of_nan_is_nan(native: bool) -> None:
    x = signals()
    assert torch.isnan(LMMLoss(native=native)(torch.full_like(x, torch.nan), x))


@pytest.mark.parametrize("native", [True, False])
def test_a_mask_of_integers_is_that_of_bool(native: bool) -> None:
    x, prediction = signals(), signals().flip(-1)
    mask = torch.tensor([True, False])
    loss = LMMLoss(native=native, lmv=0.5, mse=0.1)
    expected = loss(prediction, x, mask)
    assert torch.equal(loss(prediction, x, mask.long()), expected)
    assert torch.equal(loss(prediction, x, mask.to(torch.uint8)), expected)
    assert torch.equal(loss(prediction, x, 2 * mask.long()), expected)
    torch.testing.assert_close(expected, loss(prediction[:1], x[:1]))
    with pytest.raises(ValueError, match="mask: expected bool or integers, got float32"):
        loss(prediction, x, mask.float())


@pytest.mark.parametrize("native", [True, False])
def test_a_batch_without_a_marked_patch_has_no_loss_and_no_gradient(native: bool) -> None:
    prediction = signals().requires_grad_()
    loss, terms = LMMLoss(native=native, lmv=0.5, mse=0.1).measure(
        prediction, signals(), torch.zeros(2, dtype=torch.bool)
    )
    loss.backward()
    assert float(loss.detach()) == 0
    assert [float(term) for term in terms] == [0, 0, 0]
    assert prediction.grad is not None
    assert not prediction.grad.any()


@pytest.mark.parametrize("native", [True, False])
def test_a_patch_that_is_not_marked_may_hold_nan(native: bool) -> None:
    target, prediction = signals(), signals().flip(-1).requires_grad_()
    target[1] = torch.nan
    loss = LMMLoss(native=native, lmv=0.5, mse=0.1)(prediction, target, torch.tensor([True, False]))
    loss.backward()
    assert torch.isfinite(loss)
    assert prediction.grad is not None
    assert torch.isfinite(prediction.grad).all()
    assert not prediction.grad[1].any()

"""LMM and LMV features, and the loss with its gradient, against stored values of a closed-form pair."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import imuspec
from reference_data import DATA, needs_data

pytestmark = needs_data

T = np.arange(300) / 30
X = np.sin(4 * np.pi * T) + 0.5 * np.sin(10 * np.pi * T + 0.3) + 1
Y = 0.5 * np.sin(4 * np.pi * T) + 0.02 * np.cos(22 * np.pi * T)
NFFT = (16, 32, 64, 128)


def golden(nfft: int) -> dict[str, Any]:
    case: dict[str, Any] = json.loads((DATA / "reference" / "lmm_golden.json").read_text())["cases"][str(nfft)]
    return case


@pytest.mark.parametrize("nfft", NFFT)
def test_the_features_give_the_stored_losses(nfft: int) -> None:
    want = golden(nfft)
    u, v = (imuspec.log_mean_magnitude(signal, nfft=nfft) for signal in (X, Y))
    assert u.shape == (want["bins"],)
    assert u[:4] == pytest.approx(want["U_x_first4"], rel=1e-10)
    assert ((u - v) ** 2).mean() == pytest.approx(want["LMM"], rel=1e-10)
    for unbiased, key in ((False, "LMV_biased"), (True, "LMV_unbiased")):
        u, v = (imuspec.log_magnitude_variance(signal, nfft=nfft, unbiased=unbiased) for signal in (X, Y))
        assert ((u - v) ** 2).mean() == pytest.approx(want[key], rel=1e-10)
    u, v = (imuspec.log_mean_magnitude(signal, nfft=nfft, literal_min=True) for signal in (X, Y))
    assert ((u - v) ** 2).mean() == pytest.approx(want["LMM_literal_min"], rel=1e-10)


def test_float32_and_several_resolutions_in_one_pass_agree_with_float64() -> None:
    together = imuspec.log_mean_magnitude(np.stack([X, Y]).astype(np.float32), nfft=NFFT)
    for nfft, features in zip(NFFT, together, strict=True):
        assert features.dtype == np.float32
        np.testing.assert_allclose(
            features, imuspec.log_mean_magnitude(np.stack([X, Y]), nfft=nfft), rtol=1e-4, atol=1e-4
        )


def test_batch_and_strides_and_threads_change_no_bit() -> None:
    x = np.random.default_rng(0).standard_normal((40, 300, 3)).astype(np.float32).transpose(0, 2, 1)
    batch = imuspec.log_mean_magnitude(x)
    np.testing.assert_array_equal(batch, imuspec.log_mean_magnitude(np.ascontiguousarray(x)))
    np.testing.assert_array_equal(batch[7], imuspec.log_mean_magnitude(x[7]))


@pytest.mark.parametrize("nfft", NFFT)
@pytest.mark.parametrize("native", [True, False])
def test_the_loss_and_its_gradient_are_the_stored_ones(nfft: int, native: bool) -> None:
    torch = pytest.importorskip("torch")
    from imuspec import nn

    want = golden(nfft)
    prediction = torch.tensor(Y, requires_grad=True)
    target = torch.tensor(X)
    if native:
        loss = nn.LMMLoss(nfft)(prediction[None], target[None])  # one patch of one axis
    else:
        module = nn.LogMeanMagnitude(nfft)
        loss = ((module(prediction) - module(target)) ** 2).mean()
    loss.backward()
    assert loss.item() == pytest.approx(want["LMM"], rel=1e-9)
    assert prediction.grad is not None
    assert prediction.grad.norm().item() == pytest.approx(want["LMM_grad_l2"], rel=1e-6)
    assert prediction.grad[:4].tolist() == pytest.approx(want["LMM_grad_first4"], rel=1e-6)


def test_a_silent_prediction_has_a_gradient_of_zero_not_nan() -> None:
    torch = pytest.importorskip("torch")
    from imuspec import nn

    prediction = torch.zeros(3, 300, requires_grad=True)
    nn.LMMLoss(32)(prediction, torch.tensor(np.stack([X] * 3), dtype=torch.float32)).backward()
    assert prediction.grad is not None
    assert not prediction.grad.isnan().any()
    assert (prediction.grad == 0).all()

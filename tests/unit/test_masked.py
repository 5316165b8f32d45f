"""The masked auto-encoder's loss: which patches count, how they are averaged, what is reported."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import imuspec
from imuspec import objectives
from imuspec.encoders.roformer import RoFormer
from imuspec.objectives.masked import MaskedSignalAutoencoder, mean_error


def model(**settings: object) -> MaskedSignalAutoencoder:
    torch.manual_seed(0)
    encoder = RoFormer(width=32, depth=1, n_heads=4)
    return MaskedSignalAutoencoder(encoder, **settings)  # type: ignore[arg-type]


def windows(n: int = 3, patches: int = 5) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(0, 0.5, (n, 3, patches * 300)).astype(np.float32))


HIDDEN = torch.tensor([[1, 0, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 1]], dtype=torch.bool)


def by_hand(
    objective: MaskedSignalAutoencoder, x: torch.Tensor, hidden: torch.Tensor, nfft: int
) -> tuple[float, float]:
    """LMM and MSE by loops: of each hidden patch the sum over axes, then the mean over patches."""
    rebuilt = objective.reconstruct(x, hidden).detach().numpy().astype(np.float64)
    lmm, mse = [], []
    for b, p in hidden.nonzero().tolist():
        target = x[b, :, 300 * p : 300 * p + 300].numpy().astype(np.float64)
        u, v = (imuspec.log_mean_magnitude(signal, nfft=nfft) for signal in (rebuilt[b, p], target))
        lmm.append(sum(((u[axis] - v[axis]) ** 2).mean() for axis in range(3)))
        mse.append(sum(((rebuilt[b, p, axis] - target[axis]) ** 2).mean() for axis in range(3)))
    return float(np.mean(lmm)), float(np.mean(mse))


def test_the_loss_is_the_sum_over_axes_and_the_mean_over_hidden_patches() -> None:
    objective, x = model(nfft=32, mse=0.25), windows()
    loss, figures = objective(x, HIDDEN)
    lmm, mse = by_hand(objective, x, HIDDEN, 32)
    assert float(figures["lmm"]) == pytest.approx(lmm, rel=1e-4)
    assert float(figures["mse"]) == pytest.approx(mse, rel=1e-4)
    assert float(loss.detach()) == pytest.approx(lmm + 0.25 * mse, rel=1e-4)


def test_a_weight_on_the_signed_mean_adds_its_squared_difference() -> None:
    objective, x = model(mean=2.0), windows() + 0.5
    loss, figures = objective(x, HIDDEN)
    rebuilt, target = objective.reconstruct(x, HIDDEN).detach(), x.reshape(3, 3, 5, 300).transpose(1, 2)
    expected = (rebuilt.mean(-1) - target.mean(-1))[HIDDEN].square().sum(-1).mean()
    assert float(figures["mean"]) == pytest.approx(float(expected), rel=1e-5)
    assert float(loss.detach()) == pytest.approx(float(figures["lmm"] + 2 * expected), rel=1e-5)
    plain, without = model()(x, HIDDEN)
    assert "mean" not in without
    assert float(plain.detach()) == pytest.approx(float(figures["lmm"]), rel=1e-6)
    measured, _ = objective.measure(x, HIDDEN)
    assert float(measured["mean"]) == pytest.approx(float(expected), rel=1e-5)


def test_the_signed_mean_tells_up_from_down_where_the_magnitude_does_not() -> None:
    objective, x = model(nfft=32), windows()
    target = x.reshape(3, 3, 5, 300).transpose(1, 2) + 1
    assert float(objective.loss(-target, target, HIDDEN)) < 1e-9
    assert float(mean_error(-target, target, HIDDEN)) > 9
    assert float(mean_error(target, target, torch.zeros_like(HIDDEN))) == 0


def test_several_resolutions_add_up() -> None:
    x = windows()
    parts = [float(model(nfft=n)(x, HIDDEN)[0].detach()) for n in (16, 32, 64, 128)]
    assert float(model(nfft=(16, 32, 64, 128))(x, HIDDEN)[0].detach()) == pytest.approx(sum(parts), rel=1e-5)


@pytest.mark.parametrize(
    "settings", [{"lmm": 0.0, "mse": 1.0}, {"lmv": 0.1}, {"literal_min": True, "floor": 9.0}, {"eps_per_root_n": 0.01}]
)
def test_every_combination_trains(settings: dict[str, float]) -> None:
    objective = model(**settings)
    loss, figures = objective(windows(), HIDDEN)
    loss.backward()
    assert set(figures) == set(objective.terms)
    assert objective.head.weight.grad is not None
    assert float(objective.head.weight.grad.abs().sum()) > 0


def test_patches_that_were_not_measured_count_in_nothing() -> None:
    objective, x = model(), windows()
    missing = torch.zeros_like(HIDDEN)
    missing[0, 2] = missing[1, 0] = True
    gone = x.clone()
    gone[0, :, 600:900] = gone[1, :, :300] = torch.nan
    loss, figures = objective(gone, HIDDEN, missing)
    gone[0, :, 600:900], gone[1, :, :300] = 7.0, -3.0
    again, _ = objective(gone, HIDDEN, missing)
    assert torch.isfinite(loss)
    assert torch.equal(loss, again)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in objective.parameters() if p.grad is not None)
    assert set(figures) == {"lmm"}


def test_both_parts_are_measured_whatever_the_weights() -> None:
    x = windows()
    measured, n = model(lmm=0.0, mse=1.0).measure(x, HIDDEN)
    assert int(n) == 6
    lmm, mse = by_hand(model(lmm=0.0, mse=1.0), x, HIDDEN, 32)
    assert float(measured["lmm"]) == pytest.approx(lmm, rel=1e-4)
    assert float(measured["mse"]) == pytest.approx(mse, rel=1e-4)
    assert float(measured["loss"]) == pytest.approx(mse, rel=1e-4)
    assert float(measured["lmv"]) > 0


def test_under_autocast_the_loss_is_taken_in_float32() -> None:
    objective, x = model(), windows()
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = objective(x, HIDDEN)
    assert loss.dtype == torch.float32
    assert float(loss.detach()) == pytest.approx(float(objective(x, HIDDEN)[0].detach()), rel=0.05)


def test_matrices_decay_and_nothing_else() -> None:
    objective = objectives.build("masked", RoFormer(width=32, depth=1, n_heads=4), nfft=64)
    decayed, others = objective.parameter_groups()
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in others["params"]} == {1}
    assert others["weight_decay"] == 0.0
    assert len(decayed["params"]) + len(others["params"]) == len(list(objective.parameters()))


def test_no_weight_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="weights"):
        model(lmm=0.0)


def test_reconstruction_falls_in_a_few_steps() -> None:
    """Windows of one tone each: the visible part determines the hidden part."""
    torch.manual_seed(1)
    objective = model()
    tone = torch.rand(16, 1, 1) * 4 + 0.5
    x = 0.5 * torch.sin(2 * torch.pi * tone * torch.arange(1500) / 30) * torch.tensor([1.0, 0.6, 0.3])[:, None] + 0.4
    hidden = torch.rand(16, 5) < 0.6
    optimizer = torch.optim.Adam(objective.parameters(), 3e-3)
    course = []
    for _ in range(60):
        loss, _ = objective(x, hidden)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        course.append(float(loss.detach()))
    assert course[-1] < 0.5 * course[0]

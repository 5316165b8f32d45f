"""Each loss against a plain NumPy twin, written from its equation with loops, on fixed tensors in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from imuspec.encoders.cnn1d import Cnn1d
from imuspec.encoders.cpc import Cpc, CpcOriginal
from imuspec.encoders.limu_bert import LimuBert
from imuspec.encoders.tpn import Tpn
from imuspec.encoders.vit import Vit
from imuspec.objectives.mae import MaskedImageAutoencoder, patch_error, patches
from imuspec.objectives.moco_v3 import MocoV3, batch_contrast
from imuspec.objectives.multitask import HarnetTasks, MultiTask, binary_losses, two_way_losses
from imuspec.objectives.predictive import PredictFrames, PredictFramesOriginal, frame_loss, step_losses
from imuspec.objectives.reconstruction import MaskedReconstruction, masked_error
from imuspec.objectives.simclr import SimClr, nt_xent


def fixed(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values)


def log_sum_exp(values: list[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


def test_masked_error_is_the_mean_square_over_chosen_steps() -> None:
    output, target = fixed(3, 2, 7), fixed(3, 2, 7, seed=1)
    chosen = fixed(3, 7, seed=2) > 0
    squares = [
        (output[b, a, t] - target[b, a, t]) ** 2 for b in range(3) for a in range(2) for t in range(7) if chosen[b, t]
    ]
    ours = masked_error(tensor(output), tensor(target), tensor(chosen))
    assert float(ours) == pytest.approx(np.mean(squares), rel=1e-12)


def test_nt_xent_picks_the_other_view_among_all_other_vectors() -> None:
    first, second, t = fixed(5, 6), fixed(5, 6, seed=1), 0.1
    z = np.concatenate([first, second])
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    losses = []
    for i in range(10):
        others = [float(z[i] @ z[j]) / t for j in range(10) if j != i]
        losses.append(log_sum_exp(others) - float(z[i] @ z[(i + 5) % 10]) / t)
    assert float(nt_xent(tensor(first), tensor(second), temperature=t)) == pytest.approx(np.mean(losses), rel=1e-12)


def test_nt_xent_equals_lightlys() -> None:
    loss = pytest.importorskip("lightly.loss")
    first, second = tensor(fixed(8, 16)), tensor(fixed(8, 16, seed=1))
    torch.testing.assert_close(nt_xent(first, second), loss.NTXentLoss(temperature=0.1)(first, second))


def test_binary_losses_are_the_cross_entropies_of_each_task() -> None:
    logits, labels = fixed(6, 3), (fixed(6, 3, seed=1) > 0).astype(float)
    p = 1 / (1 + np.exp(-logits))
    expected = -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean(0)
    np.testing.assert_allclose(binary_losses(tensor(logits), tensor(labels)), expected, rtol=1e-12)


def test_two_way_losses_are_the_cross_entropies_of_each_task() -> None:
    logits, labels = fixed(6, 4, 2), (fixed(6, 4, seed=1) > 0).astype(int)
    expected = np.zeros(4)
    for n in range(6):
        for t in range(4):
            expected[t] += (log_sum_exp(list(logits[n, t])) - logits[n, t, labels[n, t]]) / 6
    np.testing.assert_allclose(two_way_losses(tensor(logits), tensor(labels)), expected, rtol=1e-12)


def test_step_losses_pick_the_windows_own_frame_in_the_batch() -> None:
    predicted, frames = fixed(4, 3, 5), fixed(4, 3, 5, seed=1)
    for step in range(3):
        scores = predicted[:, step] @ frames[:, step].T
        expected = np.mean([log_sum_exp(list(scores[b])) - scores[b, b] for b in range(4)])
        ours = step_losses(tensor(predicted), tensor(frames))[step]
        assert float(ours) == pytest.approx(expected, rel=1e-12)


def test_frame_loss_picks_the_coming_frame_among_others_of_the_window() -> None:
    n_windows, n_frames, n_steps, offset = 2, 9, 4, 3
    predicted, frames = fixed(n_windows, n_frames, n_steps, 5), fixed(n_windows, n_frames, 5, seed=1)
    others = np.random.default_rng(2).integers(0, n_frames, (n_windows, n_frames, 3))
    losses, right = [], []
    for b in range(n_windows):
        for i in range(n_steps):
            for t in range(n_frames - offset - i):
                s = t + offset + i
                scores = [float(predicted[b, t, i] @ frames[b, o]) for o in (s, *others[b, s])]
                losses.append(log_sum_exp(scores) - scores[0])
                right.append(scores[0] == max(scores))
    loss, share = frame_loss(tensor(predicted), tensor(frames), tensor(others), offset=offset)
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-12)
    assert float(share) == pytest.approx(np.mean(right), rel=1e-6)


def test_batch_contrast_is_the_scaled_cross_entropy_of_unit_vectors() -> None:
    queries, keys, t = fixed(6, 4), fixed(6, 4, seed=1), 0.2
    q = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    k = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    expected = 2 * t * np.mean([log_sum_exp(list(q[i] @ k.T / t)) - q[i] @ k[i] / t for i in range(6)])
    assert float(batch_contrast(tensor(queries), tensor(keys), temperature=t)) == pytest.approx(expected, rel=1e-12)


def test_patches_are_cut_row_by_row_with_channels_last() -> None:
    image = fixed(1, 3, 32, 48)
    cut = patches(tensor(image)).numpy()
    assert cut.shape == (1, 6, 768)
    for patch, (top, left) in enumerate((r, c) for r in (0, 16) for c in (0, 16, 32)):
        expected = image[0, :, top : top + 16, left : left + 16].transpose(1, 2, 0).ravel()
        np.testing.assert_array_equal(cut[0, patch], expected)


def test_patch_error_compares_hidden_patches_with_normalised_pixels() -> None:
    output, target = fixed(2, 4, 6), fixed(2, 4, 6, seed=1)
    hidden = np.array([[True, False, True, True], [False, True, False, True]])
    errors = []
    for b, p in zip(*np.nonzero(hidden), strict=True):
        pixels = (target[b, p] - target[b, p].mean()) / math.sqrt(target[b, p].var(ddof=1) + 1e-6)
        errors.append(((output[b, p] - pixels) ** 2).mean())
    ours = patch_error(tensor(output), tensor(target), tensor(hidden))
    assert float(ours) == pytest.approx(np.mean(errors), rel=1e-12)


def test_negatives_are_other_frames_of_the_window_alike() -> None:
    torch.manual_seed(0)
    objective = PredictFrames(Cpc(), n_negatives=10)
    drawn = objective.negatives(600, 8, torch.device("cpu"))
    own = torch.arange(8)[:, None]
    assert not bool((drawn == own).any())
    counts = torch.bincount(drawn[:, 3].flatten(), minlength=8).double()
    np.testing.assert_allclose(counts / counts.sum(), np.where(np.arange(8) == 3, 0, 1 / 7), atol=0.02)


def test_one_transposed_convolution_is_a_linear_map_for_each_step() -> None:
    objective = PredictFrames(Cpc(), n_steps=3).double()
    context = tensor(fixed(2, 256))
    out = objective.predict(context[..., None])
    for i in range(3):
        expected = context @ objective.predict.weight[:, :, i] + objective.predict.bias
        torch.testing.assert_close(out[..., i], expected)


def test_the_slow_copy_of_moco_v3_moves_by_its_schedule() -> None:
    torch.manual_seed(0)
    objective = MocoV3(Vit(size="tiny"), total_steps=4, hidden=32, width=8)
    fast, slow = (dict(part.named_parameters()) for part in (objective.encoder, objective.momentum_encoder))
    assert all(not parameter.requires_grad for parameter in slow.values())
    name, expected = "trunk.cls_token", slow["trunk.cls_token"].clone()
    for step, m in enumerate([0.99, 0.99 + 0.01 * (1 - (1 + math.cos(math.pi / 4)) / 2), 0.995]):
        assert objective.current_momentum() == pytest.approx(m)
        with torch.no_grad():
            fast[name] += 1.0
        objective.after_step()
        expected = m * expected + (1 - m) * fast[name]
        torch.testing.assert_close(slow[name], expected, msg=f"step {step}")
    assert "step" in objective.state_dict()


OBJECTIVES = {
    "limu_bert": lambda: (
        MaskedReconstruction(LimuBert(n_steps=60)),
        (torch.zeros(4, 3, 60), torch.ones(4, 3, 60), torch.ones(4, 60, dtype=torch.bool)),
    ),
    "simclr": lambda: (SimClr(Tpn()), (torch.randn(4, 3, 60), torch.randn(4, 3, 60))),
    "multi_task": lambda: (MultiTask(Tpn()), (torch.randn(4, 3, 60), torch.eye(4, 8))),
    "harnet_tasks": lambda: (HarnetTasks(Cnn1d()), (torch.randn(4, 3, 60), torch.eye(4))),
    "cpc": lambda: (PredictFrames(Cpc()), (torch.randn(4, 3, 100),)),
    "cpc_original": lambda: (PredictFramesOriginal(CpcOriginal()), (torch.randn(4, 3, 50),)),
    "moco_v3": lambda: (
        MocoV3(Vit(size="tiny"), total_steps=2, hidden=32, width=8),
        (torch.randn(4, 3, 96, 128), torch.randn(4, 3, 96, 128)),
    ),
    "mae": lambda: (
        MaskedImageAutoencoder(Vit(size="tiny", positions="sincos"), width=32, n_blocks=1, n_heads=4),
        (torch.randn(4, 3, 96, 128),),
    ),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_gives_a_loss_that_falls_when_followed(name: str) -> None:
    torch.manual_seed(0)
    objective, views = OBJECTIVES[name]()
    optimiser = torch.optim.Adam([p for p in objective.parameters() if p.requires_grad], 1e-3)
    torch.manual_seed(1)
    losses = []
    for _ in range(8 if name in ("moco_v3", "mae", "cpc") else 25):
        torch.manual_seed(2)  # the same masks, starts and negatives each time
        loss, figures = objective(*views)
        assert loss.ndim == 0
        assert all(value.ndim == 0 and not value.requires_grad for value in figures.values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        objective.after_step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.95 * losses[0]


def test_all_the_encoder_learns_from_the_loss() -> None:
    for name, build in OBJECTIVES.items():
        objective, views = build()
        objective(*views)[0].backward()
        still = [
            key
            for key, parameter in objective.encoder.named_parameters()
            if parameter.requires_grad and parameter.grad is None
        ]
        assert not still, f"{name}: {still}"

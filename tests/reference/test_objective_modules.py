"""Each objective as a whole against its definition, written with loops: offsets, masks, temperatures, pairs, labels and order.

`test_signal_objectives` holds the losses themselves to their equations; here is what each module gives to its loss.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from imuspec.encoders.cpc import Cpc, CpcOriginal
from imuspec.encoders.limu_bert import LimuBert
from imuspec.encoders.tpn import Tpn
from imuspec.encoders.vit import Vit
from imuspec.objectives.mae import MaskedImageAutoencoder
from imuspec.objectives.moco_v3 import MocoV3
from imuspec.objectives.multitask import HarnetTasks, MultiTask
from imuspec.objectives.predictive import PredictFrames, PredictFramesOriginal
from imuspec.objectives.reconstruction import MaskedReconstruction
from imuspec.objectives.simclr import SimClr


def fixed(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def cross_entropy(scores: list[float], right: int = 0) -> float:
    top = max(scores)
    return top + math.log(sum(math.exp(score - top) for score in scores)) - scores[right]


@torch.no_grad()
def test_enhanced_cpc_predicts_the_frames_that_share_no_sample_with_the_present_one() -> None:
    torch.manual_seed(0)
    objective = PredictFrames(Cpc(n_layers=2), n_steps=4, n_negatives=3).double().eval()
    encoder: Any = objective.encoder
    x = fixed(2, 3, 60)
    torch.manual_seed(7)
    loss, metrics = objective(x)
    frames = encoder.frames(x)  # [B, 256, frame]
    n_frames, ahead = 13, 3  # a frame has 10 samples and starts 4 after the last, so that the third is the first apart
    assert frames.shape == (2, 256, n_frames)
    other = x.clone()
    other[:, :, 4:14] += 1  # the samples of frame 1
    same = (encoder.frames(other) == frames).all(1)
    assert not same[:, 1:4].any()
    assert same[:, 1 + ahead :].all()
    torch.manual_seed(7)
    others = objective.negatives(2, n_frames, x.device)
    context = encoder.context(frames)
    losses, right = [], []
    for b in range(2):
        for t in range(n_frames):
            for i in range(4):
                if t + ahead + i >= n_frames:
                    continue
                s = t + ahead + i
                predicted = context[b, :, t] @ objective.predict.weight[:, :, i] + objective.predict.bias
                scores = [float(predicted @ frames[b, :, index]) for index in (s, *others[b, s].tolist())]
                losses.append(cross_entropy(scores))
                right.append(scores[0] == max(scores))
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-10)
    assert float(metrics["top1"]) == pytest.approx(np.mean(right), rel=1e-6)


@torch.no_grad()
def test_original_cpc_predicts_the_frames_behind_the_context() -> None:
    torch.manual_seed(0)
    n_steps, n_samples = 5, 20
    objective = PredictFramesOriginal(CpcOriginal(), n_steps=n_steps).double().eval()
    encoder: Any = objective.encoder
    x = fixed(4, 3, n_samples)
    for seed in range(3):
        torch.manual_seed(seed)
        loss, metrics = objective(x)
        torch.manual_seed(seed)
        t = int(torch.randint(n_samples - n_steps, ()))
        frames = encoder.frames(x)
        states, _ = encoder.gru(frames[..., : t + 1].transpose(1, 2))
        losses = []
        for i in range(1, n_steps + 1):
            predicted = objective.maps[i - 1](states[:, -1])
            scores = [[float(predicted[b] @ frames[a, :, t + i]) for a in range(4)] for b in range(4)]
            losses.append(np.mean([cross_entropy(scores[b], b) for b in range(4)]))
        assert float(loss) == pytest.approx(np.mean(losses), rel=1e-10)
        assert float(metrics["first_step_loss"]) == pytest.approx(losses[0], rel=1e-10)


@torch.no_grad()
def test_limu_bert_reconstructs_the_chosen_steps_of_the_window_before_it_was_masked() -> None:
    torch.manual_seed(0)
    objective = MaskedReconstruction(LimuBert(n_steps=12)).double().eval()
    target, chosen = fixed(3, 3, 12), fixed(3, 12, seed=1) > 0
    shown = torch.where(chosen[:, None], 0.0, target)
    output = objective.reconstruct(shown)
    errors = [
        float(output[b, a, t] - target[b, a, t]) ** 2
        for b in range(3)
        for a in range(3)
        for t in range(12)
        if chosen[b, t]
    ]
    assert float(objective(shown, target, chosen)[0]) == pytest.approx(np.mean(errors), rel=1e-10)
    elsewhere = torch.where(chosen[:, None], target, target + 1)
    assert float(objective(shown, elsewhere, chosen)[0]) == pytest.approx(np.mean(errors), rel=1e-10)


@torch.no_grad()
def test_simclr_contrasts_the_two_views_of_a_window_at_its_temperature() -> None:
    torch.manual_seed(0)
    objective = SimClr(Tpn(), widths=(8, 4), temperature=0.5).double().eval()
    first, second = fixed(5, 3, 60), fixed(5, 3, 60, seed=1)
    z = [functional.normalize(objective.head(objective.encoder(view)), dim=1) for view in (first, second)]
    vectors = [(part, n, z[part][n]) for part in range(2) for n in range(5)]
    losses = []
    for part, n, vector in vectors:
        others = [(p, m, float(vector @ other) / 0.5) for p, m, other in vectors if (p, m) != (part, n)]
        right = next(index for index, (p, m, _) in enumerate(others) if (p, m) == (1 - part, n))
        losses.append(cross_entropy([score for _, _, score in others], right))
    assert float(objective(first, second)[0]) == pytest.approx(np.mean(losses), rel=1e-10)


@torch.no_grad()
def test_each_head_of_the_multi_task_objectives_answers_for_its_own_label() -> None:
    torch.manual_seed(0)
    windows = fixed(6, 3, 60)
    labels = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1]]).double()
    binary = MultiTask(Tpn(), n_tasks=3, hidden=7).double().eval()
    losses = []
    for task, head in enumerate(binary.heads):
        for n in range(6):
            logit = float(head(binary.encoder(windows[n : n + 1])))
            losses.append(cross_entropy([0.0, logit], int(labels[n, task])))
    assert float(binary(windows, labels)[0]) == pytest.approx(np.mean(losses), rel=1e-10)
    two_way = HarnetTasks(Tpn(), n_tasks=3).double().eval()
    losses = []
    for task, head in enumerate(two_way.heads):
        for n in range(6):
            logits = head(two_way.encoder(windows[n : n + 1]))[0].tolist()
            losses.append(cross_entropy(logits, int(labels[n, task])))
    assert float(two_way(windows, labels)[0]) == pytest.approx(np.mean(losses), rel=1e-10)


@torch.no_grad()
def test_mae_predicts_each_hidden_patch_from_the_shown_ones_in_their_places() -> None:
    pytest.importorskip("timm")
    torch.manual_seed(0)
    encoder: Any = Vit(size="tiny", image=(32, 48), positions="sincos")
    objective = MaskedImageAutoencoder(encoder, share=0.5, width=32, n_blocks=1, n_heads=4).double().eval()
    images, trunk = fixed(3, 3, 32, 48), encoder.trunk
    torch.manual_seed(5)
    loss, _ = objective(images)
    torch.manual_seed(5)
    order = torch.rand(3, 6).argsort(1)
    errors = []
    for image, positions in zip(images, order.tolist(), strict=True):
        shown, hidden = positions[:3], positions[3:]
        cut = [
            image[:, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] for row in (0, 1) for column in range(3)
        ]
        seen = [
            trunk.patch_embed.proj(cut[position][None])[0, :, 0, 0] + trunk.pos_embed[0, 1 + position]
            for position in shown
        ]
        states = trunk.norm(trunk.blocks(torch.stack([trunk.cls_token[0, 0] + trunk.pos_embed[0, 0], *seen])[None]))
        embedded = objective.embed(states)[0]
        tokens = [embedded[0], *(objective.token for _ in range(6))]
        for number, position in enumerate(shown):
            tokens[1 + position] = embedded[1 + number]
        decoded = objective.norm(objective.blocks(torch.stack(tokens)[None] + objective.positions))
        for position in hidden:
            pixels = cut[position].permute(1, 2, 0).flatten()
            expected = (pixels - pixels.mean()) / (pixels.var() + 1e-6).sqrt()
            errors.append(float((objective.to_pixels(decoded[0, 1 + position]) - expected).square().mean()))
    assert float(loss) == pytest.approx(np.mean(errors), rel=1e-8)


@torch.no_grad()
def test_moco_v3_contrasts_each_view_with_the_slow_copys_key_of_the_other() -> None:
    pytest.importorskip("timm")
    torch.manual_seed(0)
    encoder: Any = Vit(size="tiny", image=(32, 48))
    objective = MocoV3(encoder, total_steps=2, hidden=16, width=8, temperature=0.5).double()
    with torch.no_grad():  # the copy lags behind
        for parameter in (*objective.encoder.parameters(), *objective.projector.parameters()):
            parameter.add_(0.05 * torch.randn_like(parameter))
    first, second = fixed(4, 3, 32, 48), fixed(4, 3, 32, 48, seed=1)
    loss, _ = objective(first, second)
    queries = [objective.predictor(objective.projector(objective.encoder(view))) for view in (first, second)]
    keys = [objective.momentum_projector(objective.momentum_encoder(view)) for view in (second, first)]
    total = 0.0
    for query, key in zip(queries, keys, strict=True):
        q, k = functional.normalize(query, dim=1), functional.normalize(key, dim=1)
        total += float(np.mean([cross_entropy([float(q[b] @ other) / 0.5 for other in k], b) for b in range(4)]))
    assert float(loss) == pytest.approx(2 * 0.5 * total, rel=1e-8)

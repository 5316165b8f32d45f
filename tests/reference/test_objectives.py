"""MoCo and SimSiam against plain NumPy and against lightly; parameters counted; what they keep and move."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imuspec import encoders, objectives
from imuspec.objectives.moco import contrast
from imuspec.objectives.norms import GroupedBatchNorm, group_norms, spread
from imuspec.objectives.simsiam import negative_cosine
from training_task import SmallEncoder, stripes


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def contrast_in_numpy(query: np.ndarray, key: np.ndarray, queue: np.ndarray, temperature: float) -> float:
    """The loss as He et al. 2020 write it (equation 1), in float64."""
    losses = []
    for q, k in zip(query, key, strict=True):
        logits = np.array([q @ k, *(q @ queue)]) / temperature
        losses.append(-logits[0] + np.log(np.exp(logits - logits.max()).sum()) + logits.max())
    return float(np.mean(losses))


def vectors(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    query, key, queue = (unit(random.normal(size=(n, 16))) for n in (12, 12, 64))
    return query, key, queue.T


@pytest.mark.parametrize("temperature", [0.07, 0.2])
def test_the_contrast_is_the_papers_formula(temperature: float) -> None:
    query, key, queue = vectors()
    loss, logits = contrast(*(torch.from_numpy(v) for v in (query, key, queue)), temperature)
    assert loss.item() == pytest.approx(contrast_in_numpy(query, key, queue, temperature), rel=1e-12)
    assert logits.shape == (12, 65)


def test_the_contrast_is_lightlys() -> None:
    pytest.importorskip("lightly")
    from lightly.loss import NTXentLoss

    query, key, queue = (torch.from_numpy(v).float() for v in vectors(1))
    theirs = NTXentLoss(temperature=0.2, memory_bank_size=(64, 16))
    theirs.memory_bank.bank = queue.T.contiguous()
    theirs.memory_bank.bank_ptr = torch.zeros(1, dtype=torch.long)
    ours, _ = contrast(query, key, queue, 0.2)
    assert ours.item() == pytest.approx(theirs(query.requires_grad_(), key).item(), rel=1e-5)


def test_negative_cosine_is_the_papers_formula_and_lightlys() -> None:
    predicted, projected, _ = vectors(2)
    expected = -float((unit(predicted * 3) * unit(projected * 0.2)).sum(1).mean())
    ours = negative_cosine(torch.from_numpy(predicted * 3).requires_grad_(), torch.from_numpy(projected * 0.2))
    assert ours.item() == pytest.approx(expected, rel=1e-6)
    lightly = pytest.importorskip("lightly.loss")
    theirs = lightly.NegativeCosineSimilarity()(torch.from_numpy(predicted), torch.from_numpy(projected))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)


@pytest.mark.parametrize(("head", "count"), [("linear", 11_209_344), ("mlp", 11_472_000)])
def test_the_trained_parameters_of_moco_on_a_resnet18_are_the_specifications(head: str, count: int) -> None:
    moco = objectives.build("moco", encoders.build("resnet18"), head=head, queue=256)
    assert sum(p.numel() for p in moco.parameters() if p.requires_grad) == count


def moco(**settings: object) -> nn.Module:
    torch.manual_seed(0)
    return objectives.build("moco", SmallEncoder(), **{"features": 8, "queue": 64, "norm_group": 8, **settings})


def test_moco_is_its_parts_put_together() -> None:
    """Loss, queue and key encoder of one step against the algorithm written out, without norm groups or order."""
    one = moco(norm_group=0, shuffle=False, momentum=0.9)
    twin, before, queue = copy.deepcopy(one), copy.deepcopy(one.state_dict()), one.queue.clone()
    x = stripes(16, 3)[0]
    loss, figures = one(x, x + 0.5)
    query = nn.functional.normalize(twin.head(twin.encoder(x)), dim=1)
    key = nn.functional.normalize(twin.key_head(twin.key_encoder(x + 0.5)), dim=1).detach()
    expected = contrast_in_numpy(*(v.detach().double().numpy() for v in (query, key, queue)), 0.2)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    positive, negative = (query * key).sum(1), query @ queue
    assert float(figures["top1"]) == (positive > negative.max(1).values).float().mean().item()
    assert float(figures["positive_cosine"]) == pytest.approx(positive.mean().item(), abs=1e-6)
    assert float(figures["negative_cosine"]) == pytest.approx(negative.mean().item(), abs=1e-6)
    loss.backward()
    with torch.no_grad():
        for parameter in one.encoder.parameters():
            parameter.sub_(0.1 * parameter.grad)
    one.after_step()
    torch.testing.assert_close(one.queue[:, :16], key.T, atol=1e-6, rtol=1e-5)
    assert torch.equal(one.queue[:, 16:], queue[:, 16:])
    for name, parameter in one.key_encoder.named_parameters():
        followed = 0.9 * before[f"key_encoder.{name}"] + 0.1 * one.get_parameter(f"encoder.{name}")
        torch.testing.assert_close(parameter, followed, atol=1e-7, rtol=1e-5)
        assert parameter.grad is None


def test_the_queue_is_first_in_first_out_and_tells_its_age() -> None:
    one = moco()
    x = stripes(16, 4)[0]
    ages, put, pointers = [], [], []
    for _ in range(6):
        ages.append(float(one(x, x)[1]["queue_age"]))
        put.append(one._new_keys.clone())
        one.after_step()
        pointers.append(int(one.pointer))
    assert ages == [0, 1, 2, 3, 4, 4]
    assert pointers == [16, 32, 48, 0, 16, 32]  # a queue of 64
    # after the wrap the two oldest batches are gone and all others lie where they were put
    assert torch.equal(one.queue, torch.cat([put[4], put[5], put[2], put[3]]).T)
    assert int(one.filled) == 64


def test_the_queue_is_renewed_without_reading_a_tensor() -> None:
    one = moco().to("meta")  # tensors without values: any read of one raises
    one._new_keys = torch.empty(16, one.queue.shape[0], device="meta")
    one.after_step()
    assert one._new_keys is None


def test_the_order_in_which_keys_are_encoded_changes_norm_groups_alone() -> None:
    x = stripes(32, 5)[0]

    def keys(**settings: object) -> Tensor:
        one = moco(**settings)
        one(x, x)
        return one._new_keys

    torch.testing.assert_close(keys(norm_group=0), keys(norm_group=0, shuffle=False), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(keys(), keys(shuffle=False), atol=1e-4)


def test_a_queue_that_is_no_multiple_of_the_batch_is_an_error() -> None:
    one = moco(queue=60)
    x = stripes(16, 0)[0]
    one(x, x)
    with pytest.raises(ValueError, match="multiple of the batch, 16, got 60"):
        one.after_step()


def test_norm_in_groups_is_batch_norm_of_each_group() -> None:
    torch.manual_seed(0)
    x = torch.randn(24, 5, 3, 4) * 2 + 1
    grouped = group_norms(nn.Sequential(nn.BatchNorm2d(5)), 8)
    assert type(grouped[0]) is GroupedBatchNorm
    got = grouped(x)
    plain = [nn.BatchNorm2d(5) for _ in range(3)]
    expected = torch.cat([norm(part) for norm, part in zip(plain, x.chunk(3), strict=True)])
    torch.testing.assert_close(got, expected)
    for name in ("running_mean", "running_var"):
        mean = torch.stack([getattr(norm, name) for norm in plain]).mean(0)
        torch.testing.assert_close(getattr(grouped[0], name), mean)
    whole = nn.BatchNorm2d(5)
    whole.load_state_dict(grouped[0].state_dict())
    torch.testing.assert_close(grouped.eval()(x), whole.eval()(x))


def test_grouping_keeps_the_parameters_and_refuses_a_batch_that_it_does_not_divide() -> None:
    inner = nn.Sequential(nn.Conv2d(3, 5, 1), nn.Sequential(nn.BatchNorm2d(5)))
    before = dict(inner.named_parameters()) | dict(inner.named_buffers())
    group_norms(inner, 32)
    after = dict(inner.named_parameters()) | dict(inner.named_buffers())
    assert before.keys() == after.keys()
    assert all(before[name] is after[name] for name in before)
    with pytest.raises(ValueError, match=r"objective.norm_group: expected a part of the batch, 80 .* got 32"):
        inner(torch.randn(80, 3, 2, 2))
    assert inner.eval()(torch.randn(80, 3, 2, 2)).shape == (80, 5, 2, 2)


def test_spread_is_0_when_all_features_are_the_same_and_near_1_when_they_are_spread() -> None:
    torch.manual_seed(0)
    assert float(spread(torch.ones(50, 64))) == pytest.approx(0, abs=1e-6)
    assert float(spread(torch.randn(2000, 64))) == pytest.approx(1, abs=0.02)


def test_simsiam_is_its_formula_and_stops_the_gradient_of_projections() -> None:
    torch.manual_seed(0)
    one = objectives.build("simsiam", SmallEncoder(), features=32, hidden=16)
    x, y = stripes(16, 6)[0], stripes(16, 6)[0] + 0.2
    twin = copy.deepcopy(one)
    loss, figures = one(x, y)
    z1, z2 = (twin.projector(twin.encoder(v)) for v in (x, y))
    p1, p2 = twin.predictor(z1), twin.predictor(z2)
    cosine = nn.functional.cosine_similarity
    expected = -(cosine(p1, z2.detach()).mean() + cosine(p2, z1.detach()).mean()) / 2
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    loss.backward()
    expected.backward()
    for ours, theirs in zip(one.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-6, rtol=1e-4)
    u1, u2 = (nn.functional.normalize(z.detach(), dim=1) for z in (z1, z2))
    cosines = u1 @ u2.T
    others = cosines[~torch.eye(16, dtype=torch.bool)].mean()
    assert float(figures["positive_cosine"]) == pytest.approx(float(cosines.diagonal().mean()), abs=1e-6)
    assert float(figures["negative_cosine"]) == pytest.approx(float(others), abs=1e-6)


def test_simsiams_predictor_may_keep_its_rate() -> None:
    groups = objectives.build("simsiam", SmallEncoder(), features=32, hidden=16).parameter_groups()
    assert [group["fixed_lr"] for group in groups] == [False, True]
    n_predictor = 32 * 16 + 16 + 16 + 16 * 32 + 32
    assert sum(p.numel() for p in groups[1]["params"]) == n_predictor


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("mocco", {}, "objective: expected one of 'moco', 'moco_v3', .* got 'mocco'"),
        ("moco", {"dim": 3}, "settings of objective moco: expected one of .*'head', .* got 'dim'"),
    ],
)
def test_a_wrong_objective_says_what_there_is(name: str, settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        objectives.build(name, SmallEncoder(), **settings)

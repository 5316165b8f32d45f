"""Heads on the patches of fifty-minute windows: what counts, what is weighted, what is learned."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imuspec.datasets.sequences import PatchSequence, PatchSequences
from imuspec.encoders.harnet import Harnet
from imuspec.probing import patch_heads
from imuspec.probing.patch_features import PatchFeatures, embed_patches, raw_windows
from imuspec.probing.patch_heads import (
    Head,
    PatchHeadSettings,
    class_weights,
    fit_patch_head,
    score_patches,
)
from imuspec.probing.patch_protocol import out_of_fold, people_with_labels, probe_patches
from labelled_days import small_roformer


def sequences(patches: int = 25, subjects: int = 4) -> PatchSequences:
    """Noise whose spread and mean tell its class."""
    random = np.random.default_rng(0)
    items = []
    for i in range(subjects):
        label = random.integers(-1, 2, patches)
        x = random.normal(0, 1, (3, patches, 300)) * np.where(label == 1, 1.0, 0.1)[:, None]
        x += (label == 1)[:, None]
        items.append(PatchSequence(x.reshape(3, -1).astype(np.float32), label, f"s{i}", f"r{i}"))
    return PatchSequences(tuple(items), ("quiet", "loud"))


def features(subjects: int = 6, patches: int = 40) -> PatchFeatures:
    """The class is the sign of the first feature two patches before: only a memory can tell."""
    random = np.random.default_rng(1)
    x = [random.normal(0, 1, (patches, 4)).astype(np.float32) for _ in range(subjects)]
    label = [np.concatenate([[-1, -1], (part[:-2, 0] > 0).astype(np.int64)]) for part in x]
    return PatchFeatures(x, label, [f"s{i}" for i in range(subjects)], ("low", "high"))


def test_every_labelled_patch_is_counted_once() -> None:
    data = sequences()
    result = embed_patches(small_roformer(), data, window=10)
    assert [len(x) for x in result.x] == [10, 10, 10] * 4
    counted = np.concatenate([item.label[item.label >= 0] for item in data])
    np.testing.assert_array_equal(result.truth(), counted)
    assert len(result.who()) == len(counted)
    assert result.label[2][:5].tolist() == [-1] * 5


def test_features_are_those_of_the_windows_that_the_encoder_saw() -> None:
    data, encoder = sequences(), small_roformer()
    result = embed_patches(encoder, data, window=10, batch=2)
    x = torch.from_numpy(data.items[1].x[:, 15 * 300 : 25 * 300])
    np.testing.assert_allclose(result.x[5], encoder(x[None])[0].detach().numpy(), rtol=1e-4, atol=1e-5)
    overlapping = embed_patches(encoder, data, window=10, stride=5)
    assert len(overlapping.x) == 4 * 4
    assert (overlapping.label[1] == data.items[0].label[5:15]).all()


def test_an_encoder_without_patches_sees_each_by_itself(tmp_path: Path) -> None:
    data, encoder = sequences(patches=7, subjects=1), Harnet().eval()
    stored = embed_patches(encoder, data, window=5, cache=tmp_path)
    result = embed_patches(encoder, data, window=5)
    expected = encoder(torch.from_numpy(data.items[0].x[:, 900:1200].copy())[None])[0].detach().numpy()
    np.testing.assert_allclose(result.x[0][3], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(result.x[1][1], expected, rtol=1e-4, atol=1e-5)
    for a, b in zip(stored.x, result.x, strict=True):
        np.testing.assert_array_equal(a, b.astype(np.float16))


def test_kept_features_are_read_again_and_belong_to_their_encoder(tmp_path: Path) -> None:
    data = sequences()
    first = embed_patches(small_roformer(), data, window=10, cache=tmp_path)
    again = embed_patches(small_roformer(), data, window=10, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    for a, b, computed in zip(first.x, again.x, embed_patches(small_roformer(), data, window=10).x, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, computed.astype(np.float16))
    assert all(isinstance(part.base, np.memmap) for part in first.x)  # in the file, not in memory
    embed_patches(small_roformer(seed=1), data, window=10, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_rare_classes_weigh_as_much_as_frequent_ones() -> None:
    weights = class_weights(np.array([0] * 6 + [1] * 2 + [-1] * 9), 3)
    assert weights.tolist() == pytest.approx([8 / 18, 8 / 6, 0.0])


def test_the_loss_leaves_out_patches_without_a_label() -> None:
    """Nonsense in unlabelled patches changes no weight of the head."""
    data = features()
    spoiled = PatchFeatures([x.copy() for x in data.x], data.label, data.subject, data.class_names)
    for x in spoiled.x:
        x[:2] = 1e3
    heads = [fit_patch_head(part, PatchHeadSettings(epochs=3))[0] for part in (data, spoiled)]
    assert torch.equal(heads[0].out.weight, heads[1].out.weight)


@pytest.mark.parametrize(("head", "least"), [("linear", 0.0), ("lstm", 0.8)])
def test_only_a_memory_learns_what_lies_before(head: str, least: float) -> None:
    data = features()
    settings = PatchHeadSettings(head=head, epochs=60, learning_rate=1e-2, batch=6)
    fitted, best = fit_patch_head(data, settings, validation=data)
    figure = score_patches(fitted, data)["balanced_accuracy"]
    assert figure == pytest.approx(best["validation_balanced_accuracy"])
    assert figure > least if head == "lstm" else figure < 0.75


def test_a_head_of_two_layers_and_statistics_on_unlike_scales() -> None:
    data = features()
    label = [np.where(x[:, 1] * x[:, 2] > 0, 1, 0) for x in data.x]
    scaled = [x * np.array([1, 1e3, 1e-3, 1], np.float32) for x in data.x]
    crossed = PatchFeatures(scaled, label, data.subject, data.class_names)
    settings = PatchHeadSettings(head="mlp", epochs=150, batch=6, learning_rate=3e-3, standardise=True)
    fitted, _ = fit_patch_head(crossed, settings)
    assert score_patches(fitted, crossed)["balanced_accuracy"] > 0.9
    assert fitted.scale[1] > 1e2


def test_an_encoder_can_be_trained_too() -> None:
    data, encoder = sequences(), small_roformer()
    before = encoder.embed.weight.clone()
    windows = raw_windows(data, window=10)
    settings = PatchHeadSettings(epochs=8, batch=4)
    head, best = fit_patch_head(windows, settings, validation=windows, encoder=encoder)
    assert not torch.equal(before, encoder.embed.weight)
    assert best["validation_balanced_accuracy"] > 0.8
    result = embed_patches(encoder, data, window=10)
    assert score_patches(head, result)["balanced_accuracy"] == pytest.approx(best["validation_balanced_accuracy"])


def test_an_encoder_that_is_trained_does_not_attend_to_the_padding_of_short_windows() -> None:
    encoder, seen = small_roformer(), []
    forward = encoder.forward

    def watched(x: torch.Tensor, *, missing: torch.Tensor | None = None) -> torch.Tensor:
        seen.append((x.shape[1:], missing))
        return forward(x, missing=missing)

    encoder.forward = watched  # type: ignore[method-assign, assignment]  # a spy
    items = (*sequences(patches=10, subjects=1), *sequences(patches=4, subjects=1))
    windows = raw_windows(PatchSequences(items, ("quiet", "loud")), window=10)
    assert [len(label) for label in windows.label] == [10, 4]
    fit_patch_head(windows, PatchHeadSettings(epochs=1, batch=2), encoder=encoder)
    ((shape, missing),) = seen
    assert shape == (3, 3000)
    assert missing is not None
    assert sorted(missing.sum(1).tolist()) == [0, 6]
    assert missing[:, 4:].any(0).all()
    assert not missing[:, :4].any()


def test_probabilities_out_of_fold_come_from_other_people() -> None:
    data = features()
    result, fold = out_of_fold(data, PatchHeadSettings(epochs=2), folds=3)
    assert sorted(np.bincount(fold)) == [2, 2, 2]
    others = data.select([s for s, f in zip(data.subject, fold, strict=True) if f != fold[0]])
    head, _ = fit_patch_head(others, PatchHeadSettings(epochs=2))
    np.testing.assert_allclose(result[0], head.probabilities([data.x[0]])[0], rtol=1e-6)


def test_a_probe_tells_loud_from_quiet_and_reports_each_seed() -> None:
    data, encoder = sequences(subjects=5), small_roformer()
    result = probe_patches(
        lambda part, stride: embed_patches(encoder, part, window=10, stride=stride),
        data,
        PatchHeadSettings(epochs=80, learning_rate=1e-2),
        seeds=(0, 1),
        stride=5,
    )
    table = result.table
    assert table["seed"].tolist() == [0, 1]
    assert table["n_train"].tolist() == [4, 4]
    assert table["balanced_accuracy"].min() > 0.8
    assert result.scores["last", 0, 1, "validation"].values["kappa"] == pytest.approx(table["kappa"][1])
    assert result.members[0] == {
        name: tuple(part.subjects) for name, part in zip(("train", "validation"), data.split(0), strict=True)
    }
    fewer = probe_patches(
        lambda part, stride: embed_patches(encoder, part, window=10, stride=stride),
        data,
        PatchHeadSettings(epochs=2),
        seeds=(0,),
        train_fraction=0.25,
    ).table
    assert fewer["n_train"].tolist() == [1]
    assert fewer["epoch"].tolist() == [8]


def test_shares_of_the_labelled_people_are_rounded_down_and_nested() -> None:
    people = [f"P{number:03}" for number in range(119)]
    shares = [people_with_labels(people, share, 3) for share in (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)]
    assert [len(share) for share in shares] == [5, 11, 23, 47, 71, 95, 119]
    assert all(set(small) < set(large) for small, large in itertools.pairwise(shares))
    assert people_with_labels(people[:4], 0.05, 0) != []


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(ValueError, match="head"):
        Head("tree", 4, 2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="validation"):
        fit_patch_head(features(), PatchHeadSettings(head="lstm"))
    empty = features()
    with pytest.raises(ValueError, match="labelled"):
        fit_patch_head(PatchFeatures(empty.x, [np.full(40, -1)] * 6, empty.subject, ("a", "b")), PatchHeadSettings())


@pytest.mark.parametrize("head", ["linear", "logistic", "lstm"])
def test_a_head_is_fitted_on_the_device(head: Any) -> None:
    data = features()
    settings = PatchHeadSettings(head=head, epochs=2)
    if not torch.cuda.is_available():
        with pytest.raises((AssertionError, RuntimeError), match=r"(?i)cuda|nvidia"):
            fit_patch_head(data, settings, validation=data, device="cuda")
        return
    fitted, best = fit_patch_head(data, settings, validation=data, device="cuda")
    assert fitted.mean.device.type == "cuda"
    assert score_patches(fitted, data)["balanced_accuracy"] == pytest.approx(best["validation_balanced_accuracy"])
    (own,), (others,) = fitted.probabilities(data.x[:1]), fitted.cpu().probabilities(data.x[:1])
    assert own == pytest.approx(others, abs=1e-4)


def test_the_logistic_head_is_the_minimum_that_scikit_learn_finds() -> None:
    from sklearn.linear_model import LogisticRegression

    train = features()
    head, _ = fit_patch_head(train, PatchHeadSettings(head="logistic"))
    x = np.concatenate([part[label >= 0] for part, label in zip(train.x, train.label, strict=True)]).astype(np.float64)
    whole = np.concatenate(train.x).astype(np.float64)
    x = (x - whole.mean(0)) / whole.std(0)
    y = train.truth()
    expected = LogisticRegression(C=1 / (3e-3 * len(y)), class_weight="balanced", max_iter=2000, tol=1e-8).fit(x, y)
    result = np.concatenate(head.probabilities(train.x))
    counted = np.concatenate(train.label) >= 0
    np.testing.assert_allclose(result[counted][:, expected.classes_], expected.predict_proba(x), atol=5e-3)


def test_the_logistic_head_does_not_depend_on_how_windows_are_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    train = features()
    head, _ = fit_patch_head(train, PatchHeadSettings(head="logistic"))
    monkeypatch.setattr(patch_heads, "_GROUP", 1)
    other, _ = fit_patch_head(train, PatchHeadSettings(head="logistic"))
    for a, b in zip(head.probabilities(train.x), other.probabilities(train.x), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)  # the optimiser stops within that


def test_few_windows_are_gone_over_until_the_steps_are_enough() -> None:
    assert PatchHeadSettings(epochs=70, least_steps=2000).epochs_of(33) == 1000
    assert PatchHeadSettings(epochs=70, least_steps=2000).epochs_of(33000) == 70
    assert PatchHeadSettings(head="lstm", epochs=2, least_steps=2000).epochs_of(33) == 2

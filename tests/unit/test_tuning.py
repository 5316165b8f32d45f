"""Fine-tuning: which weights move and how fast, where it stops, and what people left out have to do with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from imuspec import encoders
from imuspec.experiments.made_up import made_up_windows
from imuspec.prediction import fit_patches, fit_windows
from imuspec.prediction.front_end import FrontEnd
from imuspec.prediction.network import Network, blocks_of
from imuspec.prediction.tuning import Batches, augmented, logits_of, parameter_groups, share_of_rate, tune
from imuspec.probing import Head
from imuspec.recipe import FitRecipe
from imuspec.recipe.fitting import TuningSettings
from labelled_days import labelled_days, small_roformer

WINDOWS = made_up_windows(n_subjects=4, n_windows=3, length=100)
FRONT = FrontEnd("signal", 50.0, 100)


def network(name: str = "cnn1d", **settings: Any) -> Network:
    torch.manual_seed(0)
    encoder = encoders.build(name, **settings).eval()
    return Network(encoder, Head("linear", encoder.n_features, 4).eval(), FRONT)


def batches(augmentations: tuple[str, ...] = ()) -> Batches:
    def inputs(index: np.ndarray, generator: torch.Generator | None) -> torch.Tensor:
        x = torch.from_numpy(np.ascontiguousarray(WINDOWS.x[index]))
        return x if generator is None else augmented(x, augmentations, generator)

    return Batches(inputs, lambda index: WINDOWS.label[index], 4)


@pytest.mark.parametrize(
    ("name", "settings", "n"),
    [
        ("cnn1d", {}, 3),
        ("resnet18", {}, 10),
        ("roformer", {"width": 32, "depth": 3, "n_heads": 4}, 6),
        ("harnet", {}, 18),
    ],
)
def test_the_blocks_of_an_encoder_hold_each_weight_once(name: str, settings: dict[str, Any], n: int) -> None:
    encoder = encoders.build(name, **settings)
    blocks = blocks_of(encoder)
    assert len(blocks) == n
    assert [id(p) for block in blocks for p in block] == [id(p) for p in encoder.parameters()]


def test_blocks_nearer_the_input_have_smaller_rates() -> None:
    settings = TuningSettings(train="all", learning_rate=1e-2, block_decay=0.5)
    groups = parameter_groups(network(), settings)
    assert [group["lr"] for group in groups] == [1e-2, 5e-3, 2.5e-3, 1.25e-3]
    tuned = network("roformer", width=32, depth=2, n_heads=4)
    last = parameter_groups(tuned, TuningSettings(train="last"))[1]["params"]
    norm = dict(tuned.encoder.named_parameters())["norm.weight"]
    block = dict(tuned.encoder.named_parameters())["blocks.1.w2.weight"]
    assert any(p is norm for p in last)  # a norm is no block of its own
    assert any(p is block for p in last)
    assert len(last) == len([k for k, _ in tuned.encoder.named_parameters() if k.startswith("blocks.1.")]) + 1


def test_rates_rise_over_a_tenth_of_the_steps_and_fall_to_zero() -> None:
    shares = [share_of_rate(step, 100) for step in range(101)]
    assert shares[:3] == pytest.approx([0.1, 0.2, 0.3], rel=0.01)
    assert max(shares) == shares[9] > 0.97
    assert shares[50] == pytest.approx(0.5)
    assert shares[100] == pytest.approx(0, abs=1e-12)


def test_the_optimiser_follows_the_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[list[float]] = []

    class Noted(torch.optim.AdamW):
        def step(self, closure: Any = None) -> Any:
            rates.append([group["lr"] for group in self.param_groups])
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "AdamW", Noted)
    settings = TuningSettings(train="last", epochs=4, batch=6)
    tune(network(), batches(), np.arange(12), None, settings, epochs=2)
    expected = [[1e-3 * share, 0.75e-3 * share] for share in (share_of_rate(step, 8) for step in range(4))]
    np.testing.assert_allclose(rates, expected)


@pytest.mark.parametrize("train", ["last", "all"])
def test_only_the_named_weights_move(train: Any) -> None:
    before = network()
    index = np.arange(len(WINDOWS))
    settings = TuningSettings(train=train, epochs=1, batch=8)
    after, epoch = tune(before, batches(("noise", "scale", "time_warp")), index, None, settings)
    moved = {key for key, value in after.state_dict().items() if not torch.equal(value, before.state_dict()[key])}
    assert epoch == 1
    assert {"head.out.weight", "encoder.blocks.2.0.weight"} <= moved
    assert ("encoder.blocks.0.0.weight" in moved) is (train == "all")
    assert all(parameter.requires_grad for parameter in after.parameters())


@pytest.mark.parametrize("train", ["last", "all"])
def test_batch_norms_keep_their_statistics(train: Any) -> None:
    before = network("harnet", window_s=5)
    windows = made_up_windows(n_subjects=2, n_windows=2, length=150)
    items = Batches(lambda index, _: torch.from_numpy(windows.x[index]), lambda index: windows.label[index], 4)
    after, _ = tune(before, items, np.arange(16), None, TuningSettings(train=train, epochs=1, batch=8))
    for key, value in after.state_dict().items():
        if "running" in key or "num_batches" in key:
            assert torch.equal(value, before.state_dict()[key]), key


def test_an_encoder_of_pictures_has_a_tenth_of_the_rate_unless_one_is_stated() -> None:
    tuned = network("resnet18")
    tuned.front = FrontEnd("image", 50.0, 100, picture={})
    rates = [parameter_groups(tuned, TuningSettings(train="all", learning_rate=rate))[0]["lr"] for rate in (None, 1e-2)]
    assert rates == [1e-4, 1e-2]
    assert parameter_groups(network(), TuningSettings(train="all"))[0]["lr"] == 1e-3


def test_an_encoder_of_pictures_keeps_what_its_head_was_fitted_to() -> None:
    """With the statistics of each batch, one epoch at a rate of almost zero changed most decisions."""
    torch.manual_seed(0)
    encoder = encoders.build("resnet18")
    drawn = torch.rand((64, 3, 24, 32))
    encoder.train()
    with torch.no_grad():
        for _ in range(20):  # statistics of other pictures than those of the fine-tuning
            encoder(drawn)
    pictures = 0.5 + 0.2 * torch.rand((48, 3, 24, 32))
    before = Network(
        encoder.eval(), Head("linear", encoder.n_features, 4).eval(), FrontEnd("image", 50.0, 100, picture={})
    )
    items = Batches(lambda index, _: pictures[index], lambda index: index % 4, 4)
    index = np.arange(48)
    after, epoch = tune(before, items, index, None, TuningSettings(train="all", epochs=2, learning_rate=1e-9))
    assert epoch == 2
    expected, actual = (np.concatenate(logits_of(each, items, index)) for each in (before, after))
    np.testing.assert_allclose(actual, expected, atol=1e-3)


@pytest.mark.parametrize("name", ["cpc", "cpc_original"])
@pytest.mark.parametrize("train", ["last", "all"])
def test_the_first_step_sees_the_features_that_the_head_was_fitted_to(name: str, train: Any) -> None:
    """Dropout would shift a maximum over time, and the encoder would learn to undo a shift that no prediction has."""
    before = network(name, dropout=0.5)
    index = np.arange(len(WINDOWS))
    with torch.inference_mode():
        expected = before.features(batches().inputs(index, None))
    seen: list[torch.Tensor] = []
    before.head.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].detach()))
    tune(before, batches(), index, None, TuningSettings(train=train, epochs=1, batch=len(index)))
    torch.testing.assert_close(seen[0].sort(0).values, expected.sort(0).values, rtol=1e-3, atol=1e-4)


def test_the_epoch_is_the_best_of_the_validation_people_and_may_be_none() -> None:
    index = np.flatnonzero(WINDOWS.subject < 3)  # people that are learned by heart can only be forgotten
    learned, epoch = tune(
        network(), batches(), index, index, TuningSettings(train="all", epochs=16, learning_rate=1e-2, batch=8)
    )
    assert epoch > 0
    spoilt, epoch = tune(
        learned, batches(), index, index, TuningSettings(train="all", epochs=3, learning_rate=3.0, batch=8)
    )
    assert epoch == 0
    for key, value in spoilt.state_dict().items():
        assert torch.equal(value, learned.state_dict()[key]), key


def test_an_unknown_augmentation_and_a_loss_that_is_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match=r"tuning\.augmentations: expected one of 'noise'"):
        augmented(torch.zeros(2, 3, 50), ["nois"], torch.Generator())
    with pytest.raises(ValueError, match=r"tuning\.learning_rate: expected a finite loss"):
        tune(
            network(),
            batches(),
            np.arange(48),
            None,
            TuningSettings(train="all", epochs=30, learning_rate=1e30, batch=8),
        )


def test_a_fit_trains_a_network_for_each_group_of_people_and_one_for_all() -> None:
    recipe = FitRecipe().set("split.folds=3", "tuning.epochs=2", "tuning.learning_rate=3e-3", "tuning.batch=16")
    torch.manual_seed(0)
    encoder = encoders.build("cnn1d", dropout=0.0).eval()
    untouched = {key: value.clone() for key, value in encoder.state_dict().items()}
    messages: list[str] = []
    tuned = fit_windows(encoder, WINDOWS, recipe.set("tuning.train=all"), say=messages.append)
    assert sum("fine-tuned without group" in line for line in messages) == 3
    assert sum("fine-tuned on all people" in line for line in messages) == 1
    assert np.isfinite(tuned.held_out.logits).all()
    assert tuned.held_out.scores(tuned.class_names).values["accuracy"] > 0.6
    assert all(torch.equal(value, untouched[key]) for key, value in encoder.state_dict().items())
    assert tuned.encoder is not None
    assert tuned.encoder.spec == encoder.spec


def test_an_encoder_of_patches_is_fine_tuned() -> None:
    messages: list[str] = []
    days = labelled_days(3, hours=0.75)
    recipe = FitRecipe().set("tuning.train=last", "tuning.epochs=1", "split.folds=3")
    model = fit_patches(small_roformer(), days, recipe, say=messages.append)
    assert sum("fine-tuned without group" in line for line in messages) == 3
    assert model.held_out.logits.shape == (sum(len(item.label) for item in days), 6)
    assert np.isfinite(model.predict_proba(days.items[0].x)).all()

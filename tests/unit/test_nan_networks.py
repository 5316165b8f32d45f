"""NaN in gives NaN out of every encoder and objective, weights that are NaN are refused, and no class is read from NaN."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402

from imuspec import encoders, objectives  # noqa: E402
from imuspec.encoders import Encoder  # noqa: E402
from imuspec.evaluation import most_probable  # noqa: E402
from imuspec.run.run import Run  # noqa: E402

SIGNALS = {
    "cnn1d": ({}, 100),
    "tpn": ({}, 100),
    "limu_bert": ({"n_steps": 100}, 100),
    "cpc": ({}, 100),
    "cpc_original": ({}, 50),
    "harnet": ({"window_s": 5}, 150),
    "roformer": ({"patch": 50, "width": 32, "depth": 2, "n_heads": 2}, 200),
}
PICTURES: dict[str, dict[str, Any]] = {
    "resnet18": {},
    "vit": {"size": "tiny", "image": (32, 48)},
    "efficientnet_lite0": {},
}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def expect_nan_of_its_item_alone(encoder: Encoder, x: Tensor, sample: tuple[Any, ...]) -> None:
    encoder.eval()
    with torch.inference_mode():
        clean = encoder(x)
        x = x.clone()
        x[(1, *sample)] = torch.nan
        out = encoder(x)
    assert out[1].isnan().all()
    torch.testing.assert_close(out[0], clean[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SIGNALS)
def test_a_window_with_nan_has_an_embedding_of_nan(name: str) -> None:
    settings, n_samples = SIGNALS[name]
    expect_nan_of_its_item_alone(encoders.build(name, **settings), noise(2, 3, n_samples), (1, n_samples // 2))
    standardised = encoders.build("standardised", encoder=name, settings=settings, mean=[0, 0, 1], sd=[1, 1, 1])
    expect_nan_of_its_item_alone(standardised, noise(2, 3, n_samples), (1, n_samples // 2))


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_with_nan_has_an_embedding_of_nan(name: str, channels_last: bool) -> None:
    pytest.importorskip("torchvision")
    pytest.importorskip("timm")
    encoder = encoders.build(name, **PICTURES[name])
    x = noise(2, 3, 32, 48)
    if channels_last:
        encoder, x = encoder.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    expect_nan_of_its_item_alone(encoder, x, (0, 16, 24))


def test_a_window_of_which_nothing_was_measured_has_no_mean_embedding() -> None:
    encoder: Any = encoders.build("roformer", patch=50, width=32, depth=2, n_heads=2).eval()
    x = noise(3, 3, 200)
    x[1, :, :50] = torch.nan  # a patch is missing, the others have a mean
    x[2] = torch.nan
    with torch.inference_mode():
        for name, values in encoder.layers(x).items():
            assert torch.isfinite(values[:2]).all(), name
            assert values[2].isnan().all(), name


def windows(name: str, **settings: Any) -> Callable[[], tuple[nn.Module, tuple[Tensor, ...]]]:
    encoder_settings, n_samples = SIGNALS[name]

    def build() -> tuple[nn.Module, tuple[Tensor, ...]]:
        objective = objectives.build(settings["objective"], encoders.build(name, **encoder_settings), **settings["of"])
        x = noise(4, 3, n_samples)
        return objective, settings["views"](x)

    return build


def pictures(objective: str, encoder: str, **settings: Any) -> Callable[[], tuple[nn.Module, tuple[Tensor, ...]]]:
    def build() -> tuple[nn.Module, tuple[Tensor, ...]]:
        pytest.importorskip("torchvision")
        pytest.importorskip("timm")
        made = objectives.build(objective, encoders.build(encoder, **PICTURES[encoder]), **settings)
        x = noise(4, 3, 32, 48)
        second = {"mae": (), "supervised": (torch.arange(4) % 2,)}.get(objective, (noise(4, 3, 32, 48, seed=1),))
        return made, (x, *second)

    return build


def chosen_of(x: Tensor) -> Tensor:
    return torch.arange(x.shape[-1]).expand(len(x), -1) % 2 == 0


def two(x: Tensor) -> tuple[Tensor, ...]:
    return x, x + 0.1


OBJECTIVES = {
    "limu_bert": windows(
        "limu_bert", objective="limu_bert", of={}, views=lambda x: (x * ~chosen_of(x)[:, None], x, chosen_of(x))
    ),
    "simclr": windows("tpn", objective="simclr", of={}, views=two),
    "multitask": windows("tpn", objective="multitask", of={"n_tasks": 4}, views=lambda x: (x, torch.eye(4))),
    "harnet_tasks": windows("tpn", objective="harnet_tasks", of={"n_tasks": 4}, views=lambda x: (x, torch.eye(4))),
    "cpc": windows("cpc", objective="cpc", of={}, views=lambda x: (x,)),
    "cpc_original": windows("cpc_original", objective="cpc_original", of={"n_steps": 28}, views=lambda x: (x,)),
    "masked": windows(
        "roformer", objective="masked", of={"nfft": 16}, views=lambda x: (x, torch.tensor([[True, False] * 2] * 4))
    ),
    "masked, mse and mean": windows(
        "roformer",
        objective="masked",
        of={"nfft": 16, "lmm": 0, "mse": 1, "mean": 1},
        views=lambda x: (x, torch.tensor([[True, False] * 2] * 4)),
    ),
    "moco": pictures("moco", "resnet18", queue=8, norm_group=2),
    "simsiam": pictures("simsiam", "resnet18", features=16, hidden=8),
    "supervised": pictures("supervised", "resnet18", n_classes=2),
    "moco_v3": pictures("moco_v3", "vit", total_steps=2, hidden=16, width=8),
    "mae": pictures("mae", "vit", width=32, n_blocks=1, n_heads=4),
}


SECOND = ("limu_bert", "simclr", "moco", "simsiam", "moco_v3")  # the second view is of samples or pixels too


@pytest.mark.parametrize(("name", "position"), [*((name, 0) for name in OBJECTIVES), *((name, 1) for name in SECOND)])
def test_nan_in_an_item_makes_the_loss_nan(name: str, position: int) -> None:
    torch.manual_seed(0)
    objective, views = OBJECTIVES[name]()
    torch.manual_seed(1)
    assert torch.isfinite(objective(*views)[0])
    broken = list(views)
    broken[position] = views[position].clone()
    broken[position].view(len(broken[position]), -1)[2, :400:3] = torch.nan
    torch.manual_seed(1)
    assert objective(*broken)[0].isnan()


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_have_diverged_are_refused(value: float, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    from imuspec.run.named import load_encoder

    encoder = encoders.build("cnn1d")
    Run(tmp_path).save_encoder(encoder)
    assert load_encoder(str(tmp_path)).n_features == 128
    name, parameter = next(iter(encoder.named_parameters()))
    with torch.no_grad():
        parameter.view(-1)[3] = value
    Run(tmp_path).save_encoder(encoder)
    with pytest.raises(ValueError, match=f"expected finite numbers, got NaN or infinity in {name}: the training has"):
        load_encoder(str(tmp_path))


def test_the_most_probable_class_of_nan_is_an_error() -> None:
    logits = np.array([[0.1, 0.9], [np.nan, 0.2], [0.5, 0.1]], np.float32)
    assert most_probable(logits[[0, 2]]).tolist() == [1, 0]
    assert most_probable(np.array([[-np.inf, 1.0]])).tolist() == [1]
    assert most_probable(np.empty((0, 3))).shape == (0,)
    with pytest.raises(ValueError, match="scores: expected numbers, got NaN in 1 of 3 windows"):
        most_probable(logits)


class NanBeyond(nn.Module):
    """A network of windows whose embedding is NaN where the first sample is above a limit."""

    kind, n_features = "signal", 3

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x[:, :1, 0] > self.limit, torch.nan, x.mean(2))


@pytest.mark.parametrize("head", ["linear", "logistic"])
def test_a_probe_scores_no_test_window_whose_features_are_nan(head: str) -> None:
    pytest.importorskip("sklearn")
    from imuspec.datasets import subject_split
    from imuspec.experiments.made_up import made_up_windows
    from imuspec.probing import EncoderSource, probe

    shown = made_up_windows(n_subjects=6, n_windows=3)
    source = EncoderSource(NanBeyond(1e5))
    assert probe(source, shown, seeds=(0,), shots=(2,), head=head).table["n_test"][0] > 0
    shown.x[subject_split(shown, 0).test[0], 0, 0] = 1e6
    with pytest.raises(ValueError, match="scores: expected numbers, got NaN in 1 of"):
        probe(source, shown, seeds=(0,), shots=(2,), head=head)


def test_a_model_gives_no_class_where_its_network_gives_nan() -> None:
    pytest.importorskip("sklearn")
    from imuspec.experiments.made_up import made_up_windows
    from imuspec.prediction import fit_windows

    shown = made_up_windows(n_subjects=6, n_windows=3)
    encoder = encoders.build("cnn1d")
    model = fit_windows(encoder, shown, source={"name": "random"})
    assert len(model.predict(shown.x[:2])) == 2
    with torch.no_grad():
        next(iter(encoder.parameters())).fill_(torch.nan)
    for ask in (model.predict, model.predict_proba):
        with pytest.raises(ValueError, match="model: expected numbers for finite samples, got NaN from Model"):
            ask(shown.x[:2])

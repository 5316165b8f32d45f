"""Heat maps against captum and the closed form, and the numbers drawn from them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pandas")
from imuspec import encoders  # noqa: E402
from imuspec.experiments import img2imu_fig8  # noqa: E402
from imuspec.probing import explanation  # noqa: E402

LABEL = np.array([0, 2, 1])


@pytest.fixture(scope="module")
def encoder() -> torch.nn.Module:
    torch.manual_seed(0)
    return encoders.build("resnet18").eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(size=(3, 3, 64, 96)).astype(np.float32))


@pytest.mark.parametrize("stage", ["layer4", "layer2"])
def test_heat_is_captums(encoder: torch.nn.Module, images: torch.Tensor, stage: str) -> None:
    attr = pytest.importorskip("captum.attr")
    head = torch.nn.Linear(512, 3)
    model = torch.nn.Sequential(encoder, head)
    result = attr.LayerGradCam(model, getattr(encoder, stage)).attribute(
        images, torch.from_numpy(LABEL), relu_attributions=True
    )
    result = attr.LayerAttribution.interpolate(result, (64, 96), interpolate_mode="bilinear").detach().numpy()[:, 0]
    want = result / np.maximum(result.max((1, 2), keepdims=True), 1e-30)
    got = explanation.grad_cam(encoder, head.weight.detach().numpy(), images, LABEL, stage=stage)
    assert got.shape == (3, 64, 96)
    np.testing.assert_allclose(got, want, atol=1e-4)


def test_nothing_that_speaks_for_the_class_is_no_heat(encoder: torch.nn.Module, images: torch.Tensor) -> None:
    against = -np.ones((3, 512))  # features after ReLU are not negative
    assert not explanation.grad_cam(encoder, against, images, LABEL).any()
    assert np.isnan(explanation.band_share(np.zeros((4, 4)))).all()


def test_an_encoder_that_diverged_has_no_heat_that_can_be_read(images: torch.Tensor) -> None:
    diverged = encoders.build("resnet18").eval()
    with torch.no_grad():
        next(diverged.parameters()).fill_(torch.nan)
    assert np.isnan(explanation.grad_cam(diverged, np.ones((3, 512)), images, LABEL)).all()


def test_the_numbers_of_a_window_are_the_mean_over_the_draws_of_the_weights() -> None:
    rng = np.random.default_rng(0)
    heat = {"random": rng.random((3, 5, 8, 6)), img2imu_fig8.SUPERVISED: rng.random((1, 5, 8, 6))}
    heat["random"][1, 2] = 0  # no heat: the window counts by the other two draws
    table = img2imu_fig8._numbers(heat, 4, 25.0).query("row == 'random'").set_index("column")
    shares = explanation.band_share(heat["random"], 4)[..., 0]
    want = np.nanmean(shares, 0)
    assert table.loc["0-6.25 Hz", "value"] == pytest.approx(want.mean())
    assert table.loc["0-6.25 Hz", "sd"] == pytest.approx(want.std(ddof=1))
    between = [explanation.rank_correlation(draw, heat[img2imu_fig8.SUPERVISED][0]) for draw in heat["random"]]
    assert table.loc["rank correlation", "value"] == pytest.approx(np.nanmean(between, 0).mean())
    assert set(table["n"]) == {5}
    assert set(table["draws"]) == {3}


def test_what_cannot_be_explained_is_refused(encoder: torch.nn.Module, images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="label: expected 3 classes of 0 to 1, got"):
        explanation.grad_cam(encoder, np.ones((2, 512)), images, LABEL)
    with pytest.raises(
        ValueError, match="stage: expected one of 'layer1', 'layer2', 'layer3', 'layer4', 'stem', got 'layer5'"
    ):
        explanation.grad_cam(encoder, np.ones((3, 512)), images, LABEL, stage="layer5")


def test_the_share_of_a_band_counts_from_frequency_zero_at_the_bottom() -> None:
    heat = np.zeros((2, 8, 5))
    heat[0, -1] = 1  # frequency 0
    heat[1, 0], heat[1, 7] = 3, 1
    np.testing.assert_allclose(explanation.band_share(heat, 4), [[1, 0, 0, 0], [0.25, 0, 0, 0.75]])
    np.testing.assert_allclose(explanation.band_share(np.ones((7, 3)), 3), [3 / 7, 2 / 7, 2 / 7])
    with pytest.raises(ValueError, match="n_bands: expected 1 to 7, got 8"):
        explanation.band_share(np.ones((7, 3)), 8)


def test_rank_correlation_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    first, second = np.random.default_rng(2).integers(0, 5, (2, 3, 6, 7)).astype(float)
    want = [stats.spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(explanation.rank_correlation(first, second), want)
    assert np.isnan(explanation.rank_correlation(np.ones((2, 2)), np.eye(2)))

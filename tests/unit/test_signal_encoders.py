"""Encoders of signals and vision transformers: sizes, shapes, keys, what sees what."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from imuspec.encoders.cnn1d import Cnn1d
from imuspec.encoders.cpc import Cpc, CpcOriginal
from imuspec.encoders.fusion import Fusion, SingleAxis
from imuspec.encoders.harnet import Harnet, HarnetClassifier
from imuspec.encoders.limu_bert import LimuBert
from imuspec.encoders.standardised import Standardised
from imuspec.encoders.tpn import Tpn
from imuspec.encoders.vit import Vit, sincos_positions
from imuspec.objectives.reconstruction import MaskedReconstruction


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def windows(n: int, *, seed: int = 0, axes: int = 3) -> torch.Tensor:
    return torch.randn(2, axes, n, generator=torch.Generator().manual_seed(seed))


SIGNAL = {
    "cnn1d": (Cnn1d, 100, 128),
    "tpn": (Tpn, 100, 96),
    "limu_bert": (lambda: LimuBert(n_steps=100), 100, 72),
    "cpc": (Cpc, 100, 256),
    "cpc_original": (CpcOriginal, 50, 256),
    "harnet5": (lambda: Harnet(window_s=5), 150, 512),
}


@pytest.mark.parametrize("name", SIGNAL)
def test_a_signal_encoder_gives_one_embedding_and_names_its_layers(name: str) -> None:
    build, n, n_features = SIGNAL[name]
    encoder = build().eval()
    x = windows(n)
    assert encoder.kind == "signal"
    assert encoder.n_features == n_features
    assert encoder(x).shape == (2, n_features)
    layers = encoder.layers(x)
    assert torch.equal(layers["embedding"], encoder(x))
    assert all(value.shape[0] == 2 and value.ndim == 2 for value in layers.values())


@pytest.mark.parametrize(
    ("encoder", "expected"),
    [
        (Cnn1d(), 31_008),
        (Tpn(), 84_416),
        (MaskedReconstruction(LimuBert(n_axes=6, n_steps=120)), 62_646),
        (MaskedReconstruction(LimuBert(n_axes=6, n_steps=20)), 55_446),
    ],
    ids=["cnn1d", "tpn", "limu_bert", "limu_bert_x"],
)
def test_a_network_has_the_published_number_of_parameters(encoder: nn.Module, expected: int) -> None:
    assert n_parameters(encoder) == expected


@pytest.mark.parametrize(("window_s", "features", "whole"), [(5, 4_227_904, 4_493_638), (10, 10_457_408, 10_985_286)])
def test_harnet_has_the_keys_and_numbers_of_the_public_weights(window_s: int, features: int, whole: int) -> None:
    model = HarnetClassifier(6, window_s=window_s)
    keys = list(model.state_dict())
    assert len(keys) == 135
    assert sum(key.startswith("feature_extractor.layer") for key in keys) == 131
    assert [key for key in keys if key.startswith("classifier")] == [
        f"classifier.linear{i}.{item}" for i in (1, 2) for item in ("weight", "bias")
    ]
    assert n_parameters(model.feature_extractor) == features
    assert n_parameters(model) == whole


@pytest.mark.parametrize(
    ("window_s", "lengths"), [(5, (75, 37, 12, 4, 1)), (10, (150, 75, 15, 3, 1)), (30, (300, 100, 20, 4, 1))]
)
def test_harnet_shortens_a_window_stage_by_stage(window_s: int, lengths: tuple[int, ...]) -> None:
    model, x, result = Harnet(window_s=window_s).eval(), torch.zeros(1, 3, 30 * window_s), []
    for stage in model.feature_extractor:
        x = stage(x)
        result.append(x.shape[-1])
    assert tuple(result) == lengths


def test_harnet_smooths_by_boxes_convolved_with_themselves() -> None:
    kernels = [
        module.kernel for module in Harnet().modules() if hasattr(module, "kernel") and torch.is_tensor(module.kernel)
    ]
    for kernel, factor, order in zip(kernels, (2, 2, 5, 5, 3), (2, 2, 1, 1, 1), strict=True):
        box = expected = np.ones(factor) / factor
        for _ in range(order):
            expected = np.convolve(expected, box)
        np.testing.assert_allclose(kernel[0, 0], expected, rtol=1e-6)
    assert [kernel.shape[-1] for kernel in kernels] == [4, 4, 9, 9, 5]


def test_harnet_refuses_another_length_and_clips_when_asked() -> None:
    with pytest.raises(ValueError, match=r"expected \[B, 3, 300\] at 30 Hz"):
        Harnet()(torch.zeros(1, 3, 500))
    encoder, x = Harnet(window_s=5, clip_g=3.0).eval(), 10 * windows(150)
    assert torch.equal(encoder(x), encoder(x.clamp(-3, 3)))


def test_limu_bert_shares_one_block_and_starts_the_residual_from_the_attention() -> None:
    encoder = LimuBert(n_steps=10, n_layers=2).eval()
    assert n_parameters(encoder) == n_parameters(LimuBert(n_steps=10, n_layers=4))
    x = windows(10)
    with torch.no_grad():
        h = encoder.embed(x.transpose(1, 2))
        for _ in range(2):
            a = encoder.attn(h)
            b = encoder.norm1(a + encoder.proj(a))
            h = encoder.norm2(b + encoder.pwff.fc2(nn.functional.gelu(encoder.pwff.fc1(b))))
        torch.testing.assert_close(encoder.states(x), h)


def test_limu_bert_attends_as_the_formula_says() -> None:
    encoder = LimuBert(n_steps=7).eval()
    h = torch.randn(1, 7, 72, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        q, k, v = (
            part(h).view(7, 4, 18).permute(1, 0, 2)
            for part in (encoder.attn.proj_q, encoder.attn.proj_k, encoder.attn.proj_v)
        )
        expected = ((q @ k.transpose(1, 2) / 18**0.5).softmax(-1) @ v).permute(1, 0, 2).reshape(7, 72)
        torch.testing.assert_close(encoder.attn(h)[0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("n", "n_frames"), [(100, 23), (250, 61), (500, 123)])
def test_cpc_makes_a_frame_of_every_fourth_sample(n: int, n_frames: int) -> None:
    assert Cpc().frames(torch.zeros(1, 3, n)).shape == (1, 256, n_frames)


def test_a_frame_of_cpc_sees_ten_samples_and_the_offset_clears_them() -> None:
    encoder = Cpc().eval()
    x = windows(100)[:1].requires_grad_()
    encoder.frames(x)[0, :, 5].square().sum().backward()
    seen = x.grad[0].abs().sum(0).nonzero().flatten()
    assert (int(seen[0]), int(seen[-1])) == (20, 29)  # 4 * 5 onwards, ten samples
    assert encoder.receptive_field == 10
    assert encoder.stride == 4
    assert encoder.offset == 3
    assert encoder.stride * encoder.offset >= encoder.receptive_field


def test_a_context_normed_by_frame_knows_nothing_of_the_future_and_twenty_frames_of_the_past() -> None:
    encoder = Cpc(norm="frame").eval()
    frames = torch.randn(1, 256, 60, generator=torch.Generator().manual_seed(0)).requires_grad_()
    encoder.context(frames)[0, :, 40].square().sum().backward()
    seen = frames.grad[0].abs().sum(0).nonzero().flatten()
    assert int(seen[-1]) == 40
    assert int(seen[0]) == 40 - (1 + 2 + 3 + 4 + 5)  # kernels 2..6


def test_the_convolutions_of_the_default_context_are_causal_its_norm_alone_is_not() -> None:
    encoder = Cpc().eval()
    frames = torch.randn(1, 256, 30, generator=torch.Generator().manual_seed(0))
    later = frames.clone()
    later[..., 20:] += 1.0
    assert not torch.equal(encoder.context(frames)[..., :20], encoder.context(later)[..., :20])
    for layer in encoder.causal:
        layer.norm = nn.Identity()
    torch.testing.assert_close(encoder.context(frames)[..., :20], encoder.context(later)[..., :20], rtol=0, atol=0)


def test_the_original_cpc_reads_the_past_alone() -> None:
    encoder = CpcOriginal().eval()
    frames = windows(50, axes=128)
    whole = encoder.context(frames)
    torch.testing.assert_close(encoder.context(frames[..., :30]), whole[..., :30])


def test_short_windows_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="windows of 46 samples or more, got 45"):
        Tpn()(torch.zeros(1, 3, 45))
    assert Tpn()(torch.zeros(1, 3, 46)).shape == (1, 96)
    with pytest.raises(ValueError, match=r"expected \[B, 3, up to 20\]"):
        LimuBert(n_steps=20)(torch.zeros(1, 3, 21))


@pytest.mark.parametrize(("size", "millions", "width"), [("small", 21.6, 384), ("base", 85.7, 768)])
def test_a_vision_transformer_has_timms_size(size: str, millions: float, width: int) -> None:
    with torch.device("meta"):
        encoder = Vit(size=size)
    assert round(n_parameters(encoder) / 1e6, 1) == millions
    assert encoder.n_features == width
    assert encoder.grid == (6, 8)


def test_the_variant_of_moco_v3_has_twelve_heads_fixed_positions_and_frozen_patches() -> None:
    encoder = Vit(size="small", n_heads=12, positions="sincos", frozen_patches=True)
    assert encoder.trunk.blocks[0].attn.num_heads == 12
    fixed = {name for name, parameter in encoder.named_parameters() if not parameter.requires_grad}
    assert fixed == {"trunk.pos_embed", "trunk.patch_embed.proj.weight", "trunk.patch_embed.proj.bias"}
    torch.testing.assert_close(encoder.trunk.pos_embed[0], sincos_positions((6, 8), 384))


def test_a_vision_transformer_shows_kept_patches_in_the_order_asked() -> None:
    encoder = Vit(size="tiny").eval()
    x = torch.randn(2, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = encoder.tokens(x)
        turned = encoder.tokens(x, torch.arange(47, -1, -1).expand(2, -1))
    torch.testing.assert_close(turned[:, 1:].flip(1), whole[:, 1:], atol=1e-4, rtol=1e-4)
    layers = encoder.layers(x)
    torch.testing.assert_close(layers["embedding"], encoder(x))
    assert set(layers) == {*(f"block{i}" for i in range(1, 13)), "mean", "embedding"}


def test_fixed_positions_are_sines_of_column_and_row() -> None:
    table = sincos_positions((6, 8), 16).numpy()
    assert not table[0].any()
    row, column = 4, 5
    pace = 10000.0 ** (-np.arange(4) / 4)
    expected = [np.sin(column * pace), np.cos(column * pace), np.sin(row * pace), np.cos(row * pace)]
    np.testing.assert_allclose(table[1 + row * 8 + column], np.concatenate(expected), atol=1e-6)


def test_a_standardised_encoder_keeps_the_axes_numbers_with_its_weights() -> None:
    x = windows(100) * torch.tensor([0.2, 0.5, 1.0])[:, None] + torch.tensor([0.0, 0.1, 1.0])[:, None]
    values = x.double()
    mean, sd = values.mean((0, 2)).tolist(), values.std((0, 2), correction=0).tolist()
    inner = Cnn1d().eval()
    encoder = Standardised(inner, mean=mean, sd=sd).eval()
    np.testing.assert_allclose(encoder.standardise(x).mean((0, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(encoder.standardise(x).std((0, 2), correction=0), 1, atol=1e-6)
    torch.testing.assert_close(encoder(x), inner((x - encoder.mean) / encoder.sd))
    assert {"mean", "sd"} <= set(encoder.state_dict())
    with pytest.raises(ValueError, match="sd: expected a positive number"):
        Standardised(inner, mean=(0, 0, 0), sd=(1, 0, 1))


def test_fusion_joins_an_encoder_for_each_triad() -> None:
    first, second = Cnn1d().eval(), Cnn1d().eval()
    fused = Fusion([first, second])
    x = torch.stack([windows(100, seed=1), windows(100, seed=2)], 1)
    torch.testing.assert_close(fused(x), torch.cat([first(x[:, 0]), second(x[:, 1])], 1))
    assert fused.n_features == 256
    assert torch.equal(fused.layers(x)["embedding"], fused(x))
    with pytest.raises(ValueError, match="expected \\[B, 2 triads"):
        fused(x[:, :1])


def test_a_single_axis_is_shown_three_times() -> None:
    inner = Cnn1d().eval()
    x = windows(100, axes=1)
    torch.testing.assert_close(SingleAxis(inner)(x), inner(x.repeat(1, 3, 1)))
    with pytest.raises(ValueError, match="expected one channel"):
        SingleAxis(inner)(windows(100))

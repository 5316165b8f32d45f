"""The RoFormer encoder: its size, its positions, and what hidden and missing patches do to it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imuspec import encoders
from imuspec.encoders.roformer import RoFormer, missing_patches, rotate, rotation_angles
from imuspec.objectives.masked import MaskedSignalAutoencoder


def small(**settings: int) -> RoFormer:
    torch.manual_seed(0)
    return RoFormer(**{"patch": 30, "width": 32, "depth": 2, "n_heads": 4, **settings}).eval()


def test_the_parameters_are_those_of_the_published_network() -> None:
    encoder = encoders.build("roformer")
    count = sum(p.numel() for p in encoder.parameters())
    assert count == 9_677_568
    assert sum(p.numel() for p in MaskedSignalAutoencoder(encoder).parameters()) == 9_908_868
    assert sum(p.numel() for p in encoder.blocks[0].parameters()) == 787_200


def test_positions_turn_as_a_plain_twin_turns_them() -> None:
    x = np.random.default_rng(0).standard_normal((2, 7, 32))
    expected = np.empty_like(x)
    for position in range(7):
        for i in range(16):
            angle = position * 10000 ** (-2 * i / 32)
            turned = (x[:, position, 2 * i] + 1j * x[:, position, 2 * i + 1]) * np.exp(1j * angle)
            expected[:, position, 2 * i], expected[:, position, 2 * i + 1] = turned.real, turned.imag
    angles = rotation_angles(7, 32)
    result = rotate(torch.from_numpy(x), angles.cos(), angles.sin())
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-12, atol=1e-12)


def test_attention_equals_a_plain_twin_with_rotated_queries_and_keys() -> None:
    encoder = small(depth=1)
    attention = encoder.blocks[0].attention.double()
    x = torch.from_numpy(np.random.default_rng(1).standard_normal((1, 5, 32)))
    angles = rotation_angles(5, 8)
    result = attention(x, angles.cos(), angles.sin(), None).detach().numpy()[0]
    w = {name: layer.weight.detach().numpy() for name, layer in attention.named_children()}
    q, k, v = (x[0].numpy() @ w[name].T for name in ("query", "key", "value"))
    mixed = np.zeros((5, 32))
    for head in range(4):
        part = slice(8 * head, 8 * head + 8)

        def turned(total: np.ndarray, part: slice = part) -> np.ndarray:
            pairs = total[:, part].reshape(5, 4, 2)
            return (pairs[..., 0] + 1j * pairs[..., 1]) * np.exp(1j * angles.numpy())

        score = (turned(q)[:, None] * turned(k)[None].conj()).real.sum(-1) / np.sqrt(8)
        weight = np.exp(score - score.max(1, keepdims=True))
        mixed[:, part] = weight / weight.sum(1, keepdims=True) @ v[:, part]
    np.testing.assert_allclose(result, mixed @ w["out"].T, rtol=1e-9, atol=1e-12)


def test_patches_are_flattened_axis_by_axis() -> None:
    encoder = small(depth=0)
    x = torch.randn(1, 3, 60)
    second = torch.cat([x[0, axis, 30:] for axis in range(3)])
    torch.testing.assert_close(encoder(x)[0, 1], encoder.norm(encoder.embed(second)))


def test_a_hidden_patch_tells_nothing_of_its_samples() -> None:
    encoder, hidden = small(), torch.tensor([[False, True, False, True]])
    x = torch.randn(1, 3, 120)
    other = x.clone()
    other[..., 30:60] = torch.nan
    torch.testing.assert_close(encoder(x, hidden=hidden), encoder(other, hidden=hidden))
    assert not torch.equal(encoder(x), encoder(x, hidden=hidden))


def test_missing_patches_are_as_if_they_were_not_there() -> None:
    """Positions turn relative to one another, so that patches beyond the end change nothing."""
    encoder = small()
    x = torch.randn(2, 3, 90)
    padded = torch.cat([x, torch.full((2, 3, 60), torch.nan)], -1)
    missing = missing_patches(padded, 30)
    assert missing.tolist() == [[False] * 3 + [True] * 2] * 2
    torch.testing.assert_close(encoder(padded, missing=missing)[:, :3], encoder(x), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        encoder.layers(padded)["embedding"], encoder.layers(x)["embedding"], rtol=1e-5, atol=1e-6
    )
    whole = encoder(torch.full((1, 3, 90), torch.nan), missing=torch.ones(1, 3, dtype=torch.bool))
    assert torch.isfinite(whole).all()


def test_layers_name_each_block_and_end_in_the_mean_embedding() -> None:
    encoder, x = small(), torch.randn(2, 3, 90)
    layers = encoder.layers(x)
    assert list(layers) == ["block1", "block2", "embedding"]
    torch.testing.assert_close(layers["embedding"], encoder(x).mean(1))


@pytest.mark.parametrize("shape", [(1, 3, 31), (1, 2, 30), (3, 30), (1, 3, 30 * 301), (1, 3, 0)])
def test_windows_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="x: expected"):
        small()(torch.zeros(shape))


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="width"):
        RoFormer(width=100, n_heads=8)

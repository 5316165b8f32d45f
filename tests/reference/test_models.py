"""Public weights: each published form loads into its encoder, and anything else is refused in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from imuspec import encoders
from imuspec.cli import main
from imuspec.encoders.harnet import HarnetClassifier
from imuspec.run.named import window_form
from imuspec.run.pretrained import MODELS, find_model, import_model, load_model
from imuspec.run.run import Run
from reference_data import DATA, needs_data


def weights(module: nn.Module) -> dict[str, torch.Tensor]:
    """Random weights of a module's shapes, running statistics too."""
    torch.manual_seed(1)
    return {
        key: torch.rand_like(value) if value.is_floating_point() else value
        for key, value in module.state_dict().items()
    }


def published(name: str) -> tuple[dict[str, object], dict[str, torch.Tensor]]:
    """A file in the published form, made up, and the encoder's weights in it."""
    model = find_model(name)
    trunk = weights(model.build())
    extra = torch.zeros(3)
    if model.layout == "torchvision":
        return {**trunk, "fc.weight": extra, "fc.bias": extra}, trunk
    if model.layout == "moco":
        query = {f"module.encoder_q.{key}": value for key, value in {**trunk, "fc.weight": extra}.items()}
        key = {f"module.encoder_k.{key}": value * 0 for key, value in trunk.items()}
        return {"epoch": 200, "arch": "resnet50", "state_dict": {**query, **key, "module.queue": extra}}, trunk
    if model.layout == "moco_v3":
        base = {f"module.base_encoder.{key.removeprefix('trunk.')}": value for key, value in trunk.items()}
        heads = {"module.base_encoder.head.0.weight": extra, "module.momentum_encoder.cls_token": extra}
        return {"state_dict": {**base, **heads, "module.predictor.0.weight": extra}}, trunk
    if model.layout == "mae":
        named = {key.removeprefix("trunk."): value for key, value in trunk.items()}
        return {"model": {**named, "mask_token": extra, "decoder_embed.weight": extra}}, trunk
    if model.layout == "harnet":
        heads = {f"{task}.linear.weight": extra for task in ("aot_h", "scale_h", "permute_h", "time_w_h")}
        return {f"module.{key}": value for key, value in {**trunk, **heads}.items()}, trunk
    inner = {f"transformer.{key}": value for key, value in trunk.items()}
    return {**inner, "fc.weight": extra, "decoder.bias": extra}, trunk


FORMS = ["resnet18-imagenet", "moco-v2-resnet50", "moco-v3-vit-s", "harnet5", "harnet10", "limu-bert-uci"]


@pytest.mark.parametrize("name", FORMS)
def test_a_published_form_loads_every_weight(name: str, tmp_path: Path) -> None:
    content, trunk = published(name)
    torch.save(content, tmp_path / "file.pth")
    encoder = load_model(name, tmp_path / "file.pth")
    assert not encoder.training
    for key, value in encoder.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(value, trunk[key]), key


def test_a_masked_auto_encoders_form_loads_and_leaves_the_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = MODELS["mae-vit-b"].__class__(
        **{**vars(MODELS["mae-vit-b"]), "settings": {"size": "tiny", "positions": "sincos"}}
    )
    monkeypatch.setitem(MODELS, "mae-vit-b", small)
    content, trunk = published("mae-vit-b")
    torch.save(content, tmp_path / "file.pth")
    encoder = load_model("mae-vit-b", tmp_path / "file.pth")
    assert torch.equal(encoder.state_dict()["trunk.cls_token"], trunk["trunk.cls_token"])


def test_positions_of_another_grid_are_brought_to_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = {"size": "tiny", "positions": "sincos", "frozen_patches": True}
    monkeypatch.setitem(
        MODELS,
        "moco-v3-vit-s",
        MODELS["moco-v3-vit-s"].__class__(**{**vars(MODELS["moco-v3-vit-s"]), "settings": tiny}),
    )
    content, _ = published("moco-v3-vit-s")
    state = content["state_dict"]
    assert isinstance(state, dict)
    rows = torch.linspace(0, 1, 14)[:, None].expand(14, 14).reshape(1, 196, 1)
    table = torch.cat([torch.full((1, 1, 192), 7.0), rows.expand(1, 196, 192)], 1)
    state["module.base_encoder.pos_embed"] = table
    torch.save(content, tmp_path / "file.pth")
    positions = load_model("moco-v3-vit-s", tmp_path / "file.pth").state_dict()["trunk.pos_embed"][0, :, 0]
    assert float(positions[0]) == 7.0
    grid = positions[1:].view(6, 8)
    assert bool((grid.diff(dim=0) > 0.1).all())  # rows still rise from top to bottom
    torch.testing.assert_close(grid, grid[:, :1].expand(6, 8), atol=1e-4, rtol=0)


def test_a_file_of_another_network_is_refused_by_its_keys(tmp_path: Path) -> None:
    content, _ = published("harnet10")
    torch.save(content, tmp_path / "file.mdl")
    with pytest.raises(ValueError, match=r"expected those of Harnet, got a file .*shapes feature_extractor"):
        load_model("harnet5", tmp_path / "file.mdl")
    with pytest.raises(ValueError, match="expected those of LimuBert, got a file without"):
        load_model("limu-bert-uci", tmp_path / "file.mdl")


def test_a_file_that_runs_code_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": Path("x")}, tmp_path / "file.pth")
    with pytest.raises(ValueError, match="expected a state dict of tensors"):
        load_model("resnet18-imagenet", tmp_path / "file.pth")
    with pytest.raises(FileNotFoundError, match=r"expected the file of harnet10.*mtl_best\.mdl"):
        load_model("harnet10", tmp_path / "none.mdl")
    with pytest.raises(ValueError, match=r"model: expected one of .*`imuspec models` lists all"):
        load_model("resnet19", tmp_path / "file.pth")


def test_the_public_classifier_of_harnet_loads_without_its_head(tmp_path: Path) -> None:
    state = weights(HarnetClassifier(6, window_s=5))
    torch.save(state, tmp_path / "file.mdl")
    encoder = load_model("harnet5", tmp_path / "file.mdl")
    key = "feature_extractor.layer3.1.bn1.running_var"
    assert torch.equal(encoder.state_dict()[key], state[key])


@needs_data
@pytest.mark.parametrize("name", ["uci", "x"])
def test_limu_berts_files_become_runs(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = DATA / "reference" / "limu_bert" / ("limu_bert_x.pt" if name == "x" else f"limu_bert_{name}_20_120.pt")
    with pytest.raises(SystemExit) as end:
        main(["models", "--import", str(file), "--as", f"limu-bert-{name}", "--out", str(tmp_path / "run")])
    assert end.value.code == 0
    assert "licence: MIT" in " ".join(capsys.readouterr().out.split())
    remaining = Run(tmp_path / "run").load_encoder()
    x = torch.randn(2, 6, 20, generator=torch.Generator().manual_seed(0))
    assert torch.equal(remaining(x), load_model(f"limu-bert-{name}", file)(x))
    assert (tmp_path / "run" / "encoder.safetensors").is_file()
    assert json.loads((tmp_path / "run" / "model.json").read_text("utf-8"))["licence"] == "MIT"
    assert window_form(str(tmp_path / "run")) == (1.0 if name == "x" else 6.0, 20.0)
    with pytest.raises(FileExistsError, match="expected a folder without an encoder"):
        import_model(f"limu-bert-{name}", file, tmp_path / "run")


def test_the_list_names_every_model_and_one_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["models"])
    listed = capsys.readouterr().out
    assert all(name in listed for name in MODELS)
    with pytest.raises(SystemExit):
        main(["models", "harnet10"])
    output = capsys.readouterr().out
    for part in ("academic use only", "10,457,408", "30 Hz", "mtl_best.mdl"):
        assert part in output


@pytest.mark.parametrize("name", ["standardised", "fusion", "single_axis", "acceleration_alone"])
def test_wrapped_encoders_come_back_from_a_run(name: str, tmp_path: Path) -> None:
    settings = {
        "standardised": {"encoder": "cnn1d", "mean": [0.0, 0.1, 1.0], "sd": [0.5, 0.6, 0.7]},
        "fusion": {"encoder": "cnn1d", "n_triads": 2},
        "single_axis": {"encoder": "tpn"},
        "acceleration_alone": {"encoder": "limu_bert", "settings": {"n_axes": 6, "n_steps": 60}},
    }[name]
    shape = {"fusion": (2, 2, 3, 60), "single_axis": (2, 1, 60)}.get(name, (2, 3, 60))
    encoder, x = encoders.build(name, **settings).eval(), torch.randn(shape)
    Run(tmp_path).save_encoder(encoder)
    assert torch.equal(Run(tmp_path).load_encoder()(x), encoder(x))


def test_the_window_of_each_encoder_of_signals_is_as_many_samples_as_it_takes() -> None:
    for model in MODELS.values():
        if model.window is None:
            assert model.takes.startswith("[B, 3, 96, 128]")
        else:
            seconds, rate = model.window
            assert f"{round(seconds * rate)}] at {rate:g} Hz" in model.takes

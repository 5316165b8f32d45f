"""Encoders and whole models leave as ONNX that gives Python's embeddings and probabilities for any batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imuspec import encoders
from imuspec.cli import main
from imuspec.experiments.made_up import made_up_windows
from imuspec.prediction import fit_patches, fit_windows
from imuspec.prediction.export import export_model, outputs_of, simulated_windows
from imuspec.recipe import FitRecipe
from imuspec.run.export import example_input, export_onnx, run_onnx
from imuspec.run.run import Run
from labelled_days import labelled_days, small_roformer

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def saved_run(folder: Path, name: str, **settings: Any) -> Run:
    torch.manual_seed(0)
    run = Run(folder)
    run.save_encoder(encoders.build(name, **settings))
    return run


EXPORTED: list[tuple[str, dict[str, Any]]] = [
    ("acceleration_alone", {"encoder": "limu_bert", "settings": {"n_axes": 6, "n_steps": 60}}),
    ("cnn1d", {}),
    ("cpc", {}),
    ("cpc_original", {}),
    ("efficientnet_lite0", {}),
    ("fusion", {"encoder": "cnn1d", "n_triads": 3}),
    ("harnet", {"window_s": 5}),
    ("limu_bert", {"n_steps": 40}),
    ("resnet18", {}),
    ("resnet50", {}),
    ("roformer", {"width": 32, "depth": 1, "n_heads": 4, "n_patches": 6}),
    ("single_axis", {"encoder": "cnn1d"}),
    ("standardised", {"encoder": "tpn", "mean": [0.0, 0.0, 1.0], "sd": [0.5, 0.5, 0.5]}),
    ("tpn", {}),
    ("vit", {"size": "tiny"}),
]


def test_every_kind_of_encoder_is_exported_below() -> None:
    assert [name for name, _ in EXPORTED] == encoders.names()


@pytest.mark.parametrize(("name", "settings"), EXPORTED, ids=[name for name, _ in EXPORTED])
def test_an_exported_encoder_gives_pytorchs_embeddings(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    run = saved_run(tmp_path / "run", name, **settings)
    difference = export_onnx(run, tmp_path / "model.onnx")
    assert difference < 1e-4
    encoder = run.load_encoder()
    x = example_input(encoder, seed=5)[:1]
    with torch.inference_mode():
        expected = encoder(x).numpy()
    np.testing.assert_allclose(
        run_onnx(tmp_path / "model.onnx", x.numpy()), expected, atol=1e-4 * np.abs(expected).max()
    )
    description = json.loads((tmp_path / "model.json").read_text("utf-8"))
    assert description["input"] == ["batch", *x.shape[1:]]
    assert description["embedding"] == ["batch", *expected.shape[1:]]


def test_the_command_exports_and_refuses_a_run_without_encoder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved_run(tmp_path / "run", "cnn1d")
    with pytest.raises(SystemExit) as end:
        main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "m.onnx"), "--n-samples", "100"])
    assert end.value.code == 0
    assert "of PyTorch's" in capsys.readouterr().out
    assert json.loads((tmp_path / "m.json").read_text("utf-8"))["input"] == ["batch", 3, 100]
    with pytest.raises(SystemExit) as end:
        main(["export", str(tmp_path / "none"), "--out", str(tmp_path / "n.onnx")])
    assert end.value.code == 1
    assert not list(tmp_path.glob("*.part*"))


def test_inputs_are_of_the_form_that_an_encoder_takes() -> None:
    shapes = {
        "vit": ({"size": "tiny"}, (2, 3, 96, 128)),
        "harnet": ({"window_s": 5}, (2, 3, 150)),
        "fusion": ({"encoder": "cnn1d", "n_triads": 3}, (2, 3, 3, 250)),
        "single_axis": ({"encoder": "cnn1d"}, (2, 1, 250)),
        "acceleration_alone": ({"encoder": "limu_bert", "settings": {"n_axes": 6, "n_steps": 60}}, (2, 3, 60)),
    }
    for name, (settings, shape) in shapes.items():
        encoder = encoders.build(name, **settings).eval()
        assert example_input(encoder).shape == shape
        assert encoder(example_input(encoder)).shape == (2, encoder.n_features)


def test_a_model_of_pictures_is_one_graph_from_samples_to_probabilities(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    windows = made_up_windows(n_subjects=3, n_windows=2)
    recipe = FitRecipe().set("pictures.nfft=64", "pictures.hop=32", "pictures.size=[24,32]", "pictures.norm=fixed")
    torch.manual_seed(0)
    model = fit_windows(encoders.build("resnet18").eval(), windows, recipe)
    parity, opset = export_model(model, tmp_path / "m.onnx", windows.x)
    assert (parity.n_windows, parity.classes) == (24, 0)
    assert parity.probability < 0.02
    assert parity.levels is not None
    assert parity.levels <= 2
    assert parity.equal_levels is not None
    assert parity.equal_levels > 0.99
    description = json.loads((tmp_path / "m.json").read_text("utf-8"))
    assert description["opset"] == opset
    assert not {"STFT", "DFT"} & set(description["operators"])
    for n in (1, 5):  # a batch of any size
        (probability, levels) = outputs_of(tmp_path / "m.onnx", windows.x[:n])
        np.testing.assert_allclose(probability, model.predict_proba(windows.x[:n]), atol=0.02)
        assert levels.shape == (n, 3, 24, 32)
    simulated, _ = export_model(model, tmp_path / "m.onnx", simulated_windows(model))
    assert simulated.equal_levels is not None
    assert simulated.equal_levels > 0.99
    capsys.readouterr()


def test_a_model_of_patches_is_exported_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit_patches(small_roformer(), labelled_days(2, hours=1.0)).save(tmp_path / "model")
    with pytest.raises(SystemExit) as end:
        main(["export", str(tmp_path / "model"), "--out", str(tmp_path / "m.onnx"), "--n-samples", "1200"])
    message = capsys.readouterr()
    assert end.value.code == 0, message.err
    assert "of 8 simulated windows: probabilities within" in message.out
    description = json.loads((tmp_path / "m.json").read_text("utf-8"))
    assert description["input"]["shape"] == ["batch", 3, 1200]
    assert description["outputs"] == {"probability": ["batch", 4, 6]}
    assert description["parity"]["probability"] < 1e-4
    with pytest.raises(SystemExit) as end:
        main(["export", str(tmp_path / "model"), "--out", str(tmp_path / "n.onnx"), "--n-samples", "1000"])
    assert end.value.code == 2
    assert "n_samples: expected 300 k, k from 1 to 300" in capsys.readouterr().err


def test_a_model_of_statistics_has_no_graph(tmp_path: Path) -> None:
    model = fit_windows(None, made_up_windows(n_subjects=3, n_windows=2))
    with pytest.raises(ValueError, match="expected a model with an encoder, got one of statistics"):
        export_model(model, tmp_path / "m.onnx", np.zeros((2, 3, 300), np.float32))
    assert not (tmp_path / "m.onnx").exists()

"""Encoders leave as ONNX that gives PyTorch's embeddings for any batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imuspec import encoders
from imuspec.cli import main
from imuspec.run.export import example_input, export_onnx, run_onnx
from imuspec.run.run import Run

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def saved_run(folder: Path, name: str, **settings: Any) -> Run:
    torch.manual_seed(0)
    run = Run(folder)
    run.save_encoder(encoders.build(name, **settings))
    return run


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("resnet18", {}),
        ("standardised", {"encoder": "tpn", "mean": [0.0, 0.0, 1.0], "sd": [0.5, 0.5, 0.5]}),
        ("limu_bert", {"n_steps": 40}),
    ],
    ids=["resnet18", "tpn", "limu_bert"],
)
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
    assert description["embedding"] == ["batch", encoder.n_features]


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

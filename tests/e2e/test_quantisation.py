"""A model with eight bits: which parts stay float, who calibrates, and what it costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
onnx = pytest.importorskip("onnx")
from imuspec import datasets, encoders  # noqa: E402
from imuspec.cli import main  # noqa: E402
from imuspec.experiments.made_up import made_up_windows  # noqa: E402
from imuspec.prediction import fit_patches, fit_windows  # noqa: E402
from imuspec.prediction.export import export_model, outputs_of  # noqa: E402
from imuspec.prediction.quantisation import calibration_people, quantise  # noqa: E402
from imuspec.recipe import FitRecipe  # noqa: E402
from labelled_days import labelled_days, small_roformer  # noqa: E402
from labelled_folder import write_folder  # noqa: E402

SMALL = FitRecipe().set("split.folds=3", "pictures.nfft=64", "pictures.hop=32", "pictures.size=[24,32]")


def exported(folder: Path, name: str, **settings: Any) -> tuple[Path, Any]:
    windows = made_up_windows(n_subjects=5, n_windows=3)
    torch.manual_seed(0)
    model = fit_windows(encoders.build(name, **settings).eval(), windows, SMALL)
    export_model(model, folder / "m.onnx", windows.x[:8])
    return folder / "m.onnx", windows


def weights_of(path: Path) -> dict[str, int]:
    return {tensor.name: tensor.data_type for tensor in onnx.load(str(path)).graph.initializer}


def test_the_encoder_has_eight_bits_and_the_picture_and_head_stay_float(tmp_path: Path) -> None:
    path, windows = exported(tmp_path, "resnet18")
    cost = quantise(path, tmp_path / "m.int8.onnx", windows.x, windows.label, windows.subject)
    assert cost.n_operators == 20  # every convolution of a ResNet-18
    assert cost.size[1] < 0.3 * cost.size[0]
    kinds = weights_of(tmp_path / "m.int8.onnx")
    assert kinds["network.head.out.weight"] == onnx.TensorProto.FLOAT
    assert sum(kind == onnx.TensorProto.INT8 for name, kind in kinds.items() if name.endswith("weight_quantized")) == 20
    before, after = (outputs_of(file, windows.x) for file in (path, tmp_path / "m.int8.onnx"))
    np.testing.assert_array_equal(before[1], after[1])  # levels of the picture
    assert np.abs(before[0] - after[0]).max() > 1e-4
    assert json.loads((tmp_path / "m.int8.json").read_text("utf-8"))["int8"]["macro_f1"] == list(cost.macro_f1)


@pytest.mark.parametrize("name", ["resnet18", "cnn1d"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_window_with_a_missing_sample_has_no_class_in_float_and_in_eight_bits(
    name: str, value: float, tmp_path: Path
) -> None:
    path, windows = exported(tmp_path, name)
    quantise(path, tmp_path / "small.onnx", windows.x, windows.label, windows.subject)
    x = windows.x[:3].copy()
    clean = [outputs_of(each, x)[0] for each in (path, tmp_path / "small.onnx")]
    x[1, 1, 20] = value
    for each, expected in zip((path, tmp_path / "small.onnx"), clean, strict=True):
        probability = outputs_of(each, x)[0]
        assert np.isnan(probability[1]).all()
        np.testing.assert_array_equal(probability[[0, 2]], expected[[0, 2]])


def test_the_exported_encoder_of_a_run_has_an_embedding_of_nan_where_a_sample_is_missing(tmp_path: Path) -> None:
    from imuspec.run.export import export_onnx, run_onnx
    from imuspec.run.run import Run

    Run(tmp_path / "run").save_encoder(encoders.build("cnn1d"))
    export_onnx(tmp_path / "run", tmp_path / "e.onnx", n_samples=100)
    x = np.random.default_rng(0).normal(size=(3, 3, 100)).astype(np.float32)
    x[1, 1, 20] = np.nan
    embedding = run_onnx(tmp_path / "e.onnx", x)
    assert np.isnan(embedding[1]).all()
    assert np.isfinite(embedding[[0, 2]]).all()


def test_the_people_who_calibrate_are_not_scored(tmp_path: Path) -> None:
    path, windows = exported(tmp_path, "cpc")
    calibrates = calibration_people(windows.subject)
    assert len(np.unique(windows.subject[calibrates])) == 1  # a fifth of five
    cost = quantise(path, tmp_path / "m.int8.onnx", windows.x, windows.label, windows.subject)
    assert (cost.n_calibration, cost.n_windows) == (int(calibrates.sum()), int((~calibrates).sum()))
    before, after = (outputs_of(file, windows.x[~calibrates])[0] for file in (path, tmp_path / "m.int8.onnx"))
    assert cost.probability == pytest.approx(float(np.abs(before - after).max()))
    assert cost.classes == int((before.argmax(1) != after.argmax(1)).sum())
    unknown = np.where(windows.label == 0, -1, windows.label)
    again = quantise(path, tmp_path / "n.int8.onnx", windows.x, unknown, windows.subject)
    assert again.n_windows == int((unknown[~calibrates] >= 0).sum())


def test_a_single_person_cannot_both_calibrate_and_score() -> None:
    with pytest.raises(
        ValueError, match="data: expected two people or more, to calibrate eight bits and to score them, got 1"
    ):
        calibration_people(np.zeros(8, np.int64))


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["export", *arguments])
    return int(end.value.code or 0)


def test_the_command_writes_the_float_graph_and_the_one_of_eight_bits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path / "people")
    windows = datasets.load("folder", tmp_path / "people")
    torch.manual_seed(0)
    fit_windows(encoders.build("cpc").eval(), windows, SMALL).save(tmp_path / "model")
    code = run(
        str(tmp_path / "model"), "--data", f"folder={tmp_path / 'people'}", "--out", str(tmp_path / "m.onnx"), "--int8"
    )
    shown = capsys.readouterr()
    assert code == 0, shown.err
    text = " ".join(shown.out.split())
    assert "the model was fitted to all these people" in text
    assert "macro-F1" in text
    assert json.loads((tmp_path / "m.json").read_text("utf-8"))["parity"]["n_windows"] == min(1000, len(windows))
    assert json.loads((tmp_path / "m.int8.json").read_text("utf-8"))["input"]["shape"] == [
        "batch",
        3,
        windows.n_samples,
    ]


def test_a_model_of_patches_has_eight_bits_too(tmp_path: Path) -> None:
    days = labelled_days(3, hours=1.0)
    model = fit_patches(small_roformer(), days)
    n = 4
    x = np.concatenate([item.x[:, : n * item.patch][None] for item in days])
    label = np.stack([item.label[:n] for item in days])
    export_model(model, tmp_path / "m.onnx", x, n_patches=n)
    subject = np.array([item.subject for item in days])
    cost = quantise(tmp_path / "m.onnx", tmp_path / "m.int8.onnx", x, label, subject)
    assert cost.n_operators > 2
    assert cost.size[1] < cost.size[0]
    assert cost.n_windows == int((label[~calibration_people(subject)] >= 0).sum())


def test_eight_bits_without_labels_or_of_a_run_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from imuspec.run.run import Run

    Run(tmp_path / "run").save_encoder(encoders.build("cnn1d"))
    assert run(str(tmp_path / "run"), "--out", str(tmp_path / "m.onnx"), "--int8") == 2
    assert "int8: expected a model of imuspec fit for --int8, got the run" in capsys.readouterr().err
    windows = made_up_windows(n_subjects=3, n_windows=2)
    fit_windows(encoders.build("cnn1d").eval(), windows, SMALL).save(tmp_path / "model")
    assert run(str(tmp_path / "model"), "--out", str(tmp_path / "m.onnx"), "--int8") == 2
    assert "int8: expected --data with labelled windows" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "m.onnx").exists()

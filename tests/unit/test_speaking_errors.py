"""Errors in the words of imuspec where those of PyTorch, of a parser or of a socket came through."""

from __future__ import annotations

import re
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from imuspec import datasets, encoders
from imuspec.cli import main
from imuspec.cli.learning import pretrain
from imuspec.encoders.weights import load_weights, read_weights
from imuspec.experiments.made_up import made_up_windows
from imuspec.recipe import PretrainRecipe
from imuspec.run import Run
from imuspec.run.export import export_onnx
from imuspec.run.named import checked_device
from imuspec.sklearn import Embedding, MotionClassifier, WindowStatistics
from labelled_folder import write_folder

WINDOWS = made_up_windows(n_subjects=3, n_windows=2)


def run_command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


@pytest.fixture
def cnn(tmp_path: Path) -> Path:
    Run(tmp_path / "cnn").save_encoder(encoders.build("cnn1d"))
    return tmp_path / "cnn"


@pytest.mark.parametrize("command", ["fit", "probe", "embed"])
def test_a_device_that_is_not_there_is_named_before_the_data_are_read(
    command: str, cnn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (command, str(cnn), "--data", "hapt=nowhere", "--out", str(tmp_path / "out.npz"), "--device")
    assert run_command(*arguments, "gpu") == 2
    assert "device: expected cpu, cuda, cuda:N or mps, got 'gpu'" in capsys.readouterr().err
    if not torch.cuda.is_available():
        assert run_command(*arguments, "cuda") == 1
        assert "device: expected cuda that PyTorch" in capsys.readouterr().err
        with pytest.raises(RuntimeError, match="device: expected cuda"):
            Embedding(str(cnn), device="cuda").fit(WINDOWS.x)
    assert checked_device("cpu") == "cpu"


@pytest.mark.parametrize("command", ["fit", "embed"])
def test_a_run_that_is_not_there_is_refused_before_the_data_are_read(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(command, "runs/none", "--data", "hapt=nowhere", "--out", str(tmp_path / "out.npz")) == 1
    assert "run: expected a run's folder" in capsys.readouterr().err


def test_weights_that_cannot_be_downloaded_name_their_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("[Errno -2] Name or service not known")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(OSError, match=r"expected the file of https://host/r\.pth, got .*: download it elsewhere"):
        read_weights("https://host/r.pth")


def test_a_file_without_weights_is_refused_without_the_advice_to_run_its_code(tmp_path: Path) -> None:
    (tmp_path / "notes.py").write_text("import os\n", "utf-8")
    with pytest.raises(ValueError, match="expected a state dict of tensors") as raised:
        load_weights(encoders.build("resnet18"), tmp_path / "notes.py")
    assert "weights_only" not in str(raised.value)


@pytest.mark.parametrize(("n_samples", "message"), [(0, "at least 1, got 0"), (1, "got 1 samples")])
def test_a_length_that_the_encoder_does_not_take_is_refused_before_the_export(
    n_samples: int, message: str, tmp_path: Path
) -> None:
    Run(tmp_path / "run").save_encoder(encoders.build("cpc"))
    with pytest.raises(ValueError, match=f"n_samples: expected .*{message}"):
        export_onnx(tmp_path / "run", tmp_path / "cpc.onnx", n_samples=n_samples)
    assert not (tmp_path / "cpc.onnx").exists()


def test_an_encoder_of_pictures_has_no_length(tmp_path: Path) -> None:
    Run(tmp_path / "run").save_encoder(encoders.build("resnet18"))
    with pytest.raises(ValueError, match="n_samples: expected none for an encoder of pictures, got 100"):
        export_onnx(tmp_path / "run", tmp_path / "r.onnx", n_samples=100)


def test_an_export_has_the_ending_of_its_form(cnn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("export", str(cnn), "--out", "model.txt") == 2
    assert "out: expected a name in .onnx or .pte, got 'model.txt'" in capsys.readouterr().err


def test_windows_of_another_form_than_the_run_has_seen_get_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path / "run")
    run.save_encoder(encoders.build("cnn1d"))
    run.write_text("recipe.json", '{"source": {"window_s": 6.0, "rate_hz": 50.0}}')
    people = write_folder(tmp_path / "people")
    for settings, expected in ((",window_s=3,rate=20", True), ("", False)):
        data = f"folder={people}{settings}"
        assert run_command("embed", str(run.path), "--data", data, "--out", str(tmp_path / "e.npz")) == 0
        assert ("trained on windows of 6 s at 50 Hz, gets 3 s at 20 Hz" in capsys.readouterr().err) is expected


def test_an_estimator_whose_fit_failed_is_not_fitted(cnn: Path) -> None:
    estimator = Embedding(str(cnn), layer="nonsense")
    with pytest.raises(ValueError, match="layer: expected"):
        estimator.fit(WINDOWS.x)
    with pytest.raises(NotFittedError):
        estimator.transform(WINDOWS.x)
    with pytest.raises(NotFittedError):
        estimator.get_feature_names_out()
    classifier = MotionClassifier(Embedding(str(cnn), layer="nonsense"))
    with pytest.raises(ValueError, match="layer: expected"):
        classifier.fit(WINDOWS.x, WINDOWS.label)
    with pytest.raises(NotFittedError):
        classifier.predict(WINDOWS.x)


def test_a_set_in_the_place_of_its_array_is_named() -> None:
    with pytest.raises(ValueError, match=r"X: expected windows .* got Windows\(.*: give its array x"):
        WindowStatistics().fit(WINDOWS)


def test_columns_without_a_time_ask_for_the_rate(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "walk-a.txt", np.ones((100, 3)))
    with pytest.raises(
        ValueError, match="columns: expected time,x,y,z, or nominal_rate= beside x,y,z, got 1,2,3 alone"
    ):
        datasets.load("folder", tmp_path, pattern="{label}-{subject}.txt", columns=["1", "2", "3"], window_s=1)


def test_the_help_of_pretrain_names_recipes_that_there_are() -> None:
    text = re.sub(r"\s+", " ", pretrain.__doc__ or "").partition("recipe : ")[2].partition("imuspec recipe lists")[0]
    names = [
        word.strip(",.;") for sentence in re.findall(r"For [a-z ]+: ([^.]*?)[;.]", text) for word in sentence.split()
    ]
    recipes = [name for name in names if name not in ("and", "others")]
    assert len(recipes) > 10
    for name in recipes:
        PretrainRecipe.load(name)

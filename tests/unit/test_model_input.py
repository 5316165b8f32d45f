"""What a fitted model is asked with: damaged folders, odd samples, folders without people, an unreachable Hub."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from imuspec import datasets, encoders
from imuspec.cli import main
from imuspec.experiments.made_up import made_up_windows
from imuspec.prediction import Model, fit_windows, load, predict_labelled
from imuspec.prediction.card import interval_text
from imuspec.recipe import FitRecipe
from imuspec.run import Run
from imuspec.run.named import people_seen, window_form
from labelled_folder import write_folder

WINDOWS = made_up_windows(n_subjects=6, n_windows=3)


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    encoder = encoders.build("cnn1d").eval()
    return fit_windows(encoder, WINDOWS, FitRecipe().set("split.folds=3"), source={"name": "cnn"})


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    return model.save(tmp_path / "model")


@pytest.mark.parametrize("name", ["classifier.json", "source.json"])
@pytest.mark.parametrize("text", ["{\n", "[]", "\xff\xfe"])
def test_a_cut_description_of_a_model_is_named(folder: Path, name: str, text: str) -> None:
    (folder / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=rf"{name}: expected a (whole )?JSON"):
        load(folder)


def test_a_description_without_its_parts_is_no_model(folder: Path) -> None:
    (folder / "classifier.json").write_text("{}", "utf-8")
    with pytest.raises(ValueError, match="expected a description with sha256, class_names"):
        load(folder)
    with pytest.raises(ValueError, match=r"classifier\.json: expected the description of a model"):
        window_form(str(folder))


@pytest.mark.parametrize("name", ["recipe.json", "encoder.json", "source.json"])
def test_a_cut_file_of_a_run_is_named(tmp_path: Path, name: str) -> None:
    Run(tmp_path).save_encoder(encoders.build("cnn1d"))
    (tmp_path / name).write_text('{"nam', "utf-8")
    with pytest.raises(ValueError, match=rf"{name}: expected a whole JSON file, got a cut or damaged one"):
        {"recipe.json": window_form, "source.json": people_seen, "encoder.json": lambda path: Run(path).load_encoder()}[
            name
        ](str(tmp_path))


def test_what_is_no_run_is_not_said_to_be_in_training(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected the folder of a run"):
        Run(tmp_path).load_encoder()
    (tmp_path / "recipe.json").write_text("{}", "utf-8")
    with pytest.raises(FileNotFoundError, match="has not saved an encoder yet"):
        Run(tmp_path).load_encoder()
    (folder / "encoder.json").unlink()
    with pytest.raises(FileNotFoundError, match="a model of statistics of the window, which has none"):
        Run(folder).load_encoder()


def test_a_model_that_does_not_list_its_people_says_so(folder: Path) -> None:
    (folder / "source.json").unlink()
    assert any("does not list the people" in note for note in predict_labelled(load(folder), WINDOWS).notes)


def test_no_window_gives_arrays_of_the_width_of_windows(model: Model) -> None:
    assert model.embed(WINDOWS.x[:0]).shape == (0, model.embed(WINDOWS.x[:2]).shape[1])
    assert model.predict_proba(WINDOWS.x[:0]).shape == (0, 4)
    assert model.predict(WINDOWS.x[:0]).shape == (0,)


@pytest.mark.parametrize("x", ["abc", [None], np.ones((1, 3, 300), np.complex64)])
def test_samples_that_are_no_real_numbers_are_refused(model: Model, x: object) -> None:
    with pytest.raises(ValueError, match="x: expected an array of real numbers, got dtype"):
        model.predict(x)  # type: ignore[arg-type]


@pytest.mark.parametrize(("factor", "unit"), [(9.80665, ", as of m/s2"), (1000, ", as of mg"), (16384, "")])
def test_samples_in_another_unit_than_g_get_a_warning(model: Model, factor: float, unit: str) -> None:
    with pytest.warns(UserWarning, match=rf"median norm of [\d.e+]+{unit}: the model takes g"):
        model.predict(WINDOWS.x[WINDOWS.label == 0] * factor)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(WINDOWS.x)


def test_probabilities_that_are_not_of_the_classes_are_refused(model: Model) -> None:
    probability = model.predict_proba(WINDOWS.x[:2])
    with pytest.raises(ValueError, match=r"probability: expected \[\.\.\., 4\], one for each class, got \[2, 2\]"):
        model.prediction_set(probability[:, :2], 0.5)
    with pytest.raises(ValueError, match="probability: expected finite values"):
        model.prediction_set(probability * np.nan, 0.5)


def test_a_repository_that_does_not_answer_is_named(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def unreachable(*_: object, **__: object) -> None:
        raise RuntimeError("[Errno -2] Name or service not known\nPlease check")

    monkeypatch.setattr(hub, "snapshot_download", unreachable)
    monkeypatch.setattr(hub.HfApi, "create_repo", unreachable)
    with pytest.raises(OSError, match=r"model models/mine, which is no folder here: expected a repository .*Errno -2"):
        Model.from_pretrained("models/mine")
    with pytest.raises(OSError, match="repository lab/walks: expected the Hugging Face Hub that answers"):
        model.push_to_hub("lab/walks")


def test_a_model_in_an_object_store_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="expected a folder of this machine, got a URL"):
        load("s3://bucket/model")


def test_a_folder_of_recordings_is_no_recording(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = tmp_path / "people"
    people.mkdir()
    (people / "a.csv").write_text("time,x,y,z\n0,0,0,1\n", "utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(people), "--model", str(folder)])
    assert ended.value.code == 2
    assert "`imuspec prepare` makes a cohort" in capsys.readouterr().err


def test_scores_of_one_person_have_no_interval() -> None:
    assert interval_text(0.5, 0.75) == "0.500 to 0.750"
    assert interval_text(np.nan, np.nan) == "no interval"


def test_the_embedding_of_a_model_is_that_of_its_own_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = FitRecipe().set("split.folds=3", "pictures.nfft=[64]", "pictures.hop=[32]", "pictures.size=[24,32]")
    torch.manual_seed(0)
    fitted = fit_windows(encoders.build("resnet18").eval(), WINDOWS, recipe, source={"name": "resnet"})
    folder, people = fitted.save(tmp_path / "pictures"), write_folder(tmp_path / "people")
    arguments = ("embed", str(folder), "--data", f"folder={people}", "--out", str(tmp_path / "e.npz"))
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    windows = datasets.load("folder", people, window_s=fitted.front.window_s, rate=fitted.front.rate_hz)
    with np.load(tmp_path / "e.npz") as stored:
        assert any(np.array_equal(stored[key], fitted.embed(windows.x)) for key in stored.files)
    with pytest.raises(SystemExit) as ended:
        main((*arguments, "--nfft", "32"))
    assert ended.value.code == 2
    assert "nfft: expected no option that the model" in capsys.readouterr().err

"""The estimators of imuspec.sklearn keep the contract of scikit-learn."""

from __future__ import annotations

import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import imuspec
from imuspec.sklearn import Embedding, LogMeanMagnitude, MotionClassifier, RgbImage, Spectrogram, WindowStatistics
from imuspec.sklearn.windows import WindowEstimator
from imuspec.spectral.image import training_range

TRANSFORMERS = [
    RgbImage(nfft=16, size=(8, 8)),
    RgbImage(nfft=16, size=(8, 8), norm="dataset"),
    Spectrogram(nperseg=16),
    LogMeanMagnitude(nfft=16),
    WindowStatistics(),
]


def windows(n: int = 24, length: int = 64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows, classes and subjects: half of the windows move."""
    rng = np.random.default_rng(0)
    sd = np.where(np.arange(n) % 2, 0.01, 0.3)
    x = rng.normal(0, 1, (n, 3, length)) * sd[:, None, None] + np.array([0, 0, 1])[:, None]
    return x.astype(np.float32), np.where(np.arange(n) % 2, "still", "moving"), np.arange(n) // 6


@pytest.fixture
def _tables_as_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimators take the tables of check_estimator, which knows no input of three dimensions."""

    def as_windows(_: object, array: np.ndarray) -> np.ndarray:
        if array.shape[1:] == (3, 32):  # from a classifier to its transformer
            return array
        steps = array[:, np.arange(96) * array.shape[1] // 96]  # each column is a stretch of the window
        return (steps + 0.1 * np.sin(np.arange(96) ** 2)).reshape(-1, 3, 32)

    monkeypatch.setattr(WindowEstimator, "_check_shape", lambda *_: None)
    monkeypatch.setattr(WindowEstimator, "_as_windows", as_windows)
    monkeypatch.setattr(WindowEstimator, "__sklearn_tags__", BaseEstimator.__sklearn_tags__)


@pytest.mark.usefixtures("_tables_as_windows")
@pytest.mark.parametrize("estimator", [*TRANSFORMERS, MotionClassifier(rate=32.0)], ids=lambda e: type(e).__name__)
def test_an_estimator_passes_every_check_of_scikit_learn_on_tables_as_windows(estimator: BaseEstimator) -> None:
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(results) > 40
    failed = {r["check_name"]: repr(r["exception"])[:300] for r in results if r["status"] == "failed"}
    assert failed == {}


def test_the_checks_of_scikit_learn_know_no_windows_so_the_tags_leave_them_out() -> None:
    tags = WindowStatistics().__sklearn_tags__()
    assert (tags.input_tags.two_d_array, tags.input_tags.three_d_array) == (False, True)
    with pytest.warns(SkipTestWarning, match="Can't test estimator"):
        check_estimator(WindowStatistics(), on_skip=None)


@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=lambda e: type(e).__name__)
def test_features_have_a_name_each_and_become_a_table(estimator: Any) -> None:
    x, *_ = windows()
    fitted = clone(estimator).fit(x)
    values, names = fitted.transform(x), fitted.get_feature_names_out()
    assert values.shape == (24, len(names))
    assert len(set(names)) == len(names)
    assert np.isfinite(values).all()
    table = clone(estimator).set_output(transform="pandas").fit_transform(x)
    assert table.columns.tolist() == names.tolist()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(x), values)


def test_a_picture_and_a_spectrogram_are_those_of_the_functions() -> None:
    x, *_ = windows(4)
    picture = RgbImage(nfft=32, noverlap=24, size=(12, 16)).fit_transform(x)
    np.testing.assert_array_equal(
        picture.reshape(4, 3, 12, 16), imuspec.rgb_image(x, nfft=32, noverlap=24, size=(12, 16))
    )
    grid = RgbImage(nfft=32, noverlap=24, size=None).fit(x)
    assert grid.transform(x).shape[1] == len(grid.get_feature_names_out()) == 3 * 17 * 5
    made = Spectrogram(nperseg=32, db=False, detrend=False).fit(x)
    f, t, s = imuspec.spectrogram(x, 50.0, nperseg=32)
    np.testing.assert_array_equal(made.transform(x).reshape(4, 3, f.size, t.size), s)
    assert made.get_feature_names_out()[1] == f"x_{f[0]:.4g}Hz_{t[1]:.4g}s"


def test_the_range_of_a_picture_is_that_of_the_windows_of_fit() -> None:
    x, *_ = windows()
    fitted = RgbImage(nfft=32, norm="dataset").fit(x[:12])
    assert fitted.range_db_ == training_range(x[:12], nfft=32)
    expected = imuspec.rgb_image(x[12:], nfft=32, norm="dataset", range_db=fitted.range_db_)
    np.testing.assert_array_equal(fitted.transform(x[12:]), expected.reshape(12, -1))
    assert RgbImage(nfft=32).fit(x).range_db_ is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((4, 64, 3)), r"X: expected windows \[n, 3, time\], got \[4, 64, 3\]: np.swapaxes\(X, -1, -2\)"),
        (np.zeros((4, 64)), r"X: expected windows \[n, 3, time\], got \[4, 64\]"),
        (np.full((4, 3, 64), np.nan), "Input X contains NaN"),
        (np.zeros((4, 3, 63)), "X: expected windows of 64 samples, as in fit, got 63"),
    ],
)
def test_what_is_no_window_is_refused(given: np.ndarray, message: str) -> None:
    fitted = WindowStatistics().fit(windows()[0])
    with pytest.raises(ValueError, match=message):
        fitted.transform(given)


def test_settings_are_chosen_by_groups_of_subjects_through_a_pipeline() -> None:
    x, y, subject = windows()
    pipeline = make_pipeline(LogMeanMagnitude(), StandardScaler(), RidgeClassifier())
    search = GridSearchCV(pipeline, {"logmeanmagnitude__nfft": [8, 32]}, cv=GroupKFold(3))
    assert search.fit(x, y, groups=subject).best_score_ > 0.9
    search = GridSearchCV(MotionClassifier(), {"C": [0.1, 1.0], "run": ["statistics", RgbImage(nfft=16, size=(8, 8))]})
    assert search.set_params(cv=GroupKFold(4)).fit(x, y, groups=subject).best_score_ > 0.9


def test_a_classifier_takes_any_head_and_says_what_the_head_can() -> None:
    x, y, _ = windows()
    fitted = MotionClassifier().fit(x, y)
    assert fitted.classes_.tolist() == ["moving", "still"]
    np.testing.assert_allclose(fitted.predict_proba(x).sum(axis=1), 1)
    assert fitted.decision_function(x).shape == (24,)
    ridge = MotionClassifier(head=RidgeClassifier())
    assert not hasattr(ridge, "predict_proba")
    assert ridge.fit(x, y).score(x, y) == 1
    with pytest.raises(ValueError, match="head: expected 'logistic', 'fitted' or a classifier, got 'lstm'"):
        MotionClassifier(head="lstm").fit(x, y)
    with pytest.raises(NotFittedError):
        MotionClassifier().predict(x)


def test_an_embedding_is_that_of_probe_and_can_be_pickled() -> None:
    pytest.importorskip("torch")
    from imuspec.probing import embed
    from imuspec.run.named import load_encoder

    x, *_ = windows(2)
    fitted = Embedding("random", nfft=32).fit(x)
    expected = embed(load_encoder("random"), x, picture={"nfft": 32, "size": (96, 128)})["last"]
    np.testing.assert_array_equal(fitted.transform(x), expected)
    assert fitted.get_feature_names_out()[-1] == "embedding511"
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(x), expected)


def test_an_embedding_of_a_run_of_windows_requires_their_length_and_rate(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "recipe.json").write_text('{"source": {"window_s": 6.0, "rate_hz": 20.0}}')
    with pytest.raises(ValueError, match=r"X: expected windows of 6 s at 20 Hz .* load them with window_s=6, rate=20"):
        Embedding(str(tmp_path)).fit(windows()[0])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of fitted models of windows of 32 samples at 32 Hz: statistics, a signal encoder, pictures, and of patches."""
    pytest.importorskip("torch")
    from imuspec import encoders
    from imuspec.datasets import Windows
    from imuspec.prediction import fit_patches, fit_windows
    from imuspec.recipe import FitRecipe
    from labelled_days import labelled_days, small_roformer

    x, label, subject = windows(48, 32)
    code = (label == "moving").astype(int)
    given = Windows.from_arrays(
        x, code, subject, rate=32.0, class_names=["still", "moving"]
    )  # not in the order of letters
    recipe = FitRecipe().set("split.folds=3", "pictures.nfft=16", "pictures.hop=4", "pictures.size=[24,32]")
    folder = tmp_path_factory.mktemp("models")
    for name, encoder in (("statistics", None), ("signal", "cnn1d"), ("image", "resnet18")):
        fit_windows(None if encoder is None else encoders.build(encoder).eval(), given, recipe).save(folder / name)
    fit_patches(small_roformer(), labelled_days(3, hours=1.0)).save(folder / "patches")
    return {path.name: str(path) for path in folder.iterdir()}


@pytest.mark.filterwarnings("ignore:x. expected g:UserWarning")  # the tables of the checks are in no unit
@pytest.mark.usefixtures("_tables_as_windows")
@pytest.mark.parametrize("name", ["statistics", "signal"])
@pytest.mark.parametrize("kind", [Embedding, MotionClassifier])
def test_estimators_of_a_fitted_model_pass_every_check_of_scikit_learn(
    models: dict[str, str], name: str, kind: type[BaseEstimator]
) -> None:
    results = check_estimator(kind(models[name], rate=32.0), on_fail=None, on_skip=None)
    assert len(results) > 40
    failed = {r["check_name"]: repr(r["exception"])[:300] for r in results if r["status"] == "failed"}
    assert failed == {}


@pytest.mark.parametrize("name", ["statistics", "signal", "image"])
def test_an_embedding_of_a_fitted_model_is_what_its_head_takes(models: dict[str, str], name: str) -> None:
    x, *_ = windows(6, 32)
    model = imuspec.load(models[name])
    fitted = clone(Embedding(Path(models[name]), rate=32.0)).fit(x)
    np.testing.assert_array_equal(fitted.transform(x), model.embed(x))
    names = fitted.get_feature_names_out().tolist()
    expected = WindowStatistics(rate=32.0).fit(x).get_feature_names_out().tolist()
    assert names == (expected if name == "statistics" else [f"embedding{i}" for i in range(len(names))])
    table = clone(fitted).set_output(transform="pandas").fit_transform(x)
    assert table.columns.tolist() == names
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(x), fitted.transform(x))


def test_the_features_of_a_model_of_patches_are_named_by_patch(models: dict[str, str]) -> None:
    x = np.random.default_rng(0).normal(0, 0.1, (2, 3, 600)).astype(np.float32)
    fitted = Embedding(models["patches"], rate=30.0).fit(x)
    np.testing.assert_array_equal(fitted.transform(x), imuspec.load(models["patches"]).embed(x).reshape(2, -1))
    assert fitted.get_feature_names_out()[[0, -1]].tolist() == ["patch0_embedding0", "patch1_stillness_z"]
    single = Embedding(models["patches"], rate=30.0).fit(x[..., :300])
    assert single.get_feature_names_out()[-4:].tolist() == ["embedding31", *(f"stillness_{axis}" for axis in "xyz")]


@pytest.mark.parametrize("name", ["statistics", "signal", "image"])
def test_the_head_of_a_fitted_model_predicts_as_the_model(models: dict[str, str], name: str) -> None:
    x, y, _ = windows(8, 32)
    model = imuspec.load(models[name])
    fitted = MotionClassifier(models[name], head="fitted", rate=32.0).fit(x, y)
    assert fitted.classes_.tolist() == ["moving", "still"]
    order = [model.class_names.index(each) for each in ("moving", "still")]
    np.testing.assert_array_equal(fitted.predict_proba(x), model.predict_proba(x)[:, order])
    np.testing.assert_array_equal(fitted.predict(x), model.predict(x))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(x), fitted.predict(x))
    assert not hasattr(fitted, "decision_function")


def test_a_head_on_a_fitted_model_is_chosen_by_groups_of_subjects(models: dict[str, str]) -> None:
    x, y, subject = windows(48, 32)
    grid = {"run": ["statistics", models["statistics"], models["signal"]], "C": [0.1, 1.0]}
    search = GridSearchCV(MotionClassifier(rate=32.0), grid, cv=GroupKFold(4))
    assert search.fit(x, y, groups=subject).best_score_ > 0.9
    pipeline = make_pipeline(Embedding(models["signal"], rate=32.0), StandardScaler(), RidgeClassifier())
    search = GridSearchCV(pipeline, {"ridgeclassifier__alpha": [0.1, 1.0]}, cv=GroupKFold(4))
    assert search.fit(x, y, groups=subject).best_score_ > 0.9


@pytest.mark.parametrize(
    ("estimator", "y", "message"),
    [
        (
            lambda models: Embedding(models["signal"]),
            None,
            "expected windows of 1 s at 32 Hz for .*, got 0.64 s at 50 Hz",
        ),
        (lambda models: Embedding(models["signal"], rate=32.0, nfft=64), None, "nfft: expected 128, as the model"),
        (lambda models: Embedding(models["signal"], rate=32.0, layer="layer1"), None, "layer: expected 'last', as the"),
        (lambda _: MotionClassifier(head="fitted", rate=32.0), ["a", "b"], "expected a model of imuspec fit as run"),
        (
            lambda models: MotionClassifier(models["signal"], head="fitted", rate=32.0),
            ["moving", "asleep"],
            "y: expected classes of the model, .*, got asleep",
        ),
        (lambda models: MotionClassifier(models["signal"], head="fitted", rate=32.0), [0, 1], "got 0, 1"),
    ],
)
def test_settings_and_classes_that_a_fitted_model_does_not_have_are_refused(
    models: dict[str, str], estimator: Any, y: list[Any] | None, message: str
) -> None:
    x, *_ = windows(2, 32)
    with pytest.raises(ValueError, match=message):
        estimator(models).fit(x) if y is None else estimator(models).fit(x, y)


def test_without_scikit_learn_the_error_names_the_extra() -> None:
    code = "import importlib.util as u; s = u.find_spec; u.find_spec = lambda n, *a: None if n == 'sklearn' else s(n, *a)\n"
    code += "import imuspec.sklearn"
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "imuspec.sklearn needs scikit-learn: pip install 'imuspec[train]'" in ended.stderr


def test_the_example_of_the_page_runs_on_a_small_copy_of_hapt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "HAPT Data Set.zip", "w") as archive:
        lines = []
        for user in range(1, 6):
            sd = np.repeat([0.3, 0.01], 1280)[:, None]
            table = "\n".join(" ".join(f"{v:.4f}" for v in row) for row in rng.normal(0, 1, (2560, 3)) * sd + [0, 0, 1])
            archive.writestr(f"RawData/acc_exp{user:02d}_user{user:02d}.txt", table + "\n")
            lines += [f"{user} {user} 1 1 1280", f"{user} {user} 4 1281 2560"]
        archive.writestr("RawData/labels.txt", "\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "scikit-learn.md").read_text("utf-8")
    program = page.partition("```python\n")[2].partition("```")[0]
    exec(compile(program, "scikit-learn.md", "exec"), {})
    assert "statistics: macro-F1 1.000" in capsys.readouterr().out

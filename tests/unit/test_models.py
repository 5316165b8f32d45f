"""Classifiers of windows: fitted on labelled people, stored whole, calibrated, applied to arrays and labelled sets."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import imuspec
from imuspec import encoders
from imuspec.evaluation import confusion_matrix
from imuspec.experiments.made_up import made_up_windows
from imuspec.prediction import Model, fit_windows, load, predict_labelled
from imuspec.prediction.held_out import HeldOut, chains_of, expected_calibration_error, fitted_temperature, softmax
from imuspec.prediction.probed import save_heads
from imuspec.probing import EncoderSource, StatisticsSource, probe
from imuspec.recipe import FitRecipe, ProbeRecipe
from imuspec.run.run import Run

WINDOWS = made_up_windows(n_subjects=6, n_windows=3)
PICTURES = ("pictures.nfft=[64]", "pictures.hop=[32]", "pictures.size=[24,32]")


def cnn(seed: int = 0) -> encoders.Encoder:
    torch.manual_seed(seed)
    return encoders.build("cnn1d").eval()


def resnet(seed: int = 0) -> encoders.Encoder:
    torch.manual_seed(seed)
    return encoders.build("resnet18").eval()


@pytest.fixture(scope="module")
def model() -> Model:
    return fit_windows(None, WINDOWS, source={"name": "statistics"})


def test_a_model_of_statistics_recognises_people_left_out(model: Model) -> None:
    scores = model.held_out.scores(model.class_names)
    assert scores.confusion.sum() == len(WINDOWS)
    assert scores.macro_f1 > 0.9
    assert sorted(set(model.held_out.person.tolist())) == list(range(6))
    for person in range(6):
        assert len(set(model.held_out.fold[model.held_out.person == person].tolist())) == 1


def test_probabilities_classes_and_features_have_the_shape_of_their_windows(model: Model) -> None:
    probability = model.predict_proba(WINDOWS.x[:6].reshape(2, 3, 3, -1))
    assert probability.shape == (2, 3, 4)
    np.testing.assert_allclose(probability.sum(-1), 1, rtol=1e-5)
    assert model.predict(WINDOWS.x[0]).shape == ()
    guess = model.predict(WINDOWS.x)
    assert (guess == np.array(WINDOWS.class_names)[WINDOWS.label]).mean() > 0.95
    assert model.embed(WINDOWS.x[:5]).shape == (5, 78)


def test_samples_that_the_model_does_not_take_are_refused_in_words(model: Model) -> None:
    for x, message in (
        (np.zeros((4, 6, 300)), r"expected \[\.\.\., 3, 300\] \(3 axes in g at 50 Hz, 6 s\), got \[4, 6, 300\]"),
        (np.zeros((4, 300, 3)), r"got \[4, 300, 3\]"),
        (np.zeros((4, 3, 299)), r"got \[4, 3, 299\]"),
        (np.full((1, 3, 300), np.nan), "expected finite samples"),
    ):
        with pytest.raises(ValueError, match=message):
            model.predict(x)


@pytest.mark.parametrize("kind", ["statistics", "signal", "image", "adapted"])
def test_a_model_of_each_kind_comes_back_from_its_folder(kind: str, tmp_path: Path) -> None:
    recipe = FitRecipe().set(*PICTURES, "head.learning_rates=[0.01]", "head.weight_decays=[0]", "head.epochs=3")
    encoder = {"statistics": None, "signal": cnn()}.get(kind, resnet())
    if kind == "signal":
        recipe = recipe.set("head.kind=linear")
    if kind == "adapted":
        recipe = recipe.set("pictures.norm=dataset", "pictures.batch_norm=training")
    fitted = fit_windows(encoder, WINDOWS, recipe, source={"name": kind})
    fitted.save(tmp_path / "model")
    again = imuspec.load(tmp_path / "model")
    np.testing.assert_allclose(again.predict_proba(WINDOWS.x), fitted.predict_proba(WINDOWS.x), rtol=1e-5, atol=1e-7)
    assert again.facts == json.loads(json.dumps(fitted.facts))
    assert again.front == fitted.front
    if kind == "adapted":
        assert fitted.front.picture is not None
        assert fitted.front.picture["range_db"] is not None
    card = (tmp_path / "model" / "README.md").read_text("utf-8")
    front, body = card.split("---\n")[1:3]
    assert "library_name: imuspec" in front
    assert "balanced accuracy" in body


def test_a_folder_is_written_whole_or_not_at_all(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from imuspec.prediction import folder

    def fail(*_: Any) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(folder, "card", fail)
    with pytest.raises(OSError, match="disk full"):
        model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    model.save(tmp_path / "model")
    assert not [path for path in (tmp_path / "model").iterdir() if path.stat().st_mode & 0o044 != 0o044]
    with pytest.raises(FileExistsError, match="expected a new folder"):
        model.save(tmp_path / "model")


def test_a_changed_file_is_refused(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    (tmp_path / "model" / "recipe.json").write_text("{}")
    with pytest.raises(ValueError, match=r"expected recipe\.json as it was written"):
        load(tmp_path / "model")


def test_runs_that_do_not_fit_the_windows_are_refused_in_words() -> None:
    roformer = encoders.build("roformer", width=32, depth=1, n_heads=4)
    long = encoders.build("limu_bert", n_steps=100)
    six = encoders.build("cnn1d", n_axes=6)
    cases: list[tuple[Any, str, str]] = [
        (roformer, "split.folds=5", "got one of ten-second patches"),
        (long, "split.folds=5", "expected windows of 100 samples as in its training"),
        (six, "split.folds=5", r"expected an encoder of three axes, got one of \[6\] axes"),
        (None, "head.kind=lstm", "expected logistic or linear for windows, got lstm"),
        (None, "tuning.train=all", "expected head for statistics"),
    ]
    for encoder, assignment, message in cases:
        with pytest.raises(ValueError, match=message):
            fit_windows(encoder, WINDOWS, FitRecipe().set(assignment))
    with pytest.raises(ValueError, match="at least 3 people"):
        fit_windows(None, WINDOWS.select(WINDOWS.subject < 2))


def test_a_labelled_set_is_scored_on_people_that_the_model_was_not_fitted_to(model: Model) -> None:
    del model
    own = replace(WINDOWS, people=("study",))
    fitted = fit_windows(None, own.select(own.subject < 4))
    result = predict_labelled(fitted, own, coverage=0.7)
    assert any("scored on 2 people; the model was fitted to the other 4" in note for note in result.notes)
    assert result.scores is not None
    assert result.scores.confusion.sum() == int((own.subject >= 4).sum())
    assert len(result.table) == len(own)
    assert {"truth", "activity", "confidence", "p_walk", "set"} <= set(result.table.columns)
    others = predict_labelled(fitted, replace(own, people=("other",)))
    assert others.notes == ()
    named = replace(own.of_classes(["walk", "run"]), class_names=("walk", "jump"), people=("other",))
    result = predict_labelled(fitted, named)
    assert any("left out of the scores: 18 jump" in note for note in result.notes)
    with pytest.raises(ValueError, match="expected some of the model's classes"):
        predict_labelled(fitted, replace(own.of_classes(["walk"]), class_names=("jump",)))
    with pytest.raises(ValueError, match="expected 50 Hz as the model, got 100 Hz"):
        predict_labelled(fitted, replace(own, rate=100.0))


def test_people_that_the_encoder_was_pre_trained_on_do_not_score_its_model(tmp_path: Path) -> None:
    from imuspec.cli.runs import facts_of, unseen

    run = tmp_path / "run"
    Run(run).save_encoder(encoders.build("cnn1d"))
    facts = {"set": "study", "people": ["study"], "subjects": [4]}
    (run / "source.json").write_text(json.dumps(facts), "utf-8")
    own = replace(WINDOWS, people=("study",))
    learnt = unseen(own, str(run))[0]
    learnt = learnt.select(learnt.subject < 4)
    fitted = fit_windows(encoders.build("cnn1d"), learnt, FitRecipe().set("split.folds=3"), source=facts_of(str(run)))
    fitted.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    result = predict_labelled(loaded, own)
    expected = "scored on 1 people; the model was fitted to, or its encoder pre-trained on, the other 5"
    assert expected in result.notes
    assert result.scores is not None
    assert result.scores.confusion.sum() == int((own.subject == 5).sum())
    assert "people" not in loaded.facts["source"]
    left, note = unseen(own, str(tmp_path / "model"))  # the model's encoder as a run
    assert left.subjects.tolist() == [5]
    assert "judged on 2 subjects; pre-training saw the other 4" in note
    assert "pretraining" not in fit_windows(None, learnt, source=facts_of("statistics")).facts["people"]


def held_out(n_people: int, n: int, classes: int = 3, seed: int = 0, sharpness: float = 3.0) -> HeldOut:
    """Logits whose softmax, times a sharpness, is the chance of each class; each person is a little different."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (n_people * n, classes))
    share = softmax(logits.astype(np.float32))
    label = np.array([random.choice(classes, p=p / p.sum()) for p in share.astype(np.float64)])
    person = np.repeat(np.arange(n_people), n)
    scaled = (sharpness * logits).astype(np.float32)
    return HeldOut(scaled, label, person, person % 5, np.arange(len(label)))


def test_the_temperature_undoes_overconfidence() -> None:
    values = held_out(10, 400)
    calibration = values.calibration()
    assert calibration.temperature == calibration.fitted == pytest.approx(3.0, rel=0.1)
    assert calibration.log_loss[1] < calibration.log_loss[0]
    before, after = calibration.ece
    assert before > 0.1
    assert after < 0.03
    probability = softmax(values.logits, 3.0)
    assert expected_calibration_error(probability, values.label) == pytest.approx(after, abs=0.01)


def test_a_temperature_that_does_not_help_people_left_out_is_not_used() -> None:
    values = held_out(5, 200, sharpness=1.0)
    sharp = values.person % 5 == 0  # one person's logits are three times too sharp, the others' are right
    logits = np.where(sharp[:, None], 3 * values.logits, values.logits)
    calibration = replace(values, logits=logits).calibration()
    assert calibration.log_loss[1] > calibration.log_loss[0]
    assert calibration.fitted > 1.1
    assert calibration.temperature == 1.0


def test_a_class_that_a_fold_had_no_window_of_does_not_spoil_the_temperature() -> None:
    values = held_out(10, 400)
    values.logits[:5, 0] = -1e30
    values.label[:5] = 0
    assert fitted_temperature(values.logits, values.label) == pytest.approx(3.0, rel=0.15)


def test_prediction_sets_have_the_true_class_of_new_people_at_the_stated_rate() -> None:
    fitted, new = held_out(40, 50), held_out(200, 50, seed=1)
    for coverage in (0.7, 0.9):
        limit = fitted.threshold(coverage, 3.0)
        true = softmax(new.logits, 3.0)[np.arange(len(new.label)), new.label]
        assert (true >= limit).mean() == pytest.approx(coverage, abs=0.04)
        measured, size = fitted.measured_coverage(coverage, 3.0)
        assert measured >= coverage - 0.02
        assert 1 < size < 3


def test_each_person_has_the_same_weight_in_prediction_sets() -> None:
    """One person with a hundred times the windows, all of them certain, does not decide the threshold alone."""
    logits = np.zeros((1009, 2), np.float32)
    logits[:1000, 0] = 9.0
    logits[1000:, 0] = np.linspace(-1, 1, 9)
    person = np.concatenate([np.zeros(1000, np.int64), np.arange(1, 10)])
    values = HeldOut(logits, np.zeros(1009, np.int64), person, person % 3, np.arange(1009))
    assert values.threshold(0.8, 1.0) < 0.5
    with pytest.raises(ValueError, match=r"expected at most 0\.909, as 10 people calibrate the sets, got 0\.95"):
        values.threshold(0.95, 1.0)


def test_windows_that_follow_each_other_are_a_chain_and_overlapping_ones_two() -> None:
    recording = np.array(["a"] * 6 + ["b"] * 3)
    start = np.array([0, 1, 2, 3, 4, 5, 0, 2.0, 7])
    chain = chains_of(recording, start, 2.0)
    assert chain.tolist() == [0, 1, 0, 1, 0, 1, 6, 6, 8]
    assert chains_of(recording[:2], np.array([np.nan, np.nan]), 2.0).tolist() == [0, 1]


def test_a_model_goes_to_the_hub_and_back_without_the_names_of_people(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a local folder in place of the Hub."""
    import shutil

    hub = pytest.importorskip("huggingface_hub")

    class Api:
        def create_repo(self, name: str, *, private: bool, exist_ok: bool) -> str:
            assert private
            assert exist_ok
            return f"hub/{name}"

        def upload_folder(self, *, repo_id: str, folder_path: Path, ignore_patterns: list[str]) -> None:
            shutil.copytree(folder_path, tmp_path / repo_id, ignore=shutil.ignore_patterns(*ignore_patterns))

    monkeypatch.setattr(hub, "HfApi", Api)
    monkeypatch.setattr(hub, "snapshot_download", lambda name: str(tmp_path / name))
    assert model.push_to_hub("lab/walks") == "hub/lab/walks"
    assert not (tmp_path / "lab/walks/source.json").exists()
    again = Model.from_pretrained("lab/walks")
    np.testing.assert_array_equal(again.predict(WINDOWS.x), model.predict(WINDOWS.x))
    assert Model.from_pretrained(tmp_path / "lab/walks").class_names == model.class_names
    with pytest.raises(FileNotFoundError, match="organisation/name"):
        Model.from_pretrained("no such folder")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "huggingface_hub" else True)
    with pytest.raises(ImportError, match=r"pip install 'imuspec\[train\]'"):
        Model.from_pretrained("lab/walks")


@pytest.mark.parametrize("kind", ["statistics", "adapted"])
def test_the_heads_of_a_probe_are_models_that_predict_its_test_people_alike(kind: str, tmp_path: Path) -> None:
    linear = ("head.epochs=3", "head.learning_rates=[0.01]", "head.weight_decays=[0]")
    recipe = ProbeRecipe().set(*PICTURES, *linear)
    encoder, head = None, "logistic"
    source: EncoderSource | StatisticsSource = StatisticsSource(WINDOWS.rate)
    if kind == "adapted":
        recipe = recipe.set("pictures.norm=dataset", "pictures.batch_norm=training")
        encoder, head = resnet(), "linear"
        source = EncoderSource(encoder, pictures=recipe.pictures)
    result = probe(source, WINDOWS, seeds=(0, 1), shots=(4,), head=head, settings=recipe.head)
    folders = save_heads(result, WINDOWS, encoder, recipe, tmp_path, head=head, source={"name": kind})
    layer = "statistics" if encoder is None else "last"
    assert [folder.name for folder in folders] == [f"{layer}-4-seed0", f"{layer}-4-seed1"]
    for seed, folder in enumerate(folders):
        model = load(folder)
        test = WINDOWS.select(np.isin(WINDOWS.subject, result.members[seed]["test"]))
        guess = model.predict_proba(test.x).argmax(1)
        confusion = confusion_matrix(test.label, guess, WINDOWS.n_classes)
        np.testing.assert_array_equal(confusion, result.scores[layer, 4, seed, "clean"].confusion)
        assert set(model.facts["people"]["subjects"]) == set(WINDOWS.subjects.tolist()) - set(test.subjects.tolist())

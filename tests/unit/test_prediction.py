"""From a recording to what its wearer did: smoothing, minutes with intervals, the table, the model in its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import imuspec
from imuspec.datasets.sequences import PatchSequence, PatchSequences
from imuspec.errors import RecordingError
from imuspec.prediction import Activities, Model, Smoother, fit_patches, load, predict
from imuspec.recipe import FitRecipe
from imuspec.simulation import simulate, wrist_motion, write_csv
from labelled_days import CLASSES, labelled_days, small_roformer

HOUR = 3_600_000_000_000


def test_smoothing_finds_the_most_probable_course() -> None:
    """Against every course of six patches, scored by hand."""
    random = np.random.default_rng(0)
    smoother = Smoother(*(random.dirichlet(np.ones(3), n) for n in (1, 3, 3)))
    smoother = Smoother(smoother.start[0], smoother.transition, smoother.emission)
    seen = random.integers(0, 3, 6)
    best, expected = -np.inf, None
    for code in range(3**6):
        course = [code // 3**i % 3 for i in range(6)]
        p = np.log(smoother.start[course[0]]) + np.log(smoother.emission[course, seen]).sum()
        p += np.log(smoother.transition[course[:-1], course[1:]]).sum()
        if p > best:
            best, expected = p, course
    assert smoother.smooth(seen).tolist() == expected
    assert smoother.smooth([]).tolist() == []


def test_transitions_and_errors_are_counted_where_the_truth_is_known() -> None:
    smoother = Smoother.fit([[0, 0, 1, -1, 1, 1]], [[0, 1, 1, 0, 1, 1]], 2)
    np.testing.assert_allclose(smoother.transition, [[0.5, 0.5], [0, 1]], atol=2e-3)
    np.testing.assert_allclose(smoother.emission, [[0.5, 0.5], [0, 1]], atol=2e-3)
    np.testing.assert_allclose(smoother.start, [0.4, 0.6], atol=2e-3)


def two_days(confusion: np.ndarray | None = None) -> Activities:
    start = int(np.datetime64("2024-03-01T23:00", "ns").astype(np.int64))
    label = np.repeat([0, 1, -2, -1], [360, 180, 180, 90])
    probability = np.where(label[:, None] >= 0, np.eye(2)[np.maximum(label, 0)] * 0.8 + 0.1, np.nan).astype(np.float32)
    time = start + np.arange(len(label)) * 10_000_000_000
    return Activities(time, label, probability, ("rest", "walk"), confusion=confusion, name="r")


def test_minutes_are_of_calendar_days_and_leave_nothing_out() -> None:
    minutes = two_days().minutes()
    whole = minutes.pivot(index="day", columns="activity", values="minutes")
    assert [str(day.date()) for day in whole.index] == ["2024-03-01", "2024-03-02"]
    assert whole.loc["2024-03-01"].to_dict() == {"rest": 60, "walk": 0, "nonwear": 0, "missing": 0}
    assert whole.loc["2024-03-02"].to_dict() == {"rest": 0, "walk": 30, "nonwear": 30, "missing": 15}
    assert minutes["low"].isna().all()


def test_expected_minutes_allow_for_the_errors_on_unseen_people() -> None:
    # Of what is called rest, 90 in 100 was rest; of what is called walk, 80 in 90.
    confusion = np.array([[[90, 10], [10, 80]]] * 5)
    confusion[0] = [[60, 0], [20, 50]]
    total = confusion.sum(0)
    minutes = two_days(confusion).minutes(seed=1).set_index(["day", "activity"])
    rest = minutes.loc[("2024-03-01", "rest")]
    assert rest["expected"] == pytest.approx(60 * total[0, 0] / total[:, 0].sum())
    assert rest["low"] < rest["expected"] < rest["high"]
    assert minutes.loc["2024-03-01"]["expected"].sum() == pytest.approx(60)
    sure = two_days(np.array([[[9, 0], [0, 9]]] * 3)).minutes().set_index(["day", "activity"])
    assert sure.loc[("2024-03-02", "walk")][["expected", "low", "high"]].tolist() == [30, 30, 30]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_table_has_a_row_for_ten_seconds(tmp_path: Path, ending: str) -> None:
    import pandas as pd

    path, beside = two_days().save(tmp_path / f"out.{ending}")
    table = pd.read_csv(path, parse_dates=["time"]) if ending == "csv" else pq.read_table(path).to_pandas()
    assert len(table) == 810
    assert str(table["time"][1]) == "2024-03-01 23:00:10"
    assert table["activity"].value_counts().to_dict() == {"rest": 360, "walk": 180, "nonwear": 180, "missing": 90}
    assert table["confidence"][0] == pytest.approx(0.9, abs=1e-6)
    assert table["p_walk"].isna().sum() == 270
    assert beside.read_text().splitlines()[0] == "day,activity,minutes,expected,low,high"
    with pytest.raises(ValueError, match=r"\.parquet or \.csv"):
        two_days().save(tmp_path / "out.xlsx")


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_picture_is_drawn(tmp_path: Path, kind: str) -> None:
    out = tmp_path / f"week.{kind}"
    figure = imuspec.plot(two_days(), out)
    assert out.stat().st_size > 3000
    left, right = figure.axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["Fri 01 Mar", "Sat 02 Mar"]
    assert sum(bar.get_width() for bar in right.patches) == pytest.approx(2.0)


@pytest.fixture(scope="module")
def model() -> Model:
    message: list[str] = []
    fitted = fit_patches(small_roformer(), labelled_days(3, hours=2.0), say=message.append)
    assert [line.split(":")[0] for line in message[:2]] == ["as predicted", "smoothed"]
    return fitted


def test_the_model_knows_its_errors_on_people_it_had_not_seen(model: Model) -> None:
    labelled = sum(int((item.label >= 0).sum()) for item in labelled_days(3, hours=2.0))
    assert model.smoother is not None
    confusion = model.held_out.confusion()
    assert confusion.shape == (3, 6, 6)
    assert confusion.sum() == model.held_out.confusion(model.smoother).sum() == labelled
    np.testing.assert_allclose(model.smoother.transition.sum(1), 1)


def test_a_model_comes_back_from_its_folder_and_predicts_the_same(model: Model, tmp_path: Path) -> None:
    x, time, _ = wrist_motion(days=1 / 24, seed=9, sample_rate=50.0, start="2023-05-15T06:30:00")
    write_csv(tmp_path / "r.csv", x, time)
    model.save(tmp_path / "model")
    first = predict(tmp_path / "r.csv", model)
    again = predict(tmp_path / "r.csv", tmp_path / "model")
    np.testing.assert_array_equal(first.label, again.label)
    np.testing.assert_allclose(first.probability, again.probability, rtol=1e-5)
    assert first.class_names == CLASSES
    assert len(first) == 360
    assert (first.label >= 0).all()
    assert any("not calibrated" in note for note in first.notes)
    smooth = predict(tmp_path / "r.csv", model, smooth=True)
    assert (np.diff(smooth.label) != 0).sum() <= (np.diff(first.label) != 0).sum()
    assert model.smoother is not None
    np.testing.assert_array_equal(smooth.label, model.smoother.smooth(first.label))


def test_time_without_the_device_is_no_activity(model: Model, tmp_path: Path) -> None:
    simulate(tmp_path / "day.cwa", days=0.5, seed=4, sample_rate=25.0)
    result = predict(tmp_path / "day.cwa", model)
    off = result.label == -2
    assert off.any()
    prepared = imuspec.prepare(tmp_path / "day.cwa", imuspec.Recipe.load("capture24").set("calibration.required=false"))
    assert off.sum() * 10 / 3600 == pytest.approx(prepared.figures["nonwear_h"], abs=0.02)
    assert np.isnan(result.probability[off]).all()
    assert any("recorded at 25 Hz, the model takes 30 Hz" in note for note in result.notes)


def test_what_cannot_be_predicted_is_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="imuspec fit"):
        load(tmp_path)
    (tmp_path / "x.cwa").write_bytes(b"nothing")
    with pytest.raises(RecordingError, match=r"x\.cwa"):
        predict(tmp_path / "x.cwa", model)
    with pytest.raises(FileNotFoundError):
        predict(tmp_path / "absent.cwa", model)


def test_a_head_that_sees_stillness_tells_quiet_from_vibration_that_the_encoder_hardly_shows(tmp_path: Path) -> None:
    """Postures drawn anew every few patches, and 3 or 30 mg of noise: what a night has less of than a vehicle."""
    random = np.random.default_rng(0)
    items = []
    for subject in range(4):
        label = np.repeat(random.permutation(np.repeat([0, 1], 12)), 5)
        posture = np.repeat(random.normal(0, 1, (3, 24)), 5 * 300, axis=1)
        posture /= np.linalg.norm(posture, axis=0)
        noise = random.normal(0, 1, posture.shape) * np.repeat(np.where(label, 0.03, 0.003), 300)
        items.append(PatchSequence((posture + noise).astype(np.float32), label, f"s{subject}", ""))
    sequences = PatchSequences(tuple(items), ("sleep", "vehicle"))
    fitted = {}
    for stillness in (False, True):
        recipe = FitRecipe().set(f"patches.stillness={str(stillness).lower()}")
        model = fit_patches(small_roformer(), sequences, recipe)
        counts = model.held_out.confusion().sum(0)
        fitted[stillness] = float((np.diag(counts) / counts.sum(1)).mean())
        assert model.head.n_features == 32 + 3 * stillness
        model.save(tmp_path / str(stillness))
        assert load(tmp_path / str(stillness)).front.stillness is stillness
    assert fitted[False] < 0.85
    assert fitted[True] > 0.99

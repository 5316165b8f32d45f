"""The probe that experiments share: several heads and several encoders of a row, on the same windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")
from imuspec import experiments  # noqa: E402
from imuspec.experiments import judging  # noqa: E402
from imuspec.experiments.made_up import made_up_windows  # noqa: E402


class Means:
    """Mean of each axis, plus a number; counts how often it is computed."""

    layers = ("last", "layer1")

    def __init__(self, offset: float = 0.0, of_split: bool = False) -> None:
        self.offset, self.of_split, self.n_computed = offset, of_split, 0

    def choices(self, n_samples: int) -> list[dict[str, Any]]:  # noqa: ARG002
        return [{"nfft": 32}, {"nfft": 64}]

    def fitted(self, train: NDArray[np.float32]) -> Means:
        return Means(float(train.mean()))

    def features(self, x: NDArray[np.float32], choice: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
        self.n_computed += 1
        values = x.mean(2) + np.float32(self.offset + choice["nfft"])
        return {"last": values, "layer1": x.std(2)}


def setup(folder: Path, *assignments: str) -> Any:
    experiment = experiments.describe("img2imu-table2")
    return experiment.setup(folder, tiny=True, assignments=assignments, seeds=(0, 1), say=lambda _: None)


def test_features_of_the_same_windows_are_computed_once_for_all_heads(tmp_path: Path) -> None:
    windows, source = made_up_windows(n_subjects=6, n_windows=12), Means()
    table = judging.judge_row(setup(tmp_path), "MoCo", [(0, source)], windows)
    both = source.n_computed
    assert list(dict.fromkeys(table["row"])) == ["MoCo", "MoCo, layer1", "MoCo, logistic", "MoCo, layer1, logistic"]
    apart = Means()
    for head in ("linear", "logistic"):
        one = judging.judge(setup(tmp_path), apart, windows, head=head).table
        same = table[(table["head"] == head)].reset_index(drop=True)
        assert one["macro_f1"].tolist() == same["macro_f1"].tolist()
    assert both < apart.n_computed


def test_other_windows_choices_and_splits_are_not_mistaken_for_those_stored() -> None:
    source = judging.Remembered(Means())
    x = np.random.default_rng(0).normal(size=(4, 3, 8)).astype(np.float32)
    first = source.features(x, {"nfft": 32})["last"]
    assert not np.array_equal(source.features(x, {"nfft": 64})["last"], first)
    assert not np.array_equal(source.features(x + 1, {"nfft": 32})["last"], first)
    assert np.array_equal(source.features(x.copy(), {"nfft": 32})["last"], first)
    fitted = [source.fitted(x + n).features(x, {"nfft": 32})["last"] for n in (0, 1)]
    assert not np.array_equal(*fitted)
    assert judging.Remembered(Means(of_split=True)).of_split
    assert not source.of_split


def test_features_beyond_the_limit_are_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "_MOST_BYTES", 100)
    means = Means()
    source, x = judging.Remembered(means), np.ones((4, 3, 8), np.float32)
    for _ in range(2):
        source.features(x, {"nfft": 32})  # 96 bytes
    assert means.n_computed == 1
    for _ in range(2):
        source.features(x, {"nfft": 64})
    assert means.n_computed == 3


def test_a_row_may_be_given_several_runs(tmp_path: Path) -> None:
    experiment = experiments.describe("img2imu-table2")
    several = experiment.setup(tmp_path, runs=["MoCo=a", "MoCo=b", "MoCo@goat=c"])
    assert (several.runs_of("MoCo", "wisdm"), several.runs_of("MoCo", "goat")) == (("a", "b"), ("c",))
    assert experiment.command(several).count("--runs MoCo=") == 2
    with pytest.raises(ValueError, match="runs: expected one run for MoCo in this experiment, got a, b"):
        several.run_of("MoCo")
    with pytest.raises(ValueError, match="runs: expected each run of MoCo once, got a twice"):
        experiment.setup(tmp_path, runs=["MoCo=a", "MoCo=a"])


def test_an_unknown_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="set: heads: expected"):
        setup(tmp_path, "heads=linear,svm")


def test_a_study_of_patches_changes_every_recipe_and_may_leave_rows_out(tmp_path: Path) -> None:
    from imuspec.experiments.masked_study import Study

    experiment = experiments.describe("lmm-table1")
    changes = ["recipe=mae-lmm-small", "changes=training.epochs=8; encoder.depth=2", "rows=LMM N 32"]
    given = experiment.setup(tmp_path, assignments=changes)
    recipe = Study(given).recipe(("objective.lmm=0.5",), 3)
    assert (recipe.training.epochs, recipe.training.seed, recipe.encoder.depth) == (8, 3, 2)
    assert recipe.objective.lmm == 0.5
    assert given.options.chosen == ("LMM N 32",)
    assert len(experiment.setup(tmp_path).options.chosen) == 11


def test_a_study_of_patches_joins_the_six_numbers_of_the_same_patches_and_names_its_probes(tmp_path: Path) -> None:
    from imuspec.experiments.masked_study import Study, made_up_days
    from imuspec.probing.parameter_free import moments

    changes = ["recipe=mae-lmm-small", "layers=last,last+moments", "random_draws=1", "head_epochs=1"]
    study = Study(experiments.describe("lmm-table1").setup(tmp_path, assignments=changes, tiny=True, seeds=(0, 1)))
    days = made_up_days(n=2, hours=0.5)
    encoder = study.random_encoder(0)
    own, both = study.features(encoder, days, None), study.features(encoder, days, None, layer="last+moments")
    assert all(isinstance(part, np.memmap) for part in both.x)
    patches = days.items[0].x.reshape(3, -1, days.items[0].patch).transpose(1, 0, 2)
    assert np.concatenate(both.x)[: len(patches), -6:] == pytest.approx(moments(patches), abs=2e-3)
    assert all(np.array_equal(one[:, :-6], other) for one, other in zip(both.x, own.x, strict=True))
    rows = dict.fromkeys(study.baselines(probes=study.setup.options.probes)["row"])
    names = ["random weights", "random weights, logistic"]
    names += ["random weights, last+moments", "random weights, last+moments, logistic"]
    assert list(rows)[:4] == names
    with pytest.raises(ValueError, match="set: layers: expected last or last"):
        experiments.describe("lmm-table1").setup(tmp_path, assignments=["layers=layer1"])


def test_random_weights_of_a_grid_are_standardised_as_its_pre_trainings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imuspec import encoders
    from imuspec.experiments import img2imu_grid
    from imuspec.run.run import Run

    Run(tmp_path / "run").save_encoder(
        encoders.build("standardised", encoder="tpn", mean=[1.0, 2.0, 3.0], sd=[4.0] * 3)
    )
    judged: dict[str, list[Any]] = {}

    def judge_row(setup: Any, row: str, sources: Any, windows: Any, **_: Any) -> Any:
        del setup, windows
        judged[row] = [source._encoder for _, source in sources]
        line = {"row": row, "seed": 0, "weights_seed": 0, "head": "linear", "test": "clean", "validation_f1": 0.5}
        return pd.DataFrame([{**line, **dict.fromkeys(("macro_f1", "balanced_accuracy", "test_over_train"), 0.5),
                              "n_rarest": 1, "test_subjects": "a"}])  # fmt: skip

    monkeypatch.setattr(img2imu_grid, "pretrain_once", lambda *_, **__: Run(tmp_path / "run"))
    monkeypatch.setattr(img2imu_grid, "judge_row", judge_row)
    monkeypatch.setattr(img2imu_grid, "judge_parameter_free", lambda *_, **__: iter(()))
    setup = experiments.describe("img2imu-grid").setup(
        tmp_path / "out", tiny=True, assignments=["random_draws=2", "height=24", "width=32"]
    )
    img2imu_grid.run(setup)
    first, second = judged["random weights (tpn)"]
    assert first.mean.flatten().tolist() == second.mean.flatten().tolist() == [1.0, 2.0, 3.0]
    assert any(not np.array_equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_subjects_that_only_unlabelled_windows_have_count_in_the_draw_of_those_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imuspec.datasets import DatasetReference
    from imuspec.experiments.pretraining import unseen_windows
    from imuspec.pretraining.window_source import window_source
    from imuspec.recipe import PretrainRecipe

    everybody = made_up_windows("people", n_subjects=12, n_windows=3, length=250)

    def windows(self: DatasetReference, *, unlabelled: bool = False, **_: Any) -> Any:
        del self
        return everybody if unlabelled else everybody.select(everybody.subject > 1)

    monkeypatch.setattr(DatasetReference, "windows", windows)
    setup = experiments.describe("img2imu-table2").setup(tmp_path, data=["wisdm=x"])
    judged_on, used = unseen_windows(setup, "wisdm", "wisdm=x", 0.5)
    recipe = PretrainRecipe.load("simclr-har").set("source.window_s=5", "source.subjects=0.5", "training.batch=32")
    seen = window_source(recipe, "wisdm=x").people.subjects
    assert used
    assert len(judged_on.subjects) > 0
    assert not set(judged_on.subjects.tolist()) & set(seen or ())
    assert set(judged_on.subjects.tolist()) | set(seen or ()) >= set(range(2, 12))

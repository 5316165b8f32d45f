"""Pre-trainings of experiments: each is made once for its recipe and data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
from imuspec import experiments
from imuspec.experiments import pretraining
from imuspec.experiments.made_up import made_up_windows
from imuspec.recipe import PretrainRecipe


def test_a_pre_training_is_made_once_for_each_recipe_and_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Path, bool]] = []

    def pretrain(recipe: PretrainRecipe, data: Any, folder: Path, *, people: object, resume: bool) -> None:
        assert people is None
        made.append((folder, resume))
        folder.mkdir(exist_ok=True)
        (folder / "recipe.json").write_text(recipe.to_json(), "utf-8")
        if data == "stop":
            raise KeyboardInterrupt

    monkeypatch.setattr(pretraining, "pretrain", pretrain)
    setups = [
        experiments.describe(name).setup(tmp_path / name, cache=tmp_path / "cache", say=lambda _: None)
        for name in ("img2imu-table2", "img2imu-fig7")
    ]
    recipe, windows = PretrainRecipe.load("simclr-har"), made_up_windows(n_subjects=3, n_windows=2)
    for setup in setups:
        pretraining.pretrain_once(setup, "SimCLR (HAR)", recipe, windows)
    assert len(made) == 1
    assert setups[0].pretrained == setups[1].pretrained == {"SimCLR (HAR)": str(made[0][0])}
    assert made[0][0].parent == tmp_path / "cache"
    pretraining.pretrain_once(setups[0], "a", recipe.set("training.seed=1"), windows)
    pretraining.pretrain_once(setups[0], "b", recipe, made_up_windows("other", n_subjects=3, n_windows=2))
    assert len({folder for folder, _ in made}) == 3
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            pretraining.pretrain_once(setups[0], "c", recipe, "stop")
    assert [resume for _, resume in made[-2:]] == [False, True]  # interrupted: it continues


def test_a_pre_training_is_made_again_when_a_file_of_its_data_changes(tmp_path: Path) -> None:
    recipe, folder = PretrainRecipe.load("mae-lmm"), tmp_path / "cohort"
    folder.mkdir()
    (folder / "a").write_text("1", "utf-8")
    before = pretraining.pretraining_digest(recipe, folder)
    assert before == pretraining.pretraining_digest(recipe.model_copy(update={"name": "renamed"}), folder)
    (folder / "a").write_text("12", "utf-8")
    assert pretraining.pretraining_digest(recipe, folder) != before

"""The rows of Table II, Fig 7 and Fig 9 from one command each, in a tiny trial."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imuspec.cli import main
from imuspec.experiments import describe, perform
from imuspec.experiments.comparisons import figure
from imuspec.experiments.judging import PARAMETER_FREE
from imuspec.experiments.made_up import made_up_windows
from imuspec.experiments.methods import LITE, ROWS, MethodOptions
from imuspec.recipe import PretrainRecipe
from imuspec.run.run import Run

SMALL = ("image_limit=16", "image_batch=8", "head_epochs=1", "max_judged=2", "heads=linear")


def test_the_rows_are_the_papers_thirteen_and_their_recipes_exist() -> None:
    from imuspec.experiments import targets

    assert [row for row in ROWS if not row.endswith("(EfficientNet-Lite0)")] == list(
        dict.fromkeys(targets("img2imu-table2")["row"])
    )
    for row in ROWS.values():
        for name in (row.recipe, row.small):
            assert not name or PretrainRecipe.load(name).source.name == (
                "windows" if row.kind == "signal" else "images"
            )


def test_table_two_makes_every_row_from_one_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = describe("img2imu-table2")
    monkeypatch.setattr(experiment.module, "DATA", ("wisdm",))  # one set: the others take the same way
    monkeypatch.setattr("imuspec.encoders.efficientnet.PACKAGE", "package-that-nobody-has")
    changes = [*SMALL, "height=24", "width=32", "max_train=2", "signal_limit=16", "signal_batch=8"]
    setup = experiment.setup(tmp_path, assignments=changes, seeds=(0,), tiny=True, say=lambda _: None)
    result, comparison = perform(experiment, setup)
    without = {row for row in ROWS if row == LITE or row.endswith("from ImageNet (EfficientNet-Lite0)")}
    assert len(without) == 3
    assert set(result.table["row"]) == {*ROWS, *PARAMETER_FREE} - without
    for row in without:
        assert any(f"{row}: left out: weights: expected the package package-that-nobody-has" in n for n in result.notes)
    drawn = result.tables["seeds"].groupby("row")["weights_seed"].nunique()
    assert (drawn["Randomly-init. (1D)"], drawn["Randomly-init. (2D)"], drawn["MoCo"]) == (2, 2, 1)
    assert result.table["balanced_accuracy"].between(0, 1).all()
    assert result.tables["seeds"]["n_test"].nunique() == 1
    assert any(
        "1 distinct splits, 2 test subjects, 2 test windows of the rarest class" in note for note in result.notes
    )
    assert result.table["value"].between(0, 1).all()
    assert any("torchvision's weights are not there" in note for note in result.notes)
    cell = comparison[(comparison["row"] == "IMG2IMU") & (comparison["column"] == "wisdm")].iloc[0]
    assert cell["paper"] == 0.739
    stored = json.loads((tmp_path / "experiment.json").read_text("utf-8"))
    assert (Path(stored["pretrained"]["CPC (HAR)@wisdm"]) / "encoder.safetensors").is_file()
    assert stored["options"]["max_train"] == 2
    assert MethodOptions.TINY["signal_epochs"] == 1
    capsys.readouterr()


def test_every_row_has_both_heads_and_as_many_encoders_as_there_are_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = describe("img2imu-table2")
    monkeypatch.setattr(experiment.module, "DATA", ("wisdm",))
    judged = ["head_epochs=1", "max_judged=2", "height=24", "width=32", "rows=MoCo; Randomly-init. (1D)"]
    trained = ["image_limit=16", "image_batch=8", "pretrain_seeds=2"]
    fields: dict[str, Any] = {"seeds": (0, 1), "tiny": True, "say": lambda _: None}
    setup = experiment.setup(tmp_path / "made", assignments=[*judged, *trained], **fields)
    result, _ = perform(experiment, setup)
    seeds = result.tables["seeds"]
    rows = ["MoCo", "MoCo, logistic", "Randomly-init. (1D)", "Randomly-init. (1D), logistic"]
    assert set(seeds["row"]) == {*rows, *PARAMETER_FREE}
    assert all(seeds[seeds["row"] == row]["weights_seed"].nunique() == 2 for row in rows)
    assert seeds["n_test"].nunique() == 1
    assert set(setup.pretrained) == {"MoCo, seed 0", "MoCo, seed 1"}
    folders = list(setup.pretrained.values())
    assert {PretrainRecipe.load(Path(folder) / "recipe.json").training.seed for folder in folders} == {0, 1}
    runs = [f"MoCo={folder}" for folder in folders]
    again = experiment.setup(tmp_path / "again", runs=runs, assignments=judged, **fields)
    repeated = perform(experiment, again)[0].tables["seeds"]
    columns = ["row", "column", "seed", "weights_seed", "macro_f1"]
    assert repeated[columns].equals(seeds[columns])


def test_a_row_without_its_run_is_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imuspec.datasets.reference.load", lambda name, path: made_up_windows(name))  # noqa: ARG005
    experiment = describe("img2imu-table2")
    setup = experiment.setup(tmp_path, data=["wisdm=x"], assignments=["rows=LIMU-BERT"], say=lambda _: None)
    with pytest.raises(ValueError, match="LIMU-BERT: left out, as neither --runs"):
        perform(experiment, setup)


def test_figure_seven_draws_a_curve_for_each_row(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        main(
            [
                *("experiment", "img2imu-fig7", "--tiny", "--seeds", "1", "--out", str(tmp_path / "out")),
                *("--set", "rows=Randomly-init. (1D); Fully-supervised (1D)", "--set", "max_judged=2"),
                *("--set", "head_epochs=1", "--set", "height=24", "--set", "width=32"),
            ]
        )
    assert end.value.code == 0
    assert (tmp_path / "out" / "fig7.svg").is_file()
    assert "wisdm, 5 shots" in (tmp_path / "out" / "table.csv").read_text("utf-8")


def test_figure_nine_judges_transformers(tmp_path: Path) -> None:
    experiment = describe("img2imu-fig9")
    changes = [*SMALL, "rows=ViT-S, MAE"]
    setup = experiment.setup(tmp_path, seeds=(0,), tiny=True, assignments=changes, say=lambda _: None)
    result, _ = perform(experiment, setup)
    assert list(result.table["row"]) == ["ViT-S, MAE", *PARAMETER_FREE]
    (bar,) = result.figures["fig9"].axes[0].patches
    assert bar.get_height() == result.table["value"].iloc[0]
    assert (tmp_path / "fig9.svg").is_file()


def test_objectives_on_signals_stand_beside_their_random_encoders(tmp_path: Path) -> None:
    experiment = describe("signal-objectives")
    changes = ["rows=SimCLR (HAR); HARNet"]
    setup = experiment.setup(tmp_path, seeds=(0,), tiny=True, assignments=changes, say=lambda _: None)
    result, comparison = perform(experiment, setup)
    rows = ["SimCLR (HAR)", "HARNet"]
    encoders = [f"{row}{drawn}" for row in rows for drawn in ("", ", random")]
    assert set(result.table["row"]) == {*encoders, *(f"{row}, logistic" for row in encoders), *PARAMETER_FREE}
    assert set(comparison["column"]) == {"hapt"}  # so that both heads stand beside the statistics
    assert not any(f"{row}: left out" in note for row in rows for note in result.notes)
    assert any("192 windows of 4 subjects that no pre-training saw" in note for note in result.notes)
    line = Run(setup.pretrained["HARNet@hapt"]).metrics()[-1]  # the only one: a step is an epoch
    reached = f"balanced accuracy {figure(line['balanced_accuracy'])}, a constant answer .5"
    assert f"hapt: HARNet's own task in the last epoch of pre-training: {reached}" in result.notes
    (note,) = [note for note in result.notes if note.startswith("hapt: SimCLR (HAR)'s own task")]
    assert note.endswith("chance .062")  # of 16 windows of a batch
    recipe = PretrainRecipe.load(Path(setup.pretrained["HARNet@hapt"]) / "recipe.json")
    assert recipe.source.subjects == 0.5
    titles = [panel.get_title() for panel in result.figures["losses"].axes if panel.get_visible()]
    assert titles == ["SimCLR (HAR), hapt", "HARNet, hapt"]
    changes = ["rows=HARNet; SimCLR (HAR)", "window_s=6"]
    setup = experiment.setup(tmp_path / "six", seeds=(0,), tiny=True, assignments=changes, say=lambda _: None)
    result, _ = perform(experiment, setup)
    assert "HARNet: left out, as it takes windows of 5, 10 or 30 s, not of 6 s" in result.notes

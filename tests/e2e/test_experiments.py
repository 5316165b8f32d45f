"""Experiments as a user tries them: the tiny form of the studies on pictures, and what it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")
pd = pytest.importorskip("pandas")
from imuspec import pretrain  # noqa: E402
from imuspec.cli import main  # noqa: E402
from imuspec.experiments.judging import PARAMETER_FREE  # noqa: E402
from imuspec.experiments.methods import made_up_pictures  # noqa: E402
from imuspec.recipe import PretrainRecipe  # noqa: E402


def run(name: str, out: Path, *arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(
            ["experiment", name, "--tiny", "--seeds", "1", "--out", str(out), "--cache", str(out / "runs"), *arguments]
        )
    assert ended.value.code == 0


SMALL = ("--set", "head_epochs=1", "--set", "height=24", "--set", "width=32", "--set", "max_judged=2")


def test_table_1_judges_each_row_on_clean_and_altered_windows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("img2imu-table1", tmp_path, *SMALL, "--runs", "all four=random", "--runs", "no Hue=random", "--set", "heads=linear",
        "--runs", "no Jitter=random", "--runs", "no PermuteX=random", "--runs", "no TranslateX=random")  # fmt: skip
    shown = capsys.readouterr().out
    assert "TINY" in shown
    assert "0.754" in shown  # the paper's beside ours
    table = pd.read_csv(tmp_path / "table.csv").pivot(index="row", columns="column", values="value")
    assert list(table.index) == sorted(
        ["all four", "no Hue", "no Jitter", "no PermuteX", "no TranslateX", *PARAMETER_FREE]
    )
    assert (table.loc["no Hue"] == table.loc["all four"]).all()  # the same encoder, the same draws
    columns = {"original", "time-shifted", "masked", "rotated", "noised"}
    assert set(table.columns) == columns | {f"{column}, %" for column in columns - {"original"}}
    expected = (table.loc["no Hue", "masked"] / table.loc["no Hue", "original"] - 1) * 100
    assert table.loc["no Hue", "masked, %"] == pytest.approx(expected)
    assert "-29.160" in shown  # the paper's
    paired = pd.read_csv(tmp_path / "paired.csv", comment="#")
    assert set(paired["column"]) == columns
    assert {"table1.png", "fig6.png", "fig6.svg", "experiment.json"} <= {path.name for path in tmp_path.iterdir()}


def test_the_nfft_study_sets_each_length_beside_the_choices(tmp_path: Path) -> None:
    run("img2imu-nfft", tmp_path, *SMALL, "--set", "hop=16")
    table = pd.read_csv(tmp_path / "table.csv").set_index("row")
    rows = [
        row + head for row in ("nfft 32", "nfft 64", "all settings", "least entropy") for head in ("", ", logistic")
    ]
    assert set(table.index) == {*rows, *PARAMETER_FREE}
    for head in ("", ", logistic"):
        lengths = [f"nfft 32{head}", f"nfft 64{head}"]
        assert table.loc[f"all settings{head}", "value"] in table.loc[lengths, "value"].to_numpy()
    recipe = json.loads((tmp_path / "experiment.json").read_text("utf-8"))
    assert any(
        note.startswith("IMG2IMU: its place is taken by a ResNet-18 with random weights") for note in recipe["notes"]
    )
    assert recipe["options"]["hop"] == [16]


def test_options_are_judged_on_turned_windows_and_beside_their_top_1(tmp_path: Path) -> None:
    changes = (
        "training.epochs=1",
        "source.limit=64",
        "training.batch=32",
        "objective.queue=32",
        "objective.norm_group=16",
    )
    recipe = PretrainRecipe.load("img2imu-small").set(
        *changes, "source.height=24", "source.width=32", "views.permute_min_columns=5", "training.log_steps=1"
    )
    pretrain(recipe, made_up_pictures(tmp_path), tmp_path / "mix")
    out = tmp_path / "out"
    run(
        "img2imu-options",
        out,
        *SMALL,
        "--runs",
        "Hue perm=random",
        "--runs",
        f"Hue mix={tmp_path / 'mix'}",
        "--set",
        "heads=linear",
    )
    table = pd.read_csv(out / "table.csv").pivot(index="row", columns="column", values="value")
    assert set(table.columns) == {"wisdm", "wisdm, rotated", "contrastive top-1"}
    assert list(table.index) == sorted(["Hue perm", "Hue mix", "Randomly-init. (2D)", *PARAMETER_FREE])
    lines = [json.loads(line)["top1"] for line in (tmp_path / "mix" / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert table["contrastive top-1"].dropna().to_dict() == {"Hue mix": pytest.approx(sum(lines) / len(lines))}
    with pytest.raises(SystemExit) as ended:
        main(["experiment", "img2imu-options", "--tiny", "--out", str(tmp_path / "none")])
    assert ended.value.code != 0


def test_fig_8_counts_the_heat_that_it_draws(tmp_path: Path) -> None:
    run(
        "img2imu-fig8",
        tmp_path,
        *SMALL,
        "--set",
        "supervised_epochs=1",
        "--set",
        "max_train=3",
        "--set",
        "random_draws=1",
        "--runs",
        "IMG2IMU=random",
    )
    table = pd.read_csv(tmp_path / "table.csv").pivot(index="row", columns="column", values="value")
    shares = table[[name for name in table.columns if name.endswith("Hz")]].dropna()
    assert shares.shape[1] == 4
    assert shares.sum(axis=1).to_numpy() == pytest.approx(1.0)
    between = table["rank correlation"].dropna()
    assert between["IMG2IMU"] == between["Randomly-init. (2D)"]  # the same encoder, the same head
    assert (tmp_path / "fig8.png").stat().st_size > 20_000


def test_a_grid_of_recipes_has_its_members_beside_the_pick_of_validation(tmp_path: Path) -> None:
    grid = '"views.hue" = ["perm", "mix"]'
    run("img2imu-grid", tmp_path, *SMALL, "--set", "members=true", "--set", f"grid={grid}", "--set", "recipes=img2imu-small",
        "--set", "changes=training.epochs=1;training.batch=32;source.limit=32;objective.queue=32;objective.norm_group=16;"
        "source.height=24;source.width=32;views.permute_min_columns=3")  # fmt: skip
    scores = pd.read_csv(tmp_path / "seeds.csv", comment="#").query("column == 'wisdm'").set_index("row")
    members = ["img2imu-small-hue-perm", "img2imu-small-hue-mix"]
    rows = ["img2imu-small, best of 2 by validation", "img2imu-small, logistic, best of 2 by validation"]
    rows += [row + head for row in (*members, "random weights (resnet18)") for head in ("", ", logistic")]
    assert {*rows, *PARAMETER_FREE} == {*scores.index}
    pick = scores.loc["img2imu-small, best of 2 by validation"]
    assert pick["validation_f1"] == scores.loc[members, "validation_f1"].max()
    assert pick["macro_f1"] == scores.loc[pick["picked"], "macro_f1"]
    assert len(list((tmp_path / "runs").glob("img2imu-small-hue-*/done"))) == 2  # for four sets of windows
    recipe = json.loads((tmp_path / "experiment.json").read_text("utf-8"))
    assert recipe["tiny"]
    assert any(f"is {pick['picked']} in 1 of 1 splits" in note for note in recipe["notes"])

"""The commands on activities, as a user types them: probe patches, fit a model, predict a recording; a tiny experiment."""

from __future__ import annotations

from pathlib import Path

import pytest

from imuspec.cli import main
from imuspec.datasets.sequences import PatchSequences
from imuspec.experiments.lmm_fig2 import _weights_figure, intervals, welch
from imuspec.run.run import Run
from imuspec.simulation import wrist_motion, write_csv
from labelled_days import labelled_days, small_roformer


def output_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    captured = capsys.readouterr()
    assert stop.value.code == 0, captured.err
    return captured.out


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with an encoder, and labelled days in place of Capture-24's files."""
    from imuspec.datasets import sequences

    def read(folder: str) -> PatchSequences:
        assert folder == "files"
        return labelled_days(3, hours=1.5)

    monkeypatch.setattr(sequences, "capture24_sequences", read)
    monkeypatch.setattr("imuspec.cli.probing.LEAST_STEPS", 20)
    Run(tmp_path / "run").save_encoder(small_roformer())
    return tmp_path / "run"


def test_a_run_is_probed_fitted_and_applied(run: Path, tmp_path: Path, capsys) -> None:
    out = output_of(
        capsys, "probe", str(run), "--data", "capture24=files", "--seeds", "2", "--out", str(tmp_path / "probe")
    )
    assert "seed 1: BA" in out
    assert {"seeds.csv", "summary.csv", "confusion-last-0-validation.png"} <= {
        path.name for path in (tmp_path / "probe").iterdir()
    }
    model = tmp_path / "model"
    out = output_of(capsys, "fit", str(run), "--data", "capture24=files", "--out", str(model), "--folds", "3")
    assert "on people left out" in out
    x, time, _ = wrist_motion(days=0.5 / 24, seed=5, sample_rate=50.0)
    write_csv(tmp_path / "r.csv", x, time)
    table, plot = tmp_path / "r.parquet", tmp_path / "r.png"
    arguments = ["predict", str(tmp_path / "r.csv"), "--model", str(model), "--smooth"]
    out = output_of(capsys, *arguments, "--out", str(table), "--plot", str(plot))
    assert "15 May" in out
    assert table.exists()
    assert plot.stat().st_size > 3000
    assert (tmp_path / "r.minutes.csv").exists()


def test_a_head_that_is_none_and_data_without_a_name_are_refused(run: Path, capsys) -> None:
    for arguments, message in (
        (["probe", str(run), "--data", "capture24=files", "--head", "forest"], "linear, logistic, mlp or lstm"),
        (["fit", str(run), "--data", "files", "--out", "x"], "NAME=PATH"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
        assert message in capsys.readouterr().err


def test_a_study_of_the_paper_runs_in_its_tiny_form(tmp_path: Path, capsys) -> None:
    import json

    out = output_of(capsys, "experiment", "lmm-table5", "--tiny", "--seeds", "2", "--out", str(tmp_path / "out"))
    assert "labelled 100 %" in out
    table = (tmp_path / "out" / "comparison.csv").read_text()
    assert "LMM, labelled 5 %" in table
    assert json.loads((tmp_path / "out" / "experiment.json").read_text())["tiny"] is True


def test_figure_three_scores_every_run_of_a_loss_as_the_rows_beside_it(tmp_path: Path, capsys) -> None:
    import pandas as pd

    runs = []
    for number, row in enumerate(("LMM", "LMM", "MSE")):
        Run(tmp_path / str(number)).save_encoder(small_roformer(number))
        runs += ["--runs", f"{row}={tmp_path / str(number)}"]
    changes = [
        "--set",
        "random_draws=1",
        "--set",
        "head_epochs=1",
        "--set",
        "points=50",
        "--set",
        "recipe=mae-lmm-small",
    ]
    out = tmp_path / "out"
    output_of(capsys, "experiment", "lmm-fig3", "--tiny", "--seeds", "1", "--out", str(out), *runs, *changes)
    scores = pd.read_csv(out / "seeds.csv")
    assert scores.groupby("row")["weights_seed"].nunique()["LMM, linear"] == 2
    assert set(scores["column"]) == {"capture24"}
    assert (out / "fig3.png").stat().st_size > 10_000


def test_intervals_and_tests_between_weights_are_those_of_scipy() -> None:
    import numpy as np
    import pandas as pd
    from scipy import stats

    random = np.random.default_rng(0)
    runs = pd.DataFrame({"w_MSE": np.repeat([0.0, 0.1, 1.0], 3), "seed": [0, 1, 2] * 3})
    for name in ("validation_lmm", "validation_mse", "balanced_accuracy", "kappa"):
        runs[name] = random.normal(0, 1, 9) + runs["w_MSE"]
    result = intervals(runs).set_index(["w_MSE", "figure"]).loc[(0.1, "kappa")]
    values = runs.loc[runs["w_MSE"] == 0.1, "kappa"]
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert result[["low", "high"]].tolist() == pytest.approx([low, high])
    tests = welch(runs)
    kappa = tests[tests["figure"] == "kappa"]
    one, other = (runs.loc[runs["w_MSE"] == w, "kappa"] for w in (0.0, 1.0))
    p = stats.ttest_ind(one, other, equal_var=False).pvalue
    assert kappa.iloc[1]["p"] == pytest.approx(p)
    assert kappa["p_holm"].max() <= 1
    assert (kappa["p_holm"] >= kappa["p"]).all()
    assert kappa["p_holm"].min() == pytest.approx(min(1, 3 * kappa["p"].min()))
    panels = _weights_figure(runs).axes
    labels = [panel.get_ylabel() for panel in panels]
    assert labels == ["score", "LMM on validation", "MSE on validation"]  # Fig 2a, b, c
    assert [text.get_text() for text in panels[0].get_legend().get_texts()] == ["kappa", "balanced accuracy"]

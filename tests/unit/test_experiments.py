"""The frame of the experiments: found by file, given numbers, compared with the paper, kept."""

from __future__ import annotations

import json
import tomllib
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("matplotlib")
from imuspec import experiments  # noqa: E402
from imuspec.experiments import frame  # noqa: E402


def made_up_experiment(**names: Any) -> experiments.Experiment:
    module = ModuleType("made_up_experiment", "What it shows.")
    for name, value in names.items():
        setattr(module, name, value)
    return experiments.Experiment("img2imu-table2", "What it shows.", module)


def test_every_experiment_says_what_it_shows_and_what_it_takes() -> None:
    for name in experiments.names():
        found = experiments.describe(name)
        assert len(found.about) > 20, name
        assert callable(found.module.run), name
        assert set(getattr(found.module, "TINY", {})) <= set(found.options([], tiny=False)), name


def test_an_unknown_experiment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame, "names", lambda: ["img2imu-table1", "lmm-fig2"])
    with pytest.raises(
        ValueError, match="experiment: expected 'img2imu-table1' \\(the nearest\\), got 'img2imu-tabel1'"
    ):
        experiments.describe("img2imu-tabel1")


def test_the_papers_averages_are_the_mean_of_their_rows() -> None:
    table = experiments.targets("img2imu-table2")
    for row, cells in table.groupby("row"):
        values = cells.set_index("column")["paper"]
        assert values.drop("average").mean() == pytest.approx(values["average"], abs=0.0011), row


def test_the_papers_drops_follow_from_its_scores() -> None:
    cells = experiments.targets("img2imu-table1").set_index(["row", "column"])["paper"]
    for row, column, drop in (
        ("all four", "time-shifted", -27.75),
        ("no PermuteX", "masked", -43.76),
        ("no Hue", "rotated", -23.45),
        ("no Jitter", "noised", -24.91),
    ):
        assert (cells[row, column] / cells[row, "original"] - 1) * 100 == pytest.approx(drop, abs=0.2)


def test_every_target_row_has_a_number_for_each_column() -> None:
    text = (resources.files("imuspec") / "experiments" / "targets.toml").read_text("utf-8")
    for name, section in tomllib.loads(text).items():
        for kind in ("mean", "sd"):
            for row, values in section.get(kind, {}).items():
                assert len(values) == len(section["columns"]), (name, kind, row)
                assert kind == "mean" or row in section["mean"]
        assert len(experiments.targets(name)) == len(section["columns"]) * len(section["mean"])


def test_ours_stand_beside_the_papers_and_what_we_lack_is_shown() -> None:
    ours = pd.DataFrame({"row": ["ours", "MoCo"], "column": ["wisdm", "wisdm"], "value": [0.9, 0.7], "sd": [0.1, 0.01]})
    table = experiments.compare(ours, "img2imu-table2")
    assert table["row"].tolist()[:2] == ["ours", "MoCo"]
    assert np.isnan(table.loc[0, "paper"])
    assert table.loc[1, ["paper", "paper_sd"]].tolist() == [0.689, 0.023]
    assert table.loc[1, "difference"] == pytest.approx(0.011)
    assert len(table) == 13 * 5 + 1
    assert table.loc[2:, "value"].isna().all()
    assert experiments.compare(ours, "no such section")["paper"].isna().all()


def test_options_take_the_type_of_their_default() -> None:
    found = made_up_experiment(OPTIONS={"shots": 10, "norm": "fixed", "all": False}, TINY={"shots": 2})
    assert found.options([], tiny=True) == {"shots": 2, "norm": "fixed", "all": False}
    assert found.options(["shots=5", "all=true"], tiny=True) == {"shots": 5, "norm": "fixed", "all": True}
    with pytest.raises(ValueError, match="set: expected NAME=VALUE with NAME of shots, norm, all, got 'shot=5'"):
        found.options(["shot=5"], tiny=False)
    with pytest.raises(ValueError, match="set: expected shots as int, got 'few'"):
        found.options(["shots=few"], tiny=False)
    with pytest.raises(ValueError, match="set: expected all=true or all=false"):
        found.options(["all=1"], tiny=False)


def test_a_result_is_compared_and_kept_with_its_recipe(tmp_path: Path) -> None:
    from imuspec.report.style import new_figure

    def run(setup: experiments.Setup) -> experiments.Result:
        table = pd.DataFrame({"row": ["MoCo"], "column": ["wisdm"], "value": [float(setup.options["shots"])]})
        return experiments.Result(table, {"plot": new_figure(2, 2)}, ["cut short"], {"seeds": table})

    found = made_up_experiment(run=run, OPTIONS={"shots": 10}, RUNS={"IMG2IMU": "the four operations"}, DATA=("wisdm",))
    setup = experiments.Setup(tmp_path / "new", tiny=True, options=found.options([], tiny=True))
    result, comparison = experiments.perform(found, setup)
    assert result.notes[0] == experiments.frame.TINY_NOTE
    assert result.notes[-1].startswith("IMG2IMU: left out, as no --runs 'IMG2IMU=FOLDER' was given")
    assert comparison.loc[0, "difference"] == pytest.approx(10 - 0.689)
    kept = {path.name for path in (tmp_path / "new").iterdir()}
    assert kept == {
        *(f"{stem}.{kind}" for stem in ("table", "comparison", "seeds") for kind in ("csv", "json", "txt")),
        *("plot.png", "plot.svg", "experiment.json"),
    }
    recipe = json.loads((tmp_path / "new" / "experiment.json").read_text("utf-8"))
    assert (recipe["tiny"], recipe["data"], recipe["options"]) == (True, {"wisdm": "made up"}, {"shots": 10})
    assert (tmp_path / "new" / "table.txt").read_text("utf-8").startswith("TINY")


def test_pictures_have_the_size_on_which_the_runs_were_pre_trained(tmp_path: Path) -> None:
    def run_of(name: str, height: int) -> str:
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.json").write_text(json.dumps({"source": {"height": height, "width": 64}}), "utf-8")
        return str(tmp_path / name)

    def run(setup: experiments.Setup) -> experiments.Result:
        size = setup.options["height"] * 1000 + setup.options["width"]
        return experiments.Result(pd.DataFrame({"row": ["MoCo"], "column": ["wisdm"], "value": [size]}))

    def drawn(runs: dict[str, str], *assignments: str) -> int:
        found = made_up_experiment(run=run, OPTIONS={"height": 0, "width": 0})
        options = found.options(assignments, tiny=False)
        setup = experiments.Setup(tmp_path / "out", runs=runs, options=options)
        return experiments.perform(found, setup)[0].table.loc[0, "value"]

    one, other = run_of("one", 48), run_of("other", 32)
    assert drawn({"MoCo": one, "LIMU-BERT": "random"}) == 48_064
    assert drawn({}) == 96_128
    assert drawn({"MoCo": one, "IMG2IMU": other}, "height=24", "width=32") == 24_032
    with pytest.raises(ValueError, match="MoCo 48 x 64, IMG2IMU 32 x 64"):
        drawn({"MoCo": one, "IMG2IMU": other})


def test_data_that_are_not_given_are_asked_for(tmp_path: Path) -> None:
    setup = experiments.Setup(tmp_path, data={"goat": "somewhere"})
    with pytest.raises(ValueError, match=r"data: expected --data wisdm=PATH \(wisdm=LOADER:PATH .*\), got goat"):
        setup.windows("wisdm")
